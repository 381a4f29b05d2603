/* When practice runs are, and whose turn it is. The runs themselves: test_autoshift.c. */
#include "upstream/practice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"

#define DAY    86400ll
#define MONDAY (4 * DAY) /* 5 January 1970 */

static void test_weeks_begin_at_the_set_time(void **state)
{
    (void)state;
    static const struct {
        uint32_t at_s;
        int64_t now_s;
        uint64_t week;
    } rows[] = {
        {0, 0, 0},
        {0, MONDAY - 1, 0},
        {0, MONDAY, 1},
        {0, MONDAY + 7 * DAY - 1, 1},
        {0, MONDAY + 7 * DAY, 2},
        {86400 + 36000, MONDAY + DAY + 35999, 0}, /* Tuesday, 09:59:59 */
        {86400 + 36000, MONDAY + DAY + 36000, 1},
        {7 * 86400 - 1, MONDAY + 7 * DAY - 2, 0},
        {7 * 86400 - 1, MONDAY + 7 * DAY - 1, 1},
        {7 * 86400 - 1, 0, 0}, /* before the first one: no such week */
        {0, 1790035200, 2960}, /* Tuesday, 22 September 2026 */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t week = practice_week(rows[i].at_s, rows[i].now_s * 1000000);
        if (week != rows[i].week)
            fail_msg("row %zu: %llu", i, (unsigned long long)week);
    }
}

static void test_zones_take_turns_by_name_in_whatever_order_they_come(void **state)
{
    (void)state;
    static const struct group_zone zones[] = {
        {.name = SLICE_INIT("b")}, {.name = SLICE_INIT("ab")}, {.name = SLICE_INIT("a")}};
    static const size_t turns[] = {2, 1, 0, 2, 1, 0};
    for (uint64_t week = 0; week < ARRAY_LEN(turns); week++)
        assert_int_equal(practice_turn(zones, 3, week), turns[week]);
    assert_int_equal(practice_turn(zones, 1, 2960), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weeks_begin_at_the_set_time),
        cmocka_unit_test(test_zones_take_turns_by_name_in_whatever_order_they_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
