#include "back_h2_stream.h"

#include "http/h1_parser.h"
#include "proxy/back_h1.h"
#include "proxy/h1_body.h"

#define STREAM_MAGIC 0x48324254
#define LENT_BYTES   (16u * 1024) /* a piece of that size is sent from where it lies */

struct back_stream {
    uint32_t magic;
    struct back_h2 *session;
    struct proxy *proxy; /* outlives the session, which may be reaped first */
    struct h2_stream wire;
    struct endpoint ep;
    struct task task; /* reports what send_head found */
    struct list node;
    enum reason failed; /* found while called by the exchange */
    bool unsent;        /* and the next target may do better */
    bool open;          /* the codec knows it */
    bool heard;         /* some of an answer came */
    bool freed;
    size_t uncredited; /* octets of body for which the stream got no credit back */
    uint64_t begun_ms;
    struct reapable reapable;
};

size_t back_h2_stream_bytes(void)
{
    return sizeof(struct back_stream);
}

static struct chunkpool *chunks_of(const struct back_h2 *b)
{
    return &b->proxy->loop->chunks;
}

static uint64_t now_of(const struct back_h2 *b)
{
    return b->proxy->loop->clock.now_ms;
}

static struct back_stream *stream_of(struct endpoint *ep)
{
    struct back_stream *st = container_of(ep, struct back_stream, ep);
    CHECK_MAGIC(st, STREAM_MAGIC);
    return st;
}

/* ---- credit for what the target sends ---- */

static void release_credit(struct back_h2 *b, size_t n)
{
    n = n < b->withheld ? n : b->withheld;
    b->withheld -= n;
    h2_session_received(&b->h2, n);
}

/* Normally at once; when memory is short only for what was passed on. */
static void credit_connection(struct back_h2 *b, size_t n)
{
    b->withheld += n;
    if (chunkpool_pressure(chunks_of(b)) == CHUNK_PRESSURE_NONE)
        release_credit(b, b->withheld);
}

/* What the client took may be sent anew. */
static void credit_stream(struct back_stream *st)
{
    struct exchange *x = st->ep.x;
    size_t held = flow_bytes(&x->down), taken = st->uncredited - held;
    if (!st->open || !flow_room(&x->down, chunks_of(st->session)))
        return;
    st->uncredited = held;
    h2_session_consumed(&st->session->h2, &st->wire, taken);
    release_credit(st->session, taken);
}

/* ---- streams ---- */

static void stream_reap(struct reapable *r)
{
    struct back_stream *st = container_of(r, struct back_stream, reapable);
    st->magic = 0;
    pool_put(&st->proxy->back_streams, st);
}

static void stream_free(struct back_stream *st)
{
    CHECK(!st->ep.x && !st->open);
    if (st->freed)
        return;
    st->freed = true;
    task_cancel(&st->task);
    list_del(&st->node);
    st->reapable.reap = stream_reap;
    loop_reap(st->proxy->loop, &st->reapable);
}

/* The exchange needs it no more. whole: the answer is, so that a request which is whole too has
 * nothing left to say. */
static void leave_wire(struct back_stream *st, bool whole)
{
    struct back_h2 *b = st->session;
    task_cancel(&st->task);
    if (!st->open)
        return;
    if (whole && st->wire.ended)
        h2_session_finish(&b->h2, &st->wire);
    else
        h2_session_reset(&b->h2, &st->wire, H2_CODE_CANCEL);
    release_credit(b, st->uncredited);
    st->uncredited = 0;
    back_h2_mark(b);
}

/* Some of its body is gone already: it can be sent to nobody else. */
static bool took_body(const struct exchange *x)
{
    return x->up.total_bytes > flow_bytes(&x->up);
}

static void fail(struct back_stream *st, enum reason why, bool written, bool received)
{
    struct exchange *x = st->ep.x;
    leave_wire(st, false);
    exchange_back_failed(x, why, written || took_body(x), received);
    if (!st->open)
        stream_free(st);
}

static void stream_run(struct task *t)
{
    struct back_stream *st = container_of(t, struct back_stream, task);
    if (st->ep.x)
        fail(st, st->failed, !st->unsent, !st->unsent);
}

/* ---- endpoint ---- */

static bool has_body(const struct request_head *h)
{
    return h->framing != FRAMING_NONE && !(h->framing == FRAMING_LENGTH && h->content_length == 0);
}

/* ERR_LIMIT: no more streams on this connection. */
static enum err begin(struct back_stream *st, size_t head_n)
{
    struct back_h2 *b = st->session;
    struct exchange *x = st->ep.x;
    struct slice head = slice_of(x->proxy->loop->head, head_n);
    if (b->lost)
        return ERR_RESET;
    return h2_session_request(&b->h2, &st->wire, head, b->conn->transport,
                              has_body(&x->req) ? &x->up : NULL);
}

static void send_head(struct endpoint *ep)
{
    struct back_stream *st = stream_of(ep);
    struct back_h2 *b = st->session;
    size_t n;
    st->failed = back_h1_head(ep->x, &n);
    if (st->failed == REASON_NONE) {
        st->open = begin(st, n) == OK;
        st->unsent = !st->open;
    }
    if (st->open)
        return;
    if (st->unsent) {
        st->failed = REASON_TARGET_RESET;
        link_drain(b->link);
    }
    loop_push(b->proxy->loop, &st->task);
}

static void wake(struct endpoint *ep, unsigned what)
{
    struct back_stream *st = stream_of(ep);
    struct back_h2 *b = st->session;
    struct exchange *x = ep->x;
    if (!st->open)
        return;
    if (what & WAKE_TAKE)
        h2_session_wake(&b->h2, &st->wire, &x->up_trailers);
    if (what & WAKE_ROOM)
        credit_stream(st);
    back_h2_mark(b);
    if (b->running || conn_has_input(b->conn))
        return; /* what has come may say that the request is for nobody */
    for (int i = 0; i < BACK_H2_PULLS && x->up.lent.n >= LENT_BYTES; i++)
        if (!back_h2_send(b))
            break;
}

/* A connection that said nothing since the request may lead nowhere: others had better not wait for
 * that too. */
static void suspect(struct back_stream *st)
{
    if (st->session->heard_ms < st->begun_ms)
        link_drain(st->session->link);
}

static void close_stream(struct endpoint *ep, enum end end)
{
    struct back_stream *st = stream_of(ep);
    if (end == END_TIMEOUT)
        suspect(st);
    leave_wire(st, false);
    ep->x = NULL;
    if (!st->open)
        stream_free(st);
}

static const struct endpoint_ops ops = {send_head, wake, close_stream};

struct endpoint *back_h2_stream_new(struct back_h2 *b, struct exchange *x)
{
    struct back_stream *st = pool_get(&x->proxy->back_streams);
    CHECK(st); /* the pool has no limit: exchanges have */
    *st = (struct back_stream){.magic = STREAM_MAGIC,
                               .session = b,
                               .proxy = x->proxy,
                               .ep = {&ops, x},
                               .begun_ms = now_of(b)};
    task_init(&st->task, stream_run);
    list_push_back(&b->streams, &st->node);
    return &st->ep;
}

/* ---- answers ---- */

/* flow_end() was called. The slot goes back, and the link with it if it drains. */
static void done(struct back_stream *st)
{
    struct exchange *x = st->ep.x;
    leave_wire(st, true);
    exchange_back_done(x, true);
    exchange_down(x);
    if (!exchange_done(x))
        flow_settle(&x->down, &x->proxy->loop->chunks);
}

static enum reason parse(struct exchange *x, const struct h2_event *ev)
{
    struct proxy *p = x->proxy;
    if (ev->refused != REASON_NONE)
        return ev->refused;
    head_response_init(&x->resp, p->fields, p->limits.headers);
    return h1_parser_response(ev->bytes, &p->limits, x->req.method_id, false, &x->resp);
}

static void take_head(struct back_stream *st, const struct h2_event *ev)
{
    struct exchange *x = st->ep.x;
    enum reason why = parse(x, ev);
    st->heard = true;
    if (why != REASON_NONE) {
        fail(st, why, true, true);
        return;
    }
    if (ev->end && x->resp.framing == FRAMING_CLOSE)
        x->resp.framing = FRAMING_NONE; /* the end is known already */
    exchange_response(x);
    if (ev->end) {
        flow_end(&x->down);
        done(st);
    } else {
        exchange_down(x);
    }
}

static void take_body(struct back_stream *st, const struct h2_event *ev)
{
    struct exchange *x = st->ep.x;
    struct chunkpool *chunks = chunks_of(st->session);
    if (ev->bytes.n)
        flow_lend(&x->down, chunks, ev->bytes);
    st->uncredited += ev->bytes.n;
    if (ev->end) {
        flow_end(&x->down);
        done(st);
        return;
    }
    exchange_down(x);
    if (!st->ep.x)
        return;
    flow_settle(&x->down, chunks);
    credit_stream(st);
}

static void take_trailers(struct back_stream *st, const struct h2_event *ev)
{
    struct exchange *x = st->ep.x;
    enum reason why = ev->refused;
    if (why == REASON_NONE)
        why = h1_body_keep_trailers(x->proxy, ev->bytes, &x->down_trailers, &x->down_trailer_store);
    if (why != REASON_NONE) {
        fail(st, REASON_BAD_RESPONSE, true, true);
        return;
    }
    flow_end(&x->down);
    done(st);
}

void back_h2_stream_take(struct back_h2 *b, const struct h2_event *ev)
{
    struct back_stream *st = ev->stream ? container_of(ev->stream, struct back_stream, wire) : NULL;
    if (ev->type == H2_EVENT_DATA)
        credit_connection(b, ev->bytes.n);
    if (!st || !st->ep.x)
        return;
    if (ev->type == H2_EVENT_HEAD)
        take_head(st, ev);
    else if (ev->type == H2_EVENT_DATA)
        take_body(st, ev);
    else
        take_trailers(st, ev);
}

/* ---- all of a session ---- */

/* It ended on the wire although its answer is not whole. */
static void lose_stream(struct back_stream *st)
{
    const struct h2_stream *w = &st->wire;
    if (w->code == H2_CODE_REFUSED_STREAM && !st->heard)
        fail(st, REASON_TARGET_REFUSED_STREAM, false, false);
    else if (w->peer_reset)
        fail(st, REASON_TARGET_RESET, w->sent, st->heard);
    else
        fail(st, REASON_BAD_RESPONSE, true, true);
}

void back_h2_stream_close_ended(struct back_h2 *b)
{
    struct h2_stream *wire;
    while ((wire = h2_session_next_closed(&b->h2))) {
        struct back_stream *st = container_of(wire, struct back_stream, wire);
        st->open = false;
        if (st->ep.x)
            lose_stream(st);
        else
            stream_free(st);
    }
}

static enum reason why_lost(const struct back_h2 *b, const struct back_stream *st, enum err e)
{
    if (b->h2.failed)
        return REASON_TARGET_BAD_FRAME;
    if (e != ERR_EOF)
        return REASON_TARGET_RESET;
    return st->wire.answered ? REASON_TARGET_CUT_BODY : REASON_TARGET_CLOSED;
}

/* A target that broke the rules is not asked again. */
void back_h2_stream_lose(struct back_h2 *b, enum err e)
{
    list_each(n, tmp, &b->streams) {
        struct back_stream *st = list_entry(n, struct back_stream, node);
        if (st->ep.x)
            fail(st, why_lost(b, st, e), st->wire.sent, st->heard || b->h2.failed);
    }
}

/* What was taken from the flows makes room, which may bring more to be sent. */
void back_h2_stream_tell_taken(struct back_h2 *b)
{
    struct h2_stream *wire;
    while ((wire = h2_session_next_moved(&b->h2))) {
        struct back_stream *st = container_of(wire, struct back_stream, wire);
        if (st->ep.x)
            exchange_up_taken(st->ep.x);
    }
    back_h2_stream_close_ended(b);
}

void back_h2_stream_free_all(struct back_h2 *b)
{
    list_each(n, tmp, &b->streams) {
        struct back_stream *st = list_entry(n, struct back_stream, node);
        st->open = false;
        stream_free(st);
    }
}
