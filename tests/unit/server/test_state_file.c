#include "server/fixture.h"

#include <errno.h>

#include "server/state_file.h"

struct fixture {
    struct loop loop;
    struct state_file file;
    struct arena arena;
    char *dir;
    struct task told;
    unsigned told_n;
};

static struct fixture *the;

static void on_told(struct task *t)
{
    (void)t;
    the->told_n++;
}

static int setup(void **state)
{
    struct fixture *f = the = calloc(1, sizeof(*f));
    assert_int_equal(loop_init(&f->loop, 1 << 20), OK);
    state_file_init(&f->file, &f->loop);
    arena_init(&f->arena);
    task_init(&f->told, on_told);
    f->dir = temp_dir();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    state_file_fini(&f->file);
    arena_fini(&f->arena);
    loop_fini(&f->loop);
    remove_dir(f->dir);
    free(f);
    return 0;
}

static void save(struct fixture *f, const char *dir, const char *text, struct state_waiter *w)
{
    struct strbuf b;
    strbuf_init(&b);
    strbuf_str(&b, text);
    if (w)
        *w = (struct state_waiter){.notify = &f->told};
    state_file_save(&f->file, slice_str(dir), &b, w);
    assert_int_equal(b.n, 0);
}

static void wait_for(struct fixture *f, unsigned told)
{
    for (int i = 0; i < 2000 && (f->told_n < told || f->file.writing); i++) {
        loop_turn(&f->loop);
        usleep(1000);
    }
    assert_int_equal(f->told_n, told);
}

static void test_a_save_replaces_the_file_as_a_whole(void **state)
{
    struct fixture *f = *state;
    struct state_waiter w;
    struct stat st;
    save(f, f->dir, "a long first text", &w);
    wait_for(f, 1);
    assert_int_equal(w.error, 0);
    save(f, f->dir, "second", &w);
    wait_for(f, 2);
    assert_string_equal(content(path_in(f->dir, "state.json")), "second");
    assert_int_equal(stat(path_in(f->dir, "state.json"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_not_equal(access(path_in(f->dir, "state.json.new"), F_OK), 0);
}

static void test_saves_during_one_become_one_more(void **state)
{
    struct fixture *f = *state;
    struct state_waiter w[5];
    char text[] = "0";
    for (int i = 0; i < 5; i++, text[0]++) {
        save(f, f->dir, text, &w[i]);
        w[i].notify = &f->told;
    }
    for (int i = 0; i < 2000 && f->file.writing; i++) {
        loop_turn(&f->loop);
        usleep(1000);
    }
    assert_int_equal(f->file.begun, 2);
    assert_true(list_empty(&f->file.waiters));
    assert_string_equal(content(path_in(f->dir, "state.json")), "4");
}

static void test_a_directory_that_is_not_there_is_told(void **state)
{
    struct fixture *f = *state;
    struct state_waiter w;
    save(f, path_in(f->dir, "none"), "x", &w);
    wait_for(f, 1);
    assert_int_equal(w.error, ENOENT);
}

static void test_a_waiter_may_leave(void **state)
{
    struct fixture *f = *state;
    struct state_waiter w;
    save(f, f->dir, "x", &w);
    state_file_forget(&w);
    state_file_forget(&w);
    wait_for(f, 0);
}

static void write_state(struct fixture *f, const char *text)
{
    FILE *file = fopen(path_in(f->dir, "state.json"), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_no_file_is_an_empty_state(void **state)
{
    struct fixture *f = *state;
    struct state s;
    assert_true(state_file_read(slice_str(f->dir), &f->arena, &s));
    assert_int_equal(s.drained_n, 0);
}

static void test_a_file_is_read(void **state)
{
    struct fixture *f = *state;
    struct state s;
    write_state(f, "{\"version\":1,\"drained\":[{\"group\":\"a\",\"address\":\"10.0.0.1:1\"}]}");
    assert_true(state_file_read(slice_str(f->dir), &f->arena, &s));
    assert_int_equal(s.drained_n, 1);
}

static void test_a_file_that_makes_no_sense_is_put_aside(void **state)
{
    struct fixture *f = *state;
    struct state s;
    write_state(f, "{\"version\":1,\"drained\":[{\"gro");
    assert_false(state_file_read(slice_str(f->dir), &f->arena, &s));
    assert_int_equal(s.drained_n, 0);
    assert_int_equal(access(path_in(f->dir, "state.json.bad"), F_OK), 0);
    assert_int_not_equal(access(path_in(f->dir, "state.json"), F_OK), 0);
}

static void test_a_file_that_is_far_too_large_is_not_read(void **state)
{
    struct fixture *f = *state;
    struct state s;
    write_state(f, "{}");
    assert_int_equal(truncate(path_in(f->dir, "state.json"), (off_t)STATE_FILE_BYTES + 1), 0);
    assert_false(state_file_read(slice_str(f->dir), &f->arena, &s));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_save_replaces_the_file_as_a_whole),
        TEST(test_saves_during_one_become_one_more),
        TEST(test_a_directory_that_is_not_there_is_told),
        TEST(test_a_waiter_may_leave),
        TEST(test_no_file_is_an_empty_state),
        TEST(test_a_file_is_read),
        TEST(test_a_file_that_makes_no_sense_is_put_aside),
        TEST(test_a_file_that_is_far_too_large_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
