/* Links of several slots, by a wire that does nothing but wait to be told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/socket.h"
#include "support/fleet.h"
#include "support/pass.h"

#define LEASES 8

static struct fleet f;
static struct lease leases[LEASES];
static struct link *started[LEASES];
static unsigned started_n, closed_n;
static enum err start_says;

static enum err fake_start(struct link *k, struct upstream *up)
{
    assert_ptr_equal(up, &f.up);
    if (start_says != ERR_AGAIN)
        return start_says;
    k->session = &started_n;
    assert_true(started_n < LEASES);
    started[started_n++] = k;
    return ERR_AGAIN;
}

static void fake_close(struct link *k)
{
    assert_int_equal(k->slots_used, 0);
    closed_n++;
}

static const struct link_ops fake_ops = {fake_start, fake_close};

static void begin(size_t targets)
{
    static const enum fleet_kind kinds[] = {FLEET_LISTENS, FLEET_LISTENS};
    started_n = closed_n = 0;
    start_says = ERR_AGAIN;
    fleet_init(&f, kinds, targets);
    f.group.link_ops = &fake_ops;
}

static void finish(void)
{
    for (int i = 0; i < LEASES; i++)
        lease_end(&leases[i], true);
    fleet_fini(&f);
    assert_int_equal(closed_n, started_n);
}

static enum lease_state ask(unsigned i)
{
    lease_init(&leases[i], &f.up, &f.group, &f.notify);
    return lease_begin(&leases[i]);
}

/* Until `n` links have started. */
static void await(unsigned n)
{
    for (int i = 0; i < 1000 && started_n < n; i++)
        fleet_turn(&f);
    assert_int_equal(started_n, n);
}

/* `waiting` leases on one link that has `slots`. */
static void share(unsigned waiting, uint32_t slots)
{
    for (unsigned i = 0; i < waiting; i++)
        assert_int_equal(ask(i), LEASE_WAIT);
    await(1);
    assert_int_equal(started[0]->state, LINK_STARTING);
    link_set_slots(started[0], slots);
    link_started(started[0], OK);
}

static uint64_t idle_links(void)
{
    return counter_get(&fleet_local(&f, 0)->idle_links);
}

static void test_leases_wait_for_one_link_together(void **state)
{
    (void)state;
    begin(1);
    share(3, 10);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(leases[i].state, LEASE_READY);
        assert_ptr_equal(leases[i].link, started[0]);
    }
    assert_int_equal(started[0]->slots_used, 3);
    assert_int_equal(ask(3), LEASE_READY); /* one more, at once */
    assert_ptr_equal(leases[3].link, started[0]);
    assert_true(leases[3].reused);
    assert_int_equal(f.loop.conns.live, 1);
    finish();
}

static void test_those_without_a_slot_wait_for_the_next_link(void **state)
{
    (void)state;
    begin(1);
    share(3, 2);
    assert_int_equal(leases[0].state, LEASE_READY);
    assert_int_equal(leases[1].state, LEASE_READY);
    assert_int_equal(leases[2].state, LEASE_WAIT);
    assert_int_equal(leases[2].tries, 1);
    await(2);
    link_set_slots(started[1], 2);
    link_started(started[1], OK);
    assert_int_equal(leases[2].state, LEASE_READY);
    assert_ptr_equal(leases[2].link, started[1]);
    finish();
}

/* What is known of a target bounds how many wait for one link: they need not come one by one. */
static void test_as_many_links_are_dialled_as_will_be_needed(void **state)
{
    (void)state;
    begin(1);
    share(1, 2);
    assert_int_equal(ask(1), LEASE_READY);
    for (unsigned i = 2; i < 6; i++)
        assert_int_equal(ask(i), LEASE_WAIT);
    assert_int_equal(f.loop.conns.live, 3);
    await(3);
    link_started(started[1], ERR_RESET);
    link_started(started[2], ERR_RESET);
    finish();
}

static void test_a_full_link_is_left_alone_and_taken_again_when_it_has_room(void **state)
{
    (void)state;
    begin(1);
    share(2, 2);
    assert_int_equal(ask(2), LEASE_WAIT);
    lease_end(&leases[0], false); /* however it went: the link goes on */
    assert_int_equal(started[0]->slots_used, 1);
    assert_int_equal(ask(3), LEASE_READY);
    assert_ptr_equal(leases[3].link, started[0]);
    finish();
}

static void test_a_link_rests_when_no_slot_is_used(void **state)
{
    (void)state;
    begin(1);
    share(2, 2);
    lease_end(&leases[0], true);
    assert_int_equal(idle_links(), 0);
    lease_end(&leases[1], true);
    assert_int_equal(idle_links(), 1);
    assert_int_equal(started[0]->state, LINK_IDLE);
    assert_int_equal(ask(0), LEASE_READY);
    assert_int_equal(idle_links(), 0);
    lease_end(&leases[0], true);
    pass_ms(&f.loop, 59000);
    assert_int_equal(started[0]->state, LINK_IDLE);
    pass_ms(&f.loop, 2000);
    assert_int_equal(closed_n, 1);
    assert_int_equal(idle_links(), 0);
    finish();
}

static void test_a_resting_link_with_input_is_taken_but_not_one_with_a_fin(void **state)
{
    (void)state;
    begin(1);
    share(1, 2);
    int fd = fleet_accept(&f, 0);
    lease_end(&leases[0], true);
    assert_int_equal(send(fd, "x", 1, 0), 1);
    fleet_turn(&f);
    assert_true(started[0]->conn->readable);
    assert_int_equal(ask(1), LEASE_READY); /* its own task reads that first */
    assert_ptr_equal(leases[1].link, started[0]);
    lease_end(&leases[1], true);
    char byte;
    assert_int_equal(recv(started[0]->conn->fd, &byte, 1, 0), 1);
    close(fd);
    fleet_turn(&f);
    assert_int_equal(ask(2), LEASE_WAIT);
    assert_int_equal(closed_n, 1);
    finish();
}

static void test_a_draining_link_closes_with_its_last_slot(void **state)
{
    (void)state;
    begin(1);
    share(2, 5);
    link_drain(started[0]);
    link_drain(started[0]);
    assert_int_equal(ask(2), LEASE_WAIT);
    lease_end(&leases[0], true);
    assert_int_equal(closed_n, 0);
    lease_end(&leases[1], true);
    assert_int_equal(closed_n, 1);
    assert_int_equal(started[0]->state, LINK_CLOSED);
    finish();
}

static void test_other_settings_drain_a_link_in_use(void **state)
{
    (void)state;
    begin(1);
    share(1, 5);
    f.members[0].link_key = 7;
    assert_int_equal(ask(1), LEASE_WAIT);
    assert_true(started[0]->draining);
    lease_end(&leases[0], true);
    assert_int_equal(closed_n, 1);
    finish();
}

static void test_a_target_that_leaves_drains_its_links(void **state)
{
    (void)state;
    begin(1);
    share(2, 2); /* full, and so in no list */
    f.up.generation = 5;
    lease_end(&leases[0], true);
    assert_true(started[0]->draining);
    lease_end(&leases[1], true);
    assert_int_equal(closed_n, 1);
    finish();
}

static void test_fewer_slots_than_are_used_only_keep_others_out(void **state)
{
    (void)state;
    begin(1);
    share(3, 10);
    link_set_slots(started[0], 1);
    assert_int_equal(ask(3), LEASE_WAIT);
    lease_end(&leases[0], true);
    lease_end(&leases[1], true);
    assert_int_equal(ask(4), LEASE_WAIT);
    lease_end(&leases[2], true);
    assert_int_equal(ask(5), LEASE_READY);
    link_set_slots(started[0], 3);
    assert_int_equal(ask(6), LEASE_READY);
    finish();
}

static void test_one_that_stops_waiting_leaves_the_others(void **state)
{
    (void)state;
    begin(1);
    assert_int_equal(ask(0), LEASE_WAIT);
    assert_int_equal(ask(1), LEASE_WAIT);
    await(1);
    lease_end(&leases[0], false);
    link_set_slots(started[0], 1);
    link_started(started[0], OK);
    assert_int_equal(leases[1].state, LEASE_READY);
    finish();
}

static void test_a_link_that_nobody_waits_for_is_closed(void **state)
{
    (void)state;
    begin(1);
    assert_int_equal(ask(0), LEASE_WAIT);
    assert_int_equal(ask(1), LEASE_WAIT);
    await(1);
    lease_end(&leases[0], false);
    lease_abort(&leases[1]);
    assert_int_equal(closed_n, 1);
    finish();
}

static void test_a_start_that_fails_sends_all_to_the_next_target(void **state)
{
    (void)state;
    begin(2);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(ask(i), LEASE_WAIT); /* by turns: two on each */
    await(2);
    link_set_slots(started[0], 9);
    link_set_slots(started[1], 9);
    link_started(started[0], ERR_UNSUPPORTED);
    link_started(started[1], OK);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(leases[i].state, LEASE_READY);
        assert_ptr_equal(leases[i].link, started[1]);
    }
    finish();
}

static void test_a_start_that_is_refused_at_once_tells_why(void **state)
{
    (void)state;
    begin(1);
    start_says = ERR_UNSUPPORTED;
    assert_int_equal(ask(0), LEASE_WAIT);
    assert_int_equal(fleet_decide(&f, &leases[0]), LEASE_REFUSED);
    assert_int_equal(leases[0].why, ERR_UNSUPPORTED);
    finish();
}

static void test_a_start_has_a_deadline(void **state)
{
    (void)state;
    begin(1);
    assert_int_equal(ask(0), LEASE_WAIT);
    await(1);
    pass_ms(&f.loop, 9000);
    assert_int_equal(leases[0].state, LEASE_WAIT);
    pass_ms(&f.loop, 2000);
    assert_int_equal(leases[0].state, LEASE_REFUSED);
    assert_int_equal(leases[0].why, ERR_TIMEOUT);
    finish();
}

/* What a target did not look at may be asked of it again, also when there is no other one. */
static void test_again_on_a_shared_link_dials_anew(void **state)
{
    (void)state;
    begin(1);
    share(2, 2);
    assert_false(leases[0].reused);
    assert_int_equal(lease_again(&leases[0]), LEASE_WAIT);
    assert_int_equal(started[0]->slots_used, 1);
    await(2);
    link_set_slots(started[1], 2);
    link_started(started[1], OK);
    assert_ptr_equal(leases[0].link, started[1]);
    finish();
}

#define T(name) cmocka_unit_test(test_##name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(leases_wait_for_one_link_together),
        T(those_without_a_slot_wait_for_the_next_link),
        T(as_many_links_are_dialled_as_will_be_needed),
        T(a_full_link_is_left_alone_and_taken_again_when_it_has_room),
        T(a_link_rests_when_no_slot_is_used),
        T(a_resting_link_with_input_is_taken_but_not_one_with_a_fin),
        T(a_draining_link_closes_with_its_last_slot),
        T(other_settings_drain_a_link_in_use),
        T(a_target_that_leaves_drains_its_links),
        T(fewer_slots_than_are_used_only_keep_others_out),
        T(one_that_stops_waiting_leaves_the_others),
        T(a_link_that_nobody_waits_for_is_closed),
        T(a_start_that_fails_sends_all_to_the_next_target),
        T(a_start_that_is_refused_at_once_tells_why),
        T(a_start_has_a_deadline),
        T(again_on_a_shared_link_dials_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
