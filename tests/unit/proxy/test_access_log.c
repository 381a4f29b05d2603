#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "proxy/access_log.h"

/* A sink that keeps what it is given, with as many buffers as a test wants. */
struct fake_sink {
    int free_buffers;
    int swaps;
    char *got;
    size_t got_n;
    void *last_output;
};

static void keep(struct fake_sink *f, struct access_buffer *b)
{
    f->got = realloc(f->got, f->got_n + b->n + 1);
    memcpy(f->got + f->got_n, b->data, b->n);
    f->got_n += b->n;
    f->got[f->got_n] = '\0';
    f->last_output = b->output;
    free(b);
}

static struct access_buffer *fake_swap(void *ctx, struct access_buffer *used, size_t bytes)
{
    struct fake_sink *f = ctx;
    f->swaps++;
    if (used)
        keep(f, used);
    if (bytes == 0 || f->free_buffers == 0)
        return NULL;
    f->free_buffers--;
    struct access_buffer *b = calloc(1, sizeof(*b) + bytes);
    b->cap = bytes;
    return b;
}

struct fixture {
    struct loop loop;
    struct fake_sink sink;
    struct access_log log;
    struct config_access_log config;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (loop_init(&f->loop, 1 << 20) != OK)
        return -1;
    f->sink.free_buffers = 1000;
    f->config = (struct config_access_log){.sink = {.output = CONFIG_OUTPUT_FILE},
                                           .format = CONFIG_ACCESS_LOG_FORMAT_JSON,
                                           .buffer_bytes = 65536,
                                           .flush_ms = 1000};
    access_log_init(&f->log, &f->loop, (struct access_sink){fake_swap, &f->sink});
    access_log_configure(&f->log, &f->config, f);
    clock_set(&f->loop.clock, f->loop.clock.now_us, 1795470480012345);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    access_log_fini(&f->log);
    loop_fini(&f->loop);
    free(f->sink.got);
    free(f);
    return 0;
}

static const struct access_entry full = {
    .type = SLICE_INIT("http"),
    .listener = SLICE_INIT("web"),
    .client = SLICE_INIT("192.0.2.7:51234"),
    .target = SLICE_INIT("10.0.1.10:3000"),
    .group = SLICE_INIT("app"),
    .rule = SLICE_INIT("api"),
    .method = SLICE_INIT("GET"),
    .scheme = SLICE_INIT("http"),
    .host = SLICE_INIT("api.example.com"),
    .path = SLICE_INIT("/v1/users?id=\"7\""),
    .protocol = SLICE_INIT("HTTP/1.1"),
    .status = 200,
    .target_status = 200,
    .received_bytes = 123,
    .sent_bytes = 4567,
    .request_us = 12,
    .target_us = 1500000,
    .response_us = 0,
    .retries = 1,
    .user_agent = SLICE_INIT("curl/7.88"),
    .referer = SLICE_INIT("https://example.com/"),
    .trace_id = SLICE_INIT("Root=1-67891233-abcdef012345678912345678"),
    .conn_trace_id = SLICE_INIT("TID_1"),
    .zone = SLICE_INIT("a"),
    .target_zone = SLICE_INIT("b"),
    .zone_decision = SLICE_INIT("cross"),
    .snapshot = 3,
};

static const struct access_entry empty = {.request_us = -1, .target_us = -1, .response_us = -1};

static const char *written(struct fixture *f, const struct access_entry *e)
{
    f->sink.got_n = 0;
    access_log_write(&f->log, &f->loop.clock, e);
    access_log_flush(&f->log);
    return f->sink.got;
}

static void test_json_has_exactly_the_documented_fields_in_order(void **state)
{
    assert_string_equal(
        written(*state, &full),
        "{\"time\":\"2026-11-23T21:48:00.012345Z\",\"type\":\"http\",\"listener\":\"web\","
        "\"client\":\"192.0.2.7:51234\",\"target\":\"10.0.1.10:3000\",\"group\":\"app\","
        "\"rule\":\"api\",\"method\":\"GET\",\"scheme\":\"http\",\"host\":\"api.example.com\","
        "\"path\":\"/v1/users?id=\\\"7\\\"\",\"protocol\":\"HTTP/1.1\",\"status\":200,"
        "\"target_status\":200,\"reason\":null,\"received_bytes\":123,\"sent_bytes\":4567,"
        "\"request_processing_time\":0.000012,\"target_processing_time\":1.500000,"
        "\"response_processing_time\":0.000000,\"retries\":1,\"user_agent\":\"curl/7.88\","
        "\"trace_id\":\"Root=1-67891233-abcdef012345678912345678\",\"conn_trace_id\":\"TID_1\","
        "\"zone\":\"a\",\"target_zone\":\"b\",\"zone_decision\":\"cross\",\"tls_protocol\":null,"
        "\"tls_cipher\":null,\"snapshot\":3}\n");
}

static void test_json_absent_values_are_null(void **state)
{
    assert_string_equal(
        written(*state, &empty),
        "{\"time\":\"2026-11-23T21:48:00.012345Z\",\"type\":null,\"listener\":null,"
        "\"client\":null,\"target\":null,\"group\":null,\"rule\":null,\"method\":null,"
        "\"scheme\":null,\"host\":null,\"path\":null,\"protocol\":null,\"status\":null,"
        "\"target_status\":null,\"reason\":null,\"received_bytes\":0,\"sent_bytes\":0,"
        "\"request_processing_time\":null,\"target_processing_time\":null,"
        "\"response_processing_time\":null,\"retries\":0,\"user_agent\":null,\"trace_id\":null,"
        "\"conn_trace_id\":null,\"zone\":null,\"target_zone\":null,\"zone_decision\":null,"
        "\"tls_protocol\":null,\"tls_cipher\":null,\"snapshot\":0}\n");
}

static void test_a_reason_is_logged_by_its_name(void **state)
{
    struct access_entry e = full;
    e.reason = REASON_TARGET_REFUSED;
    assert_non_null(strstr(written(*state, &e), "\"reason\":\"target_refused\""));
}

static void use_combined(struct fixture *f)
{
    f->config.format = CONFIG_ACCESS_LOG_FORMAT_COMBINED;
    access_log_configure(&f->log, &f->config, f);
}

static void test_combined_is_apaches_line(void **state)
{
    use_combined(*state);
    assert_string_equal(written(*state, &full), "192.0.2.7 - - [23/Nov/2026:21:48:00 +0000] "
                                                "\"GET /v1/users?id=\\\"7\\\" HTTP/1.1\" 200 4567 "
                                                "\"https://example.com/\" \"curl/7.88\"\n");
    assert_string_equal(written(*state, &empty),
                        "- - - [23/Nov/2026:21:48:00 +0000] \"-\" - 0 \"-\" \"-\"\n");
}

static void test_combined_writes_the_client_without_port_and_brackets(void **state)
{
    use_combined(*state);
    struct access_entry e = empty;
    e.client = SLICE("[2001:db8::1]:443");
    assert_true(strncmp(written(*state, &e), "2001:db8::1 - - [", 17) == 0);
    e.client = SLICE("unix:/run/a:b");
    assert_true(strncmp(written(*state, &e), "unix:/run/a:b - - [", 19) == 0);
}

static void test_combined_never_breaks_a_line(void **state)
{
    use_combined(*state);
    struct access_entry e = full;
    e.user_agent = SLICE("a\nb\"c\\d\xff");
    assert_non_null(strstr(written(*state, &e), "\"a\\x0ab\\\"c\\\\d\\xff\"\n"));
}

/* Every byte of every string needs the longest escape, and every number is the largest. */
static void test_the_longest_line_fits_its_room(void **state)
{
    struct fixture *f = *state;
    size_t n = 300000;
    char *bytes = malloc(n);
    memset(bytes, 1, n);
    struct slice s = slice_of(bytes, n);
    struct access_entry e = {
        .type = s,
        .listener = s,
        .client = s,
        .target = s,
        .group = s,
        .rule = s,
        .method = s,
        .scheme = s,
        .host = s,
        .path = s,
        .protocol = s,
        .user_agent = s,
        .referer = s,
        .trace_id = s,
        .conn_trace_id = s,
        .zone = s,
        .target_zone = s,
        .zone_decision = s,
        .tls_protocol = s,
        .tls_cipher = s,
        .status = UINT32_MAX,
        .target_status = UINT32_MAX,
        .reason = REASON_COUNT - 1,
        .retries = UINT32_MAX,
        .received_bytes = UINT64_MAX,
        .sent_bytes = UINT64_MAX,
        .request_us = INT64_MAX,
        .target_us = INT64_MAX,
        .response_us = INT64_MAX,
        .snapshot = UINT64_MAX,
    };
    enum config_access_log_format formats[] = {CONFIG_ACCESS_LOG_FORMAT_JSON,
                                               CONFIG_ACCESS_LOG_FORMAT_COMBINED};
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        f->config.format = formats[i];
        f->config.buffer_bytes = 1; /* each line on its own */
        access_log_configure(&f->log, &f->config, f);
        const char *line = written(f, &e);
        assert_true(strlen(line) > 16000 && strlen(line) <= ACCESS_LOG_LINE_BYTES);
        assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    }
    free(bytes);
}

static void test_a_buffer_goes_when_it_is_full(void **state)
{
    struct fixture *f = *state;
    int lines = 0;
    while (f->sink.got_n == 0) {
        access_log_write(&f->log, &f->loop.clock, &full);
        assert_true(++lines < 1000);
    }
    assert_true(f->sink.got_n >= 65536);
    assert_true(f->sink.got_n < 65536 + ACCESS_LOG_LINE_BYTES);
    assert_ptr_equal(f->sink.last_output, f);
    assert_int_equal(counter_get(&f->log.lines), lines);
}

static void test_a_buffer_goes_when_its_oldest_line_is_flush_old(void **state)
{
    struct fixture *f = *state;
    f->config.flush_ms = 300;
    access_log_configure(&f->log, &f->config, f);
    access_log_write(&f->log, &f->loop.clock, &full);
    uint64_t written_ms = f->loop.clock.now_ms;
    wheel_advance(&f->loop.wheel, written_ms + 200, &f->loop.runq);
    assert_false(task_queued(&f->log.task));
    wheel_advance(&f->loop.wheel, written_ms + 500, &f->loop.runq);
    assert_true(task_queued(&f->log.task));
    f->log.task.run(&f->log.task);
    assert_true(f->sink.got_n > 0);
    assert_int_equal(f->log.buffer->n, 0);
}

static void test_lines_without_a_free_buffer_are_dropped_and_counted(void **state)
{
    struct fixture *f = *state;
    f->sink.free_buffers = 0;
    access_log_write(&f->log, &f->loop.clock, &full);
    access_log_flush(&f->log);
    assert_null(f->log.buffer);
    size_t line = f->sink.got_n;
    access_log_write(&f->log, &f->loop.clock, &full);
    access_log_write(&f->log, &f->loop.clock, &full);
    assert_int_equal(counter_get(&f->log.dropped), 2);
    assert_int_equal(counter_get(&f->log.lines), 1);
    f->sink.free_buffers = 1;
    access_log_write(&f->log, &f->loop.clock, &full);
    access_log_flush(&f->log);
    assert_int_equal(f->sink.got_n, 2 * line);
    assert_int_equal(counter_get(&f->log.dropped), 2);
}

static void test_a_log_that_is_off_takes_no_buffer_and_writes_nothing(void **state)
{
    struct fixture *f = *state;
    access_log_write(&f->log, &f->loop.clock, &full);
    f->config.sink.output = CONFIG_OUTPUT_OFF;
    access_log_configure(&f->log, &f->config, NULL);
    size_t before = f->sink.got_n;
    assert_true(before > 0); /* what was buffered is not lost */
    assert_false(access_log_on(&f->log));
    assert_false(access_log_on(NULL));
    int swaps = f->sink.swaps;
    access_log_write(&f->log, &f->loop.clock, &full);
    access_log_configure(&f->log, &f->config, NULL);
    assert_int_equal(f->sink.got_n, before);
    assert_int_equal(f->sink.swaps, swaps);
    assert_null(f->log.buffer);
}

static void test_lines_before_a_new_configuration_go_to_the_old_output(void **state)
{
    struct fixture *f = *state;
    int new_output;
    access_log_write(&f->log, &f->loop.clock, &full);
    access_log_configure(&f->log, &f->config, &new_output);
    assert_ptr_equal(f->sink.last_output, f);
    access_log_write(&f->log, &f->loop.clock, &full);
    access_log_flush(&f->log);
    assert_ptr_equal(f->sink.last_output, &new_output);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_json_has_exactly_the_documented_fields_in_order),
        TEST(test_json_absent_values_are_null),
        TEST(test_a_reason_is_logged_by_its_name),
        TEST(test_combined_is_apaches_line),
        TEST(test_combined_writes_the_client_without_port_and_brackets),
        TEST(test_combined_never_breaks_a_line),
        TEST(test_the_longest_line_fits_its_room),
        TEST(test_a_buffer_goes_when_it_is_full),
        TEST(test_a_buffer_goes_when_its_oldest_line_is_flush_old),
        TEST(test_lines_without_a_free_buffer_are_dropped_and_counted),
        TEST(test_a_log_that_is_off_takes_no_buffer_and_writes_nothing),
        TEST(test_lines_before_a_new_configuration_go_to_the_old_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
