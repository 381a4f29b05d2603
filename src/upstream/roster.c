#include "upstream/roster.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"

/* ---- lists ---- */

struct roster_list *roster_list_new(struct slice group, enum roster_source source,
                                    struct slice origin)
{
    struct arena a;
    arena_init(&a);
    struct roster_list *l = ARENA_NEW(&a, struct roster_list);
    l->arena = a;
    l->refs = 1;
    l->group = arena_slice(&l->arena, group);
    l->source = source;
    l->origin = arena_slice(&l->arena, origin);
    return l;
}

static void copy_target(struct arena *a, struct config_target *to, const struct config_target *from)
{
    *to = *from;
    to->text = arena_slice(a, from->text);
    to->zone = arena_slice(a, from->zone);
    to->host = arena_slice(a, from->host);
    to->addrs = arena_copy(a, from->addrs, from->addrs_n * sizeof(*from->addrs));
    to->pos = (struct config_pos){0};
}

static void fill(struct roster_list *l, const struct config_target *targets, size_t n)
{
    l->targets = ARENA_ARRAY(&l->arena, struct config_target, n + 1);
    for (; l->targets_n < n; l->targets_n++)
        copy_target(&l->arena, &l->targets[l->targets_n], &targets[l->targets_n]);
}

struct roster_list *roster_list_of(struct slice group, enum roster_source source,
                                   struct slice origin, const struct config_target *targets,
                                   size_t targets_n)
{
    struct roster_list *l = roster_list_new(group, source, origin);
    fill(l, targets, targets_n);
    return l;
}

static bool same_addrs(const struct config_target *a, const struct config_target *b)
{
    if (a->addrs_n != b->addrs_n)
        return false;
    for (size_t i = 0; i < a->addrs_n; i++)
        if (!addr_eq(&a->addrs[i], &b->addrs[i]))
            return false;
    return true;
}

static bool same_target(const struct config_target *a, const struct config_target *b)
{
    return a->weight == b->weight && a->priority == b->priority && a->port == b->port &&
           slice_eq(a->zone, b->zone) && slice_eq(a->host, b->host) && slice_eq(a->text, b->text) &&
           same_addrs(a, b);
}

bool roster_list_same(const struct roster_list *a, const struct roster_list *b)
{
    if (a->targets_n != b->targets_n)
        return false;
    for (size_t i = 0; i < a->targets_n; i++)
        if (!same_target(&a->targets[i], &b->targets[i]))
            return false;
    return true;
}

struct roster_list *roster_list_ref(struct roster_list *l)
{
    atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    return l;
}

void roster_list_unref(struct roster_list *l)
{
    if (!l || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) > 1)
        return;
    /* The struct lives in its own arena: take the arena out before it goes. */
    struct arena arena = l->arena;
    arena_fini(&arena);
}

/* ---- rosters ---- */

void roster_init(struct roster *r)
{
    *r = (struct roster){0};
}

void roster_fini(struct roster *r)
{
    for (size_t i = 0; i < r->n; i++)
        roster_list_unref(r->lists[i]);
    free(r->lists);
    roster_init(r);
}

void roster_copy(struct roster *to, const struct roster *from)
{
    *to = (struct roster){.n = from->n, .cap = from->n};
    to->lists = calloc(from->n + 1, sizeof(struct roster_list *));
    CHECK(to->lists);
    for (size_t i = 0; i < from->n; i++)
        to->lists[i] = roster_list_ref(from->lists[i]);
}

static int compare_slices(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static int compare(const struct roster_list *l, struct slice group, enum roster_source source,
                   struct slice origin)
{
    int c = compare_slices(l->group, group);
    if (c == 0)
        c = (l->source > source) - (l->source < source);
    return c ? c : compare_slices(l->origin, origin);
}

/* Where the list is, or would be. */
static size_t place_of(const struct roster *r, struct slice group, enum roster_source source,
                       struct slice origin)
{
    size_t low = 0, high = r->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (compare(r->lists[mid], group, source, origin) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

size_t roster_first(const struct roster *r, struct slice group)
{
    return place_of(r, group, ROSTER_FILE, (struct slice){0});
}

static bool is_at(const struct roster *r, size_t at, struct slice group, enum roster_source source,
                  struct slice origin)
{
    return at < r->n && compare(r->lists[at], group, source, origin) == 0;
}

struct roster_list *roster_find(const struct roster *r, struct slice group,
                                enum roster_source source, struct slice origin)
{
    size_t at = place_of(r, group, source, origin);
    return is_at(r, at, group, source, origin) ? r->lists[at] : NULL;
}

static void make_room(struct roster *r, size_t at)
{
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 8;
        r->lists = realloc(r->lists, r->cap * sizeof(*r->lists));
        CHECK(r->lists);
    }
    memmove(&r->lists[at + 1], &r->lists[at], (r->n - at) * sizeof(*r->lists));
    r->n++;
}

void roster_put(struct roster *r, struct roster_list *l)
{
    size_t at = place_of(r, l->group, l->source, l->origin);
    if (is_at(r, at, l->group, l->source, l->origin))
        roster_list_unref(r->lists[at]);
    else
        make_room(r, at);
    r->lists[at] = l;
}

bool roster_drop(struct roster *r, struct slice group, enum roster_source source,
                 struct slice origin)
{
    size_t at = place_of(r, group, source, origin);
    if (!is_at(r, at, group, source, origin))
        return false;
    roster_list_unref(r->lists[at]);
    memmove(&r->lists[at], &r->lists[at + 1], (--r->n - at) * sizeof(*r->lists));
    return true;
}

static const struct config_group *find_group(const struct config *c, struct slice name)
{
    for (size_t i = 0; i < c->groups_n; i++)
        if (slice_eq(c->groups[i].name, name))
            return &c->groups[i];
    return NULL;
}

static bool is_wanted(const struct config_group *g, enum roster_source source)
{
    static const enum config_discovery_source of[] = {[ROSTER_FILE] = CONFIG_DISCOVERY_FILE,
                                                      [ROSTER_DNS] = CONFIG_DISCOVERY_DNS,
                                                      [ROSTER_SRV] = CONFIG_DISCOVERY_SRV};
    if (source > ROSTER_SRV)
        return true; /* an operator's, or of a name that somebody has */
    return g->discovery.source == of[source];
}

void roster_keep_wanted(struct roster *r, const struct config *c)
{
    const struct config_group *g = NULL;
    struct slice of = {0}; /* the group that was looked for: lists of one stand together */
    size_t kept = 0;
    for (size_t i = 0; i < r->n; i++) {
        struct roster_list *l = r->lists[i];
        if (!slice_eq(of, l->group))
            g = find_group(c, l->group);
        of = l->group;
        if (g && is_wanted(g, l->source)) {
            r->lists[kept++] = l;
            continue;
        }
        if (g)
            of = g->name;
        else
            of = (struct slice){0};
        roster_list_unref(l);
    }
    r->n = kept;
}

/* ---- single targets ---- */

static size_t index_of(const struct roster_list *l, const struct addr *addr)
{
    size_t i = 0;
    while (i < l->targets_n && !addr_eq(l->targets[i].addrs, addr))
        i++;
    return i;
}

void roster_add(struct roster *r, struct slice group, enum roster_source source,
                const struct config_target *target)
{
    CHECK(target->addrs_n == 1);
    const struct roster_list *old = roster_find(r, group, source, (struct slice){0});
    struct roster_list *l = roster_list_new(group, source, (struct slice){0});
    size_t n = old ? old->targets_n : 0, at = old ? index_of(old, target->addrs) : 0;
    l->targets = ARENA_ARRAY(&l->arena, struct config_target, n + 1);
    for (size_t i = 0; i < n; i++)
        if (i != at)
            copy_target(&l->arena, &l->targets[i], &old->targets[i]);
    copy_target(&l->arena, &l->targets[at], target);
    l->targets_n = at == n ? n + 1 : n;
    roster_put(r, l);
}

bool roster_remove(struct roster *r, struct slice group, enum roster_source source,
                   const struct addr *addr)
{
    const struct roster_list *old = roster_find(r, group, source, (struct slice){0});
    size_t at = old ? index_of(old, addr) : 0;
    if (!old || at == old->targets_n)
        return false;
    struct roster_list *l = roster_list_new(group, source, (struct slice){0});
    l->targets = ARENA_ARRAY(&l->arena, struct config_target, old->targets_n);
    for (size_t i = 0; i < old->targets_n; i++)
        if (i != at)
            copy_target(&l->arena, &l->targets[l->targets_n++], &old->targets[i]);
    roster_put(r, l);
    return true;
}

const struct config_target *roster_get(const struct roster *r, struct slice group,
                                       enum roster_source source, const struct addr *addr)
{
    const struct roster_list *l = roster_find(r, group, source, (struct slice){0});
    size_t at = l ? index_of(l, addr) : 0;
    return l && at < l->targets_n ? &l->targets[at] : NULL;
}

/* ---- what a group is made of ---- */

/* Addresses seen so far: a table with open addressing. */
struct seen {
    const struct addr **slots;
    size_t slots_n; /* a power of two, more than twice what is put in */
};

static bool seen_before(struct seen *s, const struct addr *a)
{
    size_t at = addr_hash(a, 0) & (s->slots_n - 1);
    while (s->slots[at] && !addr_eq(s->slots[at], a))
        at = (at + 1) & (s->slots_n - 1);
    bool before = s->slots[at] != NULL;
    s->slots[at] = a;
    return before;
}

struct walk {
    const struct roster *roster;
    struct slice group;
    struct seen seen;
    void (*each)(void *ctx, const struct config_target *target, const struct addr *addr);
    void *ctx;
};

/* The newest addresses of a target: its name's list, else what was found at load. */
static void find_addrs(const struct walk *w, const struct config_target *t,
                       const struct addr **addrs, size_t *n)
{
    const struct roster_list *l = NULL;
    if (t->host.n && t->text.n)
        l = roster_find(w->roster, w->group, ROSTER_NAME, t->text);
    *addrs = l && l->targets_n ? l->targets->addrs : t->addrs;
    *n = l && l->targets_n ? l->targets->addrs_n : t->addrs_n;
}

static size_t count(const struct walk *w, const struct config_target *targets, size_t targets_n)
{
    size_t sum = 0;
    for (size_t i = 0; i < targets_n; i++) {
        const struct addr *addrs;
        size_t n;
        find_addrs(w, &targets[i], &addrs, &n);
        sum += n;
    }
    return sum;
}

static void walk_targets(struct walk *w, const struct config_target *targets, size_t targets_n)
{
    for (size_t i = 0; i < targets_n; i++) {
        const struct addr *addrs;
        size_t n;
        find_addrs(w, &targets[i], &addrs, &n);
        for (size_t j = 0; j < n; j++)
            if (!seen_before(&w->seen, &addrs[j]))
                w->each(w->ctx, &targets[i], &addrs[j]);
    }
}

static void walk_file_only(const struct walk *w, const struct config_group *c)
{
    for (size_t i = 0; i < c->targets_n; i++)
        for (size_t j = 0; j < c->targets[i].addrs_n; j++)
            w->each(w->ctx, &c->targets[i], &c->targets[i].addrs[j]);
}

static size_t removed_n(const struct roster *r, struct slice group)
{
    const struct roster_list *l = roster_find(r, group, ROSTER_REMOVED, (struct slice){0});
    return l ? l->targets_n : 0;
}

/* As if they had been there already. */
static void skip_removed(struct walk *w, const struct roster *r, struct slice group)
{
    const struct roster_list *l = roster_find(r, group, ROSTER_REMOVED, (struct slice){0});
    for (size_t i = 0; l && i < l->targets_n; i++)
        (void)seen_before(&w->seen, l->targets[i].addrs);
}

void roster_each(const struct roster *r, const struct config_group *c,
                 void (*each)(void *ctx, const struct config_target *target,
                              const struct addr *addr),
                 void *ctx)
{
    struct walk w = {.roster = r, .group = c->name, .each = each, .ctx = ctx};
    size_t first = r ? roster_first(r, c->name) : 0, end = first, n;
    while (r && end < r->n && slice_eq(r->lists[end]->group, c->name))
        end++;
    if (end == first) {
        walk_file_only(&w, c);
        return;
    }
    n = count(&w, c->targets, c->targets_n);
    for (size_t i = first; i < end && r->lists[i]->source < ROSTER_REMOVED; i++)
        n += count(&w, r->lists[i]->targets, r->lists[i]->targets_n);
    n += removed_n(r, c->name);
    for (w.seen.slots_n = 16; w.seen.slots_n < 2 * n + 2;)
        w.seen.slots_n *= 2;
    w.seen.slots = calloc(w.seen.slots_n, sizeof(*w.seen.slots));
    CHECK(w.seen.slots);
    skip_removed(&w, r, c->name);
    walk_targets(&w, c->targets, c->targets_n);
    for (size_t i = first; i < end && r->lists[i]->source < ROSTER_REMOVED; i++)
        walk_targets(&w, r->lists[i]->targets, r->lists[i]->targets_n);
    free(w.seen.slots);
}

/* ---- what operators removed ---- */

struct naming {
    const struct addr *addr;
    bool named;
};

static void note_named(void *ctx, const struct config_target *target, const struct addr *addr)
{
    struct naming *n = ctx;
    (void)target;
    n->named |= addr_eq(n->addr, addr);
}

bool roster_names(const struct roster *r, const struct config_group *c, const struct addr *addr)
{
    struct naming n = {.addr = addr};
    struct roster others;
    roster_copy(&others, r);
    (void)roster_drop(&others, c->name, ROSTER_OPERATOR, (struct slice){0});
    (void)roster_drop(&others, c->name, ROSTER_REMOVED, (struct slice){0});
    roster_each(&others, c, note_named, &n);
    roster_fini(&others);
    return n.named;
}

static bool forget_removed_of(struct roster *r, const struct config_group *c)
{
    bool forgot = false;
    struct roster_list *l = roster_find(r, c->name, ROSTER_REMOVED, (struct slice){0});
    if (!l)
        return false;
    l = roster_list_ref(l);
    for (size_t i = 0; i < l->targets_n; i++)
        if (!roster_names(r, c, l->targets[i].addrs))
            forgot |= roster_remove(r, c->name, ROSTER_REMOVED, l->targets[i].addrs);
    roster_list_unref(l);
    return forgot;
}

bool roster_forget_removed(struct roster *r, const struct config *c)
{
    bool forgot = false;
    for (size_t i = 0; i < c->groups_n; i++)
        forgot |= forget_removed_of(r, &c->groups[i]);
    return forgot;
}
