#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "net/tls_ctx.h"
#include "support/certs.h"

/* ---- what is said ---- */

struct said {
    unsigned errors, warnings;
    enum tls_ctx_about about;
    size_t pair;
    char text[512]; /* of the last */
};

static void say(void *to, enum tls_ctx_about about, size_t pair, bool error, const char *text)
{
    struct said *s = to;
    error ? s->errors++ : s->warnings++;
    s->about = about;
    s->pair = pair;
    snprintf(s->text, sizeof(s->text), "%s", text);
}

static struct tls_ctx *load(const struct tls_ctx_pair *pairs, size_t n, const char *policy,
                            struct said *said)
{
    const char *why;
    *said = (struct said){0};
    struct tls_ctx_complaints complaints = {say, said};
    struct tls_ctx_server o = {.pairs = pairs, .pairs_n = n, .id = SLICE("web")};
    o.policy = tls_policy_find(slice_str(policy), &why);
    assert_non_null(o.policy);
    return tls_ctx_server(&o, time(NULL), &complaints);
}

/* ---- selection ---- */

enum { RSA_SMALL, RSA_LARGE, EC_PLAIN, EC_SHA384, EC_LONG, WILD, CN_ONLY, DEFAULT, KINDS };

static struct tls_ctx_pair store[KINDS];

static void make_store(void)
{
    static const struct cert_spec specs[KINDS] = {
        [RSA_SMALL] = {.cn = "x", .san = "DNS:rsa.test,DNS:both.test", .rsa_bits = 2048},
        [RSA_LARGE] = {.cn = "x", .san = "DNS:rsa.test,DNS:both.test", .rsa_bits = 3072},
        [EC_PLAIN] = {.cn = "x", .san = "DNS:both.test,DNS:ec.test"},
        [EC_SHA384] = {.cn = "x", .san = "DNS:ec.test", .hash = "SHA384"},
        [EC_LONG] = {.cn = "x", .san = "DNS:both.test", .days = 300},
        [WILD] = {.cn = "x", .san = "DNS:*.wild.test,DNS:*.EXAMPLE.test"},
        [CN_ONLY] = {.cn = "cn.test"},
        [DEFAULT] = {.cn = "default.test", .san = "DNS:default.test", .rsa_bits = 2048},
    };
    static char paths[KINDS][2][128];
    for (size_t i = 0; i < KINDS; i++) {
        struct cert c = certs_make(&specs[i]);
        char name[2][16];
        snprintf(name[0], sizeof(name[0]), "%zu.pem", i);
        snprintf(name[1], sizeof(name[1]), "%zu.key", i);
        strcpy(paths[i][0], certs_write(&certs_dir, name[0], (const struct cert *const[]){&c, NULL}));
        strcpy(paths[i][1], certs_write_key(&certs_dir, name[1], &c, NULL));
        store[i] = (struct tls_ctx_pair){paths[i][0], paths[i][1], NULL};
        certs_free(&c);
    }
}

static void test_the_best_certificate_for_a_name_is_chosen(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool ecdsa;
        size_t pick;
    } rows[] = {
        {"rsa.test", true, RSA_LARGE},   {"rsa.test", false, RSA_LARGE},
        {"both.test", true, EC_LONG},    {"both.test", false, RSA_LARGE},
        {"ec.test", true, EC_SHA384},    {"ec.test", false, EC_SHA384}, /* nothing fits: the best */
        {"EC.Test.", true, EC_SHA384},   {"a.wild.test", true, WILD},
        {"b.a.wild.test", true, DEFAULT}, {"wild.test", true, DEFAULT},
        {".wild.test", true, WILD},      {"x.example.test", true, WILD},
        {"cn.test", true, CN_ONLY},      {"x", true, DEFAULT},
        {"other.test", true, DEFAULT},   {"", true, DEFAULT},
        {".", true, DEFAULT},            {"default.test", true, DEFAULT},
    };
    struct said said;
    make_store();
    struct tls_ctx_pair ordered[KINDS];
    ordered[0] = store[DEFAULT];
    memcpy(ordered + 1, store, sizeof(store) - sizeof(*store));
    struct tls_ctx *x = load(ordered, KINDS, "intermediate", &said);
    assert_non_null(x);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        size_t pick = tls_ctx_pick(x, slice_str(rows[i].name), rows[i].ecdsa);
        size_t want = rows[i].pick == DEFAULT ? 0 : rows[i].pick + 1;
        if (pick != want)
            fail_msg("%s: pair %zu, not %zu", rows[i].name, pick, want);
    }
    tls_ctx_unref(x);
}

static void test_names_of_255_bytes_and_more_get_the_default(void **state)
{
    (void)state;
    struct said said;
    char name[400];
    memset(name, 'a', sizeof(name));
    make_store();
    struct tls_ctx *x = load(store, KINDS, "intermediate", &said);
    for (size_t n = 250; n <= sizeof(name); n++)
        assert_int_equal(tls_ctx_pick(x, slice_of(name, n), true), 0);
    tls_ctx_unref(x);
}

static void assert_names(const struct tls_ctx *x, size_t pair, const char *const *want, size_t n)
{
    struct arena a;
    struct slice *names;
    arena_init(&a);
    assert_int_equal(tls_ctx_names(x, pair, &a, &names), n);
    for (size_t i = 0; i < n; i++)
        assert_true(slice_eq(names[i], slice_str(want[i])));
    arena_fini(&a);
}

static void test_the_names_of_each_certificate_are_told(void **state)
{
    (void)state;
    static const struct cert_spec specs[] = {
        {.cn = "cn.test"},
        {.cn = "x", .san = "DNS:z.test,IP:127.0.0.1,DNS:*.EXAMPLE.test,DNS:a*.test", .days = 300},
        {.cn = "", .san = "IP:127.0.0.1"},
    };
    struct said said;
    struct tls_ctx_pair pairs[3];
    for (size_t i = 0; i < 3; i++) {
        struct cert c = certs_make(&specs[i]);
        char file[2][16];
        snprintf(file[0], sizeof(file[0]), "n%zu.pem", i);
        snprintf(file[1], sizeof(file[1]), "n%zu.key", i);
        pairs[i] = (struct tls_ctx_pair){
            certs_write(&certs_dir, file[0], (const struct cert *const[]){&c, NULL}),
            certs_write_key(&certs_dir, file[1], &c, NULL), NULL};
        certs_free(&c);
    }
    struct tls_ctx *x = load(pairs, 3, "intermediate", &said);
    assert_names(x, 0, (const char *const[]){"cn.test"}, 1);
    assert_names(x, 1, (const char *const[]){"z.test", "*.example.test"}, 2);
    assert_names(x, 2, NULL, 0);
    tls_ctx_unref(x);
}

/* ---- what cannot be served ---- */

struct bad {
    struct cert root, old, middle, leaf, other;
};

static void make_bad(struct bad *b)
{
    b->root = certs_make(&(struct cert_spec){.cn = "root", .ca = true});
    b->middle = certs_make(&(struct cert_spec){.cn = "middle", .ca = true, .issuer = &b->root});
    b->old = certs_make(&(struct cert_spec){
        .cn = "middle", .ca = true, .issuer = &b->root, .from_day = -20, .days = 10});
    b->leaf = certs_make(&(struct cert_spec){.cn = "leaf.test", .issuer = &b->middle});
    b->other = certs_make(&(struct cert_spec){.cn = "other.test"});
}

static void free_bad(struct bad *b)
{
    certs_free(&b->root);
    certs_free(&b->old);
    certs_free(&b->middle);
    certs_free(&b->leaf);
    certs_free(&b->other);
}

static void refused(const char *certificate, const char *key, enum tls_ctx_about about,
                    const char *words)
{
    struct said said;
    const struct tls_ctx_pair pair = {certificate, key, NULL};
    assert_null(load(&pair, 1, "modern", &said));
    assert_int_equal(said.errors, 1);
    assert_int_equal(said.about, about);
    assert_int_equal(said.pair, 0);
    const char *file = about == TLS_CTX_ABOUT_KEY ? key : certificate;
    if (!strstr(said.text, file) || !strstr(said.text, words))
        fail_msg("\"%s\" does not say \"%s\"", said.text, words);
}

static void test_what_cannot_be_served_is_refused_with_file_and_reason(void **state)
{
    (void)state;
    struct bad b;
    make_bad(&b);
    const char *key = certs_write_key(&certs_dir, "leaf.key", &b.leaf, NULL);
    const char *good = certs_write(&certs_dir, "good.pem", (const struct cert *const[]){&b.leaf, NULL});
    const char *text = certs_write_text(&certs_dir, "text.pem", "no certificate\n");
    const char *locked = certs_write_key(&certs_dir, "locked.key", &b.leaf, "secret");
    const char *other = certs_write_key(&certs_dir, "other.key", &b.other, NULL);
    const char *missing = certs_path(&certs_dir, "missing.pem");
    refused(missing, key, TLS_CTX_ABOUT_CERTIFICATE, "No such file");
    refused(text, key, TLS_CTX_ABOUT_CERTIFICATE, "no certificates in PEM form");
    refused(good, missing, TLS_CTX_ABOUT_KEY, "No such file");
    refused(good, text, TLS_CTX_ABOUT_KEY, "no private key in PEM form");
    refused(good, locked, TLS_CTX_ABOUT_KEY, "without a password");
    refused(good, other, TLS_CTX_ABOUT_KEY, "does not belong to the certificate");
    const struct cert *const wrong[] = {&b.leaf, &b.other, NULL};
    refused(certs_write(&certs_dir, "wrong.pem", wrong), key, TLS_CTX_ABOUT_CERTIFICATE,
            "certificate 2 of the chain (/CN=other.test) is not the issuer of the one before it");
    const struct cert *const skipped[] = {&b.leaf, &b.root, NULL};
    refused(certs_write(&certs_dir, "skipped.pem", skipped), key, TLS_CTX_ABOUT_CERTIFICATE,
            "is not the issuer");
    struct cert late = certs_make(&(struct cert_spec){.cn = "leaf.test", .issuer = &b.old});
    const struct cert *const expired[] = {&late, &b.old, NULL};
    refused(certs_write(&certs_dir, "expired.pem", expired),
            certs_write_key(&certs_dir, "late.key", &late, NULL), TLS_CTX_ABOUT_CERTIFICATE,
            "certificate 2 of the chain (/CN=middle) has expired");
    certs_free(&late);
    free_bad(&b);
}

static void test_a_weak_key_is_refused(void **state)
{
    (void)state;
    struct cert weak = certs_make(&(struct cert_spec){.cn = "weak.test", .rsa_bits = 1024});
    const char *key = certs_write_key(&certs_dir, "weak.key", &weak, NULL);
    refused(certs_write(&certs_dir, "weak.pem", (const struct cert *const[]){&weak, NULL}), key,
            TLS_CTX_ABOUT_CERTIFICATE, "not fit for use");
    certs_free(&weak);
}

static void test_a_whole_chain_is_good(void **state)
{
    (void)state;
    struct bad b;
    struct said said;
    make_bad(&b);
    const struct cert *const chain[] = {&b.leaf, &b.middle, &b.root, NULL};
    const struct tls_ctx_pair pair = {certs_write(&certs_dir, "chain.pem", chain),
                                      certs_write_key(&certs_dir, "leaf.key", &b.leaf, NULL), NULL};
    struct tls_ctx *x = load(&pair, 1, "modern", &said);
    assert_non_null(x);
    assert_int_equal(said.errors + said.warnings, 0);
    tls_ctx_unref(x);
    free_bad(&b);
}

static void warns(int from_day, int days, const char *words)
{
    struct said said;
    struct cert c =
        certs_make(&(struct cert_spec){.cn = "leaf.test", .from_day = from_day, .days = days});
    const struct tls_ctx_pair pair = {
        certs_write(&certs_dir, "c.pem", (const struct cert *const[]){&c, NULL}),
        certs_write_key(&certs_dir, "c.key", &c, NULL), NULL};
    struct tls_ctx *x = load(&pair, 1, "modern", &said);
    assert_non_null(x);
    assert_int_equal(said.errors, 0);
    assert_int_equal(said.warnings, words ? 1 : 0);
    if (words && !strstr(said.text, words))
        fail_msg("\"%s\" does not say \"%s\"", said.text, words);
    tls_ctx_unref(x);
    certs_free(&c);
}

static void test_an_expired_or_expiring_certificate_is_served_with_a_warning(void **state)
{
    (void)state;
    warns(-20, 10, "has expired");
    warns(0, 29, "expires in 2");
    warns(0, 31, NULL);
    warns(5, 60, "not valid yet");
}

/* ---- policies ---- */

static void test_every_policy_that_is_offered_can_be_served(void **state)
{
    (void)state;
    struct said said;
    const char *name;
    unsigned n = 0;
    make_store();
    for (; (name = tls_policy_name(n)); n++) {
        struct tls_ctx *x = load(store, 1, name, &said);
        if (!x)
            fail_msg("%s: %s", name, said.text);
        tls_ctx_unref(x);
    }
    assert_true(n >= 12);
}

static void test_equal_settings_have_equal_fingerprints(void **state)
{
    (void)state;
    struct said said = {0};
    struct tls_ctx_complaints complaints = {say, &said};
    make_store();
    const struct tls_ctx_client settings[] = {
        {.verify = true, .ca = store[0].certificate}, {.verify = true, .ca = store[1].certificate},
        {.verify = true},                             {.verify = false},
        {.verify = true, .alpn = SLICE("\x02h2")},
    };
    struct tls_ctx *all[5];
    for (size_t i = 0; i < 5; i++) {
        all[i] = tls_ctx_client(&settings[i], &complaints);
        assert_non_null(all[i]);
        for (size_t j = 0; j < i; j++)
            assert_true(tls_ctx_fingerprint(all[i]) != tls_ctx_fingerprint(all[j]));
    }
    struct tls_ctx *again = tls_ctx_client(&settings[0], &complaints);
    assert_true(tls_ctx_fingerprint(again) == tls_ctx_fingerprint(all[0]));
    tls_ctx_unref(again);
    for (size_t i = 0; i < 5; i++)
        tls_ctx_unref(all[i]);
    const struct tls_ctx_client missing = {.verify = true, .ca = "/nonexistent.pem"};
    assert_null(tls_ctx_client(&missing, &complaints));
    assert_int_equal(said.errors, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_best_certificate_for_a_name_is_chosen),
        cmocka_unit_test(test_names_of_255_bytes_and_more_get_the_default),
        cmocka_unit_test(test_the_names_of_each_certificate_are_told),
        cmocka_unit_test(test_what_cannot_be_served_is_refused_with_file_and_reason),
        cmocka_unit_test(test_a_weak_key_is_refused),
        cmocka_unit_test(test_a_whole_chain_is_good),
        cmocka_unit_test(test_an_expired_or_expiring_certificate_is_served_with_a_warning),
        cmocka_unit_test(test_every_policy_that_is_offered_can_be_served),
        cmocka_unit_test(test_equal_settings_have_equal_fingerprints),
    };
    return cmocka_run_group_tests(tests, certs_setup, certs_teardown);
}
