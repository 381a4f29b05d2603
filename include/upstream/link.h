/* A link: one worker's connection to one target. It has slots, each for one lease: one of them,
 * or as many as its wire carries at a time (link_ops).
 *
 *   link_dial ─▶ CONNECTING ─▶ SECURING ─▶ STARTING ─▶ LEASED ⇄ IDLE ─▶ CLOSED
 *                    └────────────┴────────────┴───────────┴───────┴──────▲
 *
 * SECURING: the TLS handshake, for groups that have one. STARTING: the wire's own greeting, for
 * wires that have one. LEASED: a slot or more is used (upstream/lease.h is the only user). IDLE:
 * none is; a link of one slot has its read watcher armed, so a FIN or a stray byte is seen without
 * a probe and closes it. While LEASED the conn's task is that of the back endpoint.
 *
 * A link with a free slot is in its target's LIFO list; one of several slots therefore also while
 * it is LEASED. Leases that want a slot of a link that is on its way wait for it together. A
 * draining link gives out no slot any more and closes when none is used.
 * Owner: its leases, or the target's list. Thread: the worker's. Memory goes at the reap.
 */
#ifndef UPSTREAM_LINK_H
#define UPSTREAM_LINK_H

#include "net/conn.h"
#include "upstream/group.h"

enum link_state {
    LINK_CONNECTING,
    LINK_SECURING,
    LINK_STARTING,
    LINK_LEASED,
    LINK_IDLE,
    LINK_CLOSED,
};

#define LINK_SLOTS_GUESS 100 /* of a target of which none are known yet */

struct lease;
struct ejector_bell;
struct link;
struct upstream;

/* A wire with more than one slot. Its conn's task is never the link's own once it has started. */
struct link_ops {
    /* The conn is there, secured if it is to be. ERR_AGAIN: link_started() follows from a task of
     * its own. ERR_UNSUPPORTED, ERR_NOMEM: it cannot be. */
    enum err (*start)(struct link *k, struct upstream *up);
    /* The conn is about to be closed; nobody uses a slot. Only after start() said ERR_AGAIN. */
    void (*close)(struct link *k);
};

struct link {
    uint32_t magic;
    enum link_state state;
    struct conn *conn;
    struct target *target;
    const struct link_ops *ops; /* NULL: one slot */
    void *session;              /* of the ops; NULL: not started */
    uint32_t slots_max, slots_used;
    bool draining;
    struct list waiting; /* leases, to be told when it is decided: until it is LEASED */
    uint32_t waiting_n;
    uint64_t key; /* settings that it was made with: nobody with other ones gets it. 0: plain */
    struct task task;
    struct timer timer; /* connect deadline, then the idle one */
    struct list node; /* in the target's list of those with a free slot, or of those on their way */
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
    struct ejector_bell *bell; /* see ejector.h; NULL: nobody is ejected */
};

void upstream_init(struct upstream *up, struct loop *loop, unsigned worker, unsigned limit);
void upstream_fini(struct upstream *up);

/* A warm link of the target that was made with the same settings, with one more slot used, or NULL.
 * Those with others, or with an event in hand, are closed. */
struct link *link_take_idle(struct upstream *up, struct target *t, uint64_t key);
/* Starts to connect, for the lease's group and member, or joins those that wait for a link which
 * does; lease_link_done() is called from the link's task, never from here. ERR_REFUSED, ERR_NOMEM
 * at once. */
MUST_USE enum err link_dial(struct upstream *up, struct target *t, uint32_t timeout_ms,
                            struct lease *lease, struct link **out);
/* Back to the idle list; the conn must be without kept input and unsent output. One slot. */
void link_put_idle(struct link *k, uint32_t keep_alive_ms);
/* The lease does not wait any more, or gives its slot of several back. keep: the link may go on. */
void link_leave(struct link *k, struct lease *lease);
void link_give_back(struct link *k, uint32_t keep_alive_ms, bool keep);
void link_close(struct link *k); /* idempotent */
void link_reset(struct link *k); /* the same with an RST */
/* A target left the configuration: this worker's idle links to it go, those in use drain. */
void link_close_idle(struct target *t, unsigned worker);

/* ---- from the wire ---- */

/* What start() left open is decided; with an error the link is closed before this returns. */
void link_started(struct link *k, enum err e);
/* How many slots the target allows from now on. */
void link_set_slots(struct link *k, uint32_t n);
/* No new leases; closes it at once when no slot is used. Idempotent. */
void link_drain(struct link *k);

#endif
