#include "net/tls_peer.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "tls_internal.h"

static X509 *shown(const struct conn *c)
{
    const struct tls *t = c->transport ? c->transport_state : NULL;
    if (!t)
        return NULL;
    return t->refused ? t->refused : SSL_get0_peer_certificate(t->ssl);
}

bool tls_peer_shown(const struct conn *c)
{
    return shown(c);
}

bool tls_peer_verified(const struct conn *c)
{
    const struct tls *t = c->transport ? c->transport_state : NULL;
    return t && t->ready && t->ctx->mutual == TLS_MUTUAL_VERIFY;
}

/* ---- texts ---- */

static void put_serial(struct strbuf *to, const X509 *x)
{
    BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
    char *hex = n ? BN_bn2hex(n) : NULL;
    strbuf_str(to, hex ? hex : "");
    OPENSSL_free(hex);
    BN_free(n);
}

static void put_bio(struct strbuf *to, BIO *b, void (*put)(struct strbuf *, const char *, size_t))
{
    char *p;
    long n = BIO_get_mem_data(b, &p);
    if (n > 0)
        put(to, p, (size_t)n);
}

static void put_plain(struct strbuf *to, const char *p, size_t n)
{
    strbuf_add(to, p, n);
}

/* This form escapes everything that is not visible ASCII. */
static void put_name(struct strbuf *to, const X509_NAME *name)
{
    BIO *b = BIO_new(BIO_s_mem());
    CHECK(b);
    (void)X509_NAME_print_ex(b, name, 0, XN_FLAG_RFC2253);
    put_bio(to, b, put_plain);
    BIO_free(b);
}

static void put_time(struct strbuf *to, const char *what, const ASN1_TIME *when)
{
    struct tm tm;
    char text[32];
    if (ASN1_TIME_to_tm(when, &tm) != 1 || !strftime(text, sizeof(text), "%FT%TZ", &tm))
        text[0] = '\0';
    strbuf_printf(to, "%s=%s", what, text);
}

static bool is_safe(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-_.~+=/", c));
}

static void put_encoded(struct strbuf *to, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (is_safe(p[i]))
            strbuf_add(to, &p[i], 1);
        else
            strbuf_printf(to, "%%%02X", (unsigned char)p[i]);
    }
}

static void put_pem(struct strbuf *to, X509 *x)
{
    BIO *b = BIO_new(BIO_s_mem());
    CHECK(b);
    (void)PEM_write_bio_X509(b, x);
    put_bio(to, b, put_encoded);
    BIO_free(b);
}

/* On a server the chain that OpenSSL keeps begins behind the leaf. */
static void put_chain(struct strbuf *to, const struct conn *c)
{
    const struct tls *t = c->transport_state;
    STACK_OF(X509) *rest = SSL_get_peer_cert_chain(t->ssl);
    put_pem(to, shown(c));
    for (int i = 0; i < sk_X509_num(rest); i++)
        put_pem(to, sk_X509_value(rest, i));
}

void tls_peer_put(const struct conn *c, enum tls_peer_item what, struct strbuf *to)
{
    X509 *x = shown(c);
    switch (what) {
    case TLS_PEER_SERIAL:
        put_serial(to, x);
        break;
    case TLS_PEER_ISSUER:
        put_name(to, X509_get_issuer_name(x));
        break;
    case TLS_PEER_SUBJECT:
        put_name(to, X509_get_subject_name(x));
        break;
    case TLS_PEER_VALIDITY:
        put_time(to, "NotBefore", X509_get0_notBefore(x));
        put_time(to, ";NotAfter", X509_get0_notAfter(x));
        break;
    case TLS_PEER_LEAF:
        put_pem(to, x);
        break;
    case TLS_PEER_CHAIN:
        put_chain(to, c);
        break;
    }
    ERR_clear_error();
}

/* ---- failures ---- */

static const struct {
    long verdict;
    const char *word;
} words[] = {
    {X509_V_ERR_CERT_CHAIN_TOO_LONG, "ClientCertMaxChainDepthExceeded"},
    {X509_V_ERR_CERT_REVOKED, "ClientCertCrlHit"},
    {X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER, "ClientCertCrlProcessingError"},
    {X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE, "ClientCertCrlProcessingError"},
    {X509_V_ERR_CRL_SIGNATURE_FAILURE, "ClientCertCrlProcessingError"},
    {X509_V_ERR_CRL_NOT_YET_VALID, "ClientCertCrlProcessingError"},
    {X509_V_ERR_CRL_HAS_EXPIRED, "ClientCertCrlProcessingError"},
    {X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD, "ClientCertCrlProcessingError"},
    {X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD, "ClientCertCrlProcessingError"},
    {X509_V_ERR_KEYUSAGE_NO_CRL_SIGN, "ClientCertCrlProcessingError"},
    {X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION, "ClientCertCrlProcessingError"},
    {X509_V_ERR_DIFFERENT_CRL_SCOPE, "ClientCertCrlProcessingError"},
    {X509_V_ERR_CRL_PATH_VALIDATION_ERROR, "ClientCertCrlProcessingError"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "ClientCertUntrusted"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "ClientCertUntrusted"},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "ClientCertUntrusted"},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "ClientCertUntrusted"},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "ClientCertUntrusted"},
    {X509_V_ERR_CERT_UNTRUSTED, "ClientCertUntrusted"},
    {X509_V_ERR_CERT_NOT_YET_VALID, "ClientCertNotYetValid"},
    {X509_V_ERR_CERT_HAS_EXPIRED, "ClientCertExpired"},
    {X509_V_ERR_INVALID_PURPOSE, "ClientCertPurposeInvalid"},
    {X509_V_ERR_CERT_REJECTED, "ClientCertRejected"},
    {X509_V_ERR_APPLICATION_VERIFICATION, "ClientCertTypeUnsupported"},
    {X509_V_ERR_EE_KEY_TOO_SMALL, "ClientCertTypeUnsupported"},
    {X509_V_ERR_CA_KEY_TOO_SMALL, "ClientCertTypeUnsupported"},
    {X509_V_ERR_CA_MD_TOO_WEAK, "ClientCertTypeUnsupported"},
};

const char *tls_peer_failure(const struct conn *c)
{
    const struct tls *t = c->transport ? c->transport_state : NULL;
    if (t && t->verdict != X509_V_OK) {
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
            if (words[i].verdict == t->verdict)
                return words[i].word;
        return "ClientCertInvalid";
    }
    if (t && t->ctx->mutual && t->reason == SSL_R_EXCESSIVE_MESSAGE_SIZE)
        return "ClientCertMaxSizeExceeded";
    if (t && t->ctx->mutual && t->reason == SSL_R_BAD_SIGNATURE)
        return "ClientCertInvalid";
    return "UnmappedConnectionError";
}
