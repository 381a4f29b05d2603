#include "http/chunked.h"

#include "heads.h"
#include "http/validate.h"

struct body {
    enum chunked_event end; /* END, BAD, TRAILERS_TOO_LARGE, or MORE when the bytes ran out */
    char data[8192];
    size_t n;
    char trailers[16384];
    size_t trailers_n;
    size_t consumed;
};

/* Hands the bytes over in pieces of `step` octets after a first one of `first`, as a connection
 * does: what was not consumed comes again with the next piece. */
static struct body read_body(struct slice in, size_t first, size_t step, size_t room,
                             const struct limits *limits)
{
    struct body b = {.end = CHUNKED_MORE};
    struct chunked c;
    chunked_init(&c);
    for (size_t have = first; b.end == CHUNKED_MORE; have += step) {
        size_t upto = have < in.n ? have : in.n;
        struct chunked_step s;
        do {
            char *bytes = heads_copy(slice_of(in.p + b.consumed, upto - b.consumed));
            s = chunked_scan(&c, slice_of(bytes, upto - b.consumed), room, limits);
            assert_true(s.consumed <= upto - b.consumed);
            if (s.event == CHUNKED_DATA) {
                assert_true(s.data.n > 0 && s.data.n <= room);
                memcpy(b.data + b.n, s.data.p, s.data.n);
                b.n += s.data.n;
            }
            if (s.event == CHUNKED_END) {
                memcpy(b.trailers, s.data.p, s.data.n);
                b.trailers_n = s.data.n;
            }
            b.consumed += s.consumed;
            free(bytes);
        } while (s.event == CHUNKED_DATA);
        assert_int_not_equal(s.event, CHUNKED_FULL);
        b.end = s.event;
        if (have >= in.n)
            break;
    }
    return b;
}

static struct body read_whole(struct slice in)
{
    return read_body(in, in.n, 1, SIZE_MAX, &heads_limits);
}

static const char *const good[][3] = {
    /* on the wire, data, trailers */
    {"0\r\n\r\n", "", ""},
    {"5\r\nhello\r\n0\r\n\r\n", "hello", ""},
    {"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world", ""},
    {"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", ""},
    {"0000000000000003\r\nabc\r\n000\r\n\r\n", "abc", ""},
    {"3;x\r\nabc\r\n0;last\r\n\r\n", "abc", ""},
    {"3;x=1; y=\"a;b c\"\t\r\nabc\r\n0\r\n\r\n", "abc", ""},
    {"2\r\n\r\n\r\n0\r\n\r\n", "\r\n", ""},
    {"3\r\na\r\n\r\n0\r\nX: y\r\n\r\n", "a\r\n", "X: y\r\n"},
    {"0\r\nA: 1\r\nB: 2\r\n\r\n", "", "A: 1\r\nB: 2\r\n"},
};

static void test_data_and_trailers_are_the_same_however_the_bytes_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        char wire[256];
        int n = snprintf(wire, sizeof(wire), "%sGET /next", good[i][0]);
        struct slice in = slice_of(wire, (size_t)n);
        for (size_t first = 0; first <= in.n; first++)
            for (size_t step = 1; step <= 3; step++) {
                struct body b = read_body(in, first, step, SIZE_MAX, &heads_limits);
                assert_int_equal(b.end, CHUNKED_END);
                assert_slice(slice_of(b.data, b.n), good[i][1]);
                assert_slice(slice_of(b.trailers, b.trailers_n), good[i][2]);
                assert_int_equal(b.consumed, strlen(good[i][0]));
            }
    }
}

static void test_a_body_without_its_end_is_never_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        for (size_t n = 0; n < strlen(good[i][0]); n++)
            assert_int_equal(read_whole(slice_of(good[i][0], n)).end, CHUNKED_MORE);
}

static void test_malformed_framing_is_refused_however_the_bytes_are_cut(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "\r\n",
        "\n",
        " 5\r\nhello",
        "5 \r\nhello",
        "5\t\r\nhello",
        "+5\r\nhello",
        "-5\r\nhello",
        "0x5\r\nhello",
        "5h\r\n",
        "g\r\n",
        "5\rX",
        "5\r\r\n",
        "5\nhello",
        "3\rXabc",
        ";x\r\n",
        "5 ;x\r\n",
        "5;x\ny\r\n",
        "5;x\x01\r\n",
        "5;\x7f\r\n",
        "5;\x80\r\n",
        "00000000000000001\r\n",
        "10000000000000000\r\n",
        "ffffffffffffffff0\r\n",
        "5\r\nhelloX",
        "5\r\nhello\n",
        "5\r\nhello\rX",
        "5\r\nhello\r\r",
        "5\r\nhello0\r\n",
        "5\r\nhello\r\n\r\n",
        "0\r\n\n",
        "0\r\nA: b\n",
        "0\r\nA: b\r\n\n",
        "0\n\r\n",
        "\"5\"\r\n",
        "5,5\r\n",
        "5.\r\n",
        "5_\r\n",
        "_5\r\n",
        "0X5\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice in = slice_str(rows[i]);
        for (size_t first = 0; first <= in.n; first++)
            if (read_body(in, first, 1, SIZE_MAX, &heads_limits).end != CHUNKED_BAD)
                fail_msg("row %zu \"%s\" cut at %zu", i, rows[i], first);
    }
    assert_int_equal(read_whole(SLICE("5\0\r\nhello")).end, CHUNKED_BAD);
    assert_int_equal(read_whole(SLICE("5;\0\r\nhello")).end, CHUNKED_BAD);
}

static void test_the_largest_size_counts_to_its_end(void **state)
{
    (void)state;
    struct chunked c;
    chunked_init(&c);
    struct chunked_step s =
        chunked_scan(&c, SLICE("ffffffffffffffff\r\nab"), SIZE_MAX, &heads_limits);
    assert_int_equal(s.event, CHUNKED_DATA);
    assert_int_equal(s.data.n, 2);
    assert_true(c.left == UINT64_MAX - 2);
}

static void test_room_bounds_each_slice_and_none_stops(void **state)
{
    (void)state;
    struct chunked c;
    chunked_init(&c);
    struct slice in = SLICE("5\r\nhello\r\n0\r\n\r\n");
    struct chunked_step s = chunked_scan(&c, in, 2, &heads_limits);
    assert_int_equal(s.event, CHUNKED_DATA);
    assert_slice(s.data, "he");
    assert_int_equal(s.consumed, 5);
    in = slice_from(in, s.consumed);
    s = chunked_scan(&c, in, 0, &heads_limits);
    assert_int_equal(s.event, CHUNKED_FULL);
    assert_int_equal(s.consumed, 0);
    s = chunked_scan(&c, in, 100, &heads_limits);
    assert_slice(s.data, "llo");
    in = slice_from(in, s.consumed);
    assert_int_equal(chunked_scan(&c, in, 0, &heads_limits).event, CHUNKED_END);
    struct body b = read_body(SLICE("5\r\nhello\r\n0\r\n\r\n"), 15, 1, 1, &heads_limits);
    assert_slice(slice_of(b.data, b.n), "hello");
}

static enum chunked_event with_chunk_line(size_t octets)
{
    char in[512];
    memset(in, 'x', sizeof(in));
    memcpy(in, "1;", 2);
    memcpy(in + octets, "\r\na\r\n0\r\n\r\n", 10);
    enum chunked_event whole = read_whole(slice_of(in, octets + 10)).end;
    assert_int_equal(read_body(slice_of(in, octets + 10), 0, 1, 9, &heads_limits).end, whole);
    return whole;
}

static void test_a_size_line_is_as_long_as_the_limit_and_no_longer(void **state)
{
    (void)state;
    assert_int_equal(with_chunk_line(heads_limits.chunk_line), CHUNKED_END);
    assert_int_equal(with_chunk_line(heads_limits.chunk_line + 1), CHUNKED_BAD);
}

/* Two lines whose octets without CRLF are `octets`. */
static enum chunked_event with_trailers(size_t octets, size_t step)
{
    char in[16384];
    memset(in, 'x', sizeof(in));
    memcpy(in, "0\r\nA: b\r\nC:", 11);
    memcpy(in + 3 + 2 + octets, "\r\n\r\n", 4);
    return read_body(slice_of(in, 3 + 2 + octets + 4), 3, step, 9, &heads_limits).end;
}

static void test_trailers_are_as_large_as_the_limit_and_no_larger(void **state)
{
    (void)state;
    uint32_t limit = heads_limits.trailers;
    for (size_t step = 1; step < 20000; step *= 7) {
        assert_int_equal(with_trailers(limit, step), CHUNKED_END);
        assert_int_equal(with_trailers(limit + 1, step), CHUNKED_TRAILERS_TOO_LARGE);
    }
}

static enum chunked_event with_trailer_lines(size_t lines)
{
    char in[4096] = "0\r\n";
    struct limits limits = LIMITS_DEFAULT;
    limits.headers = 10;
    for (size_t i = 0; i < lines; i++)
        memcpy(in + strlen(in), "A: b\r\n", 7);
    memcpy(in + strlen(in), "\r\n", 3);
    return read_body(slice_str(in), 0, 5, 9, &limits).end;
}

static void test_trailers_have_as_many_lines_as_a_head_and_no_more(void **state)
{
    (void)state;
    assert_int_equal(with_trailer_lines(10), CHUNKED_END);
    assert_int_equal(with_trailer_lines(11), CHUNKED_TRAILERS_TOO_LARGE);
}

static void test_endless_trailers_are_refused_before_they_are_whole(void **state)
{
    (void)state;
    char in[16384];
    memset(in, 'x', sizeof(in));
    memcpy(in, "0\r\n", 3);
    size_t most = 3 + heads_limits.trailers;
    assert_int_equal(read_whole(slice_of(in, most)).end, CHUNKED_MORE);
    assert_int_equal(read_whole(slice_of(in, most + 1)).end, CHUNKED_TRAILERS_TOO_LARGE);
}

static enum reason trailers(struct slice raw, struct fields *to)
{
    static struct field at[HEADS_FIELDS];
    fields_init(to, at, HEADS_FIELDS);
    char *bytes = heads_copy(raw);
    enum reason r = validate_trailers(slice_of(bytes, raw.n), &heads_limits, to);
    free(bytes);
    return r;
}

static void test_fields_that_belong_in_a_head_are_left_out_of_trailers(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "Authorization",
        "Cookie",
        "Set-Cookie",
        "Content-Type",
        "Content-Range",
        "Content-Encoding",
        "TE",
        "Trailer",
        "Connection",
        "Upgrade",
        "Expect",
        "Cache-Control",
        "Max-Forwards",
        "If-Match",
        "Range",
        "Date",
        "Location",
        "Proxy-Authorization",
        "WWW-Authenticate",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Amzn-Trace-Id",
        "X-Amzn-Mtls-Clientcert",
        "X_Forwarded_For",
        "traceparent",
        "Age",
        "Vary",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char raw[128];
        struct fields f;
        int n = snprintf(raw, sizeof(raw), "X-Sum: 1\r\n%s: v\r\nGrpc-Status: 0\r\n", rows[i]);
        assert_int_equal(trailers(slice_of(raw, (size_t)n), &f), REASON_NONE);
        if (f.count != 2)
            fail_msg("%s was kept", rows[i]);
        assert_false(fields_has(&f, FIELD_CONTENT_LENGTH));
    }
    struct fields none;
    assert_int_equal(trailers(SLICE("Host: a\r\n"), &none), REASON_NONE);
    assert_int_equal(none.count, 0);
    assert_int_equal(trailers(SLICE(""), &none), REASON_NONE);
}

static void test_malformed_trailers_are_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "A\r\n",          "A b: c\r\n",
        "A : b\r\n",      " A: b\r\n",
        ": b\r\n",        "A: b",
        "A: b\n",         "A: b\rc\r\n",
        "A: b\r\n c\r\n", "A: b\x01\r\n",
        "\r\n",           "A: b\r\n\r\n",
        "A: b\r",         "Content_Length: 5\r\n",
    };
    struct fields f;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (trailers(slice_str(rows[i]), &f) != REASON_BAD_TRAILER)
            fail_msg("row %zu \"%s\"", i, rows[i]);
    assert_int_equal(trailers(SLICE("A: b\0c\r\n"), &f), REASON_BAD_TRAILER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_and_trailers_are_the_same_however_the_bytes_are_cut),
        cmocka_unit_test(test_a_body_without_its_end_is_never_whole),
        cmocka_unit_test(test_malformed_framing_is_refused_however_the_bytes_are_cut),
        cmocka_unit_test(test_the_largest_size_counts_to_its_end),
        cmocka_unit_test(test_room_bounds_each_slice_and_none_stops),
        cmocka_unit_test(test_a_size_line_is_as_long_as_the_limit_and_no_longer),
        cmocka_unit_test(test_trailers_are_as_large_as_the_limit_and_no_larger),
        cmocka_unit_test(test_trailers_have_as_many_lines_as_a_head_and_no_more),
        cmocka_unit_test(test_endless_trailers_are_refused_before_they_are_whole),
        cmocka_unit_test(test_fields_that_belong_in_a_head_are_left_out_of_trailers),
        cmocka_unit_test(test_malformed_trailers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
