/* How many requests may be sent again after bytes of them were sent: a share of the requests of the
 * last 10 s, so that retries cannot double the load of a group that is in trouble. Tries that never
 * sent a byte are not counted. One for each worker and group. Thread: the worker's. */
#ifndef UPSTREAM_BUDGET_H
#define UPSTREAM_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define BUDGET_SLOTS    10
#define BUDGET_SLOT_MS  1000u

struct budget_rule {
    uint32_t percent; /* of requests */
    uint32_t minimum; /* always allowed */
};

/* Zeroed is good. */
struct budget {
    uint64_t until_ms; /* end of the present slot */
    unsigned at;       /* the present slot */
    uint32_t requests[BUDGET_SLOTS];
    uint32_t replays[BUDGET_SLOTS];
};

/* To the slot of that time; what is older than all slots is forgotten. */
void budget_turn(struct budget *b, uint64_t now_ms);

static inline void budget_request(struct budget *b, uint64_t now_ms)
{
    if (now_ms >= b->until_ms)
        budget_turn(b, now_ms);
    b->requests[b->at]++;
}

/* May one more be sent again? Then it counts. */
MUST_USE bool budget_replay(struct budget *b, struct budget_rule rule, uint64_t now_ms);

#endif
