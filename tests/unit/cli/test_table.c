#include "cli/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

static void assert_prints(struct table *t, const char *want)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    table_print(t, f);
    fclose(f);
    assert_string_equal(text, want);
    free(text);
    table_fini(t);
}

static const char *const heads[] = {"NAME", ">COUNT", "NOTE", NULL};

static void test_columns_are_as_wide_as_their_widest_cell(void **state)
{
    (void)state;
    struct table t;
    table_init(&t, heads);
    table_add(&t, "a long name");
    table_add_number(&t, 7);
    table_add(&t, "x");
    table_add(&t, "b");
    table_add_number(&t, 18446744073709551615u);
    table_add(&t, "");
    assert_prints(&t, "NAME                        COUNT  NOTE\n"
                      "a long name                     7  x\n"
                      "b            18446744073709551615  \n");
}

static void test_a_table_without_rows_is_its_head(void **state)
{
    (void)state;
    struct table t;
    table_init(&t, heads);
    assert_prints(&t, "NAME  COUNT  NOTE\n");
}

static void test_characters_count_not_bytes(void **state)
{
    (void)state;
    struct table t;
    table_init(&t, heads);
    table_add(&t, "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9");
    table_add_number(&t, 1);
    table_add(&t, "y");
    assert_prints(&t, "NAME   COUNT  NOTE\n"
                      "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9      1  y\n");
}

static void test_hundreds_of_rows(void **state)
{
    (void)state;
    struct table t;
    table_init(&t, heads);
    for (unsigned i = 0; i < 500; i++) {
        table_add(&t, "n");
        table_add_number(&t, i);
        table_add(&t, "");
    }
    assert_int_equal(t.cells_n, 3 * 501);
    table_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(test_a_table_without_rows_is_its_head),
        cmocka_unit_test(test_characters_count_not_bytes),
        cmocka_unit_test(test_hundreds_of_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
