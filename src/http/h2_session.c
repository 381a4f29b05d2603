#include "http/h2_session.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#include "h2_fields.h"

#define MAGIC          0x48325353
#define PREFACE_BYTES  24
#define FRAME_HD_BYTES 9
#define FRAME_BYTES    (FRAME_HD_BYTES + 16384u)
#define DATA_BYTES     (16384u - FRAME_HD_BYTES) /* header and payload fill one TLS record */
#define SEND_HEAD_MAX  (1u << 20)                /* above all that the limits allow a head to be */
#define USEFUL_BYTES   1024                      /* DATA that carries less earns nothing */
#define EARNED         2

struct h2_private {
    struct h2_session *s;
    nghttp2_session *ng;
    struct chunkpool *pool;
    struct h2_fields fields;
    struct h2_bucket resets, controls;
    struct h2_event *ev; /* of the feed that runs */

    /* Where the input stands: at a header of which hd_n octets are there, or in a frame. */
    uint8_t hd[FRAME_HD_BYTES];
    uint32_t hd_n, left;

    /* Ids of the client: the newest, and those that were left out before it. */
    uint32_t last_id, gap_from, gap_to;
    bool forgiving; /* we have reset or refused something: frames for it may be on their way */

    /* The pull that runs. */
    char *to;
    size_t n, cap;
};

/* ---- budgets ---- */

static void bucket_init(struct h2_bucket *b, struct h2_budget budget, uint64_t now_ms)
{
    *b = (struct h2_bucket){.budget = budget, .level = budget.burst, .at_ms = now_ms};
}

static void bucket_fill(struct h2_bucket *b, uint64_t now_ms)
{
    uint64_t due = (now_ms - b->at_ms) * b->budget.per_s / 1000;
    if (due == 0)
        return;
    uint64_t level = b->level + due;
    b->level = level < b->budget.burst ? (uint32_t)level : b->budget.burst;
    b->at_ms = now_ms;
}

static void bucket_give(struct h2_bucket *b, uint32_t n)
{
    b->level = b->budget.burst - b->level < n ? b->budget.burst : b->level + n;
}

static bool bucket_take(struct h2_bucket *b)
{
    if (b->level == 0)
        return false;
    b->level--;
    return true;
}

/* ---- the end of a connection ---- */

static void fail(struct h2_private *p, enum reason why, uint32_t code)
{
    if (p->s->failed)
        return;
    p->s->failed = true;
    p->s->why = why;
    CHECK(nghttp2_session_terminate_session(p->ng, code) == 0);
}

static void spend(struct h2_private *p, struct h2_bucket *b, enum reason why)
{
    if (!bucket_take(b))
        fail(p, why, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void fail_of(struct h2_private *p, ssize_t error)
{
    switch (error) {
    case NGHTTP2_ERR_FLOODED:
        fail(p, REASON_CONTROL_FLOOD, NGHTTP2_ENHANCE_YOUR_CALM);
        return;
    case NGHTTP2_ERR_CALLBACK_FAILURE: /* on_header: beyond all limits */
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
        fail(p, REASON_HEADER_FLOOD, NGHTTP2_ENHANCE_YOUR_CALM);
        return;
    case NGHTTP2_ERR_NOMEM:
        fail(p, REASON_OVERLOAD, NGHTTP2_INTERNAL_ERROR);
        return;
    default:
        fail(p, REASON_BAD_FRAME, NGHTTP2_PROTOCOL_ERROR);
    }
}

/* ---- input: what nghttp2 found in it ---- */

static struct h2_stream *stream_of(nghttp2_session *ng, int32_t id)
{
    return id ? nghttp2_session_get_stream_user_data(ng, id) : NULL;
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    (void)ng;
    struct h2_private *p = user;
    bool trailers = frame->headers.cat != NGHTTP2_HCAT_REQUEST;
    h2_fields_begin(&p->fields, p->pool, p->fields.limits, trailers);
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

static void take_list(struct h2_private *p, const nghttp2_frame *frame)
{
    struct h2_event ev = {.id = frame->hd.stream_id};
    bool request = frame->headers.cat == NGHTTP2_HCAT_REQUEST;
    ev.end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (h2_fields_finish(&p->fields, ev.end, &ev.bytes, &ev.refused) != OK) {
        CHECK(nghttp2_submit_rst_stream(p->ng, NGHTTP2_FLAG_NONE, ev.id, NGHTTP2_PROTOCOL_ERROR) ==
              0);
        return;
    }
    ev.type = request ? H2_EVENT_HEAD : H2_EVENT_TRAILERS;
    ev.stream = request ? NULL : stream_of(p->ng, ev.id);
    if (ev.stream)
        ev.stream->peer_ended = true;
    p->s->requests += request;
    *p->ev = ev;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t n,
                   void *user)
{
    (void)flags;
    struct h2_private *p = user;
    *p->ev = (struct h2_event){.type = H2_EVENT_DATA,
                               .id = id,
                               .stream = stream_of(ng, id),
                               .bytes = slice_of((const char *)data, n)};
    return 0;
}

static void take_data_end(struct h2_private *p, const nghttp2_frame *frame)
{
    struct h2_stream *st = stream_of(p->ng, frame->hd.stream_id);
    if (p->ev->type == H2_EVENT_NONE)
        *p->ev = (struct h2_event){.type = H2_EVENT_DATA, .id = frame->hd.stream_id, .stream = st};
    p->ev->end = true;
    if (st)
        st->peer_ended = true;
}

static void take_reset(struct h2_private *p, const nghttp2_frame *frame)
{
    struct h2_stream *st = stream_of(p->ng, frame->hd.stream_id);
    if (st)
        st->peer_reset = true;
    spend(p, &p->resets, REASON_RESET_FLOOD);
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
        p->s->greeted = true;
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
    struct h2_stream *st = stream_of(ng, id);
    if (!st)
        return 0;
    st->gone = true;
    st->code = code;
    st->out = NULL;
    if (code == NGHTTP2_NO_ERROR && st->ended)
        bucket_give(&p->resets, 1);
    p->s->streams_open--;
    list_del(&st->node);
    list_push_back(&p->s->closed, &st->node);
    return 0;
}

/* ---- input: where the frames are ---- */

/* What a frame costs or earns, from its header alone. */
static void account(struct h2_private *p, uint8_t type, uint8_t flags, uint32_t length)
{
    switch (type) {
    case NGHTTP2_DATA:
        if (length >= USEFUL_BYTES || flags & NGHTTP2_FLAG_END_STREAM)
            bucket_give(&p->controls, EARNED);
        else if (length == 0)
            spend(p, &p->controls, REASON_CONTROL_FLOOD);
        return;
    case NGHTTP2_HEADERS:
        bucket_give(&p->controls, EARNED);
        return;
    case NGHTTP2_RST_STREAM: /* has a budget of its own */
        return;
    default:
        spend(p, &p->controls, REASON_CONTROL_FLOOD);
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
    bool theirs = id & 1;
    if (type == NGHTTP2_PRIORITY && id == 0) /* ignored like all of them, but not there */
        fail(p, REASON_BAD_FRAME, NGHTTP2_PROTOCOL_ERROR);
    if (!theirs || (type != NGHTTP2_HEADERS && type != NGHTTP2_DATA))
        return;
    if (id > p->last_id && type == NGHTTP2_HEADERS)
        note_id(p, id);
    else if (id <= p->last_id && !p->forgiving && !nghttp2_session_find_stream(p->ng, (int32_t)id))
        fail(p, REASON_BAD_FRAME,
             id >= p->gap_from && id < p->gap_to ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_STREAM_CLOSED);
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
    size_t n = FRAME_HD_BYTES - p->hd_n;
    n = n < in->n ? n : in->n;
    memcpy(p->hd + p->hd_n, in->p, n);
    p->hd_n += (uint32_t)n;
    *in = slice_from(*in, n);
    if (p->hd_n < FRAME_HD_BYTES)
        return;
    begin_frame(p);
    give(p, p->hd, FRAME_HD_BYTES);
}

static void take_payload(struct h2_private *p, struct slice *in)
{
    size_t n = p->left < in->n ? p->left : in->n;
    p->left -= (uint32_t)n;
    give(p, in->p, n);
    *in = slice_from(*in, n);
}

/* Also a frame that nghttp2 refused ends the list it belongs to. */
static void end_frame(struct h2_private *p)
{
    if (p->left || p->hd_n < FRAME_HD_BYTES)
        return;
    if (is_list(p->hd[3]) && p->hd[4] & NGHTTP2_FLAG_END_HEADERS)
        p->s->head_open = false;
    p->hd_n = 0;
}

enum err h2_session_feed(struct h2_session *s, uint64_t now_ms, struct slice *in,
                         struct h2_event *ev)
{
    CHECK_MAGIC(s, MAGIC);
    CHECK(!s->busy);
    struct h2_private *p = s->p;
    *ev = (struct h2_event){0};
    if (!s->head_open)
        h2_fields_fini(&p->fields);
    bucket_fill(&p->resets, now_ms);
    bucket_fill(&p->controls, now_ms);
    p->ev = ev;
    s->busy = true;
    while (in->n && ev->type == H2_EVENT_NONE && !s->failed) {
        if (p->left == 0)
            take_header(p, in);
        if (p->left)
            take_payload(p, in);
        end_frame(p);
    }
    s->busy = false;
    return s->failed ? ERR_RESET : OK;
}

/* ---- output ---- */

static ssize_t read_length(nghttp2_session *ng, uint8_t type, int32_t id, int32_t session_window,
                           int32_t stream_window, uint32_t max_frame, void *user)
{
    (void)ng, (void)type, (void)id, (void)user;
    int32_t n = session_window < stream_window ? session_window : stream_window;
    uint32_t most = max_frame < DATA_BYTES ? max_frame : DATA_BYTES;
    return n < (int32_t)most ? n : (ssize_t)most;
}

static nghttp2_nv nv_of(struct slice name, struct slice value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name.p,
                        .namelen = name.n,
                        .value = (uint8_t *)(uintptr_t)value.p,
                        .valuelen = value.n};
}

static void submit_trailers(struct h2_private *p, struct h2_stream *st)
{
    const nghttp2_nv *nv = (const nghttp2_nv *)(const void *)st->trailers->data;
    size_t n = st->trailers->off / sizeof(*nv);
    CHECK(nghttp2_submit_trailer(p->ng, st->id, nv, n) == 0);
}

/* How much of the body goes into the next DATA frame; send_data() copies it. */
static ssize_t read_body(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t length,
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
    if (p->n >= H2_SESSION_OUT_BYTES || p->cap - p->n < FRAME_HD_BYTES + length)
        return NGHTTP2_ERR_WOULDBLOCK;
    if (length && (!st->out || flow_bytes(st->out) < length))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    memcpy(p->to + p->n, hd, FRAME_HD_BYTES);
    p->n += FRAME_HD_BYTES;
    if (length == 0)
        return 0;
    copy_body(p, st->out, length);
    if (list_empty(&st->moved))
        list_push_back(&p->s->moved, &st->moved);
    if (length >= USEFUL_BYTES)
        bucket_give(&p->controls, EARNED);
    return 0;
}

/* The answer is out, the exchange is over, but the client still sends. */
static void stop_client(struct h2_private *p, struct h2_stream *st)
{
    if (!st->ended || !st->over || st->out || st->peer_ended || st->gone || st->own_reset)
        return;
    st->own_reset = true;
    CHECK(nghttp2_submit_rst_stream(p->ng, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_NO_ERROR) == 0);
}

static void sent_reset(struct h2_private *p, const struct h2_stream *st, uint32_t code)
{
    p->forgiving = true;
    if (code != NGHTTP2_REFUSED_STREAM && !(st && st->own_reset))
        spend(p, &p->resets, REASON_RESET_FLOOD);
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
    struct h2_stream *st = stream_of(ng, frame->hd.stream_id);
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        if (!st || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
            return 0;
        st->ended = true;
        stop_client(p, st);
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

enum err h2_session_pull(struct h2_session *s, char *to, size_t cap, size_t *n)
{
    CHECK_MAGIC(s, MAGIC);
    CHECK(!s->busy && cap >= H2_SESSION_OUT_MIN_BYTES);
    struct h2_private *p = s->p;
    enum err e = OK;
    p->to = to;
    p->cap = cap;
    p->n = 0;
    s->busy = true;
    while (p->n < H2_SESSION_OUT_BYTES && p->cap - p->n >= FRAME_BYTES) {
        const uint8_t *frame;
        ssize_t got = nghttp2_session_mem_send(p->ng, &frame);
        if (got <= 0) {
            e = got < 0 ? ERR_RESET : OK;
            break;
        }
        CHECK((size_t)got <= p->cap - p->n);
        memcpy(p->to + p->n, frame, (size_t)got);
        p->n += (size_t)got;
    }
    s->busy = false;
    *n = p->n;
    if (e != OK && !s->failed)
        s->why = REASON_INTERNAL;
    s->failed = s->failed || e != OK;
    return e;
}

bool h2_session_wants_out(const struct h2_session *s)
{
    return nghttp2_session_want_write(s->p->ng);
}

bool h2_session_over(const struct h2_session *s)
{
    return !nghttp2_session_want_read(s->p->ng) && !nghttp2_session_want_write(s->p->ng);
}

size_t h2_session_queued(const struct h2_session *s)
{
    return nghttp2_session_get_outbound_queue_size(s->p->ng);
}

struct h2_stream *h2_session_next_moved(struct h2_session *s)
{
    if (list_empty(&s->moved))
        return NULL;
    struct h2_stream *st = list_first(&s->moved, struct h2_stream, moved);
    list_del(&st->moved);
    return st;
}

static void forget(struct h2_session *s, struct h2_stream *st)
{
    list_del(&st->node);
    list_del(&st->moved);
    if (st->trailers)
        chunkpool_put(s->p->pool, st->trailers);
    st->trailers = NULL;
}

struct h2_stream *h2_session_next_closed(struct h2_session *s)
{
    if (list_empty(&s->closed))
        return NULL;
    struct h2_stream *st = list_first(&s->closed, struct h2_stream, node);
    forget(s, st);
    return st;
}

/* ---- life ---- */

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *c;
    if (nghttp2_session_callbacks_new(&c) != 0)
        return NULL;
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(c, on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame_recv);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(c, send_data);
    nghttp2_session_callbacks_set_data_source_read_length_callback(c, read_length);
    return c;
}

/* nghttp2's own limit of resets is a rate per second of the system's clock: it stands behind ours,
 * which tests can turn by hand. */
static nghttp2_option *make_options(const struct h2_settings *settings)
{
    nghttp2_option *o;
    if (nghttp2_option_new(&o) != 0)
        return NULL;
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_max_send_header_block_length(o, SEND_HEAD_MAX);
    nghttp2_option_set_stream_reset_rate_limit(o, 10ull * settings->resets.burst + 1000,
                                               10ull * settings->resets.per_s + 100);
    nghttp2_option_set_max_continuations(o, 8);
    nghttp2_option_set_max_outbound_ack(o, 256);
    return o;
}

static bool make_session(struct h2_private *p, const struct h2_settings *settings)
{
    nghttp2_session_callbacks *c = make_callbacks();
    nghttp2_option *o = make_options(settings);
    bool made = c && o && nghttp2_session_server_new2(&p->ng, c, p, o) == 0;
    nghttp2_session_callbacks_del(c);
    nghttp2_option_del(o);
    return made;
}

static bool greet(struct h2_private *p, const struct h2_settings *settings)
{
    const struct limits *l = p->fields.limits;
    nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings->streams},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, l->request_head + l->headers * 32},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    return nghttp2_submit_settings(p->ng, NGHTTP2_FLAG_NONE, entries, ARRAY_LEN(entries)) == 0 &&
           nghttp2_session_set_local_window_size(p->ng, NGHTTP2_FLAG_NONE, 0, H2_SESSION_WINDOW) ==
               0;
}

enum err h2_session_init(struct h2_session *s, struct chunkpool *pool, const struct limits *limits,
                         const struct h2_settings *settings, uint64_t now_ms)
{
    struct h2_private *p = calloc(1, sizeof(*p));
    if (!p)
        return ERR_NOMEM;
    *s = (struct h2_session){.magic = MAGIC, .p = p};
    list_init(&s->moved);
    list_init(&s->open);
    list_init(&s->closed);
    p->s = s;
    p->pool = pool;
    p->fields.pool = pool;
    p->fields.limits = limits;
    p->left = PREFACE_BYTES;
    bucket_init(&p->resets, settings->resets, now_ms);
    bucket_init(&p->controls, settings->controls, now_ms);
    if (make_session(p, settings) && greet(p, settings))
        return OK;
    h2_session_fini(s);
    return ERR_NOMEM;
}

void h2_session_fini(struct h2_session *s)
{
    struct h2_private *p = s->p;
    if (!p)
        return;
    CHECK(!s->busy);
    nghttp2_session_del(p->ng);
    list_splice_back(&s->closed, &s->open);
    while (h2_session_next_closed(s))
        continue;
    h2_fields_fini(&p->fields);
    free(p);
    s->p = NULL;
    s->magic = 0;
}

/* ---- streams ---- */

void h2_session_accept(struct h2_session *s, struct h2_stream *st, const struct h2_event *head)
{
    CHECK(head->type == H2_EVENT_HEAD);
    *st = (struct h2_stream){.id = head->id, .peer_ended = head->end};
    list_init(&st->moved);
    list_push_back(&s->open, &st->node);
    s->streams_open++;
    CHECK(nghttp2_session_set_stream_user_data(s->p->ng, st->id, st) == 0);
}

void h2_session_refuse(struct h2_session *s, int32_t id)
{
    CHECK(nghttp2_submit_rst_stream(s->p->ng, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM) == 0);
}

struct nv_list {
    struct chunk *store;
    nghttp2_nv *at;
    size_t n;
    char status[3];
};

static void nv_list_make(struct nv_list *l, struct chunkpool *pool, unsigned status,
                         const struct field *fields, uint32_t n)
{
    CHECK(status >= 100 && status <= 999);
    l->status[0] = (char)('0' + status / 100);
    l->status[1] = (char)('0' + status / 10 % 10);
    l->status[2] = (char)('0' + status % 10);
    l->store = chunkpool_get(pool, (n + 1) * sizeof(*l->at));
    l->at = (nghttp2_nv *)(void *)l->store->data;
    l->at[0] = nv_of(SLICE(":status"), slice_of(l->status, sizeof(l->status)));
    for (uint32_t i = 0; i < n; i++)
        l->at[i + 1] = nv_of(fields[i].name, fields[i].value);
    l->n = n + 1;
}

void h2_session_inform(struct h2_session *s, struct h2_stream *st, unsigned status,
                       const struct field *fields, uint32_t n)
{
    struct nv_list l;
    if (st->gone || st->answered)
        return;
    nv_list_make(&l, s->p->pool, status, fields, n);
    CHECK(nghttp2_submit_headers(s->p->ng, NGHTTP2_FLAG_NONE, st->id, NULL, l.at, l.n, NULL) == 0);
    chunkpool_put(s->p->pool, l.store);
}

void h2_session_respond(struct h2_session *s, struct h2_stream *st, unsigned status,
                        const struct field *fields, uint32_t n, struct flow *body)
{
    struct nv_list l;
    nghttp2_data_provider data = {.source.ptr = st, .read_callback = read_body};
    CHECK(!st->answered);
    st->answered = true;
    st->over = !body;
    if (st->gone)
        return;
    st->out = body;
    nv_list_make(&l, s->p->pool, status, fields, n);
    CHECK(nghttp2_submit_response(s->p->ng, st->id, l.at, l.n, body ? &data : NULL) == 0);
    chunkpool_put(s->p->pool, l.store);
}

/* The chunk: the array that nghttp2 wants (`off` octets of it), then the text. */
static void keep_trailers(struct h2_session *s, struct h2_stream *st, const struct fields *t)
{
    size_t array = t->count * sizeof(nghttp2_nv), text = 0;
    for (uint32_t i = 0; i < t->count; i++)
        text += t->at[i].name.n + t->at[i].value.n;
    st->trailers = chunkpool_get(s->p->pool, array + text);
    st->trailers->off = (uint32_t)array;
    nghttp2_nv *nv = (nghttp2_nv *)(void *)st->trailers->data;
    char *to = st->trailers->data + array;
    for (uint32_t i = 0; i < t->count; i++) {
        struct slice name = t->at[i].name, value = t->at[i].value;
        nv[i] = nv_of(slice_of(to, name.n), slice_of(to + name.n, value.n));
        memcpy(to, name.p, name.n);
        if (value.n)
            memcpy(to + name.n, value.p, value.n);
        to += name.n + value.n;
    }
}

static void resume(struct h2_session *s, struct h2_stream *st)
{
    if (!st->waiting)
        return;
    st->waiting = false;
    CHECK(nghttp2_session_resume_data(s->p->ng, st->id) == 0);
}

void h2_session_wake(struct h2_session *s, struct h2_stream *st, const struct fields *trailers)
{
    if (st->gone || !st->out)
        return;
    if (st->out->ended && trailers->count && !st->trailers)
        keep_trailers(s, st, trailers);
    if (st->out->ended || flow_bytes(st->out))
        resume(s, st);
}

void h2_session_finish(struct h2_session *s, struct h2_stream *st)
{
    st->out = NULL;
    st->over = true;
    if (st->gone)
        return;
    resume(s, st);
    stop_client(s->p, st);
}

void h2_session_reset(struct h2_session *s, struct h2_stream *st, enum h2_code code)
{
    st->out = NULL;
    st->over = true;
    if (st->gone || st->own_reset)
        return;
    st->own_reset = true;
    CHECK(nghttp2_submit_rst_stream(s->p->ng, NGHTTP2_FLAG_NONE, st->id, (uint32_t)code) == 0);
}

void h2_session_consumed(struct h2_session *s, struct h2_stream *st, size_t n)
{
    if (!st->gone && !st->peer_ended && n)
        CHECK(nghttp2_session_consume_stream(s->p->ng, st->id, n) == 0);
}

void h2_session_received(struct h2_session *s, size_t n)
{
    if (n)
        CHECK(nghttp2_session_consume_connection(s->p->ng, n) == 0);
}

/* ---- the end ---- */

void h2_session_notice(struct h2_session *s)
{
    CHECK(nghttp2_submit_shutdown_notice(s->p->ng) == 0);
}

void h2_session_goaway(struct h2_session *s)
{
    int32_t last = nghttp2_session_get_last_proc_stream_id(s->p->ng);
    CHECK(nghttp2_submit_goaway(s->p->ng, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0) == 0);
}

void h2_session_terminate(struct h2_session *s, enum h2_code code)
{
    CHECK(nghttp2_session_terminate_session(s->p->ng, (uint32_t)code) == 0);
}
