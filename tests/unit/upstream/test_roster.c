#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/check.h"
#include "upstream/roster.h"

/* ---- targets and lists ---- */

static struct addr numbered(unsigned i)
{
    struct addr a;
    assert_int_equal(addr_parse(&a, SLICE("10.0.0.1:80")), OK);
    a.in4.sin_addr.s_addr = htonl(0x0a000000 + i);
    return a;
}

static struct config_target target_at(struct addr *addr, const char *zone, uint16_t weight)
{
    return (struct config_target){
        .zone = slice_str(zone), .weight = weight, .addrs = addr, .addrs_n = 1};
}

/* Targets 10.0.0.first, first+1, ... of the zone. */
static struct roster_list *list_of(const char *group, enum roster_source source,
                                   const char *origin, unsigned first, size_t n, const char *zone)
{
    struct addr addrs[16];
    struct config_target t[16];
    for (unsigned i = 0; i < n; i++) {
        addrs[i] = numbered(first + i);
        t[i] = target_at(&addrs[i], zone, 1);
    }
    return roster_list_of(slice_str(group), source, slice_str(origin), t, n);
}

static struct roster_list *find(const struct roster *r, const char *group,
                                enum roster_source source)
{
    return roster_find(r, slice_str(group), source, SLICE(""));
}

/* ---- what a group is made of, as text ---- */

static void write_one(void *ctx, const struct config_target *t, const struct addr *addr)
{
    char text[ADDR_TEXT_MAX], *to = ctx;
    text[addr_format(addr, text)] = '\0';
    sprintf(to + strlen(to), "%s%s/%s/%u", *to ? " " : "", text, t->zone.n ? t->zone.p : "-",
            t->weight);
}

static const char *members_of(const struct roster *r, const struct config_group *g)
{
    static char text[1024];
    *text = '\0';
    roster_each(r, g, write_one, text);
    return text;
}

/* ---- tests ---- */

static void test_a_list_replaces_the_one_of_the_same_identity(void **state)
{
    (void)state;
    struct roster r;
    roster_init(&r);
    roster_put(&r, list_of("app", ROSTER_DNS, "", 1, 2, "a"));
    roster_put(&r, list_of("app", ROSTER_FILE, "", 5, 1, "a"));
    roster_put(&r, list_of("api", ROSTER_DNS, "", 7, 3, "a"));
    assert_int_equal(r.n, 3);
    roster_put(&r, list_of("app", ROSTER_DNS, "", 1, 1, "a"));
    assert_int_equal(r.n, 3);
    assert_int_equal(find(&r, "app", ROSTER_DNS)->targets_n, 1);
    assert_int_equal(find(&r, "api", ROSTER_DNS)->targets_n, 3);
    assert_null(find(&r, "api", ROSTER_FILE));
    assert_true(roster_drop(&r, SLICE("app"), ROSTER_DNS, SLICE("")));
    assert_false(roster_drop(&r, SLICE("app"), ROSTER_DNS, SLICE("")));
    assert_null(find(&r, "app", ROSTER_DNS));
    assert_non_null(find(&r, "app", ROSTER_FILE));
    roster_fini(&r);
}

static void test_a_copy_is_not_touched_by_later_changes(void **state)
{
    (void)state;
    struct roster r, copy;
    roster_init(&r);
    roster_put(&r, list_of("app", ROSTER_DNS, "", 1, 2, "a"));
    roster_copy(&copy, &r);
    assert_ptr_equal(find(&copy, "app", ROSTER_DNS), find(&r, "app", ROSTER_DNS));
    roster_put(&r, list_of("app", ROSTER_DNS, "", 1, 3, "a"));
    roster_put(&r, list_of("api", ROSTER_DNS, "", 1, 3, "a"));
    assert_int_equal(find(&copy, "app", ROSTER_DNS)->targets_n, 2);
    assert_null(find(&copy, "api", ROSTER_DNS));
    roster_fini(&r);
    assert_string_equal(find(&copy, "app", ROSTER_DNS)->targets[1].zone.p, "a");
    roster_fini(&copy);
}

static void test_lists_are_the_same_when_nothing_of_their_targets_differs(void **state)
{
    (void)state;
    struct addr addr = numbered(1);
    struct config_target t = target_at(&addr, "a", 2);
    struct roster_list *l = roster_list_of(SLICE("app"), ROSTER_DNS, SLICE(""), &t, 1);
    assert_true(roster_list_same(l, l));
    for (int i = 0; i < 6; i++) {
        struct addr other = numbered(2);
        struct config_target u = t;
        u.weight += i == 0;
        u.priority += i == 1;
        u.zone = i == 2 ? SLICE("b") : u.zone;
        u.host = i == 3 ? SLICE("name") : u.host;
        u.addrs = i == 4 ? &other : u.addrs;
        struct roster_list *m = roster_list_of(SLICE("app"), ROSTER_DNS, SLICE(""), &u, i < 5);
        assert_false(roster_list_same(l, m));
        roster_list_unref(m);
    }
    roster_list_unref(l);
}

static void test_single_targets_come_and_go(void **state)
{
    (void)state;
    struct roster r;
    roster_init(&r);
    for (unsigned i = 1; i <= 3; i++) {
        struct addr a = numbered(i);
        struct config_target t = target_at(&a, "a", 1);
        roster_add(&r, SLICE("app"), ROSTER_OPERATOR, &t);
    }
    struct addr two = numbered(2), four = numbered(4);
    struct config_target again = target_at(&two, "b", 9);
    roster_add(&r, SLICE("app"), ROSTER_OPERATOR, &again);
    const struct config_group g = {.name = SLICE("app")};
    assert_string_equal(members_of(&r, &g), "10.0.0.1:80/a/1 10.0.0.2:80/b/9 10.0.0.3:80/a/1");
    assert_true(roster_remove(&r, SLICE("app"), ROSTER_OPERATOR, &two));
    assert_false(roster_remove(&r, SLICE("app"), ROSTER_OPERATOR, &two));
    assert_false(roster_remove(&r, SLICE("app"), ROSTER_OPERATOR, &four));
    assert_false(roster_remove(&r, SLICE("api"), ROSTER_OPERATOR, &two));
    assert_string_equal(members_of(&r, &g), "10.0.0.1:80/a/1 10.0.0.3:80/a/1");
    roster_fini(&r);
}

static void test_an_address_counts_once_and_the_first_has_the_say(void **state)
{
    (void)state;
    struct roster r;
    struct addr one = numbered(1);
    struct config_target own = target_at(&one, "own", 5);
    const struct config_group g = {.name = SLICE("app"), .targets = &own, .targets_n = 1};
    assert_string_equal(members_of(NULL, &g), "10.0.0.1:80/own/5");
    roster_init(&r);
    roster_put(&r, list_of("apq", ROSTER_DNS, "", 8, 2, "other"));
    assert_string_equal(members_of(&r, &g), "10.0.0.1:80/own/5");
    roster_put(&r, list_of("app", ROSTER_DNS, "", 1, 3, "dns"));
    roster_put(&r, list_of("app", ROSTER_FILE, "", 3, 1, "file"));
    roster_put(&r, list_of("app", ROSTER_OPERATOR, "", 2, 3, "operator"));
    assert_string_equal(members_of(&r, &g),
                        "10.0.0.1:80/own/5 10.0.0.3:80/file/1 10.0.0.2:80/dns/1"
                        " 10.0.0.4:80/operator/1");
    roster_fini(&r);
}

static void test_a_name_has_the_addresses_of_its_newest_list(void **state)
{
    (void)state;
    struct roster r;
    struct addr old = numbered(1), newer[] = {numbered(2), numbered(3)};
    struct config_target own = target_at(&old, "own", 5);
    own.host = SLICE("app.internal");
    own.text = SLICE("app.internal:80");
    const struct config_group g = {.name = SLICE("app"), .targets = &own, .targets_n = 1};
    roster_init(&r);
    struct config_target found = {.addrs = newer, .addrs_n = 2};
    roster_put(&r, roster_list_of(SLICE("app"), ROSTER_NAME, SLICE("other:80"), &found, 1));
    assert_string_equal(members_of(&r, &g), "10.0.0.1:80/own/5");
    roster_put(&r, roster_list_of(SLICE("app"), ROSTER_NAME, own.text, &found, 1));
    assert_string_equal(members_of(&r, &g), "10.0.0.2:80/own/5 10.0.0.3:80/own/5");
    roster_fini(&r);
}

static void test_groups_that_left_the_file_take_their_lists_with_them(void **state)
{
    (void)state;
    struct config_group groups[] = {
        {.name = SLICE("a"), .discovery = {.source = CONFIG_DISCOVERY_DNS}},
        {.name = SLICE("c"), .discovery = {.source = CONFIG_DISCOVERY_SRV}}};
    const struct config c = {.groups = groups, .groups_n = 2};
    struct roster r;
    roster_init(&r);
    const char *names[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        roster_put(&r, list_of(names[i], ROSTER_DNS, "", 1, 1, "a"));
        roster_put(&r, list_of(names[i], ROSTER_OPERATOR, "", 1, 1, "a"));
    }
    roster_keep_wanted(&r, &c);
    assert_int_equal(r.n, 3);
    assert_non_null(find(&r, "a", ROSTER_OPERATOR));
    assert_null(find(&r, "b", ROSTER_DNS));
    assert_null(find(&r, "c", ROSTER_DNS)); /* it has another discovery now */
    assert_non_null(find(&r, "c", ROSTER_OPERATOR));
    assert_null(find(&r, "d", ROSTER_OPERATOR));
    roster_keep_wanted(&r, &(struct config){0});
    assert_int_equal(r.n, 0);
    roster_fini(&r);
}

static void test_what_an_operator_removed_is_no_target_whoever_names_it(void **state)
{
    (void)state;
    struct roster r;
    struct addr one = numbered(1), two = numbered(2), three = numbered(3);
    struct config_target own = target_at(&one, "own", 5), gone = target_at(&one, "", 0);
    const struct config_group g = {.name = SLICE("app"), .targets = &own, .targets_n = 1};
    roster_init(&r);
    roster_put(&r, list_of("app", ROSTER_DNS, "", 1, 2, "dns"));
    roster_put(&r, list_of("app", ROSTER_OPERATOR, "", 3, 1, "more"));
    roster_add(&r, SLICE("app"), ROSTER_REMOVED, &gone);
    assert_string_equal(members_of(&r, &g), "10.0.0.2:80/dns/1 10.0.0.3:80/more/1");
    assert_true(roster_names(&r, &g, &one));
    assert_true(roster_names(&r, &g, &two));
    assert_false(roster_names(&r, &g, &three)); /* operators do not count */
    assert_non_null(roster_get(&r, SLICE("app"), ROSTER_REMOVED, &one));
    assert_null(roster_get(&r, SLICE("app"), ROSTER_REMOVED, &two));
    assert_null(roster_get(&r, SLICE("api"), ROSTER_REMOVED, &one));
    assert_true(roster_remove(&r, SLICE("app"), ROSTER_REMOVED, &one));
    assert_string_equal(members_of(&r, &g), "10.0.0.1:80/own/5 10.0.0.2:80/dns/1 10.0.0.3:80/more/1");
    roster_fini(&r);
}

static void test_what_was_removed_is_forgotten_when_nobody_names_it(void **state)
{
    (void)state;
    struct roster r;
    struct addr one = numbered(1);
    struct config_target own = target_at(&one, "own", 5);
    struct config_group g = {.name = SLICE("app"), .targets = &own, .targets_n = 1};
    const struct config c = {.groups = &g, .groups_n = 1};
    roster_init(&r);
    roster_put(&r, list_of("app", ROSTER_REMOVED, "", 1, 3, ""));
    roster_put(&r, list_of("app", ROSTER_FILE, "", 3, 1, "file"));
    assert_true(roster_forget_removed(&r, &c));
    assert_false(roster_forget_removed(&r, &c));
    assert_int_equal(find(&r, "app", ROSTER_REMOVED)->targets_n, 2);
    assert_true(addr_eq(find(&r, "app", ROSTER_REMOVED)->targets[0].addrs, &one));
    g.targets_n = 0;
    assert_true(roster_forget_removed(&r, &c));
    assert_int_equal(find(&r, "app", ROSTER_REMOVED)->targets_n, 1);
    roster_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_list_replaces_the_one_of_the_same_identity),
        cmocka_unit_test(test_a_copy_is_not_touched_by_later_changes),
        cmocka_unit_test(test_lists_are_the_same_when_nothing_of_their_targets_differs),
        cmocka_unit_test(test_single_targets_come_and_go),
        cmocka_unit_test(test_an_address_counts_once_and_the_first_has_the_say),
        cmocka_unit_test(test_a_name_has_the_addresses_of_its_newest_list),
        cmocka_unit_test(test_groups_that_left_the_file_take_their_lists_with_them),
        cmocka_unit_test(test_what_an_operator_removed_is_no_target_whoever_names_it),
        cmocka_unit_test(test_what_was_removed_is_forgotten_when_nobody_names_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
