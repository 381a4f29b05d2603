#include "base/heap.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* In front of every piece. */
struct head {
    _Alignas(16) size_t bytes; /* usable ones */
    uint32_t class;            /* HEAP_CLASSES: from malloc */
};

_Static_assert(HEAP_SMALL_BYTES + sizeof(struct head) == HEAP_STEP_BYTES * HEAP_CLASSES,
               "the largest small piece fills the largest class");

void heap_init(struct heap *h)
{
    for (unsigned i = 0; i < HEAP_CLASSES; i++)
        pool_init(&h->pools[i], "heap", (i + 1) * HEAP_STEP_BYTES, UINT32_MAX);
}

void heap_fini(struct heap *h)
{
    for (unsigned i = 0; i < HEAP_CLASSES; i++)
        pool_fini(&h->pools[i]);
}

static struct head *head_of(void *p)
{
    return (struct head *)p - 1;
}

static void *get_large(size_t n)
{
    CHECK(n <= SIZE_MAX - sizeof(struct head));
    struct head *k = malloc(sizeof(*k) + n);
    CHECK(k);
    *k = (struct head){n, HEAP_CLASSES};
    return k + 1;
}

void *heap_get(struct heap *h, size_t n)
{
    if (n > HEAP_SMALL_BYTES)
        return get_large(n);
    uint32_t class = (uint32_t)((n + sizeof(struct head) - 1) / HEAP_STEP_BYTES);
    struct head *k = pool_get(&h->pools[class]);
    CHECK(k);
    *k = (struct head){(class + 1) * HEAP_STEP_BYTES - sizeof(*k), class};
    return k + 1;
}

void *heap_get_zeroed(struct heap *h, size_t count, size_t n)
{
    size_t all;
    if (__builtin_mul_overflow(count, n, &all))
        return NULL;
    return memset(heap_get(h, all), 0, all);
}

void *heap_resize(struct heap *h, void *p, size_t n)
{
    if (p && n <= head_of(p)->bytes)
        return p;
    void *larger = heap_get(h, n);
    if (p)
        memcpy(larger, p, head_of(p)->bytes);
    heap_put(h, p);
    return larger;
}

void heap_put(struct heap *h, void *p)
{
    if (!p)
        return;
    struct head *k = head_of(p);
    if (k->class == HEAP_CLASSES)
        free(k);
    else
        pool_put(&h->pools[k->class], k);
}
