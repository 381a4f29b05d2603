/* The chunked coding (RFC 9112 7.1), read strictly and without copying; both sides use it.
 *
 *   size[;extensions] CRLF data CRLF ... 0[;extensions] CRLF trailers CRLF
 *
 * The caller hands in the bytes it has and gets one step back: how many octets of them are done
 * with, and at most one slice of body data in them. Sizes and line ends may be cut anywhere. Size:
 * 1 to 16 hex digits, then `;` or CRLF, nothing else; data must be followed by exactly CRLF. The
 * extensions are dropped. Trailers are not consumed before they are whole, like a head. */
#ifndef HTTP_CHUNKED_H
#define HTTP_CHUNKED_H

#include "http/limits.h"
#include "http/status.h"

struct chunked {
    uint64_t left;  /* octets of the current chunk still to come */
    uint32_t line;  /* octets of the current size line; start of the current trailer line */
    uint32_t at;    /* trailers: searched so far */
    uint32_t lines; /* trailers: whole lines */
    uint8_t digits; /* of the current size */
    uint8_t state;  /* private */
};

enum chunked_event {
    CHUNKED_MORE, /* needs more bytes, beyond the ones not consumed */
    CHUNKED_DATA, /* `data` is body; go on with the rest */
    CHUNKED_FULL, /* data is there, but `room` is 0: go on when there is room */
    CHUNKED_END,  /* whole; `data` holds the trailer lines (mostly none) for validate_trailers;
                     what was not consumed belongs to the next message */
    CHUNKED_BAD,  /* malformed, or a line too long: BAD_CHUNK, from a target BAD_RESPONSE_CHUNK */
    CHUNKED_TRAILERS_TOO_LARGE,
};

struct chunked_step {
    enum chunked_event event;
    size_t consumed;   /* octets of `in` that are done with, the data included */
    struct slice data; /* within the consumed part of `in` */
};

void chunked_init(struct chunked *c);

/* At most `room` octets of data come in one step. Not to be called again after END or an error. */
struct chunked_step chunked_scan(struct chunked *c, struct slice in, size_t room,
                                 const struct limits *limits);

#endif
