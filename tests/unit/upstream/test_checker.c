/* When the checker asks whom, and what it makes of answers over HTTP/1.1. */
#include "checks.h"

static size_t read_request(struct fixture *f, int fd, char *to, size_t cap)
{
    size_t n = 0;
    for (int i = 0; i < 2000; i++) {
        ssize_t got = recv(fd, to + n, cap - 1 - n, 0);
        if (got > 0)
            n += (size_t)got;
        to[n] = '\0';
        if (strstr(to, "\r\n\r\n"))
            return n;
        pass_time(f);
    }
    fail_msg("no request came, but \"%s\"", to);
    return 0;
}

/* One whole check that gets these bytes and then the target's end. */
static void answer(struct fixture *f, const char *bytes)
{
    char request[2000];
    int fd = await(f);
    (void)read_request(f, fd, request, sizeof(request));
    say(fd, slice_str(bytes));
    shutdown(fd, SHUT_WR);
    await_end(f, fd);
    close(fd);
}

#define QUICK  "{interval: 100ms, timeout: 100ms, healthy_threshold: 1, unhealthy_threshold: 1}"
#define OK_200 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define NO_404 "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

/* ---- how it asks ---- */

static void test_an_http_check_asks_as_elb_does(void **state)
{
    (void)state;
    struct fixture f;
    char request[2000], want[200];
    begin(&f, "{interval: 1s}", TARGETS);
    int fd = await(&f);
    (void)read_request(&f, fd, request, sizeof(request));
    snprintf(want, sizeof(want),
             "GET / HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n"
             "User-Agent: ELB-HealthChecker/2.0\r\n\r\n",
             f.world.origin_port);
    assert_string_equal(request, want);
    close(fd);
    end(&f);
}

static void test_path_and_host_are_those_of_the_file(void **state)
{
    (void)state;
    struct fixture f;
    char request[2000];
    begin(&f, "{interval: 1s, path: '/up?x=1', host: 'app.internal:81'}", TARGETS);
    int fd = await(&f);
    (void)read_request(&f, fd, request, sizeof(request));
    assert_non_null(strstr(request, "GET /up?x=1 HTTP/1.1\r\nHost: app.internal:81\r\n"));
    close(fd);
    end(&f);
}

static void test_the_port_may_be_another_than_that_of_the_traffic(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "{interval: 1s, port: %u}", "\"127.0.0.1:9\"");
    answer(&f, OK_200);
    assert_health(&f, HEALTH_HEALTHY, "");
    end(&f);
}

static void test_a_tcp_check_connects_and_says_nothing(void **state)
{
    (void)state;
    struct fixture f;
    char byte;
    begin(&f, "{protocol: tcp, interval: 1s}", TARGETS);
    int fd = await(&f);
    while (target_state(target(&f, 0)) == HEALTH_INITIAL)
        pass_time(&f);
    assert_health(&f, HEALTH_HEALTHY, "");
    assert_int_equal(recv(fd, &byte, 1, 0), 0); /* its FIN, and nothing before */
    close(fd);
    end(&f);
}

/* ---- what it makes of answers ---- */

struct row {
    const char *bytes;
    enum health_state state;
    const char *reason;
};

#define FAILED   HEALTH_UNHEALTHY, "Target.FailedHealthChecks"
#define MISMATCH HEALTH_UNHEALTHY, "Target.ResponseCodeMismatch"
#define HEALTHY  HEALTH_HEALTHY, ""

static void test_answers_and_their_verdicts(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {OK_200, HEALTHY},
        {"HTTP/1.0 200 OK\r\n\r\n", HEALTHY},
        {"HTTP/1.1 100 Continue\r\n\r\n" OK_200, HEALTHY},
        {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 P\r\n\r\n" OK_200, HEALTHY},
        {NO_404, MISMATCH},
        {"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", MISMATCH},
        {"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", MISMATCH},
        {"", FAILED},
        {"\r\n", FAILED},
        {"HTTP/1.1 200 OK\r\n", FAILED},
        {"SSH-2.0-OpenSSH_9.2p1\r\n", FAILED},
        {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", FAILED},
        {"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", FAILED},
        {"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", FAILED},
        {"HTTP/1.1 100 Continue\r\n\r\n", FAILED},
    };
    struct fixture f;
    begin(&f, QUICK, TARGETS);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        answer(&f, rows[i].bytes);
        assert_health(&f, rows[i].state, rows[i].reason);
    }
    end(&f);
}

static void test_interim_heads_are_not_read_for_ever(void **state)
{
    (void)state;
    struct fixture f;
    char bytes[2000] = "";
    begin(&f, QUICK, TARGETS);
    for (int i = 0; i < 8; i++)
        strcat(bytes, "HTTP/1.1 102 P\r\n\r\n");
    size_t eight = strlen(bytes);
    strcat(bytes, OK_200);
    answer(&f, bytes);
    assert_health(&f, HEALTHY);
    snprintf(bytes + eight, sizeof(bytes) - eight, "HTTP/1.1 102 P\r\n\r\n" OK_200);
    answer(&f, bytes);
    assert_health(&f, FAILED);
    end(&f);
}

static void test_a_head_may_be_as_long_as_the_limit_and_no_longer(void **state)
{
    (void)state;
    struct fixture f;
    char bytes[4000];
    begin(&f, QUICK, TARGETS);
    for (int over = 0; over < 2; over++) {
        /* The limit counts lines without their ends: 15 octets, and the rest in one field. */
        int pad = 1024 - 15 - 3 + over;
        snprintf(bytes, sizeof(bytes), "HTTP/1.1 200 OK\r\nX: %0*d\r\n\r\n", pad, 0);
        answer(&f, bytes);
        if (over)
            assert_health(&f, FAILED);
        else
            assert_health(&f, HEALTHY);
    }
    end(&f);
}

static void test_an_answer_in_pieces_is_the_same_answer(void **state)
{
    (void)state;
    struct fixture f;
    char request[2000];
    const struct slice whole = SLICE("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n");
    begin(&f, "{interval: 100ms, timeout: 5s, healthy_threshold: 1, unhealthy_threshold: 1}",
          TARGETS);
    for (size_t cut = 1; cut < whole.n; cut += 3) {
        int fd = await(&f);
        (void)read_request(&f, fd, request, sizeof(request));
        say(fd, slice_of(whole.p, cut));
        turn_for(&f, 3);
        assert_non_null(target(&f, 0)->check->conn);
        say(fd, slice_from(whole, cut));
        await_end(&f, fd);
        assert_health(&f, HEALTHY);
        close(fd);
    }
    end(&f);
}

static void test_megabytes_are_not_read(void **state)
{
    (void)state;
    struct fixture f;
    static char flood[1 << 20];
    char request[2000];
    memset(flood, 'x', sizeof(flood));
    begin(&f, QUICK, TARGETS);
    int fd = await(&f);
    (void)read_request(&f, fd, request, sizeof(request));
    (void)!send(fd, flood, sizeof(flood), MSG_NOSIGNAL);
    await_end(&f, fd);
    assert_health(&f, FAILED);
    assert_int_equal(f.world.loop.chunks.used_bytes, 0);
    close(fd);
    end(&f);
}

static void test_silence_is_a_timeout(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, QUICK, TARGETS);
    int fd = await(&f);
    await_end(&f, fd);
    assert_health(&f, HEALTH_UNHEALTHY, "Target.Timeout");
    close(fd);
    end(&f);
}

static void test_a_refused_connection_is_a_failure(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, QUICK, "\"127.0.0.1:9\"");
    for (int i = 0; i < 2000 && target_state(target(&f, 0)) == HEALTH_INITIAL; i++)
        pass_time(&f);
    assert_health(&f, FAILED);
    end(&f);
}

/* ---- when it asks ---- */

static void test_slow_answers_do_not_shift_the_schedule(void **state)
{
    (void)state;
    struct fixture f;
    char request[2000];
    begin(&f, "{interval: 200ms, timeout: 200ms, jitter: 0}", TARGETS);
    uint64_t first_ms = 0;
    for (int i = 0; i < 5; i++) {
        int fd = await(&f);
        first_ms = i ? first_ms : f.world.loop.clock.now_ms;
        uint64_t due_ms = first_ms + 200 * (uint64_t)i, now_ms = f.world.loop.clock.now_ms;
        assert_true(now_ms + 120 > due_ms && now_ms < due_ms + 180);
        (void)read_request(&f, fd, request, sizeof(request));
        turn_for(&f, 120);
        say(fd, slice_str(OK_200));
        await_end(&f, fd);
        close(fd);
    }
    assert_health(&f, HEALTHY);
    end(&f);
}

static void test_first_checks_are_spread(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "{interval: 30s}",
          "\"127.0.0.1:%u\", \"127.0.0.2:1\", \"127.0.0.3:1\", \"127.0.0.4:1\"");
    uint64_t now_ms = f.world.loop.clock.now_ms;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(target(&f, i)->check->next_ms, now_ms + 1 + 250 * i);
    end(&f);
}

/* ---- reloads ---- */

static void test_health_survives_reloads(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, QUICK, TARGETS);
    answer(&f, NO_404);
    assert_health(&f, MISMATCH);
    uint32_t before = epoch(&f);
    for (int i = 0; i < 20; i++) {
        reload(&f, i % 2 ? QUICK : "{interval: 100ms, path: /b}", TARGETS);
        assert_health(&f, MISMATCH);
    }
    turn_for(&f, 30);
    assert_int_equal(epoch(&f), before);
    end(&f);
}

static void test_a_changed_question_drops_the_check_that_is_out(void **state)
{
    (void)state;
    struct fixture f;
    char request[2000];
    begin(&f, QUICK, TARGETS);
    int fd = await(&f);
    (void)read_request(&f, fd, request, sizeof(request));
    reload(&f, "{interval: 100ms, timeout: 5s, matcher: \"404\"}", TARGETS);
    (void)send(fd, NO_404, strlen(NO_404), MSG_NOSIGNAL);
    await_end(&f, fd);
    assert_health(&f, HEALTH_INITIAL, "Elb.InitialHealthChecking");
    close(fd);
    answer(&f, NO_404);
    assert_health(&f, HEALTHY);
    end(&f);
}

static void test_a_shorter_interval_counts_at_once(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "{interval: 1h}", TARGETS);
    answer(&f, OK_200);
    reload(&f, QUICK, TARGETS);
    answer(&f, NO_404);
    assert_health(&f, MISMATCH);
    end(&f);
}

static void test_a_target_that_is_checked_no_more_forgets_its_health(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, QUICK, TARGETS);
    answer(&f, NO_404);
    reload(&f, "off", TARGETS);
    assert_null(target(&f, 0)->check);
    assert_health(&f, HEALTH_INITIAL, "Elb.InitialHealthChecking");
    reload(&f, QUICK, TARGETS);
    answer(&f, OK_200);
    assert_health(&f, HEALTHY);
    end(&f);
}

static void test_a_target_that_leaves_is_not_checked_any_more(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, QUICK, "\"127.0.0.1:%u\", \"127.0.0.2:1\"");
    int fd = await(&f);
    reload(&f, QUICK, "\"127.0.0.2:1\"");
    await_end(&f, fd);
    close(fd);
    turn_for(&f, 250);
    assert_int_equal(world_origin(&f.world), -1);
    end(&f);
}

/* ---- what workers see ---- */

static void test_changes_within_10_ms_are_one_epoch(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, QUICK, "\"127.0.0.2:9\", \"127.0.0.3:9\", \"127.0.0.4:9\", \"127.0.0.5:9\"");
    for (size_t i = 0; i < 4; i++) {
        struct check *k = target(&f, i)->check;
        k->next_ms = f.world.loop.clock.now_ms + 1;
        loop_timer_at(&f.world.loop, &k->due, k->next_ms);
    }
    turn_for(&f, 250);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(target_state(target(&f, i)), HEALTH_UNHEALTHY);
    assert_true(epoch(&f) >= 1 && epoch(&f) <= 2); /* at once, and what came within the pause */
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_http_check_asks_as_elb_does),
        cmocka_unit_test(test_path_and_host_are_those_of_the_file),
        cmocka_unit_test(test_the_port_may_be_another_than_that_of_the_traffic),
        cmocka_unit_test(test_a_tcp_check_connects_and_says_nothing),
        cmocka_unit_test(test_answers_and_their_verdicts),
        cmocka_unit_test(test_interim_heads_are_not_read_for_ever),
        cmocka_unit_test(test_a_head_may_be_as_long_as_the_limit_and_no_longer),
        cmocka_unit_test(test_an_answer_in_pieces_is_the_same_answer),
        cmocka_unit_test(test_megabytes_are_not_read),
        cmocka_unit_test(test_silence_is_a_timeout),
        cmocka_unit_test(test_a_refused_connection_is_a_failure),
        cmocka_unit_test(test_slow_answers_do_not_shift_the_schedule),
        cmocka_unit_test(test_first_checks_are_spread),
        cmocka_unit_test(test_health_survives_reloads),
        cmocka_unit_test(test_a_changed_question_drops_the_check_that_is_out),
        cmocka_unit_test(test_a_shorter_interval_counts_at_once),
        cmocka_unit_test(test_a_target_that_is_checked_no_more_forgets_its_health),
        cmocka_unit_test(test_a_target_that_leaves_is_not_checked_any_more),
        cmocka_unit_test(test_changes_within_10_ms_are_one_epoch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
