/* least_outstanding_requests: the target with the fewest requests in flight for its weight, over
 * all workers (target->outstanding).
 *
 * Up to EXACT targets all are looked at, and of those that have equally few it is the turn of one,
 * as in round robin: an idle group is served in turn. Beyond that DRAWS are drawn by weight and the
 * better one is taken: each draw more is a miss on a target's busiest cache line, and hardly better
 * (the load of the fullest falls off double-exponentially from two draws on). */
#include <stdlib.h>

#include "upstream/crowd.h"

#define EXACT 32
#define DRAWS 2

struct least_outstanding {
    struct balancer base;
    struct crowd crowd;
    uint32_t *sequence; /* of places, up to EXACT of them: whose turn it is */
    uint32_t n, cursor;
};

static struct balancer *build(const struct balance_set *set, const struct balancer *before,
                              struct rng *rng)
{
    (void)before;
    struct least_outstanding *l = balance_alloc(sizeof(*l));
    uint32_t weights[EXACT];
    l->base.ops = &balance_least_outstanding;
    crowd_init(&l->crowd, set);
    if (l->crowd.n > EXACT)
        return &l->base;
    for (uint32_t i = 0; i < l->crowd.n; i++)
        weights[i] = l->crowd.places[i].weight;
    l->sequence = group_sequence(weights, l->crowd.n, &l->n);
    l->cursor = rng_below(rng, l->n);
    return &l->base;
}

/* Of two that have equally few, the one that was there first stays. */
static const struct crowd_place *calmer(const struct crowd_place *a, const struct crowd_place *b)
{
    uint64_t out_a = target_outstanding(a->target);
    uint64_t out_b = target_outstanding(b->target);
    return out_b * a->weight < out_a * b->weight ? b : a;
}

static const struct crowd_place *calmest(struct least_outstanding *l)
{
    const struct crowd_place *best = &l->crowd.places[l->sequence[l->cursor]];
    l->cursor = l->cursor + 1 < l->n ? l->cursor + 1 : 0;
    for (uint32_t i = 0; i < l->crowd.n; i++)
        best = calmer(best, &l->crowd.places[i]);
    return best;
}

static const struct crowd_place *calmest_drawn(const struct least_outstanding *l, struct rng *rng)
{
    const struct crowd_place *best = crowd_draw(&l->crowd, rng);
    for (unsigned i = 1; i < DRAWS; i++)
        best = calmer(best, crowd_draw(&l->crowd, rng));
    return best;
}

/* After a failed try, or with a limit: that of the last one drawn may be reached meanwhile. */
static const struct crowd_place *calmest_allowed(const struct least_outstanding *l,
                                                 const struct pick *p, struct rng *rng)
{
    const struct crowd_place *best = crowd_draw_allowed(&l->crowd, p, rng);
    for (unsigned i = 1; i < DRAWS && best; i++) {
        const struct crowd_place *next = crowd_draw_allowed(&l->crowd, p, rng);
        best = next ? calmer(best, next) : best;
    }
    return best;
}

static const struct member *pick(struct balancer *b, const struct pick *p, struct rng *rng)
{
    struct least_outstanding *l = (struct least_outstanding *)b;
    const struct crowd_place *best;
    if (!pick_allows_all(p))
        best = calmest_allowed(l, p, rng);
    else
        best = l->sequence ? calmest(l) : calmest_drawn(l, rng);
    return best ? best->member : NULL;
}

static void destroy(struct balancer *b)
{
    struct least_outstanding *l = (struct least_outstanding *)b;
    crowd_fini(&l->crowd);
    free(l->sequence);
    free(b);
}

const struct balance_ops balance_least_outstanding = {build, pick, destroy};
