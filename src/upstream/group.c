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

static unsigned states_of(const struct group *g, uint8_t *states)
{
    unsigned seen = 0;
    for (size_t i = 0; i < g->members_n; i++) {
        states[i] = (uint8_t)target_state(g->members[i].target);
        if (g->members[i].weight)
            seen |= BIT(states[i]);
    }
    return seen;
}

static unsigned let_in(const struct group *g, unsigned seen)
{
    if (!g->check)
        return ALL_STATES;
    if (seen & BIT(HEALTH_HEALTHY))
        return BIT(HEALTH_HEALTHY);
    return g->fail_open ? ALL_STATES : BIT(HEALTH_INITIAL);
}

/* Each state is read once: what changes meanwhile comes with the next epoch. */
static void build_view(const struct group *g, struct view *v)
{
    uint16_t *weights = calloc(g->members_n + 1, sizeof(*weights));
    uint8_t *states = calloc(g->members_n + 1, sizeof(*states));
    CHECK(weights && states);
    unsigned seen = states_of(g, states), serving = let_in(g, seen);
    for (size_t i = 0; i < g->members_n; i++)
        weights[i] = serving & BIT(states[i]) ? g->members[i].weight : 0;
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

bool group_lets_in(const struct group *g, unsigned worker, const struct target *t)
{
    return !g->check || (g->views[worker].serving & BIT(target_state(t)));
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

static bool skipped(const struct member *m, struct target *const *skip, unsigned skip_n)
{
    for (unsigned i = 0; i < skip_n; i++)
        if (skip[i] == m->target)
            return true;
    return false;
}

const struct member *group_pick(struct group *g, unsigned worker, struct rng *rng,
                                struct target *const *skip, unsigned skip_n)
{
    (void)group_refresh(g, worker, rng);
    struct view *v = &g->views[worker];
    for (uint32_t i = 0; i < v->n; i++) {
        const struct member *m = next_in_turn(g, v);
        if (!skipped(m, skip, skip_n))
            return m;
    }
    return NULL;
}

bool group_has_other(const struct group *g, unsigned worker, struct target *const *skip,
                     unsigned skip_n)
{
    const struct view *v = &g->views[worker];
    for (uint32_t i = 0; i < v->n; i++)
        if (!skipped(&g->members[v->sequence[i]], skip, skip_n))
            return true;
    return false;
}
