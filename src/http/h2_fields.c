#include "h2_fields.h"

#include "base/check.h"
#include "scan.h"

#define FIELD_COST    32 /* RFC 9113 6.5.2 */
#define BOMB_FACTOR   4  /* a list of that many times the limit ends the connection */
#define FIRST_BYTES   2048
#define FIXED_LINES   64 /* request line and framing, without what the client chose of them */
#define UPGRADE_LINES 100

static void drop(struct h2_fields *f, struct chunk **c)
{
    if (*c)
        chunkpool_put(f->pool, *c);
    *c = NULL;
}

static struct chunk *emptied(struct chunk *c)
{
    if (c)
        c->end = 0;
    return c;
}

void h2_fields_begin(struct h2_fields *f, struct chunkpool *pool, const struct limits *limits,
                     enum h2_fields_kind kind)
{
    struct chunk *pseudo = emptied(f->pseudo), *text = emptied(f->text), *cookie = f->cookie;
    *f = (struct h2_fields){
        .pool = pool, .limits = limits, .kind = kind, .pseudo = pseudo, .text = text};
    drop(f, &cookie);
}

void h2_fields_fini(struct h2_fields *f)
{
    drop(f, &f->pseudo);
    drop(f, &f->text);
    drop(f, &f->cookie);
}

/* ---- text ---- */

static size_t bytes_in(const struct chunk *c)
{
    return c ? c->end : 0;
}

static void enlarge(struct h2_fields *f, struct chunk **c, size_t n)
{
    struct chunk *larger = chunkpool_get(f->pool, n > FIRST_BYTES ? n : FIRST_BYTES);
    if (*c) {
        larger->end = (*c)->end;
        memcpy(larger->data, (*c)->data, larger->end);
        chunkpool_put(f->pool, *c);
    }
    *c = larger;
}

/* Room for n octets at the end of *c, which may move. */
static inline char *grow(struct h2_fields *f, struct chunk **c, size_t n)
{
    size_t have = bytes_in(*c);
    if (!*c || have + n > (*c)->cap)
        enlarge(f, c, have + n);
    (*c)->end = (uint32_t)(have + n);
    return (*c)->data + have;
}

static char *put(char *to, struct slice s)
{
    if (s.n)
        memcpy(to, s.p, s.n);
    return to + s.n;
}

static void put_line(struct h2_fields *f, struct slice name, struct slice value)
{
    char *to = grow(f, &f->text, name.n + value.n + 4);
    to = put(put(put(to, name), SLICE(": ")), value);
    put(to, SLICE("\r\n"));
}

static struct slice value_of(const struct h2_fields *f, struct h2_fields_value v)
{
    return v.n ? slice_of(f->pseudo->data + v.at, v.n) : slice_of("", 0);
}

/* ---- what a field may be ---- */

static bool clean(struct slice v)
{
    unsigned seen = 0;
    if (v.n && (scan_is(v.p[0], SCAN_SPACE) || scan_is(v.p[v.n - 1], SCAN_SPACE)))
        return false;
    return scan_all(v, scan_not_text) ||
           (scan_text(v.p, v.p + v.n, &seen) == v.p + v.n && !(seen & SCAN_SEEN_CONTROL));
}

static bool lower_token(struct slice name)
{
    if (name.n && scan_all(name, scan_not_lower))
        return true;
    for (size_t i = 0; i < name.n; i++)
        if (!scan_is(name.p[i], SCAN_TOKEN) || (name.p[i] >= 'A' && name.p[i] <= 'Z'))
            return false;
    return name.n > 0;
}

static bool token(struct slice s)
{
    bool odd = false;
    return s.n && scan_token(s.p, s.p + s.n, &odd) == s.p + s.n;
}

/* Clean, and without white space. */
static bool clean_word(struct slice s)
{
    if (s.n && scan_all(s, scan_not_visible))
        return true;
    for (size_t i = 0; i < s.n; i++)
        if (scan_is(s.p[i], SCAN_SPACE))
            return false;
    return s.n && clean(s);
}

/* RFC 9113 8.2.2. */
static bool of_the_connection(enum field_id id, struct slice value)
{
    switch (id) {
    case FIELD_CONNECTION:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_UPGRADE:
        return true;
    case FIELD_TE:
        return !slice_ieq(value, SLICE("trailers"));
    default:
        return false;
    }
}

/* ---- pseudo-headers ---- */

static struct h2_fields_value *pseudo_of(struct h2_fields *f, struct slice name)
{
    if (f->kind == H2_FIELDS_RESPONSE)
        return slice_eq(name, SLICE(":status")) ? &f->status : NULL;
    if (slice_eq(name, SLICE(":method")))
        return &f->method;
    if (slice_eq(name, SLICE(":path")))
        return &f->path;
    if (slice_eq(name, SLICE(":authority")))
        return &f->authority;
    if (slice_eq(name, SLICE(":scheme")))
        return &f->scheme;
    if (slice_eq(name, SLICE(":protocol")) && f->websockets)
        return &f->protocol;
    return NULL;
}

/* A value that is longer than a request line may be is cut: the line is too long all the same. */
static enum err add_pseudo(struct h2_fields *f, struct slice name, struct slice value)
{
    struct h2_fields_value *v = pseudo_of(f, name);
    if (!v || v->n || bytes_in(f->text) || f->kind == H2_FIELDS_TRAILERS)
        return ERR_SYNTAX;
    if (!clean_word(value) && (value.n || v != &f->authority))
        return ERR_SYNTAX;
    value = slice_upto(value, v == &f->authority ? HEAD_HOST_MAX + 1 : f->limits->request_line);
    char *to = grow(f, &f->pseudo, value.n);
    put(to, value);
    *v = (struct h2_fields_value){(uint32_t)(to - f->pseudo->data), (uint32_t)value.n};
    return OK;
}

static bool scheme_is_ours(struct slice s)
{
    return scan_same(s, SLICE("https")) || scan_same(s, SLICE("http"));
}

unsigned h2_fields_status(const struct h2_fields *f)
{
    struct slice s = value_of(f, f->status);
    uint64_t n;
    return s.n == 3 && slice_u64(s, &n) ? (unsigned)n : 0;
}

/* RFC 9113 8.3.2: there is no phrase. */
static enum err put_status_line(struct h2_fields *f)
{
    struct slice status = value_of(f, f->status);
    if (h2_fields_status(f) < 100)
        return ERR_SYNTAX;
    char *to = grow(f, &f->text, status.n + sizeof("HTTP/1.1  \r\n") - 1);
    to = put(put(to, SLICE("HTTP/1.1 ")), status);
    put(to, SLICE(" \r\n"));
    return OK;
}

/* 16 random octets in base64 (RFC 6455 4.1): 21 digits of 6 bits and one of 2, then padding. */
static void make_key(char *key, struct rng *rng)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0; i < 21; i++)
        key[i] = digits[rng_below(rng, 64)];
    key[21] = digits[rng_below(rng, 4) << 4];
    key[22] = key[23] = '=';
}

static void put_upgrade(struct h2_fields *f)
{
    char key[24];
    make_key(key, f->websockets);
    put_line(f, SLICE("Connection"), SLICE("Upgrade"));
    put_line(f, SLICE("Upgrade"), SLICE("websocket"));
    put_line(f, SLICE("Sec-WebSocket-Key"), slice_of(key, sizeof(key)));
}

static bool is_upgrade(const struct h2_fields *f)
{
    return scan_same(value_of(f, f->protocol), SLICE("websocket")) &&
           slice_eq(value_of(f, f->method), SLICE("CONNECT"));
}

/* RFC 9113 8.3.1, 8.5. CONNECT is written down so that the gate refuses it with its own status. */
static enum err put_request_line(struct h2_fields *f)
{
    struct slice method = value_of(f, f->method), path = value_of(f, f->path);
    struct slice authority = value_of(f, f->authority);
    f->upgrade = is_upgrade(f);
    if (f->upgrade)
        method = SLICE("GET");
    bool connect = slice_eq(method, SLICE("CONNECT"));
    if (connect && (!path.n || f->protocol.n))
        path = authority;
    else if (connect || (f->protocol.n && !f->upgrade) || !scheme_is_ours(value_of(f, f->scheme)))
        return ERR_SYNTAX;
    if (!token(method) || !path.n || (!connect && path.p[0] != '/' && path.p[0] != '*'))
        return ERR_SYNTAX;
    char *to = grow(f, &f->text, method.n + path.n + sizeof("  HTTP/1.1\r\n") - 1);
    to = put(put(put(to, method), SLICE(" ")), path);
    put(to, SLICE(" HTTP/1.1\r\n"));
    if (authority.n)
        put_line(f, SLICE("Host"), authority);
    if (f->upgrade)
        put_upgrade(f);
    return OK;
}

/* ---- fields ---- */

static enum err put_first_line(struct h2_fields *f)
{
    return f->kind == H2_FIELDS_RESPONSE ? put_status_line(f) : put_request_line(f);
}

static uint64_t most_bytes(const struct h2_fields *f)
{
    if (f->kind == H2_FIELDS_TRAILERS)
        return f->limits->trailers;
    return f->kind == H2_FIELDS_RESPONSE ? f->limits->response_head : f->limits->request_head;
}

static void add_crumb(struct h2_fields *f, struct slice value)
{
    bool first = !f->cookie;
    char *to = grow(f, &f->cookie, value.n + (first ? 0 : 2));
    put(first ? to : put(to, SLICE("; ")), value);
}

/* Allowed beside :authority only when it says the same (RFC 9113 8.3.1). */
static enum err add_host(struct h2_fields *f, struct slice name, struct slice value)
{
    struct slice authority = value_of(f, f->authority);
    if (!authority.n)
        put_line(f, name, value);
    else if (!slice_ieq(authority, value))
        return ERR_SYNTAX;
    return OK;
}

static size_t stored_bytes(const struct h2_fields *f)
{
    return bytes_in(f->text) + bytes_in(f->cookie);
}

/* The gate counts without line ends; what it may pass, all line ends included, has to fit. */
static bool fits(const struct h2_fields *f, struct slice name, struct slice value)
{
    return stored_bytes(f) + name.n + value.n <= most_bytes(f) + 4 * (uint64_t)f->limits->headers +
                                                     FIXED_LINES + (f->upgrade ? UPGRADE_LINES : 0);
}

static enum err add_field(struct h2_fields *f, struct slice name, struct slice value)
{
    enum field_id id = fields_id(name);
    if (!lower_token(name) || !clean(value) || of_the_connection(id, value))
        return ERR_SYNTAX;
    if (f->kind != H2_FIELDS_TRAILERS && !bytes_in(f->text) && put_first_line(f) != OK)
        return ERR_SYNTAX;
    if (f->upgrade && (id == FIELD_CONTENT_LENGTH || slice_eq(name, SLICE("sec-websocket-key"))))
        return ERR_SYNTAX;
    f->cut = f->cut || !fits(f, name, value);
    if (f->cut)
        return OK;
    if (id == FIELD_HOST && f->kind == H2_FIELDS_REQUEST)
        return add_host(f, name, value);
    if (id == FIELD_COOKIE && f->kind == H2_FIELDS_REQUEST) {
        add_crumb(f, value);
        return OK;
    }
    f->has_length = f->has_length || id == FIELD_CONTENT_LENGTH;
    put_line(f, name, value);
    return OK;
}

enum err h2_fields_add(struct h2_fields *f, struct slice name, struct slice value)
{
    uint64_t most =
        most_bytes(f) > f->limits->request_head ? most_bytes(f) : f->limits->request_head;
    f->listed_bytes += name.n + value.n + FIELD_COST;
    if (f->listed_bytes > BOMB_FACTOR * (most + (uint64_t)f->limits->headers * FIELD_COST))
        return ERR_LIMIT;
    if (f->malformed)
        return ERR_SYNTAX;
    enum err e =
        slice_starts(name, SLICE(":")) ? add_pseudo(f, name, value) : add_field(f, name, value);
    f->malformed = e != OK;
    return e;
}

/* ---- the end ---- */

/* A target may insist on a length where a body is usual (RFC 9110 8.6). */
static bool wants_zero_length(const struct h2_fields *f)
{
    enum method_id m = head_method(value_of(f, f->method));
    return m == METHOD_POST || m == METHOD_PUT || m == METHOD_PATCH;
}

static void put_framing(struct h2_fields *f, bool end)
{
    if (f->has_length || f->upgrade)
        return;
    if (!end)
        put_line(f, SLICE("transfer-encoding"), SLICE("chunked"));
    else if (f->kind == H2_FIELDS_REQUEST && wants_zero_length(f))
        put_line(f, SLICE("content-length"), SLICE("0"));
}

static enum reason too_large(const struct h2_fields *f)
{
    if (f->kind == H2_FIELDS_TRAILERS)
        return REASON_TRAILERS_TOO_LARGE;
    return f->kind == H2_FIELDS_RESPONSE ? REASON_RESPONSE_HEAD_TOO_LARGE : REASON_HEAD_TOO_LARGE;
}

enum err h2_fields_finish(struct h2_fields *f, bool end, struct slice *text, enum reason *why)
{
    *text = slice_of("", 0);
    *why = REASON_NONE;
    if (!f->malformed && f->kind != H2_FIELDS_TRAILERS && !bytes_in(f->text))
        f->malformed = put_first_line(f) != OK;
    if (f->malformed)
        return ERR_SYNTAX;
    if (f->cut)
        *why = too_large(f);
    if (f->cookie)
        put_line(f, SLICE("cookie"), slice_of(f->cookie->data, f->cookie->end));
    if (f->kind != H2_FIELDS_TRAILERS) {
        put_framing(f, end);
        put(grow(f, &f->text, 2), SLICE("\r\n"));
    }
    if (f->text)
        *text = slice_of(f->text->data, f->text->end);
    return OK;
}
