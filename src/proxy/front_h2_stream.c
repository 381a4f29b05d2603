#include "front_h2_stream.h"

#include "base/text.h"
#include "http/forward.h"
#include "http/h1_parser.h"
#include "proxy/h1_body.h"

#define STREAM_MAGIC 0x48325354
#define LENT_BYTES   (16u * 1024) /* a piece of that size is sent from where it lies */

struct front_stream {
    uint32_t magic;
    struct front_h2 *front;
    struct proxy *proxy; /* outlives the front, which may be reaped first */
    struct h2_stream wire;
    struct endpoint ep;
    struct task task; /* the timer's */
    struct timer timer;
    struct list node;
    size_t uncredited; /* octets of body for which the stream got no credit back */
    struct flow early; /* of a tunnel that is not open yet */
    bool detached;     /* over on the wire, while the tunnel's target still takes */
    struct reapable reapable;
};

size_t front_h2_stream_bytes(void)
{
    return sizeof(struct front_stream);
}

static struct loop *loop_of(const struct front_h2 *f)
{
    return f->s.proxy->loop;
}

static struct chunkpool *chunks_of(const struct front_h2 *f)
{
    return &loop_of(f)->chunks;
}

/* ---- life ---- */

static void stream_reap(struct reapable *r)
{
    struct front_stream *st = container_of(r, struct front_stream, reapable);
    st->magic = 0;
    pool_put(&st->proxy->streams, st);
}

/* The wire has forgotten it, and its exchange is over. */
static void stream_close(struct front_stream *st)
{
    struct loop *l = loop_of(st->front);
    CHECK(!st->ep.x);
    task_cancel(&st->task);
    timer_del(&l->wheel, &st->timer);
    list_del(&st->node);
    st->reapable.reap = stream_reap;
    loop_reap(l, &st->reapable);
}

/* ---- credit for what the client sends ---- */

static bool memory_is_short(const struct front_h2 *f)
{
    return chunkpool_pressure(chunks_of(f)) != CHUNK_PRESSURE_NONE;
}

/* Normally at once; when memory is short only for what was passed on. */
static void credit_connection(struct front_h2 *f, size_t n)
{
    f->withheld += n;
    if (memory_is_short(f))
        return;
    h2_session_received(&f->h2, f->withheld);
    f->withheld = 0;
}

static void release_credit(struct front_h2 *f, size_t n)
{
    if (n > f->withheld)
        n = f->withheld;
    f->withheld -= n;
    h2_session_received(&f->h2, n);
}

/* What the target took may be sent anew. */
static void credit_stream(struct front_stream *st)
{
    struct exchange *x = st->ep.x;
    size_t held = flow_bytes(&x->up) + flow_bytes(&st->early), taken = st->uncredited - held;
    if (!flow_room(&x->up, chunks_of(st->front)))
        return;
    st->uncredited = held;
    h2_session_consumed(&st->front->h2, &st->wire, taken);
    release_credit(st->front, taken);
}

/* ---- endpoint ---- */

static struct front_stream *stream_of(struct endpoint *ep)
{
    struct front_stream *st = container_of(ep, struct front_stream, ep);
    CHECK_MAGIC(st, STREAM_MAGIC);
    return st;
}

static bool has_body(const struct response_head *h)
{
    return h->framing != FRAMING_NONE && !(h->framing == FRAMING_LENGTH && h->content_length == 0);
}

/* A body without a length has its end in the frames: said as for a chunked one, so that fields
 * about trailers stay. */
static struct forward_response context(const struct front_h2 *f, const struct exchange *x)
{
    return (struct forward_response){
        .client = HTTP_1_1,
        .framing = forward_response_framing(&x->resp, HTTP_1_1),
        .keep_alive = true,
        .date = clock_http_date(&loop_of(f)->clock),
        .overrides = x->listener->overrides,
        .override_count = x->listener->override_count,
        .override_mask = x->listener->override_mask,
        .added = x->added,
        .added_count = x->added_n,
    };
}

static uint32_t text_bytes(const struct field *fields, uint32_t n)
{
    size_t bytes = sizeof(":status: 200");
    for (uint32_t i = 0; i < n; i++)
        bytes += fields[i].name.n + fields[i].value.n + 4;
    return (uint32_t)bytes;
}

/* Something waits for a tunnel that is open now. */
static bool has_early(const struct front_stream *st)
{
    return st->ep.x->raw && (flow_bytes(&st->early) || st->early.ended);
}

/* The handshake with the target is ours; RFC 8441 5 has no such field. Returns how many stay. */
static uint32_t without_accept(struct field *fields, uint32_t n)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++)
        if (!slice_ieq(fields[i].name, SLICE("sec-websocket-accept")))
            fields[kept++] = fields[i];
    return kept;
}

static void send_head(struct endpoint *ep)
{
    struct front_stream *st = stream_of(ep);
    struct front_h2 *f = st->front;
    struct exchange *x = ep->x;
    if (x->resp.status == 100) {
        h2_session_inform(&f->h2, &st->wire, 100, NULL, 0);
        return;
    }
    struct forward_response c = context(f, x);
    char length[TEXT_U64_MAX];
    uint32_t n, cap = x->resp.fields.count + c.override_count + c.added_count + 2;
    struct chunk *store = chunkpool_get(chunks_of(f), cap * sizeof(struct field));
    struct field *fields = (struct field *)(void *)store->data;
    CHECK(forward_response_fields(&x->resp, &c, length, fields, cap, &n) == OK);
    x->sent_head_bytes += text_bytes(fields, n);
    if (x->resp.upgrade_websocket)
        h2_session_respond(&f->h2, &st->wire, 200, fields, without_accept(fields, n), &x->down);
    else if (x->resp.interim)
        h2_session_inform(&f->h2, &st->wire, x->resp.status, fields, n);
    else
        h2_session_respond(&f->h2, &st->wire, x->resp.status, fields, n,
                           has_body(&x->resp) ? &x->down : NULL);
    chunkpool_put(chunks_of(f), store);
}

static void wake(struct endpoint *ep, unsigned what)
{
    struct front_stream *st = stream_of(ep);
    struct front_h2 *f = st->front;
    struct exchange *x = ep->x;
    if (what & WAKE_TAKE)
        h2_session_wake(&f->h2, &st->wire, &x->down_trailers);
    if (what & WAKE_ROOM)
        credit_stream(st);
    if (has_early(st))
        loop_push(loop_of(f), &st->task);
    front_h2_mark(f);
    for (int i = 0; i < FRONT_H2_PULLS && !f->running && x->down.lent.n >= LENT_BYTES; i++)
        if (!front_h2_send(f))
            break;
}

static enum h2_code code_of(enum end end)
{
    switch (end) {
    case END_TIMEOUT:
        return H2_CODE_CANCEL;
    case END_REFUSED:
        return H2_CODE_REFUSED_STREAM;
    default:
        return H2_CODE_INTERNAL_ERROR;
    }
}

static void close_stream(struct endpoint *ep, enum end end)
{
    struct front_stream *st = stream_of(ep);
    struct front_h2 *f = st->front;
    f->active--;
    if (f->waiting == st)
        f->waiting = NULL;
    if (end == END_OK)
        h2_session_finish(&f->h2, &st->wire);
    else
        h2_session_reset(&f->h2, &st->wire, code_of(end));
    release_credit(f, st->uncredited);
    st->uncredited = 0;
    flow_clear(&st->early, chunks_of(f));
    if (st->detached)
        stream_close(st);
    front_h2_mark(f);
}

static const struct endpoint_ops ops = {send_head, wake, close_stream};

/* ---- tunnels ---- */

/* What the client sends before the target has agreed waits; its window bounds it. */
static void keep_early(struct front_stream *st, struct slice bytes, bool end)
{
    struct chunkpool *chunks = chunks_of(st->front);
    if (bytes.n)
        flow_lend(&st->early, chunks, bytes);
    flow_settle(&st->early, chunks);
    st->uncredited += bytes.n;
    if (end)
        flow_end(&st->early);
}

static void open_tunnel(struct front_stream *st)
{
    struct exchange *x = st->ep.x;
    struct chunkpool *chunks = chunks_of(st->front);
    struct iovec iov[FLOW_IOV_MAX];
    int n = flow_peek(&st->early, iov, FLOW_IOV_MAX);
    for (int i = 0; i < n; i++)
        flow_lend(&x->up, chunks, slice_of(iov[i].iov_base, iov[i].iov_len));
    flow_settle(&x->up, chunks);
    if (st->early.ended)
        flow_end(&x->up);
    flow_clear(&st->early, chunks);
    flow_init(&st->early);
    exchange_progress(x);
    exchange_up(x);
    if (st->ep.x)
        credit_stream(st);
}

/* ---- streams ---- */

static void stream_run(struct task *t)
{
    struct front_stream *st = container_of(t, struct front_stream, task);
    if (timer_take(&st->timer) && st->ep.x)
        exchange_timeout(st->ep.x);
    if (st->ep.x && has_early(st))
        open_tunnel(st);
}

static struct front_stream *stream_new(struct front_h2 *f)
{
    struct front_stream *st = pool_get(&f->s.proxy->streams);
    if (!st)
        return NULL;
    *st = (struct front_stream){
        .magic = STREAM_MAGIC, .front = f, .proxy = f->s.proxy, .ep.ops = &ops};
    task_init(&st->task, stream_run);
    timer_init(&st->timer, &st->task);
    list_init(&st->node);
    return st;
}

/* ---- requests ---- */

void front_h2_stream_pass_waiting(struct front_h2 *f)
{
    struct front_stream *st = f->waiting;
    f->waiting = NULL;
    if (st && st->ep.x)
        exchange_up(st->ep.x);
}

static struct exchange *begin(struct front_h2 *f, const struct h2_event *ev)
{
    struct session *s = &f->s;
    struct exchange_client client = session_client(s);
    struct front_stream *st = stream_new(f);
    if (!st)
        return NULL;
    client.timer = &st->timer;
    client.protocol = SLICE("HTTP/2.0");
    struct exchange *x =
        exchange_new(s->proxy, s->slot, session_snapshot(s), session_listener(s), &st->ep, &client);
    if (!x) {
        stream_close(st);
        return NULL;
    }
    f->active++;
    list_push_back(&f->streams, &st->node);
    h2_session_accept(&f->h2, &st->wire, ev);
    head_request_init(&x->req, s->proxy->fields, s->proxy->limits.headers, s->proxy->host_space);
    return x;
}

static enum reason judge(struct front_h2 *f, struct exchange *x, const struct h2_event *ev)
{
    const struct config_listener_attributes *a = &x->listener->config->attributes;
    uint64_t most = x->listener->root->limits.body_bytes;
    enum reason why = h1_parser_written_request(
        ev->bytes, &f->s.proxy->limits, (enum desync_mode)a->desync_mitigation_mode, &x->req);
    if (why == REASON_NONE)
        why = ev->refused;
    if (why == REASON_NONE && x->req.framing == FRAMING_LENGTH && x->req.content_length > most)
        why = REASON_BODY_TOO_LARGE;
    return why;
}

/* The head waits for what comes behind it, so that it and the first of the body go out together. */
static void take_head(struct front_h2 *f, const struct h2_event *ev)
{
    front_h2_stream_pass_waiting(f);
    struct exchange *x = begin(f, ev);
    if (!x) {
        front_h2_count(f, REASON_OVERLOAD);
        h2_session_refuse(&f->h2, ev->id);
        return;
    }
    struct front_stream *st = stream_of(x->front);
    enum reason why = judge(f, x, ev);
    if (why != REASON_NONE) {
        exchange_reject(x, why);
        return;
    }
    if (ev->end || x->req.upgrade_websocket)
        flow_end(&x->up);
    if (ev->end && x->req.upgrade_websocket)
        flow_end(&st->early);
    exchange_request(x);
    if (st->ep.x)
        f->waiting = st;
}

static bool too_large(const struct exchange *x, size_t n)
{
    return !x->raw && x->up.total_bytes + n > x->listener->root->limits.body_bytes;
}

static void take_body(struct front_stream *st, struct slice bytes, bool end)
{
    struct exchange *x = st->ep.x;
    struct chunkpool *chunks = chunks_of(st->front);
    if (too_large(x, bytes.n)) {
        exchange_up_failed(x, REASON_BODY_TOO_LARGE);
        return;
    }
    if (bytes.n)
        flow_lend(&x->up, chunks, bytes);
    st->uncredited += bytes.n;
    if (end)
        flow_end(&x->up);
    exchange_progress(x);
    exchange_up(x);
    if (!st->ep.x)
        return;
    flow_settle(&x->up, chunks);
    credit_stream(st);
}

static struct front_stream *stream_of_event(struct front_h2 *f, const struct h2_event *ev)
{
    struct front_stream *st =
        ev->stream ? container_of(ev->stream, struct front_stream, wire) : NULL;
    if (f->waiting != st)
        front_h2_stream_pass_waiting(f);
    return st;
}

static void take_data(struct front_h2 *f, const struct h2_event *ev)
{
    struct front_stream *st = stream_of_event(f, ev);
    credit_connection(f, ev->bytes.n);
    if (!st || !st->ep.x || st->ep.x->up_closed)
        return;
    f->waiting = NULL;
    if (st->ep.x->req.upgrade_websocket && (!st->ep.x->raw || has_early(st)))
        keep_early(st, ev->bytes, ev->end);
    else
        take_body(st, ev->bytes, ev->end);
}

static void take_trailers(struct front_h2 *f, const struct h2_event *ev)
{
    struct front_stream *st = stream_of_event(f, ev);
    struct exchange *x = st ? st->ep.x : NULL;
    if (!x || x->up_closed)
        return;
    f->waiting = NULL;
    enum reason why = ev->refused;
    if (why == REASON_NONE)
        why = h1_body_keep_trailers(f->s.proxy, ev->bytes, &x->up_trailers, &x->up_trailer_store);
    if (why == REASON_NONE)
        take_body(st, slice_of(NULL, 0), true);
    else
        exchange_up_failed(x, why);
}

void front_h2_stream_take(struct front_h2 *f, const struct h2_event *ev)
{
    if (ev->type == H2_EVENT_HEAD)
        take_head(f, ev);
    else if (ev->type == H2_EVENT_DATA)
        take_data(f, ev);
    else
        take_trailers(f, ev);
}

/* ---- all of a session ---- */

/* Streams that are over on the wire. The exchange of one that did not end well learns it here; one
 * whose answer is out must have been told that before. */
static void close_ended(struct front_h2 *f)
{
    struct h2_stream *wire;
    while ((wire = h2_session_next_closed(&f->h2))) {
        struct front_stream *st = container_of(wire, struct front_stream, wire);
        if (st->ep.x && st->ep.x->raw && wire->peer_ended && wire->ended) {
            st->detached = true;
            continue;
        }
        if (st->ep.x && wire->peer_reset)
            exchange_gone(st->ep.x);
        else if (st->ep.x)
            exchange_cut(st->ep.x, REASON_BAD_STREAM);
        stream_close(st);
    }
}

void front_h2_stream_drop(struct front_h2 *f, enum reason why)
{
    list_each(n, tmp, &f->streams) {
        struct exchange *x = list_entry(n, struct front_stream, node)->ep.x;
        if (x && why == REASON_CLIENT_GONE)
            exchange_gone(x);
        else if (x)
            exchange_cut(x, why);
    }
}

/* What was taken from the flows makes room, which may bring more to be sent. */
void front_h2_stream_tell_taken(struct front_h2 *f)
{
    struct h2_stream *wire;
    while ((wire = h2_session_next_moved(&f->h2))) {
        struct front_stream *st = container_of(wire, struct front_stream, wire);
        if (st->ep.x)
            exchange_down_taken(st->ep.x);
    }
    close_ended(f);
}

void front_h2_stream_close_all(struct front_h2 *f)
{
    list_each(n, tmp, &f->streams)
        stream_close(list_entry(n, struct front_stream, node));
}

void front_h2_stream_visit(struct front_h2 *f, session_visitor *visitor, void *ctx)
{
    list_each(n, tmp, &f->streams) {
        struct exchange *x = list_entry(n, struct front_stream, node)->ep.x;
        if (x)
            visitor(x, ctx);
    }
}
