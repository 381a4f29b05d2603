#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/chunk.h"
#include "base/hash.h"

#define BUDGET (1u << 20)

/* Bytes that tell where they came from. */
static char pattern_at(size_t i)
{
    return (char)(i * 131 + (i >> 8) * 7);
}

static char *make_pattern(size_t n)
{
    char *p = malloc(n);
    for (size_t i = 0; i < n; i++)
        p[i] = pattern_at(i);
    return p;
}

/* The queue holds exactly the pattern's bytes [from, upto). */
static void assert_holds(const struct chunkq *q, size_t from, size_t upto)
{
    struct iovec iov[64];
    int n = chunkq_peek(q, iov, 64);
    assert_int_equal(q->bytes, upto - from);
    for (int i = 0; i < n; i++) {
        assert_true(iov[i].iov_len > 0);
        for (size_t j = 0; j < iov[i].iov_len; j++)
            assert_int_equal(((char *)iov[i].iov_base)[j], pattern_at(from++));
    }
    assert_int_equal(from, upto);
}

/* ---- pool ---- */

static void test_a_chunk_has_the_room_that_was_asked_for(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        1,    100,  1000,  1001,  4000,  4064,   4065,
        4096, 5000, 16000, 16384, 65536, 262144, (1u << 20) - sizeof(struct chunk)};
    struct chunkpool p;
    chunkpool_init(&p, BUDGET);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct chunk *c = chunkpool_get(&p, sizes[i]);
        assert_true(c->cap >= sizes[i]);
        assert_true(c->cap < 5 * sizes[i] || c->cap < 1024);
        assert_int_equal(c->off, 0);
        assert_int_equal(c->end, 0);
        assert_null(c->next);
        memset(c->data, 1, c->cap);
        chunkpool_put(&p, c);
    }
    assert_int_equal(p.used_bytes, 0);
    chunkpool_fini(&p);
}

static void test_used_bytes_follow_what_is_handed_out(void **state)
{
    (void)state;
    struct chunkpool p;
    chunkpool_init(&p, BUDGET);
    struct chunk *a = chunkpool_get(&p, 10), *b = chunkpool_get(&p, 10000);
    assert_int_equal(p.used_bytes, 1024 + 16384);
    chunkpool_put(&p, a);
    assert_int_equal(p.used_bytes, 16384);
    chunkpool_put(&p, b);
    assert_int_equal(p.used_bytes, 0);
    chunkpool_fini(&p);
}

static void test_pressure_begins_at_three_quarters_and_is_full_at_the_budget(void **state)
{
    (void)state;
    struct chunkpool p;
    struct chunk *held[16];
    chunkpool_init(&p, 16 * 1024);
    for (unsigned i = 0; i < 16; i++) {
        assert_int_equal(chunkpool_pressure(&p),
                         i < 12 ? CHUNK_PRESSURE_NONE : CHUNK_PRESSURE_HIGH);
        held[i] = chunkpool_get(&p, 1);
    }
    assert_int_equal(chunkpool_pressure(&p), CHUNK_PRESSURE_FULL);
    struct chunk *beyond = chunkpool_get(&p, 1); /* what is in flight can still finish */
    assert_non_null(beyond);
    chunkpool_put(&p, beyond);
    for (unsigned i = 0; i < 16; i++)
        chunkpool_put(&p, held[i]);
    assert_int_equal(chunkpool_pressure(&p), CHUNK_PRESSURE_NONE);
    chunkpool_fini(&p);
}

/* ---- queue ---- */

static void test_an_empty_queue_holds_no_chunk(void **state)
{
    (void)state;
    struct chunkpool p;
    struct chunkq q;
    struct iovec iov[1];
    chunkpool_init(&p, BUDGET);
    chunkq_init(&q);
    chunkq_add(&q, &p, SLICE(""));
    assert_int_equal(p.used_bytes, 0);
    assert_int_equal(chunkq_peek(&q, iov, 1), 0);
    chunkq_add(&q, &p, SLICE("abc"));
    assert_int_not_equal(p.used_bytes, 0);
    chunkq_consume(&q, &p, 3);
    assert_int_equal(p.used_bytes, 0);
    assert_null(q.head);
    assert_null(q.tail);
    chunkq_consume(&q, &p, 0);
    chunkpool_fini(&p);
}

static void test_little_leftovers_cost_little(void **state)
{
    (void)state;
    struct chunkpool p;
    struct chunkq q;
    chunkpool_init(&p, BUDGET);
    chunkq_init(&q);
    for (int i = 0; i < 100; i++)
        chunkq_add(&q, &p, SLICE("0123456789"));
    assert_int_equal(q.bytes, 1024 - sizeof(struct chunk)); /* just so many */
    assert_int_equal(p.used_bytes, 1024);
    chunkq_add(&q, &p, SLICE("0"));
    assert_int_equal(p.used_bytes, 1024 + 4096);
    chunkq_clear(&q, &p);
    assert_int_equal(q.bytes, 0);
    assert_int_equal(p.used_bytes, 0);
    chunkpool_fini(&p);
}

/* Added in two pieces cut anywhere, taken in two pieces cut anywhere. */
static void test_bytes_come_out_as_they_went_in_at_every_cut(void **state)
{
    (void)state;
    enum { N = 21000 };
    char *data = make_pattern(N);
    struct chunkpool p;
    chunkpool_init(&p, BUDGET);
    for (size_t in = 0; in <= N; in += in < 4200 || in > 20200 ? 97 : 1009)
        for (size_t out = 0; out <= N; out += 1613) {
            struct chunkq q;
            chunkq_init(&q);
            chunkq_add(&q, &p, slice_of(data, in));
            chunkq_add(&q, &p, slice_of(data + in, N - in));
            chunkq_consume(&q, &p, out);
            assert_holds(&q, out, N);
            chunkq_consume(&q, &p, N - out);
            assert_int_equal(p.used_bytes, 0);
        }
    chunkpool_fini(&p);
    free(data);
}

static void test_random_adds_and_takes_keep_every_byte_in_order(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    char *data = make_pattern(N);
    struct rng rng = {5};
    struct chunkpool p;
    struct chunkq q;
    size_t in = 0, out = 0;
    chunkpool_init(&p, BUDGET);
    chunkq_init(&q);
    while (out < N) {
        size_t add = rng_below(&rng, rng_below(&rng, 8) ? 700 : 20000);
        add = add > N - in ? N - in : add;
        add = in + add - out > 60000 ? 0 : add;
        chunkq_add(&q, &p, slice_of(data + in, add));
        in += add;
        size_t take = rng_below(&rng, (uint32_t)(in - out) + 1);
        chunkq_consume(&q, &p, take);
        out += take;
        assert_holds(&q, out, in);
    }
    assert_int_equal(p.used_bytes, 0);
    chunkpool_fini(&p);
    free(data);
}

static void test_peek_gives_at_most_as_many_pieces_as_asked(void **state)
{
    (void)state;
    char *data = make_pattern(60000);
    struct chunkpool p;
    struct chunkq q;
    struct iovec iov[8];
    chunkpool_init(&p, BUDGET);
    chunkq_init(&q);
    chunkq_add(&q, &p, slice_of(data, 60000));
    assert_int_equal(chunkq_peek(&q, iov, 0), 0);
    assert_int_equal(chunkq_peek(&q, iov, 2), 2);
    assert_int_equal(chunkq_peek(&q, iov, 8), 4);
    chunkq_clear(&q, &p);
    chunkpool_fini(&p);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_chunk_has_the_room_that_was_asked_for),
        cmocka_unit_test(test_used_bytes_follow_what_is_handed_out),
        cmocka_unit_test(test_pressure_begins_at_three_quarters_and_is_full_at_the_budget),
        cmocka_unit_test(test_an_empty_queue_holds_no_chunk),
        cmocka_unit_test(test_little_leftovers_cost_little),
        cmocka_unit_test(test_bytes_come_out_as_they_went_in_at_every_cut),
        cmocka_unit_test(test_random_adds_and_takes_keep_every_byte_in_order),
        cmocka_unit_test(test_peek_gives_at_most_as_many_pieces_as_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
