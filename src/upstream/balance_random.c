/* weighted_random: no turn, no memory; a target that was picked may be picked again at once. */
#include <stdlib.h>

#include "upstream/crowd.h"

struct lottery {
    struct balancer base;
    struct crowd crowd;
};

static struct balancer *build(const struct balance_set *set, const struct balancer *before,
                              struct rng *rng)
{
    (void)before, (void)rng;
    struct lottery *l = balance_alloc(sizeof(*l));
    l->base.ops = &balance_random;
    crowd_init(&l->crowd, set);
    return &l->base;
}

static const struct member *pick(struct balancer *b, const struct pick *p, struct rng *rng)
{
    const struct lottery *l = (const struct lottery *)b;
    const struct crowd_place *place = crowd_draw_allowed(&l->crowd, p, rng);
    return place ? place->member : NULL;
}

static void destroy(struct balancer *b)
{
    crowd_fini(&((struct lottery *)b)->crowd);
    free(b);
}

const struct balance_ops balance_random = {build, pick, destroy};
