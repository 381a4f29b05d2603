#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "upstream/discover.h"

/* Answers and what is known are written as words: "1 2 6:3" are 10.0.0.1, 10.0.0.2 and fd00::3. */

static struct addr addr_of(const char *word)
{
    char text[32];
    struct addr a;
    if (strchr(word, ':'))
        snprintf(text, sizeof(text), "fd00::%s", word + 2);
    else if (strchr(word, '.'))
        snprintf(text, sizeof(text), "%s", word);
    else
        snprintf(text, sizeof(text), "10.0.0.%s", word);
    assert_int_equal(addr_parse_ip(&a, slice_str(text), 80), OK);
    return a;
}

static size_t targets_of(const char *words, struct discover_target *to, size_t max)
{
    char copy[128], *rest = copy, *word;
    size_t n = 0;
    snprintf(copy, sizeof(copy), "%s", words);
    while ((word = strsep(&rest, " ")))
        if (*word) {
            assert_true(n < max);
            to[n++] = (struct discover_target){.addr = addr_of(word), .host = "h", .weight = 1};
        }
    return n;
}

static bool take_with(struct discover *d, const char *words, const struct discover_gap *gap,
                      uint64_t now_ms, uint64_t hold_ms)
{
    struct discover_target t[16];
    const struct discover_answer a = {
        .targets = t,
        .targets_n = targets_of(words, t, ARRAY_LEN(t)),
        .gaps = gap,
        .gaps_n = gap ? 1 : 0,
    };
    return discover_take(d, &a, now_ms, hold_ms);
}

static bool take(struct discover *d, const char *words)
{
    return take_with(d, words, NULL, 0, 0);
}

static const char *known(const struct discover *d)
{
    static char text[256];
    *text = '\0';
    for (size_t i = 0; i < d->known_n; i++) {
        char one[ADDR_TEXT_MAX + 1];
        one[addr_format_ip(&d->known[i].addr, one)] = '\0';
        const char *short_one = strncmp(one, "fd00::", 6) == 0 ? one + 4 : strrchr(one, '.') + 1;
        sprintf(text + strlen(text), "%s%s%s", *text ? " " : "", *short_one == ':' ? "6" : "",
                *short_one == ':' ? short_one + 1 : short_one);
    }
    return text;
}

/* ---- tests ---- */

/* A word for each answer and what is known after it; `-` is no answer. */
static void test_the_truth_table(void **state)
{
    static const struct {
        const char *answers[6], *known[6];
    } rows[] = {
        {{"1", "1", "1"}, {"1", "1", "1"}},
        {{"1", "1 2", "2 1"}, {"1", "1 2", "1 2"}},
        {{"1 2", "1", "1"}, {"1 2", "1 2", "1"}},
        {{"1 2", "1", "1 2", "1", "1"}, {"1 2", "1 2", "1 2", "1 2", "1"}},
        {{"1", "2", "2"}, {"1", "1 2", "2"}},
        {{"1", "", "", "", ""}, {"1", "1", "1", "1", "1"}},
        {{"1 2", "1", "", "", "1"}, {"1 2", "1 2", "1 2", "1 2", "1"}},
        {{"", "1"}, {"", "1"}},
        {{"1 1 1"}, {"1"}},
        {{"1 6:1", "6:1", "6:1"}, {"1 6:1", "1 6:1", "6:1"}},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct discover d;
        discover_init(&d);
        for (size_t j = 0; j < 6 && rows[i].known[j]; j++) {
            char before[256];
            strcpy(before, known(&d));
            bool changed = take(&d, rows[i].answers[j]);
            assert_string_equal(known(&d), rows[i].known[j]);
            assert_int_equal(changed, strcmp(before, known(&d)) != 0);
        }
        discover_fini(&d);
    }
}

static void test_what_cannot_be_a_target_is_no_answer(void **state)
{
    (void)state;
    static const char *const bad[] = {"0.0.0.0", "224.0.0.1", "239.1.1.1", "255.255.255.255"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct discover d;
        char with[32];
        discover_init(&d);
        snprintf(with, sizeof(with), "%s 1", bad[i]);
        assert_true(take(&d, with));
        assert_string_equal(known(&d), "1");
        assert_false(take(&d, bad[i]));
        assert_int_equal(d.failures, 1);
        assert_string_equal(known(&d), "1");
        discover_fini(&d);
    }
}

static void test_half_an_answer_leaves_the_other_half_alone(void **state)
{
    (void)state;
    const struct discover_gap six = {"h", AF_INET6}, four = {"h", AF_INET}, other = {"o", AF_INET6};
    struct discover d;
    discover_init(&d);
    take(&d, "1 2 6:1");
    for (int i = 0; i < 5; i++)
        assert_int_equal(take_with(&d, "1", &six, 0, 0), i == 1);
    assert_string_equal(known(&d), "1 6:1");
    for (int i = 0; i < 5; i++)
        assert_false(take_with(&d, "6:1", &four, 0, 0));
    assert_string_equal(known(&d), "1 6:1");
    assert_false(take_with(&d, "1", &other, 0, 0)); /* of another host: says nothing about this */
    assert_true(take_with(&d, "1", &other, 0, 0));
    assert_string_equal(known(&d), "1");
    discover_fini(&d);
}

static void test_hold_keeps_what_is_missing_for_as_long(void **state)
{
    (void)state;
    struct discover d;
    discover_init(&d);
    take(&d, "1 2");
    assert_false(take_with(&d, "1", NULL, 1000, 5000));
    assert_false(take_with(&d, "1", NULL, 3000, 5000));
    assert_false(take_with(&d, "1", NULL, 5999, 5000));
    assert_true(take_with(&d, "1", NULL, 6000, 5000));
    assert_string_equal(known(&d), "1");
    take(&d, "1 2");
    assert_false(take_with(&d, "1", NULL, 7000, 5000));
    take(&d, "1 2"); /* back: the time begins anew */
    assert_false(take_with(&d, "1", NULL, 13000, 5000));
    assert_false(take_with(&d, "1", NULL, 17999, 5000));
    discover_fini(&d);
}

static void test_another_weight_priority_or_host_is_a_change(void **state)
{
    (void)state;
    struct discover d;
    struct discover_target t = {.addr = addr_of("1"), .host = "h", .weight = 1};
    const struct discover_answer a = {.targets = &t, .targets_n = 1};
    discover_init(&d);
    assert_true(discover_take(&d, &a, 0, 0));
    assert_false(discover_take(&d, &a, 0, 0));
    t.weight = 2;
    assert_true(discover_take(&d, &a, 0, 0));
    t.priority = 1;
    assert_true(discover_take(&d, &a, 0, 0));
    t.host = "other";
    assert_true(discover_take(&d, &a, 0, 0));
    assert_false(discover_take(&d, &a, 0, 0));
    assert_string_equal(d.known[0].host, "other");
    assert_int_equal(d.known[0].weight, 2);
    assert_int_equal(d.known[0].priority, 1);
    discover_fini(&d);
}

static void test_the_next_question_waits_for_the_time_to_live_within_bounds(void **state)
{
    static const struct {
        uint32_t ttl_s, least, most;
    } rows[] = {{0, 1000, 1050},       {1, 1000, 1050},         {30, 30000, 31500},
                {300, 300000, 315000}, {301, 300000, 315000}, {UINT32_MAX, 300000, 315000}};
    (void)state;
    struct discover d = {0};
    struct rng rng = {5};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint32_t least = UINT32_MAX, most = 0;
        for (int j = 0; j < 500; j++) {
            uint32_t ms = discover_wait_ms(&d, rows[i].ttl_s, &rng);
            least = ms < least ? ms : least;
            most = ms > most ? ms : most;
        }
        assert_true(least >= rows[i].least && most <= rows[i].most);
        if (rows[i].ttl_s >= 30)
            assert_true(most - least > rows[i].least / 30); /* jitter */
    }
}

static void test_failures_wait_twice_as_long_each_up_to_a_minute(void **state)
{
    (void)state;
    struct discover d = {0};
    struct rng rng = {5};
    for (d.failures = 1; d.failures < 100; d.failures++) {
        uint32_t base = d.failures < 7 ? 1000u << (d.failures - 1) : 60000;
        base = base > 60000 ? 60000 : base;
        uint32_t ms = discover_wait_ms(&d, 300, &rng);
        assert_true(ms >= base && ms <= base + base / 20);
    }
}

/* Whatever is answered: nothing is known twice, and nothing is lost while answers say nothing. */
static void test_random_answers_never_empty_or_repeat_what_is_known(void **state)
{
    (void)state;
    struct rng rng = {11};
    struct discover d;
    discover_init(&d);
    take(&d, "1");
    for (int round = 0; round < 5000; round++) {
        char words[128] = "";
        for (unsigned i = rng_below(&rng, 12); i > 0; i--)
            sprintf(words + strlen(words), "%u ", 1 + rng_below(&rng, 20));
        size_t before = d.known_n;
        bool nothing = *words == '\0';
        (void)take_with(&d, words, NULL, (uint64_t)round, rng_below(&rng, 4));
        assert_true(d.known_n > 0);
        if (nothing)
            assert_int_equal(d.known_n, before);
        for (size_t i = 0; i < d.known_n; i++)
            for (size_t j = 0; j < i; j++)
                assert_false(addr_eq(&d.known[i].addr, &d.known[j].addr));
    }
    discover_fini(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_truth_table),
        cmocka_unit_test(test_what_cannot_be_a_target_is_no_answer),
        cmocka_unit_test(test_half_an_answer_leaves_the_other_half_alone),
        cmocka_unit_test(test_hold_keeps_what_is_missing_for_as_long),
        cmocka_unit_test(test_another_weight_priority_or_host_is_a_change),
        cmocka_unit_test(test_the_next_question_waits_for_the_time_to_live_within_bounds),
        cmocka_unit_test(test_failures_wait_twice_as_long_each_up_to_a_minute),
        cmocka_unit_test(test_random_answers_never_empty_or_repeat_what_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
