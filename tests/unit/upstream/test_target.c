#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "upstream/target.h"

static struct addr must_parse(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(&a, slice_str(text)), OK);
    return a;
}

static struct target *make(unsigned workers)
{
    struct addr a = must_parse("10.0.1.10:3000");
    return target_new(SLICE("app"), &a, workers);
}

static void test_a_new_target_knows_its_name_and_counts_nothing(void **state)
{
    (void)state;
    struct target *t = make(3);
    assert_string_equal(t->text.p, "10.0.1.10:3000");
    assert_string_equal(t->group.p, "app");
    assert_int_equal(t->refs, 0);
    assert_int_equal(target_in_flight(t), 0);
    assert_int_equal(target_requests(t), 0);
    assert_false(target_busy(t));
    target_free(t);
}

static void test_a_target_keeps_its_own_copy_of_its_names(void **state)
{
    (void)state;
    char name[] = "app";
    struct addr a = must_parse("[2001:db8::1]:80");
    struct target *t = target_new(slice_of(name, 3), &a, 1);
    name[0] = 'X';
    a = must_parse("1.1.1.1:1");
    assert_true(slice_eq(t->group, SLICE("app")));
    assert_true(slice_eq(t->text, SLICE("[2001:db8::1]:80")));
    assert_int_equal(addr_port(&t->addr), 80);
    target_free(t);
}

static void test_workers_corners_share_no_cache_line(void **state)
{
    (void)state;
    struct target *t = make(4);
    for (unsigned w = 0; w < 4; w++)
        assert_int_equal((uintptr_t)&t->local[w] % 64, 0);
    target_free(t);
}

static void test_sums_go_over_all_workers(void **state)
{
    (void)state;
    struct target *t = make(3);
    for (unsigned w = 0; w < 3; w++) {
        counter_add(&t->local[w].in_flight, w + 1);
        counter_add(&t->local[w].requests, 10 * (w + 1));
    }
    assert_int_equal(target_in_flight(t), 6);
    assert_int_equal(target_requests(t), 60);
    for (unsigned w = 0; w < 3; w++)
        counter_sub(&t->local[w].in_flight, w + 1);
    assert_int_equal(target_in_flight(t), 0);
    target_free(t);
}

static void test_answers_are_counted_by_their_time_since_the_last_look(void **state)
{
    (void)state;
    struct target *t = make(2);
    struct target_answers seen = {0};
    uint64_t got[TARGET_BUCKETS] = {0};
    counter_add(&t->local[0].responses[1], UINT32_MAX); /* what is kept of it goes round */
    target_answers_since(t, &seen, got);
    assert_int_equal(got[1], UINT32_MAX);
    memset(got, 0, sizeof(got));
    got[0] = 7;
    target_count_response(&t->local[0], 1000);
    target_count_response(&t->local[0], 1001);
    target_count_response(&t->local[1], 2500);
    target_count_response(&t->local[1], 10000001);
    counter_add(&t->local[1].silent, 2);
    target_answers_since(t, &seen, got);
    assert_int_equal(got[0], 8); /* added to what was there */
    assert_int_equal(got[1], 2);
    assert_int_equal(got[TARGET_BUCKETS - 1], 3);
    memset(got, 0, sizeof(got));
    target_answers_since(t, &seen, got);
    for (unsigned i = 0; i < TARGET_BUCKETS; i++)
        assert_int_equal(got[i], 0);
    target_free(t);
}

static void test_a_target_is_busy_while_any_worker_holds_it(void **state)
{
    (void)state;
    struct target *t = make(2);
    counter_add(&t->local[1].in_flight, 1);
    assert_true(target_busy(t));
    counter_add(&t->local[1].idle_links, 1);
    counter_sub(&t->local[1].in_flight, 1);
    assert_true(target_busy(t));
    counter_sub(&t->local[1].idle_links, 1);
    assert_false(target_busy(t));
    counter_add(&t->local[0].requests, 1); /* history does not hold it */
    assert_false(target_busy(t));
    target_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_target_knows_its_name_and_counts_nothing),
        cmocka_unit_test(test_a_target_keeps_its_own_copy_of_its_names),
        cmocka_unit_test(test_workers_corners_share_no_cache_line),
        cmocka_unit_test(test_sums_go_over_all_workers),
        cmocka_unit_test(test_answers_are_counted_by_their_time_since_the_last_look),
        cmocka_unit_test(test_a_target_is_busy_while_any_worker_holds_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
