/* What all balancers promise, and how each of them distributes. */
#include "upstream/balance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "upstream/latency.h"
#include "upstream/maglev.h"
#include "upstream/registry.h"

#define TARGETS 6

static const struct {
    const char *name;
    const struct balance_ops *ops;
} algorithms[] = {
    {"round_robin", &balance_round_robin},
    {"weighted_random", &balance_random},
    {"least_outstanding_requests", &balance_least_outstanding},
    {"peak_ewma", &balance_ewma},
    {"source_hash", &balance_hash_source},
    {"consistent_hash", &balance_hash_consistent},
};

struct fixture {
    struct target targets[TARGETS];
    struct target_local locals[TARGETS];
    struct member members[TARGETS];
    struct group_news news;
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

static const char names[] = "0 1 2 3 4 5";

static void begin(struct fixture *f, const struct balance_ops *ops, const uint32_t *weights)
{
    *f = (struct fixture){.rng = {7}, .ops = ops};
    for (size_t i = 0; i < TARGETS; i++) {
        f->members[i].target = &f->targets[i];
        f->targets[i].news = &f->news;
        f->targets[i].local = &f->locals[i];
        f->targets[i].text = slice_of(names + 2 * i, 1);
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

/* ---- by weight ---- */

static void check_shares(const char *name, const unsigned *counts, const uint32_t *weights,
                         unsigned picks, double tolerance)
{
    double sum = 0;
    for (size_t i = 0; i < TARGETS; i++)
        sum += weights[i];
    for (size_t i = 0; i < TARGETS; i++) {
        double want = picks * weights[i] / sum;
        if (counts[i] < want * (1 - tolerance) || counts[i] > want * (1 + tolerance))
            fail_msg("%s: member %zu has %u, not %.0f", name, i, counts[i], want);
    }
}

/* Nothing is in flight and nothing measured: all that is left is the weight. */
static void test_idle_targets_are_picked_by_weight(void **state)
{
    (void)state;
    static const uint32_t weights[TARGETS] = {1000, 2000, 0, 500, 1000, 5500};
    for (size_t a = 0; a < ARRAY_LEN(algorithms); a++) {
        struct fixture f;
        unsigned counts[TARGETS] = {0};
        if (algorithms[a].ops == &balance_ewma)
            continue; /* see below */
        begin(&f, algorithms[a].ops, weights);
        for (int i = 0; i < 100000; i++)
            counts[pick(&f)]++;
        check_shares(algorithms[a].name, counts, weights, 100000, 0.05);
        balance_free(f.balancer);
    }
}

/* ---- least outstanding requests ---- */

static int load(struct fixture *f)
{
    int i = pick(f);
    f->targets[i].outstanding++;
    f->news.outstanding++;
    return i;
}

static void test_the_least_outstanding_is_picked(void **state)
{
    (void)state;
    static const struct {
        uint32_t outstanding[TARGETS], weights[TARGETS];
        int picked; /* -1: whoever has none */
    } rows[] = {
        {{5, 4, 3, 4, 5, 6}, {1, 1, 1, 1, 1, 1}, 2},
        {{5, 4, 3, 4, 5, 2}, {1, 1, 1, 1, 1, 0}, 2},
        {{9, 4, 3, 4, 5, 6}, {9, 1, 1, 1, 1, 1}, 0}, /* 1 for a weight of 1 */
        {{10, 3, 3, 3, 3, 2}, {5, 1, 1, 1, 1, 1}, -2},
        {{1, 0, 1, 1, 1, 1}, {999, 1, 999, 999, 999, 999}, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture f;
        begin(&f, &balance_least_outstanding, rows[i].weights);
        for (size_t t = 0; t < TARGETS; t++)
            f.targets[t].outstanding = rows[i].outstanding[t];
        for (int n = 0; n < 12; n++) {
            int picked = pick(&f);
            if (rows[i].picked >= 0)
                assert_int_equal(picked, rows[i].picked);
            else
                assert_true(picked == 0 || picked == 5); /* 2 each */
        }
        balance_free(f.balancer);
    }
}

static void test_those_with_equally_few_take_turns(void **state)
{
    (void)state;
    struct fixture f;
    int counts[TARGETS] = {0};
    begin(&f, &balance_least_outstanding, (const uint32_t[TARGETS]){1, 1, 1, 1, 1, 1});
    for (int i = 0; i < 60; i++)
        counts[pick(&f)]++;
    for (int i = 0; i < TARGETS; i++)
        assert_int_equal(counts[i], 10);
    balance_free(f.balancer);
}

static void test_outstanding_requests_end_up_in_proportion_to_the_weights(void **state)
{
    (void)state;
    struct fixture f;
    static const uint32_t weights[TARGETS] = {1, 2, 3, 4, 5, 5};
    begin(&f, &balance_least_outstanding, weights);
    for (int i = 0; i < 200; i++)
        (void)load(&f);
    for (size_t i = 0; i < TARGETS; i++)
        assert_true(f.targets[i].outstanding >= 10 * weights[i] - 1 &&
                    f.targets[i].outstanding <= 10 * weights[i] + 1);
    balance_free(f.balancer);
}

/* ---- many targets ---- */

#define MANY 1000

struct many {
    struct target *targets;
    struct target_local *locals;
    struct member *members;
    char (*names)[32];
    uint32_t *weights;
    struct group_news news;
    struct balancer *balancer;
    struct rng rng;
};

static void begin_many(struct many *m, const struct balance_ops *ops, size_t n)
{
    *m = (struct many){.rng = {3}};
    m->targets = aligned_alloc(_Alignof(struct target), n * sizeof(*m->targets));
    m->locals = aligned_alloc(_Alignof(struct target_local), n * sizeof(*m->locals));
    m->members = calloc(n, sizeof(*m->members));
    m->names = calloc(n, sizeof(*m->names));
    m->weights = calloc(n, sizeof(*m->weights));
    assert_true(m->targets && m->locals && m->members && m->names && m->weights);
    memset(m->targets, 0, n * sizeof(*m->targets));
    memset(m->locals, 0, n * sizeof(*m->locals));
    for (size_t i = 0; i < n; i++) {
        snprintf(m->names[i], sizeof(m->names[i]), "10.0.%zu.%zu:80", i / 250, i % 250);
        m->targets[i].text = slice_str(m->names[i]);
        m->targets[i].news = &m->news;
        m->targets[i].local = &m->locals[i];
        m->members[i].target = &m->targets[i];
        m->weights[i] = 1;
    }
    if (ops)
        m->balancer =
            ops->build(&(struct balance_set){m->members, n, m->weights, 0}, NULL, &m->rng);
}

static size_t pick_many(struct many *m, uint64_t hash)
{
    struct pick p = {.hash = hash};
    return (size_t)(m->balancer->ops->pick(m->balancer, &p, &m->rng) - m->members);
}

static void end_many(struct many *m)
{
    balance_free(m->balancer);
    free(m->targets);
    free(m->locals);
    free(m->members);
    free(m->names);
    free(m->weights);
}

static void test_many_targets_are_sampled_and_none_gets_much_more_than_another(void **state)
{
    (void)state;
    struct many m;
    uint32_t most = 0;
    begin_many(&m, &balance_least_outstanding, MANY);
    for (int i = 0; i < 10 * MANY; i++)
        m.targets[pick_many(&m, 0)].outstanding++;
    for (size_t i = 0; i < MANY; i++)
        most = m.targets[i].outstanding > most ? m.targets[i].outstanding : most;
    assert_true(most <= 14); /* 10 on average; drawn by chance alone it would be some 21 */
    end_many(&m);
}

static void test_a_sampled_retry_finds_the_last_one_that_is_left(void **state)
{
    (void)state;
    static const struct balance_ops *const sampled[] = {&balance_least_outstanding, &balance_random,
                                                        &balance_ewma};
    for (size_t a = 0; a < ARRAY_LEN(sampled); a++) {
        struct many m;
        begin_many(&m, NULL, 100);
        for (size_t i = 0; i < 100; i++)
            m.members[i].zone = i == 70 ? SLICE("b") : SLICE("a");
        m.balancer =
            sampled[a]->build(&(struct balance_set){m.members, 100, m.weights, 0}, NULL, &m.rng);
        struct pick p = {.avoid_zone = SLICE("a")};
        for (int i = 0; i < 50; i++)
            assert_ptr_equal(sampled[a]->pick(m.balancer, &p, &m.rng), &m.members[70]);
        end_many(&m);
    }
}

/* ---- peak ewma ---- */

static void test_the_quicker_of_two_is_picked_for_what_it_has_to_do(void **state)
{
    (void)state;
    static const struct {
        uint64_t us[2], in_flight[2];
        int picked;
    } rows[] = {
        {{1000, 2000}, {0, 0}, 0}, {{1000, 2000}, {1, 1}, 0}, {{1000, 2000}, {3, 0}, 1},
        {{1000, 2500}, {1, 0}, 0}, {{0, 900000}, {1, 0}, 1},  {{0, 1100000}, {1, 0}, 0},
        {{0, 500}, {0, 0}, 0}, /* 0: never measured */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture f;
        begin(&f, &balance_ewma, (const uint32_t[TARGETS]){1, 1, 0, 0, 0, 0});
        for (int t = 0; t < 2; t++) {
            if (rows[i].us[t])
                latency_note(&f.locals[t].latency, rows[i].us[t], 1000);
            counter_add(&f.locals[t].in_flight, rows[i].in_flight[t]);
        }
        for (int n = 0; n < 20; n++) {
            struct pick p = {.now_us = 1000};
            if (pick_with(&f, &p) != rows[i].picked)
                fail_msg("row %zu", i);
        }
        balance_free(f.balancer);
    }
}

/* All answer alike; one more in flight of each that is picked. */
static void test_equal_targets_share_the_work_by_weight(void **state)
{
    (void)state;
    struct fixture f;
    static const uint32_t weights[TARGETS] = {1, 1, 1, 1, 2, 2};
    unsigned counts[TARGETS] = {0};
    int held[16] = {0};
    begin(&f, &balance_ewma, weights);
    for (size_t i = 0; i < TARGETS; i++)
        latency_note(&f.locals[i].latency, 2000, 1000);
    for (int i = 0; i < 16000; i++) {
        struct pick p = {.now_us = 1000};
        if (i >= 16)
            counter_sub(&f.locals[held[i % 16]].in_flight, 1);
        held[i % 16] = pick_with(&f, &p);
        counter_add(&f.locals[held[i % 16]].in_flight, 1);
        counts[held[i % 16]]++;
    }
    check_shares("peak_ewma", counts, weights, 16000, 0.35);
    balance_free(f.balancer);
}

static void test_a_slow_target_gets_little_and_is_tried_again_when_its_peak_has_faded(void **state)
{
    (void)state;
    struct fixture f;
    unsigned slow = 0, later = 0;
    begin(&f, &balance_ewma, (const uint32_t[TARGETS]){1, 1, 1, 1, 1, 1});
    for (size_t i = 0; i < TARGETS; i++)
        latency_note(&f.locals[i].latency, i == 3 ? 500000 : 2000, 1000);
    for (int i = 0; i < 1000; i++)
        slow += pick_with(&f, &(struct pick){.now_us = 2000}) == 3;
    uint64_t then_us = 1000 + 9 * LATENCY_HALF_US;
    for (size_t i = 0; i < TARGETS; i++)
        if (i != 3)
            latency_note(&f.locals[i].latency, 2000, then_us);
    for (int i = 0; i < 1000; i++)
        later += pick_with(&f, &(struct pick){.now_us = then_us}) == 3;
    assert_int_equal(slow, 0);
    assert_true(later > 250); /* of 1 in 3: each pair with it */
    balance_free(f.balancer);
}

/* ---- hashing ---- */

static void test_one_hash_goes_to_one_target(void **state)
{
    (void)state;
    static const struct balance_ops *const hashing[] = {&balance_hash_source,
                                                        &balance_hash_consistent};
    for (size_t a = 0; a < ARRAY_LEN(hashing); a++) {
        struct many m;
        begin_many(&m, hashing[a], 50);
        for (int i = 0; i < 200; i++) {
            uint64_t hash = rng_next(&m.rng);
            size_t first = pick_many(&m, hash);
            for (int n = 0; n < 5; n++)
                assert_int_equal(pick_many(&m, hash), first);
        }
        end_many(&m);
    }
}

/* The others keep theirs, but for a few percent; and the clients of the one that went go to all. */
static void test_few_hashes_move_when_a_target_goes(void **state)
{
    (void)state;
    enum { N = 20, KEYS = 20000 };
    struct many m;
    begin_many(&m, &balance_hash_source, N);
    static size_t before[KEYS];
    unsigned moved = 0, gained[N] = {0};
    for (uint64_t k = 0; k < KEYS; k++)
        before[k] = pick_many(&m, hash_mix(k));
    balance_free(m.balancer);
    m.weights[7] = 0;
    m.balancer =
        balance_hash_source.build(&(struct balance_set){m.members, N, m.weights, 0}, NULL, &m.rng);
    for (uint64_t k = 0; k < KEYS; k++) {
        size_t now = pick_many(&m, hash_mix(k));
        assert_int_not_equal(now, 7);
        if (before[k] == 7)
            gained[now]++;
        else
            moved += now != before[k];
    }
    assert_true(moved < KEYS / 50);
    for (size_t i = 0; i < N; i++)
        assert_true(i == 7 || (gained[i] > 0.5 * KEYS / N / N && gained[i] < 1.7 * KEYS / N / N));
    end_many(&m);
}

/* A try after a failed one: where its clients go once it is known to be gone, or nearly so. */
static void test_clients_of_a_skipped_target_are_spread(void **state)
{
    (void)state;
    enum { N = 20, KEYS = 20000 };
    struct many m;
    begin_many(&m, &balance_hash_source, N);
    unsigned gained[N] = {0}, all = 0;
    for (uint64_t k = 0; k < KEYS; k++) {
        struct target *skip[] = {&m.targets[7]};
        struct pick p = {.hash = hash_mix(k), .skip = skip, .skip_n = 1};
        if (pick_many(&m, hash_mix(k)) != 7)
            continue;
        gained[m.balancer->ops->pick(m.balancer, &p, &m.rng) - m.members]++;
        all++;
    }
    assert_true(all > KEYS / N * 0.9);
    for (size_t i = 0; i < N; i++)
        assert_true(i == 7 ? gained[i] == 0 : gained[i] > 0.4 * all / N);
    end_many(&m);
}

static void test_places_of_the_table_are_by_weight_up_to_10000_targets(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 7, 100, MAGLEV_FEW, MAGLEV_FEW + 1, 10000};
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        struct many m;
        size_t n = sizes[s], sum = 0;
        begin_many(&m, NULL, n);
        for (size_t i = 0; i < n; i++)
            sum += m.weights[i] = (uint32_t)(i % 5 == 4 ? 2 : 1);
        uint32_t *table = maglev_build(&(struct balance_set){m.members, n, m.weights, 0});
        uint32_t size = maglev_size(n), *counts = calloc(n, sizeof(*counts));
        assert_non_null(counts);
        for (uint32_t i = 0; i < size; i++)
            counts[table[i]]++;
        for (size_t i = 0; i < n; i++) {
            double want = (double)size * m.weights[i] / (double)sum;
            assert_true(counts[i] >= want - 2 && counts[i] <= want + 2);
        }
        free(counts);
        free(table);
        end_many(&m);
    }
}

/* ---- bounded load ---- */

static void test_a_popular_key_does_not_drown_its_target(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, &balance_hash_consistent, (const uint32_t[TARGETS]){1, 1, 1, 0, 0, 2});
    for (int i = 0; i < 200; i++) {
        struct pick p = {.hash = 42};
        const struct member *m = f.ops->pick(f.balancer, &p, &f.rng);
        f.targets[m - f.members].outstanding++;
        f.news.outstanding++;
    }
    for (size_t i = 0; i < 3; i++) /* 1.25 of 40, rounded up */
        assert_true(f.targets[i].outstanding <= 50);
    assert_true(f.targets[5].outstanding <= 100);
    balance_free(f.balancer);
}

static void test_few_requests_stay_with_their_target_and_one_more_than_few_leaves(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, &balance_hash_consistent, (const uint32_t[TARGETS]){1, 1, 1, 1, 1, 1});
    struct pick p = {.hash = 42};
    const struct member *first = f.ops->pick(f.balancer, &p, &f.rng);
    for (int i = 0; i < 8; i++) {
        assert_ptr_equal(f.ops->pick(f.balancer, &p, &f.rng), first);
        first->target->outstanding++;
        f.news.outstanding++;
    }
    const struct member *second = f.ops->pick(f.balancer, &p, &f.rng);
    assert_ptr_not_equal(second, first);
    assert_ptr_equal(f.ops->pick(f.balancer, &p, &f.rng), second); /* always the same one */
    /* When all are full it goes where it belongs. */
    for (size_t i = 0; i < TARGETS; i++)
        f.targets[i].outstanding = 100;
    assert_ptr_equal(f.ops->pick(f.balancer, &p, &f.rng), first);
    balance_free(f.balancer);
}

#define T(name) cmocka_unit_test(test_##name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(only_members_with_a_weight_are_picked_and_all_of_them),
        T(what_is_skipped_or_to_avoid_is_never_picked),
        T(a_single_member_is_always_picked),
        T(a_lap_goes_on_where_it_was),
        T(shares_hold_however_often_the_lap_is_made_anew),
        T(idle_targets_are_picked_by_weight),
        T(the_least_outstanding_is_picked),
        T(those_with_equally_few_take_turns),
        T(outstanding_requests_end_up_in_proportion_to_the_weights),
        T(many_targets_are_sampled_and_none_gets_much_more_than_another),
        T(a_sampled_retry_finds_the_last_one_that_is_left),
        T(the_quicker_of_two_is_picked_for_what_it_has_to_do),
        T(equal_targets_share_the_work_by_weight),
        T(a_slow_target_gets_little_and_is_tried_again_when_its_peak_has_faded),
        T(one_hash_goes_to_one_target),
        T(few_hashes_move_when_a_target_goes),
        T(clients_of_a_skipped_target_are_spread),
        T(places_of_the_table_are_by_weight_up_to_10000_targets),
        T(a_popular_key_does_not_drown_its_target),
        T(few_requests_stay_with_their_target_and_one_more_than_few_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
