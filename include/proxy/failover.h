/* forward with `failover: true`: when the group that was picked has no usable target, that is none
 * or only unhealthy ones, another group of the action takes over, by weight; those of weight 0
 * stand by for when no other is usable. When none is, the group stays and does what it does. */
#ifndef PROXY_FAILOVER_H
#define PROXY_FAILOVER_H

#include "proxy/router.h"

struct group *failover(const struct action *a, struct group *picked, unsigned worker,
                       struct rng *rng);

#endif
