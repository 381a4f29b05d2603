#include "server/zone_health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "support/zone_world.h"

struct row {
    const char *states; /* of targets in a, a, a, b */
    const char *zone;
    uint32_t count, percent;
    const char *why; /* NULL: well */
};

static void test_a_zone_is_well_while_it_has_its_minimum(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"1000", "a", 1, 0, NULL},
        {"0001", "a", 1, 0, "group app: 0 of 3 targets of zone a healthy, at least 1 needed\n"},
        {"1101", "a", 2, 0, NULL},
        {"1001", "a", 2, 0, "group app: 1 of 3 targets of zone a healthy, at least 2 needed\n"},
        {"1101", "a", 1, 66, NULL},
        {"1101", "a", 1, 67,
         "group app: 2 of 3 targets of zone a healthy, at least 1 and 67 % needed\n"},
        {"1ed1", "a", 1, 50, NULL}, /* one is gone, of two one is ejected */
        {"dddd", "a", 1, 0, "group app: 0 of 0 targets of zone a healthy, at least 1 needed\n"},
        {"ii00", "a", 1, 0, "group app: 0 of 3 targets of zone a healthy, at least 1 needed\n"},
        {"1111", "c", 1, 0, "group app: 0 of 0 targets of zone c healthy, at least 1 needed\n"},
        {"0001", "", 1, 0, NULL},
        {"0000", "", 1, 0, "group app: 0 of 4 targets healthy, at least 1 needed\n"},
    };
    struct zone_world w;
    struct strbuf why;
    zone_world_init(&w, "aaab", (struct config_group_attributes){0}, "a");
    strbuf_init(&why);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct config_threshold least = {rows[i].count, rows[i].percent};
        why.n = 0;
        zone_world_states(&w, rows[i].states);
        bool well = zone_health_of(&w.group, &least, slice_str(rows[i].zone), &why);
        assert_int_equal(well, rows[i].why == NULL);
        if (rows[i].why)
            assert_string_equal(why.p, rows[i].why);
    }
    strbuf_fini(&why);
    zone_world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_zone_is_well_while_it_has_its_minimum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
