#include "http/chunked.h"

#include "base/check.h"
#include "scan.h"

enum state {
    SIZE,      /* at the first hex digit, or behind one */
    EXTENSION, /* behind the first `;` */
    SIZE_LF,   /* behind the CR of a size line */
    DATA,
    DATA_CR, /* behind the last octet of a chunk */
    DATA_LF,
    TRAILERS, /* nothing of the section is consumed before it is whole */
    FINISHED,
};

void chunked_init(struct chunked *c)
{
    *c = (struct chunked){.state = SIZE};
}

static enum state after_size(struct chunked *c)
{
    c->at = c->line = c->lines = 0;
    c->digits = 0;
    return c->left == 0 ? TRAILERS : DATA;
}

/* One octet of a size line. False: malformed. */
static bool take_size_octet(struct chunked *c, char octet, const struct limits *limits)
{
    unsigned digit = scan_hex(octet);
    if (c->state == SIZE_LF) {
        c->state = (uint8_t)after_size(c);
        return octet == '\n';
    }
    if (octet == '\r' && c->digits > 0) {
        c->state = SIZE_LF;
        return true;
    }
    if (++c->line > limits->chunk_line)
        return false;
    if (c->state == EXTENSION)
        return (unsigned char)octet - 0x20u < 0x5f || octet == '\t';
    if (octet == ';' && c->digits > 0) {
        c->state = EXTENSION;
        return true;
    }
    if (digit > 15 || c->digits == 16)
        return false;
    c->left = c->left << 4 | digit;
    c->digits++;
    return true;
}

/* The CRLF behind the data of a chunk. */
static bool take_data_end(struct chunked *c, char octet)
{
    if (c->state == DATA_CR) {
        c->state = DATA_LF;
        return octet == '\r';
    }
    c->state = SIZE;
    return octet == '\n';
}

static struct chunked_step take_data(struct chunked *c, struct slice in, size_t at, size_t room)
{
    size_t n = in.n - at < room ? in.n - at : room;
    if (n > c->left)
        n = (size_t)c->left;
    if (n == 0)
        return (struct chunked_step){.event = CHUNKED_FULL, .consumed = at};
    c->left -= n;
    if (c->left == 0)
        c->state = DATA_CR;
    return (struct chunked_step){CHUNKED_DATA, at + n, slice_of(in.p + at, n)};
}

/* Octets of trailer lines so far, without their ends, when the current one has n. */
static bool trailers_fit(const struct chunked *c, size_t n, const struct limits *limits)
{
    size_t before = c->line - 2 * (size_t)c->lines;
    return before + n <= limits->trailers && (n == 0 || c->lines < limits->headers);
}

/* Nothing of the section is consumed before its empty line is there, so it stays in one piece.
 * c->at, c->line and c->lines count from its start: no octet is searched twice. */
static struct chunked_step take_trailers(struct chunked *c, struct slice in, size_t at,
                                         const struct limits *limits)
{
    struct slice rest = slice_from(in, at);
    for (;;) {
        size_t lf = slice_find(rest, '\n', c->at);
        bool whole = lf < rest.n;
        bool ended = whole && lf > c->line && rest.p[lf - 1] == '\r';
        size_t n = (whole ? lf : rest.n) - c->line - ended;
        if (!whole && n && rest.p[rest.n - 1] == '\r')
            n--;
        if (!trailers_fit(c, n, limits))
            return (struct chunked_step){.event = CHUNKED_TRAILERS_TOO_LARGE, .consumed = at};
        if (whole && !ended)
            return (struct chunked_step){.event = CHUNKED_BAD, .consumed = at};
        if (!whole) {
            c->at = (uint32_t)rest.n;
            return (struct chunked_step){.event = CHUNKED_MORE, .consumed = at};
        }
        if (n == 0) {
            c->state = FINISHED;
            return (struct chunked_step){CHUNKED_END, at + lf + 1, slice_upto(rest, c->line)};
        }
        c->lines++;
        c->line = c->at = (uint32_t)lf + 1;
    }
}

static bool take_octet(struct chunked *c, char octet, const struct limits *limits)
{
    bool behind_data = c->state == DATA_CR || c->state == DATA_LF;
    return behind_data ? take_data_end(c, octet) : take_size_octet(c, octet, limits);
}

struct chunked_step chunked_scan(struct chunked *c, struct slice in, size_t room,
                                 const struct limits *limits)
{
    size_t at = 0;
    CHECK(c->state != FINISHED);
    for (; at < in.n && c->state < TRAILERS; at++) {
        if (c->state == DATA)
            return take_data(c, in, at, room);
        if (!take_octet(c, in.p[at], limits)) {
            c->state = FINISHED;
            return (struct chunked_step){.event = CHUNKED_BAD, .consumed = at};
        }
    }
    if (c->state == TRAILERS)
        return take_trailers(c, in, at, limits);
    return (struct chunked_step){.event = CHUNKED_MORE, .consumed = at};
}
