#include "upstream/group.h"

#include <stdlib.h>

#include "base/check.h"

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

static void build_view(const struct group *g, struct view *v, struct rng *rng)
{
    uint16_t *weights = calloc(g->members_n + 1, sizeof(*weights));
    CHECK(weights);
    for (size_t i = 0; i < g->members_n; i++)
        weights[i] = g->members[i].weight;
    v->sequence = group_sequence(weights, g->members_n, &v->n);
    v->cursor = v->n ? rng_below(rng, v->n) : 0;
    v->built = true;
    free(weights);
}

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
    CHECK(worker < g->workers);
    struct view *v = &g->views[worker];
    if (!v->built)
        build_view(g, v, rng);
    for (uint32_t i = 0; i < v->n; i++) {
        const struct member *m = next_in_turn(g, v);
        if (!skipped(m, skip, skip_n))
            return m;
    }
    return NULL;
}
