#include "http/h2_session.h"

#include <stdlib.h>

#include "h2_private.h"

#define MAGIC         0x48325353
#define PREFACE_BYTES 24
#define SEND_HEAD_MAX (1u << 20) /* above all that the limits allow a head to be */

/* ---- what the parts share ---- */

void h2_session_fail(struct h2_private *p, enum reason why, uint32_t code)
{
    if (p->s->failed)
        return;
    p->s->failed = true;
    p->s->why = why;
    CHECK(nghttp2_session_terminate_session(p->ng, code) == 0);
}

void h2_session_spend(struct h2_private *p, struct h2_bucket *b, enum reason why)
{
    if (!h2_bucket_take(b))
        h2_session_fail(p, why, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* ---- bytes in and out ---- */

enum err h2_session_feed(struct h2_session *s, uint64_t now_ms, struct slice *in,
                         struct h2_event *ev)
{
    CHECK_MAGIC(s, MAGIC);
    CHECK(!s->busy);
    struct h2_private *p = s->p;
    *ev = (struct h2_event){0};
    h2_bucket_fill(&p->resets, now_ms);
    h2_bucket_fill(&p->controls, now_ms);
    p->ev = ev;
    s->busy = s->warm = true;
    while (in->n && ev->type == H2_EVENT_NONE && !s->failed)
        h2_in_take(p, in);
    s->busy = false;
    if (ev->type == H2_EVENT_NONE && !s->head_open)
        h2_fields_fini(&p->fields);
    return s->failed ? ERR_RESET : OK;
}

enum err h2_session_pull(struct h2_session *s, char *to, size_t cap, size_t *n)
{
    CHECK_MAGIC(s, MAGIC);
    CHECK(!s->busy && cap >= H2_SESSION_OUT_MIN_BYTES);
    struct h2_private *p = s->p;
    if (!s->head_open)
        h2_fields_fini(&p->fields);
    p->to = to;
    p->cap = cap;
    p->n = 0;
    s->busy = true;
    enum err e = h2_out_pull(p);
    s->busy = false;
    *n = p->n;
    s->warm = s->warm || p->n;
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

static bool is_zero(const char *p, size_t n)
{
    return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

void h2_session_rest(struct h2_session *s)
{
    struct h2_private *p = s->p;
    s->warm = false;
    if (s->failed || h2_session_over(s) || h2_session_wants_out(s))
        return;
    if (p->frame)
        heap_vacate(p->memory, p->frame);
    if (p->table && is_zero(p->table, p->table_bytes))
        heap_vacate(p->memory, p->table);
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
    h2_in_register(c);
    h2_out_register(c);
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
    if (!settings->client)
        nghttp2_option_set_stream_reset_rate_limit(o, 10ull * settings->resets.burst + 1000,
                                                   10ull * settings->resets.per_s + 100);
    nghttp2_option_set_max_continuations(o, 8);
    nghttp2_option_set_max_outbound_ack(o, 256);
    return o;
}

/* What h2_session_rest() gives back is noted as it is taken: the buffer that frames are written to,
 * the only piece of that size that a session begins with, and the table of its streams. */
static void *note_frame(struct h2_private *p, void *piece, size_t n)
{
    if (!p->ng && n >= H2_FRAME_HD_BYTES + 16384u)
        p->frame = piece;
    return piece;
}

static void forget_piece(struct h2_private *p, const void *piece)
{
    if (piece == p->frame)
        p->frame = NULL;
    if (piece == p->table)
        p->table = NULL;
}

static void *mem_get(size_t n, void *user)
{
    struct h2_private *p = user;
    return note_frame(p, heap_get(p->memory, n), n);
}

static void mem_put(void *piece, void *user)
{
    struct h2_private *p = user;
    forget_piece(p, piece);
    heap_put(p->memory, piece);
}

static void *mem_get_zeroed(size_t count, size_t n, void *user)
{
    struct h2_private *p = user;
    void *piece = heap_get_zeroed(p->memory, count, n);
    if (piece && count * n >= HEAP_PAGE_BYTES) {
        p->table = piece;
        p->table_bytes = count * n;
    }
    return piece;
}

static void *mem_resize(void *piece, size_t n, void *user)
{
    struct h2_private *p = user;
    forget_piece(p, piece);
    return note_frame(p, heap_resize(p->memory, piece, n), n);
}

static bool make_session(struct h2_private *p, const struct h2_settings *settings)
{
    nghttp2_session_callbacks *c = make_callbacks();
    nghttp2_option *o = make_options(settings);
    nghttp2_mem pooled = {p, mem_get, mem_put, mem_get_zeroed, mem_resize};
    nghttp2_mem *mem = p->memory ? &pooled : NULL;
    int e = !c || !o           ? NGHTTP2_ERR_NOMEM
            : settings->client ? nghttp2_session_client_new3(&p->ng, c, p, o, mem)
                               : nghttp2_session_server_new3(&p->ng, c, p, o, mem);
    nghttp2_session_callbacks_del(c);
    nghttp2_option_del(o);
    return e == 0;
}

static bool set_window(struct h2_private *p)
{
    return nghttp2_session_set_local_window_size(p->ng, NGHTTP2_FLAG_NONE, 0, H2_SESSION_WINDOW) ==
           0;
}

static bool greet_target(struct h2_private *p)
{
    const struct limits *l = p->fields.limits;
    nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_SESSION_CLIENT_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, l->response_head + l->headers * 32},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    return nghttp2_submit_settings(p->ng, NGHTTP2_FLAG_NONE, entries, ARRAY_LEN(entries)) == 0 &&
           set_window(p);
}

static bool greet(struct h2_private *p, const struct h2_settings *settings)
{
    const struct limits *l = p->fields.limits;
    nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings->streams},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, l->request_head + l->headers * 32},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1}, /* last: only where it is offered */
    };
    size_t n = ARRAY_LEN(entries) - !settings->websockets;
    return nghttp2_submit_settings(p->ng, NGHTTP2_FLAG_NONE, entries, n) == 0 && set_window(p);
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
    p->websockets = settings->websockets;
    p->client = settings->client;
    p->memory = settings->memory;
    p->left = settings->client ? 0 : PREFACE_BYTES;
    h2_bucket_init(&p->resets, settings->resets, now_ms);
    h2_bucket_init(&p->controls, settings->controls, now_ms);
    if (make_session(p, settings) && (p->client ? greet_target(p) : greet(p, settings)))
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
    l->at[0] = h2_private_own_nv(SLICE(":status"), slice_of(l->status, sizeof(l->status)));
    for (uint32_t i = 0; i < n; i++)
        l->at[i + 1] =
            h2_private_field_nv((enum field_id)fields[i].id, fields[i].name, fields[i].value);
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
    nghttp2_data_provider data = {.source.ptr = st, .read_callback = h2_out_read_body};
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

enum err h2_session_request(struct h2_session *s, struct h2_stream *st, struct slice head,
                            bool https, struct flow *body)
{
    nghttp2_data_provider data = {.source.ptr = st, .read_callback = h2_out_read_body};
    nghttp2_nv *nv;
    size_t n;
    CHECK(s->p->client);
    struct chunk *store = h2_lines_read(s->p->pool, head, https, &nv, &n);
    *st = (struct h2_stream){.out = body, .over = !body};
    st->id = nghttp2_submit_request(s->p->ng, NULL, nv, n, body ? &data : NULL, st);
    chunkpool_put(s->p->pool, store);
    if (st->id < 0)
        return st->id == NGHTTP2_ERR_NOMEM ? ERR_NOMEM : ERR_LIMIT;
    list_init(&st->moved);
    list_push_back(&s->open, &st->node);
    s->streams_open++;
    s->requests++;
    return OK;
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
        nv[i] = h2_private_nv(slice_of(to, name.n), slice_of(to + name.n, value.n));
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
    h2_out_stop_client(s->p, st);
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
