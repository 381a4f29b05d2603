#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "net/crypto.h"
#include "support/certs.h"

#define KEY_A "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"
#define KEY_B "ff02030405060708090A0B0C0D0E0F101112131415161718191a1b1c1d1e1f20"

static struct crypto_key seal(struct crypto_ring *r, uint64_t now_ms)
{
    struct crypto_key k;
    assert_int_equal(crypto_ring_seal(r, now_ms, &k), OK);
    return k;
}

static enum crypto_found open_named(struct crypto_ring *r, uint64_t now_ms,
                                    const struct crypto_key *k)
{
    struct crypto_key found;
    enum crypto_found f = crypto_ring_open(r, now_ms, k->name, &found);
    if (f != CRYPTO_FOUND_NONE)
        assert_memory_equal(&found, k, sizeof(found));
    return f;
}

static void test_what_a_key_sealed_is_opened_until_it_is_too_old(void **state)
{
    (void)state;
    const uint64_t period = CRYPTO_RING_PERIOD_MS, t = 1000;
    struct crypto_ring *r;
    assert_int_equal(crypto_ring_new(t, &r), OK);
    struct crypto_key first = seal(r, t + period - 1);
    assert_int_equal(open_named(r, t + period - 1, &first), CRYPTO_FOUND_SEALING);
    assert_int_equal(open_named(r, t + period, &first), CRYPTO_FOUND_OLDER);
    struct crypto_key second = seal(r, t + period);
    assert_memory_not_equal(first.name, second.name, sizeof(first.name));
    assert_int_equal(open_named(r, t + period, &second), CRYPTO_FOUND_SEALING);
    assert_int_equal(open_named(r, t + period, &first), CRYPTO_FOUND_OLDER);
    assert_int_equal(open_named(r, t + CRYPTO_RING_SLOTS * period - 1, &first), CRYPTO_FOUND_OLDER);
    assert_int_equal(open_named(r, t + CRYPTO_RING_SLOTS * period, &first), CRYPTO_FOUND_NONE);
    crypto_ring_unref(r);
}

static void test_old_keys_leave_the_ring(void **state)
{
    (void)state;
    struct crypto_ring *r;
    assert_int_equal(crypto_ring_new(0, &r), OK);
    struct crypto_key first = seal(r, 0);
    for (uint64_t i = 1; i < CRYPTO_RING_SLOTS; i++)
        (void)seal(r, i * CRYPTO_RING_PERIOD_MS);
    assert_int_equal(open_named(r, 0, &first), CRYPTO_FOUND_OLDER);
    (void)seal(r, CRYPTO_RING_SLOTS * (uint64_t)CRYPTO_RING_PERIOD_MS);
    assert_int_equal(open_named(r, 0, &first), CRYPTO_FOUND_NONE);
    crypto_ring_unref(r);
}

static void test_two_rings_share_nothing(void **state)
{
    (void)state;
    struct crypto_ring *a, *b;
    assert_int_equal(crypto_ring_new(0, &a), OK);
    assert_int_equal(crypto_ring_new(0, &b), OK);
    struct crypto_key k = seal(a, 0);
    assert_int_equal(open_named(b, 0, &k), CRYPTO_FOUND_NONE);
    crypto_ring_unref(a);
    crypto_ring_unref(b);
}

static struct crypto_ring *load(const char *text)
{
    struct crypto_ring *r;
    unsigned line;
    assert_int_equal(crypto_ring_load(certs_write_text(&certs_dir, "keys", text), &r, &line), OK);
    return r;
}

static void test_the_first_key_of_a_file_seals_and_all_open(void **state)
{
    (void)state;
    struct crypto_ring *ab = load("# the fleet's\n" KEY_A "\n\n " KEY_B " \r\n");
    struct crypto_ring *b = load(KEY_B);
    struct crypto_key k = seal(b, 0);
    assert_false(crypto_ring_rotates(ab));
    assert_int_equal(open_named(ab, 0, &k), CRYPTO_FOUND_OLDER);
    k = seal(ab, 0);
    assert_int_equal(open_named(ab, 1ull << 50, &k), CRYPTO_FOUND_SEALING);
    assert_int_equal(open_named(b, 0, &k), CRYPTO_FOUND_NONE);
    crypto_ring_unref(ab);
    crypto_ring_unref(b);
}

static void test_a_bad_key_file_is_refused_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned line;
    } rows[] = {
        {"", 1},
        {"# nothing\n", 2},
        {KEY_A "\n" KEY_B "0\n", 2},
        {KEY_A "\nabc\n", 2},
        {"g" KEY_A "\n", 1},
        {KEY_A " " KEY_B "\n", 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct crypto_ring *r;
        unsigned line;
        const char *path = certs_write_text(&certs_dir, "keys", rows[i].text);
        assert_int_equal(crypto_ring_load(path, &r, &line), ERR_SYNTAX);
        assert_int_equal(line, rows[i].line);
    }
    struct crypto_ring *r;
    unsigned line;
    assert_int_equal(crypto_ring_load(certs_path(&certs_dir, "missing"), &r, &line), ERR_SYSTEM);
}

static void test_a_file_of_16_keys_is_good_and_of_17_is_not(void **state)
{
    (void)state;
    char text[17 * 66 + 1] = "";
    for (int i = 0; i < 16; i++)
        strcat(text, KEY_A "\n");
    crypto_ring_unref(load(text));
    strcat(text, KEY_A "\n");
    struct crypto_ring *r;
    unsigned line;
    assert_int_equal(crypto_ring_load(certs_write_text(&certs_dir, "keys", text), &r, &line), ERR_LIMIT);
    assert_int_equal(line, 17);
}

/* ---- threads ---- */

#define ROTATIONS 2000

static void *seal_and_open(void *arg)
{
    struct crypto_ring *r = arg;
    for (uint64_t i = 0; i < ROTATIONS; i++) {
        uint64_t now = i * CRYPTO_RING_PERIOD_MS / 8;
        struct crypto_key k, found;
        if (crypto_ring_seal(r, now, &k) != OK)
            continue;
        if (crypto_ring_open(r, now, k.name, &found) != CRYPTO_FOUND_NONE &&
            memcmp(&k, &found, sizeof(k)) != 0)
            return r;
    }
    return NULL;
}

static void test_threads_never_see_half_a_key(void **state)
{
    (void)state;
    struct crypto_ring *r;
    pthread_t threads[4];
    void *bad;
    assert_int_equal(crypto_ring_new(0, &r), OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, seal_and_open, r), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &bad);
        assert_null(bad);
    }
    crypto_ring_unref(r);
}

static void test_secrets_are_the_same_when_all_of_them_is(void **state)
{
    (void)state;
    assert_true(crypto_same("abc", 3, "abc", 3));
    assert_true(crypto_same("", 0, "", 0));
    assert_false(crypto_same("abc", 3, "abd", 3));
    assert_false(crypto_same("abc", 3, "ab", 2));
    assert_false(crypto_same("abc", 3, "", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secrets_are_the_same_when_all_of_them_is),
        cmocka_unit_test(test_what_a_key_sealed_is_opened_until_it_is_too_old),
        cmocka_unit_test(test_old_keys_leave_the_ring),
        cmocka_unit_test(test_two_rings_share_nothing),
        cmocka_unit_test(test_the_first_key_of_a_file_seals_and_all_open),
        cmocka_unit_test(test_a_bad_key_file_is_refused_with_its_line),
        cmocka_unit_test(test_a_file_of_16_keys_is_good_and_of_17_is_not),
        cmocka_unit_test(test_threads_never_see_half_a_key),
    };
    return cmocka_run_group_tests(tests, certs_setup, certs_teardown);
}
