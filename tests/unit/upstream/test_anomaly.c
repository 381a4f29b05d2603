/* The comparison of targets as tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/check.h"
#include "upstream/anomaly.h"
#include "upstream/target.h"

#define MAX 12

/* "100/5 200 +300/30": requests and failures of each target; +: it was anomalous before. */
static size_t parse(const char *text, struct anomaly *to)
{
    size_t n = 0;
    int used;
    for (; *text; text += used) {
        double failures = 0;
        to[n] = (struct anomaly){.anomalous = *text == '+'};
        text += *text == '+';
        if (sscanf(text, "%lf/%lf %n", &to[n].requests, &failures, &used) < 2)
            assert_int_equal(sscanf(text, "%lf %n", &to[n].requests, &used), 1);
        to[n++].failures = failures;
    }
    return n;
}

struct row {
    const char *targets;
    const char *verdict; /* a letter each: n normal, a anomalous */
};

static void check_rows(const struct row *rows, size_t rows_n)
{
    for (size_t r = 0; r < rows_n; r++) {
        struct anomaly targets[MAX], *all[MAX];
        double scratch[MAX];
        char got[MAX + 1] = "";
        size_t n = parse(rows[r].targets, targets);
        for (size_t i = 0; i < n; i++)
            all[i] = &targets[i];
        anomaly_judge(all, n, ANOMALY_POINTS, scratch);
        for (size_t i = 0; i < n; i++)
            got[i] = targets[i].anomalous ? 'a' : 'n';
        if (!slice_eq(slice_str(got), slice_str(rows[r].verdict)))
            fail_msg("\"%s\": %s, not %s", rows[r].targets, got, rows[r].verdict);
    }
}

static void test_who_fails_more_than_the_others(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"100 100 100", "nnn"},
        {"100/50 100 100", "ann"},
        {"100 100/50 100", "nan"},
        {"100/100 100 100", "ann"},
        {"1000/30 1000/28 1000/33", "nnn"},
        {"1000/100 1000/28 1000/33", "ann"},
        {"100/50 100/50 100 100 100", "aannn"},
        {"100/10 100/9 100/8 100/11", "nnnn"},
        {"100/100 0 100 100", "annn"},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_what_most_have_is_nobodys_anomaly(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"100/100 100/100 100/100", "nnn"},
        {"100/50 100/50 100", "nnn"},
        {"100/30 100/31 100", "nnn"},
        {"100/100 100/100 100/100 100 100", "nnnnn"},
        {"100/50 100/50 100 100", "aann"},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_fewer_than_three_are_not_compared(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"", ""}, {"100/100", "n"}, {"100/100 100", "nn"}, {"+100/100 100", "nn"},
        {"100/100 100 100", "ann"},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_little_traffic_says_little(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"9/9 100 100", "nnn"},       {"10/10 100 100", "ann"},   {"10/4 100 100", "nnn"},
        {"10/5 100 100", "ann"},      {"100/100 4 5", "nnn"},     {"100/100 5 5", "ann"},
        {"0 0 0", "nnn"},             {"100/6 100/2 100/2", "nnn"},
        {"1000/59 1000/10 1000/10", "nnn"},  /* clear, but below 5 points */
        {"1000/61 1000/10 1000/10", "ann"},
        {"20/5 20/2 20/2", "nnn"},           /* 15 points, but likely enough */
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_one_stays_anomalous_until_it_does_as_well_as_the_others(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"+100/4 100 100", "nnn"}, {"+100/6 100 100", "ann"}, {"+2/1 100 100", "ann"},
        {"+0.5/0.5 100 100", "nnn"}, {"+0 100 100", "nnn"},   {"+100/10 100/6 100/6", "nnn"},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_older_rounds_count_less(void **state)
{
    (void)state;
    struct anomaly a = {0};
    anomaly_add(&a, 100, 100);
    assert_true(a.requests == 100 && a.failures == 100);
    for (int i = 0; i < 10; i++)
        anomaly_add(&a, 100, 0);
    assert_true(a.requests > 199 && a.requests < 200.1);
    assert_true(a.failures > 0.09 && a.failures < 0.1);
}

static void test_the_share_halves_to_what_observes_and_doubles_back(void **state)
{
    (void)state;
    static const uint16_t down[] = {500, 250, 125, 62, 50, 50};
    static const uint16_t up[] = {100, 200, 400, 800, 1000, 1000};
    uint16_t share = TARGET_SHARE_ALL;
    for (size_t i = 0; i < ARRAY_LEN(down); i++)
        assert_int_equal(share = anomaly_share(share, true), down[i]);
    for (size_t i = 0; i < ARRAY_LEN(up); i++)
        assert_int_equal(share = anomaly_share(share, false), up[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_fails_more_than_the_others),
        cmocka_unit_test(test_what_most_have_is_nobodys_anomaly),
        cmocka_unit_test(test_fewer_than_three_are_not_compared),
        cmocka_unit_test(test_little_traffic_says_little),
        cmocka_unit_test(test_one_stays_anomalous_until_it_does_as_well_as_the_others),
        cmocka_unit_test(test_older_rounds_count_less),
        cmocka_unit_test(test_the_share_halves_to_what_observes_and_doubles_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
