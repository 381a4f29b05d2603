#include "http/forward.h"

#include "base/text.h"
#include "heads.h"

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"

struct answer {
    const char *in;
    enum method_id method;
    enum http_version client;
    bool keep_alive;
    bool upgrade;
    const char *out;
};

static const struct field *overrides;
static uint32_t override_count;
static const struct field *added;
static uint32_t added_count;

static uint64_t mask_of_overrides(void)
{
    uint64_t mask = 0;
    for (uint32_t i = 0; i < override_count; i++)
        mask |= FIELD_BIT(overrides[i].id);
    return mask;
}

/* What a wire without text gets is what HTTP/1.1 clients get, but for framing and connection. */
static void check_fields(const struct response *r, const struct forward_response *c,
                         const char *text)
{
    char length[TEXT_U64_MAX];
    struct field fields[HEADS_FIELDS];
    uint32_t n, i = 0;
    assert_int_equal(forward_response_fields(&r->head, c, length, fields, HEADS_FIELDS, &n), OK);
    assert_true(n <= r->head.fields.count + c->override_count + c->added_count + 2);
    struct slice rest = slice_str(strchr(text, '\n') + 1);
    while (rest.n > 2) {
        struct slice line = slice_upto(rest, slice_find(rest, '\r', 0));
        struct slice name = slice_upto(line, slice_find(line, ':', 0));
        enum field_id id = fields_id(name);
        rest = slice_from(rest, line.n + 2);
        if (id == FIELD_CONNECTION || id == FIELD_TRANSFER_ENCODING || id == FIELD_UPGRADE)
            continue;
        assert_true(i < n && slice_ieq(fields[i].name, name));
        assert_true(slice_eq(fields[i++].value, slice_trim(slice_from(line, name.n + 1))));
    }
    assert_int_equal(i, n);
    for (uint32_t less = 0; less < n; less++)
        assert_int_equal(forward_response_fields(&r->head, c, length, fields, less, &i), ERR_LIMIT);
}

static void check(const struct answer *a)
{
    struct response *r = heads_response(slice_str(a->in), a->method, a->upgrade);
    if (r->reason)
        fail_msg("\"%s\": %s", a->in, status_reason_name(r->reason));
    struct forward_response c = {
        .client = a->client,
        .framing = forward_response_framing(&r->head, a->client),
        .keep_alive = a->keep_alive,
        .date = SLICE(DATE),
        .overrides = overrides,
        .override_count = override_count,
        .override_mask = mask_of_overrides(),
        .added = added,
        .added_count = added_count,
    };
    size_t need = strlen(a->out);
    struct forwarded out;
    char *to = malloc(need);
    assert_int_equal(forward_response(&r->head, &c, to, need, &out), OK);
    assert_slice(slice_of(to, out.n), a->out);
    free(to);
    if (a->client == HTTP_1_1)
        check_fields(r, &c, a->out);
    if (!override_count && !added_count)
        assert_true(need <= r->head.raw.n + FORWARD_RESPONSE_EXTRA);
    for (size_t less = 0; less < need; less += 5) {
        to = malloc(less ? less : 1);
        assert_int_equal(forward_response(&r->head, &c, to, less, &out), ERR_LIMIT);
        free(to);
    }
    heads_free_response(r);
}

static void check_all(const struct answer *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check(&rows[i]);
}

static void test_untouched_lines_go_on_as_they_came(void **state)
{
    (void)state;
    static const struct answer rows[] = {
        {"HTTP/1.1 200 OK\r\nserver:  a \r\nContent-Length: 5\r\nDate: then\r\nSet-Cookie: a\r\n"
         "Set-Cookie: b\r\n\r\n",
         METHOD_GET, HTTP_1_1, true, false,
         "HTTP/1.1 200 OK\r\nserver:  a \r\nContent-Length: 5\r\nDate: then\r\nSet-Cookie: a\r\n"
         "Set-Cookie: b\r\n\r\n"},
        {"HTTP/1.1 299 any thing\r\nContent-Length: 0\r\n\r\n", METHOD_GET, HTTP_1_1, true, false,
         "HTTP/1.1 299 any thing\r\nContent-Length: 0\r\nDate: " DATE "\r\n\r\n"},
    };
    check_all(rows, ARRAY_LEN(rows));
}

/* Beside those of the same name, on 101 too, but not on other interim heads. */
static void test_lines_may_be_added(void **state)
{
    (void)state;
    static const struct field lines[] = {{SLICE_INIT("Set-Cookie"), SLICE_INIT("x=1"), 0, false},
                                         {SLICE_INIT("Set-Cookie"), SLICE_INIT("y=2"), 0, false}};
    static const struct answer rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: d\r\nSet-Cookie: a\r\n\r\n", METHOD_GET,
         HTTP_1_1, true, false,
         "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: d\r\nSet-Cookie: a\r\nSet-Cookie: x=1\r\n"
         "Set-Cookie: y=2\r\n\r\n"},
        {"HTTP/1.1 101 Go\r\nDate: d\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
         METHOD_GET, HTTP_1_1, true, true,
         "HTTP/1.1 101 Go\r\nDate: d\r\nSet-Cookie: x=1\r\nSet-Cookie: y=2\r\n"
         "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"},
        {"HTTP/1.1 103 Early\r\nLink: l\r\n\r\n", METHOD_GET, HTTP_1_1, true, false,
         "HTTP/1.1 103 Early\r\nLink: l\r\n\r\n"},
    };
    added = lines;
    added_count = 2;
    check_all(rows, ARRAY_LEN(rows));
    added_count = 0;
}

static void test_the_status_line_is_that_of_http_1_1(void **state)
{
    (void)state;
    static const struct answer rows[] = {
        {"HTTP/1.0 404 Gone fishing\r\nContent-Length: 0\r\n\r\n", METHOD_GET, HTTP_1_1, true,
         false, "HTTP/1.1 404 Gone fishing\r\nContent-Length: 0\r\nDate: " DATE "\r\n\r\n"},
        {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", METHOD_GET, HTTP_1_1, true, false,
         "HTTP/1.1 200 \r\nContent-Length: 0\r\nDate: " DATE "\r\n\r\n"},
        {"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", METHOD_GET, HTTP_1_1, true, false,
         "HTTP/1.1 200 \r\nContent-Length: 0\r\nDate: " DATE "\r\n\r\n"},
        {"HTTP/1.0 200\r\n\r\n", METHOD_HEAD, HTTP_1_1, true, false,
         "HTTP/1.1 200 \r\nDate: " DATE "\r\n\r\n"},
    };
    check_all(rows, ARRAY_LEN(rows));
}

static void test_hop_by_hop_fields_and_those_connection_names_are_removed(void **state)
{
    (void)state;
    static const struct answer rows[] = {
        {"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Mine\r\nKeep-Alive: 5\r\nX-Mine: a\r\n"
         "Proxy-Authenticate: b\r\nUpgrade: h2c\r\nContent-Length: 0\r\nTrailer: c\r\nDate: "
         "d\r\n\r\n",
         METHOD_GET, HTTP_1_1, true, false,
         "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: d\r\n\r\n"},
        {"HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 5\r\nDate: d\r\n\r\n",
         METHOD_GET, HTTP_1_1, true, false,
         "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: d\r\n\r\n"},
    };
    check_all(rows, ARRAY_LEN(rows));
}

static void test_the_framing_suits_the_client(void **state)
{
    (void)state;
    static const struct answer rows[] = {
        {"HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: Chunked\r\nTrailer: x\r\n\r\n",
         METHOD_GET, HTTP_1_1, true, false,
         "HTTP/1.1 200 OK\r\nDate: d\r\nTrailer: x\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {"HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n",
         METHOD_GET, HTTP_1_0, false, false,
         "HTTP/1.1 200 OK\r\nDate: d\r\nConnection: close\r\n\r\n"},
        {"HTTP/1.1 200 OK\r\nDate: d\r\n\r\n", METHOD_GET, HTTP_1_1, true, false,
         "HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {"HTTP/1.0 200 OK\r\nDate: d\r\n\r\n", METHOD_GET, HTTP_1_1, false, false,
         "HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"},
        {"HTTP/1.1 200 OK\r\nDate: d\r\n\r\n", METHOD_GET, HTTP_1_0, false, false,
         "HTTP/1.1 200 OK\r\nDate: d\r\nConnection: close\r\n\r\n"},
        {"HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 0005\r\n\r\n", METHOD_GET, HTTP_1_0, true,
         false,
         "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n"},
    };
    check_all(rows, ARRAY_LEN(rows));
}

static void test_a_length_is_said_without_a_body_only_where_it_may_be(void **state)
{
    (void)state;
    static const struct answer rows[] = {
        {"HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 5\r\n\r\n", METHOD_HEAD, HTTP_1_1, true,
         false, "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 5\r\n\r\n"},
        {"HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n", METHOD_HEAD, HTTP_1_1,
         true, false, "HTTP/1.1 200 OK\r\nDate: d\r\n\r\n"},
        {"HTTP/1.1 304 Not Modified\r\nDate: d\r\nContent-Length: 05\r\n\r\n", METHOD_GET, HTTP_1_1,
         true, false, "HTTP/1.1 304 Not Modified\r\nDate: d\r\nContent-Length: 5\r\n\r\n"},
        {"HTTP/1.1 204 No Content\r\nDate: d\r\nContent-Length: 0\r\n\r\n", METHOD_GET, HTTP_1_1,
         true, false, "HTTP/1.1 204 No Content\r\nDate: d\r\n\r\n"},
    };
    check_all(rows, ARRAY_LEN(rows));
}

static void test_interim_heads_gain_nothing(void **state)
{
    (void)state;
    static const struct answer rows[] = {
        {"HTTP/1.1 103 Early Hints\r\nLink: a\r\nConnection: b\r\nB: c\r\n\r\n", METHOD_GET,
         HTTP_1_1, false, false, "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"},
        {"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n", METHOD_POST, HTTP_1_1, false, false,
         "HTTP/1.1 100 Continue\r\n\r\n"},
    };
    check_all(rows, ARRAY_LEN(rows));
}

static void test_a_101_keeps_its_upgrade(void **state)
{
    (void)state;
    static const struct answer rows[] = {
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Accept: k\r\nContent-Length: 0\r\n\r\n",
         METHOD_GET, HTTP_1_1, false, true,
         "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: k\r\nDate: " DATE "\r\n"
         "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"},
    };
    check_all(rows, ARRAY_LEN(rows));
}

static void test_the_listeners_fields_replace_those_of_the_target(void **state)
{
    (void)state;
    static const struct field fields[] = {
        {SLICE_INIT("Server"), SLICE_INIT(""), FIELD_SERVER, false},
        {SLICE_INIT("Strict-Transport-Security"), SLICE_INIT("max-age=1"),
         FIELD_STRICT_TRANSPORT_SECURITY, false},
    };
    static const struct answer rows[] = {
        {"HTTP/1.1 500 Oops\r\nSERVER: a\r\nDate: d\r\nstrict-transport-security: x\r\n"
         "Strict-Transport-Security: y\r\nContent-Length: 0\r\n\r\n",
         METHOD_GET, HTTP_1_1, true, false,
         "HTTP/1.1 500 Oops\r\nDate: d\r\nContent-Length: 0\r\nStrict-Transport-Security: "
         "max-age=1\r\n"
         "\r\n"},
        {"HTTP/1.1 103 Early Hints\r\nServer: a\r\n\r\n", METHOD_GET, HTTP_1_1, true, false,
         "HTTP/1.1 103 Early Hints\r\nServer: a\r\n\r\n"},
    };
    overrides = fields;
    override_count = ARRAY_LEN(fields);
    check_all(rows, ARRAY_LEN(rows));
    overrides = NULL;
    override_count = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_untouched_lines_go_on_as_they_came),
        cmocka_unit_test(test_lines_may_be_added),
        cmocka_unit_test(test_the_status_line_is_that_of_http_1_1),
        cmocka_unit_test(test_hop_by_hop_fields_and_those_connection_names_are_removed),
        cmocka_unit_test(test_the_framing_suits_the_client),
        cmocka_unit_test(test_a_length_is_said_without_a_body_only_where_it_may_be),
        cmocka_unit_test(test_interim_heads_gain_nothing),
        cmocka_unit_test(test_a_101_keeps_its_upgrade),
        cmocka_unit_test(test_the_listeners_fields_replace_those_of_the_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
