#include "http/validate.h"

#include "base/check.h"
#include "framing.h"
#include "http/host.h"
#include "lines.h"
#include "scan.h"
#include "target.h"

/* --- requests */

static void worsen(struct request_head *h, enum desync_cause cause)
{
    enum desync_class cls = desync_class_of(cause);
    if (cls > h->desync_class) {
        h->desync_class = (uint8_t)cls;
        h->desync_cause = (uint8_t)cause;
    }
}

static enum reason refuse(struct request_head *h, enum desync_cause cause, enum reason r)
{
    worsen(h, cause);
    return r;
}

/* A head ends in two CRLF. Two octets of every line are its end, which no limit counts. */
static bool is_whole(struct slice raw)
{
    return raw.n >= 4 && memcmp(raw.p + raw.n - 4, "\r\n\r\n", 4) == 0;
}

static bool is_version(struct slice s)
{
    if (!slice_starts(s, SLICE("HTTP/")) || s.n == 5)
        return false;
    for (size_t i = 5; i < s.n; i++)
        if ((s.p[i] < '0' || s.p[i] > '9') && s.p[i] != '.')
            return false;
    return true;
}

static bool read_version(struct slice s, uint8_t *version)
{
    if (s.n != 8 || memcmp(s.p, "HTTP/1.", 7) != 0 || (s.p[7] != '0' && s.p[7] != '1'))
        return false;
    *version = s.p[7] == '0' ? HTTP_1_0 : HTTP_1_1;
    return true;
}

/* Target and version, which stand around the last space of `rest`. */
static enum reason split_target(struct request_head *h, struct slice rest)
{
    const char *space = memrchr(rest.p, ' ', rest.n);
    if (!space)
        return refuse(h, DESYNC_BAD_VERSION, REASON_BAD_REQUEST_LINE);
    struct slice version = slice_from(rest, (size_t)(space + 1 - rest.p));
    h->target = slice_of(rest.p, (size_t)(space - rest.p));
    if (read_version(version, &h->version))
        return REASON_NONE;
    return refuse(h, DESYNC_BAD_VERSION,
                  is_version(version) ? REASON_BAD_VERSION : REASON_BAD_REQUEST_LINE);
}

/* "/a HTTP/1.1 HTTP/1.1": one reader's version is part of another's target. */
static bool holds_version(struct slice target)
{
    return memmem(target.p, target.n, " HTTP/", 6) != NULL;
}

static enum reason read_target(struct request_head *h)
{
    enum desync_cause cause;
    enum reason r = target_read(h, &cause);
    if (cause)
        worsen(h, cause);
    if (!r && h->desync_class && holds_version(h->target))
        return refuse(h, DESYNC_BAD_VERSION, REASON_BAD_REQUEST_LINE);
    return r;
}

static enum reason read_request_line(struct request_head *h, const struct limits *limits,
                                     const char **next)
{
    const char *p = h->raw.p, *end = p + h->raw.n;
    bool odd = false;
    unsigned seen = 0;
    const char *space = scan_token(p, end, &odd);
    if (space == p || *space != ' ')
        return refuse(h, DESYNC_BAD_METHOD,
                      scan_is(*p, SCAN_TOKEN) && !scan_is(*space, SCAN_SPACE) && *space != '\r'
                          ? REASON_BAD_METHOD
                          : REASON_BAD_REQUEST_LINE);
    h->method = slice_of(p, (size_t)(space - p));
    h->method_id = (uint8_t)head_method(h->method);
    const char *stop = scan_text(space + 1, end, &seen);
    if (*stop == '\0')
        return refuse(h, DESYNC_BAD_URI, REASON_BAD_URI);
    if (*stop != '\r' || stop[1] != '\n')
        return refuse(h, DESYNC_BAD_URI, REASON_BAD_LINE_END);
    if ((size_t)(stop - p) > limits->request_line)
        return REASON_URI_TOO_LONG;
    *next = stop + 2;
    enum reason r = split_target(h, slice_of(space + 1, (size_t)(stop - space - 1)));
    if (r)
        return r;
    if (h->method_id == METHOD_TRACE || h->method_id == METHOD_CONNECT)
        return REASON_METHOD_NOT_ALLOWED;
    return read_target(h);
}

static enum reason read_request_lines(struct request_head *h, const struct limits *limits,
                                      const char *p)
{
    struct lines l = {.max_line = limits->header, .max_lines = limits->headers};
    enum reason r = lines_read(&l, p, h->raw.p + h->raw.n - 2, &h->fields);
    h->odd_names = l.odd_names;
    if (r && status_of(r) == 400)
        worsen(h, l.empty_name ? DESYNC_EMPTY_HEADER : DESYNC_BAD_HEADER);
    if (r)
        return r;
    if (h->raw.n - 2 * ((size_t)h->fields.count + 2) > limits->request_head)
        return REASON_HEAD_TOO_LARGE;
    if (l.seen)
        worsen(h, DESYNC_NON_COMPLIANT_HEADER);
    if (l.suspicious)
        worsen(h, fields_has(&h->fields, FIELD_CONTENT_LENGTH) ||
                          fields_has(&h->fields, FIELD_TRANSFER_ENCODING)
                      ? DESYNC_SUSPICIOUS_TE_CL_PRESENT
                      : DESYNC_SUSPICIOUS_HEADER);
    return REASON_NONE;
}

/* The Host line is checked even where an absolute-form target overrides it. */
static enum reason read_host(struct request_head *h)
{
    const struct field *line = fields_get(&h->fields, FIELD_HOST);
    struct host host;
    if (line && (fields_next(&h->fields, line) || host_parse(line->value, h->host_space, &host)))
        return REASON_BAD_HOST;
    if (!line && h->version == HTTP_1_1)
        return REASON_MISSING_HOST;
    if (h->authority.n && host_parse(h->authority, h->host_space, &host))
        return REASON_BAD_URI;
    if (!line && !h->authority.n)
        return REASON_NONE;
    h->host = h->authority.n ? h->authority : line->value;
    h->host_norm = host.norm;
    h->host_port = host.port;
    return REASON_NONE;
}

/* A body on GET and HEAD has no defined meaning (RFC 9110 9.3.1): next hops differ. */
static void judge_body(struct request_head *h, const struct framing_body *b)
{
    if (h->method_id != METHOD_GET && h->method_id != METHOD_HEAD)
        return;
    if (b->chunked)
        worsen(h, DESYNC_UNDEFINED_TRANSFER_ENCODING_SEMANTICS);
    else if (b->has_length)
        worsen(h, b->length ? DESYNC_UNDEFINED_CONTENT_LENGTH_SEMANTICS
                            : DESYNC_GET_HEAD_ZERO_CONTENT_LENGTH);
}

static enum reason read_request_framing(struct request_head *h)
{
    struct framing_body b;
    enum desync_cause cause;
    enum reason r = framing_read(&h->fields, h->version, &b, &cause);
    if (r)
        return refuse(h, cause, r);
    judge_body(h, &b);
    h->content_length = b.length;
    h->framing = b.chunked ? FRAMING_CHUNKED : b.has_length ? FRAMING_LENGTH : FRAMING_NONE;
    return REASON_NONE;
}

static void read_options(struct request_head *h)
{
    struct framing_options o = framing_connection(&h->fields);
    bool modern = h->version == HTTP_1_1;
    bool body = h->framing == FRAMING_CHUNKED || h->content_length > 0;
    h->keep_alive = !o.close && (modern || o.keep_alive);
    h->connection_names = o.names;
    h->te_trailers = fields_has_item(&h->fields, FIELD_TE, SLICE("trailers"));
    h->expect_continue =
        modern && body && fields_has_item(&h->fields, FIELD_EXPECT, SLICE("100-continue"));
    h->upgrade_websocket = modern && !body && h->method_id == METHOD_GET && o.upgrade &&
                           fields_has_item(&h->fields, FIELD_UPGRADE, SLICE("websocket"));
}

static enum reason apply_mode(struct request_head *h, enum desync_mode mode)
{
    switch (desync_action(mode, h->desync_class)) {
    case DESYNC_PASS:
        return REASON_NONE;
    case DESYNC_PASS_AND_CLOSE:
        h->isolate = true;
        h->keep_alive = false;
        return REASON_NONE;
    case DESYNC_REFUSE:
        break;
    }
    return REASON_DESYNC;
}

enum reason validate_request(struct slice raw, const struct limits *limits, enum desync_mode mode,
                             struct request_head *h)
{
    enum reason r;
    const char *p = raw.p;
    CHECK(h->fields.count == 0 && h->host_space);
    h->raw = raw;
    if (!is_whole(raw))
        return REASON_BAD_LINE_END;
    if ((r = read_request_line(h, limits, &p)) || (r = read_request_lines(h, limits, p)) ||
        (r = read_host(h)) || (r = read_request_framing(h)))
        return r;
    read_options(h);
    return apply_mode(h, mode);
}

/* --- responses */

static bool read_status(const char *p, uint16_t *status)
{
    unsigned v = 0;
    for (int i = 0; i < 3; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        v = v * 10 + (unsigned)(p[i] - '0');
    }
    *status = (uint16_t)v;
    return v >= 100 && v <= 599;
}

/* "HTTP/1.1 200 OK"; many leave out the second space when there is no phrase. */
static enum reason read_status_line(struct response_head *h, const char **next)
{
    unsigned seen = 0;
    const char *p = h->raw.p, *stop = scan_text(p, p + h->raw.n, &seen);
    struct slice line = slice_of(p, (size_t)(stop - p));
    if (*stop != '\r' || stop[1] != '\n' || seen & SCAN_SEEN_CONTROL || line.n < 12)
        return REASON_BAD_RESPONSE;
    if (!read_version(slice_upto(line, 8), &h->version) || line.p[8] != ' ' ||
        !read_status(line.p + 9, &h->status) || (line.n > 12 && line.p[12] != ' '))
        return REASON_BAD_RESPONSE;
    h->reason = slice_from(line, 13);
    *next = stop + 2;
    return REASON_NONE;
}

static enum reason read_response_lines(struct response_head *h, const struct limits *limits,
                                       const char *p)
{
    struct lines l = {.max_line = limits->response_head, .max_lines = limits->headers};
    enum reason r = lines_read(&l, p, h->raw.p + h->raw.n - 2, &h->fields);
    if (r)
        return status_of(r) == 431 ? REASON_RESPONSE_HEAD_TOO_LARGE : REASON_BAD_RESPONSE;
    if (h->raw.n - 2 * ((size_t)h->fields.count + 2) > limits->response_head)
        return REASON_RESPONSE_HEAD_TOO_LARGE;
    return l.seen & SCAN_SEEN_CONTROL ? REASON_BAD_RESPONSE : REASON_NONE;
}

static bool has_no_body(const struct response_head *h, enum method_id method)
{
    return h->status < 200 || h->status == 204 || h->status == 304 || method == METHOD_HEAD;
}

static enum reason read_response_framing(struct response_head *h, enum method_id method)
{
    struct framing_body b;
    enum desync_cause cause;
    if (framing_read(&h->fields, h->version, &b, &cause))
        return REASON_BAD_RESPONSE_FRAMING;
    h->has_length = b.has_length;
    h->content_length = b.length;
    h->framing = has_no_body(h, method) ? FRAMING_NONE
                 : b.chunked            ? FRAMING_CHUNKED
                 : b.has_length         ? FRAMING_LENGTH
                                        : FRAMING_CLOSE;
    return REASON_NONE;
}

/* A 204 must not announce a body (RFC 9112 6.3): one that does may send it all the same. */
static bool may_surprise(const struct response_head *h)
{
    return h->status == 204 &&
           (h->content_length || fields_has(&h->fields, FIELD_TRANSFER_ENCODING));
}

static enum reason read_response_options(struct response_head *h, bool upgrade)
{
    struct framing_options o = framing_connection(&h->fields);
    h->connection_names = o.names;
    h->keep_alive = !o.close && (h->version == HTTP_1_1 || o.keep_alive) &&
                    h->framing != FRAMING_CLOSE && h->status != 101 && !may_surprise(h);
    h->interim = h->status < 200 && h->status != 101;
    if (h->status < 200 && h->version == HTTP_1_0)
        return REASON_BAD_RESPONSE;
    if (h->status != 101)
        return REASON_NONE;
    h->upgrade_websocket =
        upgrade && o.upgrade && fields_has_item(&h->fields, FIELD_UPGRADE, SLICE("websocket"));
    return h->upgrade_websocket ? REASON_NONE : REASON_UNEXPECTED_UPGRADE;
}

enum reason validate_response(struct slice raw, const struct limits *limits, enum method_id method,
                              bool upgrade, struct response_head *h)
{
    enum reason r;
    const char *p = raw.p;
    CHECK(h->fields.count == 0);
    h->raw = raw;
    if (!is_whole(raw))
        return REASON_BAD_RESPONSE;
    if ((r = read_status_line(h, &p)) || (r = read_response_lines(h, limits, p)) ||
        (r = read_response_framing(h, method)))
        return r;
    return read_response_options(h, upgrade);
}

/* --- trailers */

/* RFC 9110 6.5.1: framing, routing, request modifiers, authentication, response control, how the
 * content is to be read; and what tenbin itself tells a target. */
static bool belongs_in_head(const struct field *f)
{
    static const struct slice names[] = {
        SLICE_INIT("age"),         SLICE_INIT("cache-control"),
        SLICE_INIT("expires"),     SLICE_INIT("max-forwards"),
        SLICE_INIT("pragma"),      SLICE_INIT("range"),
        SLICE_INIT("retry-after"), SLICE_INIT("vary"),
        SLICE_INIT("warning"),     SLICE_INIT("www-authenticate"),
    };
    if (f->id != FIELD_OTHER)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (slice_ieq(f->name, names[i]))
            return true;
    return slice_istarts(f->name, SLICE("content-")) || slice_istarts(f->name, SLICE("if-")) ||
           slice_istarts(f->name, SLICE("proxy-")) || slice_istarts(f->name, SLICE("x-forwarded-"));
}

static void leave_out_head_fields(struct fields *f)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < f->count; i++)
        if (!belongs_in_head(&f->at[i]))
            f->at[kept++] = f->at[i];
    f->count = kept;
    f->present = kept ? FIELD_BIT(FIELD_OTHER) : 0;
}

enum reason validate_trailers(struct slice raw, const struct limits *limits, struct fields *to)
{
    struct lines l = {.max_line = limits->trailers, .max_lines = limits->headers};
    CHECK(to->count == 0);
    enum reason r = lines_read(&l, raw.p, raw.p + raw.n, to);
    if (r)
        return status_of(r) == 431 ? REASON_TRAILERS_TOO_LARGE : REASON_BAD_TRAILER;
    if (raw.n - 2 * (size_t)to->count > limits->trailers)
        return REASON_TRAILERS_TOO_LARGE;
    if (l.seen & SCAN_SEEN_CONTROL || l.suspicious)
        return REASON_BAD_TRAILER;
    leave_out_head_fields(to);
    return REASON_NONE;
}
