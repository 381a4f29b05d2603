/* `@` marks the place of the error. */
#include "config/verify.h"

#include "loaded.h"

#define GROUP_APP "target_groups: [{name: app, targets: []}]\n"
#define TO_A      "protocol: http, default_action: {forward: app}}\n"

static void test_names_are_unique(void **state)
{
    (void)state;
    assert_one_error("listeners:\n"
                     "  - {name: w, listen: \"127.0.0.1:1\", " TO_A
                     "  - {name: x, listen: \"127.0.0.1:2\", " TO_A
                     "  - @{name: w, listen: \"127.0.0.1:3\", " TO_A GROUP_APP,
                     "a listener named \"w\" is already in line 2");
    assert_one_error("listeners:\n"
                     "  - {name: w, listen: \"127.0.0.1:1\", " TO_A "target_groups:\n"
                     "  - {name: app, targets: []}\n"
                     "  - {name: b, targets: []}\n"
                     "  - @{name: app, targets: []}\n",
                     "a target group named \"app\" is already in line 4");
}

/* A listener with two rules. */
static void assert_rules_error(const char *one, const char *two, const char *words)
{
    char *text = NULL;
    assert_true(asprintf(&text,
                         "listeners:\n"
                         "  - name: w\n"
                         "    listen: \"127.0.0.1:1\"\n"
                         "    protocol: http\n"
                         "    rules:\n"
                         "      - %s\n"
                         "      - %s\n"
                         "    default_action: {forward: app}\n" GROUP_APP,
                         one, two) > 0);
    assert_one_error(text, words);
    free(text);
}

static void test_rules_have_unique_priorities_and_names(void **state)
{
    (void)state;
    assert_rules_error("{priority: 7, conditions: [{path_pattern: /a}], action: {forward: app}}",
                       "@{priority: 7, conditions: [{path_pattern: /b}], action: {forward: app}}",
                       "priority 7 is already taken by \"rule-7\" in line 6");
    assert_rules_error(
        "{name: r, priority: 1, conditions: [{path_pattern: /a}], action: {forward: app}}",
        "@{name: r, priority: 2, conditions: [{path_pattern: /b}], action: {forward: app}}",
        "a rule named \"r\" is already in line 6");
    assert_rules_error(
        "{name: rule-2, priority: 1, conditions: [{path_pattern: /a}], action: {forward: app}}",
        "@{priority: 2, conditions: [{path_pattern: /b}], action: {forward: app}}",
        "a rule named \"rule-2\" is already");
    assert_rules_error(
        "{priority: 1, conditions: [{path_pattern: /a}], action: {forward: app}}",
        "@{name: default, priority: 2, conditions: [{path_pattern: /b}], action: {forward: app}}",
        "name of the default action");
}

static void test_a_rule_has_one_condition_of_a_type(void **state)
{
    (void)state;
    assert_rules_error("{priority: 1, conditions: [{path_pattern: /a}, @{path_pattern: /b}], "
                       "action: {forward: app}}",
                       "{priority: 2, conditions: [{path_pattern: /b}], action: {forward: app}}",
                       "at most one path_pattern");
    assert_rules_error("{priority: 1, conditions: [{host_header: a}, {path_pattern: /b}, "
                       "@{host_header: b}], action: {forward: app}}",
                       "{priority: 2, conditions: [{path_pattern: /b}], action: {forward: app}}",
                       "at most one host_header");
}

static void test_the_same_rule_names_in_two_listeners_are_fine(void **state)
{
    (void)state;
    static const char rule[] =
        "{name: r, priority: 1, conditions: [{path_pattern: /a}], action: {forward: app}}";
    char *text = NULL;
    assert_true(asprintf(&text,
                         "listeners:\n"
                         "  - {name: w, listen: \"127.0.0.1:1\", rules: [%s], " TO_A
                         "  - {name: v, listen: \"127.0.0.1:2\", rules: [%s], " TO_A GROUP_APP,
                         rule, rule) > 0);
    struct loaded l = load_good(text);
    assert_int_equal(l.report.warnings, 0);
    unload(&l);
    free(text);
}

static void test_references_name_a_group(void **state)
{
    (void)state;
    assert_one_error("listeners:\n"
                     "  - {name: w, listen: \"127.0.0.1:1\", protocol: http,\n"
                     "     default_action: {forward: @apq}}\n"
                     "  - {name: v, listen: \"127.0.0.1:2\", " TO_A GROUP_APP,
                     "no target group named \"apq\"; did you mean \"app\"?");
    assert_one_error("listeners:\n"
                     "  - {name: w, listen: \"127.0.0.1:1\", protocol: http,\n"
                     "     default_action: {forward: @app}}\n",
                     "no target group named \"app\"");
    assert_one_error("listeners:\n"
                     "  - {name: w, listen: \"127.0.0.1:1\", protocol: http, default_action:\n"
                     "     {forward: {target_groups: [{name: app}, {name: @other}]}}}\n" GROUP_APP,
                     "no target group named \"other\"");
}

static void test_a_forward_names_each_group_once_and_some_weight(void **state)
{
    (void)state;
    assert_one_error("listeners:\n"
                     "  - {name: w, listen: \"127.0.0.1:1\", protocol: http, default_action:\n"
                     "     {forward: {target_groups: [{name: app}, {name: @app}]}}}\n" GROUP_APP,
                     "\"app\" is listed twice");
    assert_one_error("listeners:\n"
                     "  - {name: w, listen: \"127.0.0.1:1\", protocol: http, default_action:\n"
                     "     @{forward: {target_groups: [{name: app, weight: 0}]}}}\n" GROUP_APP,
                     "all weights of this action are 0");
}

#define STICKY_PAIR(type, stickiness)                                                              \
    "listeners:\n"                                                                                 \
    "  - {name: w, listen: \"127.0.0.1:1\", protocol: http, default_action:\n"                     \
    "     {forward: {target_groups: [{name: app}, {name: @own}]" stickiness "}}}\n"                 \
    "target_groups: [{name: app, targets: []},\n"                                                  \
    "  {name: own, targets: [], attributes: {stickiness: {type: " type "}}}]\n"

static void test_sticky_groups_among_others_need_a_sticky_action(void **state)
{
    (void)state;
    assert_one_error(STICKY_PAIR("lb_cookie", ""), "\"own\" is sticky, so this action");
    assert_one_error(STICKY_PAIR("app_cookie, cookie_name: a", ", stickiness: 1h"),
                     "an action of several groups cannot have");
    struct loaded l = load_good(
        "listeners:\n"
        "  - {name: w, listen: \"127.0.0.1:1\", protocol: http, default_action: {forward: own},\n"
        "     rules: [{priority: 1, conditions: [{path_pattern: /a}], action: {forward:\n"
        "       {target_groups: [{name: app}, {name: own}], stickiness: 1s}}}]}\n"
        "target_groups: [{name: app, targets: []},\n"
        "  {name: own, targets: [], attributes: {stickiness: {type: lb_cookie}}}]\n");
    assert_int_equal(l.config->listeners[0].default_action.forward.stickiness_ms, 0);
    assert_int_equal(l.config->listeners[0].rules[0].action.forward.stickiness_ms, 1000);
    unload(&l);
}

static void test_protocols_of_listener_and_group_agree(void **state)
{
    (void)state;
    assert_one_error("listeners:\n"
                     "  - {name: w, listen: \"127.0.0.1:1\", protocol: tcp,\n"
                     "     default_action: {forward: @app}}\n" GROUP_APP,
                     "the tcp listener \"w\" cannot forward to the http group \"app\"");
    assert_one_error("listeners:\n"
                     "  - {name: w, listen: \"127.0.0.1:1\", protocol: http,\n"
                     "     default_action: {forward: @db}}\n"
                     "target_groups: [{name: db, protocol: tcp, targets: []}]\n",
                     "the http listener \"w\" cannot forward to the tcp group \"db\"");
}

static void test_a_listener_that_is_wrong_is_not_blamed_twice(void **state)
{
    (void)state;
    assert_one_error("listeners:\n"
                     "  - {name: w, listen: \"127.0.0.1:1\", protocol: @udp,\n"
                     "     default_action: {forward: db}}\n"
                     "target_groups: [{name: db, protocol: tcp, targets: []}]\n",
                     "\"udp\" is not built");
    assert_one_error("listeners:\n"
                     "  - {name: w, listen: \"127.0.0.1:1\", protocol: tcp,\n"
                     "     default_action: {forward: db}}\n"
                     "target_groups: [{name: db, protocol: @tpc, targets: []}]\n",
                     "did you mean \"tcp\"?");
}

static void test_a_tcp_listener_only_forwards(void **state)
{
    (void)state;
    static const char group[] = "target_groups: [{name: db, protocol: tcp, targets: []}]\n";
    static const struct {
        const char *rest, *words;
    } rows[] = {
        {"default_action: @{fixed_response: {status_code: 200}}", "can only forward"},
        {"default_action: @{redirect: {host: x, status_code: 301}}", "can only forward"},
        {"default_action: {forward: db}, rules: [{priority: 1, conditions: "
         "[@{path_pattern: /a}], action: {forward: db}}]",
         "path_pattern means nothing on a tcp listener"},
        {"default_action: {forward: db}, rules: [{priority: 1, conditions: "
         "[@{host_header: a}], action: {forward: db}}]",
         "host_header means nothing on a tcp listener"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *text = NULL;
        assert_true(asprintf(&text,
                             "%s"
                             "listeners:\n"
                             "  - {name: v, listen: \"127.0.0.1:2\", protocol: tcp,\n"
                             "     default_action: {forward: db}}\n"
                             "  - {name: w, listen: \"127.0.0.1:1\", protocol: tcp, %s}\n",
                             group, rows[i].rest) > 0);
        assert_one_error(text, rows[i].words);
        free(text);
    }
}

static void check_redirect(const char *redirect, bool good)
{
    char *text = NULL;
    assert_true(asprintf(&text,
                         "listeners: [{name: w, listen: [\"127.0.0.1:80\", \"127.0.0.1:8080\"], "
                         "protocol: http, default_action: %s{redirect: {%s, status_code: 301}}}]\n",
                         good ? "" : "@", redirect) > 0);
    if (good) {
        struct loaded l = load_good(text);
        unload(&l);
    } else {
        assert_one_error(text, "leads to where it came from");
    }
    free(text);
}

static void test_a_redirect_changes_something_but_the_query(void **state)
{
    (void)state;
    check_redirect("query: a=b", false);
    check_redirect("protocol: http, port: \"#{port}\"", false);
    check_redirect("protocol: \"#{protocol}\"", false);
    check_redirect("host: \"#{host}\", path: \"/#{path}\", port: \"#{port}\"", false);
    check_redirect("port: 80", false);
    check_redirect("port: 8080", false);
    check_redirect("port: 81", true);
    check_redirect("protocol: https", true);
    check_redirect("host: \"www.#{host}\"", true);
    check_redirect("path: /", true);
}

static void test_addresses_to_listen_on_do_not_overlap(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        bool overlap;
    } rows[] = {
        {"127.0.0.1:80", "127.0.0.1:80", true},  {"0.0.0.0:80", "127.0.0.1:80", true},
        {"127.0.0.1:80", "0.0.0.0:80", true},    {"[::]:80", "[::1]:80", true},
        {"0.0.0.0:80", "[::]:80", false},        {"0.0.0.0:80", "127.0.0.1:81", false},
        {"127.0.0.1:80", "127.0.0.2:80", false}, {"[::1]:80", "[0:0::1]:80", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *text = NULL;
        assert_true(asprintf(&text,
                             "listeners:\n"
                             "  - {name: w, listen: \"%s\", " TO_A
                             "  - {name: v, listen: [\"10.0.0.1:9\", %s\"%s\"], " TO_A GROUP_APP,
                             rows[i].first, rows[i].overlap ? "@" : "", rows[i].second) > 0);
        if (rows[i].overlap) {
            assert_one_error(text, "overlaps with that of w in line 2");
        } else {
            struct loaded l = load_good(text);
            unload(&l);
        }
        free(text);
    }
}

static void test_the_admin_address_overlaps_like_any_other(void **state)
{
    (void)state;
    assert_one_error("admin: {listen: @\"127.0.0.1:80\"}\n"
                     "listeners:\n"
                     "  - {name: w, listen: \"0.0.0.0:80\", " TO_A GROUP_APP,
                     "overlaps with that of w in line 3");
}

static void test_a_target_is_in_a_group_once(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        bool same;
    } rows[] = {
        {"\"10.0.0.1:80\"", "\"10.0.0.1:80\"", true},
        {"\"10.0.0.1:80\"", "{address: \"10.0.0.1:80\", zone: b, weight: 3}", true},
        {"\"[::1]:80\"", "\"[0:0::1]:80\"", true},
        {"\"a.test:80\"", "\"A.test:80\"", true},
        {"\"unix:/x\"", "\"unix:/x\"", true},
        {"\"10.0.0.1:80\"", "\"10.0.0.1:81\"", false},
        {"\"a.test:80\"", "\"a.test:81\"", false},
        {"\"a.test:80\"", "\"b.test:80\"", false},
        {"\"unix:/x\"", "\"unix:/y\"", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *text = NULL;
        assert_true(asprintf(&text,
                             "listeners:\n"
                             "  - {name: w, listen: \"127.0.0.1:1\", " TO_A "target_groups:\n"
                             "  - name: app\n"
                             "    targets:\n"
                             "      - %s\n"
                             "      - \"10.9.9.9:9\"\n"
                             "      - %s%s\n"
                             "  - {name: other, targets: [%s]}\n",
                             rows[i].first, rows[i].same ? "@" : "", rows[i].second,
                             rows[i].first) > 0);
        if (rows[i].same) {
            assert_one_error(text, "is already in line 6 of this group");
        } else {
            struct loaded l = load_good(text);
            unload(&l);
        }
        free(text);
    }
}

static void test_all_errors_of_a_file_are_told_at_once(void **state)
{
    (void)state;
    struct loaded l = load("workers: 0\n"
                           "timeouts: {connect: x, nonsense: 1}\n"
                           "listeners:\n"
                           "  - {name: w, listen: \"1.1.1.1\", protocol: ftp, default_action: "
                           "{forward: nobody}}\n"
                           "target_groups:\n"
                           "  - {name: a, colour: red, targets: [\"x\"]}\n");
    static const char *const places[] = {"1:10", "2:21", "2:24", "4:23",
                                         "4:44", "4:75", "6:15", "6:38"};
    const struct report_entry *e = l.report.first;
    for (size_t i = 0; i < ARRAY_LEN(places); i++, e = e->next) {
        char place[32];
        assert_non_null(e);
        snprintf(place, sizeof(place), "%u:%u", e->pos.line, e->pos.column);
        assert_string_equal(place, places[i]);
    }
    assert_null(e);
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_unique),
        cmocka_unit_test(test_rules_have_unique_priorities_and_names),
        cmocka_unit_test(test_a_rule_has_one_condition_of_a_type),
        cmocka_unit_test(test_the_same_rule_names_in_two_listeners_are_fine),
        cmocka_unit_test(test_references_name_a_group),
        cmocka_unit_test(test_a_forward_names_each_group_once_and_some_weight),
        cmocka_unit_test(test_sticky_groups_among_others_need_a_sticky_action),
        cmocka_unit_test(test_protocols_of_listener_and_group_agree),
        cmocka_unit_test(test_a_listener_that_is_wrong_is_not_blamed_twice),
        cmocka_unit_test(test_a_tcp_listener_only_forwards),
        cmocka_unit_test(test_a_redirect_changes_something_but_the_query),
        cmocka_unit_test(test_addresses_to_listen_on_do_not_overlap),
        cmocka_unit_test(test_the_admin_address_overlaps_like_any_other),
        cmocka_unit_test(test_a_target_is_in_a_group_once),
        cmocka_unit_test(test_all_errors_of_a_file_are_told_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
