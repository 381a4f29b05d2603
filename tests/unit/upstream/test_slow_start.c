#include "upstream/slow_start.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"

#define TARGETS 3

struct fixture {
    struct loop loop;
    struct registry registry;
    struct news news;
    struct slow_start slow;
    struct group group;
    struct member members[TARGETS];
};

/* h, u, i: healthy, unhealthy, not checked; d, e: healthy, but draining or ejected; r: healthy and
 * ramping; w: healthy, of weight 0. */
static void begin(struct fixture *f, const char *states)
{
    *f = (struct fixture){0};
    assert_int_equal(loop_init(&f->loop, 1u << 20), OK);
    registry_init(&f->registry, 1);
    news_init(&f->news, &f->loop);
    slow_start_init(&f->slow, &f->loop, &f->news);
    f->group.slow_start_ms = 1000;
    f->group.members = f->members;
    f->group.members_n = TARGETS;
    for (size_t i = 0; i < TARGETS; i++) {
        struct addr a;
        assert_int_equal(addr_parse_ip(&a, SLICE("10.0.0.1"), (uint16_t)(i + 1)), OK);
        struct target *t = registry_get(&f->registry, SLICE("app"), &a);
        f->members[i] = (struct member){.target = t, .weight = states[i] != 'w'};
        t->state = states[i] == 'u'   ? HEALTH_UNHEALTHY
                   : states[i] == 'i' ? HEALTH_INITIAL
                                      : HEALTH_HEALTHY;
        t->flags = states[i] == 'd' ? TARGET_DRAINING : states[i] == 'e' ? TARGET_EJECTED : 0;
        if (states[i] == 'r')
            list_push_back(&f->slow.ramping, &t->ramping);
    }
}

static void end(struct fixture *f)
{
    slow_start_fini(&f->slow);
    news_fini(&f->news);
    for (size_t i = 0; i < TARGETS; i++) {
        assert_int_equal(f->members[i].target->ramp, TARGET_SHARE_ALL);
        registry_release(&f->registry, f->members[i].target);
    }
    registry_fini(&f->registry);
    loop_fini(&f->loop);
}

static uint16_t ramp(const struct fixture *f, size_t i)
{
    return f->members[i].target->ramp;
}

static void pass(struct fixture *f, uint64_t ms)
{
    uint64_t until_ms = f->loop.clock.now_ms + ms;
    while (f->loop.clock.now_ms < until_ms) {
        usleep(1000);
        loop_turn(&f->loop);
    }
}

static void test_the_share_grows_in_a_straight_line(void **state)
{
    (void)state;
    static const struct {
        uint64_t elapsed_ms;
        uint32_t duration_ms;
        uint16_t share;
    } rows[] = {
        {0, 1000, 1},
        {1, 1000, 1},
        {2, 1000, 2},
        {500, 1000, 500},
        {999, 1000, 999},
        {1000, 1000, 1000},
        {1001, 1000, 1000},
        {UINT64_MAX, 1000, 1000},
        {0, 0, 1000},
        {30000, 90000, 333},
        {43200000, 86400000, 500},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(slow_start_share(rows[i].elapsed_ms, rows[i].duration_ms), rows[i].share);
}

struct row {
    const char *states;
    bool ramps;
};

/* What happens to the first target, beside two others. */
static void check_rows(const struct row *rows, size_t n,
                       void (*happens)(struct slow_start *, const struct group *, struct target *))
{
    for (size_t i = 0; i < n; i++) {
        struct fixture f;
        begin(&f, rows[i].states);
        happens(&f.slow, &f.group, f.members[0].target);
        if ((ramp(&f, 0) < TARGET_SHARE_ALL) != rows[i].ramps)
            fail_msg("%s: %u", rows[i].states, ramp(&f, 0));
        end(&f);
    }
}

/* It becomes healthy. */
static void test_who_ramps(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"uhh", true},  {"ihu", true},  {"uuh", true},  {"uuu", false}, {"uiu", false},
        {"uru", false}, {"urh", true},  {"udu", false}, {"ueu", false}, {"uwu", false},
        {"hhh", true},  {"huu", false}, /* its own health does not count */
    };
    check_rows(rows, ARRAY_LEN(rows), slow_start_begin);
}

static void test_nobody_ramps_without_slow_start(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "uhh");
    f.group.slow_start_ms = 0;
    slow_start_begin(&f.slow, &f.group, f.members[0].target);
    assert_int_equal(ramp(&f, 0), TARGET_SHARE_ALL);
    end(&f);
}

static void test_shares_and_epochs_go_up_until_the_time_is_over(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "uhh");
    slow_start_begin(&f.slow, &f.group, f.members[0].target);
    uint64_t from_ms = f.loop.clock.now_ms;
    uint16_t last = 0;
    uint32_t epoch = f.members[0].target->news->epoch, steps = 0;
    while (ramp(&f, 0) < TARGET_SHARE_ALL) {
        uint64_t share_max = f.loop.clock.now_ms - from_ms + 1;
        assert_true(ramp(&f, 0) >= last && ramp(&f, 0) <= share_max);
        steps += ramp(&f, 0) > last;
        last = ramp(&f, 0);
        pass(&f, 10);
        assert_true(f.loop.clock.now_ms - from_ms < 5000);
    }
    assert_true(f.loop.clock.now_ms - from_ms >= 1000);
    assert_true(steps >= 3);
    assert_true(f.members[0].target->news->epoch - epoch >= 3);
    pass(&f, 200); /* and nothing goes on */
    assert_true(list_empty(&f.slow.ramping));
    assert_true(wheel_empty(&f.loop.wheel));
    end(&f);
}

static void test_an_unhealthy_target_leaves_and_may_ramp_again(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "uhh");
    struct target *t = f.members[0].target;
    slow_start_begin(&f.slow, &f.group, t);
    slow_start_end(&f.slow, t);
    slow_start_end(&f.slow, t);
    assert_int_equal(ramp(&f, 0), TARGET_SHARE_ALL);
    slow_start_begin(&f.slow, &f.group, t);
    assert_int_equal(ramp(&f, 0), 1);
    end(&f);
}

/* It has been ejected or drained, and its flag is gone. */
static void test_who_ramps_when_let_back_in(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"hhh", true},  {"uhh", false}, {"ihh", false}, {"dhh", false}, {"ehh", false},
        {"huu", false}, {"hrr", false}, {"hrh", true},  {"rhh", true},
    };
    check_rows(rows, ARRAY_LEN(rows), slow_start_return);
}

static void test_who_is_let_back_in_ramps_from_the_beginning(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "hhh");
    struct target *t = f.members[0].target;
    slow_start_begin(&f.slow, &f.group, t);
    pass(&f, 300);
    assert_true(ramp(&f, 0) > 100);
    slow_start_return(&f.slow, &f.group, t);
    assert_int_equal(ramp(&f, 0), 1);
    assert_int_equal(t->ramp_from_ms, f.loop.clock.now_ms);
    end(&f);
}

static void test_a_reload_keeps_the_clock_and_moves_the_end(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "uhh");
    struct target *t = f.members[0].target;
    slow_start_begin(&f.slow, &f.group, t);
    pass(&f, 300);
    uint64_t from_ms = t->ramp_from_ms;
    slow_start_keep(&f.slow, &f.group, t); /* the same: nothing */
    assert_int_equal(t->ramp_from_ms, from_ms);
    f.group.slow_start_ms = 100000;
    slow_start_keep(&f.slow, &f.group, t);
    assert_int_equal(t->ramp_from_ms, from_ms);
    assert_true(ramp(&f, 0) <= 50);
    f.group.slow_start_ms = 250;
    slow_start_keep(&f.slow, &f.group, t);
    assert_int_equal(ramp(&f, 0), TARGET_SHARE_ALL);
    slow_start_begin(&f.slow, &f.group, t);
    f.group.slow_start_ms = 0;
    slow_start_keep(&f.slow, &f.group, t);
    assert_int_equal(ramp(&f, 0), TARGET_SHARE_ALL);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_share_grows_in_a_straight_line),
        cmocka_unit_test(test_who_ramps),
        cmocka_unit_test(test_nobody_ramps_without_slow_start),
        cmocka_unit_test(test_shares_and_epochs_go_up_until_the_time_is_over),
        cmocka_unit_test(test_an_unhealthy_target_leaves_and_may_ramp_again),
        cmocka_unit_test(test_who_ramps_when_let_back_in),
        cmocka_unit_test(test_who_is_let_back_in_ramps_from_the_beginning),
        cmocka_unit_test(test_a_reload_keeps_the_clock_and_moves_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
