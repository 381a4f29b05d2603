/* HTTP/1 heads, both directions (RFC 9112): find the end of a head, then parse it in one piece.
 *
 *   bytes ──▶ h1_parser_find ──▶ whole head ──▶ validate ──▶ http-parser ──▶ head
 *               │ too long: at once                │ refused      │ reads it otherwise: refused
 *
 * http-parser (Debian's 2.9.4, the lenient build) never sees an octet that validate refused; where
 * the two read a different message the request is 400 and the response 502. Of a request it reads
 * every octet and every span is compared; of a response the lines that frame the body, unless
 * there is one such line in canonical form, which has one reading only (src/http/second.h). A
 * method or target that http-parser does not know is shown to it as `GET /`.
 *
 * No I/O, no allocation, no state but the caller's structs. Bodies are not parsed here: count
 * content_length, or use chunked.h. */
#ifndef HTTP_H1_PARSER_H
#define HTTP_H1_PARSER_H

#include "base/err.h"
#include "http/validate.h"

/* Where the search for the end of a head stands. Zero it for each head. The offsets are relative
 * to the first byte of the head: it may move between calls, but not lose bytes. */
struct h1_finder {
    uint32_t at;    /* searched so far */
    uint32_t line;  /* start of the line that `at` is in */
    uint32_t lines; /* whole lines seen */
    uint32_t skip;  /* octets of an empty line before the request line (RFC 9112 2.2): 0 or 2 */
};

enum h1_found {
    H1_FOUND_MORE, /* not whole yet: call again with more bytes, from the same start */
    H1_FOUND_HEAD, /* bytes[skip .. skip+length) is the head, with its empty line */
    H1_FOUND_BAD,  /* refuse now, more bytes change nothing: see reason */
};

struct h1_find_result {
    enum h1_found found;
    enum reason reason;  /* with BAD: too large in one way or another, or BAD_LINE_END */
    size_t skip, length; /* with HEAD */
};

/* All bytes that are there, from the first of the message. Work is linear in the bytes over all
 * calls. At most one empty line is skipped before a request line, none before a status line. */
struct h1_find_result h1_parser_find_request(struct h1_finder *f, struct slice bytes,
                                             const struct limits *limits);
struct h1_find_result h1_parser_find_response(struct h1_finder *f, struct slice bytes,
                                              const struct limits *limits);

/* raw: exactly the head that find reported. REASON_NONE: accepted, h is filled. Anything else is
 * the reason to refuse with (status_of() gives the code) and to close the connection. */
MUST_USE enum reason h1_parser_request(struct slice raw, const struct limits *limits,
                                       enum desync_mode mode, struct request_head *h);

/* The same for a head that h2_session wrote down: what HTTP/2 delimits by lengths cannot be read
 * otherwise by the next hop if the text is as we write it, which is checked; only if it is not,
 * http-parser is asked. */
MUST_USE enum reason h1_parser_written_request(struct slice raw, const struct limits *limits,
                                               enum desync_mode mode, struct request_head *h);

/* The answer to a request with that method; `upgrade` when the request asked for websocket.
 * Framing of the result: NONE for 1xx, 204, 304 and answers to HEAD; CHUNKED; LENGTH; else CLOSE.
 * keep_alive is false with CLOSE. Refusals are 502. */
MUST_USE enum reason h1_parser_response(struct slice raw, const struct limits *limits,
                                        enum method_id method, bool upgrade,
                                        struct response_head *h);

#endif
