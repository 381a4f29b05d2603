/* Which Availability Zone does much worse than the others, although nothing is down: a test on
 * counts. Pure.
 *
 *   one window's counts, group by group ──grey_add──▶ zones ──grey_judge──▶ one zone, or none
 *                                                                            │
 *                             so many windows in a row ◀──grey_note──────────┘
 *
 * Two things are counted, each by itself: requests that failed, and answers that were slow beside
 * those of the group's other zones (upstream/grey_latency.h).
 * Zones are compared as anomaly.h compares targets, so there are three at least. A group says
 * something about zones only where at most one of them does badly in it: what several have is the
 * group's own fault, such as a bad release. A zone is grey only beside others that are clean in
 * all groups together, of failures as of slow answers: where several zones do badly there is
 * nowhere to go.
 */
#ifndef UPSTREAM_GREY_H
#define UPSTREAM_GREY_H

#include "upstream/anomaly.h"

#define GREY_NONE SIZE_MAX

/* What is clean: bad ones up to such a share, or so few that they say nothing. */
struct grey_rule {
    double points; /* also over the median of the zones, for one that stands out */
    uint64_t stray;
};
extern const struct grey_rule grey_failures; /* ANOMALY_POINTS */
extern const struct grey_rule grey_slowness; /* one in a hundred: the p99 is what is compared */

struct grey_count {
    uint64_t all, bad; /* the bad ones are among all */
};

struct grey_zone {
    struct grey_count sum;      /* of every group */
    struct grey_count compared; /* of those that say something about zones */
};

bool grey_is_clean(const struct grey_count *c, const struct grey_rule *r);

/* n zones, in the same order in both. */
struct grey_window {
    struct grey_zone *failures, *slowness;
    size_t n;
};

struct grey_verdict {
    size_t zone; /* or GREY_NONE */
    bool slow;   /* that is all that is wrong with it */
};

/* How often the same zone was grey in a row. Zeroed: never. */
struct grey_run {
    uint64_t zone; /* registry_zone_id() */
    unsigned windows;
};

/* One group's counts in this window, of the same n zones in the same order each time. */
void grey_add(struct grey_zone *zones, const struct grey_count *group, size_t n,
              const struct grey_rule *r);
/* Only zones with so many requests, or answers, are compared. */
struct grey_verdict grey_judge(const struct grey_window *w, uint64_t minimum);
/* A window is over, this zone was grey in it (0: none): in how many in a row by now? */
unsigned grey_note(struct grey_run *r, uint64_t zone);

#endif
