#include "support/certs.h"

#include <dirent.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

void certs_init(struct certs *c)
{
    strcpy(c->dir, "/tmp/tenbin-certs-XXXXXX");
    assert_non_null(mkdtemp(c->dir));
}

void certs_fini(struct certs *c)
{
    DIR *d = opendir(c->dir);
    struct dirent *e;
    assert_non_null(d);
    while ((e = readdir(d)))
        if (e->d_name[0] != '.')
            unlink(certs_path(c, e->d_name));
    closedir(d);
    rmdir(c->dir);
}

struct certs certs_dir;

int certs_setup(void **state)
{
    (void)state;
    certs_init(&certs_dir);
    return 0;
}

int certs_teardown(void **state)
{
    (void)state;
    certs_fini(&certs_dir);
    return 0;
}

static void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
}

struct cert certs_make(const struct cert_spec *s)
{
    static long serial;
    struct cert c = {X509_new(), s->rsa_bits ? EVP_RSA_gen(s->rsa_bits) : EVP_EC_gen("P-256")};
    const struct cert *issuer = s->issuer ? s->issuer : &c;
    X509_NAME *name = X509_get_subject_name(c.x);
    assert_true(c.x && c.key);
    X509_set_version(c.x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(c.x), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(c.x), s->from_day * 86400l - 60);
    X509_gmtime_adj(X509_getm_notAfter(c.x), (s->from_day + (s->days ? s->days : 90)) * 86400l);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)s->cn, -1, -1, 0);
    X509_set_issuer_name(c.x, X509_get_subject_name(issuer->x));
    X509_set_pubkey(c.x, c.key);
    if (s->san)
        add_extension(c.x, issuer->x, NID_subject_alt_name, s->san);
    if (s->ca)
        add_extension(c.x, issuer->x, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(c.x, issuer->key, EVP_get_digestbyname(s->hash ? s->hash : "SHA256")) >
                0);
    return c;
}

void certs_free(struct cert *c)
{
    X509_free(c->x);
    EVP_PKEY_free(c->key);
}

const char *certs_path(const struct certs *c, const char *name)
{
    static char paths[16][512];
    static unsigned at;
    char *to = paths[at++ % 16];
    snprintf(to, sizeof(paths[0]), "%s/%s", c->dir, name);
    return to;
}

static FILE *create(const char *path)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    return f;
}

const char *certs_write(const struct certs *c, const char *name, const struct cert *const *chain)
{
    const char *path = certs_path(c, name);
    FILE *f = create(path);
    for (; *chain; chain++)
        assert_true(PEM_write_X509(f, (*chain)->x));
    fclose(f);
    return path;
}

const char *certs_write_key(const struct certs *c, const char *name, const struct cert *of,
                            const char *password)
{
    const char *path = certs_path(c, name);
    FILE *f = create(path);
    const EVP_CIPHER *cipher = password ? EVP_aes_128_cbc() : NULL;
    assert_true(PEM_write_PrivateKey(f, of->key, cipher, (const unsigned char *)password,
                                     password ? (int)strlen(password) : 0, NULL, NULL));
    fclose(f);
    return path;
}

const char *certs_write_text(const struct certs *c, const char *name, const char *text)
{
    const char *path = certs_path(c, name);
    FILE *f = create(path);
    fputs(text, f);
    fclose(f);
    return path;
}
