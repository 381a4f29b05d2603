#include "server/operation_routes.h"

#include <stdio.h>

#include "server/admin_body.h"
#include "server/admin_routes.h"
#include "server/server.h"

#define WHO_BYTES 192

/* ---- targets ---- */

struct target_body {
    struct slice group, zone;
    struct addr address;
    uint64_t weight, wait_ms;
};

#define TARGET_KEYS                                                                                \
    {.name = "group", .type = SCHEMA_NAME, .required = true, SCHEMA_AT(target_body, group)},       \
        {.name = "address",                                                                        \
         .type = SCHEMA_CUSTOM,                                                                    \
         .required = true,                                                                         \
         .decode = admin_body_addr,                                                                \
         .expected = ADMIN_BODY_ADDR_EXPECTED,                                                     \
         SCHEMA_AT(target_body, address)},                                                         \
    {                                                                                              \
        .name = "wait", .type = SCHEMA_DURATION, .def = "0", .max = OPERATIONS_WAIT_MAX_MS,        \
        SCHEMA_AT(target_body, wait_ms)                                                            \
    }

static const struct schema_key target_keys[] = {TARGET_KEYS, SCHEMA_END};

static const struct schema_key register_keys[] = {
    TARGET_KEYS,
    {.name = "zone", .type = SCHEMA_NAME, SCHEMA_AT(target_body, zone)},
    {.name = "weight",
     .type = SCHEMA_NUMBER,
     .def = "none",
     .none = true,
     .max = 999,
     SCHEMA_AT(target_body, weight)},
    SCHEMA_END,
};

static struct slice who(const struct server *s, const struct admin_request *r, char to[WHO_BYTES])
{
    bool token = s->snapshots.current->config->admin.tokens_n;
    int n = snprintf(to, WHO_BYTES, "%.*s%s", (int)r->who.n, r->who.p,
                     token ? " with the token of an operator" : "");
    return slice_of(to, (size_t)(n < WHO_BYTES ? n : WHO_BYTES - 1));
}

static void begin_target(struct server *s, const struct admin_request *r, struct admin_answer *a,
                         enum operation_what what)
{
    char text[WHO_BYTES];
    struct target_body b = {.weight = CONFIG_NONE};
    struct arena arena;
    arena_init(&arena);
    bool more = what == OPERATION_REGISTER;
    if (admin_body_decode(r, more ? register_keys : target_keys, &arena, &b, a)) {
        struct operation_wish w = {
            .what = what,
            .group = b.group,
            .addr = b.address,
            .zone = b.zone,
            .weight = b.weight,
            .wait_ms = b.wait_ms,
            .who = who(s, r, text),
        };
        operations_begin(&s->operations, &w, a);
    }
    arena_fini(&arena);
}

void operation_routes_drain(struct server *s, const struct admin_request *r, struct admin_answer *a)
{
    begin_target(s, r, a, OPERATION_DRAIN);
}

void operation_routes_ready(struct server *s, const struct admin_request *r, struct admin_answer *a)
{
    begin_target(s, r, a, OPERATION_READY);
}

void operation_routes_register(struct server *s, const struct admin_request *r,
                               struct admin_answer *a)
{
    begin_target(s, r, a, OPERATION_REGISTER);
}

void operation_routes_deregister(struct server *s, const struct admin_request *r,
                                 struct admin_answer *a)
{
    begin_target(s, r, a, OPERATION_DEREGISTER);
}

/* ---- zones ---- */

struct zone_body {
    struct slice zone, reason;
    uint64_t for_ms;
    bool force;
};

static const struct schema_key shift_keys[] = {
    {.name = "zone", .type = SCHEMA_NAME, .required = true, SCHEMA_AT(zone_body, zone)},
    {.name = "for",
     .type = SCHEMA_DURATION,
     .required = true,
     .min = SHIFT_FOR_MIN_MS,
     .max = SHIFT_FOR_MAX_MS,
     SCHEMA_AT(zone_body, for_ms)},
    {.name = "reason",
     .type = SCHEMA_TEXT,
     .required = true,
     .min = 1,
     .max = SHIFT_REASON_MAX,
     SCHEMA_AT(zone_body, reason)},
    {.name = "force", .type = SCHEMA_BOOL, .def = "false", SCHEMA_AT(zone_body, force)},
    SCHEMA_END,
};

static const struct schema_key cancel_keys[] = {
    {.name = "zone", .type = SCHEMA_NAME, .required = true, SCHEMA_AT(zone_body, zone)},
    SCHEMA_END,
};

static enum err shift(struct server *s, const struct zone_body *b, struct strbuf *why)
{
    const struct snapshot *now = s->snapshots.current;
    struct shift_wish w = {
        .zone = b->zone,
        .reason = b->reason,
        .for_ms = b->for_ms,
        .force = b->force,
        .by = SHIFT_BY_OPERATOR,
    };
    return shift_set(&s->shifts, &w, now->groups, now->groups_n, why);
}

/* Done at once; what may take time is to write it down. */
static void begin_zone(struct server *s, const struct admin_request *r, struct admin_answer *a,
                       enum operation_what what)
{
    char text[WHO_BYTES];
    struct zone_body b = {0};
    struct arena arena;
    struct strbuf why;
    bool set = what == OPERATION_SHIFT;
    arena_init(&arena);
    strbuf_init(&why);
    if (operations_may_begin(&s->operations, a) &&
        admin_body_decode(r, set ? shift_keys : cancel_keys, &arena, &b, a)) {
        enum err e = set ? shift(s, &b, &why) : shift_cancel(&s->shifts, b.zone, &why);
        struct operation_wish w = {.what = what, .zone = b.zone, .who = who(s, r, text)};
        if (e == OK)
            operations_begin(&s->operations, &w, a);
        else
            admin_routes_error(a, e == ERR_NOT_FOUND ? 404 : 409, "%s", why.n ? why.p : "refused");
    }
    strbuf_fini(&why);
    arena_fini(&arena);
}

void operation_routes_shift(struct server *s, const struct admin_request *r, struct admin_answer *a)
{
    begin_zone(s, r, a, OPERATION_SHIFT);
}

void operation_routes_cancel(struct server *s, const struct admin_request *r,
                             struct admin_answer *a)
{
    begin_zone(s, r, a, OPERATION_CANCEL);
}

void operation_routes_shifts(struct server *s, const struct admin_request *r,
                             struct admin_answer *a)
{
    (void)r;
    a->content_type = "application/json";
    strbuf_str(&a->body, "{\"shifts\":");
    shift_json(&s->shifts, &a->body);
    strbuf_str(&a->body, "}\n");
}
