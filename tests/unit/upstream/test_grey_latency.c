/* Which answers are slow, as tables of one window's answers by time. */
#include "upstream/grey_latency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/slice.h"
#include "base/strbuf.h"

#define MINIMUM 50
#define MAX     8

/* "100x2 5x300, 90x2": of the first zone 100 answers of 2 ms and 5 of 300 ms, of the second... */
static size_t parse(const char *text, struct grey_latency *zones)
{
    size_t n = 1;
    for (; *text; text += strspn(text, " ")) {
        unsigned answers, ms, at = 0;
        int used;
        if (*text == ',') {
            n++;
            text++;
            continue;
        }
        assert_int_equal(sscanf(text, "%ux%u%n", &answers, &ms, &used), 2);
        while (at < TARGET_BUCKETS - 1 && ms * 1000 > target_bucket_us[at])
            at++;
        zones[n - 1].answers[at] += answers;
        text += used;
    }
    return n;
}

/* "105/5 90": answers of each zone, and the slow ones of them. */
static void format(const struct grey_count *counts, size_t n, struct strbuf *out)
{
    for (size_t i = 0; i < n; i++) {
        strbuf_printf(out, "%s%llu", i ? " " : "", (unsigned long long)counts[i].all);
        if (counts[i].bad)
            strbuf_printf(out, "/%llu", (unsigned long long)counts[i].bad);
    }
}

struct row {
    unsigned floor_ms;
    const char *answers, *counts;
};

static void check_rows(const struct row *rows, size_t rows_n)
{
    for (size_t i = 0; i < rows_n; i++) {
        struct grey_latency zones[MAX] = {0};
        struct grey_count counts[MAX];
        struct strbuf got;
        size_t n = parse(rows[i].answers, zones);
        strbuf_init(&got);
        grey_latency_count(zones, n, MINIMUM, rows[i].floor_ms * 1000, counts);
        format(counts, n, &got);
        if (!slice_eq(strbuf_get(&got), slice_str(rows[i].counts)))
            fail_msg("\"%s\": %s, not %s", rows[i].answers, got.p, rows[i].counts);
        strbuf_fini(&got);
    }
}

/* The limit is the next bound over that of the bucket with the middle p99. */
static void test_twice_the_p99_in_the_middle_is_slow(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {1, "100x5, 100x5, 100x5", "100 100 100"},
        {1, "100x5, 100x5, 100x10", "100 100 100"},
        {1, "100x5, 100x5, 100x11", "100 100 100/100"},
        {1, "100x1, 100x5, 90x5 10x11", "100 100 100/10"},
        {1, "100x1, 100x1, 100x3", "100 100 100/100"},
        {1, "99x5 1x900, 99x5 1x900, 90x5 10x900", "100/1 100/1 100/10"}, /* one in 100 is over p99 */
        {1, "98x5 2x900, 98x5 2x900, 90x5 10x900", "100 100 100"}, /* two are not: p99 is 1 s */
        {1, "100x5, 100x900, 100x900", "100 100 100"}, /* the middle one is slow itself */
        {1, "100x5, 100x5, 100x900, 100x900", "100 100 100/100 100/100"}, /* the lower middle */
        {1, "100x5, 100x900, 100x900, 100x900", "100 100 100 100"},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_nothing_within_the_floor_is_slow(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {100, "100x1, 100x1, 100x100", "100 100 100"},
        {100, "100x1, 100x1, 100x101", "100 100 100/100"},
        {101, "100x1, 100x1, 100x250", "100 100 100"}, /* rounded up to the next bound */
        {101, "100x1, 100x1, 100x251", "100 100 100/100"},
        {100, "100x100, 100x100, 90x100 10x251", "100 100 100/10"}, /* over it twice is what counts */
        {10000, "100x1, 100x1, 100x10000", "100 100 100"},
        {10000, "100x1, 100x1, 100x10001", "100 100 100/100"},
        {10001, "100x1, 100x1, 100x20000", "100 100 100"}, /* of which nothing is known */
        {1, "100x5001, 100x5001, 100x20000", "100 100 100"},
        {1, "100x2501, 100x2501, 100x20000", "100 100 100/100"},
        {1, "100x20000, 100x20000, 100x20000", "0 0 0"},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_three_zones_with_answers_enough_are_needed(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {1, "", "0"},
        {1, "100x1, 100x900", "0 0"},
        {1, "100x1, , 100x900", "0 0 0"},
        {1, "100x1, 49x1, 100x900", "0 0 0"},
        {1, "50x1, 50x1, 50x900", "50 50 50/50"},
        {1, "50x1, 50x1, 50x1, 49x900", "50 50 50 49/49"}, /* few, but they are told */
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_each_bound_is_twice_the_one_before(void **state)
{
    (void)state;
    for (unsigned i = 1; i < TARGET_BUCKETS - 1; i++)
        assert_true(target_bucket_us[i] >= 2 * target_bucket_us[i - 1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_twice_the_p99_in_the_middle_is_slow),
        cmocka_unit_test(test_nothing_within_the_floor_is_slow),
        cmocka_unit_test(test_three_zones_with_answers_enough_are_needed),
        cmocka_unit_test(test_each_bound_is_twice_the_one_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
