/* What all balancers promise, and the turns of round robin. */
#include "upstream/balance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"

#define TARGETS 6

static const struct {
    const char *name;
    const struct balance_ops *ops;
} algorithms[] = {
    {"round_robin", &balance_round_robin},
};

struct fixture {
    struct target targets[TARGETS];
    struct member members[TARGETS];
    struct rng rng;
    const struct balance_ops *ops;
    struct balancer *balancer;
};

static void build(struct fixture *f, const uint32_t *weights)
{
    struct balance_set set = {f->members, TARGETS, weights, 0};
    struct balancer *before = f->balancer;
    f->balancer = f->ops->build(&set, before, &f->rng);
    balance_free(before);
}

static void begin(struct fixture *f, const struct balance_ops *ops, const uint32_t *weights)
{
    *f = (struct fixture){.rng = {7}, .ops = ops};
    for (size_t i = 0; i < TARGETS; i++) {
        f->members[i].target = &f->targets[i];
        f->members[i].zone = i % 2 ? SLICE("b") : SLICE("a");
    }
    build(f, weights);
}

static int pick_with(struct fixture *f, struct pick *p)
{
    p->hash = rng_next(&f->rng);
    const struct member *m = f->ops->pick(f->balancer, p, &f->rng);
    return m ? (int)(m - f->members) : -1;
}

static int pick(struct fixture *f)
{
    return pick_with(f, &(struct pick){0});
}

static void test_only_members_with_a_weight_are_picked_and_all_of_them(void **state)
{
    (void)state;
    static const uint32_t weights[TARGETS] = {0, 3, 0, 1, 2, 0};
    for (size_t a = 0; a < ARRAY_LEN(algorithms); a++) {
        struct fixture f;
        unsigned counts[TARGETS] = {0};
        begin(&f, algorithms[a].ops, weights);
        for (int i = 0; i < 1000; i++)
            counts[pick(&f)]++;
        for (size_t i = 0; i < TARGETS; i++)
            if ((counts[i] > 0) != (weights[i] > 0))
                fail_msg("%s: member %zu was picked %u times", algorithms[a].name, i, counts[i]);
        balance_free(f.balancer);
    }
}

static void test_what_is_skipped_or_to_avoid_is_never_picked(void **state)
{
    (void)state;
    static const uint32_t weights[TARGETS] = {5, 1, 1, 1, 0, 1};
    for (size_t a = 0; a < ARRAY_LEN(algorithms); a++) {
        struct fixture f;
        begin(&f, algorithms[a].ops, weights);
        struct target *skip[] = {&f.targets[0], &f.targets[1], &f.targets[3], &f.targets[5]};
        unsigned seen = 0;
        for (int i = 0; i < 200; i++) {
            struct pick p = {.skip = skip, .skip_n = 2};
            seen |= 1u << pick_with(&f, &p);
        }
        assert_int_equal(seen, 1u << 2 | 1u << 3 | 1u << 5);
        for (int i = 0; i < 200; i++) {
            struct pick p = {.skip = skip, .skip_n = 2, .avoid_zone = SLICE("b")};
            assert_int_equal(pick_with(&f, &p), 2);
            p = (struct pick){.skip = skip, .skip_n = 4};
            assert_int_equal(pick_with(&f, &p), 2);
            p.avoid_zone = SLICE("a");
            assert_int_equal(pick_with(&f, &p), -1);
        }
        balance_free(f.balancer);
    }
}

static void test_a_single_member_is_always_picked(void **state)
{
    (void)state;
    for (size_t a = 0; a < ARRAY_LEN(algorithms); a++) {
        struct fixture f;
        begin(&f, algorithms[a].ops, (const uint32_t[TARGETS]){0, 0, 0, 0, 999000, 0});
        for (int i = 0; i < 20; i++)
            assert_int_equal(pick(&f), 4);
        build(&f, (const uint32_t[TARGETS]){1, 0, 0, 0, 0, 0});
        for (int i = 0; i < 20; i++)
            assert_int_equal(pick(&f), 0);
        balance_free(f.balancer);
    }
}

/* ---- round robin ---- */

static void test_a_lap_goes_on_where_it_was(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, &balance_round_robin, (const uint32_t[TARGETS]){1, 1, 1, 1, 1, 1});
    int last = pick(&f);
    for (int i = 0; i < 20; i++) {
        build(&f, (const uint32_t[TARGETS]){2, 2, 2, 2, 2, 2});
        int next = pick(&f);
        assert_int_equal(next, (last + 1) % TARGETS);
        last = next;
    }
    balance_free(f.balancer);
}

/* As a ramp does it: the lap has another length each time. Nobody gains or starves by that. */
static void test_shares_hold_however_often_the_lap_is_made_anew(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t weights[TARGETS] = {1000, 1000, 1000, 1, 0, 0};
    double want = 0;
    unsigned got = 0;
    begin(&f, &balance_round_robin, weights);
    for (uint32_t share = 1; share <= 1000; share++) {
        weights[3] = share;
        build(&f, weights);
        for (int i = 0; i < 7; i++)
            got += pick(&f) == 3;
        want += 7.0 * share / (3000 + share);
    }
    assert_true(got > 0.9 * want && got < 1.1 * want);
    balance_free(f.balancer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_members_with_a_weight_are_picked_and_all_of_them),
        cmocka_unit_test(test_what_is_skipped_or_to_avoid_is_never_picked),
        cmocka_unit_test(test_a_single_member_is_always_picked),
        cmocka_unit_test(test_a_lap_goes_on_where_it_was),
        cmocka_unit_test(test_shares_hold_however_often_the_lap_is_made_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
