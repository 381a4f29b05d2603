/* Zonal shifts, with a wall clock that is set by hand. */
#include "upstream/shift.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "upstream/group_zones.h"

#define SECOND  1000000ll
#define TARGETS 6

/* A group of two targets in each of the zones a, b and c. */
struct fixture {
    struct loop loop;
    struct registry registry;
    struct arena arena;
    struct shifts shifts;
    struct group group;
    struct member members[TARGETS];
    struct config_health_check check;
    struct strbuf why;
    unsigned changes;
};

static const char *const zones[TARGETS] = {"a", "a", "b", "b", "c", "c"};

static void on_change(void *ctx)
{
    ((struct fixture *)ctx)->changes++;
}

static void set_state(struct fixture *f, unsigned target, enum health_state state)
{
    atomic_store(&f->members[target].target->state, (uint8_t)state);
}

static void set_all(struct fixture *f, const char *states)
{
    for (unsigned i = 0; i < TARGETS; i++)
        set_state(f, i, states[i] == '1' ? HEALTH_HEALTHY : HEALTH_UNHEALTHY);
}

static void begin(struct fixture *f)
{
    *f = (struct fixture){0};
    assert_int_equal(loop_init(&f->loop, 1u << 20), OK);
    registry_init(&f->registry, 1);
    arena_init(&f->arena);
    strbuf_init(&f->why);
    group_init(&f->group, 1);
    f->group.name = SLICE("app");
    f->group.used = true;
    f->group.check = &f->check;
    f->group.members = f->members;
    f->group.members_n = TARGETS;
    f->group.news = registry_get_news(&f->registry, f->group.name);
    for (unsigned i = 0; i < TARGETS; i++) {
        struct addr addr;
        char text[32];
        snprintf(text, sizeof(text), "10.0.0.%u:80", i + 1);
        assert_int_equal(addr_parse(&addr, slice_str(text)), OK);
        f->members[i] = (struct member){.target = registry_get(&f->registry, f->group.name, &addr),
                                        .zone = slice_str(zones[i]),
                                        .weight = 1};
    }
    set_all(f, "111111");
    struct config_group_attributes c = {.fail_open = true};
    group_zones_make(&f->arena, &f->group, &c, SLICE("a"));
    shift_init(&f->shifts, &f->loop, &f->registry);
    shift_adopt(&f->shifts, SLICE("a"));
    f->shifts.changed = on_change;
    f->shifts.ctx = f;
    f->loop.clock.wall_us = 1000 * SECOND;
}

static void end(struct fixture *f)
{
    shift_fini(&f->shifts);
    for (unsigned i = 0; i < TARGETS; i++)
        registry_release(&f->registry, f->members[i].target);
    registry_release_news(f->group.news);
    group_fini(&f->group);
    strbuf_fini(&f->why);
    arena_fini(&f->arena);
    registry_fini(&f->registry);
    loop_fini(&f->loop);
}

static enum err set_by(struct fixture *f, const char *zone, uint64_t for_ms, bool force,
                       enum shift_by by)
{
    struct shift_wish w = {slice_str(zone), SLICE("broken switch"), for_ms, force, by};
    f->why.n = 0;
    return shift_set(&f->shifts, &w, &f->group, 1, &f->why);
}

static enum err set(struct fixture *f, const char *zone, uint64_t for_ms, bool force)
{
    return set_by(f, zone, for_ms, force, SHIFT_BY_OPERATOR);
}

static enum err set_practice(struct fixture *f, const char *zone)
{
    return set_by(f, zone, 60000, false, SHIFT_BY_PRACTICE);
}

static bool seen_by_workers(struct fixture *f, const char *zone)
{
    return registry_is_shifted(f->group.news->shifted, registry_zone_id(slice_str(zone)));
}

static void at(struct fixture *f, int64_t seconds)
{
    f->loop.clock.wall_us = seconds * SECOND;
    f->shifts.task.run(&f->shifts.task);
}

/* ---- life of a shift ---- */

static void test_a_shift_is_seen_at_once_and_ends_by_itself(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    assert_int_equal(set(&f, "b", 60000, false), OK);
    assert_true(seen_by_workers(&f, "b"));
    assert_false(seen_by_workers(&f, "a"));
    assert_int_equal(f.group.news->epoch, 1);
    assert_int_equal(f.changes, 1);
    at(&f, 1059);
    assert_true(seen_by_workers(&f, "b"));
    at(&f, 1060);
    assert_false(seen_by_workers(&f, "b"));
    assert_false(shift_has(&f.shifts, SLICE("b")));
    assert_int_equal(f.group.news->epoch, 2);
    assert_int_equal(f.changes, 2);
    end(&f);
}

static void test_a_shift_is_cancelled_once(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    assert_int_equal(set(&f, "b", 60000, false), OK);
    assert_int_equal(shift_cancel(&f.shifts, SLICE("b"), &f.why), OK);
    assert_false(seen_by_workers(&f, "b"));
    assert_int_equal(shift_cancel(&f.shifts, SLICE("b"), &f.why), ERR_NOT_FOUND);
    assert_string_equal(f.why.p, "zone b is not shifted");
    end(&f);
}

static void test_the_same_zone_again_gets_the_new_time(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    assert_int_equal(set(&f, "b", 60000, false), OK);
    set_all(&f, "000011"); /* capacity was looked at when it began */
    assert_int_equal(set(&f, "b", 120000, false), OK);
    assert_int_equal(f.shifts.n, 1);
    at(&f, 1060);
    assert_true(seen_by_workers(&f, "b"));
    at(&f, 1120);
    assert_false(seen_by_workers(&f, "b"));
    end(&f);
}

static void test_time_and_reason_have_bounds(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    assert_int_equal(set(&f, "b", SHIFT_FOR_MIN_MS - 1, true), ERR_SYNTAX);
    assert_string_equal(f.why.p, "a shift lasts from 1s to 72h");
    assert_int_equal(set(&f, "b", SHIFT_FOR_MAX_MS + 1, true), ERR_SYNTAX);
    assert_int_equal(set(&f, "b", SHIFT_FOR_MAX_MS, false), OK);
    assert_int_equal(set(&f, "b", SHIFT_FOR_MIN_MS, false), OK);
    char reason[SHIFT_REASON_MAX + 2];
    memset(reason, 'x', sizeof(reason));
    struct shift_wish w = {SLICE("b"), slice_of(reason, SHIFT_REASON_MAX + 1), 1000, true,
                           SHIFT_BY_OPERATOR};
    assert_int_equal(shift_set(&f.shifts, &w, &f.group, 1, &f.why), ERR_SYNTAX);
    w.reason.n = SHIFT_REASON_MAX;
    assert_int_equal(shift_set(&f.shifts, &w, &f.group, 1, &f.why), OK);
    w.reason = SLICE("two\nlines");
    assert_int_equal(shift_set(&f.shifts, &w, &f.group, 1, &f.why), ERR_SYNTAX);
    w.reason.n = 0;
    assert_int_equal(shift_set(&f.shifts, &w, &f.group, 1, &f.why), ERR_SYNTAX);
    end(&f);
}

static void test_a_zone_that_nobody_knows_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    assert_int_equal(set(&f, "z", 60000, true), ERR_NOT_FOUND);
    assert_string_equal(f.why.p, "no target is in a zone z");
    assert_int_equal(set(&f, "", 60000, true), ERR_NOT_FOUND);
    shift_adopt(&f.shifts, SLICE("z")); /* the node's own is known */
    assert_int_equal(set(&f, "z", 60000, false), OK);
    end(&f);
}

static void test_a_second_zone_needs_force_and_there_is_an_end_to_it(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    assert_int_equal(set(&f, "b", 60000, false), OK);
    assert_int_equal(set(&f, "c", 60000, false), ERR_EXISTS);
    assert_string_equal(f.why.p, "zone b is shifted already");
    assert_int_equal(set(&f, "c", 60000, true), OK);
    assert_true(seen_by_workers(&f, "b") && seen_by_workers(&f, "c"));
    for (unsigned i = 2; i < REGISTRY_SHIFTED_MAX; i++) {
        char zone[8];
        snprintf(zone, sizeof(zone), "n%u", i);
        shift_adopt(&f.shifts, slice_str(zone));
        assert_int_equal(set(&f, zone, 60000, true), OK);
    }
    assert_int_equal(set(&f, "a", 60000, true), ERR_NOMEM);
    at(&f, 1060);
    assert_int_equal(f.shifts.n, 0);
    end(&f);
}

static void test_a_practice_run_gives_way_to_a_shift_that_is_none(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    assert_int_equal(set_practice(&f, "b"), OK);
    assert_int_equal(set_practice(&f, "c"), ERR_EXISTS);
    assert_int_equal(set(&f, "z", 60000, false), ERR_NOT_FOUND);
    assert_true(seen_by_workers(&f, "b"));
    assert_int_equal(set(&f, "c", 60000, false), OK);
    assert_false(seen_by_workers(&f, "b"));
    assert_true(seen_by_workers(&f, "c"));
    assert_int_equal(f.shifts.n, 1);
    assert_int_equal(set_practice(&f, "b"), ERR_EXISTS);
    end(&f);
}

static void test_a_practice_run_becomes_the_operators_when_the_zone_is_the_same(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    assert_int_equal(set_practice(&f, "b"), OK);
    assert_int_equal(set(&f, "b", 60000, false), OK);
    assert_int_equal(f.shifts.n, 1);
    assert_int_equal(f.shifts.all[0].by, SHIFT_BY_OPERATOR);
    end(&f);
}

/* ---- capacity ---- */

static void test_those_who_stay_carry_at_most_half_as_much_again(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    set_all(&f, "110111"); /* 5 for 4: 125 % */
    assert_int_equal(set(&f, "b", 60000, false), OK);
    assert_int_equal(shift_cancel(&f.shifts, SLICE("b"), &f.why), OK);
    set_all(&f, "111110"); /* 5 for 3: 167 % */
    assert_int_equal(set(&f, "b", 60000, false), ERR_LIMIT);
    assert_string_equal(f.why.p, "zone b: target group app would run at 167 % of its present load "
                                 "per target (150 % at most)");
    assert_false(seen_by_workers(&f, "b"));
    assert_int_equal(set(&f, "b", 60000, true), OK);
    end(&f);
}

static void test_a_group_is_not_left_without_a_healthy_target(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    set_all(&f, "001100");
    assert_int_equal(set(&f, "b", 60000, false), ERR_LIMIT);
    assert_string_equal(f.why.p, "zone b: target group app would be left without a healthy target");
    set_all(&f, "000000"); /* it has none anyway */
    assert_int_equal(set(&f, "b", 60000, false), OK);
    end(&f);
}

static void test_groups_that_it_does_not_concern_do_not_count(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    set_all(&f, "111110");
    f.group.used = false;
    assert_int_equal(set(&f, "b", 60000, false), OK);
    assert_int_equal(shift_cancel(&f.shifts, SLICE("b"), &f.why), OK);
    f.group.used = true;
    set_all(&f, "110011"); /* nobody serves there now */
    assert_int_equal(set(&f, "b", 60000, false), OK);
    end(&f);
}

static void test_load_is_a_figure_in_percent_rounded_up(void **state)
{
    (void)state;
    static const struct {
        uint64_t now, left;
        uint32_t want;
    } rows[] = {{0, 0, 0},       {3, 3, 100}, {3, 2, 150},        {151, 100, 151},
                {301, 200, 151}, {4, 2, 200}, {5, 0, UINT32_MAX}, {9, 6, 150}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct shift_group g = {SLICE("g"), rows[i].now, rows[i].left};
        assert_int_equal(shift_load(&g), rows[i].want);
    }
}

static void test_the_worst_group_is_named(void **state)
{
    (void)state;
    struct strbuf why;
    strbuf_init(&why);
    struct shift_group groups[] = {{SLICE("x"), 10, 6}, {SLICE("y"), 10, 5}, {SLICE("z"), 9, 9}};
    assert_int_equal(shift_check(groups, 3, SLICE("b"), &why), ERR_LIMIT);
    assert_non_null(strstr(why.p, "target group y would run at 200 %"));
    assert_int_equal(shift_check(groups, 0, SLICE("b"), &why), OK);
    strbuf_fini(&why);
}

/* ---- holds ---- */

static bool held(struct fixture *f, const char *zone)
{
    return shift_is_held(&f->shifts, slice_str(zone));
}

static void set_and_cancel(struct fixture *f, enum shift_by by)
{
    struct shift_wish w = {SLICE("b"), SLICE("x"), 60000, false, by};
    assert_int_equal(shift_set(&f->shifts, &w, &f->group, 1, &f->why), OK);
    assert_int_equal(shift_cancel(&f->shifts, SLICE("b"), &f->why), OK);
}

static void test_who_cancels_a_shift_of_autoshift_holds_the_zone_until_its_end(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    set_and_cancel(&f, SHIFT_BY_OPERATOR);
    assert_false(held(&f, "b"));
    set_and_cancel(&f, SHIFT_BY_AUTOSHIFT);
    assert_true(held(&f, "b"));
    assert_false(held(&f, "a"));
    at(&f, 1059);
    assert_true(held(&f, "b"));
    at(&f, 1060);
    assert_false(held(&f, "b"));
    end(&f);
}

static void test_a_shift_that_ends_by_itself_holds_nothing(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    struct shift_wish w = {SLICE("b"), SLICE("x"), 60000, false, SHIFT_BY_AUTOSHIFT};
    assert_int_equal(shift_set(&f.shifts, &w, &f.group, 1, &f.why), OK);
    at(&f, 1060);
    assert_int_equal(f.shifts.n, 0);
    assert_int_equal(f.shifts.holds_n, 0);
    end(&f);
}

static bool keep_hold(struct fixture *f, const char *zone, int64_t until_us)
{
    struct shift_hold h = {.until_us = until_us};
    memcpy(h.zone, zone, strlen(zone) + 1);
    return shift_restore_hold(&f->shifts, &h);
}

static void test_holds_that_were_kept_go_on_until_their_end(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    assert_false(keep_hold(&f, "b", 1000 * SECOND)); /* over */
    assert_false(keep_hold(&f, "", 1010 * SECOND));
    assert_false(keep_hold(&f, "b", 1000 * SECOND + (int64_t)SHIFT_FOR_MAX_MS * 1000 + 1));
    assert_int_equal(f.shifts.holds_n, 0);
    assert_true(keep_hold(&f, "b", 1000 * SECOND + (int64_t)SHIFT_FOR_MAX_MS * 1000));
    assert_true(keep_hold(&f, "b", 1010 * SECOND)); /* the last one counts */
    assert_int_equal(f.shifts.holds_n, 1);
    at(&f, 1009);
    assert_true(held(&f, "b"));
    at(&f, 1010);
    assert_false(held(&f, "b"));
    end(&f);
}

static void test_one_hold_too_many_takes_the_place_of_the_one_that_ends_first(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    char zone[] = "z0";
    for (int i = 0; i < REGISTRY_SHIFTED_MAX; i++, zone[1]++)
        assert_true(keep_hold(&f, zone, (i == 3 ? 1010 : 1020 + i) * SECOND));
    assert_true(held(&f, "z3"));
    assert_true(keep_hold(&f, "new", 1015 * SECOND));
    assert_int_equal(f.shifts.holds_n, REGISTRY_SHIFTED_MAX);
    assert_true(held(&f, "new") && held(&f, "z0") && held(&f, "z7"));
    assert_false(held(&f, "z3"));
    end(&f);
}

/* ---- kept on disk ---- */

static void test_what_was_kept_goes_on_until_its_end(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    struct shift kept = {"b", "before the restart", SHIFT_BY_AUTOSHIFT, 900 * SECOND,
                         1010 * SECOND};
    assert_true(shift_restore(&f.shifts, &kept));
    assert_false(shift_restore(&f.shifts, &kept)); /* twice */
    assert_true(seen_by_workers(&f, "b"));
    at(&f, 1010);
    assert_false(seen_by_workers(&f, "b"));
    assert_false(shift_restore(&f.shifts, &kept)); /* expired */
    end(&f);
}

static void test_what_cannot_have_been_kept_is_dropped(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    struct shift good = {"b", "x", SHIFT_BY_OPERATOR, 900 * SECOND, 1010 * SECOND}, bad = good;
    bad.zone[0] = '\0';
    assert_false(shift_restore(&f.shifts, &bad));
    bad = good;
    memset(bad.zone, 'x', sizeof(bad.zone));
    assert_false(shift_restore(&f.shifts, &bad));
    bad = good;
    bad.reason[0] = '\n';
    assert_false(shift_restore(&f.shifts, &bad));
    bad = good;
    bad.until_us = f.loop.clock.wall_us + (int64_t)SHIFT_FOR_MAX_MS * 1000 + 1;
    assert_false(shift_restore(&f.shifts, &bad));
    assert_int_equal(f.changes, 0);
    end(&f);
}

static void test_the_list_is_json(void **state)
{
    (void)state;
    struct fixture f;
    struct strbuf out;
    begin(&f);
    strbuf_init(&out);
    shift_json(&f.shifts, &out);
    assert_string_equal(out.p, "[]");
    out.n = 0;
    assert_int_equal(set(&f, "b", 61500, false), OK);
    shift_json(&f.shifts, &out);
    assert_string_equal(out.p, "[{\"zone\":\"b\",\"reason\":\"broken switch\",\"by\":\"operator\","
                               "\"since\":1000.000,\"until\":1061.500,\"seconds_left\":62}]");
    strbuf_fini(&out);
    end(&f);
}

/* ---- the node's own zone ---- */

static void test_clients_are_told_to_leave_after_the_grace(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    assert_int_equal(set(&f, "a", 3600000, false), OK);
    assert_false(f.registry.shifted.leaving);
    at(&f, 1059);
    assert_false(f.registry.shifted.leaving);
    at(&f, 1060);
    assert_true(f.registry.shifted.leaving);
    shift_adopt(&f.shifts, SLICE("c")); /* a reload says that we are elsewhere */
    assert_false(f.registry.shifted.leaving);
    shift_adopt(&f.shifts, SLICE("a"));
    assert_true(f.registry.shifted.leaving);
    assert_int_equal(shift_cancel(&f.shifts, SLICE("a"), &f.why), OK);
    assert_false(f.registry.shifted.leaving);
    end(&f);
}

static void test_a_short_shift_has_a_short_grace_and_another_zone_none(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    assert_int_equal(set(&f, "a", 20000, false), OK);
    at(&f, 1009);
    assert_false(f.registry.shifted.leaving);
    at(&f, 1010);
    assert_true(f.registry.shifted.leaving);
    at(&f, 1020);
    assert_false(f.registry.shifted.leaving);
    assert_int_equal(set(&f, "b", 20000, false), OK);
    at(&f, 1035);
    assert_false(f.registry.shifted.leaving);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_shift_is_seen_at_once_and_ends_by_itself),
        cmocka_unit_test(test_a_shift_is_cancelled_once),
        cmocka_unit_test(test_the_same_zone_again_gets_the_new_time),
        cmocka_unit_test(test_time_and_reason_have_bounds),
        cmocka_unit_test(test_a_zone_that_nobody_knows_is_refused),
        cmocka_unit_test(test_a_second_zone_needs_force_and_there_is_an_end_to_it),
        cmocka_unit_test(test_a_practice_run_gives_way_to_a_shift_that_is_none),
        cmocka_unit_test(test_a_practice_run_becomes_the_operators_when_the_zone_is_the_same),
        cmocka_unit_test(test_those_who_stay_carry_at_most_half_as_much_again),
        cmocka_unit_test(test_a_group_is_not_left_without_a_healthy_target),
        cmocka_unit_test(test_groups_that_it_does_not_concern_do_not_count),
        cmocka_unit_test(test_load_is_a_figure_in_percent_rounded_up),
        cmocka_unit_test(test_the_worst_group_is_named),
        cmocka_unit_test(test_who_cancels_a_shift_of_autoshift_holds_the_zone_until_its_end),
        cmocka_unit_test(test_a_shift_that_ends_by_itself_holds_nothing),
        cmocka_unit_test(test_holds_that_were_kept_go_on_until_their_end),
        cmocka_unit_test(test_one_hold_too_many_takes_the_place_of_the_one_that_ends_first),
        cmocka_unit_test(test_what_was_kept_goes_on_until_its_end),
        cmocka_unit_test(test_what_cannot_have_been_kept_is_dropped),
        cmocka_unit_test(test_the_list_is_json),
        cmocka_unit_test(test_clients_are_told_to_leave_after_the_grace),
        cmocka_unit_test(test_a_short_shift_has_a_short_grace_and_another_zone_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
