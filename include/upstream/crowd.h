/* The members of a balancer in a row, and a table to draw one by weight in O(1): the alias method
 * (A. J. Walker 1977, M. D. Vose 1991). For the balancers that draw. */
#ifndef UPSTREAM_CROWD_H
#define UPSTREAM_CROWD_H

#include "upstream/balance.h"

struct crowd_place {
    const struct member *member;
    const struct target *target; /* the member's: a step less to it */
    uint32_t weight;
    uint32_t other; /* whose place it is too */
    uint64_t cut;   /* below it, of 2^32, a draw of this place is its own, else the other's */
};

struct crowd {
    uint32_t n; /* at least 1 */
    struct crowd_place *places;
};

void crowd_init(struct crowd *c, const struct balance_set *set);
void crowd_fini(struct crowd *c);

/* One number decides: its upper half on the place, its lower on whose. */
static inline const struct crowd_place *crowd_draw(const struct crowd *c, struct rng *rng)
{
    uint64_t random = rng_next(rng);
    const struct crowd_place *p = &c->places[((random >> 32) * c->n) >> 32];
    return (uint32_t)random < p->cut ? p : &c->places[p->other];
}

/* The same among those that p allows; NULL when there is none. */
const struct crowd_place *crowd_draw_allowed(const struct crowd *c, const struct pick *p,
                                             struct rng *rng);

#endif
