#include "http/h1_parser.h"

#include "scan.h"
#include "second.h"

/* What a search may meet, and the reasons it then gives. */
struct words {
    enum reason bad_line_end, bad_start, first_too_long, line_too_long, too_large, too_many;
};

static const struct words of_request = {
    .bad_line_end = REASON_BAD_LINE_END,
    .bad_start = REASON_BAD_REQUEST_LINE,
    .first_too_long = REASON_URI_TOO_LONG,
    .line_too_long = REASON_HEADER_TOO_LARGE,
    .too_large = REASON_HEAD_TOO_LARGE,
    .too_many = REASON_TOO_MANY_HEADERS,
};

static const struct words of_response = {
    .bad_line_end = REASON_BAD_RESPONSE,
    .bad_start = REASON_BAD_RESPONSE,
    .first_too_long = REASON_RESPONSE_HEAD_TOO_LARGE,
    .line_too_long = REASON_RESPONSE_HEAD_TOO_LARGE,
    .too_large = REASON_RESPONSE_HEAD_TOO_LARGE,
    .too_many = REASON_RESPONSE_HEAD_TOO_LARGE,
};

struct bounds {
    uint32_t first_line, line, head, lines;
    const struct words *words;
};

static struct h1_find_result bad(enum reason r)
{
    return (struct h1_find_result){.found = H1_FOUND_BAD, .reason = r};
}

/* The line that began at f->line has n octets, or has them so far; `lines` were before it. What is
 * reached first is what is told, so that it does not depend on how the bytes came. */
static enum reason judge_line(const struct h1_finder *f, const struct bounds *b, size_t n)
{
    size_t before = f->line - f->skip - 2 * (size_t)f->lines, room = b->head - before;
    size_t most = f->lines == 0 ? b->first_line : b->line;
    if (f->lines > b->lines)
        return b->words->too_many;
    if (n <= most && n <= room)
        return REASON_NONE;
    if (room < most)
        return b->words->too_large;
    return f->lines == 0 ? b->words->first_too_long : b->words->line_too_long;
}

/* The line that is not whole yet. A CR at its end is likely the half of its end. */
static struct h1_find_result judge_rest(struct h1_finder *f, struct slice bytes,
                                        const struct bounds *b)
{
    size_t n = bytes.n - f->line;
    if (n && bytes.p[bytes.n - 1] == '\r')
        n--;
    f->at = (uint32_t)bytes.n;
    enum reason r = n ? judge_line(f, b, n) : REASON_NONE;
    return r ? bad(r) : (struct h1_find_result){.found = H1_FOUND_MORE};
}

/* No line of so few octets can be too long, nor all of them together. */
static bool cannot_exceed(const struct bounds *b, size_t n)
{
    return n <= b->first_line && n <= b->line && n <= b->head;
}

static struct h1_find_result find(struct h1_finder *f, struct slice bytes, const struct bounds *b)
{
    const char *end = bytes.p + bytes.n;
    uint32_t harmless = cannot_exceed(b, bytes.n) ? b->lines : 0;
    for (const char *lf; (lf = scan_lf(bytes.p + f->at, end)) < end;) {
        const char *line = bytes.p + f->line;
        bool ended = lf > line && lf[-1] == '\r';
        size_t n = (size_t)(lf - line) - ended;
        enum reason r = n && f->lines >= harmless ? judge_line(f, b, n) : REASON_NONE;
        if (!r && !ended)
            r = b->words->bad_line_end;
        if (r)
            return bad(r);
        size_t next = (size_t)(lf - bytes.p) + 1;
        if (n == 0)
            return (struct h1_find_result){
                .found = H1_FOUND_HEAD, .skip = f->skip, .length = next - f->skip};
        f->lines++;
        f->line = f->at = (uint32_t)next;
    }
    return judge_rest(f, bytes, b);
}

/* A head of neither side begins with an octet that is no token's. Saying so at once spares a
 * client that speaks TLS to this port the wait for its timeout: it sends no line end. */
static bool may_begin(const struct h1_finder *f, struct slice bytes)
{
    return f->line == bytes.n || scan_is(bytes.p[f->line], SCAN_TOKEN);
}

/* RFC 9112 2.2: some clients send one CRLF too many behind a body. Never more than one. */
static enum reason skip_empty_line(struct h1_finder *f, struct slice bytes)
{
    if (bytes.n < 2 || bytes.p[0] != '\r')
        return REASON_NONE;
    if (bytes.p[1] != '\n')
        return REASON_BAD_LINE_END;
    f->skip = f->line = f->at = 2;
    return REASON_NONE;
}

struct h1_find_result h1_parser_find_request(struct h1_finder *f, struct slice bytes,
                                             const struct limits *limits)
{
    struct bounds b = {limits->request_line, limits->header, limits->request_head, limits->headers,
                       &of_request};
    enum reason r = f->line == 0 ? skip_empty_line(f, bytes) : REASON_NONE;
    if (r)
        return bad(r);
    if (f->lines == 0 && !may_begin(f, bytes) && !slice_eq(bytes, SLICE("\r")))
        return bad(b.words->bad_start);
    return find(f, bytes, &b);
}

struct h1_find_result h1_parser_find_response(struct h1_finder *f, struct slice bytes,
                                              const struct limits *limits)
{
    struct bounds b = {limits->response_head, limits->response_head, limits->response_head,
                       limits->headers, &of_response};
    if (f->lines == 0 && !may_begin(f, bytes))
        return bad(b.words->bad_start);
    return find(f, bytes, &b);
}

/* Of a request http-parser reads every octet, whatever it costs: this is where smuggling starts. */
enum reason h1_parser_request(struct slice raw, const struct limits *limits, enum desync_mode mode,
                              struct request_head *h)
{
    enum reason r = validate_request(raw, limits, mode, h);
    if (r)
        return r;
    return second_whole_request(h) ? REASON_NONE : REASON_PARSERS_DISAGREE;
}

enum reason h1_parser_written_request(struct slice raw, const struct limits *limits,
                                      enum desync_mode mode, struct request_head *h)
{
    enum reason r = validate_request(raw, limits, mode, h);
    if (r)
        return r;
    return second_written_request(h) ? REASON_NONE : REASON_PARSERS_DISAGREE;
}

enum reason h1_parser_response(struct slice raw, const struct limits *limits, enum method_id method,
                               bool upgrade, struct response_head *h)
{
    enum reason r = validate_response(raw, limits, method, upgrade, h);
    if (r)
        return r;
    return second_framing_response(h) ? REASON_NONE : REASON_BAD_RESPONSE_FRAMING;
}
