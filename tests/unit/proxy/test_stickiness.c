/* Stickiness without its data path: what a request's cookies lead to, and what an answer sets, as
 * tables. The exchange is only filled in where stickiness looks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/exchange.h"
#include "support/world.h"

#define NOW_S   1795470480
#define LISTENER(action)                                                                           \
    "listeners:\n"                                                                                 \
    "  - {name: web, listen: \"127.0.0.1:1\", protocol: http, default_action: {forward: " action   \
    "}}\n"                                                                                         \
    "target_groups:\n"
#define TARGETS "targets: [\"127.0.0.1:1\", \"127.0.0.1:2\", \"127.0.0.1:3\"]}\n"
#define BY_LB   LISTENER("app") "  - {name: app, attributes: {stickiness: {type: lb_cookie, duration: 1h}}, " TARGETS
#define BY_AWS                                                                                     \
    LISTENER("app")                                                                                \
    "  - {name: app, attributes: {aws_names: true, stickiness: {type: lb_cookie}}, " TARGETS
#define BY_APP                                                                                     \
    LISTENER("app")                                                                                \
    "  - {name: app, attributes: {stickiness: {type: app_cookie, cookie_name: SID}}, " TARGETS
#define TWO_GROUPS                                                                                 \
    LISTENER("{target_groups: [{name: a, weight: 0}, {name: b}], stickiness: 10s}")                \
    "  - {name: a, " TARGETS "  - {name: b, " TARGETS

static struct world w;

struct asked {
    struct exchange x;
    struct field cookies[8], answer[4];
    struct stickiness_lines lines;
};

static void begin(const char *yaml)
{
    world_init(&w, yaml);
    assert_int_equal(crypto_ring_every(1000, 4, 0, &w.snapshot->cookies), OK);
    clock_set(&w.loop.clock, 1000000, NOW_S * INT64_C(1000000));
}

static void later(int64_t s)
{
    w.loop.clock.wall_us += s * 1000000;
}

static const struct action *action(void)
{
    return router_match(w.snapshot->listeners[0].router, SLICE(""), SLICE("/"))->action;
}

/* A request with these Cookie lines, up to the wish. */
static struct asked *ask(const char *const *cookies, size_t n)
{
    struct asked *a = calloc(1, sizeof(*a));
    struct exchange *x = &a->x;
    x->proxy = &w.proxy;
    x->snapshot = w.snapshot;
    fields_init(&x->req.fields, a->cookies, 8);
    for (size_t i = 0; i < n; i++) {
        a->cookies[i] = (struct field){SLICE("cookie"), slice_str(cookies[i]), FIELD_COOKIE, false};
        x->req.fields.present |= FIELD_BIT(FIELD_COOKIE);
        x->req.fields.count++;
    }
    fields_init(&x->resp.fields, a->answer, 4);
    x->group = stickiness_group(x, action());
    lease_init(&x->lease, &w.proxy.upstream, x->group, &x->task);
    stickiness_wish(x);
    return a;
}

static struct asked *ask_one(const char *cookies)
{
    return ask(&cookies, cookies ? 1 : 0);
}

/* Target i answers, and sets this cookie if it is not NULL. */
static void answer(struct asked *a, size_t i, const char *sets)
{
    struct exchange *x = &a->x;
    x->lease.member = &x->group->members[i];
    if (sets) {
        a->answer[x->resp.fields.count++] =
            (struct field){SLICE("Set-Cookie"), slice_str(sets), FIELD_SET_COOKIE, false};
        x->resp.fields.present |= FIELD_BIT(FIELD_SET_COOKIE);
    }
    a->lines.n = 0;
    if (stickiness_wanted(x))
        stickiness_answer(x, &a->lines);
}

/* "NAME=VALUE" of line i, as a client sends it back. */
static const char *cookie_of(const struct asked *a, size_t i)
{
    static char text[4][STICKINESS_LINE_BYTES];
    static unsigned next;
    char *to = text[next++ % 4];
    struct slice line = a->lines.at[i].value;
    snprintf(to, STICKINESS_LINE_BYTES, "%.*s", (int)slice_find(line, ';', 0), line.p);
    return to;
}

/* A cookie that names target i of the action's group. */
static const char *cookie_for(size_t i)
{
    struct asked *a = ask_one(NULL);
    answer(a, i, "SID=1");
    assert_true(a->lines.n > 0);
    const char *c = cookie_of(a, 0);
    free(a);
    return c;
}

static void expect(struct asked *a, enum group_sticky result, int member)
{
    const struct member *want = member < 0 ? NULL : &a->x.group->members[member];
    assert_ptr_equal(a->x.lease.pick.preferred, want);
    assert_int_equal(a->x.sticky.target, result);
    free(a);
}

static uint64_t counted(enum group_sticky r)
{
    return counter_get(&w.snapshot->groups[0].news->local[0].sticky_targets[r]);
}

static void test_a_cookie_leads_to_its_target_until_its_second(void **state)
{
    (void)state;
    begin(BY_LB);
    for (int i = 0; i < 3; i++)
        expect(ask_one(cookie_for((size_t)i)), GROUP_STICKY_KEPT, i);
    const char *c = cookie_for(2);
    later(3599);
    expect(ask_one(c), GROUP_STICKY_KEPT, 2);
    later(1);
    expect(ask_one(c), GROUP_STICKY_EXPIRED, -1);
    expect(ask_one(NULL), GROUP_STICKY_NEW, -1);
    expect(ask_one("TENBIN=x; a=b"), GROUP_STICKY_INVALID, -1);
    world_fini(&w);
}

static void test_every_octet_of_a_cookie_counts(void **state)
{
    (void)state;
    begin(BY_LB);
    char cookie[STICKINESS_LINE_BYTES];
    strcpy(cookie, cookie_for(1));
    for (size_t i = strlen("TENBIN="); cookie[i]; i++)
        for (int bit = 0; bit < 7; bit++) {
            cookie[i] ^= (char)(1 << bit);
            struct asked *a = ask_one(cookie);
            assert_null(a->x.lease.pick.preferred);
            assert_int_equal(a->x.sticky.target, GROUP_STICKY_INVALID);
            free(a);
            cookie[i] ^= (char)(1 << bit);
        }
    expect(ask_one(cookie), GROUP_STICKY_KEPT, 1);
    world_fini(&w);
}

static void test_what_an_answer_counts(void **state)
{
    (void)state;
    static const struct {
        bool cookie;
        size_t answers;
        enum group_sticky counts;
    } rows[] = {
        {false, 0, GROUP_STICKY_NEW},
        {true, 1, GROUP_STICKY_KEPT},
        {true, 2, GROUP_STICKY_GONE}, /* another had to serve it */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        begin(BY_LB);
        const char *c = cookie_for(1);
        struct asked *a = ask_one(rows[i].cookie ? c : NULL);
        uint64_t before = counted(rows[i].counts);
        answer(a, rows[i].answers, NULL);
        assert_int_equal(counted(rows[i].counts), before + 1);
        expect(ask_one(cookie_of(a, 0)), GROUP_STICKY_KEPT, (int)rows[i].answers);
        free(a);
        world_fini(&w);
    }
}

static void test_a_target_that_left_is_gone(void **state)
{
    (void)state;
    begin(BY_LB);
    const char *c = cookie_for(2);
    struct crypto_ring *keys = crypto_ring_ref(w.snapshot->cookies);
    world_reload(&w, LISTENER("app") "  - {name: app, attributes: {stickiness: {type: lb_cookie}}, "
                                     "targets: [\"127.0.0.1:2\"]}\n");
    w.snapshot->cookies = keys;
    expect(ask_one(c), GROUP_STICKY_GONE, -1);
    expect(ask_one(cookie_for(0)), GROUP_STICKY_KEPT, 0);
    world_fini(&w);
}

static void test_lines_are_those_of_elb(void **state)
{
    (void)state;
    begin(BY_AWS);
    struct asked *a = ask_one(NULL);
    answer(a, 0, NULL);
    assert_int_equal(a->lines.n, 2);
    const char *rest = "; Expires=Mon, 30 Nov 2026 21:48:00 GMT; Path=/";
    struct slice plain = a->lines.at[0].value, cors = a->lines.at[1].value;
    assert_true(slice_starts(plain, SLICE("AWSALB=")) && slice_ends(plain, slice_str(rest)));
    assert_true(slice_starts(cors, SLICE("AWSALBCORS=")));
    assert_true(slice_ends(cors, SLICE("GMT; Path=/; SameSite=None; Secure")));
    assert_true(slice_eq(a->lines.at[0].name, SLICE("Set-Cookie")));
    free(a);
    world_fini(&w);
}

static void test_the_cors_cookie_counts_when_both_come(void **state)
{
    (void)state;
    begin(BY_AWS);
    char cors[STICKINESS_LINE_BYTES];
    snprintf(cors, sizeof(cors), "AWSALBCORS=%s", cookie_for(2) + strlen("AWSALB="));
    const char *plain = cookie_for(0);
    expect(ask((const char *[]){plain, cors}, 2), GROUP_STICKY_KEPT, 2);
    expect(ask((const char *[]){cors, plain}, 2), GROUP_STICKY_KEPT, 2);
    expect(ask((const char *[]){plain}, 1), GROUP_STICKY_KEPT, 0);
    expect(ask((const char *[]){cors}, 1), GROUP_STICKY_KEPT, 2);
    expect(ask((const char *[]){plain, "AWSALBCORS=x"}, 2), GROUP_STICKY_INVALID, -1);
    world_fini(&w);
}

static void test_app_cookie_truth_table(void **state)
{
    (void)state;
    static const struct {
        const char *app; /* in the request */
        int ours;        /* target that our cookie names; -1: none, 9: a bad one */
        const char *sets;
        bool cookie; /* is one set? */
        enum group_sticky result;
        int prefers;
    } rows[] = {
        {NULL, -1, NULL, false, GROUP_STICKY_NEW, -1},
        {NULL, -1, "SIDX=1", false, GROUP_STICKY_NEW, -1},
        {NULL, -1, "SID=1; Path=/x; Max-Age=0", true, GROUP_STICKY_NEW, -1},
        {"SID=1", -1, NULL, false, GROUP_STICKY_NEW, -1},
        {"SID=1", -1, "SID=2", true, GROUP_STICKY_NEW, -1},
        {NULL, 1, NULL, false, GROUP_STICKY_NEW, -1},
        {NULL, 1, "SID=2", true, GROUP_STICKY_NEW, -1},
        {"SID=1", 1, NULL, true, GROUP_STICKY_KEPT, 1},
        {"SID=1", 1, "SID=2", true, GROUP_STICKY_KEPT, 1},
        {"SID=1", 9, NULL, true, GROUP_STICKY_INVALID, -1},
        {"sid=1", 1, NULL, false, GROUP_STICKY_NEW, -1},
    };
    begin(BY_APP);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *lines[2];
        size_t n = 0;
        if (rows[i].app)
            lines[n++] = rows[i].app;
        if (rows[i].ours >= 0)
            lines[n++] = rows[i].ours == 9 ? "TENBINAPP=bad" : cookie_for((size_t)rows[i].ours);
        struct asked *a = ask(lines, n);
        answer(a, 0, rows[i].sets);
        assert_int_equal(a->lines.n, rows[i].cookie);
        expect(a, rows[i].result, rows[i].prefers);
    }
    world_fini(&w);
}

static void test_a_group_is_kept_whatever_its_weight(void **state)
{
    (void)state;
    begin(TWO_GROUPS);
    struct group *g = w.snapshot->groups;
    struct asked *a = ask_one(NULL);
    assert_ptr_equal(a->x.group, &g[1]);
    a->x.group = &g[0];
    answer(a, 0, NULL);
    const char *c = cookie_of(a, 0);
    free(a);
    later(9);
    a = ask_one(c);
    assert_ptr_equal(a->x.group, &g[0]);
    free(a);
    later(1);
    a = ask_one(c);
    assert_ptr_equal(a->x.group, &g[1]);
    free(a);
    assert_int_equal(counter_get(&g[0].news->local[0].sticky_groups[GROUP_STICKY_KEPT]), 1);
    assert_int_equal(counter_get(&g[1].news->local[0].sticky_groups[GROUP_STICKY_EXPIRED]), 1);
    world_fini(&w);
}

static void test_without_keys_nobody_stays(void **state)
{
    (void)state;
    world_init(&w, BY_LB);
    struct asked *a = ask_one("TENBIN=x");
    answer(a, 0, NULL);
    assert_int_equal(a->lines.n, 0);
    expect(a, GROUP_STICKY_INVALID, -1);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_cookie_leads_to_its_target_until_its_second),
        cmocka_unit_test(test_every_octet_of_a_cookie_counts),
        cmocka_unit_test(test_what_an_answer_counts),
        cmocka_unit_test(test_a_target_that_left_is_gone),
        cmocka_unit_test(test_lines_are_those_of_elb),
        cmocka_unit_test(test_the_cors_cookie_counts_when_both_come),
        cmocka_unit_test(test_app_cookie_truth_table),
        cmocka_unit_test(test_a_group_is_kept_whatever_its_weight),
        cmocka_unit_test(test_without_keys_nobody_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
