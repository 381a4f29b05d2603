#include "config/include.h"

#include <sys/stat.h>
#include <unistd.h>

#include "loaded.h"

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/tenbin-include-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void write_bytes(const char *name, const char *bytes, size_t n)
{
    char path[256];
    strcpy(path, path_of(name));
    for (char *slash = strchr(path + strlen(dir) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void write_file(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

struct read {
    struct arena scratch, names;
    struct report report;
    struct yaml_tree_node *root;
};

static struct read read_main(void)
{
    struct read r;
    struct expand_env env = {.lookup = loaded_env};
    arena_init(&r.scratch);
    arena_init(&r.names);
    report_init(&r.report);
    r.root = include_path(&r.scratch, &r.names, &r.report, path_of("main.yaml"), &env);
    report_sort(&r.report);
    return r;
}

static void drop(struct read *r)
{
    report_fini(&r->report);
    arena_fini(&r->scratch);
    arena_fini(&r->names);
}

/* The list as a text: "a b c". */
static void assert_list(const struct read *r, const char *key, const char *expected)
{
    char text[256] = "";
    const struct yaml_tree_node *list = yaml_tree_get(r->root, key);
    assert_non_null(list);
    for (size_t i = 0; i < list->items_n; i++) {
        strcat(text, i ? " " : "");
        strcat(text, list->items[i]->text.p);
    }
    assert_string_equal(text, expected);
}

static void assert_error(const struct read *r, const char *name, uint32_t line, const char *words)
{
    for (const struct report_entry *e = r->report.first; e; e = e->next)
        if (e->pos.file && strcmp(e->pos.file, path_of(name)) == 0 && e->pos.line == line &&
            strstr(e->message, words))
            return;
    print_report(&r->report);
    fail_msg("no error at %s:%u with \"%s\"", name, line, words);
}

static void test_included_lists_come_behind_the_files_own_in_the_order_of_names(void **state)
{
    (void)state;
    write_file("main.yaml", "include: d/*.yaml\nlisteners: [a]\nworkers: 1\n");
    write_file("d/20.yaml", "listeners: [d]\n");
    write_file("d/10.yaml", "listeners: [b, c]\ntarget_groups: [x]\n");
    write_file("d/readme.txt", "nothing\n");
    struct read r = read_main();
    assert_int_equal(r.report.errors, 0);
    assert_list(&r, "listeners", "a b c d");
    assert_list(&r, "target_groups", "x");
    assert_null(yaml_tree_get(r.root, "include"));
    assert_non_null(yaml_tree_get(r.root, "workers"));
    const struct yaml_tree_node *b = yaml_tree_get(r.root, "listeners")->items[1];
    assert_string_equal(b->pos.file, path_of("d/10.yaml"));
    assert_int_equal(b->pos.line, 1);
    drop(&r);
}

static void test_patterns_may_be_a_list_and_are_relative_to_their_file(void **state)
{
    (void)state;
    char text[200];
    snprintf(text, sizeof(text), "include: [one.yaml, 'sub/*.yaml', '%s/three.yaml']\n", dir);
    write_file("main.yaml", text);
    write_file("one.yaml", "listeners: [1]\n");
    write_file("sub/two.yaml", "include: deeper/*.yaml\nlisteners: [2]\n");
    write_file("sub/deeper/x.yaml", "listeners: [x]\n");
    write_file("three.yaml", "listeners: [3]\n");
    struct read r = read_main();
    assert_int_equal(r.report.errors, 0);
    assert_list(&r, "listeners", "1 2 x 3");
    drop(&r);
}

static void test_a_pattern_without_matches_is_fine_a_missing_name_is_not(void **state)
{
    (void)state;
    write_file("main.yaml", "include:\n  - none/*.yaml\n  - none/one.yaml\n");
    struct read r = read_main();
    assert_int_equal(r.report.errors, 1);
    assert_error(&r, "main.yaml", 3, "no such file");
    drop(&r);
}

static void test_a_file_is_included_once(void **state)
{
    (void)state;
    static const struct {
        const char *main, *other, *where;
        uint32_t line;
    } rows[] = {
        {"include: main.yaml\n", "", "main.yaml", 1},
        {"include: a.yaml\n", "listeners: [x]\ninclude: main.yaml\n", "a.yaml", 2},
        {"include: a.yaml\n", "include: a.yaml\n", "a.yaml", 1},
        {"include:\n  - a.yaml\n  - ./a.yaml\n", "", "main.yaml", 3},
        {"include:\n  - a.yaml\n  - link.yaml\n", "", "main.yaml", 3},
    };
    assert_int_equal(symlink("a.yaml", path_of("link.yaml")), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        write_file("main.yaml", rows[i].main);
        write_file("a.yaml", rows[i].other);
        struct read r = read_main();
        assert_int_equal(r.report.errors, 1);
        assert_error(&r, rows[i].where, rows[i].line, "included a second time");
        drop(&r);
    }
}

static void test_includes_nest_eight_deep(void **state)
{
    (void)state;
    char name[32], text[64];
    write_file("main.yaml", "include: 1.yaml\n");
    for (int i = 1; i <= 9; i++) {
        snprintf(name, sizeof(name), "%d.yaml", i);
        snprintf(text, sizeof(text), "listeners: [%d]\ninclude: %d.yaml\n", i, i + 1);
        write_file(name, i < 8 ? text : "listeners: [last]\n");
    }
    struct read r = read_main();
    assert_int_equal(r.report.errors, 0);
    assert_list(&r, "listeners", "1 2 3 4 5 6 7 last");
    drop(&r);
    write_file("8.yaml", "listeners: [8]\ninclude: 9.yaml\n");
    r = read_main();
    assert_int_equal(r.report.errors, 1);
    assert_error(&r, "8.yaml", 2, "included through more than 8 files");
    drop(&r);
}

static void test_a_thousand_files_are_enough(void **state)
{
    (void)state;
    char name[32];
    write_file("main.yaml", "include: d/*.yaml\n");
    for (int i = 0; i < 999; i++) {
        snprintf(name, sizeof(name), "d/%04d.yaml", i);
        write_file(name, "listeners: [x]\n");
    }
    struct read r = read_main();
    assert_int_equal(r.report.errors, 0);
    assert_int_equal(yaml_tree_get(r.root, "listeners")->items_n, 999);
    drop(&r);
    write_file("d/more.yaml", "listeners: [x]\n");
    r = read_main();
    assert_int_equal(r.report.errors, 1);
    assert_error(&r, "main.yaml", 1, "more than 1000 files");
    drop(&r);
}

static void test_only_lists_come_from_included_files(void **state)
{
    (void)state;
    write_file("main.yaml", "include: '*.inc'\n");
    write_file("a.inc", "workers: 2\nlisteners: {a: b}\n");
    write_file("b.inc", "- x\n");
    write_file("c.inc", "a: [\n");
    struct read r = read_main();
    assert_int_equal(r.report.errors, 4);
    assert_error(&r, "a.inc", 1, "\"workers\" cannot stand in an included file");
    assert_error(&r, "a.inc", 2, "listeners is not a list");
    assert_error(&r, "b.inc", 1, "a map of listeners and target_groups");
    assert_error(&r, "c.inc", 2, "not YAML");
    drop(&r);
}

static void test_an_include_that_is_no_pattern_is_an_error(void **state)
{
    (void)state;
    static const char *const rows[] = {"include: {a: b}\n", "include: [[a]]\n", "include:\n",
                                       "include: ''\n"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        write_file("main.yaml", rows[i]);
        struct read r = read_main();
        assert_int_equal(r.report.errors, 1);
        assert_error(&r, "main.yaml", 1, "include: expected");
        drop(&r);
    }
}

static void test_what_cannot_be_read_says_why(void **state)
{
    (void)state;
    struct read r = read_main();
    assert_null(r.root);
    assert_error(&r, "main.yaml", 0, "No such file or directory");
    drop(&r);
    mkdir(path_of("main.yaml"), 0700);
    r = read_main();
    assert_null(r.root);
    assert_error(&r, "main.yaml", 0, "not a file");
    drop(&r);
    rmdir(path_of("main.yaml"));
    write_file("main.yaml", "include: fifo.yaml\n");
    assert_int_equal(mkfifo(path_of("fifo.yaml"), 0600), 0);
    r = read_main();
    assert_error(&r, "main.yaml", 1, "not a file");
    drop(&r);
}

static void test_a_file_has_16_mib_at_most(void **state)
{
    (void)state;
    char *big = malloc(INCLUDE_FILE_MAX + 1);
    memset(big, '\n', INCLUDE_FILE_MAX + 1);
    write_bytes("main.yaml", big, INCLUDE_FILE_MAX);
    struct read r = read_main();
    assert_int_equal(r.report.errors, 0);
    drop(&r);
    write_bytes("main.yaml", big, INCLUDE_FILE_MAX + 1);
    r = read_main();
    assert_null(r.root);
    assert_error(&r, "main.yaml", 0, "larger than 16 MiB");
    drop(&r);
    free(big);
}

static void test_from_memory_nothing_is_included(void **state)
{
    (void)state;
    struct arena scratch, names;
    struct report report;
    struct expand_env env = {0};
    arena_init(&scratch);
    arena_init(&names);
    report_init(&report);
    write_file("one.yaml", "listeners: [1]\n");
    char text[200];
    snprintf(text, sizeof(text), "a: b\ninclude: %s\n", path_of("one.yaml"));
    struct yaml_tree_node *root =
        include_bytes(&scratch, &names, &report, "t.yaml", slice_str(text), &env);
    assert_non_null(root);
    assert_null(yaml_tree_get(root, "listeners"));
    assert_int_equal(report.errors, 1);
    assert_non_null(find_entry(&report, REPORT_ERROR, "2:1", "include works in files only"));
    report_fini(&report);
    arena_fini(&scratch);
    arena_fini(&names);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(test_included_lists_come_behind_the_files_own_in_the_order_of_names),
        IN_DIR(test_patterns_may_be_a_list_and_are_relative_to_their_file),
        IN_DIR(test_a_pattern_without_matches_is_fine_a_missing_name_is_not),
        IN_DIR(test_a_file_is_included_once),
        IN_DIR(test_includes_nest_eight_deep),
        IN_DIR(test_a_thousand_files_are_enough),
        IN_DIR(test_only_lists_come_from_included_files),
        IN_DIR(test_an_include_that_is_no_pattern_is_an_error),
        IN_DIR(test_what_cannot_be_read_says_why),
        IN_DIR(test_a_file_has_16_mib_at_most),
        IN_DIR(test_from_memory_nothing_is_included),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
