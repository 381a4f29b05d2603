#include "upstream/view_zones.h"

#include <stdlib.h>

#include "base/check.h"
#include "upstream/registry.h"

/* ---- who is let in ---- */

#define BIT(state) (1u << (state))
#define ALL_STATES (BIT(HEALTH_INITIAL) | BIT(HEALTH_HEALTHY) | BIT(HEALTH_UNHEALTHY))

static void count(struct zone_input *in, const struct member *m, bool healthy)
{
    in->weight += (uint64_t)m->weight * TARGET_SHARE_ALL;
    in->targets++;
    if (!healthy)
        return;
    in->healthy_weight += (uint64_t)m->weight * target_share(m->target) / TARGET_SHARE_ALL;
    in->healthy++;
}

/* Counts those in these states as healthy; how many there are where it matters. */
static uint32_t look(struct view_zones *z, const struct group *g, const uint8_t *states,
                     unsigned healthy)
{
    const struct group_zones *all = &g->zones;
    uint32_t found = 0;
    for (size_t i = 0; i < z->n; i++)
        z->inputs[i] = (struct zone_input){.nodes = all->all[i].nodes,
                                           .rank = all->all[i].rank,
                                           .shifted = group_zones_shifted(g, i)};
    for (size_t i = 0; i < g->members_n; i++)
        if (states[i])
            count(&z->inputs[g->members[i].zone_at], &g->members[i], states[i] & healthy);
    for (size_t i = 0; i < z->n; i++)
        if (zone_counts(&all->rules, z->inputs, i))
            found += z->inputs[i].healthy;
    return found;
}

/* How full the healthy targets are, for groups that limit it. It changes without any news. */
static void look_at_room(struct view_zones *z, const struct group *g)
{
    for (size_t i = 0; i < z->n; i++) {
        z->inputs[i].room = (uint64_t)z->inputs[i].healthy * g->max_outstanding;
        z->inputs[i].outstanding = 0;
    }
    for (size_t i = 0; i < g->members_n; i++)
        if (group_zones_healthy(g, &g->members[i]))
            z->inputs[g->members[i].zone_at].outstanding +=
                target_outstanding(g->members[i].target);
}

/* For a view with one balancer, whose picks are all of one kind. */
static enum zone_decision common_decision(const struct view_zones *z, const struct group *g,
                                          bool all)
{
    if (all)
        return ZONE_FAILOPEN;
    if (g->zones.rules.policy == CONFIG_ZONES_LOCAL_ONLY)
        return ZONE_LOCAL;
    for (size_t i = 0; i < z->n; i++)
        if (z->inputs[i].shifted && z->inputs[i].weight)
            return ZONE_SHIFT;
    return ZONE_CROSS;
}

unsigned view_zones_let_in(struct view_zones *z, const struct group *g, const uint8_t *states)
{
    const struct zone_rules *r = &g->zones.rules;
    uint32_t healthy = look(z, g, states, BIT(HEALTH_HEALTHY));
    bool all = zone_opens(r, z->inputs, z->n);
    z->planned = false;
    for (size_t i = 0; i < z->n; i++) {
        z->zones[i].out = !zone_counts(r, z->inputs, i);
        z->zones[i].decision = common_decision(z, g, all);
    }
    if (all)
        return ALL_STATES;
    if (healthy)
        return BIT(HEALTH_HEALTHY);
    (void)look(z, g, states, BIT(HEALTH_INITIAL));
    return BIT(HEALTH_INITIAL);
}

/* ---- balancers ---- */

static void build_zone(struct view_zones *z, size_t at, const struct group *g,
                       const struct balance_set *set, uint32_t *own, struct rng *rng)
{
    struct balancer *before = z->zones[at].balancer;
    struct balance_set part = *set;
    bool any = false;
    for (size_t i = 0; i < g->members_n; i++) {
        own[i] = g->members[i].zone_at == at ? set->weights[i] : 0;
        any |= own[i] != 0;
    }
    part.weights = own;
    z->zones[at].balancer = any ? g->balance->build(&part, before, rng) : NULL;
    balance_free(before);
}

void view_zones_build(struct view_zones *z, const struct group *g, const struct balance_set *set,
                      struct rng *rng)
{
    uint32_t *own = calloc(g->members_n + 1, sizeof(*own));
    CHECK(own);
    for (size_t i = 0; i < z->n; i++)
        build_zone(z, i, g, set, own, rng);
    free(own);
}

/* ---- shares ---- */

static void plan(struct view_zones *z, const struct group *g, uint64_t now_ms)
{
    struct zone_output *out = calloc(z->n, sizeof(*out));
    CHECK(out);
    if (g->max_outstanding)
        look_at_room(z, g);
    uint32_t again_ms = zone_plan(&g->zones.rules, z->inputs, z->n, z->memory, now_ms, out);
    z->only = ZONE_NONE;
    for (size_t i = 0; i < z->n; i++) {
        z->zones[i].share = out[i].share;
        z->zones[i].decision = out[i].decision;
        if (out[i].share == ZONE_WHOLE)
            z->only = i;
    }
    z->planned = true;
    z->replan_ms = again_ms ? now_ms + again_ms : 0;
    free(out);
}

static bool is_stale(const struct view_zones *z, uint64_t now_ms)
{
    return !z->planned || (z->replan_ms && now_ms >= z->replan_ms);
}

/* ---- picks ---- */

static size_t next_zone(struct view_zones *z)
{
    size_t best = z->only;
    if (best != ZONE_NONE)
        return best;
    for (size_t i = 0; i < z->n; i++) {
        if (z->zones[i].share == 0)
            continue;
        z->zones[i].credit += z->zones[i].share;
        if (best == ZONE_NONE || z->zones[i].credit > z->zones[best].credit)
            best = i;
    }
    if (best != ZONE_NONE)
        z->zones[best].credit -= ZONE_WHOLE;
    return best;
}

static const struct member *pick_in(struct view_zones *z, size_t at, const struct group *g,
                                    struct pick *p, struct rng *rng)
{
    struct balancer *b = z->zones[at].balancer;
    if (!b || (p->avoid_zone.n && slice_eq(p->avoid_zone, g->zones.all[at].name)))
        return NULL;
    p->decision = z->zones[at].decision;
    return b->ops->pick(b, p, rng);
}

/* Nobody there that this try may have: any other zone will do, those with a share first. */
static const struct member *pick_elsewhere(struct view_zones *z, size_t not, const struct group *g,
                                           struct pick *p, struct rng *rng)
{
    size_t from = z->turn++;
    for (int shares = 1; shares >= 0; shares--)
        for (size_t i = 0; i < z->n; i++) {
            size_t at = (from + i) % z->n;
            if (at == not || (z->zones[at].share > 0) != shares)
                continue;
            const struct member *m = pick_in(z, at, g, p, rng);
            if (m)
                return m;
        }
    return NULL;
}

const struct member *view_zones_pick(struct view_zones *z, const struct group *g, struct pick *p,
                                     struct rng *rng)
{
    if (is_stale(z, p->now_us / 1000))
        plan(z, g, p->now_us / 1000);
    size_t at = next_zone(z);
    const struct member *m = at == ZONE_NONE ? NULL : pick_in(z, at, g, p, rng);
    return m ? m : pick_elsewhere(z, at, g, p, rng);
}

/* ---- life ---- */

/* The local factor goes on where the last snapshot's view left it, if it is about the same. */
static struct zone_memory *memory_of(struct view_zones *z, const struct group *g, unsigned worker)
{
    if (!g->news || !g->news->memories)
        return &z->own;
    struct news_memory *m = &g->news->memories[worker];
    if (m->key != g->zones.key)
        *m = (struct news_memory){.key = g->zones.key};
    return &m->factor;
}

struct view_zones *view_zones_new(const struct group *g, unsigned worker, struct rng *rng)
{
    size_t n = g->zones.n;
    if (n == 0)
        return NULL;
    struct view_zones *z = balance_alloc(sizeof(*z) + n * sizeof(z->zones[0]));
    z->inputs = calloc(n, sizeof(*z->inputs));
    CHECK(z->inputs);
    z->n = n;
    z->apart = group_zones_apart(g);
    z->only = ZONE_NONE;
    z->memory = memory_of(z, g, worker);
    for (size_t i = 0; i < n; i++)
        z->zones[i].credit = (int32_t)rng_below(rng, ZONE_WHOLE); /* workers are not in step */
    return z;
}

void view_zones_free(struct view_zones *z)
{
    if (!z)
        return;
    for (size_t i = 0; i < z->n; i++)
        balance_free(z->zones[i].balancer);
    free(z->inputs);
    free(z);
}
