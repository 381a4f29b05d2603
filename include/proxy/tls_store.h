/* The secrets of a snapshot: ticket keys, cookie keys, and the TLS contexts: one for each https and
 * tls listener, and one for each https and tls group. Made from files on the loader thread, so that a
 * bad certificate refuses a reload. A refresh takes over what its files have not changed since, and
 * also what cannot be read from them any more: that is a warning.
 * Owner: the snapshot; connections hold references of their own, so freeing one ends none. */
#ifndef PROXY_TLS_STORE_H
#define PROXY_TLS_STORE_H

#include "config/report.h"
#include "proxy/snapshot.h"

struct tls_store_options {
    struct crypto_ring *tickets, *cookies; /* keys of the present snapshot, or NULL: random ones
                                              are kept over reloads */
    uint64_t now_ms;             /* monotonic */
    int64_t wall_s;              /* to tell what has expired */
    const struct snapshot *old;  /* a refresh: the one that runs, of the same configuration */
};

/* From the system's clocks. */
struct tls_store_options tls_store_options_default(struct crypto_ring *tickets,
                                                   struct crypto_ring *cookies);

/* Once, on a compiled snapshot that is not bound yet. False when the report got an error: the
 * snapshot can then only be freed. */
MUST_USE bool tls_store_load(struct snapshot *s, const struct tls_store_options *o,
                             struct report *r);
/* For snapshot_free(). */
void tls_store_free(struct snapshot *s);

/* The context for connections that this loop accepts. All loops share it: whether each should
 * have its own is decided here and nowhere else. */
static inline struct tls_ctx *tls_store_of(const struct listener *l, const struct loop *loop)
{
    (void)loop;
    return l->tls;
}

#endif
