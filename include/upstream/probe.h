/* How a check asks, by protocol: what is done once the connection is there, and what is made of
 * what comes. Both return HEALTH_RESULT_NONE while there is no verdict, and may say more of another
 * one in k->why. Whatever a target sends, a probe reads and keeps no more than a bounded part of it.
 * For upstream/checker.c. */
#ifndef UPSTREAM_PROBE_H
#define UPSTREAM_PROBE_H

#include "http/h1_writer.h"
#include "upstream/checker.h"

#define PROBE_INTERIMS_MAX 8 /* heads before the answer */

struct probe {
    enum health_result (*connected)(struct check *k);
    enum health_result (*readable)(struct check *k); /* NULL: connected() has decided */
    void (*hung_up)(struct check *k); /* ends k->state, if there is one; NULL: there never is */
};

/* GET path with ELB's headers; the status must be one of the matcher's. */
extern const struct probe probe_http;
/* The same over HTTP/2; gRPC checks: an empty message to the method. See probe_h2.c. */
extern const struct probe probe_h2;
/* A connection is all that is asked for; with TLS its handshake. */
extern const struct probe probe_tcp;

/* What the status of an answer means. */
enum health_result probe_http_judge(struct check *k, uint16_t status);
/* The Host of a check. */
void probe_http_put_host(struct h1_writer *w, const struct addr *to,
                         const struct config_health_check *c);

#endif
