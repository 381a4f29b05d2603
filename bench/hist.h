/* hist.h: a log-linear histogram of nanoseconds.
 *
 * 64 buckets for each doubling, so a percentile is at most 1/64 (1.6 %) above the true value; the
 * greatest value is kept exactly. One thread; 20 KiB, embedded by its owner, zeroed to start. */
#pragma once

#include <stdint.h>

enum { HIST_SUB_BITS = 6, HIST_SUB = 1 << HIST_SUB_BITS, HIST_BUCKETS = HIST_SUB * 40 };

struct hist {
    uint64_t bucket[HIST_BUCKETS];
    uint64_t count;
    uint64_t max;
};

static inline unsigned hist_index(uint64_t value)
{
    if (value < HIST_SUB)
        return (unsigned)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HIST_SUB_BITS;
    unsigned index = (shift + 1) * HIST_SUB + (unsigned)(value >> shift) - HIST_SUB;
    return index < HIST_BUCKETS ? index : HIST_BUCKETS - 1;
}

/* The greatest value that falls into a bucket. */
static inline uint64_t hist_upper(unsigned index)
{
    if (index < HIST_SUB)
        return index;
    unsigned shift = index / HIST_SUB - 1;
    return ((uint64_t)(index % HIST_SUB + HIST_SUB + 1) << shift) - 1;
}

static inline void hist_add(struct hist *hist, uint64_t value)
{
    hist->bucket[hist_index(value)]++;
    hist->count++;
    if (value > hist->max)
        hist->max = value;
}

/* fraction in (0, 1]; 0 when nothing was added. */
static inline uint64_t hist_quantile(const struct hist *hist, double fraction)
{
    uint64_t wanted = (uint64_t)(fraction * (double)hist->count);
    uint64_t seen = 0;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        seen += hist->bucket[i];
        if (seen > wanted || (seen && seen == hist->count))
            return hist_upper(i) < hist->max ? hist_upper(i) : hist->max;
    }
    return hist->max;
}
