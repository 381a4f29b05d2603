#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/text.h"

static void assert_json(struct slice in, size_t cap, const char *expected)
{
    char to[256];
    size_t n = text_json(to, cap, in);
    assert_true(n <= cap);
    assert_int_equal(n, strlen(expected));
    assert_memory_equal(to, expected, n);
}

static void test_u64_is_written_as_printf_would(void **state)
{
    (void)state;
    uint64_t values[] = {
        0, 1, 9, 10, 99, 100, 101, 999, 1000, 12345, 1u << 31, UINT64_MAX - 1, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        char got[TEXT_U64_MAX], want[TEXT_U64_MAX + 1];
        int n = snprintf(want, sizeof(want), "%llu", (unsigned long long)values[i]);
        assert_int_equal(text_u64(got, values[i]), n);
        assert_memory_equal(got, want, (size_t)n);
    }
}

static void test_six_digits_keep_their_zeros(void **state)
{
    (void)state;
    char to[6];
    text_digits6(to, 42);
    assert_memory_equal(to, "000042", 6);
    text_digits6(to, 999999);
    assert_memory_equal(to, "999999", 6);
    text_digits6(to, 0);
    assert_memory_equal(to, "000000", 6);
}

static void test_json_escapes_at_every_offset_of_a_word(void **state)
{
    (void)state;
    const char *specials[] = {"\"", "\\", "\n", "\x01", "\x7f", "\x80", "\xff", "\x1f"};
    const char *escapes[] = {"\\\"",    "\\\\",    "\\n",     "\\u0001",
                             "\\u007f", "\\u0080", "\\u00ff", "\\u001f"};
    for (size_t i = 0; i < ARRAY_LEN(specials); i++)
        for (int before = 0; before < 20; before++)
            for (int after = 0; after < 20; after++) {
                char in[64], want[64];
                int n = snprintf(in, sizeof(in), "%.*s%s%.*s", before, "abcdefghijklmnopqrst",
                                 specials[i], after, "ABCDEFGHIJKLMNOPQRST");
                snprintf(want, sizeof(want), "\"%.*s%s%.*s\"", before, "abcdefghijklmnopqrst",
                         escapes[i], after, "ABCDEFGHIJKLMNOPQRST");
                assert_json(slice_of(in, (size_t)n), 256, want);
            }
}

static void test_json_keeps_utf8_and_escapes_what_is_not(void **state)
{
    (void)state;
    assert_json(SLICE("h\xc3\xa4user \xe2\x82\xac \xf0\x9f\x98\x80"), 256,
                "\"h\xc3\xa4user \xe2\x82\xac \xf0\x9f\x98\x80\"");
    assert_json(SLICE("\xc0\xaf \xed\xa0\x80 \xe2\x82"), 256,
                "\"\\u00c0\\u00af \\u00ed\\u00a0\\u0080 \\u00e2\\u0082\"");
    assert_json(slice_of("a\0b", 3), 256, "\"a\\u0000b\"");
}

static void test_json_is_cut_at_a_whole_character(void **state)
{
    (void)state;
    assert_json(SLICE("abcdefgh"), 10, "\"abcdefgh\"");
    assert_json(SLICE("abcdefgh"), 9, "\"abcdefg\"");
    assert_json(SLICE("abcdefghi"), 10, "\"abcdefgh\"");
    assert_json(SLICE("abc\n"), 6, "\"abc\"");
    assert_json(SLICE("abc\n"), 7, "\"abc\\n\"");
    assert_json(SLICE("a\xc3\xa4"), 4, "\"a\"");
    assert_json(SLICE("x"), 2, "\"\"");
    assert_json(SLICE(""), 2, "\"\"");
}

/* Whatever comes in: printable ASCII or whole UTF-8 comes out, within the cap. */
static void test_json_of_random_bytes_never_leaves_its_room(void **state)
{
    (void)state;
    struct rng rng = {42};
    for (int round = 0; round < 20000; round++) {
        size_t n = rng_below(&rng, 40), cap = 2 + rng_below(&rng, 60);
        char *in = malloc(n ? n : 1), *to = malloc(cap);
        for (size_t i = 0; i < n; i++)
            in[i] = (char)(rng_below(&rng, 4) ? 'a' + rng_below(&rng, 26) : rng_below(&rng, 256));
        size_t w = text_json(to, cap, slice_of(in, n));
        assert_true(w >= 2 && w <= cap);
        assert_true(to[0] == '"' && to[w - 1] == '"');
        for (size_t i = 0; i < w; i++)
            assert_true((unsigned char)to[i] >= 0x20 && to[i] != 0x7f);
        free(in);
        free(to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_u64_is_written_as_printf_would),
        cmocka_unit_test(test_six_digits_keep_their_zeros),
        cmocka_unit_test(test_json_escapes_at_every_offset_of_a_word),
        cmocka_unit_test(test_json_keeps_utf8_and_escapes_what_is_not),
        cmocka_unit_test(test_json_is_cut_at_a_whole_character),
        cmocka_unit_test(test_json_of_random_bytes_never_leaves_its_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
