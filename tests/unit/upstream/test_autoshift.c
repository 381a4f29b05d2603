/* Windows of autoshift; the test plays the workers by their counters and sets the wall clock. */
#include "upstream/autoshift.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/world.h"

#define WINDOWS 3
#define FOR_S   1800
#define WEEK_S  604800
#define TUESDAY (5 * 86400ll + 36000) /* 6 January 1970, 10:00: the first set time */

struct fixture {
    struct world world;
    struct shifts shifts;
    struct autoshift autoshift;
    unsigned changes;
};

static const char yaml[] =
    "listeners:\n"
    "  - {name: w, listen: \"127.0.0.1:1\", protocol: http, default_action: {forward: g}}\n"
    "target_groups:\n"
    "  - {name: g, health_check: off, targets: [{address: \"10.0.0.1:1\", zone: a},\n"
    "      {address: \"10.0.0.2:1\", zone: b}, {address: \"10.0.0.3:1\", zone: c}]}\n";

static const char uneven[] =
    "listeners:\n"
    "  - {name: w, listen: \"127.0.0.1:1\", protocol: http, default_action: {forward: g}}\n"
    "target_groups:\n"
    "  - {name: g, health_check: off, targets: [{address: \"10.0.0.1:1\", zone: a},\n"
    "      {address: \"10.0.0.2:1\", zone: b, weight: 8}, {address: \"10.0.0.3:1\", zone: c}]}\n";

static void on_change(void *ctx)
{
    ((struct fixture *)ctx)->changes++;
}

static void adopt(struct fixture *f, enum config_autoshift_mode mode)
{
    struct config_autoshift rule = {.mode = mode,
                                    .window_ms = 10000,
                                    .windows = WINDOWS,
                                    .minimum_requests = 50,
                                    .slow_ms = 100,
                                    .for_ms = FOR_S * 1000,
                                    .practice_at_s = 86400 + 36000};
    autoshift_adopt(&f->autoshift, &rule, f->world.snapshot->groups, f->world.snapshot->groups_n);
}

static void begin(struct fixture *f, const char *text)
{
    *f = (struct fixture){0};
    world_init(&f->world, text);
    shift_init(&f->shifts, &f->world.loop, &f->world.registry);
    f->shifts.changed = on_change;
    f->shifts.ctx = f;
    autoshift_init(&f->autoshift, &f->world.loop, &f->shifts);
    adopt(f, CONFIG_AUTOSHIFT_ON);
}

static void end(struct fixture *f)
{
    autoshift_fini(&f->autoshift);
    shift_fini(&f->shifts);
    world_fini(&f->world);
}

static struct target_local *counts(struct fixture *f, size_t zone)
{
    return &f->world.snapshot->groups[0].members[zone].target->local[0];
}

/* A window in which each zone gets 100 requests, and so many of each fail. */
static void window(struct fixture *f, unsigned a, unsigned b, unsigned c)
{
    unsigned failures[] = {a, b, c};
    for (size_t i = 0; i < 3; i++) {
        counter_add(&counts(f, i)->requests, 100);
        counter_add(&counts(f, i)->codes[5], failures[i]);
    }
    f->autoshift.task.run(&f->autoshift.task);
}

/* One without failures; so many of each zone's 100 answers take 300 ms, the rest 2 ms. */
static void slow_window(struct fixture *f, unsigned a, unsigned b, unsigned c)
{
    unsigned slow[] = {a, b, c};
    for (size_t i = 0; i < 3; i++)
        for (unsigned n = 0; n < 100; n++)
            target_count_response(counts(f, i), n < slow[i] ? 300000 : 2000);
    window(f, 0, 0, 0);
}

static void slow_windows(struct fixture *f, unsigned n, unsigned a, unsigned b, unsigned c)
{
    while (n-- > 0)
        slow_window(f, a, b, c);
}

static void windows(struct fixture *f, unsigned n, unsigned a, unsigned b, unsigned c)
{
    while (n-- > 0)
        window(f, a, b, c);
}

static bool shifted(struct fixture *f, const char *zone)
{
    return shift_has(&f->shifts, slice_str(zone));
}

static void cancel(struct fixture *f, const char *zone)
{
    struct strbuf why;
    strbuf_init(&why);
    assert_int_equal(shift_cancel(&f->shifts, slice_str(zone), &why), OK);
    strbuf_fini(&why);
}

static void shift_by_operator(struct fixture *f, const char *zone)
{
    struct shift_wish w = {slice_str(zone), SLICE("work"), 60000, false, SHIFT_BY_OPERATOR};
    struct strbuf why;
    strbuf_init(&why);
    assert_int_equal(shift_set(&f->shifts, &w, f->world.snapshot->groups, 1, &why), OK);
    strbuf_fini(&why);
}

static void pass_time(struct fixture *f, int64_t seconds)
{
    f->world.loop.clock.wall_us += seconds * 1000000;
    f->shifts.task.run(&f->shifts.task);
}

static void test_a_grey_zone_is_shifted_after_so_many_windows_for_so_long(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, yaml);
    windows(&f, WINDOWS - 1, 0, 40, 1);
    assert_int_equal(f.shifts.n, 0);
    window(&f, 0, 40, 1);
    assert_true(shifted(&f, "b"));
    assert_int_equal(f.shifts.all[0].by, SHIFT_BY_AUTOSHIFT);
    assert_int_equal(f.shifts.all[0].until_us - f.shifts.all[0].since_us, FOR_S * 1000000ll);
    assert_non_null(strstr(f.shifts.all[0].reason, "40 % of 100 requests failed"));
    assert_int_equal(f.changes, 1);
    pass_time(&f, FOR_S);
    assert_int_equal(f.shifts.n, 0);
    end(&f);
}

static void test_a_slow_zone_is_shifted_too_and_the_reason_says_so(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, yaml);
    slow_windows(&f, WINDOWS - 1, 0, 1, 20);
    assert_int_equal(f.shifts.n, 0);
    slow_window(&f, 0, 1, 20);
    assert_true(shifted(&f, "c"));
    assert_non_null(strstr(f.shifts.all[0].reason,
                           "20.0 % of 100 answers took over twice the usual p99, of the other "
                           "zones' 200 0.5 % (window 3 of 10 s in a row)"));
    end(&f);
}

static void test_answers_that_do_not_come_are_the_slowest(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, yaml);
    for (int i = 0; i < WINDOWS; i++) {
        counter_add(&counts(&f, 0)->silent, 30);
        slow_window(&f, 0, 0, 0);
    }
    assert_true(shifted(&f, "a"));
    end(&f);
}

static void test_what_is_slow_everywhere_or_wobbles_shifts_nothing(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, yaml);
    slow_windows(&f, 2 * WINDOWS, 60, 60, 60);
    slow_windows(&f, 2 * WINDOWS, 60, 60, 0);
    for (int i = 0; i < 3; i++) {
        slow_windows(&f, WINDOWS - 1, 20, 0, 0);
        slow_window(&f, 1, 0, 0);
    }
    assert_int_equal(f.shifts.n, 0);
    end(&f);
}

static void test_slow_none_compares_no_times(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, yaml);
    f.autoshift.rule.slow_ms = CONFIG_NONE;
    slow_windows(&f, 2 * WINDOWS, 0, 0, 90);
    assert_int_equal(f.shifts.n, 0);
    windows(&f, WINDOWS, 0, 0, 40);
    assert_true(shifted(&f, "c"));
    end(&f);
}

static void test_failures_of_one_and_slowness_of_another_shift_nothing(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, yaml);
    for (int i = 0; i < 2 * WINDOWS; i++) {
        counter_add(&counts(&f, 0)->codes[5], 30);
        slow_window(&f, 0, 40, 0);
    }
    assert_int_equal(f.shifts.n, 0);
    end(&f);
}

static void test_a_window_without_it_begins_the_count_again(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, yaml);
    for (int i = 0; i < 3; i++) {
        windows(&f, WINDOWS - 1, 40, 0, 0);
        window(&f, 0, 0, 0);
    }
    windows(&f, WINDOWS - 1, 40, 0, 0);
    windows(&f, WINDOWS - 1, 0, 40, 0);
    assert_int_equal(f.shifts.n, 0);
    end(&f);
}

static void test_connections_that_fail_count_without_any_request(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, yaml);
    for (int i = 0; i < WINDOWS; i++) {
        counter_add(&counts(&f, 0)->connect_errors, 20);
        window(&f, 0, 0, 0);
    }
    assert_true(shifted(&f, "a"));
    end(&f);
}

static void test_a_fault_of_all_or_of_two_shifts_nothing(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, yaml);
    windows(&f, 2 * WINDOWS, 90, 90, 90);
    windows(&f, 2 * WINDOWS, 90, 90, 0);
    assert_int_equal(f.shifts.n, 0);
    end(&f);
}

static void test_never_two_nor_beside_an_operators(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, yaml);
    shift_by_operator(&f, "a");
    windows(&f, 2 * WINDOWS, 0, 40, 0);
    windows(&f, 2 * WINDOWS, 40, 0, 0);
    assert_int_equal(f.shifts.n, 1);
    assert_int_equal(f.shifts.all[0].by, SHIFT_BY_OPERATOR);
    assert_int_equal(f.shifts.all[0].until_us - f.shifts.all[0].since_us, 60000000);
    cancel(&f, "a");
    windows(&f, WINDOWS - 1, 0, 40, 0);
    assert_int_equal(f.shifts.n, 0); /* what was seen meanwhile does not count */
    window(&f, 0, 40, 0);
    assert_true(shifted(&f, "b"));
    windows(&f, 2 * WINDOWS, 40, 0, 0);
    assert_int_equal(f.shifts.n, 1);
    end(&f);
}

static void test_what_an_operator_cancelled_stays_so_until_it_would_have_ended(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, yaml);
    windows(&f, WINDOWS, 0, 40, 0);
    cancel(&f, "b");
    windows(&f, 3 * WINDOWS, 0, 40, 0);
    pass_time(&f, FOR_S - 1);
    windows(&f, 3 * WINDOWS, 0, 40, 0);
    assert_int_equal(f.shifts.n, 0);
    pass_time(&f, 1);
    window(&f, 0, 40, 0);
    assert_true(shifted(&f, "b"));
    cancel(&f, "b");
    windows(&f, WINDOWS, 0, 0, 40); /* of another zone nobody said anything */
    assert_true(shifted(&f, "c"));
    end(&f);
}

static void test_a_shift_from_before_a_restart_is_known_as_its_own(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, yaml);
    int64_t now = f.world.loop.clock.wall_us;
    struct shift kept = {"b", "kept", SHIFT_BY_AUTOSHIFT, now, now + 60000000};
    assert_true(shift_restore(&f.shifts, &kept));
    window(&f, 0, 0, 0);
    cancel(&f, "b");
    windows(&f, 2 * WINDOWS, 0, 40, 0);
    assert_int_equal(f.shifts.n, 0);
    end(&f);
}

static void test_capacity_is_never_forced(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, uneven);
    windows(&f, 3 * WINDOWS, 0, 40, 0);
    assert_int_equal(f.shifts.n, 0);
    windows(&f, WINDOWS, 40, 0, 0);
    assert_true(shifted(&f, "a"));
    end(&f);
}

static void test_off_counts_nothing_and_on_begins_anew(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, yaml);
    windows(&f, WINDOWS - 1, 0, 40, 0);
    adopt(&f, CONFIG_AUTOSHIFT_ON); /* a reload goes on with what was counted */
    window(&f, 0, 40, 0);
    assert_true(shifted(&f, "b"));
    pass_time(&f, FOR_S);
    windows(&f, WINDOWS - 1, 0, 40, 0);
    adopt(&f, CONFIG_AUTOSHIFT_OFF);
    windows(&f, 2 * WINDOWS, 0, 40, 0);
    assert_int_equal(f.autoshift.timer.deadline_ms, 0);
    adopt(&f, CONFIG_AUTOSHIFT_ON);
    f.autoshift.rule.windows = 1;
    window(&f, 0, 0, 0); /* without what came while it was off */
    assert_int_equal(f.shifts.n, 0);
    assert_true(f.autoshift.timer.deadline_ms > 0);
    end(&f);
}

/* ---- practice runs ---- */

static void set_clock(struct fixture *f, int64_t s)
{
    f->world.loop.clock.wall_us = s * 1000000;
}

/* The set time is a second away; the first turn is b's. */
static void begin_practice(struct fixture *f, const char *text)
{
    begin(f, text);
    set_clock(f, TUESDAY - 1);
    adopt(f, CONFIG_AUTOSHIFT_PRACTICE);
    window(f, 0, 0, 0);
    assert_int_equal(f->shifts.n, 0);
}

static void test_zones_are_shifted_by_turns_at_the_set_time(void **state)
{
    (void)state;
    struct fixture f;
    begin_practice(&f, yaml);
    static const char *const turns[] = {"b", "c", "a", "b"};
    for (unsigned i = 0; i < 4; i++) {
        set_clock(&f, TUESDAY + i * WEEK_S);
        window(&f, 0, 0, 0);
        assert_true(shifted(&f, turns[i]));
        assert_int_equal(f.shifts.n, 1);
        assert_int_equal(f.shifts.all[0].by, SHIFT_BY_PRACTICE);
        assert_int_equal(f.shifts.all[0].until_us, (TUESDAY + i * WEEK_S + FOR_S) * 1000000ll);
        windows(&f, 2, 0, 0, 0);
        assert_true(f.autoshift.practice.runs);
        pass_time(&f, FOR_S);
        windows(&f, 2, 0, 0, 0);
        assert_int_equal(f.shifts.n, 0);
        assert_false(f.autoshift.practice.runs);
    }
    end(&f);
}

static void test_an_alarm_before_a_run_refuses_it_for_the_week(void **state)
{
    (void)state;
    struct fixture f;
    begin_practice(&f, yaml);
    set_clock(&f, TUESDAY);
    window(&f, 6, 6, 6);
    windows(&f, 3, 0, 0, 0);
    assert_int_equal(f.shifts.n, 0);
    set_clock(&f, TUESDAY + WEEK_S);
    window(&f, 5, 5, 5); /* just clean */
    assert_true(shifted(&f, "c"));
    end(&f);
}

static void test_an_alarm_ends_a_run(void **state)
{
    (void)state;
    struct fixture f;
    begin_practice(&f, yaml);
    set_clock(&f, TUESDAY);
    window(&f, 0, 0, 0);
    window(&f, 5, 0, 10);
    assert_true(shifted(&f, "b"));
    window(&f, 6, 0, 10);
    assert_int_equal(f.shifts.n, 0);
    windows(&f, 3, 0, 0, 0);
    assert_int_equal(f.shifts.n, 0);
    assert_int_equal(f.shifts.holds_n, 0);
    end(&f);
}

static void test_a_group_that_needs_the_zone_ends_a_run(void **state)
{
    (void)state;
    struct fixture f;
    begin_practice(&f, yaml);
    struct member *m = f.world.snapshot->groups[0].members;
    set_clock(&f, TUESDAY);
    window(&f, 0, 0, 0);
    m[0].target->flags = TARGET_EJECTED;
    window(&f, 0, 0, 0);
    assert_true(shifted(&f, "b"));
    m[2].target->flags = TARGET_EJECTED;
    window(&f, 0, 0, 0);
    assert_int_equal(f.shifts.n, 0);
    end(&f);
}

static void test_a_run_is_refused_like_an_operators_shift_without_force(void **state)
{
    (void)state;
    struct fixture f;
    begin_practice(&f, uneven); /* without b the others could not carry it */
    set_clock(&f, TUESDAY);
    windows(&f, 2, 0, 0, 0);
    assert_int_equal(f.shifts.n, 0);
    end(&f);
    for (const char *zone = "a\0b\0"; *zone; zone += 2) { /* another one, or the same */
        begin_practice(&f, yaml);
        shift_by_operator(&f, zone);
        set_clock(&f, TUESDAY);
        windows(&f, 2, 0, 0, 0);
        assert_int_equal(f.shifts.n, 1);
        assert_int_equal(f.shifts.all[0].by, SHIFT_BY_OPERATOR);
        end(&f);
    }
}

static void test_an_operator_ends_a_run_until_next_week(void **state)
{
    (void)state;
    struct fixture f;
    begin_practice(&f, yaml);
    set_clock(&f, TUESDAY);
    window(&f, 0, 0, 0);
    cancel(&f, "b");
    assert_int_equal(f.shifts.holds_n, 0);
    windows(&f, 3, 0, 0, 0);
    assert_int_equal(f.shifts.n, 0);
    end(&f);
}

static void test_a_set_time_may_be_missed_and_a_run_from_before_a_restart_is_watched(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, yaml);
    set_clock(&f, TUESDAY);
    adopt(&f, CONFIG_AUTOSHIFT_PRACTICE);
    windows(&f, 2, 0, 0, 0);
    assert_int_equal(f.shifts.n, 0);
    struct shift kept = {"c", "kept", SHIFT_BY_PRACTICE, (TUESDAY - 60) * 1000000,
                         (TUESDAY + 60) * 1000000};
    assert_true(shift_restore(&f.shifts, &kept));
    window(&f, 0, 0, 0);
    assert_true(shifted(&f, "c"));
    window(&f, 40, 0, 0);
    assert_int_equal(f.shifts.n, 0);
    end(&f);
}

static void test_practice_shifts_no_grey_zone_and_on_practises_nothing(void **state)
{
    (void)state;
    struct fixture f;
    begin_practice(&f, yaml);
    windows(&f, 2 * WINDOWS, 40, 0, 0);
    assert_int_equal(f.shifts.n, 0);
    adopt(&f, CONFIG_AUTOSHIFT_ON);
    window(&f, 0, 0, 0);
    set_clock(&f, TUESDAY);
    windows(&f, 2, 0, 0, 0);
    assert_int_equal(f.shifts.n, 0);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_grey_zone_is_shifted_after_so_many_windows_for_so_long),
        cmocka_unit_test(test_a_slow_zone_is_shifted_too_and_the_reason_says_so),
        cmocka_unit_test(test_answers_that_do_not_come_are_the_slowest),
        cmocka_unit_test(test_what_is_slow_everywhere_or_wobbles_shifts_nothing),
        cmocka_unit_test(test_slow_none_compares_no_times),
        cmocka_unit_test(test_failures_of_one_and_slowness_of_another_shift_nothing),
        cmocka_unit_test(test_a_window_without_it_begins_the_count_again),
        cmocka_unit_test(test_connections_that_fail_count_without_any_request),
        cmocka_unit_test(test_a_fault_of_all_or_of_two_shifts_nothing),
        cmocka_unit_test(test_never_two_nor_beside_an_operators),
        cmocka_unit_test(test_what_an_operator_cancelled_stays_so_until_it_would_have_ended),
        cmocka_unit_test(test_a_shift_from_before_a_restart_is_known_as_its_own),
        cmocka_unit_test(test_capacity_is_never_forced),
        cmocka_unit_test(test_off_counts_nothing_and_on_begins_anew),
        cmocka_unit_test(test_zones_are_shifted_by_turns_at_the_set_time),
        cmocka_unit_test(test_an_alarm_before_a_run_refuses_it_for_the_week),
        cmocka_unit_test(test_an_alarm_ends_a_run),
        cmocka_unit_test(test_a_group_that_needs_the_zone_ends_a_run),
        cmocka_unit_test(test_a_run_is_refused_like_an_operators_shift_without_force),
        cmocka_unit_test(test_an_operator_ends_a_run_until_next_week),
        cmocka_unit_test(test_a_set_time_may_be_missed_and_a_run_from_before_a_restart_is_watched),
        cmocka_unit_test(test_practice_shifts_no_grey_zone_and_on_practises_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
