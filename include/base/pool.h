/* Fixed-size objects of one loop: sessions, exchanges, links, conns. LIFO, so that the next one
 * taken is warm in the cache. `limit` bounds how many are alive; at the limit pool_get returns
 * NULL and the caller refuses the work. Memory is not cleared. Plain malloc/free in ASAN builds.
 * Single thread. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

struct pool {
    const char *name;
    size_t size;
    unsigned live, limit; /* live is a gauge: 0 when nothing is in flight */
    unsigned idle;
    void *free;
};

void pool_init(struct pool *p, const char *name, size_t size, unsigned limit);
void pool_fini(struct pool *p);
void *pool_get(struct pool *p);
void pool_put(struct pool *p, void *obj);

#endif
