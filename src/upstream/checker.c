#include "upstream/checker.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "net/socket.h"
#include "upstream/probe.h"

#define CHECK_OBJECT_MAGIC 0x4348454b

/* ---- what workers learn ---- */

static void set_health(struct target *t, struct health h)
{
    t->health = h;
    atomic_store_explicit(&t->state, (uint8_t)h.state, memory_order_relaxed);
}

static void log_change(const struct target *t)
{
    const struct health *h = &t->health;
    struct slice reason = health_reason(h);
    if (h->state == HEALTH_HEALTHY)
        log_info("target %s of %s is healthy", t->text.p, t->group.p);
    else if (slice_eq(reason, SLICE("Target.ResponseCodeMismatch")) && !t->check->why)
        log_info("target %s of %s is unhealthy: %s, status %u", t->text.p, t->group.p, reason.p,
                 h->status);
    else if (t->check->why)
        log_info("target %s of %s is unhealthy: %s, %s", t->text.p, t->group.p, reason.p,
                 t->check->why);
    else
        log_info("target %s of %s is unhealthy: %s", t->text.p, t->group.p, reason.p);
}

/* ---- how a check ends ---- */

static void hang_up(struct check *k)
{
    timer_clear(&k->deadline);
    if (k->state)
        k->probe->hung_up(k);
    if (k->conn)
        conn_close(k->conn);
    k->conn = NULL;
}

/* Rarely: with 10,000 targets there would be many. */
static void complain(struct checker *c)
{
    uint64_t now_ms = c->loop->clock.now_ms;
    if (c->said_ms && now_ms - c->said_ms < 1000)
        return;
    c->said_ms = now_ms;
    log_warning("health checks are left out: no descriptor or port is free");
}

static struct addr addr_of(const struct check *k)
{
    struct addr a = k->target->addr;
    if (k->group->check->port)
        addr_set_port(&a, k->group->check->port);
    return a;
}

static void report(const struct check *k, enum health_result result)
{
    const struct checker *c = k->checker;
    struct check_report r = {.group = k->group,
                             .addr = addr_of(k),
                             .began_wall_us = k->began_wall_us,
                             .took_us = c->loop->clock.now_us - k->began_us,
                             .result = result,
                             .has_status = k->has_status,
                             .status = k->status};
    if (c->report)
        c->report(c->report_ctx, &r);
}

/* Before its state is told: only another target's counts for whether it ramps. */
static void change(struct check *k, struct health h, bool at_start)
{
    struct target *t = k->target;
    struct checker *c = k->checker;
    if (h.state != HEALTH_HEALTHY)
        slow_start_end(&c->slow_start, t);
    else if (!at_start)
        slow_start_begin(&c->slow_start, k->group, t);
    set_health(t, h);
    log_change(t);
    news_raise(c->news, k->group->news);
}

static void decide(struct check *k, enum health_result result)
{
    struct target *t = k->target;
    bool at_start = k->at_start;
    report(k, result);
    hang_up(k);
    if (result == HEALTH_RESULT_INTERNAL)
        complain(k->checker);
    else
        k->at_start = false;
    struct health h = health_step(t->health, k->group->check, result, k->status);
    if (h.state == t->health.state)
        set_health(t, h);
    else
        change(k, h, at_start);
}

/* ---- how it goes on ---- */

static const struct probe *probe_of(const struct config_health_check *c)
{
    switch (c->protocol) {
    case CONFIG_CHECK_TCP:
    case CONFIG_CHECK_TLS:
        return &probe_tcp;
    case CONFIG_CHECK_HTTP:
    case CONFIG_CHECK_HTTPS:
    case CONFIG_CHECK_GRPC:
        break;
    }
    return c->http2 ? &probe_h2 : &probe_http;
}

static enum health_result ask(struct check *k)
{
    k->step = CHECK_ASKED;
    k->probe = probe_of(k->group->check);
    return k->probe->connected(k);
}

static enum health_result securing(struct check *k)
{
    enum err e = conn_flush(k->conn) == OK ? tls_handshake(k->conn) : ERR_RESET;
    if (e == ERR_AGAIN)
        return HEALTH_RESULT_NONE;
    if (e == OK)
        return ask(k);
    if (e == ERR_RESET)
        return HEALTH_RESULT_RESET;
    k->why = e == ERR_TLS ? tls_why(k->conn) : "the TLS handshake was not finished";
    return HEALTH_RESULT_FAILED;
}

/* Sessions are not resumed: a check shows that a full handshake works. */
static enum health_result secure(struct check *k)
{
    struct tls_dial d = {k->group->check_tls, k->member->server_name, NULL};
    enum err e = tls_connect(k->conn, &d);
    if (e != OK)
        return e == ERR_NOMEM ? HEALTH_RESULT_INTERNAL : HEALTH_RESULT_FAILED;
    k->step = CHECK_SECURING;
    return securing(k);
}

static enum health_result connecting(struct check *k)
{
    struct conn *c = k->conn;
    if (!c->writable && !c->readable)
        return HEALTH_RESULT_NONE;
    if (socket_error(c->fd) != 0)
        return HEALTH_RESULT_RESET;
    if (!c->writable)
        return HEALTH_RESULT_NONE;
    conn_connected(c);
    return k->group->check_tls ? secure(k) : ask(k);
}

static enum health_result waiting(struct check *k)
{
    if (conn_flush(k->conn) != OK)
        return HEALTH_RESULT_RESET;
    return k->probe->readable(k);
}

static enum health_result step(struct check *k)
{
    switch (k->step) {
    case CHECK_CONNECTING:
        return connecting(k);
    case CHECK_SECURING:
        return securing(k);
    case CHECK_ASKED:
        break;
    }
    return waiting(k);
}

/* What is in hand counts, also when it came at the last moment. */
static void go_on(struct check *k)
{
    bool late = timer_take(&k->deadline);
    enum health_result result = step(k);
    if (result == HEALTH_RESULT_NONE && late)
        result = HEALTH_RESULT_TIMEOUT;
    if (result != HEALTH_RESULT_NONE)
        decide(k, result);
    else if (k->step != CHECK_CONNECTING)
        conn_settle(k->conn, true);
}

/* ---- how it begins ---- */

static int64_t jitter(struct check *k)
{
    const struct config_health_check *c = k->group->check;
    uint32_t width = (uint32_t)((uint64_t)c->interval_ms * c->jitter_percent / 100);
    return (int64_t)rng_below(&k->checker->loop->rng, 2 * width + 1) - width;
}

static void plan(struct check *k, uint64_t next_ms)
{
    k->next_ms = next_ms;
    loop_timer_at(k->checker->loop, &k->due, next_ms);
}

/* From the time it was due, so that nothing adds up; what was missed is not made up for. */
static void plan_next(struct check *k)
{
    uint64_t now_ms = k->checker->loop->clock.now_ms, interval_ms = k->group->check->interval_ms;
    uint64_t next_ms = (uint64_t)((int64_t)(k->next_ms + interval_ms) + jitter(k));
    plan(k, next_ms > now_ms ? next_ms : now_ms + interval_ms);
}

static enum err open_conn(struct check *k)
{
    int fd;
    struct addr to = addr_of(k);
    enum err e = socket_connect(&to, &fd);
    if (e != OK)
        return e;
    k->conn = conn_new(k->checker->loop, fd, &to);
    return k->conn ? OK : ERR_NOMEM;
}

static void begin(struct check *k)
{
    k->step = CHECK_CONNECTING;
    k->began_us = k->checker->loop->clock.now_us;
    k->began_wall_us = k->checker->loop->clock.wall_us;
    k->why = NULL;
    k->interims = 0;
    k->status = 0;
    k->has_status = false;
    k->finder = (struct h1_finder){0};
    enum err e = open_conn(k);
    if (e != OK) {
        decide(k, e == ERR_REFUSED ? HEALTH_RESULT_RESET : HEALTH_RESULT_INTERNAL);
        return;
    }
    conn_own(k->conn, &k->task);
    conn_connecting(k->conn);
    loop_timer(k->checker->loop, &k->deadline, k->group->check->timeout_ms);
}

static void check_run(struct task *t)
{
    struct check *k = container_of(t, struct check, task);
    CHECK_MAGIC(k, CHECK_OBJECT_MAGIC);
    if (k->conn)
        go_on(k);
    if (!timer_take(&k->due))
        return;
    plan_next(k);
    if (!k->conn)
        begin(k);
}

/* ---- who is checked ---- */

static struct check *add(struct checker *c, struct target *t)
{
    struct check *k = calloc(1, sizeof(*k));
    CHECK(k);
    k->magic = CHECK_OBJECT_MAGIC;
    k->checker = c;
    k->target = t;
    k->at_start = c->rounds == 1;
    task_init(&k->task, check_run);
    timer_init(&k->due, &k->task);
    timer_init(&k->deadline, &k->task);
    list_push_back(&c->checks, &k->node);
    return t->check = k;
}

static void drop(struct check *k)
{
    struct wheel *w = &k->checker->loop->wheel;
    hang_up(k);
    timer_del(w, &k->due);
    timer_del(w, &k->deadline);
    task_cancel(&k->task);
    list_del(&k->node);
    k->target->check = NULL;
    slow_start_end(&k->checker->slow_start, k->target);
    set_health(k->target, (struct health){0});
    k->magic = 0;
    free(k);
}

/* Would the same answer mean the same? */
static bool same_question(const struct config_health_check *a, const struct config_health_check *b)
{
    return a->protocol == b->protocol && a->http2 == b->http2 && a->tls == b->tls &&
           a->port == b->port && slice_eq(a->path, b->path) && slice_eq(a->host, b->host) &&
           memcmp(&a->matcher, &b->matcher, sizeof(a->matcher)) == 0;
}

/* It is one of the new snapshot's. */
static void keep(struct check *k, const struct group *g, const struct member *m)
{
    const struct config_health_check *was = k->group ? k->group->check : NULL;
    uint64_t soon_ms = k->checker->loop->clock.now_ms + g->check->interval_ms;
    k->group = g;
    k->member = m;
    k->round = k->checker->rounds;
    slow_start_keep(&k->checker->slow_start, g, k->target);
    if (was && !same_question(was, g->check))
        hang_up(k);
    if (k->next_ms > soon_ms)
        plan(k, soon_ms);
}

static void keep_members(struct checker *c, const struct group *g)
{
    for (size_t i = 0; g->check && i < g->members_n; i++) {
        struct target *t = g->members[i].target;
        keep(t->check ? t->check : add(c, t), g, &g->members[i]);
    }
}

static size_t drop_unnamed(struct checker *c)
{
    size_t fresh = 0;
    list_each(n, next, &c->checks) {
        struct check *k = list_entry(n, struct check, node);
        if (k->round != c->rounds)
            drop(k);
        else
            fresh += k->next_ms == 0;
    }
    return fresh;
}

static void plan_first(struct checker *c, size_t fresh)
{
    size_t at = 0;
    list_each(n, next, &c->checks) {
        struct check *k = list_entry(n, struct check, node);
        if (k->next_ms != 0)
            continue;
        uint64_t spread_ms = k->group->check->interval_ms;
        if (spread_ms > CHECKER_SPREAD_MS)
            spread_ms = CHECKER_SPREAD_MS;
        plan(k, c->loop->clock.now_ms + 1 + spread_ms * at++ / fresh);
    }
}

static void take_limits(struct checker *c, const struct config_limits *l)
{
    c->limits = (struct limits){.request_line = l->request_line_bytes,
                                .response_head = l->response_head_bytes,
                                .headers = l->headers,
                                .trailers = l->trailers_bytes};
    free(c->fields);
    c->fields = malloc(sizeof(struct field) * l->headers);
    CHECK(c->fields);
}

void checker_adopt(struct checker *c, const struct group *groups, size_t groups_n,
                   const struct config_limits *limits)
{
    c->rounds++;
    take_limits(c, limits);
    for (size_t i = 0; i < groups_n; i++)
        keep_members(c, &groups[i]);
    plan_first(c, drop_unnamed(c));
}

/* ---- life ---- */

void checker_init(struct checker *c, struct loop *loop, struct news *news)
{
    *c = (struct checker){.loop = loop, .news = news};
    list_init(&c->checks);
    slow_start_init(&c->slow_start, loop, news);
}

void checker_fini(struct checker *c)
{
    while (!list_empty(&c->checks))
        drop(list_first(&c->checks, struct check, node));
    slow_start_fini(&c->slow_start);
    free(c->fields);
    c->fields = NULL;
}
