/* The HTTP/2 codec in the client's role, towards targets. */
#include "h2_wire.h"

#include "base/check.h"
#include "heads.h"

#define OUT_BYTES (128u * 1024)
#define STREAMS   40

#define GET_HEAD                                                                                   \
    SLICE("GET /a?b HTTP/1.1\r\nHost: x.com\r\nX-A:  b\r\nTE: trailers\r\nConnection: te\r\n\r\n")
#define POST_HEAD SLICE("POST /a HTTP/1.1\r\nHost: x.com\r\nTransfer-Encoding: chunked\r\n\r\n")

/* A codec whose owner writes down all that it is told of its requests. */
struct peer {
    struct h2_session s;
    struct chunkpool pool;
    struct limits limits;
    struct strbuf in, events;
    struct wire_reader out;
    char *buffer;
    struct h2_stream streams[STREAMS];
    struct flow flows[STREAMS];
    unsigned streams_n;
    bool keep_credit;
    enum err err;
};

static struct peer *peer_new(void)
{
    struct h2_settings settings = H2_SETTINGS_CLIENT;
    struct peer *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    p->limits = heads_limits;
    p->buffer = malloc(OUT_BYTES);
    chunkpool_init(&p->pool, 1 << 30);
    strbuf_init(&p->in);
    strbuf_init(&p->events);
    wire_reader_init(&p->out);
    assert_int_equal(h2_session_init(&p->s, &p->pool, &p->limits, &settings, 1000), OK);
    return p;
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
        if (s.p[i] != '\r')
            strbuf_add(&p->events, s.p[i] == '\n' ? "|" : &s.p[i], 1);
}

static void on_event(struct peer *p, const struct h2_event *ev)
{
    static const char *const names[] = {"NONE", "HEAD",     "DATA",  "TRAILERS",
                                        "PONG", "SETTINGS", "GOAWAY"};
    if (ev->type == H2_EVENT_DATA && !p->keep_credit) {
        h2_session_received(&p->s, ev->bytes.n);
        if (ev->stream)
            h2_session_consumed(&p->s, ev->stream, ev->bytes.n);
    }
    if (ev->type == H2_EVENT_DATA && !ev->end) {
        note_text(p, slice_upto(ev->bytes, 64));
        return;
    }
    strbuf_printf(&p->events, "<%s %d%s%s%s ", names[ev->type], ev->stream ? ev->stream->id : 0,
                  ev->end ? " END" : "", ev->refused ? " " : "", status_reason_name(ev->refused));
    note_text(p, ev->bytes);
    strbuf_str(&p->events, ">");
}

static void note_closed(struct peer *p)
{
    struct h2_stream *st;
    while (h2_session_next_moved(&p->s))
        continue;
    while ((st = h2_session_next_closed(&p->s)))
        strbuf_printf(&p->events, "<CLOSED %d %u%s%s>", st->id, st->code,
                      st->peer_reset ? " by peer" : "", st->sent ? "" : " unsent");
}

static void feed_by(struct peer *p, size_t step)
{
    struct slice all = strbuf_get(&p->in);
    while (all.n && p->err == OK) {
        char *piece = heads_copy(slice_upto(all, step));
        struct slice in = slice_of(piece, all.n < step ? all.n : step);
        all = slice_from(all, in.n);
        while (in.n && p->err == OK) {
            struct h2_event ev;
            p->err = h2_session_feed(&p->s, 1000, &in, &ev);
            if (p->err == OK && ev.type)
                on_event(p, &ev);
        }
        free(piece);
    }
    p->in.n = 0;
    note_closed(p);
}

static const char *said(struct peer *p)
{
    static char last[1 << 16];
    size_t n = 1;
    p->out.said.n = 0;
    while (n && h2_session_pull(&p->s, p->buffer, OUT_BYTES, &n) == OK) {
        struct slice got = slice_of(p->buffer, n);
        wire_read(&p->out, slice_starts(got, H2_SESSION_PREFACE)
                               ? slice_from(got, H2_SESSION_PREFACE.n)
                               : got);
    }
    note_closed(p);
    assert_true(p->out.said.n < sizeof(last));
    memcpy(last, p->out.said.n ? p->out.said.p : "", p->out.said.n);
    last[p->out.said.n] = '\0';
    return last;
}

/* What happened since the last call. */
static const char *events(struct peer *p)
{
    static char last[1 << 16];
    feed_by(p, SIZE_MAX);
    assert_true(p->events.n < sizeof(last));
    memcpy(last, p->events.n ? p->events.p : "", p->events.n);
    last[p->events.n] = '\0';
    p->events.n = 0;
    return last;
}

static void settings(struct peer *p, unsigned id, uint32_t value)
{
    char b[6] = {0,          (char)id, (char)(value >> 24), (char)(value >> 16), (char)(value >> 8),
                 (char)value};
    wire_frame(&p->in, SETTINGS, 0, 0, b, sizeof(b));
}

static struct peer *greeted(void)
{
    struct peer *p = peer_new();
    wire_frame(&p->in, SETTINGS, 0, 0, NULL, 0);
    wire_frame(&p->in, SETTINGS, ACK, 0, NULL, 0);
    assert_string_equal(events(p), "<SETTINGS 0 >");
    (void)said(p);
    return p;
}

static struct h2_stream *ask(struct peer *p, struct slice head, struct flow *body)
{
    struct h2_stream *st = &p->streams[p->streams_n++];
    assert_int_equal(h2_session_request(&p->s, st, head, false, body), OK);
    return st;
}

static struct h2_stream *get(struct peer *p)
{
    struct h2_stream *st = ask(p, GET_HEAD, NULL);
    (void)said(p);
    return st;
}

static void put(struct peer *p, unsigned i, const char *text)
{
    flow_lend(&p->flows[i], &p->pool, slice_str(text));
    flow_settle(&p->flows[i], &p->pool);
}

static void assert_resets(struct peer *p, const char *rst)
{
    char line[64];
    (void)events(p);
    const char *all = said(p);
    snprintf(line, sizeof(line), "%s\n", rst);
    if (!strstr(all, line) || strstr(all, "GOAWAY"))
        fail_msg("%s is not all in:\n%s", rst, all);
    assert_false(p->s.failed);
}

static void assert_ends(struct peer *p)
{
    (void)events(p);
    assert_non_null(strstr(said(p), "GOAWAY 0 1\n"));
    assert_true(p->s.failed);
    assert_int_equal(p->s.why, REASON_BAD_FRAME);
}

/* ---- requests ---- */

static void test_the_greeting_takes_no_pushes_and_waits_for_settings(void **state)
{
    (void)state;
    struct peer *p = peer_new();
    size_t n;
    assert_int_equal(h2_session_pull(&p->s, p->buffer, OUT_BYTES, &n), OK);
    assert_true(slice_starts(slice_of(p->buffer, n), H2_SESSION_PREFACE));
    assert_memory_equal(p->buffer + 24 + 3, "\4\0\0\0\0\0\0\2\0\0\0\0", 12); /* ENABLE_PUSH 0 */
    assert_false(p->s.greeted);
    assert_int_equal(p->s.streams_max, 0);
    settings(p, 3, 7);
    assert_string_equal(events(p), "<SETTINGS 0 >");
    assert_true(p->s.greeted);
    assert_int_equal(p->s.streams_max, 7);
    peer_free(p);
}

static void test_a_head_becomes_a_list_of_fields(void **state)
{
    (void)state;
    struct peer *p = greeted();
    ask(p, GET_HEAD, NULL);
    assert_string_equal(said(p), "HEADERS 1 END :method=GET :scheme=http :path=/a?b "
                                 ":authority=x.com x-a=b te=trailers\n");
    struct h2_stream *st = &p->streams[p->streams_n++];
    assert_int_equal(h2_session_request(&p->s, st, SLICE("OPTIONS * HTTP/1.1\r\n\r\n"), true, NULL),
                     OK);
    assert_string_equal(said(p), "HEADERS 3 END :method=OPTIONS :scheme=https :path=*\n");
    peer_free(p);
}

static void test_a_body_is_taken_from_its_flow_and_trailers_follow(void **state)
{
    (void)state;
    struct peer *p = greeted();
    struct field line = {.name = SLICE("X-T"), .value = SLICE("1")};
    struct fields trailers = {.at = &line, .count = 1}, none = {0};
    struct h2_stream *st = ask(p, POST_HEAD, &p->flows[0]);
    assert_string_equal(said(p), "HEADERS 1 :method=POST :scheme=http :path=/a :authority=x.com\n");
    assert_true(st->sent);
    put(p, 0, "abc");
    h2_session_wake(&p->s, st, &none);
    assert_string_equal(said(p), "DATA 1 3\n");
    flow_end(&p->flows[0]);
    h2_session_wake(&p->s, st, &trailers);
    assert_string_equal(said(p), "HEADERS 1 END x-t=1\n");
    assert_true(st->ended);
    peer_free(p);
}

/* ---- answers ---- */

static void test_an_answer_becomes_the_head_that_the_gate_takes(void **state)
{
    (void)state;
    struct peer *p = greeted();
    get(p);
    WIRE_HEAD(&p->in, 1, END_HEADERS, ":status", "200", "x-a", "b", "set-cookie", "c");
    wire_frame(&p->in, DATA, 0, 1, "abc", 3);
    wire_frame(&p->in, DATA, END_STREAM, 1, "de", 2);
    assert_string_equal(events(p), "<HEAD 1 HTTP/1.1 200 |x-a: b|set-cookie: c|"
                                   "transfer-encoding: chunked||>abc<DATA 1 END de><CLOSED 1 0>");
    peer_free(p);
}

static void test_an_answer_that_is_a_head_alone_says_no_length(void **state)
{
    (void)state;
    struct peer *p = greeted();
    get(p);
    WIRE_HEAD(&p->in, 1, WHOLE, ":status", "200", "grpc-status", "0");
    assert_string_equal(events(p), "<HEAD 1 END HTTP/1.1 200 |grpc-status: 0||><CLOSED 1 0>");
    get(p);
    WIRE_HEAD(&p->in, 3, WHOLE, ":status", "404", "content-length", "0");
    assert_string_equal(events(p), "<HEAD 3 END HTTP/1.1 404 |content-length: 0||><CLOSED 3 0>");
    peer_free(p);
}

static void test_interim_heads_and_trailers_are_told_apart(void **state)
{
    (void)state;
    struct peer *p = greeted();
    get(p);
    WIRE_HEAD(&p->in, 1, END_HEADERS, ":status", "103", "link", "</a>");
    WIRE_HEAD(&p->in, 1, END_HEADERS, ":status", "200", "content-length", "1");
    wire_frame(&p->in, DATA, 0, 1, "x", 1);
    WIRE_HEAD(&p->in, 1, WHOLE, "grpc-status", "0");
    assert_string_equal(events(p), "<HEAD 1 HTTP/1.1 103 |link: </a>|transfer-encoding: chunked||>"
                                   "<HEAD 1 HTTP/1.1 200 |content-length: 1||>x"
                                   "<TRAILERS 1 END grpc-status: 0|><CLOSED 1 0>");
    peer_free(p);
}

static void test_input_cut_anywhere_gives_the_same_events(void **state)
{
    (void)state;
    char *whole = NULL;
    for (size_t step = 0; step < 120; step++) {
        struct peer *p = greeted();
        get(p);
        get(p);
        settings(p, 3, 1);
        WIRE_HEAD(&p->in, 3, END_HEADERS, ":status", "100");
        WIRE_HEAD(&p->in, 1, END_HEADERS, ":status", "200", "x-a", "b");
        wire_frame(&p->in, DATA, 0, 1, "hello", 5);
        WIRE_HEAD(&p->in, 3, WHOLE, ":status", "204");
        wire_frame(&p->in, PING, 0, 0, "12345678", 8);
        WIRE_HEAD(&p->in, 1, WHOLE, "x-t", "1");
        wire_frame(&p->in, GOAWAY, 0, 0, "\0\0\0\3\0\0\0\0", 8);
        feed_by(p, step ? step : SIZE_MAX);
        assert_int_equal(p->err, OK);
        const char *got = events(p);
        if (!whole)
            whole = strdup(got);
        assert_string_equal(got, whole);
        peer_free(p);
    }
    free(whole);
}

static void test_malformed_answers_reset_the_stream(void **state)
{
    (void)state;
    static const char *const heads[][7] = {
        {"x-a", "b"},
        {":status", "20"},
        {":status", "2000"},
        {":status", "200", ":status", "200"},
        {":status", "200", ":path", "/"},
        {":status", "099"},
        {"x-a", "b", ":status", "200"},
        {":status", "200", "X-A", "b"},
        {":status", "200", "connection", "close"},
        {":status", "200", "transfer-encoding", "chunked"},
        {":status", "200", "x-a", "b\r\nx-b: c"},
        {":status", "200", "content-length", "1", "content-length", "2"},
        {":status", "101"},
    };
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        struct peer *p = greeted();
        get(p);
        wire_head(&p->in, 1, END_HEADERS, heads[i]);
        assert_resets(p, "RST 1 1");
        const char *got = events(p);
        if (strcmp(got, "<CLOSED 1 1>") != 0)
            fail_msg("%zu: %s", i, got);
        peer_free(p);
    }
}

static void test_a_body_that_is_not_as_long_as_said_resets_the_stream(void **state)
{
    (void)state;
    struct peer *p = greeted();
    get(p);
    WIRE_HEAD(&p->in, 1, END_HEADERS, ":status", "200", "content-length", "3");
    wire_frame(&p->in, DATA, END_STREAM, 1, "ab", 2);
    assert_resets(p, "RST 1 1");
    ask(p, SLICE("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"), NULL);
    (void)said(p);
    WIRE_HEAD(&p->in, 3, END_HEADERS, ":status", "200");
    wire_frame(&p->in, DATA, END_STREAM, 3, "x", 1);
    assert_resets(p, "RST 3 1");
    peer_free(p);
}

static void test_a_head_beyond_the_limit_is_told_and_cut(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        struct peer *p = greeted();
        size_t fits = p->limits.response_head + 4 * p->limits.headers + 100;
        char *text = calloc(1, fits + 1);
        memset(text, 'a', over ? fits : 1000);
        get(p);
        WIRE_HEAD(&p->in, 1, END_HEADERS | END_STREAM, ":status", "200", "x-a", "b");
        p->in.n = 0;
        struct strbuf list;
        strbuf_init(&list);
        wire_field(&list, ":status", SLICE("200"));
        wire_field(&list, "x-a", slice_of(text, strlen(text)));
        size_t first = list.n < 16384 ? list.n : 16384;
        wire_frame(&p->in, HEADERS, END_STREAM | (first == list.n ? END_HEADERS : 0), 1, list.p,
                   first);
        for (size_t at = first; at < list.n; at += 16384) {
            size_t n = list.n - at < 16384 ? list.n - at : 16384;
            wire_frame(&p->in, CONTINUATION, at + n == list.n ? END_HEADERS : 0, 1, list.p + at, n);
        }
        assert_int_equal(strstr(events(p), "response_head_too_large") != NULL, over);
        strbuf_fini(&list);
        free(text);
        peer_free(p);
    }
}

/* ---- ends ---- */

static void test_resets_of_the_peer_cost_nothing_and_tell_their_code(void **state)
{
    (void)state;
    struct peer *p = greeted();
    for (int round = 0; round < 1000; round++) {
        p->streams_n = 0;
        struct h2_stream *st = get(p);
        wire_u32(&p->in, RST, (uint32_t)st->id, 7);
        assert_non_null(strstr(events(p), " 7 by peer>"));
    }
    assert_false(p->s.failed);
    peer_free(p);
}

static void test_goaway_closes_what_was_not_looked_at(void **state)
{
    (void)state;
    struct peer *p = greeted();
    get(p);
    get(p);
    wire_frame(&p->in, GOAWAY, 0, 0, "\0\0\0\1\0\0\0\0", 8);
    assert_string_equal(events(p), "<GOAWAY 0 ><CLOSED 3 7>");
    ask(p, GET_HEAD, NULL); /* too late: refused without a byte */
    assert_string_equal(said(p), "");
    assert_string_equal(events(p), "<CLOSED 5 7 unsent>");
    WIRE_HEAD(&p->in, 1, WHOLE, ":status", "200");
    assert_string_equal(events(p), "<HEAD 1 END HTTP/1.1 200 ||><CLOSED 1 0>");
    assert_true(h2_session_over(&p->s));
    assert_false(p->s.failed);
    peer_free(p);
}

static void test_more_streams_than_allowed_wait(void **state)
{
    (void)state;
    struct peer *p = greeted();
    settings(p, 3, 1);
    (void)events(p);
    (void)said(p);
    ask(p, GET_HEAD, NULL);
    struct h2_stream *second = ask(p, GET_HEAD, NULL);
    assert_string_equal(said(p), "HEADERS 1 END :method=GET :scheme=http :path=/a?b "
                                 ":authority=x.com x-a=b te=trailers\n");
    assert_false(second->sent);
    WIRE_HEAD(&p->in, 1, WHOLE, ":status", "200");
    (void)events(p);
    assert_non_null(strstr(said(p), "HEADERS 3 END"));
    peer_free(p);
}

static void test_a_reset_before_the_head_went_out_says_nothing(void **state)
{
    (void)state;
    struct peer *p = greeted();
    struct h2_stream *st = ask(p, POST_HEAD, &p->flows[0]);
    h2_session_reset(&p->s, st, H2_CODE_CANCEL);
    assert_string_equal(said(p), "");
    assert_string_equal(events(p), "<CLOSED 1 8 unsent>");
    peer_free(p);
}

static void test_an_answer_before_the_request_is_over_leaves_it_open(void **state)
{
    (void)state;
    struct peer *p = greeted();
    struct h2_stream *st = ask(p, POST_HEAD, &p->flows[0]);
    (void)said(p);
    WIRE_HEAD(&p->in, 1, WHOLE, ":status", "413");
    wire_u32(&p->in, RST, 1, 0);
    assert_string_equal(events(p), "<HEAD 1 END HTTP/1.1 413 ||><CLOSED 1 0 by peer>");
    assert_false(st->ended);
    peer_free(p);
}

/* A request that is over on our side waits for its answer: it is not reset. */
static void test_finish_waits_for_the_answer(void **state)
{
    (void)state;
    struct peer *p = greeted();
    struct h2_stream *st = ask(p, POST_HEAD, &p->flows[0]);
    flow_end(&p->flows[0]);
    (void)said(p);
    h2_session_finish(&p->s, st);
    assert_string_equal(said(p), "");
    assert_string_equal(events(p), "");
    peer_free(p);
}

/* ---- wrong targets ---- */

static void test_what_is_not_http2_ends_the_connection(void **state)
{
    (void)state;
    struct peer *p = peer_new();
    (void)said(p);
    strbuf_str(&p->in, "HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_ends(p);
    assert_false(p->s.greeted);
    peer_free(p);
}

static void test_malformed_frames_end_the_connection(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct peer *p = greeted();
        get(p);
        if (i == 0)
            wire_frame(&p->in, DATA, 0, 0, "x", 1);
        else if (i == 1)
            WIRE_HEAD(&p->in, 7, WHOLE, ":status", "200"); /* never asked for */
        else if (i == 2)
            wire_frame(&p->in, PUSH, END_HEADERS, 1, "\0\0\0\2", 4);
        else if (i == 3)
            wire_frame(&p->in, DATA, 0, 1, "x", 1); /* before its head */
        else
            WIRE_HEAD(&p->in, 2, WHOLE, ":status", "200");
        (void)events(p);
        const char *all = said(p);
        assert_non_null(strstr(all, "GOAWAY"));
        assert_true(p->s.failed);
        peer_free(p);
    }
}

static void test_a_flood_of_control_frames_ends_the_connection(void **state)
{
    (void)state;
    struct peer *p = greeted();
    for (int i = 0; i < 20100 && p->err == OK; i++) {
        wire_frame(&p->in, PING, ACK, 0, "12345678", 8);
        if (i % 100 == 99)
            (void)events(p);
    }
    assert_true(p->s.failed);
    assert_int_equal(p->s.why, REASON_CONTROL_FLOOD);
    peer_free(p);
}

static void test_a_stalled_stream_leaves_the_others_alone(void **state)
{
    (void)state;
    struct peer *p = greeted();
    static char block[16384];
    get(p);
    get(p);
    p->keep_credit = true;
    WIRE_HEAD(&p->in, 1, END_HEADERS, ":status", "200");
    for (int i = 0; i < 8; i++)
        wire_frame(&p->in, DATA, 0, 1, block, sizeof(block));
    p->keep_credit = true;
    (void)events(p);
    h2_session_received(&p->s, H2_SESSION_CLIENT_WINDOW);
    p->keep_credit = false;
    WIRE_HEAD(&p->in, 3, END_HEADERS, ":status", "200");
    wire_frame(&p->in, DATA, END_STREAM, 3, "x", 1);
    assert_non_null(strstr(events(p), "<DATA 3 END x><CLOSED 3 0>"));
    assert_false(p->s.failed);
    wire_frame(&p->in, DATA, 0, 1, "y", 1); /* one octet beyond its window */
    (void)events(p);
    assert_non_null(strstr(said(p), "RST 1 3"));
    peer_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_greeting_takes_no_pushes_and_waits_for_settings),
        cmocka_unit_test(test_a_head_becomes_a_list_of_fields),
        cmocka_unit_test(test_a_body_is_taken_from_its_flow_and_trailers_follow),
        cmocka_unit_test(test_an_answer_becomes_the_head_that_the_gate_takes),
        cmocka_unit_test(test_an_answer_that_is_a_head_alone_says_no_length),
        cmocka_unit_test(test_interim_heads_and_trailers_are_told_apart),
        cmocka_unit_test(test_input_cut_anywhere_gives_the_same_events),
        cmocka_unit_test(test_malformed_answers_reset_the_stream),
        cmocka_unit_test(test_a_body_that_is_not_as_long_as_said_resets_the_stream),
        cmocka_unit_test(test_a_head_beyond_the_limit_is_told_and_cut),
        cmocka_unit_test(test_resets_of_the_peer_cost_nothing_and_tell_their_code),
        cmocka_unit_test(test_goaway_closes_what_was_not_looked_at),
        cmocka_unit_test(test_more_streams_than_allowed_wait),
        cmocka_unit_test(test_a_reset_before_the_head_went_out_says_nothing),
        cmocka_unit_test(test_an_answer_before_the_request_is_over_leaves_it_open),
        cmocka_unit_test(test_finish_waits_for_the_answer),
        cmocka_unit_test(test_what_is_not_http2_ends_the_connection),
        cmocka_unit_test(test_malformed_frames_end_the_connection),
        cmocka_unit_test(test_a_flood_of_control_frames_ends_the_connection),
        cmocka_unit_test(test_a_stalled_stream_leaves_the_others_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
