/* Lazy coarse timer wheel: thousands of deadlines that almost never come true.
 *
 * A timer stores its deadline; its node in the wheel moves only when the deadline gets earlier
 * than the slot it sits in. When a slot comes up, a node whose deadline has moved later is put
 * back, one that was cleared is dropped, the rest fire. So a keep-alive connection that pushes
 * its deadline out at every request touches no list.
 *
 * Resolution: WHEEL_TICK_MS; a timer fires at most one tick late (plus the turn it runs in) and
 * never early. Firing sets `fired` and queues the timer's task; it never calls the owner.
 * Owner: the loop. Timers are embedded in their objects; timer_del() before the object's memory
 * goes. Single thread. Times are milliseconds of the loop's monotonic clock; 0 is "none".
 */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H

#include <stdint.h>

#include "base/list.h"
#include "base/runq.h"

#define WHEEL_TICK_MS 100
#define WHEEL_SLOTS   1024 /* 102 s; later deadlines wait in the last slot and are put back */

struct timer {
    struct list node;
    uint64_t deadline_ms; /* 0: none */
    uint64_t slot_tick;   /* tick of the slot that the node is in */
    struct task *task;    /* queued on expiry */
    bool fired;
};

struct wheel {
    uint64_t tick; /* all ticks before this one have been handled */
    unsigned linked;
    struct list slots[WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, uint64_t now_ms);

/* Fires what is due and pushes the tasks to q. */
void wheel_advance(struct wheel *w, uint64_t now_ms, struct runq *q);

static inline bool wheel_empty(const struct wheel *w)
{
    return w->linked == 0;
}

void timer_init(struct timer *t, struct task *task);
/* An earlier, unseen expiry is forgotten. */
void timer_set(struct wheel *w, struct timer *t, uint64_t deadline_ms);
void timer_clear(struct timer *t);
void timer_del(struct wheel *w, struct timer *t);

/* True once per expiry. */
static inline bool timer_take(struct timer *t)
{
    bool fired = t->fired;
    t->fired = false;
    return fired;
}

#endif
