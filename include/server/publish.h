/* How a bound snapshot becomes the one that serves, on all workers, at the start and at a reload:
 *
 *   publish_begin ─▶ ADOPT to all ─▶ all have adopted ─▶ LISTEN to all ─▶ done
 *                                      │
 *                                      ├ sockets nobody wants any more are forgotten
 *                                      └ outputs nobody writes to any more are closed
 *
 * New sockets begin to listen only when nothing can fail any more and every worker knows what to
 * serve on them. One at a time. Owner and thread: control. */
#ifndef SERVER_PUBLISH_H
#define SERVER_PUBLISH_H

#include "server/outputs.h"
#include "server/worker.h"

struct server;

struct publish {
    struct server *server;
    struct worker_command *commands; /* [workers] */
    unsigned waiting;                /* answers that are due */
    struct outputs old;
    int error; /* errno of the last socket that could not listen, which was logged */
    void (*done)(struct server *s, int error);
};

void publish_init(struct publish *p, struct server *s);
void publish_fini(struct publish *p);

static inline bool publish_busy(const struct publish *p)
{
    return p->waiting > 0;
}

/* next was bound (snapshots_bind) and so were its sockets (listeners_bind); outputs are open. */
void publish_begin(struct publish *p, struct snapshot *next, struct outputs outputs,
                   void (*done)(struct server *s, int error));

#endif
