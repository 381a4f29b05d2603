/* Octet classes of RFC 9110 and 9112, and the three scans of the hot path: how far a token, a
 * field value or a request target goes. 16 octets at a time with SSE2, which every x86-64 has; one
 * at a time elsewhere and at the end of the bytes. No scan reads at or beyond `end`. */
#ifndef HTTP_SCAN_H
#define HTTP_SCAN_H

#include "base/slice.h"

enum scan_class {
    SCAN_TOKEN = 1,      /* tchar (RFC 9110 5.6.2) */
    SCAN_PLAIN = 2,      /* letters, digits, `-` */
    SCAN_UNRESERVED = 4, /* RFC 3986 2.3 */
    SCAN_HEX = 8,
    SCAN_SPACE = 16, /* OWS: space and tab */
};

extern const uint8_t scan_classes[256];

static inline bool scan_is(char c, unsigned classes)
{
    return scan_classes[(unsigned char)c] & classes;
}

/* The first octet that is not of a token. *odd is set when the token has more than SCAN_PLAIN. */
const char *scan_token(const char *p, const char *end, bool *odd);

enum scan_seen {
    SCAN_SEEN_CONTROL = 1, /* 01-1f without tab, 7f; in a target also tab */
    SCAN_SEEN_HIGH = 2,    /* 80-ff */
    SCAN_SEEN_SPACE = 4,   /* targets only, like all below */
    SCAN_SEEN_HASH = 8,
    SCAN_SEEN_PERCENT = 16,
    SCAN_SEEN_DOT = 32, /* a dot behind a slash */
};

/* The first CR, LF or NUL, or end. Adds to *seen what lies before it. */
const char *scan_text(const char *p, const char *end, unsigned *seen);

/* What the octets of a (part of a) target contain. None of them is CR, LF or NUL. */
unsigned scan_target(const char *p, const char *end);

/* 0..15, or 16 for no hex digit. */
static inline unsigned scan_hex(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    unsigned v = (unsigned)(slice_lower(c) - 'a');
    return v < 6 ? v + 10 : 16;
}

#endif
