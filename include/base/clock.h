/* Time as a loop sees it: read once a turn, handed down, never asked for on the hot path.
 * Tests set the fields by hand. The texts are rendered at most once a second. Single thread. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#include "base/slice.h"

struct clock {
    uint64_t now_ms;   /* monotonic */
    uint64_t now_us;   /* monotonic */
    int64_t wall_us;   /* since the epoch, UTC */
    int64_t text_sec;  /* second for which the texts hold */
    char http_date[48];   /* "Mon, 23 Nov 2026 21:48:00 GMT" (RFC 9110 5.6.7) */
    char iso_sec[48];     /* "2026-11-23T21:48:00", UTC, to be followed by .uuuuuuZ */
    char clf_time[48];    /* "23/Nov/2026:21:48:00 +0000" */
};

/* From the system's clocks. */
void clock_update(struct clock *c);
/* From given values: what clock_update does with what it read. */
void clock_set(struct clock *c, uint64_t mono_us, int64_t wall_us);

#define CLOCK_HTTP_DATE_BYTES 29

/* Any second in the form of http_date, without a terminator. */
void clock_format_http(char to[CLOCK_HTTP_DATE_BYTES], int64_t sec);

static inline struct slice clock_http_date(const struct clock *c)
{
    return slice_of(c->http_date, CLOCK_HTTP_DATE_BYTES);
}

#endif
