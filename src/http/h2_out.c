#include "h2_private.h"

#define FRAME_BYTES (H2_FRAME_HD_BYTES + 16384u)
#define DATA_BYTES  (16384u - H2_FRAME_HD_BYTES) /* header and payload fill one TLS record */

static ssize_t read_length(nghttp2_session *ng, uint8_t type, int32_t id, int32_t session_window,
                           int32_t stream_window, uint32_t max_frame, void *user)
{
    (void)ng, (void)type, (void)id, (void)user;
    int32_t n = session_window < stream_window ? session_window : stream_window;
    uint32_t most = max_frame < DATA_BYTES ? max_frame : DATA_BYTES;
    return n < (int32_t)most ? n : (ssize_t)most;
}

static void submit_trailers(struct h2_private *p, struct h2_stream *st)
{
    const nghttp2_nv *nv = (const nghttp2_nv *)(const void *)st->trailers->data;
    size_t n = st->trailers->off / sizeof(*nv);
    CHECK(nghttp2_submit_trailer(p->ng, st->id, nv, n) == 0);
}

ssize_t h2_out_read_body(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t length,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)ng, (void)id, (void)buf;
    struct h2_stream *st = source->ptr;
    size_t have = st->out ? flow_bytes(st->out) : 0;
    bool ended = st->over || (st->out && st->out->ended);
    size_t n = have < length ? have : length;
    if (n == 0 && !ended) {
        st->waiting = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (!ended || n < have)
        return (ssize_t)n;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (st->trailers) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        submit_trailers(user, st);
    }
    return (ssize_t)n;
}

static void copy_body(struct h2_private *p, struct flow *f, size_t n)
{
    struct iovec iov[FLOW_IOV_MAX];
    int pieces = flow_peek(f, iov, FLOW_IOV_MAX);
    size_t left = n;
    for (int i = 0; i < pieces && left; i++) {
        size_t k = iov[i].iov_len < left ? iov[i].iov_len : left;
        memcpy(p->to + p->n, iov[i].iov_base, k);
        p->n += k;
        left -= k;
    }
    CHECK(left == 0);
    flow_consume(f, p->pool, n);
}

/* A frame that was prepared before its exchange broke off finds no flow: nghttp2 resets. */
static int send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *hd, size_t length,
                     nghttp2_data_source *source, void *user)
{
    (void)ng, (void)frame;
    struct h2_private *p = user;
    struct h2_stream *st = source->ptr;
    if (p->n >= H2_SESSION_OUT_BYTES || p->cap - p->n < H2_FRAME_HD_BYTES + length)
        return NGHTTP2_ERR_WOULDBLOCK;
    if (length && (!st->out || flow_bytes(st->out) < length))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    memcpy(p->to + p->n, hd, H2_FRAME_HD_BYTES);
    p->n += H2_FRAME_HD_BYTES;
    if (length == 0)
        return 0;
    copy_body(p, st->out, length);
    if (list_empty(&st->moved))
        list_push_back(&p->s->moved, &st->moved);
    if (length >= H2_USEFUL_BYTES)
        h2_bucket_give(&p->controls, H2_EARNED);
    return 0;
}

void h2_out_stop_client(struct h2_private *p, struct h2_stream *st)
{
    if (p->client || !st->ended || !st->over || st->out || st->peer_ended || st->gone ||
        st->own_reset)
        return;
    st->own_reset = true;
    CHECK(nghttp2_submit_rst_stream(p->ng, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_NO_ERROR) == 0);
}

static void sent_reset(struct h2_private *p, const struct h2_stream *st, uint32_t code)
{
    p->forgiving = true;
    if (code != NGHTTP2_REFUSED_STREAM && !(st && st->own_reset) && !p->client)
        h2_session_spend(p, &p->resets, REASON_RESET_FLOOD);
}

/* The PING goes behind the first GOAWAY: its answer shows that this was seen. */
static void sent_goaway(struct h2_private *p, const nghttp2_goaway *g)
{
    p->forgiving = true;
    if (g->error_code != NGHTTP2_NO_ERROR && !p->s->failed) {
        p->s->failed = true; /* nghttp2 found the fault and has said so */
        p->s->why = REASON_BAD_FRAME;
    }
    if (g->error_code == NGHTTP2_NO_ERROR && g->last_stream_id == INT32_MAX)
        CHECK(nghttp2_submit_ping(p->ng, NGHTTP2_FLAG_NONE, NULL) == 0);
}

static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2_private *p = user;
    struct h2_stream *st = h2_private_stream(ng, frame->hd.stream_id);
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        if (!st)
            return 0;
        st->sent = true;
        if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
            return 0;
        st->ended = true;
        h2_out_stop_client(p, st);
        return 0;
    case NGHTTP2_RST_STREAM:
        sent_reset(p, st, frame->rst_stream.error_code);
        return 0;
    case NGHTTP2_GOAWAY:
        sent_goaway(p, &frame->goaway);
        return 0;
    default:
        return 0;
    }
}

enum err h2_out_pull(struct h2_private *p)
{
    while (p->n < H2_SESSION_OUT_BYTES && p->cap - p->n >= FRAME_BYTES) {
        const uint8_t *frame;
        ssize_t got = nghttp2_session_mem_send(p->ng, &frame);
        if (got <= 0)
            return got < 0 ? ERR_RESET : OK;
        CHECK((size_t)got <= p->cap - p->n);
        memcpy(p->to + p->n, frame, (size_t)got);
        p->n += (size_t)got;
    }
    return OK;
}

void h2_out_register(nghttp2_session_callbacks *c)
{
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_send);
    nghttp2_session_callbacks_set_send_data_callback(c, send_data);
    nghttp2_session_callbacks_set_data_source_read_length_callback(c, read_length);
}
