/* Leases that wait for a place at a target: all that may serve are at max_outstanding. CLB's surge
 * queue; one for each group that has that limit, over all workers.
 *
 *   lease ──join──▶ a worker's list, FIFO ──(a place is given back)──▶ queue_wake ──▶ lease_serve
 *                        │                                                 │
 *                        └──▶ timeout, or the client leaves       this worker's task, or a
 *                                                                 message to one that waits
 *
 * Each worker has a list of its own; who is woken goes round among the workers that wait, so the
 * order holds within a worker and roughly between them. Nobody locks: the only thing shared is the
 * number of those that wait, and only leases of such groups look at it. A place that is given back
 * wakes one worker, which serves as many as there are places for. QUEUE_LOOK_MS is for what comes
 * without such a call (a target that has become healthy), and for the timeouts.
 * Owner: the registry, by name of the group, as long as the process lives: a tunnel that gives its
 * place back may know no group any more. Thread: a worker's part is the worker's. */
#ifndef UPSTREAM_QUEUE_H
#define UPSTREAM_QUEUE_H

#include "net/loop.h"

#define QUEUE_LOOK_MS 100

struct lease;
struct queue;
struct upstream;

struct queue_local {
    _Alignas(64) struct list waiting; /* of struct lease, first come first */
    struct queue *queue;
    struct loop *loop;      /* NULL: this worker has never waited */
    _Atomic uint32_t count; /* length of the list: others look where somebody waits */
    unsigned next;          /* worker whom this one wakes next */
    struct task task;
    struct timer look;
    atomic_bool rung; /* the message is on its way */
    struct message message;
};

struct queue {
    _Alignas(64) _Atomic uint32_t waiting; /* of all workers */
    _Atomic uint64_t spilled;   /* found it full */
    _Atomic uint64_t timed_out;
    unsigned workers;
    struct list node; /* in the registry */
    struct queue_local *local; /* [workers] */
    char name[];
};

struct queue *queue_new(struct slice group, unsigned workers);
/* Nobody waits, and no loop runs any more. */
void queue_free(struct queue *q);

/* False: max others wait already. */
MUST_USE bool queue_join(struct queue *q, struct upstream *up, struct lease *l, uint32_t max);
/* Its turn has come, or its client has gone. */
void queue_leave(struct queue *q, struct upstream *up, struct lease *l);
/* A place at some target was given back, before this is called. */
void queue_wake(struct queue *q, struct upstream *up);

/* Does this worker have somebody that waits? */
static inline bool queue_waits(const struct queue *q, unsigned worker)
{
    return atomic_load_explicit(&q->local[worker].count, memory_order_relaxed) > 0;
}

#endif
