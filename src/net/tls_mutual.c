/* Certificates of clients: what is asked for, and which ones are good. What they say of themselves
 * is told by tls_peer.c. */
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "tls_internal.h"

#define NAMES_BYTES_MAX 60000 /* the message that holds them has 64 KiB */
#define RSA_BITS_MIN    2048
#define RSA_BITS_MAX    8192

/* ---- at a handshake ---- */

/* Those of ELB: other keys have no place in a trust store's certificates, and checking an RSA
 * signature gets slower with the square of its length. */
static bool has_usable_key(const X509 *x)
{
    EVP_PKEY *key = X509_get0_pubkey(x);
    char curve[32];
    size_t n;
    if (!key)
        return false;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        return EVP_PKEY_get_bits(key) >= RSA_BITS_MIN && EVP_PKEY_get_bits(key) <= RSA_BITS_MAX;
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
        EVP_PKEY_get_group_name(key, curve, sizeof(curve), &n) != 1)
        return false;
    int nid = OBJ_txt2nid(curve);
    return nid == NID_X9_62_prime256v1 || nid == NID_secp384r1 || nid == NID_secp521r1;
}

static struct tls *tls_of_store(X509_STORE_CTX *c)
{
    return tls_of_ssl(X509_STORE_CTX_get_ex_data(c, SSL_get_ex_data_X509_STORE_CTX_idx()));
}

/* Not every CA has a revocation list. */
static bool is_forgiven(X509_STORE_CTX *c)
{
    int what = X509_STORE_CTX_get_error(c);
    bool leaf = X509_STORE_CTX_get_error_depth(c) == 0;
    return what == X509_V_ERR_UNABLE_TO_GET_CRL ||
           (what == X509_V_ERR_CERT_HAS_EXPIRED && leaf && tls_of_store(c)->ctx->ignore_expiry);
}

static int on_verdict(int good, X509_STORE_CTX *c)
{
    if (good || !is_forgiven(c))
        return good;
    X509_STORE_CTX_set_error(c, X509_V_OK);
    return 1;
}

static int verify(X509_STORE_CTX *c)
{
    X509 *leaf = X509_STORE_CTX_get0_cert(c);
    if (has_usable_key(leaf) && X509_verify_cert(c) == 1)
        return 1;
    if (X509_STORE_CTX_get_error(c) == X509_V_OK) /* not of the key alone */
        X509_STORE_CTX_set_error(c, X509_V_ERR_APPLICATION_VERIFICATION);
    struct tls *t = tls_of_store(c);
    if (!t->refused && X509_up_ref(leaf))
        t->refused = leaf;
    return 0;
}

static int on_certificate(X509_STORE_CTX *c, void *arg)
{
    const struct tls_ctx *x = arg;
    if (x->mutual == TLS_MUTUAL_VERIFY)
        return verify(c);
    X509_STORE_CTX_set_error(c, X509_V_OK);
    return 1;
}

/* ---- at loading ---- */

static bool advertise(struct tls_ctx *x, X509_STORE *s, const char *path,
                      const struct tls_ctx_complaints *to)
{
    STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(s);
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    size_t bytes = 0;
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        const X509 *ca = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        X509_NAME *name = ca ? X509_NAME_dup(X509_get_subject_name(ca)) : NULL;
        if (!name)
            continue;
        bytes += 2 + (size_t)i2d_X509_NAME(name, NULL);
        sk_X509_NAME_push(names, name);
    }
    SSL_CTX_set_client_CA_list(x->ssl, names);
    if (bytes <= NAMES_BYTES_MAX)
        return true;
    return tls_pem_complain(to, TLS_CTX_ABOUT_TRUST_STORE, 0, true,
                            "%s: the names of its CAs are too long to be told to clients", path);
}

static X509_STORE *load(const struct tls_ctx_mutual *o, int64_t wall_s,
                        const struct tls_ctx_complaints *to)
{
    bool partial, good = true;
    X509_STORE *s = tls_trust_load(o->trust_store, TLS_CTX_ABOUT_TRUST_STORE, wall_s, to, &partial);
    if (!s)
        return NULL;
    for (size_t i = 0; i < o->revocations_n; i++)
        good = tls_trust_revoke(s, o->revocations[i], i, wall_s, to) && good;
    if (partial)
        X509_STORE_set_flags(s, X509_V_FLAG_PARTIAL_CHAIN);
    if (o->revocations_n)
        X509_STORE_set_flags(s, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    if (good)
        return s;
    X509_STORE_free(s);
    return NULL;
}

bool tls_mutual_set(struct tls_ctx *x, const struct tls_ctx_mutual *o, int64_t wall_s,
                    const struct tls_ctx_complaints *to)
{
    bool must = o->mode == TLS_MUTUAL_VERIFY;
    x->mutual = o->mode;
    x->ignore_expiry = o->ignore_expiry;
    if (o->mode == TLS_MUTUAL_OFF)
        return true;
    SSL_CTX_set_verify(x->ssl, SSL_VERIFY_PEER | (must ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       on_verdict);
    SSL_CTX_set_cert_verify_callback(x->ssl, on_certificate, x);
    SSL_CTX_set_max_cert_list(x->ssl, TLS_MUTUAL_BYTES_MAX);
    SSL_CTX_set_verify_depth(x->ssl, TLS_MUTUAL_DEPTH);
    if (!must)
        return true;
    X509_STORE *s = load(o, wall_s, to);
    if (!s)
        return false;
    SSL_CTX_set0_verify_cert_store(x->ssl, s);
    return !o->advertise_names || advertise(x, s, o->trust_store, to);
}
