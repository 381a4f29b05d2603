/* HTTP/2 (RFC 9113) on one side of a connection, without I/O: bytes in, events out; heads and flows
 * in, bytes out. nghttp2 does the framing, HPACK and flow control.
 *
 *   bytes ─▶ h2_session_feed ─▶ event ─▶ owner       one event a call: the bytes are cut at frames
 *   owner ─▶ respond / inform / wake / reset ─▶ (queued) ─▶ h2_session_pull ─▶ bytes
 *            request                flow ─────────────────────────┘ body, when its turn comes
 *
 * Two roles, by h2_settings.client. The server's: to clients, heads are requests that the owner
 * accepts or refuses, and answers. The client's: to targets, the owner makes requests, and heads
 * are their answers; nothing can be pushed. "The peer" is the other side.
 *
 * Calls nobody: what happens to streams while bytes are pulled (body taken, stream over) waits in
 * two lists, h2_session_next_moved() and h2_session_next_closed(). So nothing here is entered
 * while it is on the stack; CHECKed.
 *
 * Flow control. The window of a stream is below the cap of a flow, so what a peer may send always
 * has room. Credit of a stream is returned by h2_session_consumed(), when its flow was drained;
 * that of the connection by h2_session_received(), as soon as bytes came: one stream that stands
 * still never holds up the others.
 *
 * Defences (each ends the connection with ENHANCE_YOUR_CALM and a reason of its own; nghttp2's
 * limits on CONTINUATION frames, settings and queued acknowledgements stand behind them):
 *   - resets: streams reset by the client, and streams that we reset because of what the client
 *     sent on them, from one budget. A stream that ended well gives one back. Not in the client's
 *     role: there each stream is a request of ours.
 *   - control frames: SETTINGS, PING, PRIORITY, WINDOW_UPDATE, empty DATA and the like, from
 *     another one. Frames that carry something give some back.
 *   - field lists that would be many times too long after decompression.
 *
 * Owner: the front's session, or a link's (embedded). Thread: its loop's. The owner's streams embed
 * a struct h2_stream, which must stay until it came out of h2_session_next_closed() or the session
 * is gone.
 */
#ifndef HTTP_H2_SESSION_H
#define HTTP_H2_SESSION_H

#include "base/err.h"
#include "base/flow.h"
#include "base/hash.h"
#include "base/heap.h"
#include "base/list.h"
#include "http/fields.h"
#include "http/limits.h"
#include "http/status.h"

#define H2_SESSION_PREFACE SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

#define H2_SESSION_STREAM_WINDOW 65535u        /* at most FLOW_CAP_BYTES */
#define H2_SESSION_CLIENT_WINDOW (128u * 1024) /* the same, to targets */
#define H2_SESSION_WINDOW        (1u << 20)    /* of the connection */
#define H2_SESSION_OUT_BYTES     (64u * 1024)  /* what one pull aims at */
#define H2_SESSION_OUT_MIN_BYTES (36u * 1024)  /* least room for a pull: two frames */
#define H2_SESSION_QUEUE_MAX     512           /* frames waiting: then nothing more should be fed */

/* RFC 9113 7, those that an owner uses. */
enum h2_code {
    H2_CODE_NO_ERROR = 0,
    H2_CODE_PROTOCOL_ERROR = 1,
    H2_CODE_INTERNAL_ERROR = 2,
    H2_CODE_REFUSED_STREAM = 7,
    H2_CODE_CANCEL = 8,
    H2_CODE_ENHANCE_YOUR_CALM = 11,
};

struct h2_budget {
    uint32_t burst, per_s; /* tokens at most, tokens that come back in a second */
};

struct h2_settings {
    bool client;
    uint32_t streams; /* open at the same time; server only, as `resets` */
    struct h2_budget resets, controls;
    struct heap *memory;    /* for nghttp2; outlives the session. NULL: malloc */
    struct rng *websockets; /* extended CONNECT (RFC 8441) is offered, and this makes the keys of
                               the handshakes with targets; NULL: it is not */
};

#define H2_SETTINGS_DEFAULT                                                                        \
    {                                                                                              \
        .streams = 128, .resets = {200, 33}, .controls = {1000, 200},                              \
    }

/* To a target, which is no stranger: a PING for each round trip is what some do to learn its time.
 */
#define H2_SETTINGS_CLIENT                                                                         \
    {                                                                                              \
        .client = true, .controls = {20000, 20000},                                                \
    }

/* The codec's part of a stream; all of it private but for what is said. */
struct h2_stream {
    int32_t id;
    struct flow *out; /* the body is taken from it; NULL: none, or all of it was taken */
    struct chunk *trailers;
    struct list moved, node;
    uint32_t code;   /* once closed: of the RST_STREAM, either way; REFUSED_STREAM: also when the
                        peer's GOAWAY says that it was not looked at */
    bool peer_reset; /* once closed: the peer did it */
    bool own_reset;  /* once closed: the owner asked for it */
    bool answered;   /* a final head was given (server), or came (client) */
    bool sent;       /* client: the request's head was pulled */
    bool over;       /* nothing more comes into `out` */
    bool waiting;    /* nghttp2 asked for body and got none */
    bool peer_ended, ended, gone; /* each side has said END_STREAM; over on the wire */
};

enum h2_event_type {
    H2_EVENT_NONE,     /* all bytes are used up */
    H2_EVENT_HEAD,     /* a request: h2_session_accept() or _refuse(); client: an answer, perhaps
                          an interim one */
    H2_EVENT_DATA,     /* body, perhaps empty when `end` */
    H2_EVENT_TRAILERS, /* always with `end` */
    H2_EVENT_PONG,     /* the answer to the PING of h2_session_notice() */
    H2_EVENT_SETTINGS, /* client: the peer's came, see streams_max; the first greets */
    H2_EVENT_GOAWAY,   /* client: no more requests. Those that were not looked at are closed */
};

struct h2_event {
    enum h2_event_type type;
    bool end;                 /* the peer's side of the stream is over */
    int32_t id;               /* HEAD */
    struct h2_stream *stream; /* DATA, TRAILERS, HEAD of an answer: NULL: not accepted */
    /* HEAD: an HTTP/1.1 head for the gate, valid until the next feed or pull; an extended CONNECT
     * to websocket stands there as the upgrade that it means. TRAILERS: lines for
     * validate_trailers(). DATA: within the bytes that were fed. An answer without a length is
     * chunked, and until close when it ended with its head. */
    struct slice bytes;
    enum reason refused; /* HEAD, TRAILERS: beyond the limits, `bytes` is cut */
};

struct h2_private; /* src/http/h2_private.h */

struct h2_session {
    uint32_t magic;
    bool busy;
    bool head_open; /* a field list is not whole yet */
    bool warm;      /* something was fed or pulled since h2_session_rest() */
    bool greeted;   /* the peer's preface and first SETTINGS have come */
    bool failed;    /* the connection is at its end, see `why` */
    enum reason why;
    uint32_t requests;
    uint32_t streams_open; /* accepted or begun, and not closed */
    uint32_t streams_max;  /* client: how many the peer allows; 0 until it greeted */
    struct h2_private *p;
    struct list moved, open, closed;
};

/* limits and pool: as long as the session; limits may change. NOMEM: nothing to be undone. */
MUST_USE enum err h2_session_init(struct h2_session *s, struct chunkpool *pool,
                                  const struct limits *limits, const struct h2_settings *settings,
                                  uint64_t now_ms);
/* Streams that are still accepted are forgotten. Idempotent. */
void h2_session_fini(struct h2_session *s);

/* Takes bytes from *in up to the next event. After an error there are no events any more, only
 * bytes to be pulled and the connection to be closed; s->why tells. */
MUST_USE enum err h2_session_feed(struct h2_session *s, uint64_t now_ms, struct slice *in,
                                  struct h2_event *ev);
/* Fills `to` (cap: at least H2_SESSION_OUT_MIN_BYTES) with whole frames; *n 0: nothing to send. */
MUST_USE enum err h2_session_pull(struct h2_session *s, char *to, size_t cap, size_t *n);
/* There is something to pull. */
bool h2_session_wants_out(const struct h2_session *s);
/* Nothing will be said any more on either side: close, after what was pulled is sent. */
bool h2_session_over(const struct h2_session *s);
/* Frames of ours that wait to be pulled. */
size_t h2_session_queued(const struct h2_session *s);

/* To be called when nothing has happened for a while: memory that only frames on their way need is
 * given back until the next one. Two syscalls. */
void h2_session_rest(struct h2_session *s);

/* A stream's body was taken from its flow (once for each pull), or NULL. */
struct h2_stream *h2_session_next_moved(struct h2_session *s);
/* A stream is over on the wire, however it went; the codec has forgotten it. Or NULL. */
struct h2_stream *h2_session_next_closed(struct h2_session *s);

/* ---- streams ---- */

void h2_session_accept(struct h2_session *s, struct h2_stream *st, const struct h2_event *head);
/* RST_STREAM with REFUSED_STREAM: the client may try again elsewhere. */
void h2_session_refuse(struct h2_session *s, int32_t id);
/* An interim head. Fields keep any case: they are lowered. An id, where one is set, is that of the
 * name. */
void h2_session_inform(struct h2_session *s, struct h2_stream *st, unsigned status,
                       const struct field *fields, uint32_t n);
/* The final head. body: NULL when none follows, else the flow that it will come from. */
void h2_session_respond(struct h2_session *s, struct h2_stream *st, unsigned status,
                        const struct field *fields, uint32_t n, struct flow *body);
/* There are bytes in the flow, or its end, which trailers (copied; may be empty) then follow. */
void h2_session_wake(struct h2_session *s, struct h2_stream *st, const struct fields *trailers);
/* Client: a request, by the head of it that HTTP/1.1 would have (h1_writer.h, forward.h): its Host
 * is :authority, what HTTP/2 has no use for is left out. body: NULL when none follows. ERR_LIMIT:
 * no ids are left for this connection, ERR_NOMEM: neither is memory; nothing to be undone. */
MUST_USE enum err h2_session_request(struct h2_session *s, struct h2_stream *st, struct slice head,
                                     bool https, struct flow *body);
/* All of the flow was taken, which is no longer looked at: END_STREAM is said when it is due, and
 * a client that still sends is told to stop (RFC 9113 8.1). */
void h2_session_finish(struct h2_session *s, struct h2_stream *st);
/* RST_STREAM; the flow is no longer looked at. */
void h2_session_reset(struct h2_session *s, struct h2_stream *st, enum h2_code code);

/* Credit; see above. */
void h2_session_consumed(struct h2_session *s, struct h2_stream *st, size_t n);
void h2_session_received(struct h2_session *s, size_t n);

/* ---- the end ---- */

/* First step: GOAWAY that refuses nothing yet, and a PING; H2_EVENT_PONG tells that the client has
 * seen it. */
void h2_session_notice(struct h2_session *s);
/* Second step: requests that were not seen before will not be served. Open streams go on. */
void h2_session_goaway(struct h2_session *s);
/* At once, all streams included. */
void h2_session_terminate(struct h2_session *s, enum h2_code code);

#endif
