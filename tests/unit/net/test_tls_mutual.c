/* Certificates of clients: what is refused when it is loaded, and handshakes of a conn with a
 * client that is OpenSSL itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/tls_peer.h"
#include "support/certs.h"
#include "support/shake.h"

#define TLS12 "ELBSecurityPolicy-FS-1-2-Res-2020-10"

static struct loop loop;
static struct tls_ctx_pair pair;
static char files[8][128];
static struct cert ca, stranger_ca;

static const char *keep(unsigned at, const char *path)
{
    strcpy(files[at], path);
    return files[at];
}

static int setup(void **state)
{
    certs_setup(state);
    struct cert c = certs_make(&(struct cert_spec){.cn = "a.test", .san = "DNS:a.test"});
    pair.certificate =
        keep(0, certs_write(&certs_dir, "a.pem", (const struct cert *const[]){&c, NULL}));
    pair.key = keep(1, certs_write_key(&certs_dir, "a.key", &c, NULL));
    certs_free(&c);
    ca = certs_make(&(struct cert_spec){.cn = "ca", .ca = true});
    stranger_ca = certs_make(&(struct cert_spec){.cn = "stranger", .ca = true});
    keep(2, certs_write(&certs_dir, "ca.pem", (const struct cert *const[]){&ca, NULL}));
    assert_int_equal(loop_init(&loop, 64u << 20), OK);
    conn_pool_init(&loop, 4);
    return 0;
}

static int teardown(void **state)
{
    loop_turn(&loop);
    assert_int_equal(loop.conns.live, 0);
    loop_fini(&loop);
    certs_free(&ca);
    certs_free(&stranger_ca);
    return certs_teardown(state);
}

/* ---- loading ---- */

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

static struct tls_ctx *load(const struct tls_ctx_mutual *mutual, const char *policy,
                            struct said *said)
{
    const char *why;
    struct tls_ctx_complaints complaints = {say, said};
    struct tls_ctx_server o = {.pairs = &pair, .pairs_n = 1, .id = SLICE("web"), .mutual = *mutual};
    *said = (struct said){0};
    o.policy = tls_policy_find(slice_str(policy), &why);
    return tls_ctx_server(&o, time(NULL), &complaints);
}

static const char *write_list(const char *name, const struct cert *of, int next_day)
{
    const char *path = certs_path(&certs_dir, name);
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *t = X509_gmtime_adj(NULL, -86400 * 20);
    X509_CRL_set_version(crl, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(of->x));
    X509_CRL_set1_lastUpdate(crl, t);
    X509_gmtime_adj(t, next_day * 86400l);
    X509_CRL_set1_nextUpdate(crl, t);
    assert_true(X509_CRL_sign(crl, of->key, EVP_sha256()) > 0);
    FILE *f = fopen(path, "w");
    assert_true(PEM_write_X509_CRL(f, crl));
    fclose(f);
    ASN1_TIME_free(t);
    X509_CRL_free(crl);
    return path;
}

static void refuses(const char *store, const char *list, enum tls_ctx_about about,
                    const char *words)
{
    struct said said;
    const char *const lists[] = {list};
    struct tls_ctx_mutual m = {TLS_MUTUAL_VERIFY, store, lists, list != NULL, false, false};
    assert_null(load(&m, "intermediate", &said));
    if (said.errors != 1 || said.about != about || !strstr(said.text, words))
        fail_msg("%u errors, last: %s", said.errors, said.text);
}

static void test_a_bad_store_or_list_is_refused_by_name(void **state)
{
    (void)state;
    const enum tls_ctx_about store = TLS_CTX_ABOUT_TRUST_STORE, list = TLS_CTX_ABOUT_REVOCATIONS;
    struct cert old =
        certs_make(&(struct cert_spec){.cn = "old", .ca = true, .from_day = -9, .days = 8});
    const char *expired =
        keep(3, certs_write(&certs_dir, "old.pem", (const struct cert *const[]){&ca, &old, NULL}));
    refuses("/nowhere/ca.pem", NULL, store, "No such file");
    refuses(keep(4, certs_write_text(&certs_dir, "text", "no PEM")), NULL, store,
            "no certificates");
    refuses(keep(4, certs_write_text(&certs_dir, "cut", "-----BEGIN CERTIFICATE-----\nMII\n")),
            NULL, store, "no certificates");
    refuses(expired, NULL, store, "the CA /CN=old has expired");
    refuses(files[2], "/nowhere/crl.pem", list, "No such file");
    refuses(files[2], files[2], list, "no revocation lists");
    refuses(files[2], write_list("other.crl", &stranger_ca, 9), list, "not signed by a CA");
    certs_free(&old);
}

static void test_an_outdated_list_is_warned_of(void **state)
{
    (void)state;
    struct said said;
    const char *const lists[] = {keep(3, write_list("good.crl", &ca, 9)),
                                 keep(4, write_list("old.crl", &ca, -9))};
    struct tls_ctx_mutual m = {TLS_MUTUAL_VERIFY, files[2], lists, 2, false, false};
    struct tls_ctx *x = load(&m, "intermediate", &said);
    assert_non_null(x);
    assert_int_equal(said.errors, 0);
    assert_int_equal(said.warnings, 1);
    assert_int_equal(said.pair, 1);
    assert_non_null(strstr(said.text, "outdated"));
    tls_ctx_unref(x);
}

static void test_names_that_fill_a_message_are_not_advertised(void **state)
{
    (void)state;
    struct said said;
    char cn[65];
    FILE *f = fopen(keep(3, certs_path(&certs_dir, "many.pem")), "w");
    memset(cn, 'x', sizeof(cn) - 1);
    cn[64] = '\0';
    for (unsigned i = 0; i < 800; i++) { /* of 81 bytes with their lengths */
        snprintf(cn, 5, "%04u", i);
        cn[4] = 'x';
        struct cert one = certs_make(&(struct cert_spec){.cn = cn, .ca = true});
        assert_true(PEM_write_X509(f, one.x));
        certs_free(&one);
    }
    fclose(f);
    struct tls_ctx_mutual m = {TLS_MUTUAL_VERIFY, files[3], NULL, 0, false, false};
    struct tls_ctx *x = load(&m, "intermediate", &said);
    assert_non_null(x);
    tls_ctx_unref(x);
    m.advertise_names = true;
    assert_null(load(&m, "intermediate", &said));
    assert_non_null(strstr(said.text, "too long to be told"));
}

/* ---- handshakes ---- */

static struct slice text_of(const struct conn *c, enum tls_peer_item what, struct strbuf *b)
{
    strbuf_fini(b);
    strbuf_init(b);
    tls_peer_put(c, what, b);
    return strbuf_get(b);
}

static SSL_CTX *client_with(const struct cert *leaf)
{
    SSL_CTX *c = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(c, 0);
    if (leaf)
        assert_int_equal(SSL_CTX_use_cert_and_key(c, leaf->x, leaf->key, NULL, 1), 1);
    return c;
}

static void expect(const struct cert_spec *spec, const struct tls_ctx_mutual *m,
                   const char *failure)
{
    static const char *const policies[] = {TLS12, "modern"};
    struct cert leaf = spec ? certs_make(spec) : (struct cert){0};
    SSL_CTX *client = client_with(spec ? &leaf : NULL);
    for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
        struct said said;
        struct shake p;
        struct strbuf b = {0};
        struct tls_ctx *x = load(m, policies[i], &said);
        assert_non_null(x);
        shake_begin(&p, &loop, x, SSL_new(client));
        assert_int_equal(p.e, failure ? ERR_TLS : OK);
        if (failure)
            assert_string_equal(tls_peer_failure(p.c), failure);
        assert_int_equal(tls_peer_shown(p.c), spec != NULL);
        assert_int_equal(tls_peer_verified(p.c), !failure && m->mode == TLS_MUTUAL_VERIFY);
        if (spec)
            assert_true(slice_eq(text_of(p.c, TLS_PEER_SUBJECT, &b), SLICE("CN=client")));
        strbuf_fini(&b);
        shake_end(&p);
        tls_ctx_unref(x);
    }
    SSL_CTX_free(client);
    if (spec)
        certs_free(&leaf);
}

static void test_a_failure_has_elb_s_word(void **state)
{
    (void)state;
    struct tls_ctx_mutual m = {TLS_MUTUAL_VERIFY, files[2], NULL, 0, false, false};
    expect(&(struct cert_spec){.cn = "client", .issuer = &ca}, &m, NULL);
    expect(&(struct cert_spec){.cn = "client", .issuer = &stranger_ca}, &m, "ClientCertUntrusted");
    expect(&(struct cert_spec){.cn = "client"}, &m, "ClientCertUntrusted");
    expect(&(struct cert_spec){.cn = "client", .issuer = &ca, .from_day = -9, .days = 8}, &m,
           "ClientCertExpired");
    expect(&(struct cert_spec){.cn = "client", .issuer = &ca, .from_day = 2}, &m,
           "ClientCertNotYetValid");
    expect(&(struct cert_spec){.cn = "client", .issuer = &ca, .rsa_bits = 2047}, &m,
           "ClientCertTypeUnsupported");
    expect(&(struct cert_spec){.cn = "client", .issuer = &ca, .rsa_bits = 2048}, &m, NULL);
    expect(NULL, &m, "UnmappedConnectionError");
}

static void test_expiry_is_ignored_when_asked_for(void **state)
{
    (void)state;
    struct tls_ctx_mutual m = {TLS_MUTUAL_VERIFY, files[2], NULL, 0, true, false};
    expect(&(struct cert_spec){.cn = "client", .issuer = &ca, .from_day = -9, .days = 8}, &m, NULL);
    expect(&(struct cert_spec){.cn = "client", .issuer = &ca, .from_day = 2}, &m,
           "ClientCertNotYetValid");
}

static void test_an_outdated_list_refuses(void **state)
{
    (void)state;
    const char *const lists[] = {keep(3, write_list("outdated.crl", &ca, -9))};
    struct tls_ctx_mutual m = {TLS_MUTUAL_VERIFY, files[2], lists, 1, false, false};
    expect(&(struct cert_spec){.cn = "client", .issuer = &ca}, &m, "ClientCertCrlProcessingError");
}

static void test_any_certificate_passes_or_none(void **state)
{
    (void)state;
    struct tls_ctx_mutual m = {TLS_MUTUAL_ANY, NULL, NULL, 0, false, false};
    expect(&(struct cert_spec){.cn = "client"}, &m, NULL);
    expect(&(struct cert_spec){.cn = "client", .from_day = -9, .days = 8}, &m, NULL);
    expect(NULL, &m, NULL);
}

static void test_a_certificate_is_told_in_elb_s_words(void **state)
{
    (void)state;
    struct said said;
    struct shake p;
    struct strbuf b = {0};
    struct tls_ctx_mutual m = {TLS_MUTUAL_VERIFY, files[2], NULL, 0, false, false};
    struct cert leaf =
        certs_make(&(struct cert_spec){.cn = "a, \"b\"\n\xe6\x9d\xb1", .issuer = &ca});
    ASN1_INTEGER_set(X509_get_serialNumber(leaf.x), 0x3a5b1);
    ASN1_TIME_set_string(X509_getm_notBefore(leaf.x), "20230921015017Z");
    ASN1_TIME_set_string(X509_getm_notAfter(leaf.x), "20730920015017Z");
    assert_true(X509_sign(leaf.x, ca.key, EVP_sha256()) > 0);
    SSL_CTX *client = client_with(&leaf);
    struct tls_ctx *x = load(&m, "modern", &said);
    shake_begin(&p, &loop, x, SSL_new(client));
    assert_int_equal(p.e, OK);
    assert_true(slice_eq(text_of(p.c, TLS_PEER_SERIAL, &b), SLICE("03A5B1")));
    assert_true(slice_eq(text_of(p.c, TLS_PEER_ISSUER, &b), SLICE("CN=ca")));
    struct slice subject = text_of(p.c, TLS_PEER_SUBJECT, &b);
    for (size_t i = 0; i < subject.n; i++)
        assert_in_range(subject.p[i], 0x20, 0x7e);
    assert_true(slice_starts(subject, SLICE("CN=a\\, \\\"b\\\"\\0A")));
    assert_true(slice_eq(text_of(p.c, TLS_PEER_VALIDITY, &b),
                         SLICE("NotBefore=2023-09-21T01:50:17Z;NotAfter=2073-09-20T01:50:17Z")));
    struct slice pem = text_of(p.c, TLS_PEER_LEAF, &b);
    assert_true(slice_starts(pem, SLICE("-----BEGIN%20CERTIFICATE-----%0AMII")));
    assert_true(slice_ends(pem, SLICE("-----END%20CERTIFICATE-----%0A")));
    size_t one = pem.n;
    assert_int_equal(text_of(p.c, TLS_PEER_CHAIN, &b).n, one);
    strbuf_fini(&b);
    shake_end(&p);
    tls_ctx_unref(x);
    SSL_CTX_free(client);
    certs_free(&leaf);
}

static void test_a_plain_conn_shows_nothing(void **state)
{
    (void)state;
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    struct conn *c = conn_new(&loop, fd[0], NULL);
    assert_false(tls_peer_shown(c));
    assert_false(tls_peer_verified(c));
    assert_string_equal(tls_peer_failure(c), "UnmappedConnectionError");
    conn_close(c);
    close(fd[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bad_store_or_list_is_refused_by_name),
        cmocka_unit_test(test_an_outdated_list_is_warned_of),
        cmocka_unit_test(test_names_that_fill_a_message_are_not_advertised),
        cmocka_unit_test(test_a_failure_has_elb_s_word),
        cmocka_unit_test(test_expiry_is_ignored_when_asked_for),
        cmocka_unit_test(test_an_outdated_list_refuses),
        cmocka_unit_test(test_any_certificate_passes_or_none),
        cmocka_unit_test(test_a_certificate_is_told_in_elb_s_words),
        cmocka_unit_test(test_a_plain_conn_shows_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
