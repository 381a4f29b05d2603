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
static size_t add_group(struct grey_zone *zones, const char **text, const struct grey_rule *r)
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
    grey_add(zones, group, n, r);
    return n;
}

static size_t add_groups(struct grey_zone *zones, const char *text, const struct grey_rule *r)
{
    size_t n = add_group(zones, &text, r);
    while (*text == '|') {
        text += 2;
        assert_int_equal(add_group(zones, &text, r), n);
    }
    return n;
}

/* The letter of the grey zone, a capital where it is slow, or '-'. */
static char verdict(const char *failures, const char *slowness)
{
    struct grey_zone failing[MAX] = {0}, slow[MAX] = {0};
    struct grey_window w = {failing, slow, add_groups(failing, failures, &grey_failures)};
    if (slowness)
        assert_int_equal(add_groups(slow, slowness, &grey_slowness), w.n);
    struct grey_verdict v = grey_judge(&w, MINIMUM);
    assert_true(v.zone == GREY_NONE || v.zone < w.n);
    return v.zone == GREY_NONE ? '-' : (char)((v.slow ? 'A' : 'a') + v.zone);
}

static void check(const char *failures, const char *slowness, char grey)
{
    char got = verdict(failures, slowness);
    if (got != grey)
        fail_msg("\"%s\", \"%s\": %c, not %c", failures, slowness ? slowness : "", got, grey);
}

struct row {
    const char *counts;
    char grey;
};

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check(rows[i].counts, NULL, rows[i].grey);
}

struct slow_row {
    const char *failures;
    char grey;
    const char *slowness;
};

static void check_slow_rows(const struct slow_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check(rows[i].failures, rows[i].slowness, rows[i].grey);
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

static void test_a_zone_that_is_slow_beside_clean_ones_is_grey(void **state)
{
    (void)state;
    static const struct slow_row rows[] = {
        {"9 9 9", '-', "1000 1000 1000"},
        {"9 9 9", 'A', "1000/30 1000 1000"},   {"9 9 9", 'B', "1000/5 1000/40 1000/5"},
        {"9 9 9", '-', "1000/30 1000/30 1000"}, /* two */
        {"9 9 9", '-', "1000/30 1000/11 1000"}, /* the other one is not clean */
        {"9 9 9", 'A', "1000/30 1000/10 1000"}, /* one in a hundred is */
        {"9 9 9", '-', "1000/13 1000/5 1000/5"}, /* less than one in a hundred over the others */
        {"9 9 9", '-', "100/2 100 100"},         /* likely enough */
        {"9 9 9", '-', "50/4 50 50"},            /* stray ones */
        {"9 9 9", 'A', "50/6 50 50"},            {"9 9 9", '-', "49/49 100 100"},
        {"9 9 9", 'A', "50/50 50/4 50"}, /* stray ones of the others */
        {"9 9 9", '-', "50/50 50/5 50"}, {"9 9", '-', "1000/500 1000"},
    };
    check_slow_rows(rows, ARRAY_LEN(rows));
}

static void test_failures_and_slow_answers_are_looked_at_together(void **state)
{
    (void)state;
    static const struct slow_row rows[] = {
        {"100/50 100 100", 'a', "1000 1000 1000"},
        {"100/50 100 100", 'a', "1000/900 1000 1000"}, /* the same zone */
        {"100/50 100 100", '-', "1000 1000/900 1000"}, /* nowhere to go */
        {"100/4 100 100", 'A', "1000/900 1000 1000"},
        {"100 100/6 100", '-', "1000/900 1000 1000"},
        {"100/50 100/50 100", '-', "1000/900 1000 1000"},
        {"0 0 0", 'C', "1000 1000 1000/900"},
        {"9 9 9 | 9 9 9", '-', "1000/900 1000/900 1000/900 | 1000/10 1000 1000"},
        {"9 9 9 | 9 9 9", 'B', "100 100/90 100 | 1000 1000/5 1000"},
    };
    check_slow_rows(rows, ARRAY_LEN(rows));
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
        cmocka_unit_test(test_a_zone_that_is_slow_beside_clean_ones_is_grey),
        cmocka_unit_test(test_failures_and_slow_answers_are_looked_at_together),
        cmocka_unit_test(test_windows_count_in_a_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
