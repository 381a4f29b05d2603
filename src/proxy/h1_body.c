#include "proxy/h1_body.h"

#include "http/h1_writer.h"
#include "http/validate.h"

/* ---- reading ---- */

void h1_body_in_init(struct h1_body_in *b, enum framing framing, uint64_t length, uint64_t limit)
{
    *b = (struct h1_body_in){.framing = framing, .left = length, .limit = limit};
    if (framing == FRAMING_CHUNKED)
        chunked_init(&b->chunked);
    b->ended = framing == FRAMING_NONE || (framing == FRAMING_LENGTH && length == 0);
}

bool h1_body_needs_more(const struct h1_body_in *b)
{
    return b->framing == FRAMING_CHUNKED && !b->ended;
}

static enum h1_body_result bad(struct h1_body_in *b, enum reason why)
{
    b->reason = why;
    return H1_BODY_BAD;
}

static bool count(struct h1_body_in *b, size_t n)
{
    b->total += n;
    return b->total <= b->limit;
}

static enum h1_body_result end(struct h1_body_in *b, struct flow *f)
{
    b->ended = true;
    flow_end(f);
    return H1_BODY_MOVED;
}

static enum h1_body_result feed_plain(struct h1_body_in *b, struct chunkpool *pool, struct flow *f,
                                      struct slice *in)
{
    size_t n = flow_room(f, pool);
    if (n > in->n)
        n = in->n;
    if (b->framing == FRAMING_LENGTH && n > b->left)
        n = (size_t)b->left;
    if (n == 0)
        return in->n ? H1_BODY_BLOCKED : H1_BODY_NOTHING;
    if (!count(b, n))
        return bad(b, REASON_BODY_TOO_LARGE);
    flow_lend(f, pool, slice_upto(*in, n));
    *in = slice_from(*in, n);
    b->left -= b->framing == FRAMING_LENGTH ? n : 0;
    if (b->framing == FRAMING_LENGTH && b->left == 0)
        return end(b, f);
    return H1_BODY_MOVED;
}

static struct slice rebase(struct slice s, const char *from, char *to)
{
    return slice_of(to + (s.p - from), s.n);
}

/* Trailers outlive the scratch: they go out when the consumer has come to the end of the body. */
static enum h1_body_result keep_trailers(struct h1_body_in *b, struct proxy *p, struct slice raw)
{
    struct fields got;
    fields_init(&got, p->fields, p->limits.headers);
    enum reason why = validate_trailers(raw, &p->limits, &got);
    if (why != REASON_NONE)
        return bad(b, why);
    if (!b->trailers || got.count == 0)
        return H1_BODY_MOVED;
    size_t array = got.count * sizeof(struct field);
    struct chunk *store = chunkpool_get(&p->loop->chunks, array + raw.n);
    struct field *at = (struct field *)(void *)store->data;
    memcpy(store->data + array, raw.p, raw.n);
    for (uint32_t i = 0; i < got.count; i++) {
        at[i] = got.at[i];
        at[i].name = rebase(got.at[i].name, raw.p, store->data + array);
        at[i].value = rebase(got.at[i].value, raw.p, store->data + array);
    }
    *b->trailers = got;
    b->trailers->at = at;
    *b->trailer_store = store;
    return H1_BODY_MOVED;
}

/* Body octets of all chunks in `in` are moved together at the place of the first ones. */
static enum h1_body_result feed_chunked(struct h1_body_in *b, struct proxy *p, struct flow *f,
                                        struct slice *in)
{
    struct chunkpool *pool = &p->loop->chunks;
    size_t room = flow_room(f, pool), got = 0;
    char *body = NULL;
    for (;;) {
        struct chunked_step s = chunked_scan(&b->chunked, *in, room - got, &p->limits);
        *in = slice_from(*in, s.consumed);
        if (s.event == CHUNKED_DATA) {
            if (!body)
                body = (char *)(uintptr_t)s.data.p;
            else
                memmove(body + got, s.data.p, s.data.n);
            got += s.data.n;
            if (!count(b, s.data.n))
                return bad(b, REASON_BODY_TOO_LARGE);
            continue;
        }
        if (got)
            flow_lend(f, pool, slice_of(body, got));
        switch (s.event) {
        case CHUNKED_END:
            return keep_trailers(b, p, s.data) == H1_BODY_BAD ? H1_BODY_BAD : end(b, f);
        case CHUNKED_BAD:
            return bad(b, REASON_BAD_CHUNK);
        case CHUNKED_TRAILERS_TOO_LARGE:
            return bad(b, REASON_TRAILERS_TOO_LARGE);
        case CHUNKED_FULL:
            return got ? H1_BODY_MOVED : H1_BODY_BLOCKED;
        default:
            return got ? H1_BODY_MOVED : H1_BODY_NOTHING;
        }
    }
}

enum h1_body_result h1_body_feed(struct h1_body_in *b, struct proxy *p, struct flow *f,
                                 struct slice *in)
{
    if (b->ended)
        return H1_BODY_BLOCKED;
    return b->framing == FRAMING_CHUNKED ? feed_chunked(b, p, f, in)
                                         : feed_plain(b, &p->loop->chunks, f, in);
}

static size_t appetite(const struct h1_body_in *b, size_t room)
{
    return b->framing == FRAMING_LENGTH && b->left < room ? (size_t)b->left : room;
}

static enum h1_body_result on_no_input(struct h1_body_in *b, struct flow *f, enum err e)
{
    if (e == ERR_AGAIN)
        return H1_BODY_NOTHING;
    if (e == ERR_LIMIT)
        return bad(b, REASON_TRAILERS_TOO_LARGE);
    if (e == ERR_EOF)
        return b->framing == FRAMING_CLOSE ? end(b, f) : H1_BODY_EOF;
    return H1_BODY_RESET;
}

enum h1_body_result h1_body_pull(struct h1_body_in *b, struct proxy *p, struct flow *f,
                                 struct conn *c)
{
    size_t want = appetite(b, flow_room(f, &p->loop->chunks));
    struct slice in;
    if (b->ended || want == 0)
        return H1_BODY_BLOCKED;
    enum err e = conn_read(c, want, &in);
    if (e != OK)
        return on_no_input(b, f, e);
    enum h1_body_result r = h1_body_feed(b, p, f, &in);
    conn_keep(c, in, in.n && h1_body_needs_more(b));
    return r;
}

enum h1_body_result h1_body_discard(struct h1_body_in *b, struct proxy *p, struct conn *c,
                                    uint64_t *budget)
{
    struct flow nowhere;
    flow_init(&nowhere);
    enum h1_body_result r = h1_body_pull(b, p, &nowhere, c);
    uint64_t n = nowhere.total_bytes;
    nowhere.lent = slice_of(NULL, 0);
    if (r != H1_BODY_MOVED)
        return r;
    *budget = n < *budget ? *budget - n : 0;
    return *budget || b->ended ? H1_BODY_MOVED : H1_BODY_BLOCKED;
}

/* ---- writing ---- */

void h1_body_out_init(struct h1_body_out *b, enum framing framing, size_t head_n)
{
    *b = (struct h1_body_out){.framing = framing, .head_n = head_n};
}

static size_t iov_add(struct iovec *iov, int *n, const void *p, size_t len)
{
    iov[(*n)++] = (struct iovec){(void *)(uintptr_t)p, len};
    return len;
}

/* "0\r\n", trailers, "\r\n" behind the pending head in the head buffer. */
static struct slice last_chunk(const struct h1_body_out *b, struct loop *l,
                               const struct fields *trailers)
{
    struct h1_writer w;
    size_t n;
    h1_writer_init(&w, l->head + b->head_n, LOOP_HEAD_BYTES - b->head_n);
    h1_writer_last_chunk(&w, trailers);
    if (h1_writer_end(&w, &n) != OK)
        return SLICE("0\r\n\r\n"); /* trailers may be dropped (RFC 9110 6.5.1) */
    return slice_of(l->head + b->head_n, n);
}

enum err h1_body_push(struct h1_body_out *b, struct conn *c, struct flow *f,
                      const struct fields *trailers, bool *taken)
{
    struct loop *l = c->loop;
    struct iovec iov[FLOW_IOV_MAX + 5];
    char size[H1_CHUNK_HEAD_MAX];
    int n = 0;
    *taken = false;
    if (b->head_n == 0 && (conn_unsent(c) || b->over))
        return OK;
    if (b->head_n)
        iov_add(iov, &n, l->head, b->head_n);

    int first = n + (b->framing == FRAMING_CHUNKED && flow_bytes(f));
    int pieces = flow_peek(f, iov + first, FLOW_IOV_MAX);
    size_t bytes = 0;
    for (int i = 0; i < pieces; i++)
        bytes += iov[first + i].iov_len;
    if (first > n)
        iov_add(iov, &n, size, h1_writer_chunk_head(size, bytes));
    n += pieces;
    if (b->framing == FRAMING_CHUNKED && bytes)
        iov_add(iov, &n, "\r\n", 2);
    bool last = f->ended && bytes == flow_bytes(f);
    if (last && b->framing == FRAMING_CHUNKED) {
        struct slice end_of_body = last_chunk(b, l, trailers);
        iov_add(iov, &n, end_of_body.p, end_of_body.n);
    }
    if (n) {
        enum err e = conn_write(c, iov, n);
        if (e != OK)
            return e;
    }
    flow_consume(f, &l->chunks, bytes);
    *taken = bytes || last;
    b->head_n = 0;
    b->over = last;
    return OK;
}
