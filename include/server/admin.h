/* A small HTTP server for operators and their tools, on the control thread's loop: GET and POST,
 * one request a connection, ADMIN_CONNECTIONS at a time, ADMIN_REQUEST_MS for a request to come in,
 * ADMIN_BODY_MAX bytes of body.
 * What is answered is the owner's business (server/admin_routes.h): at once, or later, which keeps
 * the connection and nothing else. Loopback or a unix socket of mode 0660 only, which the
 * configuration sees to. Thread: control. */
#ifndef SERVER_ADMIN_H
#define SERVER_ADMIN_H

#include "base/strbuf.h"
#include "net/addr.h"
#include "net/loop.h"

#define ADMIN_CONNECTIONS 64
#define ADMIN_REQUEST_MS  5000
#define ADMIN_REST_MS     100
#define ADMIN_UNIX_MODE   0660
#define ADMIN_BODY_MAX    65536
#define ADMIN_LATER_MAX   32 /* answers that are due at the same time: the others still get theirs \
                              */

struct admin_session;

/* What is asked. Valid until the handler returns. */
struct admin_request {
    bool post; /* else GET */
    struct slice path, query, body;
    struct slice token; /* of `Authorization: Bearer`; empty: none */
    bool unix_socket;   /* else TCP */
    struct slice who;   /* "127.0.0.1:4567", or "uid 1000 pid 42" on a unix socket */
};

/* An answer that is not known yet. Owner: the handler's side, which calls admin_answer_later() or
 * admin_forget() once. */
struct admin_later {
    struct admin_session *session; /* NULL: the client has gone */
};

/* An answer: text/plain unless said otherwise. */
struct admin_answer {
    unsigned status;
    const char *content_type;
    const char *allow;         /* with 405: the methods of this path */
    struct admin_later *later; /* set by the handler: the rest means nothing. At most
                                  ADMIN_LATER_MAX, see admin_may_wait() */
    struct strbuf body;
};

typedef void admin_handler(void *ctx, const struct admin_request *r, struct admin_answer *answer);

struct admin {
    struct loop *loop;
    struct addr addr;
    int fd; /* -1: off */
    struct ev_io io;
    struct task task;
    struct timer timer; /* while resting */
    struct list sessions;
    unsigned sessions_n;
    unsigned later_n; /* sessions that wait for their answer */
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
bool admin_may_wait(const struct admin *a);
/* Both do nothing when the client has gone. The body stays the caller's. */
void admin_answer_later(struct admin_later *l, const struct admin_answer *answer);
void admin_forget(struct admin_later *l); /* closes the connection */

/* From now on it answers. Nothing happens when it is off. */
MUST_USE enum err admin_listen(struct admin *a);

#endif
