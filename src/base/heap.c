#include "base/heap.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"

#define MAGIC      0x48454150
#define SLAB_BYTES ((size_t)1 << 20)
#define FINE_BYTES 512u
#define FINE_STEP  16u
#define STEP       64u
#define PAGES_FROM (FINE_BYTES / FINE_STEP + (HEAP_SMALL_BYTES - FINE_BYTES) / STEP)

_Static_assert(PAGES_FROM + HEAP_PAGES_BYTES / HEAP_PAGE_BYTES == HEAP_CLASSES, "all have a class");

/* In the first page of its memory, at a place of its own: else those of all slabs would fight for
 * the same lines of the cache. */
struct slab {
    _Alignas(64) uint32_t magic;
    uint32_t class; /* HEAP_CLASSES: of one large piece */
    size_t bytes;   /* usable ones of a piece */
    size_t mapped;
    size_t fresh; /* offset of what was never given */
    void *free;   /* given back, the last first */
    uint32_t live;
    struct list node; /* in no list: full, or of one large piece */
};

void heap_init(struct heap *h)
{
    *h = (struct heap){.malloced = true};
    for (unsigned i = 0; i < HEAP_CLASSES; i++)
        list_init(&h->classes[i].open);
}

/* ---- slabs ---- */

static unsigned class_of(size_t n)
{
    if (n <= FINE_BYTES)
        return n ? (unsigned)(n - 1) / FINE_STEP : 0;
    if (n <= HEAP_SMALL_BYTES)
        return (unsigned)(FINE_BYTES / FINE_STEP + (n - FINE_BYTES - 1) / STEP);
    return (unsigned)(PAGES_FROM + (n - 1) / HEAP_PAGE_BYTES);
}

static size_t class_bytes(unsigned class)
{
    if (class >= PAGES_FROM)
        return (class - PAGES_FROM + 1) * (size_t)HEAP_PAGE_BYTES;
    if (class >= FINE_BYTES / FINE_STEP)
        return FINE_BYTES + (class + 1 - FINE_BYTES / FINE_STEP) * (size_t)STEP;
    return (class + 1) * (size_t)FINE_STEP;
}

static char *start_of(const void *p)
{
    return (char *)(uintptr_t)p - ((uintptr_t)p & (SLAB_BYTES - 1));
}

static size_t offset_of(const char *start)
{
    return (uintptr_t)start / SLAB_BYTES * sizeof(struct slab) % HEAP_PAGE_BYTES;
}

static struct slab *slab_of(const void *p)
{
    char *start = start_of(p);
    struct slab *s = (struct slab *)(void *)(start + offset_of(start));
    CHECK_MAGIC(s, MAGIC);
    return s;
}

static void unmap(void *at, size_t n)
{
    CHECK(n == 0 || munmap(at, n) == 0);
}

/* Huge pages would make all of it resident at the first touch. */
static char *map(size_t n)
{
    char *at =
        mmap(NULL, n + SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(at != MAP_FAILED);
    size_t before = -(uintptr_t)at & (SLAB_BYTES - 1);
    unmap(at, before);
    unmap(at + before + n, SLAB_BYTES - before);
    (void)madvise(at + before, n, MADV_NOHUGEPAGE);
    return at + before;
}

static struct slab *new_slab(size_t mapped, unsigned class, size_t bytes)
{
    char *start = map(mapped);
    struct slab *s = (struct slab *)(void *)(start + offset_of(start));
    *s = (struct slab){
        .magic = MAGIC, .class = class, .bytes = bytes, .mapped = mapped, .fresh = HEAP_PAGE_BYTES};
    list_init(&s->node);
    return s;
}

static void open_slab(struct heap *h, unsigned class)
{
    struct slab *s = new_slab(SLAB_BYTES, class, class_bytes(class));
    if (class < PAGES_FROM)
        s->fresh += offset_of(start_of(s)); /* these too: what is given most lies at the front */
    list_push_front(&h->classes[class].open, &s->node);
    h->classes[class].empty++;
}

static void close_slab(struct slab *s)
{
    list_del(&s->node);
    unmap(start_of(s), s->mapped);
}

static bool is_full(const struct slab *s)
{
    return !s->free && SLAB_BYTES - s->fresh < s->bytes;
}

static void *take(struct slab *s)
{
    void *p = s->free;
    if (p) {
        s->free = *(void **)p;
        return p;
    }
    p = start_of(s) + s->fresh;
    s->fresh += s->bytes;
    return p;
}

static void *get(struct heap *h, unsigned class)
{
    struct heap_class *c = &h->classes[class];
    if (list_empty(&c->open))
        open_slab(h, class);
    struct slab *s = list_first(&c->open, struct slab, node);
    void *p = take(s);
    c->empty -= s->live == 0;
    s->live++;
    if (is_full(s))
        list_del(&s->node);
    return p;
}

/* Empty ones stand last, so that the others are filled before them. */
static void retire(struct heap_class *c, struct slab *s)
{
    list_del(&s->node);
    if (c->empty) {
        close_slab(s);
        return;
    }
    c->empty++;
    list_push_back(&c->open, &s->node);
}

static void put(struct heap *h, struct slab *s, void *p)
{
    struct heap_class *c = &h->classes[s->class];
    CHECK(s->live > 0);
    *(void **)p = s->free;
    s->free = p;
    s->live--;
    if (list_empty(&s->node))
        list_push_front(&c->open, &s->node);
    if (s->live == 0)
        retire(c, s);
}

static void *get_large(size_t n)
{
    CHECK(n <= SIZE_MAX / 2);
    size_t pages = (n + HEAP_PAGE_BYTES - 1) / HEAP_PAGE_BYTES;
    struct slab *s = new_slab((pages + 1) * HEAP_PAGE_BYTES, HEAP_CLASSES, n);
    return start_of(s) + HEAP_PAGE_BYTES;
}

/* ---- malloc's or ours ---- */

static bool is_malloced(const struct heap *h)
{
#ifdef __SANITIZE_ADDRESS__
    return h->malloced;
#else
    (void)h;
    return false;
#endif
}

static size_t usable(const struct heap *h, void *p)
{
    return is_malloced(h) ? malloc_usable_size(p) : slab_of(p)->bytes;
}

static void *get_malloced(size_t n)
{
    void *p = malloc(n ? n : 1);
    CHECK(p);
    return p;
}

static void put_ours(struct heap *h, void *p)
{
    struct slab *s = slab_of(p);
    if (s->class == HEAP_CLASSES)
        close_slab(s);
    else
        put(h, s, p);
}

/* ---- all ---- */

void heap_fini(struct heap *h)
{
    CHECK(h->live == 0);
    for (unsigned i = 0; i < HEAP_CLASSES; i++)
        list_each(n, tmp, &h->classes[i].open)
            close_slab(list_entry(n, struct slab, node));
}

void *heap_get(struct heap *h, size_t n)
{
    h->live++;
    if (is_malloced(h))
        return get_malloced(n);
    return n <= HEAP_PAGES_BYTES ? get(h, class_of(n)) : get_large(n);
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
    if (p && n <= usable(h, p))
        return p;
    void *larger = heap_get(h, n);
    if (p)
        memcpy(larger, p, usable(h, p));
    heap_put(h, p);
    return larger;
}

void heap_put(struct heap *h, void *p)
{
    if (!p)
        return;
    CHECK(h->live > 0);
    h->live--;
    if (is_malloced(h))
        free(p);
    else
        put_ours(h, p);
}

static bool has_pages(const struct slab *s)
{
    return s->class >= PAGES_FROM && s->class < HEAP_CLASSES;
}

void heap_vacate(struct heap *h, void *p)
{
    size_t n = usable(h, p);
    if (is_malloced(h) || !has_pages(slab_of(p)))
        memset(p, 0, n);
    else
        CHECK(madvise(p, n, MADV_DONTNEED) == 0);
}
