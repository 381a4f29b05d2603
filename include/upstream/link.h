/* A link: one worker's connection to one target.
 *
 *   link_dial ─▶ CONNECTING ─▶ LEASED ⇄ IDLE ─▶ CLOSED
 *                    └────────────┴───────┴──────▲
 *
 * CONNECTING and LEASED: a lease holds it (upstream/lease.h is the only user). IDLE: it sits in
 * its target's LIFO list with its read watcher armed, so a FIN or a stray byte is seen without a
 * probe and closes it. While LEASED the conn's task is that of the back endpoint.
 * Owner: the lease, or the target's idle list. Thread: the worker's. Memory goes at the reap.
 */
#ifndef UPSTREAM_LINK_H
#define UPSTREAM_LINK_H

#include "net/conn.h"
#include "upstream/group.h"

enum link_state { LINK_CONNECTING, LINK_LEASED, LINK_IDLE, LINK_CLOSED };

struct lease;

struct link {
    uint32_t magic;
    enum link_state state;
    struct conn *conn;
    struct target *target;
    struct lease *lease; /* whom to tell while CONNECTING */
    struct task task;
    struct timer timer; /* connect deadline, then the idle one */
    struct list node;   /* in the target's idle list */
    uint32_t uses;      /* leases so far; more than one: reused */
    uint32_t keep_alive_ms;
    struct pool *pool;
    unsigned worker;
    struct reapable reapable;
};

/* What a worker needs to reach targets. */
struct upstream {
    struct loop *loop;
    unsigned worker;
    uint64_t generation; /* of the newest snapshot adopted */
    struct pool links;
};

void upstream_init(struct upstream *up, struct loop *loop, unsigned worker, unsigned limit);
void upstream_fini(struct upstream *up);

/* A warm link of the target, now LEASED, or NULL. Links with an event in hand are closed. */
struct link *link_take_idle(struct upstream *up, struct target *t);
/* Starts to connect; lease_link_done() is called from the link's task, never from here.
 * ERR_REFUSED, ERR_NOMEM at once. */
MUST_USE enum err link_dial(struct upstream *up, struct target *t, uint32_t timeout_ms,
                            struct lease *lease, struct link **out);
/* Back to the idle list; the conn must be without kept input and unsent output. */
void link_put_idle(struct link *k, uint32_t keep_alive_ms);
void link_close(struct link *k); /* idempotent */
void link_reset(struct link *k); /* the same with an RST */
/* A target left the configuration: this worker's idle links to it go. */
void link_close_idle(struct target *t, unsigned worker);

#endif
