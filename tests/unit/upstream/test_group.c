#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "upstream/group.h"
#include "upstream/registry.h"

/* ---- the sequence ---- */

struct sequence {
    uint32_t n;
    uint32_t *at;
};

static struct sequence make(const uint32_t *weights, size_t n)
{
    struct sequence s;
    s.at = group_sequence(weights, n, &s.n);
    return s;
}

/* As letters, the first target is `a`. */
static void assert_sequence(const char *want, const uint32_t *weights, size_t n)
{
    char text[128];
    struct sequence s = make(weights, n);
    assert_true(s.n < sizeof(text));
    for (uint32_t i = 0; i < s.n; i++)
        text[i] = (char)('a' + s.at[i]);
    text[s.n] = '\0';
    assert_string_equal(text, want);
    free(s.at);
}

#define ASSERT_SEQUENCE(want, ...)                                                                 \
    assert_sequence((want), (const uint32_t[]){__VA_ARGS__},                                       \
                    ARRAY_LEN(((const uint32_t[]){__VA_ARGS__})))

static uint32_t *counts_of(struct sequence s, size_t targets)
{
    uint32_t *counts = calloc(targets + 1, sizeof(*counts));
    for (uint32_t i = 0; i < s.n; i++) {
        assert_true(s.at[i] < targets);
        counts[s.at[i]]++;
    }
    return counts;
}

static uint32_t twins(struct sequence s)
{
    uint32_t pairs = 0;
    for (uint32_t i = 0; i < s.n; i++)
        pairs += s.at[i] == s.at[(i + 1) % s.n];
    return pairs;
}

/* A target with more than half of the places cannot avoid to follow itself. */
static uint32_t unavoidable_twins(const uint32_t *counts, size_t targets, uint32_t n)
{
    uint32_t most = 0;
    for (size_t i = 0; i < targets; i++)
        most = counts[i] > most ? counts[i] : most;
    return 2 * most > n ? 2 * most - n : 0;
}

/* How far any target strays from its share, in places. */
static double worst_lag(struct sequence s, const uint32_t *counts, size_t targets)
{
    double worst = 0;
    uint32_t *seen = calloc(targets, sizeof(*seen));
    for (uint32_t i = 0; i < s.n; i++) {
        seen[s.at[i]]++;
        for (size_t t = 0; t < targets; t++) {
            double lag = seen[t] - (double)(i + 1) * counts[t] / s.n;
            worst = lag > worst ? lag : -lag > worst ? -lag : worst;
        }
    }
    free(seen);
    return worst;
}

static void test_equal_weights_go_round_in_order(void **state)
{
    (void)state;
    ASSERT_SEQUENCE("a", 7);
    ASSERT_SEQUENCE("abc", 1, 1, 1);
    ASSERT_SEQUENCE("abcd", 500, 500, 500, 500);
}

static void test_weights_are_divided_by_their_gcd(void **state)
{
    (void)state;
    ASSERT_SEQUENCE("aabac", 300, 100, 100);
    ASSERT_SEQUENCE("aab", 2, 1);
    ASSERT_SEQUENCE("aab", 40000, 20000);
}

static void test_a_weight_of_0_gets_no_place(void **state)
{
    (void)state;
    ASSERT_SEQUENCE("bd", 0, 3, 0, 3);
    ASSERT_SEQUENCE("b", 0, 1);
    struct sequence s = make((const uint32_t[]){0, 0}, 2);
    assert_null(s.at);
    assert_int_equal(s.n, 0);
    s = make(NULL, 0);
    assert_null(s.at);
    assert_int_equal(s.n, 0);
}

static void test_a_heavy_target_is_spread_among_many_light_ones(void **state)
{
    (void)state;
    ASSERT_SEQUENCE("abacadaeaf", 5, 1, 1, 1, 1, 1);
    /* The lap joins its own beginning: `abca` would be followed by another `a`. */
    ASSERT_SEQUENCE("abac", 2, 1, 1);
}

static void check_sequence(const uint32_t *weights, const uint32_t *reduced, size_t n)
{
    struct sequence s = make(weights, n);
    uint32_t *counts = counts_of(s, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(counts[i], reduced[i]);
    if (s.n > 1)
        assert_int_equal(twins(s), unavoidable_twins(counts, n, s.n));
    assert_true(worst_lag(s, counts, n) < 2.0);
    free(counts);
    free(s.at);
}

static void test_any_weights_give_exact_shares_evenly_spread(void **state)
{
    (void)state;
    struct rng rng = {2};
    for (int round = 0; round < 3000; round++) {
        uint32_t weights[16];
        uint32_t reduced[16];
        size_t n = 1 + rng_below(&rng, 15);
        uint32_t most = 1 + rng_below(&rng, round % 2 ? 6 : 60);
        for (size_t i = 0; i < n; i++)
            reduced[i] = weights[i] = rng_below(&rng, most + 1);
        reduced[n] = weights[n] = 1; /* so that the gcd is 1 */
        check_sequence(weights, reduced, n + 1);
    }
}

/* Every combination of up to four small weights. */
static void test_small_weights_never_meet_themselves_when_avoidable(void **state)
{
    (void)state;
    for (unsigned code = 1; code < 7 * 7 * 7 * 7; code++) {
        uint32_t weights[4] = {code % 7, code / 7 % 7, code / 49 % 7, code / 343};
        struct sequence s = make(weights, 4);
        uint32_t *counts = counts_of(s, 4);
        if (s.n > 1 && twins(s) != unavoidable_twins(counts, 4, s.n))
            fail_msg("weights %u %u %u %u", weights[0], weights[1], weights[2], weights[3]);
        free(counts);
        free(s.at);
    }
}

static void test_a_lap_has_at_most_65536_places(void **state)
{
    (void)state;
    uint32_t weights[200];
    uint64_t sum = 0;
    for (size_t i = 0; i < 200; i++)
        sum += weights[i] = (uint32_t)(i ? 60000 + i : 1);
    struct sequence s = make(weights, 200);
    uint32_t *counts = counts_of(s, 200);
    assert_true(s.n <= GROUP_SEQUENCE_MAX);
    assert_true(s.n > GROUP_SEQUENCE_MAX * 9 / 10);
    assert_int_equal(counts[0], 1); /* not 0, though its share is a thousandth of a place */
    for (size_t i = 1; i < 200; i++) {
        double share = (double)weights[i] / (double)sum * s.n;
        assert_true(counts[i] > share - 2 && counts[i] < share + 2);
    }
    free(counts);
    free(s.at);
    s = make((const uint32_t[]){65535, 1}, 2); /* exactly at the limit: not rounded */
    assert_int_equal(s.n, 65536);
    free(s.at);
    s = make((const uint32_t[]){65535, 2}, 2); /* one past it */
    assert_true(s.n <= 65536);
    free(s.at);
}

static void test_more_targets_than_places_get_one_each(void **state)
{
    (void)state;
    const size_t n = GROUP_SEQUENCE_MAX + 5;
    uint32_t *weights = calloc(n, sizeof(*weights));
    for (size_t i = 0; i < n; i++)
        weights[i] = (uint32_t)(1 + i % 1000);
    struct sequence s = make(weights, n);
    uint32_t *counts = counts_of(s, n);
    assert_int_equal(s.n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(counts[i], 1);
    free(counts);
    free(weights);
    free(s.at);
}

/* ---- picks ---- */

#define TARGETS 4

struct fixture {
    struct group group;
    struct target targets[TARGETS];
    struct member members[TARGETS];
    struct rng rng;
};

static void setup(struct fixture *f, const uint16_t *weights, size_t n, unsigned workers)
{
    *f = (struct fixture){.rng = {7}};
    group_init(&f->group, workers);
    f->group.members = f->members;
    f->group.members_n = n;
    for (size_t i = 0; i < n; i++)
        f->members[i] = (struct member){.target = &f->targets[i], .weight = weights[i]};
    for (size_t i = 0; i < TARGETS; i++)
        f->targets[i].share = f->targets[i].ramp = TARGET_SHARE_ALL;
}

static int number(const struct fixture *f, const struct member *m)
{
    return m ? (int)(m - f->members) : -1;
}

static int pick(struct fixture *f, unsigned worker, struct target *const *skip, unsigned skip_n)
{
    struct pick p = {.skip = skip, .skip_n = skip_n};
    return number(f, group_pick(&f->group, worker, &f->rng, &p));
}

static void test_a_lap_of_picks_gives_each_target_its_weight(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, (const uint16_t[]){5, 3, 0, 2}, 4, 1);
    for (int lap = 0; lap < 3; lap++) {
        int counts[TARGETS] = {0};
        for (int i = 0; i < 10; i++)
            counts[pick(&f, 0, NULL, 0)]++;
        assert_int_equal(counts[0], 5);
        assert_int_equal(counts[1], 3);
        assert_int_equal(counts[2], 0);
        assert_int_equal(counts[3], 2);
    }
    group_fini(&f.group);
}

static void test_each_worker_has_its_own_turn(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, (const uint16_t[]){1, 1, 1, 1}, 4, 2);
    int first = pick(&f, 0, NULL, 0);
    (void)pick(&f, 1, NULL, 0);
    (void)pick(&f, 1, NULL, 0);
    assert_int_equal(pick(&f, 0, NULL, 0), (first + 1) % 4);
    group_fini(&f.group);
}

static void test_workers_begin_at_different_places(void **state)
{
    (void)state;
    int seen[TARGETS] = {0};
    struct rng rng = {3};
    for (int i = 0; i < 200; i++) {
        struct fixture f;
        setup(&f, (const uint16_t[]){1, 1, 1, 1}, 4, 1);
        f.rng = rng;
        seen[pick(&f, 0, NULL, 0)]++;
        rng = f.rng;
        group_fini(&f.group);
    }
    for (int i = 0; i < TARGETS; i++)
        assert_true(seen[i] > 25);
}

static void test_skipped_targets_are_passed_over(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, (const uint16_t[]){1, 1, 1}, 3, 1);
    struct target *skip[] = {&f.targets[0], &f.targets[2]};
    for (int i = 0; i < 10; i++) {
        assert_int_not_equal(pick(&f, 0, skip, 1), 0);
        assert_int_equal(pick(&f, 0, skip, 2), 1);
    }
    group_fini(&f.group);
}

static void test_nobody_is_picked_when_all_are_skipped_or_weightless(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, (const uint16_t[]){1, 0}, 2, 1);
    struct target *skip[] = {&f.targets[0]};
    assert_int_equal(pick(&f, 0, skip, 1), -1);
    assert_int_equal(pick(&f, 0, NULL, 0), 0);
    group_fini(&f.group);
    setup(&f, (const uint16_t[]){0, 0}, 2, 1);
    assert_int_equal(pick(&f, 0, NULL, 0), -1);
    group_fini(&f.group);
    setup(&f, NULL, 0, 1);
    assert_int_equal(pick(&f, 0, NULL, 0), -1);
    group_fini(&f.group);
}

/* ---- wishes ---- */

static void test_targets_outside_the_zone_to_avoid_come_first(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, (const uint16_t[]){1, 1, 1, 0}, 4, 1);
    f.members[0].zone = f.members[1].zone = SLICE("a");
    f.members[2].zone = f.members[3].zone = SLICE("b");
    for (int i = 0; i < 6; i++) {
        struct target *skip[] = {&f.targets[0], &f.targets[2]};
        struct pick p = {.skip = skip, .skip_n = 1, .avoid_zone = SLICE("a")};
        assert_int_equal(number(&f, group_pick(&f.group, 0, &f.rng, &p)), 2);
        p = (struct pick){.skip = skip, .skip_n = 2, .avoid_zone = SLICE("a")};
        assert_int_equal(number(&f, group_pick(&f.group, 0, &f.rng, &p)), 1); /* nobody else */
        assert_true(group_has_other(&f.group, 0, &p));
    }
    group_fini(&f.group);
}

/* Priorities 0, 0, 1, 2; a row is the targets' health and who serves. */
static void test_a_priority_serves_while_no_lower_number_is_healthy(void **state)
{
    static const struct {
        const char *health, *serve; /* h, i, u; 1 for each that serves */
        bool fail_open;
    } rows[] = {
        {"hhhh", "1100", true}, {"uhhh", "0100", true}, {"uuhh", "0010", true},
        {"uuuh", "0001", true}, {"uuuu", "1111", true}, {"uuuu", "0000", false},
        {"iiii", "1100", true}, {"iuii", "1100", true}, {"iuii", "1000", false},
        {"uiui", "1100", true}, {"uuih", "0001", true}, {"uuii", "1110", true},
        {"uuii", "0010", false}, {"iihh", "0010", true}, {"hihh", "1000", true},
    };
    static const struct config_health_check check;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture f;
        char serve[5] = "0000";
        setup(&f, (const uint16_t[]){1, 1, 1, 1}, 4, 1);
        f.group.check = &check;
        f.group.fail_open = rows[i].fail_open;
        f.members[2].priority = 1;
        f.members[3].priority = 2;
        for (int t = 0; t < 4; t++)
            f.targets[t].state = rows[i].health[t] == 'h'   ? HEALTH_HEALTHY
                                 : rows[i].health[t] == 'i' ? HEALTH_INITIAL
                                                            : HEALTH_UNHEALTHY;
        for (int n = 0; n < 16; n++) {
            int at = pick(&f, 0, NULL, 0);
            if (at >= 0)
                serve[at] = '1';
        }
        assert_string_equal(serve, rows[i].serve);
        struct pick p = {.preferred = &f.members[3]};
        const struct member *m = group_pick(&f.group, 0, &f.rng, &p);
        assert_int_equal(m == &f.members[3] && p.decision == ZONE_STICKY, serve[3] == '1');
        group_fini(&f.group);
    }
}

static void test_the_preferred_target_is_taken_while_it_may_serve(void **state)
{
    (void)state;
    static const struct config_health_check check = {.on = true};
    struct fixture f;
    struct group_news news = {0};
    setup(&f, (const uint16_t[]){1, 1, 1}, 3, 1);
    f.group.check = &check;
    f.group.news = &news;
    for (int i = 0; i < 3; i++)
        f.targets[i].state = HEALTH_HEALTHY;
    struct pick p = {.preferred = &f.members[1]};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(number(&f, group_pick(&f.group, 0, &f.rng, &p)), 1);
        assert_int_equal(p.decision, ZONE_STICKY);
    }
    struct target *skip[] = {&f.targets[1]};
    p = (struct pick){.preferred = &f.members[1], .skip = skip, .skip_n = 1};
    assert_int_not_equal(number(&f, group_pick(&f.group, 0, &f.rng, &p)), 1);
    assert_int_equal(p.decision, ZONE_CROSS);
    static const struct {
        enum health_state state;
        unsigned flags;
    } rows[] = {{HEALTH_UNHEALTHY, 0},
                {HEALTH_INITIAL, 0},
                {HEALTH_HEALTHY, TARGET_DRAINING},
                {HEALTH_HEALTHY, TARGET_EJECTED}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        f.targets[1].state = (uint8_t)rows[i].state;
        f.targets[1].flags = (uint8_t)rows[i].flags;
        news.epoch++;
        p = (struct pick){.preferred = &f.members[1]};
        assert_int_not_equal(number(&f, group_pick(&f.group, 0, &f.rng, &p)), 1);
        assert_int_equal(p.decision, ZONE_CROSS);
    }
    group_fini(&f.group);
}

static void test_shares_of_a_weight_are_in_thousandths(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, (const uint16_t[]){2, 1, 1}, 3, 1);
    f.targets[0].share = 500; /* 1 */
    f.targets[1].ramp = 250;  /* 1/4 */
    f.targets[2].share = 1;
    f.targets[2].ramp = 1; /* not out, though it rounds to nothing */
    int counts[TARGETS] = {0};
    for (int i = 0; i < 1251; i++)
        counts[pick(&f, 0, NULL, 0)]++;
    assert_int_equal(counts[0], 1000);
    assert_int_equal(counts[1], 250);
    assert_int_equal(counts[2], 1);
    group_fini(&f.group);
}

/* ---- health ---- */

static const struct config_health_check checked = {.on = true};

/* What the checker does. */
static void become(struct fixture *f, size_t i, enum health_state s)
{
    atomic_store(&f->targets[i].state, (uint8_t)s);
    atomic_fetch_add(&f->group.news->epoch, 1);
}

struct health_row {
    /* A letter for each target: i, h, u; healthy, but e: ejected, d: draining. Upper case: of
     * weight 0. */
    const char *states;
    bool checked, fail_open;
    const char *picked; /* who is in a lap */
    bool closed;
};

static void be(struct target *t, char what)
{
    t->state = what == 'u' ? HEALTH_UNHEALTHY : what == 'i' ? HEALTH_INITIAL : HEALTH_HEALTHY;
    t->flags = what == 'e' ? TARGET_EJECTED : what == 'd' ? TARGET_DRAINING : 0;
}

static void check_health_row(const struct health_row *row)
{
    struct fixture f;
    uint16_t weights[TARGETS];
    char picked[TARGETS + 1] = "";
    size_t n = strlen(row->states);
    for (size_t i = 0; i < n; i++)
        weights[i] = row->states[i] >= 'a';
    setup(&f, weights, n, 1);
    f.group.check = row->checked ? &checked : NULL;
    f.group.fail_open = row->fail_open;
    for (size_t i = 0; i < n; i++)
        be(&f.targets[i], (char)(row->states[i] | 0x20));
    bool seen[TARGETS] = {false};
    for (int i; n && (i = pick(&f, 0, NULL, 0)) >= 0 && !seen[i];)
        seen[i] = true;
    (void)group_refresh(&f.group, 0, &f.rng);
    for (size_t i = 0, at = 0; i < n; i++)
        if (seen[i])
            picked[at++] = (char)('a' + i);
    if (strcmp(picked, row->picked) != 0 || group_closed(&f.group, 0) != row->closed)
        fail_msg("%s: picked \"%s\", not \"%s\"; closed %d", row->states, picked, row->picked,
                 group_closed(&f.group, 0));
    group_fini(&f.group);
}

static void test_who_serves_by_health(void **state)
{
    (void)state;
    static const struct health_row rows[] = {
        {"hhh", true, true, "abc", false},  {"huh", true, true, "ac", false},
        {"hii", true, true, "a", false},    {"iii", true, true, "abc", false},
        {"iuu", true, true, "abc", false},  {"uuu", true, true, "abc", false},
        {"hhh", true, false, "abc", false}, {"huh", true, false, "ac", false},
        {"iii", true, false, "abc", false}, {"iuu", true, false, "a", false},
        {"uuu", true, false, "", true},     {"uuu", false, false, "abc", false},
        {"uhi", false, true, "abc", false}, {"Huu", true, true, "bc", false},
        {"Huu", true, false, "", true},     {"HHH", true, false, "", false},
        {"III", true, true, "", false},     {"", true, false, "", false},
        {"heh", true, true, "ac", false},   {"eee", true, true, "abc", false},
        {"eee", true, false, "", true},     {"iee", true, false, "a", false},
        {"heh", false, true, "ac", false},  {"eee", false, true, "abc", false},
        {"eee", false, false, "", true},    {"hdh", true, true, "ac", false},
        {"duu", true, true, "bc", false},   {"ddd", true, true, "", false},
        {"ddd", false, true, "", false},    {"die", true, false, "b", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_health_row(&rows[i]);
}

static void test_a_view_is_made_again_only_when_the_epoch_moves(void **state)
{
    (void)state;
    struct fixture f;
    struct group_news news = {0};
    setup(&f, (const uint16_t[]){1, 1, 1}, 3, 2);
    f.group.check = &checked;
    f.group.news = &news;
    assert_true(group_refresh(&f.group, 0, &f.rng));
    assert_false(group_refresh(&f.group, 0, &f.rng));
    become(&f, 1, HEALTH_HEALTHY);
    assert_true(group_refresh(&f.group, 0, &f.rng));
    assert_true(group_refresh(&f.group, 1, &f.rng)); /* each worker has its own */
    for (int i = 0; i < 4; i++)
        assert_int_equal(pick(&f, 0, NULL, 0), 1);
    assert_true(group_lets_in(&f.group, 0, &f.targets[1]));
    assert_false(group_lets_in(&f.group, 0, &f.targets[0]));
    become(&f, 0, HEALTH_HEALTHY);
    become(&f, 1, HEALTH_UNHEALTHY);
    assert_int_equal(pick(&f, 0, NULL, 0), 0);
    struct target *skip[] = {&f.targets[0]};
    struct pick none = {0}, one = {.skip = skip, .skip_n = 1};
    assert_true(group_has_other(&f.group, 0, &none));
    assert_false(group_has_other(&f.group, 0, &one));
    group_fini(&f.group);
}

static void test_a_turn_goes_on_when_the_view_is_made_again(void **state)
{
    (void)state;
    struct fixture f;
    struct group_news news = {0};
    setup(&f, (const uint16_t[]){1, 1, 1, 1}, 4, 1);
    f.group.check = &checked;
    f.group.fail_open = true;
    f.group.news = &news;
    int last = pick(&f, 0, NULL, 0);
    for (int i = 0; i < 8; i++) {
        become(&f, 2, HEALTH_UNHEALTHY); /* all serve all the same: nobody is healthy */
        int next = pick(&f, 0, NULL, 0);
        assert_int_equal(next, (last + 1) % 4);
        last = next;
    }
    group_fini(&f.group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_weights_go_round_in_order),
        cmocka_unit_test(test_weights_are_divided_by_their_gcd),
        cmocka_unit_test(test_a_weight_of_0_gets_no_place),
        cmocka_unit_test(test_a_heavy_target_is_spread_among_many_light_ones),
        cmocka_unit_test(test_any_weights_give_exact_shares_evenly_spread),
        cmocka_unit_test(test_small_weights_never_meet_themselves_when_avoidable),
        cmocka_unit_test(test_a_lap_has_at_most_65536_places),
        cmocka_unit_test(test_more_targets_than_places_get_one_each),
        cmocka_unit_test(test_a_lap_of_picks_gives_each_target_its_weight),
        cmocka_unit_test(test_each_worker_has_its_own_turn),
        cmocka_unit_test(test_workers_begin_at_different_places),
        cmocka_unit_test(test_skipped_targets_are_passed_over),
        cmocka_unit_test(test_nobody_is_picked_when_all_are_skipped_or_weightless),
        cmocka_unit_test(test_targets_outside_the_zone_to_avoid_come_first),
        cmocka_unit_test(test_a_priority_serves_while_no_lower_number_is_healthy),
        cmocka_unit_test(test_the_preferred_target_is_taken_while_it_may_serve),
        cmocka_unit_test(test_shares_of_a_weight_are_in_thousandths),
        cmocka_unit_test(test_who_serves_by_health),
        cmocka_unit_test(test_a_view_is_made_again_only_when_the_epoch_moves),
        cmocka_unit_test(test_a_turn_goes_on_when_the_view_is_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
