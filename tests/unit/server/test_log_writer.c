#include "server/fixture.h"

#include <pthread.h>

#include "base/log.h"
#include "server/log_feed.h"

struct fixture {
    char *dir;
    struct log_writer writer;
    struct loop loop; /* of the worker that the test plays */
    struct log_feed feed;
    bool stopped;
};

static struct log_output *open_path(const char *path)
{
    struct config_sink c = {.output = CONFIG_OUTPUT_FILE, .path = slice_str(path)};
    struct log_output *o;
    assert_int_equal(log_output_open(&c, &o), OK);
    return o;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->dir = temp_dir();
    assert_int_equal(log_writer_start(&f->writer, open_path(path_in(f->dir, "errors"))), OK);
    log_setup(LOG_INFO, LOG_TEXT, log_writer_sink, &f->writer);
    assert_int_equal(loop_init(&f->loop, 1 << 20), OK);
    log_feed_init(&f->feed, &f->loop, &f->writer);
    *state = f;
    return 0;
}

/* All that was sent is on the disk afterwards. */
static void stop(struct fixture *f)
{
    assert_true(log_writer_stop(&f->writer, 10000));
    log_setup(LOG_INFO, LOG_TEXT, NULL, NULL);
    loop_turn(&f->loop);
    f->stopped = true;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (!f->stopped)
        stop(f);
    log_feed_fini(&f->feed);
    loop_fini(&f->loop);
    remove_dir(f->dir);
    free(f);
    return 0;
}

static struct access_buffer *take(struct fixture *f, struct access_buffer *used, size_t bytes)
{
    struct access_sink sink = log_feed_sink(&f->feed);
    return sink.swap(sink.ctx, used, bytes);
}

static void fill(struct access_buffer *b, struct log_output *to, const char *text)
{
    b->n = strlen(text);
    b->output = to;
    memcpy(b->data, text, b->n);
}

/* Until the writer has given everything back. */
static void wait_home(struct fixture *f, unsigned idle)
{
    for (int i = 0; i < 5000; i++) {
        unsigned n = 0;
        loop_turn(&f->loop);
        for (struct message *m = f->feed.idle ? &f->feed.idle->message : NULL; m; m = m->next)
            n++;
        if (n == idle)
            return;
        usleep(1000);
    }
    fail_msg("buffers did not come home");
}

static void test_buffers_are_written_in_order_and_come_home(void **state)
{
    struct fixture *f = *state;
    struct log_output *o = open_path(path_in(f->dir, "access"));
    log_writer_attach(&f->writer, o);
    struct access_buffer *b = take(f, NULL, 100);
    const char *texts[] = {"one\n", "two\n", "three\n"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        fill(b, o, texts[i]);
        b = take(f, b, 100);
    }
    wait_home(f, f->feed.alive - 1);
    assert_null(take(f, b, 0));
    assert_int_equal(f->feed.alive, 0);
    assert_string_equal(content(path_in(f->dir, "access")), "one\ntwo\nthree\n");
}

static void test_the_limit_of_buffers_is_kept(void **state)
{
    struct fixture *f = *state;
    struct access_buffer *all[LOG_FEED_BUFFERS];
    for (int i = 0; i < LOG_FEED_BUFFERS; i++) {
        all[i] = take(f, NULL, 10);
        assert_non_null(all[i]);
    }
    assert_null(take(f, NULL, 10));
    for (int i = 0; i < LOG_FEED_BUFFERS; i++) {
        all[i]->n = 0;
        (void)take(f, all[i], 0);
    }
    assert_int_equal(f->feed.alive, 0);
}

static void test_buffers_of_an_old_size_are_replaced(void **state)
{
    struct fixture *f = *state;
    struct access_buffer *b = take(f, NULL, 10);
    b->n = 0;
    b = take(f, b, 20);
    assert_int_equal(b->cap, 20);
    assert_int_equal(f->feed.alive, 1);
    b->n = 0;
    assert_null(take(f, b, 0));
}

static void test_a_retired_output_gets_what_was_sent_before(void **state)
{
    struct fixture *f = *state;
    struct log_output *o = open_path(path_in(f->dir, "old"));
    log_writer_attach(&f->writer, o);
    struct access_buffer *b = take(f, NULL, 10);
    fill(b, o, "last\n");
    (void)take(f, b, 0);
    log_writer_retire(&f->writer, o);
    stop(f);
    assert_string_equal(content(path_in(f->dir, "old")), "last\n");
}

static void test_error_lines_move_to_another_output(void **state)
{
    struct fixture *f = *state;
    struct log_output *o = open_path(path_in(f->dir, "other"));
    log_error("before");
    log_writer_attach(&f->writer, o);
    log_writer_errors_to(&f->writer, o);
    log_error("after");
    stop(f);
    assert_non_null(strstr(content(path_in(f->dir, "errors")), "error: before\n"));
    assert_null(strstr(content(path_in(f->dir, "errors")), "after"));
    assert_non_null(strstr(content(path_in(f->dir, "other")), "error: after\n"));
}

static void test_reopen_reaches_every_output(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(rename(path_in(f->dir, "errors"), path_in(f->dir, "errors.1")), 0);
    log_error("into the old file");
    log_writer_reopen(&f->writer);
    log_error("into the new file");
    stop(f);
    assert_non_null(strstr(content(path_in(f->dir, "errors.1")), "into the old file"));
    assert_non_null(strstr(content(path_in(f->dir, "errors")), "into the new file"));
}

static void *chatter(void *arg)
{
    for (int i = 0; i < 500; i++)
        log_info("thread %d line %d", *(int *)arg, i);
    return NULL;
}

static void test_lines_of_one_thread_arrive_whole_and_in_order(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[4];
    int ids[4];
    for (int t = 0; t < 4; t++) {
        ids[t] = t;
        assert_int_equal(pthread_create(&threads[t], NULL, chatter, &ids[t]), 0);
    }
    for (int t = 0; t < 4; t++)
        pthread_join(threads[t], NULL);
    stop(f);
    int next[4] = {0};
    char *rest = (char *)(uintptr_t)content(path_in(f->dir, "errors"));
    for (char *line; (line = strsep(&rest, "\n")) && *line;) {
        int t, i;
        assert_int_equal(sscanf(strstr(line, "thread"), "thread %d line %d", &t, &i), 2);
        assert_int_equal(i, next[t]++);
    }
    for (int t = 0; t < 4; t++)
        assert_int_equal(next[t], 500);
    assert_int_equal(log_writer_lost(&f->writer), 0);
}

static void test_lines_that_cannot_be_written_are_counted(void **state)
{
    struct fixture *f = *state;
    struct log_output *o = open_path("/dev/full");
    log_writer_attach(&f->writer, o);
    struct access_buffer *b = take(f, NULL, 10);
    fill(b, o, "a\nb\nc\n");
    (void)take(f, b, 0);
    stop(f);
    assert_int_equal(log_writer_lost(&f->writer), 3);
    assert_non_null(strstr(content(path_in(f->dir, "errors")), "/dev/full: No space left"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_buffers_are_written_in_order_and_come_home),
        TEST(test_the_limit_of_buffers_is_kept),
        TEST(test_buffers_of_an_old_size_are_replaced),
        TEST(test_a_retired_output_gets_what_was_sent_before),
        TEST(test_error_lines_move_to_another_output),
        TEST(test_reopen_reaches_every_output),
        TEST(test_lines_of_one_thread_arrive_whole_and_in_order),
        TEST(test_lines_that_cannot_be_written_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
