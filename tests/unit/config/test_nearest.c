#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "config/nearest.h"

static void test_distance_counts_insertions_deletions_changes_and_swaps(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        size_t distance;
    } rows[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"listener", "listener", 0},
        {"lisener", "listener", 1},
        {"lisstener", "listener", 1},
        {"lostener", "listener", 1},
        {"listenre", "listener", 1},
        {"Listener", "listener", 0},
        {"kitten", "sitting", 3},
        {"ab", "ba", 1},
        {"abc", "ca", 3},
        {"http", "tcp", 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice a = slice_str(rows[i].a), b = slice_str(rows[i].b);
        assert_int_equal(nearest_distance(a, b), rows[i].distance);
        assert_int_equal(nearest_distance(b, a), rows[i].distance);
    }
}

static void test_words_beyond_64_bytes_are_infinitely_far(void **state)
{
    (void)state;
    char word[65];
    memset(word, 'a', sizeof(word));
    assert_int_equal(nearest_distance(slice_of(word, 64), slice_of(word, 63)), 1);
    assert_true(nearest_distance(slice_of(word, 65), slice_of(word, 64)) == SIZE_MAX);
    assert_true(nearest_distance(slice_of(word, 64), slice_of(word, 65)) == SIZE_MAX);
}

static const char *suggest(const char *word)
{
    static const char *const known[] = {"listeners", "limits", "log", "target_groups", "node"};
    struct nearest n = nearest_to(slice_str(word));
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        nearest_try(&n, known[i]);
    return nearest_best(&n);
}

static void test_only_a_near_word_is_suggested(void **state)
{
    (void)state;
    assert_string_equal(suggest("lisseners"), "listeners");
    assert_string_equal(suggest("target_group"), "target_groups");
    assert_string_equal(suggest("targt_grops"), "target_groups");
    assert_string_equal(suggest("lgo"), "log");
    assert_string_equal(suggest("nod"), "node");
    assert_null(suggest("xyz"));
    assert_null(suggest("l"));
    assert_null(suggest(""));
    assert_null(suggest("completely_different"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance_counts_insertions_deletions_changes_and_swaps),
        cmocka_unit_test(test_words_beyond_64_bytes_are_infinitely_far),
        cmocka_unit_test(test_only_a_near_word_is_suggested),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
