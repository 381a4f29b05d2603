#include "proxy/failover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"

#define GROUPS 3

struct fixture {
    struct group groups[GROUPS];
    struct target targets[GROUPS];
    struct member members[GROUPS];
    struct action_group ways[GROUPS];
    struct action action;
    struct rng rng;
};

static const struct config_health_check checked = {.on = true};

/* A group a letter: h, u, i: its target is healthy, unhealthy or was not checked; d: draining; w:
 * of weight 0; -: there is none. */
static void begin(struct fixture *f, const char *groups, const uint32_t *weights)
{
    *f = (struct fixture){.rng = {1}};
    for (size_t i = 0; i < GROUPS; i++) {
        struct group *g = &f->groups[i];
        struct target *t = &f->targets[i];
        group_init(g, 1);
        g->check = &checked;
        g->fail_open = true;
        g->members = &f->members[i];
        g->members_n = groups[i] != '-';
        f->members[i] = (struct member){.target = t, .weight = groups[i] != 'w'};
        t->share = t->ramp = TARGET_SHARE_ALL;
        t->state = groups[i] == 'u'   ? HEALTH_UNHEALTHY
                   : groups[i] == 'i' ? HEALTH_INITIAL
                                      : HEALTH_HEALTHY;
        t->flags = groups[i] == 'd' ? TARGET_DRAINING : 0;
        f->action.weight_total += weights[i];
        f->ways[i] = (struct action_group){g, f->action.weight_total};
    }
    f->action.groups = f->ways;
    f->action.groups_n = GROUPS;
}

static void end(struct fixture *f)
{
    for (size_t i = 0; i < GROUPS; i++)
        group_fini(&f->groups[i]);
}

static size_t chosen(struct fixture *f, size_t picked)
{
    return (size_t)(failover(&f->action, &f->groups[picked], 0, &f->rng) - f->groups);
}

static void test_who_takes_over(void **state)
{
    (void)state;
    static const struct {
        const char *groups;
        uint32_t weights[GROUPS];
        size_t picked, chosen;
    } rows[] = {
        {"hhh", {1, 1, 1}, 1, 1}, {"iuu", {1, 1, 1}, 0, 0}, {"uhu", {1, 1, 1}, 0, 1},
        {"uiu", {1, 1, 1}, 0, 1}, {"-uh", {1, 1, 1}, 0, 2}, {"duh", {1, 1, 1}, 0, 2},
        {"wuh", {1, 1, 1}, 0, 2}, {"uuh", {1, 1, 0}, 0, 2}, /* stands by */
        {"uhh", {1, 0, 1}, 0, 2}, {"uhh", {1, 0, 0}, 0, 1}, {"uuu", {1, 1, 1}, 1, 1},
        {"u--", {1, 1, 1}, 0, 0}, {"-u-", {1, 1, 1}, 0, 0}, {"---", {1, 1, 1}, 2, 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture f;
        begin(&f, rows[i].groups, rows[i].weights);
        for (int n = 0; n < 8; n++)
            if (chosen(&f, rows[i].picked) != rows[i].chosen)
                fail_msg("%s, row %zu", rows[i].groups, i);
        end(&f);
    }
}

static void test_those_that_take_over_share_by_weight(void **state)
{
    (void)state;
    struct fixture f;
    unsigned counts[GROUPS] = {0};
    begin(&f, "huh", (const uint32_t[]){30, 50, 10});
    for (int i = 0; i < 4000; i++)
        counts[chosen(&f, 1)]++;
    assert_true(counts[0] > 2850 && counts[0] < 3150);
    assert_int_equal(counts[0] + counts[2], 4000);
    end(&f);
}

/* A lease looks for it to close idle links. */
static void test_looking_does_not_hide_that_a_view_was_made_anew(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "hhh", (const uint32_t[]){1, 1, 1});
    (void)chosen(&f, 0);
    assert_true(group_refresh(&f.groups[0], 0, &f.rng));
    assert_false(group_refresh(&f.groups[0], 0, &f.rng));
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_takes_over),
        cmocka_unit_test(test_those_that_take_over_share_by_weight),
        cmocka_unit_test(test_looking_does_not_hide_that_a_view_was_made_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
