#include "server/fixture.h"

#include "server/state.h"

static struct arena arena;
static struct report report;
static struct state state_of;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena);
    report_init(&report);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    report_fini(&report);
    arena_fini(&arena);
    return 0;
}

static bool parse(const char *text)
{
    return state_parse(&state_of, &arena, slice_str(text), "state.json", &report);
}

static const char full[] =
    "{\"version\":1,\n"
    " \"registered\":[\n"
    "  {\"group\":\"app\",\"address\":\"10.0.0.1:80\",\"zone\":\"a\",\"weight\":3},\n"
    "  {\"group\":\"app\",\"address\":\"unix:app.sock\",\"weight\":0}],\n"
    " \"deregistered\":[\n"
    "  {\"group\":\"db\",\"address\":\"[::1]:5432\"}],\n"
    " \"drained\":[\n"
    "  {\"group\":\"app\",\"address\":\"10.0.0.2:80\"}],\n"
    " \"shifts\":[\n"
    "  {\"zone\":\"a\",\"by\":\"autoshift\",\"since\":1780000000,\"until\":1790000000,"
    "\"reason\":\"${HOME} \\\"power\\\" \xc3\xa9\"}],\n"
    " \"holds\":[\n"
    "  {\"zone\":\"b\",\"until\":1790000000},\n"
    "  {\"zone\":\"c\",\"until\":1790000001}]}\n";

static void test_what_was_written_is_read_back(void **state)
{
    (void)state;
    struct strbuf out;
    assert_true(parse(full));
    assert_int_equal(state_of.registered_n, 2);
    assert_int_equal(state_of.registered[0].weight, 3);
    assert_true(slice_eq(state_of.registered[0].zone, SLICE("a")));
    assert_int_equal(addr_family(&state_of.registered[1].addr), AF_UNIX);
    assert_int_equal(state_of.deregistered_n, 1);
    assert_int_equal(state_of.drained_n, 1);
    assert_int_equal(state_of.shifts_n, 1);
    assert_true(slice_eq(state_of.shifts[0].reason, SLICE("${HOME} \"power\" \xc3\xa9")));
    assert_int_equal(state_of.holds_n, 2);
    assert_int_equal(state_of.holds[1].until_s, 1790000001);
    strbuf_init(&out);
    state_format(&state_of, &out);
    assert_string_equal(out.p, full);
    strbuf_fini(&out);
}

static void test_an_empty_state_has_its_text_too(void **state)
{
    (void)state;
    struct strbuf out;
    struct state none = {0};
    strbuf_init(&out);
    state_format(&none, &out);
    assert_null(strstr(out.p, "holds")); /* of which older ones know nothing */
    assert_true(parse(out.p));
    assert_int_equal(state_of.registered_n + state_of.drained_n + state_of.shifts_n, 0);
    strbuf_fini(&out);
}

static void assert_refused(const char *text, const char *what)
{
    assert_false(parse(text));
    assert_non_null(report.first);
    struct strbuf out;
    strbuf_init(&out);
    report_text(&report, &out);
    if (!strstr(out.p, what))
        fail_msg("%s: %s", text, out.p);
    strbuf_fini(&out);
    assert_int_equal(state_of.registered_n, 0);
    report_fini(&report);
    report_init(&report);
}

static void test_what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    assert_refused("{", "state.json:");
    assert_refused("", "version");
    assert_refused("[]", "state");
    assert_refused("{\"version\":2}", "version");
    assert_refused("{\"version\":1,\"registred\":[]}", "did you mean \"registered\"");
    assert_refused("{\"version\":1,\"drained\":[{\"group\":\"app\"}]}", "address");
    assert_refused("{\"version\":1,\"drained\":[{\"group\":\"a b\",\"address\":\"10.0.0.1:1\"}]}",
                   "group");
    assert_refused("{\"version\":1,\"drained\":[{\"group\":\"a\",\"address\":\"host:1\"}]}",
                   "is not an address");
    assert_refused("{\"version\":1,\"registered\":[{\"group\":\"a\",\"address\":\"10.0.0.1:1\","
                   "\"weight\":1000}]}",
                   "weight");
    assert_refused("{\"version\":1,\"shifts\":[{\"zone\":\"a\",\"since\":0,\"until\":1,\"reason\":\"\"}]}",
                   "reason");
    assert_refused("{\"version\":1,\"holds\":[{\"zone\":\"a\"}]}", "until");
}

static void test_the_lists_of_operators_go_through_a_roster_and_back(void **state)
{
    (void)state;
    struct roster r;
    struct strbuf before, after;
    assert_true(parse(full));
    roster_init(&r);
    state_to_roster(&state_of, &r);
    struct state back = state_of;
    back.registered = back.deregistered = NULL;
    state_from_roster(&back, &arena, &r);
    strbuf_init(&before);
    strbuf_init(&after);
    state_format(&state_of, &before);
    state_format(&back, &after);
    assert_string_equal(before.p, after.p);
    strbuf_fini(&before);
    strbuf_fini(&after);
    roster_fini(&r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_was_written_is_read_back),
        TEST(test_an_empty_state_has_its_text_too),
        TEST(test_what_makes_no_sense_is_refused),
        TEST(test_the_lists_of_operators_go_through_a_roster_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
