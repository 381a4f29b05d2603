/* What the files of net/tls* know of each other. */
#ifndef NET_TLS_INTERNAL_H
#define NET_TLS_INTERNAL_H

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "net/conn.h"
#include "net/tls_ctx.h"

struct tls_ctx;

/* One certificate with its key and chain. */
struct tls_certificate {
    X509 *leaf;
    EVP_PKEY *key;
    STACK_OF(X509) * chain;
    bool ecdsa;
    unsigned hash_bits, key_bits;
    int64_t seconds;       /* length of its validity */
    size_t pair;           /* as configured */
    unsigned char *staple; /* an OCSP response, DER; NULL: none */
    int staple_n;
    int64_t staple_until_s; /* wall clock: it is outdated then */
};

/* Complains and returns false when it cannot be served. */
bool tls_certificate_load(struct tls_certificate *c, const struct tls_ctx_pair *files,
                          int64_t wall_s, const struct tls_ctx_complaints *complaints);
void tls_certificate_fini(struct tls_certificate *c);
/* Negative: a is to be preferred. Never 0 for different pairs. */
int tls_certificate_compare(const struct tls_certificate *a, const struct tls_certificate *b);

/* tls_pem.c: reading files, and saying what is wrong with them. */

/* The whole file. NULL: errno, EFBIG when it has max bytes or more. */
BIO *tls_pem_open(const char *path, size_t max);
/* For PEM_read_bio_*: a key that wants a password would make OpenSSL ask on the terminal. */
int tls_pem_no_password(char *to, int size, int writing, void *ctx);
/* The last PEM_read_bio_* found no further piece, and nothing worse. */
bool tls_pem_ended(void);
/* The reason at the end of OpenSSL's queue, which is emptied. A static text, never NULL. */
const char *tls_pem_reason(void);
/* One line of a subject, at most 127 bytes. */
void tls_pem_name(X509 *x, char to[128]);
/* Since the epoch; INT64_MAX when it is no time, or NULL. */
int64_t tls_pem_seconds(const ASN1_TIME *t);
/* Always false. */
__attribute__((format(printf, 5, 6))) bool tls_pem_complain(const struct tls_ctx_complaints *to,
                                                            enum tls_ctx_about about, size_t pair,
                                                            bool error, const char *fmt, ...);

/* tls_trust.c: the CAs of a file, judged: at least one, none of them expired. *partial (may be
 * NULL): some of them lead to no root of the file. NULL after a complaint. */
X509_STORE *tls_trust_load(const char *path, enum tls_ctx_about about, int64_t wall_s,
                           const struct tls_ctx_complaints *to, bool *partial);
/* Adds the lists of a file. False after a complaint. */
bool tls_trust_revoke(X509_STORE *s, const char *path, size_t index, int64_t wall_s,
                      const struct tls_ctx_complaints *to);

/* tls_ocsp.c: the response of a file, for that one of the certificates that it is about. False after
 * a complaint. */
bool tls_ocsp_load(const char *path, size_t index, struct tls_certificate *all, size_t n,
                   int64_t wall_s, const struct tls_ctx_complaints *to);
/* After the last one was loaded, and the certificates stay where they are. */
void tls_ocsp_set(struct tls_ctx *x);

/* tls_mutual.c: certificates of clients are asked for, and judged, as o says. */
bool tls_mutual_set(struct tls_ctx *x, const struct tls_ctx_mutual *o, int64_t wall_s,
                    const struct tls_ctx_complaints *to);

/* Which certificates are for which names. */
struct tls_name {
    uint64_t hash;
    char *text; /* lower case */
    size_t n;
    size_t rank; /* index into the certificates, best first */
};

struct tls_names {
    struct tls_name *all; /* by hash, then rank */
    size_t n, cap;
};

void tls_names_add(struct tls_names *t, X509 *leaf, size_t rank);
void tls_names_ready(struct tls_names *t); /* after the last add */
void tls_names_fini(struct tls_names *t);

/* Goes through the ranks of all certificates for a name, best first. */
struct tls_names_walk {
    struct slice exact, wild;
    const struct tls_name *at[2];
    char space[2][256];
};
void tls_names_find(const struct tls_names *t, struct slice name, struct tls_names_walk *w);
bool tls_names_next(const struct tls_names *t, struct tls_names_walk *w, size_t *rank);

struct tls_ctx {
    SSL_CTX *ssl;
    atomic_uint refs;
    bool server, verify;
    bool ktls; /* the kernel encrypts what is sent, where it can */
    enum tls_mutual_mode mutual;
    bool ignore_expiry; /* of clients' certificates */
    uint64_t fingerprint;
    struct crypto_ring *tickets;
    EVP_CIPHER *ticket_cipher;
    unsigned char *alpn;
    unsigned alpn_n;
    struct tls_certificate *certificates; /* best first */
    size_t certificates_n;
    size_t first; /* index of the default one */
    struct tls_names names;
};

/* One connection. */
struct tls {
    SSL *ssl;
    struct conn *conn;
    struct tls_ctx *ctx;
    struct slice in;    /* ciphertext that OpenSSL may take now */
    struct chunk *rest; /* ciphertext that was left between two calls */
    struct list warm;   /* in the loop's list of those that hold buffers */
    struct tls_resume *resume;
    uint64_t resume_key;
    const char *why;
    X509 *refused;     /* the client's certificate that was not good enough */
    long verdict;      /* X509_V_…, of a failed handshake */
    int reason;        /* SSL_R_…, likewise */
    unsigned messages; /* of the handshake protocol, since the handshake */
    int fault;         /* errno of what is to be said by the next recv */
    bool started;      /* something was received */
    bool ready;        /* the handshake is done */
    bool ended;        /* close_notify or FIN came: to be said by the next recv */
    bool ending;       /* close_notify is being sent */
    bool dead;         /* no call of OpenSSL makes sense any more */
};

/* tls.c: what is to be sent during the handshake, or by us, goes through a scratch. */
void tls_put(struct tls *t, const char *p, size_t n);
void tls_flush(struct tls *t);
bool tls_unsent(const struct tls *t); /* some of it waits, here or in the conn */

/* tls_ktls.c: the BIO that OpenSSL sends through. NULL: no memory. */
BIO *tls_ktls_bio(struct tls *t, BIO_METHOD *method);
BIO_METHOD *tls_ktls_method(void); /* one for all of a loop; the caller frees it */
/* After the handshake: it is known who encrypts. */
void tls_ktls_decide(struct tls *t);
/* The peer asks for new keys to be sent with, which the kernel cannot be given. */
bool tls_ktls_outdated(const struct tls *t, const unsigned char *message, size_t n);

/* For callbacks of the context. */
static inline struct tls *tls_of_ssl(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

/* tls_resume.c: a session came from the server of this connection. */
int tls_resume_take(SSL *ssl, SSL_SESSION *session);
void tls_resume_offer(struct tls *t); /* before the handshake */
void tls_resume_renew(struct tls *t); /* after it */

#endif
