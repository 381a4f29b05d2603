#include "base/heap.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"

#define SLAB_SLOTS 64

/* In front of every piece. */
struct head {
    _Alignas(16) size_t bytes; /* usable ones */
    uint32_t class;            /* HEAP_CLASSES: a slot, one more: from malloc */
};

enum { CLASS_SLOT = HEAP_CLASSES, CLASS_LARGE };

struct heap_slab {
    struct heap_slab *next;
    char *slots;
    unsigned used;
};

_Static_assert(HEAP_SMALL_BYTES + sizeof(struct head) == HEAP_STEP_BYTES * HEAP_CLASSES,
               "the largest small piece fills the largest class");

void heap_init(struct heap *h)
{
    *h = (struct heap){0};
    for (unsigned i = 0; i < HEAP_CLASSES; i++)
        pool_init(&h->pools[i], "heap", (i + 1) * HEAP_STEP_BYTES, UINT32_MAX);
}

void heap_fini(struct heap *h)
{
    CHECK(h->slots_live == 0);
    while (h->slabs) {
        struct heap_slab *s = h->slabs;
        h->slabs = s->next;
        CHECK(munmap(s->slots, SLAB_SLOTS * HEAP_SLOT_BYTES) == 0);
        free(s);
    }
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
    *k = (struct head){n, CLASS_LARGE};
    return k + 1;
}

/* ---- slots ---- */

static bool is_for_slot(size_t n)
{
#ifdef __SANITIZE_ADDRESS__
    (void)n;
    return false;
#else
    return n >= HEAP_SLOT_LEAST && n + sizeof(struct head) <= HEAP_SLOT_BYTES;
#endif
}

static void add_slab(struct heap *h)
{
    struct heap_slab *s = malloc(sizeof(*s));
    CHECK(s);
    *s = (struct heap_slab){.next = h->slabs};
    s->slots = mmap(NULL, SLAB_SLOTS * HEAP_SLOT_BYTES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(s->slots != MAP_FAILED);
    h->slabs = s;
}

static void *fresh_slot(struct heap *h)
{
    if (!h->slabs || h->slabs->used == SLAB_SLOTS)
        add_slab(h);
    return h->slabs->slots + (size_t)HEAP_SLOT_BYTES * h->slabs->used++;
}

static void *get_slot(struct heap *h)
{
    struct head *k = h->slots;
    if (k)
        h->slots = *(void **)k;
    else
        k = fresh_slot(h);
    h->slots_live++;
    *k = (struct head){HEAP_SLOT_BYTES - sizeof(*k), CLASS_SLOT};
    return k + 1;
}

static void put_slot(struct heap *h, struct head *k)
{
    CHECK(h->slots_live > 0);
    h->slots_live--;
    *(void **)k = h->slots;
    h->slots = k;
}

/* ---- all ---- */

void *heap_get(struct heap *h, size_t n)
{
    if (is_for_slot(n))
        return get_slot(h);
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
    if (k->class == CLASS_LARGE)
        free(k);
    else if (k->class == CLASS_SLOT)
        put_slot(h, k);
    else
        pool_put(&h->pools[k->class], k);
}
