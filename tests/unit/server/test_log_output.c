#include "server/fixture.h"

#include <errno.h>
#include <time.h>

#include "base/log.h"
#include "server/log_output.h"

static char said[4096];

static void remember(void *ctx, struct slice line)
{
    (void)ctx;
    strncat(said, line.p, line.n);
}

static int setup(void **state)
{
    said[0] = '\0';
    log_setup(LOG_INFO, LOG_TEXT, remember, NULL);
    *state = temp_dir();
    return 0;
}

static int teardown(void **state)
{
    log_setup(LOG_INFO, LOG_TEXT, NULL, NULL);
    remove_dir(*state);
    return 0;
}

static struct log_output *open_path(const char *path)
{
    struct config_sink c = {.output = CONFIG_OUTPUT_FILE, .path = slice_str(path)};
    struct log_output *o;
    assert_int_equal(log_output_open(&c, &o), OK);
    assert_true(log_output_is(o, &c));
    return o;
}

static int count_said(const char *what)
{
    int n = 0;
    for (const char *p = said; (p = strstr(p, what)); p++)
        n++;
    return n;
}

static void test_a_file_is_made_with_mode_0640_and_appended_to(void **state)
{
    const char *path = path_in(*state, "log");
    for (int i = 0; i < 2; i++) {
        struct log_output *o = open_path(path);
        assert_int_equal(log_output_write(o, SLICE("one\ntwo\n")), 0);
        log_output_close(o);
    }
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_string_equal(content(path), "one\ntwo\none\ntwo\n");
}

static void test_a_path_that_cannot_be_opened_is_an_error(void **state)
{
    struct log_output *o;
    struct config_sink c = {.output = CONFIG_OUTPUT_FILE,
                            .path = slice_str(path_in(*state, "none/log"))};
    assert_int_equal(log_output_open(&c, &o), ERR_SYSTEM);
    assert_int_equal(errno, ENOENT);
}

static void test_a_fifo_without_a_reader_is_an_error_and_does_not_wait(void **state)
{
    struct log_output *o;
    const char *path = path_in(*state, "fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    struct config_sink c = {.output = CONFIG_OUTPUT_FILE, .path = slice_str(path)};
    assert_int_equal(log_output_open(&c, &o), ERR_SYSTEM);
    assert_int_equal(errno, ENXIO);
}

static void test_outputs_are_the_same_by_kind_and_path(void **state)
{
    struct log_output *o = open_path(path_in(*state, "a"));
    struct config_sink other = {.output = CONFIG_OUTPUT_FILE,
                                .path = slice_str(path_in(*state, "b"))};
    struct config_sink std = {.output = CONFIG_OUTPUT_STDERR};
    assert_false(log_output_is(o, &other));
    assert_false(log_output_is(o, &std));
    assert_false(log_output_is(NULL, &std));
    log_output_close(o);
}

static void test_reopen_goes_on_in_a_new_file(void **state)
{
    const char *path = path_in(*state, "log"), *moved = path_in(*state, "log.1");
    struct log_output *o = open_path(path);
    assert_int_equal(log_output_write(o, SLICE("old\n")), 0);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(log_output_write(o, SLICE("still old\n")), 0);
    log_output_reopen(o);
    assert_int_equal(log_output_write(o, SLICE("new\n")), 0);
    log_output_close(o);
    assert_string_equal(content(moved), "old\nstill old\n");
    assert_string_equal(content(path), "new\n");
}

static void test_reopen_that_fails_keeps_the_old_file_and_says_so(void **state)
{
    const char *dir = path_in(*state, "d"), *path = path_in(*state, "d/log"),
               *moved = path_in(*state, "e");
    assert_int_equal(mkdir(dir, 0700), 0);
    struct log_output *o = open_path(path);
    assert_int_equal(rename(dir, moved), 0);
    log_output_reopen(o);
    assert_int_equal(count_said("the old file stays in use"), 1);
    assert_int_equal(log_output_write(o, SLICE("here\n")), 0);
    log_output_close(o);
    assert_string_equal(content(path_in(*state, "e/log")), "here\n");
}

static void test_a_full_disk_is_said_once_and_its_lines_are_counted(void **state)
{
    (void)state;
    struct log_output *o = open_path("/dev/full");
    assert_int_equal(log_output_write(o, SLICE("a\nb\nc\n")), 3);
    assert_int_equal(log_output_write(o, SLICE("d\n")), 1);
    assert_int_equal(o->lost_lines, 4);
    assert_int_equal(count_said("No space left on device"), 1);
    log_output_close(o);
}

static void test_the_first_write_that_works_again_says_what_was_lost(void **state)
{
    struct log_output *o = open_path("/dev/full");
    assert_int_equal(log_output_write(o, SLICE("a\nb\n")), 2);
    int disk = open(path_in(*state, "log"), O_WRONLY | O_CREAT, 0600);
    assert_true(disk >= 0 && dup2(disk, o->fd) == o->fd);
    close(disk);
    assert_int_equal(log_output_write(o, SLICE("c\n")), 0);
    assert_int_equal(log_output_write(o, SLICE("d\n")), 0);
    assert_int_equal(count_said("written again, 2 lines were lost"), 1);
    assert_string_equal(content(path_in(*state, "log")), "c\nd\n");
    log_output_close(o);
}

/* Fills a pipe that nobody reads, so that the write stops in the middle of a line. */
static void test_a_line_that_was_cut_gets_its_end_before_the_next(void **state)
{
    const char *path = path_in(*state, "fifo");
    static char big[200000], got[400000];
    assert_int_equal(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    struct log_output *o = open_path(path);
    memset(big, 'x', sizeof(big));
    big[sizeof(big) - 1] = '\n';
    assert_int_equal(log_output_write(o, slice_of(big, sizeof(big))), 1);
    assert_int_equal(count_said("lines are lost"), 1);
    size_t n = 0;
    for (ssize_t r; (r = read(reader, got + n, sizeof(got) - n)) > 0; n += (size_t)r)
        ;
    assert_true(n > 0 && n < sizeof(big) && got[n - 1] == 'x');
    assert_int_equal(log_output_write(o, SLICE("next\n")), 0);
    ssize_t r = read(reader, got, sizeof(got));
    assert_int_equal(r, 6);
    assert_memory_equal(got, "\nnext\n", 6);
    log_output_close(o);
    close(reader);
}

/* Standard output of a container whose reader hangs. */
static void test_a_blocking_pipe_that_is_full_is_waited_for_once(void **state)
{
    (void)state;
    static char big[200000];
    int fds[2];
    struct timespec begin, end;
    assert_int_equal(pipe(fds), 0);
    struct log_output *o = open_path("/dev/null");
    assert_int_equal(dup2(fds[1], o->fd), o->fd);
    o->waits = true;
    memset(big, '\n', sizeof(big));
    assert_true(log_output_write(o, slice_of(big, sizeof(big))) > 0);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < 100; i++)
        assert_int_equal(log_output_write(o, SLICE("more\n")), 1);
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true(end.tv_sec - begin.tv_sec < 2);
    assert_int_equal(count_said("lines are lost"), 1);
    log_output_close(o);
    close(fds[0]);
    close(fds[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_file_is_made_with_mode_0640_and_appended_to),
        TEST(test_a_path_that_cannot_be_opened_is_an_error),
        TEST(test_a_fifo_without_a_reader_is_an_error_and_does_not_wait),
        TEST(test_outputs_are_the_same_by_kind_and_path),
        TEST(test_reopen_goes_on_in_a_new_file),
        TEST(test_reopen_that_fails_keeps_the_old_file_and_says_so),
        TEST(test_a_full_disk_is_said_once_and_its_lines_are_counted),
        TEST(test_the_first_write_that_works_again_says_what_was_lost),
        TEST(test_a_line_that_was_cut_gets_its_end_before_the_next),
        TEST(test_a_blocking_pipe_that_is_full_is_waited_for_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
