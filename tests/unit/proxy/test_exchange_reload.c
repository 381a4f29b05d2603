/* Reloads and stops in the middle of exchanges: what they pin, and what becomes of sessions whose
 * listener was removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "net/socket.h"
#include "support/peer.h"

#define GET      "GET /a HTTP/1.1\r\nHost: t.test\r\n\r\n"
#define OK_HI    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static const char one[] =
    "listeners:\n"
    "  - {name: web, listen: \"127.0.0.1:1\", protocol: http, default_action: {forward: app}}\n"
    "target_groups:\n"
    "  - {name: app, targets: [\"127.0.0.1:%u\"]}\n";
static const char patient[] =
    "listeners:\n"
    "  - {name: web, listen: \"127.0.0.1:1\", protocol: http, default_action: {forward: app},\n"
    "     attributes: {idle_timeout: 4000s}}\n"
    "target_groups:\n"
    "  - {name: app, targets: [\"127.0.0.1:%u\"]}\n";
static const char other_targets[] =
    "listeners:\n"
    "  - {name: web, listen: \"127.0.0.1:1\", protocol: http, default_action: {forward: app}}\n"
    "target_groups:\n"
    "  - {name: app, targets: [\"127.0.0.2:%u\"]}\n";
static const char other_listener[] =
    "listeners:\n"
    "  - {name: api, listen: \"127.0.0.1:2\", protocol: http, default_action: {forward: app}}\n"
    "target_groups:\n"
    "  - {name: app, targets: [\"127.0.0.1:%u\"]}\n";

static struct world w;
static struct peer *client, *origin;

static struct peer *sent(void)
{
    peer_send(client, GET);
    struct peer *p = peer_origin(&w);
    peer_expect(p, "\r\n\r\n");
    return p;
}

static void begin_with(const char *yaml)
{
    world_init(&w, yaml);
    client = peer_client(&w, 0);
    origin = sent();
    assert_int_equal(counter_get(&w.counters.snapshot_pins), 1);
}

static void begin(void)
{
    begin_with(one);
}

static void answer(void)
{
    peer_send(origin, OK_HI);
    peer_expect(client, "\r\n\r\nhi");
    peer_wait_done(&w);
}

static void finish(void)
{
    peer_wait_done(&w);
    peer_free(client);
    peer_free(origin);
    world_turn(&w, 4);
    world_fini(&w);
}

static uint64_t reasons(enum reason why)
{
    return counter_get(&counters_of(&w.counters, 0)->reasons[why]);
}

static void test_an_exchange_pins_its_snapshot_until_its_end(void **state)
{
    (void)state;
    begin();
    world_reload(&w, one);
    world_reload(&w, one);
    assert_int_equal(w.released, 1); /* the one between them had no user */
    answer();
    assert_int_equal(w.released, 2);
    finish();
}

static void test_the_next_request_of_a_session_goes_by_the_new_snapshot(void **state)
{
    (void)state;
    begin();
    int other = peer_listen(&w, "127.0.0.2");
    world_reload(&w, other_targets);
    answer();
    peer_send(client, GET);
    struct peer *second = peer_accept(&w, other);
    peer_expect(second, "GET /a HTTP/1.1\r\n");
    peer_send(second, OK_HI);
    peer_expect(client, "\r\n\r\nhi");
    peer_free(second);
    finish();
    close(other);
}

static void test_a_link_to_a_target_that_left_is_not_kept(void **state)
{
    (void)state;
    begin();
    world_reload(&w, other_targets);
    answer();
    peer_expect_end(origin, PEER_FIN);
    assert_int_equal(w.proxy.upstream.links.live, 0);
    finish();
}

static void test_idle_links_to_a_target_that_left_are_closed(void **state)
{
    (void)state;
    begin();
    answer();
    assert_int_equal(w.proxy.upstream.links.live, 1);
    world_reload(&w, other_targets);
    peer_expect_end(origin, PEER_FIN);
    assert_int_equal(w.proxy.upstream.links.live, 0);
    finish();
}

static void test_idle_links_to_a_target_that_stays_are_kept(void **state)
{
    (void)state;
    begin();
    answer();
    world_reload(&w, one);
    peer_send(client, GET);
    peer_expect(origin, "\r\n\r\n");
    answer();
    assert_int_equal(world_origin(&w), -1);
    finish();
}

static void test_a_session_of_a_removed_listener_ends_after_its_request(void **state)
{
    (void)state;
    begin();
    world_reload(&w, other_listener);
    assert_int_equal(w.released, 0);
    peer_send(origin, OK_HI);
    peer_expect(client, "HTTP/1.1 200 OK\r\n");
    peer_expect(client, "Connection: close\r\n\r\nhi");
    peer_expect_end(client, PEER_FIN);
    peer_close(client);
    peer_wait_done(&w);
    assert_int_equal(w.released, 1);
    assert_int_equal(counter_get(&w.counters.sessions_active), 0);
    finish();
}

static void test_an_idle_session_of_a_removed_listener_ends_at_once(void **state)
{
    (void)state;
    begin();
    answer();
    world_reload(&w, other_listener);
    peer_expect_end(client, PEER_FIN);
    peer_wait_done(&w);
    assert_int_equal(counter_get(&w.counters.sessions_active), 0);
    assert_int_equal(w.released, 1);
    finish();
}

static void test_a_request_that_is_in_the_socket_already_is_served(void **state)
{
    (void)state;
    begin();
    answer();
    assert_int_equal(send(client->fd, GET, strlen(GET), MSG_NOSIGNAL), strlen(GET));
    world_reload(&w, other_listener);
    peer_expect(origin, "\r\n\r\n");
    peer_send(origin, OK_HI);
    peer_expect(client, "Connection: close\r\n\r\nhi");
    peer_expect_end(client, PEER_FIN);
    peer_close(client);
    finish();
}

static void test_a_request_of_a_removed_listener_is_cut_after_the_drain_timeout(void **state)
{
    (void)state;
    begin_with(patient);
    peer_send(origin, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    world_reload(&w, other_listener);
    peer_pass_ms(&w, 299000);
    peer_send(origin, "1\r\nx\r\n");
    peer_expect(client, "1\r\nx\r\n");
    assert_int_equal(reasons(REASON_DRAIN_TIMEOUT), 0);
    peer_pass_ms(&w, 2000);
    peer_expect_end(client, PEER_FIN);
    peer_expect_end(origin, PEER_FIN);
    peer_wait_done(&w);
    assert_int_equal(reasons(REASON_DRAIN_TIMEOUT), 1);
    assert_int_equal(w.released, 1);
    finish();
}

static void test_a_stop_ends_sessions_after_their_request(void **state)
{
    (void)state;
    begin();
    proxy_stop(&w.proxy);
    peer_assert_silent(client);
    peer_send(origin, OK_HI);
    peer_expect(client, "Connection: close\r\n\r\nhi");
    peer_expect_end(client, PEER_FIN);
    peer_close(client);
    peer_wait_done(&w);
    assert_int_equal(counter_get(&w.counters.sessions_active), 0);
    finish();
}

static void test_a_connection_for_a_removed_listener_is_reset(void **state)
{
    (void)state;
    begin();
    answer();
    world_reload(&w, other_listener);
    struct peer *late = peer_client(&w, 0);
    peer_expect_end(late, PEER_RST);
    peer_free(late);
    finish();
}

/* The target of the first file. */
static struct target *first_target(void)
{
    return list_first(&w.registry.targets, struct target, node);
}

static void test_what_is_in_flight_to_a_target_that_left_is_502_when_its_time_is_over(void **state)
{
    (void)state;
    begin();
    int other = peer_listen(&w, "127.0.0.2");
    world_reload(&w, other_targets);
    assert_int_equal(target_in_flight(first_target()), 1);
    proxy_deregister(&w.proxy, first_target());
    peer_expect(client, "HTTP/1.1 502 ");
    peer_expect(client, "The target was removed.\n");
    peer_expect_end(origin, PEER_FIN);
    assert_int_equal(target_in_flight(first_target()), 0);
    assert_int_equal(reasons(REASON_TARGET_DEREGISTERED), 1);
    int fd;
    assert_int_equal(socket_accept(other, &fd, NULL), ERR_AGAIN); /* it is not tried elsewhere */
    finish();
    close(other);
}

static void test_an_answer_that_has_begun_is_broken_off_when_the_time_of_its_target_is_over(
    void **state)
{
    (void)state;
    begin();
    peer_send(origin, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    peer_expect(client, "\r\n\r\nhalf");
    world_reload(&w, other_targets);
    proxy_deregister(&w.proxy, first_target());
    peer_expect_end(client, PEER_FIN);
    peer_expect_end(origin, PEER_FIN);
    assert_int_equal(reasons(REASON_TARGET_DEREGISTERED), 1);
    finish();
}

static void test_a_target_that_has_come_back_is_not_cut(void **state)
{
    (void)state;
    begin();
    world_reload(&w, other_targets);
    world_reload(&w, one);
    proxy_deregister(&w.proxy, first_target());
    peer_assert_silent(client);
    answer();
    assert_int_equal(reasons(REASON_TARGET_DEREGISTERED), 0);
    finish();
}

static void test_what_is_in_flight_to_others_is_not_cut(void **state)
{
    (void)state;
    begin();
    int other = peer_listen(&w, "127.0.0.2");
    struct target *left = first_target();
    world_reload(&w, other_targets);
    struct peer *second = peer_client(&w, 0);
    peer_send(second, GET);
    struct peer *theirs = peer_accept(&w, other);
    peer_expect(theirs, "\r\n\r\n");
    proxy_deregister(&w.proxy, left);
    peer_expect(client, "HTTP/1.1 502 ");
    peer_assert_silent(second);
    peer_send(theirs, OK_HI);
    peer_expect(second, "\r\n\r\nhi");
    peer_free(second);
    peer_free(theirs);
    finish();
    close(other);
}

#define T(name) cmocka_unit_test(test_##name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_exchange_pins_its_snapshot_until_its_end),
        T(the_next_request_of_a_session_goes_by_the_new_snapshot),
        T(a_link_to_a_target_that_left_is_not_kept),
        T(idle_links_to_a_target_that_left_are_closed),
        T(idle_links_to_a_target_that_stays_are_kept),
        T(a_session_of_a_removed_listener_ends_after_its_request),
        T(an_idle_session_of_a_removed_listener_ends_at_once),
        T(a_request_that_is_in_the_socket_already_is_served),
        T(a_request_of_a_removed_listener_is_cut_after_the_drain_timeout),
        T(a_stop_ends_sessions_after_their_request),
        T(a_connection_for_a_removed_listener_is_reset),
        T(what_is_in_flight_to_a_target_that_left_is_502_when_its_time_is_over),
        T(an_answer_that_has_begun_is_broken_off_when_the_time_of_its_target_is_over),
        T(a_target_that_has_come_back_is_not_cut),
        T(what_is_in_flight_to_others_is_not_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
