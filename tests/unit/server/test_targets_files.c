/* What a load makes of targets files: lists, or warnings and the lists that there were. */
#include "server/fixture.h"

#include "server/targets_files.h"

struct fixture {
    char *dir;
    struct config *config;
    struct roster roster;
    struct report report;
};

/* "app" has its targets from app.yaml, "other" from other.yaml, "fixed" from no file. */
static int setup(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof(f));
    f.dir = temp_dir();
    f.config = config_of("listeners:\n"
                         "  - {name: web, listen: \"127.0.0.1:80\", protocol: http,"
                         " default_action: {forward: app}}\n"
                         "target_groups:\n"
                         "  - {name: fixed, targets: [\"127.0.0.1:9\"]}\n"
                         "  - {name: app, discovery: {file: %s/app.yaml}}\n"
                         "  - {name: other, discovery: {file: %s/other.yaml}}\n",
                         f.dir, f.dir);
    roster_init(&f.roster);
    report_init(&f.report);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    roster_fini(&f->roster);
    report_fini(&f->report);
    model_free(f->config);
    remove_dir(f->dir);
    return 0;
}

/* Sizes tell states of a file apart, as it may be written twice within a tick of its times. */
static void put(struct fixture *f, const char *name, const char *text)
{
    FILE *out = fopen(path_in(f->dir, name), "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static size_t two_addresses(const char *host, struct addr *to, size_t max)
{
    if (strcmp(host, "app.test") != 0 || max < 2)
        return 0;
    to[0] = address_of("10.0.0.1:0");
    to[1] = address_of("10.0.0.2:0");
    return 2;
}

static enum err load_cancelled(struct fixture *f, const atomic_bool *cancelled)
{
    struct resolve_options o = {
        .timeout_ms = 5000, .lookup = two_addresses, .cancelled = cancelled};
    report_fini(&f->report);
    report_init(&f->report);
    return targets_files_load(f->config, &f->roster, &o, &f->report);
}

static void load(struct fixture *f)
{
    assert_int_equal(load_cancelled(f, NULL), OK);
}

static struct roster_list *list(struct fixture *f, const char *group)
{
    return roster_find(&f->roster, slice_str(group), ROSTER_FILE, SLICE(""));
}

/* As if the files had been written longer ago. */
static void settle(struct fixture *f)
{
    list(f, "app")->stamp.settled = true;
    list(f, "other")->stamp.settled = true;
}

static void test_each_file_is_a_list_of_its_group(void **state)
{
    struct fixture *f = *state;
    put(f, "app.yaml", "- {address: \"10.0.0.1:80\", zone: a, weight: 3}\n- \"10.0.0.2:80\"\n");
    put(f, "other.yaml", "{\"targets\": [\"10.0.0.3:80\"]}");
    load(f);
    assert_int_equal(f->report.warnings + f->report.errors, 0);
    assert_int_equal(f->roster.n, 2);
    const struct roster_list *l = list(f, "app");
    assert_int_equal(l->targets_n, 2);
    assert_string_equal(l->targets[0].text.p, "10.0.0.1:80");
    assert_string_equal(l->targets[0].zone.p, "a");
    assert_int_equal(l->targets[0].weight, 3);
    assert_true(l->good_s > 0 && !l->trouble && l->stamp.hash);
    assert_string_equal(list(f, "other")->targets[0].text.p, "10.0.0.3:80");
}

static void test_names_in_files_become_addresses_that_outlive_the_load(void **state)
{
    struct fixture *f = *state;
    put(f, "app.yaml", "[\"app.test:3000\", \"gone.test:3000\"]");
    put(f, "other.yaml", "[]");
    load(f);
    const struct roster_list *l = list(f, "app");
    struct addr second = address_of("10.0.0.2:3000");
    assert_int_equal(l->targets[0].addrs_n, 2);
    assert_true(addr_eq(&l->targets[0].addrs[1], &second));
    assert_int_equal(l->targets[1].addrs_n, 0);
    assert_int_equal(f->report.warnings, 1); /* the name that nobody knows */
    assert_int_equal(f->report.errors, 0);
}

static void test_a_file_that_is_as_it_was_is_not_read_again(void **state)
{
    struct fixture *f = *state;
    put(f, "app.yaml", "[\"10.0.0.1:80\"]");
    put(f, "other.yaml", "[]");
    load(f);
    const struct roster_list *before = list(f, "app"), *other = list(f, "other");
    settle(f);
    load(f);
    assert_ptr_equal(list(f, "app"), before);
    put(f, "app.yaml", "[\"10.0.0.1:80\", \"10.0.0.2:80\"]");
    load(f);
    assert_int_equal(list(f, "app")->targets_n, 2);
    assert_ptr_equal(list(f, "other"), other);
}

/* It may change again and look the same. */
static void test_a_file_written_just_now_is_read_again(void **state)
{
    struct fixture *f = *state;
    put(f, "app.yaml", "[\"10.0.0.1:80\"]");
    put(f, "other.yaml", "[]");
    load(f);
    settle(f);
    list(f, "app")->stamp.settled = false;
    struct roster_list *before = roster_list_ref(list(f, "app"));
    load(f);
    assert_ptr_not_equal(list(f, "app"), before);
    assert_true(roster_list_same(list(f, "app"), before));
    roster_list_unref(before);
}

/* What a file that is no good leaves, and says. */
static void check_kept(struct fixture *f, const char *text, const char *trouble)
{
    int64_t good_s = list(f, "app")->good_s;
    if (text)
        put(f, "app.yaml", text);
    else
        assert_int_equal(unlink(path_in(f->dir, "app.yaml")), 0);
    load(f);
    const struct roster_list *l = list(f, "app");
    assert_int_equal(l->targets_n, 1);
    assert_string_equal(l->targets[0].text.p, "10.0.0.1:80");
    assert_int_equal(l->good_s, good_s);
    assert_non_null(strstr(l->trouble, trouble));
    assert_int_equal(f->report.errors, 0);
    assert_int_equal(f->report.warnings, 1);
    assert_non_null(strstr(f->report.first->message, "\"app\" keeps the 1 targets"));
}

static void test_a_file_that_is_no_good_changes_nothing_but_says_why(void **state)
{
    struct fixture *f = *state;
    put(f, "other.yaml", "[]");
    put(f, "app.yaml", "[\"10.0.0.1:80\"]");
    load(f);
    check_kept(f, "", "app.yaml");
    check_kept(f, "[\"10.0.0.2:80\", 7]", "app.yaml:1:17");
    check_kept(f, "- {address: \"10.0.0.2:80\"", "app.yaml");
    settle(f);
    const struct roster_list *before = list(f, "app");
    load(f); /* still as it was: it is not blamed again */
    assert_ptr_equal(list(f, "app"), before);
    assert_int_equal(f->report.warnings, 0);
    check_kept(f, NULL, "app.yaml");
    put(f, "app.yaml", "[]"); /* this is a wish */
    load(f);
    assert_int_equal(list(f, "app")->targets_n, 0);
    assert_null(list(f, "app")->trouble);
}

static void test_a_file_that_was_never_there_is_an_empty_list_with_the_reason(void **state)
{
    struct fixture *f = *state;
    put(f, "other.yaml", "[]");
    load(f);
    const struct roster_list *l = list(f, "app");
    assert_int_equal(l->targets_n, 0);
    assert_int_equal(l->good_s, 0);
    assert_non_null(l->trouble);
    assert_int_equal(f->report.warnings, 1);
}

static void test_a_cancel_ends_it(void **state)
{
    struct fixture *f = *state;
    atomic_bool cancelled = true;
    put(f, "app.yaml", "[\"app.test:3000\"]");
    put(f, "other.yaml", "[]");
    assert_int_equal(load_cancelled(f, &cancelled), ERR_RESET);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_file_is_a_list_of_its_group),
        TEST(test_names_in_files_become_addresses_that_outlive_the_load),
        TEST(test_a_file_that_is_as_it_was_is_not_read_again),
        TEST(test_a_file_written_just_now_is_read_again),
        TEST(test_a_file_that_is_no_good_changes_nothing_but_says_why),
        TEST(test_a_file_that_was_never_there_is_an_empty_list_with_the_reason),
        TEST(test_a_cancel_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
