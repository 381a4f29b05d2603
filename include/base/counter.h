/* A counter or gauge with one writing thread and any number of readers: relaxed load and store,
 * never a locked instruction. Readers sum over workers; a sum taken while they run is a moment's
 * blur, not a wrong total.
 * Lowering releases (free of charge on x86): a gauge that holds something alive is lowered last,
 * and who reads its 0 with acquire sees all that was done before. */
#ifndef BASE_COUNTER_H
#define BASE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

struct counter {
    _Atomic uint64_t v;
};

static inline uint64_t counter_get(const struct counter *c)
{
    return atomic_load_explicit(&c->v, memory_order_relaxed);
}

static inline void counter_add(struct counter *c, uint64_t n)
{
    atomic_store_explicit(&c->v, counter_get(c) + n, memory_order_relaxed);
}

static inline void counter_sub(struct counter *c, uint64_t n)
{
    atomic_store_explicit(&c->v, counter_get(c) - n, memory_order_release);
}

#endif
