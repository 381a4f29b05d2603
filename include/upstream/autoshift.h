/* Shifts a zone away by itself: one that fails, or is slow, while the others do not, several
 * windows in a row (upstream/grey.h).
 *
 *   workers' counters ──sums, each window──▶ grey_judge ──▶ grey_note ──▶ shift_set, no force
 *
 * Workers count nothing for it that they do not count anyway: failures, and the times of answers
 * for the metrics.
 * It never goes against an operator: while any zone is shifted it only counts, and a shift of its
 * own that was cancelled is not repeated before it would have ended (shift_is_held()). shift_set()
 * refuses what those that stay could not carry; the log then says so, and it is tried again as long
 * as the zone is grey. Each shift is an `audit:` line in the log.
 * With mode practice it only counts, for upstream/practice.h.
 * Owner and thread: control. */
#ifndef UPSTREAM_AUTOSHIFT_H
#define UPSTREAM_AUTOSHIFT_H

#include "config/model.h"
#include "upstream/grey_latency.h"
#include "upstream/practice.h"
#include "upstream/shift.h"

struct autoshift {
    struct loop *loop;
    struct shifts *shifts;
    struct config_autoshift rule;
    const struct group *groups; /* of the snapshot that serves */
    size_t groups_n;
    struct grey_run run;
    struct practice practice;
    struct timer timer; /* the end of the window; only while it is on */
    struct task task;
};

void autoshift_init(struct autoshift *a, struct loop *loop, struct shifts *shifts);
void autoshift_fini(struct autoshift *a);
/* These groups serve from now on, and so says their configuration; those they replace are still
 * there. What was counted goes on. */
void autoshift_adopt(struct autoshift *a, const struct config_autoshift *rule,
                     const struct group *groups, size_t groups_n);

#endif
