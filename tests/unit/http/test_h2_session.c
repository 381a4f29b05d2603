#include "h2_wire.h"

#include "base/check.h"
#include "heads.h"

#define OUT_BYTES (128u * 1024)
#define STREAMS   300

/* One codec with an owner that accepts every request and writes down all that it is told. */
struct peer {
    struct h2_session s;
    struct chunkpool pool;
    struct limits limits;
    uint64_t now_ms;
    struct strbuf in, events;
    struct wire_reader out;
    char *buffer;
    struct h2_stream streams[STREAMS];
    struct flow flows[STREAMS];
    unsigned streams_n, pulls;
    size_t most_pulled;
    bool refuse, keep_credit;
    enum err err;
};

static struct peer *peer_new_with(const struct h2_settings *settings)
{
    struct peer *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    p->limits = heads_limits;
    p->now_ms = 1000;
    p->buffer = malloc(OUT_BYTES);
    chunkpool_init(&p->pool, 1 << 30);
    strbuf_init(&p->in);
    strbuf_init(&p->events);
    wire_reader_init(&p->out);
    assert_int_equal(h2_session_init(&p->s, &p->pool, &p->limits, settings, p->now_ms), OK);
    return p;
}

static struct peer *peer_new(void)
{
    struct h2_settings settings = H2_SETTINGS_DEFAULT;
    return peer_new_with(&settings);
}

static void peer_free(struct peer *p)
{
    h2_session_fini(&p->s);
    for (unsigned i = 0; i < p->streams_n; i++)
        flow_clear(&p->flows[i], &p->pool);
    assert_int_equal(p->pool.used_bytes, 0);
    chunkpool_fini(&p->pool);
    strbuf_fini(&p->in);
    strbuf_fini(&p->events);
    wire_reader_fini(&p->out);
    free(p->buffer);
    free(p);
}

static void note_text(struct peer *p, struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '\r')
            continue;
        else
            strbuf_add(&p->events, s.p[i] == '\n' ? "|" : &s.p[i], 1);
}

static void on_event(struct peer *p, const struct h2_event *ev)
{
    static const char *const names[] = {"NONE", "HEAD", "DATA", "TRAILERS", "PONG"};
    if (ev->type == H2_EVENT_HEAD && p->refuse) {
        h2_session_refuse(&p->s, ev->id);
        return;
    }
    if (ev->type == H2_EVENT_HEAD) {
        assert_true(p->streams_n < STREAMS);
        h2_session_accept(&p->s, &p->streams[p->streams_n++], ev);
    }
    if (ev->type == H2_EVENT_DATA && !p->keep_credit) {
        h2_session_received(&p->s, ev->bytes.n);
        if (ev->stream)
            h2_session_consumed(&p->s, ev->stream, ev->bytes.n);
    }
    if (ev->type == H2_EVENT_DATA && !ev->end) { /* cut anywhere: only the octets count */
        note_text(p, ev->bytes);
        return;
    }
    int32_t id = ev->type == H2_EVENT_HEAD ? ev->id : ev->stream ? ev->stream->id : 0;
    strbuf_printf(&p->events, "<%s %d%s%s%s ", names[ev->type], id, ev->end ? " END" : "",
                  ev->refused ? " " : "", status_reason_name(ev->refused));
    note_text(p, ev->bytes);
    strbuf_str(&p->events, ">");
}

static void note_closed(struct peer *p)
{
    struct h2_stream *st;
    while (h2_session_next_moved(&p->s))
        continue;
    while ((st = h2_session_next_closed(&p->s)))
        strbuf_printf(&p->events, "<CLOSED %d %u%s>", st->id, st->code,
                      st->peer_reset ? " by peer" : "");
}

/* What is in p->in, at most `step` octets at a time. */
static void feed_by(struct peer *p, size_t step)
{
    struct slice all = strbuf_get(&p->in);
    while (all.n && p->err == OK) {
        char *piece = heads_copy(slice_upto(all, step));
        struct slice in = slice_of(piece, all.n < step ? all.n : step);
        all = slice_from(all, in.n);
        while (in.n && p->err == OK) {
            struct h2_event ev;
            p->err = h2_session_feed(&p->s, p->now_ms, &in, &ev);
            if (p->err == OK && ev.type)
                on_event(p, &ev);
        }
        free(piece);
    }
    p->in.n = 0;
    note_closed(p);
}

static void feed(struct peer *p)
{
    feed_by(p, SIZE_MAX);
}

static void pull(struct peer *p)
{
    size_t n = 1;
    while (n && h2_session_pull(&p->s, p->buffer, OUT_BYTES, &n) == OK) {
        wire_read(&p->out, slice_of(p->buffer, n));
        p->pulls += n > 0;
        p->most_pulled = n > p->most_pulled ? n : p->most_pulled;
    }
    note_closed(p);
}

static const char *events(struct peer *p)
{
    return p->events.n ? p->events.p : "";
}

/* What was said since the last call. */
static const char *said(struct peer *p)
{
    static char last[1 << 16];
    pull(p);
    assert_true(p->out.said.n < sizeof(last));
    memcpy(last, p->out.said.n ? p->out.said.p : "", p->out.said.n);
    last[p->out.said.n] = '\0';
    p->out.said.n = 0;
    return last;
}

static struct peer *greet(struct peer *p)
{
    wire_preface(&p->in);
    wire_frame(&p->in, SETTINGS, ACK, 0, NULL, 0);
    feed(p);
    (void)said(p);
    return p;
}

static struct peer *greeted(void)
{
    return greet(peer_new());
}

static void assert_ends_with(struct peer *p, const char *goaway, enum reason why)
{
    char line[64];
    const char *all = said(p);
    snprintf(line, sizeof(line), "%s\n", goaway);
    if (!strstr(all, line))
        fail_msg("%s not in:\n%s", goaway, all);
    assert_true(p->s.failed);
    assert_int_equal(p->s.why, why);
}

static void assert_resets(struct peer *p, const char *rst)
{
    char line[64];
    const char *all = said(p);
    snprintf(line, sizeof(line), "%s\n", rst);
    if (!strstr(all, line) || strstr(all, "GOAWAY"))
        fail_msg("%s is not all in:\n%s", rst, all);
    assert_false(p->s.failed);
}

/* ---- requests ---- */

static void test_a_request_becomes_the_head_that_the_gate_takes(void **state)
{
    (void)state;
    struct peer *p = greeted();
    WIRE_HEAD(&p->in, 1, WHOLE, GET_A, "accept", "*/*", "x-a", "");
    feed(p);
    assert_string_equal(events(p), "<HEAD 1 END GET /a HTTP/1.1|Host: x.com|accept: */*|x-a: ||>");
    peer_free(p);
}

#define UPGRADE                                                                                    \
    ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/a",              \
        ":authority", "x.com"

static void test_an_extended_connect_is_written_as_the_upgrade_that_it_means(void **state)
{
    (void)state;
    struct rng rng = {7};
    struct h2_settings settings = H2_SETTINGS_DEFAULT;
    settings.websockets = &rng;
    struct peer *p = greet(peer_new_with(&settings));
    WIRE_HEAD(&p->in, 1, END_HEADERS, UPGRADE, "sec-websocket-version", "13");
    feed(p);
    const char *text = events(p);
    const char *key = strstr(text, "Sec-WebSocket-Key: ");
    assert_non_null(key);
    assert_memory_equal(key + 19 + 22, "==|sec-websocket-version: 13||>", 31);
    assert_memory_equal(text,
                        "<HEAD 1 GET /a HTTP/1.1|Host: x.com|Connection: Upgrade|Upgrade: "
                        "websocket|Sec-WebSocket-Key: ",
                        key + 19 - text);
    peer_free(p);
}

static void test_where_it_is_not_offered_an_extended_connect_is_malformed(void **state)
{
    (void)state;
    struct peer *p = greeted();
    WIRE_HEAD(&p->in, 1, END_HEADERS, UPGRADE);
    feed(p);
    assert_string_equal(events(p), "");
    assert_resets(p, "RST 1 1");
    peer_free(p);
}

static void test_crumbs_of_cookies_are_joined(void **state)
{
    (void)state;
    struct peer *p = greeted();
    WIRE_HEAD(&p->in, 1, WHOLE, GET_A, "cookie", "a=1", "x", "y", "cookie", "b=2", "cookie", "c=3");
    feed(p);
    assert_string_equal(events(p),
                        "<HEAD 1 END GET /a HTTP/1.1|Host: x.com|x: y|cookie: a=1; b=2; c=3||>");
    peer_free(p);
}

static void test_a_body_without_a_length_becomes_chunked(void **state)
{
    (void)state;
    struct peer *p = greeted();
    WIRE_HEAD(&p->in, 1, END_HEADERS, POST_A);
    wire_frame(&p->in, DATA, 0, 1, "abc", 3);
    wire_frame(&p->in, DATA, END_STREAM, 1, "de", 2);
    feed(p);
    assert_string_equal(
        events(p),
        "<HEAD 1 POST /a HTTP/1.1|Host: x.com|transfer-encoding: chunked||>abc<DATA 1 END de>");
    peer_free(p);
}

static void test_a_length_is_kept_and_no_body_is_a_length_of_zero(void **state)
{
    (void)state;
    struct peer *p = greeted();
    WIRE_HEAD(&p->in, 1, END_HEADERS, POST_A, "content-length", "3");
    wire_frame(&p->in, DATA, END_STREAM, 1, "abc", 3);
    WIRE_HEAD(&p->in, 3, WHOLE, POST_A);
    feed(p);
    assert_string_equal(events(p),
                        "<HEAD 1 POST /a HTTP/1.1|Host: x.com|content-length: 3||><DATA 1 END abc>"
                        "<HEAD 3 END POST /a HTTP/1.1|Host: x.com|content-length: 0||>");
    peer_free(p);
}

static void test_host_stands_in_for_authority_and_may_repeat_it(void **state)
{
    (void)state;
    struct peer *p = greeted();
    WIRE_HEAD(&p->in, 1, WHOLE, ":method", "GET", ":scheme", "http", ":path", "/", "host", "h.com");
    WIRE_HEAD(&p->in, 3, WHOLE, GET_A, "host", "X.com");
    feed(p);
    assert_string_equal(events(p), "<HEAD 1 END GET / HTTP/1.1|host: h.com||>"
                                   "<HEAD 3 END GET /a HTTP/1.1|Host: x.com||>");
    peer_free(p);
}

static void test_trailers_come_with_the_end(void **state)
{
    (void)state;
    struct peer *p = greeted();
    WIRE_HEAD(&p->in, 1, END_HEADERS, POST_A);
    wire_frame(&p->in, DATA, 0, 1, "abc", 3);
    WIRE_HEAD(&p->in, 1, WHOLE, "x-sum", "12", "x-b", "c");
    feed(p);
    assert_string_equal(events(p), "<HEAD 1 POST /a HTTP/1.1|Host: x.com|transfer-encoding: "
                                   "chunked||>abc<TRAILERS 1 END x-sum: 12|x-b: c|>");
    peer_free(p);
}

static void test_connect_reaches_the_gate_which_refuses_it(void **state)
{
    (void)state;
    struct peer *p = greeted();
    WIRE_HEAD(&p->in, 1, END_HEADERS, ":method", "CONNECT", ":authority", "x.com:443");
    feed(p);
    struct slice head = SLICE("CONNECT x.com:443 HTTP/1.1\r\nHost: x.com:443\r\n\r\n");
    struct request *r = heads_request(head, &heads_limits, DESYNC_MODE_DEFENSIVE);
    assert_non_null(strstr(events(p), "<HEAD 1 CONNECT x.com:443 HTTP/1.1|"));
    assert_int_equal(r->reason, REASON_METHOD_NOT_ALLOWED);
    heads_free_request(r);
    peer_free(p);
}

static void whole_conversation(struct strbuf *in)
{
    struct strbuf list;
    wire_preface(in);
    wire_frame(in, SETTINGS, ACK, 0, NULL, 0);
    WIRE_HEAD(in, 1, END_HEADERS, POST_A, "cookie", "a=1", "cookie", "b");
    wire_frame(in, DATA, 0, 1, "0123456789", 10);
    wire_frame(in, PING, 0, 0, "12345678", 8);
    strbuf_init(&list);
    wire_list(&list, (const char *const[]){GET_A, "x-long", "yes", NULL});
    wire_frame(in, HEADERS, END_STREAM, 3, list.p, 20);
    wire_frame(in, CONTINUATION, 0, 3, list.p + 20, 1);
    wire_frame(in, CONTINUATION, END_HEADERS, 3, list.p + 21, list.n - 21);
    strbuf_fini(&list);
    wire_frame(in, DATA, PADDED, 1, "\3abc\0\0\0", 7);
    wire_u32(in, WINDOW, 0, 1000);
    wire_frame(in, PRIORITY, 0, 5, "\0\0\0\0\7", 5);
    WIRE_HEAD(in, 1, WHOLE, "x-sum", "1");
    WIRE_HEAD(in, 5, WHOLE, GET_A);
    wire_u32(in, RST, 5, 8);
    wire_frame(in, 0x77, 0, 0, "unknown", 7);
}

static void test_input_cut_anywhere_gives_the_same_events(void **state)
{
    (void)state;
    struct peer *whole = peer_new();
    whole_conversation(&whole->in);
    size_t n = whole->in.n;
    feed(whole);
    assert_int_equal(whole->err, OK);
    assert_non_null(
        strstr(events(whole), "<HEAD 3 END GET /a HTTP/1.1|Host: x.com|x-long: yes||>"));
    assert_non_null(strstr(events(whole), "0123456789"));
    assert_non_null(strstr(events(whole), "<CLOSED 5 8 by peer>"));
    for (size_t cut = 1; cut < n; cut++) {
        struct peer *p = peer_new();
        struct strbuf all;
        strbuf_init(&all);
        whole_conversation(&all);
        strbuf_add(&p->in, all.p, cut);
        feed(p);
        strbuf_add(&p->in, all.p + cut, n - cut);
        feed(p);
        if (strcmp(events(p), events(whole)) != 0)
            fail_msg("cut %zu err %d why %d: %s", cut, p->err, p->s.why, events(p));
        strbuf_fini(&all);
        peer_free(p);
    }
    struct peer *drops = peer_new();
    whole_conversation(&drops->in);
    feed_by(drops, 1);
    if (strcmp(events(drops), events(whole)) != 0)
        fail_msg("err %d why %d: %s / %s", drops->err, drops->s.why, events(drops), said(drops));
    peer_free(drops);
    peer_free(whole);
}

/* ---- malformed requests: the stream alone ---- */

static void test_malformed_lists_reset_the_stream_with_protocol_error(void **state)
{
    (void)state;
    static const char *const lists[][16] = {
        {":method", "GET", ":scheme", "http", ":authority", "x"},
        {":method", "GET", ":path", "/", ":authority", "x"},
        {":scheme", "http", ":path", "/", ":authority", "x"},
        {":method", "GET", ":scheme", "http", ":path", "", ":authority", "x"},
        {":method", "GET", ":scheme", "http", ":path", "a", ":authority", "x"},
        {":method", "GET", ":scheme", "http", ":path", "/a b", ":authority", "x"},
        {":method", "GET", ":scheme", "http", ":path", "*", ":authority", "x"},
        {":method", "G ET", ":scheme", "http", ":path", "/", ":authority", "x"},
        {":method", "GET", ":scheme", "ftp", ":path", "/", ":authority", "x"},
        {":method", "GET", ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "x"},
        {GET_A, ":unknown", "x"},
        {GET_A, ":status", "200"},
        {GET_A, "x-a", "b", ":path", "/b"},
        {GET_A, "X-A", "b"},
        {GET_A, "x a", "b"},
        {GET_A, "x:a", "b"},
        {GET_A, "", "b"},
        {GET_A, "x", "a\r\nevil: b"},
        {GET_A, "x", "a\nb"},
        {GET_A, "x", " a"},
        {GET_A, "x", "a\t"},
        {GET_A, "x", "a\x01"},
        {GET_A, "connection", "close"},
        {GET_A, "keep-alive", "1"},
        {GET_A, "proxy-connection", "close"},
        {GET_A, "transfer-encoding", "chunked"},
        {GET_A, "upgrade", "h2c"},
        {GET_A, "te", "gzip"},
        {GET_A, "host", "other.com"},
        {GET_A, "content-length", "1"},
        {GET_A, "content-length", "x"},
        {GET_A, "content-length", "0", "content-length", "0"},
        {":method", "CONNECT", ":authority", "x:1", ":path", "/", ":scheme", "http"},
    };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct peer *p = greeted();
        wire_head(&p->in, 1, WHOLE, lists[i]);
        WIRE_HEAD(&p->in, 3, WHOLE, GET_A); /* the connection is fit to go on */
        feed(p);
        if (!strstr(events(p), "<HEAD 3 END") || strstr(events(p), "<HEAD 1"))
            fail_msg("list %zu: %s", i, events(p));
        assert_resets(p, "RST 1 1");
        peer_free(p);
    }
}

static void test_a_body_that_is_not_as_long_as_said_resets_the_stream(void **state)
{
    (void)state;
    struct peer *p = greeted();
    WIRE_HEAD(&p->in, 1, END_HEADERS, POST_A, "content-length", "3");
    wire_frame(&p->in, DATA, 0, 1, "abcd", 4);
    WIRE_HEAD(&p->in, 3, END_HEADERS, POST_A, "content-length", "3");
    wire_frame(&p->in, DATA, END_STREAM, 3, "ab", 2);
    feed(p);
    assert_null(strstr(events(p), "abcd"));
    const char *all = said(p);
    assert_non_null(strstr(all, "RST 1 1\n"));
    assert_non_null(strstr(all, "RST 3 1\n"));
    assert_non_null(strstr(events(p), "<CLOSED 1 1>"));
    peer_free(p);
}

static void test_bad_trailers_reset_the_stream(void **state)
{
    (void)state;
    struct peer *p = greeted();
    WIRE_HEAD(&p->in, 1, END_HEADERS, POST_A);
    WIRE_HEAD(&p->in, 1, WHOLE, ":path", "/");
    WIRE_HEAD(&p->in, 3, END_HEADERS, POST_A);
    WIRE_HEAD(&p->in, 3, END_HEADERS, "not", "the-end");
    feed(p);
    assert_null(strstr(events(p), "TRAILERS"));
    const char *all = said(p);
    assert_non_null(strstr(all, "RST 1 1\n"));
    assert_non_null(strstr(all, "RST 3 1\n"));
    peer_free(p);
}

static void test_a_window_beyond_its_end_resets_the_stream(void **state)
{
    (void)state;
    struct peer *p = greeted();
    WIRE_HEAD(&p->in, 1, WHOLE, GET_A);
    wire_u32(&p->in, WINDOW, 1, 0x7fffffff);
    feed(p);
    assert_resets(p, "RST 1 3");
    peer_free(p);
}

static void test_what_comes_for_a_stream_that_is_over_ends_the_connection(void **state)
{
    (void)state;
    for (int data = 0; data < 2; data++) {
        struct peer *p = greeted();
        WIRE_HEAD(&p->in, 1, WHOLE, GET_A);
        feed(p);
        h2_session_respond(&p->s, &p->streams[0], 200, NULL, 0, NULL);
        pull(p);
        if (data)
            wire_frame(&p->in, DATA, 0, 1, "x", 1);
        else
            WIRE_HEAD(&p->in, 1, WHOLE, GET_A);
        feed(p);
        assert_ends_with(p, "GOAWAY 1 5", REASON_BAD_FRAME);
        peer_free(p);
    }
}

static void test_what_comes_for_a_stream_that_we_reset_is_ignored(void **state)
{
    (void)state;
    struct peer *p = greeted();
    WIRE_HEAD(&p->in, 1, END_HEADERS, POST_A);
    feed(p);
    h2_session_reset(&p->s, &p->streams[0], H2_CODE_CANCEL);
    pull(p);
    wire_frame(&p->in, DATA, 0, 1, "late", 4);
    WIRE_HEAD(&p->in, 1, WHOLE, "x-late", "1");
    WIRE_HEAD(&p->in, 3, WHOLE, GET_A);
    feed(p);
    assert_false(p->s.failed);
    assert_null(strstr(events(p), "late"));
    assert_non_null(strstr(events(p), "<HEAD 3"));
    peer_free(p);
}

static void test_data_behind_the_end_is_an_error(void **state)
{
    (void)state;
    struct peer *p = greeted();
    WIRE_HEAD(&p->in, 1, WHOLE, GET_A);
    wire_frame(&p->in, DATA, 0, 1, "x", 1);
    feed(p);
    pull(p);
    assert_non_null(strstr(p->out.said.p, " 5\n")); /* STREAM_CLOSED on one scope or the other */
    peer_free(p);
}

/* ---- malformed frames: the connection ---- */

typedef void wrong_frame(struct strbuf *in);

static void settings_odd(struct strbuf *in)
{
    wire_frame(in, SETTINGS, 0, 0, "\0\1\0", 3);
}
static void settings_on_stream(struct strbuf *in)
{
    wire_frame(in, SETTINGS, 0, 1, NULL, 0);
}
static void settings_ack_with_payload(struct strbuf *in)
{
    wire_frame(in, SETTINGS, ACK, 0, "\0\1\0\0\0\0", 6);
}
static void settings_window_too_large(struct strbuf *in)
{
    wire_frame(in, SETTINGS, 0, 0, "\0\4\x80\0\0\0", 6);
}
static void settings_frame_size_too_small(struct strbuf *in)
{
    wire_frame(in, SETTINGS, 0, 0, "\0\5\0\0\x3f\xff", 6);
}
static void settings_push_of_two(struct strbuf *in)
{
    wire_frame(in, SETTINGS, 0, 0, "\0\2\0\0\0\2", 6);
}
static void ping_short(struct strbuf *in)
{
    wire_frame(in, PING, 0, 0, "1234567", 7);
}
static void ping_on_stream(struct strbuf *in)
{
    wire_frame(in, PING, 0, 1, "12345678", 8);
}
static void data_on_zero(struct strbuf *in)
{
    wire_frame(in, DATA, 0, 0, "x", 1);
}
static void data_on_idle(struct strbuf *in)
{
    wire_frame(in, DATA, 0, 7, "x", 1);
}
static void data_padding_too_long(struct strbuf *in)
{
    WIRE_HEAD(in, 1, END_HEADERS, POST_A);
    wire_frame(in, DATA, PADDED, 1, "\7abc", 4);
}
static void headers_on_zero(struct strbuf *in)
{
    WIRE_HEAD(in, 0, WHOLE, GET_A);
}
static void headers_on_even(struct strbuf *in)
{
    WIRE_HEAD(in, 2, WHOLE, GET_A);
}
static void headers_going_back(struct strbuf *in)
{
    WIRE_HEAD(in, 5, WHOLE, GET_A);
    WIRE_HEAD(in, 3, WHOLE, GET_A);
}
static void headers_bad_index(struct strbuf *in)
{
    wire_frame(in, HEADERS, WHOLE, 1, "\xff\x7f", 2);
}
static void headers_table_size_too_large(struct strbuf *in)
{
    wire_frame(in, HEADERS, WHOLE, 1, "\x3f\xe1\xff\x03", 4);
}
static void headers_then_not_continued(struct strbuf *in)
{
    WIRE_HEAD(in, 1, END_STREAM, GET_A);
    wire_frame(in, PING, 0, 0, "12345678", 8);
}
static void continuation_of_another(struct strbuf *in)
{
    WIRE_HEAD(in, 1, END_STREAM, GET_A);
    wire_frame(in, CONTINUATION, END_HEADERS, 3, NULL, 0);
}
static void continuation_of_nothing(struct strbuf *in)
{
    wire_frame(in, CONTINUATION, END_HEADERS, 1, NULL, 0);
}
static void push_promise(struct strbuf *in)
{
    wire_frame(in, PUSH, END_HEADERS, 1, "\0\0\0\2", 4);
}
static void window_of_nothing_on_stream(struct strbuf *in)
{
    WIRE_HEAD(in, 1, WHOLE, GET_A);
    wire_u32(in, WINDOW, 1, 0);
}
static void rst_on_idle(struct strbuf *in)
{
    wire_u32(in, RST, 1, 8);
}
static void rst_on_zero(struct strbuf *in)
{
    wire_u32(in, RST, 0, 8);
}
static void rst_short(struct strbuf *in)
{
    WIRE_HEAD(in, 1, WHOLE, GET_A);
    wire_frame(in, RST, 0, 1, "\0\0\0", 3);
}
static void window_of_nothing(struct strbuf *in)
{
    wire_u32(in, WINDOW, 0, 0);
}
static void window_overflow(struct strbuf *in)
{
    wire_u32(in, WINDOW, 0, 0x7fffffff);
}
static void window_on_idle(struct strbuf *in)
{
    wire_u32(in, WINDOW, 1, 1);
}
static void window_short(struct strbuf *in)
{
    wire_frame(in, WINDOW, 0, 0, "\0\0\1", 3);
}
static void priority_short(struct strbuf *in)
{
    wire_frame(in, PRIORITY, 0, 1, "\0\0\0\0", 4);
}
static void priority_on_zero(struct strbuf *in)
{
    wire_frame(in, PRIORITY, 0, 0, "\0\0\0\0\1", 5);
}
static void goaway_on_stream(struct strbuf *in)
{
    wire_frame(in, GOAWAY, 0, 1, "\0\0\0\0\0\0\0\0", 8);
}
static void frame_too_large(struct strbuf *in)
{
    static const char zeros[16385];
    WIRE_HEAD(in, 1, END_HEADERS, POST_A);
    wire_frame(in, DATA, 0, 1, zeros, sizeof(zeros));
}

static void test_malformed_frames_end_the_connection_with_the_right_code(void **state)
{
    (void)state;
    enum { PROTOCOL = 1, FLOW = 3, CLOSED = 5, FRAME_SIZE = 6, COMPRESSION = 9 };
    static const struct {
        wrong_frame *make;
        unsigned code, or_code;
    } cases[] = {
        {settings_odd, FRAME_SIZE, 0},
        {settings_on_stream, PROTOCOL, 0},
        {settings_ack_with_payload, FRAME_SIZE, 0},
        {settings_window_too_large, FLOW, 0},
        {settings_frame_size_too_small, PROTOCOL, 0},
        {settings_push_of_two, PROTOCOL, 0},
        {ping_short, FRAME_SIZE, 0},
        {ping_on_stream, PROTOCOL, 0},
        {data_on_zero, PROTOCOL, 0},
        {data_on_idle, PROTOCOL, CLOSED},
        {data_padding_too_long, PROTOCOL, 0},
        {headers_on_zero, PROTOCOL, 0},
        {headers_on_even, PROTOCOL, 0},
        {headers_going_back, PROTOCOL, 0},
        {headers_bad_index, COMPRESSION, 0},
        {headers_table_size_too_large, COMPRESSION, 0},
        {headers_then_not_continued, PROTOCOL, 0},
        {continuation_of_another, PROTOCOL, 0},
        {continuation_of_nothing, PROTOCOL, 0},
        {push_promise, PROTOCOL, 0},
        {rst_on_idle, PROTOCOL, 0},
        {rst_on_zero, PROTOCOL, 0},
        {rst_short, FRAME_SIZE, 0},
        {window_of_nothing, PROTOCOL, 0},
        {window_of_nothing_on_stream, PROTOCOL, 0},
        {window_overflow, FLOW, 0},
        {window_on_idle, PROTOCOL, 0},
        {window_short, FRAME_SIZE, 0},
        {priority_short, FRAME_SIZE, 0},
        {priority_on_zero, PROTOCOL, 0},
        {goaway_on_stream, PROTOCOL, 0},
        {frame_too_large, FRAME_SIZE, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct peer *p = greeted();
        cases[i].make(&p->in);
        feed(p);
        pull(p);
        const char *at = strstr(p->out.said.n ? p->out.said.p : "", "GOAWAY");
        unsigned last, code = 0;
        if (!at || sscanf(at, "GOAWAY %u %u", &last, &code) != 2 ||
            (code != cases[i].code && code != cases[i].or_code) || !h2_session_over(&p->s))
            fail_msg("case %zu: code %u, said %s", i, code, p->out.said.p);
        assert_true(p->s.failed);
        assert_int_equal(p->s.why, REASON_BAD_FRAME);
        peer_free(p);
    }
}

static void test_what_is_no_preface_ends_the_connection(void **state)
{
    (void)state;
    struct peer *p = peer_new();
    strbuf_str(&p->in, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    feed(p);
    assert_int_equal(p->err, ERR_RESET);
    assert_ends_with(p, "GOAWAY 0 1", REASON_BAD_FRAME);
    peer_free(p);
}

static void test_settings_must_come_first(void **state)
{
    (void)state;
    struct peer *p = peer_new();
    strbuf_slice(&p->in, H2_SESSION_PREFACE);
    WIRE_HEAD(&p->in, 1, WHOLE, GET_A);
    feed(p);
    assert_ends_with(p, "GOAWAY 0 1", REASON_BAD_FRAME);
    peer_free(p);
}

/* ---- answers ---- */

static struct h2_stream *open_get(struct peer *p)
{
    WIRE_HEAD(&p->in, 2 * p->streams_n + 1, WHOLE, GET_A);
    feed(p);
    return &p->streams[p->streams_n - 1];
}

static const struct field plain = {.name = SLICE_INIT("Content-Type"), .value = SLICE_INIT("a/b")};

static void test_a_head_alone_ends_the_stream(void **state)
{
    (void)state;
    struct peer *p = greeted();
    struct h2_stream *st = open_get(p);
    h2_session_respond(&p->s, st, 204, &plain, 1, NULL);
    assert_string_equal(said(p), "HEADERS 1 END :status=204 content-type=a/b\n");
    assert_non_null(strstr(events(p), "<CLOSED 1 0>"));
    peer_free(p);
}

/* What is given may be gone when the frame is made. */
static void test_names_are_small_and_kept_whether_they_are_known_or_not(void **state)
{
    (void)state;
    struct peer *p = greeted();
    struct h2_stream *st = open_get(p);
    char text[] = "Content-TypeX-Owna/bc";
    const struct field fields[] = {
        {.name = slice_of(text, 12), .value = slice_of(text + 17, 3), .id = FIELD_CONTENT_TYPE},
        {.name = slice_of(text + 12, 5), .value = slice_of(text + 20, 1)},
    };
    h2_session_respond(&p->s, st, 200, fields, 2, NULL);
    memset(text, '?', sizeof(text));
    assert_string_equal(said(p), "HEADERS 1 END :status=200 content-type=a/b x-own=c\n");
    peer_free(p);
}

static void test_interim_heads_come_before_the_final_one(void **state)
{
    (void)state;
    struct peer *p = greeted();
    struct h2_stream *st = open_get(p);
    h2_session_inform(&p->s, st, 103, &plain, 1);
    h2_session_respond(&p->s, st, 200, NULL, 0, NULL);
    assert_string_equal(said(p),
                        "HEADERS 1 :status=103 content-type=a/b\nHEADERS 1 END :status=200\n");
    peer_free(p);
}

static void put(struct peer *p, struct flow *f, const char *text)
{
    flow_lend(f, &p->pool, slice_str(text));
    flow_settle(f, &p->pool);
}

static void test_a_body_is_taken_from_its_flow_until_it_ends(void **state)
{
    (void)state;
    struct peer *p = greeted();
    struct h2_stream *st = open_get(p);
    struct flow *f = &p->flows[0];
    struct fields none = {0};
    h2_session_respond(&p->s, st, 200, NULL, 0, f);
    h2_session_wake(&p->s, st, &none);
    assert_string_equal(said(p), "HEADERS 1 :status=200\n");
    put(p, f, "hello ");
    h2_session_wake(&p->s, st, &none);
    assert_string_equal(said(p), "DATA 1 6\n");
    put(p, f, "world");
    flow_end(f);
    h2_session_wake(&p->s, st, &none);
    assert_string_equal(said(p), "DATA 1 END 5\n");
    assert_string_equal(p->out.body.p, "hello world");
    peer_free(p);
}

static void test_an_end_without_bytes_is_an_empty_frame(void **state)
{
    (void)state;
    struct peer *p = greeted();
    struct h2_stream *st = open_get(p);
    struct flow *f = &p->flows[0];
    struct fields none = {0};
    put(p, f, "all");
    h2_session_respond(&p->s, st, 200, NULL, 0, f);
    (void)said(p);
    flow_end(f);
    h2_session_wake(&p->s, st, &none);
    h2_session_finish(&p->s, st); /* as the exchange does when nothing is left in the flow */
    assert_string_equal(said(p), "DATA 1 END 0\n");
    assert_non_null(strstr(events(p), "<CLOSED 1 0>"));
    peer_free(p);
}

static void test_trailers_follow_the_body_even_after_the_exchange_is_gone(void **state)
{
    (void)state;
    struct peer *p = greeted();
    struct h2_stream *st = open_get(p);
    struct flow *f = &p->flows[0];
    char text[] = "Grpc-Status";
    struct field at = {.name = slice_str(text), .value = SLICE("0")};
    struct fields trailers = {.at = &at, .count = 1, .cap = 1};
    put(p, f, "all");
    h2_session_respond(&p->s, st, 200, NULL, 0, f);
    (void)said(p);
    flow_end(f);
    h2_session_wake(&p->s, st, &trailers);
    memset(text, 'x', sizeof(text) - 1); /* they were copied */
    h2_session_finish(&p->s, st);
    assert_string_equal(said(p), "HEADERS 1 END grpc-status=0\n");
    peer_free(p);
}

static void test_a_client_that_still_sends_is_told_to_stop_after_the_answer(void **state)
{
    (void)state;
    struct peer *p = greeted();
    struct flow *f = &p->flows[0];
    WIRE_HEAD(&p->in, 1, END_HEADERS, POST_A);
    feed(p);
    put(p, f, "no");
    flow_end(f);
    h2_session_respond(&p->s, &p->streams[0], 403, NULL, 0, f);
    assert_string_equal(said(p), "HEADERS 1 :status=403\nDATA 1 END 2\n");
    h2_session_finish(&p->s, &p->streams[0]);
    assert_string_equal(said(p), "RST 1 0\n");
    peer_free(p);
}

static void test_a_reset_drops_what_the_flow_still_held(void **state)
{
    (void)state;
    struct peer *p = greeted();
    struct h2_stream *st = open_get(p);
    struct flow *f = &p->flows[0];
    h2_session_respond(&p->s, st, 200, NULL, 0, f);
    (void)said(p);
    put(p, f, "lost");
    h2_session_wake(&p->s, st, &(struct fields){0});
    h2_session_reset(&p->s, st, H2_CODE_INTERNAL_ERROR);
    flow_clear(f, &p->pool);
    assert_string_equal(said(p), "RST 1 2\n");
    assert_true(st->own_reset);
    peer_free(p);
}

static void fill(struct peer *p, struct flow *f)
{
    static char block[FLOW_CAP_BYTES];
    size_t room = flow_room(f, &p->pool);
    flow_lend(f, &p->pool, slice_of(block, room));
    flow_settle(f, &p->pool);
}

static void test_a_pull_stays_near_64_kib_and_frames_fill_a_tls_record(void **state)
{
    (void)state;
    struct peer *p = greeted();
    wire_u32(&p->in, WINDOW, 0, 10u << 20);
    for (int i = 0; i < 4; i++) {
        struct h2_stream *st = open_get(p);
        fill(p, &p->flows[i]);
        h2_session_respond(&p->s, st, 200, NULL, 0, &p->flows[i]);
    }
    const char *all = said(p);
    assert_true(p->pulls >= 4);
    assert_true(p->most_pulled <= H2_SESSION_OUT_BYTES + 16384 + 9);
    assert_non_null(strstr(all, "DATA 1 16375\n"));
    assert_int_equal(p->out.body.n, 4 * 65535);
    peer_free(p);
}

static void test_a_stream_without_window_leaves_the_others_alone(void **state)
{
    (void)state;
    struct peer *p = greeted();
    wire_frame(&p->in, SETTINGS, 0, 0, "\0\4\0\0\0\5", 6); /* 5 octets for each new stream */
    struct h2_stream *stalled = open_get(p), *other;
    put(p, &p->flows[0], "0123456789");
    h2_session_respond(&p->s, stalled, 200, NULL, 0, &p->flows[0]);
    assert_non_null(strstr(said(p), "DATA 1 5\n"));
    other = open_get(p);
    put(p, &p->flows[1], "abc");
    flow_end(&p->flows[1]);
    h2_session_respond(&p->s, other, 200, NULL, 0, &p->flows[1]);
    assert_non_null(strstr(said(p), "DATA 3 END 3\n"));
    assert_int_equal(flow_bytes(&p->flows[0]), 5);
    wire_u32(&p->in, WINDOW, 1, 100);
    feed(p);
    assert_string_equal(said(p), "DATA 1 5\n");
    peer_free(p);
}

/* ---- idle ---- */

static void rest_if(struct peer *p, bool rests)
{
    if (rests)
        h2_session_rest(&p->s);
}

/* At every place: idle, with an answer that waits for its body, in the middle of one that the
 * window or the pull stopped, in the middle of a head. */
static void play(struct peer *p, bool rests, struct strbuf *all)
{
    rest_if(p, rests);
    for (int i = 0; i < 3; i++) {
        struct h2_stream *st = open_get(p);
        struct flow *f = &p->flows[i];
        rest_if(p, rests);
        h2_session_respond(&p->s, st, 200, NULL, 0, f);
        strbuf_str(all, said(p));
        rest_if(p, rests);
        fill(p, f);
        h2_session_wake(&p->s, st, &(struct fields){0});
        size_t n;
        assert_int_equal(h2_session_pull(&p->s, p->buffer, H2_SESSION_OUT_MIN_BYTES, &n), OK);
        wire_read(&p->out, slice_of(p->buffer, n));
        rest_if(p, rests);
        wire_u32(&p->in, WINDOW, 0, 1000);
        flow_end(f);
        h2_session_wake(&p->s, st, &(struct fields){0});
        feed_by(p, 1);
        strbuf_str(all, said(p));
        rest_if(p, rests);
        wire_u32(&p->in, WINDOW, 0, 100000);
        feed(p);
        strbuf_str(all, said(p));
        rest_if(p, rests);
    }
}

static void test_rest_at_any_time_changes_nothing_that_is_said(void **state)
{
    (void)state;
    struct strbuf all[2];
    for (int rests = 0; rests < 2; rests++) {
        struct heap memory;
        struct h2_settings settings = H2_SETTINGS_DEFAULT;
        heap_init(&memory);
        settings.memory = &memory;
        struct peer *p = greet(peer_new_with(&settings));
        strbuf_init(&all[rests]);
        play(p, rests, &all[rests]);
        assert_int_equal(p->out.body.n, 3 * 65535);
        assert_false(p->s.failed);
        peer_free(p);
        heap_fini(&memory);
    }
    assert_string_equal(all[0].p, all[1].p);
    strbuf_fini(&all[0]);
    strbuf_fini(&all[1]);
}

static void test_warm_tells_that_something_happened_since_the_rest(void **state)
{
    (void)state;
    struct peer *p = greeted();
    assert_true(p->s.warm);
    h2_session_rest(&p->s);
    assert_false(p->s.warm);
    assert_string_equal(said(p), "");
    assert_false(p->s.warm);
    wire_frame(&p->in, PING, 0, 0, "12345678", 8);
    feed(p);
    assert_true(p->s.warm);
    pull(p);
    h2_session_rest(&p->s);
    h2_session_notice(&p->s);
    pull(p);
    assert_true(p->s.warm);
    peer_free(p);
}

/* ---- flow control of what comes in ---- */

static void send_body(struct peer *p, uint32_t id, size_t n)
{
    static const char block[16384];
    for (; n; n -= n < sizeof(block) ? n : sizeof(block))
        wire_frame(&p->in, DATA, 0, id, block, n < sizeof(block) ? n : sizeof(block));
}

static void test_credit_comes_back_as_it_is_returned(void **state)
{
    (void)state;
    struct peer *p = greeted();
    p->keep_credit = true;
    WIRE_HEAD(&p->in, 1, END_HEADERS, POST_A);
    send_body(p, 1, 65535);
    feed(p);
    assert_string_equal(said(p), "");
    h2_session_consumed(&p->s, &p->streams[0], 65535);
    assert_string_equal(said(p), "WINDOW 1 65535\n");
    h2_session_received(&p->s, H2_SESSION_WINDOW / 2);
    assert_string_equal(said(p), ""); /* not more than came */
    peer_free(p);
}

static void test_more_than_the_window_of_a_stream_is_a_flow_control_error(void **state)
{
    (void)state;
    struct peer *p = greeted();
    p->keep_credit = true;
    WIRE_HEAD(&p->in, 1, END_HEADERS, POST_A);
    send_body(p, 1, 65536);
    feed(p);
    pull(p);
    assert_non_null(strstr(p->out.said.p, " 3\n"));
    peer_free(p);
}

/* ---- limits and floods ---- */

static void test_a_list_beyond_the_limits_is_told_and_cut(void **state)
{
    (void)state;
    struct peer *p = greeted();
    struct strbuf list;
    struct slice value = slice_of(calloc(1, 10000), 10000);
    memset((char *)(uintptr_t)value.p, 'v', value.n);
    strbuf_init(&list);
    wire_list(&list, (const char *const[]){GET_A, NULL});
    for (int i = 0; i < 8; i++)
        wire_field(&list, "x-large", value);
    wire_frame(&p->in, HEADERS, END_STREAM, 1, list.p, 16384);
    for (size_t at = 16384; at < list.n; at += 16384) {
        bool last = list.n - at <= 16384;
        wire_frame(&p->in, CONTINUATION, last ? END_HEADERS : 0, 1, list.p + at,
                   last ? list.n - at : 16384);
    }
    feed(p);
    assert_non_null(strstr(events(p), "<HEAD 1 END head_too_large GET /a HTTP/1.1|Host: x.com|"));
    assert_int_equal(p->err, OK);
    strbuf_fini(&list);
    free((char *)(uintptr_t)value.p);
    peer_free(p);
}

static void test_a_path_as_long_as_the_request_line_still_reaches_the_gate(void **state)
{
    (void)state;
    struct peer *p = greeted();
    struct strbuf list;
    char *path = malloc(40000);
    memset(path, 'a', 40000);
    path[0] = '/';
    strbuf_init(&list);
    wire_list(&list,
              (const char *const[]){":method", "GET", ":scheme", "http", ":authority", "x", NULL});
    wire_field(&list, ":path", slice_of(path, 40000));
    wire_frame(&p->in, HEADERS, END_STREAM, 1, list.p, 16384);
    wire_frame(&p->in, CONTINUATION, 0, 1, list.p + 16384, 16384);
    wire_frame(&p->in, CONTINUATION, END_HEADERS, 1, list.p + 32768, list.n - 32768);
    struct slice in = strbuf_get(&p->in);
    struct h2_event ev;
    do
        assert_int_equal(h2_session_feed(&p->s, 0, &in, &ev), OK);
    while (ev.type == H2_EVENT_NONE);
    struct request *r = heads_request(ev.bytes, &heads_limits, DESYNC_MODE_DEFENSIVE);
    assert_int_equal(r->reason, REASON_URI_TOO_LONG);
    heads_free_request(r);
    strbuf_fini(&list);
    free(path);
    peer_free(p);
}

static void test_a_bomb_of_fields_ends_the_connection(void **state)
{
    (void)state;
    struct peer *p = greeted();
    struct strbuf list;
    char value[3900];
    memset(value, 'v', sizeof(value));
    strbuf_init(&list);
    wire_list(&list, (const char *const[]){GET_A, NULL});
    size_t start = list.n;
    wire_field(&list, "x", slice_of(value, sizeof(value)));
    list.p[start] = 0x40; /* to be indexed */
    for (int i = 0; i < 200; i++)
        strbuf_add(&list, "\xbe", 1); /* the newest entry of the table */
    wire_frame(&p->in, HEADERS, WHOLE, 1, list.p, list.n);
    feed(p);
    assert_ends_with(p, "GOAWAY 1 11", REASON_HEADER_FLOOD);
    assert_string_equal(events(p), "");
    strbuf_fini(&list);
    peer_free(p);
}

static void test_a_flood_of_continuations_ends_the_connection(void **state)
{
    (void)state;
    struct peer *p = greeted();
    WIRE_HEAD(&p->in, 1, END_STREAM, GET_A);
    for (int i = 0; i < 20; i++)
        wire_frame(&p->in, CONTINUATION, 0, 1, NULL, 0);
    feed(p);
    assert_ends_with(p, "GOAWAY 1 11", REASON_HEADER_FLOOD);
    peer_free(p);
}

static void reset_streams(struct peer *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint32_t id = 2 * p->streams_n + 1;
        WIRE_HEAD(&p->in, id, WHOLE, GET_A);
        wire_u32(&p->in, RST, id, 8);
        feed(p);
    }
}

static void test_resets_are_free_up_to_the_budget_and_no_further(void **state)
{
    (void)state;
    struct peer *p = greeted();
    reset_streams(p, 200);
    assert_int_equal(p->err, OK);
    reset_streams(p, 1);
    assert_int_equal(p->err, ERR_RESET);
    assert_ends_with(p, "GOAWAY 401 11", REASON_RESET_FLOOD);
    peer_free(p);
}

static void test_the_budget_of_resets_grows_again_with_time(void **state)
{
    (void)state;
    struct peer *p = greeted();
    reset_streams(p, 200);
    p->now_ms += 1000;
    reset_streams(p, 33);
    assert_int_equal(p->err, OK);
    reset_streams(p, 1);
    assert_int_equal(p->err, ERR_RESET);
    peer_free(p);
}

static void test_streams_that_the_client_makes_us_reset_count_too(void **state)
{
    (void)state;
    struct peer *p = greeted();
    unsigned made = 0;
    for (; made < 250 && !p->s.failed; made++) {
        uint32_t id = 2 * p->streams_n + 1;
        WIRE_HEAD(&p->in, id, END_HEADERS, POST_A);
        wire_u32(&p->in, WINDOW, id, 0x7fffffff);
        feed(p);
        pull(p);
    }
    assert_int_equal(made, 201);
    assert_int_equal(p->s.why, REASON_RESET_FLOOD);
    assert_non_null(strstr(p->out.said.p, "GOAWAY"));
    peer_free(p);
}

static void test_malformed_requests_count_as_resets(void **state)
{
    (void)state;
    struct peer *p = greeted();
    unsigned made = 0;
    for (; made < 250 && !p->s.failed; made++) {
        WIRE_HEAD(&p->in, 2 * made + 1, WHOLE, GET_A, "te", "gzip");
        feed(p);
        pull(p);
    }
    assert_int_equal(made, 201);
    assert_int_equal(p->s.why, REASON_RESET_FLOOD);
    peer_free(p);
}

static void test_frames_that_carry_nothing_are_free_up_to_the_budget(void **state)
{
    (void)state;
    static const struct {
        enum wire_type type;
        uint32_t id;
        const char *payload;
        size_t n;
    } frames[] = {
        {PING, 0, "12345678", 8},   {SETTINGS, 0, NULL, 0},         {PRIORITY, 9, "\0\0\0\0\7", 5},
        {WINDOW, 0, "\0\0\0\1", 4}, {(enum wire_type)99, 0, "", 0}, {DATA, 1, "", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        struct h2_settings settings = H2_SETTINGS_DEFAULT;
        settings.controls.burst = 100;
        settings.controls.per_s = 1;
        struct peer *p = peer_new_with(&settings);
        wire_preface(&p->in); /* one of the hundred */
        feed(p);
        WIRE_HEAD(&p->in, 1, END_HEADERS, POST_A);
        feed(p);
        for (int k = 0; k < 100; k++) {
            wire_frame(&p->in, frames[i].type, 0, frames[i].id, frames[i].payload, frames[i].n);
            feed(p);
            pull(p);
        }
        assert_int_equal(p->err, OK);
        wire_frame(&p->in, frames[i].type, 0, frames[i].id, frames[i].payload, frames[i].n);
        feed(p);
        assert_ends_with(p, "GOAWAY 1 11", REASON_CONTROL_FLOOD);
        peer_free(p);
    }
}

static void test_more_streams_than_allowed_are_refused(void **state)
{
    (void)state;
    struct h2_settings settings = H2_SETTINGS_DEFAULT;
    settings.streams = 3;
    struct peer *p = peer_new_with(&settings);
    wire_preface(&p->in);
    for (uint32_t id = 1; id <= 7; id += 2)
        WIRE_HEAD(&p->in, id, WHOLE, GET_A);
    feed(p);
    assert_int_equal(p->streams_n, 3);
    assert_resets(p, "RST 7 7");
    peer_free(p);
}

static void test_a_refused_stream_may_be_tried_again_and_costs_nothing(void **state)
{
    (void)state;
    struct peer *p = greeted();
    p->refuse = true;
    for (uint32_t i = 0; i < 300; i++) {
        WIRE_HEAD(&p->in, 2 * i + 1, WHOLE, GET_A);
        feed(p);
        pull(p);
    }
    assert_false(p->s.failed);
    assert_non_null(strstr(p->out.said.p, "RST 599 7\n"));
    peer_free(p);
}

/* ---- the end ---- */

static void test_goaway_goes_in_two_steps_and_open_streams_live_on(void **state)
{
    (void)state;
    struct peer *p = greeted();
    struct h2_stream *first = open_get(p);
    h2_session_notice(&p->s);
    assert_string_equal(said(p), "GOAWAY 2147483647 0\nPING\n");
    struct h2_stream *late = open_get(p); /* it was on its way */
    wire_frame(&p->in, PING, ACK, 0, "\0\0\0\0\0\0\0\0", 8);
    feed(p);
    assert_non_null(strstr(events(p), "<PONG"));
    h2_session_goaway(&p->s);
    assert_string_equal(said(p), "GOAWAY 3 0\n");
    WIRE_HEAD(&p->in, 5, WHOLE, GET_A);
    feed(p);
    assert_int_equal(p->streams_n, 2);
    assert_false(h2_session_over(&p->s));
    h2_session_respond(&p->s, first, 200, NULL, 0, NULL);
    h2_session_respond(&p->s, late, 200, NULL, 0, NULL);
    assert_string_equal(said(p), "HEADERS 1 END :status=200\nHEADERS 3 END :status=200\n");
    assert_true(h2_session_over(&p->s));
    assert_false(p->s.failed);
    peer_free(p);
}

static void test_terminate_says_the_code_and_is_over(void **state)
{
    (void)state;
    struct peer *p = greeted();
    open_get(p);
    h2_session_terminate(&p->s, H2_CODE_NO_ERROR);
    assert_string_equal(said(p), "GOAWAY 1 0\n");
    assert_true(h2_session_over(&p->s));
    peer_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_becomes_the_head_that_the_gate_takes),
        cmocka_unit_test(test_an_extended_connect_is_written_as_the_upgrade_that_it_means),
        cmocka_unit_test(test_where_it_is_not_offered_an_extended_connect_is_malformed),
        cmocka_unit_test(test_crumbs_of_cookies_are_joined),
        cmocka_unit_test(test_a_body_without_a_length_becomes_chunked),
        cmocka_unit_test(test_a_length_is_kept_and_no_body_is_a_length_of_zero),
        cmocka_unit_test(test_host_stands_in_for_authority_and_may_repeat_it),
        cmocka_unit_test(test_trailers_come_with_the_end),
        cmocka_unit_test(test_connect_reaches_the_gate_which_refuses_it),
        cmocka_unit_test(test_input_cut_anywhere_gives_the_same_events),
        cmocka_unit_test(test_malformed_lists_reset_the_stream_with_protocol_error),
        cmocka_unit_test(test_a_body_that_is_not_as_long_as_said_resets_the_stream),
        cmocka_unit_test(test_bad_trailers_reset_the_stream),
        cmocka_unit_test(test_a_window_beyond_its_end_resets_the_stream),
        cmocka_unit_test(test_data_behind_the_end_is_an_error),
        cmocka_unit_test(test_what_comes_for_a_stream_that_is_over_ends_the_connection),
        cmocka_unit_test(test_what_comes_for_a_stream_that_we_reset_is_ignored),
        cmocka_unit_test(test_malformed_frames_end_the_connection_with_the_right_code),
        cmocka_unit_test(test_what_is_no_preface_ends_the_connection),
        cmocka_unit_test(test_settings_must_come_first),
        cmocka_unit_test(test_a_head_alone_ends_the_stream),
        cmocka_unit_test(test_names_are_small_and_kept_whether_they_are_known_or_not),
        cmocka_unit_test(test_interim_heads_come_before_the_final_one),
        cmocka_unit_test(test_a_body_is_taken_from_its_flow_until_it_ends),
        cmocka_unit_test(test_an_end_without_bytes_is_an_empty_frame),
        cmocka_unit_test(test_trailers_follow_the_body_even_after_the_exchange_is_gone),
        cmocka_unit_test(test_a_client_that_still_sends_is_told_to_stop_after_the_answer),
        cmocka_unit_test(test_a_reset_drops_what_the_flow_still_held),
        cmocka_unit_test(test_a_pull_stays_near_64_kib_and_frames_fill_a_tls_record),
        cmocka_unit_test(test_a_stream_without_window_leaves_the_others_alone),
        cmocka_unit_test(test_credit_comes_back_as_it_is_returned),
        cmocka_unit_test(test_more_than_the_window_of_a_stream_is_a_flow_control_error),
        cmocka_unit_test(test_a_list_beyond_the_limits_is_told_and_cut),
        cmocka_unit_test(test_a_path_as_long_as_the_request_line_still_reaches_the_gate),
        cmocka_unit_test(test_a_bomb_of_fields_ends_the_connection),
        cmocka_unit_test(test_a_flood_of_continuations_ends_the_connection),
        cmocka_unit_test(test_resets_are_free_up_to_the_budget_and_no_further),
        cmocka_unit_test(test_the_budget_of_resets_grows_again_with_time),
        cmocka_unit_test(test_streams_that_the_client_makes_us_reset_count_too),
        cmocka_unit_test(test_malformed_requests_count_as_resets),
        cmocka_unit_test(test_frames_that_carry_nothing_are_free_up_to_the_budget),
        cmocka_unit_test(test_more_streams_than_allowed_are_refused),
        cmocka_unit_test(test_a_refused_stream_may_be_tried_again_and_costs_nothing),
        cmocka_unit_test(test_goaway_goes_in_two_steps_and_open_streams_live_on),
        cmocka_unit_test(test_terminate_says_the_code_and_is_over),
        cmocka_unit_test(test_rest_at_any_time_changes_nothing_that_is_said),
        cmocka_unit_test(test_warm_tells_that_something_happened_since_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
