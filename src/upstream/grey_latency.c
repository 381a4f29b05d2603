#include "upstream/grey_latency.h"

#include <string.h>

#define UNBOUND (TARGET_BUCKETS - 1) /* the last bucket: nothing is known to be over it */

static uint64_t total(const struct grey_latency *z)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < TARGET_BUCKETS; i++)
        sum += z->answers[i];
    return sum;
}

/* By the end of which bucket have 99 of 100 come? */
static unsigned p99(const struct grey_latency *z, uint64_t all)
{
    uint64_t later = all;
    for (unsigned i = 0; i < TARGET_BUCKETS; i++) {
        later -= z->answers[i];
        if (later <= all / 100)
            return i;
    }
    return UNBOUND;
}

/* The lower middle one of the zones that have one; UNBOUND: too few have. */
static unsigned usual(const struct grey_latency *zones, size_t n, uint64_t minimum)
{
    size_t by_bucket[TARGET_BUCKETS] = {0}, known = 0, seen = 0;
    unsigned at = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t all = total(&zones[i]);
        if (all == 0 || all < minimum)
            continue;
        by_bucket[p99(&zones[i], all)]++;
        known++;
    }
    if (known < ANOMALY_TARGETS_MIN)
        return UNBOUND;
    while ((seen += by_bucket[at]) < (known + 1) / 2)
        at++;
    return at;
}

/* The bucket that ends with the limit: each bound is twice the one before at least. */
static unsigned limit(unsigned usual_p99, uint64_t floor_us)
{
    unsigned at = usual_p99 + 1;
    while (at < UNBOUND && target_bucket_us[at] < floor_us)
        at++;
    return at < UNBOUND ? at : UNBOUND;
}

static uint64_t over(const struct grey_latency *z, unsigned bucket)
{
    uint64_t sum = 0;
    for (unsigned i = bucket + 1; i < TARGET_BUCKETS; i++)
        sum += z->answers[i];
    return sum;
}

void grey_latency_count(const struct grey_latency *zones, size_t n, uint64_t minimum,
                        uint64_t floor_us, struct grey_count *out)
{
    memset(out, 0, n * sizeof(*out));
    unsigned at = usual(zones, n, minimum);
    for (size_t i = 0; i < n && at != UNBOUND; i++)
        out[i] = (struct grey_count){total(&zones[i]), over(&zones[i], limit(at, floor_us))};
}
