#include "upstream/group.h"

#include <stdlib.h>

#include "base/check.h"
#include "upstream/balance.h"
#include "upstream/registry.h"
#include "upstream/view_zones.h"

void group_init(struct group *g, unsigned workers)
{
    size_t bytes = workers * sizeof(struct view);
    *g = (struct group){.workers = workers, .balance = &balance_round_robin};
    g->views = aligned_alloc(_Alignof(struct view), bytes);
    CHECK(workers && g->views);
    memset(g->views, 0, bytes);
}

void group_fini(struct group *g)
{
    for (unsigned w = 0; w < g->workers; w++) {
        balance_free(g->views[w].balancer);
        view_zones_free(g->views[w].zones);
    }
    free(g->views);
    g->views = NULL;
}

/* ---- the view ---- */

#define BIT(state) (1u << (state))
#define ALL_STATES (BIT(HEALTH_INITIAL) | BIT(HEALTH_HEALTHY) | BIT(HEALTH_UNHEALTHY))

/* As the group sees it: without checks only an ejection speaks against a target. */
static enum health_state state_of(const struct group *g, const struct target *t)
{
    if (target_flags(t) & TARGET_EJECTED)
        return HEALTH_UNHEALTHY;
    return g->check ? target_state(t) : HEALTH_HEALTHY;
}

/* Draining targets and those of weight 0 are of no state: nobody asks for theirs. */
static unsigned states_of(const struct group *g, uint8_t *states)
{
    unsigned seen = 0;
    for (size_t i = 0; i < g->members_n; i++) {
        const struct target *t = g->members[i].target;
        if (g->members[i].weight == 0 || (target_flags(t) & TARGET_DRAINING))
            continue;
        states[i] = (uint8_t)BIT(state_of(g, t));
        seen |= states[i];
    }
    return seen;
}

static unsigned let_in(const struct group *g, const struct view *v, unsigned seen,
                       const uint8_t *states)
{
    if (v->zones)
        return view_zones_let_in(v->zones, g, states);
    if (seen & BIT(HEALTH_HEALTHY))
        return BIT(HEALTH_HEALTHY);
    return g->fail_open ? ALL_STATES : BIT(HEALTH_INITIAL);
}

/* The lowest priority with a target in the best state that there is; all when that is unhealthy. */
static uint16_t best_priority(const struct group *g, const struct view *v, const uint8_t *states)
{
    uint16_t healthy = UINT16_MAX, initial = UINT16_MAX;
    bool any_healthy = false;
    for (size_t i = 0; i < g->members_n; i++) {
        uint16_t priority = g->members[i].priority;
        if (view_zones_out(v->zones, &g->members[i]))
            continue;
        if (states[i] == BIT(HEALTH_HEALTHY)) {
            any_healthy = true;
            healthy = priority < healthy ? priority : healthy;
        } else if (states[i] == BIT(HEALTH_INITIAL)) {
            initial = priority < initial ? priority : initial;
        }
    }
    return any_healthy ? healthy : initial;
}

/* Those of a worse priority are of no state either. True: there are some. */
static bool cut_priorities(const struct group *g, struct view *v, uint8_t *states)
{
    bool cut = false;
    v->priority = best_priority(g, v, states);
    for (size_t i = 0; i < g->members_n; i++)
        if (states[i] && g->members[i].priority > v->priority) {
            states[i] = 0;
            cut = true;
        }
    return cut;
}

/* In 1/1000: nobody who is in falls out by rounding, and most weights come out as they are. */
static uint32_t weight_of(const struct member *m)
{
    uint64_t share = (uint64_t)m->weight * target_share(m->target) / TARGET_SHARE_ALL;
    return share ? (uint32_t)share : 1;
}

/* Who is in, by weight. Each state is read once: what changes meanwhile comes with the next epoch.
 */
static unsigned weigh(const struct group *g, struct view *v, uint32_t *weights)
{
    uint8_t *states = calloc(g->members_n + 1, sizeof(*states));
    CHECK(states);
    unsigned seen = states_of(g, states);
    v->serving = (uint8_t)let_in(g, v, seen, states);
    if (cut_priorities(g, v, states))
        v->serving = (uint8_t)let_in(g, v, seen, states); /* zones count who is left */
    v->members_n = 0;
    v->no_zone = seen != 0;
    for (size_t i = 0; i < g->members_n; i++) {
        if (!states[i] || view_zones_out(v->zones, &g->members[i]))
            continue;
        v->no_zone = false;
        if (!(v->serving & states[i]))
            continue;
        weights[i] = weight_of(&g->members[i]);
        v->members_n++;
    }
    free(states);
    return seen;
}

static void build_view(const struct group *g, unsigned worker, struct rng *rng)
{
    struct view *v = &g->views[worker];
    struct balancer *before = v->balancer;
    uint32_t *weights = calloc(g->members_n + 1, sizeof(*weights));
    CHECK(weights);
    if (!v->built)
        v->zones = view_zones_new(g, worker, rng);
    unsigned seen = weigh(g, v, weights);
    struct balance_set set = {g->members, g->members_n, weights, worker};
    bool apart = v->zones && v->zones->apart;
    if (apart)
        view_zones_build(v->zones, g, &set, rng);
    v->balancer = v->members_n && !apart ? g->balance->build(&set, before, rng) : NULL;
    v->decision = v->zones ? v->zones->zones[0].decision : ZONE_CROSS;
    if (g->sticks_by_source && v->decision == ZONE_CROSS)
        v->decision = ZONE_STICKY; /* zones have no say: the client's address alone decides */
    v->closed = seen && v->members_n == 0;
    v->usable = seen & (BIT(HEALTH_HEALTHY) | BIT(HEALTH_INITIAL));
    v->remade = true;
    balance_free(before);
    free(weights);
}

static uint32_t epoch_of(const struct group *g)
{
    return g->news ? atomic_load_explicit(&g->news->epoch, memory_order_acquire) : 0;
}

static struct view *newest_view(struct group *g, unsigned worker, struct rng *rng)
{
    CHECK(worker < g->workers);
    struct view *v = &g->views[worker];
    uint32_t epoch = epoch_of(g);
    if (v->built && v->epoch == epoch)
        return v;
    build_view(g, worker, rng);
    v->epoch = epoch;
    v->built = true;
    return v;
}

bool group_refresh(struct group *g, unsigned worker, struct rng *rng)
{
    struct view *v = newest_view(g, worker, rng);
    bool remade = v->remade;
    v->remade = false;
    return remade;
}

bool group_usable(struct group *g, unsigned worker, struct rng *rng)
{
    return newest_view(g, worker, rng)->usable;
}

static bool lets_in(const struct group *g, const struct view *v, const struct target *t)
{
    return (v->serving & BIT(state_of(g, t))) && !(target_flags(t) & TARGET_DRAINING);
}

bool group_lets_in(const struct group *g, unsigned worker, const struct target *t)
{
    return lets_in(g, &g->views[worker], t);
}

bool group_zone_out(const struct group *g, unsigned worker, const struct member *m)
{
    return view_zones_out(g->views[worker].zones, m);
}

bool group_no_zone(const struct group *g, unsigned worker)
{
    return g->views[worker].no_zone;
}

bool group_closed(const struct group *g, unsigned worker)
{
    return g->views[worker].closed;
}

/* ---- picks ---- */

static bool serves(const struct group *g, const struct view *v, const struct member *m)
{
    return m->priority <= v->priority && lets_in(g, v, m->target) && !view_zones_out(v->zones, m);
}

static bool may_prefer(const struct group *g, const struct view *v, const struct pick *p)
{
    return p->preferred && serves(g, v, p->preferred) && pick_allows(p, p->preferred);
}

static const struct member *ask(const struct group *g, struct view *v, struct pick *p,
                                struct rng *rng)
{
    if (v->balancer)
        return v->balancer->ops->pick(v->balancer, p, rng);
    return view_zones_pick(v->zones, g, p, rng);
}

const struct member *group_pick(struct group *g, unsigned worker, struct rng *rng, struct pick *p)
{
    struct view *v = newest_view(g, worker, rng);
    bool preferred = may_prefer(g, v, p);
    p->decision = preferred ? ZONE_STICKY : v->decision;
    if (preferred)
        return p->preferred;
    if (v->members_n == 0)
        return NULL;
    const struct member *m = ask(g, v, p, rng);
    if (m || p->avoid_zone.n == 0)
        return m;
    p->avoid_zone.n = 0;
    return ask(g, v, p, rng);
}

bool group_has_other(const struct group *g, unsigned worker, const struct pick *p)
{
    const struct view *v = &g->views[worker];
    struct pick anywhere = {.skip = p->skip, .skip_n = p->skip_n};
    if (v->members_n > p->skip_n)
        return true;
    for (size_t i = 0; i < g->members_n && v->members_n; i++) {
        const struct member *m = &g->members[i];
        if (m->weight && serves(g, v, m) && pick_allows(&anywhere, m))
            return true;
    }
    return false;
}
