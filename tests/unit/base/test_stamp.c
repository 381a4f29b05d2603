#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/stamp.h"

static char dir[32];

static const char *path_of(const char *name)
{
    static char paths[2][64];
    static unsigned next;
    char *to = paths[next++ % 2];
    snprintf(to, sizeof(paths[0]), "%s/%s", dir, name);
    return to;
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(path_of(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/tenbin-stamp-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static void test_a_stamp_changes_with_the_file_and_stays_without(void **state)
{
    (void)state;
    assert_int_equal(stamp_of(path_of("a"), 0).hash, 0);
    write_file("a", "one");
    struct stamp first = stamp_of(path_of("a"), 0);
    assert_true(first.hash != 0);
    assert_true(stamp_same(first, stamp_of(path_of("a"), 0)));
    write_file("a", "longer");
    struct stamp second = stamp_of(path_of("a"), 0);
    assert_false(stamp_same(first, second));
    write_file("b", "longer");
    assert_int_equal(rename(path_of("b"), path_of("a")), 0);
    assert_false(stamp_same(second, stamp_of(path_of("a"), 0)));
}

static void test_a_turned_link_is_a_change(void **state)
{
    (void)state;
    write_file("a", "same");
    write_file("b", "same");
    assert_int_equal(symlink("a", path_of("link")), 0);
    struct stamp first = stamp_of(path_of("link"), 0);
    assert_true(stamp_same(first, stamp_of(path_of("a"), 0)));
    unlink(path_of("link"));
    assert_int_equal(symlink("b", path_of("link")), 0);
    assert_false(stamp_same(first, stamp_of(path_of("link"), 0)));
}

static void test_a_file_is_settled_a_second_after_it_was_written(void **state)
{
    struct stat st;
    (void)state;
    write_file("a", "x");
    assert_int_equal(stat(path_of("a"), &st), 0);
    int64_t written_us = st.st_ctim.tv_sec * 1000000ll + st.st_ctim.tv_nsec / 1000;
    assert_false(stamp_of(path_of("a"), written_us + STAMP_SETTLED_MS * 1000).settled);
    assert_true(stamp_of(path_of("a"), written_us + STAMP_SETTLED_MS * 1000 + 1).settled);
    assert_false(stamp_of(path_of("none"), INT64_MAX).settled);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_stamp_changes_with_the_file_and_stays_without),
        TEST(test_a_turned_link_is_a_change),
        TEST(test_a_file_is_settled_a_second_after_it_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
