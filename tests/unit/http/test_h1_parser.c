#include "heads.h"

#include "../../../src/http/second.h"

/* --- the end of a head */

static struct h1_find_result find(struct slice bytes, size_t first, size_t step, bool response,
                                  const struct limits *limits)
{
    struct h1_finder f = {0};
    struct h1_find_result r = {.found = H1_FOUND_MORE};
    for (size_t have = first; r.found == H1_FOUND_MORE; have += step) {
        struct slice now = slice_upto(bytes, have);
        char *copy = heads_copy(now);
        now.p = copy;
        r = response ? h1_parser_find_response(&f, now, limits)
                     : h1_parser_find_request(&f, now, limits);
        free(copy);
        if (have >= bytes.n)
            break;
    }
    return r;
}

#define WITH_HOST " HTTP/1.1\r\nHost: a\r\n\r\n"

static void test_a_head_is_found_however_the_bytes_are_cut(void **state)
{
    (void)state;
    static const struct {
        const char *before, *head;
        bool response;
    } rows[] = {
        {"", "GET /" WITH_HOST, false},
        {"\r\n", "GET /" WITH_HOST, false},
        {"", "GET / HTTP/1.0\r\n\r\n", false},
        {"", "POST /a/long/path?and=query HTTP/1.1\r\nA: 1\r\nB: 22222222222222222\r\n\r\n", false},
        {"", "HTTP/1.1 200 OK\r\n\r\n", true},
        {"", "HTTP/1.1 200 OK\r\nServer: a\r\nContent-Length: 5\r\n\r\n", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char bytes[256];
        int n = snprintf(bytes, sizeof(bytes), "%s%sGET /next HTTP/1.1\r\n\r\n", rows[i].before,
                         rows[i].head);
        size_t skip = strlen(rows[i].before), length = strlen(rows[i].head);
        for (size_t first = 0; first <= (size_t)n; first++)
            for (size_t step = 1; step < 40; step += 3) {
                struct h1_find_result r =
                    find(slice_of(bytes, (size_t)n), first, step, rows[i].response, &heads_limits);
                assert_int_equal(r.found, H1_FOUND_HEAD);
                assert_int_equal(r.skip, skip);
                assert_int_equal(r.length, length);
            }
        for (size_t cut = 0; cut < skip + length; cut++)
            assert_int_equal(
                find(slice_of(bytes, cut), cut, 1, rows[i].response, &heads_limits).found,
                H1_FOUND_MORE);
    }
}

static void check_bad(const char *bytes, bool response, enum reason reason)
{
    size_t n = strlen(bytes);
    for (size_t first = 0; first <= n; first++) {
        struct h1_find_result r = find(slice_of(bytes, n), first, 1, response, &heads_limits);
        if (r.found != H1_FOUND_BAD || r.reason != reason)
            fail_msg("\"%s\" cut at %zu: %d %s", bytes, first, (int)r.found,
                     status_reason_name(r.reason));
    }
}

static void test_what_cannot_become_a_head_is_refused_at_once(void **state)
{
    (void)state;
    check_bad("\r\n\r\n", false, REASON_BAD_REQUEST_LINE);
    check_bad("\r\n\r\nGET /" WITH_HOST, false, REASON_BAD_REQUEST_LINE);
    check_bad("\n", false, REASON_BAD_REQUEST_LINE);
    check_bad("\rGET", false, REASON_BAD_LINE_END);
    check_bad("\x16\x03\x01", false, REASON_BAD_REQUEST_LINE);
    check_bad(" GET", false, REASON_BAD_REQUEST_LINE);
    check_bad("GET / HTTP/1.1\nHost: a", false, REASON_BAD_LINE_END);
    check_bad("GET / HTTP/1.1\r\nHost: a\n", false, REASON_BAD_LINE_END);
    check_bad("GET / HTTP/1.1\r\n\n", false, REASON_BAD_LINE_END);
    check_bad("\r\nHTTP/1.1 200 OK\r\n\r\n", true, REASON_BAD_RESPONSE);
    check_bad("HTTP/1.1 200 OK\n", true, REASON_BAD_RESPONSE);
    check_bad("\x15\x03", true, REASON_BAD_RESPONSE);
}

/* --- limits: at, and one past */

/* A head of a request line and field lines of the given octets without CRLF, the last field line
 * with the rest. All of it legal. */
struct shape {
    size_t line, first_field, other_field, others;
};

static struct slice build(const struct shape *s, bool response)
{
    static char bytes[200000];
    char *p = bytes;
    memset(bytes, 'x', sizeof(bytes));
    memcpy(p, response ? "HTTP/1.1 200 " : "GET /", response ? 13 : 5);
    if (!response)
        memcpy(p + s->line - 9, " HTTP/1.1", 9);
    p += s->line;
    memcpy(p, "\r\nHost:", 7);
    p += 2;
    memset(p + 5, ' ', s->first_field - 6);
    p += s->first_field;
    for (size_t i = 0; i < s->others; i++) {
        memcpy(p, "\r\nA:", 4);
        p += 2 + s->other_field;
    }
    memcpy(p, "\r\n\r\n", 4);
    return slice_of(bytes, (size_t)(p + 4 - bytes));
}

/* What find says of it, whole and octet by octet, and what the parser says, must agree. */
static enum reason outcome(const struct shape *s, bool response, const struct limits *limits)
{
    struct slice raw = build(s, response);
    struct h1_find_result whole = find(raw, raw.n, 1, response, limits);
    struct h1_find_result pieces = find(raw, 0, 97, response, limits);
    assert_int_equal(whole.found, pieces.found);
    assert_int_equal(whole.reason, pieces.reason);
    enum reason parsed;
    if (response) {
        struct response *r = malloc(sizeof(*r));
        head_response_init(&r->head, r->fields, HEADS_FIELDS);
        parsed = h1_parser_response(raw, limits, METHOD_GET, false, &r->head);
        free(r);
    } else {
        struct request *r = heads_request(raw, limits, DESYNC_MODE_DEFENSIVE);
        parsed = r->reason;
        heads_free_request(r);
    }
    assert_int_equal(parsed, whole.reason);
    assert_int_equal(whole.found, whole.reason ? H1_FOUND_BAD : H1_FOUND_HEAD);
    return whole.reason;
}

static void test_a_request_line_is_as_long_as_the_limit_and_no_longer(void **state)
{
    (void)state;
    struct shape s = {.line = heads_limits.request_line, .first_field = 8};
    assert_int_equal(outcome(&s, false, &heads_limits), REASON_NONE);
    s.line++;
    assert_int_equal(outcome(&s, false, &heads_limits), REASON_URI_TOO_LONG);
    assert_int_equal(status_of(REASON_URI_TOO_LONG), 414);
}

static void test_a_field_line_is_as_long_as_the_limit_and_no_longer(void **state)
{
    (void)state;
    struct shape s = {
        .line = 20, .first_field = 8, .others = 1, .other_field = heads_limits.header};
    assert_int_equal(outcome(&s, false, &heads_limits), REASON_NONE);
    s.other_field++;
    assert_int_equal(outcome(&s, false, &heads_limits), REASON_HEADER_TOO_LARGE);
    assert_int_equal(status_of(REASON_HEADER_TOO_LARGE), 431);
}

static void test_a_request_head_is_as_large_as_the_limit_and_no_larger(void **state)
{
    (void)state;
    struct shape s = {.line = 36, .others = 6, .other_field = 10000};
    s.first_field = heads_limits.request_head - 36 - 60000;
    assert_int_equal(outcome(&s, false, &heads_limits), REASON_NONE);
    s.first_field++;
    assert_int_equal(outcome(&s, false, &heads_limits), REASON_HEAD_TOO_LARGE);
    assert_int_equal(status_of(REASON_HEAD_TOO_LARGE), 431);
}

static void test_a_head_has_as_many_fields_as_the_limit_and_no_more(void **state)
{
    (void)state;
    struct shape s = {.line = 20, .first_field = 8, .other_field = 5};
    s.others = heads_limits.headers - 1;
    assert_int_equal(outcome(&s, false, &heads_limits), REASON_NONE);
    assert_int_equal(outcome(&s, true, &heads_limits), REASON_NONE);
    s.others++;
    assert_int_equal(outcome(&s, false, &heads_limits), REASON_TOO_MANY_HEADERS);
    assert_int_equal(outcome(&s, true, &heads_limits), REASON_RESPONSE_HEAD_TOO_LARGE);
    assert_int_equal(status_of(REASON_TOO_MANY_HEADERS), 431);
    assert_int_equal(status_of(REASON_RESPONSE_HEAD_TOO_LARGE), 502);
}

static void test_a_response_head_is_as_large_as_the_limit_and_no_larger(void **state)
{
    (void)state;
    struct shape s = {.line = 20, .first_field = 8, .others = 1};
    s.other_field = heads_limits.response_head - 28;
    assert_int_equal(outcome(&s, true, &heads_limits), REASON_NONE);
    s.other_field++;
    assert_int_equal(outcome(&s, true, &heads_limits), REASON_RESPONSE_HEAD_TOO_LARGE);
}

static void test_an_endless_line_is_refused_before_it_ends(void **state)
{
    (void)state;
    static char bytes[70000];
    memset(bytes, 'x', sizeof(bytes));
    size_t most = heads_limits.request_line;
    assert_int_equal(find(slice_of(bytes, most), 0, 1000, false, &heads_limits).found,
                     H1_FOUND_MORE);
    assert_int_equal(find(slice_of(bytes, most + 1), 0, 1000, false, &heads_limits).reason,
                     REASON_URI_TOO_LONG);
    memcpy(bytes, "GET / HTTP/1.1\r\n", 16);
    most = 16 + heads_limits.header;
    assert_int_equal(find(slice_of(bytes, most), 0, 1000, false, &heads_limits).found,
                     H1_FOUND_MORE);
    assert_int_equal(find(slice_of(bytes, most + 1), 0, 1000, false, &heads_limits).reason,
                     REASON_HEADER_TOO_LARGE);
    memcpy(bytes, "HTTP/1.1 200 OK\r\n", 17);
    most = heads_limits.response_head + 2;
    assert_int_equal(find(slice_of(bytes, most), 0, 1000, true, &heads_limits).found,
                     H1_FOUND_MORE);
    assert_int_equal(find(slice_of(bytes, most + 1), 0, 1000, true, &heads_limits).reason,
                     REASON_RESPONSE_HEAD_TOO_LARGE);
}

static void test_a_head_beyond_the_default_limits_of_http_parser_is_read(void **state)
{
    (void)state;
    struct limits wide = {.request_line = 100000,
                          .header = 190000,
                          .request_head = 190000,
                          .response_head = 190000,
                          .headers = 200,
                          .chunk_line = 256};
    struct shape s = {.line = 100, .first_field = 8, .others = 1, .other_field = 100000};
    assert_int_equal(outcome(&s, false, &wide), REASON_NONE);
    struct request *r = heads_request(build(&s, false), &wide, DESYNC_MODE_STRICTEST);
    assert_int_equal(r->reason, REASON_NONE);
    heads_free_request(r);
}

/* --- what a request head says */

static void test_an_origin_form_request_is_told_in_spans(void **state)
{
    (void)state;
    struct request *r = heads_parse("GET /a/b?c=d&e HTTP/1.1\r\nHost: WWW.Example.com:8080\r\n"
                                    "X-Thing: \t a value \t\r\nEmpty:\r\n\r\n");
    const struct request_head *h = &r->head;
    assert_int_equal(r->reason, REASON_NONE);
    assert_int_equal(h->method_id, METHOD_GET);
    assert_slice(h->method, "GET");
    assert_slice(h->target, "/a/b?c=d&e");
    assert_slice(h->path, "/a/b");
    assert_true(h->has_query);
    assert_slice(h->query, "c=d&e");
    assert_slice(h->host, "WWW.Example.com:8080");
    assert_slice(h->host_norm, "www.example.com");
    assert_int_equal(h->host_port, 8080);
    assert_int_equal(h->version, HTTP_1_1);
    assert_int_equal(h->framing, FRAMING_NONE);
    assert_true(h->keep_alive && h->path_plain);
    assert_int_equal(h->fields.count, 3);
    assert_int_equal(h->fields.at[0].id, FIELD_HOST);
    assert_slice(h->fields.at[1].name, "X-Thing");
    assert_slice(h->fields.at[1].value, "a value");
    assert_slice(h->fields.at[2].value, "");
    assert_int_equal(h->raw.n, strlen("GET /a/b?c=d&e HTTP/1.1\r\nHost: WWW.Example.com:8080\r\n"
                                      "X-Thing: \t a value \t\r\nEmpty:\r\n\r\n"));
    assert_int_equal(h->scheme.n + h->authority.n, 0);
    heads_free_request(r);
}

static void test_targets_of_every_form(void **state)
{
    (void)state;
    static const struct {
        const char *line, *path, *query, *host, *host_norm, *scheme;
    } rows[] = {
        {"GET /", "/", NULL, "a:1", "a", ""},
        {"GET /?", "/", "", "a:1", "a", ""},
        {"GET //x?y?z", "//x", "y?z", "a:1", "a", ""},
        {"OPTIONS *", "*", NULL, "a:1", "a", ""},
        {"GET http://B.c/d?e", "/d", "e", "B.c", "b.c", "http"},
        {"GET HTTPS://b:9", "/", NULL, "b:9", "b", "HTTPS"},
        {"GET http://b?q", "/", "q", "b", "b", "http"},
        {"OPTIONS http://b", "/", NULL, "b", "b", "http"},
        {"GET http://[::1]:80/", "/", NULL, "[::1]:80", "[::1]", "http"},
        {"GET /a:b@c", "/a:b@c", NULL, "a:1", "a", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[128];
        snprintf(text, sizeof(text), "%s HTTP/1.1\r\nHost: a:1\r\n\r\n", rows[i].line);
        struct request *r = heads_parse(text);
        assert_int_equal(r->reason, REASON_NONE);
        assert_slice(r->head.path, rows[i].path);
        assert_int_equal(r->head.has_query, rows[i].query != NULL);
        assert_slice(r->head.query, rows[i].query ? rows[i].query : "");
        assert_slice(r->head.host, rows[i].host);
        assert_slice(r->head.host_norm, rows[i].host_norm);
        assert_slice(r->head.scheme, rows[i].scheme);
        heads_free_request(r);
    }
}

static void test_methods_are_known_by_their_exact_name(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum method_id id;
    } rows[] = {
        {"GET", METHOD_GET},        {"HEAD", METHOD_HEAD},
        {"POST", METHOD_POST},      {"PUT", METHOD_PUT},
        {"DELETE", METHOD_DELETE},  {"OPTIONS", METHOD_OPTIONS},
        {"PATCH", METHOD_PATCH},    {"get", METHOD_OTHER},
        {"PROPFIND", METHOD_OTHER}, {"M-SEARCH", METHOD_OTHER},
        {"BREW", METHOD_OTHER},     {"GETS", METHOD_OTHER},
        {"trace", METHOD_OTHER},    {"A!#$%&'*+-.^_`|~1", METHOD_OTHER},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[128];
        snprintf(text, sizeof(text), "%s /a HTTP/1.1\r\nHost: a\r\n\r\n", rows[i].name);
        for (int mode = DESYNC_MODE_MONITOR; mode <= DESYNC_MODE_STRICTEST; mode++) {
            struct request *r = heads_request(slice_str(text), &heads_limits, mode);
            assert_int_equal(r->reason, REASON_NONE);
            assert_int_equal(r->head.method_id, rows[i].id);
            assert_slice(r->head.method, rows[i].name);
            heads_free_request(r);
        }
    }
}

static void test_the_framing_of_a_request(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        enum framing framing;
        uint64_t length;
    } rows[] = {
        {"", FRAMING_NONE, 0},
        {"Content-Length: 0\r\n", FRAMING_LENGTH, 0},
        {"Content-Length:5\r\n", FRAMING_LENGTH, 5},
        {"content-length: \t 007 \r\n", FRAMING_LENGTH, 7},
        {"Content-Length: 9223372036854775807\r\n", FRAMING_LENGTH, INT64_MAX},
        {"Transfer-Encoding: chunked\r\n", FRAMING_CHUNKED, 0},
        {"TRANSFER-ENCODING:\tChunKED \r\n", FRAMING_CHUNKED, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[256];
        snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nHost: a\r\n%s\r\n", rows[i].lines);
        struct request *r = heads_parse(text);
        assert_int_equal(r->reason, REASON_NONE);
        assert_int_equal(r->head.framing, rows[i].framing);
        assert_true(r->head.content_length == rows[i].length);
        heads_free_request(r);
    }
}

static void test_keep_alive_follows_version_and_connection(void **state)
{
    (void)state;
    static const struct {
        const char *version, *lines;
        bool keep_alive, names;
    } rows[] = {
        {"1.1", "", true, false},
        {"1.0", "", false, false},
        {"1.1", "Connection: close\r\n", false, false},
        {"1.1", "Connection: CLOSE\r\n", false, false},
        {"1.1", "Connection: keep-alive\r\n", true, false},
        {"1.0", "Connection: Keep-Alive\r\n", true, false},
        {"1.0", "Connection: keep-alive, close\r\n", false, false},
        {"1.1", "Connection: x\r\nConnection: a, ,close\r\n", false, true},
        {"1.1", "Connection: closed\r\n", true, true},
        {"1.1", "Connection: TE, Upgrade, HTTP2-Settings, keep-alive\r\n", true, false},
        {"1.1", "Connection: X-Thing\r\n", true, true},
        {"1.1", "Connection:\r\n", true, false},
        {"1.0", "Proxy-Connection: keep-alive\r\n", false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[256];
        snprintf(text, sizeof(text), "GET / HTTP/%s\r\nHost: a\r\n%s\r\n", rows[i].version,
                 rows[i].lines);
        struct request *r = heads_parse(text);
        assert_int_equal(r->reason, REASON_NONE);
        assert_int_equal(r->head.keep_alive, rows[i].keep_alive);
        assert_int_equal(r->head.connection_names, rows[i].names);
        heads_free_request(r);
    }
}

static void test_expect_counts_on_1_1_with_a_body_only(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool expected;
    } rows[] = {
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n", true},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
         true},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n", false},
        {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", false},
        {"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", false},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 200-ok\r\n\r\n", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request *r = heads_parse(rows[i].text);
        assert_int_equal(r->reason, REASON_NONE);
        assert_int_equal(r->head.expect_continue, rows[i].expected);
        heads_free_request(r);
    }
}

#define UPGRADE_LINES "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"

static void test_an_upgrade_is_a_get_to_websocket_without_a_body(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool expected;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n" UPGRADE_LINES "\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c, WebSocket\r\n\r\n",
         true},
        {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket/13\r\n\r\n",
         false},
        {"GET / HTTP/1.0\r\nHost: a\r\n" UPGRADE_LINES "\r\n", false},
        {"POST / HTTP/1.1\r\nHost: a\r\n" UPGRADE_LINES "\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n" UPGRADE_LINES "\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" UPGRADE_LINES "\r\n", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request *r = heads_parse(rows[i].text);
        assert_int_equal(r->reason, REASON_NONE);
        assert_int_equal(r->head.upgrade_websocket, rows[i].expected);
        heads_free_request(r);
    }
}

static void test_names_that_only_tenbin_may_send_are_marked(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum field_id id;
        bool odd;
    } rows[] = {
        {"X-Amzn-Mtls-Clientcert", FIELD_VOUCHED, false},
        {"x-amzn-tls-version", FIELD_VOUCHED, false},
        {"X-AMZN-OIDC-DATA", FIELD_VOUCHED, false},
        {"X_Amzn_Oidc_Data", FIELD_VOUCHED, true},
        {"X-Amzn_Tls-Cipher-Suite", FIELD_VOUCHED, true},
        {"X_Forwarded_For", FIELD_VOUCHED, true},
        {"x-forwarded_proto", FIELD_VOUCHED, true},
        {"X.Forwarded.Port", FIELD_VOUCHED, true},
        {"X_Amzn_Trace_Id", FIELD_VOUCHED, true},
        {"X-Amzn-Requestid", FIELD_OTHER, false},
        {"X-Amzn-Mtls", FIELD_OTHER, false},
        {"X_Forwarded_Host", FIELD_OTHER, true},
        {"X_Forwarded_For_", FIELD_OTHER, true},
        {"User_Agent", FIELD_OTHER, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[128];
        snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n%s: v\r\nHost: a\r\n\r\n", rows[i].name);
        struct request *r = heads_parse(text);
        assert_int_equal(r->reason, REASON_NONE);
        assert_int_equal(r->head.fields.at[0].id, rows[i].id);
        assert_int_equal(r->head.fields.at[0].odd_name, rows[i].odd);
        assert_int_equal(r->head.odd_names, rows[i].odd);
        heads_free_request(r);
    }
}

/* --- responses */

static void test_the_framing_of_a_response(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum method_id method;
        enum framing framing;
        bool keep_alive;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", METHOD_GET, FRAMING_LENGTH, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", METHOD_HEAD, FRAMING_NONE, true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", METHOD_GET, FRAMING_CHUNKED,
         true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", METHOD_HEAD, FRAMING_NONE, true},
        {"HTTP/1.1 200 OK\r\n\r\n", METHOD_GET, FRAMING_CLOSE, false},
        {"HTTP/1.1 200 OK\r\n\r\n", METHOD_HEAD, FRAMING_NONE, true},
        {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", METHOD_GET, FRAMING_LENGTH, true},
        {"HTTP/1.1 200 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n", METHOD_GET,
         FRAMING_LENGTH, false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", METHOD_GET, FRAMING_LENGTH, false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", METHOD_GET,
         FRAMING_LENGTH, true},
        {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", METHOD_GET, FRAMING_CLOSE, false},
        {"HTTP/1.1 204 No Content\r\n\r\n", METHOD_GET, FRAMING_NONE, true},
        {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", METHOD_GET, FRAMING_NONE, true},
        {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", METHOD_GET, FRAMING_NONE, false},
        {"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", METHOD_GET, FRAMING_NONE,
         false},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", METHOD_GET, FRAMING_NONE, true},
        {"HTTP/1.1 100 Continue\r\n\r\n", METHOD_POST, FRAMING_NONE, true},
        {"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", METHOD_GET, FRAMING_NONE, true},
        {"HTTP/1.1 599 \xe9t\xe9\t!\r\nContent-Length: 1\r\n\r\n", METHOD_GET, FRAMING_LENGTH,
         true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct response *r = heads_response(slice_str(rows[i].text), rows[i].method, false);
        if (r->reason)
            fail_msg("row %zu: %s", i, status_reason_name(r->reason));
        assert_int_equal(r->head.framing, rows[i].framing);
        assert_int_equal(r->head.keep_alive, rows[i].keep_alive);
        assert_int_equal(r->head.interim, r->head.status < 200);
        heads_free_response(r);
    }
}

static void test_bad_responses_are_502(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum reason reason;
    } rows[] = {
        {"HTTP/1.1\r\n\r\n", REASON_BAD_RESPONSE},
        {"HTTP/1.1 20\r\n\r\n", REASON_BAD_RESPONSE},
        {"HTTP/1.1 2000\r\n\r\n", REASON_BAD_RESPONSE},
        {"HTTP/1.1 099 No\r\n\r\n", REASON_BAD_RESPONSE},
        {"HTTP/1.1 600 No\r\n\r\n", REASON_BAD_RESPONSE},
        {"HTTP/1.1  200 OK\r\n\r\n", REASON_BAD_RESPONSE},
        {"HTTP/1.1 2x0 OK\r\n\r\n", REASON_BAD_RESPONSE},
        {"HTTP/1.1 200\tOK\r\n\r\n", REASON_BAD_RESPONSE},
        {"HTTP/1.1 200 O\x01K\r\n\r\n", REASON_BAD_RESPONSE},
        {"HTTP/1.2 200 OK\r\n\r\n", REASON_BAD_RESPONSE},
        {"HTTP/2.0 200 OK\r\n\r\n", REASON_BAD_RESPONSE},
        {"http/1.1 200 OK\r\n\r\n", REASON_BAD_RESPONSE},
        {"ICY 200 OK\r\n\r\n", REASON_BAD_RESPONSE},
        {"HTTP/1.0 100 Continue\r\n\r\n", REASON_BAD_RESPONSE},
        {"HTTP/1.1 200 OK\nA: b\r\n\r\n", REASON_BAD_RESPONSE},
        {"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", REASON_BAD_RESPONSE},
        {"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", REASON_BAD_RESPONSE},
        {"HTTP/1.1 200 OK\r\nA\r\n\r\n", REASON_BAD_RESPONSE},
        {"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", REASON_BAD_RESPONSE},
        {"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", REASON_BAD_RESPONSE},
        {"HTTP/1.1 200 OK\r\nA: b\nc: d\r\n\r\n", REASON_BAD_RESPONSE},
        {"HTTP/1.1 200 OK\r\nA: b\x01\r\n\r\n", REASON_BAD_RESPONSE},
        {"HTTP/1.1 200 OK\r\n: b\r\n\r\n", REASON_BAD_RESPONSE},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
         REASON_BAD_RESPONSE_FRAMING},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
         REASON_BAD_RESPONSE_FRAMING},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", REASON_BAD_RESPONSE_FRAMING},
        {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", REASON_BAD_RESPONSE_FRAMING},
        {"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", REASON_BAD_RESPONSE_FRAMING},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
         REASON_BAD_RESPONSE_FRAMING},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", REASON_BAD_RESPONSE_FRAMING},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
         REASON_BAD_RESPONSE_FRAMING},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n", REASON_BAD_RESPONSE_FRAMING},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
         REASON_BAD_RESPONSE_FRAMING},
        {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", REASON_BAD_RESPONSE_FRAMING},
        {"HTTP/1.1 101 Switching Protocols\r\n" UPGRADE_LINES "\r\n", REASON_UNEXPECTED_UPGRADE},
        {"HTTP/1.1 200 OK\r\nA: b\r\n", REASON_BAD_RESPONSE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct response *r = heads_response(slice_str(rows[i].text), METHOD_GET, false);
        if (r->reason != rows[i].reason)
            fail_msg("row %zu \"%s\": %s", i, rows[i].text, status_reason_name(r->reason));
        assert_int_equal(status_of(r->reason), 502);
        heads_free_response(r);
    }
    struct response *r =
        heads_response(SLICE("HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n"), METHOD_GET, false);
    assert_int_equal(r->reason, REASON_BAD_RESPONSE);
    heads_free_response(r);
}

static void test_a_101_must_be_the_upgrade_that_was_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        enum reason reason;
    } rows[] = {
        {UPGRADE_LINES, REASON_NONE},
        {"Upgrade: websocket\r\n", REASON_UNEXPECTED_UPGRADE},
        {"Connection: upgrade\r\n", REASON_UNEXPECTED_UPGRADE},
        {"Connection: upgrade\r\nUpgrade: h2c\r\n", REASON_UNEXPECTED_UPGRADE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[256];
        int n = snprintf(text, sizeof(text), "HTTP/1.1 101 Switching Protocols\r\n%s\r\n",
                         rows[i].lines);
        struct response *r = heads_response(slice_of(text, (size_t)n), METHOD_GET, true);
        assert_int_equal(r->reason, rows[i].reason);
        assert_int_equal(r->head.upgrade_websocket, rows[i].reason == REASON_NONE);
        assert_false(r->head.keep_alive || r->head.interim);
        assert_int_equal(r->head.framing, FRAMING_NONE);
        heads_free_response(r);
    }
}

/* --- the second opinion */

static const char long_request[] =
    "POST /a?b=c HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nA:\r\nB: \t\r\nC: c c \t \r\n"
    "Connection: keep-alive, x\r\nUpgrade: h2c\r\nProxy-Connection: close\r\n\r\n";

static void test_both_depths_of_the_second_opinion_agree_with_validate(void **state)
{
    (void)state;
    struct request *r = heads_parse(long_request);
    assert_int_equal(r->reason, REASON_NONE);
    assert_true(second_whole_request(&r->head));
    heads_free_request(r);
    struct response *s = heads_response(
        SLICE("HTTP/1.1 200\r\nA:\r\nB: b \r\nContent-Length: 5\r\n\r\n"), METHOD_GET, false);
    assert_int_equal(s->reason, REASON_NONE);
    assert_true(second_framing_response(&s->head));
    assert_true(second_whole_response(&s->head));
    heads_free_response(s);
}

/* validate cannot be made to err here, so its result is spoilt by hand. */
static void test_the_second_opinion_finds_a_spoilt_head(void **state)
{
    (void)state;
    struct request *r = heads_parse(long_request);
    struct request_head h = r->head;
    h.content_length = 6;
    assert_false(second_whole_request(&h));
    assert_false(second_whole_request(&h));
    h = r->head;
    h.framing = FRAMING_CHUNKED;
    assert_false(second_whole_request(&h));
    h.framing = FRAMING_NONE;
    assert_false(second_whole_request(&h));
    h = r->head;
    h.fields.count--;
    assert_false(second_whole_request(&h));
    h = r->head;
    h.target.n--;
    assert_false(second_whole_request(&h));
    h = r->head;
    h.version = HTTP_1_0;
    assert_false(second_whole_request(&h));
    r->fields[5].value.n--;
    assert_false(second_whole_request(&r->head));
    r->fields[5].value.n++;
    r->fields[4].name.p++;
    assert_false(second_whole_request(&r->head));
    heads_free_request(r);
}

/* As h2_session writes heads down. */
static const char *const written[] = {
    "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /a?b=c HTTP/1.1\r\nHost: a\r\nx:  \r\ncontent-length: 5\r\nc: c c\r\n\r\n",
    "PUT /a HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n",
    "BREW /a HTTP/1.1\r\nHost: a\r\nx: y\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
};

/* Each way in which what was understood can differ from the text; false: none is left. */
static bool spoil(struct request *r, unsigned way)
{
    struct request_head *h = &r->head;
    struct field *last = &r->fields[h->fields.count - 1];
    switch (way) {
    case 0:
        h->content_length++;
        h->framing = FRAMING_LENGTH;
        return true;
    case 1:
        h->framing = h->framing == FRAMING_CHUNKED ? FRAMING_NONE : FRAMING_CHUNKED;
        return true;
    case 2:
        h->fields.count--;
        return true;
    case 3:
        h->target.n--;
        return true;
    case 4:
        h->target = slice_from(h->target, 1);
        return true;
    case 5:
        h->version = HTTP_1_0;
        return true;
    case 6:
        last->value.n--;
        return true;
    case 7:
        last->name = slice_from(last->name, 1);
        return true;
    case 8:
        last->value = slice_from(last->value, 1);
        return true;
    default:
        return false;
    }
}

static void test_a_written_head_is_believed_as_it_is_written_and_no_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(written); i++) {
        unsigned way = 0;
        for (bool more = true; more; way++) {
            struct request *r = heads_parse(written[i]);
            assert_int_equal(r->reason, REASON_NONE);
            assert_true(second_written_request(&r->head));
            more = spoil(r, way);
            if (more && second_written_request(&r->head))
                fail_msg("%s: spoilt in way %u and believed", written[i], way);
            heads_free_request(r);
        }
    }
}

/* What no writer of ours would write is http-parser's to judge. */
static void test_a_written_head_that_is_odd_gets_the_whole_second_opinion(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "POST / HTTP/1.1\r\nHost:a\r\nContent-Length: 5\t\r\n\r\n",
        "POST / HTTP/1.1\r\nHost:a\r\nContent-Length:\t5\t\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\t\r\nB: b\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding2: b\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request *r = heads_parse(rows[i]);
        assert_int_equal(r->reason, REASON_PARSERS_DISAGREE);
        assert_false(second_written_request(&r->head));
        heads_free_request(r);
    }
    struct request *r = heads_parse(long_request);
    assert_true(second_written_request(&r->head));
    heads_free_request(r);
}

/* It forgets the `chunked` before it. */
static void test_a_name_that_http_parser_takes_for_a_coding_is_400(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        bool accepted;
    } rows[] = {
        {"Transfer-Encoding-Id: 1", false}, {"transfer-encodingX:", false},
        {"TRANSFER-ENCODING_: chunked", false}, {"Transfer-Encodin: 1", true},
        {"X-Transfer-Encoding: chunked", true}, {"Transfer-Encoder: 1", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[128];
        snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n%s\r\n\r\n",
                 rows[i].line);
        struct request *r = heads_parse(text);
        if ((r->reason == REASON_NONE) != rows[i].accepted)
            fail_msg("%s: %d", rows[i].line, r->reason);
        heads_free_request(r);
    }
}

static void test_the_second_opinion_finds_framing_where_none_was_seen(void **state)
{
    (void)state;
    struct request *r = heads_parse("POST / HTTP/1.1\r\nHost: a\r\n\r\n");
    r->head.framing = FRAMING_CHUNKED;
    assert_false(second_whole_request(&r->head));
    heads_free_request(r);
    struct response *s = heads_response(SLICE("HTTP/1.1 200 OK\r\n\r\n"), METHOD_GET, false);
    s->head.framing = FRAMING_LENGTH;
    assert_false(second_framing_response(&s->head));
    heads_free_response(s);
}

/* A tab behind the value is legal (RFC 9110 5.5), but http-parser reads on: not our risk to take.
 */
static void test_what_http_parser_reads_otherwise_is_400(void **state)
{
    (void)state;
    static const char *const rows[] = {"Content-Length: 5\t", "Transfer-Encoding: chunked\t"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[128];
        snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", rows[i]);
        struct request *r = heads_parse(text);
        assert_int_equal(r->reason, REASON_PARSERS_DISAGREE);
        assert_int_equal(status_of(r->reason), 400);
        heads_free_request(r);
        int n = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n%s\r\n\r\n", rows[i]);
        struct response *s = heads_response(slice_of(text, (size_t)n), METHOD_GET, false);
        assert_int_equal(s->reason, REASON_BAD_RESPONSE_FRAMING);
        heads_free_response(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_head_is_found_however_the_bytes_are_cut),
        cmocka_unit_test(test_what_cannot_become_a_head_is_refused_at_once),
        cmocka_unit_test(test_a_request_line_is_as_long_as_the_limit_and_no_longer),
        cmocka_unit_test(test_a_field_line_is_as_long_as_the_limit_and_no_longer),
        cmocka_unit_test(test_a_request_head_is_as_large_as_the_limit_and_no_larger),
        cmocka_unit_test(test_a_head_has_as_many_fields_as_the_limit_and_no_more),
        cmocka_unit_test(test_a_response_head_is_as_large_as_the_limit_and_no_larger),
        cmocka_unit_test(test_an_endless_line_is_refused_before_it_ends),
        cmocka_unit_test(test_a_head_beyond_the_default_limits_of_http_parser_is_read),
        cmocka_unit_test(test_an_origin_form_request_is_told_in_spans),
        cmocka_unit_test(test_targets_of_every_form),
        cmocka_unit_test(test_methods_are_known_by_their_exact_name),
        cmocka_unit_test(test_the_framing_of_a_request),
        cmocka_unit_test(test_keep_alive_follows_version_and_connection),
        cmocka_unit_test(test_expect_counts_on_1_1_with_a_body_only),
        cmocka_unit_test(test_an_upgrade_is_a_get_to_websocket_without_a_body),
        cmocka_unit_test(test_names_that_only_tenbin_may_send_are_marked),
        cmocka_unit_test(test_the_framing_of_a_response),
        cmocka_unit_test(test_bad_responses_are_502),
        cmocka_unit_test(test_a_101_must_be_the_upgrade_that_was_asked_for),
        cmocka_unit_test(test_both_depths_of_the_second_opinion_agree_with_validate),
        cmocka_unit_test(test_the_second_opinion_finds_a_spoilt_head),
        cmocka_unit_test(test_what_http_parser_reads_otherwise_is_400),
        cmocka_unit_test(test_a_written_head_is_believed_as_it_is_written_and_no_other),
        cmocka_unit_test(test_a_written_head_that_is_odd_gets_the_whole_second_opinion),
        cmocka_unit_test(test_a_name_that_http_parser_takes_for_a_coding_is_400),
        cmocka_unit_test(test_the_second_opinion_finds_framing_where_none_was_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
