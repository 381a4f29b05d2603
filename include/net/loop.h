/* The event loop of one thread and everything that only that thread uses.
 *
 * A turn:   epoll_wait ─▶ ready callbacks queue tasks ─▶ (next ev_prepare) run ─▶ reap ─▶ epoll_wait
 *
 *   - libev callbacks queue a task and do nothing else: no parsing, no writing, no freeing.
 *   - Tasks run in ev_prepare only. Rounds a turn are capped; while tasks are left, an idle
 *     watcher keeps epoll_wait from blocking.
 *   - Timers are applied after the tasks of the same poll, so that a timeout never wins over an
 *     answer that is already in hand.
 *   - At the end of the turn the objects closed in it are freed (loop_reap), and nowhere else.
 *
 * Owner: its thread (worker or control); all of it is single-threaded except loop_post().
 * The two scratches are lent to the running task: bytes in them do not survive its return.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <ev.h>
#include <stdatomic.h>

#include "base/chunk.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/pool.h"
#include "base/runq.h"
#include "base/wheel.h"

#define LOOP_RECV_BYTES    (128u * 1024) /* one recv asks for at most this */
#define LOOP_RESIDUE_BYTES (272u * 1024) /* largest head that is waited for, see limits.request_head */
#define LOOP_SCRATCH_BYTES (LOOP_RESIDUE_BYTES + LOOP_RECV_BYTES)
#define LOOP_HEAD_BYTES    (512u * 1024) /* the largest head, rewritten, with all we can add to it */

/* A closed object whose memory goes at the end of the turn. */
struct reapable {
    struct reapable *next;
    void (*reap)(struct reapable *r);
};

/* A message to another thread's loop. Owner: the sender until loop_post(), then the receiver;
 * run() is called there as a task would be and may free the message. */
struct message {
    struct message *next;
    void (*run)(struct message *m);
};

struct tls_space;

struct loop {
    struct ev_loop *ev;
    struct clock clock;
    struct runq runq;
    struct wheel wheel;
    struct chunkpool chunks;
    struct pool conns;
    struct rng rng;
    char *scratch; /* LOOP_SCRATCH_BYTES: input of the running task */
    char *head;    /* LOOP_HEAD_BYTES: heads on their way out */
    struct chunk *spent; /* see loop_spend */
    struct tls_space *tls; /* scratches for ciphertext, NULL until there is a TLS conn */
    struct reapable *closed;

    struct ev_prepare prepare;
    struct ev_idle idle;
    struct ev_timer tick; /* runs only while the wheel holds timers */
    bool tick_due;
    struct ev_async wake;
    _Atomic(struct message *) inbox;
};

/* buffer_bytes: limits.buffer_memory of this loop. */
MUST_USE enum err loop_init(struct loop *l, size_t buffer_bytes);
/* All objects must be closed; runs the last reap. */
void loop_fini(struct loop *l);

/* Runs until loop_stop(), which any task may call. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* One turn that does not block: for tests. */
void loop_turn(struct loop *l);

static inline void loop_push(struct loop *l, struct task *t)
{
    runq_push(&l->runq, t);
}

/* A chunk whose bytes the running task may still refer to (a slice of it is lent to a flow): it
 * goes back to the pool when that task has returned. */
static inline void loop_spend(struct loop *l, struct chunk *c)
{
    c->next = l->spent;
    l->spent = c;
}

/* To be called once by the close function of each object. */
static inline void loop_reap(struct loop *l, struct reapable *r)
{
    r->next = l->closed;
    l->closed = r;
}

/* Any thread. Messages of one sender arrive in order. */
void loop_post(struct loop *l, struct message *m);

/* From now; 0 clears. */
void loop_timer(struct loop *l, struct timer *t, uint64_t after_ms);
void loop_timer_at(struct loop *l, struct timer *t, uint64_t deadline_ms);

#endif
