/* Where a body ends (RFC 9112 6), and what Connection and its kin ask for. Private to http/. */
#ifndef HTTP_FRAMING_H
#define HTTP_FRAMING_H

#include "http/head.h"
#include "http/status.h"

struct framing_body {
    uint64_t length;
    bool has_length; /* one Content-Length */
    bool chunked;    /* one Transfer-Encoding: chunked */
};

/* What the framing fields say, and whether they may say so. Both directions; *cause tells requests
 * more. A body follows or not: that is for the caller to know. */
enum reason framing_read(const struct fields *f, enum http_version version, struct framing_body *b,
                         enum desync_cause *cause);

struct framing_options {
    bool close, keep_alive, upgrade;
    bool names; /* others than the hop-by-hop fields of RFC 9110 7.6.1 */
};

/* All lines of Connection. */
struct framing_options framing_connection(const struct fields *f);

#endif
