/* What one worker needs to proxy: the context that sessions and exchanges share.
 * Owner: the worker (server/worker.h), or a test. Thread: the worker's. */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include "base/heap.h"
#include "http/head.h"
#include "http/limits.h"
#include "proxy/counters.h"
#include "proxy/snapshot.h"
#include "proxy/stickiness.h"
#include "upstream/link.h"

struct access_log;
struct connection_report;

struct proxy {
    struct loop *loop;
    unsigned worker;
    struct upstream upstream;
    struct snapshot *snapshot;  /* the newest one adopted */
    struct pool exchanges, sessions;
    struct pool streams; /* of HTTP/2 clients */
    struct heap h2_memory; /* of HTTP/2 codecs */
    struct pool back_sessions, back_streams; /* of HTTP/2 targets */
    struct list session_list;
    struct counters *counters;  /* this worker's */
    struct access_log *access_log;
    /* One client connection, see connection.h. NULL: nobody wants to know. Set by the owner. */
    void (*on_connection)(struct proxy *p, const struct connection_report *r);
    bool stopping;              /* sessions end after the request they are in */
    /* The node's zone is shifted away: sessions end likewise, and new ones too. NULL: never. Set by
     * the owner. */
    const _Atomic bool *leaving;
    struct task cut_task;       /* sessions of removed listeners that outlived timeouts.drain */
    struct timer cut_timer;
    struct stickiness_worker stickiness;
    struct limits limits;       /* of the newest snapshot */
    struct field *fields;       /* parse scratch, limits.headers long; for the running task */
    char host_space[HEAD_HOST_MAX];
    /* Called when the last pin of an old snapshot is gone. Set by the owner. */
    void (*released)(struct proxy *p, struct snapshot *s);
    void *owner;
};

void proxy_init(struct proxy *p, struct loop *loop, unsigned worker, unsigned max_sessions);
void proxy_fini(struct proxy *p);

/* Takes over a newer snapshot: views and idle links of targets that left are dropped, sessions of
 * listeners that left are told to end. The first call sets the first snapshot. */
void proxy_adopt(struct proxy *p, struct snapshot *s);

void proxy_pin(struct proxy *p, struct snapshot *s);
void proxy_unpin(struct proxy *p, struct snapshot *s);

/* A connection was accepted on the listener: makes its session. Takes fd always; over a limit it
 * is answered (503 on http, RST on tcp) and closed. local: the address it came in on. */
void proxy_accept(struct proxy *p, unsigned slot, int fd, const struct addr *peer,
                  const struct addr *local);
/* The same at a limit: plain http clients get the answer of `why`, others an RST. */
void proxy_refuse(struct proxy *p, unsigned slot, int fd, const struct addr *peer,
                  const struct addr *local, enum reason why);

/* The target has left and its deregistration delay is over: what this worker has in flight to it is
 * cut. Nothing happens when it has come back meanwhile. */
void proxy_deregister(struct proxy *p, struct target *t);

/* Graceful stop: idle sessions close now, others after their request; TCP sessions live on until
 * the deadline. */
void proxy_stop(struct proxy *p);
/* The deadline passed: everything is cut. */
void proxy_cut(struct proxy *p);

#endif
