/* Bodies on an HTTP/1 wire (RFC 9112 6, 7): the half of front_h1 and back_h1 that is the same.
 *
 *   conn ──▶ h1_body_in ──▶ flow          flow ──▶ h1_body_out ──▶ conn (with the head before it)
 *
 * Reading takes at most the flow's room; what is not taken stays unread in the socket. Chunks are
 * taken out of their framing in place, so that one task lends one slice. Writing makes one
 * sendmsg of pending head, framing and all that the flow has.
 * Owner: the endpoint (embedded). Calls nobody. Thread: the worker's.
 */
#ifndef PROXY_H1_BODY_H
#define PROXY_H1_BODY_H

#include "base/flow.h"
#include "http/chunked.h"
#include "http/head.h"
#include "net/conn.h"
#include "proxy/proxy.h"

enum h1_body_result {
    H1_BODY_MOVED,   /* bytes were lent, or the flow was ended */
    H1_BODY_NOTHING, /* no input now */
    H1_BODY_BLOCKED, /* no room, or the body is over */
    H1_BODY_EOF,     /* the peer ended before the body did */
    H1_BODY_RESET,
    H1_BODY_BAD,     /* malformed or beyond a limit: see `reason` */
};

struct h1_body_in {
    enum framing framing;
    bool ended;
    enum reason reason; /* with BAD; REASON_BAD_CHUNK and _TRAILERS_... as a client's fault */
    uint64_t left;      /* FRAMING_LENGTH */
    uint64_t total, limit;
    struct chunked chunked;
    struct fields *trailers; /* filled when there are some */
    struct chunk **trailer_store;
};

/* limit: octets of body, CONFIG_NONE for none. */
void h1_body_in_init(struct h1_body_in *b, enum framing framing, uint64_t length, uint64_t limit);

/* Takes body from bytes that were read behind a head; *in moves on to what was not taken. NOTHING:
 * it waits for more, *in (perhaps not empty) is to be kept. */
enum h1_body_result h1_body_feed(struct h1_body_in *b, struct proxy *p, struct flow *f,
                                 struct slice *in);
/* Receives once and feeds. */
enum h1_body_result h1_body_pull(struct h1_body_in *b, struct proxy *p, struct flow *f,
                                 struct conn *c);
/* The same for a body that nobody wants: at most *budget octets are thrown away. BLOCKED: the
 * budget is used up. MOVED: see b->ended. */
enum h1_body_result h1_body_discard(struct h1_body_in *b, struct proxy *p, struct conn *c,
                                    uint64_t *budget);
/* Trailer lines, checked, into a store of their own: they outlive the bytes they came in, because
 * they go out when the consumer has come to the end of the body. None: *to and *store stay. */
enum reason h1_body_keep_trailers(struct proxy *p, struct slice raw, struct fields *to,
                                  struct chunk **store);
/* What waits unread although it was received (bytes kept by the conn) must go on: does a partial
 * read of this body need bytes that follow? */
bool h1_body_needs_more(const struct h1_body_in *b);

struct h1_body_out {
    enum framing framing;
    size_t head_n; /* bytes of a head in the loop's head buffer, to go first; 0: none */
    bool over;     /* the end was written */
};

void h1_body_out_init(struct h1_body_out *b, enum framing framing, size_t head_n);
/* Writes head and body, if the conn can take them. trailers may be empty. ERR_RESET: nothing of
 * this call was sent. *taken: bytes or the end of the flow were taken. */
MUST_USE enum err h1_body_push(struct h1_body_out *b, struct conn *c, struct flow *f,
                               const struct fields *trailers, bool *taken);

#endif
