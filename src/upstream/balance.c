#include "upstream/balance.h"

#include <stdlib.h>

#include "base/check.h"

#define LINE 64

static const struct balance_ops *const ops[] = {
    [CONFIG_ALGORITHM_ROUND_ROBIN] = &balance_round_robin,
    [CONFIG_ALGORITHM_LEAST_OUTSTANDING] = &balance_least_outstanding,
    [CONFIG_ALGORITHM_WEIGHTED_RANDOM] = &balance_random,
    [CONFIG_ALGORITHM_PEAK_EWMA] = &balance_ewma,
    [CONFIG_ALGORITHM_SOURCE_HASH] = &balance_hash_source,
    [CONFIG_ALGORITHM_CONSISTENT_HASH] = &balance_hash_consistent,
};

void balance_choose(struct group *g, const struct config_group_attributes *a)
{
    g->balance = ops[a->algorithm];
    g->hash_on = a->hash_on.type == CONFIG_HASH_ON_NOTHING ? NULL : &a->hash_on;
    g->sticks_by_source = a->stickiness.type == CONFIG_STICKINESS_SOURCE_IP;
    g->slow_start_ms = a->slow_start_ms;
    g->measures_latency = a->algorithm == CONFIG_ALGORITHM_PEAK_EWMA;
    g->counts_all = a->algorithm == CONFIG_ALGORITHM_CONSISTENT_HASH;
    g->counts_outstanding = g->counts_all || a->algorithm == CONFIG_ALGORITHM_LEAST_OUTSTANDING;
}

void *balance_alloc(size_t bytes)
{
    size_t lines = (bytes + LINE - 1) / LINE;
    void *p = aligned_alloc(LINE, lines * LINE);
    CHECK(p);
    return memset(p, 0, lines * LINE);
}

void balance_free(struct balancer *b)
{
    if (b)
        b->ops->free(b);
}
