/* The lap is made once per view and then only walked. Each worker begins at a random place, so that
 * workers do not move in step. */
#include <stdlib.h>

#include "upstream/balance.h"

struct round_robin {
    struct balancer base;
    const struct member *members;
    uint32_t *sequence; /* indices of members */
    uint32_t n, cursor;
};

/* The turn goes on where it was: at the same place of the same lap, else at the same part of it. */
static uint32_t place_cursor(uint32_t n, const struct round_robin *before, struct rng *rng)
{
    if (!before)
        return rng_below(rng, n);
    return (uint32_t)((uint64_t)before->cursor * n / before->n);
}

static struct balancer *build(const struct balance_set *set, const struct balancer *before,
                              struct rng *rng)
{
    struct round_robin *r = balance_alloc(sizeof(*r));
    r->base.ops = &balance_round_robin;
    r->members = set->members;
    r->sequence = group_sequence(set->weights, set->members_n, &r->n);
    r->cursor = place_cursor(r->n, (const struct round_robin *)before, rng);
    return &r->base;
}

static const struct member *next(struct round_robin *r)
{
    const struct member *m = &r->members[r->sequence[r->cursor]];
    r->cursor = r->cursor + 1 < r->n ? r->cursor + 1 : 0;
    return m;
}

static const struct member *pick(struct balancer *b, const struct pick *p, struct rng *rng)
{
    (void)rng;
    struct round_robin *r = (struct round_robin *)b;
    for (uint32_t i = 0; i < r->n; i++) {
        const struct member *m = next(r);
        if (pick_allows(p, m))
            return m;
    }
    return NULL;
}

static void destroy(struct balancer *b)
{
    free(((struct round_robin *)b)->sequence);
    free(b);
}

const struct balance_ops balance_round_robin = {build, pick, destroy};
