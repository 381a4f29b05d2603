#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/socket.h"
#include "support/fleet.h"
#include "support/pass.h"

static struct fleet f;

/* One idle link; returns the target's end of it. */
static int idle_link(void)
{
    fleet_init(&f, (const enum fleet_kind[]){FLEET_LISTENS}, 1);
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
    int fd = fleet_accept(&f, 0);
    lease_end(&f.lease, true);
    fleet_turn(&f);
    assert_int_equal(counter_get(&fleet_local(&f, 0)->idle_links), 1);
    return fd;
}

static void assert_closed(int fd)
{
    char byte;
    fleet_turn(&f);
    assert_int_equal(counter_get(&fleet_local(&f, 0)->idle_links), 0);
    assert_int_equal(f.up.links.live, 0);
    assert_int_equal(f.loop.conns.live, 0);
    if (fd >= 0) {
        errno = 0;
        assert_true(recv(fd, &byte, 1, 0) <= 0);
        assert_true(errno != EAGAIN);
        close(fd);
    }
    fleet_fini(&f);
}

static struct link *take(uint64_t key)
{
    return link_take_idle(&f.up, f.members[0].target, key);
}

static void test_a_fin_closes_an_idle_link(void **state)
{
    (void)state;
    close(idle_link());
    assert_closed(-1);
}

static void test_an_rst_closes_an_idle_link(void **state)
{
    (void)state;
    socket_reset(idle_link());
    assert_closed(-1);
}

static void test_a_byte_closes_an_idle_link(void **state)
{
    (void)state;
    int fd = idle_link();
    assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), 1);
    assert_closed(fd);
}

static void test_an_idle_link_lives_for_its_keep_alive_time_and_no_longer(void **state)
{
    (void)state;
    int fd = idle_link();
    pass_ms(&f.loop, 58000);
    assert_int_equal(counter_get(&fleet_local(&f, 0)->idle_links), 1);
    pass_ms(&f.loop, 3000);
    assert_closed(fd);
}

static void test_a_leased_link_has_no_keep_alive_timeout(void **state)
{
    (void)state;
    int fd = idle_link();
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
    pass_ms(&f.loop, 100000);
    assert_int_equal(f.lease.link->state, LINK_LEASED);
    lease_end(&f.lease, false);
    assert_closed(fd);
}

/* The event has been taken from the kernel, but the link's task has not run. */
static void test_a_link_with_an_event_in_hand_is_skipped(void **state)
{
    (void)state;
    int fd = idle_link();
    struct link *k = list_first(&fleet_local(&f, 0)->idle, struct link, node);
    k->conn->readable = true;
    assert_null(take(0));
    assert_int_equal(k->state, LINK_CLOSED);
    assert_closed(fd);
}

static void test_a_link_behind_one_with_an_event_is_taken(void **state)
{
    (void)state;
    struct lease two;
    int fd = idle_link();
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
    assert_int_equal(fleet_lease(&f, &two), LEASE_READY);
    int fd2 = fleet_accept(&f, 0);
    struct link *good = f.lease.link, *bad = two.link;
    lease_end(&f.lease, true);
    lease_end(&two, true);
    bad->conn->readable = true;
    assert_ptr_equal(take(0), good);
    assert_int_equal(bad->state, LINK_CLOSED);
    assert_int_equal(good->uses, 3);
    link_close(good);
    close(fd2);
    assert_closed(fd);
}

static void test_a_link_with_other_settings_is_closed_not_taken(void **state)
{
    (void)state;
    int fd = idle_link();
    assert_null(take(1));
    assert_closed(fd);
}

static void test_closing_is_idempotent_and_memory_goes_at_the_end_of_the_turn(void **state)
{
    (void)state;
    int fd = idle_link();
    struct link *k = take(0);
    assert_non_null(k);
    link_close(k);
    link_close(k);
    link_reset(k);
    assert_int_equal(f.up.links.live, 1);
    assert_int_equal(k->state, LINK_CLOSED);
    assert_closed(fd);
}

static void test_all_idle_links_of_a_target_are_closed_together(void **state)
{
    (void)state;
    struct lease two;
    int fd = idle_link();
    assert_int_equal(fleet_lease(&f, &f.lease), LEASE_READY);
    assert_int_equal(fleet_lease(&f, &two), LEASE_READY);
    lease_end(&f.lease, true);
    lease_end(&two, true);
    assert_int_equal(counter_get(&fleet_local(&f, 0)->idle_links), 2);
    link_close_idle(f.members[0].target, 0);
    assert_closed(fd);
}

static void test_a_dial_at_the_limit_of_links_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    int fd = idle_link();
    struct link *k;
    f.up.links.limit = 1;
    f.lease.member = &f.members[0];
    assert_int_equal(link_dial(&f.up, f.members[0].target, 1000, &f.lease, &k), ERR_NOMEM);
    loop_turn(&f.loop);
    assert_int_equal(f.loop.conns.live, 1);
    link_close_idle(f.members[0].target, 0);
    assert_closed(fd);
}

#define T(name) cmocka_unit_test(test_##name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_fin_closes_an_idle_link),
        T(an_rst_closes_an_idle_link),
        T(a_byte_closes_an_idle_link),
        T(an_idle_link_lives_for_its_keep_alive_time_and_no_longer),
        T(a_leased_link_has_no_keep_alive_timeout),
        T(a_link_with_an_event_in_hand_is_skipped),
        T(a_link_behind_one_with_an_event_is_taken),
        T(a_link_with_other_settings_is_closed_not_taken),
        T(closing_is_idempotent_and_memory_goes_at_the_end_of_the_turn),
        T(all_idle_links_of_a_target_are_closed_together),
        T(a_dial_at_the_limit_of_links_is_refused_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
