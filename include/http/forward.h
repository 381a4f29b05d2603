/* From a head that came in to the bytes that go out, in both directions. Pure: what is not in the
 * head is in the context. Runs of lines that stay as they are get copied in one piece.
 *
 * Removed both ways: Connection, Keep-Alive, Proxy-*, TE, Transfer-Encoding, Upgrade,
 * HTTP2-Settings, and what Connection names, but for Host, Content-Length, Authorization, Cookie
 * and the fields that tenbin sets. The framing is written anew, so that the next hop reads the body
 * as we do. */
#ifndef HTTP_FORWARD_H
#define HTTP_FORWARD_H

#include "base/err.h"
#include "http/head.h"
#include "http/status.h"
#include "http/trace.h"

enum xff_mode {
    XFF_APPEND,   /* the client's list, then the client */
    XFF_PRESERVE, /* as it came */
    XFF_REMOVE,
};

struct forward_request {
    struct slice client_address; /* text, IPv6 without brackets; empty: a unix socket */
    struct slice default_host;   /* Host for HTTP/1.0 requests without one */
    struct trace_seed trace;
    /* What we say of the client's certificate and TLS, as fields that no client can send
     * (FIELD_VOUCHED). */
    const struct field *vouched;
    uint32_t vouched_count;
    struct slice tls_version, tls_cipher; /* empty: nothing is said of them */
    uint16_t client_port;
    uint16_t listener_port;
    enum xff_mode xff_mode;
    bool xff_client_port; /* with XFF_APPEND: ip:port, [v6]:port */
    bool https;           /* what X-Forwarded-Proto says */
    bool preserve_host_header;
    bool drop_invalid_header_fields;
};

enum {
    FORWARD_REQUEST_EXTRA = 1024,  /* cap = raw.n + this + what is vouched for always suffices */
    FORWARD_RESPONSE_EXTRA = 256,  /* cap = raw.n + this + overrides and added always suffices */
    FORWARD_TRACE_HEAD_MAX = 7168, /* larger heads get a new Root instead of a continued trace */
    FORWARD_XFF_MAX = 30,          /* addresses in X-Forwarded-For; more: 463 */
};

struct forwarded {
    size_t n;              /* octets written */
    struct slice trace_id; /* value of X-Amzn-Trace-Id, within `to` (requests only) */
};

/* The HTTP/1.1 head for the target. The body follows with h->framing. REASON_TOO_MANY_FORWARDED,
 * or REASON_HEAD_TOO_LARGE when it does not fit into cap. */
MUST_USE enum reason forward_request(const struct request_head *h, const struct forward_request *c,
                                     char *to, size_t cap, struct forwarded *out);

struct forward_response {
    enum http_version client;
    enum framing framing; /* how the body goes to the client: forward_response_framing() */
    bool keep_alive;      /* else `Connection: close`; not said on 1xx */
    struct slice date;    /* added when the target sent none */
    /* The listener's response_headers: each replaces the target's field of that id (an empty
     * value only removes it). All ids are known ones; mask is the FIELD_BITs of them. Not applied
     * to 1xx. */
    const struct field *overrides;
    uint32_t override_count;
    uint64_t override_mask;
    const struct field *added; /* lines beside the target's own; not on 1xx but 101 */
    uint32_t added_count;
};

/* The framing towards the client: as the target's, but a body without a length goes chunked to
 * HTTP/1.1 and until-close to HTTP/1.0 clients, to which chunks go as until-close too. */
enum framing forward_response_framing(const struct response_head *h, enum http_version client);

/* The head for the client, always "HTTP/1.1". ERR_LIMIT when it does not fit. The caller does not
 * pass interim heads on to HTTP/1.0 clients. */
MUST_USE enum err forward_response(const struct response_head *h, const struct forward_response *c,
                                   char *to, size_t cap, struct forwarded *out);

/* The same for a wire that frames bodies by itself, as HTTP/2 does: the fields alone, without
 * Transfer-Encoding and Connection, each with its id. They point into the head, the context, and
 * `length`, which is a space of TEXT_U64_MAX octets. ERR_LIMIT when there are more than cap; fields.count +
 * override_count + added_count + 2 always suffice. */
MUST_USE enum err forward_response_fields(const struct response_head *h,
                                          const struct forward_response *c, char *length,
                                          struct field *to, uint32_t cap, uint32_t *n);

#endif
