/* Certificates for tests, made in the test and written as PEM files into a directory that
 * certs_fini() removes. */
#ifndef SUPPORT_CERTS_H
#define SUPPORT_CERTS_H

#include <openssl/x509.h>
#include <stdbool.h>

struct certs {
    char dir[64];
};

struct cert {
    X509 *x;
    EVP_PKEY *key;
};

struct cert_spec {
    const char *cn;
    const char *san;    /* "DNS:a.example.com,IP:127.0.0.1"; NULL: none */
    unsigned rsa_bits;  /* 0: P-256 */
    const char *hash;   /* NULL: SHA256 */
    int from_day, days; /* relative to now; days 0: 90 */
    bool ca;
    const struct cert *issuer; /* NULL: itself */
};

void certs_init(struct certs *c);
void certs_fini(struct certs *c);
/* For a group of tests with one directory: cmocka's setup and teardown; *state is not used. */
extern struct certs certs_dir;
int certs_setup(void **state);
int certs_teardown(void **state);

struct cert certs_make(const struct cert_spec *s);
void certs_free(struct cert *c);

/* The path of `name` in the directory, static until the 16th call after it. */
const char *certs_path(const struct certs *c, const char *name);
/* The certificates one behind the other, up to a NULL; returns the path. */
const char *certs_write(const struct certs *c, const char *name, const struct cert *const *chain);
const char *certs_write_key(const struct certs *c, const char *name, const struct cert *of,
                            const char *password);
const char *certs_write_text(const struct certs *c, const char *name, const char *text);

#endif
