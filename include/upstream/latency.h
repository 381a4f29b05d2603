/* How quickly a target has answered lately: a peak-sensitive moving average, one per worker and
 * target. It rises to a slower answer at once and falls by halves: LATENCY_HALF_US after a peak,
 * with or without answers since, half of what it was above them is left. Pure. */
#ifndef UPSTREAM_LATENCY_H
#define UPSTREAM_LATENCY_H

#include <stdint.h>

#define LATENCY_HALF_US   (1ull << 22) /* about 4 s */
#define LATENCY_FAILED_US 1000000      /* a try that failed counts as an answer after this time */

struct latency {
    uint64_t us;
    uint64_t at_us; /* when it was that; 0: never measured */
};

void latency_note(struct latency *l, uint64_t us, uint64_t now_us);

/* What is left of a value after a time: halves, and straight lines between them. */
static inline uint64_t latency_faded(uint64_t us, uint64_t age_us)
{
    uint64_t halves = age_us / LATENCY_HALF_US, rest = age_us % LATENCY_HALF_US;
    if (halves > 40)
        return 0;
    us >>= halves;
    return us - us * rest / (2 * LATENCY_HALF_US);
}

static inline uint64_t latency_now(const struct latency *l, uint64_t now_us)
{
    return latency_faded(l->us, now_us - l->at_us);
}

#endif
