#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"

static int by_value(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return (a > b) - (a < b);
}

static size_t repeats(uint64_t *values, size_t n)
{
    size_t same = 0;
    qsort(values, n, sizeof(*values), by_value);
    for (size_t i = 1; i < n; i++)
        same += values[i] == values[i - 1];
    return same;
}

static void test_the_same_bytes_hash_alike_wherever_they_lie(void **state)
{
    (void)state;
    char text[64] = "x.example.com";
    uint64_t want = hash_bytes(SLICE("x.example.com"), 3);
    for (size_t at = 0; at < 16; at++) {
        memmove(text + at, "x.example.com", 13);
        assert_true(hash_bytes(slice_of(text + at, 13), 3) == want);
    }
}

static void test_every_bit_of_every_length_counts(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 40; n++) {
        char text[40] = {0};
        uint64_t zero = hash_bytes(slice_of(text, n), 0);
        for (size_t bit = 0; bit < 8 * n; bit++) {
            text[bit / 8] = (char)(1 << (bit % 8));
            assert_true(hash_bytes(slice_of(text, n), 0) != zero);
            text[bit / 8] = 0;
        }
    }
}

static void test_zero_bytes_at_the_end_count(void **state)
{
    (void)state;
    uint64_t seen[64];
    static const char zeros[64];
    for (size_t n = 0; n < 64; n++)
        seen[n] = hash_bytes(slice_of(zeros, n), 0);
    assert_int_equal(repeats(seen, 64), 0);
}

static void test_the_seed_changes_the_hash(void **state)
{
    (void)state;
    uint64_t seen[1000];
    for (uint64_t seed = 0; seed < 1000; seed++)
        seen[seed] = hash_bytes(SLICE("key"), seed);
    assert_int_equal(repeats(seen, 1000), 0);
}

/* Tables use the low bits, tags the high ones: both must spread the names people give. */
static void test_numbered_names_spread_over_a_table(void **state)
{
    (void)state;
    enum { N = 100000, BUCKETS = 4096 };
    static uint64_t seen[N];
    static unsigned low[BUCKETS], high[BUCKETS];
    for (unsigned i = 0; i < N; i++) {
        char name[32];
        int n = snprintf(name, sizeof(name), "host-%u.example.com", i);
        seen[i] = hash_bytes(slice_of(name, (size_t)n), 0);
        low[seen[i] % BUCKETS]++;
        high[seen[i] >> 52]++;
    }
    for (int i = 0; i < BUCKETS; i++) { /* 24.4 on average */
        assert_in_range(low[i], 3, 60);
        assert_in_range(high[i], 3, 60);
    }
    assert_int_equal(repeats(seen, N), 0);
}

static void test_a_seed_gives_one_sequence(void **state)
{
    (void)state;
    struct rng a = {1}, b = {1}, c = {2};
    unsigned same = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = rng_next(&a);
        assert_true(x == rng_next(&b));
        same += x == rng_next(&c);
    }
    assert_int_equal(same, 0);
}

static void test_below_is_below_and_even(void **state)
{
    (void)state;
    struct rng rng = {99};
    unsigned counts[10] = {0};
    for (int i = 0; i < 100000; i++)
        counts[rng_below(&rng, 10)]++;
    for (int i = 0; i < 10; i++)
        assert_in_range(counts[i], 9500, 10500);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(rng_below(&rng, 1), 0);
        assert_true(rng_below(&rng, UINT32_MAX) < UINT32_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_bytes_hash_alike_wherever_they_lie),
        cmocka_unit_test(test_every_bit_of_every_length_counts),
        cmocka_unit_test(test_zero_bytes_at_the_end_count),
        cmocka_unit_test(test_the_seed_changes_the_hash),
        cmocka_unit_test(test_numbered_names_spread_over_a_table),
        cmocka_unit_test(test_a_seed_gives_one_sequence),
        cmocka_unit_test(test_below_is_below_and_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
