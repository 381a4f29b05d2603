/* Looks every ANOMALY_ROUND_MS at how the targets of each group do beside each other
 * (upstream/anomaly.h), and in groups with `anomaly_mitigation` gives those that do badly less.
 *
 *   workers' counters ──sums──▶ anomaly_judge ──▶ target->oddity, shown to operators
 *                                      └──▶ target->share, the group's news
 *
 * Only healthy targets are compared; what else becomes of one, it is normal meanwhile. All of it
 * belongs to the target and survives reloads.
 * Owner and thread: control. */
#ifndef UPSTREAM_MITIGATION_H
#define UPSTREAM_MITIGATION_H

#include "upstream/group.h"
#include "upstream/news.h"

struct mitigation {
    struct loop *loop;
    struct news *news;
    const struct group *groups; /* of the snapshot that serves */
    size_t groups_n;
    struct ev_timer round;
    struct task task;
};

void mitigation_init(struct mitigation *m, struct loop *loop, struct news *news);
void mitigation_fini(struct mitigation *m);
/* These groups serve from now on; those they replace are still there. */
void mitigation_adopt(struct mitigation *m, const struct group *groups, size_t groups_n);

#endif
