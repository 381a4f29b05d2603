#include "config/targets_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include "loaded.h"

struct parsed {
    struct arena arena;
    struct report report;
    bool good;
    struct config_target *targets;
    size_t n;
};

static struct parsed parse_for(const struct config_group *g, const char *text, size_t n)
{
    struct parsed p = {0};
    arena_init(&p.arena);
    report_init(&p.report);
    p.good = targets_file_parse(&p.arena, &p.report, "targets.yaml", slice_of(text, n), g,
                                &p.targets, &p.n);
    assert_int_equal(p.good, p.report.errors == 0);
    return p;
}

static struct parsed parse(const char *text)
{
    static const struct config_group plain;
    return parse_for(&plain, text, strlen(text));
}

static void done(struct parsed *p)
{
    report_fini(&p->report);
    arena_fini(&p->arena);
}

static void test_a_list_is_taken_in_yaml_and_json_bare_and_under_its_key(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "- \"10.0.0.1:80\"\n- {address: \"app.internal:81\", zone: b, weight: 7}\n",
        "targets:\n  - address: \"10.0.0.1:80\"\n  - {address: \"app.internal:81\", zone: b, weight: 7}\n",
        "[\"10.0.0.1:80\", {\"address\": \"app.internal:81\", \"zone\": \"b\", \"weight\": 7}]",
        "{\"targets\": [\"10.0.0.1:80\",\n {\"address\": \"app.internal:81\", \"zone\": \"b\","
        " \"weight\": 7}]}",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct parsed p = parse(texts[i]);
        if (!p.good)
            print_report(&p.report);
        assert_true(p.good);
        assert_int_equal(p.n, 2);
        assert_string_equal(loaded_text(p.targets[0].addrs), "10.0.0.1:80");
        assert_int_equal(p.targets[0].weight, 1);
        assert_int_equal(p.targets[0].zone.n, 0);
        assert_slice(p.targets[1].host, "app.internal");
        assert_slice(p.targets[1].zone, "b");
        assert_int_equal(p.targets[1].port, 81);
        assert_int_equal(p.targets[1].weight, 7);
        assert_int_equal(p.targets[1].addrs_n, 0);
        done(&p);
    }
}

static void test_an_empty_list_is_good_and_nothing_at_all_is_not(void **state)
{
    (void)state;
    static const char *const good[] = {"[]", "targets: []", "{\"targets\": []}", "---\n[]\n"};
    static const char *const bad[] = {
        "",      "\n\n",    "# later",    "---\n",           "null",
        "{}",    "~",       "targets:",   "targets: ~",      "targets: \"\"",
        "10.0.0.1:80", "true", "target: []", "targets: {}", "[]\n---\n[]\n", "targets: []\nmore: 1",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct parsed p = parse(good[i]);
        assert_true(p.good);
        assert_int_equal(p.n, 0);
        done(&p);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct parsed p = parse(bad[i]);
        if (p.good)
            fail_msg("taken: %s", bad[i]);
        assert_string_equal(p.report.first->pos.file, "targets.yaml");
        done(&p);
    }
}

static void test_what_is_wrong_is_said_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place, *words;
    } rows[] = {
        {"- \"10.0.0.1:80\"\n- \"10.0.0.1\"\n", "2:3", "is not an address"},
        {"- {address: \"10.0.0.1:80\", weight: 1000}", "1:36", "out of range"},
        {"- {zone: a}", "1:3", "\"address\" is missing"},
        {"- {address: \"10.0.0.1:80\", zone: \"a b\"}", "1:34", "cannot be used here"},
        {"- {address: \"10.0.0.1:80\", port: 1}", "1:28", "unknown key \"port\""},
        {"- \"0.0.0.0:80\"", "1:3", "no machine's address"},
        {"- \"${PORT}:80\"", "1:3", "is not set"},
        {"- [", "2:1", "not YAML"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct parsed p = parse(rows[i].text);
        if (!find_entry(&p.report, REPORT_ERROR, rows[i].place, rows[i].words)) {
            print_report(&p.report);
            fail_msg("expected at %s \"%s\": %s", rows[i].place, rows[i].words, rows[i].text);
        }
        done(&p);
    }
}

static void test_unix_sockets_are_refused_where_they_cannot_work(void **state)
{
    (void)state;
    const char *text = "- \"unix:/run/app.sock\"";
    const struct config_group plain = {0}, named = {.tls = true,
                                                    .target_tls = {.verify = true,
                                                                   .server_name = SLICE("app")}};
    const struct config_group nameless = {.tls = true, .target_tls = {.verify = true}};
    const struct config_group port = {.health_check = {.on = true, .port = 80}};
    const struct config_group *groups[] = {&plain, &named, &nameless, &port};
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        struct parsed p = parse_for(groups[i], text, strlen(text));
        assert_int_equal(p.good, i < 2);
        done(&p);
    }
}

/* A file of exactly `size` bytes: one target, and a comment. */
static void write_file(const char *path, size_t size)
{
    static const char text[] = "[\"10.0.0.1:80\"] #";
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    for (size_t i = strlen(text); i < size; i++)
        putc('x', f);
    fclose(f);
}

static void test_a_file_of_8_mib_is_read_and_a_byte_more_is_not(void **state)
{
    (void)state;
    static const struct config_group plain;
    char path[] = "/tmp/tenbin-targets-XXXXXX";
    close(mkstemp(path));
    for (int more = 0; more < 2; more++) {
        struct parsed p = {0};
        write_file(path, TARGETS_FILE_MAX + (size_t)more);
        arena_init(&p.arena);
        report_init(&p.report);
        p.good = targets_file_read(&p.arena, &p.report, path, &plain, &p.targets, &p.n);
        assert_int_equal(p.good, !more);
        if (more)
            assert_string_equal(p.report.first->message, "larger than 8 MiB");
        done(&p);
    }
    unlink(path);
}

static void test_what_is_no_file_is_an_error_and_nothing_is_waited_for(void **state)
{
    (void)state;
    static const struct config_group plain;
    char dir[] = "/tmp/tenbin-targets-XXXXXX", fifo[64], missing[64];
    assert_non_null(mkdtemp(dir));
    snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
    snprintf(missing, sizeof(missing), "%s/missing", dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    const char *paths[] = {dir, fifo, missing};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct parsed p = {0};
        arena_init(&p.arena);
        report_init(&p.report);
        assert_false(targets_file_read(&p.arena, &p.report, paths[i], &plain, &p.targets, &p.n));
        assert_string_equal(p.report.first->pos.file, paths[i]);
        assert_string_equal(p.report.first->message,
                            i < 2 ? "not a file" : "No such file or directory");
        done(&p);
    }
    unlink(fifo);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_list_is_taken_in_yaml_and_json_bare_and_under_its_key),
        cmocka_unit_test(test_an_empty_list_is_good_and_nothing_at_all_is_not),
        cmocka_unit_test(test_what_is_wrong_is_said_with_its_place),
        cmocka_unit_test(test_unix_sockets_are_refused_where_they_cannot_work),
        cmocka_unit_test(test_a_file_of_8_mib_is_read_and_a_byte_more_is_not),
        cmocka_unit_test(test_what_is_no_file_is_an_error_and_nothing_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
