/* Ejections as tables: how long they last, what is forgiven, and how many a zone may lose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "upstream/ejection.h"

static const struct config_ejection usual = {
    .base_time_ms = 10000, .max_time_ms = 300000, .max_percent = 50};

static void test_each_ejection_is_twice_as_long_up_to_the_maximum(void **state)
{
    (void)state;
    static const struct {
        uint32_t base_ms, max_ms, steps;
        uint64_t ms;
    } rows[] = {
        {10000, 300000, 1, 10000},   {10000, 300000, 2, 20000},  {10000, 300000, 5, 160000},
        {10000, 300000, 6, 300000},  {10000, 300000, 7, 300000}, {10000, 10000, 1, 10000},
        {10000, 10000, 9, 10000},    {100, 86400000, 20, 52428800},
        {86400000, 86400000, UINT32_MAX, 86400000},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct config_ejection c = {.base_time_ms = rows[i].base_ms, .max_time_ms = rows[i].max_ms};
        assert_int_equal(ejection_length_ms(&c, rows[i].steps), rows[i].ms);
    }
}

static void test_a_zone_keeps_its_share(void **state)
{
    (void)state;
    static const struct {
        uint32_t percent;
        size_t out, all;
        bool fits;
    } rows[] = {
        {50, 0, 1, false}, {50, 0, 2, true},   {50, 1, 2, false}, {50, 0, 3, true},
        {50, 1, 3, false}, {50, 1, 4, true},   {50, 2, 4, false}, {0, 0, 100, false},
        {100, 0, 1, true}, {100, 4, 5, true},  {100, 5, 5, false}, {10, 0, 9, false},
        {10, 0, 10, true}, {10, 1, 19, false}, {10, 1, 20, true},  {50, 0, 0, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct config_ejection c = {.max_percent = rows[i].percent};
        if (ejection_fits(&c, rows[i].out, rows[i].all) != rows[i].fits)
            fail_msg("%zu of %zu out, %u %%", rows[i].out, rows[i].all, rows[i].percent);
    }
}

static void test_it_ends_once_when_its_time_is_over(void **state)
{
    (void)state;
    struct ejection e = {0};
    assert_false(ejection_end(&e, 0));
    ejection_begin(&e, &usual, 1000);
    assert_true(e.out);
    assert_int_equal(e.until_ms, 11000);
    assert_false(ejection_end(&e, 10999));
    assert_true(ejection_end(&e, 11000));
    assert_false(e.out);
    assert_false(ejection_end(&e, 12000));
    assert_int_equal(e.total, 1);
}

/* After `times` ejections in a row and so long a peace: how long is the next? */
static uint64_t next_after(unsigned times, uint64_t peace_ms)
{
    struct ejection e = {0};
    uint64_t now_ms = 5000;
    for (unsigned i = 0; i < times; i++) {
        ejection_begin(&e, &usual, now_ms);
        now_ms = e.until_ms;
        assert_true(ejection_end(&e, now_ms));
    }
    now_ms += peace_ms;
    ejection_begin(&e, &usual, now_ms);
    return e.until_ms - now_ms;
}

static void test_good_behaviour_takes_the_back_off_back(void **state)
{
    (void)state;
    static const struct {
        unsigned times;
        uint64_t peace_ms, next_ms;
    } rows[] = {
        {0, 0, 10000},       {1, 0, 20000},      {1, 9999, 20000},    {1, 10000, 10000},
        {2, 0, 40000},       {2, 19999, 40000},  {2, 20000, 20000},   {2, 29999, 20000},
        {2, 30000, 10000},   {6, 0, 300000},     {20, 0, 300000},     {3, 1000000, 10000},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(next_after(rows[i].times, rows[i].peace_ms), rows[i].next_ms);
}

static void test_an_end_that_lies_ahead_is_no_good_behaviour(void **state)
{
    (void)state;
    struct ejection e = {.steps = 2, .until_ms = 50000}; /* taken back before its time */
    ejection_begin(&e, &usual, 1000);
    assert_int_equal(e.until_ms, 41000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_ejection_is_twice_as_long_up_to_the_maximum),
        cmocka_unit_test(test_a_zone_keeps_its_share),
        cmocka_unit_test(test_it_ends_once_when_its_time_is_over),
        cmocka_unit_test(test_good_behaviour_takes_the_back_off_back),
        cmocka_unit_test(test_an_end_that_lies_ahead_is_no_good_behaviour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
