/* The connection log: its lines, at their longest too. */
#include "server/connection_log.h"

#include "server/fixture.h"

struct fixture {
    char *dir;
    struct log_writer writer;
    struct loop loop;
    struct line_log log;
    struct clock now;
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
    line_log_init(&f->log, &f->loop, &f->writer);
    struct log_output *o = open_path(f, "connections");
    log_writer_attach(&f->writer, o);
    line_log_configure(&f->log, o);
    clock_set(&f->now, 0, 1764000000000042);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    line_log_fini(&f->log);
    loop_fini(&f->loop);
    remove_dir(f->dir);
    free(f);
    return 0;
}

static void expect(struct fixture *f, const char *lines)
{
    line_log_stop(&f->log);
    assert_true(log_writer_stop(&f->writer, 10000));
    loop_turn(&f->loop);
    assert_string_equal(content(path_in(f->dir, "connections")), lines);
}

#define TIME "2025-11-24T16:00:00.000042Z "

static void test_a_line_has_elbs_thirteen_fields(void **state)
{
    struct fixture *f = *state;
    struct connection_report plain = {.client_ip = SLICE("::1"),
                                      .client_port = 1,
                                      .listener_port = 80,
                                      .handshake_ms = -1,
                                      .trace = SLICE("TID_1")};
    struct connection_report unix_socket = {.handshake_ms = -1, .trace = SLICE("TID_2")};
    struct connection_report good = {
        .client_ip = SLICE("192.0.2.7"),
        .client_port = 65535,
        .listener_port = 443,
        .tls_protocol = SLICE("TLSv1.3"),
        .tls_cipher = SLICE("TLS_AES_128_GCM_SHA256"),
        .tls_group = SLICE("x25519"),
        .handshake_ms = 4036,
        .subject = SLICE("CN=a\\\"b,C=JP"),
        .validity = SLICE("NotBefore=2023-09-21T22:43:21Z;NotAfter=2026-06-17T22:43:21Z"),
        .serial = SLICE("FEF2"),
        .tls = true,
        .trace = SLICE("TID_3")};
    struct connection_report failed = {.client_ip = SLICE("192.0.2.7"),
                                       .client_port = 5,
                                       .listener_port = 443,
                                       .handshake_ms = -1,
                                       .tls = true,
                                       .failure = SLICE("ClientCertExpired"),
                                       .trace = SLICE("TID_4")};
    connection_log_write(&f->log, &f->now, &plain);
    connection_log_write(&f->log, &f->now, &unix_socket);
    connection_log_write(&f->log, &f->now, &good);
    connection_log_write(&f->log, &f->now, &failed);
    expect(f, TIME
           "::1 1 80 - - - \"-\" - - - TID_1 -\n" TIME "- - - - - - \"-\" - - - TID_2 -\n" TIME
           "192.0.2.7 65535 443 TLSv1.3 TLS_AES_128_GCM_SHA256 4.036 \"CN=a\\\"b,C=JP\" "
           "NotBefore=2023-09-21T22:43:21Z;NotAfter=2026-06-17T22:43:21Z FEF2 Success TID_3 "
           "x25519\n" TIME "192.0.2.7 5 443 - - - \"-\" - - Failed:ClientCertExpired TID_4 -\n");
}

static void test_a_subject_is_cut_after_1024_bytes(void **state)
{
    struct fixture *f = *state;
    char text[1025], line[1200];
    memset(text, 'x', sizeof(text));
    struct connection_report r = {
        .handshake_ms = -1, .subject = slice_of(text, sizeof(text)), .trace = SLICE("T")};
    connection_log_write(&f->log, &f->now, &r);
    snprintf(line, sizeof(line), TIME "- - - - - - \"%.1024s\" - - - T -\n", text);
    expect(f, line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_line_has_elbs_thirteen_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_subject_is_cut_after_1024_bytes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
