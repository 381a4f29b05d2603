#include "http/h1_writer.h"

#include "heads.h"

static void test_a_write_that_does_not_fit_is_left_out_and_remembered(void **state)
{
    (void)state;
    char *to = malloc(8);
    struct h1_writer w;
    size_t n;
    h1_writer_init(&w, to, 8);
    H1_WRITER_LIT(&w, "12345678");
    assert_int_equal(h1_writer_end(&w, &n), OK);
    assert_int_equal(n, 8);
    H1_WRITER_LIT(&w, "9");
    assert_int_equal(h1_writer_end(&w, &n), ERR_LIMIT);
    assert_int_equal(n, 8);
    assert_null(h1_writer_reserve(&w, 1));
    h1_writer_init(&w, to, 8);
    assert_non_null(h1_writer_reserve(&w, 8));
    assert_null(h1_writer_reserve(&w, 9));
    assert_int_equal(h1_writer_end(&w, &n), ERR_LIMIT);
    free(to);
}

static void test_lines_are_written_as_rfc_9112_says(void **state)
{
    (void)state;
    char to[256];
    struct h1_writer w;
    size_t n;
    h1_writer_init(&w, to, sizeof(to));
    h1_writer_status_line(&w, 404, slice_of(NULL, 0));
    h1_writer_status_line(&w, 200, SLICE("Fine"));
    h1_writer_field(&w, SLICE("A"), SLICE("b c"));
    h1_writer_field(&w, SLICE("Empty"), slice_of(NULL, 0));
    h1_writer_u64(&w, UINT64_MAX);
    assert_int_equal(h1_writer_end(&w, &n), OK);
    assert_slice(slice_of(to, n), "HTTP/1.1 404 Not Found\r\nHTTP/1.1 200 Fine\r\nA: b c\r\n"
                                  "Empty: \r\n18446744073709551615");
}

static void test_chunk_framing(void **state)
{
    (void)state;
    char head[H1_CHUNK_HEAD_MAX], to[64];
    assert_slice(slice_of(head, h1_writer_chunk_head(head, 1)), "1\r\n");
    assert_slice(slice_of(head, h1_writer_chunk_head(head, 8000)), "1f40\r\n");
    assert_slice(slice_of(head, h1_writer_chunk_head(head, UINT64_MAX)), "ffffffffffffffff\r\n");

    struct field at[2] = {{.name = SLICE("A"), .value = SLICE("1")},
                          {.name = SLICE("B"), .value = SLICE("2")}};
    struct fields trailers = {.at = at, .count = 2, .cap = 2};
    struct h1_writer w;
    size_t n;
    h1_writer_init(&w, to, sizeof(to));
    h1_writer_last_chunk(&w, NULL);
    h1_writer_last_chunk(&w, &trailers);
    assert_int_equal(h1_writer_end(&w, &n), OK);
    assert_slice(slice_of(to, n), "0\r\n\r\n0\r\nA: 1\r\nB: 2\r\n\r\n");
}

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"

static void check_reply(const struct h1_reply *r, const char *expected)
{
    size_t need = strlen(expected), n;
    for (size_t cap = 0; cap < need; cap++) {
        char *to = malloc(cap ? cap : 1);
        assert_int_equal(h1_writer_reply(to, cap, r, &n), ERR_LIMIT);
        free(to);
    }
    char *to = malloc(need);
    assert_int_equal(h1_writer_reply(to, need, r, &n), OK);
    assert_slice(slice_of(to, n), expected);
    free(to);
}

static void test_a_reply_is_whole_and_fits_exactly(void **state)
{
    (void)state;
    struct field extra[] = {{.name = SLICE_INIT("Location"), .value = SLICE_INIT("/x")},
                            {.name = SLICE_INIT("Off"), .value = {"", 0}}};
    struct h1_reply r = {.status = 503,
                         .body = SLICE("sorry\n"),
                         .date = SLICE(DATE),
                         .method = METHOD_GET,
                         .client = HTTP_1_1};
    check_reply(
        &r, "HTTP/1.1 503 Service Unavailable\r\nDate: " DATE "\r\n"
            "Content-Type: text/plain\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsorry\n");
    r.keep_alive = true;
    r.content_type = SLICE("text/html");
    check_reply(&r, "HTTP/1.1 503 Service Unavailable\r\nDate: " DATE "\r\n"
                    "Content-Type: text/html\r\nContent-Length: 6\r\n\r\nsorry\n");
    r.client = HTTP_1_0;
    r.method = METHOD_HEAD;
    check_reply(&r,
                "HTTP/1.1 503 Service Unavailable\r\nDate: " DATE "\r\nContent-Type: text/html\r\n"
                "Content-Length: 6\r\nConnection: keep-alive\r\n\r\n");
    r = (struct h1_reply){.status = 301,
                          .date = SLICE(DATE),
                          .fields = extra,
                          .field_count = 2,
                          .method = METHOD_GET,
                          .client = HTTP_1_1,
                          .keep_alive = true};
    check_reply(&r, "HTTP/1.1 301 Moved Permanently\r\nDate: " DATE
                    "\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n");
    r.status = 204;
    r.body = SLICE("never sent");
    check_reply(&r, "HTTP/1.1 204 No Content\r\nDate: " DATE "\r\nLocation: /x\r\n\r\n");
}

static void test_a_reply_is_what_our_own_parser_accepts(void **state)
{
    (void)state;
    for (unsigned reason = 1; reason < REASON_COUNT; reason++) {
        unsigned status = status_of(reason);
        if (!status)
            continue;
        char body[H1_ERROR_BODY_MAX], to[1024];
        size_t n, body_n = h1_writer_error_body(body, status, reason);
        struct h1_reply r = {.status = status,
                             .body = slice_of(body, body_n),
                             .date = SLICE(DATE),
                             .method = METHOD_GET,
                             .client = HTTP_1_1};
        assert_int_equal(h1_writer_reply(to, sizeof(to), &r, &n), OK);
        struct response *p = heads_response(slice_of(to, n - body_n), METHOD_GET, false);
        assert_int_equal(p->reason, REASON_NONE);
        assert_int_equal(p->head.status, status);
        assert_int_equal(p->head.content_length, body_n);
        heads_free_response(p);
    }
}

static void test_an_error_body_names_status_and_cause(void **state)
{
    (void)state;
    char body[H1_ERROR_BODY_MAX];
    assert_slice(slice_of(body, h1_writer_error_body(body, 502, REASON_TARGET_REFUSED)),
                 "502 Bad Gateway\nThe target refused the connection.\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_write_that_does_not_fit_is_left_out_and_remembered),
        cmocka_unit_test(test_lines_are_written_as_rfc_9112_says),
        cmocka_unit_test(test_chunk_framing),
        cmocka_unit_test(test_a_reply_is_whole_and_fits_exactly),
        cmocka_unit_test(test_a_reply_is_what_our_own_parser_accepts),
        cmocka_unit_test(test_an_error_body_names_status_and_cause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
