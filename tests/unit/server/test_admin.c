#include "server/fixture.h"

#include <errno.h>
#include <netinet/tcp.h>

#include "net/conn.h"
#include "server/admin.h"

struct fixture {
    struct loop loop;
    struct admin admin;
    size_t body_bytes; /* of /big */
    unsigned asked;
    char token[64]; /* of the last request */
    size_t posted;  /* bytes of the last body */
    struct admin_later later[ADMIN_LATER_MAX + 1];
    size_t later_n;
};

static void answer(void *ctx, const struct admin_request *r, struct admin_answer *a)
{
    struct fixture *f = ctx;
    struct slice path = r->path;
    f->asked++;
    snprintf(f->token, sizeof(f->token), "%.*s", (int)r->token.n, r->token.p);
    if (slice_eq(path, SLICE("/hello"))) {
        a->status = 200;
        strbuf_str(&a->body, "hi\n");
    } else if (slice_eq(path, SLICE("/big"))) {
        a->status = 200;
        a->content_type = "application/json";
        for (size_t i = 0; i < f->body_bytes; i++)
            strbuf_add(&a->body, "x", 1);
    } else if (slice_eq(path, SLICE("/echo")) && r->post) {
        a->status = 200;
        f->posted = r->body.n;
        strbuf_slice(&a->body, slice_upto(r->body, 64));
    } else if (slice_eq(path, SLICE("/later"))) {
        a->status = 503;
        if (admin_may_wait(&f->admin))
            a->later = &f->later[f->later_n++];
    }
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct addr a = address_of("127.0.0.1:0");
    assert_int_equal(loop_init(&f->loop, 64 << 20), OK);
    conn_pool_init(&f->loop, 2 * ADMIN_CONNECTIONS);
    admin_init(&f->admin, &f->loop, answer, f);
    assert_int_equal(admin_bind(&f->admin, &a), OK);
    f->admin.addr = socket_local(f->admin.fd);
    assert_int_equal(admin_listen(&f->admin), OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    admin_fini(&f->admin);
    loop_turn(&f->loop);
    assert_int_equal(f->loop.conns.live, 0);
    assert_int_equal(f->loop.chunks.used_bytes, 0);
    loop_fini(&f->loop);
    free(f);
    return 0;
}

static void turn(struct fixture *f)
{
    for (int i = 0; i < 3; i++)
        loop_turn(&f->loop);
}

static int dial(struct fixture *f)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, &f->admin.addr.sa, f->admin.addr.len), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
    return fd;
}

static void say(struct fixture *f, int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    turn(f);
}

/* All there is now. */
static const char *heard(int fd)
{
    static char text[8192];
    size_t n = 0;
    for (ssize_t r; (r = recv(fd, text + n, sizeof(text) - 1 - n, 0)) > 0; n += (size_t)r)
        ;
    text[n] = '\0';
    return text;
}

static void assert_answers(struct fixture *f, const char *request, const char *start)
{
    int fd = dial(f);
    say(f, fd, request);
    const char *text = heard(fd);
    if (strncmp(text, start, strlen(start)) != 0)
        fail_msg("%s got %s", request, text);
    assert_non_null(strstr(text, "Connection: close\r\n"));
    close(fd);
    turn(f);
    assert_int_equal(f->admin.sessions_n, 0);
}

static void test_a_get_is_answered_and_the_connection_closed(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    say(f, fd, "GET /hello?x=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    const char *text = heard(fd);
    assert_true(strncmp(text, "HTTP/1.1 200 OK\r\n", 17) == 0);
    assert_non_null(strstr(text, "Content-Length: 3\r\n"));
    assert_non_null(strstr(text, "Cache-Control: no-store\r\n"));
    assert_non_null(strstr(text, "\r\n\r\nhi\n"));
    char c;
    assert_int_equal(recv(fd, &c, 1, 0), 0); /* FIN, not RST */
    close(fd);
}

static void test_what_is_not_a_good_get_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_answers(f, "PUT /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
                   "HTTP/1.1 405 ");
    assert_answers(f, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                   "HTTP/1.1 501 ");
    assert_answers(f, "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 405 ");
    assert_answers(f, "nonsense\r\n\r\n", "HTTP/1.1 400 ");
    assert_answers(f, "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ");
    assert_answers(f, "GET / HTTP/3.0\r\nHost: a\r\n\r\n", "HTTP/1.1 505 ");
    assert_int_equal(f->asked, 0);
    assert_answers(f, "GET /none HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 ");
    assert_int_equal(f->asked, 1);
}

static void test_405_names_the_methods_that_are_allowed(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    say(f, fd, "DELETE /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_non_null(strstr(heard(fd), "Allow: GET, POST\r\n"));
    close(fd);
}

static void test_a_request_in_single_bytes_is_answered(void **state)
{
    struct fixture *f = *state;
    const char *request = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    int fd = dial(f);
    for (const char *p = request; *p; p++)
        say(f, fd, (char[]){*p, '\0'});
    assert_true(strncmp(heard(fd), "HTTP/1.1 200 ", 13) == 0);
    close(fd);
}

static void test_a_head_beyond_the_limit_is_431(void **state)
{
    struct fixture *f = *state;
    static char line[16000];
    int fd = dial(f);
    memset(line, 'a', sizeof(line) - 1);
    say(f, fd, "GET /hello HTTP/1.1\r\nHost: a\r\nX: ");
    say(f, fd, line);
    assert_true(strncmp(heard(fd), "HTTP/1.1 431 ", 13) == 0);
    close(fd);
}

static void test_a_large_answer_arrives_whole(void **state)
{
    struct fixture *f = *state;
    static char buffer[1 << 16];
    size_t got = 0;
    f->body_bytes = 20u << 20; /* more than any socket buffer */
    int fd = dial(f);
    say(f, fd, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    for (;;) {
        ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
        if (n == 0)
            break;
        assert_true(n > 0 || errno == EAGAIN);
        got += n > 0 ? (size_t)n : 0;
        turn(f);
    }
    assert_true(got > f->body_bytes);
    close(fd);
    turn(f);
    assert_int_equal(f->admin.sessions_n, 0);
}

static void test_beyond_64_connections_the_next_waits_for_an_end(void **state)
{
    struct fixture *f = *state;
    int fds[ADMIN_CONNECTIONS];
    for (int i = 0; i < ADMIN_CONNECTIONS; i++)
        fds[i] = dial(f);
    turn(f);
    assert_int_equal(f->admin.sessions_n, ADMIN_CONNECTIONS);
    int next = dial(f);
    say(f, next, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(f->admin.sessions_n, ADMIN_CONNECTIONS);
    assert_string_equal(heard(next), "");
    close(fds[0]);
    turn(f);
    assert_true(strncmp(heard(next), "HTTP/1.1 200 ", 13) == 0);
    for (int i = 1; i < ADMIN_CONNECTIONS; i++)
        close(fds[i]);
    close(next);
}

/* One that was closed in this turn still has its memory. */
static void test_all_64_are_served_in_the_turn_that_closes_others(void **state)
{
    struct fixture *f = *state;
    int before[8], fds[ADMIN_CONNECTIONS];
    for (size_t i = 0; i < ARRAY_LEN(before); i++)
        before[i] = dial(f);
    turn(f);
    for (size_t i = 0; i < ARRAY_LEN(before); i++)
        close(before[i]);
    for (int i = 0; i < ADMIN_CONNECTIONS; i++)
        fds[i] = dial(f);
    turn(f);
    assert_int_equal(f->admin.sessions_n, ADMIN_CONNECTIONS);
    for (int i = 0; i < ADMIN_CONNECTIONS; i++)
        close(fds[i]);
}

/* The wheel is turned by hand instead of waiting. */
static void expire(struct fixture *f)
{
    uint64_t later = f->loop.clock.now_ms + ADMIN_REQUEST_MS + 2 * WHEEL_TICK_MS;
    wheel_advance(&f->loop.wheel, later, &f->loop.runq);
    turn(f);
}

static void test_a_request_that_takes_too_long_is_408(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    say(f, fd, "GET /hel");
    expire(f);
    assert_true(strncmp(heard(fd), "HTTP/1.1 408 ", 13) == 0);
    close(fd);
}

static void test_a_silent_connection_is_closed_without_an_answer(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    turn(f);
    assert_int_equal(f->admin.sessions_n, 1);
    expire(f);
    assert_int_equal(f->admin.sessions_n, 0);
    assert_string_equal(heard(fd), "");
    close(fd);
}

static void test_one_who_never_ends_after_the_answer_is_closed(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    say(f, fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(f->admin.sessions_n, 1);
    expire(f);
    assert_int_equal(f->admin.sessions_n, 0);
    close(fd);
}

static void test_a_post_is_answered_when_its_body_is_whole(void **state)
{
    struct fixture *f = *state;
    const char *request = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    int fd = dial(f);
    for (const char *p = request; *p; p++) {
        assert_int_equal(f->asked, 0);
        say(f, fd, (char[]){*p, '\0'});
    }
    const char *text = heard(fd);
    assert_true(strncmp(text, "HTTP/1.1 200 ", 13) == 0);
    assert_non_null(strstr(text, "\r\n\r\nhello"));
    assert_int_equal(f->asked, 1);
    close(fd);
}

static void test_a_post_without_a_body_has_an_empty_one(void **state)
{
    struct fixture *f = *state;
    f->posted = 99;
    assert_answers(f, "POST /echo HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 ");
    assert_int_equal(f->posted, 0);
}

static int post_of(struct fixture *f, size_t n)
{
    static char body[ADMIN_BODY_MAX + 2];
    char head[128];
    int fd = dial(f);
    snprintf(head, sizeof(head), "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", n);
    say(f, fd, head);
    memset(body, 'b', n);
    body[n] = '\0';
    for (size_t sent = 0; sent < n;) {
        ssize_t now = send(fd, body + sent, n - sent, MSG_NOSIGNAL);
        sent += now > 0 ? (size_t)now : n;
        turn(f);
    }
    return fd;
}

static void test_a_body_at_the_limit_is_taken_and_one_beyond_is_413(void **state)
{
    struct fixture *f = *state;
    int fd = post_of(f, ADMIN_BODY_MAX);
    assert_true(strncmp(heard(fd), "HTTP/1.1 200 ", 13) == 0);
    assert_int_equal(f->posted, ADMIN_BODY_MAX);
    close(fd);
    fd = post_of(f, ADMIN_BODY_MAX + 1);
    assert_true(strncmp(heard(fd), "HTTP/1.1 413 ", 13) == 0);
    assert_int_equal(f->asked, 1);
    close(fd);
}

static void test_a_client_that_expects_100_is_told_to_go_on_once(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    say(f, fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
               "Expect: 100-continue\r\n\r\n");
    assert_string_equal(heard(fd), "HTTP/1.1 100 Continue\r\n\r\n");
    say(f, fd, "a");
    say(f, fd, "bc");
    assert_true(strncmp(heard(fd), "HTTP/1.1 200 ", 13) == 0);
    close(fd);
}

static void test_a_body_that_does_not_come_in_time_is_408(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    say(f, fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab");
    expire(f);
    assert_true(strncmp(heard(fd), "HTTP/1.1 408 ", 13) == 0);
    assert_int_equal(f->asked, 0);
    close(fd);
}

static void assert_token(struct fixture *f, const char *line, const char *token)
{
    char request[256];
    snprintf(request, sizeof(request), "GET /hello HTTP/1.1\r\nHost: a\r\n%s\r\n", line);
    assert_answers(f, request, "HTTP/1.1 200 ");
    assert_string_equal(f->token, token);
}

static void test_a_bearer_token_is_told_to_the_handler(void **state)
{
    struct fixture *f = *state;
    assert_token(f, "", "");
    assert_token(f, "Authorization: Bearer abc\r\n", "abc");
    assert_token(f, "authorization: bEARER   abc \r\n", "abc");
    assert_token(f, "Authorization: Bearer\r\n", "");
    assert_token(f, "Authorization: Basic abc\r\n", "");
    assert_token(f, "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n", "");
}

static void test_an_answer_may_come_later(void **state)
{
    struct fixture *f = *state;
    struct admin_answer a = {.status = 200, .content_type = "application/json"};
    int fd = dial(f);
    say(f, fd, "POST /later HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_string_equal(heard(fd), "");
    assert_int_equal(f->admin.later_n, 1);
    expire(f); /* it does not count as slow */
    assert_string_equal(heard(fd), "");
    strbuf_init(&a.body);
    strbuf_str(&a.body, "{}\n");
    admin_answer_later(&f->later[0], &a);
    strbuf_fini(&a.body);
    turn(f);
    const char *text = heard(fd);
    assert_true(strncmp(text, "HTTP/1.1 200 ", 13) == 0);
    assert_non_null(strstr(text, "\r\n\r\n{}\n"));
    assert_int_equal(f->admin.later_n, 0);
    close(fd);
}

static void test_a_client_that_leaves_before_its_answer_is_forgotten(void **state)
{
    struct fixture *f = *state;
    struct admin_answer a = {.status = 200, .content_type = "text/plain"};
    int fd = dial(f);
    say(f, fd, "POST /later HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_non_null(f->later[0].session);
    close(fd);
    turn(f);
    assert_null(f->later[0].session);
    assert_int_equal(f->admin.later_n, 0);
    assert_int_equal(f->admin.sessions_n, 0);
    admin_answer_later(&f->later[0], &a);
    admin_forget(&f->later[0]);
}

static void test_a_connection_may_be_given_up_instead_of_answered(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    say(f, fd, "POST /later HTTP/1.1\r\nHost: a\r\n\r\n");
    admin_forget(&f->later[0]);
    assert_null(f->later[0].session);
    turn(f);
    assert_int_equal(f->admin.sessions_n, 0);
    close(fd);
}

static void test_no_more_than_32_answers_are_due_at_a_time(void **state)
{
    struct fixture *f = *state;
    int fds[ADMIN_LATER_MAX];
    for (int i = 0; i < ADMIN_LATER_MAX; i++) {
        fds[i] = dial(f);
        say(f, fds[i], "POST /later HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    assert_int_equal(f->admin.later_n, ADMIN_LATER_MAX);
    int next = dial(f);
    say(f, next, "POST /later HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(strncmp(heard(next), "HTTP/1.1 503 ", 13) == 0);
    close(next);
    for (int i = 0; i < ADMIN_LATER_MAX; i++)
        close(fds[i]);
    turn(f);
    assert_int_equal(f->admin.later_n, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_get_is_answered_and_the_connection_closed),
        TEST(test_what_is_not_a_good_get_is_refused),
        TEST(test_405_names_the_methods_that_are_allowed),
        TEST(test_a_request_in_single_bytes_is_answered),
        TEST(test_a_head_beyond_the_limit_is_431),
        TEST(test_a_large_answer_arrives_whole),
        TEST(test_beyond_64_connections_the_next_waits_for_an_end),
        TEST(test_all_64_are_served_in_the_turn_that_closes_others),
        TEST(test_a_request_that_takes_too_long_is_408),
        TEST(test_a_silent_connection_is_closed_without_an_answer),
        TEST(test_one_who_never_ends_after_the_answer_is_closed),
        TEST(test_a_post_is_answered_when_its_body_is_whole),
        TEST(test_a_post_without_a_body_has_an_empty_one),
        TEST(test_a_body_at_the_limit_is_taken_and_one_beyond_is_413),
        TEST(test_a_client_that_expects_100_is_told_to_go_on_once),
        TEST(test_a_body_that_does_not_come_in_time_is_408),
        TEST(test_a_bearer_token_is_told_to_the_handler),
        TEST(test_an_answer_may_come_later),
        TEST(test_a_client_that_leaves_before_its_answer_is_forgotten),
        TEST(test_a_connection_may_be_given_up_instead_of_answered),
        TEST(test_no_more_than_32_answers_are_due_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
