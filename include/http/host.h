/* Host values and authorities (RFC 3986 3.2.2). Pure. */
#ifndef HTTP_HOST_H
#define HTTP_HOST_H

#include "base/err.h"
#include "base/slice.h"

struct host {
    struct slice name; /* without the port, as sent; an IPv6 address with its brackets */
    struct slice norm; /* name in lower case without trailing dot; within the value or `space` */
    uint16_t port;     /* 0: none */
};

/* A name of letters, digits, `-._~`, an IPv4 address or a bracketed IPv6 address, then perhaps a
 * port. ERR_SYNTAX else: empty, a name beyond HEAD_HOST_MAX, user info, escapes, port 0 or > 65535.
 * `space` has HEAD_HOST_MAX octets. */
MUST_USE enum err host_parse(struct slice value, char *space, struct host *out);

#endif
