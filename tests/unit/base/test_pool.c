#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/pool.h"

static void test_the_limit_is_on_what_is_alive(void **state)
{
    (void)state;
    struct pool p;
    void *got[3];
    pool_init(&p, "things", 100, 3);
    for (int i = 0; i < 3; i++)
        assert_non_null(got[i] = pool_get(&p));
    assert_int_equal(p.live, 3);
    assert_null(pool_get(&p));
    assert_int_equal(p.live, 3);
    pool_put(&p, got[1]);
    assert_non_null(got[1] = pool_get(&p));
    assert_null(pool_get(&p));
    for (int i = 0; i < 3; i++)
        pool_put(&p, got[i]);
    assert_int_equal(p.live, 0);
    pool_fini(&p);
}

static void test_a_limit_of_0_gives_nothing(void **state)
{
    (void)state;
    struct pool p;
    pool_init(&p, "none", 100, 0);
    assert_null(pool_get(&p));
    pool_fini(&p);
}

static void test_objects_begin_on_cache_lines_and_do_not_overlap(void **state)
{
    (void)state;
    enum { N = 100 };
    struct pool p;
    char *got[N];
    pool_init(&p, "things", 72, N);
    for (int i = 0; i < N; i++) {
        got[i] = pool_get(&p);
        assert_int_equal((uintptr_t)got[i] % 64, 0);
        memset(got[i], i, 72);
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(got[i][0], i);
        assert_int_equal(got[i][71], i);
        pool_put(&p, got[i]);
    }
    pool_fini(&p);
}

/* More than a pool keeps: what comes back beyond that goes to malloc, nothing leaks. */
static void test_thousands_come_and_go(void **state)
{
    (void)state;
    enum { N = 5000 };
    static void *got[N];
    struct pool p;
    pool_init(&p, "things", 8, N);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++)
            assert_non_null(got[i] = pool_get(&p));
        assert_null(pool_get(&p));
        for (int i = 0; i < N; i++)
            pool_put(&p, got[i]);
        assert_int_equal(p.live, 0);
        assert_true(p.idle < N);
    }
    pool_fini(&p);
}

#ifndef __SANITIZE_ADDRESS__
static void test_the_last_one_back_is_the_next_one_out(void **state)
{
    (void)state;
    struct pool p;
    pool_init(&p, "things", 100, 10);
    void *a = pool_get(&p), *b = pool_get(&p);
    pool_put(&p, a);
    pool_put(&p, b);
    assert_ptr_equal(pool_get(&p), b);
    assert_ptr_equal(pool_get(&p), a);
    pool_put(&p, a);
    pool_put(&p, b);
    pool_fini(&p);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_limit_is_on_what_is_alive),
        cmocka_unit_test(test_a_limit_of_0_gives_nothing),
        cmocka_unit_test(test_objects_begin_on_cache_lines_and_do_not_overlap),
        cmocka_unit_test(test_thousands_come_and_go),
#ifndef __SANITIZE_ADDRESS__
        cmocka_unit_test(test_the_last_one_back_is_the_next_one_out),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
