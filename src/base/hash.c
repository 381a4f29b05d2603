#include "base/hash.h"

static uint64_t load(const char *p, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, p, n);
    return v;
}

/* Multiply and fold, eight bytes a step. */
static uint64_t step(uint64_t h, uint64_t v)
{
    __uint128_t m = (__uint128_t)(h ^ v) * 0x9e3779b97f4a7c15u;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

uint64_t hash_bytes(struct slice s, uint64_t seed)
{
    uint64_t h = seed ^ 0xa0761d6478bd642fu ^ s.n;
    while (s.n >= 8) {
        h = step(h, load(s.p, 8));
        s.p += 8;
        s.n -= 8;
    }
    if (s.n)
        h = step(h, load(s.p, s.n));
    return hash_mix(h);
}
