#include "base/chunk.h"

#include <stdlib.h>

#include "base/check.h"

/* Free memory kept for reuse, a class: enough for 512 streams of HTTP/2 at once, little beside the
 * budget. */
#define KEEP_BYTES (2u << 20)

static size_t class_bytes(unsigned cls)
{
    return (size_t)1024 << (2 * cls);
}

static size_t room_of(unsigned cls)
{
    return class_bytes(cls) - sizeof(struct chunk);
}

void chunkpool_init(struct chunkpool *p, size_t budget_bytes)
{
    *p = (struct chunkpool){.budget_bytes = budget_bytes};
}

void chunkpool_fini(struct chunkpool *p)
{
    for (unsigned i = 0; i < CHUNK_CLASSES; i++)
        while (p->free[i]) {
            struct chunk *c = p->free[i];
            p->free[i] = c->next;
            free(c);
        }
}

struct chunk *chunkpool_get(struct chunkpool *p, size_t n)
{
    unsigned cls = 0;
    while (room_of(cls) < n)
        CHECK(++cls < CHUNK_CLASSES);
    struct chunk *c = p->free[cls];
    if (c) {
        p->free[cls] = c->next;
        p->free_count[cls]--;
    } else {
        c = malloc(class_bytes(cls));
        CHECK(c);
    }
    p->used_bytes += class_bytes(cls);
    *c = (struct chunk){.cls = cls, .cap = (uint32_t)room_of(cls)};
    return c;
}

static bool keep(const struct chunkpool *p, unsigned cls)
{
#ifdef __SANITIZE_ADDRESS__
    (void)p, (void)cls;
    return false;
#else
    return (p->free_count[cls] + 1) * class_bytes(cls) <= KEEP_BYTES;
#endif
}

void chunkpool_put(struct chunkpool *p, struct chunk *c)
{
    unsigned cls = c->cls;
    CHECK(p->used_bytes >= class_bytes(cls));
    p->used_bytes -= class_bytes(cls);
    if (!keep(p, cls)) {
        free(c);
        return;
    }
    c->next = p->free[cls];
    p->free[cls] = c;
    p->free_count[cls]++;
}

/* Small leftovers get a small chunk, so that ten thousand slow readers of small answers cost
 * little; but only the first one a tiny chunk: a flow may be in FLOW_IOV_MAX pieces. */
static void append_chunk(struct chunkq *q, struct chunkpool *p, size_t n)
{
    unsigned cls = !q->tail && n <= room_of(0) ? 0 : n <= room_of(1) ? 1 : 2;
    struct chunk *c = chunkpool_get(p, room_of(cls));
    if (q->tail)
        q->tail->next = c;
    else
        q->head = c;
    q->tail = c;
}

void chunkq_add(struct chunkq *q, struct chunkpool *p, struct slice s)
{
    while (s.n) {
        if (!q->tail || q->tail->end == q->tail->cap)
            append_chunk(q, p, s.n);
        struct chunk *c = q->tail;
        size_t n = c->cap - c->end;
        if (n > s.n)
            n = s.n;
        memcpy(c->data + c->end, s.p, n);
        c->end += (uint32_t)n;
        q->bytes += n;
        s = slice_from(s, n);
    }
}

int chunkq_peek(const struct chunkq *q, struct iovec *iov, int max)
{
    int n = 0;
    for (struct chunk *c = q->head; c && n < max; c = c->next)
        iov[n++] = (struct iovec){c->data + c->off, c->end - c->off};
    return n;
}

void chunkq_consume(struct chunkq *q, struct chunkpool *p, size_t n)
{
    CHECK(n <= q->bytes);
    q->bytes -= n;
    while (n) {
        struct chunk *c = q->head;
        size_t have = c->end - c->off;
        if (n < have) {
            c->off += (uint32_t)n;
            return;
        }
        n -= have;
        q->head = c->next;
        if (!q->head)
            q->tail = NULL;
        chunkpool_put(p, c);
    }
}

void chunkq_clear(struct chunkq *q, struct chunkpool *p)
{
    chunkq_consume(q, p, q->bytes);
}
