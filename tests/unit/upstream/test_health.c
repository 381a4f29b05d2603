/* health_step as a truth table: a row is a history of results and what it leads to.
 * Results: p pass, m wrong code, t timeout, r reset, f failed, i internal, - none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "upstream/health.h"

static enum health_result result_of(char c)
{
    switch (c) {
    case 'p':
        return HEALTH_RESULT_PASS;
    case 'm':
        return HEALTH_RESULT_MISMATCH;
    case 't':
        return HEALTH_RESULT_TIMEOUT;
    case 'r':
        return HEALTH_RESULT_RESET;
    case 'f':
        return HEALTH_RESULT_FAILED;
    case 'i':
        return HEALTH_RESULT_INTERNAL;
    default:
        return HEALTH_RESULT_NONE;
    }
}

static struct health after(const char *history, uint32_t healthy, uint32_t unhealthy)
{
    struct config_health_check c = {.healthy_threshold = healthy, .unhealthy_threshold = unhealthy};
    struct health h = {0};
    for (const char *p = history; *p; p++)
        h = health_step(h, &c, result_of(*p), *p == 'm' ? 404 : 200);
    return h;
}

struct row {
    const char *history;
    uint32_t healthy, unhealthy;
    const char *state, *reason;
};

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct health h = after(rows[i].history, rows[i].healthy, rows[i].unhealthy);
        struct slice state = health_state_name(h.state), reason = health_reason(&h);
        if (!slice_eq(state, slice_str(rows[i].state)) ||
            !slice_eq(reason, slice_str(rows[i].reason)))
            fail_msg("\"%s\" with %u/%u: %.*s %.*s, not %s %s", rows[i].history, rows[i].healthy,
                     rows[i].unhealthy, (int)state.n, state.p, (int)reason.n, reason.p,
                     rows[i].state, rows[i].reason);
    }
}

#define INITIAL  "initial", "Elb.InitialHealthChecking"
#define HEALTHY  "healthy", ""
#define MISMATCH "unhealthy", "Target.ResponseCodeMismatch"
#define TIMEOUT  "unhealthy", "Target.Timeout"
#define FAILED   "unhealthy", "Target.FailedHealthChecks"

static void test_a_new_target_is_healthy_at_its_first_success(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"", 5, 2, INITIAL},     {"p", 5, 2, HEALTHY},   {"p", 1, 1, HEALTHY},
        {"fp", 5, 2, HEALTHY},   {"ttp", 5, 3, HEALTHY}, {"p", 1000, 1000, HEALTHY},
        {"ip", 5, 2, HEALTHY},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_a_new_target_is_unhealthy_after_the_threshold(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"f", 5, 2, INITIAL},  {"ff", 5, 2, FAILED},  {"f", 5, 1, FAILED},
        {"fft", 5, 3, TIMEOUT}, {"ft", 5, 3, INITIAL}, {"tm", 5, 2, MISMATCH},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_a_healthy_target_falls_after_failures_in_a_row_only(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"pf", 5, 2, HEALTHY},     {"pff", 5, 2, FAILED},      {"pfpf", 5, 2, HEALTHY},
        {"pfpfpf", 5, 2, HEALTHY}, {"pfpff", 5, 2, FAILED},    {"ptmf", 5, 3, FAILED},
        {"pfft", 5, 3, TIMEOUT},   {"pm", 5, 1, MISMATCH},     {"pff", 5, 3, HEALTHY},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_an_unhealthy_target_comes_back_after_successes_in_a_row_only(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"ffp", 2, 2, FAILED},     {"ffpp", 2, 2, HEALTHY},  {"ffppp", 4, 2, FAILED},
        {"ffpppp", 4, 2, HEALTHY}, {"ffpfp", 2, 2, FAILED},  {"ffpfpp", 2, 2, HEALTHY},
        {"fp", 1, 1, HEALTHY},     {"ffptp", 2, 2, TIMEOUT}, {"ffpppff", 3, 2, FAILED},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_the_reason_is_the_last_failure(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"fft", 5, 2, TIMEOUT}, {"fftm", 5, 2, MISMATCH}, {"ttf", 5, 2, FAILED},
        {"mmp", 5, 2, MISMATCH}, {"mmr", 5, 2, FAILED}, {"rr", 5, 2, FAILED},
    };
    check_rows(rows, ARRAY_LEN(rows));
    assert_int_equal(after("mm", 5, 2).status, 404);
    assert_int_equal(after("mmt", 5, 2).status, 0);
}

static void test_what_we_could_not_ask_changes_nothing(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"iiii", 1, 1, INITIAL},  {"piiii", 1, 1, HEALTHY}, {"fii-", 5, 2, INITIAL},
        {"fif", 5, 2, FAILED},    {"ffpip", 2, 2, HEALTHY}, {"pfif", 5, 2, FAILED},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_a_threshold_that_was_lowered_meanwhile_counts_at_the_next_result(void **state)
{
    (void)state;
    struct config_health_check c = {.healthy_threshold = 5, .unhealthy_threshold = 1};
    struct health h = after("pfff", 5, 9);
    assert_int_equal(h.state, HEALTH_HEALTHY);
    assert_int_equal(health_step(h, &c, HEALTH_RESULT_FAILED, 0).state, HEALTH_UNHEALTHY);
}

static void test_each_result_has_elbs_word(void **state)
{
    (void)state;
    static const struct {
        char result;
        const char *word;
    } rows[] = {
        {'p', ""},          {'-', ""},           {'m', "ResponseCodeMismatch"},
        {'t', "TimedOut"},  {'r', "ConnectionReset"}, {'f', "TargetError"},
        {'i', "InternalError"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice word = health_result_name(result_of(rows[i].result));
        assert_true(slice_eq(word, slice_str(rows[i].word)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_target_is_healthy_at_its_first_success),
        cmocka_unit_test(test_a_new_target_is_unhealthy_after_the_threshold),
        cmocka_unit_test(test_a_healthy_target_falls_after_failures_in_a_row_only),
        cmocka_unit_test(test_an_unhealthy_target_comes_back_after_successes_in_a_row_only),
        cmocka_unit_test(test_the_reason_is_the_last_failure),
        cmocka_unit_test(test_each_result_has_elbs_word),
        cmocka_unit_test(test_what_we_could_not_ask_changes_nothing),
        cmocka_unit_test(test_a_threshold_that_was_lowered_meanwhile_counts_at_the_next_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
