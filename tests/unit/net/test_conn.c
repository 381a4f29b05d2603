#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/conn.h"
#include "net/socket.h"

#define LARGE (8u << 20)

static struct loop loop;
static struct conn *c;
static int peer;
static struct task owner;
static unsigned woken;

static void on_owner(struct task *t)
{
    (void)t;
    woken++;
}

static void join(int ours, int theirs)
{
    peer = theirs;
    c = conn_new(&loop, ours, NULL);
    assert_non_null(c);
    conn_own(c, &owner);
    loop_turn(&loop);
    woken = 0;
}

static int each_setup(void **state)
{
    (void)state;
    int fd[2];
    assert_int_equal(loop_init(&loop, 64u << 20), OK);
    conn_pool_init(&loop, 2);
    task_init(&owner, on_owner);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    join(fd[0], fd[1]);
    return 0;
}

static int each_teardown(void **state)
{
    (void)state;
    if (c)
        conn_close(c);
    if (peer >= 0)
        close(peer);
    task_cancel(&owner);
    loop_turn(&loop);
    assert_int_equal(loop.conns.live, 0);
    assert_int_equal(loop.chunks.used_bytes, 0);
    loop_fini(&loop);
    return 0;
}

/* Over TCP, for what unix sockets do not have: RSTs. */
static void join_tcp(void)
{
    struct addr a;
    int listener, theirs, ours = -1;
    conn_close(c);
    close(peer);
    loop_turn(&loop);
    assert_int_equal(addr_parse(&a, SLICE("127.0.0.1:0")), OK);
    assert_int_equal(socket_bind(&a, false, 0, &listener), OK);
    assert_int_equal(socket_listen(listener, 4), OK);
    a = socket_local(listener);
    assert_int_equal(socket_connect(&a, &theirs), OK);
    for (int i = 0; i < 1000 && socket_accept(listener, &ours, NULL) != OK; i++)
        (void)poll(NULL, 0, 1);
    assert_true(ours >= 0);
    close(listener);
    join(ours, theirs);
}

static void say(const char *text)
{
    woken = 0;
    assert_int_equal(send(peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Until the owner is told of something. */
static void wait_event(void)
{
    for (int i = 0; i < 1000 && !woken; i++) {
        loop_turn(&loop);
        if (!woken)
            (void)poll(NULL, 0, 1);
    }
    assert_true(woken > 0);
    woken = 0;
}

static void turns(int n)
{
    while (n-- > 0)
        loop_turn(&loop);
}

static struct slice read_ok(size_t max)
{
    struct slice in;
    assert_int_equal(conn_read(c, max, &in), OK);
    return in;
}

static enum err read_fails(void)
{
    struct slice in;
    return conn_read(c, 100, &in);
}

static void keep(struct slice in, size_t used, bool more)
{
    conn_keep(c, slice_from(in, used), more);
}

static void assert_text(struct slice got, const char *want)
{
    assert_int_equal(got.n, strlen(want));
    assert_memory_equal(got.p, want, got.n);
}

static int watched(void)
{
    return ev_is_active(&c->io) ? c->io.events & (EV_READ | EV_WRITE) : 0;
}

/* ---- reading ---- */

static void test_a_short_read_is_the_end_until_the_next_event(void **state)
{
    (void)state;
    say("abc");
    wait_event();
    keep(read_ok(100), 3, false);
    say("def"); /* it is in the socket, but nobody has said so */
    assert_int_equal(read_fails(), ERR_AGAIN);
    conn_settle(c, true);
    wait_event();
    struct slice in = read_ok(100);
    assert_text(in, "def");
    keep(in, 3, false);
    assert_int_equal(c->received_bytes, 6);
}

static void test_a_full_read_may_be_followed_by_another(void **state)
{
    (void)state;
    say("abcdef");
    wait_event();
    struct slice in = read_ok(3);
    assert_text(in, "abc");
    keep(in, 3, false);
    assert_true(conn_has_input(c));
    conn_settle(c, true); /* queues the owner: the kernel would, but not before the next poll */
    assert_true(task_queued(&owner));
    in = read_ok(100);
    assert_text(in, "def");
    keep(in, 3, false);
    assert_false(conn_has_input(c));
}

static void test_reading_stays_armed_while_the_owner_reads(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(watched(), EV_READ);
        say("x");
        wait_event();
        keep(read_ok(100), 1, false);
        conn_settle(c, true);
    }
    assert_int_equal(watched(), EV_READ);
}

static void test_reading_is_disarmed_only_when_an_event_came_and_is_not_wanted(void **state)
{
    (void)state;
    conn_settle(c, false);
    assert_int_equal(watched(), EV_READ); /* no event yet: no system call */
    say("abc");
    wait_event();
    conn_settle(c, false);
    assert_int_equal(watched(), 0);
    turns(3);
    assert_int_equal(woken, 0); /* armed and unread it would have come three times */
    conn_unblock(c);
    wait_event();
    keep(read_ok(100), 3, false);
    conn_settle(c, true);
    assert_int_equal(watched(), EV_READ);
}

static void test_an_end_that_was_read_is_not_watched_any_more(void **state)
{
    (void)state;
    assert_int_equal(shutdown(peer, SHUT_WR), 0);
    wait_event();
    assert_int_equal(read_fails(), ERR_EOF);
    assert_true(c->eof);
    conn_settle(c, true);
    assert_int_equal(watched(), 0);
    turns(3);
    assert_int_equal(woken, 0);
    assert_int_equal(read_fails(), ERR_EOF);
}

static void test_events_wait_for_an_owner(void **state)
{
    (void)state;
    conn_own(c, NULL);
    say("abc");
    turns(2);
    assert_int_equal(woken, 0);
    conn_own(c, &owner);
    turns(1);
    assert_true(woken > 0);
    keep(read_ok(100), 3, false);
}

static void test_a_conn_is_quiet_until_something_came(void **state)
{
    (void)state;
    assert_true(conn_quiet(c));
    say("x");
    wait_event();
    assert_false(conn_quiet(c));
    keep(read_ok(100), 0, false);
    assert_false(conn_quiet(c)); /* it is kept */
    keep(read_ok(100), 1, false);
    assert_true(conn_quiet(c));
}

/* ---- what was kept ---- */

static void test_kept_bytes_come_first_without_a_system_call(void **state)
{
    (void)state;
    say("abcdef");
    wait_event();
    keep(read_ok(100), 2, false);
    assert_true(conn_has_input(c));
    say("gh");
    struct slice in = read_ok(100);
    assert_text(in, "cdef");
    keep(in, 3, false);
    in = read_ok(100);
    assert_text(in, "f");
    keep(in, 1, false);
    assert_null(c->residue);
    conn_settle(c, true);
    wait_event();
    assert_text(read_ok(100), "gh");
    conn_keep(c, slice_of(loop.scratch + 2, 0), false);
}

static void test_kept_bytes_are_handed_out_up_to_max(void **state)
{
    (void)state;
    say("abcdef");
    wait_event();
    keep(read_ok(100), 0, false);
    struct slice in = read_ok(4);
    assert_text(in, "abcd");
    keep(in, 4, false);
    in = read_ok(4);
    assert_text(in, "ef");
    keep(in, 2, false);
    assert_null(c->residue);
}

static void test_bytes_that_want_more_are_joined_with_what_follows(void **state)
{
    (void)state;
    say("GET ");
    wait_event();
    keep(read_ok(100), 0, true);
    assert_false(conn_has_input(c)); /* of no use alone */
    assert_int_equal(read_fails(), ERR_AGAIN);
    conn_settle(c, true);
    assert_false(task_queued(&owner));
    say("/ HTTP");
    wait_event();
    struct slice in = read_ok(100);
    assert_text(in, "GET / HTTP");
    assert_int_equal(c->received_bytes, 10);
    keep(in, in.n, false);
    assert_null(c->residue);
}

/* Keeps all of `total` bytes as one head that never ends. */
static void keep_bytes(size_t total)
{
    char *bytes = calloc(1, total);
    size_t at = 0;
    assert_non_null(bytes);
    while (at < total) {
        size_t n = total - at < 60000 ? total - at : 60000;
        assert_int_equal(send(peer, bytes, n, MSG_NOSIGNAL), n);
        wait_event();
        struct slice in = read_ok(n);
        at += n;
        assert_int_equal(in.n, at);
        keep(in, 0, true);
        conn_settle(c, true);
    }
    free(bytes);
}

static void test_more_is_refused_when_the_largest_head_is_kept(void **state)
{
    (void)state;
    keep_bytes(LOOP_RESIDUE_BYTES);
    assert_int_equal(read_fails(), ERR_LIMIT);
}

static void test_one_byte_less_than_the_largest_head_may_grow(void **state)
{
    (void)state;
    keep_bytes(LOOP_RESIDUE_BYTES - 1);
    assert_int_equal(read_fails(), ERR_AGAIN);
    say("x");
    wait_event();
    struct slice in = read_ok(100);
    assert_int_equal(in.n, LOOP_RESIDUE_BYTES);
    keep(in, in.n, false);
}

/* ---- writing ---- */

static char pattern(size_t i)
{
    return (char)('a' + i % 23 + i / 1000 % 3);
}

static char *make_pattern(size_t n)
{
    char *p = malloc(n);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++)
        p[i] = pattern(i);
    return p;
}

static enum err write_all(const char *p, size_t n)
{
    struct iovec iov = {(void *)(uintptr_t)p, n};
    return conn_write(c, &iov, 1);
}

/* What the peer gets until there is nothing, with the owner's flushes between. */
static size_t drain(size_t from)
{
    char buf[65536];
    for (int idle = 0; idle < 20; idle++) {
        ssize_t got = recv(peer, buf, sizeof(buf), 0);
        if (got == 0)
            break;
        for (ssize_t i = 0; i < got; i++)
            assert_int_equal(buf[i], pattern(from + (size_t)i));
        if (got > 0) {
            from += (size_t)got;
            idle = 0;
        }
        loop_turn(&loop);
        assert_int_equal(conn_flush(c), OK);
    }
    return from;
}

static void test_a_write_of_several_pieces_leaves_at_once_and_in_order(void **state)
{
    (void)state;
    char buf[16];
    struct iovec iov[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    assert_int_equal(conn_write(c, iov, 3), OK);
    assert_int_equal(conn_unsent(c), 0);
    assert_int_equal(watched(), EV_READ);
    assert_int_equal(recv(peer, buf, sizeof(buf), 0), 5);
    assert_memory_equal(buf, "abcde", 5);
    assert_int_equal(c->sent_bytes, 5);
}

static void test_what_the_socket_refuses_is_queued_and_sent_in_order(void **state)
{
    (void)state;
    char *all = make_pattern(LARGE);
    assert_int_equal(write_all(all, LARGE / 2), OK);
    assert_true(conn_unsent(c) > 0);
    assert_int_equal(watched(), EV_READ | EV_WRITE);
    assert_int_equal(write_all(all + LARGE / 2, LARGE / 2), OK); /* behind it */
    assert_int_equal(drain(0), LARGE);
    assert_int_equal(conn_unsent(c), 0);
    assert_int_equal(watched(), EV_READ);
    assert_int_equal(c->sent_bytes, LARGE);
    assert_int_equal(loop.chunks.used_bytes, 0);
    free(all);
}

static void test_the_owner_is_told_when_the_socket_takes_bytes_again(void **state)
{
    (void)state;
    char *all = make_pattern(LARGE);
    assert_int_equal(write_all(all, LARGE), OK);
    turns(3);
    assert_int_equal(woken, 0);
    size_t left = conn_unsent(c);
    assert_int_equal(conn_flush(c), OK); /* no event: not even tried */
    assert_int_equal(conn_unsent(c), left);
    assert_true(recv(peer, all, LARGE, 0) > 0);
    wait_event();
    assert_true(c->writable);
    assert_int_equal(conn_flush(c), OK);
    assert_true(conn_unsent(c) < left);
    free(all);
}

static void test_write_some_leaves_the_rest_with_the_caller(void **state)
{
    (void)state;
    char *all = make_pattern(LARGE);
    struct iovec iov = {all, LARGE};
    size_t sent, again;
    assert_int_equal(conn_write_some(c, &iov, 1, &sent), OK);
    assert_true(sent > 0 && sent < LARGE);
    assert_int_equal(conn_unsent(c), 0);
    assert_int_equal(loop.chunks.used_bytes, 0);
    assert_int_equal(watched(), EV_READ | EV_WRITE);
    iov = (struct iovec){all + sent, LARGE - sent};
    assert_int_equal(conn_write_some(c, &iov, 1, &again), OK);
    assert_int_equal(again, 0); /* full */
    assert_int_equal(drain(0), sent);
    assert_int_equal(watched(), EV_READ);
    free(all);
}

static void test_write_some_never_overtakes_what_is_queued(void **state)
{
    (void)state;
    char *all = make_pattern(LARGE);
    struct iovec iov = {"late", 4};
    size_t sent = 99;
    assert_int_equal(write_all(all, LARGE), OK);
    assert_true(recv(peer, all, LARGE, 0) > 0); /* there is room in the socket now */
    assert_int_equal(conn_write_some(c, &iov, 1, &sent), OK);
    assert_int_equal(sent, 0);
    free(all);
}

/* ---- ends ---- */

static void test_a_shutdown_waits_for_the_last_byte(void **state)
{
    (void)state;
    char *all = make_pattern(LARGE), byte;
    assert_int_equal(write_all(all, LARGE), OK);
    conn_shutdown(c);
    conn_shutdown(c);
    assert_false(c->shut_done);
    assert_int_equal(drain(0), LARGE);
    assert_true(c->shut_done);
    assert_int_equal(recv(peer, &byte, 1, 0), 0);
    say("still heard");
    wait_event();
    keep(read_ok(100), 11, false);
    free(all);
}

static void test_a_shutdown_with_nothing_to_send_is_a_fin_at_once(void **state)
{
    (void)state;
    char byte;
    conn_shutdown(c);
    assert_int_equal(recv(peer, &byte, 1, 0), 0);
}

static ssize_t peer_hears(void)
{
    char byte;
    struct pollfd p = {.fd = peer, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 1000), 1);
    errno = 0;
    return recv(peer, &byte, 1, 0);
}

static void test_a_close_is_a_fin(void **state)
{
    (void)state;
    join_tcp();
    conn_close(c);
    c = NULL;
    assert_int_equal(peer_hears(), 0);
}

static void test_a_reset_is_an_rst(void **state)
{
    (void)state;
    join_tcp();
    conn_reset(c);
    c = NULL;
    assert_int_equal(peer_hears(), -1);
    assert_int_equal(errno, ECONNRESET);
}

static void test_closing_is_idempotent_and_drops_what_was_unsent(void **state)
{
    (void)state;
    char *all = make_pattern(LARGE);
    struct conn *closed = c;
    assert_int_equal(write_all(all, LARGE), OK);
    assert_true(loop.chunks.used_bytes > 0);
    conn_close(c);
    conn_close(c);
    conn_reset(c);
    assert_int_equal(closed->fd, -1);
    assert_int_equal(loop.chunks.used_bytes, 0);
    assert_int_equal(loop.conns.live, 1); /* the memory goes at the end of the turn */
    conn_settle(closed, true);
    c = NULL;
    loop_turn(&loop);
    assert_int_equal(loop.conns.live, 0);
    free(all);
}

static void test_the_loops_limit_of_conns_closes_what_is_beyond_it(void **state)
{
    (void)state;
    int fd[2], more[2];
    char byte;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, more), 0);
    struct conn *second = conn_new(&loop, fd[0], NULL);
    assert_non_null(second);
    assert_null(conn_new(&loop, more[0], NULL));
    assert_int_equal(recv(more[1], &byte, 1, 0), 0);
    conn_close(second);
    close(fd[1]);
    close(more[1]);
}

/* ---- a broken connection ---- */

static void test_what_came_before_a_write_failed_can_still_be_read(void **state)
{
    (void)state;
    say("early answer");
    close(peer);
    peer = -1;
    assert_int_equal(write_all("x", 1), ERR_RESET);
    assert_true(c->broken);
    assert_int_equal(write_all("x", 1), ERR_RESET);
    assert_int_equal(conn_flush(c), ERR_RESET);
    assert_true(conn_has_input(c)); /* bytes, and the news */
    struct slice in = read_ok(100);
    assert_text(in, "early answer");
    keep(in, in.n, false);
    enum err e = read_fails();
    assert_true(e == ERR_EOF || e == ERR_RESET);
    conn_settle(c, true);
    assert_int_equal(watched(), 0);
}

static void test_an_rst_is_told_to_the_reader(void **state)
{
    (void)state;
    join_tcp();
    socket_reset(peer);
    peer = -1;
    wait_event();
    assert_int_equal(read_fails(), ERR_RESET);
    assert_true(c->broken);
    assert_int_equal(write_all("x", 1), ERR_RESET);
    conn_settle(c, false);
    assert_int_equal(watched(), 0);
}

static void test_a_flush_that_fails_drops_what_was_queued(void **state)
{
    (void)state;
    char *all = make_pattern(LARGE);
    assert_int_equal(write_all(all, LARGE), OK);
    assert_true(conn_unsent(c) > 0);
    close(peer);
    peer = -1;
    wait_event();
    assert_int_equal(conn_flush(c), ERR_RESET);
    assert_int_equal(conn_unsent(c), 0);
    assert_int_equal(loop.chunks.used_bytes, 0);
    assert_int_equal(watched() & EV_WRITE, 0);
    free(all);
}

static void test_a_slow_reader_is_told_from_one_that_stopped(void **state)
{
    (void)state;
    char *all = make_pattern(LARGE);
    assert_false(conn_peer_took(c)); /* nothing waits */
    assert_int_equal(write_all(all, LARGE), OK);
    (void)conn_peer_took(c);
    assert_false(conn_peer_took(c));
    assert_true(recv(peer, all, 60000, 0) > 0);
    assert_true(conn_peer_took(c));
    assert_false(conn_peer_took(c));
    free(all);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, each_setup, each_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_short_read_is_the_end_until_the_next_event),
        T(a_full_read_may_be_followed_by_another),
        T(reading_stays_armed_while_the_owner_reads),
        T(reading_is_disarmed_only_when_an_event_came_and_is_not_wanted),
        T(an_end_that_was_read_is_not_watched_any_more),
        T(events_wait_for_an_owner),
        T(a_conn_is_quiet_until_something_came),
        T(kept_bytes_come_first_without_a_system_call),
        T(kept_bytes_are_handed_out_up_to_max),
        T(bytes_that_want_more_are_joined_with_what_follows),
        T(more_is_refused_when_the_largest_head_is_kept),
        T(one_byte_less_than_the_largest_head_may_grow),
        T(a_write_of_several_pieces_leaves_at_once_and_in_order),
        T(what_the_socket_refuses_is_queued_and_sent_in_order),
        T(the_owner_is_told_when_the_socket_takes_bytes_again),
        T(write_some_leaves_the_rest_with_the_caller),
        T(write_some_never_overtakes_what_is_queued),
        T(a_shutdown_waits_for_the_last_byte),
        T(a_shutdown_with_nothing_to_send_is_a_fin_at_once),
        T(a_close_is_a_fin),
        T(a_reset_is_an_rst),
        T(closing_is_idempotent_and_drops_what_was_unsent),
        T(the_loops_limit_of_conns_closes_what_is_beyond_it),
        T(what_came_before_a_write_failed_can_still_be_read),
        T(an_rst_is_told_to_the_reader),
        T(a_flush_that_fails_drops_what_was_queued),
        T(a_slow_reader_is_told_from_one_that_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
