/* A certificate is judged when it is loaded, so that no handshake finds out: files, PEM, key,
 * every link of the chain, dates. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "tls_internal.h"

#define FILE_BYTES_MAX (1024 * 1024)
#define CHAIN_MAX      16
#define SOON_S         (30 * 86400)

/* ---- files ---- */

static bool read_chain(struct tls_certificate *c, BIO *b)
{
    X509 *x;
    c->leaf = PEM_read_bio_X509(b, NULL, tls_pem_no_password, NULL);
    c->chain = sk_X509_new_null();
    while (c->leaf && sk_X509_num(c->chain) < CHAIN_MAX &&
           (x = PEM_read_bio_X509(b, NULL, tls_pem_no_password, NULL)))
        sk_X509_push(c->chain, x);
    bool good = c->leaf && tls_pem_ended();
    if (good)
        ERR_clear_error();
    return good;
}

static bool load_files(struct tls_certificate *c, const struct tls_ctx_pair *files,
                       const struct tls_ctx_complaints *to)
{
    BIO *b = tls_pem_open(files->certificate, FILE_BYTES_MAX);
    if (!b)
        return tls_pem_complain(to, TLS_CTX_ABOUT_CERTIFICATE, c->pair, true, "%s: %s", files->certificate,
                        strerror(errno));
    bool good = read_chain(c, b);
    BIO_free(b);
    if (!good)
        return tls_pem_complain(to, TLS_CTX_ABOUT_CERTIFICATE, c->pair, true,
                        "%s: no certificates in PEM form: %s", files->certificate,
                        tls_pem_reason());
    b = tls_pem_open(files->key, FILE_BYTES_MAX);
    if (!b)
        return tls_pem_complain(to, TLS_CTX_ABOUT_KEY, c->pair, true, "%s: %s", files->key,
                        strerror(errno));
    c->key = PEM_read_bio_PrivateKey(b, NULL, tls_pem_no_password, NULL);
    BIO_free(b);
    if (!c->key)
        return tls_pem_complain(to, TLS_CTX_ABOUT_KEY, c->pair, true,
                        "%s: no private key in PEM form without a password: %s", files->key,
                        tls_pem_reason());
    return true;
}

/* ---- judgement ---- */

static void name_of(X509 *x, char to[128])
{
    X509_NAME_oneline(X509_get_subject_name(x), to, 128);
}

static bool links(X509 *subject, X509 *issuer)
{
    bool good = X509_check_issued(issuer, subject) == X509_V_OK &&
                X509_verify(subject, X509_get0_pubkey(issuer)) == 1;
    ERR_clear_error();
    return good;
}

static bool check_chain(const struct tls_certificate *c, const char *file, int64_t wall_s,
                        const struct tls_ctx_complaints *to)
{
    time_t now = (time_t)wall_s;
    X509 *below = c->leaf;
    char name[128], lower[128];
    for (int i = 0; i < sk_X509_num(c->chain); i++) {
        X509 *x = sk_X509_value(c->chain, i);
        name_of(x, name);
        name_of(below, lower);
        if (!links(below, x))
            return tls_pem_complain(to, TLS_CTX_ABOUT_CERTIFICATE, c->pair, true,
                            "%s: certificate %d of the chain (%s) is not the issuer of the one "
                            "before it (%s)",
                            file, i + 2, name, lower);
        if (X509_cmp_time(X509_get0_notAfter(x), &now) < 0)
            return tls_pem_complain(to, TLS_CTX_ABOUT_CERTIFICATE, c->pair, true,
                            "%s: certificate %d of the chain (%s) has expired", file, i + 2, name);
        below = x;
    }
    return true;
}

static void warn_of_dates(const struct tls_certificate *c, const char *file, int64_t wall_s,
                          const struct tls_ctx_complaints *to)
{
    time_t now = (time_t)wall_s, soon = now + SOON_S;
    const ASN1_TIME *end = X509_get0_notAfter(c->leaf);
    int days = 0, seconds = 0;
    if (X509_cmp_time(end, &now) < 0)
        tls_pem_complain(to, TLS_CTX_ABOUT_CERTIFICATE, c->pair, false, "%s: the certificate has expired",
                 file);
    else if (X509_cmp_time(end, &soon) < 0 && ASN1_TIME_diff(&days, &seconds, NULL, end))
        tls_pem_complain(to, TLS_CTX_ABOUT_CERTIFICATE, c->pair, false,
                 "%s: the certificate expires in %d days", file, days);
    if (X509_cmp_time(X509_get0_notBefore(c->leaf), &now) > 0)
        tls_pem_complain(to, TLS_CTX_ABOUT_CERTIFICATE, c->pair, false,
                 "%s: the certificate is not valid yet", file);
}

/* What OpenSSL's security level says of key and hash. */
static bool acceptable(const struct tls_certificate *c)
{
    SSL_CTX *probe = SSL_CTX_new(TLS_server_method());
    bool good = probe && SSL_CTX_use_cert_and_key(probe, c->leaf, c->key, c->chain, 1) == 1;
    SSL_CTX_free(probe);
    return good;
}

static void measure(struct tls_certificate *c)
{
    int hash = NID_undef, days = 0, seconds = 0;
    c->ecdsa = EVP_PKEY_get_base_id(c->key) != EVP_PKEY_RSA;
    c->key_bits = (unsigned)EVP_PKEY_get_bits(c->key);
    X509_get_signature_info(c->leaf, &hash, NULL, NULL, NULL);
    const EVP_MD *md = hash == NID_undef ? NULL : EVP_get_digestbynid(hash);
    c->hash_bits = md ? (unsigned)EVP_MD_get_size(md) * 8 : 0;
    if (ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(c->leaf), X509_get0_notAfter(c->leaf)))
        c->seconds = (int64_t)days * 86400 + seconds;
    ERR_clear_error();
}

bool tls_certificate_load(struct tls_certificate *c, const struct tls_ctx_pair *files,
                          int64_t wall_s, const struct tls_ctx_complaints *complaints)
{
    if (!load_files(c, files, complaints))
        return false;
    if (X509_check_private_key(c->leaf, c->key) != 1) {
        ERR_clear_error();
        return tls_pem_complain(complaints, TLS_CTX_ABOUT_KEY, c->pair, true,
                        "%s: the key does not belong to the certificate %s", files->key,
                        files->certificate);
    }
    if (!acceptable(c))
        return tls_pem_complain(complaints, TLS_CTX_ABOUT_CERTIFICATE, c->pair, true,
                        "%s: not fit for use: %s", files->certificate, tls_pem_reason());
    if (!check_chain(c, files->certificate, wall_s, complaints))
        return false;
    warn_of_dates(c, files->certificate, wall_s, complaints);
    measure(c);
    return true;
}

void tls_certificate_fini(struct tls_certificate *c)
{
    X509_free(c->leaf);
    EVP_PKEY_free(c->key);
    sk_X509_pop_free(c->chain, X509_free);
    OPENSSL_free(c->staple);
    *c = (struct tls_certificate){0};
}

static int more_first(uint64_t a, uint64_t b)
{
    return (a < b) - (a > b);
}

int tls_certificate_compare(const struct tls_certificate *a, const struct tls_certificate *b)
{
    int c = more_first(a->ecdsa, b->ecdsa);
    c = c ? c : more_first(a->hash_bits, b->hash_bits);
    c = c ? c : more_first(a->key_bits, b->key_bits);
    c = c ? c : more_first((uint64_t)a->seconds, (uint64_t)b->seconds);
    return c ? c : more_first(b->pair, a->pair);
}
