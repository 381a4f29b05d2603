#include "second.h"

#include <http_parser.h>

#include "base/text.h"
#include "scan.h"

#define VERSION_LINE_END SLICE(" HTTP/1.1\r\n")

/* What http-parser saw. The parser's `data` points here. */
struct witness {
    http_parser parser;
    const struct fields *fields; /* expected, for whole */
    struct slice target;         /* expected, for whole; empty: a stand-in was shown */
    uint32_t names, values;      /* seen */
    bool differs;
    bool complete; /* on_headers_complete was called */
};

static int on_complete(http_parser *p)
{
    struct witness *w = p->data;
    w->complete = true;
    return 1; /* no body: it sees heads only */
}

static int on_target(http_parser *p, const char *at, size_t n)
{
    struct witness *w = p->data;
    w->differs |= w->target.n && (at != w->target.p || n != w->target.n);
    return 0;
}

static const struct field *expected(struct witness *w, uint32_t i)
{
    if (i < w->fields->count)
        return &w->fields->at[i];
    w->differs = true;
    return NULL;
}

static int on_name(http_parser *p, const char *at, size_t n)
{
    struct witness *w = p->data;
    const struct field *f = expected(w, w->names++);
    w->differs |= f && (at != f->name.p || n != f->name.n);
    return 0;
}

/* http-parser leaves white space at the end of a value, and has no place for an empty one. */
static int on_value(http_parser *p, const char *at, size_t n)
{
    struct witness *w = p->data;
    const struct field *f = expected(w, w->values++);
    struct slice value = slice_trim(slice_of(at, n));
    w->differs |= f && (value.n != f->value.n || (value.n && value.p != f->value.p));
    return 0;
}

static const http_parser_settings framing_only = {.on_headers_complete = on_complete};
static const http_parser_settings every_octet = {
    .on_url = on_target,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_complete,
};

static void begin(struct witness *w, enum http_parser_type type)
{
    *w = (struct witness){0};
    http_parser_init(&w->parser, type);
    w->parser.data = w;
    /* validate has judged the octets of values. */
    w->parser.lenient_http_headers = 1;
}

/* http-parser bounds heads at 80 KiB, with one variable for the process. Ours are bounded by each
 * listener's limits before it sees them, so its bound goes before any thread exists. */
__attribute__((constructor)) static void lift_head_limit(void)
{
    http_parser_set_max_header_size(UINT32_MAX);
}

static void show(struct witness *w, const http_parser_settings *s, const char *p, const char *end)
{
    size_t n = (size_t)(end - p);
    if (w->parser.http_errno || http_parser_execute(&w->parser, s, p, n) != n)
        w->differs |= w->parser.http_errno != HPE_OK || !w->complete;
}

static void show_text(struct witness *w, const http_parser_settings *s, const char *text)
{
    show(w, s, text, text + strlen(text));
}

static bool same_framing(const struct witness *w, enum http_version version, bool chunked,
                         bool has_length, uint64_t length)
{
    const http_parser *p = &w->parser;
    return !w->differs && w->complete && p->http_errno == HPE_OK &&
           p->http_major * 10u + p->http_minor == (unsigned)version &&
           chunked == !!(p->flags & F_CHUNKED) && has_length == !!(p->flags & F_CONTENTLENGTH) &&
           (!has_length || p->content_length == length);
}

static bool same_request(const struct witness *w, const struct request_head *h)
{
    return same_framing(w, h->version, h->framing == FRAMING_CHUNKED, h->framing == FRAMING_LENGTH,
                        h->content_length);
}

static bool says_chunked(const struct response_head *h)
{
    return fields_has(&h->fields, FIELD_TRANSFER_ENCODING);
}

static bool same_response(const struct witness *w, const struct response_head *h)
{
    return same_framing(w, h->version, says_chunked(h), h->has_length, h->content_length) &&
           w->parser.status_code == h->status;
}

static bool is_framing(const struct field *line)
{
    return line->id == FIELD_CONTENT_LENGTH || line->id == FIELD_TRANSFER_ENCODING;
}

/* The lines that tell the length of a body, in their order. */
static void show_framing_lines(struct witness *w, const struct fields *f, const char *end)
{
    for (uint32_t i = 0; i < f->count; i++) {
        const struct field *line = &f->at[i];
        const char *next = i + 1 < f->count ? line[1].name.p : end;
        if (is_framing(line))
            show(w, &framing_only, line->name.p, next);
    }
    show_text(w, &framing_only, "\r\n");
}

/* The value, written anew from what was understood, is the line octet for octet, one space in front
 * and nothing behind. There is one way to read that. */
static bool is_canonical(const struct field *line, struct slice value)
{
    const char *colon = line->name.p + line->name.n, *end = line->value.p + line->value.n;
    return slice_eq(line->value, value) && line->value.p == colon + 2 && colon[1] == ' ' &&
           end[0] == '\r';
}

static bool length_is_canonical(const struct field *line, uint64_t length)
{
    char digits[TEXT_U64_MAX];
    return is_canonical(line, slice_of(digits, text_u64(digits, length)));
}

/* The only framing line, or NULL; *many: there are several. */
static const struct field *framing_line(const struct fields *f, bool *many)
{
    const struct field *found = NULL;
    *many = false;
    for (uint32_t i = 0; i < f->count; i++) {
        if (!is_framing(&f->at[i]))
            continue;
        *many = found != NULL;
        found = &f->at[i];
    }
    return found;
}

/* No framing line, and none understood; or one in canonical form, and that understood. */
static bool is_plain(const struct fields *f, bool chunked, bool has_length, uint64_t length)
{
    bool many;
    const struct field *line = framing_line(f, &many);
    if (many)
        return false;
    if (!line)
        return !chunked && !has_length;
    if (line->id == FIELD_CONTENT_LENGTH)
        return has_length && !chunked && length_is_canonical(line, length);
    return chunked && !has_length && is_canonical(line, SLICE("chunked"));
}

static const char *end_of_lines(struct slice raw)
{
    return raw.p + raw.n - strlen("\r\n");
}

static const char *stand_in(const struct request_head *h)
{
    return h->version == HTTP_1_1 ? "GET / HTTP/1.1\r\n" : "GET / HTTP/1.0\r\n";
}

static const char *first_line_end(struct slice raw)
{
    return raw.p + slice_find(raw, '\n', 0) + 1;
}

/* The framing that was decided on is one that the fields speak of. */
static bool has_its_fields(const struct response_head *h)
{
    return (h->framing != FRAMING_LENGTH || h->has_length) &&
           (h->framing != FRAMING_CHUNKED || says_chunked(h));
}

bool second_framing_response(const struct response_head *h)
{
    struct witness w;
    if (!has_its_fields(h))
        return false;
    if (is_plain(&h->fields, says_chunked(h), h->has_length, h->content_length))
        return true;
    begin(&w, HTTP_RESPONSE);
    show(&w, &framing_only, h->raw.p, first_line_end(h->raw));
    show_framing_lines(&w, &h->fields, end_of_lines(h->raw));
    return same_response(&w, h);
}

static bool saw_all(const struct witness *w, const struct fields *f)
{
    return w->names == f->count && w->values == f->count;
}

/* A method that http-parser does not know is shown as GET, a target that it refuses as `/`. */
bool second_whole_request(const struct request_head *h)
{
    struct witness w;
    const char *from = h->raw.p;
    begin(&w, HTTP_REQUEST);
    w.fields = &h->fields;
    if (scan_target(h->target.p, h->target.p + h->target.n, h->target.p + h->target.n) &
        (SCAN_SEEN_SPACE | SCAN_SEEN_CONTROL)) {
        show_text(&w, &every_octet, stand_in(h));
        from = first_line_end(h->raw);
    } else {
        w.target = h->target;
        if (h->method_id == METHOD_OTHER) {
            show_text(&w, &every_octet, "GET");
            from = h->method.p + h->method.n;
        }
    }
    show(&w, &every_octet, from, h->raw.p + h->raw.n);
    return same_request(&w, h) && saw_all(&w, &h->fields);
}

/* http-parser, and so a target that is made of it, takes a name for Transfer-Encoding that only
 * begins so, and forgets a `chunked` before it. */
static bool is_misread(struct slice name)
{
    static const struct slice coding = SLICE_INIT("transfer-encoding");
    return name.n > coding.n && slice_istarts(name, coding);
}

/* The spans follow one another as they are written down, one space and no more between them, and
 * after the last one the head is over. */
static bool is_as_written(const struct request_head *h)
{
    const struct field *f = h->fields.at, *end = f + h->fields.count;
    const char *at = h->target.p + h->target.n;
    if (h->method.p != h->raw.p || h->target.p != h->method.p + h->method.n + 1 ||
        !slice_starts(slice_from(h->raw, (size_t)(at - h->raw.p)), VERSION_LINE_END))
        return false;
    for (at += VERSION_LINE_END.n; f < end; f++) {
        const char *colon = f->name.p + f->name.n;
        if (f->name.p != at || f->value.p != colon + 2 || colon[1] != ' ' || is_misread(f->name))
            return false;
        at = f->value.p + f->value.n + strlen("\r\n");
    }
    return at == end_of_lines(h->raw);
}

/* Where nothing is odd no octet has two meanings: see validate. */
bool second_written_request(const struct request_head *h)
{
    return (h->desync_class == DESYNC_COMPLIANT && h->version == HTTP_1_1 && is_as_written(h) &&
            is_plain(&h->fields, h->framing == FRAMING_CHUNKED, h->framing == FRAMING_LENGTH,
                     h->content_length)) ||
           second_whole_request(h);
}

bool second_whole_response(const struct response_head *h)
{
    struct witness w;
    begin(&w, HTTP_RESPONSE);
    w.fields = &h->fields;
    show(&w, &every_octet, h->raw.p, h->raw.p + h->raw.n);
    return same_response(&w, h) && saw_all(&w, &h->fields);
}
