#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/check.h"
#include "base/slice.h"

static void test_equality_is_of_bytes_and_length(void **state)
{
    (void)state;
    assert_true(slice_eq(SLICE("abc"), slice_of("abcd", 3)));
    assert_false(slice_eq(SLICE("abc"), SLICE("abd")));
    assert_false(slice_eq(SLICE("abc"), SLICE("ab")));
    assert_true(slice_eq(SLICE(""), slice_of(NULL, 0)));
    assert_false(slice_eq(SLICE("a\0b"), SLICE("a\0c")));
    assert_int_equal(slice_str(NULL).n, 0);
}

/* ASCII letters only: `[` is not a folded `{`, and no locale changes that. */
static void test_only_letters_are_folded(void **state)
{
    (void)state;
    for (int a = 0; a < 256; a++)
        for (int b = 0; b < 256; b++) {
            char x = (char)a, y = (char)b;
            bool letters = (a | 0x20) == (b | 0x20) && (a | 0x20) >= 'a' && (a | 0x20) <= 'z';
            assert_int_equal(slice_ieq(slice_of(&x, 1), slice_of(&y, 1)), a == b || letters);
        }
    assert_true(slice_ieq(SLICE("Content-LENGTH"), SLICE("content-length")));
    assert_false(slice_ieq(SLICE("host"), SLICE("hos")));
}

static void test_a_folded_copy_has_room_for_what_it_is_given(void **state)
{
    (void)state;
    char to[4] = "....";
    assert_true(slice_eq(slice_fold(to, 3, SLICE("A[b")), SLICE("a[b")));
    assert_true(slice_eq(slice_fold(to, 3, SLICE("WXYZ")), SLICE("wxy")));
    assert_int_equal(to[3], '.');
    assert_int_equal(slice_fold(to, 3, SLICE("")).n, 0);
}

static void test_beginnings_and_endings(void **state)
{
    (void)state;
    static const struct {
        const char *s, *part;
        bool starts, istarts, ends;
    } rows[] = {
        {"abc", "", true, true, true},     {"abc", "ab", true, true, false},
        {"abc", "AB", false, true, false}, {"abc", "bc", false, false, true},
        {"abc", "abc", true, true, true},  {"abc", "abcd", false, false, false},
        {"", "", true, true, true},        {"", "a", false, false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice s = slice_str(rows[i].s), part = slice_str(rows[i].part);
        assert_int_equal(slice_starts(s, part), rows[i].starts);
        assert_int_equal(slice_istarts(s, part), rows[i].istarts);
        assert_int_equal(slice_ends(s, part), rows[i].ends);
    }
}

static void test_find_gives_the_length_when_there_is_none(void **state)
{
    (void)state;
    struct slice s = SLICE("a,b,");
    assert_int_equal(slice_find(s, ',', 0), 1);
    assert_int_equal(slice_find(s, ',', 1), 1);
    assert_int_equal(slice_find(s, ',', 2), 3);
    assert_int_equal(slice_find(s, ',', 4), 4);
    assert_int_equal(slice_find(s, ',', 99), 4);
    assert_int_equal(slice_find(s, 'x', 0), 4);
    assert_int_equal(slice_find(slice_of(NULL, 0), 'x', 0), 0);
    assert_int_equal(slice_find(slice_of("ab,", 2), ',', 0), 2);
}

static void test_cuts_never_leave_the_slice(void **state)
{
    (void)state;
    struct slice s = SLICE("abc");
    for (size_t n = 0; n < 6; n++) {
        size_t in = n < 3 ? n : 3;
        assert_int_equal(slice_upto(s, n).n, in);
        assert_ptr_equal(slice_upto(s, n).p, s.p);
        assert_int_equal(slice_from(s, n).n, 3 - in);
        assert_ptr_equal(slice_from(s, n).p, s.p + in);
    }
    assert_int_equal(slice_from(s, SIZE_MAX).n, 0);
}

static void test_trim_takes_spaces_and_tabs_only(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", ""}, {" ", ""}, {" \t a b\t ", "a b"}, {"a", "a"}, {"\na\r", "\na\r"}, {"\t\t", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_true(slice_eq(slice_trim(slice_str(rows[i][0])), slice_str(rows[i][1])));
}

static void test_list_items_are_trimmed_and_empty_ones_skipped(void **state)
{
    (void)state;
    static const struct {
        const char *list, *items; /* each followed by `|` */
    } rows[] = {
        {"", ""},
        {",", ""},
        {" , ,\t", ""},
        {"a", "a|"},
        {"a,b", "a|b|"},
        {" a , b ,", "a|b|"},
        {",,a,,b c,,", "a|b c|"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char got[64];
        size_t n = 0;
        struct slice rest = slice_str(rows[i].list), item;
        while (slice_next_item(&rest, &item))
            n += (size_t)snprintf(got + n, sizeof(got) - n, "%.*s|", (int)item.n, item.p);
        got[n] = '\0';
        assert_string_equal(got, rows[i].items);
    }
}

static void test_numbers_are_digits_alone_and_fit_in_64_bits(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
        uint64_t value;
    } rows[] = {
        {"0", true, 0},
        {"007", true, 7},
        {"18446744073709551615", true, UINT64_MAX},
        {"00000000000000000000000018446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"18446744073709551620", false, 0},
        {"28446744073709551615", false, 0},
        {"184467440737095516150", false, 0},
        {"99999999999999999999", false, 0},
        {"", false, 0},
        {"+1", false, 0},
        {"-1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"0x1", false, 0},
        {"1e3", false, 0},
        {"/", false, 0},
        {":", false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t v = 42;
        assert_int_equal(slice_u64(slice_str(rows[i].text), &v), rows[i].good);
        assert_true(v == (rows[i].good ? rows[i].value : 42));
    }
    uint64_t v;
    assert_false(slice_u64(SLICE("1\0"), &v));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equality_is_of_bytes_and_length),
        cmocka_unit_test(test_only_letters_are_folded),
        cmocka_unit_test(test_a_folded_copy_has_room_for_what_it_is_given),
        cmocka_unit_test(test_beginnings_and_endings),
        cmocka_unit_test(test_find_gives_the_length_when_there_is_none),
        cmocka_unit_test(test_cuts_never_leave_the_slice),
        cmocka_unit_test(test_trim_takes_spaces_and_tabs_only),
        cmocka_unit_test(test_list_items_are_trimmed_and_empty_ones_skipped),
        cmocka_unit_test(test_numbers_are_digits_alone_and_fit_in_64_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
