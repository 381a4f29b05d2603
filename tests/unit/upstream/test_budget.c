#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "upstream/budget.h"

#define SPAN_MS ((uint64_t)BUDGET_SLOTS * BUDGET_SLOT_MS)

static void requests(struct budget *b, unsigned n, uint64_t now_ms)
{
    while (n-- > 0)
        budget_request(b, now_ms);
}

/* How many replays are allowed now; they are spent. */
static unsigned spend(struct budget *b, struct budget_rule rule, uint64_t now_ms)
{
    unsigned n = 0;
    while (n < 10000 && budget_replay(b, rule, now_ms))
        n++;
    return n;
}

static void test_the_larger_of_share_and_minimum_is_allowed(void **state)
{
    (void)state;
    static const struct {
        unsigned requests;
        struct budget_rule rule;
        unsigned allowed;
    } rows[] = {
        {0, {20, 10}, 10},  {49, {20, 10}, 10},    {54, {20, 10}, 10},    {55, {20, 10}, 11},
        {100, {20, 10}, 20}, {100, {0, 10}, 10},   {100, {0, 0}, 0},      {0, {100, 0}, 0},
        {7, {100, 0}, 7},   {199, {1, 0}, 1},      {99, {1, 0}, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct budget b = {0};
        requests(&b, rows[i].requests, 5000);
        assert_int_equal(spend(&b, rows[i].rule, 5000), rows[i].allowed);
        assert_int_equal(spend(&b, rows[i].rule, 5999), 0);
    }
}

static void test_requests_and_replays_are_forgotten_after_the_span(void **state)
{
    (void)state;
    const struct budget_rule rule = {50, 0};
    struct budget b = {0};
    requests(&b, 10, 1000);
    assert_int_equal(spend(&b, rule, 1000), 5);
    assert_int_equal(spend(&b, rule, 1000 + SPAN_MS - 1), 0);
    requests(&b, 10, 1000 + SPAN_MS - 1);
    assert_int_equal(spend(&b, rule, 1000 + SPAN_MS - 1), 5);
    assert_int_equal(spend(&b, rule, 1000 + SPAN_MS), 0); /* the first ten and five have left */
    assert_int_equal(spend(&b, rule, 1000 + 3 * SPAN_MS), 0);
}

static void test_a_steady_stream_gets_its_share_and_no_more(void **state)
{
    (void)state;
    const struct budget_rule rule = {20, 0};
    struct budget b = {0};
    unsigned allowed = 0;
    for (uint64_t ms = 0; ms < 60000; ms += 10) {
        budget_request(&b, ms);
        allowed += budget_replay(&b, rule, ms);
    }
    assert_in_range(allowed, 6000 / 5 - 20, 6000 / 5 + 200);
}

static void test_every_jump_of_the_clock_keeps_the_sums_right(void **state)
{
    (void)state;
    const struct budget_rule rule = {100, 0};
    for (uint64_t gap = 1; gap < 2 * SPAN_MS; gap += 97) {
        struct budget b = {0};
        requests(&b, 3, 10);
        requests(&b, 4, 10 + gap);
        unsigned old = (10 + gap) / BUDGET_SLOT_MS >= BUDGET_SLOTS ? 0 : 3;
        assert_int_equal(spend(&b, rule, 10 + gap), old + 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_larger_of_share_and_minimum_is_allowed),
        cmocka_unit_test(test_requests_and_replays_are_forgotten_after_the_span),
        cmocka_unit_test(test_a_steady_stream_gets_its_share_and_no_more),
        cmocka_unit_test(test_every_jump_of_the_clock_keeps_the_sums_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
