#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "upstream/registry.h"

static struct addr numbered(unsigned i)
{
    struct addr a;
    assert_int_equal(addr_parse(&a, SLICE("10.0.0.1:80")), OK);
    a.in4.sin_addr.s_addr = htonl(0x0a000000 + i);
    return a;
}

static struct target *get(struct registry *r, const char *group, unsigned i)
{
    struct addr a = numbered(i);
    return registry_get(r, slice_str(group), &a);
}

static void test_the_same_group_and_address_is_the_same_target(void **state)
{
    (void)state;
    struct registry r;
    registry_init(&r, 2);
    struct target *t = get(&r, "app", 1);
    assert_ptr_equal(get(&r, "app", 1), t);
    assert_int_equal(t->refs, 2);
    assert_int_equal(t->workers, 2);
    assert_int_equal(r.count, 1);
    registry_release(&r, t);
    registry_release(&r, t);
    registry_fini(&r);
}

static void test_another_group_or_address_is_another_target(void **state)
{
    (void)state;
    struct registry r;
    registry_init(&r, 1);
    struct target *t = get(&r, "app", 1), *u = get(&r, "api", 1), *v = get(&r, "app", 2);
    assert_ptr_not_equal(t, u);
    assert_ptr_not_equal(t, v);
    assert_ptr_not_equal(u, v);
    assert_int_equal(r.count, 3);
    registry_release(&r, t);
    registry_release(&r, u);
    registry_release(&r, v);
    registry_fini(&r);
}

static void test_a_sweep_frees_what_nobody_names(void **state)
{
    (void)state;
    struct registry r;
    registry_init(&r, 1);
    struct target *t = get(&r, "app", 1), *kept = get(&r, "app", 2);
    registry_release(&r, t);
    registry_sweep(&r);
    assert_int_equal(r.count, 1);
    assert_ptr_equal(get(&r, "app", 2), kept);
    registry_release(&r, kept);
    registry_release(&r, kept);
    registry_fini(&r);
}

static void test_a_target_named_again_before_the_sweep_keeps_its_counters(void **state)
{
    (void)state;
    struct registry r;
    registry_init(&r, 1);
    struct target *t = get(&r, "app", 1);
    counter_add(&t->local[0].requests, 5);
    registry_release(&r, t);
    assert_ptr_equal(get(&r, "app", 1), t);
    registry_sweep(&r);
    assert_int_equal(target_requests(t), 5);
    registry_release(&r, t);
    registry_fini(&r);
}

static void test_a_busy_target_waits_for_a_later_sweep(void **state)
{
    (void)state;
    struct registry r;
    registry_init(&r, 1);
    struct target *t = get(&r, "app", 1);
    counter_add(&t->local[0].in_flight, 1);
    registry_release(&r, t);
    registry_sweep(&r);
    assert_int_equal(r.count, 1);
    counter_add(&t->local[0].idle_links, 1);
    counter_sub(&t->local[0].in_flight, 1);
    registry_sweep(&r);
    assert_int_equal(r.count, 1);
    counter_sub(&t->local[0].idle_links, 1);
    registry_sweep(&r);
    assert_int_equal(r.count, 0);
    registry_fini(&r);
}

/* The table grows several times on the way up, and every chain is cut again on the way down. */
static void test_thousands_of_targets_are_found_again(void **state)
{
    (void)state;
    enum { N = 5000 };
    static struct target *all[N];
    struct registry r;
    registry_init(&r, 1);
    for (unsigned i = 0; i < N; i++)
        all[i] = get(&r, i % 2 ? "odd" : "even", i / 2);
    assert_int_equal(r.count, N);
    for (unsigned i = 0; i < N; i++)
        assert_ptr_equal(get(&r, i % 2 ? "odd" : "even", i / 2), all[i]);
    for (unsigned i = 0; i < N; i++) {
        registry_release(&r, all[i]);
        if (i % 3)
            registry_release(&r, all[i]);
    }
    registry_sweep(&r);
    assert_int_equal(r.count, (N + 2) / 3);
    for (unsigned i = 0; i < N; i += 3) {
        assert_ptr_equal(get(&r, i % 2 ? "odd" : "even", i / 2), all[i]);
        registry_release(&r, all[i]);
        registry_release(&r, all[i]);
    }
    registry_fini(&r);
}

static void test_groups_of_one_name_share_their_news(void **state)
{
    (void)state;
    struct registry r;
    registry_init(&r, 1);
    struct group_news *app = registry_get_news(&r, SLICE("app"));
    struct group_news *api = registry_get_news(&r, SLICE("api"));
    assert_ptr_equal(registry_get_news(&r, SLICE("app")), app);
    assert_ptr_not_equal(app, api);
    app->epoch = 7;
    registry_release_news(app);
    assert_int_equal(registry_get_news(&r, SLICE("app"))->epoch, 7);
    registry_release_news(app);
    registry_release_news(app);
    registry_release_news(api);
    app = registry_get_news(&r, SLICE("app"));
    assert_int_equal(app->epoch, 0); /* the last one let go of it */
    registry_release_news(app);
    registry_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_group_and_address_is_the_same_target),
        cmocka_unit_test(test_another_group_or_address_is_another_target),
        cmocka_unit_test(test_a_sweep_frees_what_nobody_names),
        cmocka_unit_test(test_a_target_named_again_before_the_sweep_keeps_its_counters),
        cmocka_unit_test(test_a_busy_target_waits_for_a_later_sweep),
        cmocka_unit_test(test_thousands_of_targets_are_found_again),
        cmocka_unit_test(test_groups_of_one_name_share_their_news),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
