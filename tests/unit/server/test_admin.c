#include "server/fixture.h"

#include <errno.h>

#include "net/conn.h"
#include "server/admin.h"

struct fixture {
    struct loop loop;
    struct admin admin;
    size_t body_bytes; /* of /big */
    unsigned asked;
};

static void answer(void *ctx, struct slice path, struct admin_answer *a)
{
    struct fixture *f = ctx;
    f->asked++;
    if (slice_eq(path, SLICE("/hello"))) {
        a->status = 200;
        strbuf_str(&a->body, "hi\n");
    } else if (slice_eq(path, SLICE("/big"))) {
        a->status = 200;
        a->content_type = "application/json";
        for (size_t i = 0; i < f->body_bytes; i++)
            strbuf_add(&a->body, "x", 1);
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
    assert_answers(f, "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
                   "HTTP/1.1 405 ");
    assert_answers(f, "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 405 ");
    assert_answers(f, "nonsense\r\n\r\n", "HTTP/1.1 400 ");
    assert_answers(f, "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ");
    assert_answers(f, "GET / HTTP/3.0\r\nHost: a\r\n\r\n", "HTTP/1.1 505 ");
    assert_int_equal(f->asked, 0);
    assert_answers(f, "GET /none HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 ");
    assert_int_equal(f->asked, 1);
}

static void test_405_names_the_method_that_is_allowed(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    say(f, fd, "DELETE /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_non_null(strstr(heard(fd), "Allow: GET\r\n"));
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_get_is_answered_and_the_connection_closed),
        TEST(test_what_is_not_a_good_get_is_refused),
        TEST(test_405_names_the_method_that_is_allowed),
        TEST(test_a_request_in_single_bytes_is_answered),
        TEST(test_a_head_beyond_the_limit_is_431),
        TEST(test_a_large_answer_arrives_whole),
        TEST(test_beyond_64_connections_the_next_waits_for_an_end),
        TEST(test_all_64_are_served_in_the_turn_that_closes_others),
        TEST(test_a_request_that_takes_too_long_is_408),
        TEST(test_a_silent_connection_is_closed_without_an_answer),
        TEST(test_one_who_never_ends_after_the_answer_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
