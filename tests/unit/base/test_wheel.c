#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/runq.h"
#include "base/wheel.h"

enum { TIMERS = 64 };

struct owner {
    struct task task;
    struct timer timer;
};

struct fixture {
    struct wheel wheel;
    struct runq runq;
    struct owner owners[TIMERS];
};

static void owner_run(struct task *t)
{
    (void)t;
}

static struct fixture *setup(uint64_t now_ms)
{
    static struct fixture f;
    wheel_init(&f.wheel, now_ms);
    runq_init(&f.runq);
    for (int i = 0; i < TIMERS; i++) {
        task_init(&f.owners[i].task, owner_run);
        timer_init(&f.owners[i].timer, &f.owners[i].task);
    }
    return &f;
}

static void advance(struct fixture *f, uint64_t now_ms)
{
    wheel_advance(&f->wheel, now_ms, &f->runq);
}

/* Fired, and its task was queued; takes both. */
static bool take(struct fixture *f, int i)
{
    bool fired = timer_take(&f->owners[i].timer);
    assert_int_equal(fired, task_queued(&f->owners[i].task));
    task_cancel(&f->owners[i].task);
    return fired;
}

static void test_a_timer_fires_once_never_early_and_at_most_a_tick_late(void **state)
{
    (void)state;
    for (uint64_t after = 1; after <= 350; after++) {
        struct fixture *f = setup(1000);
        struct timer *t = &f->owners[0].timer;
        timer_set(&f->wheel, t, 1000 + after);
        uint64_t fired_ms = 0;
        for (uint64_t now = 1000; now <= 1500; now++) {
            advance(f, now);
            if (!take(f, 0))
                continue;
            assert_int_equal(fired_ms, 0);
            fired_ms = now;
        }
        assert_in_range(fired_ms, 1000 + after, 1000 + after + WHEEL_TICK_MS - 1);
        assert_true(wheel_empty(&f->wheel));
        assert_int_equal(t->deadline_ms, 0);
    }
}

static void test_a_deadline_that_has_passed_fires_with_the_next_tick(void **state)
{
    (void)state;
    struct fixture *f = setup(5000);
    advance(f, 5000);
    timer_set(&f->wheel, &f->owners[0].timer, 4000);
    timer_set(&f->wheel, &f->owners[1].timer, 5000);
    advance(f, 5000 + WHEEL_TICK_MS);
    assert_true(take(f, 0));
    assert_true(take(f, 1));
}

static void test_a_later_deadline_moves_nothing_until_the_slot_comes_up(void **state)
{
    (void)state;
    struct fixture *f = setup(0);
    struct timer *t = &f->owners[0].timer;
    timer_set(&f->wheel, t, 500);
    uint64_t slot = t->slot_tick;
    struct list *before = t->node.prev;
    for (uint64_t deadline = 600; deadline <= 5000; deadline += 100)
        timer_set(&f->wheel, t, deadline);
    assert_int_equal(t->slot_tick, slot);
    assert_ptr_equal(t->node.prev, before);
    assert_int_equal(f->wheel.linked, 1);
    advance(f, 4999);
    assert_false(take(f, 0));
    assert_true(t->slot_tick > slot);
    advance(f, 5000);
    assert_true(take(f, 0));
}

static void test_an_earlier_deadline_moves_at_once(void **state)
{
    (void)state;
    struct fixture *f = setup(0);
    timer_set(&f->wheel, &f->owners[0].timer, 5000);
    timer_set(&f->wheel, &f->owners[0].timer, 300);
    assert_int_equal(f->wheel.linked, 1);
    advance(f, 300);
    assert_true(take(f, 0));
    advance(f, 6000);
    assert_false(take(f, 0));
}

static void test_a_cleared_timer_does_not_fire_and_leaves_with_its_slot(void **state)
{
    (void)state;
    struct fixture *f = setup(0);
    struct timer *t = &f->owners[0].timer;
    timer_set(&f->wheel, t, 300);
    timer_clear(t);
    assert_false(wheel_empty(&f->wheel)); /* lazily */
    advance(f, 1000);
    assert_false(take(f, 0));
    assert_true(wheel_empty(&f->wheel));
    timer_set(&f->wheel, t, 1300);
    timer_clear(t);
    timer_set(&f->wheel, t, 1600); /* set again while it still hangs there */
    assert_int_equal(f->wheel.linked, 1);
    advance(f, 1599);
    assert_false(take(f, 0));
    advance(f, 1600);
    assert_true(take(f, 0));
}

static void test_a_deleted_timer_leaves_at_once(void **state)
{
    (void)state;
    struct fixture *f = setup(0);
    timer_set(&f->wheel, &f->owners[0].timer, 300);
    timer_set(&f->wheel, &f->owners[1].timer, 300);
    timer_del(&f->wheel, &f->owners[0].timer);
    timer_del(&f->wheel, &f->owners[0].timer);
    assert_int_equal(f->wheel.linked, 1);
    assert_true(list_empty(&f->owners[0].timer.node));
    advance(f, 300);
    assert_false(take(f, 0));
    assert_true(take(f, 1));
}

static void test_an_expiry_nobody_saw_is_forgotten_by_set_and_clear(void **state)
{
    (void)state;
    struct fixture *f = setup(0);
    for (int i = 0; i < 2; i++)
        timer_set(&f->wheel, &f->owners[i].timer, 100);
    advance(f, 100);
    timer_set(&f->wheel, &f->owners[0].timer, 1000);
    timer_clear(&f->owners[1].timer);
    assert_false(timer_take(&f->owners[0].timer));
    assert_false(timer_take(&f->owners[1].timer));
}

static void test_deadlines_beyond_the_wheel_are_kept(void **state)
{
    (void)state;
    const uint64_t round_ms = (uint64_t)WHEEL_SLOTS * WHEEL_TICK_MS;
    const uint64_t deadlines[] = {round_ms - WHEEL_TICK_MS, round_ms, round_ms + 1,
                                  3 * round_ms + 50, 24 * 3600 * 1000};
    for (size_t i = 0; i < ARRAY_LEN(deadlines); i++) {
        struct fixture *f = setup(0);
        timer_set(&f->wheel, &f->owners[0].timer, deadlines[i]);
        for (uint64_t now = 0; now < deadlines[i]; now += WHEEL_TICK_MS) {
            advance(f, now);
            assert_false(take(f, 0));
        }
        advance(f, deadlines[i] + WHEEL_TICK_MS - 1);
        assert_true(take(f, 0));
    }
}

static void test_after_a_long_stop_everything_due_fires_in_one_go(void **state)
{
    (void)state;
    struct fixture *f = setup(0);
    for (int i = 0; i < TIMERS; i++)
        timer_set(&f->wheel, &f->owners[i].timer, 1 + (uint64_t)i * 1700);
    timer_set(&f->wheel, &f->owners[0].timer, 30ull * 24 * 3600 * 1000 + 50);
    advance(f, 30ull * 24 * 3600 * 1000);
    assert_false(take(f, 0));
    for (int i = 1; i < TIMERS; i++)
        assert_true(take(f, i));
    assert_int_equal(f->wheel.linked, 1);
    advance(f, 30ull * 24 * 3600 * 1000 + 149);
    assert_true(take(f, 0));
}

/* While the wheel is empty nobody advances it, so its own idea of the time grows old. */
static void test_a_wheel_that_slept_while_empty_keeps_its_promises(void **state)
{
    (void)state;
    const uint64_t slept_ms[] = {1, 500, 102400, 500000, 86400000};
    for (size_t i = 0; i < ARRAY_LEN(slept_ms); i++)
        for (uint64_t after = 1; after < 250; after += 7) {
            struct fixture *f = setup(77);
            uint64_t now = 77 + slept_ms[i], deadline = now + after;
            timer_set(&f->wheel, &f->owners[0].timer, deadline);
            for (; now < deadline; now++) {
                advance(f, now);
                assert_false(take(f, 0));
            }
            advance(f, deadline + WHEEL_TICK_MS - 1);
            assert_true(take(f, 0));
        }
}

/* ---- against a model ---- */

struct model {
    struct fixture *f;
    uint64_t now_ms;
    uint64_t deadline_ms[TIMERS]; /* 0: none */
    uint64_t set_ms[TIMERS];      /* when that deadline was given */
};

static void change_one(struct model *m, struct rng *rng)
{
    int i = (int)rng_below(rng, TIMERS);
    struct timer *t = &m->f->owners[i].timer;
    uint32_t reach = rng_below(rng, 4) ? 3000 : 400000;
    switch (rng_below(rng, 8)) {
    case 0:
        timer_clear(t);
        m->deadline_ms[i] = 0;
        return;
    case 1:
        timer_del(&m->f->wheel, t);
        m->deadline_ms[i] = 0;
        return;
    default:
        m->deadline_ms[i] = m->now_ms + rng_below(rng, reach);
        m->set_ms[i] = m->now_ms;
        timer_set(&m->f->wheel, t, m->deadline_ms[i]);
    }
}

static void check_one(struct model *m, int i)
{
    uint64_t due = m->deadline_ms[i] > m->set_ms[i] ? m->deadline_ms[i] : m->set_ms[i];
    if (take(m->f, i)) {
        assert_true(m->deadline_ms[i] != 0);
        assert_true(m->now_ms >= m->deadline_ms[i]);
        m->deadline_ms[i] = 0;
    } else if (m->deadline_ms[i]) {
        assert_true(m->now_ms < due + WHEEL_TICK_MS);
    }
}

static void test_random_timers_behave_like_the_model(void **state)
{
    (void)state;
    struct rng rng = {4711};
    struct model m = {.f = setup(12345), .now_ms = 12345};
    for (int step = 0; step < 100000; step++) {
        for (uint32_t n = rng_below(&rng, 4); n; n--)
            change_one(&m, &rng);
        m.now_ms += rng_below(&rng, 500) ? rng_below(&rng, 150) : rng_below(&rng, 300000);
        advance(m.f, m.now_ms);
        for (int i = 0; i < TIMERS; i++)
            check_one(&m, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_timer_fires_once_never_early_and_at_most_a_tick_late),
        cmocka_unit_test(test_a_deadline_that_has_passed_fires_with_the_next_tick),
        cmocka_unit_test(test_a_later_deadline_moves_nothing_until_the_slot_comes_up),
        cmocka_unit_test(test_an_earlier_deadline_moves_at_once),
        cmocka_unit_test(test_a_cleared_timer_does_not_fire_and_leaves_with_its_slot),
        cmocka_unit_test(test_a_deleted_timer_leaves_at_once),
        cmocka_unit_test(test_an_expiry_nobody_saw_is_forgotten_by_set_and_clear),
        cmocka_unit_test(test_deadlines_beyond_the_wheel_are_kept),
        cmocka_unit_test(test_after_a_long_stop_everything_due_fires_in_one_go),
        cmocka_unit_test(test_a_wheel_that_slept_while_empty_keeps_its_promises),
        cmocka_unit_test(test_random_timers_behave_like_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
