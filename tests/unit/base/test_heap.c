#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/heap.h"

static unsigned alive(const struct heap *h)
{
    unsigned n = 0;
    for (unsigned i = 0; i < HEAP_CLASSES; i++)
        n += h->pools[i].live;
    return n;
}

static void test_every_size_can_be_filled_and_given_back(void **state)
{
    (void)state;
    struct heap h;
    char *got[2 * HEAP_SMALL_BYTES];
    heap_init(&h);
    for (size_t n = 0; n < 2 * HEAP_SMALL_BYTES; n++) {
        got[n] = heap_get(&h, n);
        assert_int_equal((uintptr_t)got[n] % 16, 0);
        memset(got[n], (int)n, n);
    }
    assert_int_equal(alive(&h), HEAP_SMALL_BYTES + 1);
    for (size_t n = 0; n < 2 * HEAP_SMALL_BYTES; n++) {
        for (size_t i = 0; i < n; i++)
            assert_int_equal((unsigned char)got[n][i], (unsigned char)n);
        heap_put(&h, got[n]);
    }
    assert_int_equal(alive(&h), 0);
    heap_fini(&h);
}

static void test_what_grows_keeps_what_it_holds(void **state)
{
    (void)state;
    struct heap h;
    heap_init(&h);
    char *p = heap_resize(&h, NULL, 10);
    memcpy(p, "0123456789", 10);
    for (size_t n = 11; n < 3000; n += 97) {
        p = heap_resize(&h, p, n);
        assert_memory_equal(p, "0123456789", 10);
        p[n - 1] = 'x';
    }
    p = heap_resize(&h, p, 5);
    assert_memory_equal(p, "01234", 5);
    heap_put(&h, p);
    heap_put(&h, NULL);
    assert_int_equal(alive(&h), 0);
    heap_fini(&h);
}

static void test_zeroed_memory_is_zero_whatever_it_held(void **state)
{
    (void)state;
    struct heap h;
    static const char zero[200];
    heap_init(&h);
    char *p = heap_get(&h, 200);
    memset(p, 7, 200);
    heap_put(&h, p);
    p = heap_get_zeroed(&h, 50, 4);
    assert_memory_equal(p, zero, 200);
    heap_put(&h, p);
    assert_null(heap_get_zeroed(&h, SIZE_MAX, 2));
    heap_fini(&h);
}

/* In ASAN builds they come from malloc: the same, without the slots. */
static void test_buffers_of_a_frame_are_taken_again(void **state)
{
    (void)state;
    struct heap h;
    enum { N = 200 };
    char *got[N];
    heap_init(&h);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            size_t n = i % 2 ? HEAP_SLOT_LEAST : HEAP_SLOT_BYTES - 16;
            got[i] = heap_get(&h, n);
            assert_int_equal((uintptr_t)got[i] % 16, 0);
            memset(got[i], i, n);
        }
        for (int i = 0; i < N; i++) {
            assert_int_equal((unsigned char)got[i][0], i);
            assert_int_equal((unsigned char)got[i][HEAP_SLOT_LEAST - 1], i);
            heap_put(&h, got[i]);
        }
        assert_int_equal(h.slots_live, 0);
    }
    heap_put(&h, heap_get(&h, HEAP_SLOT_LEAST - 1));
    heap_put(&h, heap_get(&h, HEAP_SLOT_BYTES - 15));
    heap_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_size_can_be_filled_and_given_back),
        cmocka_unit_test(test_what_grows_keeps_what_it_holds),
        cmocka_unit_test(test_buffers_of_a_frame_are_taken_again),
        cmocka_unit_test(test_zeroed_memory_is_zero_whatever_it_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
