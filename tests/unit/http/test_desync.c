#include "http/desync.h"

#include "heads.h"

static void test_each_mode_does_what_the_table_says(void **state)
{
    (void)state;
    static const enum desync_action table[][4] = {
        [DESYNC_MODE_MONITOR] = {DESYNC_PASS, DESYNC_PASS, DESYNC_PASS, DESYNC_PASS},
        [DESYNC_MODE_DEFENSIVE] = {DESYNC_PASS, DESYNC_PASS, DESYNC_PASS_AND_CLOSE, DESYNC_REFUSE},
        [DESYNC_MODE_STRICTEST] = {DESYNC_PASS, DESYNC_REFUSE, DESYNC_REFUSE, DESYNC_REFUSE},
    };
    for (unsigned mode = 0; mode < ARRAY_LEN(table); mode++)
        for (unsigned cls = DESYNC_COMPLIANT; cls <= DESYNC_SEVERE; cls++)
            assert_int_equal(desync_action(mode, cls), table[mode][cls]);
}

static void test_each_cause_has_a_name_of_its_own_and_a_class(void **state)
{
    (void)state;
    for (unsigned c = 0; c < DESYNC_CAUSE_COUNT; c++) {
        assert_int_equal(desync_class_of(c) == DESYNC_COMPLIANT, c == DESYNC_NONE);
        assert_int_equal(desync_cause_name(c)[0] == '\0', c == DESYNC_NONE);
        for (unsigned other = 0; other < c; other++)
            assert_string_not_equal(desync_cause_name(c), desync_cause_name(other));
    }
    assert_string_equal(desync_class_name(DESYNC_COMPLIANT), "");
    assert_string_equal(desync_class_name(DESYNC_SEVERE), "Severe");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_mode_does_what_the_table_says),
        cmocka_unit_test(test_each_cause_has_a_name_of_its_own_and_a_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
