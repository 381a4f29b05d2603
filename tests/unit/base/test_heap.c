#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>

#include "base/heap.h"

/* The heap as it is in release builds, whatever this one is. */
static void init(struct heap *h)
{
    heap_init(h);
    h->malloced = false;
}

static void test_every_size_can_be_filled_and_given_back(void **state)
{
    (void)state;
    struct heap h;
    enum { N = 2 * HEAP_SMALL_BYTES };
    static char *got[N];
    init(&h);
    for (size_t n = 0; n < N; n++) {
        got[n] = heap_get(&h, n);
        assert_int_equal((uintptr_t)got[n] % 16, 0);
        memset(got[n], (int)n, n);
    }
    assert_int_equal(h.live, N);
    for (size_t n = 0; n < N; n++) {
        for (size_t i = 0; i < n; i++)
            assert_int_equal((unsigned char)got[n][i], (unsigned char)n);
        heap_put(&h, got[n]);
    }
    assert_int_equal(h.live, 0);
    heap_fini(&h);
}

static void test_sizes_at_the_limits_of_classes_are_whole(void **state)
{
    (void)state;
    struct heap h;
    static const size_t limits[] = {16, 512, HEAP_SMALL_BYTES, HEAP_PAGES_BYTES, 1 << 20, 3 << 20};
    init(&h);
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        char *at = heap_get(&h, limits[i]), *past = heap_get(&h, limits[i] + 1);
        memset(at, 'a', limits[i]);
        memset(past, 'b', limits[i] + 1);
        assert_int_equal(at[limits[i] - 1], 'a');
        assert_int_equal(past[0], 'b');
        assert_int_equal(past[limits[i]], 'b');
        heap_put(&h, at);
        heap_put(&h, past);
    }
    heap_fini(&h);
}

static void test_what_grows_keeps_what_it_holds(void **state)
{
    (void)state;
    struct heap h;
    init(&h);
    char *p = heap_resize(&h, NULL, 10);
    memcpy(p, "0123456789", 10);
    for (size_t n = 11; n < 2 * HEAP_PAGES_BYTES; n += n / 3) {
        p = heap_resize(&h, p, n);
        assert_memory_equal(p, "0123456789", 10);
        p[n - 1] = 'x';
    }
    p = heap_resize(&h, p, 5);
    assert_memory_equal(p, "01234", 5);
    heap_put(&h, p);
    heap_put(&h, NULL);
    assert_int_equal(h.live, 0);
    heap_fini(&h);
}

static void test_zeroed_memory_is_zero_whatever_it_held(void **state)
{
    (void)state;
    struct heap h;
    static const char zero[200];
    init(&h);
    char *p = heap_get(&h, 200);
    memset(p, 7, 200);
    heap_put(&h, p);
    p = heap_get_zeroed(&h, 50, 4);
    assert_memory_equal(p, zero, 200);
    heap_put(&h, p);
    assert_null(heap_get_zeroed(&h, SIZE_MAX, 2));
    heap_fini(&h);
}

/* Enough of each size for several slabs, given back in another order. */
static void test_slabs_come_and_go(void **state)
{
    (void)state;
    struct heap h;
    enum { N = 3000 };
    static char *got[N];
    static const size_t sizes[] = {16, 700, 2928, 4096, 16394};
    init(&h);
    for (size_t round = 0; round < 2 * ARRAY_LEN(sizes); round++) {
        size_t n = sizes[round % ARRAY_LEN(sizes)];
        for (int i = 0; i < N; i++) {
            got[i] = heap_get(&h, n);
            got[i][0] = got[i][n - 1] = (char)i;
        }
        for (int i = 0; i < N; i++) {
            assert_int_equal(got[i][0], (char)i);
            assert_int_equal(got[i][n - 1], (char)i);
        }
        for (int i = 0; i < N; i++)
            heap_put(&h, got[(i * 1009) % N]);
        assert_int_equal(h.live, 0);
    }
    for (unsigned i = 0; i < HEAP_CLASSES; i++) {
        unsigned open = 0;
        list_each(at, tmp, &h.classes[i].open)
            open++;
        assert_true(open <= 1 && h.classes[i].empty == open);
    }
    heap_fini(&h);
}

static size_t resident_pages(void *p, size_t pages)
{
    unsigned char in[32];
    size_t n = 0;
    assert_true(pages <= sizeof(in));
    assert_int_equal(mincore(p, pages * HEAP_PAGE_BYTES, in), 0);
    for (size_t i = 0; i < pages; i++)
        n += in[i] & 1;
    return n;
}

static void test_of_whole_pages_only_those_that_are_used_are_resident(void **state)
{
    (void)state;
    struct heap h;
    init(&h);
    char *p = heap_get(&h, 16394);
    assert_int_equal((uintptr_t)p % HEAP_PAGE_BYTES, 0);
    assert_int_equal(resident_pages(p, 5), 0);
    memset(p, 1, 300);
    assert_int_equal(resident_pages(p, 5), 1);
    heap_vacate(&h, p);
    assert_int_equal(resident_pages(p, 5), 0);
    assert_int_equal(p[0], 0);
    memset(p, 2, 16394);
    heap_put(&h, p);
    heap_fini(&h);
}

static void test_what_is_vacated_is_zero_and_its_neighbours_are_as_they_were(void **state)
{
    (void)state;
    static const size_t sizes[] = {1,      512, HEAP_SMALL_BYTES, HEAP_PAGE_BYTES, HEAP_PAGES_BYTES,
                                   1 << 20};
    for (int malloced = 0; malloced < 2; malloced++)
        for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
            struct heap h;
            char *got[3];
            size_t n = sizes[k];
            init(&h);
            h.malloced = malloced;
            for (int i = 0; i < 3; i++)
                memset(got[i] = heap_get(&h, n), 'a', n);
            heap_vacate(&h, got[1]);
            for (size_t i = 0; i < n; i++)
                assert_true(got[0][i] == 'a' && got[1][i] == 0 && got[2][i] == 'a');
            memset(got[1], 'b', n);
            for (int i = 0; i < 3; i++)
                heap_put(&h, got[i]);
            heap_fini(&h);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_size_can_be_filled_and_given_back),
        cmocka_unit_test(test_sizes_at_the_limits_of_classes_are_whole),
        cmocka_unit_test(test_what_grows_keeps_what_it_holds),
        cmocka_unit_test(test_zeroed_memory_is_zero_whatever_it_held),
        cmocka_unit_test(test_slabs_come_and_go),
        cmocka_unit_test(test_of_whole_pages_only_those_that_are_used_are_resident),
        cmocka_unit_test(test_what_is_vacated_is_zero_and_its_neighbours_are_as_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
