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

static void test_hex_is_written_as_printf_would(void **state)
{
    (void)state;
    for (int bit = 0; bit <= 64; bit++)
        for (int more = -1; more <= 1; more++) {
            uint64_t v = (bit < 64 ? UINT64_C(1) << bit : 0) + (uint64_t)more;
            char got[16], want[17];
            int n = snprintf(want, sizeof(want), "%llx", (unsigned long long)v);
            assert_int_equal(text_hex(got, v), n);
            assert_memory_equal(got, want, (size_t)n);
        }
}

static void test_u64_of_every_length_is_written_as_printf_would(void **state)
{
    (void)state;
    struct rng rng = {8};
    for (int i = 0; i < 100000; i++) {
        uint64_t v = rng_next(&rng) >> rng_below(&rng, 64);
        char got[TEXT_U64_MAX], want[TEXT_U64_MAX + 1];
        int n = snprintf(want, sizeof(want), "%llu", (unsigned long long)v);
        assert_int_equal(text_u64(got, v), n);
        assert_memory_equal(got, want, (size_t)n);
    }
}

/* The code point that p[0..n) encodes, -1 when it is none: by arithmetic, not by a table of ranges
 * as in text.c. */
static long decode(const unsigned char *p, size_t n)
{
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0}, mask[] = {0, 0, 0x1f, 0x0f, 0x07};
    static const long least[] = {0, 0, 0x80, 0x800, 0x10000};
    if ((p[0] & ~mask[n] & 0xff) != lead[n])
        return -1;
    long v = p[0] & mask[n];
    for (size_t i = 1; i < n; i++) {
        if (p[i] >> 6 != 2)
            return -1;
        v = v << 6 | (p[i] & 0x3f);
    }
    return v < least[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000) ? -1 : v;
}

/* What the header promises, one character of the input at a time. */
static size_t expected_json(char *to, const unsigned char *p, size_t n)
{
    static const char *const named[] = {
        ['\b'] = "\\b", ['\f'] = "\\f", ['\n'] = "\\n", ['\r'] = "\\r",
        ['\t'] = "\\t", ['"'] = "\\\"", ['\\'] = "\\\\"};
    size_t w = 0;
    to[w++] = '"';
    for (size_t i = 0, len; i < n; i += len) {
        len = 1;
        for (size_t try = 2; try <= 4 && p[i] >= 0x80; try++)
            if (try <= n - i && decode(p + i, try) >= 0)
                len = try;
        if (len == 1 && p[i] < ARRAY_LEN(named) && named[p[i]])
            w += (size_t)sprintf(to + w, "%s", named[p[i]]);
        else if (len == 1 && (p[i] < 0x20 || p[i] >= 0x7f))
            w += (size_t)sprintf(to + w, "\\u%04x", p[i]);
        else
            w += (size_t)sprintf(to + w, "%.*s", (int)len, (const char *)p + i);
    }
    to[w++] = '"';
    return w;
}

static void check_json(const unsigned char *p, size_t n)
{
    char got[128], want[128];
    size_t len = expected_json(want, p, n);
    if (text_json(got, sizeof(got), slice_of((const char *)p, n)) != len || memcmp(got, want, len))
        fail_msg("%zu bytes from %02x: expected %.*s", n, p[0], (int)len, want);
}

static void test_json_of_every_byte_alone_and_between_letters(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        unsigned char text[] = {(unsigned char)c, 'a', (unsigned char)c};
        check_json(text, 1);
        check_json(text, 3);
    }
}

static void test_json_of_every_two_and_three_byte_sequence(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 0x10000; v++)
        check_json((unsigned char[]){(unsigned char)(v >> 8), (unsigned char)v}, 2);
    for (unsigned v = 0xe00000; v < 0xf00000; v += 3)
        check_json(
            (unsigned char[]){(unsigned char)(v >> 16), (unsigned char)(v >> 8), (unsigned char)v},
            3);
}

static void test_json_of_four_byte_sequences_at_the_edges_of_unicode(void **state)
{
    (void)state;
    static const unsigned char edges[] = {0x00, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0xbf, 0xc0, 0xff};
    for (unsigned lead = 0xee; lead <= 0xff; lead++)
        for (size_t i = 0; i < 9 * 9 * 9; i++) {
            unsigned char text[] = {(unsigned char)lead, edges[i / 81], edges[i / 9 % 9],
                                    edges[i % 9]};
            for (size_t cut = 1; cut <= 4; cut++)
                check_json(text, cut);
        }
}

/* Each length of room gives a beginning of the whole, ended by a quote and cut between characters.
 */
static void test_json_with_too_little_room_is_cut_between_characters(void **state)
{
    (void)state;
    struct slice in = SLICE("a\"\xc3\xa4\n\xe2\x82\xac\x01\xf0\x9f\x98\x80\xffz");
    static const unsigned char ends[] = {1, 2, 4, 6, 8, 11, 17, 21, 27, 28}; /* whole characters */
    char whole[64], to[64];
    size_t all = text_json(whole, sizeof(whole), in);
    assert_int_equal(all, 29);
    for (size_t cap = 2; cap < 40; cap++) {
        size_t want = 0, n = text_json(to, cap, in);
        for (size_t i = 0; i < ARRAY_LEN(ends) && ends[i] < cap; i++)
            want = ends[i];
        assert_int_equal(n, want + 1);
        assert_memory_equal(to, whole, n - 1);
        assert_int_equal(to[n - 1], '"');
    }
}

/* RFC 4648 10, in the alphabet of its section 5 and without padding. */
static void test_base64_is_that_of_the_rfc(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},         {"f", "Zg"},         {"fo", "Zm8"},
        {"foo", "Zm9v"},  {"foob", "Zm9vYg"},  {"fooba", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xfe", "-__-"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[16];
        uint8_t back[16];
        size_t in = strlen(rows[i][0]), n = text_base64(text, (const uint8_t *)rows[i][0], in);
        assert_int_equal(n, TEXT_BASE64_BYTES(in));
        assert_true(slice_eq(slice_of(text, n), slice_str(rows[i][1])));
        assert_true(text_from_base64(back, &n, slice_str(rows[i][1])));
        assert_int_equal(n, in);
        assert_memory_equal(back, rows[i][0], in);
    }
}

/* Of all texts of two and three letters, exactly those that encoding writes are taken. */
static void test_base64_takes_only_what_it_would_write(void **state)
{
    (void)state;
    size_t taken[4] = {0};
    for (size_t len = 1; len <= 3; len++)
        for (uint32_t v = 0; v < 1u << (7 * len); v++) {
            char text[3] = {(char)(v & 127), (char)(v >> 7 & 127), (char)(v >> 14)}, again[4];
            uint8_t bytes[2];
            size_t n;
            if (!text_from_base64(bytes, &n, slice_of(text, len)))
                continue;
            taken[len]++;
            assert_int_equal(text_base64(again, bytes, n), len);
            assert_memory_equal(again, text, len);
        }
    assert_int_equal(taken[1], 0);
    assert_int_equal(taken[2], 256);
    assert_int_equal(taken[3], 65536);
    uint8_t bytes[4];
    size_t n;
    assert_false(text_from_base64(bytes, &n, SLICE("Zg==")));
    assert_false(text_from_base64(bytes, &n, SLICE("Zm9\xff")));
}

/* One octet of any kind at every place of strings of every length that takes another path. */
static void test_an_octet_that_needs_an_escape_is_found_wherever_it_is(void **state)
{
    (void)state;
    static const char odd[] = {'"', '\\', 0x1f, 0x7f, 'a', 0x20, 0x7e};
    char in[40], out[6 * sizeof(in) + 2];
    for (size_t n = 1; n <= sizeof(in); n++)
        for (size_t at = 0; at < n; at++)
            for (size_t k = 0; k < sizeof(odd); k++) {
                memset(in, 'x', n);
                in[at] = odd[k];
                size_t more = k < 2 ? 1 : k < 4 ? 5 : 0;
                assert_int_equal(text_json(out, sizeof(out), slice_of(in, n)), n + 2 + more);
                assert_memory_equal(out + 1, in, at);
                assert_memory_equal(out + 1 + at + more + 1, in + at + 1, n - at - 1);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_octet_that_needs_an_escape_is_found_wherever_it_is),
        cmocka_unit_test(test_u64_is_written_as_printf_would),
        cmocka_unit_test(test_six_digits_keep_their_zeros),
        cmocka_unit_test(test_json_escapes_at_every_offset_of_a_word),
        cmocka_unit_test(test_json_keeps_utf8_and_escapes_what_is_not),
        cmocka_unit_test(test_json_is_cut_at_a_whole_character),
        cmocka_unit_test(test_json_of_random_bytes_never_leaves_its_room),
        cmocka_unit_test(test_hex_is_written_as_printf_would),
        cmocka_unit_test(test_u64_of_every_length_is_written_as_printf_would),
        cmocka_unit_test(test_json_of_every_byte_alone_and_between_letters),
        cmocka_unit_test(test_json_of_every_two_and_three_byte_sequence),
        cmocka_unit_test(test_json_of_four_byte_sequences_at_the_edges_of_unicode),
        cmocka_unit_test(test_json_with_too_little_room_is_cut_between_characters),
        cmocka_unit_test(test_base64_is_that_of_the_rfc),
        cmocka_unit_test(test_base64_takes_only_what_it_would_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
