/* Rounds of the comparison; the test plays the workers by their counters. */
#include "upstream/mitigation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/world.h"

struct fixture {
    struct world world;
    struct news news;
    struct mitigation mitigation;
};

static const char yaml[] =
    "listeners:\n"
    "  - {name: w, listen: \"127.0.0.1:1\", protocol: http, default_action: {forward: g}}\n"
    "target_groups:\n"
    "  - {name: g, health_check: off, targets: [\"10.0.0.1:1\", \"10.0.0.2:1\", \"10.0.0.3:1\"]}\n";

static struct group *group(struct fixture *f)
{
    return &f->world.snapshot->groups[0];
}

static void adopt(struct fixture *f, bool mitigates)
{
    group(f)->mitigates = mitigates;
    mitigation_adopt(&f->mitigation, f->world.snapshot->groups, f->world.snapshot->groups_n);
}

static void begin(struct fixture *f, bool mitigates)
{
    world_init(&f->world, yaml);
    news_init(&f->news, &f->world.loop);
    mitigation_init(&f->mitigation, &f->world.loop, &f->news);
    adopt(f, mitigates);
}

static void end(struct fixture *f)
{
    mitigation_fini(&f->mitigation);
    news_fini(&f->news);
    world_turn(&f->world, 2);
    world_fini(&f->world);
}

static void reload(struct fixture *f, bool mitigates)
{
    struct snapshot *old = f->world.snapshot;
    proxy_pin(&f->world.proxy, old);
    world_reload(&f->world, yaml);
    adopt(f, mitigates);
    proxy_unpin(&f->world.proxy, old);
}

static struct target *target(struct fixture *f, size_t i)
{
    return group(f)->members[i].target;
}

static uint16_t share(struct fixture *f, size_t i)
{
    return atomic_load(&target(f, i)->share);
}

static bool anomalous(struct fixture *f, size_t i)
{
    return target(f, i)->oddity.anomaly.anomalous;
}

static uint32_t epoch(struct fixture *f)
{
    return atomic_load(&group(f)->news->epoch);
}

static void round_over(struct fixture *f)
{
    loop_push(&f->world.loop, &f->mitigation.task);
    world_turn(&f->world, 2);
    usleep((NEWS_PAUSE_MS + 2) * 1000);
    world_turn(&f->world, 2);
}

/* A round in which all three get 100 requests and the first answers so many with 5xx. */
static void ask_all(struct fixture *f, unsigned errors)
{
    for (size_t i = 0; i < 3; i++)
        counter_add(&target(f, i)->local[0].requests, 100);
    counter_add(&target(f, 0)->local[0].codes[5], errors);
    round_over(f);
}

static void test_detection_is_always_on_and_changes_no_share(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, false);
    uint32_t before = epoch(&f);
    ask_all(&f, 40);
    assert_true(anomalous(&f, 0));
    assert_false(anomalous(&f, 1) || anomalous(&f, 2));
    assert_int_equal(share(&f, 0), TARGET_SHARE_ALL);
    assert_int_equal(epoch(&f), before);
    end(&f);
}

static void test_connect_errors_count_like_answers_of_5xx(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, false);
    counter_add(&target(&f, 1)->local[0].connect_errors, 20);
    ask_all(&f, 0);
    assert_true(anomalous(&f, 1));
    assert_false(anomalous(&f, 0));
    end(&f);
}

static void test_mitigation_lowers_the_share_and_brings_it_back(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, true);
    uint32_t before = epoch(&f);
    for (int i = 0; i < 6; i++)
        ask_all(&f, 40);
    assert_int_equal(share(&f, 0), ANOMALY_SHARE_MIN);
    assert_int_equal(share(&f, 1), TARGET_SHARE_ALL);
    assert_int_equal(epoch(&f), before + 5); /* the sixth changed nothing */
    int rounds = 0;
    for (; share(&f, 0) < TARGET_SHARE_ALL && rounds < 30; rounds++)
        ask_all(&f, 0);
    assert_true(rounds > 5 && rounds < 12);
    assert_false(anomalous(&f, 0));
    end(&f);
}

static void test_those_that_are_out_are_not_compared(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, true);
    ask_all(&f, 40);
    assert_true(anomalous(&f, 0));
    target_set_flag(target(&f, 2), TARGET_EJECTED, true);
    ask_all(&f, 40); /* two are left: nothing to compare */
    assert_false(anomalous(&f, 0));
    assert_int_equal(share(&f, 0), TARGET_SHARE_ALL);
    target_set_flag(target(&f, 2), TARGET_EJECTED, false);
    ask_all(&f, 40);
    assert_true(anomalous(&f, 0));
    end(&f);
}

static void test_reloads_keep_shares_until_mitigation_is_off(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, true);
    ask_all(&f, 40);
    ask_all(&f, 40);
    uint32_t before = epoch(&f);
    for (int i = 0; i < 20; i++) {
        reload(&f, true);
        assert_int_equal(share(&f, 0), 250);
        assert_true(anomalous(&f, 0));
    }
    assert_int_equal(epoch(&f), before);
    reload(&f, false);
    assert_int_equal(share(&f, 0), TARGET_SHARE_ALL);
    world_turn(&f.world, 2);
    assert_int_equal(epoch(&f), before + 1);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_detection_is_always_on_and_changes_no_share),
        cmocka_unit_test(test_connect_errors_count_like_answers_of_5xx),
        cmocka_unit_test(test_mitigation_lowers_the_share_and_brings_it_back),
        cmocka_unit_test(test_those_that_are_out_are_not_compared),
        cmocka_unit_test(test_reloads_keep_shares_until_mitigation_is_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
