/* A worker: a thread with a loop of its own, its sessions, its connections to targets, its
 * listening sockets and its counters. It shares nothing that it writes, but counters, which others
 * read.
 *
 *   control ──command──▶ worker's loop ──the same message, answered──▶ control's loop
 *
 * Commands of one worker are carried out in order. The memory is the control thread's: made by
 * worker_start, given back by worker_fini when the thread has ended. */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include <pthread.h>

#include "proxy/proxy.h"
#include "server/acceptor.h"
#include "server/line_log.h"

#define WORKER_STOPPED_CHECK_MS 100

enum worker_order {
    WORKER_ADOPT,  /* a snapshot, its access log and its sockets; new sockets stay silent */
    WORKER_LISTEN, /* new sockets listen; `error` and `failed` when one could not */
    WORKER_DEREGISTER, /* a target has left and had its time, see proxy_deregister() */
    WORKER_CLOSE_IDLE, /* links to a target that is draining; answered by all: nobody picks it */
    WORKER_STOP,   /* no new connections; answered when the last session has ended */
    WORKER_CUT,    /* ends what is left */
    WORKER_QUIT,   /* the thread ends */
};

struct worker;

/* Owner: who sends it, but between worker_send() and done(). */
struct worker_command {
    struct message message;
    enum worker_order order;
    struct worker *worker;
    /* ADOPT. The plan is freed by the worker. */
    struct snapshot *snapshot;
    struct listen_plan *plan;
    struct log_output *access_output, *connection_output; /* NULL: off */
    struct target *target;            /* DEREGISTER, CLOSE_IDLE; the sender sees to it that it lives */
    /* The answer. */
    int error; /* LISTEN: errno, 0 when all is well */
    struct addr failed;
    void (*done)(struct worker_command *c); /* on the control thread */
    void *owner;
};

/* What the threads share, constant while workers run. Outlives them. */
struct worker_shared {
    struct loop *control;
    struct log_writer *log;
    struct ejector_bell *bell;
    struct acceptor_limit limit;
    const _Atomic bool *leaving; /* see proxy.h */
    /* Control thread: one worker has let go of an old snapshot. */
    void (*released)(void *ctx, struct snapshot *s);
    void *ctx;
};

/* Counts of a worker's objects as its last turn left them. */
struct worker_gauges {
    struct counter sessions, streams, exchanges, conns, links, buffer_bytes;
};

struct worker {
    unsigned index;
    pthread_t thread;
    const struct worker_shared *shared;
    struct loop loop;
    struct proxy proxy;
    struct counters counters;
    struct log_feed feed;
    struct access_log access_log;
    struct line_log connection_log;
    struct acceptor acceptor;
    struct ev_prepare turn_end;
    struct worker_gauges gauges;
    struct worker_command *stopping; /* to be answered when the last session has ended */
    struct timer stop_timer;
    struct task stop_task;
};

/* Makes the worker, without its thread. ERR_NOMEM. */
MUST_USE enum err worker_new(struct worker **out, unsigned index,
                             const struct worker_shared *shared);
MUST_USE enum err worker_start(struct worker *w);
/* The thread has ended, and the log writer too: it may hold buffers. */
void worker_close(struct worker *w);

/* Control thread. */
void worker_send(struct worker *w, struct worker_command *c);

#endif
