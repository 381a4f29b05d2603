#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/hash.h"
#include "proxy/pattern.h"

struct row {
    const char *pattern, *text;
    bool match;
};

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (pattern_match(slice_str(rows[i].pattern), slice_str(rows[i].text)) != rows[i].match)
            fail_msg("'%s' on '%s': expected %d", rows[i].pattern, rows[i].text, rows[i].match);
}

static void test_a_pattern_without_wildcards_matches_itself_only(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"", "", true},       {"", "a", false},       {"a", "", false},      {"abc", "abc", true},
        {"abc", "ab", false}, {"abc", "abcd", false}, {"abc", "ABC", false},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_a_star_stands_for_any_bytes_or_none(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"*", "", true},
        {"*", "a/b.c", true},
        {"**", "", true},
        {"a*", "a", true},
        {"a*", "b", false},
        {"a*", "", false},
        {"*a", "a", true},
        {"*a", "ba", true},
        {"*a", "ab", false},
        {"a*b", "ab", true},
        {"a*b", "a/x/y.b", true},
        {"a*b", "a", false},
        {"ab*ba", "aba", false},
        {"ab*ba", "abba", true},
        {"/api/*", "/api/", true},
        {"/api/*", "/api", false},
        {"/*/x", "/a/b/x", true},
        {"/img/*.png", "/img/a/b.png", true},
        {"/img/*.png", "/img/.png", true},
        {"/img/*.png", "/img/png", false},
        {"*.x.com", "a.x.com", true},
        {"*.x.com", "a.b.x.com", true},
        {"*.x.com", ".x.com", true},
        {"*.x.com", "x.com", false},
        {"*a*b*c*", "xaxbxcx", true},
        {"*a*b*c*", "xaxcxbx", false},
        {"a*a", "a", false},
        {"*aab*", "aaab", true},
        {"*aab", "aabaab", true},
        {"a***b", "ab", true},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_a_question_mark_stands_for_exactly_one_byte(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"?", "", false},        {"?", "a", true},         {"?", "/", true},
        {"?", "ab", false},      {"a?c", "abc", true},     {"a?c", "ac", false},
        {"a?c", "a/c", true},    {"?*", "", false},        {"?*", "a", true},
        {"*?", "", false},       {"*?", "ab", true},       {"*?*?*", "a", false},
        {"*?*?*", "ab", true},   {"*a?c*", "xabcx", true}, {"*a?c", "aac", true},
        {"*a?c", "aacx", false}, {"*?b*", "b", false},     {"*?b*", "ab", true},
        {"a?*c", "ac", false},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_wildcards_in_the_text_are_ordinary_bytes(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"*", "*", true}, {"a", "*", false},  {"a", "?", false},
        {"?", "*", true}, {"a*", "*", false},
    };
    check_rows(rows, ARRAY_LEN(rows));
    assert_true(pattern_match(SLICE("a*\0?z"), SLICE("a-\0\xff"
                                                     "z")));
}

/* The definition, written down naively: exponential, but obviously right. */
static bool reference(struct slice p, struct slice t)
{
    if (p.n == 0)
        return t.n == 0;
    if (p.p[0] == '*')
        return reference(slice_from(p, 1), t) || (t.n && reference(p, slice_from(t, 1)));
    return t.n && (p.p[0] == '?' || p.p[0] == t.p[0]) &&
           reference(slice_from(p, 1), slice_from(t, 1));
}

static struct slice random_text(struct rng *rng, char *to, size_t max, const char *alphabet)
{
    size_t n = rng_below(rng, (uint32_t)max + 1);
    for (size_t i = 0; i < n; i++)
        to[i] = alphabet[rng_below(rng, (uint32_t)strlen(alphabet))];
    return slice_of(to, n);
}

static void test_random_patterns_agree_with_the_definition(void **state)
{
    (void)state;
    struct rng rng = {11};
    unsigned matches = 0;
    for (int i = 0; i < 200000; i++) {
        char a[8], b[12];
        struct slice p = random_text(&rng, a, sizeof(a), "ab*?*");
        struct slice t = random_text(&rng, b, sizeof(b), "aab");
        bool want = reference(p, t);
        if (pattern_match(p, t) != want)
            fail_msg("'%.*s' on '%.*s': expected %d", (int)p.n, p.p, (int)t.n, t.p, want);
        matches += want;
    }
    assert_in_range(matches, 20000, 180000);
}

/* A backtracking matcher would need 2^60 steps here. */
static void test_many_stars_on_a_long_text_take_no_time(void **state)
{
    (void)state;
    enum { N = 16384 };
    static char text[N];
    memset(text, 'a', N);
    clock_t begin = clock();
    assert_false(pattern_match(SLICE("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b"), slice_of(text, N)));
    assert_false(pattern_match(SLICE("*?a*?a*?a*?a*?a*?a*?a*?a*?a*?ab*a"), slice_of(text, N)));
    text[N - 1] = 'b';
    assert_true(pattern_match(SLICE("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b"), slice_of(text, N)));
    assert_true((clock() - begin) < CLOCKS_PER_SEC);
}

static void test_head_and_tail_are_the_literal_ends(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *head, *tail;
        bool literal;
    } rows[] = {
        {"", "", "", true},           {"abc", "abc", "abc", true}, {"*", "", "", false},
        {"/a*b?c", "/a", "c", false}, {"?x", "", "x", false},      {"x?", "x", "", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice p = slice_str(rows[i].pattern);
        assert_true(slice_eq(pattern_head(p), slice_str(rows[i].head)));
        assert_true(slice_eq(pattern_tail(p), slice_str(rows[i].tail)));
        assert_int_equal(pattern_is_literal(p), rows[i].literal);
    }
}

static void test_a_pattern_meets_the_names_of_certificates(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool meets;
    } rows[] = {
        {"a.test", "a.test", true},
        {"a.test", "b.test", false},
        {"a.test", "test", false},
        {"*", "a.test", true},
        {"*.test", "a.test", true},
        {"*.a.test", "a.test", false},
        {"?.test", "a.test", true},
        {"?.test", "aa.test", false},
        {"a.*", "a.test", true},
        {"a.test", "*.test", true},
        {"a.b.test", "*.test", false},
        {"test", "*.test", false},
        {".test", "*.test", false},
        {"a.tes", "*.test", false},
        {"a.testt", "*.test", false},
        {"*", "*.test", true},
        {"**", "*.test", true},
        {"?*", "*.test", true},
        {"*.test", "*.test", true},
        {"*.b.test", "*.test", false},
        {"*b.test", "*.test", true},
        {"*.b.test", "*.b.test", true},
        {"*.test", "*.b.test", true},
        {"*.?.test", "*.test", false},
        {"*.?.test", "*.b.test", true},
        {"?.test", "*.test", true},
        {"?test", "*.test", false},
        {"??test", "*.test", true},
        {"a?test", "*.test", true},
        {"a?b?test", "*.test", true},
        {"a.b?test", "*.test", false},
        {"a*.test", "*.test", true},
        {"a*z.test", "*.test", true},
        {"a.*z.test", "*.test", false},
        {"*a*t", "*.test", true},
        {"*x", "*.test", false},
        {"a*", "*.test", true},
        {"a.*", "*.test", true},
        {"a.x*", "*.test", false},
        {"", "*.test", false},
        {"*.", "*.test", false},
        {"?", "*.test", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice p = slice_str(rows[i].pattern), name = slice_str(rows[i].name);
        if (pattern_meets_name(p, name) != rows[i].meets)
            fail_msg("'%s' and '%s': expected %d", rows[i].pattern, rows[i].name, rows[i].meets);
    }
}

/* Of all labels of a and b up to `left` more letters: does one, with the rest behind it, match? */
static bool some_label_matches(struct slice p, char *label, size_t n, size_t left,
                               struct slice rest)
{
    memcpy(label + n, rest.p, rest.n);
    if (n && reference(p, slice_of(label, n + rest.n)))
        return true;
    for (char c = 'a'; left && c <= 'b'; c++) {
        label[n] = c;
        if (some_label_matches(p, label, n + 1, left - 1, rest))
            return true;
    }
    return false;
}

/* A longer label than the pattern gives it nothing that a shorter one would not. */
static void test_random_names_of_certificates_agree_with_the_definition(void **state)
{
    (void)state;
    struct rng rng = {12};
    unsigned meet = 0;
    for (int i = 0; i < 30000; i++) {
        char a[6], b[6] = "*.", label[16];
        struct slice p = random_text(&rng, a, sizeof(a), "ab.*?.*");
        struct slice rest = random_text(&rng, b + 2, 3, "aab.");
        struct slice name = slice_of(b, rest.n + 2);
        bool want = some_label_matches(p, label, 0, sizeof(a), slice_from(name, 1));
        if (pattern_meets_name(p, name) != want)
            fail_msg("'%.*s' and '%.*s': expected %d", (int)p.n, p.p, (int)name.n, name.p, want);
        meet += want;
    }
    assert_in_range(meet, 3000, 27000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pattern_without_wildcards_matches_itself_only),
        cmocka_unit_test(test_a_star_stands_for_any_bytes_or_none),
        cmocka_unit_test(test_a_question_mark_stands_for_exactly_one_byte),
        cmocka_unit_test(test_wildcards_in_the_text_are_ordinary_bytes),
        cmocka_unit_test(test_random_patterns_agree_with_the_definition),
        cmocka_unit_test(test_many_stars_on_a_long_text_take_no_time),
        cmocka_unit_test(test_head_and_tail_are_the_literal_ends),
        cmocka_unit_test(test_a_pattern_meets_the_names_of_certificates),
        cmocka_unit_test(test_random_names_of_certificates_agree_with_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
