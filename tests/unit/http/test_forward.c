#include "http/forward.h"

#include "heads.h"

static struct forward_request context(void)
{
    return (struct forward_request){
        .client_address = SLICE("192.0.2.7"),
        .default_host = SLICE("10.0.0.1"),
        .trace = {.epoch_s = 0x5759e988,
                  .random = {0xbd, 0x86, 0x2e, 0x3f, 0xe1, 0xbe, 0x46, 0xa9, 0x94, 0x27,
                             0x27, 0x93, 1,    2,    3,    4,    5,    6,    7,    9}},
        .client_port = 40000,
        .listener_port = 80,
    };
}

#define ID     "1-5759e988-bd862e3fe1be46a994272793"
#define PARENT "traceparent: 00-5759e988bd862e3fe1be46a994272793-0102030405060709-01\r\n"
#define PROTO  "X-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n"
#define XFF    "X-Forwarded-For: 192.0.2.7\r\n"
#define TRACE  "X-Amzn-Trace-Id: Root=" ID "\r\n" PARENT
#define OURS   XFF PROTO TRACE "\r\n"

/* Written into a buffer of exactly the promised size, with a guard of the sanitizer behind it. */
static void check(const char *in, const struct forward_request *c, const char *expected)
{
    struct request *r = heads_request(slice_str(in), &heads_limits, DESYNC_MODE_DEFENSIVE);
    assert_int_equal(r->reason, REASON_NONE);
    size_t cap = r->head.raw.n + FORWARD_REQUEST_EXTRA;
    for (uint32_t i = 0; i < c->vouched_count; i++)
        cap += c->vouched[i].name.n + c->vouched[i].value.n + 4;
    char *to = malloc(cap);
    struct forwarded out;
    assert_int_equal(forward_request(&r->head, c, to, cap, &out), REASON_NONE);
    assert_slice(slice_of(to, out.n), expected);
    assert_true(out.trace_id.p > to && out.trace_id.p + out.trace_id.n < to + out.n);
    char *exact = malloc(out.n);
    struct forwarded again;
    assert_int_equal(forward_request(&r->head, c, exact, out.n, &again), REASON_NONE);
    for (size_t less = 0; less < out.n; less += 7) {
        char *small = malloc(less ? less : 1);
        assert_int_equal(forward_request(&r->head, c, small, less, &again), REASON_HEAD_TOO_LARGE);
        free(small);
    }
    free(exact);
    free(to);
    heads_free_request(r);
}

static void check_plain(const char *in, const char *expected)
{
    struct forward_request c = context();
    check(in, &c, expected);
}

static void test_untouched_lines_go_on_as_they_came(void **state)
{
    (void)state;
    check_plain(
        "GET /a?b HTTP/1.1\r\nHost: Example.com\r\nuser-AGENT:  x \r\nCookie: a\r\nCookie: b\r\n"
        "X_odd: 1\r\n\r\n",
        "GET /a?b HTTP/1.1\r\nHost: Example.com\r\nuser-AGENT:  x \r\nCookie: a\r\nCookie: b\r\n"
        "X_odd: 1\r\n" OURS);
}

static void test_hop_by_hop_fields_and_those_connection_names_are_removed(void **state)
{
    (void)state;
    check_plain(
        "GET / HTTP/1.1\r\nConnection: keep-alive, X-Mine, x-gone\r\nHost: a\r\nKeep-Alive: 5\r\n"
        "Proxy-Connection: keep-alive\r\nProxy-Authorization: b\r\nX-MINE: 1\r\nX-Kept: 2\r\n"
        "Upgrade: h2c\r\nHTTP2-Settings: c\r\nTE: gzip\r\nX-Gone: 3\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Kept: 2\r\n" OURS);
}

static void test_connection_cannot_name_away_what_the_target_needs(void **state)
{
    (void)state;
    check_plain(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: Host, Content-Length, Authorization, Cookie, "
        "X-Forwarded-For, X-Forwarded-Proto, X-Amzn-Trace-Id, close\r\nContent-Length: 5\r\n"
        "Authorization: z\r\nCookie: y\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nAuthorization: z\r\nCookie: y\r\n"
        "X-Forwarded-For: 1.1.1.1, 192.0.2.7\r\n" PROTO TRACE "\r\n");
    check_plain("POST / HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\n"
                "Transfer-Encoding: chunked\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" OURS);
}

static void test_what_only_tenbin_may_say_is_taken_from_the_client(void **state)
{
    (void)state;
    check_plain("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nx-forwarded-port: 443\r\n"
                "X-Amzn-Mtls-Clientcert: c\r\nX-Amzn-Tls-Version: v\r\nX-Amzn-Oidc-Data: d\r\n"
                "X_Forwarded_Proto: https\r\nX-Forwarded-Proto: x\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\n" OURS);
}

static void test_framing_is_written_anew(void **state)
{
    (void)state;
    check_plain("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n" OURS);
    check_plain("POST / HTTP/1.1\r\nContent-Length: 005\r\nHost: a\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n" OURS);
    check_plain("POST / HTTP/1.1\r\nContent-Length: 0\r\nHost: a\r\n\r\n",
                "POST / HTTP/1.1\r\nContent-Length: 0\r\nHost: a\r\n" OURS);
    check_plain("POST / HTTP/1.1\r\nTRANSFER-encoding: CHUNKED\r\nHost: a\r\nTrailer: x\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: a\r\nTrailer: x\r\nTransfer-Encoding: chunked\r\n" OURS);
}

static void test_an_isolated_request_asks_the_target_to_close(void **state)
{
    (void)state;
    check_plain("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n" OURS);
}

static void test_targets_become_origin_form(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"GET http://B.c:81/d?e", "GET /d?e"},   {"GET http://B.c:81", "GET /"},
        {"GET http://B.c:81?e", "GET /?e"},      {"OPTIONS http://B.c:81", "OPTIONS *"},
        {"OPTIONS http://B.c:81/", "OPTIONS /"}, {"OPTIONS http://B.c:81?e", "OPTIONS /?e"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char in[128], expected[512];
        snprintf(in, sizeof(in), "%s HTTP/1.1\r\nX: y\r\nHost: other\r\n\r\n", rows[i].in);
        snprintf(expected, sizeof(expected), "%s HTTP/1.1\r\nX: y\r\nHost: B.c\r\n" OURS,
                 rows[i].out);
        check_plain(in, expected);
    }
    check_plain("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n" OURS);
    check_plain("BREW /%7e/../a b HTTP/1.1\r\nHost: a\r\n\r\n",
                "BREW /%7e/../a b HTTP/1.1\r\nHost: a\r\n" OURS);
}

static void test_http_1_0_requests_go_on_as_1_1(void **state)
{
    (void)state;
    check_plain("GET /a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
                "GET /a HTTP/1.1\r\nHost: a\r\n" OURS);
    check_plain("GET /a HTTP/1.0\r\nX: y\r\n\r\n",
                "GET /a HTTP/1.1\r\nX: y\r\nHost: 10.0.0.1\r\n" OURS);
    check_plain("GET /a HTTP/1.0\r\n\r\n", "GET /a HTTP/1.1\r\nHost: 10.0.0.1\r\n" OURS);
    check_plain("GET http://b/c HTTP/1.0\r\n\r\n", "GET /c HTTP/1.1\r\nHost: b\r\n" OURS);
    struct forward_request c = context();
    c.default_host = SLICE("");
    check("GET / HTTP/1.0\r\n\r\n", &c, "GET / HTTP/1.1\r\nHost: \r\n" OURS);
}

static void test_the_host_follows_alb(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        unsigned port;
        bool preserve;
        const char *out;
    } rows[] = {
        {"A.b", 80, false, "A.b"},
        {"A.b:80", 80, false, "A.b"},
        {"A.b:81", 443, false, "A.b"},
        {"A.b", 8080, false, "A.b:8080"},
        {"A.b:8080", 8080, false, "A.b:8080"},
        {"A.b:9", 8080, false, "A.b:8080"},
        {"A.b:", 80, false, "A.b"},
        {"[::1]:9", 8080, false, "[::1]:8080"},
        {"[::1]", 80, false, "[::1]"},
        {"A.b.:9", 80, false, "A.b."},
        {"A.b:9", 8080, true, "A.b:9"},
        {"A.b", 8080, true, "A.b"},
        {"A.b:", 80, true, "A.b:"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char in[128], expected[512];
        struct forward_request c = context();
        c.listener_port = (uint16_t)rows[i].port;
        c.preserve_host_header = rows[i].preserve;
        snprintf(in, sizeof(in), "GET / HTTP/1.1\r\nHost: %s\r\nX: y\r\n\r\n", rows[i].in);
        snprintf(expected, sizeof(expected),
                 "GET / HTTP/1.1\r\nHost: %s\r\nX: y\r\n" XFF
                 "X-Forwarded-Proto: http\r\nX-Forwarded-Port: %u\r\n" TRACE "\r\n",
                 rows[i].out, rows[i].port);
        check(in, &c, expected);
    }
}

static void test_an_absolute_form_target_replaces_even_a_preserved_host(void **state)
{
    (void)state;
    struct forward_request c = context();
    c.preserve_host_header = true;
    check("GET http://B.c:81/ HTTP/1.1\r\nHost: other\r\n\r\n", &c,
          "GET / HTTP/1.1\r\nHost: B.c:81\r\n" OURS);
}

static void test_a_websocket_upgrade_is_carried_and_others_are_not(void **state)
{
    (void)state;
    check_plain("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
                "Upgrade: websocket, h2c\r\nSec-WebSocket-Key: k\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: k\r\nConnection: upgrade\r\n"
                "Upgrade: websocket\r\n" OURS);
    check_plain(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        "HTTP2-Settings: s\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n" OURS);
}

static void test_te_says_trailers_or_nothing(void **state)
{
    (void)state;
    check_plain("GET / HTTP/1.1\r\nHost: a\r\nConnection: te\r\nTE: gzip, Trailers\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: te\r\nTE: trailers\r\n" OURS);
}

static void test_names_that_are_odd_are_dropped_when_asked(void **state)
{
    (void)state;
    struct forward_request c = context();
    c.drop_invalid_header_fields = true;
    check("GET / HTTP/1.1\r\nX_a: 1\r\nHost: a\r\nX-b: 2\r\nX.c: 3\r\n\r\n", &c,
          "GET / HTTP/1.1\r\nHost: a\r\nX-b: 2\r\n" OURS);
}

static void test_forwarded_for_in_each_mode(void **state)
{
    (void)state;
    const char *in = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX: y\r\n"
                     "X-Forwarded-For:\r\nx-forwarded-for: 2.2.2.2, 3.3.3.3\r\n\r\n";
    struct forward_request c = context();
    check(in, &c,
          "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n"
          "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.7\r\n" PROTO TRACE "\r\n");
    c.xff_client_port = true;
    check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &c,
          "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7:40000\r\n" PROTO TRACE "\r\n");
    c.client_address = SLICE("2001:db8::1");
    check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &c,
          "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: [2001:db8::1]:40000\r\n" PROTO TRACE
          "\r\n");
    c.xff_client_port = false;
    check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &c,
          "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 2001:db8::1\r\n" PROTO TRACE "\r\n");
    c.xff_mode = XFF_REMOVE;
    check(in, &c, "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n" PROTO TRACE "\r\n");
    c.xff_mode = XFF_PRESERVE;
    check(in, &c,
          "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX: y\r\nX-Forwarded-For:\r\n"
          "x-forwarded-for: 2.2.2.2, 3.3.3.3\r\n" PROTO TRACE "\r\n");
    c.xff_mode = XFF_APPEND;
    c.https = true;
    c.listener_port = 443;
    c.client_address = SLICE("192.0.2.7");
    check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &c,
          "GET / HTTP/1.1\r\nHost: a\r\n" XFF
          "X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n" TRACE "\r\n");
}

static void test_a_client_without_an_address_adds_nothing(void **state)
{
    (void)state;
    struct forward_request c = context();
    c.client_address = SLICE("");
    check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &c,
          "GET / HTTP/1.1\r\nHost: a\r\n" PROTO TRACE "\r\n");
    check("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For:\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n", &c,
          "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\n" PROTO TRACE "\r\n");
}

static enum reason with_addresses(unsigned n, enum xff_mode mode)
{
    char in[1024] = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: ";
    for (unsigned i = 1; i < n; i++)
        strcat(in, "1.1.1.1, ");
    strcat(in, "\r\n\r\n");
    struct request *r = heads_parse(in);
    assert_int_equal(r->reason, REASON_NONE);
    struct forward_request c = context();
    char to[4096];
    struct forwarded out;
    c.xff_mode = mode;
    enum reason reason = forward_request(&r->head, &c, to, sizeof(to), &out);
    heads_free_request(r);
    return reason;
}

static void test_more_than_thirty_forwarded_addresses_are_463(void **state)
{
    (void)state;
    for (int mode = XFF_APPEND; mode <= XFF_REMOVE; mode++) {
        assert_int_equal(with_addresses(FORWARD_XFF_MAX, mode), REASON_NONE);
        assert_int_equal(with_addresses(FORWARD_XFF_MAX + 1, mode), REASON_TOO_MANY_FORWARDED);
    }
    assert_int_equal(status_of(REASON_TOO_MANY_FORWARDED), 463);
}

static void test_traces_are_continued(void **state)
{
    (void)state;
    check_plain("GET / HTTP/1.1\r\nHost: a\r\nx-amzn-trace-id: Root=1-a-b;A=b\r\n"
                "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\r\n"
                "tracestate: v=1\r\nX-Amzn-Trace-Id: Root=1-second\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\ntracestate: v=1\r\n" XFF PROTO
                "X-Amzn-Trace-Id: Self=" ID ";Root=1-a-b;A=b\r\n"
                "traceparent: 00-0af7651916cd43dd8448eb211c80319c-0102030405060709-00\r\n\r\n");
    check_plain("GET / HTTP/1.1\r\nHost: a\r\ntraceparent: 00-bad\r\ntracestate: v=1\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\n" OURS);
}

static void check_trace_of_head(size_t n, const char *trace)
{
    char in[8192], to[16384];
    const char *start = "GET / HTTP/1.1\r\nHost: a\r\nX-Amzn-Trace-Id: Root=1-a-b\r\nX: ";
    memset(in, 'x', sizeof(in));
    memcpy(in, start, strlen(start));
    memcpy(in + n - 4, "\r\n\r\n", 4);
    struct request *r = heads_request(slice_of(in, n), &heads_limits, DESYNC_MODE_DEFENSIVE);
    assert_int_equal(r->reason, REASON_NONE);
    struct forward_request c = context();
    struct forwarded out;
    assert_int_equal(forward_request(&r->head, &c, to, sizeof(to), &out), REASON_NONE);
    assert_slice(out.trace_id, trace);
    heads_free_request(r);
}

static void test_a_large_head_gets_a_root_alone(void **state)
{
    (void)state;
    check_trace_of_head(FORWARD_TRACE_HEAD_MAX, "Self=" ID ";Root=1-a-b");
    check_trace_of_head(FORWARD_TRACE_HEAD_MAX + 1, "Root=" ID);
}

static void test_what_is_vouched_for_replaces_what_a_client_says(void **state)
{
    (void)state;
    struct forward_request c = context();
    static const struct field ours[] = {
        {.name = SLICE_INIT("X-Amzn-Mtls-Clientcert-Subject"), .value = SLICE_INIT("CN=a")},
        {.name = SLICE_INIT("X-Amzn-Mtls-Clientcert-Leaf"), .value = SLICE_INIT("-----BEGIN%20")},
    };
    const char *in = "GET / HTTP/1.1\r\nHost: a\r\nX-Amzn-Mtls-Clientcert-Subject: CN=b\r\n"
                     "x-amzn-tls-version: TLSv9\r\nConnection: X-Amzn-Mtls-Clientcert-Leaf\r\n\r\n";
    check(in, &c, "GET / HTTP/1.1\r\nHost: a\r\n" OURS);
    c.vouched = ours;
    c.vouched_count = 2;
    c.tls_cipher = SLICE("TLS_AES_128_GCM_SHA256");
    check(in, &c,
          "GET / HTTP/1.1\r\nHost: a\r\n" XFF PROTO "X-Amzn-Mtls-Clientcert-Subject: CN=a\r\n"
          "X-Amzn-Mtls-Clientcert-Leaf: -----BEGIN%20\r\n" TRACE "\r\n");
    c.vouched_count = 0;
    c.tls_version = SLICE("TLSv1.3");
    check(in, &c,
          "GET / HTTP/1.1\r\nHost: a\r\n" XFF PROTO "X-Amzn-Tls-Version: TLSv1.3\r\n"
          "X-Amzn-Tls-Cipher-Suite: TLS_AES_128_GCM_SHA256\r\n" TRACE "\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_untouched_lines_go_on_as_they_came),
        cmocka_unit_test(test_hop_by_hop_fields_and_those_connection_names_are_removed),
        cmocka_unit_test(test_connection_cannot_name_away_what_the_target_needs),
        cmocka_unit_test(test_what_only_tenbin_may_say_is_taken_from_the_client),
        cmocka_unit_test(test_framing_is_written_anew),
        cmocka_unit_test(test_an_isolated_request_asks_the_target_to_close),
        cmocka_unit_test(test_targets_become_origin_form),
        cmocka_unit_test(test_http_1_0_requests_go_on_as_1_1),
        cmocka_unit_test(test_the_host_follows_alb),
        cmocka_unit_test(test_an_absolute_form_target_replaces_even_a_preserved_host),
        cmocka_unit_test(test_a_websocket_upgrade_is_carried_and_others_are_not),
        cmocka_unit_test(test_te_says_trailers_or_nothing),
        cmocka_unit_test(test_names_that_are_odd_are_dropped_when_asked),
        cmocka_unit_test(test_forwarded_for_in_each_mode),
        cmocka_unit_test(test_a_client_without_an_address_adds_nothing),
        cmocka_unit_test(test_more_than_thirty_forwarded_addresses_are_463),
        cmocka_unit_test(test_traces_are_continued),
        cmocka_unit_test(test_what_is_vouched_for_replaces_what_a_client_says),
        cmocka_unit_test(test_a_large_head_gets_a_root_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
