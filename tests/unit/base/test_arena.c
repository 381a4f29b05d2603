#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/arena.h"

static bool is_all(const char *p, size_t n, char c)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != c)
            return false;
    return true;
}

static void test_pieces_are_aligned_and_do_not_overlap(void **state)
{
    (void)state;
    enum { N = 3000 };
    static char *pieces[N];
    struct arena a;
    arena_init(&a);
    for (int i = 0; i < N; i++) {
        pieces[i] = arena_alloc(&a, (size_t)(i % 701));
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], i, (size_t)(i % 701));
    }
    for (int i = 0; i < N; i++)
        assert_true(is_all(pieces[i], (size_t)(i % 701), (char)i));
    arena_fini(&a);
}

static void test_nothing_is_still_a_place(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a);
    assert_non_null(arena_alloc(&a, 0));
    assert_non_null(ARENA_ARRAY(&a, int, 0));
    assert_non_null(arena_copy(&a, NULL, 0));
    arena_fini(&a);
}

static void test_zeroed_memory_is_zero_although_blocks_are_reused_memory(void **state)
{
    (void)state;
    struct arena a;
    for (int round = 0; round < 3; round++) {
        arena_init(&a);
        assert_true(is_all(arena_zalloc(&a, 3000), 3000, 0));
        memset(arena_alloc(&a, 3000), 0xff, 3000);
        struct {
            int x;
            char pad[100];
        } *s = arena_zalloc(&a, sizeof(*s));
        assert_true(is_all((char *)s, sizeof(*s), 0));
        arena_fini(&a);
    }
}

static void test_copies_are_terminated_and_their_own(void **state)
{
    (void)state;
    struct arena a;
    char text[] = "hello";
    arena_init(&a);
    char *whole = arena_strdup(&a, slice_of(text, 5)), *part = arena_strdup(&a, slice_of(text, 2));
    struct slice s = arena_slice(&a, slice_of(text + 1, 3));
    char *raw = arena_copy(&a, text, 5);
    memset(text, 'x', 5);
    assert_string_equal(whole, "hello");
    assert_string_equal(part, "he");
    assert_string_equal(s.p, "ell");
    assert_int_equal(s.n, 3);
    assert_memory_equal(raw, "hello", 5);
    assert_string_equal(arena_strdup(&a, slice_of(NULL, 0)), "");
    arena_fini(&a);
}

static void test_pieces_larger_than_any_block_are_given(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a);
    char *small = arena_alloc(&a, 10);
    char *big = arena_alloc(&a, 5 << 20);
    memset(small, 1, 10);
    memset(big, 2, 5 << 20);
    assert_true(is_all(small, 10, 1));
    assert_true(a.total_bytes >= 5 << 20);
    arena_fini(&a);
}

static void test_the_total_is_little_more_than_what_was_asked(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a);
    assert_int_equal(a.total_bytes, 0);
    (void)arena_alloc(&a, 1);
    assert_true(a.total_bytes <= 4096);
    for (int i = 0; i < 100000; i++)
        (void)arena_alloc(&a, 160);
    assert_true(a.total_bytes >= 16000000 && a.total_bytes < 18000000);
    arena_fini(&a);
    assert_int_equal(a.total_bytes, 0);
    assert_non_null(arena_alloc(&a, 10)); /* usable again */
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_are_aligned_and_do_not_overlap),
        cmocka_unit_test(test_nothing_is_still_a_place),
        cmocka_unit_test(test_zeroed_memory_is_zero_although_blocks_are_reused_memory),
        cmocka_unit_test(test_copies_are_terminated_and_their_own),
        cmocka_unit_test(test_pieces_larger_than_any_block_are_given),
        cmocka_unit_test(test_the_total_is_little_more_than_what_was_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
