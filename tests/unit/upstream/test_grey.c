/* Which zone is grey, as tables of one window's counts. */
#include "upstream/grey.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/slice.h"

#define MINIMUM 50
#define MAX     8

/* "100/5 200 30/30": requests and failures of each zone; further groups behind `|`. */
static size_t add_group(struct grey_zone *zones, const char **text)
{
    struct grey_count group[MAX] = {0};
    size_t n = 0;
    while (**text && **text != '|') {
        unsigned requests, failures = 0;
        int used;
        if (sscanf(*text, "%u/%u %n", &requests, &failures, &used) < 2)
            assert_int_equal(sscanf(*text, "%u %n", &requests, &used), 1);
        group[n++] = (struct grey_count){requests, failures};
        *text += used;
    }
    grey_add(zones, group, n);
    return n;
}

/* The letter of the grey zone, or '-'. */
static char verdict(const char *text)
{
    struct grey_zone zones[MAX] = {0};
    size_t n = add_group(zones, &text);
    while (*text == '|') {
        text += 2;
        assert_int_equal(add_group(zones, &text), n);
    }
    size_t grey = grey_judge(zones, n, MINIMUM);
    assert_true(grey == GREY_NONE || grey < n);
    return grey == GREY_NONE ? '-' : (char)('a' + grey);
}

struct row {
    const char *counts;
    char grey;
};

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (verdict(rows[i].counts) != rows[i].grey)
            fail_msg("\"%s\": %c, not %c", rows[i].counts, verdict(rows[i].counts), rows[i].grey);
}

static void test_a_zone_that_fails_beside_clean_ones_is_grey(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"100 100 100", '-'},          {"100/100 100 100", 'a'},     {"100 100/50 100", 'b'},
        {"100/2 100/2 100/40", 'c'},   {"1000/61 1000/10 1000/10", 'a'},
        {"1000/59 1000/10 1000/10", '-'}, /* less than 5 points over the others */
        {"60/5 60/2 60/2", '-'},          /* 5 points, but likely enough */
        {"100 100 100 100/30", 'd'},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_what_several_zones_have_is_no_zones_fault(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"100/100 100/100 100/100", '-'}, {"100/100 100/100 100", '-'}, {"100/50 100/40 100", '-'},
        {"100/90 100/90 100 100 100", '-'}, {"1000/500 1000/51 1000", '-'},
        {"1000/500 1000/50 1000", 'a'}, /* 5 % is just clean */
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_two_zones_are_nothing_to_compare(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"", '-'}, {"100/100", '-'}, {"100/100 100", '-'}, {"100/100 100 0", '-'},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_little_traffic_says_nothing(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"49/49 100 100", '-'}, {"50/50 100 100", 'a'}, {"100/100 49 100", '-'},
        {"100/100 50 50", 'a'}, {"100/100 49 100 100", 'a'},
        {"100/100 1/1 100 100", '-'}, /* little, but it speaks against it */
        {"0 0 0", '-'},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_groups_are_told_apart(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"100/50 100 100 | 100 100 100", 'a'},
        {"100/50 100 100 | 100 100/50 100", '-'}, /* one zone each: two */
        {"900/900 10/10 10/10 | 1000 1000 1000", '-'}, /* a bad release, most of it in one zone */
        {"100/100 0 0 | 1000 1000 1000", '-'},         /* a group in one zone */
        {"100/100 100 0 | 1000 1000 1000", '-'},       /* or in two */
        {"20/20 20/20 20/20 | 1000/300 1000 1000", 'a'}, /* a small one that fails everywhere */
        {"200/200 200/200 200/200 | 1000/300 1000 1000", '-'}, /* a large one: nobody is clean */
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_windows_count_in_a_row(void **state)
{
    (void)state;
    struct grey_run r = {0};
    assert_int_equal(grey_note(&r, 0), 0);
    assert_int_equal(grey_note(&r, 7), 1);
    assert_int_equal(grey_note(&r, 7), 2);
    assert_int_equal(grey_note(&r, 0), 0); /* it recovered */
    assert_int_equal(grey_note(&r, 7), 1);
    assert_int_equal(grey_note(&r, 7), 2);
    assert_int_equal(grey_note(&r, 9), 1); /* another one */
    assert_int_equal(grey_note(&r, 7), 1);
    assert_int_equal(grey_note(&r, 7), 2);
    assert_int_equal(grey_note(&r, 7), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_zone_that_fails_beside_clean_ones_is_grey),
        cmocka_unit_test(test_what_several_zones_have_is_no_zones_fault),
        cmocka_unit_test(test_two_zones_are_nothing_to_compare),
        cmocka_unit_test(test_little_traffic_says_nothing),
        cmocka_unit_test(test_groups_are_told_apart),
        cmocka_unit_test(test_windows_count_in_a_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
