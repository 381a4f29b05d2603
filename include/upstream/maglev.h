/* A table in which each member has places by its weight, and nearly the same ones whoever else is
 * there: consistent hashing with one look (D. E. Eisenbud et al., Maglev, NSDI 2016).
 *
 * Each member prefers the places in an order of its own, made from its target's address, and
 * members take turns to take the best place that is left. So all workers, and all balancers of a
 * fleet with the same targets, have the same table. When a member goes, the others keep theirs but
 * for a few percent. */
#ifndef UPSTREAM_MAGLEV_H
#define UPSTREAM_MAGLEV_H

#include "upstream/balance.h"

#define MAGLEV_PLACES      65537  /* a prime */
#define MAGLEV_PLACES_MANY 131071 /* the same, for groups of more than MAGLEV_FEW */
#define MAGLEV_FEW         6000

/* Beyond MAGLEV_PLACES_MANY members some have no place, and get nothing.
 * The number of places depends on the size of the group only, not on who may serve of it: else all
 * would move. */
uint32_t maglev_size(size_t members_n);

/* [maglev_size()] indices of members; memory from malloc. */
uint32_t *maglev_build(const struct balance_set *set);

static inline uint32_t maglev_place(uint64_t hash, uint32_t size)
{
    return (uint32_t)(((hash >> 32) * size) >> 32);
}

#endif
