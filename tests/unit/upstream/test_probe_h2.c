/* Checks over HTTP/2: what they ask, what they make of answers, and how much of them they take. */
#include "checks.h"
#include "http/h2_wire.h"

#define GET_CHECK    "{interval: 1h, timeout: 5s, healthy_threshold: 1, unhealthy_threshold: 1}"
#define HEALTH_CHECK "{interval: 1h, timeout: 5s, path: /grpc.health.v1.Health/Check}"
/* Octets that are read of an answer: limits.response_head of checks.h, and READ_MAX of probe_h2.c.
 */
#define READ_BYTES (1024u + (64u << 10))

/* A checker and the last of its reports; what the target is about to say. */
struct scene {
    struct fixture f;
    struct strbuf bytes;
    unsigned reports;
    enum health_result result;
    uint16_t status;
};

static void see(void *ctx, const struct check_report *r)
{
    struct scene *s = ctx;
    s->reports++;
    s->result = r->result;
    s->status = r->status;
}

static void begin_scene(struct scene *s, const char *version, const char *check)
{
    *s = (struct scene){0};
    begin_version(&s->f, version, check, TARGETS);
    s->f.checker.report = see;
    s->f.checker.report_ctx = s;
    strbuf_init(&s->bytes);
}

static void end_scene(struct scene *s)
{
    strbuf_fini(&s->bytes);
    end(&s->f);
}

static struct check *check_of(struct scene *s)
{
    return target(&s->f, 0)->check;
}

/* The next check is due at once. */
static int next_check(struct scene *s)
{
    struct check *k = check_of(s);
    assert_null(k->conn);
    k->due.fired = true;
    loop_push(&s->f.world.loop, &k->task);
    return await(&s->f);
}

/* Of the one that is out. Nothing of it is left. */
static void await_verdict(struct scene *s, unsigned before)
{
    for (int i = 0; i < 6000 && s->reports == before; i++)
        pass_time(&s->f);
    assert_int_equal(s->reports, before + 1);
    assert_null(check_of(s)->conn);
    assert_null(check_of(s)->state);
    assert_int_equal(s->f.world.loop.chunks.used_bytes, 0);
}

/* One whole check that gets these bytes, and then the target's end when that is said. */
static void answer_bytes(struct scene *s, struct slice bytes, bool fin)
{
    unsigned before = s->reports;
    int fd = next_check(s);
    say(fd, bytes);
    if (fin)
        shutdown(fd, SHUT_WR);
    await_verdict(s, before);
    close(fd);
}

static void answer(struct scene *s)
{
    answer_bytes(s, strbuf_get(&s->bytes), false);
}

static void assert_why(struct scene *s, const char *why)
{
    const char *got = check_of(s)->why;
    if (got && why)
        assert_string_equal(got, why);
    else
        assert_ptr_equal(got, why);
}

/* ---- answers as words ---- */

static void add_status(struct strbuf *to, unsigned flags, const char *status)
{
    WIRE_HEAD(to, 1, END_HEADERS | flags, ":status", status);
}

/*   S A P      SETTINGS, its acknowledgement, PING
 *   h200 H200  a head; one that ends the answer
 *   e m M E    DATA: an empty message, one that says SERVING, or NOT_SERVING; the answer's end
 *   t12 t-     trailers with a grpc-status, or without
 *   T12        a head with :status 200 and a grpc-status that ends the answer
 *   r g G      RST_STREAM; GOAWAY that refuses the call, or does not
 *   b p        a head with a malformed field; a PUSH_PROMISE */
static void add_word(struct strbuf *to, const char *w)
{
    static const char message[5], serving[] = "\0\0\0\0\2\x08\1",
                                  not_serving[] = "\0\0\0\0\2\x08\2";
    static const char goaway[8], goaway_1[8] = {0, 0, 0, 1};
    switch (*w) {
    case 'S':
    case 'A':
        wire_frame(to, SETTINGS, *w == 'A' ? ACK : 0, 0, NULL, 0);
        break;
    case 'P':
        wire_frame(to, PING, 0, 0, goaway, sizeof(goaway));
        break;
    case 'h':
    case 'H':
        add_status(to, *w == 'H' ? END_STREAM : 0, w + 1);
        break;
    case 'e':
        wire_frame(to, DATA, 0, 1, message, sizeof(message));
        break;
    case 'm':
    case 'M':
        wire_frame(to, DATA, 0, 1, *w == 'm' ? serving : not_serving, sizeof(serving) - 1);
        break;
    case 'E':
        wire_frame(to, DATA, END_STREAM, 1, NULL, 0);
        break;
    case 't':
        WIRE_HEAD(to, 1, WHOLE, w[1] == '-' ? "x" : "grpc-status", w + 1);
        break;
    case 'T':
        WIRE_HEAD(to, 1, WHOLE, ":status", "200", "grpc-status", w + 1);
        break;
    case 'r':
        wire_u32(to, RST, 1, H2_CODE_CANCEL);
        break;
    case 'g':
    case 'G':
        wire_frame(to, GOAWAY, 0, 0, *w == 'g' ? goaway : goaway_1, sizeof(goaway));
        break;
    case 'b':
        WIRE_HEAD(to, 1, WHOLE, ":status", "200", "Upper", "a");
        break;
    case 'p':
        wire_frame(to, PUSH, END_HEADERS, 1, "\0\0\0\2\x82\x86\x84", 7);
        break;
    default:
        fail_msg("no such word: %s", w);
    }
}

static void add_words(struct strbuf *to, const char *words)
{
    char copy[1000], *rest = NULL;
    snprintf(copy, sizeof(copy), "%s", words);
    for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
        add_word(to, w);
}

struct row {
    const char *words; /* "." at the end: then the target closes */
    enum health_result result;
    unsigned status;
    const char *why;
};

static void check_row(struct scene *s, const struct row *r)
{
    size_t n = strlen(r->words);
    bool fin = r->words[n - 1] == '.';
    char words[100];
    snprintf(words, sizeof(words), "%.*s", (int)(n - fin), r->words);
    s->bytes.n = 0;
    add_words(&s->bytes, words);
    answer_bytes(s, strbuf_get(&s->bytes), fin);
    if (s->result != r->result || s->status != r->status)
        fail_msg("\"%s\": result %d, status %u; wanted %d, %u", r->words, s->result, s->status,
                 r->result, r->status);
    assert_why(s, r->why);
}

static void check_rows(const char *version, const char *check, const struct row *rows, size_t n)
{
    struct scene s;
    begin_scene(&s, version, check);
    for (size_t i = 0; i < n; i++)
        check_row(&s, &rows[i]);
    end_scene(&s);
}

/* ---- how it asks ---- */

/* Until that was said; the first write, which holds the preface and all that is asked, is whole. */
static void read_frames(struct scene *s, int fd, struct wire_reader *r, const char *last)
{
    char bytes[4096];
    for (int i = 0; i < 6000; i++) {
        ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
        bool first = n > 0 && bytes[0] == 'P';
        if (n > 0)
            wire_read(r, slice_from(slice_of(bytes, (size_t)n), first ? H2_SESSION_PREFACE.n : 0));
        if (r->said.n && strstr(r->said.p, last))
            return;
        pass_time(&s->f);
    }
    fail_msg("it said %s, not %s", r->said.n ? r->said.p : "nothing", last);
}

/* want: frames, with the target's port in the place of the %u */
static void check_asks(const char *version, const char *check, const char *want)
{
    struct scene s;
    struct wire_reader r;
    char expected[500];
    begin_scene(&s, version, check);
    wire_reader_init(&r);
    snprintf(expected, sizeof(expected), want, s.f.world.origin_port);
    int fd = next_check(&s);
    read_frames(&s, fd, &r, expected);
    wire_reader_fini(&r);
    close(fd);
    end_scene(&s);
}

#define AGENT " user-agent=ELB-HealthChecker/2.0"

static void test_an_http2_check_is_elb_s_get(void **state)
{
    (void)state;
    check_asks("http2", GET_CHECK,
               "HEADERS 1 END :method=GET :scheme=http :path=/ :authority=127.0.0.1:%u" AGENT "\n");
    check_asks("grpc", "{protocol: http, path: '/up?x=1', host: app.internal}",
               "HEADERS 1 END :method=GET :scheme=http :path=/up?x=1 :authority=app.internal" AGENT
               "\n");
}

static void test_a_grpc_check_is_a_call_with_an_empty_message(void **state)
{
    (void)state;
    static const char want[] = "HEADERS 1 :method=POST :scheme=http :path=/AWS.ALB/healthcheck "
                               ":authority=127.0.0.1:%u content-type=application/grpc "
                               "te=trailers" AGENT "\nDATA 1 END 5\n";
    check_asks("grpc", GET_CHECK, want);
    check_asks("http1", "{protocol: grpc}", want);
}

static void test_the_target_learns_that_this_was_all(void **state)
{
    (void)state;
    struct scene s;
    struct wire_reader r;
    begin_scene(&s, "http2", GET_CHECK);
    wire_reader_init(&r);
    add_words(&s.bytes, "S H200");
    int fd = next_check(&s);
    say(fd, strbuf_get(&s.bytes));
    read_frames(&s, fd, &r, "GOAWAY 0 0\n");
    await_end(&s.f, fd);
    assert_int_equal(s.result, HEALTH_RESULT_PASS);
    wire_reader_fini(&r);
    close(fd);
    end_scene(&s);
}

/* ---- what it makes of answers ---- */

#define PASS     HEALTH_RESULT_PASS
#define FAILED   HEALTH_RESULT_FAILED
#define MISMATCH HEALTH_RESULT_MISMATCH
#define NO_GRPC  HEALTH_RESULT_GRPC_EMPTY
#define WRONG    HEALTH_RESULT_GRPC_MISMATCH
#define NO_H2    "it does not speak HTTP/2"
#define EIGHT    "h103 h103 h103 h103 h103 h103 h103 h103 "

static void test_answers_to_a_get_and_their_verdicts(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"S h200", PASS, 200, NULL}, /* nobody waits for a body */
        {"S H200", PASS, 200, NULL},
        {"S A P h200 e E", PASS, 200, NULL},
        {"S T12", PASS, 200, NULL},
        {"S G h200", PASS, 200, NULL},
        {"S h103 h102 H200", PASS, 200, NULL},
        {"S " EIGHT "H200", PASS, 200, NULL},
        {"S " EIGHT "h103 H200", FAILED, 0, NULL},
        {"S H404", MISMATCH, 404, NULL},
        {"S h201", MISMATCH, 201, NULL},
        {"S h500 .", MISMATCH, 500, NULL},
        {".", FAILED, 0, NULL},
        {"S .", FAILED, 0, NULL},
        {"S h103 .", FAILED, 0, NULL},
        {"H200", FAILED, 0, NO_H2},
        {"P", FAILED, 0, NO_H2},
        {"S h101", FAILED, 0, NULL},
        {"S h20x", FAILED, 0, NULL},
        {"S b", FAILED, 0, NULL},
        {"S e", FAILED, 0, NULL},
        {"S A p", FAILED, 0, NULL},
        {"S g", FAILED, 0, NULL},
        {"S r", HEALTH_RESULT_RESET, 0, NULL},
    };
    check_rows("http2", GET_CHECK, rows, ARRAY_LEN(rows));
}

static void test_answers_to_a_call_and_their_verdicts(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"S h200 e t12", PASS, 12, NULL},
        {"S h200 t12", PASS, 12, NULL},
        {"S h103 T12", PASS, 12, NULL},
        {"S P h200 P e P t12", PASS, 12, NULL},
        {"S T0", WRONG, 0, NULL},
        {"S h200 e t0", WRONG, 0, NULL},
        {"S h200 e t99", WRONG, 99, NULL},
        {"S h200 e t100", NO_GRPC, 0, NULL},
        {"S h200 e t-", NO_GRPC, 0, NULL},
        {"S h200 e E", NO_GRPC, 0, NULL},
        {"S Tx", NO_GRPC, 0, NULL},
        {"S H200", NO_GRPC, 0, NULL},
        {"S H404", NO_GRPC, 0, NULL},
        {"S h503", NO_GRPC, 0, NULL},
        {"S h200 e .", FAILED, 0, NULL},
        {"S " EIGHT "h103", FAILED, 0, NULL},
        {"S h200 e r", HEALTH_RESULT_RESET, 0, NULL},
    };
    check_rows("grpc", GET_CHECK, rows, ARRAY_LEN(rows));
}

static void test_the_health_protocol_must_say_serving(void **state)
{
    (void)state;
    static const char why[] = "it is not serving";
    static const struct row rows[] = {
        {"S h200 m t0", PASS, 0, NULL},    {"S h200 M t0", WRONG, 0, why},
        {"S h200 e t0", WRONG, 0, why},    {"S h200 m m t0", WRONG, 0, why},
        {"S h200 t0", WRONG, 0, why},      {"S T0", WRONG, 0, why},
        {"S h200 m t12", WRONG, 12, NULL}, {"S T12", WRONG, 12, NULL},
    };
    check_rows("grpc", HEALTH_CHECK, rows, ARRAY_LEN(rows));
}

static void test_http1_is_no_answer(void **state)
{
    (void)state;
    struct scene s;
    begin_scene(&s, "http2", GET_CHECK);
    answer_bytes(&s, SLICE("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), false);
    assert_int_equal(s.result, FAILED);
    assert_why(&s, NO_H2);
    assert_health(&s.f, HEALTH_UNHEALTHY, "Target.FailedHealthChecks");
    end_scene(&s);
}

static void check_pieces(const char *version, const char *words)
{
    struct scene s;
    begin_scene(&s, version, GET_CHECK);
    add_words(&s.bytes, words);
    struct slice whole = strbuf_get(&s.bytes);
    for (size_t cut = 1; cut < whole.n; cut++) {
        unsigned before = s.reports;
        int fd = next_check(&s);
        say(fd, slice_upto(whole, cut));
        turn_for(&s.f, 2);
        assert_int_equal(s.reports, before);
        say(fd, slice_from(whole, cut));
        await_verdict(&s, before);
        assert_int_equal(s.result, PASS);
        close(fd);
    }
    end_scene(&s);
}

static void test_an_answer_in_pieces_is_the_same_answer(void **state)
{
    (void)state;
    check_pieces("http2", "S h103 H200");
    check_pieces("grpc", "S h200 e t12");
}

static void test_half_an_answer_is_a_timeout(void **state)
{
    (void)state;
    struct scene s;
    begin_scene(&s, "grpc", "{interval: 1h, timeout: 100ms, unhealthy_threshold: 1}");
    add_words(&s.bytes, "S h200 e");
    answer(&s);
    assert_int_equal(s.result, HEALTH_RESULT_TIMEOUT);
    assert_health(&s.f, HEALTH_UNHEALTHY, "Target.Timeout");
    end_scene(&s);
}

/* ---- how much of it ---- */

#define TOO_MUCH "it says too much"

struct filled {
    const char *version;
    const char *first, *last; /* words */
    unsigned type;            /* of the frames between them */
    enum health_result within;
};

/* n octets in all. */
static void add_filled(struct strbuf *to, const struct filled *a, size_t n)
{
    static const char zeros[16384];
    struct strbuf last;
    strbuf_init(&last);
    add_words(to, a->first);
    add_words(&last, a->last);
    while (to->n + last.n < n) {
        size_t payload = n - to->n - last.n - 9;
        payload = payload > sizeof(zeros) ? sizeof(zeros) - 9 : payload; /* a frame has 9 more */
        wire_frame(to, (enum wire_type)a->type, 0, a->type == DATA, zeros, payload);
    }
    assert_int_equal(to->n + last.n, n);
    strbuf_slice(to, strbuf_get(&last));
    strbuf_fini(&last);
}

static void test_an_answer_is_read_up_to_the_limit_and_no_further(void **state)
{
    (void)state;
    static const struct filled rows[] = {
        {"http2", "S", "H200", 0x20, PASS}, /* a type that nobody knows */
        {"http2", "S", "H404", 0x20, MISMATCH}, {"grpc", "S", "T12", 0x20, PASS},
        {"grpc", "S h200", "t12", DATA, PASS},  {"grpc", "S h200", "E", DATA, NO_GRPC},
    };
    for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
        const struct filled *a = &rows[i / 2];
        bool over = i % 2;
        struct scene s;
        begin_scene(&s, a->version, GET_CHECK);
        add_filled(&s.bytes, a, READ_BYTES + over);
        answer(&s);
        assert_int_equal(s.result, over ? FAILED : a->within);
        assert_why(&s, over ? TOO_MUCH : NULL);
        end_scene(&s);
    }
}

static void test_a_head_may_be_as_long_as_the_limit_and_no_longer(void **state)
{
    (void)state;
    for (unsigned over = 0; over < 2; over++) {
        struct scene s;
        char value[1100];
        begin_scene(&s, "http2", GET_CHECK);
        /* Lines without their ends, as HTTP/1.1 would have them: "HTTP/1.1 200 ", "x: " and this.
         */
        snprintf(value, sizeof(value), "%0*u", 1024 - 13 - 3 + (int)over, over);
        add_words(&s.bytes, "S");
        WIRE_HEAD(&s.bytes, 1, WHOLE, ":status", "200", "x", value);
        answer(&s);
        assert_int_equal(s.result, over ? FAILED : PASS);
        end_scene(&s);
    }
}

/* A target that says something which must be answered over and over, so many times at once, and
 * reads nothing. Returns the most octets that waited for it. */
static size_t flood(struct scene *s, const char *word, size_t at_once)
{
    size_t most = 0;
    unsigned before = s->reports;
    int small = 1;
    s->bytes.n = 0;
    add_words(&s->bytes, "S");
    for (size_t i = 0; i < at_once; i++)
        add_words(&s->bytes, word);
    int fd = next_check(s);
    struct conn *c = check_of(s)->conn;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    for (int i = 0; i < 6000 && s->reports == before; i++) {
        (void)!send(fd, s->bytes.p, s->bytes.n, MSG_NOSIGNAL);
        pass_time(&s->f);
        size_t unsent = s->reports == before ? conn_unsent(c) : 0;
        most = unsent > most ? unsent : most;
    }
    await_verdict(s, before);
    assert_int_equal(s->result, FAILED);
    close(fd);
    return most;
}

static void test_a_target_that_makes_us_talk_and_does_not_read_costs_little(void **state)
{
    (void)state;
    static const char *const words[] = {"P", "S"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct scene s;
        begin_scene(&s, "http2", GET_CHECK);
        size_t most = flood(&s, words[i], 200);
        assert_true(most > 0 && most < 2 * READ_BYTES);
        assert_why(&s, TOO_MUCH);
        (void)flood(&s, words[i], 3000); /* nghttp2 ends this at 1,000 that wait */
        end_scene(&s);
    }
}

static void test_megabytes_are_not_read(void **state)
{
    (void)state;
    static char garbage[1 << 20];
    struct scene s;
    memset(garbage, 'x', sizeof(garbage));
    begin_scene(&s, "http2", GET_CHECK);
    int fd = next_check(&s);
    (void)!send(fd, garbage, sizeof(garbage), MSG_NOSIGNAL);
    await_verdict(&s, 0);
    assert_int_equal(s.result, FAILED);
    close(fd);
    end_scene(&s);
}

/* ---- reloads ---- */

/* Becomes another version while a check is out: what that one hears no longer counts. */
static void change_version(struct scene *s, const char *version, struct slice heard)
{
    unsigned before = s->reports;
    int fd = next_check(s);
    say(fd, heard);
    turn_for(&s->f, 5);
    assert_int_equal(check_of(s)->step, CHECK_ASKED);
    reload_version(&s->f, version, GET_CHECK, TARGETS);
    await_end(&s->f, fd);
    close(fd);
    assert_null(check_of(s)->state);
    assert_int_equal(s->reports, before);
}

static void test_another_version_is_another_question(void **state)
{
    (void)state;
    struct scene s;
    begin_scene(&s, "http1", GET_CHECK);
    add_words(&s.bytes, "S H200");
    change_version(&s, "http2", SLICE("HTTP/1.1 200 OK\r\n"));
    answer(&s);
    assert_int_equal(s.result, PASS);
    change_version(&s, "http1", slice_upto(strbuf_get(&s.bytes), 9));
    answer_bytes(&s, SLICE("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), false);
    assert_int_equal(s.result, PASS);
    end_scene(&s);
}

static void test_a_reload_that_asks_the_same_lets_the_check_go_on(void **state)
{
    (void)state;
    struct scene s;
    begin_scene(&s, "grpc", GET_CHECK);
    add_words(&s.bytes, "S h200 e t12");
    struct slice whole = strbuf_get(&s.bytes);
    int fd = next_check(&s);
    say(fd, slice_upto(whole, 30));
    turn_for(&s.f, 5);
    reload_version(&s.f, "http1", "{protocol: grpc, interval: 2h}", TARGETS);
    say(fd, slice_from(whole, 30));
    await_verdict(&s, 0);
    assert_int_equal(s.result, PASS);
    close(fd);
    end_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_http2_check_is_elb_s_get),
        cmocka_unit_test(test_a_grpc_check_is_a_call_with_an_empty_message),
        cmocka_unit_test(test_the_target_learns_that_this_was_all),
        cmocka_unit_test(test_answers_to_a_get_and_their_verdicts),
        cmocka_unit_test(test_answers_to_a_call_and_their_verdicts),
        cmocka_unit_test(test_the_health_protocol_must_say_serving),
        cmocka_unit_test(test_http1_is_no_answer),
        cmocka_unit_test(test_an_answer_in_pieces_is_the_same_answer),
        cmocka_unit_test(test_half_an_answer_is_a_timeout),
        cmocka_unit_test(test_an_answer_is_read_up_to_the_limit_and_no_further),
        cmocka_unit_test(test_a_head_may_be_as_long_as_the_limit_and_no_longer),
        cmocka_unit_test(test_a_target_that_makes_us_talk_and_does_not_read_costs_little),
        cmocka_unit_test(test_megabytes_are_not_read),
        cmocka_unit_test(test_another_version_is_another_question),
        cmocka_unit_test(test_a_reload_that_asks_the_same_lets_the_check_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
