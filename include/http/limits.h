/* How much of each thing a peer may send. All count octets without the line end (CRLF), so a limit
 * says what a user sees: a field line of exactly `header` octets passes, one more does not.
 * Filled from the `limits` of the configuration; constant while a snapshot lives. */
#ifndef HTTP_LIMITS_H
#define HTTP_LIMITS_H

#include <stdint.h>

struct limits {
    uint32_t request_line;  /* beyond: 414 */
    uint32_t header;        /* one field line of a request; beyond: 431 */
    uint32_t request_head;  /* request line and field lines together; beyond: 431 */
    uint32_t response_head; /* status line and field lines together; beyond: 502 */
    uint32_t headers;    /* field lines of a head or of trailers; beyond: 431, from a target 502 */
    uint32_t trailers;   /* field lines of the trailers together; beyond: 431 or cut */
    uint32_t chunk_line; /* chunk size and extensions; beyond: 400, from a target 502 */
};

#define LIMITS_DEFAULT                                                                             \
    {                                                                                              \
        .request_line = 16384, .header = 16384, .request_head = 65536, .response_head = 32768,     \
        .headers = 200, .trailers = 8192, .chunk_line = 256,                                       \
    }

#endif
