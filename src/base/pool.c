#include "base/pool.h"

#include <stdlib.h>

#include "base/check.h"

#define KEEP_IDLE 1024

void pool_init(struct pool *p, const char *name, size_t size, unsigned limit)
{
    CHECK(size >= sizeof(void *));
    *p = (struct pool){.name = name, .size = (size + 63) & ~(size_t)63, .limit = limit};
}

void pool_fini(struct pool *p)
{
    CHECK(p->live == 0);
    while (p->free) {
        void *next = *(void **)p->free;
        free(p->free);
        p->free = next;
    }
}

void *pool_get(struct pool *p)
{
    if (p->live >= p->limit)
        return NULL;
    void *obj = p->free;
    if (obj) {
        p->free = *(void **)obj;
        p->idle--;
    } else {
        obj = aligned_alloc(64, p->size);
        CHECK(obj);
    }
    p->live++;
    return obj;
}

void pool_put(struct pool *p, void *obj)
{
    CHECK(p->live > 0);
    p->live--;
#ifdef __SANITIZE_ADDRESS__
    free(obj);
#else
    if (p->idle >= KEEP_IDLE) {
        free(obj);
        return;
    }
    *(void **)obj = p->free;
    p->free = obj;
    p->idle++;
#endif
}
