/* A worker's listening sockets: from "somebody connects" to proxy_accept().
 *
 *   event ─▶ task ─▶ up to ACCEPTOR_BATCH accepts ─▶ proxy_accept   the normal case
 *              │                                └──▶ proxy_refuse   max_connections are open
 *              │ out of descriptors
 *              ▼
 *           all sockets rest for ACCEPTOR_PAUSE_MS: no spin
 *
 * An adoption of a snapshot has three steps, in this order: acceptor_retire, proxy_adopt,
 * acceptor_adopt; and, when all workers are that far, acceptor_listen.
 * Owner and thread: the worker. Descriptors are its own. */
#ifndef SERVER_ACCEPTOR_H
#define SERVER_ACCEPTOR_H

#include "proxy/proxy.h"
#include "server/listeners.h"

#define ACCEPTOR_BACKLOG  4096 /* the kernel's net.core.somaxconn may lower it */
#define ACCEPTOR_BATCH    8
#define ACCEPTOR_PAUSE_MS 100
#define ACCEPTOR_RESERVE  64 /* connections beyond the limit that still get an answer */

/* What limits connections: all workers together. Constant while workers run. */
struct acceptor_limit {
    uint64_t max_connections;
    unsigned workers;
    const struct counters **counters; /* [workers] */
};

struct acceptor {
    struct loop *loop;
    struct proxy *proxy;
    const struct acceptor_limit *limit;
    struct list sockets;
    struct timer pause;
    struct task task;
    bool paused;
    uint64_t said_ms; /* when a lack of descriptors was last logged */
};

void acceptor_init(struct acceptor *a, struct proxy *p, const struct acceptor_limit *limit);
void acceptor_fini(struct acceptor *a);

/* Sockets that are not in the plan (NULL: all): what waits in them is accepted, then they close. */
void acceptor_retire(struct acceptor *a, const struct listen_plan *plan);
/* Takes the descriptors of the plan; those it has go on under their new slots. */
void acceptor_adopt(struct acceptor *a, const struct listen_plan *plan);
/* New sockets begin to listen. ERR_SYSTEM: errno, and *failed is the address; the others listen. */
MUST_USE enum err acceptor_listen(struct acceptor *a, struct addr *failed);

#endif
