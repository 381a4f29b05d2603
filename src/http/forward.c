#include "http/forward.h"

#include "base/text.h"
#include "http/h1_writer.h"

/* Lines that stay as they are are copied together, up to the next one that does not. */
struct copy {
    struct h1_writer w;
    const char *run; /* start of what is not copied yet */
};

static void copy_until(struct copy *c, const char *end)
{
    h1_writer_put(&c->w, c->run, (size_t)(end - c->run));
}

static void skip_line(struct copy *c, const char *line, const char *next)
{
    if (line > c->run)
        copy_until(c, line);
    c->run = next;
}

/* Meant for one hop. Framing is among them: it is written anew. */
#define HOP_BY_HOP                                                                                 \
    (FIELD_BIT(FIELD_CONNECTION) | FIELD_BIT(FIELD_KEEP_ALIVE) |                                   \
     FIELD_BIT(FIELD_PROXY_CONNECTION) | FIELD_BIT(FIELD_PROXY_AUTHENTICATE) |                     \
     FIELD_BIT(FIELD_PROXY_AUTHORIZATION) | FIELD_BIT(FIELD_TE) |                                  \
     FIELD_BIT(FIELD_TRANSFER_ENCODING) | FIELD_BIT(FIELD_UPGRADE) |                               \
     FIELD_BIT(FIELD_HTTP2_SETTINGS))

/* What tenbin says of a request; a client's word for it does not count. */
#define SET_BY_US                                                                                  \
    (FIELD_BIT(FIELD_X_FORWARDED_PROTO) | FIELD_BIT(FIELD_X_FORWARDED_PORT) |                      \
     FIELD_BIT(FIELD_X_AMZN_TRACE_ID) | FIELD_BIT(FIELD_TRACEPARENT))

/* Stay even when Connection names them: a client must not take them from the target. */
#define UNNAMEABLE                                                                                 \
    (SET_BY_US | FIELD_BIT(FIELD_X_FORWARDED_FOR) | FIELD_BIT(FIELD_HOST) |                        \
     FIELD_BIT(FIELD_CONTENT_LENGTH) | FIELD_BIT(FIELD_AUTHORIZATION) | FIELD_BIT(FIELD_COOKIE))

static bool is_named(const struct fields *f, const struct field *line)
{
    return !(FIELD_BIT(line->id) & UNNAMEABLE) && fields_has_item(f, FIELD_CONNECTION, line->name);
}

/* "Content-Length: 007" is legal, but not what every next hop reads as we do. */
static bool is_canonical(struct slice length)
{
    return length.n == 1 || length.p[0] != '0';
}

static bool keeps_length(const struct fields *f)
{
    const struct field *length = fields_get(f, FIELD_CONTENT_LENGTH);
    return length && is_canonical(length->value);
}

static void put_length(struct h1_writer *w, uint64_t n)
{
    H1_WRITER_LIT(w, "Content-Length: ");
    h1_writer_u64(w, n);
    H1_WRITER_LIT(w, "\r\n");
}

/* --- requests */

/* The origin-form of an absolute-form target (RFC 9112 3.2.1, 3.2.4). */
static void put_target(struct h1_writer *w, const struct request_head *h)
{
    const char *rest = h->target.p, *end = h->target.p + h->target.n;
    if (h->authority.n)
        rest = h->authority.p + h->authority.n;
    if (rest == end && h->method_id == METHOD_OPTIONS)
        H1_WRITER_LIT(w, "*");
    else if (rest == end || *rest == '?')
        H1_WRITER_LIT(w, "/");
    h1_writer_slice(w, slice_of(rest, (size_t)(end - rest)));
}

static const char *lines_of(struct slice raw, const struct fields *f)
{
    return f->count ? f->at[0].name.p : raw.p + raw.n - 2;
}

static void put_request_line(struct copy *c, const struct request_head *h)
{
    c->run = h->raw.p;
    if (h->version == HTTP_1_1 && !h->authority.n)
        return;
    h1_writer_slice(&c->w, h->method);
    H1_WRITER_LIT(&c->w, " ");
    put_target(&c->w, h);
    H1_WRITER_LIT(&c->w, " HTTP/1.1\r\n");
    c->run = lines_of(h->raw, &h->fields);
}

static struct slice without_port(struct slice host)
{
    if (host.n && host.p[0] == '[')
        return slice_upto(host, slice_find(host, ']', 0) + 1);
    return slice_upto(host, slice_find(host, ':', 0));
}

struct host_text {
    char p[HEAD_HOST_MAX + sizeof(":65535")];
    size_t n;
};

/* What the target sees as Host. A default_host that is too long is ours to avoid, so it is cut. */
static void make_host(struct host_text *t, const struct request_head *h,
                      const struct forward_request *c)
{
    struct slice host = h->host.n ? h->host : slice_upto(c->default_host, HEAD_HOST_MAX);
    struct slice name = c->preserve_host_header ? host : without_port(host);
    t->n = name.n;
    if (name.n)
        memcpy(t->p, name.p, name.n);
    if (!name.n || c->preserve_host_header || c->listener_port == 80 || c->listener_port == 443)
        return;
    t->p[t->n++] = ':';
    t->n += text_u64(t->p + t->n, c->listener_port);
}

static void put_host(struct copy *k, const struct request_head *h, const struct forward_request *c,
                     const struct field *line, const char *next)
{
    struct host_text t;
    make_host(&t, h, c);
    if (line && slice_eq(line->value, slice_of(t.p, t.n)))
        return;
    if (line)
        skip_line(k, line->name.p, next);
    h1_writer_field(&k->w, SLICE("Host"), slice_of(t.p, t.n));
}

static uint64_t dropped_from_request(const struct request_head *h, const struct forward_request *c,
                                     bool new_trace)
{
    uint64_t drop = HOP_BY_HOP | SET_BY_US | FIELD_BIT(FIELD_EXPECT) | FIELD_BIT(FIELD_VOUCHED);
    if (c->xff_mode != XFF_PRESERVE)
        drop |= FIELD_BIT(FIELD_X_FORWARDED_FOR);
    if (new_trace)
        drop |= FIELD_BIT(FIELD_TRACESTATE);
    if (!keeps_length(&h->fields))
        drop |= FIELD_BIT(FIELD_CONTENT_LENGTH);
    return drop;
}

static void copy_request_lines(struct copy *k, const struct request_head *h,
                               const struct forward_request *c, uint64_t drop)
{
    const char *end = h->raw.p + h->raw.n - 2;
    for (uint32_t i = 0; i < h->fields.count; i++) {
        const struct field *line = &h->fields.at[i];
        const char *next = i + 1 < h->fields.count ? line[1].name.p : end;
        if (FIELD_BIT(line->id) & drop)
            skip_line(k, line->name.p, next);
        else if (line->id == FIELD_HOST)
            put_host(k, h, c, line, next);
        else if ((line->odd_name && c->drop_invalid_header_fields) ||
                 (h->connection_names && is_named(&h->fields, line)))
            skip_line(k, line->name.p, next);
    }
    copy_until(k, end);
}

static void put_request_framing(struct h1_writer *w, const struct request_head *h)
{
    if (h->framing == FRAMING_CHUNKED)
        H1_WRITER_LIT(w, "Transfer-Encoding: chunked\r\n");
    else if (h->framing == FRAMING_LENGTH && !keeps_length(&h->fields))
        put_length(w, h->content_length);
}

/* `close` to a target that may have read another request than we did: it will not go on to read
 * the rest of it as a next one. */
static void put_hop(struct h1_writer *w, const struct request_head *h)
{
    if (h->upgrade_websocket)
        H1_WRITER_LIT(w, "Connection: upgrade\r\nUpgrade: websocket\r\n");
    else if (h->isolate)
        H1_WRITER_LIT(w, "Connection: close\r\n");
    if (h->te_trailers)
        H1_WRITER_LIT(w, "Connection: te\r\nTE: trailers\r\n");
}

static unsigned count_forwarded(const struct fields *f)
{
    unsigned n = 0;
    const struct field *l = fields_get(f, FIELD_X_FORWARDED_FOR);
    for (; l; l = fields_next(f, l)) {
        struct slice rest = l->value, item;
        while (slice_next_item(&rest, &item))
            n++;
    }
    return n;
}

static void put_client(struct h1_writer *w, const struct forward_request *c)
{
    bool v6 = slice_find(c->client_address, ':', 0) < c->client_address.n;
    if (!c->xff_client_port) {
        h1_writer_slice(w, c->client_address);
        return;
    }
    if (v6)
        H1_WRITER_LIT(w, "[");
    h1_writer_slice(w, c->client_address);
    if (v6)
        H1_WRITER_LIT(w, "]");
    H1_WRITER_LIT(w, ":");
    h1_writer_u64(w, c->client_port);
}

/* All lines of the client in one, then the client: a target that reads one line reads them all. A
 * client without an address adds nothing; then there may be nothing to say. */
static void put_forwarded_for(struct h1_writer *w, const struct request_head *h,
                              const struct forward_request *c)
{
    struct slice before = SLICE("X-Forwarded-For: ");
    bool any = false;
    if (c->xff_mode != XFF_APPEND)
        return;
    const struct field *l = fields_get(&h->fields, FIELD_X_FORWARDED_FOR);
    for (; l; l = fields_next(&h->fields, l)) {
        if (!l->value.n)
            continue;
        h1_writer_slice(w, before);
        h1_writer_slice(w, l->value);
        before = SLICE(", ");
        any = true;
    }
    if (c->client_address.n) {
        h1_writer_slice(w, before);
        put_client(w, c);
        any = true;
    }
    if (any)
        H1_WRITER_LIT(w, "\r\n");
}

static void put_forwarded(struct h1_writer *w, const struct request_head *h,
                          const struct forward_request *c)
{
    put_forwarded_for(w, h, c);
    if (c->https)
        H1_WRITER_LIT(w, "X-Forwarded-Proto: https\r\nX-Forwarded-Port: ");
    else
        H1_WRITER_LIT(w, "X-Forwarded-Proto: http\r\nX-Forwarded-Port: ");
    h1_writer_u64(w, c->listener_port);
    H1_WRITER_LIT(w, "\r\n");
}

static void put_vouched(struct h1_writer *w, const struct forward_request *c)
{
    for (uint32_t i = 0; i < c->vouched_count; i++)
        h1_writer_field(w, c->vouched[i].name, c->vouched[i].value);
    if (c->tls_version.n) {
        h1_writer_field(w, SLICE("X-Amzn-Tls-Version"), c->tls_version);
        h1_writer_field(w, SLICE("X-Amzn-Tls-Cipher-Suite"), c->tls_cipher);
    }
}

static struct slice value_of(const struct fields *f, enum field_id id)
{
    const struct field *line = fields_get(f, id);
    return line ? line->value : slice_of("", 0);
}

static struct slice put_trace(struct h1_writer *w, const struct request_head *h,
                              const struct forward_request *c)
{
    struct slice in = value_of(&h->fields, FIELD_X_AMZN_TRACE_ID), value = {"", 0};
    if (h->raw.n > FORWARD_TRACE_HEAD_MAX)
        in.n = 0;
    H1_WRITER_LIT(w, "X-Amzn-Trace-Id: ");
    char *to = h1_writer_reserve(w, TRACE_ROOT_LEN + 1 + in.n);
    if (to) {
        value = slice_of(to, trace_amzn(to, in, &c->trace));
        h1_writer_commit(w, value.n);
    }
    H1_WRITER_LIT(w, "\r\ntraceparent: ");
    return value;
}

enum reason forward_request(const struct request_head *h, const struct forward_request *c, char *to,
                            size_t cap, struct forwarded *out)
{
    struct copy k;
    char parent[TRACE_PARENT_LEN];
    bool continued;
    if (fields_has(&h->fields, FIELD_X_FORWARDED_FOR) &&
        count_forwarded(&h->fields) > FORWARD_XFF_MAX)
        return REASON_TOO_MANY_FORWARDED;
    trace_parent(parent, value_of(&h->fields, FIELD_TRACEPARENT), &c->trace, &continued);

    h1_writer_init(&k.w, to, cap);
    put_request_line(&k, h);
    copy_request_lines(&k, h, c, dropped_from_request(h, c, !continued));
    if (!fields_has(&h->fields, FIELD_HOST))
        put_host(&k, h, c, NULL, NULL);
    put_request_framing(&k.w, h);
    put_hop(&k.w, h);
    put_forwarded(&k.w, h, c);
    put_vouched(&k.w, c);
    out->trace_id = put_trace(&k.w, h, c);
    h1_writer_put(&k.w, parent, sizeof(parent));
    H1_WRITER_LIT(&k.w, "\r\n\r\n");
    return h1_writer_end(&k.w, &out->n) ? REASON_HEAD_TOO_LARGE : REASON_NONE;
}

/* --- responses */

enum framing forward_response_framing(const struct response_head *h, enum http_version client)
{
    if (h->framing == FRAMING_CHUNKED || h->framing == FRAMING_CLOSE)
        return client == HTTP_1_1 ? FRAMING_CHUNKED : FRAMING_CLOSE;
    return h->framing;
}

static void put_status_line(struct copy *c, const struct response_head *h)
{
    bool has_phrase_space = h->reason.p[-1] == ' ';
    c->run = h->raw.p;
    if (h->version == HTTP_1_1 && has_phrase_space)
        return;
    H1_WRITER_LIT(&c->w, "HTTP/1.1 ");
    h1_writer_u64(&c->w, h->status);
    H1_WRITER_LIT(&c->w, " ");
    c->run = h->reason.p;
}

/* Answers to HEAD and 304 say how long the body would be (RFC 9110 8.6). */
static bool may_say_length(const struct response_head *h, enum framing framing)
{
    bool bodiless = framing == FRAMING_NONE && h->status >= 200 && h->status != 204;
    return h->has_length && (framing == FRAMING_LENGTH || bodiless);
}

static uint64_t dropped_from_response(const struct response_head *h,
                                      const struct forward_response *c)
{
    uint64_t drop = HOP_BY_HOP;
    if (!h->interim)
        drop |= c->override_mask;
    if (c->framing != FRAMING_CHUNKED)
        drop |= FIELD_BIT(FIELD_TRAILER);
    if (!may_say_length(h, c->framing) || !keeps_length(&h->fields))
        drop |= FIELD_BIT(FIELD_CONTENT_LENGTH);
    return drop;
}

static void copy_response_lines(struct copy *k, const struct response_head *h, uint64_t drop)
{
    const char *end = h->raw.p + h->raw.n - 2;
    for (uint32_t i = 0; i < h->fields.count; i++) {
        const struct field *line = &h->fields.at[i];
        const char *next = i + 1 < h->fields.count ? line[1].name.p : end;
        if (FIELD_BIT(line->id) & drop || (h->connection_names && is_named(&h->fields, line)))
            skip_line(k, line->name.p, next);
    }
    copy_until(k, end);
}

static void put_response_framing(struct h1_writer *w, const struct response_head *h,
                                 enum framing framing)
{
    if (framing == FRAMING_CHUNKED)
        H1_WRITER_LIT(w, "Transfer-Encoding: chunked\r\n");
    else if (may_say_length(h, framing) && !keeps_length(&h->fields))
        put_length(w, h->content_length);
}

static void put_overrides(struct h1_writer *w, const struct forward_response *c)
{
    for (uint32_t i = 0; i < c->override_count; i++)
        if (c->overrides[i].value.n)
            h1_writer_field(w, c->overrides[i].name, c->overrides[i].value);
    for (uint32_t i = 0; i < c->added_count; i++)
        h1_writer_field(w, c->added[i].name, c->added[i].value);
}

static void put_connection(struct h1_writer *w, const struct response_head *h,
                           const struct forward_response *c)
{
    if (h->status == 101)
        H1_WRITER_LIT(w, "Connection: upgrade\r\nUpgrade: websocket\r\n");
    else if (!c->keep_alive)
        H1_WRITER_LIT(w, "Connection: close\r\n");
    else if (c->client == HTTP_1_0)
        H1_WRITER_LIT(w, "Connection: keep-alive\r\n");
}

enum err forward_response(const struct response_head *h, const struct forward_response *c, char *to,
                          size_t cap, struct forwarded *out)
{
    struct copy k;
    out->trace_id = slice_of("", 0);
    h1_writer_init(&k.w, to, cap);
    put_status_line(&k, h);
    copy_response_lines(&k, h, dropped_from_response(h, c));
    if (!h->interim) {
        put_response_framing(&k.w, h, c->framing);
        if (!fields_has(&h->fields, FIELD_DATE) && !(c->override_mask & FIELD_BIT(FIELD_DATE)))
            h1_writer_field(&k.w, SLICE("Date"), c->date);
        put_overrides(&k.w, c);
        put_connection(&k.w, h, c);
    }
    H1_WRITER_LIT(&k.w, "\r\n");
    return h1_writer_end(&k.w, &out->n);
}

/* --- responses on a wire without text */

struct list_of {
    struct field *at;
    uint32_t n, cap;
};

static bool append(struct list_of *l, const struct field *f)
{
    if (l->n == l->cap)
        return false;
    l->at[l->n++] = *f;
    return true;
}

static bool append_own(struct list_of *l, enum field_id id, struct slice value)
{
    return append(l, &(struct field){.name = fields_name(id), .value = value, .id = (uint8_t)id});
}

static bool append_lines(struct list_of *l, const struct response_head *h, uint64_t drop)
{
    for (uint32_t i = 0; i < h->fields.count; i++) {
        const struct field *line = &h->fields.at[i];
        if (FIELD_BIT(line->id) & drop || (h->connection_names && is_named(&h->fields, line)))
            continue;
        if (!append(l, line))
            return false;
    }
    return true;
}

static bool append_overrides(struct list_of *l, const struct forward_response *c)
{
    for (uint32_t i = 0; i < c->override_count; i++)
        if (c->overrides[i].value.n && !append(l, &c->overrides[i]))
            return false;
    for (uint32_t i = 0; i < c->added_count; i++)
        if (!append(l, &c->added[i]))
            return false;
    return true;
}

/* What of forward_response() is left when framing and connection are not said in fields. */
static bool append_ours(struct list_of *l, const struct response_head *h,
                        const struct forward_response *c, char *length)
{
    if (may_say_length(h, c->framing) && !keeps_length(&h->fields) &&
        !append_own(l, FIELD_CONTENT_LENGTH, slice_of(length, text_u64(length, h->content_length))))
        return false;
    if (!fields_has(&h->fields, FIELD_DATE) && !(c->override_mask & FIELD_BIT(FIELD_DATE)) &&
        !append_own(l, FIELD_DATE, c->date))
        return false;
    return append_overrides(l, c);
}

enum err forward_response_fields(const struct response_head *h, const struct forward_response *c,
                                 char *length, struct field *to, uint32_t cap, uint32_t *n)
{
    struct list_of l = {.at = to, .cap = cap};
    bool whole = append_lines(&l, h, dropped_from_response(h, c)) &&
                 (h->interim || append_ours(&l, h, c, length));
    *n = l.n;
    return whole ? OK : ERR_LIMIT;
}
