#include "proxy/h1_body.h"

#include "http/h1_writer.h"
#include "http/validate.h"

#define JOIN_BYTES 4096

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

enum reason h1_body_keep_trailers(struct proxy *p, struct slice raw, struct fields *to,
                                  struct chunk **store)
{
    struct fields got;
    fields_init(&got, p->fields, p->limits.headers);
    enum reason why = validate_trailers(raw, &p->limits, &got);
    if (why != REASON_NONE || got.count == 0)
        return why;
    size_t array = got.count * sizeof(struct field);
    *store = chunkpool_get(&p->loop->chunks, array + raw.n);
    char *text = (*store)->data + array;
    memcpy(text, raw.p, raw.n);
    *to = got;
    to->at = (struct field *)(void *)(*store)->data;
    for (uint32_t i = 0; i < got.count; i++) {
        to->at[i] = got.at[i];
        to->at[i].name = rebase(got.at[i].name, raw.p, text);
        to->at[i].value = rebase(got.at[i].value, raw.p, text);
    }
    return REASON_NONE;
}

/* Of a body that is thrown away they are only looked at. */
static enum h1_body_result take_trailers(struct h1_body_in *b, struct proxy *p, struct slice raw)
{
    struct fields nowhere;
    struct chunk *store = NULL;
    enum reason why = h1_body_keep_trailers(p, raw, b->trailers ? b->trailers : &nowhere,
                                            b->trailers ? b->trailer_store : &store);
    if (store)
        chunkpool_put(&p->loop->chunks, store);
    return why == REASON_NONE ? H1_BODY_MOVED : bad(b, why);
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
            return take_trailers(b, p, s.data) == H1_BODY_BAD ? H1_BODY_BAD : end(b, f);
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
    if (e == ERR_EOF && c->truncated)
        e = b->framing == FRAMING_CLOSE ? ERR_RESET : e; /* RFC 9112 9.8 */
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

/* What leaves in one write. */
struct segment {
    struct iovec iov[FLOW_IOV_MAX + 5];
    int n;
    size_t bytes;
};

static void add(struct segment *s, const void *p, size_t n)
{
    if (n == 0)
        return;
    s->iov[s->n++] = (struct iovec){(void *)(uintptr_t)p, n};
    s->bytes += n;
}

/* "0\r\n", trailers, "\r\n"; rendered behind the room that joining small pieces may take. */
static void add_last_chunk(struct segment *s, const struct h1_body_out *b, struct loop *l,
                           const struct fields *trailers)
{
    size_t used = b->head_n + JOIN_BYTES, n;
    struct h1_writer w;
    h1_writer_init(&w, l->head + used, LOOP_HEAD_BYTES - used);
    h1_writer_last_chunk(&w, trailers);
    if (trailers->count && h1_writer_end(&w, &n) == OK)
        add(s, w.p, n);
    else
        add(s, "0\r\n\r\n", 5); /* trailers may be dropped (RFC 9110 6.5.1) */
}

/* All that the flow has now, in the body's framing; returns how much of the flow that is. */
static size_t add_body(struct segment *s, const struct h1_body_out *b, struct flow *f, char *size)
{
    struct iovec piece[FLOW_IOV_MAX];
    int pieces = flow_peek(f, piece, FLOW_IOV_MAX);
    bool chunked = b->framing == FRAMING_CHUNKED && pieces;
    size_t bytes = 0;
    for (int i = 0; i < pieces; i++)
        bytes += piece[i].iov_len;
    if (chunked)
        add(s, size, h1_writer_chunk_head(size, bytes));
    for (int i = 0; i < pieces; i++)
        add(s, piece[i].iov_base, piece[i].iov_len);
    if (chunked)
        add(s, "\r\n", 2);
    return bytes;
}

/* A short body is cheaper copied behind its head than gathered by the kernel. */
static void join_small(struct segment *s, const struct h1_body_out *b, struct loop *l)
{
    if (s->n < 2 || s->bytes > b->head_n + JOIN_BYTES)
        return;
    char *to = l->head + b->head_n;
    for (int i = b->head_n ? 1 : 0; i < s->n; i++)
        to = mempcpy(to, s->iov[i].iov_base, s->iov[i].iov_len);
    s->iov[0] = (struct iovec){l->head, s->bytes};
    s->n = 1;
}

enum err h1_body_push(struct h1_body_out *b, struct conn *c, struct flow *f,
                      const struct fields *trailers, bool *taken)
{
    struct segment s;
    char size[H1_CHUNK_HEAD_MAX];
    s.n = 0; /* by hand: clearing all of it costs more than the rest of this function */
    s.bytes = 0;
    *taken = false;
    if (b->head_n == 0 && (conn_unsent(c) || b->over))
        return OK;
    add(&s, c->loop->head, b->head_n);
    size_t bytes = add_body(&s, b, f, size);
    bool last = f->ended && bytes == flow_bytes(f);
    if (last && b->framing == FRAMING_CHUNKED)
        add_last_chunk(&s, b, c->loop, trailers);
    join_small(&s, b, c->loop);
    if (s.n) {
        enum err e = conn_write(c, s.iov, s.n);
        if (e != OK)
            return e;
    }
    flow_consume(f, &c->loop->chunks, bytes);
    *taken = bytes || last;
    b->head_n = 0;
    b->over = last;
    return OK;
}
