#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "config/scalar.h"

static void test_durations_are_a_number_and_a_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {
        {"500ms", 500},   {"30s", 30000},
        {"5m", 300000},   {"12h", 43200000},
        {"1d", 86400000}, {"0", 0},
        {"0s", 0},        {"007s", 7000},
        {"1ms", 1},       {"213503982334d", 18446744073657600000u},
    };
    static const char *const bad[] = {
        "",    "s",  "5",    "5 s",  " 5s",   "5s ", "1.5s",          "-1s",
        "+1s", "5S", "5sec", "5ms5", "1h30m", "5w",  "213503982335d", "99999999999999999999s",
        "00",
    };
    uint64_t ms;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(scalar_duration(slice_str(good[i].text), &ms));
        assert_true(ms == good[i].ms);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (scalar_duration(slice_str(bad[i]), &ms))
            fail_msg("\"%s\" was taken for a duration", bad[i]);
}

static void test_sizes_are_a_number_and_a_binary_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0B", 0},
        {"256B", 256},
        {"64KiB", 65536},
        {"1MiB", 1048576},
        {"2GiB", 2ull << 30},
        {"3TiB", 3ull << 40},
        {"16777215TiB", 16777215ull << 40},
    };
    static const char *const bad[] = {"",      "5",   "64K",    "64kb", "64KB",       "64kib",
                                      "1 MiB", "-1B", "1.5KiB", "B",    "16777216TiB"};
    uint64_t bytes;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(scalar_size(slice_str(good[i].text), &bytes));
        assert_true(bytes == good[i].bytes);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (scalar_size(slice_str(bad[i]), &bytes))
            fail_msg("\"%s\" was taken for a size", bad[i]);
}

static void test_switches_are_four_words(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "yes", "no", "True", "ON", "1", "0", "tru"};
    bool on;
    assert_true(scalar_bool(SLICE("true"), &on) && on);
    assert_true(scalar_bool(SLICE("on"), &on) && on);
    assert_true(scalar_bool(SLICE("false"), &on) && !on);
    assert_true(scalar_bool(SLICE("off"), &on) && !on);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(scalar_bool(slice_str(bad[i]), &on));
}

static void test_values_are_shown_in_the_largest_whole_unit(void **state)
{
    (void)state;
    static const struct {
        uint64_t v;
        const char *duration, *size;
    } rows[] = {
        {0, "0s", "0B"},          {1, "1ms", "1B"},         {1500, "1500ms", "1500B"},
        {60000, "1m", "60000B"},  {90000, "90s", "90000B"}, {86400000, "1d", "84375KiB"},
        {1024, "1024ms", "1KiB"},
    };
    char text[SCALAR_TEXT_MAX];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        scalar_show_duration(text, rows[i].v);
        assert_string_equal(text, rows[i].duration);
        scalar_show_size(text, rows[i].v);
        assert_string_equal(text, rows[i].size);
    }
    scalar_show_size(text, UINT64_MAX);
    assert_string_equal(text, "18446744073709551615B");
}

static void test_names_are_short_and_plain(void **state)
{
    (void)state;
    char longest[66];
    memset(longest, 'a', sizeof(longest));
    assert_true(scalar_is_name(SLICE("Web-1.api_x")));
    assert_true(scalar_is_name(slice_of(longest, 64)));
    assert_false(scalar_is_name(slice_of(longest, 65)));
    static const char *const bad[] = {"", "a b", "a/b", "a\"b", "\xc3\xa4", "a\n", "a:b"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(scalar_is_name(slice_str(bad[i])));
    assert_false(scalar_is_name(SLICE("a\0b")));
}

static void test_hosts_are_names_and_not_mistyped_addresses(void **state)
{
    (void)state;
    static const char *const good[] = {"localhost", "app.internal", "a-b.c", "_http.x",
                                       "1.2.3.4a",  "10.example",   "x"};
    static const char *const bad[] = {"",        ".",         "a..b", ".a",    "a.",
                                      "-a.b",    "a-.b",      "a b",  "a/b",   "1.2.3",
                                      "1.2.3.4", "256.1.1.1", "a:b",  "[::1]", "*.a"};
    char label[70];
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (!scalar_is_host(slice_str(good[i])))
            fail_msg("%s is a host", good[i]);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (scalar_is_host(slice_str(bad[i])))
            fail_msg("%s is no host", bad[i]);
    memset(label, 'a', sizeof(label));
    assert_true(scalar_is_host(slice_of(label, 63)));
    assert_false(scalar_is_host(slice_of(label, 64)));
}

static void test_a_host_has_253_bytes_at_most(void **state)
{
    (void)state;
    char host[254];
    for (size_t i = 0; i < sizeof(host); i++)
        host[i] = i % 2 ? '.' : 'a';
    assert_true(scalar_is_host(slice_of(host, 253)));
    host[253] = 'a';
    host[252] = 'a';
    assert_false(scalar_is_host(slice_of(host, 254)));
}

static void test_a_line_holds_no_control_characters(void **state)
{
    (void)state;
    assert_true(scalar_is_line(SLICE("")));
    assert_true(scalar_is_line(SLICE("a b \xc3\xa4 ~")));
    for (int c = 0; c < 0x20; c++) {
        char text[] = {'a', (char)c, 'b'};
        assert_false(scalar_is_line(slice_of(text, 3)));
    }
    assert_false(scalar_is_line(SLICE("\x7f")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations_are_a_number_and_a_unit),
        cmocka_unit_test(test_sizes_are_a_number_and_a_binary_unit),
        cmocka_unit_test(test_switches_are_four_words),
        cmocka_unit_test(test_values_are_shown_in_the_largest_whole_unit),
        cmocka_unit_test(test_names_are_short_and_plain),
        cmocka_unit_test(test_hosts_are_names_and_not_mistyped_addresses),
        cmocka_unit_test(test_a_host_has_253_bytes_at_most),
        cmocka_unit_test(test_a_line_holds_no_control_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
