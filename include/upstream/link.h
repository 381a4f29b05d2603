/* A link: one worker's connection to one target.
 *
 *   link_dial ─▶ CONNECTING ─▶ SECURING ─▶ LEASED ⇄ IDLE ─▶ CLOSED
 *                    └────────────┴───────────┴───────┴──────▲
 *
 * SECURING: the TLS handshake, for groups that have one. Until LEASED is over a lease holds it (upstream/lease.h is the only user). IDLE: it sits in
 * its target's LIFO list with its read watcher armed, so a FIN or a stray byte is seen without a
 * probe and closes it. While LEASED the conn's task is that of the back endpoint.
 * Owner: the lease, or the target's idle list. Thread: the worker's. Memory goes at the reap.
 */
#ifndef UPSTREAM_LINK_H
#define UPSTREAM_LINK_H

#include "net/conn.h"
#include "upstream/group.h"

enum link_state { LINK_CONNECTING, LINK_SECURING, LINK_LEASED, LINK_IDLE, LINK_CLOSED };

struct lease;

struct link {
    uint32_t magic;
    enum link_state state;
    struct conn *conn;
    struct target *target;
    struct lease *lease; /* whom to tell while CONNECTING or SECURING */
    uint64_t key; /* settings that it was made with: nobody with other ones gets it. 0: plain */
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
    uint64_t said_ms; /* last complaint about a handshake */
};

void upstream_init(struct upstream *up, struct loop *loop, unsigned worker, unsigned limit);
void upstream_fini(struct upstream *up);

/* A warm link of the target that was made with the same settings, now LEASED, or NULL. Those with
 * others, or with an event in hand, are closed. */
struct link *link_take_idle(struct upstream *up, struct target *t, uint64_t key);
/* Starts to connect, for the lease's group and member; lease_link_done() is called from the link's
 * task, never from here. ERR_REFUSED, ERR_NOMEM at once. */
MUST_USE enum err link_dial(struct upstream *up, struct target *t, uint32_t timeout_ms,
                            struct lease *lease, struct link **out);
/* Back to the idle list; the conn must be without kept input and unsent output. */
void link_put_idle(struct link *k, uint32_t keep_alive_ms);
void link_close(struct link *k); /* idempotent */
void link_reset(struct link *k); /* the same with an RST */
/* A target left the configuration: this worker's idle links to it go. */
void link_close_idle(struct target *t, unsigned worker);

#endif
