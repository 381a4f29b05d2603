/* May a request be sent again after its connection to a target died? Pure (our own policy within
 * RFC 9110 9.2.2). Whether there is a target left is the lease's business. */
#ifndef PROXY_RETRY_H
#define PROXY_RETRY_H

#include <stdbool.h>

struct retry_facts {
    bool any_byte_written;  /* of the request, to the connection that died */
    bool any_byte_received; /* of the response */
    bool idempotent;        /* GET, HEAD, OPTIONS, PUT, DELETE */
    bool has_body;
    bool raw; /* no requests, only bytes */
};

bool retry_allowed(const struct retry_facts *f);

#endif
