/* CAs and revocation lists, judged when they are loaded, so that no handshake finds out. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "tls_internal.h"

#define STORE_BYTES_MAX (16u << 20)
#define LISTS_BYTES_MAX (64u << 20)
#define SOON_S          (30 * 86400)

struct judge {
    const char *path;
    enum tls_ctx_about about;
    size_t index;
    time_t now;
    const struct tls_ctx_complaints *to;
};

/* ---- CAs ---- */

static bool check_dates(const struct judge *j, X509 *x)
{
    char name[128];
    time_t now = j->now, soon = now + SOON_S;
    tls_pem_name(x, name);
    if (X509_cmp_time(X509_get0_notAfter(x), &now) < 0)
        return tls_pem_complain(j->to, j->about, j->index, true, "%s: the CA %s has expired",
                                j->path, name);
    if (X509_cmp_time(X509_get0_notAfter(x), &soon) < 0)
        tls_pem_complain(j->to, j->about, j->index, false, "%s: the CA %s expires within 30 days",
                         j->path, name);
    if (X509_cmp_time(X509_get0_notBefore(x), &now) > 0)
        tls_pem_complain(j->to, j->about, j->index, false, "%s: the CA %s is not valid yet",
                         j->path, name);
    return true;
}

static size_t add_all(X509_STORE *s, BIO *b, const struct judge *j, bool *good)
{
    size_t n = 0;
    X509 *x;
    while ((x = PEM_read_bio_X509(b, NULL, tls_pem_no_password, NULL))) {
        *good = (!j->now || check_dates(j, x)) && X509_STORE_add_cert(s, x) == 1 && *good;
        X509_free(x);
        n++;
    }
    return n;
}

static bool read_store(X509_STORE *s, BIO *b, const struct judge *j)
{
    bool good = true;
    size_t n = add_all(s, b, j, &good);
    if (n == 0 || !tls_pem_ended())
        return tls_pem_complain(j->to, j->about, j->index, true,
                                "%s: no certificates in PEM form: %s", j->path, tls_pem_reason());
    ERR_clear_error();
    return good;
}

static bool has_issuer(STACK_OF(X509_OBJECT) * all, X509 *x)
{
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        X509 *other = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        if (other && X509_check_issued(other, x) == X509_V_OK)
            return true;
    }
    return false;
}

static bool is_partial(X509_STORE *s)
{
    STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(s);
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        if (x && !has_issuer(all, x))
            return true;
    }
    return false;
}

X509_STORE *tls_trust_load(const char *path, enum tls_ctx_about about, int64_t wall_s,
                           const struct tls_ctx_complaints *to, bool *partial)
{
    struct judge j = {.path = path, .about = about, .now = (time_t)wall_s, .to = to};
    BIO *b = tls_pem_open(path, STORE_BYTES_MAX);
    if (!b) {
        tls_pem_complain(to, about, 0, true, "%s: %s", path, strerror(errno));
        return NULL;
    }
    X509_STORE *s = X509_STORE_new();
    CHECK(s);
    bool good = read_store(s, b, &j);
    BIO_free(b);
    if (!good) {
        X509_STORE_free(s);
        return NULL;
    }
    if (partial)
        *partial = is_partial(s);
    return s;
}

/* ---- revocation lists ---- */

/* There may be several CAs of one name. */
static bool is_signed_by_one_of(X509_STORE *s, X509_CRL *crl)
{
    STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(s);
    const X509_NAME *issuer = X509_CRL_get_issuer(crl);
    bool good = false;
    for (int i = 0; !good && i < sk_X509_OBJECT_num(all); i++) {
        X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        good = x && X509_NAME_cmp(X509_get_subject_name(x), issuer) == 0 &&
               X509_CRL_verify(crl, X509_get0_pubkey(x)) == 1;
    }
    ERR_clear_error();
    return good;
}

static bool check_list(X509_STORE *s, X509_CRL *crl, const struct judge *j)
{
    char name[128];
    time_t now = j->now;
    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
    X509_NAME_oneline(X509_CRL_get_issuer(crl), name, sizeof(name));
    if (!is_signed_by_one_of(s, crl))
        return tls_pem_complain(j->to, j->about, j->index, true,
                                "%s: the list of %s is not signed by a CA of the trust store",
                                j->path, name);
    if (next && X509_cmp_time(next, &now) < 0)
        tls_pem_complain(j->to, j->about, j->index, false,
                         "%s: the list of %s is outdated: certificates of that CA are refused",
                         j->path, name);
    return true;
}

static bool read_lists(X509_STORE *s, BIO *b, const struct judge *j)
{
    size_t n = 0;
    bool good = true;
    X509_CRL *crl;
    while ((crl = PEM_read_bio_X509_CRL(b, NULL, tls_pem_no_password, NULL))) {
        good = check_list(s, crl, j) && X509_STORE_add_crl(s, crl) == 1 && good;
        X509_CRL_free(crl);
        n++;
    }
    if (n == 0 || !tls_pem_ended())
        return tls_pem_complain(j->to, j->about, j->index, true,
                                "%s: no revocation lists in PEM form: %s", j->path,
                                tls_pem_reason());
    ERR_clear_error();
    return good;
}

bool tls_trust_revoke(X509_STORE *s, const char *path, size_t index, int64_t wall_s,
                      const struct tls_ctx_complaints *to)
{
    struct judge j = {path, TLS_CTX_ABOUT_REVOCATIONS, index, (time_t)wall_s, to};
    BIO *b = tls_pem_open(path, LISTS_BYTES_MAX);
    if (!b)
        return tls_pem_complain(to, j.about, index, true, "%s: %s", path, strerror(errno));
    bool good = read_lists(s, b, &j);
    BIO_free(b);
    return good;
}
