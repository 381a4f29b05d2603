/* A small HTTP server for operators and their tools, on the control thread's loop: GET only, one
 * request a connection, ADMIN_CONNECTIONS at a time, ADMIN_REQUEST_MS for a request to come in.
 * What is answered is the owner's business (server/supervisor). Loopback or a unix socket of mode
 * 0660 only, which the configuration sees to. Thread: control. */
#ifndef SERVER_ADMIN_H
#define SERVER_ADMIN_H

#include "base/strbuf.h"
#include "net/addr.h"
#include "net/loop.h"

#define ADMIN_CONNECTIONS 64
#define ADMIN_REQUEST_MS  5000
#define ADMIN_REST_MS     100
#define ADMIN_UNIX_MODE   0660

/* An answer: text/plain unless said otherwise. */
struct admin_answer {
    unsigned status;
    const char *content_type;
    struct strbuf body;
};

typedef void admin_handler(void *ctx, struct slice path, struct admin_answer *answer);

struct admin {
    struct loop *loop;
    struct addr addr;
    int fd; /* -1: off */
    struct ev_io io;
    struct task task;
    struct timer timer; /* while resting */
    struct list sessions;
    unsigned sessions_n;
    bool open;
    bool resting; /* out of descriptors */
    admin_handler *handler;
    void *ctx;
};

/* Off: admin_bind makes more of it. The loop's conns have room for twice ADMIN_CONNECTIONS: closed
 * ones keep their memory until the end of the turn. */
void admin_init(struct admin *a, struct loop *loop, admin_handler *handler, void *ctx);
void admin_fini(struct admin *a);

/* ERR_SYSTEM: errno. */
MUST_USE enum err admin_bind(struct admin *a, const struct addr *addr);
/* From now on it answers. Nothing happens when it is off. */
MUST_USE enum err admin_listen(struct admin *a);

#endif
