/* Memory of any size for a library that wants functions like malloc(), from slabs of one loop: what
 * it takes and gives back for every request costs no more than a pool does, and what it keeps for
 * an idle connection lies side by side, without a head of its own.
 *
 *   slab, 1 MiB at a multiple of 1 MiB, so that a piece's address leads to it
 *     ├─ class by class, in steps: 16 bytes up to 512, 64 bytes up to HEAP_SMALL_BYTES
 *     ├─ whole pages up to HEAP_PAGES_BYTES: pages of a piece that were never written, and those
 *     │  that heap_vacate() took back, are not resident
 *     └─ above: a mapping for each piece
 *
 * A slab goes back to the kernel when none of its pieces is left, but for one a class.
 * Plain malloc/free in ASAN builds, as in all pools.
 * Owner: whoever runs the loop; must outlive all it gave. Single thread. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stddef.h>

#include "base/list.h"

#define HEAP_PAGE_BYTES  4096u
#define HEAP_SMALL_BYTES 4032u
#define HEAP_PAGES_BYTES (20 * HEAP_PAGE_BYTES)
#define HEAP_CLASSES     (512 / 16 + (HEAP_SMALL_BYTES - 512) / 64 + 20)

struct heap_class {
    struct list open; /* slabs with room */
    unsigned empty;   /* those of them that hold nothing: 0 or 1 */
};

struct heap {
    struct heap_class classes[HEAP_CLASSES];
    size_t live;   /* pieces: a gauge */
    bool malloced; /* in ASAN builds, but for the tests of this; without meaning in others */
};

void heap_init(struct heap *h);
/* All was given back. */
void heap_fini(struct heap *h);

/* As malloc(3) and the like, aligned for any object; never NULL for want of memory. */
void *heap_get(struct heap *h, size_t n);
void *heap_get_zeroed(struct heap *h, size_t count, size_t n); /* NULL: the product overflows */
void *heap_resize(struct heap *h, void *p, size_t n);
void heap_put(struct heap *h, void *p); /* NULL is fine */

/* The piece holds zeroes from now on. One of whole pages holds them without any memory, until it is
 * written again: a syscall and then page faults, so for what is idle. */
void heap_vacate(struct heap *h, void *p);

#endif
