#include "upstream/group.h"

#include <stdlib.h>

#include "base/check.h"
#include "upstream/registry.h"

void group_init(struct group *g, unsigned workers)
{
    size_t bytes = workers * sizeof(struct view);
    *g = (struct group){.workers = workers};
    g->views = aligned_alloc(_Alignof(struct view), bytes);
    CHECK(workers && g->views);
    memset(g->views, 0, bytes);
}

void group_fini(struct group *g)
{
    for (unsigned w = 0; w < g->workers; w++)
        free(g->views[w].sequence);
    free(g->views);
    g->views = NULL;
}

/* ---- the view ---- */

#define BIT(state)  (1u << (state))
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

static unsigned let_in(const struct group *g, unsigned seen)
{
    if (seen & BIT(HEALTH_HEALTHY))
        return BIT(HEALTH_HEALTHY);
    return g->fail_open ? ALL_STATES : BIT(HEALTH_INITIAL);
}

/* In 1/1000: nobody who is in falls out by rounding, and most weights come out as they are. */
static uint32_t weight_of(const struct member *m)
{
    uint64_t share = (uint64_t)m->weight * target_share(m->target) / TARGET_SHARE_ALL;
    return share ? (uint32_t)share : 1;
}

/* Each state is read once: what changes meanwhile comes with the next epoch. */
static void build_view(const struct group *g, struct view *v)
{
    uint32_t *weights = calloc(g->members_n + 1, sizeof(*weights));
    uint8_t *states = calloc(g->members_n + 1, sizeof(*states));
    CHECK(weights && states);
    unsigned seen = states_of(g, states), serving = let_in(g, seen);
    v->members_n = 0;
    for (size_t i = 0; i < g->members_n; i++) {
        if (!(serving & states[i]))
            continue;
        weights[i] = weight_of(&g->members[i]);
        v->members_n++;
    }
    free(v->sequence);
    v->sequence = group_sequence(weights, g->members_n, &v->n);
    v->serving = (uint8_t)serving;
    v->closed = seen && v->n == 0;
    free(states);
    free(weights);
}

/* The turn goes on where it was, as far as there is such a place. */
static void place_cursor(struct view *v, struct rng *rng)
{
    if (v->n == 0)
        v->cursor = 0;
    else if (!v->built)
        v->cursor = rng_below(rng, v->n);
    else
        v->cursor %= v->n;
}

static uint32_t epoch_of(const struct group *g)
{
    return g->news ? atomic_load_explicit(&g->news->epoch, memory_order_acquire) : 0;
}

bool group_refresh(struct group *g, unsigned worker, struct rng *rng)
{
    CHECK(worker < g->workers);
    struct view *v = &g->views[worker];
    uint32_t epoch = epoch_of(g);
    if (v->built && v->epoch == epoch)
        return false;
    build_view(g, v);
    place_cursor(v, rng);
    v->epoch = epoch;
    v->built = true;
    return true;
}

static bool lets_in(const struct group *g, const struct view *v, const struct target *t)
{
    return (v->serving & BIT(state_of(g, t))) && !(target_flags(t) & TARGET_DRAINING);
}

bool group_lets_in(const struct group *g, unsigned worker, const struct target *t)
{
    return lets_in(g, &g->views[worker], t);
}

bool group_closed(const struct group *g, unsigned worker)
{
    return g->views[worker].closed;
}

/* ---- picks ---- */

static const struct member *next_in_turn(const struct group *g, struct view *v)
{
    const struct member *m = &g->members[v->sequence[v->cursor]];
    v->cursor = v->cursor + 1 < v->n ? v->cursor + 1 : 0;
    return m;
}

/* At most one lap. */
static const struct member *allowed_in_turn(const struct group *g, struct view *v,
                                            const struct pick *p)
{
    for (uint32_t i = 0; i < v->n; i++) {
        const struct member *m = next_in_turn(g, v);
        if (pick_allows(p, m))
            return m;
    }
    return NULL;
}

static bool may_prefer(const struct group *g, const struct view *v, const struct pick *p)
{
    return p->preferred && lets_in(g, v, p->preferred->target) && pick_allows(p, p->preferred);
}

const struct member *group_pick(struct group *g, unsigned worker, struct rng *rng, struct pick *p)
{
    (void)group_refresh(g, worker, rng);
    struct view *v = &g->views[worker];
    p->decision = may_prefer(g, v, p) ? ZONE_STICKY : ZONE_CROSS;
    if (p->decision == ZONE_STICKY)
        return p->preferred;
    const struct member *m = allowed_in_turn(g, v, p);
    if (m || p->avoid_zone.n == 0)
        return m;
    p->avoid_zone.n = 0;
    return allowed_in_turn(g, v, p);
}

bool group_has_other(const struct group *g, unsigned worker, const struct pick *p)
{
    const struct view *v = &g->views[worker];
    struct pick anywhere = {.skip = p->skip, .skip_n = p->skip_n};
    if (v->members_n > p->skip_n)
        return true;
    for (uint32_t i = 0; i < v->n; i++)
        if (pick_allows(&anywhere, &g->members[v->sequence[i]]))
            return true;
    return false;
}
