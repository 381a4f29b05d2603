/* OCSP responses: what is refused or warned of when it is loaded. What clients get is a system
 * test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/ocsp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "support/certs.h"
#include "support/shake.h"

static struct loop loop;
static struct cert ca, other_ca, leaf, twin;
static struct tls_ctx_pair pairs[2];
static char paths[4][128], staple[128];

static void write_pair(size_t at, const char *name, const struct cert *c)
{
    char file[2][32];
    snprintf(file[0], sizeof(file[0]), "%s.pem", name);
    snprintf(file[1], sizeof(file[1]), "%s.key", name);
    strcpy(paths[2 * at],
           certs_write(&certs_dir, file[0], (const struct cert *const[]){c, &ca, NULL}));
    strcpy(paths[2 * at + 1], certs_write_key(&certs_dir, file[1], c, NULL));
    pairs[at] = (struct tls_ctx_pair){paths[2 * at], paths[2 * at + 1], NULL};
}

static int setup(void **state)
{
    certs_setup(state);
    ca = certs_make(&(struct cert_spec){.cn = "ca", .ca = true});
    other_ca = certs_make(&(struct cert_spec){.cn = "ca", .ca = true});
    leaf = certs_make(&(struct cert_spec){.cn = "a", .san = "DNS:a.test", .issuer = &ca});
    twin = certs_make(&(struct cert_spec){.cn = "b", .san = "DNS:b.test", .issuer = &ca});
    write_pair(0, "leaf", &leaf);
    write_pair(1, "twin", &twin);
    strcpy(staple, certs_path(&certs_dir, "staple"));
    assert_int_equal(loop_init(&loop, 64u << 20), OK);
    conn_pool_init(&loop, 4);
    return 0;
}

static int teardown(void **state)
{
    loop_turn(&loop);
    loop_fini(&loop);
    certs_free(&ca);
    certs_free(&other_ca);
    certs_free(&leaf);
    certs_free(&twin);
    return certs_teardown(state);
}

static void write_der(OCSP_RESPONSE *r)
{
    unsigned char *der = NULL;
    int n = i2d_OCSP_RESPONSE(r, &der);
    FILE *f = fopen(staple, "w");
    assert_true(n > 0 && fwrite(der, 1, (size_t)n, f) == (size_t)n);
    fclose(f);
    OPENSSL_free(der);
    OCSP_RESPONSE_free(r);
}

/* Valid until so many days from now; 0: it does not say. */
static void write_response(const struct cert *about, const struct cert *signer, int status,
                           int days)
{
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), about->x, signer->x);
    ASN1_TIME *from = X509_gmtime_adj(NULL, -20 * 86400l);
    ASN1_TIME *next = days ? X509_gmtime_adj(NULL, days * 86400l) : NULL;
    ASN1_TIME *when = status == V_OCSP_CERTSTATUS_REVOKED ? from : NULL;
    assert_non_null(OCSP_basic_add1_status(basic, id, status, 0, when, from, next));
    assert_int_equal(OCSP_basic_sign(basic, signer->x, signer->key, EVP_sha256(), NULL, 0), 1);
    write_der(OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic));
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(from);
    ASN1_TIME_free(next);
}

struct said {
    unsigned errors, warnings;
    enum tls_ctx_about about;
    size_t pair;
    char text[512]; /* of the last */
};

static void say(void *to, enum tls_ctx_about about, size_t which, bool error, const char *text)
{
    struct said *s = to;
    error ? s->errors++ : s->warnings++;
    s->about = about;
    s->pair = which;
    snprintf(s->text, sizeof(s->text), "%s", text);
}

/* pair: whose response it is said to be; 2: any one's. */
static struct tls_ctx *load_as(size_t pair, unsigned errors, unsigned warnings, const char *words)
{
    struct said said = {0};
    const char *why;
    struct tls_ctx_complaints complaints = {say, &said};
    struct tls_ctx_server o = {.pairs = pairs, .pairs_n = 2, .id = SLICE("web")};
    o.policy = tls_policy_find(SLICE("modern"), &why);
    pairs[0].ocsp = pair == 0 ? staple : NULL;
    pairs[1].ocsp = pair == 1 ? staple : NULL;
    o.ocsp = pair == 2 ? staple : NULL;
    struct tls_ctx *x = tls_ctx_server(&o, time(NULL), &complaints);
    if (said.errors != errors || said.warnings != warnings || !strstr(said.text, words))
        fail_msg("%u errors, %u warnings, last: %s", said.errors, said.warnings, said.text);
    if (errors || warnings) {
        assert_int_equal(said.about, TLS_CTX_ABOUT_OCSP);
        assert_int_equal(said.pair, pair);
    }
    assert_int_equal(x == NULL, errors != 0);
    return x;
}

static void load(size_t pair, unsigned errors, unsigned warnings, const char *words)
{
    tls_ctx_unref(load_as(pair, errors, warnings, words));
}

static void test_a_good_response_finds_its_certificate(void **state)
{
    (void)state;
    write_response(&leaf, &ca, V_OCSP_CERTSTATUS_GOOD, 2);
    load(0, 0, 0, "");
    load(2, 0, 0, "");
    write_response(&twin, &ca, V_OCSP_CERTSTATUS_GOOD, 0);
    load(1, 0, 0, "");
    load(2, 0, 0, "");
}

static void test_a_response_for_another_certificate_is_refused(void **state)
{
    (void)state;
    struct cert stranger = certs_make(&(struct cert_spec){.cn = "c", .issuer = &ca});
    write_response(&twin, &ca, V_OCSP_CERTSTATUS_GOOD, 2);
    load(0, 1, 0, "it is not for the certificate");
    write_response(&stranger, &ca, V_OCSP_CERTSTATUS_GOOD, 2);
    load(2, 1, 0, "it is for none of the certificates");
    certs_free(&stranger);
}

static void test_another_signature_is_refused(void **state)
{
    (void)state;
    write_response(&leaf, &other_ca, V_OCSP_CERTSTATUS_GOOD, 2);
    load(0, 1, 0, "");
    load(2, 1, 0, "");
}

static void test_what_is_no_response_is_refused(void **state)
{
    (void)state;
    unlink(staple);
    load(0, 1, 0, "No such file");
    certs_write_text(&certs_dir, "staple", "0");
    load(0, 1, 0, "no OCSP response in DER form");
    certs_write_text(&certs_dir, "staple", "");
    load(2, 1, 0, "no OCSP response in DER form");
    write_der(OCSP_response_create(OCSP_RESPONSE_STATUS_TRYLATER, NULL));
    load(0, 1, 0, "trylater");
}

static void test_outdated_and_revoked_are_warned_of(void **state)
{
    (void)state;
    write_response(&leaf, &ca, V_OCSP_CERTSTATUS_GOOD, -1);
    load(0, 0, 1, "outdated: it is not stapled");
    write_response(&leaf, &ca, V_OCSP_CERTSTATUS_REVOKED, 1);
    load(2, 0, 1, "the certificate is revoked");
    write_response(&leaf, &ca, V_OCSP_CERTSTATUS_UNKNOWN, 1);
    load(0, 0, 1, "does not know the certificate");
}

/* How many bytes a client gets with the certificate for a name; it may not ask. */
static long stapled(struct tls_ctx *x, const char *name, bool asks)
{
    SSL_CTX *c = SSL_CTX_new(TLS_client_method());
    SSL *client = SSL_new(c);
    struct shake s;
    unsigned char *der;
    SSL_set_tlsext_host_name(client, name);
    if (asks)
        SSL_set_tlsext_status_type(client, TLSEXT_STATUSTYPE_ocsp);
    shake_begin(&s, &loop, x, client);
    assert_int_equal(s.e, OK);
    long n = SSL_get_tlsext_status_ocsp_resp(client, &der);
    shake_end(&s);
    SSL_CTX_free(c);
    return n;
}

static void test_clients_get_what_holds_now_and_they_asked_for(void **state)
{
    (void)state;
    write_response(&twin, &ca, V_OCSP_CERTSTATUS_GOOD, 2);
    struct tls_ctx *x = load_as(2, 0, 0, "");
    assert_true(stapled(x, "b.test", true) > 100);
    assert_int_equal(stapled(x, "b.test", false), -1);
    assert_int_equal(stapled(x, "a.test", true), -1);
    tls_ctx_unref(x);
    write_response(&twin, &ca, V_OCSP_CERTSTATUS_GOOD, -1);
    x = load_as(2, 0, 1, "outdated");
    assert_int_equal(stapled(x, "b.test", true), -1);
    tls_ctx_unref(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_response_finds_its_certificate),
        cmocka_unit_test(test_a_response_for_another_certificate_is_refused),
        cmocka_unit_test(test_another_signature_is_refused),
        cmocka_unit_test(test_what_is_no_response_is_refused),
        cmocka_unit_test(test_outdated_and_revoked_are_warned_of),
        cmocka_unit_test(test_clients_get_what_holds_now_and_they_asked_for),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
