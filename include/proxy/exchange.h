/* An exchange joins one client stream to one target stream: an HTTP request, a tunnel after a 101,
 * or a whole TCP connection. It owns two heads (absent for TCP), two flows and one lease, and
 * knows no protocol by name.
 *
 *   ROUTE ─▶ LEASE ─▶ SEND ─▶ STREAM ─▶ DONE        LEASE ⇄ another target (lease.h, retry.h)
 *     └────────┴───────┴─▶ REPLY ─▶ DONE            any ─▶ DONE when the client has gone
 *
 *   ROUTE   which listener, rule, group            SEND    the request goes out, no response yet
 *   LEASE   waiting for a connection               STREAM  the response head is through
 *   REPLY   an answer of our own goes out          DONE    counted, logged, about to be reaped
 *
 * The full table of states and events: src/proxy/README.md.
 *
 * Endpoints call the functions below from their own task only (endpoint.h says what is called the
 * other way). Any of them may end the exchange: afterwards the endpoint's `x` is NULL, and the
 * memory lives until the reap. The pieces an endpoint lends to a flow are settled by the endpoint.
 *
 * Owner: its front endpoint. Thread: the worker's. Times: milliseconds unless named otherwise.
 */
#ifndef PROXY_EXCHANGE_H
#define PROXY_EXCHANGE_H

#include "base/flow.h"
#include "http/head.h"
#include "http/status.h"
#include "proxy/endpoint.h"
#include "proxy/proxy.h"
#include "proxy/stickiness.h"
#include "upstream/lease.h"

enum exchange_state {
    EXCHANGE_ROUTE,
    EXCHANGE_LEASE,
    EXCHANGE_SEND,
    EXCHANGE_STREAM,
    EXCHANGE_REPLY,
    EXCHANGE_DONE,
};

#define EXCHANGE_BACK_BYTES  512 /* room for the back endpoint of any wire */
#define EXCHANGE_TRACE_BYTES 128

/* What the front says about its client; set before exchange_request or exchange_connect. */
struct exchange_client {
    struct slice peer;    /* "10.1.2.3:4567", as logged; all three live as long as the session */
    struct slice peer_ip; /* the address alone, IPv6 without brackets; empty: a unix socket */
    struct slice protocol; /* for the log, when the head does not tell; else empty */
    const struct addr *local; /* what the client connected to */
    uint16_t peer_port;
    struct conn *conn;
    struct slice tls_protocol, tls_cipher; /* static texts; empty: plain */
    struct slice trace; /* of the connection */
    const struct vouched *vouched; /* of its certificate; NULL: nothing */
    struct timer *timer; /* the front's: the exchange sets it, the front hands expiry on */
};

struct exchange {
    uint32_t magic;
    enum exchange_state state;
    struct proxy *proxy;
    struct snapshot *snapshot; /* pinned; NULL once a tunnel has let go of it */
    const struct listener *listener;
    unsigned slot;
    struct exchange_client client;

    struct endpoint *front, *back; /* back: NULL while no target is in use */
    struct flow up, down;
    bool raw;          /* bytes without framing both ways: TCP, or after a 101 */
    bool replied;      /* the answer is our own */
    bool head_given;   /* a final response head went to the front */
    bool up_closed;    /* what the client still sends is not wanted any more */
    bool grpc;         /* see grpc.h */
    bool close_client; /* the client connection ends with this exchange, whatever it asked for */

    struct request_head req; /* req.raw.p == NULL: TCP, or a head that was refused */
    struct response_head resp;
    struct fields up_trailers, down_trailers; /* set before the flow is ended */
    struct chunk *up_trailer_store, *down_trailer_store;
    struct chunk *head_store;  /* what req points into */
    struct chunk *reply_store; /* what resp and the body of a reply of our own point into */
    struct chunk *name_store;  /* what the names below point into after the snapshot was let go */

    const struct action *action; /* that forwards; in the snapshot */
    struct group *group;
    struct lease lease;
    struct stickiness_state sticky;
    const struct field *added; /* lines for the client's head, beside the target's own; during */
    uint32_t added_n;          /* send_head of the final one */
    struct task task; /* the lease is decided */
    uint32_t idle_ms, half_close_ms;
    uint64_t progress_ms; /* last byte in any direction */
    uint64_t deadline_ms; /* the client's own, for the answer; 0: none */

    /* For the log. */
    enum reason reason;
    unsigned status;                         /* sent to the client; 0: none */
    unsigned target_status;                  /* 0: none came */
    uint64_t start_us, sent_us, answered_us; /* head read, request sent, response head read */
    int64_t start_wall_us;
    uint64_t received_bytes, sent_bytes; /* of the body, or of the raw stream; heads in *_head */
    uint32_t received_head_bytes, sent_head_bytes;
    struct slice listener_name, group_name, rule_name, node_zone, target_zone, target_text;
    uint64_t generation;
    char trace[EXCHANGE_TRACE_BYTES];
    size_t trace_n;
    struct reapable reapable;
    _Alignas(16) char back_mem[EXCHANGE_BACK_BYTES]; /* last: not cleared for a new exchange */
};

/* From the worker's pool, with the newest snapshot pinned. NULL: a limit; the front refuses. */
struct exchange *exchange_new(struct proxy *p, unsigned slot, struct snapshot *s,
                              const struct listener *l, struct endpoint *front,
                              const struct exchange_client *client);

/* ---- from the front ---- */

/* x->req holds a whole, accepted head whose bytes are in the scratch: they are moved to the
 * exchange. Then routes and leases, or replies. Must be followed by exchange_up() in the same
 * task, also when there is no body. */
void exchange_request(struct exchange *x);
/* A TCP connection: the same without a head. */
void exchange_connect(struct exchange *x);
/* The request was refused by the parser: answers with the reason's status. x->req may be filled
 * in part, and points into the scratch. */
void exchange_reject(struct exchange *x, enum reason why);
/* Bytes were lent to `up`, or it was ended. */
void exchange_up(struct exchange *x);
/* Bytes of `down` were taken in the front's own task. */
void exchange_down_taken(struct exchange *x);
/* The request body broke off, or was malformed: a 4xx if there is still time. */
void exchange_up_failed(struct exchange *x, enum reason why);
/* RST, or a write failed. */
void exchange_gone(struct exchange *x);
/* The front's timer fired. */
void exchange_timeout(struct exchange *x);
/* The connection is to be cut at once (deadline of a stop or of a removed listener). */
void exchange_cut(struct exchange *x, enum reason why);
/* Its target has left and had its time: 502 if there is still time, never another target. */
void exchange_deregistered(struct exchange *x);

/* ---- from the back ---- */

/* x->resp holds an accepted head (interim or final), pointing into the scratch. */
void exchange_response(struct exchange *x);
/* Bytes were lent to `down`, or it was ended. */
void exchange_down(struct exchange *x);
/* Bytes of `up` were taken in the back's own task. */
void exchange_up_taken(struct exchange *x);
/* The response is whole and `down` is ended. reusable: the link may serve again. */
void exchange_back_done(struct exchange *x, bool reusable);
/* The connection to the target died, or said something it must not. */
void exchange_back_failed(struct exchange *x, enum reason why, bool any_byte_written,
                          bool any_byte_received);

/* ---- shared by endpoints ---- */

/* The address that the client connected to, as a Host without a port ("10.0.0.1", "[::1]"); at most
 * ADDR_TEXT_MAX octets. Returns how many. "localhost" for a unix socket. */
size_t exchange_local_host(const struct exchange *x, char *to);
/* The listener's port; a unix socket has none and counts as the protocol's own. */
uint16_t exchange_local_port(const struct exchange *x);

/* Something moved: the idle clock starts anew. */
static inline void exchange_progress(struct exchange *x)
{
    x->progress_ms = x->proxy->loop->clock.now_ms;
}

/* The down flow ends with the connection it came from, or is wanted by nobody: the exchange was
 * finished already. */
static inline bool exchange_done(const struct exchange *x)
{
    return x->state == EXCHANGE_DONE;
}

#endif
