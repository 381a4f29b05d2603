/* Buffers: fixed classes from a per-loop pool with a soft budget, and queues of them.
 *
 * Bytes live in chunks only while somebody refuses to take them: unsent output of a conn, a
 * flow whose consumer is slow, a partial head. An idle connection holds none.
 *
 * The pool keeps free chunks in LIFO lists (plain malloc/free in ASAN builds, which would
 * otherwise not see a use after free). The budget refuses nothing by itself: chunkpool_pressure()
 * tells producers to shrink (flow.h) and exchanges to be refused (limits.buffer_memory), so that
 * what is in flight can always finish. Running out of memory aborts. Single thread.
 */
#ifndef BASE_CHUNK_H
#define BASE_CHUNK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/slice.h"

#define CHUNK_CLASSES 6 /* 1, 4, 16, 64, 256 KiB, and 1 MiB for the largest heads */

struct chunk {
    struct chunk *next;
    uint32_t cls;
    uint32_t cap;      /* bytes of data */
    uint32_t off, end; /* data[off..end) is in use */
    char data[];
};

struct chunkpool {
    struct chunk *free[CHUNK_CLASSES];
    unsigned free_count[CHUNK_CLASSES];
    size_t used_bytes;     /* handed out; back to 0 when nothing is in flight */
    size_t promised_bytes; /* kept free for those who hold none yet, see CHUNK_PRESSURE_HIGH */
    size_t budget_bytes;   /* limits.buffer_memory */
};

enum chunk_pressure {
    CHUNK_PRESSURE_NONE,
    CHUNK_PRESSURE_HIGH, /* above 75 %, promises included: big holders stop reading */
    CHUNK_PRESSURE_FULL, /* 100 % used: no new exchanges */
};

/* What is read at a time under pressure: fits into a chunk of 4 KiB, with framing around it. */
#define CHUNK_SMALL_BYTES 3840

void chunkpool_init(struct chunkpool *p, size_t budget_bytes);
void chunkpool_fini(struct chunkpool *p);
/* At least n bytes of room; n is at most 1 MiB. */
struct chunk *chunkpool_get(struct chunkpool *p, size_t n);
void chunkpool_put(struct chunkpool *p, struct chunk *c);

static inline enum chunk_pressure chunkpool_pressure(const struct chunkpool *p)
{
    if (__builtin_expect(p->used_bytes + p->promised_bytes < p->budget_bytes / 4 * 3, 1))
        return CHUNK_PRESSURE_NONE;
    return p->used_bytes < p->budget_bytes ? CHUNK_PRESSURE_HIGH : CHUNK_PRESSURE_FULL;
}

/* A byte queue made of chunks; holds none when empty. Embedded; unbounded by itself, its users
 * bound it. */
struct chunkq {
    struct chunk *head, *tail;
    size_t bytes;
};

static inline void chunkq_init(struct chunkq *q)
{
    *q = (struct chunkq){0};
}

void chunkq_add(struct chunkq *q, struct chunkpool *p, struct slice s);
/* The first bytes as at most max pieces; returns how many. */
int chunkq_peek(const struct chunkq *q, struct iovec *iov, int max);
void chunkq_consume(struct chunkq *q, struct chunkpool *p, size_t n);
void chunkq_clear(struct chunkq *q, struct chunkpool *p);

#endif
