/* What TLS connections of one listener, or to one target group, have in common: certificates,
 * policy, CAs, ticket keys. Wraps an SSL_CTX.
 *
 *   loader thread: tls_ctx_server / tls_ctx_client ─▶ snapshot ─▶ tls_accept / tls_connect (tls.h)
 *
 * Owner: counted references, one of the snapshot and one of each connection, so a reload frees a
 * context when the last handshake that knew it is over. Immutable once made; any thread.
 *
 * Certificates. The first is the default. A client that names a host (SNI) gets the best one of
 * those whose names match, exactly or by `*.`, in ELB's order: ECDSA before RSA, the better hash,
 * the longer key, the longer validity; of those that the client can use. Without a match, or
 * without a name, the default.
 */
#ifndef NET_TLS_CTX_H
#define NET_TLS_CTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "net/crypto.h"
#include "net/tls_policy.h"

struct tls_ctx;

/* Names of PEM files: the certificate with its chain, and its key. ocsp: a response to staple, in
 * DER; NULL: none. */
struct tls_ctx_pair {
    const char *certificate, *key, *ocsp;
};

enum tls_ctx_about {
    TLS_CTX_ABOUT_CERTIFICATE,
    TLS_CTX_ABOUT_KEY,
    TLS_CTX_ABOUT_TRUST_STORE,
    TLS_CTX_ABOUT_REVOCATIONS,
    TLS_CTX_ABOUT_OCSP, /* pair pairs_n: of the whole server */
    TLS_CTX_ABOUT_REST,
};

/* Called before the function that it was given to returns, once for each thing that is wrong or
 * worth a warning. pair: index of the pair or file it is about, 0 for the rest. text lives until it
 * returns. */
struct tls_ctx_complaints {
    void (*say)(void *to, enum tls_ctx_about about, size_t pair, bool error, const char *text);
    void *to;
};

enum tls_mutual_mode {
    TLS_MUTUAL_OFF,
    TLS_MUTUAL_ANY,    /* asked for; any certificate will do, and none too */
    TLS_MUTUAL_VERIFY, /* there must be a good one */
};

/* A chain of clients may be so long, leaf and root not counted, and so big. */
#define TLS_MUTUAL_DEPTH     3
#define TLS_MUTUAL_BYTES_MAX (64u * 1024)

/* Certificates of clients. Good ones have an RSA key of 2,048 to 8,192 bits or one on P-256, P-384
 * or P-521, are made for clients, and lead to a CA of the trust store. Those of a CA that has a
 * revocation list must not be on it, and the list must not be outdated. Nothing is resumed. */
struct tls_ctx_mutual {
    enum tls_mutual_mode mode;
    const char *trust_store;        /* PEM file; with verify, as the rest */
    const char *const *revocations; /* PEM files */
    size_t revocations_n;
    bool ignore_expiry;   /* of the client's own certificate */
    bool advertise_names; /* clients are told which CAs */
};

struct tls_ctx_server {
    const struct tls_ctx_pair *pairs; /* at least one */
    size_t pairs_n;
    const char *ocsp; /* a response for one of them, whichever it is about; NULL: none */
    const struct tls_policy *policy;
    struct slice alpn;           /* in wire form, best first; empty: none */
    struct slice id;             /* tickets are good for contexts with the same id only */
    struct crypto_ring *tickets; /* a reference is taken; NULL: nothing is resumed;
                                    with certificates of clients neither */
    struct tls_ctx_mutual mutual;
    bool ktls; /* the kernel is to encrypt what is sent, where it can: see tls_ktls.h */
};

struct tls_ctx_client {
    bool verify;    /* the target's certificate and its name */
    const char *ca; /* PEM file; NULL: those of the system */
    int64_t wall_s; /* to tell which CAs of the file have expired; 0: no matter */
    struct slice alpn;
};

/* wall_s: now, to tell what has expired. NULL when there was an error. */
MUST_USE struct tls_ctx *tls_ctx_server(const struct tls_ctx_server *o, int64_t wall_s,
                                        const struct tls_ctx_complaints *complaints);
MUST_USE struct tls_ctx *tls_ctx_client(const struct tls_ctx_client *o,
                                        const struct tls_ctx_complaints *complaints);
struct tls_ctx *tls_ctx_ref(struct tls_ctx *x);
void tls_ctx_unref(struct tls_ctx *x); /* NULL is fine */

/* Equal settings have equal fingerprints, other ones have others. Of clients only; never 0. */
uint64_t tls_ctx_fingerprint(const struct tls_ctx *x);

/* When a server's certificate ends, in seconds since the epoch. */
int64_t tls_ctx_expiry(const struct tls_ctx *x, size_t pair);

/* The names for which clients can ask for a server's certificate, exact ones and `*.` ones: in
 * lower case, in the order of the certificate, out of the arena. */
size_t tls_ctx_names(const struct tls_ctx *x, size_t pair, struct arena *a, struct slice **names);

/* Which certificate a client that asks for `name` and can do ECDSA (or not) gets: the index of
 * its pair. For tests and `explain`. */
size_t tls_ctx_pick(const struct tls_ctx *x, struct slice name, bool ecdsa);

#endif
