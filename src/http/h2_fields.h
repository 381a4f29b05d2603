/* A field list of HTTP/2 written down as the HTTP/1.1 text that it stands for, so that there is one
 * gate (validate.h) for what comes in on either wire. Private to http/.
 *
 *   :method :path :authority :scheme ─▶ "GET /a HTTP/1.1", "Host: ..."
 *   fields, as they are              ─▶ lines;  cookie crumbs ─▶ one line (RFC 9113 8.2.3)
 *   no length although a body comes  ─▶ "transfer-encoding: chunked"
 *   :status                          ─▶ "HTTP/1.1 200 "
 *   CONNECT, :protocol websocket     ─▶ "GET /a HTTP/1.1", "Upgrade: websocket" (RFC 8441 5)
 *
 * What could not be written down without getting another meaning is malformed (RFC 9113 8.2, 8.3):
 * CR, LF or NUL, white space around a value, upper case, fields of the connection, a second Host.
 * nghttp2 refuses most of it before; nothing here relies on that.
 *
 * Owner: the codec, one at a time: header blocks of a connection never interleave. Memory: chunks;
 * those of one block serve for the next, until fini. */
#ifndef HTTP_H2_FIELDS_H
#define HTTP_H2_FIELDS_H

#include "base/chunk.h"
#include "base/err.h"
#include "base/hash.h"
#include "http/head.h"
#include "http/limits.h"
#include "http/status.h"

enum h2_fields_kind { H2_FIELDS_REQUEST, H2_FIELDS_RESPONSE, H2_FIELDS_TRAILERS };

struct h2_fields_value {
    uint32_t at, n; /* in `pseudo`; n == 0: not there */
};

struct h2_fields {
    struct chunkpool *pool;
    const struct limits *limits;
    struct chunk *pseudo, *text, *cookie;
    struct h2_fields_value method, path, authority, scheme, protocol, status;
    struct rng *websockets; /* set after begin; NULL: no extended CONNECT */
    uint64_t listed_bytes;  /* RFC 9113 6.5.2: names, values and 32 for each field */
    enum h2_fields_kind kind;
    bool upgrade; /* an extended CONNECT to websocket */
    bool has_length;
    bool cut;       /* beyond the limits: what came later is left out */
    bool malformed; /* for good */
};

/* After fini, or behind another block. */
void h2_fields_begin(struct h2_fields *f, struct chunkpool *pool, const struct limits *limits,
                     enum h2_fields_kind kind);
/* ERR_SYNTAX: malformed, now or before. ERR_LIMIT: so far beyond all limits that the connection
 * has to go. */
MUST_USE enum err h2_fields_add(struct h2_fields *f, struct slice name, struct slice value);

/* Of a response whose :status has come; else 0. */
unsigned h2_fields_status(const struct h2_fields *f);

/* The text: a whole head, or the lines of trailers. end: no body follows. *why: a limit that the
 * gate cannot see any more, because what broke it was left out. Valid until begin or fini. */
MUST_USE enum err h2_fields_finish(struct h2_fields *f, bool end, struct slice *text,
                                   enum reason *why);
/* Idempotent. */
void h2_fields_fini(struct h2_fields *f);

#endif
