/* Which answers are slow beside those of the same group's other zones. Pure.
 *
 *   answers by time, of each zone ──▶ p99 of each ──the middle one, twice──▶ a limit ──▶ how many
 *                                                     at least the floor         of each took longer
 *
 * A zone of which more than one answer in a hundred is over the limit has a p99 of more than twice
 * what is usual. Times are known by the buckets of target_bucket_us alone, so a limit is rounded up
 * to the next bound: between twice and six times the p99 in the middle.
 */
#ifndef UPSTREAM_GREY_LATENCY_H
#define UPSTREAM_GREY_LATENCY_H

#include "upstream/grey.h"
#include "upstream/target.h"

/* Of a zone's targets in one group. */
struct grey_latency {
    uint64_t answers[TARGET_BUCKETS];
};

/* Counts of n zones of one group for grey_add(). Only zones with so many answers (at least one)
 * have a p99; where fewer than three have, nothing is known and all counts are 0. Answers within the
 * floor are never slow. */
void grey_latency_count(const struct grey_latency *zones, size_t n, uint64_t minimum,
                        uint64_t floor_us, struct grey_count *out);

#endif
