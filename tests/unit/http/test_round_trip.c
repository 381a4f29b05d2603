#include "heads.h"

#include "round_trip.h"

static const char *const request_lines[] = {
    "GET / HTTP/1.1\r\nHost: a\r\n",
    "GET / HTTP/1.0\r\n",
    "GET /a b\tc?d HTTP/1.1\r\nHost: A.b.:81\r\n",
    "POST http://B.c:9?x HTTP/1.1\r\nHost: other\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: [::1]:8\r\n",
    "OPTIONS http://a HTTP/1.0\r\n",
    "X-CUSTOM //a/./../%2e%2E? HTTP/1.1\r\nHost: a:\r\n",
    "HEAD /\xc3\xa9 HTTP/1.1\r\nhost:a\r\n",
};

static const char *const field_lines[] = {
    "Content-Length: 0\r\n",
    "Content-Length: 005\r\n",
    "content-length:9223372036854775807\r\n",
    "Content_Length: 5\r\n",
    "Content-Length : 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-encoding: CHUNKED \r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer_Encoding: chunked\r\n",
    "X-Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive, Content-Length, Transfer-Encoding, Host\r\n",
    "Connection: X-A, upgrade, te\r\n",
    "Connection: x-forwarded-for, cookie, traceparent\r\n",
    "Upgrade: websocket\r\n",
    "Upgrade: h2c, websocket\r\n",
    "HTTP2-Settings: a\r\n",
    "Expect: 100-continue\r\n",
    "TE: trailers, gzip\r\n",
    "Trailer: X-Sum\r\n",
    "Keep-Alive: 5\r\n",
    "Proxy-Connection: keep-alive\r\n",
    "X-A: \t one \x80 two \t\r\n",
    "X-A:\x01\r\n",
    "X-B:\r\n",
    "X_C: 1\r\n",
    "X-Forwarded-For: 1.1.1.1\r\n",
    "X-Forwarded-For: , 2.2.2.2 ,\r\n",
    "X_Forwarded_For: 3.3.3.3\r\n",
    "X-Forwarded-Proto: https\r\n",
    "X-Amzn-Trace-Id: Root=1-a-b; Self=x;;\r\n",
    "X-Amzn-Mtls-Clientcert: x\r\n",
    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
    "tracestate: a=b\r\n",
    "Cookie: a=b; c\r\n",
    "Host: second\r\n",
};

/* Returns whether it was accepted. */
static bool turn(const char *text)
{
    struct request *r = heads_parse(text);
    bool accepted = r->reason == REASON_NONE;
    for (size_t c = 0; accepted && c < ARRAY_LEN(round_trip_contexts); c++)
        round_trip_request(&r->head, &round_trip_contexts[c]);
    heads_free_request(r);
    return accepted;
}

static void test_what_is_forwarded_is_read_as_it_was_read(void **state)
{
    (void)state;
    size_t accepted = 0, refused = 0;
    for (size_t l = 0; l < ARRAY_LEN(request_lines); l++)
        for (size_t a = 0; a < ARRAY_LEN(field_lines); a++)
            for (size_t b = 0; b < ARRAY_LEN(field_lines); b++) {
                char text[512];
                const char *third = field_lines[(a * 7 + b * 3 + l) % ARRAY_LEN(field_lines)];
                snprintf(text, sizeof(text), "%s%s%s%s\r\n", request_lines[l], field_lines[a],
                         field_lines[b], third);
                if (turn(text))
                    accepted++;
                else
                    refused++;
            }
    assert_true(accepted > 1000 && refused > 1000);
}

static const char *const status_lines[] = {
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 404\r\n",
    "HTTP/1.1 204 \r\n",
    "HTTP/1.1 304 Not\tso\r\n",
    "HTTP/1.1 103 Early Hints\r\n",
    "HTTP/1.1 500 \xe9\r\n",
    "HTTP/1.1 101 Switching Protocols\r\n",
};

static void test_what_the_client_gets_is_what_the_target_said(void **state)
{
    (void)state;
    static const enum method_id methods[] = {METHOD_GET, METHOD_HEAD};
    size_t accepted = 0;
    for (size_t l = 0; l < ARRAY_LEN(status_lines); l++)
        for (size_t a = 0; a < ARRAY_LEN(field_lines); a++)
            for (size_t b = 0; b < ARRAY_LEN(field_lines); b++)
                for (size_t m = 0; m < ARRAY_LEN(methods); m++) {
                    char text[512];
                    int n = snprintf(text, sizeof(text), "%s%s%s\r\n", status_lines[l],
                                     field_lines[a], field_lines[b]);
                    struct response *r =
                        heads_response(slice_of(text, (size_t)n), methods[m], true);
                    if (r->reason == REASON_NONE) {
                        round_trip_response(&r->head, methods[m], HTTP_1_1);
                        if (!r->head.interim)
                            round_trip_response(&r->head, methods[m], HTTP_1_0);
                        accepted++;
                    }
                    heads_free_response(r);
                }
    assert_true(accepted > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_forwarded_is_read_as_it_was_read),
        cmocka_unit_test(test_what_the_client_gets_is_what_the_target_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
