#include "server/fixture.h"

#include <time.h>

#include "server/watch.h"

struct fixture {
    struct loop loop;
    struct watch watch;
    struct task changed;
    unsigned told;
    char *dir;
};

static void on_changed(struct task *t)
{
    container_of(t, struct fixture, changed)->told++;
}

static int setup(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof(f));
    assert_int_equal(loop_init(&f.loop, SIZE_MAX), OK);
    task_init(&f.changed, on_changed);
    watch_init(&f.watch, &f.loop, &f.changed);
    f.dir = temp_dir();
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    watch_fini(&f->watch);
    task_cancel(&f->changed);
    loop_fini(&f->loop);
    remove_dir(f->dir);
    return 0;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void replace(struct fixture *f, const char *path, const char *text)
{
    const char *fresh = path_in(f->dir, "fresh");
    write_file(fresh, text);
    assert_int_equal(rename(fresh, path), 0);
}

static void turn_for(struct fixture *f, unsigned ms)
{
    for (unsigned i = 0; i < ms; i += 5) {
        loop_turn(&f->loop);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    loop_turn(&f->loop);
}

static unsigned told(struct fixture *f)
{
    unsigned n;
    turn_for(f, 4 * WATCH_QUIET_MS);
    n = f->told;
    f->told = 0;
    return n;
}

static void watch_one(struct fixture *f, const char *path)
{
    const struct watch_path p = {path, stamp_of(path, 0)};
    watch_set(&f->watch, &p, 1);
}

static void test_a_change_is_told_once_however_it_was_made(void **state)
{
    struct fixture *f = *state;
    const char *path = path_in(f->dir, "a");
    write_file(path, "1");
    watch_one(f, path);
    assert_int_equal(told(f), 0);
    for (int i = 0; i < 3; i++)
        write_file(path, "2"); /* in place, the same length, at once */
    assert_int_equal(told(f), 1);
    replace(f, path, "3");
    assert_int_equal(told(f), 1);
    unlink(path);
    assert_int_equal(told(f), 1);
    write_file(path, "4");
    assert_int_equal(told(f), 1);
    assert_int_equal(told(f), 0);
}

static void test_other_files_and_mere_readers_are_not_told_of(void **state)
{
    struct fixture *f = *state;
    const char *path = path_in(f->dir, "a");
    write_file(path, "1");
    watch_one(f, path);
    write_file(path_in(f->dir, "b"), "1");
    assert_string_equal(content(path), "1");
    assert_int_equal(told(f), 0);
}

static void test_a_change_before_it_was_watched_is_told(void **state)
{
    struct fixture *f = *state;
    const char *path = path_in(f->dir, "a");
    write_file(path, "1");
    struct watch_path p = {path, stamp_of(path, 0)};
    replace(f, path, "22");
    watch_set(&f->watch, &p, 1);
    assert_int_equal(told(f), 1);
    watch_set(&f->watch, &p, 1); /* it is known already, and so is its state */
    assert_int_equal(told(f), 0);
}

static void test_a_set_replaces_the_one_before(void **state)
{
    struct fixture *f = *state;
    const char *a = path_in(f->dir, "a"), *b = path_in(f->dir, "b");
    write_file(a, "1");
    write_file(b, "1");
    const struct watch_path both[] = {{a, stamp_of(a, 0)}, {b, stamp_of(b, 0)}};
    watch_set(&f->watch, both, 2);
    watch_set(&f->watch, &both[1], 1);
    replace(f, a, "2");
    assert_int_equal(told(f), 0);
    replace(f, b, "2");
    assert_int_equal(told(f), 1);
    watch_set(&f->watch, NULL, 0);
    replace(f, b, "3");
    assert_int_equal(told(f), 0);
}

static void test_a_writer_without_end_is_told_of_all_the_same(void **state)
{
    struct fixture *f = *state;
    const char *path = path_in(f->dir, "a");
    write_file(path, "1");
    watch_one(f, path);
    for (unsigned ms = 0; ms < 3 * WATCH_LATEST_MS && !f->told; ms += WATCH_QUIET_MS / 2) {
        write_file(path, "2");
        turn_for(f, WATCH_QUIET_MS / 2);
    }
    assert_true(f->told);
}

static void test_a_directory_that_comes_later_is_found_by_the_slow_look(void **state)
{
    struct fixture *f = *state;
    const char *path = path_in(f->dir, "sub/a");
    watch_one(f, path);
    assert_int_equal(mkdir(path_in(f->dir, "sub"), 0700), 0);
    write_file(path, "1");
    assert_int_equal(told(f), 0);
    loop_timer(&f->loop, &f->watch.poll, 1); /* as if the time had come */
    assert_int_equal(told(f), 1);
    replace(f, path, "2");
    assert_int_equal(told(f), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_change_is_told_once_however_it_was_made),
        TEST(test_other_files_and_mere_readers_are_not_told_of),
        TEST(test_a_change_before_it_was_watched_is_told),
        TEST(test_a_set_replaces_the_one_before),
        TEST(test_a_writer_without_end_is_told_of_all_the_same),
        TEST(test_a_directory_that_comes_later_is_found_by_the_slow_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
