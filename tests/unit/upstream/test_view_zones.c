/* Picks under each zone policy, over real views. */
#include "upstream/view_zones.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/check.h"
#include "support/zone_world.h"

static struct config_group_attributes policy(enum config_zone_policy p)
{
    return (struct config_group_attributes){.zone_policy = {.policy = p}, .fail_open = true};
}

/* So many of 1000 picks go to the zones a, b, c, give or take one, all for the same reason. */
static void assert_counts(struct zone_world *w, unsigned a, unsigned b, unsigned c,
                          enum zone_decision d)
{
    unsigned counts[26], how[ZONE_DECISIONS], want[] = {a, b, c};
    zone_world_count(w, 1000, counts, how);
    for (unsigned i = 0; i < 3; i++)
        if (counts[i] + 1 < want[i] || counts[i] > want[i] + 1)
            fail_msg("zone %c: %u, not %u", 'a' + i, counts[i], want[i]);
    unsigned sum = counts[0] + counts[1] + counts[2];
    assert_int_equal(how[d], sum);
}

static void test_cross_zone_takes_all_targets_in_turn(void **state)
{
    (void)state;
    struct zone_world w;
    zone_world_init(&w, "aabbcccc", policy(CONFIG_ZONES_CROSS), "a");
    assert_counts(&w, 250, 250, 500, ZONE_CROSS);
    zone_world_states(&w, "10111100");
    assert_counts(&w, 200, 400, 400, ZONE_CROSS);
    zone_world_states(&w, "00000000");
    assert_counts(&w, 250, 250, 500, ZONE_FAILOPEN);
    zone_world_fini(&w);
}

static void test_a_shifted_zone_gets_nothing_whatever_the_policy(void **state)
{
    (void)state;
    for (int p = CONFIG_ZONES_CROSS; p <= CONFIG_ZONES_ORDER; p++) {
        struct zone_world w;
        struct config_zone_name order[] = {{.zone = SLICE("a")}, {.zone = SLICE("b")}};
        struct config_group_attributes c = policy((enum config_zone_policy)p);
        unsigned counts[26];
        c.zone_policy.order = order;
        c.zone_policy.order_n = p == CONFIG_ZONES_ORDER ? 2 : 0;
        zone_world_init(&w, "abc", c, "a");
        zone_world_shift(&w, 'a');
        zone_world_count(&w, 300, counts, NULL);
        assert_int_equal(counts[0], 0);
        assert_true(p == CONFIG_ZONES_LOCAL_ONLY || counts[1] + counts[2] == 300);
        zone_world_states(&w, "100"); /* not even when the rest is unwell */
        zone_world_count(&w, 300, counts, NULL);
        assert_int_equal(counts[0], 0);
        struct pick p1 = {.preferred = &w.members[0]};
        assert_int_not_equal(zone_world_pick(&w, &p1), 0); /* nor for those who belong there */
        assert_true(group_zone_out(&w.group, 0, &w.members[0]));
        assert_int_equal(group_no_zone(&w.group, 0), p == CONFIG_ZONES_LOCAL_ONLY);
        zone_world_shift(&w, 0);
        zone_world_states(&w, "111");
        zone_world_pass(&w, 60000);
        zone_world_count(&w, 300, counts, NULL);
        assert_true(counts[0] >= 99);
        zone_world_fini(&w);
    }
}

static void test_local_only_stays(void **state)
{
    (void)state;
    struct zone_world w;
    struct config_group_attributes c = policy(CONFIG_ZONES_LOCAL_ONLY);
    zone_world_init(&w, "aabb", c, "a");
    assert_counts(&w, 1000, 0, 0, ZONE_LOCAL);
    zone_world_states(&w, "0011");
    assert_counts(&w, 1000, 0, 0, ZONE_FAILOPEN);
    zone_world_fini(&w);
    c.fail_open = false;
    zone_world_init(&w, "aabb", c, "a");
    zone_world_states(&w, "0011");
    assert_counts(&w, 0, 0, 0, ZONE_LOCAL);
    assert_true(group_closed(&w.group, 0));
    assert_false(group_no_zone(&w.group, 0));
    zone_world_states(&w, "0i11"); /* unknown ones serve when there are no others */
    assert_counts(&w, 1000, 0, 0, ZONE_LOCAL);
    zone_world_fini(&w);
    zone_world_init(&w, "bb", c, "a");
    assert_counts(&w, 0, 0, 0, ZONE_LOCAL);
    assert_true(group_no_zone(&w.group, 0));
    zone_world_fini(&w);
}

static void test_prefer_local_spills_only_the_excess(void **state)
{
    (void)state;
    struct zone_world w;
    unsigned counts[26], how[ZONE_DECISIONS];
    zone_world_init(&w, "aaaabbbbcccc", policy(CONFIG_ZONES_PREFER_LOCAL), "a");
    assert_counts(&w, 1000, 0, 0, ZONE_LOCAL);
    zone_world_states(&w, "1e0011111111"); /* an ejected one does not serve either */
    zone_world_count(&w, 1000, counts, how);
    assert_int_equal(counts[0], 350); /* 1.4 x 1/4 */
    assert_int_equal(how[ZONE_LOCAL], 350);
    assert_int_equal(how[ZONE_SPILL], 650);
    zone_world_states(&w, "000011111111");
    assert_counts(&w, 0, 500, 500, ZONE_SPILL);
    zone_world_states(&w, "dddd11111111"); /* none is registered there */
    assert_counts(&w, 0, 500, 500, ZONE_SPILL);
    zone_world_shift(&w, 'a');
    assert_counts(&w, 0, 500, 500, ZONE_SHIFT);
    zone_world_fini(&w);
}

static void test_a_share_moves_with_time_and_the_return_is_slow(void **state)
{
    (void)state;
    struct zone_world w;
    unsigned counts[26];
    struct config_group_attributes c = policy(CONFIG_ZONES_PREFER_LOCAL);
    c.zones.smoothing_ms = 5000;
    zone_world_init(&w, "aabb", c, "a");
    assert_counts(&w, 1000, 0, 0, ZONE_LOCAL);
    zone_world_states(&w, "1011");
    assert_counts(&w, 1000, 0, 0, ZONE_LOCAL); /* no time has passed */
    zone_world_pass(&w, 5000);
    zone_world_count(&w, 1000, counts, NULL);
    assert_true(counts[0] > 750 && counts[0] < 950);
    zone_world_pass(&w, 25000);
    zone_world_count(&w, 1000, counts, NULL);
    assert_int_equal(counts[0], 700);
    zone_world_states(&w, "0011"); /* all of them: at once */
    assert_counts(&w, 0, 1000, 0, ZONE_SPILL);
    zone_world_states(&w, "1111");
    zone_world_pass(&w, 2000);
    zone_world_count(&w, 1000, counts, NULL);
    assert_true(counts[0] > 200 && counts[0] < 500);
    zone_world_pass(&w, 25000);
    assert_counts(&w, 1000, 0, 0, ZONE_LOCAL);
    zone_world_fini(&w);
}

static void test_balanced_gives_each_target_the_same_over_all_nodes(void **state)
{
    (void)state;
    struct config_zone_name nodes[] = {{SLICE("a"), 2, {0}}, {SLICE("b"), 1, {0}}};
    struct config_group_attributes c = policy(CONFIG_ZONES_BALANCED);
    unsigned counts[26];
    struct zone_world w;
    c.lb_nodes.zones = nodes;
    c.lb_nodes.zones_n = 2;
    zone_world_init(&w, "aabb", c, "a");
    zone_world_count(&w, 1000, counts, NULL);
    assert_int_equal(counts[0], 750); /* half of the capacity for two thirds of the work */
    zone_world_fini(&w);
}

static void test_a_zone_whose_targets_are_full_gives_work_away(void **state)
{
    (void)state;
    struct zone_world w;
    unsigned counts[26];
    zone_world_init(&w, "aabb", policy(CONFIG_ZONES_PREFER_LOCAL), "a");
    w.group.max_outstanding = 10;
    w.group.counts_outstanding = true;
    zone_world_count(&w, 1000, counts, NULL);
    assert_int_equal(counts[0], 1000);
    atomic_store(&w.members[0].target->outstanding, 9);
    atomic_store(&w.members[1].target->outstanding, 9);
    w.now_ms += ZONE_STEP_MS; /* nobody brings news of this: it is looked at again */
    zone_world_count(&w, 1000, counts, NULL);
    assert_int_equal(counts[0], 700);
    atomic_store(&w.members[0].target->outstanding, 11);
    w.now_ms += ZONE_STEP_MS;
    zone_world_count(&w, 1000, counts, NULL);
    assert_int_equal(counts[1], 1000);
    zone_world_fini(&w);
}

static void test_order_goes_down_the_list(void **state)
{
    (void)state;
    struct config_zone_name order[] = {{.zone = SLICE("b")}, {.zone = SLICE("a")}};
    struct config_group_attributes c = policy(CONFIG_ZONES_ORDER);
    struct zone_world w;
    c.zone_policy.order = order;
    c.zone_policy.order_n = 2;
    zone_world_init(&w, "aabbcc", c, "");
    assert_counts(&w, 0, 1000, 0, ZONE_LOCAL);
    zone_world_states(&w, "110011");
    assert_counts(&w, 1000, 0, 0, ZONE_SPILL);
    zone_world_states(&w, "000011");
    assert_counts(&w, 0, 0, 1000, ZONE_SPILL);
    zone_world_fini(&w);
}

static void test_a_try_after_a_failure_leaves_the_zone(void **state)
{
    (void)state;
    struct zone_world w;
    zone_world_init(&w, "aabb", policy(CONFIG_ZONES_PREFER_LOCAL), "a");
    for (int i = 0; i < 10; i++) {
        struct target *skip[] = {w.members[0].target};
        struct pick p = {.skip = skip, .skip_n = 1, .avoid_zone = SLICE("a")};
        assert_true(zone_world_pick(&w, &p) >= 2);
        assert_int_equal(p.decision, ZONE_SPILL);
    }
    zone_world_states(&w, "1100"); /* nobody else is there */
    struct target *skip[] = {w.members[0].target};
    struct pick p = {.skip = skip, .skip_n = 1, .avoid_zone = SLICE("a")};
    assert_int_equal(zone_world_pick(&w, &p), 1);
    struct target *both[] = {w.members[0].target, w.members[1].target};
    struct pick none = {.skip = both, .skip_n = 2};
    assert_int_equal(zone_world_pick(&w, &none), -1);
    assert_false(group_has_other(&w.group, 0, &none));
    none.skip_n = 1;
    assert_true(group_has_other(&w.group, 0, &none));
    zone_world_fini(&w);
}

static void test_too_few_healthy_ones_open_the_group_to_all(void **state)
{
    (void)state;
    struct config_group_attributes c = policy(CONFIG_ZONES_CROSS);
    struct zone_world w;
    c.minimum_healthy.routing.percent = 50;
    zone_world_init(&w, "aabb", c, "");
    zone_world_states(&w, "1100");
    assert_counts(&w, 1000, 0, 0, ZONE_CROSS);
    zone_world_states(&w, "1000");
    assert_counts(&w, 500, 500, 0, ZONE_FAILOPEN);
    zone_world_fini(&w);
}

static void test_the_local_factor_survives_a_new_view_of_the_same_policy(void **state)
{
    (void)state;
    struct zone_world w;
    unsigned counts[26];
    struct config_group_attributes c = policy(CONFIG_ZONES_PREFER_LOCAL);
    c.zones.smoothing_ms = 5000;
    zone_world_init(&w, "aabb", c, "a");
    zone_world_pass(&w, 1000);
    zone_world_states(&w, "0011");
    zone_world_pass(&w, 1000);
    group_fini(&w.group); /* as a reload does: new views, the same news */
    w.group.views = NULL;
    struct group again = w.group;
    group_init(&w.group, 1);
    struct view *views = w.group.views;
    w.group = again;
    w.group.views = views;
    zone_world_states(&w, "1111");
    zone_world_pass(&w, 1000);
    zone_world_count(&w, 1000, counts, NULL);
    assert_true(counts[0] < 400);
    zone_world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cross_zone_takes_all_targets_in_turn),
        cmocka_unit_test(test_a_shifted_zone_gets_nothing_whatever_the_policy),
        cmocka_unit_test(test_local_only_stays),
        cmocka_unit_test(test_prefer_local_spills_only_the_excess),
        cmocka_unit_test(test_a_share_moves_with_time_and_the_return_is_slow),
        cmocka_unit_test(test_balanced_gives_each_target_the_same_over_all_nodes),
        cmocka_unit_test(test_a_zone_whose_targets_are_full_gives_work_away),
        cmocka_unit_test(test_order_goes_down_the_list),
        cmocka_unit_test(test_a_try_after_a_failure_leaves_the_zone),
        cmocka_unit_test(test_too_few_healthy_ones_open_the_group_to_all),
        cmocka_unit_test(test_the_local_factor_survives_a_new_view_of_the_same_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
