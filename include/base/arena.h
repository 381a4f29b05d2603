/* Bump allocator: many small pieces, freed all at once. Owner: whoever called arena_init (a
 * snapshot, an exchange, the loader). Memory is aligned to 16 and not zeroed unless said so.
 * Allocation never returns NULL: running out aborts, so callers that take sizes from outside
 * bound them first. Single thread while being filled; read-only from any thread afterwards. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/slice.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    char *at, *end;             /* free part of the newest block */
    size_t total_bytes;         /* taken from malloc, for gauges */
};

void arena_init(struct arena *a);
void arena_fini(struct arena *a); /* frees all; the arena is empty and usable again */

void *arena_alloc(struct arena *a, size_t n);
void *arena_zalloc(struct arena *a, size_t n);
void *arena_copy(struct arena *a, const void *p, size_t n);
/* A NUL-terminated copy. */
char *arena_strdup(struct arena *a, struct slice s);
struct slice arena_slice(struct arena *a, struct slice s);

#define ARENA_NEW(a, type)      ((type *)arena_zalloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_zalloc((a), sizeof(type) * (n)))

#endif
