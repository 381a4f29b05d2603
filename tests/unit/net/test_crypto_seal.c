#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "net/crypto_seal.h"
#include "support/certs.h"

#define KEY_A "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"
#define KEY_B "ff02030405060708090A0B0C0D0E0F101112131415161718191a1b1c1d1e1f20"

#define TEXT_N CRYPTO_SEAL_TEXT(16)

static const struct slice message = SLICE_INIT("sixteen octets !");
static const struct slice purpose = SLICE_INIT("a purpose");

static struct crypto_ring *load(const char *text)
{
    struct crypto_ring *r;
    unsigned line;
    assert_int_equal(crypto_ring_load(certs_write_text(&certs_dir, "keys", text), &r, &line), OK);
    return r;
}

static void seal(struct crypto_seal *s, struct crypto_ring *r, char to[TEXT_N])
{
    assert_int_equal(crypto_seal_close(s, r, 0, purpose, message, to), OK);
}

static bool opens(struct crypto_seal *s, struct crypto_ring *r, struct slice text)
{
    uint8_t to[16];
    if (!crypto_seal_open(s, r, 0, purpose, text, to, sizeof(to)))
        return false;
    assert_memory_equal(to, message.p, sizeof(to));
    return true;
}

static void test_what_was_sealed_opens_for_everybody_with_the_key(void **state)
{
    (void)state;
    struct crypto_ring *a = load(KEY_A "\n"), *fleet = load(KEY_B "\n" KEY_A "\n");
    struct crypto_seal *s = crypto_seal_new(), *other = crypto_seal_new();
    char text[TEXT_N];
    seal(s, a, text);
    assert_true(opens(s, a, slice_of(text, TEXT_N)));
    assert_true(opens(other, fleet, slice_of(text, TEXT_N)));
    crypto_seal_free(s);
    crypto_seal_free(other);
    crypto_ring_unref(a);
    crypto_ring_unref(fleet);
}

static void test_nobody_without_the_key_opens_it(void **state)
{
    (void)state;
    struct crypto_ring *a = load(KEY_A "\n"), *b = load(KEY_B "\n");
    struct crypto_seal *s = crypto_seal_new();
    char text[TEXT_N];
    seal(s, a, text);
    assert_false(opens(s, b, slice_of(text, TEXT_N)));
    crypto_seal_free(s);
    crypto_ring_unref(a);
    crypto_ring_unref(b);
}

static void test_any_letter_changed_is_noticed(void **state)
{
    (void)state;
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    struct crypto_ring *r = load(KEY_A "\n");
    struct crypto_seal *s = crypto_seal_new();
    char text[TEXT_N];
    seal(s, r, text);
    for (size_t i = 0; i < TEXT_N; i++)
        for (size_t j = 0; j < 64; j++) {
            char was = text[i];
            text[i] = letters[j];
            assert_int_equal(opens(s, r, slice_of(text, TEXT_N)), was == letters[j]);
            text[i] = was;
        }
    for (int c = 0; c < 256; c++)
        if (!memchr(letters, c, 64)) {
            text[9] = (char)c;
            assert_false(opens(s, r, slice_of(text, TEXT_N)));
        }
    crypto_seal_free(s);
    crypto_ring_unref(r);
}

static void test_any_other_length_is_refused(void **state)
{
    (void)state;
    struct crypto_ring *r = load(KEY_A "\n");
    struct crypto_seal *s = crypto_seal_new();
    uint8_t to[CRYPTO_SEAL_MAX];
    char text[TEXT_N + 4];
    memset(text, 'A', sizeof(text));
    seal(s, r, text);
    for (size_t n = 0; n < sizeof(text); n++)
        assert_int_equal(opens(s, r, slice_of(text, n)), n == TEXT_N);
    for (size_t n = 0; n <= CRYPTO_SEAL_MAX; n++)
        assert_int_equal(
            crypto_seal_open(s, r, 0, purpose, slice_of(text, TEXT_N), to, n), n == message.n);
    crypto_seal_free(s);
    crypto_ring_unref(r);
}

static void test_made_for_another_purpose_it_does_not_open(void **state)
{
    (void)state;
    struct crypto_ring *r = load(KEY_A "\n");
    struct crypto_seal *s = crypto_seal_new();
    uint8_t to[16];
    char text[TEXT_N];
    seal(s, r, text);
    assert_false(crypto_seal_open(s, r, 0, SLICE("another"), slice_of(text, TEXT_N), to, 16));
    assert_false(crypto_seal_open(s, r, 0, SLICE(""), slice_of(text, TEXT_N), to, 16));
    crypto_seal_free(s);
    crypto_ring_unref(r);
}

static void test_the_same_message_is_never_sealed_alike(void **state)
{
    (void)state;
    enum { N = 200 };
    struct crypto_ring *r = load(KEY_A "\n");
    struct crypto_seal *s[2] = {crypto_seal_new(), crypto_seal_new()};
    char (*text)[TEXT_N] = calloc(N, sizeof(*text));
    for (size_t i = 0; i < N; i++) {
        seal(s[i % 2], r, text[i]);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(text[i], text[j], TEXT_N);
        for (size_t at = 0; at + 8 <= TEXT_N; at++)
            assert_memory_not_equal(text[i] + at, message.p, 8);
    }
    free(text);
    crypto_seal_free(s[0]);
    crypto_seal_free(s[1]);
    crypto_ring_unref(r);
}

static void test_it_opens_until_its_key_leaves_a_ring_that_rotates(void **state)
{
    (void)state;
    struct crypto_ring *r;
    assert_int_equal(crypto_ring_every(1000, 3, 0, &r), OK);
    struct crypto_seal *s = crypto_seal_new();
    uint8_t to[16];
    char old[TEXT_N], fresh[TEXT_N];
    seal(s, r, old);
    assert_int_equal(crypto_seal_close(s, r, 1000, purpose, message, fresh), OK);
    assert_memory_not_equal(old, fresh, 20); /* another key's name */
    assert_true(crypto_seal_open(s, r, 2999, purpose, slice_of(old, TEXT_N), to, 16));
    assert_false(crypto_seal_open(s, r, 3000, purpose, slice_of(old, TEXT_N), to, 16));
    assert_true(crypto_seal_open(s, r, 3999, purpose, slice_of(fresh, TEXT_N), to, 16));
    assert_false(crypto_seal_open(s, r, 4000, purpose, slice_of(fresh, TEXT_N), to, 16));
    crypto_seal_free(s);
    crypto_ring_unref(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_sealed_opens_for_everybody_with_the_key),
        cmocka_unit_test(test_nobody_without_the_key_opens_it),
        cmocka_unit_test(test_any_letter_changed_is_noticed),
        cmocka_unit_test(test_any_other_length_is_refused),
        cmocka_unit_test(test_made_for_another_purpose_it_does_not_open),
        cmocka_unit_test(test_the_same_message_is_never_sealed_alike),
        cmocka_unit_test(test_it_opens_until_its_key_leaves_a_ring_that_rotates),
    };
    return cmocka_run_group_tests(tests, certs_setup, certs_teardown);
}
