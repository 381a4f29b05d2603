#include "server/admin_routes.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "base/log.h"
#include "server/access.h"
#include "server/operation_routes.h"
#include "server/server.h"
#include "server/stats.h"
#include "server/zone_health.h"

#define REFUSED_SAY_MS 1000

/* ---- what may be asked ---- */

static void healthz(struct server *s, const struct admin_request *r, struct admin_answer *a)
{
    (void)r;
    a->status = s->stopping ? 503 : 200;
    strbuf_str(&a->body, s->stopping ? "stopping\n" : "ok\n");
}

static void status(struct server *s, const struct admin_request *r, struct admin_answer *a)
{
    (void)r;
    a->content_type = "application/json";
    stats_json_write(s, &a->body);
}

static void metrics(struct server *s, const struct admin_request *r, struct admin_answer *a)
{
    (void)r;
    a->content_type = "text/plain; version=0.0.4; charset=utf-8";
    stats_metrics_write(s, &a->body);
}

struct route {
    struct slice path;
    bool post;
    enum config_role needed; /* NONE: whoever can connect, for probes that know no token */
    void (*answer)(struct server *s, const struct admin_request *r, struct admin_answer *a);
};

static const struct route routes[] = {
    {SLICE_INIT("/healthz"), false, CONFIG_ROLE_NONE, healthz},
    {SLICE_INIT("/zone-health"), false, CONFIG_ROLE_NONE, zone_health_answer},
    {SLICE_INIT("/status"), false, CONFIG_ROLE_VIEWER, status},
    {SLICE_INIT("/metrics"), false, CONFIG_ROLE_VIEWER, metrics},
    {SLICE_INIT("/zones/shifts"), false, CONFIG_ROLE_VIEWER, operation_routes_shifts},
    {SLICE_INIT("/zones/shift"), true, CONFIG_ROLE_OPERATOR, operation_routes_shift},
    {SLICE_INIT("/zones/cancel"), true, CONFIG_ROLE_OPERATOR, operation_routes_cancel},
    {SLICE_INIT("/targets/drain"), true, CONFIG_ROLE_OPERATOR, operation_routes_drain},
    {SLICE_INIT("/targets/ready"), true, CONFIG_ROLE_OPERATOR, operation_routes_ready},
    {SLICE_INIT("/targets/register"), true, CONFIG_ROLE_OPERATOR, operation_routes_register},
    {SLICE_INIT("/targets/deregister"), true, CONFIG_ROLE_OPERATOR, operation_routes_deregister},
};

/* ---- refusals ---- */

void admin_routes_error(struct admin_answer *a, unsigned code, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    a->status = code;
    a->content_type = "application/json";
    strbuf_fini(&a->body);
    strbuf_init(&a->body);
    strbuf_str(&a->body, "{\"error\":");
    strbuf_json(&a->body, slice_str(text));
    strbuf_str(&a->body, "}\n");
}

static void no_such_path(struct admin_answer *a)
{
    strbuf_str(&a->body, "Here are");
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        strbuf_str(&a->body, i == 0 ? " " : i + 1 < ARRAY_LEN(routes) ? ", " : " and ");
        strbuf_slice(&a->body, routes[i].path);
    }
    strbuf_str(&a->body, ".\n");
}

static void log_refused(struct server *s, const struct admin_request *r, const char *why)
{
    uint64_t now = s->loop.clock.now_ms;
    if (s->admin_refused_ms && now - s->admin_refused_ms < REFUSED_SAY_MS)
        return;
    s->admin_refused_ms = now;
    struct slice path = slice_upto(r->path, 64);
    log_warning("admin: %s %.*s from %.*s refused: %s", r->post ? "POST" : "GET", (int)path.n,
                path.p, (int)r->who.n, r->who.p, why);
}

static bool may(struct server *s, const struct admin_request *r, const struct route *route,
                struct admin_answer *a)
{
    if (route->needed == CONFIG_ROLE_NONE)
        return true;
    enum access_verdict v = access_check(&s->snapshots.current->config->admin, r, route->needed);
    if (v == ACCESS_GRANTED)
        return true;
    log_refused(s, r, access_text(v));
    admin_routes_error(a, access_status(v), "%s", access_text(v));
    return false;
}

/* ---- */

void admin_routes_answer(void *ctx, const struct admin_request *r, struct admin_answer *a)
{
    struct server *s = ctx;
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (!slice_eq(r->path, routes[i].path))
            continue;
        if (r->post != routes[i].post) {
            a->allow = routes[i].post ? "POST" : "GET";
            admin_routes_error(a, 405, "%s is for %s", routes[i].path.p, a->allow);
        } else if (may(s, r, &routes[i], a)) {
            a->status = 200;
            routes[i].answer(s, r, a);
        }
        return;
    }
    no_such_path(a);
}
