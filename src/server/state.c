#include "server/state.h"

#include "base/check.h"
#include "config/decode.h"
#include "config/scalar.h"
#include "config/schema.h"

/* ---- from text ---- */

static void decode_address(struct schema_ctx *x, const struct schema_key *key,
                           const struct yaml_tree_node *node, void *to)
{
    (void)decode_addr(x, key, node, to);
}

#define GROUP_AND_ADDRESS                                                                          \
    {.name = "group", .type = SCHEMA_NAME, .required = true, SCHEMA_AT(state_target, group)},      \
    {                                                                                              \
        .name = "address", .type = SCHEMA_CUSTOM, .required = true, .decode = decode_address,      \
        .expected = "IP:PORT, [IPv6]:PORT or unix:PATH", SCHEMA_AT(state_target, addr)             \
    }

static const struct schema_key target_keys[] = {GROUP_AND_ADDRESS, SCHEMA_END};

static const struct schema_key registered_keys[] = {
    GROUP_AND_ADDRESS,
    {.name = "zone", .type = SCHEMA_NAME, SCHEMA_AT(state_target, zone)},
    {.name = "weight",
     .type = SCHEMA_NUMBER,
     .def = "1",
     .max = 999,
     SCHEMA_AT(state_target, weight)},
    SCHEMA_END,
};

static const struct schema_word shift_by[] = {
    {"operator", SHIFT_BY_OPERATOR, true},
    {"autoshift", SHIFT_BY_AUTOSHIFT, true},
    {"practice", SHIFT_BY_PRACTICE, true},
    SCHEMA_WORDS_END,
};

static const struct schema_key shift_keys[] = {
    {.name = "zone", .type = SCHEMA_NAME, .required = true, SCHEMA_AT(state_shift, zone)},
    {.name = "by",
     .type = SCHEMA_WORD,
     .def = "operator",
     .words = shift_by,
     SCHEMA_AT(state_shift, by)},
    {.name = "since",
     .type = SCHEMA_NUMBER,
     .required = true,
     .max = UINT32_MAX,
     SCHEMA_AT(state_shift, since_s)},
    {.name = "until",
     .type = SCHEMA_NUMBER,
     .required = true,
     .max = UINT32_MAX,
     SCHEMA_AT(state_shift, until_s)},
    {.name = "reason",
     .type = SCHEMA_TEXT,
     .required = true,
     .min = 1,
     .max = SHIFT_REASON_MAX,
     SCHEMA_AT(state_shift, reason)},
    SCHEMA_END,
};

static const struct schema_key hold_keys[] = {
    {.name = "zone", .type = SCHEMA_NAME, .required = true, SCHEMA_AT(state_hold, zone)},
    {.name = "until",
     .type = SCHEMA_NUMBER,
     .required = true,
     .max = UINT32_MAX,
     SCHEMA_AT(state_hold, until_s)},
    SCHEMA_END,
};

static const struct schema_key state_keys[] = {
    {.name = "version",
     .type = SCHEMA_NUMBER,
     .required = true,
     .min = STATE_VERSION,
     .max = STATE_VERSION,
     SCHEMA_AT(state, version)},
    {.name = "registered",
     .type = SCHEMA_LIST,
     .keys = registered_keys,
     SCHEMA_ITEMS(state, registered, state_target)},
    {.name = "deregistered",
     .type = SCHEMA_LIST,
     .keys = target_keys,
     SCHEMA_ITEMS(state, deregistered, state_target)},
    {.name = "drained",
     .type = SCHEMA_LIST,
     .keys = target_keys,
     SCHEMA_ITEMS(state, drained, state_target)},
    {.name = "shifts",
     .type = SCHEMA_LIST,
     .keys = shift_keys,
     SCHEMA_ITEMS(state, shifts, state_shift)},
    {.name = "holds",
     .type = SCHEMA_LIST,
     .keys = hold_keys,
     SCHEMA_ITEMS(state, holds, state_hold)},
    SCHEMA_END,
};

bool state_parse(struct state *s, struct arena *a, struct slice text, const char *name,
                 struct report *r)
{
    struct schema_ctx x = {.arena = a, .report = r, .root = ""};
    size_t errors = r->errors;
    *s = (struct state){0};
    report_source(r, name, text);
    const struct yaml_tree_node *root = yaml_tree_parse(a, r, name, text, NULL);
    if (root)
        schema_map(&x, state_keys, "the state", root, s);
    report_forget(r);
    if (root && r->errors == errors)
        return true;
    *s = (struct state){0};
    return false;
}

/* ---- to text ---- */

static void string(struct strbuf *b, const char *before, struct slice v)
{
    strbuf_str(b, before);
    strbuf_json(b, v);
}

static void write_target(struct strbuf *b, const struct state_target *t, bool whole)
{
    char text[ADDR_TEXT_MAX];
    string(b, "{\"group\":", t->group);
    string(b, ",\"address\":", slice_of(text, addr_format(&t->addr, text)));
    if (whole && t->zone.n)
        string(b, ",\"zone\":", t->zone);
    if (whole)
        strbuf_printf(b, ",\"weight\":%u", t->weight);
    strbuf_str(b, "}");
}

static void write_targets(struct strbuf *b, const char *name, const struct state_target *t,
                          size_t n, bool whole)
{
    strbuf_printf(b, ",\n \"%s\":[", name);
    for (size_t i = 0; i < n; i++) {
        strbuf_str(b, i ? ",\n  " : "\n  ");
        write_target(b, &t[i], whole);
    }
    strbuf_str(b, "]");
}

static void write_shifts(struct strbuf *b, const struct state_shift *t, size_t n)
{
    strbuf_str(b, ",\n \"shifts\":[");
    for (size_t i = 0; i < n; i++) {
        string(b, i ? ",\n  {\"zone\":" : "\n  {\"zone\":", t[i].zone);
        strbuf_printf(b, ",\"by\":\"%s\",\"since\":%llu,\"until\":%llu", shift_by_name(t[i].by),
                      (unsigned long long)t[i].since_s, (unsigned long long)t[i].until_s);
        string(b, ",\"reason\":", t[i].reason);
        strbuf_str(b, "}");
    }
    strbuf_str(b, "]");
}

/* Left out when there are none: an older tenbin knows nothing of them. */
static void write_holds(struct strbuf *b, const struct state_hold *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        string(b, i ? ",\n  {\"zone\":" : ",\n \"holds\":[\n  {\"zone\":", t[i].zone);
        strbuf_printf(b, ",\"until\":%llu}", (unsigned long long)t[i].until_s);
    }
    strbuf_str(b, n ? "]" : "");
}

void state_format(const struct state *s, struct strbuf *out)
{
    strbuf_printf(out, "{\"version\":%d", STATE_VERSION);
    write_targets(out, "registered", s->registered, s->registered_n, true);
    write_targets(out, "deregistered", s->deregistered, s->deregistered_n, false);
    write_targets(out, "drained", s->drained, s->drained_n, false);
    write_shifts(out, s->shifts, s->shifts_n);
    write_holds(out, s->holds, s->holds_n);
    strbuf_str(out, "}\n");
}

/* ---- rosters ---- */

static void put_all(struct roster *r, enum roster_source source, const struct state_target *t,
                    size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char text[ADDR_TEXT_MAX];
        struct addr addr = t[i].addr;
        struct config_target target = {
            .text = slice_of(text, addr_format(&addr, text)),
            .zone = t[i].zone,
            .weight = t[i].weight,
            .addrs = &addr,
            .addrs_n = 1,
        };
        roster_add(r, t[i].group, source, &target);
    }
}

void state_to_roster(const struct state *s, struct roster *r)
{
    put_all(r, ROSTER_OPERATOR, s->registered, s->registered_n);
    put_all(r, ROSTER_REMOVED, s->deregistered, s->deregistered_n);
}

static size_t count(const struct roster *r, enum roster_source source)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++)
        if (r->lists[i]->source == source)
            n += r->lists[i]->targets_n;
    return n;
}

static struct state_target *take_all(struct arena *a, const struct roster *r,
                                     enum roster_source source, size_t *n)
{
    struct state_target *all = ARENA_ARRAY(a, struct state_target, count(r, source) + 1);
    *n = 0;
    for (size_t i = 0; i < r->n; i++)
        for (size_t j = 0; r->lists[i]->source == source && j < r->lists[i]->targets_n; j++) {
            const struct config_target *t = &r->lists[i]->targets[j];
            all[(*n)++] = (struct state_target){r->lists[i]->group, *t->addrs, t->zone, t->weight};
        }
    return all;
}

void state_from_roster(struct state *s, struct arena *a, const struct roster *r)
{
    s->registered = take_all(a, r, ROSTER_OPERATOR, &s->registered_n);
    s->deregistered = take_all(a, r, ROSTER_REMOVED, &s->deregistered_n);
}
