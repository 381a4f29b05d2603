#include "config/report.h"

#include "loaded.h"

static struct strbuf text_of(const struct report *r)
{
    struct strbuf out;
    strbuf_init(&out);
    report_text(r, &out);
    return out;
}

static struct config_pos at(uint32_t line, uint32_t column)
{
    return (struct config_pos){"a.yaml", line, column};
}

static void test_an_error_shows_place_line_caret_and_what_was_expected(void **state)
{
    (void)state;
    struct report r;
    report_init(&r);
    report_source(&r, "a.yaml", SLICE("first\n  second: x\nthird"));
    struct report_entry *e = report_error(&r, at(2, 11), "\"%s\" is wrong", "x");
    report_expected(&r, e, SLICE("y; default z"));
    report_suggest(&r, e, "xx");
    report_hint(&r, e, "think %d times", 2);
    struct strbuf out = text_of(&r);
    assert_string_equal(out.p, "a.yaml:2:11: error: \"x\" is wrong; did you mean \"xx\"?\n"
                               "     2 |   second: x\n"
                               "       |           ^\n"
                               "       = expected y; default z\n"
                               "       = think 2 times\n");
    strbuf_fini(&out);
    report_fini(&r);
}

static void test_a_warning_is_no_error(void **state)
{
    (void)state;
    struct report r;
    report_init(&r);
    report_suggest(&r, report_warning(&r, (struct config_pos){.file = "a.yaml"}, "odd"), NULL);
    assert_int_equal(r.errors, 0);
    assert_int_equal(r.warnings, 1);
    struct strbuf out = text_of(&r);
    assert_string_equal(out.p, "a.yaml: warning: odd\n");
    strbuf_fini(&out);
    report_fini(&r);
}

static void test_the_report_outlives_the_text_it_quotes(void **state)
{
    (void)state;
    struct report r;
    report_init(&r);
    char *text = strdup("quoted line\n");
    char *name = strdup("a.yaml");
    report_source(&r, name, slice_str(text));
    report_error(&r, (struct config_pos){name, 1, 1}, "wrong");
    report_forget(&r);
    free(text);
    free(name);
    report_error(&r, at(1, 1), "later");
    struct strbuf out = text_of(&r);
    assert_string_equal(out.p, "a.yaml:1:1: error: wrong\n     1 | quoted line\n       | ^\n"
                               "a.yaml:1:1: error: later\n");
    strbuf_fini(&out);
    report_fini(&r);
}

static void test_lines_are_found_forwards_and_backwards_and_past_the_end(void **state)
{
    (void)state;
    struct report r;
    report_init(&r);
    report_source(&r, "a.yaml", SLICE("one\ntwo\nthree"));
    assert_string_equal(report_error(&r, at(3, 1), "x")->excerpt, "three");
    assert_string_equal(report_error(&r, at(1, 1), "x")->excerpt, "one");
    assert_string_equal(report_error(&r, at(2, 1), "x")->excerpt, "two");
    assert_string_equal(report_error(&r, at(9, 1), "x")->excerpt, "");
    assert_null(report_error(&r, (struct config_pos){"b.yaml", 1, 1}, "x")->excerpt);
    report_fini(&r);
}

static void test_a_long_line_is_cut_around_the_caret(void **state)
{
    (void)state;
    struct report r;
    char line[401];
    for (size_t i = 0; i < 400; i++)
        line[i] = (char)('a' + i % 26);
    line[300] = '!';
    report_init(&r);
    report_source(&r, "a.yaml", slice_of(line, 400));
    struct report_entry *e = report_error(&r, at(1, 301), "x");
    assert_int_equal(strlen(e->excerpt), 120);
    assert_int_equal(e->excerpt[e->caret], '!');
    report_fini(&r);
}

static void test_columns_count_characters_not_bytes(void **state)
{
    (void)state;
    struct report r;
    char line[600] = "";
    for (size_t i = 0; i < 200; i++)
        strcat(line, "\xc3\xa4");
    strcat(line, "!");
    report_init(&r);
    report_source(&r, "a.yaml", slice_str(line));
    struct report_entry *e = report_error(&r, at(1, 201), "x");
    assert_int_equal(e->caret, 80);
    assert_int_equal(strlen(e->excerpt), 161);
    assert_int_equal(e->excerpt[160], '!');
    report_fini(&r);
}

static void test_control_characters_do_not_reach_the_terminal(void **state)
{
    (void)state;
    struct report r;
    report_init(&r);
    report_source(&r, "a.yaml", SLICE("a\x1b[31m\tb\r\n"));
    struct report_entry *e =
        report_error(&r, at(1, 1), "bad \"%s\"", "\x1b[0m\n\x7f\xc2\x9b\xc2\xa0\xc3\x9b\xc2");
    assert_string_equal(e->message, "bad \" [0m    \xc2\xa0\xc3\x9b\xc2\"");
    assert_string_equal(e->excerpt, "a [31m b ");
    report_fini(&r);
}

static void test_entries_are_sorted_by_file_and_place(void **state)
{
    (void)state;
    struct report r;
    report_init(&r);
    report_source(&r, "a.yaml", SLICE("x"));
    report_source(&r, "b.yaml", SLICE("x"));
    report_error(&r, (struct config_pos){"b.yaml", 1, 1}, "fifth");
    report_error(&r, at(2, 9), "fourth");
    report_error(&r, at(2, 3), "second");
    report_warning(&r, at(2, 3), "third");
    report_error(&r, at(1, 7), "first");
    report_sort(&r);
    static const char *const order[] = {"first", "second", "third", "fourth", "fifth"};
    const struct report_entry *e = r.first;
    for (size_t i = 0; i < ARRAY_LEN(order); i++, e = e->next)
        assert_string_equal(e->message, order[i]);
    assert_null(e);
    report_fini(&r);
}

static void test_entries_beyond_the_limit_are_only_counted(void **state)
{
    (void)state;
    struct report r;
    report_init(&r);
    for (unsigned i = 0; i < REPORT_MAX; i++)
        report_error(&r, at(i + 1, 1), "x");
    struct strbuf out = text_of(&r);
    assert_null(strstr(out.p, "more"));
    strbuf_fini(&out);
    struct report_entry *e = report_error(&r, at(1, 1), "not kept");
    report_expected(&r, e, SLICE("y"));
    report_suggest(&r, e, "z");
    report_hint(&r, e, "w");
    report_sort(&r);
    assert_int_equal(r.errors, REPORT_MAX + 1);
    assert_int_equal(r.kept, REPORT_MAX);
    out = text_of(&r);
    assert_null(strstr(out.p, "not kept"));
    assert_non_null(strstr(out.p, "and 1 more\n"));
    strbuf_fini(&out);
    report_fini(&r);
}

static void test_json_has_errors_and_warnings_apart(void **state)
{
    (void)state;
    struct report r;
    struct strbuf out;
    report_init(&r);
    strbuf_init(&out);
    report_json(&r, &out);
    assert_string_equal(out.p, "{\"ok\":true,\"errors\":[],\"warnings\":[],\"omitted\":0}\n");
    strbuf_fini(&out);
    report_source(&r, "a.yaml", SLICE("k: \"v\"\n"));
    report_warning(&r, at(1, 4), "w");
    report_suggest(&r, report_error(&r, at(1, 1), "say \"%s\"", "v"), "u");
    strbuf_init(&out);
    report_json(&r, &out);
    assert_string_equal(
        out.p, "{\"ok\":false,\"errors\":[{\"file\":\"a.yaml\",\"line\":1,\"column\":1,"
               "\"message\":\"say \\\"v\\\"\",\"expected\":null,\"suggestion\":\"u\",\"hint\":null,"
               "\"source\":\"k: \\\"v\\\"\"}],"
               "\"warnings\":[{\"file\":\"a.yaml\",\"line\":1,\"column\":4,\"message\":\"w\","
               "\"expected\":null,\"suggestion\":null,\"hint\":null,\"source\":\"k: \\\"v\\\"\"}],"
               "\"omitted\":0}\n");
    strbuf_fini(&out);
    report_fini(&r);
}

static void test_a_line_for_the_log_holds_everything_but_the_excerpt(void **state)
{
    (void)state;
    struct report r;
    struct strbuf out;
    report_init(&r);
    report_source(&r, "a.yaml", SLICE("x"));
    struct report_entry *e = report_error(&r, at(1, 1), "m");
    report_expected(&r, e, SLICE("e"));
    report_suggest(&r, e, "s");
    report_hint(&r, e, "h");
    strbuf_init(&out);
    report_line(e, &out);
    assert_string_equal(out.p, "a.yaml:1:1: error: m; did you mean \"s\"?; expected e; h");
    strbuf_fini(&out);
    report_fini(&r);
}

static void test_errors_behind_a_point_become_warnings(void **state)
{
    (void)state;
    struct report r;
    struct config_pos nowhere = {0};
    report_init(&r);
    (void)report_error(&r, nowhere, "first");
    const struct report_entry *last = r.last;
    (void)report_warning(&r, nowhere, "second");
    (void)report_error(&r, nowhere, "third");
    report_soften(&r, last, 1, "so what");
    assert_int_equal(r.errors, 1);
    assert_int_equal(r.warnings, 2);
    assert_int_equal(r.first->level, REPORT_ERROR);
    assert_string_equal(r.first->next->message, "second");
    assert_string_equal(r.last->message, "third; so what");
    assert_int_equal(r.last->level, REPORT_WARNING);
    report_soften(&r, NULL, 0, "as well");
    assert_int_equal(r.errors, 0);
    assert_string_equal(r.first->message, "first; as well");
    report_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_error_shows_place_line_caret_and_what_was_expected),
        cmocka_unit_test(test_a_warning_is_no_error),
        cmocka_unit_test(test_the_report_outlives_the_text_it_quotes),
        cmocka_unit_test(test_lines_are_found_forwards_and_backwards_and_past_the_end),
        cmocka_unit_test(test_a_long_line_is_cut_around_the_caret),
        cmocka_unit_test(test_columns_count_characters_not_bytes),
        cmocka_unit_test(test_control_characters_do_not_reach_the_terminal),
        cmocka_unit_test(test_entries_are_sorted_by_file_and_place),
        cmocka_unit_test(test_entries_beyond_the_limit_are_only_counted),
        cmocka_unit_test(test_json_has_errors_and_warnings_apart),
        cmocka_unit_test(test_a_line_for_the_log_holds_everything_but_the_excerpt),
        cmocka_unit_test(test_errors_behind_a_point_become_warnings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
