/* Balancers: which of the targets that may serve is taken? One algorithm a file (balance_*.c).
 *
 *   build ──▶ struct balancer ──▶ pick, pick, ... ──▶ free
 *               └── before: the balancer that it replaces, whose turn goes on
 *
 * A balancer belongs to one worker's view and is made again with it, over any members with a weight
 * (a zone's, say): whatever takes time is done then, so that a pick is O(1) whatever their number.
 * It knows neither health nor zones. Only picks with something to skip or to avoid may take longer.
 * Owner: the view. Thread: that worker's. Its own cache lines; calls nobody back. */
#ifndef UPSTREAM_BALANCE_H
#define UPSTREAM_BALANCE_H

#include "upstream/group.h"

/* Whom a balancer is for. members outlive it, weights need not. */
struct balance_set {
    const struct member *members; /* of the group */
    size_t members_n;
    const uint32_t *weights; /* [members_n], in any unit; 0: not among them. At least one is not */
    unsigned worker;
};

struct balancer {
    const struct balance_ops *ops;
};

struct balance_ops {
    /* before: made by the same build, or NULL. Still its owner's to free. */
    struct balancer *(*build)(const struct balance_set *set, const struct balancer *before,
                              struct rng *rng);
    /* NULL: p allows none of them. */
    const struct member *(*pick)(struct balancer *b, const struct pick *p, struct rng *rng);
    void (*free)(struct balancer *b);
};

/* Every target w times in a lap of sum(w) picks, evenly spread; see group_sequence(). */
extern const struct balance_ops balance_round_robin;

extern const struct balance_ops balance_random;            /* weighted_random */
extern const struct balance_ops balance_least_outstanding; /* counts_outstanding (group.h) */
extern const struct balance_ops balance_ewma;              /* peak_ewma; measures_latency */
extern const struct balance_ops balance_hash_source;
extern const struct balance_ops balance_hash_consistent; /* counts_outstanding, counts_all */

/* Sets the algorithm, what it needs of leases, and slow start. */
void balance_choose(struct group *g, const struct config_group_attributes *a);

/* Memory for a balancer: zeroed, on cache lines of its own; free() gives it back. */
void *balance_alloc(size_t bytes);
void balance_free(struct balancer *b); /* NULL is fine */

#endif
