/* How a check asks, by protocol: what is done once the connection is there, and what is made of
 * what comes. Both return HEALTH_RESULT_NONE while there is no verdict. For upstream/checker.c. */
#ifndef UPSTREAM_PROBE_H
#define UPSTREAM_PROBE_H

#include "upstream/checker.h"

struct probe {
    enum health_result (*connected)(struct check *k);
    enum health_result (*readable)(struct check *k); /* NULL: connected() has decided */
};

/* GET path with ELB's headers; the status must be one of the matcher's. */
extern const struct probe probe_http;
/* A connection is all that is asked for; with TLS its handshake. */
extern const struct probe probe_tcp;

#endif
