#include "upstream/latency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HALF LATENCY_HALF_US

static void test_a_value_fades_by_halves_and_straight_between(void **state)
{
    (void)state;
    assert_int_equal(latency_faded(8000, 0), 8000);
    assert_int_equal(latency_faded(8000, HALF / 2), 6000);
    assert_int_equal(latency_faded(8000, HALF), 4000);
    assert_int_equal(latency_faded(8000, 2 * HALF), 2000);
    assert_int_equal(latency_faded(8000, 2 * HALF + HALF / 2), 1500);
    assert_int_equal(latency_faded(1ull << 40, 40 * HALF), 1);
    assert_int_equal(latency_faded(1ull << 40, 41 * HALF), 0);
    assert_int_equal(latency_faded(1ull << 40, UINT64_MAX), 0);
}

static void test_a_fading_value_never_rises(void **state)
{
    (void)state;
    uint64_t last = 1000000;
    for (uint64_t age = 0; age < 30 * HALF; age += HALF / 7) {
        uint64_t now = latency_faded(1000000, age);
        assert_true(now <= last);
        last = now;
    }
}

static void test_a_slower_answer_counts_at_once(void **state)
{
    (void)state;
    struct latency l = {0};
    latency_note(&l, 1000, 5);
    assert_int_equal(latency_now(&l, 5), 1000);
    latency_note(&l, 9000, 6);
    assert_int_equal(latency_now(&l, 6), 9000);
    latency_note(&l, 5000, 6 + HALF); /* 4500 are left of the peak */
    assert_int_equal(latency_now(&l, 6 + HALF), 5000);
}

static void test_a_quicker_answer_counts_by_the_time_since_the_last(void **state)
{
    (void)state;
    struct latency l = {0};
    latency_note(&l, 9000, 1);
    latency_note(&l, 1000, 1); /* at once: nothing */
    assert_int_equal(latency_now(&l, 1), 9000);
    latency_note(&l, 1000, 1 + HALF); /* half of the difference is left */
    assert_int_equal(latency_now(&l, 1 + HALF), 5000);
    latency_note(&l, 1000, 1 + 60 * HALF);
    assert_int_equal(latency_now(&l, 1 + 60 * HALF), 1000);
}

static void test_a_time_without_end_is_cut(void **state)
{
    (void)state;
    struct latency l = {0};
    latency_note(&l, UINT64_MAX, 1);
    assert_int_equal(latency_now(&l, 1), 1ull << 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_value_fades_by_halves_and_straight_between),
        cmocka_unit_test(test_a_fading_value_never_rises),
        cmocka_unit_test(test_a_slower_answer_counts_at_once),
        cmocka_unit_test(test_a_quicker_answer_counts_by_the_time_since_the_last),
        cmocka_unit_test(test_a_time_without_end_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
