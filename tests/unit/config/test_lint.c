#include "config/lint.h"

#include "loaded.h"

static void test_a_pattern_covers_what_it_matches_for_certain(void **state)
{
    (void)state;
    static const struct {
        const char *wide, *narrow;
        bool covers;
    } rows[] = {
        {"", "", true},         {"*", "", true},          {"*", "*", true},
        {"/a", "/a", true},     {"/a", "/b", false},      {"/*", "/a/b", true},
        {"/*", "/a/*", true},   {"/a/*", "/*", false},    {"/a/*", "/a/b?", true},
        {"/?", "/a", true},     {"/?", "/?", true},       {"/?", "/*", false},
        {"/a", "/?", false},    {"/a*c", "/abc", true},   {"/a*c", "/a*bc", true},
        {"/a*c", "/ab", false}, {"*.b", "a.b", true},     {"*.b", "*.a.b", true},
        {"*.b", "b", false},    {"a*b*c", "aXbYc", true}, {"a*b*c", "acb", false},
        {"**", "x", true},      {"*?", "", false},        {"*?", "x", true},
        {"/a", "/a/", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (lint_covers(slice_str(rows[i].wide), slice_str(rows[i].narrow)) != rows[i].covers)
            fail_msg("%s covers %s: expected %d", rows[i].wide, rows[i].narrow, rows[i].covers);
}

/* Two rules, the first with priority 1; does the second one get the warning? */
static void check_second_rule(const char *first, const char *second, bool warned)
{
    char text[2000];
    snprintf(text, sizeof(text),
             "listeners:\n"
             "  - name: web\n"
             "    listen: \"127.0.0.1:80\"\n"
             "    protocol: http\n"
             "    rules:\n"
             "      - {priority: 1, conditions: %s, action: {forward: a}}\n"
             "      - {priority: 2, conditions: %s, action: {forward: a}}\n"
             "    default_action: {forward: a}\n"
             "target_groups: [{name: a, targets: [\"127.0.0.1:9000\"]}]\n",
             first, second);
    struct loaded l = load_good(text);
    bool found =
        find_entry(&l.report, REPORT_WARNING, "7:9", "\"rule-2\" is never reached") != NULL;
    if (found != warned || l.report.warnings != warned) {
        print_report(&l.report);
        fail_msg("%s before %s: expected a warning %d", first, second, warned);
    }
    unload(&l);
}

static void test_a_rule_behind_a_wider_one_is_never_reached(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        bool warned;
    } rows[] = {
        {"[{path_pattern: /a}]", "[{path_pattern: /a}]", true},
        {"[{path_pattern: /a}]", "[{path_pattern: /b}]", false},
        {"[{path_pattern: /A}]", "[{path_pattern: /a}]", false},
        {"[{host_header: A.x}]", "[{host_header: a.X}]", true},
        {"[{path_pattern: /*}]", "[{host_header: a.x}]", true},
        {"[{host_header: '*'}]", "[{path_pattern: /a}]", true},
        {"[{path_pattern: /v1/*}]", "[{path_pattern: [/v1/a, /v1/b/*]}]", true},
        {"[{path_pattern: /v1/*}]", "[{path_pattern: [/v1/a, /v2/a]}]", false},
        {"[{path_pattern: [/v2/*, /v1/*]}]", "[{path_pattern: [/v1/a, /v2/a]}]", true},
        {"[{path_pattern: /a}]", "[{path_pattern: /a}, {host_header: a.x}]", true},
        {"[{path_pattern: /a}, {host_header: a.x}]", "[{path_pattern: /a}]", false},
        {"[{path_pattern: /a}, {host_header: '*.x'}]", "[{host_header: a.x}, {path_pattern: /a}]",
         true},
        {"[{host_header: a.x}]", "[{path_pattern: /a}]", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_second_rule(rows[i].first, rows[i].second, rows[i].warned);
}

static const char groups_a[] = "target_groups: [{name: a, targets: [\"127.0.0.1:9000\"]}]\n";

/* A listener with these rules, the groups behind it. */
static char *web(const char *before, const char *rules, const char *groups)
{
    char *text = NULL;
    assert_true(asprintf(&text,
                         "%slisteners:\n"
                         "  - name: web\n"
                         "    listen: \"0.0.0.0:80\"\n"
                         "    protocol: http\n"
                         "    rules: [%s]\n"
                         "    default_action: {forward: a}\n"
                         "%s",
                         before, rules, groups) > 0);
    return text;
}

static void assert_warning(char *text, const char *words)
{
    assert_one_warning(text, words);
    free(text);
}

static void test_values_that_match_nothing_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *words;
    } rows[] = {
        {"{priority: 1, action: {forward: a}, conditions: [@{path_pattern: /a%2fb}]}", "upper"},
        {"{priority: 1, action: {forward: a}, conditions: [@{path_pattern: [/o, /a/../b]}]}",
         "dot"},
        {"{priority: 1, action: {forward: a}, conditions: [@{path_pattern: /a/./b}]}", "segments"},
        {"{priority: 1, action: {forward: a}, conditions: [@{path_pattern: '/a#b'}]}", "fragment"},
        {"{priority: 1, action: {forward: a}, conditions: [@{host_header: a.b.}]}",
         "without a dot"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_warning(web("", rows[i].rule, groups_a), rows[i].words);
}

static void test_groups_that_nobody_uses_are_told(void **state)
{
    (void)state;
    assert_warning(web("", "",
                       "target_groups:\n"
                       "  - {name: a, targets: [\"127.0.0.1:9000\"]}\n"
                       "  - @{name: b, targets: [\"127.0.0.1:9000\"]}\n"),
                   "\"b\" is not used");
}

static void test_a_check_that_may_outlast_its_interval_is_told(void **state)
{
    (void)state;
    assert_warning(web("", "",
                       "target_groups:\n"
                       "  - name: a\n"
                       "    health_check: @{interval: 5s, timeout: 5s}\n"
                       "    targets: [\"127.0.0.1:9000\"]\n"),
                   "as long as their interval");
}

static void test_a_group_without_a_target_in_some_zone_is_told(void **state)
{
    (void)state;
    static const char one[] = "target_groups:\n"
                              "  - @{name: a, targets: [{address: \"127.0.0.1:1\", zone: x}]}\n";
    static const char two[] = "target_groups:\n"
                              "  - @{name: a, targets: [{address: \"127.0.0.1:1\", zone: x}]}\n"
                              "  - name: b\n"
                              "    targets:\n"
                              "      - {address: \"127.0.0.1:1\", zone: x}\n"
                              "      - {address: \"127.0.0.1:2\", zone: y}\n"
                              "      - {address: \"127.0.0.1:3\", zone: z}\n";
    static const char use_b[] =
        "{priority: 1, conditions: [{path_pattern: /b}], action: {forward: b}}";
    assert_warning(web("", use_b, two), "\"a\" has no target in zone y, z");
    assert_warning(web("node: {zone: z}\n", "", one), "\"a\" has no target in zone z");
}

static void test_targets_without_zone_are_told_when_the_node_has_one(void **state)
{
    (void)state;
    static const char groups[] = "target_groups:\n"
                                 "  - name: a\n"
                                 "    targets:\n"
                                 "      - {address: \"127.0.0.1:1\", zone: x}\n"
                                 "      - @\"127.0.0.1:2\"\n"
                                 "      - \"127.0.0.1:3\"\n";
    assert_warning(web("node: {zone: x}\n", "", groups), "2 of 3 targets of \"a\" name no zone");
}

static void test_weights_that_leave_nothing_are_told(void **state)
{
    (void)state;
    static const char groups[] = "target_groups:\n"
                                 "  - @name: a\n"
                                 "    targets: [{address: \"127.0.0.1:1\", weight: 0}]\n";
    assert_warning(web("", "", groups), "have weight 0");
}

static void test_a_target_that_is_tenbin_itself_is_told(void **state)
{
    (void)state;
    static const char itself[] = "target_groups: [{name: a, targets: [@\"127.0.0.1:80\"]}]\n";
    static const char other[] = "target_groups: [{name: a, targets: [\"10.0.0.1:80\"]}]\n";
    assert_warning(web("", "", itself), "is a listener of this same tenbin");
    char *text = web("", "", other);
    struct loaded l = load_good(text);
    assert_int_equal(l.report.warnings, 0);
    unload(&l);
    free(text);
}

/* Which listeners can reach a group of that version? */
static void check_version(const char *listener, const char *version, bool warned)
{
    char text[2000];
    snprintf(text, sizeof(text),
             "listeners:\n"
             "  - {name: web, listen: \"127.0.0.1:80\", %s, default_action: {forward: a}}\n"
             "target_groups: [{name: a, protocol_version: %s, health_check: off, "
             "targets: [\"127.0.0.1:9000\"]}]\n",
             listener, version);
    char place[16];
    const char *line = strchr(text, '\n') + 1;
    snprintf(place, sizeof(place), "2:%d", (int)(strstr(line, "forward: ") - line) + 10);
    struct loaded l = load_good(text);
    bool found = find_entry(&l.report, REPORT_WARNING, place, "all get 464") != NULL;
    if (found != warned || l.report.warnings != warned) {
        print_report(&l.report);
        fail_msg("%s to %s: expected a warning %d", listener, version, warned);
    }
    unload(&l);
}

static void test_checks_of_any_version_are_no_reason_to_warn(void **state)
{
    (void)state;
    static const char *const versions[] = {"http1", "http2", "grpc"};
    static const char *const checks[] = {"{}",
                                         "off",
                                         "{protocol: http}",
                                         "{protocol: https, port: 81}",
                                         "{protocol: tcp}",
                                         "{protocol: grpc}"};
    for (size_t i = 0; i < ARRAY_LEN(versions) * ARRAY_LEN(checks); i++) {
        char text[2000];
        const char *version = versions[i / ARRAY_LEN(checks)], *check = checks[i % ARRAY_LEN(checks)];
        snprintf(text, sizeof(text),
                 "listeners:\n"
                 "  - {name: web, listen: \"127.0.0.1:80\", protocol: http,\n"
                 "     attributes: {h2c: true}, default_action: {forward: a}}\n"
                 "target_groups:\n"
                 "  - {name: a, protocol_version: %s, health_check: %s, targets: [\"127.0.0.1:9\"]}\n",
                 version, check);
        struct loaded l = load_good(text);
        if (l.report.warnings) {
            print_report(&l.report);
            fail_msg("%s, %s: expected no warning", version, check);
        }
        unload(&l);
    }
}

static void test_a_group_that_no_client_can_reach_is_told(void **state)
{
    (void)state;
    static const char tls[] = "protocol: https, certificates: [{certificate: a, key: b}]";
    static const char old[] =
        "protocol: https, certificates: [{certificate: a, key: b}], attributes: {http2: false}";
    static const char plain[] = "protocol: http", h2c[] = "protocol: http, attributes: {h2c: true}";
    check_version(plain, "http1", false);
    check_version(old, "http1", false);
    for (int i = 0; i < 2; i++) {
        const char *version = i ? "grpc" : "http2";
        check_version(plain, version, true);
        check_version(h2c, version, false);
        check_version(tls, version, false);
        check_version(old, version, true);
    }
}

static void test_a_good_file_gets_no_warning(void **state)
{
    (void)state;
    static const char rules[] =
        "{priority: 1, conditions: [{path_pattern: /a}], action: {forward: a}}, "
        "{priority: 2, conditions: [{path_pattern: /*}], action: {forward: a}}";
    static const char groups[] =
        "target_groups: [{name: a, targets: [{address: \"127.0.0.1:9000\", zone: x}]}]\n";
    char *text = web("node: {zone: x}\n", rules, groups);
    struct loaded l = load_good(text);
    assert_int_equal(l.report.warnings, 0);
    unload(&l);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pattern_covers_what_it_matches_for_certain),
        cmocka_unit_test(test_a_rule_behind_a_wider_one_is_never_reached),
        cmocka_unit_test(test_values_that_match_nothing_are_told),
        cmocka_unit_test(test_groups_that_nobody_uses_are_told),
        cmocka_unit_test(test_a_check_that_may_outlast_its_interval_is_told),
        cmocka_unit_test(test_a_group_without_a_target_in_some_zone_is_told),
        cmocka_unit_test(test_targets_without_zone_are_told_when_the_node_has_one),
        cmocka_unit_test(test_weights_that_leave_nothing_are_told),
        cmocka_unit_test(test_a_target_that_is_tenbin_itself_is_told),
        cmocka_unit_test(test_checks_of_any_version_are_no_reason_to_warn),
        cmocka_unit_test(test_a_group_that_no_client_can_reach_is_told),
        cmocka_unit_test(test_a_good_file_gets_no_warning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
