#include "http/validate.h"

#include "heads.h"

/* --- what is refused in every mode */

struct refusal {
    const char *raw;
    enum reason reason;
    unsigned status;
};

static const enum desync_mode modes[] = {DESYNC_MODE_MONITOR, DESYNC_MODE_DEFENSIVE,
                                         DESYNC_MODE_STRICTEST};

static void check_refusals(const struct refusal *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
            struct request *r = heads_request(slice_str(rows[i].raw), &heads_limits, modes[m]);
            if (r->reason != rows[i].reason)
                fail_msg("row %zu \"%s\": %s", i, rows[i].raw, status_reason_name(r->reason));
            assert_int_equal(status_of(r->reason), rows[i].status);
            heads_free_request(r);
        }
}

#define LINE "GET / HTTP/1.1\r\n"
#define HEAD LINE "Host: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"

static void test_malformed_request_lines_are_400(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {"\r\n\r\n", REASON_BAD_REQUEST_LINE, 400},
        {"GET\r\nHost: a\r\n\r\n", REASON_BAD_REQUEST_LINE, 400},
        {"GET \r\nHost: a\r\n\r\n", REASON_BAD_REQUEST_LINE, 400},
        {"GET /\r\nHost: a\r\n\r\n", REASON_BAD_REQUEST_LINE, 400},
        {"GET HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_REQUEST_LINE, 400},
        {"GET  HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_REQUEST_LINE, 400},
        {" GET / HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_REQUEST_LINE, 400},
        {"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_REQUEST_LINE, 400},
        {"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_REQUEST_LINE, 400},
        {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", REASON_BAD_REQUEST_LINE, 400},
        {"GET / HTTP/1.1\t\r\nHost: a\r\n\r\n", REASON_BAD_REQUEST_LINE, 400},
        {"GET / HTTP/1.1x\r\nHost: a\r\n\r\n", REASON_BAD_REQUEST_LINE, 400},
        {"GET / http/1.1\r\nHost: a\r\n\r\n", REASON_BAD_REQUEST_LINE, 400},
        {"GET / HTTP/\r\nHost: a\r\n\r\n", REASON_BAD_REQUEST_LINE, 400},
        {"GET / HTTP1.1\r\nHost: a\r\n\r\n", REASON_BAD_REQUEST_LINE, 400},
        {"GET / HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_REQUEST_LINE, 400},
        {"GET /?a HTTP/1.0 b HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_REQUEST_LINE, 400},
        {"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_METHOD, 400},
        {"G\x80T / HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_METHOD, 400},
        {"GET: / HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_METHOD, 400},
        {"(ET / HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_REQUEST_LINE, 400},
        {"GET / HTTP/1.1\nHost: a\r\n\r\n", REASON_BAD_LINE_END, 400},
        {"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_LINE_END, 400},
        {"GET /a\nb HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_LINE_END, 400},
        {"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", REASON_BAD_LINE_END, 400},
    };
    check_refusals(rows, ARRAY_LEN(rows));
}

static void test_versions_other_than_1_0_and_1_1_are_505(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {"GET / HTTP/0.9\r\nHost: a\r\n\r\n", REASON_BAD_VERSION, 505},
        {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", REASON_BAD_VERSION, 505},
        {"GET / HTTP/1.9\r\nHost: a\r\n\r\n", REASON_BAD_VERSION, 505},
        {"GET / HTTP/1.10\r\nHost: a\r\n\r\n", REASON_BAD_VERSION, 505},
        {"GET / HTTP/01.1\r\nHost: a\r\n\r\n", REASON_BAD_VERSION, 505},
        {"GET / HTTP/2\r\nHost: a\r\n\r\n", REASON_BAD_VERSION, 505},
        {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", REASON_BAD_VERSION, 505},
        {"PRI * HTTP/2.0\r\n\r\n", REASON_BAD_VERSION, 505},
    };
    check_refusals(rows, ARRAY_LEN(rows));
}

static void test_trace_and_connect_are_405(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", REASON_METHOD_NOT_ALLOWED, 405},
        {"TRACE / HTTP/1.0\r\n\r\n", REASON_METHOD_NOT_ALLOWED, 405},
        {"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", REASON_METHOD_NOT_ALLOWED, 405},
        {"CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", REASON_METHOD_NOT_ALLOWED, 405},
    };
    check_refusals(rows, ARRAY_LEN(rows));
}

static void test_malformed_targets_are_400(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_URI, 400},
        {"OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_URI, 400},
        {"GET a HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_URI, 400},
        {"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_URI, 400},
        {"GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_URI, 400},
        {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_URI, 400},
        {"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_URI, 400},
        {"GET /?a#b HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_URI, 400},
        {"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_URI, 400},
        {"GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_URI, 400},
        {"GET http:// HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_URI, 400},
        {"GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_URI, 400},
        {"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_URI, 400},
        {"GET http://a:b/ HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_URI, 400},
        {"GET http://a#b/ HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_URI, 400},
        {"GET http://a\\b/ HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BAD_URI, 400},
        {"GET /.. HTTP/1.1\r\nHost: a\r\n\r\n", REASON_PATH_ABOVE_ROOT, 400},
        {"GET /a/%2e%2E/../b HTTP/1.1\r\nHost: a\r\n\r\n", REASON_PATH_ABOVE_ROOT, 400},
        {"GET http://a/../b HTTP/1.1\r\nHost: a\r\n\r\n", REASON_PATH_ABOVE_ROOT, 400},
    };
    check_refusals(rows, ARRAY_LEN(rows));
}

static void test_malformed_field_lines_are_400(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {HEAD "A : b\r\n\r\n", REASON_BAD_HEADER, 400},
        {HEAD "A\t: b\r\n\r\n", REASON_BAD_HEADER, 400},
        {HEAD "A b: c\r\n\r\n", REASON_BAD_HEADER, 400},
        {HEAD "A\r\n\r\n", REASON_BAD_HEADER, 400},
        {HEAD ": b\r\n\r\n", REASON_BAD_HEADER, 400},
        {HEAD "A(: b\r\n\r\n", REASON_BAD_HEADER, 400},
        {HEAD "A\x01: b\r\n\r\n", REASON_BAD_HEADER, 400},
        {HEAD "A\x80: b\r\n\r\n", REASON_BAD_HEADER, 400},
        {HEAD "\"A\": b\r\n\r\n", REASON_BAD_HEADER, 400},
        {HEAD "Transfer-Encoding : chunked\r\n\r\n", REASON_BAD_HEADER, 400},
        {HEAD "Content-Length : 5\r\n\r\n", REASON_BAD_HEADER, 400},
        {HEAD "A: b\r\n c\r\n\r\n", REASON_FOLDED_HEADER, 400},
        {HEAD "A: b\r\n\tc: d\r\n\r\n", REASON_FOLDED_HEADER, 400},
        {HEAD "A:\r\n \r\n\r\n", REASON_FOLDED_HEADER, 400},
        {LINE " Host: a\r\n\r\n", REASON_FOLDED_HEADER, 400},
        {HEAD "A: b\n\r\n", REASON_BAD_LINE_END, 400},
        {HEAD "A: b\nB: c\r\n\r\n", REASON_BAD_LINE_END, 400},
        {HEAD "A: b\rB: c\r\n\r\n", REASON_BAD_LINE_END, 400},
        {HEAD "A: b\r\r\n\r\n", REASON_BAD_LINE_END, 400},
        {HEAD "A: \r\r\n\r\n", REASON_BAD_LINE_END, 400},
        {HEAD "A\n: b\r\n\r\n", REASON_BAD_LINE_END, 400},
        {HEAD "A\r: b\r\n\r\n", REASON_BAD_LINE_END, 400},
        {HEAD "\rA: b\r\n\r\n", REASON_BAD_LINE_END, 400},
        {HEAD "\r\nA: b\r\n\r\n", REASON_BAD_HEADER, 400},
    };
    check_refusals(rows, ARRAY_LEN(rows));
}

static void test_nul_is_400_wherever_it_stands(void **state)
{
    (void)state;
    static const char text[] = "POST /a?b HTTP/1.1\r\nHost: a\r\nX-Thing: some value\r\n"
                               "Content-Length: 5\r\n\r\n";
    for (size_t m = 0; m < ARRAY_LEN(modes); m++)
        for (size_t at = 0; at < sizeof(text) - 1; at++) {
            char raw[sizeof(text)];
            memcpy(raw, text, sizeof(text));
            raw[at] = '\0';
            struct request *r =
                heads_request(slice_of(raw, sizeof(text) - 1), &heads_limits, modes[m]);
            if (status_of(r->reason) != 400)
                fail_msg("at %zu: %s", at, status_reason_name(r->reason));
            heads_free_request(r);
        }
}

static void test_nul_in_a_value_is_a_bad_header_not_a_bad_line_end(void **state)
{
    (void)state;
    struct request *r = heads_request(SLICE("GET / HTTP/1.1\r\nHost: a\r\nA: b\0c\r\n\r\n"),
                                      &heads_limits, DESYNC_MODE_MONITOR);
    assert_int_equal(r->reason, REASON_BAD_HEADER);
    assert_string_equal(desync_cause_name(r->head.desync_cause), "BadHeader");
    heads_free_request(r);
}

static void test_missing_repeated_and_malformed_hosts_are_400(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {LINE "\r\n", REASON_MISSING_HOST, 400},
        {"GET http://a/ HTTP/1.1\r\n\r\n", REASON_MISSING_HOST, 400},
        {LINE "Host:\r\n\r\n", REASON_BAD_HOST, 400},
        {LINE "Host: a\r\nHost: a\r\n\r\n", REASON_BAD_HOST, 400},
        {LINE "Host: a\r\nhost: b\r\n\r\n", REASON_BAD_HOST, 400},
        {LINE "Host: a, b\r\n\r\n", REASON_BAD_HOST, 400},
        {LINE "Host: a/b\r\n\r\n", REASON_BAD_HOST, 400},
        {LINE "Host: a b\r\n\r\n", REASON_BAD_HOST, 400},
        {LINE "Host: a:99999\r\n\r\n", REASON_BAD_HOST, 400},
        {LINE "Host: a\x01\r\n\r\n", REASON_BAD_HOST, 400},
        {"GET / HTTP/1.0\r\nHost: \r\n\r\n", REASON_BAD_HOST, 400},
        {"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", REASON_BAD_HOST, 400},
        {"GET http://a/ HTTP/1.1\r\nHost: a/b\r\n\r\n", REASON_BAD_HOST, 400},
        {"GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", REASON_BAD_HOST, 400},
    };
    check_refusals(rows, ARRAY_LEN(rows));
}

static void test_lengths_that_could_be_read_in_two_ways_are_400(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", REASON_CONFLICTING_LENGTH, 400},
        {POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", REASON_CONFLICTING_LENGTH, 400},
        {POST "Content-Length: 5\r\nA: b\r\nCONTENT-LENGTH: 5\r\n\r\n", REASON_CONFLICTING_LENGTH,
         400},
        {POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", REASON_CONFLICTING_LENGTH,
         400},
        {POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", REASON_CONFLICTING_LENGTH,
         400},
        {POST "Transfer-Encoding: x\r\nContent-Length: 0\r\n\r\n", REASON_CONFLICTING_LENGTH, 400},
        {POST "Content-Length:\r\n\r\n", REASON_BAD_CONTENT_LENGTH, 400},
        {POST "Content-Length: +5\r\n\r\n", REASON_BAD_CONTENT_LENGTH, 400},
        {POST "Content-Length: -5\r\n\r\n", REASON_BAD_CONTENT_LENGTH, 400},
        {POST "Content-Length: 0x5\r\n\r\n", REASON_BAD_CONTENT_LENGTH, 400},
        {POST "Content-Length: 5 5\r\n\r\n", REASON_BAD_CONTENT_LENGTH, 400},
        {POST "Content-Length: 5, 5\r\n\r\n", REASON_BAD_CONTENT_LENGTH, 400},
        {POST "Content-Length: 5,\r\n\r\n", REASON_BAD_CONTENT_LENGTH, 400},
        {POST "Content-Length: 5;\r\n\r\n", REASON_BAD_CONTENT_LENGTH, 400},
        {POST "Content-Length: 5.0\r\n\r\n", REASON_BAD_CONTENT_LENGTH, 400},
        {POST "Content-Length: \"5\"\r\n\r\n", REASON_BAD_CONTENT_LENGTH, 400},
        {POST "Content-Length: \x0b"
              "5\r\n\r\n",
         REASON_BAD_CONTENT_LENGTH, 400},
        {POST "Content-Length: 9223372036854775808\r\n\r\n", REASON_BAD_CONTENT_LENGTH, 400},
        {POST "Content-Length: 18446744073709551616\r\n\r\n", REASON_BAD_CONTENT_LENGTH, 400},
        {POST "Content-Length: 99999999999999999999999\r\n\r\n", REASON_BAD_CONTENT_LENGTH, 400},
        {HEAD "Content-Length: x\r\n\r\n", REASON_BAD_CONTENT_LENGTH, 400},
    };
    check_refusals(rows, ARRAY_LEN(rows));
}

#define CODING(value) POST "Transfer-Encoding:" value "\r\n\r\n"

static void test_transfer_codings_other_than_chunked_alone_are_refused(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {CODING(""), REASON_BAD_TRANSFER_ENCODING, 400},
        {CODING(" \t"), REASON_BAD_TRANSFER_ENCODING, 400},
        {CODING(" ,"), REASON_BAD_TRANSFER_ENCODING, 400},
        {CODING(" chunked,"), REASON_BAD_TRANSFER_ENCODING, 400},
        {CODING(" ,chunked"), REASON_BAD_TRANSFER_ENCODING, 400},
        {CODING(" chunked, chunked"), REASON_BAD_TRANSFER_ENCODING, 400},
        {CODING(" chunked, gzip"), REASON_BAD_TRANSFER_ENCODING, 400},
        {CODING(" chunked, identity"), REASON_BAD_TRANSFER_ENCODING, 400},
        {CODING(" identity"), REASON_BAD_TRANSFER_ENCODING, 400},
        {CODING(" identity, chunked"), REASON_BAD_TRANSFER_ENCODING, 400},
        {CODING(" chunked;q=1"), REASON_BAD_TRANSFER_ENCODING, 400},
        {CODING(" chunked;"), REASON_BAD_TRANSFER_ENCODING, 400},
        {CODING(" \"chunked\""), REASON_BAD_TRANSFER_ENCODING, 400},
        {CODING(" 'chunked' x"), REASON_BAD_TRANSFER_ENCODING, 400},
        {CODING(" chunked x"), REASON_BAD_TRANSFER_ENCODING, 400},
        {CODING(" chunked\x0b"), REASON_BAD_TRANSFER_ENCODING, 400},
        {CODING(" \x0b"
                "chunked"),
         REASON_BAD_TRANSFER_ENCODING, 400},
        {CODING(" chun\xffked"), REASON_BAD_TRANSFER_ENCODING, 400},
        {CODING(" chunked\r\nTransfer-Encoding: chunked"), REASON_BAD_TRANSFER_ENCODING, 400},
        {CODING(" gzip\r\nTransfer-Encoding: chunked"), REASON_BAD_TRANSFER_ENCODING, 400},
        {CODING("\r\nTransfer-Encoding: chunked"), REASON_BAD_TRANSFER_ENCODING, 400},
        {CODING(" gzip"), REASON_UNKNOWN_TRANSFER_CODING, 501},
        {CODING(" gzip, chunked"), REASON_UNKNOWN_TRANSFER_CODING, 501},
        {CODING(" xchunked"), REASON_UNKNOWN_TRANSFER_CODING, 501},
        {CODING(" chunkedx"), REASON_UNKNOWN_TRANSFER_CODING, 501},
        {CODING(" x;a=b"), REASON_UNKNOWN_TRANSFER_CODING, 501},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", REASON_BAD_TRANSFER_ENCODING,
         400},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: x\r\n\r\n", REASON_BAD_TRANSFER_ENCODING, 400},
    };
    check_refusals(rows, ARRAY_LEN(rows));
}

static void test_only_one_whole_head_is_read(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {"", REASON_BAD_LINE_END, 400},          {"\r\n", REASON_BAD_LINE_END, 400},
        {HEAD, REASON_BAD_LINE_END, 400},        {HEAD "\r\nx", REASON_BAD_LINE_END, 400},
        {HEAD "\n\n", REASON_BAD_LINE_END, 400}, {HEAD "\r\n" HEAD "\r\n", REASON_BAD_HEADER, 400},
    };
    check_refusals(rows, ARRAY_LEN(rows));
}

/* --- the desync table */

struct oddity {
    const char *raw;
    enum desync_class cls;
    const char *cause;
};

static const struct oddity oddities[] = {
    {HEAD "\r\n", DESYNC_COMPLIANT, ""},
    {POST "Content-Length: 5\r\n\r\n", DESYNC_COMPLIANT, ""},
    {POST "Content-Length: 0\r\n\r\n", DESYNC_COMPLIANT, ""},
    {POST "Transfer-Encoding: chunked\r\n\r\n", DESYNC_COMPLIANT, ""},
    {"OPTIONS / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", DESYNC_COMPLIANT, ""},
    {HEAD "X_Y.z!: v\r\n\r\n", DESYNC_COMPLIANT, ""},
    {HEAD "A: b\tc \t\r\n\r\n", DESYNC_COMPLIANT, ""},
    {"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", DESYNC_COMPLIANT, ""},
    {"GET /%00%0d?\"<>\\^`{|} HTTP/1.1\r\nHost: a\r\n\r\n", DESYNC_COMPLIANT, ""},
    {HEAD "Content-Lengths: 5\r\n\r\n", DESYNC_COMPLIANT, ""},
    {HEAD "X-Content-Length: 5\r\n\r\n", DESYNC_COMPLIANT, ""},
    {HEAD "Content-Length: 0\r\n\r\n", DESYNC_ACCEPTABLE, "GetHeadZeroContentLength"},
    {"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", DESYNC_ACCEPTABLE,
     "GetHeadZeroContentLength"},
    {HEAD "A: \xe9\r\n\r\n", DESYNC_ACCEPTABLE, "NonCompliantHeader"},
    {HEAD "A: b\x01\r\n\r\n", DESYNC_ACCEPTABLE, "NonCompliantHeader"},
    {HEAD "A: b\x7f\r\n\r\n", DESYNC_ACCEPTABLE, "NonCompliantHeader"},
    {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", DESYNC_ACCEPTABLE, "SpaceInUri"},
    {"GET /a?b= c HTTP/1.1\r\nHost: a\r\n\r\n", DESYNC_ACCEPTABLE, "SpaceInUri"},
    {"GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", DESYNC_AMBIGUOUS, "AmbiguousUri"},
    {"GET /a?\x01 HTTP/1.1\r\nHost: a\r\n\r\n", DESYNC_AMBIGUOUS, "AmbiguousUri"},
    {"GET /a \x7f HTTP/1.1\r\nHost: a\r\n\r\n", DESYNC_AMBIGUOUS, "AmbiguousUri"},
    {HEAD "Content_Length: 5\r\n\r\n", DESYNC_AMBIGUOUS, "SuspiciousHeader"},
    {HEAD "ContentLength: 5\r\n\r\n", DESYNC_AMBIGUOUS, "SuspiciousHeader"},
    {HEAD "TRANSFER---ENCODING: x\r\n\r\n", DESYNC_AMBIGUOUS, "SuspiciousHeader"},
    {HEAD "_Transfer.Encoding_: x\r\n\r\n", DESYNC_AMBIGUOUS, "SuspiciousHeader"},
    {HEAD "-content-length: 1\r\n\r\n", DESYNC_AMBIGUOUS, "SuspiciousHeader"},
    {HEAD "Content-Length: 5\r\n\r\n", DESYNC_AMBIGUOUS, "UndefinedContentLengthSemantics"},
    {"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", DESYNC_AMBIGUOUS,
     "UndefinedContentLengthSemantics"},
    {HEAD "Transfer-Encoding: chunked\r\n\r\n", DESYNC_AMBIGUOUS,
     "UndefinedTransferEncodingSemantics"},
    {HEAD "A: \xe9\r\nContent-Length: 5\r\n\r\n", DESYNC_AMBIGUOUS,
     "UndefinedContentLengthSemantics"},
    {POST "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n", DESYNC_SEVERE,
     "SuspiciousTeClPresent"},
    {POST "Transfer-Encoding: chunked\r\nContent_Length: 5\r\n\r\n", DESYNC_SEVERE,
     "SuspiciousTeClPresent"},
};

static struct request *odd_request(size_t i, enum desync_mode mode)
{
    struct request *r = heads_request(slice_str(oddities[i].raw), &heads_limits, mode);
    if (r->head.desync_class != oddities[i].cls ||
        strcmp(desync_cause_name(r->head.desync_cause), oddities[i].cause) != 0)
        fail_msg("row %zu \"%s\": %s %s", i, oddities[i].raw,
                 desync_class_name(r->head.desync_class), desync_cause_name(r->head.desync_cause));
    return r;
}

static void test_monitor_lets_pass_what_has_one_meaning(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(oddities); i++) {
        struct request *r = odd_request(i, DESYNC_MODE_MONITOR);
        assert_int_equal(r->reason, REASON_NONE);
        assert_false(r->head.isolate);
        assert_true(r->head.keep_alive);
        heads_free_request(r);
    }
}

static void test_defensive_isolates_the_ambiguous_and_refuses_the_severe(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(oddities); i++) {
        struct request *r = odd_request(i, DESYNC_MODE_DEFENSIVE);
        bool severe = oddities[i].cls == DESYNC_SEVERE, alone = oddities[i].cls == DESYNC_AMBIGUOUS;
        assert_int_equal(r->reason, severe ? REASON_DESYNC : REASON_NONE);
        assert_int_equal(r->head.isolate, alone);
        if (!severe)
            assert_int_equal(r->head.keep_alive, !alone);
        heads_free_request(r);
    }
}

static void test_strictest_refuses_all_that_is_not_compliant(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(oddities); i++) {
        struct request *r = odd_request(i, DESYNC_MODE_STRICTEST);
        assert_int_equal(r->reason,
                         oddities[i].cls == DESYNC_COMPLIANT ? REASON_NONE : REASON_DESYNC);
        heads_free_request(r);
    }
}

static void test_refusals_name_their_desync_cause(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *cause;
    } rows[] = {
        {"G(T / HTTP/1.1\r\n\r\n", "BadMethod"},
        {"GET a HTTP/1.1\r\n\r\n", "BadUri"},
        {"GET / HTTP/2.0\r\n\r\n", "BadVersion"},
        {HEAD "A b: c\r\n\r\n", "BadHeader"},
        {HEAD ": c\r\n\r\n", "EmptyHeader"},
        {POST "Content-Length: x\r\n\r\n", "BadContentLength"},
        {POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", "DuplicateContentLength"},
        {POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", "MultipleContentLength"},
        {POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "BothTeClPresent"},
        {CODING(" ,"), "BadTransferEncoding"},
        {CODING(" gzip"), "BadTransferEncoding"},
        {CODING(" chunked, chunked"), "MultipleTransferEncodingChunked"},
        {CODING(" chunked\r\nTransfer-Encoding: chunked"), "MultipleTransferEncodingChunked"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request *r = heads_parse(rows[i].raw);
        assert_int_not_equal(r->reason, REASON_NONE);
        assert_string_equal(desync_cause_name(r->head.desync_cause), rows[i].cause);
        assert_string_equal(desync_class_name(r->head.desync_class), "Severe");
        heads_free_request(r);
    }
}

static void test_a_refused_request_still_tells_its_line(void **state)
{
    (void)state;
    struct request *r = heads_parse("PUT /a?b HTTP/1.1\r\nHost: a b\r\n\r\n");
    assert_int_equal(r->reason, REASON_BAD_HOST);
    assert_slice(r->head.method, "PUT");
    assert_slice(r->head.target, "/a?b");
    assert_slice(r->head.path, "/a");
    heads_free_request(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malformed_request_lines_are_400),
        cmocka_unit_test(test_versions_other_than_1_0_and_1_1_are_505),
        cmocka_unit_test(test_trace_and_connect_are_405),
        cmocka_unit_test(test_malformed_targets_are_400),
        cmocka_unit_test(test_malformed_field_lines_are_400),
        cmocka_unit_test(test_nul_is_400_wherever_it_stands),
        cmocka_unit_test(test_nul_in_a_value_is_a_bad_header_not_a_bad_line_end),
        cmocka_unit_test(test_missing_repeated_and_malformed_hosts_are_400),
        cmocka_unit_test(test_lengths_that_could_be_read_in_two_ways_are_400),
        cmocka_unit_test(test_transfer_codings_other_than_chunked_alone_are_refused),
        cmocka_unit_test(test_only_one_whole_head_is_read),
        cmocka_unit_test(test_monitor_lets_pass_what_has_one_meaning),
        cmocka_unit_test(test_defensive_isolates_the_ambiguous_and_refuses_the_severe),
        cmocka_unit_test(test_strictest_refuses_all_that_is_not_compliant),
        cmocka_unit_test(test_refusals_name_their_desync_cause),
        cmocka_unit_test(test_a_refused_request_still_tells_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
