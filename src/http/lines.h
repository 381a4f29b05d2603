/* Field lines: the one loop that reads them, for heads and for trailers. Private to http/. */
#ifndef HTTP_LINES_H
#define HTTP_LINES_H

#include "http/fields.h"
#include "http/status.h"

struct lines {
    uint32_t max_line;  /* octets of a line without CRLF */
    uint32_t max_lines; /* at most to->cap */
    /* What was found that is legal but odd. */
    uint32_t odd_names; /* fields with odd_name */
    unsigned seen;      /* enum scan_seen of all values */
    bool suspicious;    /* a name that spells Content-Length or Transfer-Encoding, but for other
                           characters */
    bool empty_name;    /* with REASON_BAD_HEADER: a line began with a colon */
};

/* p .. end: nothing, or lines that each end in CRLF, the last one included. Adds them to `to`.
 * Reasons are those of requests; other callers map them to theirs. */
enum reason lines_read(struct lines *l, const char *p, const char *end, struct fields *to);

#endif
