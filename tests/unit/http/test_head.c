#include "heads.h"

#include "http/head.h"

static void check_same(struct slice a, struct slice b)
{
    assert_true(slice_eq(a, b));
    assert_int_equal(a.p == NULL, b.p == NULL);
}

/* Everything a head points at is moved and the old places are scribbled over. */
static void test_a_moved_request_says_the_same_without_its_old_bytes(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "GET /a?b HTTP/1.1\r\nHost: a.example\r\nX: y\r\n\r\n",
        "GET /a?b HTTP/1.1\r\nHost: A.Example:80\r\nX:\r\n\r\n",
        "GET http://B.c?d HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request *was = heads_parse(rows[i]), *now = heads_parse(rows[i]);
        assert_int_equal(now->reason, REASON_NONE);
        struct request_head *h = &now->head;
        char *raw = malloc(h->raw.n), space[HEAD_HOST_MAX];
        struct field *fields = calloc(h->fields.count + 1, sizeof(*fields));
        head_request_move(h, raw, fields, space);
        memset(now->bytes, '!', h->raw.n);
        memset(now->fields, 0xff, sizeof(now->fields));
        memset(now->host_space, '!', sizeof(now->host_space));

        const struct request_head *w = &was->head;
        check_same(h->raw, w->raw);
        check_same(h->method, w->method);
        check_same(h->target, w->target);
        check_same(h->scheme, w->scheme);
        check_same(h->authority, w->authority);
        check_same(h->path, w->path);
        check_same(h->query, w->query);
        check_same(h->host, w->host);
        check_same(h->host_norm, w->host_norm);
        assert_int_equal(h->fields.count, w->fields.count);
        assert_int_equal(h->fields.cap, w->fields.count);
        for (uint32_t f = 0; f < h->fields.count; f++) {
            check_same(h->fields.at[f].name, w->fields.at[f].name);
            check_same(h->fields.at[f].value, w->fields.at[f].value);
            assert_int_equal(h->fields.at[f].id, w->fields.at[f].id);
        }
        assert_ptr_equal(h->raw.p, raw);
        assert_ptr_equal(h->host_space, space);
        free(raw);
        free(fields);
        heads_free_request(was);
        heads_free_request(now);
    }
}

static void test_a_moved_response_says_the_same_without_its_old_bytes(void **state)
{
    (void)state;
    struct response *r =
        heads_response(SLICE("HTTP/1.1 404 Not Found\r\nServer: s\r\n\r\n"), METHOD_GET, false);
    char *raw = malloc(r->head.raw.n);
    struct field fields[1];
    head_response_move(&r->head, raw, fields);
    memset(r->bytes, '!', r->head.raw.n);
    assert_slice(r->head.reason, "Not Found");
    assert_slice(r->head.raw, "HTTP/1.1 404 Not Found\r\nServer: s\r\n\r\n");
    assert_slice(r->head.fields.at[0].name, "Server");
    assert_slice(r->head.fields.at[0].value, "s");
    free(raw);
    heads_free_response(r);
}

static void test_what_is_idempotent_may_be_sent_twice(void **state)
{
    (void)state;
    assert_true(head_idempotent(METHOD_GET) && head_idempotent(METHOD_HEAD) &&
                head_idempotent(METHOD_OPTIONS) && head_idempotent(METHOD_PUT) &&
                head_idempotent(METHOD_DELETE));
    assert_false(head_idempotent(METHOD_POST) || head_idempotent(METHOD_PATCH) ||
                 head_idempotent(METHOD_OTHER));
    assert_int_equal(head_method(SLICE("TRACE")), METHOD_TRACE);
    assert_int_equal(head_method(SLICE("CONNECT")), METHOD_CONNECT);
    assert_int_equal(head_method(SLICE("")), METHOD_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_moved_request_says_the_same_without_its_old_bytes),
        cmocka_unit_test(test_a_moved_response_says_the_same_without_its_old_bytes),
        cmocka_unit_test(test_what_is_idempotent_may_be_sent_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
