/* What tenbin vouches for towards targets: the certificate that a client showed, as ALB's
 * X-Amzn-Mtls-* headers. Made once a connection, after its handshake; requests only refer to it.
 * With `passthrough` the whole chain, with `verify` its leaf in parts.
 *
 * Owner: the session. Immutable. Fields of these names that a client sends never pass
 * (FIELD_VOUCHED).
 */
#ifndef PROXY_VOUCHED_H
#define PROXY_VOUCHED_H

#include "http/fields.h"
#include "net/conn.h"

#define VOUCHED_MAX 5

struct vouched {
    uint32_t n;
    struct field at[VOUCHED_MAX];
    char text[]; /* the values */
};

/* NULL: the client showed none, or was not asked. */
struct vouched *vouched_new(const struct conn *c);
void vouched_free(struct vouched *v); /* NULL is fine */

#endif
