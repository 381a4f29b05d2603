/* What exchanges, rules and logs know of a message: its head, in spans into bytes that somebody
 * else holds.
 *
 * Owner: the caller of the parser owns the struct, the field array, the host space and the bytes.
 * A head is valid while all of these stay where they are; head_request_move() takes it to new ones
 * when the bytes have to go (the receive scratch belongs to one task). Nothing here allocates. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "http/desync.h"
#include "http/fields.h"

enum method_id {
    METHOD_OTHER, /* any other token: name in request_head.method, case counts */
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_PATCH,
    METHOD_TRACE,   /* refused with 405 */
    METHOD_CONNECT, /* refused with 405 */
};

/* How the end of a body is found on this side's wire (RFC 9112 6.3). */
enum framing {
    FRAMING_NONE,   /* there is no body */
    FRAMING_LENGTH, /* content_length octets; may be 0 */
    FRAMING_CHUNKED,
    FRAMING_CLOSE, /* responses only: until the target's FIN */
};

enum http_version {
    HTTP_1_0 = 10,
    HTTP_1_1 = 11,
};

enum { HEAD_HOST_MAX = 255 }; /* octets of a host without its port; the host space holds as many */

struct request_head {
    struct slice raw; /* request line up to and with the empty line */
    struct slice method;
    struct slice target;    /* exactly as sent */
    struct slice scheme;    /* of an absolute-form target ("http"), else empty */
    struct slice authority; /* of an absolute-form target, else empty */
    struct slice path;      /* as sent, without the query; "*" for `OPTIONS *`; "/" when an
                               absolute-form target has none */
    struct slice query;     /* after the `?`; empty when there is none or it is empty */
    struct slice host;      /* authority, else Host, as sent; empty only on HTTP/1.0 without Host */
    struct slice host_norm; /* lower case, no port, no trailing dot; within raw or the host space */
    struct fields fields;
    uint64_t content_length; /* with FRAMING_LENGTH */
    char *host_space;        /* caller's, HEAD_HOST_MAX octets */
    uint32_t odd_names;      /* how many fields have odd_name set */
    uint16_t host_port;      /* port in `host`, 0 when it has none */
    uint8_t method_id;       /* enum method_id */
    uint8_t version;         /* enum http_version */
    uint8_t framing;         /* enum framing, never CLOSE */
    uint8_t desync_class;    /* enum desync_class */
    uint8_t desync_cause;    /* enum desync_cause: the first of the worst class */
    bool has_query;          /* there is a `?` */
    bool path_plain;         /* path_normalise() would not change the path */
    bool keep_alive;         /* the client lets us keep the connection; false when `isolate` */
    bool isolate;            /* desync: close client and target connection after this exchange */
    bool expect_continue;    /* HTTP/1.1 with a body and `Expect: 100-continue` */
    bool upgrade_websocket;  /* a GET of HTTP/1.1 without a body that asks for websocket */
    bool te_trailers;        /* `TE: trailers`, named in Connection or not */
    bool connection_names;   /* Connection names fields other than the usual hop-by-hop ones */
};

struct response_head {
    struct slice raw;
    struct slice reason; /* as sent; may be empty */
    struct fields fields;
    uint64_t content_length; /* with has_length */
    uint16_t status;         /* 100..599 */
    uint8_t version;
    uint8_t framing; /* of the body that follows on the target's wire; see h1_parser.h */
    bool has_length; /* Content-Length was sent, perhaps for a body that does not follow (HEAD, 304)
                      */
    bool keep_alive; /* the target will take another request, once this body is whole */
    bool interim;    /* 1xx but not 101: another head follows */
    bool upgrade_websocket; /* 101 to websocket, as asked */
    bool connection_names;
};

/* Ready for the parser: empty, with space for the rest. */
void head_request_init(struct request_head *h, struct field *fields, uint32_t cap,
                       char *host_space);
void head_response_init(struct response_head *h, struct field *fields, uint32_t cap);

/* Copies what h points at to new places and points h there. Room needed: raw.n octets,
 * fields.count fields, HEAD_HOST_MAX octets. The old places are free afterwards. */
void head_request_move(struct request_head *h, char *raw, struct field *fields, char *host_space);
void head_response_move(struct response_head *h, char *raw, struct field *fields);

/* Name of a method as in RFC 9110; METHOD_OTHER for any other. Case counts. */
enum method_id head_method(struct slice name);
/* GET, HEAD, OPTIONS, PUT, DELETE: may be sent twice (RFC 9110 9.2.2). */
bool head_idempotent(enum method_id method);

#endif
