#include "base/flow.h"

#include "base/check.h"

void flow_lend(struct flow *f, struct chunkpool *p, struct slice s)
{
    CHECK(!f->ended);
    flow_settle(f, p);
    CHECK(f->q.bytes + s.n <= FLOW_CAP_BYTES);
    f->lent = s;
    f->total_bytes += s.n;
}

void flow_settle(struct flow *f, struct chunkpool *p)
{
    if (f->lent.n)
        chunkq_add(&f->q, p, f->lent);
    f->lent = slice_of(NULL, 0);
}

void flow_end(struct flow *f)
{
    f->ended = true;
}

void flow_reopen(struct flow *f)
{
    CHECK(flow_finished(f));
    f->ended = false;
}

int flow_peek(const struct flow *f, struct iovec *iov, int max)
{
    int n = chunkq_peek(&f->q, iov, max);
    if (f->lent.n && n < max)
        iov[n++] = (struct iovec){(void *)(uintptr_t)f->lent.p, f->lent.n};
    return n;
}

void flow_consume(struct flow *f, struct chunkpool *p, size_t n)
{
    size_t queued = n < f->q.bytes ? n : f->q.bytes;
    chunkq_consume(&f->q, p, queued);
    CHECK(n - queued <= f->lent.n);
    if (n > queued)
        f->lent = slice_from(f->lent, n - queued);
}

void flow_clear(struct flow *f, struct chunkpool *p)
{
    f->lent = slice_of(NULL, 0);
    chunkq_clear(&f->q, p);
}
