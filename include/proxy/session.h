/* A session: one client connection from accept to close, whatever it speaks. The part that all
 * fronts share; front_h1 and the raw front embed it first.
 *
 * Owner: the worker's list. It owns its conn, and through its front endpoint the exchange. It pins
 * no snapshot: each exchange does, at its request head. Only when its listener is removed by a
 * reload does it hold the last snapshot that had it (`held`), until it ends.
 * Thread: the worker's. Memory goes at the reap.
 */
#ifndef PROXY_SESSION_H
#define PROXY_SESSION_H

#include "net/conn.h"
#include "proxy/endpoint.h"
#include "proxy/exchange.h"
#include "proxy/proxy.h"

#define SESSION_LINGER_BYTES (256u * 1024)
#define SESSION_PEER_BYTES 64
#define SESSION_TRACE_BYTES 36

/* May end the exchange, but does nothing else to the session. */
typedef void session_visitor(struct exchange *x, void *ctx);

struct session {
    uint32_t magic;
    unsigned slot; /* of its listener */
    struct proxy *proxy;
    struct conn *conn;
    struct endpoint front; /* front.x: the exchange being served, or NULL */
    /* Of a front with more than one exchange; else NULL. */
    void (*cut)(struct session *s);
    void (*visit)(struct session *s, session_visitor *visitor, void *ctx);
    struct task task;
    struct timer timer; /* all deadlines of the connection and of its exchange */
    bool ending;        /* no further request: stop, removed listener, too old */
    bool closed;
    uint64_t opened_ms;
    bool reported;   /* to the connection log, or there is none */
    uint64_t cut_ms; /* its listener was removed: when it is cut; 0: not */
    uint64_t received_seen, sent_seen; /* what of the conn's counts is in the counters already */
    struct slice tls_protocol, tls_cipher; /* as logged; empty: plain */
    struct vouched *vouched; /* what targets are told of its certificate; NULL: nothing */
    struct addr local;
    char peer[SESSION_PEER_BYTES]; /* "10.1.2.3:4567", "[::1]:4567", "unix:"; cut if longer */
    uint8_t peer_n;
    char trace[SESSION_TRACE_BYTES]; /* "TID_" and 32 digits: what logs know the connection by */
    struct snapshot *held;
    struct list node;
    struct reapable reapable;
};

/* Takes fd. NULL: a limit was reached, fd is closed. run: the front's task; ops may come later. */
struct session *session_new(struct proxy *p, unsigned slot, int fd, const struct addr *peer,
                            const struct addr *local, const struct endpoint_ops *ops,
                            void (*run)(struct task *));
/* Idempotent. The exchange must be finished. reset: the client sees an RST. */
void session_close(struct session *s, bool reset);

/* All is said, FIN included: what the client still sends is thrown away, so that no RST destroys
 * what is on its way (RFC 9112 9.6). begin sets *budget and the timer, linger belongs into the
 * task; true: over, the session is to be closed. */
void session_begin_linger(struct session *s, uint64_t *budget);
MUST_USE bool session_linger(struct session *s, uint64_t *budget);

/* The listener as the newest snapshot has it; the held one's when it was removed. */
const struct listener *session_listener(const struct session *s);
struct snapshot *session_snapshot(const struct session *s);

/* Has it served as long as it may? Then the present exchange is its last one. So it is too when
 * the node's zone is shifted away. */
bool session_too_old(const struct session *s);

/* Over now, whatever it is doing. */
void session_cut(struct session *s);

/* Every exchange that it has now. */
void session_visit(struct session *s, session_visitor *visitor, void *ctx);

/* What an exchange is to know of its client. */
struct exchange_client session_client(struct session *s);

/* Bytes moved since the last call go to the listener's counters. */
void session_count_bytes(struct session *s);

#endif
