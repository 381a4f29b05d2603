/* Rules and requests as text; the compiled router must agree with trying rule after rule.
 *
 *   HOSTS|PATHS       a rule: patterns separated by commas, an empty list is no condition
 *   ?HOST|PATH        a request
 *
 * Rules have priorities in the order of their lines; requests are asked of all rules. */
#include "fuzz.h"

#include "base/check.h"

#include "../unit/proxy/linear_rules.h"

/* The naive matcher is the slow part. */
enum { RULES_MAX = 64, VALUES_MAX = 16, REQUESTS_MAX = 64, TEXT_MAX = 4096 };

struct input {
    struct arena arena;
    struct config_listener listener;
    struct slice requests[REQUESTS_MAX];
    size_t requests_n;
};

static void add_condition(struct arena *a, struct config_rule *r, enum config_condition_type type,
                          struct slice list)
{
    if (list.n == 0)
        return;
    struct config_condition *c = &r->conditions[r->conditions_n++];
    c->type = type;
    c->values = ARENA_ARRAY(a, struct slice, VALUES_MAX);
    for (size_t comma; list.n && c->values_n < VALUES_MAX; list = slice_from(list, comma + 1)) {
        comma = slice_find(list, ',', 0);
        c->values[c->values_n++] = slice_upto(list, comma);
    }
}

static void add_rule(struct input *in, struct slice line)
{
    struct config_listener *l = &in->listener;
    size_t bar = slice_find(line, '|', 0);
    if (l->rules_n == RULES_MAX || line.n < 2)
        return;
    struct config_rule *r = &l->rules[l->rules_n++];
    r->name = SLICE("rule");
    r->priority = (uint32_t)l->rules_n;
    r->action.type = CONFIG_ACTION_FIXED_RESPONSE;
    r->conditions = ARENA_ARRAY(&in->arena, struct config_condition, 2);
    add_condition(&in->arena, r, CONFIG_CONDITION_HOST_HEADER, slice_upto(line, bar));
    add_condition(&in->arena, r, CONFIG_CONDITION_PATH_PATTERN, slice_from(line, bar + 1));
}

static void read_input(struct input *in, struct slice text)
{
    arena_init(&in->arena);
    in->listener =
        (struct config_listener){.rules = ARENA_ARRAY(&in->arena, struct config_rule, RULES_MAX),
                                 .default_action = {.type = CONFIG_ACTION_FIXED_RESPONSE}};
    in->requests_n = 0;
    for (size_t end; text.n; text = slice_from(text, end + 1)) {
        end = slice_find(text, '\n', 0);
        struct slice line = slice_upto(text, end);
        if (line.n == 0 || line.p[0] != '?')
            add_rule(in, line);
        else if (in->requests_n < REQUESTS_MAX)
            in->requests[in->requests_n++] = slice_from(line, 1);
    }
}

static void ask(const struct router *r, const struct config_listener *l, struct slice request)
{
    char host[TEXT_MAX];
    size_t bar = slice_find(request, '|', 0);
    for (size_t i = 0; i < bar; i++)
        host[i] = slice_lower(request.p[i]);
    struct slice h = slice_of(host, bar), path = slice_from(request, bar + 1);
    CHECK(router_match(r, h, path)->priority == linear_rules_match(l, h, path));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct input in;
    if (n > TEXT_MAX)
        return 0;
    read_input(&in, slice_of((const char *)data, n));
    struct router *r = router_build(&in.arena, &in.listener, NULL);
    for (size_t i = 0; i < in.requests_n; i++)
        ask(r, &in.listener, in.requests[i]);
    arena_fini(&in.arena);
    return 0;
}
