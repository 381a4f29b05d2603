#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/counter.h"

static void test_a_counter_goes_up_and_down(void **state)
{
    (void)state;
    struct counter c = {0};
    counter_add(&c, 5);
    counter_add(&c, UINT64_C(1) << 40);
    counter_sub(&c, 2);
    assert_true(counter_get(&c) == (UINT64_C(1) << 40) + 3);
    counter_sub(&c, (UINT64_C(1) << 40) + 3);
    assert_true(counter_get(&c) == 0);
}

/* Steps that carry from the lower into the upper half: a torn read would jump. */
#define STEP  UINT64_C(0x80000001)
#define STEPS 300000

static void *count(void *arg)
{
    for (int i = 0; i < STEPS; i++)
        counter_add(arg, STEP);
    return NULL;
}

static void test_a_reader_beside_the_writer_sees_whole_values_that_only_grow(void **state)
{
    (void)state;
    struct counter c = {0};
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, count, &c), 0);
    for (uint64_t last = 0, now; last < STEP * STEPS; last = now) {
        now = counter_get(&c);
        assert_true(now >= last);
        assert_true(now % STEP == 0);
    }
    pthread_join(writer, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_counter_goes_up_and_down),
        cmocka_unit_test(test_a_reader_beside_the_writer_sees_whole_values_that_only_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
