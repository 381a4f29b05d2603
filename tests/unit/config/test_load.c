#include "config/load.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loaded.h"

#define WEB                                                                                        \
    "listeners:\n"                                                                                 \
    "  - name: web\n"                                                                              \
    "    listen: \"127.0.0.1:8080\"\n"                                                             \
    "    protocol: http\n"                                                                         \
    "    default_action: {forward: app}\n"
#define APP                                                                                        \
    "target_groups:\n"                                                                             \
    "  - name: app\n"                                                                              \
    "    targets: [\"127.0.0.1:3000\"]\n"
#define MINIMAL WEB APP

static const char *show(const struct addr *a)
{
    static char text[ADDR_TEXT_MAX + 1];
    text[addr_format(a, text)] = '\0';
    return text;
}

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

static void test_zone_auto_reads_the_zone_file_last(void **state)
{
    (void)state;
    char root[] = "/tmp/tenbin-load-XXXXXX", path[64], command[64];
    assert_non_null(mkdtemp(root));
    struct load_options o = {.root = root};
    struct report r;
    report_init(&r);
    assert_null(load_bytes(SLICE("node: {zone: auto}\n" MINIMAL), "t.yaml", &o, &r));
    assert_non_null(find_entry(&r, REPORT_ERROR, "1:14", "$TENBIN_ZONE or the first line"));
    report_fini(&r);
    snprintf(path, sizeof(path), "%s/etc", root);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/etc/tenbin", root);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/etc/tenbin/zone", root);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(" eu-1c \nsecond line\n", f);
    fclose(f);
    struct config *c = load_bytes(SLICE("node: {zone: auto}\n" MINIMAL), "t.yaml", &o, &r);
    assert_non_null(c);
    assert_slice(c->node.zone, "eu-1c");
    model_free(c);
    report_fini(&r);
    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    assert_int_equal(system(command), 0);
}

static void test_relative_paths_begin_where_their_file_is(void **state)
{
    (void)state;
    char dir[] = "/tmp/tenbin-load-XXXXXX", path[64], expected[128], command[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/main.yaml", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("include: \"*.inc\"\naccess_log: {path: a.log}\nlog: {output: /var/log/x}\n"
          "admin: {listen: \"unix:admin.sock\"}\n" WEB,
          f);
    fclose(f);
    snprintf(path, sizeof(path), "%s/more.inc", dir);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs("target_groups: [{name: app, targets: [\"unix:run/app.sock\"]}]\n", f);
    fclose(f);
    snprintf(path, sizeof(path), "%s/main.yaml", dir);
    struct report r;
    report_init(&r);
    struct config *c = load_path(path, &loaded_options, &r);
    print_report(&r);
    assert_non_null(c);
    snprintf(expected, sizeof(expected), "%s/a.log", dir);
    assert_slice(c->access_log.sink.path, expected);
    assert_slice(c->log.sink.path, "/var/log/x");
    snprintf(expected, sizeof(expected), "unix:%s/admin.sock", dir);
    assert_string_equal(show(&c->admin.listen), expected);
    snprintf(expected, sizeof(expected), "unix:%s/run/app.sock", dir);
    assert_string_equal(show(&c->groups[0].targets[0].addrs[0]), expected);
    model_free(c);
    report_fini(&r);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
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
        cmocka_unit_test(test_zone_auto_reads_the_zone_file_last),
        cmocka_unit_test(test_relative_paths_begin_where_their_file_is),
        cmocka_unit_test(test_a_json_file_is_a_good_file),
        cmocka_unit_test(test_text_cut_anywhere_gives_a_config_or_errors),
        cmocka_unit_test(test_several_threads_may_load_at_once),
        cmocka_unit_test(test_ten_thousand_rules_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
