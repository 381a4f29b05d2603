/* Which targets fail more than their peers: a test on counts. Pure.
 *
 * Each round (ANOMALY_ROUND_MS) brings what was answered, and what failed of it (5xx and connections
 * that did not come about). Older rounds count ever less. Who is compared with is the better half
 * of the group, so a fault that most targets share, such as a bad release, speaks against none.
 *
 *   normal ── its share of failures is ANOMALY_POINTS over the median, and from the better half's
 *     ▲       it differs so much by chance less than once in a thousand ──▶ anomalous
 *     └───────────── over the median by less, or next to no traffic ────────────┘
 */
#ifndef UPSTREAM_ANOMALY_H
#define UPSTREAM_ANOMALY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ANOMALY_ROUND_MS     5000
#define ANOMALY_TARGETS_MIN  3    /* healthy ones; with fewer there is nothing to compare */
#define ANOMALY_REQUESTS_MIN 10   /* below it nobody becomes anomalous */
#define ANOMALY_FAILURES_MIN 5    /* the same */
#define ANOMALY_POINTS       0.05 /* over the median of all */

#define ANOMALY_SHARE_MIN 50 /* of TARGET_SHARE_ALL: enough to observe */

/* Of one target. Zeroed: nothing was seen. */
struct anomaly {
    double requests, failures; /* of late; the failures are among the requests */
    bool anomalous;
};

/* One more round of it. */
void anomaly_add(struct anomaly *a, uint64_t requests, uint64_t failures);
/* Judges n targets, all of them healthy and of one group, by what was added. points: over the
 * median, ANOMALY_POINTS for failures. scratch: n long. */
void anomaly_judge(struct anomaly *const *all, size_t n, double points, double *scratch);
/* The share of its weight that a target with this one gets next: halved round by round to the
 * least that still observes, then doubled back to all. */
uint16_t anomaly_share(uint16_t share, bool anomalous);

#endif
