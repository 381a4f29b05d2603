/* A flow: the bytes of one direction of an exchange, from a producing to a consuming endpoint.
 *
 *   producer (one task)                          consumer (any time)
 *     flow_room ──▶ reads at most that much
 *     flow_lend(piece of the scratch) ──▶ wake ──▶ flow_peek / flow_consume: straight to the
 *     flow_settle: copies what is left             other socket, no copy in the normal case
 *     flow_end: nothing will follow                flow_finished: all of it was taken
 *
 * A lent slice belongs to the producer's task: flow_settle() must be called before that task
 * returns. A flow holds at most its cap and no chunk when empty. A full flow stops its producer
 * by giving no room; whoever consumes tells the producer's endpoint with wake(ROOM).
 * Owner: the exchange. Single thread. Calls nobody.
 */
#ifndef BASE_FLOW_H
#define BASE_FLOW_H

#include <stdbool.h>

#include "base/chunk.h"

#define FLOW_CAP_BYTES       (128u * 1024)
#define FLOW_CAP_TIGHT_BYTES CHUNK_SMALL_BYTES /* above 75 % of limits.buffer_memory */
#define FLOW_IOV_MAX         36 /* pieces that a full flow can be in */

struct flow {
    struct chunkq q;
    struct slice lent; /* behind q; valid until flow_settle */
    uint64_t total_bytes;
    bool ended;
};

static inline void flow_init(struct flow *f)
{
    *f = (struct flow){0};
}

static inline size_t flow_bytes(const struct flow *f)
{
    return f->q.bytes + f->lent.n;
}

static inline size_t flow_room(const struct flow *f, const struct chunkpool *p)
{
    size_t cap = chunkpool_pressure(p) == CHUNK_PRESSURE_NONE ? FLOW_CAP_BYTES : FLOW_CAP_TIGHT_BYTES;
    size_t held = flow_bytes(f);
    return held < cap ? cap - held : 0;
}

static inline bool flow_finished(const struct flow *f)
{
    return f->ended && flow_bytes(f) == 0;
}

/* At most one slice is lent at a time: an earlier one that is not consumed is settled first. */
void flow_lend(struct flow *f, struct chunkpool *p, struct slice s);
void flow_settle(struct flow *f, struct chunkpool *p);
void flow_end(struct flow *f);
/* A message ended, but its connection goes on as a raw stream. The flow must be finished. */
void flow_reopen(struct flow *f);

int flow_peek(const struct flow *f, struct iovec *iov, int max);
void flow_consume(struct flow *f, struct chunkpool *p, size_t n);
void flow_clear(struct flow *f, struct chunkpool *p);

#endif
