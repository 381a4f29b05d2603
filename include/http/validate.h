/* The gate: what may come in from a client, and what may come back from a target. One pass over
 * the raw head, line by line, which finds every span, checks every octet, decides the framing, and
 * classifies what is legal but odd (http/desync.h). Nothing is accepted anywhere else.
 *
 * Refused in every mode: bare CR or LF, NUL, folding, white space before the colon, a name that is
 * no token, Content-Length that is no plain number or occurs twice, Content-Length beside
 * Transfer-Encoding, Transfer-Encoding in HTTP/1.0, twice, empty or ending otherwise than in one
 * `chunked`, a missing, repeated or malformed Host, a version other than 1.0 and 1.1, TRACE and
 * CONNECT, a path above its root, a fragment in the target.
 *
 * Pure, no allocation, never reads outside of `raw`. h1_parser calls it and then asks http-parser
 * for a second opinion: use h1_parser, not this, unless the bytes need no such. */
#ifndef HTTP_VALIDATE_H
#define HTTP_VALIDATE_H

#include "http/head.h"
#include "http/limits.h"
#include "http/status.h"

/* raw: one whole head with its empty line and nothing after it. h: from head_request_init. On a
 * refusal h holds what was understood before (method, target: for the log). */
enum reason validate_request(struct slice raw, const struct limits *limits, enum desync_mode mode,
                             struct request_head *h);

/* `method` is that of the request, `upgrade` whether it asked for websocket. */
enum reason validate_response(struct slice raw, const struct limits *limits, enum method_id method,
                              bool upgrade, struct response_head *h);

/* raw: the field lines of a trailer section, each with its CRLF, without the empty line. Fields
 * that have no business in trailers (RFC 9110 6.5.1: framing, routing, authentication, request
 * modifiers, Content-*, and all that tenbin sets) are left out of `to`, not refused. */
enum reason validate_trailers(struct slice raw, const struct limits *limits, struct fields *to);

#endif
