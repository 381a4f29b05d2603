#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/fleet.h"
#include "support/pass.h"

static struct fleet f;

#define FLEET(...)                                                                                 \
    fleet_init(&f, (const enum fleet_kind[]){__VA_ARGS__},                                         \
               ARRAY_LEN(((const enum fleet_kind[]){__VA_ARGS__})))

static uint64_t errors(size_t i)
{
    return counter_get(&fleet_local(&f, i)->connect_errors);
}

static uint64_t in_flight(size_t i)
{
    return counter_get(&fleet_local(&f, i)->in_flight);
}

static uint64_t idle(size_t i)
{
    return counter_get(&fleet_local(&f, i)->idle_links);
}

/* How long the connect that is under way may take. */
static uint64_t time_left(void)
{
    return f.lease.link->timer.deadline_ms - f.loop.clock.now_ms;
}

static void begin(void)
{
    lease_init(&f.lease, &f.up, &f.group, &f.notify);
    clock_update(&f.loop.clock);
    assert_int_equal(lease_begin(&f.lease), LEASE_WAIT);
}

static void test_a_new_connection_is_waited_for_and_told_by_task(void **state)
{
    (void)state;
    FLEET(FLEET_LISTENS);
    begin();
    assert_int_equal(in_flight(0), 1);
    assert_int_equal(f.notified, 0);
    assert_int_equal(fleet_decide(&f, &f.lease), LEASE_READY);
    fleet_turn(&f);
    assert_int_equal(f.notified, 1);
    assert_false(f.lease.reused);
    assert_int_equal(f.lease.tries, 1);
    assert_ptr_equal(f.lease.target, f.members[0].target);
    lease_end(&f.lease, false);
    assert_int_equal(in_flight(0), 0);
    assert_int_equal(idle(0), 0);
    fleet_fini(&f);
}

static void test_an_idle_link_is_ready_at_once(void **state)
{
    (void)state;
    FLEET(FLEET_LISTENS);
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
    struct link *k = f.lease.link;
    lease_end(&f.lease, true);
    assert_int_equal(idle(0), 1);
    assert_int_equal(in_flight(0), 0);
    lease_init(&f.lease, &f.up, &f.group, &f.notify);
    assert_int_equal(lease_begin(&f.lease), LEASE_READY);
    assert_ptr_equal(f.lease.link, k);
    assert_true(f.lease.reused);
    assert_int_equal(k->uses, 2);
    assert_int_equal(idle(0), 0);
    assert_int_equal(in_flight(0), 1);
    lease_end(&f.lease, false);
    fleet_fini(&f);
}

static void test_the_warmest_idle_link_is_taken(void **state)
{
    (void)state;
    FLEET(FLEET_LISTENS);
    struct lease two;
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
    assert_int_equal(fleet_lease(&f, &two), LEASE_READY);
    assert_int_equal(in_flight(0), 2);
    struct link *last = f.lease.link;
    lease_end(&two, true);
    lease_end(&f.lease, true);
    assert_int_equal(idle(0), 2);
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
    assert_ptr_equal(f.lease.link, last);
    lease_end(&f.lease, false);
    assert_int_equal(idle(0), 1);
    fleet_fini(&f);
}

static void test_a_group_of_nobody_is_refused_as_not_found(void **state)
{
    (void)state;
    FLEET(FLEET_LISTENS);
    f.members[0].weight = 0;
    lease_init(&f.lease, &f.up, &f.group, &f.notify);
    assert_int_equal(lease_begin(&f.lease), LEASE_REFUSED);
    assert_int_equal(f.lease.why, ERR_NOT_FOUND);
    assert_int_equal(f.lease.tries, 0);
    lease_end(&f.lease, true);
    fleet_fini(&f);
}

static void test_a_refused_connect_goes_on_to_the_next_target(void **state)
{
    (void)state;
    FLEET(FLEET_REFUSES, FLEET_REFUSES, FLEET_LISTENS);
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
    assert_ptr_equal(f.lease.target, f.members[2].target);
    assert_int_equal(errors(0) + errors(1) + 1, f.lease.tries);
    assert_int_equal(in_flight(0) + in_flight(1), 0);
    assert_int_equal(in_flight(2), 1);
    lease_end(&f.lease, false);
    fleet_fini(&f);
}

static void test_each_target_is_tried_once_then_the_lease_is_refused(void **state)
{
    (void)state;
    FLEET(FLEET_REFUSES, FLEET_REFUSES);
    f.group.retries = 9;
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_REFUSED);
    assert_int_equal(f.lease.why, ERR_REFUSED);
    assert_int_equal(f.lease.tries, 2);
    assert_int_equal(errors(0), 1);
    assert_int_equal(errors(1), 1);
    fleet_fini(&f);
}

static void test_tries_are_one_more_than_retries(void **state)
{
    (void)state;
    FLEET(FLEET_REFUSES, FLEET_REFUSES, FLEET_REFUSES, FLEET_REFUSES);
    for (unsigned retries = 0; retries < 4; retries++) {
        f.group.retries = retries;
        assert_int_equal(fleet_lease(&f, &f.lease), LEASE_REFUSED);
        assert_int_equal(f.lease.tries, retries + 1);
        assert_false(lease_can_retry(&f.lease));
    }
    fleet_fini(&f);
}

static void test_tries_are_capped_whatever_retries_say(void **state)
{
    (void)state;
    enum fleet_kind kinds[LEASE_TRIES_MAX + 2];
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        kinds[i] = FLEET_REFUSES;
    fleet_init(&f, kinds, ARRAY_LEN(kinds));
    f.group.retries = 100;
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_REFUSED);
    assert_int_equal(f.lease.tries, LEASE_TRIES_MAX);
    f.group.retries = LEASE_TRIES_MAX - 2;
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_REFUSED);
    assert_int_equal(f.lease.tries, LEASE_TRIES_MAX - 1);
    fleet_fini(&f);
}

static void test_only_the_last_untried_target_gets_the_whole_connect_timeout(void **state)
{
    (void)state;
    FLEET(FLEET_IS_SILENT, FLEET_IS_SILENT);
    begin();
    assert_int_equal(time_left(), LEASE_TRY_MS);
    pass_ms(&f.loop, LEASE_TRY_MS + 200);
    assert_int_equal(f.lease.state, LEASE_WAIT);
    assert_int_equal(f.lease.tries, 2);
    assert_int_equal(errors(0) + errors(1), 1);
    pass_ms(&f.loop, 9000);
    assert_int_equal(f.lease.state, LEASE_WAIT);
    pass_ms(&f.loop, 1200);
    assert_int_equal(f.lease.state, LEASE_REFUSED);
    assert_int_equal(f.lease.why, ERR_TIMEOUT);
    assert_int_equal(errors(0) + errors(1), 2);
    fleet_fini(&f);
}

static void test_a_lone_target_gets_the_whole_connect_timeout(void **state)
{
    (void)state;
    FLEET(FLEET_IS_SILENT, FLEET_LISTENS);
    f.members[1].weight = 0; /* nobody to go to */
    begin();
    assert_int_equal(time_left(), 10000);
    lease_end(&f.lease, false);
    fleet_fini(&f);
}

static void test_the_last_try_gets_the_whole_connect_timeout(void **state)
{
    (void)state;
    FLEET(FLEET_IS_SILENT, FLEET_IS_SILENT);
    f.group.retries = 0;
    begin();
    assert_int_equal(time_left(), 10000);
    lease_end(&f.lease, false);
    fleet_fini(&f);
}

static void test_a_short_connect_timeout_is_not_made_longer(void **state)
{
    (void)state;
    FLEET(FLEET_IS_SILENT, FLEET_IS_SILENT);
    f.group.connect_timeout_ms = 700;
    begin();
    assert_int_equal(time_left(), 700);
    lease_end(&f.lease, false);
    fleet_fini(&f);
}

static void test_the_only_target_is_tried_again_when_a_reused_link_died(void **state)
{
    (void)state;
    FLEET(FLEET_LISTENS);
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
    lease_end(&f.lease, true);
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
    struct link *dead = f.lease.link;
    assert_int_equal(lease_again(&f.lease), LEASE_WAIT);
    assert_int_equal(dead->state, LINK_CLOSED);
    assert_int_equal(fleet_decide(&f, &f.lease), LEASE_READY);
    assert_false(f.lease.reused);
    assert_ptr_equal(f.lease.target, f.members[0].target);
    assert_int_equal(in_flight(0), 1);
    lease_end(&f.lease, false);
    fleet_fini(&f);
}

static void test_the_only_target_is_not_tried_again_when_a_new_link_died(void **state)
{
    (void)state;
    FLEET(FLEET_LISTENS);
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
    assert_int_equal(lease_again(&f.lease), LEASE_REFUSED);
    assert_int_equal(f.lease.why, ERR_RESET);
    assert_int_equal(in_flight(0), 0);
    lease_end(&f.lease, false);
    fleet_fini(&f);
}

static void test_the_second_try_at_the_only_target_takes_no_idle_link(void **state)
{
    (void)state;
    FLEET(FLEET_LISTENS);
    struct lease two;
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
    assert_int_equal(fleet_lease(&f, &two), LEASE_READY);
    lease_end(&two, true);
    lease_end(&f.lease, true);
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
    assert_int_equal(idle(0), 1);
    assert_int_equal(lease_again(&f.lease), LEASE_WAIT);
    assert_int_equal(idle(0), 1);
    lease_end(&f.lease, false);
    fleet_fini(&f);
}

static void test_another_target_is_preferred_to_the_one_that_died(void **state)
{
    (void)state;
    FLEET(FLEET_LISTENS, FLEET_LISTENS);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
        lease_end(&f.lease, true);
    }
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
    struct target *first = f.lease.target;
    assert_int_equal(lease_again(&f.lease), LEASE_READY);
    assert_ptr_not_equal(f.lease.target, first);
    lease_end(&f.lease, false);
    fleet_fini(&f);
}

static void test_no_second_try_without_retries(void **state)
{
    (void)state;
    FLEET(FLEET_LISTENS, FLEET_LISTENS);
    f.group.retries = 0;
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
    assert_int_equal(lease_again(&f.lease), LEASE_REFUSED);
    assert_int_equal(f.lease.why, ERR_RESET);
    fleet_fini(&f);
}

static void test_a_lease_may_be_ended_while_it_waits_and_twice(void **state)
{
    (void)state;
    FLEET(FLEET_LISTENS);
    begin();
    lease_end(&f.lease, true);
    lease_end(&f.lease, true);
    lease_abort(&f.lease);
    fleet_turn(&f);
    assert_int_equal(f.notified, 0);
    assert_int_equal(f.up.links.live, 0);
    fleet_fini(&f);
}

static void test_an_aborted_lease_is_an_rst_for_the_target(void **state)
{
    (void)state;
    FLEET(FLEET_LISTENS);
    char byte;
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
    int fd = fleet_accept(&f, 0);
    lease_abort(&f.lease);
    fleet_turn(&f);
    assert_int_equal(recv(fd, &byte, 1, 0), -1);
    assert_int_equal(idle(0), 0);
    close(fd);
    fleet_fini(&f);
}

static void test_a_link_to_a_target_that_left_the_configuration_is_not_kept(void **state)
{
    (void)state;
    FLEET(FLEET_LISTENS);
    atomic_store(&f.members[0].target->generation, 4);
    f.up.generation = 4;
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
    lease_end(&f.lease, true);
    assert_int_equal(idle(0), 1);
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
    f.up.generation = 5;
    lease_end(&f.lease, true);
    assert_int_equal(idle(0), 0);
    fleet_fini(&f);
}

static void test_our_own_shortage_is_not_tried_elsewhere(void **state)
{
    (void)state;
    FLEET(FLEET_LISTENS, FLEET_LISTENS);
    f.up.links.limit = 0;
    lease_init(&f.lease, &f.up, &f.group, &f.notify);
    assert_int_equal(lease_begin(&f.lease), LEASE_REFUSED);
    assert_int_equal(f.lease.why, ERR_NOMEM);
    assert_int_equal(f.lease.tries, 1);
    assert_int_equal(errors(0) + errors(1), 0); /* it is not the target's fault */
    fleet_fini(&f);
}

static void test_a_failed_try_is_followed_by_one_in_another_zone(void **state)
{
    (void)state;
    FLEET(FLEET_REFUSES, FLEET_LISTENS, FLEET_LISTENS);
    f.members[0].zone = f.members[1].zone = SLICE("a");
    f.members[2].zone = SLICE("b");
    unsigned went_on = 0;
    for (int i = 0; i < 12; i++) {
        assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
        if (f.lease.tries == 2) {
            assert_ptr_equal(f.lease.target, f.members[2].target);
            went_on++;
        }
        lease_end(&f.lease, false);
    }
    assert_true(went_on > 2);
    /* A link that died in use is such a failure too. */
    f.members[0].weight = 0;
    f.members[1].zone = SLICE("b");
    f.members[2].zone = SLICE("b");
    f.members[0].zone = SLICE("a");
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
    enum lease_state s = lease_again(&f.lease); /* no other zone: another target */
    assert_int_equal(s == LEASE_WAIT ? fleet_decide(&f, &f.lease) : s, LEASE_READY);
    assert_ptr_not_equal(f.lease.target, f.lease.tried[0]);
    lease_end(&f.lease, false);
    fleet_fini(&f);
}

static void test_the_preferred_target_is_leased_and_left_when_it_fails(void **state)
{
    (void)state;
    FLEET(FLEET_LISTENS, FLEET_REFUSES, FLEET_LISTENS);
    for (int i = 0; i < 4; i++) {
        lease_init(&f.lease, &f.up, &f.group, &f.notify);
        f.lease.pick.preferred = &f.members[i % 2 ? 2 : 1];
        clock_update(&f.loop.clock);
        enum lease_state s = lease_begin(&f.lease);
        assert_int_equal(s == LEASE_WAIT ? fleet_decide(&f, &f.lease) : s, LEASE_READY);
        assert_ptr_equal(f.lease.tried[0], f.lease.pick.preferred->target);
        assert_int_equal(f.lease.tries, i % 2 ? 1 : 2);
        assert_int_equal(f.lease.pick.decision, i % 2 ? ZONE_STICKY : ZONE_CROSS);
        lease_end(&f.lease, false);
    }
    fleet_fini(&f);
}

static void test_outstanding_leases_are_counted_only_where_wanted(void **state)
{
    (void)state;
    FLEET(FLEET_LISTENS, FLEET_REFUSES);
    struct lease two;
    f.group.counts_outstanding = true;
    begin();
    assert_int_equal(
        target_outstanding(f.members[0].target) + target_outstanding(f.members[1].target), 1);
    assert_int_equal(fleet_decide(&f, &f.lease), LEASE_READY);
    assert_int_equal(fleet_lease(&f, &two), LEASE_READY);
    assert_int_equal(target_outstanding(f.members[0].target), 2);
    assert_int_equal(target_outstanding(f.members[1].target), 0);
    f.group.counts_outstanding = false; /* what was counted in is counted out */
    lease_end(&f.lease, true);
    lease_end(&f.lease, true);
    lease_abort(&two);
    assert_int_equal(target_outstanding(f.members[0].target), 0);
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
    assert_int_equal(target_outstanding(f.members[0].target), 0);
    f.group.counts_outstanding = true;
    lease_end(&f.lease, false);
    assert_int_equal(target_outstanding(f.members[0].target), 0);
    fleet_fini(&f);
}

static void test_idle_links_of_a_draining_target_are_closed_at_the_next_pick(void **state)
{
    (void)state;
    FLEET(FLEET_LISTENS, FLEET_LISTENS);
    struct group_news news = {0};
    f.group.news = &news;
    for (unsigned flag = TARGET_DRAINING; flag <= TARGET_EJECTED; flag *= 2) {
        assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
        struct target *out = f.lease.target;
        lease_end(&f.lease, true);
        assert_int_equal(counter_get(&out->local[0].idle_links), 1);
        target_set_flag(out, flag, true);
        news.epoch++;
        assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
        assert_ptr_not_equal(f.lease.target, out);
        assert_int_equal(counter_get(&out->local[0].idle_links), 0);
        target_set_flag(out, flag, false);
        news.epoch++;
        lease_end(&f.lease, false);
    }
    fleet_fini(&f);
}

#define T(name) cmocka_unit_test(test_##name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_new_connection_is_waited_for_and_told_by_task),
        T(an_idle_link_is_ready_at_once),
        T(the_warmest_idle_link_is_taken),
        T(a_group_of_nobody_is_refused_as_not_found),
        T(a_refused_connect_goes_on_to_the_next_target),
        T(each_target_is_tried_once_then_the_lease_is_refused),
        T(tries_are_one_more_than_retries),
        T(tries_are_capped_whatever_retries_say),
        T(only_the_last_untried_target_gets_the_whole_connect_timeout),
        T(a_lone_target_gets_the_whole_connect_timeout),
        T(the_last_try_gets_the_whole_connect_timeout),
        T(a_short_connect_timeout_is_not_made_longer),
        T(the_only_target_is_tried_again_when_a_reused_link_died),
        T(the_only_target_is_not_tried_again_when_a_new_link_died),
        T(the_second_try_at_the_only_target_takes_no_idle_link),
        T(another_target_is_preferred_to_the_one_that_died),
        T(no_second_try_without_retries),
        T(a_lease_may_be_ended_while_it_waits_and_twice),
        T(an_aborted_lease_is_an_rst_for_the_target),
        T(a_link_to_a_target_that_left_the_configuration_is_not_kept),
        T(our_own_shortage_is_not_tried_elsewhere),
        T(a_failed_try_is_followed_by_one_in_another_zone),
        T(the_preferred_target_is_leased_and_left_when_it_fails),
        T(outstanding_leases_are_counted_only_where_wanted),
        T(idle_links_of_a_draining_target_are_closed_at_the_next_pick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
