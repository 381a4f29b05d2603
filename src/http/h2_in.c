#include "h2_private.h"

/* ---- what nghttp2 found ---- */

static enum h2_fields_kind kind_of(const struct h2_private *p, const nghttp2_frame *frame)
{
    if (!p->client)
        return frame->headers.cat == NGHTTP2_HCAT_REQUEST ? H2_FIELDS_REQUEST : H2_FIELDS_TRAILERS;
    const struct h2_stream *st = h2_private_stream(p->ng, frame->hd.stream_id);
    return st && st->answered ? H2_FIELDS_TRAILERS : H2_FIELDS_RESPONSE;
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    (void)ng;
    struct h2_private *p = user;
    h2_fields_begin(&p->fields, p->pool, p->fields.limits, kind_of(p, frame));
    p->fields.websockets = p->websockets;
    return 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *user)
{
    (void)ng, (void)frame, (void)flags;
    struct h2_private *p = user;
    enum err e = h2_fields_add(&p->fields, slice_of((const char *)name, name_n),
                               slice_of((const char *)value, value_n));
    return e == ERR_LIMIT ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* Without this callback nghttp2 leaves a malformed field out and goes on; RFC 9113 8.1.1 wants the
 * request refused. */
static int on_invalid_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                             size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags,
                             void *user)
{
    (void)ng, (void)frame, (void)name, (void)name_n, (void)value, (void)value_n, (void)flags,
        (void)user;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void note_list(const struct h2_private *p, struct h2_stream *st, bool end)
{
    st->peer_ended = end;
    if (p->fields.kind == H2_FIELDS_RESPONSE && h2_fields_status(&p->fields) >= 200)
        st->answered = true;
}

static void take_list(struct h2_private *p, const nghttp2_frame *frame)
{
    struct h2_event ev = {.id = frame->hd.stream_id};
    enum h2_fields_kind kind = p->fields.kind;
    ev.end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (h2_fields_finish(&p->fields, ev.end, &ev.bytes, &ev.refused) != OK) {
        CHECK(nghttp2_submit_rst_stream(p->ng, NGHTTP2_FLAG_NONE, ev.id, NGHTTP2_PROTOCOL_ERROR) ==
              0);
        return;
    }
    ev.type = kind == H2_FIELDS_TRAILERS ? H2_EVENT_TRAILERS : H2_EVENT_HEAD;
    ev.stream = kind == H2_FIELDS_REQUEST ? NULL : h2_private_stream(p->ng, ev.id);
    if (ev.stream)
        note_list(p, ev.stream, ev.end);
    p->s->requests += kind == H2_FIELDS_REQUEST;
    *p->ev = ev;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t n,
                   void *user)
{
    (void)flags;
    struct h2_private *p = user;
    *p->ev = (struct h2_event){.type = H2_EVENT_DATA,
                               .id = id,
                               .stream = h2_private_stream(ng, id),
                               .bytes = slice_of((const char *)data, n)};
    return 0;
}

static void take_data_end(struct h2_private *p, const nghttp2_frame *frame)
{
    struct h2_stream *st = h2_private_stream(p->ng, frame->hd.stream_id);
    if (p->ev->type == H2_EVENT_NONE)
        *p->ev = (struct h2_event){.type = H2_EVENT_DATA, .id = frame->hd.stream_id, .stream = st};
    p->ev->end = true;
    if (st)
        st->peer_ended = true;
}

static void take_reset(struct h2_private *p, const nghttp2_frame *frame)
{
    struct h2_stream *st = h2_private_stream(p->ng, frame->hd.stream_id);
    if (st)
        st->peer_reset = true;
    if (!p->client)
        h2_session_spend(p, &p->resets, REASON_RESET_FLOOD);
}

static void take_settings(struct h2_private *p, const nghttp2_frame *frame)
{
    p->s->greeted = true;
    if (!p->client || frame->hd.flags & NGHTTP2_FLAG_ACK)
        return;
    p->s->streams_max =
        nghttp2_session_get_remote_settings(p->ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    p->ev->type = H2_EVENT_SETTINGS;
}

/* ---- windows that SETTINGS move ---- */

static int64_t initial_window(const struct h2_private *p)
{
    return nghttp2_session_get_remote_settings(p->ng, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);
}

static void note_windows(struct h2_private *p)
{
    p->initial = initial_window(p);
    p->widest = 0;
    list_each(n, tmp, &p->s->open) {
        int32_t id = list_entry(n, struct h2_stream, node)->id;
        int64_t window = nghttp2_session_get_stream_remote_window_size(p->ng, id);
        p->widest = window > p->widest ? window : p->widest;
    }
}

/* nghttp2 resets a stream whose window became too wide; RFC 9113 6.9.2 wants the connection ended.
 */
static void check_windows(struct h2_private *p)
{
    if (p->widest + initial_window(p) - p->initial > INT32_MAX)
        h2_session_fail(p, REASON_BAD_FRAME, NGHTTP2_FLOW_CONTROL_ERROR);
}

static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *user)
{
    (void)ng;
    if (hd->type == NGHTTP2_SETTINGS)
        note_windows(user);
    return 0;
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    (void)ng;
    struct h2_private *p = user;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        take_list(p, frame);
        return 0;
    case NGHTTP2_DATA:
        if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
            take_data_end(p, frame);
        return 0;
    case NGHTTP2_RST_STREAM:
        take_reset(p, frame);
        return 0;
    case NGHTTP2_SETTINGS:
        take_settings(p, frame);
        check_windows(p);
        return 0;
    case NGHTTP2_GOAWAY:
        if (p->client)
            p->ev->type = H2_EVENT_GOAWAY;
        return 0;
    case NGHTTP2_PING:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK)
            p->ev->type = H2_EVENT_PONG;
        return 0;
    default:
        return 0;
    }
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
    struct h2_private *p = user;
    struct h2_stream *st = h2_private_stream(ng, id);
    if (!st)
        return 0;
    st->gone = true;
    st->code = code;
    st->out = NULL;
    if (code == NGHTTP2_NO_ERROR && st->ended)
        h2_bucket_give(&p->resets, 1);
    p->s->streams_open--;
    list_del(&st->node);
    list_push_back(&p->s->closed, &st->node);
    return 0;
}

/* ---- where the frames are ---- */

static void fail_of(struct h2_private *p, ssize_t error)
{
    switch (error) {
    case NGHTTP2_ERR_FLOODED:
        h2_session_fail(p, REASON_CONTROL_FLOOD, NGHTTP2_ENHANCE_YOUR_CALM);
        return;
    case NGHTTP2_ERR_CALLBACK_FAILURE: /* on_header: beyond all limits */
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
        h2_session_fail(p, REASON_HEADER_FLOOD, NGHTTP2_ENHANCE_YOUR_CALM);
        return;
    case NGHTTP2_ERR_NOMEM:
        h2_session_fail(p, REASON_OVERLOAD, NGHTTP2_INTERNAL_ERROR);
        return;
    default:
        h2_session_fail(p, REASON_BAD_FRAME, NGHTTP2_PROTOCOL_ERROR);
    }
}

/* What a frame costs or earns, from its header alone. */
static void account(struct h2_private *p, uint8_t type, uint8_t flags, uint32_t length)
{
    switch (type) {
    case NGHTTP2_DATA:
        if (length >= H2_USEFUL_BYTES || flags & NGHTTP2_FLAG_END_STREAM)
            h2_bucket_give(&p->controls, H2_EARNED);
        else if (length == 0)
            h2_session_spend(p, &p->controls, REASON_CONTROL_FLOOD);
        return;
    case NGHTTP2_HEADERS:
        h2_bucket_give(&p->controls, H2_EARNED);
        return;
    case NGHTTP2_RST_STREAM: /* has a budget of its own */
        return;
    default:
        h2_session_spend(p, &p->controls, REASON_CONTROL_FLOOD);
    }
}

static void note_id(struct h2_private *p, uint32_t id)
{
    if (id > p->last_id + 2) {
        p->gap_from = p->last_id + 2;
        p->gap_to = id;
    }
    p->last_id = id;
}

/* nghttp2 ignores what comes for a stream that it has forgotten, because it cannot know who ended
 * it. As long as we have reset none it was the client, which has no excuse (RFC 9113 5.1, 5.1.1).
 */
static void check_id(struct h2_private *p, uint8_t type, uint32_t id)
{
    bool theirs = (id & 1) && !p->client;
    if (type == NGHTTP2_PRIORITY && id == 0) /* ignored like all of them, but not there */
        h2_session_fail(p, REASON_BAD_FRAME, NGHTTP2_PROTOCOL_ERROR);
    if (p->client && !p->s->greeted && type != NGHTTP2_SETTINGS) /* no HTTP/2 at all, likely */
        h2_session_fail(p, REASON_BAD_FRAME, NGHTTP2_PROTOCOL_ERROR);
    if (!theirs || (type != NGHTTP2_HEADERS && type != NGHTTP2_DATA))
        return;
    if (id > p->last_id && type == NGHTTP2_HEADERS)
        note_id(p, id);
    else if (id <= p->last_id && !p->forgiving && !nghttp2_session_find_stream(p->ng, (int32_t)id))
        h2_session_fail(p, REASON_BAD_FRAME,
                        id >= p->gap_from && id < p->gap_to ? NGHTTP2_PROTOCOL_ERROR
                                                            : NGHTTP2_STREAM_CLOSED);
}

static uint32_t get_u32(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static bool is_list(uint8_t type)
{
    return type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION;
}

/* The header of a frame is whole: all that is judged by it. */
static void begin_frame(struct h2_private *p)
{
    p->left = get_u32(p->hd) >> 8;
    check_id(p, p->hd[3], get_u32(p->hd + 5) & INT32_MAX);
    p->s->head_open = p->s->head_open || is_list(p->hd[3]);
    account(p, p->hd[3], p->hd[4], p->left);
}

static void give(struct h2_private *p, const void *bytes, size_t n)
{
    if (p->s->failed || n == 0)
        return;
    ssize_t got = nghttp2_session_mem_recv(p->ng, bytes, n);
    if (got < 0)
        fail_of(p, got);
}

/* A frame's header goes to nghttp2 in one piece, also when it came in several: each piece of the
 * header of a CONTINUATION counts as one more of them there. */
static void take_header(struct h2_private *p, struct slice *in)
{
    size_t n = H2_FRAME_HD_BYTES - p->hd_n;
    n = n < in->n ? n : in->n;
    memcpy(p->hd + p->hd_n, in->p, n);
    p->hd_n += (uint32_t)n;
    *in = slice_from(*in, n);
    if (p->hd_n < H2_FRAME_HD_BYTES)
        return;
    begin_frame(p);
    give(p, p->hd, H2_FRAME_HD_BYTES);
}

static void take_payload(struct h2_private *p, struct slice *in)
{
    size_t n = p->left < in->n ? p->left : in->n;
    p->left -= (uint32_t)n;
    give(p, in->p, n);
    *in = slice_from(*in, n);
}

/* The usual case: header, and payload as far as it is there, in one piece. */
static void take_frame(struct h2_private *p, struct slice *in)
{
    memcpy(p->hd, in->p, H2_FRAME_HD_BYTES);
    p->hd_n = H2_FRAME_HD_BYTES;
    begin_frame(p);
    size_t room = in->n - H2_FRAME_HD_BYTES, n = p->left < room ? p->left : room;
    p->left -= (uint32_t)n;
    give(p, in->p, H2_FRAME_HD_BYTES + n);
    *in = slice_from(*in, H2_FRAME_HD_BYTES + n);
}

/* Also a frame that nghttp2 refused ends the list it belongs to. */
static void end_frame(struct h2_private *p)
{
    if (p->left || p->hd_n < H2_FRAME_HD_BYTES)
        return;
    if (is_list(p->hd[3]) && p->hd[4] & NGHTTP2_FLAG_END_HEADERS)
        p->s->head_open = false;
    p->hd_n = 0;
}

void h2_in_take(struct h2_private *p, struct slice *in)
{
    if (p->left == 0 && p->hd_n == 0 && in->n >= H2_FRAME_HD_BYTES)
        take_frame(p, in);
    else if (p->left == 0)
        take_header(p, in);
    else
        take_payload(p, in);
    end_frame(p);
}

void h2_in_register(nghttp2_session_callbacks *c)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(c, on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame_recv);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
}
