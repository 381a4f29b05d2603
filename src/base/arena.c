#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/check.h"

#define BLOCK_MIN 4096
#define BLOCK_MAX (1u << 20)
#define ALIGN     16u

struct arena_block {
    struct arena_block *next;
    size_t size;
};

#define HEADER ((sizeof(struct arena_block) + ALIGN - 1) & ~(size_t)(ALIGN - 1))

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
}

void arena_fini(struct arena *a)
{
    struct arena_block *next;
    for (struct arena_block *b = a->blocks; b; b = next) {
        next = b->next;
        free(b);
    }
    arena_init(a);
}

/* Blocks double, so that a snapshot of megabytes takes few of them and a small one little. */
static void grow(struct arena *a, size_t n)
{
    size_t size = a->blocks ? a->blocks->size * 2 : BLOCK_MIN;
    if (size > BLOCK_MAX)
        size = BLOCK_MAX;
    if (size < n + HEADER)
        size = n + HEADER;
    struct arena_block *b = malloc(size);
    CHECK(b);
    b->next = a->blocks;
    b->size = size;
    a->blocks = b;
    a->at = (char *)b + HEADER;
    a->end = (char *)b + size;
    a->total_bytes += size;
}

void *arena_alloc(struct arena *a, size_t n)
{
    CHECK(n < SIZE_MAX / 2);
    n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (!a->blocks || (size_t)(a->end - a->at) < n)
        grow(a, n);
    void *p = a->at;
    a->at += n;
    return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
    return memset(arena_alloc(a, n), 0, n);
}

void *arena_copy(struct arena *a, const void *p, size_t n)
{
    void *to = arena_alloc(a, n);
    if (n)
        memcpy(to, p, n);
    return to;
}

char *arena_strdup(struct arena *a, struct slice s)
{
    char *to = arena_alloc(a, s.n + 1);
    if (s.n)
        memcpy(to, s.p, s.n);
    to[s.n] = '\0';
    return to;
}

struct slice arena_slice(struct arena *a, struct slice s)
{
    return slice_of(arena_strdup(a, s), s.n);
}
