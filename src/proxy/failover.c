#include "proxy/failover.h"

static uint32_t weight_of(const struct action *a, size_t i)
{
    return a->groups[i].upto - (i ? a->groups[i - 1].upto : 0);
}

/* The usable one at which the sum of weights exceeds `at`; *sum: of all of them. */
static struct group *find(const struct action *a, uint32_t at, unsigned worker, struct rng *rng,
                          uint32_t *sum)
{
    struct group *found = NULL;
    *sum = 0;
    for (size_t i = 0; i < a->groups_n; i++) {
        if (!group_usable(a->groups[i].group, worker, rng))
            continue;
        *sum += weight_of(a, i);
        if (!found || (*sum > at && *sum - weight_of(a, i) <= at))
            found = a->groups[i].group;
    }
    return found;
}

struct group *failover(const struct action *a, struct group *picked, unsigned worker,
                       struct rng *rng)
{
    uint32_t sum;
    if (group_usable(picked, worker, rng))
        return picked;
    struct group *other = find(a, 0, worker, rng, &sum);
    if (sum)
        other = find(a, rng_below(rng, sum), worker, rng, &sum);
    return other ? other : picked;
}
