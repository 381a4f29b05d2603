#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/check.h"
#include "proxy/retry.h"

/* Written out, not computed: the order is written, received, idempotent, body, raw. */
static const struct row {
    bool written, received, idempotent, body, raw, allowed;
} table[] = {
    {0, 0, 0, 0, 0, true},  {0, 0, 0, 0, 1, true},  {0, 0, 0, 1, 0, true},  {0, 0, 0, 1, 1, true},
    {0, 0, 1, 0, 0, true},  {0, 0, 1, 0, 1, true},  {0, 0, 1, 1, 0, true},  {0, 0, 1, 1, 1, true},
    {0, 1, 0, 0, 0, false}, {0, 1, 0, 0, 1, false}, {0, 1, 0, 1, 0, false}, {0, 1, 0, 1, 1, false},
    {0, 1, 1, 0, 0, false}, {0, 1, 1, 0, 1, false}, {0, 1, 1, 1, 0, false}, {0, 1, 1, 1, 1, false},
    {1, 0, 0, 0, 0, false}, {1, 0, 0, 0, 1, false}, {1, 0, 0, 1, 0, false}, {1, 0, 0, 1, 1, false},
    {1, 0, 1, 0, 0, true},  {1, 0, 1, 0, 1, false}, {1, 0, 1, 1, 0, false}, {1, 0, 1, 1, 1, false},
    {1, 1, 0, 0, 0, false}, {1, 1, 0, 0, 1, false}, {1, 1, 0, 1, 0, false}, {1, 1, 0, 1, 1, false},
    {1, 1, 1, 0, 0, false}, {1, 1, 1, 0, 1, false}, {1, 1, 1, 1, 0, false}, {1, 1, 1, 1, 1, false},
};

static struct retry_facts facts(const struct row *r)
{
    return (struct retry_facts){
        .any_byte_written = r->written,
        .any_byte_received = r->received,
        .idempotent = r->idempotent,
        .has_body = r->body,
        .raw = r->raw,
    };
}

static unsigned place(const struct row *r)
{
    return r->written * 16u + r->received * 8u + r->idempotent * 4u + r->body * 2u + r->raw;
}

static void test_the_table_has_each_of_the_32_cases_once(void **state)
{
    (void)state;
    assert_int_equal(ARRAY_LEN(table), 32);
    for (unsigned i = 0; i < ARRAY_LEN(table); i++)
        assert_int_equal(place(&table[i]), i);
}

static void test_a_retry_is_allowed_exactly_where_the_table_says_so(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(table); i++) {
        struct retry_facts f = facts(&table[i]);
        if (retry_allowed(&f) != table[i].allowed)
            fail_msg("row %u", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_has_each_of_the_32_cases_once),
        cmocka_unit_test(test_a_retry_is_allowed_exactly_where_the_table_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
