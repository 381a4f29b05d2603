/* The health check log: its lines, its buffers, and the outputs that come and go. */
#include "server/check_log.h"

#include "server/fixture.h"

#include <sys/stat.h>

struct fixture {
    char *dir;
    struct log_writer writer;
    struct loop loop;
    struct check_log log;
    bool stopped;
};

static struct log_output *open_path(struct fixture *f, const char *name)
{
    struct config_sink c = {.output = CONFIG_OUTPUT_FILE, .path = slice_str(path_in(f->dir, name))};
    struct log_output *o;
    assert_int_equal(log_output_open(&c, &o), OK);
    return o;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->dir = temp_dir();
    assert_int_equal(log_writer_start(&f->writer, open_path(f, "errors")), OK);
    assert_int_equal(loop_init(&f->loop, 1 << 20), OK);
    check_log_init(&f->log, &f->loop, &f->writer);
    *state = f;
    return 0;
}

static void stop(struct fixture *f)
{
    line_log_stop(&f->log.lines);
    assert_true(log_writer_stop(&f->writer, 10000));
    loop_turn(&f->loop);
    f->stopped = true;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (!f->stopped)
        stop(f);
    line_log_fini(&f->log.lines);
    loop_fini(&f->loop);
    remove_dir(f->dir);
    free(f);
    return 0;
}

static struct log_output *attach(struct fixture *f, const char *name)
{
    struct log_output *o = open_path(f, name);
    log_writer_attach(&f->writer, o);
    line_log_configure(&f->log.lines, o);
    return o;
}

static void check(struct fixture *f, enum config_check_protocol protocol, enum health_result result,
                  uint16_t status)
{
    struct config_health_check c = {.protocol = protocol};
    struct group g = {.name = SLICE("app"), .check = &c};
    struct check_report r = {.group = &g, .began_wall_us = 1764000000000042, .took_us = 1019584,
                             .result = result, .has_status = status, .status = status};
    assert_int_equal(addr_parse_ip(&r.addr, SLICE("10.0.1.10"), 3000), OK);
    check_log_write(&f->log, &r);
}

#define TIME  "2025-11-24T16:00:00.000042Z 1.019584 10.0.1.10:3000 app "

static void test_a_line_has_elbs_eight_fields(void **state)
{
    struct fixture *f = *state;
    (void)attach(f, "checks");
    check(f, CONFIG_CHECK_HTTP, HEALTH_RESULT_PASS, 200);
    check(f, CONFIG_CHECK_HTTPS, HEALTH_RESULT_MISMATCH, 503);
    check(f, CONFIG_CHECK_TCP, HEALTH_RESULT_RESET, 0);
    check(f, CONFIG_CHECK_TLS, HEALTH_RESULT_FAILED, 0);
    check(f, CONFIG_CHECK_HTTP, HEALTH_RESULT_TIMEOUT, 0);
    check(f, CONFIG_CHECK_HTTP, HEALTH_RESULT_INTERNAL, 0);
    stop(f);
    assert_string_equal(content(path_in(f->dir, "checks")),
                        "http " TIME "PASS 200 -\n"
                        "https " TIME "FAIL 503 ResponseCodeMismatch\n"
                        "tcp " TIME "FAIL - ConnectionReset\n"
                        "tls " TIME "FAIL - TargetError\n"
                        "http " TIME "FAIL - TimedOut\n"
                        "http " TIME "FAIL - InternalError\n");
}

static void test_nothing_is_written_while_it_is_off(void **state)
{
    struct fixture *f = *state;
    check(f, CONFIG_CHECK_HTTP, HEALTH_RESULT_PASS, 200);
    assert_int_equal(f->log.lines.feed.alive, 0);
    assert_int_equal(counter_get(&f->log.lines.dropped), 0);
}

static void test_lines_go_to_the_output_that_was_there_when_they_were_written(void **state)
{
    struct fixture *f = *state;
    struct log_output *old = attach(f, "old");
    check(f, CONFIG_CHECK_HTTP, HEALTH_RESULT_PASS, 200);
    (void)attach(f, "new");
    log_writer_retire(&f->writer, old);
    check(f, CONFIG_CHECK_HTTP, HEALTH_RESULT_PASS, 204);
    stop(f);
    assert_string_equal(content(path_in(f->dir, "old")), "http " TIME "PASS 200 -\n");
    assert_string_equal(content(path_in(f->dir, "new")), "http " TIME "PASS 204 -\n");
}

static void test_a_line_is_handed_over_within_a_second(void **state)
{
    struct fixture *f = *state;
    (void)attach(f, "checks");
    check(f, CONFIG_CHECK_HTTP, HEALTH_RESULT_PASS, 200);
    for (int i = 0; i < 3000 && !content(path_in(f->dir, "checks"))[0]; i++) {
        loop_turn(&f->loop);
        usleep(1000);
    }
    assert_string_equal(content(path_in(f->dir, "checks")), "http " TIME "PASS 200 -\n");
}

/* All lines are equally long. */
static size_t count_lines(const char *path)
{
    struct stat st;
    const char *end = strchr(content(path), '\n');
    assert_non_null(end);
    assert_int_equal(stat(path, &st), 0);
    return (size_t)st.st_size / (size_t)(end + 1 - content(path));
}

/* The loop does not turn, so no buffer comes back: lines beyond all buffers are dropped. */
static void test_beyond_all_buffers_lines_are_dropped_and_counted(void **state)
{
    struct fixture *f = *state;
    uint64_t n = 0;
    (void)attach(f, "checks");
    while (counter_get(&f->log.lines.dropped) < 10 && n++ < 1000000)
        check(f, CONFIG_CHECK_HTTP, HEALTH_RESULT_PASS, 200);
    assert_int_equal(counter_get(&f->log.lines.dropped), 10);
    assert_int_equal(f->log.lines.feed.alive, LOG_FEED_BUFFERS);
    stop(f);
    assert_int_equal(count_lines(path_in(f->dir, "checks")), n - 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_line_has_elbs_eight_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_is_written_while_it_is_off, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_lines_go_to_the_output_that_was_there_when_they_were_written, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_line_is_handed_over_within_a_second, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_beyond_all_buffers_lines_are_dropped_and_counted,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
