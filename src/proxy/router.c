/* Rules are spread out into (host pattern, path pattern, rank); a rule without a condition on one
 * of the two has `*` there. Entries of the same host share one index of paths, and the hosts are an
 * index themselves:
 *
 *   host ─▶ hosts ─▶ www.example.com ─▶ paths ─▶ /img*    rank 4
 *                │                           └─▶ /        rank 9
 *                ├─▶ *.example.com ───▶ rank 7            (only `*` in there: no index needed)
 *                └─▶ * ───────────────▶ paths ...
 *
 * A rank is a rule's place by priority; the default action has the last one. All hosts that match
 * are asked, each with the best rank so far, which cuts off what cannot win any more. */
#include "proxy/router.h"

#include <stdlib.h>

#include "base/check.h"
#include "proxy/pattern.h"
#include "rule_index.h"

struct router {
    struct rule *rules; /* by rank; the default is the last */
    uint32_t default_rank;
    const struct rule_index *hosts;
};

/* ---- matching ---- */

const struct rule *router_match(const struct router *r, struct slice host, struct slice path)
{
    return &r->rules[rule_index_match(r->hosts, host, path, r->default_rank)];
}

struct group *router_pick_group(const struct action *a, uint32_t random)
{
    uint32_t at = (uint32_t)(((uint64_t)random * a->weight_total) >> 32);
    for (size_t i = 0; i < a->groups_n; i++)
        if (at < a->groups[i].upto)
            return a->groups[i].group;
    return NULL;
}

/* ---- actions ---- */

static void add_groups(struct arena *a, struct action *to, const struct config_forward *f,
                       struct group *groups)
{
    to->groups_n = f->groups_n;
    to->groups = ARENA_ARRAY(a, struct action_group, f->groups_n);
    for (size_t i = 0; i < f->groups_n; i++) {
        to->weight_total += f->groups[i].weight;
        to->groups[i].group = &groups[f->groups[i].group];
        to->aws_names |= groups[f->groups[i].group].aws_names;
        to->groups[i].upto = to->weight_total;
    }
}

static enum action_type type_of(enum config_action_type t)
{
    switch (t) {
    case CONFIG_ACTION_FORWARD:
        return ACTION_FORWARD;
    case CONFIG_ACTION_REDIRECT:
        return ACTION_REDIRECT;
    case CONFIG_ACTION_FIXED_RESPONSE:
        break;
    }
    return ACTION_FIXED_RESPONSE;
}

struct action *router_action(struct arena *a, const struct config_action *c, struct group *groups)
{
    struct action *to = ARENA_NEW(a, struct action);
    to->type = type_of(c->type);
    to->config = c;
    if (to->type == ACTION_FORWARD)
        add_groups(a, to, &c->forward, groups);
    return to;
}

/* ---- spreading rules out ---- */

struct spread {
    struct slice host, path;
    uint32_t rank;
};

static const struct config_condition *condition_of(const struct config_rule *r,
                                                   enum config_condition_type type)
{
    for (size_t i = 0; i < r->conditions_n; i++)
        if (r->conditions[i].type == type)
            return &r->conditions[i];
    return NULL;
}

static size_t values_n(const struct config_condition *c)
{
    return c ? c->values_n : 1;
}

/* The value as it is compared: letters of hosts in lower case, runs of `*` as one. */
static struct slice value_of(struct arena *a, const struct config_condition *c, size_t i)
{
    if (!c)
        return SLICE("*");
    struct slice v = c->values[i];
    char *to = arena_alloc(a, v.n);
    size_t n = 0;
    for (size_t at = 0; at < v.n; at++) {
        if (v.p[at] == '*' && n && to[n - 1] == '*')
            continue;
        to[n++] = c->type == CONFIG_CONDITION_HOST_HEADER ? slice_lower(v.p[at]) : v.p[at];
    }
    return slice_of(to, n);
}

static struct slice *values_of(struct arena *a, struct arena *scratch,
                               const struct config_condition *c)
{
    struct slice *v = ARENA_ARRAY(scratch, struct slice, values_n(c));
    for (size_t i = 0; i < values_n(c); i++)
        v[i] = value_of(a, c, i);
    return v;
}

static size_t spread_rule(struct arena *a, struct arena *scratch, const struct config_rule *r,
                          uint32_t rank, struct spread *to)
{
    const struct config_condition *h = condition_of(r, CONFIG_CONDITION_HOST_HEADER);
    const struct config_condition *p = condition_of(r, CONFIG_CONDITION_PATH_PATTERN);
    struct slice *hosts = values_of(a, scratch, h), *paths = values_of(a, scratch, p);
    size_t n = 0;
    for (size_t i = 0; i < values_n(h); i++)
        for (size_t j = 0; j < values_n(p); j++)
            to[n++] = (struct spread){hosts[i], paths[j], rank};
    return n;
}

static size_t spread_size(const struct config_listener *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->rules_n; i++)
        n += values_n(condition_of(&l->rules[i], CONFIG_CONDITION_HOST_HEADER)) *
             values_n(condition_of(&l->rules[i], CONFIG_CONDITION_PATH_PATTERN));
    return n;
}

static int compare_slices(struct slice a, struct slice b)
{
    int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int by_host_path_rank(const void *x, const void *y)
{
    const struct spread *a = x, *b = y;
    int order = compare_slices(a->host, b->host);
    if (order == 0)
        order = compare_slices(a->path, b->path);
    return order ? order : (a->rank > b->rank) - (a->rank < b->rank);
}

/* ---- the indices ---- */

struct index_build {
    struct arena *arena;
    struct spread *at, *end;  /* sorted by host, path and rank; `at` moves on */
    struct rule_entry *paths; /* of one host */
    struct rule_entry *hosts;
};

/* Of several rules for the same host and path only the first can ever match. */
static size_t paths_of_host(struct index_build *b, struct slice host)
{
    size_t n = 0;
    for (; b->at < b->end && slice_eq(b->at->host, host); b->at++)
        if (n == 0 || !slice_eq(b->at->path, b->paths[n - 1].pattern))
            b->paths[n++] = (struct rule_entry){b->at->path, {.rank = b->at->rank}};
    return n;
}

static struct rule_choice choice_of_host(struct index_build *b, size_t paths_n)
{
    struct rule_choice c = {.rank = UINT32_MAX};
    for (size_t i = 0; i < paths_n; i++)
        if (b->paths[i].choice.rank < c.rank)
            c.rank = b->paths[i].choice.rank;
    bool any_path = paths_n == 1 && slice_eq(b->paths[0].pattern, SLICE("*"));
    if (!any_path)
        c.next = rule_index_build(b->arena, b->paths, paths_n, false);
    return c;
}

static const struct rule_index *build_hosts(struct index_build *b)
{
    size_t n = 0;
    while (b->at < b->end) {
        struct slice host = b->at->host;
        size_t paths_n = paths_of_host(b, host);
        b->hosts[n++] = (struct rule_entry){host, choice_of_host(b, paths_n)};
    }
    return rule_index_build(b->arena, b->hosts, n, true);
}

static const struct rule_index *build_index(struct arena *a, const struct config_listener *l)
{
    size_t n = 0, size = spread_size(l);
    if (size == 0)
        return rule_index_build(a, NULL, 0, true);
    struct arena scratch;
    arena_init(&scratch);
    struct spread *all = ARENA_ARRAY(&scratch, struct spread, size);
    for (uint32_t rank = 0; rank < l->rules_n; rank++)
        n += spread_rule(a, &scratch, &l->rules[rank], rank, all + n);
    CHECK(n == size);
    qsort(all, n, sizeof(*all), by_host_path_rank);
    struct index_build b = {.arena = a, .at = all, .end = all + n};
    b.paths = ARENA_ARRAY(&scratch, struct rule_entry, n);
    b.hosts = ARENA_ARRAY(&scratch, struct rule_entry, n);
    const struct rule_index *hosts = build_hosts(&b);
    arena_fini(&scratch);
    return hosts;
}

struct router *router_build(struct arena *a, const struct config_listener *l, struct group *groups)
{
    CHECK(l->rules_n < UINT32_MAX);
    struct router *r = ARENA_NEW(a, struct router);
    r->default_rank = (uint32_t)l->rules_n;
    r->rules = ARENA_ARRAY(a, struct rule, l->rules_n + 1);
    for (size_t i = 0; i < l->rules_n; i++) {
        const struct config_rule *c = &l->rules[i];
        CHECK(i == 0 || c->priority > c[-1].priority);
        r->rules[i] = (struct rule){c->name, c->priority, router_action(a, &c->action, groups)};
    }
    r->rules[l->rules_n] =
        (struct rule){SLICE("default"), 0, router_action(a, &l->default_action, groups)};
    r->hosts = build_index(a, l);
    return r;
}
