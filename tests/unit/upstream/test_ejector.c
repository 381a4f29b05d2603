/* The ejector on a loop of its own; the test plays the workers. */
#include "upstream/ejector.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/world.h"

struct fixture {
    struct world world;
    struct news news;
    struct slow_start slow_start;
    struct ejector ejector;
};

static const char *yaml(const char *ejection, const char *targets)
{
    static char text[2000];
    snprintf(text, sizeof(text),
             "listeners:\n"
             "  - {name: w, listen: \"127.0.0.1:1\", protocol: http, default_action: {forward: g}}\n"
             "target_groups:\n"
             "  - {name: g, health_check: off, attributes: {%s}, targets: [%s]}\n",
             ejection, targets);
    return text;
}

#define SHORT "ejection: {consecutive_failures: 3, base_time: 200ms, max_time: 800ms}"
#define FOUR                                                                                       \
    "{address: \"10.0.0.1:1\", zone: a}, {address: \"10.0.0.2:1\", zone: a},"                      \
    "{address: \"10.0.0.3:1\", zone: b}, {address: \"10.0.0.4:1\", zone: b}"

static struct group *group(struct fixture *f)
{
    return &f->world.snapshot->groups[0];
}

static void adopt(struct fixture *f)
{
    ejector_adopt(&f->ejector, f->world.snapshot->groups, f->world.snapshot->groups_n);
}

static void begin(struct fixture *f, const char *ejection, const char *targets)
{
    world_init(&f->world, yaml(ejection, targets));
    news_init(&f->news, &f->world.loop);
    slow_start_init(&f->slow_start, &f->world.loop, &f->news);
    ejector_init(&f->ejector, &f->world.loop, &f->news, &f->slow_start);
    adopt(f);
}

static void reload(struct fixture *f, const char *ejection, const char *targets)
{
    struct snapshot *old = f->world.snapshot;
    char *text = strdup(yaml(ejection, targets));
    proxy_pin(&f->world.proxy, old);
    world_reload(&f->world, text);
    adopt(f);
    proxy_unpin(&f->world.proxy, old);
    free(text);
}

static void end(struct fixture *f)
{
    ejector_fini(&f->ejector);
    slow_start_fini(&f->slow_start);
    news_fini(&f->news);
    world_turn(&f->world, 2);
    world_fini(&f->world);
}

static struct target *target(struct fixture *f, size_t i)
{
    return group(f)->members[i].target;
}

static bool is_out(struct fixture *f, size_t i)
{
    assert_int_equal(!!(target_flags(target(f, i)) & TARGET_EJECTED), target(f, i)->ejection.out);
    return target(f, i)->ejection.out;
}

static void turn_for(struct fixture *f, unsigned ms)
{
    uint64_t until = f->world.loop.clock.now_ms + ms;
    while (f->world.loop.clock.now_ms < until) {
        usleep(1000);
        world_turn(&f->world, 2);
    }
}

static void await(struct fixture *f, size_t i, bool out)
{
    for (int n = 0; n < 4000 && is_out(f, i) != out; n++)
        turn_for(f, 1);
    assert_int_equal(is_out(f, i), out);
}

static void failures(struct fixture *f, size_t i, unsigned n)
{
    while (n-- > 0)
        ejector_failed(&f->ejector.bell, target(f, i), ejector_rule_of(group(f)));
    turn_for(f, 20);
}

static void success(struct fixture *f, size_t i)
{
    ejector_worked(target(f, i), ejector_rule_of(group(f)));
}

static void test_failures_in_a_row_eject_and_the_time_brings_back(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, SHORT, FOUR);
    uint32_t epoch = atomic_load(&group(&f)->news->epoch);
    failures(&f, 0, 2);
    assert_false(is_out(&f, 0));
    failures(&f, 0, 1);
    assert_true(is_out(&f, 0));
    assert_int_equal(atomic_load(&group(&f)->news->epoch), epoch + 1);
    assert_int_equal(atomic_load(&target(&f, 0)->failing), 0);
    await(&f, 0, false);
    assert_true(f.world.loop.clock.now_ms >= target(&f, 0)->ejection.until_ms);
    turn_for(&f, 20);
    assert_int_equal(atomic_load(&group(&f)->news->epoch), epoch + 2);
    end(&f);
}

static void test_a_success_between_them_begins_the_count_again(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, SHORT, FOUR);
    for (int i = 0; i < 5; i++) {
        failures(&f, 0, 2);
        success(&f, 0);
    }
    turn_for(&f, 250);
    assert_false(is_out(&f, 0));
    end(&f);
}

static void test_a_target_that_is_back_ramps_if_it_is_healthy(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, SHORT, FOUR);
    group(&f)->slow_start_ms = 3600000;
    for (size_t i = 0; i < 3; i++)
        target(&f, i)->state = HEALTH_HEALTHY;
    target(&f, 1)->state = HEALTH_UNHEALTHY;
    failures(&f, 0, 3);
    await(&f, 0, true);
    assert_int_equal(target(&f, 0)->ramp, TARGET_SHARE_ALL);
    await(&f, 0, false);
    assert_true(target(&f, 0)->ramp < TARGET_SHARE_ALL);
    failures(&f, 1, 3);
    await(&f, 1, true);
    await(&f, 1, false);
    assert_int_equal(target(&f, 1)->ramp, TARGET_SHARE_ALL);
    end(&f);
}

static void test_a_target_that_fails_on_stays_out_longer(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, SHORT, FOUR);
    for (unsigned i = 0; i < 3; i++) {
        failures(&f, 0, 3);
        await(&f, 0, true); /* the bell may be silent, it is heard afterwards */
        assert_int_equal(target(&f, 0)->ejection.steps, i + 1);
        await(&f, 0, false);
    }
    assert_int_equal(target(&f, 0)->ejection.total, 3);
    end(&f);
}

static void test_a_zone_loses_no_more_than_its_share(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "ejection: {consecutive_failures: 3, base_time: 1500ms}", FOUR);
    for (size_t i = 0; i < 4; i++)
        failures(&f, i, 6);
    await(&f, 0, true);
    await(&f, 2, true);
    assert_false(is_out(&f, 1) || is_out(&f, 3));
    /* When the first ones are back there is room for those that still fail. */
    await(&f, 1, true);
    await(&f, 3, true);
    assert_false(is_out(&f, 0) || is_out(&f, 2));
    end(&f);
}

static void test_those_without_weight_are_not_counted_in_a_zone(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, SHORT, "\"10.0.0.1:1\", {address: \"10.0.0.2:1\", weight: 0}");
    failures(&f, 0, 6);
    turn_for(&f, 250);
    assert_false(is_out(&f, 0));
    end(&f);
}

static void test_twenty_reloads_change_no_ejection(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "ejection: {consecutive_failures: 3, base_time: 1h, max_time: 1h}", FOUR);
    failures(&f, 1, 3);
    failures(&f, 2, 2);
    struct ejection before = target(&f, 1)->ejection;
    for (int i = 0; i < 20; i++) {
        reload(&f, "ejection: {consecutive_failures: 3, base_time: 1h, max_time: 1h}", FOUR);
        assert_true(is_out(&f, 1));
        assert_int_equal(target(&f, 1)->ejection.until_ms, before.until_ms);
        assert_int_equal(target(&f, 1)->ejection.total, 1);
        assert_int_equal(atomic_load(&target(&f, 2)->failing), 2);
    }
    end(&f);
}

static void test_a_reload_without_ejection_brings_all_back(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "ejection: {consecutive_failures: 3, base_time: 1h, max_time: 1h}", FOUR);
    failures(&f, 0, 3);
    assert_true(is_out(&f, 0));
    reload(&f, "retries: 1", FOUR);
    assert_false(is_out(&f, 0));
    failures(&f, 0, 100);
    turn_for(&f, 250);
    assert_int_equal(atomic_load(&target(&f, 0)->failing), 0);
    assert_false(is_out(&f, 0));
    end(&f);
}

static void test_the_bell_rings_once_in_a_pause(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "ejection: {consecutive_failures: 1, max_percent: 0}", FOUR);
    for (int i = 0; i < 1000; i++)
        ejector_failed(&f.ejector.bell, target(&f, 0), ejector_rule_of(group(&f)));
    assert_true(atomic_load(&f.ejector.bell.rung));
    turn_for(&f, 20);
    assert_true(atomic_load(&f.ejector.bell.rung));
    turn_for(&f, 200);
    assert_false(atomic_load(&f.ejector.bell.rung));
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failures_in_a_row_eject_and_the_time_brings_back),
        cmocka_unit_test(test_a_success_between_them_begins_the_count_again),
        cmocka_unit_test(test_a_target_that_is_back_ramps_if_it_is_healthy),
        cmocka_unit_test(test_a_target_that_fails_on_stays_out_longer),
        cmocka_unit_test(test_a_zone_loses_no_more_than_its_share),
        cmocka_unit_test(test_those_without_weight_are_not_counted_in_a_zone),
        cmocka_unit_test(test_twenty_reloads_change_no_ejection),
        cmocka_unit_test(test_a_reload_without_ejection_brings_all_back),
        cmocka_unit_test(test_the_bell_rings_once_in_a_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
