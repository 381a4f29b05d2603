/* A fast 64-bit hash for tables whose keys come from the configuration, and a small random
 * generator. Neither is cryptographic: secrets come from net/crypto. Pure. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdint.h>

#include "base/slice.h"

uint64_t hash_bytes(struct slice s, uint64_t seed);

static inline uint64_t hash_mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* splitmix64: one per loop, seeded from the system; tests seed it by hand. */
struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *r)
{
    return hash_mix(r->state += 0x9e3779b97f4a7c15u);
}

/* 0 .. n-1, n > 0; the bias of a multiply-shift is below 2^-32 for our n. */
static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
    return (uint32_t)(((rng_next(r) >> 32) * n) >> 32);
}

#endif
