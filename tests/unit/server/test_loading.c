#include "server/fixture.h"

#include "server/loading.h"

#define LISTENERS                                                                                  \
    "listeners:\n  - {name: web, listen: \"127.0.0.1:80\", protocol: http,"                        \
    " default_action: {fixed_response: {status_code: 200}}}\n"

struct fixture {
    char *dir;
    const char *path;
};

static int setup(void **state)
{
    static struct fixture f;
    f.dir = temp_dir();
    f.path = path_in(f.dir, "tenbin.yaml");
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    remove_dir(((struct fixture *)*state)->dir);
    return 0;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void free_snapshot(struct snapshot *s)
{
    struct registry r;
    registry_init(&r, 1);
    snapshot_free(s, &r);
    registry_fini(&r);
}

static size_t warnings_about(const struct report *r, const char *what)
{
    size_t n = 0;
    for (const struct report_entry *e = r->first; e; e = e->next)
        n += e->level == REPORT_WARNING && strncmp(e->message, what, strlen(what)) == 0;
    return n;
}

static void test_a_good_file_becomes_a_snapshot(void **state)
{
    struct fixture *f = *state;
    struct loading l;
    write_file(f->path, "workers: 3\n" LISTENERS);
    loading_init(&l, f->path, NULL);
    loading_run(&l);
    assert_non_null(l.snapshot);
    assert_int_equal(l.snapshot->workers, 3);
    assert_int_equal(l.report.errors, 0);
    free_snapshot(l.snapshot);
    loading_fini(&l);
}

static void test_a_bad_or_missing_file_becomes_a_report(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        struct loading l;
        if (i)
            write_file(f->path, "listners: []\n" LISTENERS);
        loading_init(&l, f->path, NULL);
        loading_run(&l);
        assert_null(l.snapshot);
        assert_true(l.report.errors > 0);
        loading_fini(&l);
    }
}

static void test_what_needs_a_restart_stays_and_is_named(void **state)
{
    struct fixture *f = *state;
    struct config *running =
        config_of("workers: 2\nuser: nobody\nadmin: {listen: \"127.0.0.1:9900\"}\n"
                  "limits: {max_connections: 100}\n" LISTENERS);
    struct loading l;
    write_file(f->path, "workers: 4\nuser: root\nadmin: {listen: \"127.0.0.1:9901\"}\n"
                        "limits: {max_connections: 200, headers: 50}\n" LISTENERS);
    loading_init(&l, f->path, running);
    loading_run(&l);
    assert_non_null(l.snapshot);
    const struct config *c = l.snapshot->config;
    assert_int_equal(c->workers, 2);
    assert_string_equal(c->user.p, "nobody");
    assert_int_equal(addr_port(&c->admin.listen), 9900);
    assert_int_equal(c->limits.max_connections, 100);
    assert_int_equal(c->limits.headers, 50);
    const char *keys[] = {"workers has", "user has", "admin.listen has",
                          "limits.max_connections has"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        assert_int_equal(warnings_about(&l.report, keys[i]), 1);
    model_free(running);
    assert_string_equal(c->user.p, "nobody"); /* a copy of its own */
    free_snapshot(l.snapshot);
    loading_fini(&l);
}

static void test_the_same_file_again_warns_of_nothing(void **state)
{
    struct fixture *f = *state;
    const char *text = "workers: 2\nuser: nobody\nlimits: {max_connections: 100}\n" LISTENERS;
    struct config *running = config_of("%s", text);
    struct loading l;
    write_file(f->path, text);
    loading_init(&l, f->path, running);
    loading_run(&l);
    assert_non_null(l.snapshot);
    assert_int_equal(l.report.warnings, 0);
    free_snapshot(l.snapshot);
    loading_fini(&l);
    model_free(running);
}

#define GROUP "target_groups:\n  - {name: app, targets: [\"10.0.0.1:80\"]}\n"

static void test_a_refresh_shares_the_configuration_and_adds_the_roster(void **state)
{
    struct fixture *f = *state;
    struct config *running = config_of(LISTENERS GROUP);
    struct addr addr = address_of("10.0.0.2:80");
    struct config_target more = {.zone = SLICE("b"), .weight = 7, .addrs = &addr, .addrs_n = 1};
    struct loading l;
    write_file(f->path, "broken");
    loading_init(&l, f->path, running);
    roster_add(&l.roster, SLICE("app"), ROSTER_OPERATOR, &more);
    loading_refresh(&l, running);
    loading_fini(&l);
    model_free(running); /* the snapshot still has it */
    assert_non_null(l.snapshot);
    assert_ptr_equal(l.snapshot->config, running);
    const struct group *g = &l.snapshot->groups[0];
    assert_int_equal(g->members_n, 2);
    assert_true(addr_eq(g->members[1].addr, &addr));
    assert_int_equal(g->members[1].weight, 7);
    assert_string_equal(g->members[1].zone.p, "b");
    free_snapshot(l.snapshot);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_good_file_becomes_a_snapshot),
        TEST(test_a_bad_or_missing_file_becomes_a_report),
        TEST(test_what_needs_a_restart_stays_and_is_named),
        TEST(test_the_same_file_again_warns_of_nothing),
        TEST(test_a_refresh_shares_the_configuration_and_adds_the_roster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
