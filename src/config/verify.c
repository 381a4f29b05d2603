#include "config/verify.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "config/nearest.h"
#include "config/zones.h"

/* --- things that must be unique --- */

/* Equal things have equal hashes; `same` decides among those. */
struct item {
    uint64_t hash;
    const void *thing;
    size_t number;
};

struct items {
    struct item *all;
    size_t n, cap;
};

typedef void found_pair(struct report *r, const void *first, const void *again);
typedef bool same_thing(const void *a, const void *b);

static void items_add(struct items *s, uint64_t hash, const void *thing)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 64;
        s->all = realloc(s->all, s->cap * sizeof(*s->all));
        CHECK(s->all);
    }
    s->all[s->n] = (struct item){hash, thing, s->n};
    s->n++;
}

static int compare_items(const void *x, const void *y)
{
    const struct item *a = x, *b = y;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return a->number < b->number ? -1 : 1;
}

/* Calls `found` with each thing that has its like before it, and that one; empties the set. */
static void items_find_same(struct items *s, struct report *r, same_thing *same, found_pair *found)
{
    if (s->n)
        qsort(s->all, s->n, sizeof(*s->all), compare_items);
    for (size_t i = 1; i < s->n; i++)
        for (size_t j = i; j > 0 && s->all[j - 1].hash == s->all[i].hash; j--)
            if (same(s->all[j - 1].thing, s->all[i].thing)) {
                found(r, s->all[j - 1].thing, s->all[i].thing);
                break;
            }
    free(s->all);
    *s = (struct items){0};
}

/* --- names --- */

#define PLACE_MAX 320

/* "line 7", or "other.yaml:7" when it is not in the file of the one who asks. */
static const char *place(char to[PLACE_MAX], struct config_pos of, struct config_pos from)
{
    if (of.file == from.file)
        snprintf(to, PLACE_MAX, "line %u", of.line);
    else
        snprintf(to, PLACE_MAX, "%s:%u", of.file ? of.file : "", of.line);
    return to;
}

struct named {
    const char *kind;
    struct slice name;
    struct config_pos pos;
};

static bool same_name(const void *a, const void *b)
{
    return slice_eq(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static void found_name(struct report *r, const void *first, const void *again)
{
    const struct named *a = first, *b = again;
    char at[PLACE_MAX];
    report_error(r, b->pos, "a %s named \"%s\" is already in %s", b->kind, b->name.p,
                 place(at, a->pos, b->pos));
}

/* A name that is missing was complained of already. */
static void check_unique(const struct named *all, size_t n, struct report *r)
{
    struct items s = {0};
    for (size_t i = 0; i < n; i++)
        if (all[i].name.n)
            items_add(&s, hash_bytes(all[i].name, 0), &all[i]);
    items_find_same(&s, r, same_name, found_name);
}

static struct named *new_names(size_t n)
{
    struct named *all = calloc(n + 1, sizeof(*all));
    CHECK(all);
    return all;
}

static void check_names(const struct config *c, struct report *r)
{
    struct named *all = new_names(c->listeners_n + c->groups_n);
    for (size_t i = 0; i < c->listeners_n; i++)
        all[i] = (struct named){"listener", c->listeners[i].name, c->listeners[i].pos};
    check_unique(all, c->listeners_n, r);
    for (size_t i = 0; i < c->groups_n; i++)
        all[i] = (struct named){"target group", c->groups[i].name, c->groups[i].pos};
    check_unique(all, c->groups_n, r);
    free(all);
}

static void check_rule_names(const struct config_listener *l, struct report *r)
{
    struct named *all = new_names(l->rules_n);
    for (size_t i = 0; i < l->rules_n; i++)
        all[i] = (struct named){"rule", l->rules[i].name, l->rules[i].pos};
    check_unique(all, l->rules_n, r);
    free(all);
}

static bool same_priority(const void *a, const void *b)
{
    return ((const struct config_rule *)a)->priority == ((const struct config_rule *)b)->priority;
}

static void found_priority(struct report *r, const void *first, const void *again)
{
    const struct config_rule *a = first, *b = again;
    report_error(r, b->pos, "priority %u is already taken by \"%s\" in line %u", b->priority,
                 a->name.p, a->pos.line);
}

static bool check_priorities(const struct config_listener *l, struct report *r)
{
    struct items s = {0};
    size_t before = r->errors;
    for (size_t i = 0; i < l->rules_n; i++)
        if (l->rules[i].priority)
            items_add(&s, hash_mix(l->rules[i].priority), &l->rules[i]);
    items_find_same(&s, r, same_priority, found_priority);
    return r->errors == before;
}

/* Logs call the default action so. */
static void refuse_default_name(const struct config_listener *l, struct report *r)
{
    for (size_t i = 0; i < l->rules_n; i++)
        if (slice_eq(l->rules[i].name, SLICE("default")))
            report_error(r, l->rules[i].pos,
                         "a rule cannot be named \"default\": that is the "
                         "name of the default action in logs");
}

/* --- references --- */

/* Groups by name, for as long as references are resolved. */
struct index {
    const struct config_group **sorted;
    struct config *config;
};

static int compare_slices(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static int compare_groups(const void *x, const void *y)
{
    const struct config_group *a = *(const struct config_group *const *)x;
    const struct config_group *b = *(const struct config_group *const *)y;
    int c = compare_slices(a->name, b->name);
    return c ? c : (a > b) - (a < b);
}

static struct index index_groups(struct config *c)
{
    struct index ix = {calloc(c->groups_n + 1, sizeof(void *)), c};
    CHECK(ix.sorted);
    for (size_t i = 0; i < c->groups_n; i++)
        ix.sorted[i] = &c->groups[i];
    qsort(ix.sorted, c->groups_n, sizeof(*ix.sorted), compare_groups);
    return ix;
}

static struct config_group *find_group(const struct index *ix, struct slice name)
{
    size_t low = 0, high = ix->config->groups_n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (compare_slices(ix->sorted[mid]->name, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == ix->config->groups_n || !slice_eq(ix->sorted[low]->name, name))
        return NULL;
    return &ix->config->groups[ix->sorted[low] - ix->config->groups];
}

static void blame_unknown_group(const struct index *ix, struct report *r,
                                const struct config_forward_group *ref)
{
    const struct config *c = ix->config;
    struct nearest near = nearest_to(ref->name);
    for (size_t i = 0; i < c->groups_n; i++)
        if (c->groups[i].name.p)
            nearest_try(&near, c->groups[i].name.p);
    struct report_entry *e =
        report_error(r, ref->pos, "there is no target group named \"%s\"", ref->name.p);
    report_suggest(r, e, nearest_best(&near));
}

static const char *protocol_text(enum config_protocol p, bool tls)
{
    if (p == CONFIG_PROTOCOL_HTTP)
        return tls ? "https" : "http";
    return tls ? "tls" : "tcp";
}

static void resolve_group(const struct index *ix, struct report *r, const struct config_listener *l,
                          struct config_forward_group *ref)
{
    /* A name that is missing or malformed was complained of already. */
    if (ref->name.n == 0)
        return;
    struct config_group *g = find_group(ix, ref->name);
    if (!g) {
        blame_unknown_group(ix, r, ref);
        return;
    }
    ref->group = (size_t)(g - ix->config->groups);
    g->used = true;
    if (g->protocol != l->protocol && !g->broken && !l->broken)
        report_error(r, ref->pos, "the %s listener \"%s\" cannot forward to the %s group \"%s\"",
                     protocol_text(l->protocol, l->tls), l->name.p, protocol_text(g->protocol, g->tls),
                     g->name.p);
}

/* --- actions --- */

static bool is_repeated(const struct config_forward *f, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (slice_eq(f->groups[i].name, f->groups[j].name))
            return true;
    return false;
}

static enum config_stickiness_type stickiness_of(const struct index *ix,
                                                 const struct config_forward_group *ref)
{
    return ref->name.n ? ix->config->groups[ref->group].attributes.stickiness.type
                       : CONFIG_STICKINESS_OFF;
}

/* Among several groups a client's target can only be found again in the group it was picked from. */
static void check_stickiness(const struct index *ix, struct report *r, const struct config_action *a)
{
    const struct config_forward *f = &a->forward;
    for (size_t i = 0; f->groups_n > 1 && i < f->groups_n; i++) {
        const struct config_forward_group *ref = &f->groups[i];
        enum config_stickiness_type type = stickiness_of(ix, ref);
        if (type == CONFIG_STICKINESS_APP_COOKIE)
            report_error(r, ref->pos, "\"%s\" has app_cookie stickiness, which an action of several "
                                      "groups cannot have",
                         ref->name.p);
        else if (type != CONFIG_STICKINESS_OFF && !f->stickiness_ms)
            report_error(r, ref->pos, "\"%s\" is sticky, so this action of several groups needs "
                                      "stickiness too",
                         ref->name.p);
    }
}

static void check_forward(const struct index *ix, struct report *r, const struct config_listener *l,
                          struct config_action *a)
{
    struct config_forward *f = &a->forward;
    uint64_t sum = 0;
    for (size_t i = 0; i < f->groups_n; i++) {
        resolve_group(ix, r, l, &f->groups[i]);
        sum += f->groups[i].weight;
        /* Quadratic, so not for more groups than anybody types. */
        if (i < 1000 && f->groups[i].name.n && is_repeated(f, i))
            report_error(r, f->groups[i].pos, "\"%s\" is listed twice in this action",
                         f->groups[i].name.p);
    }
    if (f->groups_n && sum == 0)
        report_error(r, a->pos, "all weights of this action are 0: nothing could be forwarded");
    check_stickiness(ix, r, a);
}

/* Does the redirect lead from every address of the listener to another place? */
static bool changes_port(const struct config_listener *l, struct slice port)
{
    uint64_t n;
    if (!slice_u64(port, &n))
        return false;
    for (size_t i = 0; i < l->listen_n; i++)
        if (addr_port(&l->listen[i].addr) == n)
            return false;
    return true;
}

static void check_redirect(struct report *r, const struct config_listener *l,
                           const struct config_action *a)
{
    const struct config_redirect *d = &a->redirect;
    bool protocol = !slice_eq(d->protocol, SLICE("#{protocol}")) &&
                    !slice_eq(d->protocol, slice_str(protocol_text(l->protocol, l->tls)));
    bool host = !slice_eq(d->host, SLICE("#{host}")), path = !slice_eq(d->path, SLICE("/#{path}"));
    if (protocol || host || path || changes_port(l, d->port))
        return;
    struct report_entry *e = report_error(r, a->pos, "this redirect leads to where it came from");
    report_hint(r, e, "change at least one of protocol, host, port and path");
}

static void check_action(const struct index *ix, struct report *r, const struct config_listener *l,
                         struct config_action *a)
{
    if (a->type == CONFIG_ACTION_FORWARD) {
        check_forward(ix, r, l, a);
    } else if (l->broken) {
        return;
    } else if (l->protocol == CONFIG_PROTOCOL_TCP) {
        report_error(r, a->pos, "a %s listener can only forward",
                     protocol_text(l->protocol, l->tls));
    } else if (a->type == CONFIG_ACTION_REDIRECT) {
        check_redirect(r, l, a);
    }
}

/* --- rules --- */

static const char *condition_text(enum config_condition_type t)
{
    return t == CONFIG_CONDITION_HOST_HEADER ? "host_header" : "path_pattern";
}

static void check_conditions(struct report *r, const struct config_listener *l,
                             const struct config_rule *rule)
{
    unsigned seen = 0;
    for (size_t i = 0; i < rule->conditions_n; i++) {
        const struct config_condition *k = &rule->conditions[i];
        /* One without values is broken, and its type may not be what it seems. */
        if (k->values_n == 0)
            continue;
        if (l->protocol == CONFIG_PROTOCOL_TCP && !l->broken)
            report_error(r, k->pos, "%s means nothing on a %s listener", condition_text(k->type),
                         protocol_text(l->protocol, l->tls));
        else if (seen & 1u << k->type)
            report_error(r, k->pos, "a rule has at most one %s, with as many values as you like",
                         condition_text(k->type));
        seen |= 1u << k->type;
    }
}

static int compare_rules(const void *x, const void *y)
{
    const struct config_rule *a = x, *b = y;
    return (a->priority > b->priority) - (a->priority < b->priority);
}

static void check_listener(const struct index *ix, struct report *r, struct config_listener *l)
{
    /* Names made from equal priorities would only say the same once more. */
    if (check_priorities(l, r))
        check_rule_names(l, r);
    refuse_default_name(l, r);
    for (size_t i = 0; i < l->rules_n; i++) {
        check_conditions(r, l, &l->rules[i]);
        check_action(ix, r, l, &l->rules[i].action);
    }
    check_action(ix, r, l, &l->default_action);
    if (l->rules_n)
        qsort(l->rules, l->rules_n, sizeof(*l->rules), compare_rules);
}

/* --- addresses to listen on --- */

struct bound {
    const struct addr *addr;
    struct config_pos pos;
    const char *name; /* of the listener */
};

/* What two addresses that overlap have in common. */
static uint64_t overlap_hash(const struct addr *a)
{
    if (addr_family(a) == AF_UNIX)
        return addr_hash(a, 0);
    return hash_mix((uint64_t)addr_family(a) << 32 | addr_port(a));
}

static bool same_bound(const void *a, const void *b)
{
    return addr_overlaps(((const struct bound *)a)->addr, ((const struct bound *)b)->addr);
}

static void found_bound(struct report *r, const void *first, const void *again)
{
    const struct bound *a = first, *b = again;
    char at[PLACE_MAX];
    report_error(r, b->pos, "this address overlaps with that of %s in %s", a->name,
                 place(at, a->pos, b->pos));
}

static void check_bounds(struct config *c, struct report *r)
{
    size_t n = 1, at = 0;
    for (size_t i = 0; i < c->listeners_n; i++)
        n += c->listeners[i].listen_n;
    struct bound *all = calloc(n, sizeof(*all));
    struct items s = {0};
    CHECK(all);
    for (size_t i = 0; i < c->listeners_n; i++) {
        struct config_listener *l = &c->listeners[i];
        for (size_t j = 0; j < l->listen_n; j++)
            all[at++] = (struct bound){&l->listen[j].addr, l->listen[j].pos,
                                       l->name.n ? l->name.p : "a listener"};
    }
    all[at++] = (struct bound){&c->admin.listen, c->admin.pos, "admin"};
    for (size_t i = 0; i < at; i++)
        if (addr_family(all[i].addr) != AF_UNSPEC)
            items_add(&s, overlap_hash(all[i].addr), &all[i]);
    items_find_same(&s, r, same_bound, found_bound);
    free(all);
}

/* --- targets --- */

static uint64_t target_hash(const struct config_target *t)
{
    return t->addrs_n ? addr_hash(t->addrs, 0) : hash_mix(t->port ^ (t->host.n << 16));
}

static bool same_target(const void *x, const void *y)
{
    const struct config_target *a = x, *b = y;
    if (a->addrs_n && b->addrs_n)
        return addr_eq(a->addrs, b->addrs);
    return a->addrs_n == b->addrs_n && a->port == b->port && slice_ieq(a->host, b->host);
}

static void found_target(struct report *r, const void *first, const void *again)
{
    const struct config_target *a = first, *b = again;
    struct report_entry *e = report_error(
        r, b->pos, "the target %s is already in line %u of this group", b->text.p, a->pos.line);
    report_hint(r, e, "a larger share is written as weight");
}

static void check_targets(const struct config_group *g, struct report *r)
{
    struct items s = {0};
    for (size_t i = 0; i < g->targets_n; i++)
        if (g->targets[i].addrs_n || g->targets[i].host.n)
            items_add(&s, target_hash(&g->targets[i]), &g->targets[i]);
    items_find_same(&s, r, same_target, found_target);
}

void verify_config(struct config *c, struct report *r)
{
    struct index ix = index_groups(c);
    check_names(c, r);
    for (size_t i = 0; i < c->listeners_n; i++)
        check_listener(&ix, r, &c->listeners[i]);
    check_bounds(c, r);
    for (size_t i = 0; i < c->groups_n; i++)
        check_targets(&c->groups[i], r);
    zones_verify(c, r);
    free(ix.sorted);
}
