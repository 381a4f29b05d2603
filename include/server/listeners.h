/* The listening sockets of the process, by address, whatever listener uses them: a listener that a
 * reload keeps, renames or gives other rules keeps its sockets, and the connections that wait in
 * them.
 *
 *   listeners_bind ──▶ fresh sockets, bound but silent ──▶ listeners_plan: one a worker
 *        │ error                                                   │ all workers have adopted
 *        ▼                                                         ▼
 *   listeners_rollback: as before                        listeners_commit: unwanted ones forgotten
 *
 * TCP: one SO_REUSEPORT socket for each worker. Unix: one socket, each worker with a descriptor of
 * its own. A descriptor belongs to this registry until a plan hands it to its worker, who closes
 * it. Owner and thread: control. */
#ifndef SERVER_LISTENERS_H
#define SERVER_LISTENERS_H

#include <sys/types.h>

#include "base/list.h"
#include "base/strbuf.h"
#include "proxy/snapshot.h"

#define LISTENERS_UNIX_MODE 0666 /* as open as a port; the directory can be closed */

struct listen_socket {
    struct list node;
    struct addr addr;
    char text[ADDR_TEXT_MAX + 1];
    uint32_t id; /* what workers know it by */
    bool wanted; /* by the configuration that was bound last */
    bool fresh;  /* no worker has adopted it */
    dev_t dev;   /* unix: the inode we made, so that only that one is removed */
    ino_t ino;
    int *fds; /* [workers]; -1: the worker has it */
};

struct listeners {
    unsigned workers;
    uint32_t next_id;
    struct list sockets;
};

/* All that one worker is to listen on after an adoption. */
struct listen_entry {
    uint32_t id;
    int fd; /* bound, not listening; -1: the worker has it already */
    unsigned slot;
    struct addr addr;
};

struct listen_plan {
    size_t n;
    struct listen_entry entries[];
};

void listeners_init(struct listeners *l, unsigned workers);
/* Workers have closed theirs. */
void listeners_fini(struct listeners *l);

/* Binds what c wants and is not there. Nothing has changed after an error: `why` names listener,
 * address and cause. An address that somebody else serves is an error although SO_REUSEPORT would
 * let both in. */
MUST_USE enum err listeners_bind(struct listeners *l, const struct config *c, struct strbuf *why);
void listeners_rollback(struct listeners *l);

/* For the configuration that was bound last, with slots given. Hands over the fresh descriptors
 * of that worker. From malloc. */
struct listen_plan *listeners_plan(struct listeners *l, const struct snapshot *s, unsigned worker);
void listeners_commit(struct listeners *l);

#endif
