/* Leases that wait for a place, on one worker and between two (the second one's loop is turned by
 * the same thread). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/fleet.h"
#include "support/pass.h"

#define LEASES 8

static struct fleet f;
static struct queue *q;
static struct lease leases[LEASES];

static void begin_with(const enum fleet_kind *kinds, size_t n, uint32_t max_outstanding, uint32_t max)
{
    fleet_init(&f, kinds, n);
    q = registry_get_queue(&f.registry, SLICE("app"));
    assert_ptr_equal(q, registry_get_queue(&f.registry, SLICE("app")));
    f.group.queue = q;
    f.group.counts_outstanding = true;
    f.group.max_outstanding = max_outstanding;
    f.group.queue_max = max;
    f.group.queue_timeout_ms = 1000;
    for (size_t i = 0; i < LEASES; i++)
        leases[i].state = LEASE_NONE;
}

#define BEGIN(limit, max, ...)                                                                     \
    begin_with((const enum fleet_kind[]){__VA_ARGS__},                                             \
               ARRAY_LEN(((const enum fleet_kind[]){__VA_ARGS__})), limit, max)

static void finish(void)
{
    for (size_t i = 0; i < LEASES; i++)
        if (leases[i].up)
            lease_end(&leases[i], true);
    fleet_turn(&f);
    assert_int_equal(q->waiting, 0);
    for (size_t i = 0; i < f.group.members_n; i++)
        assert_int_equal(target_outstanding(f.members[i].target), 0);
    fleet_fini(&f);
}

static enum lease_state start(size_t i)
{
    lease_init(&leases[i], &f.up, &f.group, &f.notify);
    return lease_begin(&leases[i]);
}

static bool waits(size_t i)
{
    return leases[i].state == LEASE_WAIT && !leases[i].link && !leases[i].target;
}

static void test_one_more_than_there_are_places_waits(void **state)
{
    (void)state;
    BEGIN(2, 4, FLEET_LISTENS, FLEET_LISTENS);
    for (size_t i = 0; i < 4; i++) {
        (void)start(i);
        assert_int_equal(fleet_decide(&f, &leases[i]), LEASE_READY);
    }
    assert_int_equal(target_outstanding(f.members[0].target), 2);
    assert_int_equal(target_outstanding(f.members[1].target), 2);
    assert_int_equal(start(4), LEASE_WAIT);
    assert_true(waits(4));
    fleet_turn(&f);
    assert_true(waits(4));
    assert_int_equal(q->waiting, 1);
    struct target *freed = leases[1].target;
    lease_end(&leases[1], true);
    assert_int_equal(fleet_decide(&f, &leases[4]), LEASE_READY);
    assert_ptr_equal(leases[4].target, freed);
    assert_true(leases[4].reused);
    assert_int_equal(leases[4].tries, 1);
    finish();
}

static void test_the_first_to_come_is_the_first_served(void **state)
{
    (void)state;
    BEGIN(1, 8, FLEET_LISTENS);
    for (size_t i = 0; i < 5; i++)
        (void)start(i);
    assert_int_equal(fleet_decide(&f, &leases[0]), LEASE_READY);
    lease_end(&leases[2], false); /* its client has gone */
    static const size_t order[] = {0, 1, 3, 4};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(fleet_decide(&f, &leases[order[i]]), LEASE_READY);
        for (size_t j = i + 1; j < 4; j++)
            assert_true(waits(order[j]));
        lease_end(&leases[order[i]], true);
    }
    finish();
}

static void test_who_comes_later_does_not_overtake(void **state)
{
    (void)state;
    BEGIN(1, 8, FLEET_LISTENS);
    (void)start(0);
    (void)start(1);
    assert_int_equal(fleet_decide(&f, &leases[0]), LEASE_READY);
    lease_end(&leases[0], true); /* its waker has not run yet */
    assert_int_equal(start(2), LEASE_WAIT);
    assert_true(waits(2));
    assert_int_equal(fleet_decide(&f, &leases[1]), LEASE_READY);
    assert_true(waits(2));
    finish();
}

static void test_max_wait_and_one_more_is_refused(void **state)
{
    (void)state;
    BEGIN(1, 2, FLEET_LISTENS);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(start(i), LEASE_WAIT);
    assert_int_equal(start(3), LEASE_REFUSED);
    assert_int_equal(leases[3].why, ERR_LIMIT);
    assert_int_equal(q->spilled, 1);
    lease_end(&leases[1], false);
    assert_int_equal(start(3), LEASE_WAIT);
    finish();
}

static void test_a_wait_ends_in_time_however_often_others_are_woken(void **state)
{
    (void)state;
    BEGIN(1, 8, FLEET_LISTENS);
    (void)start(0);
    assert_int_equal(fleet_decide(&f, &leases[0]), LEASE_READY);
    (void)start(1);
    loop_turn(&f.loop);
    uint64_t begun = f.loop.clock.now_ms;
    for (unsigned i = 0; leases[1].state == LEASE_WAIT && i < 4000; i++) {
        queue_wake(q, &f.up);
        fleet_turn(&f);
    }
    assert_int_equal(leases[1].state, LEASE_REFUSED);
    assert_int_equal(leases[1].why, ERR_AGAIN);
    assert_in_range(f.loop.clock.now_ms - begun, 1000, 1500);
    assert_int_equal(q->timed_out, 1);
    assert_int_equal(q->waiting, 0);
    finish();
}

static void test_a_wait_after_a_failed_try_goes_elsewhere(void **state)
{
    (void)state;
    BEGIN(1, 8, FLEET_LISTENS, FLEET_REFUSES);
    while (start(0) != LEASE_WAIT || fleet_decide(&f, &leases[0]) != LEASE_READY ||
           leases[0].target != f.members[0].target)
        lease_end(&leases[0], false);
    (void)start(1); /* the only free one refuses */
    for (int i = 0; i < 100 && !waits(1); i++)
        fleet_turn(&f);
    assert_true(waits(1));
    assert_int_equal(leases[1].tries, 1);
    assert_int_equal(target_outstanding(f.members[1].target), 0);
    lease_end(&leases[0], true);
    assert_int_equal(fleet_decide(&f, &leases[1]), LEASE_READY);
    assert_ptr_equal(leases[1].target, f.members[0].target);
    finish();
}

static void test_a_preferred_target_that_is_full_is_not_taken(void **state)
{
    (void)state;
    BEGIN(1, 8, FLEET_LISTENS, FLEET_LISTENS);
    for (size_t i = 0; i < 2; i++) {
        lease_init(&leases[i], &f.up, &f.group, &f.notify);
        leases[i].pick.preferred = &f.members[1];
        assert_int_equal(lease_begin(&leases[i]), LEASE_WAIT);
        assert_int_equal(fleet_decide(&f, &leases[i]), LEASE_READY);
    }
    assert_ptr_equal(leases[0].target, f.members[1].target);
    assert_ptr_equal(leases[1].target, f.members[0].target);
    finish();
}

static void test_when_nobody_may_serve_any_more_the_wait_is_over(void **state)
{
    (void)state;
    BEGIN(1, 8, FLEET_LISTENS);
    struct group_news news = {0};
    f.group.news = &news;
    (void)start(0);
    assert_int_equal(fleet_decide(&f, &leases[0]), LEASE_READY);
    (void)start(1);
    fleet_turn(&f);
    assert_true(waits(1));
    target_set_flag(f.members[0].target, TARGET_DRAINING, true);
    news.epoch++;
    queue_wake(q, &f.up);
    fleet_turn(&f);
    assert_int_equal(leases[1].state, LEASE_REFUSED);
    assert_int_equal(leases[1].why, ERR_NOT_FOUND);
    finish();
}

static void test_a_tunnel_that_forgot_its_group_still_wakes(void **state)
{
    (void)state;
    BEGIN(1, 8, FLEET_LISTENS);
    (void)start(0);
    assert_int_equal(fleet_decide(&f, &leases[0]), LEASE_READY);
    (void)start(1);
    leases[0].group = NULL;
    leases[0].member = NULL;
    lease_abort(&leases[0]);
    assert_int_equal(fleet_decide(&f, &leases[1]), LEASE_READY);
    finish();
}

/* ---- two workers ---- */

static struct queue *two;
static struct loop loops[2];
static struct upstream ups[2];

static void test_a_worker_wakes_those_of_another_and_they_take_turns(void **state)
{
    (void)state;
    struct group group;
    struct member member = {.weight = 1};
    struct lease waiting[2][2];
    struct task notify;
    struct addr a;
    struct registry r;
    registry_init(&r, 2);
    assert_int_equal(addr_parse(&a, SLICE("127.0.0.1:1")), OK);
    member.target = registry_get(&r, SLICE("app"), &a);
    group_init(&group, 2);
    group.members = &member;
    group.members_n = 1;
    group.queue = two = registry_get_queue(&r, SLICE("app"));
    group.counts_outstanding = true;
    group.max_outstanding = 1;
    group.queue_max = 8;
    group.queue_timeout_ms = 60000;
    atomic_store(&member.target->outstanding, 1); /* somebody has the place */
    task_init(&notify, NULL);
    for (unsigned w = 0; w < 2; w++) {
        assert_int_equal(loop_init(&loops[w], 1u << 20), OK);
        upstream_init(&ups[w], &loops[w], w, 10);
        for (unsigned i = 0; i < 2; i++) {
            lease_init(&waiting[w][i], &ups[w], &group, &notify);
            assert_int_equal(lease_begin(&waiting[w][i]), LEASE_WAIT);
        }
        loop_turn(&loops[w]);
        assert_true(queue_waits(two, w));
    }
    assert_int_equal(atomic_load(&two->waiting), 4);
    static const bool rung[] = {false, true, false, true};
    for (unsigned i = 0; i < ARRAY_LEN(rung); i++) {
        queue_wake(two, &ups[0]);
        assert_int_equal(atomic_load(&two->local[1].rung), rung[i]);
        assert_int_equal(task_queued(&two->local[0].task), !rung[i]);
        loop_turn(&loops[0]);
        loop_turn(&loops[1]);
        loop_turn(&loops[1]);
    }
    for (unsigned w = 0; w < 2; w++)
        for (unsigned i = 0; i < 2; i++)
            lease_end(&waiting[w][i], false);
    queue_wake(two, &ups[0]); /* nobody is there: nobody is rung */
    assert_false(atomic_load(&two->local[1].rung));
    for (unsigned w = 0; w < 2; w++) {
        upstream_fini(&ups[w]);
        loop_fini(&loops[w]);
    }
    group_fini(&group);
    registry_release(&r, member.target);
    registry_sweep(&r);
    registry_fini(&r);
}

#define T(name) cmocka_unit_test(test_##name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(one_more_than_there_are_places_waits),
        T(the_first_to_come_is_the_first_served),
        T(who_comes_later_does_not_overtake),
        T(max_wait_and_one_more_is_refused),
        T(a_wait_ends_in_time_however_often_others_are_woken),
        T(a_wait_after_a_failed_try_goes_elsewhere),
        T(a_preferred_target_that_is_full_is_not_taken),
        T(when_nobody_may_serve_any_more_the_wait_is_over),
        T(a_tunnel_that_forgot_its_group_still_wakes),
        T(a_worker_wakes_those_of_another_and_they_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
