/* zone_plan as truth tables. A zone is written `healthy/targets`, with `!` when it is shifted
 * away, `@N` for N balancers and `#N` for N outstanding of a room of 100; the node is in the
 * first. What comes out is a share in 1/100 percent and a letter: cross, Local, Spill, Failopen,
 * sHift. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "upstream/zone.h"

#define MAX 8

struct table {
    struct zone_input zones[MAX];
    size_t n;
};

static struct zone_input zone_of(const char *text)
{
    unsigned healthy, targets;
    assert_int_equal(sscanf(text, "%u/%u", &healthy, &targets), 2);
    struct zone_input z = {.weight = targets * 10ull,
                           .healthy_weight = healthy * 10ull,
                           .targets = targets,
                           .healthy = healthy,
                           .nodes = 1,
                           .shifted = strchr(text, '!')};
    if (strchr(text, '@'))
        z.nodes = (uint32_t)atoi(strchr(text, '@') + 1);
    if (strchr(text, '#')) {
        z.outstanding = (uint64_t)atoi(strchr(text, '#') + 1);
        z.room = 100;
    }
    return z;
}

static struct table zones_of(const char *text)
{
    struct table t = {.n = 0};
    char copy[256], *rest = copy;
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        assert_true(t.n < MAX);
        t.zones[t.n] = zone_of(word);
        t.zones[t.n].rank = (uint32_t)t.n;
        t.n++;
    }
    return t;
}

static struct zone_rules rules_of(enum config_zone_policy policy)
{
    return (struct zone_rules){.policy = policy, .overprovision = 1.4, .fail_open = true};
}

static char letter(enum zone_decision d)
{
    return "cLSFHK"[d];
}

static void plan_text(const struct zone_rules *r, const struct table *t, char *to, size_t cap)
{
    struct zone_output out[MAX];
    size_t at = 0;
    assert_int_equal(zone_plan(r, t->zones, t->n, NULL, 0, out),
                     t->zones[0].room && r->policy != CONFIG_ZONES_CROSS ? ZONE_STEP_MS : 0);
    for (size_t z = 0; z < t->n; z++)
        at += (size_t)snprintf(to + at, cap - at, "%s%u%c", z ? " " : "", out[z].share,
                               letter(out[z].decision));
}

static void check(const struct zone_rules *r, const char *zones, const char *want)
{
    struct table t = zones_of(zones);
    char got[128];
    plan_text(r, &t, got, sizeof(got));
    if (strcmp(got, want) != 0)
        fail_msg("policy %d, %s: %s, not %s", r->policy, zones, got, want);
}

struct row {
    const char *zones, *want;
};

static void check_rows(const struct zone_rules *r, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check(r, rows[i].zones, rows[i].want);
}

#define CHECK_ROWS(r, ...)                                                                         \
    check_rows((r), (const struct row[]){__VA_ARGS__},                                             \
               ARRAY_LEN(((const struct row[]){__VA_ARGS__})))

/* ---- policies ---- */

static void test_cross_zone_gives_every_healthy_target_the_same(void **state)
{
    (void)state;
    struct zone_rules r = rules_of(CONFIG_ZONES_CROSS);
    CHECK_ROWS(&r, {"3/3 3/3 3/3", "3334c 3333c 3333c"}, {"1/3 3/3 0/3", "2500c 7500c 0c"},
               {"1/1 9/9", "1000c 9000c"}, {"3/3! 3/3 3/3", "0H 5000H 5000H"},
               {"0/3 0/3 0/3", "3334F 3333F 3333F"}, {"0/3 0/3! 0/3", "5000F 0F 5000F"},
               {"0/0 0/0", "0c 0c"}, {"3/3!", "0H"});
}

static void test_local_only_never_leaves_the_zone(void **state)
{
    (void)state;
    struct zone_rules r = rules_of(CONFIG_ZONES_LOCAL_ONLY);
    CHECK_ROWS(&r, {"3/3 3/3", "10000L 0S"}, {"1/3 3/3", "10000L 0S"}, {"0/3 3/3", "10000F 0F"},
               {"3/3! 3/3", "0L 0H"}, {"0/0 3/3", "0L 0S"});
    r.fail_open = false;
    CHECK_ROWS(&r, {"0/3 3/3", "0L 0S"});
    r.local = ZONE_NONE;
    CHECK_ROWS(&r, {"3/3 3/3", "0c 0c"});
}

static void test_prefer_local_stays_up_to_its_capacity(void **state)
{
    (void)state;
    struct zone_rules r = rules_of(CONFIG_ZONES_PREFER_LOCAL);
    CHECK_ROWS(&r, {"3/3 3/3 3/3", "10000L 0S 0S"},
               {"5/7 7/7 7/7", "10000L 0S 0S"},      /* 1.4 x 5/7 is just enough */
               {"2/4 4/4 4/4", "7000L 1500S 1500S"}, /* 1.4 x 2/4 */
               {"2/4 4/4 2/4", "7500L 2500S 0S"},    /* 12 for 8: the ceiling rises to 1.5 */
               {"2/4 4/4 3/4", "7000L 2667S 333S"},  /* by what each has left */
               {"0/3 3/3 3/3", "0L 5000S 5000S"},    /* nobody is left */
               {"0/3 3/3 0/3", "0L 10000S 0S"},
               {"1/2 1/2 1/2", "10000L 0S 0S"}, /* all alike: leaving would not help */
               {"3/3 0/3 0/3", "10000L 0S 0S"}, {"3/3! 3/3 3/3", "0L 5000H 5000H"},
               {"3/3 3/3! 3/3", "10000L 0S 0S"}, {"0/3! 0/3 0/3", "0F 5000F 5000F"},
               {"0/0 3/3 3/3", "0L 5000S 5000S"}, {"0/3 0/3 0/3", "10000F 0F 0F"});
}

static void test_overprovision_is_what_a_zone_may_carry(void **state)
{
    (void)state;
    struct zone_rules r = rules_of(CONFIG_ZONES_PREFER_LOCAL);
    r.overprovision = 1;
    /* Nobody may carry more than another: 9 for 8 healthy ones. */
    CHECK_ROWS(&r, {"2/3 3/3 3/3", "7500L 1250S 1250S"}, {"3/3 3/3 3/3", "10000L 0S 0S"});
    r.overprovision = 2;
    CHECK_ROWS(&r, {"2/4 4/4 4/4", "10000L 0S 0S"}, {"1/4 4/4 4/4", "5000L 2500S 2500S"});
}

static void test_a_zone_without_room_gives_work_away(void **state)
{
    (void)state;
    struct zone_rules r = rules_of(CONFIG_ZONES_PREFER_LOCAL);
    CHECK_ROWS(&r, {"3/3#80 3/3#0", "10000L 0S"}, {"3/3#90 3/3#0", "7000L 3000S"},
               {"3/3#100 3/3#0", "0L 10000S"}, {"3/3#100 3/3#100", "10000L 0S"},
               {"3/3#150 3/3#10 3/3#95", "0L 10000S 0S"});
}

static void test_balanced_loads_every_target_alike(void **state)
{
    (void)state;
    struct zone_rules r = rules_of(CONFIG_ZONES_BALANCED);
    CHECK_ROWS(&r, {"3/3 3/3 3/3", "10000L 0S 0S"}, {"6/6 3/3", "10000L 0S"},
               {"3/3 6/6", "6667L 3333S"}, {"3/3@2 3/3@1", "7500L 2500S"},
               {"3/3@0 3/3@3", "10000L 0S"}, {"2/3 3/3 3/3", "7500L 1250S 1250S"},
               {"0/3 3/3 3/3", "0L 5000S 5000S"}, {"3/3! 3/3 3/3", "0L 5000H 5000H"},
               {"0/0@1 3/3@1", "0L 10000S"}, {"0/3 0/3", "10000F 0F"}, {"0/0 0/0", "0L 0S"});
}

static void test_order_fills_one_zone_after_the_other(void **state)
{
    (void)state;
    struct zone_rules r = rules_of(CONFIG_ZONES_ORDER);
    r.local = ZONE_NONE; /* it needs no zone of the node's */
    CHECK_ROWS(&r, {"3/3 3/3 3/3", "10000L 0S 0S"}, {"5/7 7/7", "10000L 0S"},
               {"1/2 2/2 2/2", "7000L 3000S 0S"}, {"1/4 1/4 4/4", "3500L 3500S 3000S"},
               {"0/3 3/3 3/3", "0L 10000S 0S"}, {"1/4 1/4 0/4", "5000L 5000S 0S"},
               {"0/3 0/3 1/3", "0L 0S 10000S"}, {"3/3! 3/3 3/3", "0L 10000H 0H"},
               {"0/3 0/3", "10000F 0F"}, {"0/0 3/3", "0L 10000S"}, {"0/0 0/0", "0L 0S"},
               {"3/3#100 3/3#0", "0L 10000S"}, {"3/3#100 3/3#100", "10000L 0S"});
}

static void test_zones_of_one_rank_share_by_their_healthy_targets(void **state)
{
    (void)state;
    struct zone_rules r = rules_of(CONFIG_ZONES_ORDER);
    struct table t = zones_of("0/3 1/3 3/3");
    char got[64];
    t.zones[2].rank = 1;
    plan_text(&r, &t, got, sizeof(got));
    assert_string_equal(got, "0L 2500S 7500S");
}

static void test_without_a_zone_of_the_node_nothing_is_local(void **state)
{
    (void)state;
    struct zone_rules r = rules_of(CONFIG_ZONES_PREFER_LOCAL);
    r.local = ZONE_NONE;
    CHECK_ROWS(&r, {"1/3 3/3", "2500c 7500c"});
    r.policy = CONFIG_ZONES_BALANCED;
    CHECK_ROWS(&r, {"1/3 3/3! 3/3", "2500H 0H 7500H"});
}

/* ---- fail open ---- */

static void test_below_the_minimum_health_is_ignored(void **state)
{
    (void)state;
    assert_false(zone_below(4, 1, 1, 0));
    assert_true(zone_below(4, 0, 0, 0)); /* one is always needed */
    assert_true(zone_below(4, 1, 2, 0));
    assert_false(zone_below(4, 2, 2, 0));
    assert_true(zone_below(4, 1, 1, 26));
    assert_false(zone_below(4, 1, 1, 25));
    assert_true(zone_below(10, 5, 6, 50)); /* either is enough */
}

static void test_the_minimum_counts_over_all_zones_but_under_local_only(void **state)
{
    (void)state;
    struct zone_rules r = rules_of(CONFIG_ZONES_CROSS);
    r.minimum_percent = 50;
    CHECK_ROWS(&r, {"0/2 2/2", "0c 10000c"}, {"0/2 1/2", "5000F 5000F"},
               {"2/2! 0/2 1/2", "0F 5000F 5000F"}); /* what is shifted away does not count */
    r.policy = CONFIG_ZONES_PREFER_LOCAL;
    CHECK_ROWS(&r, {"0/2 2/2", "0L 10000S"}, {"0/2 1/2", "10000F 0F"});
    r.policy = CONFIG_ZONES_LOCAL_ONLY;
    CHECK_ROWS(&r, {"1/3 3/3", "10000F 0F"}, {"2/3 0/3", "10000L 0S"});
    r.fail_open = false; /* the minimum changes nothing */
    CHECK_ROWS(&r, {"1/3 3/3", "10000L 0S"});
}

static void test_health_is_ignored_only_where_it_counts(void **state)
{
    (void)state;
    struct zone_rules r = rules_of(CONFIG_ZONES_LOCAL_ONLY);
    struct table t = zones_of("0/3 0/3 0/3!");
    struct zone_output out[MAX];
    (void)zone_plan(&r, t.zones, t.n, NULL, 0, out);
    assert_true(out[0].all);
    assert_false(out[1].all);
    r.policy = CONFIG_ZONES_CROSS;
    (void)zone_plan(&r, t.zones, t.n, NULL, 0, out);
    assert_true(out[0].all && out[1].all);
    assert_false(out[2].all);
}

/* ---- any zones ---- */

static struct table any_zones(struct rng *rng)
{
    struct table t = {.n = 1 + rng_below(rng, MAX)};
    for (size_t z = 0; z < t.n; z++) {
        uint32_t targets = rng_below(rng, 6), healthy = rng_below(rng, targets + 1);
        t.zones[z] = (struct zone_input){.weight = targets * 10,
                                         .healthy_weight = healthy * 10,
                                         .targets = targets,
                                         .healthy = healthy,
                                         .nodes = rng_below(rng, 3),
                                         .rank = rng_below(rng, (uint32_t)t.n),
                                         .room = rng_below(rng, 2) * 100,
                                         .outstanding = rng_below(rng, 130),
                                         .shifted = rng_below(rng, 8) == 0};
    }
    return t;
}

static void check_any(const struct zone_rules *r, const struct table *t)
{
    struct zone_output out[MAX];
    unsigned sum = 0, could = 0;
    (void)zone_plan(r, t->zones, t->n, NULL, 0, out);
    for (size_t z = 0; z < t->n; z++) {
        bool serves =
            !t->zones[z].shifted && (out[z].all ? t->zones[z].weight : t->zones[z].healthy_weight);
        if (r->policy == CONFIG_ZONES_LOCAL_ONLY && z != r->local)
            serves = false;
        assert_true(out[z].share == 0 || serves);
        sum += out[z].share;
        could += serves;
    }
    assert_int_equal(sum, could ? ZONE_WHOLE : 0);
}

static void test_whoever_can_serve_does_and_nobody_else(void **state)
{
    (void)state;
    struct rng rng = {7};
    for (int i = 0; i < 20000; i++) {
        struct table t = any_zones(&rng);
        struct zone_rules r = rules_of((enum config_zone_policy)rng_below(&rng, 5));
        r.local = rng_below(&rng, 4) ? rng_below(&rng, (uint32_t)t.n) : ZONE_NONE;
        r.fail_open = rng_below(&rng, 2);
        r.minimum_percent = rng_below(&rng, 2) * 40;
        r.overprovision = 1 + rng_below(&rng, 10) / 10.0;
        check_any(&r, &t);
    }
}

/* ---- time ---- */

static double run(struct zone_memory *m, double input, uint64_t *now_ms, unsigned ms)
{
    double f = 0;
    for (uint64_t end = *now_ms + ms; *now_ms < end; *now_ms += 100)
        f = zone_factor(m, input, 5000, *now_ms);
    return f;
}

static void assert_near(double a, double b)
{
    if (a - b > 0.001 || b - a > 0.001)
        fail_msg("%f, not %f", a, b);
}

static void test_a_change_comes_over_its_time(void **state)
{
    (void)state;
    struct zone_memory m = {0};
    uint64_t now_ms = 1000;
    assert_near(run(&m, 1.05, &now_ms, 100), 1); /* what is first is believed */
    assert_false(zone_factor_moves(&m));
    double f = run(&m, 0.5, &now_ms, 5100);
    assert_true(f > 0.65 && f < 0.75); /* 63 % of the way */
    assert_true(zone_factor_moves(&m));
    assert_near(run(&m, 0.5, &now_ms, 20000), 0.5);
    assert_false(zone_factor_moves(&m));
}

static void test_nothing_is_learned_while_nobody_looks(void **state)
{
    (void)state;
    struct zone_memory m = {0};
    assert_near(zone_factor(&m, 1, 5000, 1000), 1);
    assert_near(zone_factor(&m, 0.5, 5000, 60000), 1); /* it was 1 until just now */
    assert_true(zone_factor(&m, 0.5, 5000, 65000) < 0.8);
}

static void test_the_loss_of_all_is_believed_at_once_and_the_return_is_not(void **state)
{
    (void)state;
    struct zone_memory m = {0};
    uint64_t now_ms = 1000;
    run(&m, 1, &now_ms, 1000);
    assert_true(zone_factor(&m, 0, 5000, now_ms += 100) == 0);
    assert_true(zone_factor(&m, 1, 5000, now_ms += 100) == 0);
    assert_true(run(&m, 1, &now_ms, 2000) < 0.5);
    assert_near(run(&m, 1, &now_ms, 20000), 1);
}

static void test_it_goes_up_again_only_by_five_points(void **state)
{
    (void)state;
    struct zone_memory m = {0};
    uint64_t now_ms = 1000;
    run(&m, 0.90, &now_ms, 1000);
    assert_near(run(&m, 0.94, &now_ms, 9000), 0.90);
    assert_near(run(&m, 0.94, &now_ms, 2000), 0.94); /* in calm it is exact */
    assert_true(run(&m, 0.80, &now_ms, 9000) < 0.85);
    assert_true(run(&m, 0.95, &now_ms, 9000) > 0.90); /* more than five points: all the way */
}

static void test_no_smoothing_takes_every_value_as_it_is(void **state)
{
    (void)state;
    struct zone_memory m = {0};
    assert_near(zone_factor(&m, 1, 0, 1000), 1);
    assert_near(zone_factor(&m, 0.3, 0, 1001), 0.3);
    assert_near(zone_factor(&m, 0.7, 0, 1002), 0.7);
    assert_false(zone_factor_moves(&m));
}

/* The value turns about once in ten minutes, if at all, and stays within two points. */
static void check_noise(double middle, uint64_t seed)
{
    struct rng rng = {seed};
    struct zone_memory m = {0};
    double was = zone_factor(&m, middle, 5000, 0), low = was, high = was;
    unsigned rises = 0;
    for (uint64_t now_ms = 100; now_ms < 600000; now_ms += 100) {
        double noise = (rng_below(&rng, 10001) / 5000.0 - 1) * 0.05;
        double f = zone_factor(&m, middle * (1 + noise), 5000, now_ms);
        rises += f > was;
        low = f < low ? f : low;
        high = f > high ? f : high;
        was = f;
    }
    assert_true(rises <= 1);
    if (high - low > 0.02)
        fail_msg("seed %llu: from %f to %f", (unsigned long long)seed, low, high);
}

static void test_five_percent_of_noise_moves_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        check_noise(0.7, seed);
        check_noise(0.95, seed);
        check_noise(1.0, seed);
    }
}

static void test_the_plan_asks_again_while_a_share_moves(void **state)
{
    (void)state;
    struct zone_rules r = rules_of(CONFIG_ZONES_PREFER_LOCAL);
    struct zone_memory m = {0};
    struct table all = zones_of("4/4 4/4"), half = zones_of("2/4 4/4"), none = zones_of("0/4 4/4");
    struct zone_output out[MAX];
    r.smoothing_ms = 5000;
    assert_int_equal(zone_plan(&r, all.zones, 2, &m, 1000, out), 0);
    assert_int_equal(zone_plan(&r, half.zones, 2, &m, 5000, out), ZONE_STEP_MS);
    assert_int_equal(out[0].share, ZONE_WHOLE); /* it has just begun to fall */
    for (uint64_t now_ms = 5100; now_ms < 40000; now_ms += 100)
        (void)zone_plan(&r, half.zones, 2, &m, now_ms, out);
    assert_int_equal(zone_plan(&r, half.zones, 2, &m, 40000, out), 0);
    assert_int_equal(out[0].share, 7000);
    assert_int_equal(zone_plan(&r, none.zones, 2, &m, 40100, out), 0);
    assert_int_equal(out[1].share, ZONE_WHOLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cross_zone_gives_every_healthy_target_the_same),
        cmocka_unit_test(test_local_only_never_leaves_the_zone),
        cmocka_unit_test(test_prefer_local_stays_up_to_its_capacity),
        cmocka_unit_test(test_overprovision_is_what_a_zone_may_carry),
        cmocka_unit_test(test_a_zone_without_room_gives_work_away),
        cmocka_unit_test(test_balanced_loads_every_target_alike),
        cmocka_unit_test(test_order_fills_one_zone_after_the_other),
        cmocka_unit_test(test_zones_of_one_rank_share_by_their_healthy_targets),
        cmocka_unit_test(test_without_a_zone_of_the_node_nothing_is_local),
        cmocka_unit_test(test_below_the_minimum_health_is_ignored),
        cmocka_unit_test(test_the_minimum_counts_over_all_zones_but_under_local_only),
        cmocka_unit_test(test_health_is_ignored_only_where_it_counts),
        cmocka_unit_test(test_whoever_can_serve_does_and_nobody_else),
        cmocka_unit_test(test_a_change_comes_over_its_time),
        cmocka_unit_test(test_nothing_is_learned_while_nobody_looks),
        cmocka_unit_test(test_the_loss_of_all_is_believed_at_once_and_the_return_is_not),
        cmocka_unit_test(test_it_goes_up_again_only_by_five_points),
        cmocka_unit_test(test_no_smoothing_takes_every_value_as_it_is),
        cmocka_unit_test(test_five_percent_of_noise_moves_nothing),
        cmocka_unit_test(test_the_plan_asks_again_while_a_share_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
