/* Every event in every state of an HTTP exchange (the table in src/proxy/README.md): what the
 * client saw, what the target saw, and that nothing is left. TCP and tunnels: test_exchange_raw.c;
 * reloads: test_exchange_reload.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/session.h"
#include "support/peer.h"

#define GET          "GET /a HTTP/1.1\r\nHost: t.test\r\n\r\n"
#define POST(n)      "POST /a HTTP/1.1\r\nHost: t.test\r\nContent-Length: " #n "\r\n\r\n"
#define POST_CHUNKED "POST /a HTTP/1.1\r\nHost: t.test\r\nTransfer-Encoding: chunked\r\n\r\n"
#define OK_HI        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
#define IDLE_MS      61000

#define LISTENER                                                                                   \
    "listeners:\n"                                                                                 \
    "  - {name: web, listen: \"127.0.0.1:1\", protocol: http, default_action: {forward: app}}\n"

static const char one[] = LISTENER "target_groups:\n"
                                   "  - {name: app, targets: [\"127.0.0.1:%u\"]}\n";
static const char nobody_listens[] = LISTENER "target_groups:\n"
                                              "  - {name: app, targets: [\"127.0.0.2:%u\"]}\n";
static const char second_is_dead[] =
    LISTENER "target_groups:\n"
             "  - {name: app, targets: [\"127.0.0.1:%u\", \"127.0.0.2:%u\"]}\n";
static const char far_away[] = LISTENER "target_groups:\n"
                                        "  - {name: app, targets: [\"127.0.0.3:%u\"]}\n";
static const char small_bodies[] = "limits: {body: 10B}\n" LISTENER
                                   "target_groups:\n"
                                   "  - {name: app, targets: [\"127.0.0.1:%u\"]}\n";
static const char fixed[] = "listeners:\n"
                            "  - name: web\n"
                            "    listen: \"127.0.0.1:1\"\n"
                            "    protocol: http\n"
                            "    default_action: {fixed_response: {status_code: 418, "
                            "content_type: text/plain, message_body: tea}}\n";

static struct world w;
static struct peer *client;
static struct black_hole hole;

static void begin(const char *yaml)
{
    world_init(&w, yaml);
    client = peer_client(&w, 0);
}

static void finish(void)
{
    peer_wait_done(&w);
    peer_free(client);
    world_turn(&w, 4);
    world_fini(&w);
}

static uint64_t ended(unsigned status, enum reason why)
{
    struct listener_counters *k = counters_of(&w.counters, 0);
    assert_true(why == REASON_NONE || counter_get(&k->reasons[why]) > 0);
    return counter_get(&k->codes[status]);
}

/* The exchanges that ended so far, all of them this way. */
static void assert_ended(unsigned n, unsigned status, enum reason why)
{
    peer_wait_done(&w);
    struct listener_counters *k = counters_of(&w.counters, 0);
    assert_int_equal(counter_get(&k->requests), n);
    assert_int_equal(ended(status, why), n);
    if (why != REASON_NONE)
        assert_int_equal(counter_get(&k->reasons[why]), n);
}

static struct target *target(size_t i)
{
    return w.snapshot->groups[0].members[i].target;
}

static uint64_t idle_links(void)
{
    return counter_get(&target(0)->local[0].idle_links);
}

/* Up to SEND: the target has the head. */
static struct peer *sent(const char *request)
{
    peer_send(client, request);
    struct peer *origin = peer_origin(&w);
    peer_expect(origin, "\r\n\r\n");
    return origin;
}

/* Up to STREAM: the client has the head of an answer of 10 octets, and two of them. */
static struct peer *streaming(const char *request)
{
    struct peer *origin = sent(request);
    peer_send(origin, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab");
    peer_expect(client, "200 OK");
    peer_expect(client, "\r\n\r\nab");
    return origin;
}

/* Up to LEASE: the target never accepts. */
static void leasing(const char *request)
{
    world_init(&w, far_away);
    hole = peer_black_hole(&w, "127.0.0.3");
    client = peer_client(&w, 0);
    peer_send(client, request);
    peer_assert_silent(client);
    assert_int_equal(target_in_flight(target(0)), 1);
}

static void finish_leasing(void)
{
    finish();
    peer_black_hole_close(&hole);
}

/* So many interim heads that the client's side is full. */
static struct peer *flooded(size_t held_bytes)
{
    begin(one);
    struct peer *origin = sent(GET);
    char head[16384];
    int n = snprintf(head, sizeof(head), "HTTP/1.1 103 Early Hints\r\nLink: <");
    memset(head + n, 'x', 12000);
    strcpy(head + n + 12000, ">\r\n\r\n");
    for (int i = 0; i < 1500 && w.loop.chunks.used_bytes < held_bytes; i++)
        peer_send(origin, head);
    return origin;
}

/* A reply is taken whole by the client's conn: the exchange is over, the bytes wait. */
static struct peer *replied_to_a_full_client(void)
{
    struct peer *origin = flooded(100000);
    assert_true(w.loop.chunks.used_bytes >= 100000);
    peer_reset(origin);
    assert_ended(1, 502, REASON_TARGET_RESET);
    assert_int_equal(counter_get(&w.counters.sessions_active), 1);
    return origin;
}

/* ---- ROUTE ---- */

static void test_a_request_goes_to_the_target_and_its_answer_back(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = sent(GET);
    peer_send(origin, OK_HI);
    peer_expect(client, "HTTP/1.1 200 OK\r\n");
    peer_expect(client, "\r\n\r\nhi");
    assert_ended(1, 200, REASON_NONE);
    assert_int_equal(idle_links(), 1);
    peer_free(origin);
    finish();
}

static void test_the_next_request_takes_the_idle_link(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = sent(GET);
    for (int i = 0; i < 3; i++) {
        peer_send(origin, OK_HI);
        peer_expect(client, "\r\n\r\nhi");
        peer_send(client, GET);
        peer_expect(origin, "GET /a HTTP/1.1\r\n");
        peer_expect(origin, "\r\n\r\n");
    }
    assert_int_equal(world_origin(&w), -1); /* no second connection */
    peer_send(origin, OK_HI);
    peer_expect(client, "\r\n\r\nhi");
    assert_ended(4, 200, REASON_NONE);
    peer_free(origin);
    finish();
}

static void test_a_malformed_head_is_answered_400_and_closed(void **state)
{
    (void)state;
    begin(one);
    peer_send(client, "GET /a HTTP/1.1\r\nHost: t.test\r\nbad header: x\r\nFoo : y\r\n\r\n");
    peer_expect(client, "HTTP/1.1 400 ");
    peer_expect_end(client, PEER_FIN);
    assert_ended(1, 400, REASON_BAD_HEADER);
    assert_int_equal(world_origin(&w), -1);
    finish();
}

static void test_a_fixed_response_needs_no_target(void **state)
{
    (void)state;
    begin(fixed);
    peer_send(client, GET);
    peer_expect(client, "HTTP/1.1 418 ");
    peer_expect(client, "\r\n\r\ntea");
    assert_ended(1, 418, REASON_NONE);
    assert_int_equal(world_origin(&w), -1);
    finish();
}

/* ---- LEASE ---- */

static void test_a_refused_lease_is_502_and_the_client_may_go_on(void **state)
{
    (void)state;
    begin(nobody_listens);
    for (int i = 0; i < 2; i++) {
        peer_send(client, GET);
        peer_expect(client, "HTTP/1.1 502 ");
    }
    assert_ended(2, 502, REASON_TARGET_REFUSED);
    assert_int_equal(counter_get(&target(0)->local[0].connect_errors), 2);
    finish();
}

static void test_a_target_that_refuses_is_passed_over(void **state)
{
    (void)state;
    begin(second_is_dead);
    for (int i = 0; i < 4; i++) {
        struct peer *origin = sent(GET);
        peer_send(origin, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi");
        peer_expect(client, "\r\n\r\nhi");
        peer_expect_end(origin, PEER_FIN);
        peer_free(origin);
    }
    assert_ended(4, 200, REASON_NONE);
    assert_true(counter_get(&target(1)->local[0].connect_errors) > 0);
    finish();
}

static void test_a_body_is_kept_up_to_the_cap_while_a_lease_waits(void **state)
{
    (void)state;
    leasing(POST(8000000));
    size_t took = peer_fill(client, 'b', 8000000);
    assert_true(took < 8000000); /* the rest waits in the client */
    struct exchange *x = NULL;
    list_each(n, tmp, &w.proxy.session_list)
        x = list_entry(n, struct session, node)->front.x;
    assert_non_null(x);
    assert_int_equal(flow_bytes(&x->up), FLOW_CAP_BYTES);
    proxy_cut(&w.proxy);
    assert_ended(1, 0, REASON_DRAIN_TIMEOUT);
    finish_leasing();
}

static void test_a_body_that_breaks_off_while_a_lease_waits_is_400(void **state)
{
    (void)state;
    leasing(POST(10) "abc");
    peer_shutdown(client);
    peer_expect(client, "HTTP/1.1 400 ");
    peer_expect_end(client, PEER_FIN);
    assert_ended(1, 400, REASON_CLIENT_CUT_BODY);
    finish_leasing();
}

static void test_a_bad_chunk_while_a_lease_waits_is_400(void **state)
{
    (void)state;
    leasing(POST_CHUNKED);
    peer_send(client, "zz\r\n");
    peer_expect(client, "HTTP/1.1 400 ");
    peer_expect_end(client, PEER_FIN);
    assert_ended(1, 400, REASON_BAD_CHUNK);
    finish_leasing();
}

static void test_the_idle_timeout_waits_for_the_connect_timeout(void **state)
{
    (void)state;
    static const char yaml[] =
        "listeners:\n"
        "  - {name: web, listen: \"127.0.0.1:1\", protocol: http, default_action: {forward: app},\n"
        "     attributes: {idle_timeout: 2s}}\n"
        "target_groups:\n"
        "  - {name: app, targets: [\"127.0.0.3:%u\"]}\n";
    world_init(&w, yaml);
    hole = peer_black_hole(&w, "127.0.0.3");
    client = peer_client(&w, 0);
    peer_send(client, GET);
    peer_pass_ms(&w, 3000);
    peer_assert_silent(client);
    peer_pass_ms(&w, 3000);
    peer_assert_silent(client);
    peer_pass_ms(&w, 5000);
    peer_expect(client, "HTTP/1.1 504 ");
    assert_ended(1, 504, REASON_TARGET_CONNECT_TIMEOUT);
    finish_leasing();
}

static void test_a_client_that_goes_while_a_lease_waits_is_460(void **state)
{
    (void)state;
    leasing(GET);
    peer_reset(client);
    assert_ended(1, 460, REASON_CLIENT_GONE);
    assert_int_equal(w.proxy.upstream.links.live, 0);
    finish_leasing();
}

static void test_a_cut_while_a_lease_waits_closes_the_client(void **state)
{
    (void)state;
    leasing(GET);
    proxy_cut(&w.proxy);
    peer_expect_end(client, PEER_FIN);
    assert_string_equal(client->in, "");
    assert_ended(1, 0, REASON_DRAIN_TIMEOUT);
    assert_int_equal(w.proxy.upstream.links.live, 0);
    finish_leasing();
}

/* ---- SEND ---- */

static void test_body_flows_to_the_target_before_it_answers(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = sent(POST(6) "abc");
    peer_expect(origin, "abc");
    peer_send(client, "def");
    peer_expect(origin, "def");
    peer_send(origin, OK_HI);
    peer_expect(client, "\r\n\r\nhi");
    assert_ended(1, 200, REASON_NONE);
    assert_int_equal(idle_links(), 1);
    peer_free(origin);
    finish();
}

static void test_a_body_that_breaks_off_is_400_and_the_target_is_closed(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = sent(POST(10) "abc");
    peer_shutdown(client);
    peer_expect(client, "HTTP/1.1 400 ");
    peer_expect_end(client, PEER_FIN);
    peer_expect_end(origin, PEER_FIN);
    assert_string_equal(origin->in, "abc");
    assert_ended(1, 400, REASON_CLIENT_CUT_BODY);
    assert_int_equal(idle_links(), 0);
    peer_free(origin);
    finish();
}

static void test_a_bad_chunk_is_400_and_never_forwarded(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = sent(POST_CHUNKED "3\r\nabc\r\n");
    peer_expect(origin, "3\r\nabc\r\n");
    peer_send(client, "3\r\nabcd\r\n");
    peer_expect(client, "HTTP/1.1 400 ");
    peer_expect_end(origin, PEER_FIN);
    assert_null(strstr(origin->in, "0\r\n"));
    assert_ended(1, 400, REASON_BAD_CHUNK);
    peer_free(origin);
    finish();
}

static void test_a_chunked_body_of_the_limit_passes_and_one_more_octet_is_413(void **state)
{
    (void)state;
    begin(small_bodies);
    struct peer *origin = sent(POST_CHUNKED "a\r\n0123456789\r\n0\r\n\r\n");
    peer_expect(origin, "0\r\n\r\n");
    peer_send(origin, OK_HI);
    peer_expect(client, "\r\n\r\nhi");
    peer_send(client, POST_CHUNKED "5\r\n01234\r\n");
    peer_expect(origin, "01234\r\n");
    peer_send(client, "6\r\n567890\r\n");
    peer_expect(client, "HTTP/1.1 413 ");
    peer_expect_end(origin, PEER_FIN);
    peer_wait_done(&w);
    assert_int_equal(ended(413, REASON_BODY_TOO_LARGE), 1);
    peer_free(origin);
    finish();
}

static void test_interim_heads_pass_and_the_final_one_follows(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = sent(GET);
    peer_send(origin, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
    peer_expect(client, "HTTP/1.1 103 ");
    peer_expect(client, "Link: </x>\r\n\r\n");
    assert_int_equal(counter_get(&w.counters.exchanges_active), 1);
    peer_send(origin, "HTTP/1.1 103 Early Hints\r\nLink: </y>\r\n\r\n" OK_HI);
    peer_expect(client, "Link: </y>\r\n\r\n");
    peer_expect(client, "HTTP/1.1 200 OK\r\n");
    peer_expect(client, "\r\n\r\nhi");
    assert_ended(1, 200, REASON_NONE);
    assert_int_equal(idle_links(), 1);
    peer_free(origin);
    finish();
}

static void test_interim_heads_that_nobody_reads_are_held_up_to_a_cap(void **state)
{
    (void)state;
    struct peer *origin = flooded(1u << 20);
    assert_true(w.loop.chunks.used_bytes < 2 * FLOW_CAP_BYTES);
    peer_send(origin, OK_HI);
    peer_expect(client, "HTTP/1.1 200 OK\r\n");
    peer_expect(client, "\r\n\r\nhi");
    assert_ended(1, 200, REASON_NONE);
    peer_free(origin);
    finish();
}

static void test_a_100_of_the_target_is_not_passed_on(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = sent(GET);
    peer_send(origin, "HTTP/1.1 100 Continue\r\n\r\n");
    peer_assert_silent(client);
    peer_send(origin, OK_HI);
    peer_expect(client, "\r\n\r\nhi");
    assert_ended(1, 200, REASON_NONE);
    peer_free(origin);
    finish();
}

static void test_a_client_that_expects_100_gets_one(void **state)
{
    (void)state;
    begin(one);
    peer_send(client, "POST /a HTTP/1.1\r\nHost: t.test\r\nContent-Length: 3\r\n"
                      "Expect: 100-continue\r\n\r\n");
    peer_expect(client, "HTTP/1.1 100 Continue\r\n\r\n");
    struct peer *origin = peer_origin(&w);
    peer_expect(origin, "\r\n\r\n");
    peer_send(client, "abc");
    peer_expect(origin, "abc");
    peer_send(origin, OK_HI);
    peer_expect(client, "\r\n\r\nhi");
    assert_string_equal(client->in, "");
    assert_ended(1, 200, REASON_NONE);
    peer_free(origin);
    finish();
}

static void test_an_early_answer_is_delivered_and_both_connections_end(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = sent(POST(1000000) "abc");
    peer_expect(origin, "abc");
    peer_send(origin, OK_HI);
    peer_expect(client, "HTTP/1.1 200 OK\r\n");
    peer_expect(client, "Connection: close\r\n\r\nhi");
    peer_expect_end(client, PEER_FIN);
    peer_expect_end(origin, PEER_FIN);
    assert_ended(1, 200, REASON_NONE);
    assert_int_equal(idle_links(), 0);
    peer_free(origin);
    finish();
}

/* A used link dies when the second request is on it. */
static struct peer *dead_reused_link(const char *second)
{
    struct peer *origin = sent(GET);
    peer_send(origin, OK_HI);
    peer_expect(client, "\r\n\r\nhi");
    peer_send(client, second);
    peer_expect(origin, "\r\n\r\n");
    return origin;
}

static void test_a_get_on_a_reused_link_that_dies_is_sent_again(void **state)
{
    (void)state;
    for (int reset = 0; reset < 2; reset++) {
        begin(one);
        struct peer *dead = dead_reused_link(GET);
        reset ? peer_reset(dead) : peer_close(dead);
        struct peer *origin = peer_origin(&w);
        peer_expect(origin, "GET /a HTTP/1.1\r\n");
        peer_expect(origin, "\r\n\r\n");
        peer_send(origin, OK_HI);
        peer_expect(client, "\r\n\r\nhi");
        assert_ended(2, 200, REASON_NONE);
        peer_free(dead);
        peer_free(origin);
        finish();
    }
}

static void assert_not_replayed(const char *request, bool reset, enum reason why)
{
    begin(one);
    struct peer *dead = dead_reused_link(request);
    reset ? peer_reset(dead) : peer_close(dead);
    peer_expect(client, "HTTP/1.1 502 ");
    peer_wait_done(&w);
    assert_int_equal(ended(502, why), 1);
    assert_int_equal(world_origin(&w), -1);
    peer_free(dead);
    finish();
}

static void test_a_post_is_not_replayed(void **state)
{
    (void)state;
    assert_not_replayed(POST(3) "abc", true, REASON_TARGET_RESET);
    assert_not_replayed(POST(3) "abc", false, REASON_TARGET_CLOSED);
    assert_not_replayed("POST /a HTTP/1.1\r\nHost: t.test\r\n\r\n", false, REASON_TARGET_CLOSED);
}

static void test_a_put_with_a_body_is_not_replayed(void **state)
{
    (void)state;
    assert_not_replayed("PUT /a HTTP/1.1\r\nHost: t.test\r\nContent-Length: 1\r\n\r\nx", false,
                        REASON_TARGET_CLOSED);
}

static void test_a_get_on_a_new_link_that_dies_goes_to_the_other_target(void **state)
{
    (void)state;
    world_init(&w, second_is_dead);
    int other = peer_listen(&w, "127.0.0.2");
    client = peer_client(&w, 0);
    peer_send(client, GET);
    int fd = world_origin(&w);
    for (int i = 0; i < 100 && fd < 0; i++) {
        world_turn(&w, 1);
        fd = world_origin(&w);
        if (fd < 0 && counter_get(&target(1)->local[0].in_flight))
            break;
    }
    bool first = fd >= 0;
    struct peer *dead;
    if (first) {
        close(fd);
        dead = peer_accept(&w, other);
    } else {
        dead = peer_accept(&w, other);
        peer_close(dead);
        peer_free(dead);
        dead = peer_origin(&w);
    }
    peer_expect(dead, "GET /a HTTP/1.1\r\n");
    peer_send(dead, OK_HI);
    peer_expect(client, "\r\n\r\nhi");
    assert_ended(1, 200, REASON_NONE);
    peer_free(dead);
    finish();
    close(other);
}

static void test_a_get_on_a_new_link_that_dies_is_502_without_another_target(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = sent(GET);
    peer_reset(origin);
    peer_expect(client, "HTTP/1.1 502 ");
    assert_ended(1, 502, REASON_TARGET_RESET);
    assert_int_equal(world_origin(&w), -1);
    peer_free(origin);
    finish();
}

static void test_a_get_is_not_sent_again_once_a_byte_of_the_answer_came(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = dead_reused_link(GET);
    peer_send(origin, "HTTP/1.1 2");
    peer_close(origin);
    peer_expect(client, "HTTP/1.1 502 ");
    peer_wait_done(&w);
    assert_int_equal(ended(502, REASON_TARGET_CLOSED), 1);
    assert_int_equal(world_origin(&w), -1);
    peer_free(origin);
    finish();
}

static void test_a_malformed_answer_is_502_and_the_target_is_closed(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = sent(GET);
    peer_send(origin, "SSH-2.0-OpenSSH_9.2\r\n\r\n");
    peer_expect(client, "HTTP/1.1 502 ");
    peer_expect_end(origin, PEER_FIN);
    assert_ended(1, 502, REASON_BAD_RESPONSE);
    peer_free(origin);
    finish();
}

static void test_a_target_that_says_nothing_is_504_and_closed(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = sent(GET);
    peer_pass_ms(&w, IDLE_MS);
    peer_expect(client, "HTTP/1.1 504 ");
    peer_expect_end(origin, PEER_FIN);
    assert_ended(1, 504, REASON_TARGET_TIMEOUT);
    assert_int_equal(idle_links(), 0);
    peer_free(origin);
    finish();
}

static void test_a_client_that_owes_body_is_408_and_both_are_closed(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = sent(POST(10) "abc");
    peer_expect(origin, "abc");
    peer_pass_ms(&w, IDLE_MS);
    peer_expect(client, "HTTP/1.1 408 ");
    peer_expect_end(client, PEER_FIN);
    peer_expect_end(origin, PEER_FIN);
    assert_ended(1, 408, REASON_BODY_TIMEOUT);
    peer_free(origin);
    finish();
}

static void test_a_client_that_goes_before_the_answer_is_460(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = sent(GET);
    peer_reset(client);
    peer_expect_end(origin, PEER_FIN);
    assert_ended(1, 460, REASON_CLIENT_GONE);
    assert_int_equal(idle_links(), 0);
    peer_free(origin);
    finish();
}

static void test_a_half_closed_client_gets_its_answer(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = sent(GET);
    peer_shutdown(client);
    peer_assert_silent(client);
    peer_send(origin, OK_HI);
    peer_expect(client, "\r\n\r\nhi");
    peer_expect_end(client, PEER_FIN);
    assert_ended(1, 200, REASON_NONE);
    assert_int_equal(idle_links(), 1);
    peer_free(origin);
    finish();
}

static void test_a_cut_before_the_answer_closes_both(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = sent(GET);
    proxy_cut(&w.proxy);
    peer_expect_end(client, PEER_FIN);
    assert_string_equal(client->in, "");
    peer_expect_end(origin, PEER_FIN);
    assert_ended(1, 0, REASON_DRAIN_TIMEOUT);
    peer_free(origin);
    finish();
}

/* ---- STREAM ---- */

static void test_body_flows_to_a_target_that_answers_already(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = streaming(POST(6) "abc");
    peer_expect(origin, "abc");
    peer_send(client, "def");
    peer_expect(origin, "def");
    peer_send(origin, "cdefghij");
    peer_expect(client, "cdefghij");
    assert_ended(1, 200, REASON_NONE);
    assert_int_equal(idle_links(), 1);
    peer_free(origin);
    finish();
}

static void test_a_body_that_breaks_off_under_an_answer_aborts_it(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = streaming(POST(10) "abc");
    peer_shutdown(client);
    peer_expect_end(client, PEER_FIN);
    assert_string_equal(client->in, "");
    peer_expect_end(origin, PEER_FIN);
    assert_ended(1, 200, REASON_CLIENT_CUT_BODY);
    assert_int_equal(idle_links(), 0);
    peer_free(origin);
    finish();
}

static void test_an_answer_that_breaks_off_is_short_at_the_client(void **state)
{
    (void)state;
    for (int reset = 0; reset < 2; reset++) {
        begin(one);
        struct peer *origin = streaming(GET);
        reset ? peer_reset(origin) : peer_close(origin);
        peer_expect_end(client, PEER_FIN);
        assert_string_equal(client->in, "");
        assert_ended(1, 200, reset ? REASON_TARGET_RESET : REASON_TARGET_CUT_BODY);
        peer_free(origin);
        finish();
    }
}

static void test_chunks_that_break_off_have_no_last_chunk(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = sent(GET);
    peer_send(origin, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    peer_expect(client, "3\r\nabc\r\n");
    peer_close(origin);
    peer_expect_end(client, PEER_FIN);
    assert_string_equal(client->in, "");
    assert_ended(1, 200, REASON_TARGET_CUT_BODY);
    peer_free(origin);
    finish();
}

static void test_a_body_until_close_ends_with_fin_and_breaks_with_rst(void **state)
{
    (void)state;
    for (int reset = 0; reset < 2; reset++) {
        begin(one);
        struct peer *origin = sent("GET /a HTTP/1.0\r\nHost: t.test\r\n\r\n");
        peer_send(origin, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc");
        peer_expect(client, "\r\n\r\nabc");
        reset ? peer_reset(origin) : peer_close(origin);
        peer_expect_end(client, reset ? PEER_RST : PEER_FIN);
        assert_ended(1, 200, reset ? REASON_TARGET_RESET : REASON_NONE);
        peer_free(origin);
        finish();
    }
}

static void test_a_bad_chunk_of_the_target_aborts_the_answer(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = sent(GET);
    peer_send(origin, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    peer_expect(client, "3\r\nabc\r\n");
    peer_send(origin, "xyz\r\n");
    peer_expect_end(client, PEER_FIN);
    assert_string_equal(client->in, "");
    peer_expect_end(origin, PEER_FIN);
    assert_ended(1, 200, REASON_BAD_RESPONSE_CHUNK);
    peer_free(origin);
    finish();
}

static void test_bytes_behind_an_answer_spoil_the_link(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = sent(GET);
    peer_send(origin, OK_HI "HTTP/1.1 200 OK\r\n");
    peer_expect(client, "\r\n\r\nhi");
    peer_expect_end(origin, PEER_FIN);
    peer_assert_silent(client);
    assert_int_equal(idle_links(), 0);
    assert_ended(1, 200, REASON_NONE);
    peer_free(origin);
    finish();
}

static void test_a_target_that_stops_in_its_answer_is_aborted(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = streaming(GET);
    peer_pass_ms(&w, IDLE_MS);
    peer_expect_end(client, PEER_FIN);
    assert_string_equal(client->in, "");
    peer_expect_end(origin, PEER_FIN);
    assert_ended(1, 200, REASON_TARGET_BODY_TIMEOUT);
    peer_free(origin);
    finish();
}

static void test_a_client_that_goes_in_the_answer_closes_the_target(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = streaming(GET);
    peer_reset(client);
    peer_expect_end(origin, PEER_FIN);
    assert_ended(1, 200, REASON_CLIENT_GONE);
    assert_int_equal(idle_links(), 0);
    peer_free(origin);
    finish();
}

static void test_a_cut_in_the_answer_closes_both(void **state)
{
    (void)state;
    begin(one);
    struct peer *origin = streaming(GET);
    proxy_cut(&w.proxy);
    peer_expect_end(client, PEER_FIN);
    assert_string_equal(client->in, "");
    peer_expect_end(origin, PEER_FIN);
    assert_ended(1, 200, REASON_DRAIN_TIMEOUT);
    peer_free(origin);
    finish();
}

/* ---- REPLY ---- */

static void test_a_small_body_under_a_reply_is_drained_and_the_client_goes_on(void **state)
{
    (void)state;
    begin(nobody_listens);
    peer_send(client, POST(6) "abc");
    peer_expect(client, "HTTP/1.1 502 ");
    peer_send(client, "def" GET);
    peer_expect(client, "HTTP/1.1 502 ");
    assert_ended(2, 502, REASON_TARGET_REFUSED);
    finish();
}

static void test_a_large_body_under_a_reply_closes_after_it(void **state)
{
    (void)state;
    begin(nobody_listens);
    peer_send(client, POST(1000000) "abc");
    peer_expect(client, "HTTP/1.1 502 ");
    peer_expect_end(client, PEER_FIN);
    assert_non_null(strstr(client->in, "Connection: close\r\n"));
    assert_ended(1, 502, REASON_TARGET_REFUSED);
    finish();
}

static void test_a_reply_waits_behind_what_the_client_has_not_read(void **state)
{
    (void)state;
    struct peer *origin = replied_to_a_full_client();
    peer_expect(client, "HTTP/1.1 502 ");
    peer_wait_done(&w);
    assert_int_equal(w.loop.chunks.used_bytes, 0);
    peer_free(origin);
    finish();
}

static void test_a_client_that_does_not_read_its_reply_is_given_up(void **state)
{
    (void)state;
    struct peer *origin = replied_to_a_full_client();
    peer_pass_ms(&w, IDLE_MS);
    assert_int_equal(counter_get(&w.counters.sessions_active), 0);
    assert_int_equal(w.loop.chunks.used_bytes, 0);
    peer_free(origin);
    finish();
}

static void test_a_client_that_goes_with_its_reply_unread_frees_it(void **state)
{
    (void)state;
    struct peer *origin = replied_to_a_full_client();
    peer_reset(client);
    assert_int_equal(counter_get(&w.counters.sessions_active), 0);
    assert_int_equal(w.loop.chunks.used_bytes, 0);
    peer_free(origin);
    finish();
}

static void test_a_cut_frees_an_unread_reply(void **state)
{
    (void)state;
    struct peer *origin = replied_to_a_full_client();
    proxy_cut(&w.proxy);
    world_turn(&w, 2);
    assert_int_equal(counter_get(&w.counters.sessions_active), 0);
    assert_int_equal(w.loop.chunks.used_bytes, 0);
    peer_free(origin);
    finish();
}

/* Its RST is not seen while the flow is full: the reply's write finds it. */
static void test_a_reply_to_a_client_that_has_gone_ends(void **state)
{
    (void)state;
    leasing(POST(8000000));
    (void)peer_fill(client, 'b', 8000000);
    peer_reset(client);
    peer_pass_ms(&w, 11000);
    assert_ended(1, 504, REASON_TARGET_CONNECT_TIMEOUT);
    assert_int_equal(counter_get(&w.counters.sessions_active), 0);
    finish_leasing();
}

#define T(name) cmocka_unit_test(test_##name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_request_goes_to_the_target_and_its_answer_back),
        T(the_next_request_takes_the_idle_link),
        T(a_malformed_head_is_answered_400_and_closed),
        T(a_fixed_response_needs_no_target),
        T(a_refused_lease_is_502_and_the_client_may_go_on),
        T(a_target_that_refuses_is_passed_over),
        T(a_body_is_kept_up_to_the_cap_while_a_lease_waits),
        T(a_body_that_breaks_off_while_a_lease_waits_is_400),
        T(a_bad_chunk_while_a_lease_waits_is_400),
        T(the_idle_timeout_waits_for_the_connect_timeout),
        T(a_client_that_goes_while_a_lease_waits_is_460),
        T(a_cut_while_a_lease_waits_closes_the_client),
        T(body_flows_to_the_target_before_it_answers),
        T(a_body_that_breaks_off_is_400_and_the_target_is_closed),
        T(a_bad_chunk_is_400_and_never_forwarded),
        T(a_chunked_body_of_the_limit_passes_and_one_more_octet_is_413),
        T(interim_heads_pass_and_the_final_one_follows),
        T(a_100_of_the_target_is_not_passed_on),
        T(a_client_that_expects_100_gets_one),
        T(an_early_answer_is_delivered_and_both_connections_end),
        T(a_get_on_a_reused_link_that_dies_is_sent_again),
        T(a_post_is_not_replayed),
        T(a_put_with_a_body_is_not_replayed),
        T(a_get_on_a_new_link_that_dies_goes_to_the_other_target),
        T(a_get_on_a_new_link_that_dies_is_502_without_another_target),
        T(a_get_is_not_sent_again_once_a_byte_of_the_answer_came),
        T(a_malformed_answer_is_502_and_the_target_is_closed),
        T(a_target_that_says_nothing_is_504_and_closed),
        T(a_client_that_owes_body_is_408_and_both_are_closed),
        T(a_client_that_goes_before_the_answer_is_460),
        T(a_half_closed_client_gets_its_answer),
        T(a_cut_before_the_answer_closes_both),
        T(body_flows_to_a_target_that_answers_already),
        T(a_body_that_breaks_off_under_an_answer_aborts_it),
        T(an_answer_that_breaks_off_is_short_at_the_client),
        T(chunks_that_break_off_have_no_last_chunk),
        T(a_body_until_close_ends_with_fin_and_breaks_with_rst),
        T(a_bad_chunk_of_the_target_aborts_the_answer),
        T(bytes_behind_an_answer_spoil_the_link),
        T(a_target_that_stops_in_its_answer_is_aborted),
        T(a_client_that_goes_in_the_answer_closes_the_target),
        T(a_cut_in_the_answer_closes_both),
        T(a_small_body_under_a_reply_is_drained_and_the_client_goes_on),
        T(a_large_body_under_a_reply_closes_after_it),
        T(a_reply_waits_behind_what_the_client_has_not_read),
        T(a_client_that_does_not_read_its_reply_is_given_up),
        T(a_client_that_goes_with_its_reply_unread_frees_it),
        T(a_cut_frees_an_unread_reply),
        T(a_reply_to_a_client_that_has_gone_ends),
        T(interim_heads_that_nobody_reads_are_held_up_to_a_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
