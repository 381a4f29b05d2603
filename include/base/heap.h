/* Memory of any size for a library that wants functions like malloc(), from pools of one loop: what
 * it takes and gives back for every request costs no more than a pool does.
 *
 *   up to HEAP_SMALL_BYTES     pools
 *   a buffer of one frame      slots of memory that nobody has used for anything else: of a buffer
 *                              that is written only at its beginning the rest never becomes
 *                              resident. They are kept for the next ones as long as the heap lives
 *   else                       malloc
 *
 * Plain malloc/free in ASAN builds, as in all pools.
 * Owner: whoever runs the loop; must outlive all it gave. Single thread. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include "base/pool.h"

#define HEAP_STEP_BYTES  64u
#define HEAP_CLASSES     16
#define HEAP_SMALL_BYTES (HEAP_STEP_BYTES * HEAP_CLASSES - 16)

#define HEAP_SLOT_LEAST 12288u /* the pieces that get a slot: from this */
#define HEAP_SLOT_BYTES 16448u /* to this */

struct heap_slab;

struct heap {
    struct pool pools[HEAP_CLASSES];
    struct heap_slab *slabs; /* the newest first */
    void *slots;             /* free ones, the last used first */
    unsigned slots_live;
};

void heap_init(struct heap *h);
/* All was given back. */
void heap_fini(struct heap *h);

/* As malloc(3) and the like, aligned for any object; never NULL for want of memory. */
void *heap_get(struct heap *h, size_t n);
void *heap_get_zeroed(struct heap *h, size_t count, size_t n); /* NULL: the product overflows */
void *heap_resize(struct heap *h, void *p, size_t n);
void heap_put(struct heap *h, void *p); /* NULL is fine */

#endif
