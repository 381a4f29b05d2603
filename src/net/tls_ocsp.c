/* OCSP responses from files, stapled to handshakes (RFC 6066 8): judged when they are loaded, and
 * not sent any more once they are outdated, because clients then refuse what they would take
 * without. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <stdlib.h>

#include "tls_internal.h"

#define FILE_BYTES_MAX (64u * 1024)

/* One file while it is judged. */
struct staple {
    const char *path;
    size_t index;
    const struct tls_ctx_complaints *to;
    OCSP_RESPONSE *response;
    OCSP_BASICRESP *basic;
    OCSP_SINGLERESP *single; /* what it says of the certificate */
};

static bool fail(const struct staple *s, const char *why)
{
    ERR_clear_error();
    return tls_pem_complain(s->to, TLS_CTX_ABOUT_OCSP, s->index, true, "%s: %s", s->path, why);
}

static void warn(const struct staple *s, const char *why)
{
    tls_pem_complain(s->to, TLS_CTX_ABOUT_OCSP, s->index, false, "%s: %s", s->path, why);
}

/* ---- the file ---- */

static bool read_response(struct staple *s)
{
    BIO *b = tls_pem_open(s->path, FILE_BYTES_MAX);
    if (!b)
        return fail(s, strerror(errno));
    s->response = d2i_OCSP_RESPONSE_bio(b, NULL);
    BIO_free(b);
    if (!s->response)
        return fail(s, "no OCSP response in DER form");
    int status = OCSP_response_status(s->response);
    if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        return fail(s, OCSP_response_status_str(status));
    s->basic = OCSP_response_get1_basic(s->response);
    return s->basic || fail(s, "no OCSP response of the basic kind");
}

/* ---- whose it is ---- */

static X509 *issuer_of(const struct tls_certificate *c)
{
    if (sk_X509_num(c->chain) > 0)
        return sk_X509_value(c->chain, 0);
    return X509_check_issued(c->leaf, c->leaf) == X509_V_OK ? c->leaf : NULL;
}

static bool is_about(OCSP_SINGLERESP *single, const struct tls_certificate *c)
{
    const OCSP_CERTID *id = OCSP_SINGLERESP_get0_id(single);
    ASN1_OBJECT *hash;
    ASN1_INTEGER *serial;
    (void)OCSP_id_get0_info(NULL, &hash, NULL, &serial, (OCSP_CERTID *)(uintptr_t)id);
    if (ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(c->leaf)) != 0)
        return false;
    X509 *issuer = issuer_of(c);
    const EVP_MD *md = EVP_get_digestbyobj(hash);
    OCSP_CERTID *ours = issuer && md ? OCSP_cert_to_id(md, c->leaf, issuer) : NULL;
    bool same = ours ? OCSP_id_cmp(ours, id) == 0 : !issuer;
    OCSP_CERTID_free(ours);
    return same;
}

static struct tls_certificate *find(struct staple *s, struct tls_certificate *all, size_t n)
{
    for (int i = 0; i < OCSP_resp_count(s->basic); i++)
        for (size_t j = 0; j < n; j++)
            if (is_about(OCSP_resp_get0(s->basic, i), &all[j])) {
                s->single = OCSP_resp_get0(s->basic, i);
                return &all[j];
            }
    return NULL;
}

/* By the issuer, or by whom the issuer has entitled to. Without the issuer's certificate there is
 * no telling: clients will. */
static bool is_signed(const struct staple *s, const struct tls_certificate *c)
{
    X509 *issuer = issuer_of(c);
    X509_STORE *trusted = X509_STORE_new();
    CHECK(trusted);
    bool good = true;
    if (issuer) {
        X509_STORE_set_flags(trusted, X509_V_FLAG_PARTIAL_CHAIN);
        good = X509_STORE_add_cert(trusted, issuer) == 1 &&
               OCSP_basic_verify(s->basic, c->chain, trusted, 0) == 1;
    }
    X509_STORE_free(trusted);
    return good;
}

/* ---- what it says ---- */

static void keep(const struct staple *s, struct tls_certificate *c, int64_t wall_s)
{
    ASN1_GENERALIZEDTIME *next = NULL;
    int status = OCSP_single_get0_status(s->single, NULL, NULL, NULL, &next);
    if (status != V_OCSP_CERTSTATUS_GOOD)
        warn(s, status == V_OCSP_CERTSTATUS_REVOKED
                    ? "the certificate is revoked"
                    : "the responder does not know the certificate");
    OPENSSL_free(c->staple);
    c->staple = NULL;
    c->staple_until_s = tls_pem_seconds(next);
    c->staple_n = i2d_OCSP_RESPONSE(s->response, &c->staple);
    if (c->staple_until_s <= wall_s)
        warn(s, "outdated: it is not stapled");
}

static bool judge(struct staple *s, struct tls_certificate *all, size_t n, int64_t wall_s)
{
    struct tls_certificate *c = read_response(s) ? find(s, all, n) : NULL;
    if (!s->basic)
        return false;
    if (!c)
        return fail(s, n == 1 ? "it is not for the certificate"
                              : "it is for none of the certificates");
    if (!is_signed(s, c))
        return fail(s, "it is not signed by the certificate's issuer");
    keep(s, c, wall_s);
    return true;
}

bool tls_ocsp_load(const char *path, size_t index, struct tls_certificate *all, size_t n,
                   int64_t wall_s, const struct tls_ctx_complaints *to)
{
    struct staple s = {.path = path, .index = index, .to = to};
    bool good = judge(&s, all, n, wall_s);
    OCSP_BASICRESP_free(s.basic);
    OCSP_RESPONSE_free(s.response);
    ERR_clear_error();
    return good;
}

/* ---- handshakes ---- */

static const struct tls_certificate *chosen(const struct tls_ctx *x, SSL *ssl)
{
    const X509 *leaf = SSL_get_certificate(ssl);
    for (size_t i = 0; i < x->certificates_n; i++)
        if (x->certificates[i].leaf == leaf)
            return &x->certificates[i];
    return NULL;
}

static int on_status(SSL *ssl, void *arg)
{
    const struct tls_certificate *c = chosen(arg, ssl);
    int64_t now_s = tls_of_ssl(ssl)->conn->loop->clock.wall_us / 1000000;
    if (!c || c->staple_n <= 0 || c->staple_until_s <= now_s)
        return SSL_TLSEXT_ERR_NOACK;
    unsigned char *copy = OPENSSL_memdup(c->staple, (size_t)c->staple_n);
    if (!copy)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, c->staple_n);
    return SSL_TLSEXT_ERR_OK;
}

void tls_ocsp_set(struct tls_ctx *x)
{
    for (size_t i = 0; i < x->certificates_n; i++)
        if (x->certificates[i].staple_n > 0) {
            SSL_CTX_set_tlsext_status_cb(x->ssl, on_status);
            SSL_CTX_set_tlsext_status_arg(x->ssl, x);
            return;
        }
}
