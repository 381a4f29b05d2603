/* The run queue of one loop: what has work to do in this turn.
 *
 * A task is embedded in the object that does the work. Queueing is idempotent, unlinking is
 * always legal, so "my owner should look at me" needs no flags. Single thread.
 *
 *   poll callbacks --runq_push_polled--> [polled]  newest first: libev hands out the events of
 *                                           |      one poll last first, this turns them around
 *   everybody else --runq_push--------> [ready] <--+ runq_begin_round
 *                                           |
 *                                      runq_next: one task, unlinked, to be run by the loop
 */
#ifndef BASE_RUNQ_H
#define BASE_RUNQ_H

#include "base/list.h"

struct task {
    struct list node;
    void (*run)(struct task *t); /* may queue, close and push anything, itself included */
};

struct runq {
    struct list polled, ready;
};

static inline void task_init(struct task *t, void (*run)(struct task *))
{
    list_init(&t->node);
    t->run = run;
}

/* From close paths: the task will not run unless it is queued again. */
static inline void task_cancel(struct task *t)
{
    list_del(&t->node);
}

static inline bool task_queued(const struct task *t)
{
    return !list_empty(&t->node);
}

static inline void runq_init(struct runq *q)
{
    list_init(&q->polled);
    list_init(&q->ready);
}

static inline void runq_push(struct runq *q, struct task *t)
{
    if (!task_queued(t))
        list_push_back(&q->ready, &t->node);
}

static inline void runq_push_polled(struct runq *q, struct task *t)
{
    if (!task_queued(t))
        list_push_front(&q->polled, &t->node);
}

static inline bool runq_empty(const struct runq *q)
{
    return list_empty(&q->polled) && list_empty(&q->ready);
}

/* Everything that is due now goes to `round`, in order of arrival; what is pushed from here on
 * belongs to the next round. */
static inline void runq_begin_round(struct runq *q, struct list *round)
{
    list_splice_back(round, &q->ready);
    list_splice_back(round, &q->polled);
}

#endif
