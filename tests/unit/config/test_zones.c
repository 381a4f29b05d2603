/* What several places together say about zones: errors and warnings, with their lines. */
#include "config/zones.h"

#include "loaded.h"

#define A "{address: \"127.0.0.1:1\", zone: a}"
#define B "{address: \"127.0.0.1:2\", zone: b}"
#define C "{address: \"127.0.0.1:3\", zone: c}"
#define N "{address: \"127.0.0.1:4\"}"

/* The marked place of node, attributes or targets gets the entry. */
struct row {
    const char *node, *attributes, *targets, *want;
};

static const char *text_of(const struct row *row)
{
    static char text[2000];
    snprintf(text, sizeof(text),
             "node: {zone: %s}\n"
             "listeners:\n"
             "  - {name: web, listen: \"127.0.0.1:80\", protocol: http, default_action: {forward: g}}\n"
             "target_groups:\n"
             "  - name: g\n"
             "    attributes: {%s}\n"
             "    targets: [%s]\n",
             row->node, row->attributes, row->targets);
    return text;
}

static void check_rows(enum report_level level, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *text = text_of(&rows[i]);
        if (level == REPORT_ERROR)
            assert_one_error(text, rows[i].want);
        else
            assert_one_warning(text, rows[i].want);
    }
}

static void test_a_policy_that_needs_the_nodes_zone_is_wrong_without_it(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"none", "zone_policy: @local_only", A, "local_only needs to know in which zone"},
        {"none", "zone_policy: @prefer_local", A, "prefer_local needs to know"},
        {"none", "zone_policy: @balanced", A, "balanced needs to know"},
        {"@\"a b\"", "zone_policy: local_only", A, "cannot be a zone"}, /* and not blamed twice */
    };
    check_rows(REPORT_ERROR, rows, ARRAY_LEN(rows));
}

static void test_zones_that_no_target_has_are_told(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"none", "zone_policy: {order: [a, @z, b]}", A ", " B, "order names the zone z"},
        {"none", "zone_policy: {order: [b, a]}", A ", @" C ", " B, "leaves out zone c"},
        {"a", "zone_policy: balanced, lb_nodes: {a: 1, @z: 1}", A, "lb_nodes names the zone z"},
        {"a", "zone_policy: balanced, lb_nodes: @{b: 1}", A ", " B, "leaves out zone a"},
        {"a", "zone_policy: prefer_local, lb_nodes: @{a: 1}", A, "for zone_policy balanced only"},
    };
    check_rows(REPORT_WARNING, rows, ARRAY_LEN(rows));
}

static void test_targets_without_a_zone_are_told_where_it_matters(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"a", "", A ", @" N, "1 of 2 targets of \"g\" name no zone"},
        {"none", "zone_policy: {order: [a]}", A ", @" N, "name no zone"},
        {"a", "zone_policy: local_only", A ", @" N, "name no zone"},
    };
    check_rows(REPORT_WARNING, rows, ARRAY_LEN(rows));
}

static void test_a_minimum_that_changes_nothing_is_told(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"none", "fail_open: false, minimum_healthy: @{routing: {count: 2}}", A, "changes nothing"},
        {"none", "fail_open: false, minimum_healthy: @{routing: {percent: 1}}", A, "changes noth"},
    };
    check_rows(REPORT_WARNING, rows, ARRAY_LEN(rows));
}

static void test_sound_zones_are_silent(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"none", "zone_policy: {order: [b, a]}", A ", " B, ""},
        {"a", "zone_policy: balanced, lb_nodes: {a: 1, b: 1}", A ", " B, ""},
        {"a", "zone_policy: prefer_local, fail_open: false", A ", " B, ""},
        {"none", "minimum_healthy: {routing: {percent: 50}}", N, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct loaded l = load_good(text_of(&rows[i]));
        assert_int_equal(l.report.warnings, 0);
        unload(&l);
    }
}

static const char *autoshift_text(const char *mark, const char *group)
{
    static char text[2000];
    snprintf(text, sizeof(text),
             "autoshift: %s{mode: on}\n"
             "listeners:\n"
             "  - {name: web, listen: \"127.0.0.1:80\", protocol: http, default_action: {forward: g}}\n"
             "target_groups: [{name: other, targets: []}, {name: g, %s}]\n",
             mark, group);
    return text;
}

static void test_autoshift_needs_three_zones_to_compare(void **state)
{
    (void)state;
    static const char *const few[] = {
        "targets: []",
        "targets: [" A ", " B "]",
        "targets: [" A ", " B ", {address: \"127.0.0.1:9\", zone: b}, " N "]",
    };
    static const char *const enough[] = {
        "targets: [" A ", " B ", " C "]",
        "discovery: {dns: {name: pods.internal, port: 1}}", /* they may be anywhere */
    };
    for (size_t i = 0; i < ARRAY_LEN(few); i++)
        assert_one_error(autoshift_text("@", few[i]), "compares 3 zones at least");
    for (size_t i = 0; i < ARRAY_LEN(enough); i++) {
        struct loaded l = load_good(autoshift_text("", enough[i]));
        assert_int_equal(l.config->autoshift.mode, CONFIG_AUTOSHIFT_ON);
        unload(&l);
    }
}

static void test_a_practice_run_needs_two_zones(void **state)
{
    (void)state;
    static const char text[] =
        "autoshift: {mode: practice}\n"
        "listeners:\n"
        "  - {name: web, listen: \"127.0.0.1:80\", protocol: http, default_action: {forward: g}}\n"
        "target_groups: [{name: g, targets: [" A ", " B "]}]\n";
    struct loaded l = load_good(text);
    assert_int_equal(l.config->autoshift.mode, CONFIG_AUTOSHIFT_PRACTICE);
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_policy_that_needs_the_nodes_zone_is_wrong_without_it),
        cmocka_unit_test(test_zones_that_no_target_has_are_told),
        cmocka_unit_test(test_targets_without_a_zone_are_told_where_it_matters),
        cmocka_unit_test(test_a_minimum_that_changes_nothing_is_told),
        cmocka_unit_test(test_sound_zones_are_silent),
        cmocka_unit_test(test_autoshift_needs_three_zones_to_compare),
        cmocka_unit_test(test_a_practice_run_needs_two_zones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
