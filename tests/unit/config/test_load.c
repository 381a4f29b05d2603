#include "config/load.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loaded.h"

static void test_the_zone_comes_from_the_file_the_environment_or_nowhere(void **state)
{
    (void)state;
    struct loaded l = load_good("node: {zone: auto}\n" MINIMAL);
    assert_slice(l.config->node.zone, "b");
    unload(&l);
    l = load_good("node: {zone: none}\n" MINIMAL);
    assert_int_equal(l.config->node.zone.n, 0);
    unload(&l);
    l = load_good("node: {zone: \"${TENBIN_ZONE}-1\"}\n" MINIMAL);
    assert_slice(l.config->node.zone, "b-1");
    unload(&l);
}

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/tenbin-load-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

static const char *in_dir(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void test_zone_auto_reads_the_zone_file_last(void **state)
{
    (void)state;
    struct load_options o = {.root = dir};
    struct report r;
    report_init(&r);
    assert_null(load_bytes(SLICE("node: {zone: auto}\n" MINIMAL), "t.yaml", &o, &r));
    assert_non_null(find_entry(&r, REPORT_ERROR, "1:14", "$TENBIN_ZONE or the first line"));
    report_fini(&r);
    mkdir(in_dir("etc"), 0700);
    mkdir(in_dir("etc/tenbin"), 0700);
    write_file("etc/tenbin/zone", " eu-1c \nsecond line\n");
    struct config *c = load_bytes(SLICE("node: {zone: auto}\n" MINIMAL), "t.yaml", &o, &r);
    assert_non_null(c);
    assert_slice(c->node.zone, "eu-1c");
    model_free(c);
    report_fini(&r);
}

static void test_relative_paths_begin_where_their_file_is(void **state)
{
    (void)state;
    char expected[128];
    struct report r;
    write_file("main.yaml", "include: \"*.inc\"\n"
                            "access_log: {path: a.log}\n"
                            "log: {output: /var/log/x}\n"
                            "admin: {listen: \"unix:admin.sock\"}\n" WEB);
    write_file("more.inc", "target_groups: [{name: app, targets: [\"unix:run/app.sock\"]}]\n");
    report_init(&r);
    struct config *c = load_path(in_dir("main.yaml"), &loaded_options, &r);
    print_report(&r);
    assert_non_null(c);
    assert_slice(c->access_log.sink.path, in_dir("a.log"));
    assert_slice(c->log.sink.path, "/var/log/x");
    snprintf(expected, sizeof(expected), "unix:%s", in_dir("admin.sock"));
    assert_string_equal(loaded_text(&c->admin.listen), expected);
    snprintf(expected, sizeof(expected), "unix:%s", in_dir("run/app.sock"));
    assert_string_equal(loaded_text(&c->groups[0].targets[0].addrs[0]), expected);
    model_free(c);
    report_fini(&r);
}

static void test_a_name_that_another_file_has_taken_is_told_with_that_file(void **state)
{
    (void)state;
    struct report r;
    write_file("main.yaml", "include: \"*.inc\"\n" MINIMAL);
    write_file("more.inc", "\ntarget_groups: [{name: app, targets: []}]\n");
    report_init(&r);
    assert_null(load_path(in_dir("main.yaml"), &loaded_options, &r));
    assert_int_equal(r.errors, 1);
    const struct report_entry *e = find_entry(&r, REPORT_ERROR, "2:17", "already in ");
    assert_non_null(e);
    assert_string_equal(e->pos.file, in_dir("more.inc"));
    assert_non_null(strstr(e->message, "/main.yaml:8"));
    report_fini(&r);
}

static void test_a_json_file_is_a_good_file(void **state)
{
    (void)state;
    struct loaded l = load_good("{\"listeners\": [{\"name\": \"web\", \"listen\": "
                                "\"127.0.0.1:80\", \"protocol\": \"http\",\n\t\"default_action\": "
                                "{\"forward\": \"app\"}}], \"target_groups\": "
                                "[{\"name\": \"app\", \"targets\": []}]}");
    assert_int_equal(l.config->listeners_n, 1);
    unload(&l);
}

static void test_text_cut_anywhere_gives_a_config_or_errors(void **state)
{
    (void)state;
    static const char text[] =
        "node: {zone: a}\nlimits: {body: 1MiB}\naccess_log: {path: stdout}\n"
        "listeners:\n  - name: web\n    listen: [\"127.0.0.1:8080\"]\n    protocol: http\n"
        "    rules:\n      - {priority: 1, conditions: [{path_pattern: [/a]}], action: "
        "{redirect: {host: \"x#{host}\", status_code: 301}}}\n"
        "    default_action: {forward: {target_groups: [{name: app, weight: 2}]}}\n" APP;
    for (size_t n = 0; n < sizeof(text); n++) {
        char *copy = malloc(n + 1);
        memcpy(copy, text, n);
        struct report r;
        report_init(&r);
        struct config *c = load_bytes(slice_of(copy, n), "t.yaml", &loaded_options, &r);
        free(copy);
        assert_int_equal(c == NULL, r.errors > 0);
        model_free(c);
        report_fini(&r);
    }
}

static void *load_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++) {
        struct report r;
        report_init(&r);
        struct config *c = load_bytes(SLICE(MINIMAL), "t.yaml", &loaded_options, &r);
        CHECK(c && c->listeners_n == 1);
        model_free(c);
        report_fini(&r);
    }
    return NULL;
}

static void test_several_threads_may_load_at_once(void **state)
{
    (void)state;
    pthread_t ids[4];
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        assert_int_equal(pthread_create(&ids[i], NULL, load_often, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        assert_int_equal(pthread_join(ids[i], NULL), 0);
}

static void test_ten_thousand_rules_load(void **state)
{
    (void)state;
    struct strbuf text;
    strbuf_init(&text);
    strbuf_str(&text, WEB "    rules:\n");
    for (int i = 1; i <= 10000; i++)
        strbuf_printf(&text,
                      "      - {priority: %d, conditions: [{host_header: h%d.example}], action: "
                      "{forward: app}}\n",
                      10001 - i, i);
    strbuf_str(&text, APP);
    struct loaded l = load_good(text.p);
    assert_int_equal(l.config->listeners[0].rules_n, 10000);
    assert_int_equal(l.config->listeners[0].rules[0].priority, 1);
    unload(&l);
    strbuf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_zone_comes_from_the_file_the_environment_or_nowhere),
        cmocka_unit_test_setup_teardown(test_zone_auto_reads_the_zone_file_last, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(test_relative_paths_begin_where_their_file_is, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(
            test_a_name_that_another_file_has_taken_is_told_with_that_file, make_dir, remove_dir),
        cmocka_unit_test(test_a_json_file_is_a_good_file),
        cmocka_unit_test(test_text_cut_anywhere_gives_a_config_or_errors),
        cmocka_unit_test(test_several_threads_may_load_at_once),
        cmocka_unit_test(test_ten_thousand_rules_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
