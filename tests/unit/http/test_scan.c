#include "../../../src/http/scan.h"

#include "heads.h"

/* The same questions asked one octet at a time, straight from the RFCs. */
static bool is_tchar(unsigned char c)
{
    return c && ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                 strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_plain(unsigned char c)
{
    return c == '-' || (is_tchar(c) && !strchr("!#$%&'*+.^_`|~", c));
}

static void test_the_class_table_is_that_of_the_rfcs(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        bool alnum = is_plain((unsigned char)c) && c != '-';
        assert_int_equal(scan_is((char)c, SCAN_TOKEN), is_tchar((unsigned char)c));
        assert_int_equal(scan_is((char)c, SCAN_PLAIN), is_plain((unsigned char)c));
        assert_int_equal(scan_is((char)c, SCAN_UNRESERVED), alnum || (c && strchr("-._~", (int)c)));
        assert_int_equal(scan_is((char)c, SCAN_HEX), scan_hex((char)c) < 16);
        assert_int_equal(scan_is((char)c, SCAN_SPACE), c == ' ' || c == '\t');
    }
    assert_int_equal(scan_hex('9'), 9);
    assert_int_equal(scan_hex('a'), 10);
    assert_int_equal(scan_hex('F'), 15);
    assert_int_equal(scan_hex('g'), 16);
    assert_int_equal(scan_hex('@'), 16);
    assert_int_equal(scan_hex(':'), 16);
    assert_int_equal(scan_hex('/'), 16);
}

/* Every octet at every place of strings of every length up to three blocks, at the very end of
 * what may be read. */
enum { LONGEST = 50 };

static void each_octet_everywhere(void (*check)(const char *p, size_t n, size_t at, unsigned c))
{
    for (size_t n = 1; n <= LONGEST; n++) {
        char *p = malloc(n);
        for (size_t at = 0; at < n; at++)
            for (unsigned c = 0; c < 256; c++) {
                memset(p, 'a', n);
                p[at] = (char)c;
                check(p, n, at, c);
            }
        free(p);
    }
}

static void check_token(const char *p, size_t n, size_t at, unsigned c)
{
    bool odd = false;
    const char *end = scan_token(p, p + n, &odd);
    assert_ptr_equal(end, p + (is_tchar((unsigned char)c) ? n : at));
    assert_int_equal(odd, is_tchar((unsigned char)c) && !is_plain((unsigned char)c));
}

static void check_text(const char *p, size_t n, size_t at, unsigned c)
{
    unsigned seen = 0, control = (c < 0x20 && c != '\t') || c == 0x7f;
    bool stops = c == '\r' || c == '\n' || c == 0;
    assert_ptr_equal(scan_text(p, p + n, &seen), p + (stops ? at : n));
    unsigned expected = c >= 0x80 ? SCAN_SEEN_HIGH : control ? SCAN_SEEN_CONTROL : 0;
    assert_int_equal(seen, stops ? 0 : expected);
}

static unsigned target_octet(unsigned c)
{
    return c >= 0x80               ? SCAN_SEEN_HIGH
           : c == ' '              ? SCAN_SEEN_SPACE
           : c < 0x20 || c == 0x7f ? SCAN_SEEN_CONTROL
           : c == '#'              ? SCAN_SEEN_HASH
           : c == '%'              ? SCAN_SEEN_PERCENT
                                   : 0;
}

static void check_target(const char *p, size_t n, size_t at, unsigned c)
{
    (void)at;
    if (c != '\r' && c != '\n' && c != 0)
        assert_int_equal(scan_target(p, p + n, p + n), target_octet(c));
}

static void test_a_token_ends_at_the_first_octet_of_none(void **state)
{
    (void)state;
    each_octet_everywhere(check_token);
}

static void test_text_ends_at_cr_lf_nul_and_tells_of_controls(void **state)
{
    (void)state;
    each_octet_everywhere(check_text);
}

static void test_a_target_tells_what_it_contains(void **state)
{
    (void)state;
    each_octet_everywhere(check_target);
}

static void test_a_dot_behind_a_slash_is_seen_across_blocks(void **state)
{
    (void)state;
    for (size_t n = 2; n <= LONGEST; n++) {
        char *p = malloc(n);
        for (size_t at = 0; at + 1 < n; at++) {
            memset(p, 'a', n);
            p[at] = '/';
            assert_int_equal(scan_target(p, p + n, p + n), 0);
            p[at + 1] = '.';
            assert_int_equal(scan_target(p, p + n, p + n), SCAN_SEEN_DOT);
            p[at] = '.';
            assert_int_equal(scan_target(p, p + n, p + n), 0);
        }
        free(p);
    }
}

static void test_what_lies_behind_a_target_does_not_count(void **state)
{
    (void)state;
    char text[64];
    memset(text, '#', sizeof(text));
    for (size_t n = 0; n < 40; n++) {
        memset(text, 'a', n);
        assert_int_equal(scan_target(text, text + n, text + sizeof(text)), 0);
        if (n)
            assert_int_equal(scan_target(text, text + n + 1, text + sizeof(text)), SCAN_SEEN_HASH);
    }
}

static void test_a_line_feed_is_found_at_every_place(void **state)
{
    (void)state;
    for (size_t n = 0; n <= LONGEST; n++) {
        char *p = malloc(n ? n : 1);
        for (size_t at = 0; at <= n; at++) {
            memset(p, '\r', n);
            if (at < n)
                p[at] = '\n';
            assert_ptr_equal(scan_lf(p, p + n), p + at);
        }
        free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_class_table_is_that_of_the_rfcs),
        cmocka_unit_test(test_a_token_ends_at_the_first_octet_of_none),
        cmocka_unit_test(test_text_ends_at_cr_lf_nul_and_tells_of_controls),
        cmocka_unit_test(test_a_target_tells_what_it_contains),
        cmocka_unit_test(test_what_lies_behind_a_target_does_not_count),
        cmocka_unit_test(test_a_line_feed_is_found_at_every_place),
        cmocka_unit_test(test_a_dot_behind_a_slash_is_seen_across_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
