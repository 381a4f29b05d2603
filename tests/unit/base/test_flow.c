#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/flow.h"
#include "base/hash.h"

#define BUDGET (1u << 20)

static char pattern_at(size_t i)
{
    return (char)(i * 151 + (i >> 8) * 11);
}

static const char *pattern(void)
{
    static char p[4 * FLOW_CAP_BYTES];
    for (size_t i = 0; i < sizeof(p) && !p[sizeof(p) - 1]; i++)
        p[i] = pattern_at(i);
    return p;
}

static struct slice piece(size_t from, size_t upto)
{
    return slice_of(pattern() + from, upto - from);
}

/* The flow offers exactly the pattern's bytes [from, upto), in pieces that a conn can take. */
static void assert_offers(const struct flow *f, size_t from, size_t upto)
{
    struct iovec iov[FLOW_IOV_MAX + 1];
    int n = flow_peek(f, iov, FLOW_IOV_MAX + 1);
    assert_in_range(n, 0, FLOW_IOV_MAX);
    assert_int_equal(flow_bytes(f), upto - from);
    for (int i = 0; i < n; from += iov[i++].iov_len) {
        assert_true(iov[i].iov_len > 0);
        assert_memory_equal(iov[i].iov_base, pattern() + from, iov[i].iov_len);
    }
    assert_int_equal(from, upto);
}

static struct chunkpool *setup(struct flow *f)
{
    static struct chunkpool p;
    chunkpool_init(&p, BUDGET);
    flow_init(f);
    return &p;
}

static void test_a_lent_slice_taken_at_once_costs_no_chunk(void **state)
{
    (void)state;
    struct flow f;
    struct iovec iov[2];
    struct chunkpool *p = setup(&f);
    struct slice s = piece(0, 5000);
    flow_lend(&f, p, s);
    assert_int_equal(flow_peek(&f, iov, 2), 1);
    assert_ptr_equal(iov[0].iov_base, s.p); /* no copy */
    flow_consume(&f, p, 5000);
    flow_settle(&f, p);
    assert_int_equal(p->used_bytes, 0);
    assert_int_equal(flow_bytes(&f), 0);
    assert_int_equal(f.total_bytes, 5000);
    chunkpool_fini(p);
}

static void test_what_is_left_of_a_lent_slice_is_copied(void **state)
{
    (void)state;
    struct flow f;
    char scratch[100];
    struct chunkpool *p = setup(&f);
    memcpy(scratch, pattern(), sizeof(scratch));
    flow_lend(&f, p, slice_of(scratch, sizeof(scratch)));
    flow_consume(&f, p, 30);
    flow_settle(&f, p);
    memset(scratch, 0, sizeof(scratch)); /* the scratch belongs to the next task */
    assert_offers(&f, 30, 100);
    flow_settle(&f, p);
    assert_offers(&f, 30, 100);
    flow_clear(&f, p);
    chunkpool_fini(p);
}

static void test_a_second_lend_settles_the_first(void **state)
{
    (void)state;
    struct flow f;
    struct chunkpool *p = setup(&f);
    flow_lend(&f, p, piece(0, 10));
    flow_lend(&f, p, piece(10, 25));
    assert_int_equal(f.q.bytes, 10);
    assert_offers(&f, 0, 25);
    assert_int_equal(f.total_bytes, 25);
    flow_clear(&f, p);
    assert_int_equal(p->used_bytes, 0);
    chunkpool_fini(p);
}

static void test_consume_crosses_from_the_queue_into_the_lent_slice_at_every_cut(void **state)
{
    (void)state;
    static const size_t queued[] = {0, 1, 5, 4063, 4064, 4065, 9000};
    static const size_t lent[] = {0, 1, 7, 300};
    for (size_t i = 0; i < 7; i++)
        for (size_t j = 0; j < 4; j++)
            for (size_t n = 0, all = queued[i] + lent[j]; n <= all;
                 n += n + 20 < queued[i] ? 13 : 1) {
                struct flow f;
                struct chunkpool *p = setup(&f);
                flow_lend(&f, p, piece(0, queued[i]));
                flow_settle(&f, p);
                flow_lend(&f, p, piece(queued[i], all));
                flow_consume(&f, p, n);
                assert_offers(&f, n, all);
                flow_settle(&f, p);
                assert_offers(&f, n, all);
                flow_consume(&f, p, all - n);
                assert_int_equal(p->used_bytes, 0);
                chunkpool_fini(p);
            }
}

static void test_room_is_the_cap_less_what_is_held(void **state)
{
    (void)state;
    struct flow f;
    struct chunkpool *p = setup(&f);
    assert_int_equal(flow_room(&f, p), FLOW_CAP_BYTES);
    flow_lend(&f, p, piece(0, 1000));
    assert_int_equal(flow_room(&f, p), FLOW_CAP_BYTES - 1000);
    flow_settle(&f, p);
    assert_int_equal(flow_room(&f, p), FLOW_CAP_BYTES - 1000);
    flow_lend(&f, p, piece(1000, FLOW_CAP_BYTES)); /* exactly full */
    assert_int_equal(flow_room(&f, p), 0);
    flow_settle(&f, p);
    flow_consume(&f, p, 1);
    assert_int_equal(flow_room(&f, p), 1);
    assert_offers(&f, 1, FLOW_CAP_BYTES);
    flow_clear(&f, p);
    assert_int_equal(flow_room(&f, p), FLOW_CAP_BYTES);
    chunkpool_fini(p);
}

static void test_under_pressure_a_flow_has_room_for_little(void **state)
{
    (void)state;
    struct flow f;
    struct chunkpool p;
    flow_init(&f);
    chunkpool_init(&p, 64 * 1024);
    struct chunk *hog = chunkpool_get(&p, 60000); /* all of the budget */
    assert_int_equal(chunkpool_pressure(&p), CHUNK_PRESSURE_FULL);
    assert_int_equal(flow_room(&f, &p), FLOW_CAP_TIGHT_BYTES);
    flow_lend(&f, &p, piece(0, FLOW_CAP_TIGHT_BYTES - 1));
    assert_int_equal(flow_room(&f, &p), 1);
    flow_lend(&f, &p, piece(0, 1));
    assert_int_equal(flow_room(&f, &p), 0);
    flow_lend(&f, &p, piece(0, 5000)); /* read before the pressure rose */
    assert_int_equal(flow_room(&f, &p), 0);
    chunkpool_put(&p, hog);
    flow_clear(&f, &p);
    assert_int_equal(p.used_bytes, 0);
    chunkpool_fini(&p);
}

static void test_a_flow_is_finished_when_it_has_ended_and_all_was_taken(void **state)
{
    (void)state;
    struct flow f;
    struct chunkpool *p = setup(&f);
    assert_false(flow_finished(&f));
    flow_lend(&f, p, piece(0, 10));
    flow_end(&f);
    assert_false(flow_finished(&f));
    flow_settle(&f, p);
    flow_consume(&f, p, 9);
    assert_false(flow_finished(&f));
    flow_consume(&f, p, 1);
    assert_true(flow_finished(&f));
    chunkpool_fini(p);
    p = setup(&f);
    flow_end(&f); /* an empty body */
    assert_true(flow_finished(&f));
    chunkpool_fini(p);
}

/* A producer that fills all the room it gets, in the smallest and in large bites. */
static void test_a_full_flow_is_never_in_more_pieces_than_an_iov_has(void **state)
{
    (void)state;
    struct rng rng = {9};
    for (int round = 0; round < 300; round++) {
        struct flow f;
        struct chunkpool *p = setup(&f);
        size_t in = 0, out = 0;
        uint32_t bite = 1 + rng_below(&rng, round % 3 ? 5000 : 30);
        while (in < 2 * FLOW_CAP_BYTES) {
            size_t n = 1 + rng_below(&rng, bite), room = flow_room(&f, p);
            n = n < room ? n : room;
            flow_lend(&f, p, piece(in, in + n));
            in += n;
            if (n == room) { /* full */
                assert_offers(&f, out, in);
                size_t taken = 1 + rng_below(&rng, 9000);
                flow_consume(&f, p, taken);
                out += taken;
            }
            if (rng_below(&rng, 2))
                flow_settle(&f, p);
        }
        assert_offers(&f, out, in);
        flow_clear(&f, p);
        assert_int_equal(p->used_bytes, 0);
        chunkpool_fini(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_lent_slice_taken_at_once_costs_no_chunk),
        cmocka_unit_test(test_what_is_left_of_a_lent_slice_is_copied),
        cmocka_unit_test(test_a_second_lend_settles_the_first),
        cmocka_unit_test(test_consume_crosses_from_the_queue_into_the_lent_slice_at_every_cut),
        cmocka_unit_test(test_room_is_the_cap_less_what_is_held),
        cmocka_unit_test(test_under_pressure_a_flow_has_room_for_little),
        cmocka_unit_test(test_a_flow_is_finished_when_it_has_ended_and_all_was_taken),
        cmocka_unit_test(test_a_full_flow_is_never_in_more_pieces_than_an_iov_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
