/* Every event in every state of an exchange of bytes without framing: TCP connections, and tunnels
 * behind a 101. See test_exchange.c for requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "base/flow.h"
#include "support/peer.h"

#define UPGRADE                                                                                    \
    "GET /ws HTTP/1.1\r\nHost: t.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"            \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define SWITCHING                                                                                  \
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"            \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
#define TCP_LISTENER                                                                               \
    "listeners:\n"                                                                                 \
    "  - {name: db, listen: \"127.0.0.1:1\", protocol: tcp, default_action: {forward: app}}\n"     \
    "target_groups:\n"
#define TCP_IDLE_MS   351000
#define HALF_CLOSE_MS 61000

static const char tcp[] =
    TCP_LISTENER "  - {name: app, protocol: tcp, targets: [\"127.0.0.1:%u\"]}\n";
static const char tcp_refused[] =
    TCP_LISTENER "  - {name: app, protocol: tcp, targets: [\"127.0.0.2:%u\"]}\n";
static const char tcp_second_is_dead[] =
    TCP_LISTENER "  - {name: app, protocol: tcp, targets: [\"127.0.0.2:%u\", \"127.0.0.1:%u\"]}\n";
static const char tcp_far_away[] =
    TCP_LISTENER "  - {name: app, protocol: tcp, targets: [\"127.0.0.3:%u\"]}\n";
static const char http[] =
    "listeners:\n"
    "  - {name: web, listen: \"127.0.0.1:1\", protocol: http, default_action: {forward: app}}\n"
    "target_groups:\n"
    "  - {name: app, targets: [\"127.0.0.1:%u\"]}\n";

static struct world w;
static struct peer *client, *origin;

static void begin(const char *yaml)
{
    world_init(&w, yaml);
    client = peer_client(&w, 0);
    origin = NULL;
}

/* A TCP connection through which bytes went both ways. */
static void joined(void)
{
    begin(tcp);
    origin = peer_origin(&w);
    peer_send(client, "ping");
    peer_expect(origin, "ping");
    peer_send(origin, "pong");
    peer_expect(client, "pong");
    assert_int_equal(counter_get(&w.counters.exchanges_active), 1);
}

static void tunnel(void)
{
    begin(http);
    peer_send(client, UPGRADE);
    origin = peer_origin(&w);
    peer_expect(origin, "\r\n\r\n");
    peer_send(origin, SWITCHING);
    peer_expect(client, "HTTP/1.1 101 ");
    peer_expect(client, "\r\n\r\n");
    assert_int_equal(counter_get(&w.counters.exchanges_active), 1);
}

static void assert_ended(unsigned status, enum reason why)
{
    peer_wait_done(&w);
    struct listener_counters *k = counters_of(&w.counters, 0);
    assert_int_equal(counter_get(&k->requests), 1);
    assert_int_equal(counter_get(&k->codes[status]), 1);
    if (why != REASON_NONE)
        assert_int_equal(counter_get(&k->reasons[why]), 1);
    for (unsigned i = 0; i < REASON_COUNT; i++)
        assert_true(i == why || counter_get(&k->reasons[i]) == 0);
}

/* No raw connection is ever kept for another client. */
static void finish(void)
{
    peer_wait_done(&w);
    assert_int_equal(w.proxy.upstream.links.live, 0);
    peer_free(client);
    if (origin)
        peer_free(origin);
    world_turn(&w, 4);
    world_fini(&w);
}

/* ---- LEASE ---- */

static void test_a_refused_tcp_connection_is_reset(void **state)
{
    (void)state;
    begin(tcp_refused);
    peer_expect_end(client, PEER_RST);
    assert_ended(0, REASON_TARGET_REFUSED);
    finish();
}

static void test_a_tcp_connection_goes_to_the_next_target(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        begin(tcp_second_is_dead);
        origin = peer_origin(&w);
        peer_send(client, "ping");
        peer_expect(origin, "ping");
        peer_close(client);
        peer_expect_end(origin, PEER_FIN);
        peer_close(origin);
        assert_ended(0, REASON_NONE);
        finish();
    }
}

static void test_bytes_that_come_before_the_target_is_there_are_kept(void **state)
{
    (void)state;
    begin(tcp);
    peer_send(client, "early");
    origin = peer_origin(&w);
    peer_expect(origin, "early");
    peer_reset(client);
    peer_expect_end(origin, PEER_RST);
    assert_ended(0, REASON_CLIENT_GONE);
    finish();
}

/* What can happen to a TCP client whose target never accepts. */
static void waiting(struct black_hole *hole)
{
    world_init(&w, tcp_far_away);
    *hole = peer_black_hole(&w, "127.0.0.3");
    client = peer_client(&w, 0);
    origin = NULL;
    peer_assert_silent(client);
}

static void test_a_target_that_never_accepts_is_an_rst_after_the_connect_timeout(void **state)
{
    (void)state;
    struct black_hole hole;
    waiting(&hole);
    peer_pass_ms(&w, 11000);
    peer_expect_end(client, PEER_RST);
    assert_ended(0, REASON_TARGET_CONNECT_TIMEOUT);
    finish();
    peer_black_hole_close(&hole);
}

static void test_a_client_that_goes_while_a_lease_waits_ends_it(void **state)
{
    (void)state;
    struct black_hole hole;
    waiting(&hole);
    peer_reset(client);
    assert_ended(0, REASON_CLIENT_GONE);
    finish();
    peer_black_hole_close(&hole);
}

static void test_a_cut_while_a_lease_waits_resets_the_client(void **state)
{
    (void)state;
    struct black_hole hole;
    waiting(&hole);
    proxy_cut(&w.proxy);
    peer_expect_end(client, PEER_RST);
    assert_ended(0, REASON_DRAIN_TIMEOUT);
    finish();
    peer_black_hole_close(&hole);
}

/* ---- STREAM ---- */

static void test_a_fin_passes_and_the_other_half_lives_on(void **state)
{
    (void)state;
    joined();
    peer_shutdown(client);
    peer_expect_end(origin, PEER_FIN);
    peer_send(origin, "more");
    peer_expect(client, "more");
    peer_close(origin);
    peer_expect_end(client, PEER_FIN);
    assert_ended(0, REASON_NONE);
    finish();
}

static void test_a_fin_of_the_target_passes_too(void **state)
{
    (void)state;
    joined();
    peer_shutdown(origin);
    peer_expect_end(client, PEER_FIN);
    peer_send(client, "more");
    peer_expect(origin, "more");
    peer_close(client);
    peer_expect_end(origin, PEER_FIN);
    assert_ended(0, REASON_NONE);
    finish();
}

static void test_the_fin_comes_after_the_last_byte(void **state)
{
    (void)state;
    joined();
    peer_send_bytes(origin, 'x', 300000);
    peer_close(origin);
    peer_expect_end(client, PEER_FIN);
    assert_int_equal(client->n, 300000);
    peer_close(client);
    assert_ended(0, REASON_NONE);
    finish();
}

static void test_a_reader_that_stops_holds_at_most_a_flow(void **state)
{
    (void)state;
    joined();
    size_t took = peer_fill(origin, 'x', 15000000);
    assert_true(took < 15000000);
    assert_true(w.loop.chunks.used_bytes >= FLOW_CAP_BYTES);
    assert_true(w.loop.chunks.used_bytes <= 2 * FLOW_CAP_BYTES);
    peer_close(origin);
    peer_expect_end(client, PEER_FIN);
    assert_int_equal(client->n, took);
    peer_close(client);
    assert_ended(0, REASON_NONE);
    finish();
}

static void test_an_rst_of_the_target_is_an_rst_for_the_client(void **state)
{
    (void)state;
    joined();
    peer_reset(origin);
    peer_expect_end(client, PEER_RST);
    assert_ended(0, REASON_TARGET_RESET);
    finish();
}

static void test_an_rst_of_the_client_is_an_rst_for_the_target(void **state)
{
    (void)state;
    joined();
    peer_reset(client);
    peer_expect_end(origin, PEER_RST);
    assert_ended(0, REASON_CLIENT_GONE);
    finish();
}

static void test_an_idle_tcp_connection_is_reset_on_both_sides(void **state)
{
    (void)state;
    joined();
    peer_pass_ms(&w, TCP_IDLE_MS - 2000);
    peer_assert_silent(client);
    peer_pass_ms(&w, 3000);
    peer_expect_end(client, PEER_RST);
    peer_expect_end(origin, PEER_RST);
    assert_ended(0, REASON_IDLE_TIMEOUT);
    finish();
}

static void test_a_half_closed_connection_has_less_time(void **state)
{
    (void)state;
    joined();
    peer_shutdown(client);
    peer_expect_end(origin, PEER_FIN);
    peer_pass_ms(&w, HALF_CLOSE_MS);
    peer_expect_end(client, PEER_RST);
    assert_ended(0, REASON_HALF_CLOSE_TIMEOUT);
    finish();
}

static void test_a_cut_resets_both_sides(void **state)
{
    (void)state;
    joined();
    proxy_cut(&w.proxy);
    peer_expect_end(client, PEER_RST);
    peer_expect_end(origin, PEER_RST);
    assert_ended(0, REASON_DRAIN_TIMEOUT);
    finish();
}

static void test_a_stream_holds_no_configuration(void **state)
{
    (void)state;
    joined();
    assert_int_equal(counter_get(&w.counters.snapshot_pins), 0);
    world_reload(&w, tcp);
    assert_int_equal(w.released, 1);
    peer_send(client, "ping");
    peer_expect(origin, "ping");
    peer_close(client);
    peer_close(origin);
    assert_ended(0, REASON_NONE);
    finish();
}

/* ---- 101 ---- */

static void test_a_101_makes_a_tunnel(void **state)
{
    (void)state;
    tunnel();
    peer_send(client, "\x81\x05hello");
    peer_expect(origin, "\x81\x05hello");
    peer_send(origin, "HTTP/1.1 not any more\r\n");
    peer_expect(client, "HTTP/1.1 not any more\r\n");
    peer_close(client);
    peer_expect_end(origin, PEER_FIN);
    peer_close(origin);
    assert_ended(101, REASON_NONE);
    finish();
}

static void test_bytes_in_the_segment_of_either_head_pass(void **state)
{
    (void)state;
    begin(http);
    peer_send(client, UPGRADE "early");
    origin = peer_origin(&w);
    peer_expect(origin, "\r\n\r\n");
    peer_assert_silent(origin); /* it has not agreed to be a tunnel */
    peer_send(origin, SWITCHING "first");
    peer_expect(client, "\r\n\r\nfirst");
    peer_expect(origin, "early");
    peer_reset(client);
    peer_expect_end(origin, PEER_RST);
    assert_ended(101, REASON_CLIENT_GONE);
    finish();
}

static void test_a_tunnel_lets_go_of_its_snapshot(void **state)
{
    (void)state;
    begin(http);
    peer_send(client, UPGRADE);
    origin = peer_origin(&w);
    peer_expect(origin, "\r\n\r\n");
    world_reload(&w, http);
    assert_int_equal(w.released, 0); /* the request holds it */
    peer_send(origin, SWITCHING);
    peer_expect(client, "\r\n\r\n");
    assert_int_equal(w.released, 1);
    assert_int_equal(counter_get(&w.counters.snapshot_pins), 0);
    peer_send(client, "x");
    peer_expect(origin, "x");
    peer_close(client);
    peer_close(origin);
    assert_ended(101, REASON_NONE);
    finish();
}

static void test_an_idle_tunnel_is_reset_on_both_sides(void **state)
{
    (void)state;
    tunnel();
    peer_pass_ms(&w, 61000);
    peer_expect_end(client, PEER_RST);
    peer_expect_end(origin, PEER_RST);
    assert_ended(101, REASON_IDLE_TIMEOUT);
    finish();
}

static void test_an_rst_of_the_target_breaks_a_tunnel(void **state)
{
    (void)state;
    tunnel();
    peer_reset(origin);
    peer_expect_end(client, PEER_RST);
    assert_ended(101, REASON_TARGET_RESET);
    finish();
}

static void test_a_cut_resets_both_sides_of_a_tunnel(void **state)
{
    (void)state;
    tunnel();
    proxy_cut(&w.proxy);
    peer_expect_end(client, PEER_RST);
    peer_expect_end(origin, PEER_RST);
    assert_ended(101, REASON_DRAIN_TIMEOUT);
    finish();
}

static void test_a_101_that_was_not_asked_for_is_502(void **state)
{
    (void)state;
    begin(http);
    peer_send(client, "GET /ws HTTP/1.1\r\nHost: t.test\r\n\r\n");
    origin = peer_origin(&w);
    peer_expect(origin, "\r\n\r\n");
    peer_send(origin, SWITCHING "secret");
    peer_expect(client, "HTTP/1.1 502 ");
    peer_expect_end(origin, PEER_FIN);
    assert_null(strstr(client->in, "secret"));
    assert_ended(502, REASON_UNEXPECTED_UPGRADE);
    finish();
}

static void test_an_upgrade_that_is_declined_stays_http(void **state)
{
    (void)state;
    begin(http);
    peer_send(client, UPGRADE);
    origin = peer_origin(&w);
    peer_expect(origin, "\r\n\r\n");
    peer_send(origin, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    peer_expect(client, "HTTP/1.1 403 ");
    peer_expect(client, "\r\n\r\nno");
    assert_ended(403, REASON_NONE);
    peer_close(client);
    link_close_idle(w.snapshot->groups[0].members[0].target, 0);
    world_turn(&w, 1);
    finish();
}

#define T(name) cmocka_unit_test(test_##name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_refused_tcp_connection_is_reset),
        T(a_tcp_connection_goes_to_the_next_target),
        T(bytes_that_come_before_the_target_is_there_are_kept),
        T(a_target_that_never_accepts_is_an_rst_after_the_connect_timeout),
        T(a_client_that_goes_while_a_lease_waits_ends_it),
        T(a_cut_while_a_lease_waits_resets_the_client),
        T(a_fin_passes_and_the_other_half_lives_on),
        T(a_fin_of_the_target_passes_too),
        T(the_fin_comes_after_the_last_byte),
        T(a_reader_that_stops_holds_at_most_a_flow),
        T(an_rst_of_the_target_is_an_rst_for_the_client),
        T(an_rst_of_the_client_is_an_rst_for_the_target),
        T(an_idle_tcp_connection_is_reset_on_both_sides),
        T(a_half_closed_connection_has_less_time),
        T(a_cut_resets_both_sides),
        T(a_stream_holds_no_configuration),
        T(a_101_makes_a_tunnel),
        T(bytes_in_the_segment_of_either_head_pass),
        T(a_tunnel_lets_go_of_its_snapshot),
        T(an_idle_tunnel_is_reset_on_both_sides),
        T(an_rst_of_the_target_breaks_a_tunnel),
        T(a_cut_resets_both_sides_of_a_tunnel),
        T(a_101_that_was_not_asked_for_is_502),
        T(an_upgrade_that_is_declined_stays_http),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
