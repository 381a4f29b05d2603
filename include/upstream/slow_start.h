/* Slow start, with ELB's conditions: a target that has just become healthy gets a share of its
 * weight that grows in a straight line over the group's `slow_start`.
 *
 *   becomes healthy ──(another one is healthy and not ramping)──▶ ramping ──▶ its whole share
 *   is let back in  ──┘                                              └── unhealthy, or not checked
 *
 * A healthy target is let back in when its ejection is over, and when an operator has made it ready
 * after a drain: ELB knows no ejection, but what comes back into service ramps there too, be it from
 * unhealthy or by being registered again.
 * Who becomes healthy with its first check after the start of the process does not ramp: a start is
 * no recovery. The clock belongs to the target and goes on over reloads; one that changes
 * `slow_start` moves its end. While a target ramps its group's epoch is raised every 50th part of
 * the time, at least every second and at most ten times in one.
 * Owner: the checker. Thread: control. */
#ifndef UPSTREAM_SLOW_START_H
#define UPSTREAM_SLOW_START_H

#include "upstream/group.h"
#include "upstream/news.h"

struct slow_start {
    struct loop *loop;
    struct news *news;
    struct list ramping; /* of struct target */
    struct task task;
    struct timer timer; /* the next step */
};

void slow_start_init(struct slow_start *s, struct loop *loop, struct news *news);
void slow_start_fini(struct slow_start *s);

/* t, of g, serves anew: it ramps if the group says so. Its news is the caller's to raise. */
void slow_start_begin(struct slow_start *s, const struct group *g, struct target *t);
/* What kept work from t, of g, is over, as its flags say: it ramps from the beginning, if it is
 * healthy and nothing else keeps work from it. The same. */
void slow_start_return(struct slow_start *s, const struct group *g, struct target *t);
/* t does not ramp any more. The same; idempotent. */
void slow_start_end(struct slow_start *s, struct target *t);
/* t belongs to g now: how long does it ramp? */
void slow_start_keep(struct slow_start *s, const struct group *g, struct target *t);

/* Pure: the share at that time, in thousandths; 1 to TARGET_SHARE_ALL. */
uint16_t slow_start_share(uint64_t elapsed_ms, uint32_t duration_ms);

#endif
