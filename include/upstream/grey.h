/* Which Availability Zone does much worse than the others, although nothing is down: a test on
 * counts. Pure.
 *
 *   one window's counts, group by group ──grey_add──▶ zones ──grey_judge──▶ one zone, or none
 *                                                                            │
 *                             so many windows in a row ◀──grey_note──────────┘
 *
 * Zones are compared as anomaly.h compares targets, so there are three at least. A group says
 * something about zones only where at most one of them fails in it: what fails in several is the
 * group's own fault, such as a bad release. A zone is grey only beside others that are clean in
 * all groups together: where several zones fail there is nowhere to go.
 */
#ifndef UPSTREAM_GREY_H
#define UPSTREAM_GREY_H

#include "upstream/anomaly.h"

#define GREY_NONE   SIZE_MAX
#define GREY_POINTS ANOMALY_POINTS /* a smaller share of failures is clean */

struct grey_count {
    uint64_t requests, failures; /* the failures are among the requests */
};

struct grey_zone {
    struct grey_count all;      /* of every group */
    struct grey_count compared; /* of those that say something about zones */
};

/* How often the same zone was grey in a row. Zeroed: never. */
struct grey_run {
    uint64_t zone; /* registry_zone_id() */
    unsigned windows;
};

/* One group's counts in this window, of the same n zones in the same order each time. */
void grey_add(struct grey_zone *zones, const struct grey_count *group, size_t n);
/* The one that is grey, or GREY_NONE. Only zones with at least so many requests are compared. */
size_t grey_judge(const struct grey_zone *zones, size_t n, uint64_t minimum_requests);
/* A window is over, this zone was grey in it (0: none): in how many in a row by now? */
unsigned grey_note(struct grey_run *r, uint64_t zone);

#endif
