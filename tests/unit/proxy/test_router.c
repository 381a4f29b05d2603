#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "proxy/linear_rules.h"
#include "proxy/router.h"

/* ---- rules by hand ---- */

#define VALUES_MAX 4

/* A rule in the short: up to four host and path values, NULL ends a list. */
struct given {
    uint32_t priority;
    const char *hosts[VALUES_MAX];
    const char *paths[VALUES_MAX];
};

static void add_condition(struct arena *a, struct config_rule *r, enum config_condition_type type,
                          const char *const *values)
{
    if (!values[0])
        return;
    struct config_condition *c = &r->conditions[r->conditions_n++];
    c->type = type;
    c->values = ARENA_ARRAY(a, struct slice, VALUES_MAX);
    while (c->values_n < VALUES_MAX && values[c->values_n]) {
        c->values[c->values_n] = slice_str(values[c->values_n]);
        c->values_n++;
    }
}

static int by_priority(const void *x, const void *y)
{
    const struct config_rule *a = x, *b = y;
    return (a->priority > b->priority) - (a->priority < b->priority);
}

static struct config_listener *listener_of(struct arena *a, const struct given *rows, size_t n)
{
    struct config_listener *l = ARENA_NEW(a, struct config_listener);
    l->default_action.type = CONFIG_ACTION_FIXED_RESPONSE;
    l->rules = ARENA_ARRAY(a, struct config_rule, n);
    l->rules_n = n;
    for (size_t i = 0; i < n; i++) {
        struct config_rule *r = &l->rules[i];
        char name[32];
        r->name = arena_slice(
            a, slice_of(name, (size_t)snprintf(name, sizeof(name), "rule-%u", rows[i].priority)));
        r->priority = rows[i].priority;
        r->action.type = CONFIG_ACTION_FIXED_RESPONSE;
        r->conditions = ARENA_ARRAY(a, struct config_condition, 2);
        add_condition(a, r, CONFIG_CONDITION_HOST_HEADER, rows[i].hosts);
        add_condition(a, r, CONFIG_CONDITION_PATH_PATTERN, rows[i].paths);
    }
    qsort(l->rules, n, sizeof(*l->rules), by_priority);
    return l;
}

static uint32_t match(const struct router *r, const char *host, const char *path)
{
    return router_match(r, slice_str(host), slice_str(path))->priority;
}

struct request {
    const char *host, *path;
    uint32_t priority; /* of the rule that must match; 0: the default */
};

static void check(const struct given *rows, size_t n, const struct request *requests, size_t m)
{
    struct arena a;
    arena_init(&a);
    struct router *r = router_build(&a, listener_of(&a, rows, n), NULL);
    for (size_t i = 0; i < m; i++) {
        uint32_t got = match(r, requests[i].host, requests[i].path);
        if (got != requests[i].priority)
            fail_msg("%s %s: rule %u, expected %u", requests[i].host, requests[i].path, got,
                     requests[i].priority);
    }
    arena_fini(&a);
}

#define CHECK_ROUTES(rows, requests) check((rows), ARRAY_LEN(rows), (requests), ARRAY_LEN(requests))

static void test_without_rules_everything_gets_the_default(void **state)
{
    (void)state;
    static const struct request requests[] = {{"", "/", 0}, {"a.com", "/x", 0}, {"a", "*", 0}};
    check(NULL, 0, requests, ARRAY_LEN(requests));
    struct arena a;
    arena_init(&a);
    struct router *r = router_build(&a, listener_of(&a, NULL, 0), NULL);
    const struct rule *rule = router_match(r, SLICE("a"), SLICE("/"));
    assert_true(slice_eq(rule->name, SLICE("default")));
    assert_int_equal(rule->action->type, ACTION_FIXED_RESPONSE);
    arena_fini(&a);
}

static void test_hosts_match_in_any_case_and_by_wildcards(void **state)
{
    (void)state;
    static const struct given rows[] = {
        {1, {"WWW.Example.com", "example.net"}, {0}},
        {2, {"*.example.com"}, {0}},
        {3, {"a?.example.org"}, {0}},
        {4, {"api-*.Example.net"}, {0}},
        {5, {"shop.*"}, {0}},
        {6, {"[2001:db8::1]"}, {0}},
    };
    static const struct request requests[] = {
        {"www.example.com", "/", 1},
        {"example.net", "/", 1},
        {"x.example.com", "/", 2},
        {"x.y.example.com", "/", 2},
        {".example.com", "/", 2},
        {"example.com", "/", 0},
        {"xexample.com", "/", 0},
        {"ab.example.org", "/", 3},
        {"a..example.org", "/", 3},
        {"abc.example.org", "/", 0},
        {"a.example.org", "/", 0},
        {"api-.example.net", "/", 4},
        {"api-x.y.example.net", "/", 4},
        {"api.example.net", "/", 0},
        {"shop.", "/", 5},
        {"shop.a.b", "/", 5},
        {"shop", "/", 0},
        {"", "/", 0},
        {"[2001:db8::1]", "/", 6},
        {"www.example.com.", "/", 0},
    };
    CHECK_ROUTES(rows, requests);
}

static void test_paths_match_case_sensitively_and_wildcards_cross_slashes(void **state)
{
    (void)state;
    static const struct given rows[] = {
        {1, {0}, {"/exact", "/Exact"}}, {2, {0}, {"/api/*"}},  {3, {0}, {"/img/*.png"}},
        {4, {0}, {"/v?/users"}},        {5, {0}, {"*/admin"}}, {6, {0}, {"/files/**"}},
        {7, {0}, {"/a*b*c"}},
    };
    static const struct request requests[] = {
        {"h", "/exact", 1},     {"h", "/Exact", 1},     {"h", "/EXACT", 0},
        {"h", "/exact/", 0},    {"h", "/api/", 2},      {"h", "/api/x/y", 2},
        {"h", "/api", 0},       {"h", "/API/x", 0},     {"h", "/img/a/b.png", 3},
        {"h", "/img/a.gif", 0}, {"h", "/v1/users", 4},  {"h", "/v//users", 4},
        {"h", "/v12/users", 0}, {"h", "/x/y/admin", 5}, {"h", "/admin", 5},
        {"h", "admin", 0},      {"h", "/files/", 6},    {"h", "/files/x", 6},
        {"h", "/a/b/c", 7},     {"h", "/ac", 0},        {"h", "*", 0},
        {"h", "", 0},
    };
    CHECK_ROUTES(rows, requests);
}

static void test_the_lowest_priority_number_wins_whatever_the_form_of_the_pattern(void **state)
{
    (void)state;
    static const struct given longest_last[] = {
        {10, {0}, {"/*"}}, {20, {0}, {"/a/*"}}, {30, {0}, {"/a/b"}}, {40, {0}, {"/a/?"}}};
    static const struct request all_to_10[] = {
        {"h", "/", 10}, {"h", "/a/", 10}, {"h", "/a/b", 10}, {"h", "/a/c", 10}, {"h", "x", 0}};
    CHECK_ROUTES(longest_last, all_to_10);
    static const struct given longest_first[] = {
        {40, {0}, {"*"}}, {30, {0}, {"/a/*"}}, {20, {0}, {"/a/?"}}, {10, {0}, {"/a/b"}}};
    static const struct request nested[] = {
        {"h", "/a/b", 10}, {"h", "/a/c", 20}, {"h", "/a/cc", 30}, {"h", "/", 40}, {"h", "x", 40}};
    CHECK_ROUTES(longest_first, nested);
}

static void test_values_are_ored_and_conditions_anded(void **state)
{
    (void)state;
    static const struct given rows[] = {
        {1, {"a.com", "*.b.com"}, {"/x", "/y/*"}},
        {2, {"a.com"}, {0}},
        {3, {0}, {"/x"}},
    };
    static const struct request requests[] = {
        {"a.com", "/x", 1},    {"a.com", "/y/1", 1}, {"q.b.com", "/x", 1},
        {"q.b.com", "/y/", 1}, {"a.com", "/z", 2},   {"b.com", "/x", 3},
        {"q.b.com", "/z", 0},  {"c.com", "/x", 3},   {"c.com", "/y/1", 0},
    };
    CHECK_ROUTES(rows, requests);
}

static void test_rules_of_all_hosts_that_match_compete_by_priority(void **state)
{
    (void)state;
    static const struct given rows[] = {
        {10, {"www.a.com"}, {"/x/*"}}, {5, {"*.a.com"}, {"/x/y"}}, {7, {"*.com"}, {"/x/*"}},
        {1, {0}, {"/x/y/z"}},          {20, {"*"}, {0}},
    };
    static const struct request requests[] = {
        {"www.a.com", "/x/y/z", 1}, {"www.a.com", "/x/y", 5},
        {"www.a.com", "/x/q", 7},   {"b.com", "/x/q", 7},
        {"www.a.com", "/q", 20},    {"a.org", "/x/y/z", 1},
        {"a.org", "/x/y", 20},      {"", "/", 20},
    };
    CHECK_ROUTES(rows, requests);
}

static void test_the_first_of_two_rules_with_the_same_pattern_wins(void **state)
{
    (void)state;
    static const struct given rows[] = {
        {9, {"a.com"}, {"/x"}},
        {3, {"A.com"}, {"/x"}},
        {5, {"a.com"}, {"/x/*"}},
        {4, {"a.com"}, {"/x/**"}},
    };
    static const struct request requests[] = {{"a.com", "/x", 3}, {"a.com", "/x/", 4}};
    CHECK_ROUTES(rows, requests);
}

/* ---- actions ---- */

static void test_a_forward_shares_by_weight(void **state)
{
    (void)state;
    struct group groups[3] = {0};
    struct config_forward_group to[] = {
        {.group = 0, .weight = 90}, {.group = 2, .weight = 0}, {.group = 1, .weight = 10}};
    struct config_action c = {.type = CONFIG_ACTION_FORWARD,
                              .forward = {.groups = to, .groups_n = 3}};
    struct arena a;
    arena_init(&a);
    struct action *action = router_action(&a, &c, groups);
    assert_int_equal(action->type, ACTION_FORWARD);
    assert_ptr_equal(action->config, &c);
    unsigned counts[3] = {0};
    for (uint64_t i = 0; i < 1000; i++) {
        struct group *g = router_pick_group(action, (uint32_t)(i * (UINT32_MAX / 1000)));
        counts[g - groups]++;
    }
    assert_in_range(counts[0], 899, 901);
    assert_in_range(counts[1], 99, 101);
    assert_int_equal(counts[2], 0);
    assert_ptr_equal(router_pick_group(action, 0), &groups[0]);
    assert_ptr_equal(router_pick_group(action, UINT32_MAX), &groups[1]);
    arena_fini(&a);
}

static void test_a_forward_without_any_weight_goes_nowhere(void **state)
{
    (void)state;
    struct group group = {0};
    struct config_forward_group to[] = {{.group = 0, .weight = 0}};
    struct config_action c = {.type = CONFIG_ACTION_FORWARD,
                              .forward = {.groups = to, .groups_n = 1}};
    struct arena a;
    arena_init(&a);
    assert_null(router_pick_group(router_action(&a, &c, &group), UINT32_MAX));
    arena_fini(&a);
}

static void test_a_rule_keeps_its_name_and_its_action(void **state)
{
    (void)state;
    static const struct given rows[] = {{7, {0}, {"/r"}}, {8, {0}, {"/f"}}};
    struct arena a;
    arena_init(&a);
    struct config_listener *l = listener_of(&a, rows, 2);
    l->rules[0].action.type = CONFIG_ACTION_REDIRECT;
    struct router *r = router_build(&a, l, NULL);
    const struct rule *rule = router_match(r, SLICE("h"), SLICE("/r"));
    assert_true(slice_eq(rule->name, SLICE("rule-7")));
    assert_int_equal(rule->action->type, ACTION_REDIRECT);
    assert_ptr_equal(rule->action->config, &l->rules[0].action);
    rule = router_match(r, SLICE("h"), SLICE("/f"));
    assert_int_equal(rule->action->type, ACTION_FIXED_RESPONSE);
    arena_fini(&a);
}

/* ---- against the definition ---- */

static const char *random_piece(struct rng *rng, const char *const *pieces, size_t n)
{
    return pieces[rng_below(rng, (uint32_t)n)];
}

/* A few pieces in a row: small alphabets, so that patterns and texts often meet. */
static char *random_text(struct arena *a, struct rng *rng, const char *const *pieces, size_t n,
                         unsigned most)
{
    char text[64] = "";
    size_t at = 0;
    for (unsigned i = 1 + rng_below(rng, most); i; i--)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s", random_piece(rng, pieces, n));
    return arena_strdup(a, slice_str(text));
}

static const char *const host_pieces[] = {"a", "b", "www", ".com", ".a", ".", "*", "?", "*.", "A"};
static const char *const path_pieces[] = {"/", "/a", "/b", "ab", "a", "/api", "*", "?", "/*", "*b"};
#define TEXTS 6 /* so many of the pieces hold no wildcard */

static struct config_listener *random_rules(struct arena *a, struct rng *rng, size_t n)
{
    struct given *rows = ARENA_ARRAY(a, struct given, n);
    for (size_t i = 0; i < n; i++) {
        rows[i].priority = (uint32_t)(1 + i * 3);
        unsigned hosts = rng_below(rng, 3), paths = rng_below(rng, 3) + (hosts == 0);
        for (unsigned j = 0; j < hosts; j++)
            rows[i].hosts[j] = random_text(a, rng, host_pieces, ARRAY_LEN(host_pieces), 3);
        for (unsigned j = 0; j < paths; j++)
            rows[i].paths[j] = random_text(a, rng, path_pieces, ARRAY_LEN(path_pieces), 4);
    }
    for (size_t i = n; i > 1; i--) { /* the order in the file is not the priority */
        size_t j = rng_below(rng, (uint32_t)i);
        struct given was = rows[i - 1];
        rows[i - 1] = rows[j];
        rows[j] = was;
    }
    return listener_of(a, rows, n);
}

static unsigned compare_with_reference(struct arena *a, struct rng *rng, size_t rules)
{
    const struct config_listener *l = random_rules(a, rng, rules);
    struct router *r = router_build(a, l, NULL);
    unsigned matched = 0;
    for (int i = 0; i < 60; i++) {
        struct slice host = slice_str(random_text(a, rng, host_pieces, TEXTS, 4));
        struct slice path = slice_str(random_text(a, rng, path_pieces, TEXTS, 5));
        uint32_t want = linear_rules_match(l, host, path),
                 got = router_match(r, host, path)->priority;
        if (got != want)
            fail_msg("host '%s' path '%s': rule %u, expected %u", host.p, path.p, got, want);
        matched += want != 0;
    }
    return matched;
}

static void test_random_rules_match_as_if_tried_one_by_one(void **state)
{
    (void)state;
    uint64_t seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 0) : 20261123;
    struct rng rng = {seed};
    unsigned matched = 0;
    print_message("# seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < 1500; i++) {
        struct arena a;
        arena_init(&a);
        matched += compare_with_reference(&a, &rng, 1 + rng_below(&rng, i % 10 ? 12 : 200));
        arena_fini(&a);
    }
    assert_in_range(matched, 1500 * 60 / 10, 1500 * 60 * 99 / 100); /* both outcomes are common */
}

/* ---- size and hostility ---- */

static void test_ten_thousand_rules_are_all_found(void **state)
{
    (void)state;
    enum { N = 10000 };
    struct arena a;
    arena_init(&a);
    struct given *rows = ARENA_ARRAY(&a, struct given, N);
    for (unsigned i = 0; i < N; i++) {
        char host[64], path[64];
        snprintf(host, sizeof(host), i % 4 == 1 ? "*.zone-%u.example" : "host-%u.example.com", i);
        snprintf(path, sizeof(path), i % 4 == 2 ? "/path-%u/*" : "/exact/%u", i);
        rows[i].priority = i + 1;
        if (i % 4 < 2)
            rows[i].hosts[0] = arena_strdup(&a, slice_str(host));
        else
            rows[i].paths[0] = arena_strdup(&a, slice_str(path));
    }
    struct router *r = router_build(&a, listener_of(&a, rows, N), NULL);
    for (unsigned i = 0; i < N; i++) {
        char host[64] = "other", path[64] = "/";
        snprintf(i % 4 < 2 ? host : path, 64,
                 (const char *const[]){"host-%u.example.com", "x.y.zone-%u.example", "/path-%u/x/y",
                                       "/exact/%u"}[i % 4],
                 i);
        assert_int_equal(match(r, host, path), i + 1);
    }
    assert_int_equal(match(r, "host-10000.example.com", "/path-10002"), 0);
    arena_fini(&a);
}

/* Each prefix of the next: a tree as deep as it has rules. */
static void test_prefixes_nest_two_thousand_deep(void **state)
{
    (void)state;
    enum { N = 2000 };
    static char path[N + 2];
    struct arena a;
    arena_init(&a);
    struct given *rows = ARENA_ARRAY(&a, struct given, N);
    memset(path, '/', N);
    for (unsigned i = 0; i < N; i++) {
        char *pattern = arena_strdup(&a, slice_of(path, i + 2));
        pattern[i + 1] = '*';
        rows[i] = (struct given){.priority = N - i, .paths = {pattern}};
    }
    struct router *r = router_build(&a, listener_of(&a, rows, N), NULL);
    for (unsigned i = 1; i <= N; i += 97)
        assert_int_equal(router_match(r, SLICE("h"), slice_of(path, i))->priority, N + 1 - i);
    arena_fini(&a);
}

static void test_long_hosts_and_paths_cost_no_more_than_short_ones(void **state)
{
    (void)state;
    enum { N = 16384, ROUNDS = 20000 };
    static const struct given rows[] = {
        {1, {"www.a.com"}, {0}}, {2, {"*.a.com"}, {"/x/*"}}, {3, {0}, {"/b/*", "/c"}}};
    static char path[N], host[255];
    struct arena a;
    arena_init(&a);
    struct router *r = router_build(&a, listener_of(&a, rows, 3), NULL);
    memset(path, '/', N);
    memset(host, '.', sizeof(host));
    clock_t begin = clock();
    for (int i = 0; i < ROUNDS; i++)
        assert_int_equal(router_match(r, slice_of(host, sizeof(host)), slice_of(path, N))->priority,
                         0);
    /* One look at each byte would be 330 million, more than a second in this build. */
    assert_true(clock() - begin < CLOCKS_PER_SEC / 4);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_rules_everything_gets_the_default),
        cmocka_unit_test(test_hosts_match_in_any_case_and_by_wildcards),
        cmocka_unit_test(test_paths_match_case_sensitively_and_wildcards_cross_slashes),
        cmocka_unit_test(test_the_lowest_priority_number_wins_whatever_the_form_of_the_pattern),
        cmocka_unit_test(test_values_are_ored_and_conditions_anded),
        cmocka_unit_test(test_rules_of_all_hosts_that_match_compete_by_priority),
        cmocka_unit_test(test_the_first_of_two_rules_with_the_same_pattern_wins),
        cmocka_unit_test(test_a_forward_shares_by_weight),
        cmocka_unit_test(test_a_forward_without_any_weight_goes_nowhere),
        cmocka_unit_test(test_a_rule_keeps_its_name_and_its_action),
        cmocka_unit_test(test_random_rules_match_as_if_tried_one_by_one),
        cmocka_unit_test(test_ten_thousand_rules_are_all_found),
        cmocka_unit_test(test_prefixes_nest_two_thousand_deep),
        cmocka_unit_test(test_long_hosts_and_paths_cost_no_more_than_short_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
