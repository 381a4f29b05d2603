/* The Location of a redirect action, as ELB builds it: the texts of the configuration with
 * #{protocol} #{host} #{port} #{path} #{query} replaced by what the request had. #{path} comes
 * without its leading slash, #{query} without its `?`. Pure. */
#ifndef PROXY_REDIRECT_H
#define PROXY_REDIRECT_H

#include "base/err.h"
#include "config/model.h"

#define REDIRECT_LOCATION_MAX 8192 /* octets; ALB's limit */

/* What the request was for. */
struct redirect_from {
    struct slice protocol; /* "http" or "https" */
    struct slice host;     /* without port */
    uint16_t port;
    struct slice path; /* as sent, with its leading slash */
    struct slice query;
};

/* Writes `protocol://host[:port]/path[?query]`. The port is left out when it is the protocol's own,
 * the `?` when the query is empty. Of what the client sent, bytes that have no place in a URI
 * (controls, space, `#`, non-ASCII) are written as %XX, so no line can be broken.
 * `to` has REDIRECT_LOCATION_MAX octets. ERR_LIMIT: it would be longer; ERR_NOT_FOUND: no host is
 * known (HTTP/1.0 without Host) and the redirect names none. */
MUST_USE enum err redirect_location(const struct config_redirect *r,
                                    const struct redirect_from *from, char *to,
                                    struct slice *location);

#endif
