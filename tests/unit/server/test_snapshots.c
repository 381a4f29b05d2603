#include "server/fixture.h"

#include "server/snapshots.h"

#define WORKERS 2

struct fixture {
    struct loop loop;
    struct snapshots snapshots;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_int_equal(loop_init(&f->loop, 1 << 20), OK);
    snapshots_init(&f->snapshots, &f->loop, WORKERS);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    snapshots_fini(&f->snapshots);
    loop_fini(&f->loop);
    free(f);
    return 0;
}

static struct snapshot *compile(const char *target)
{
    return snapshot_compile(
        config_of("listeners:\n  - {name: web, listen: \"127.0.0.1:80\", protocol: http,"
                  " default_action: {forward: app}}\n"
                  "target_groups:\n  - {name: app, targets: [\"%s\"]}\n",
                  target),
        WORKERS);
}

static struct snapshot *publish(struct fixture *f, const char *target)
{
    struct snapshot *s = compile(target);
    assert_int_equal(snapshots_bind(&f->snapshots, s), OK);
    snapshots_publish(&f->snapshots, s);
    return s;
}

static unsigned targets(const struct fixture *f)
{
    unsigned n = 0;
    list_each(node, next, &f->snapshots.registry.targets)
        n++;
    return n;
}

static void test_generations_count_from_one_and_serve_when_told(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(publish(f, "10.0.0.1:80")->generation, 1);
    assert_int_equal(f->snapshots.serving, 0);
    snapshots_served(&f->snapshots);
    assert_int_equal(f->snapshots.serving, 1);
}

static void test_an_old_snapshot_goes_when_every_worker_has_let_go(void **state)
{
    struct fixture *f = *state;
    struct snapshot *old = publish(f, "10.0.0.1:80");
    publish(f, "10.0.0.1:80");
    assert_int_equal(f->snapshots.live, 2);
    snapshots_released(&f->snapshots, old);
    assert_int_equal(f->snapshots.live, 2);
    snapshots_released(&f->snapshots, old);
    assert_int_equal(f->snapshots.live, 1);
}

static void test_snapshots_may_be_let_go_in_any_order(void **state)
{
    struct fixture *f = *state;
    struct snapshot *s[4];
    for (int i = 0; i < 4; i++)
        s[i] = publish(f, "10.0.0.1:80");
    for (int i = 2; i >= 0; i--) {
        snapshots_released(&f->snapshots, s[i]);
        snapshots_released(&f->snapshots, s[i]);
    }
    assert_int_equal(f->snapshots.live, 1);
    assert_ptr_equal(f->snapshots.current, s[3]);
}

static void test_one_that_was_never_published_is_no_live_one(void **state)
{
    struct fixture *f = *state;
    publish(f, "10.0.0.1:80");
    snapshots_discard(&f->snapshots, compile("10.0.0.2:80"));
    struct snapshot *bound = compile("10.0.0.2:80");
    assert_int_equal(snapshots_bind(&f->snapshots, bound), OK);
    snapshots_discard(&f->snapshots, bound);
    assert_int_equal(f->snapshots.live, 1);
    assert_int_equal(f->snapshots.current->generation, 1);
}

static void test_a_target_goes_with_the_last_snapshot_that_names_it(void **state)
{
    struct fixture *f = *state;
    struct snapshot *old = publish(f, "10.0.0.1:80");
    publish(f, "10.0.0.2:80");
    assert_int_equal(targets(f), 2);
    snapshots_released(&f->snapshots, old);
    snapshots_released(&f->snapshots, old);
    assert_int_equal(targets(f), 1);
}

static void test_a_busy_target_goes_when_a_later_look_finds_it_idle(void **state)
{
    struct fixture *f = *state;
    struct snapshot *old = publish(f, "10.0.0.1:80");
    struct target *t = old->groups[0].members[0].target;
    counter_add(&t->local[1].in_flight, 1);
    publish(f, "10.0.0.2:80");
    snapshots_released(&f->snapshots, old);
    snapshots_released(&f->snapshots, old);
    assert_int_equal(targets(f), 2);
    assert_true(f->snapshots.sweep_timer.deadline_ms > f->loop.clock.now_ms);
    counter_sub(&t->local[1].in_flight, 1);
    wheel_advance(&f->loop.wheel, f->loop.clock.now_ms + 2 * SNAPSHOTS_SWEEP_MS, &f->loop.runq);
    f->snapshots.sweep_task.run(&f->snapshots.sweep_task);
    assert_int_equal(targets(f), 1);
    assert_int_equal(f->snapshots.sweep_timer.deadline_ms, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_generations_count_from_one_and_serve_when_told),
        TEST(test_an_old_snapshot_goes_when_every_worker_has_let_go),
        TEST(test_snapshots_may_be_let_go_in_any_order),
        TEST(test_one_that_was_never_published_is_no_live_one),
        TEST(test_a_target_goes_with_the_last_snapshot_that_names_it),
        TEST(test_a_busy_target_goes_when_a_later_look_finds_it_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
