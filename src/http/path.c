#include "http/path.h"

#include "scan.h"

bool path_plain(struct slice path)
{
    unsigned seen = scan_target(path.p, path.p + path.n, path.p + path.n);
    return !(seen & (SCAN_SEEN_PERCENT | SCAN_SEEN_DOT));
}

static char upper_hex(char c)
{
    return c >= 'a' && c <= 'f' ? (char)(c - 0x20) : c;
}

/* One step of the first pass: an escape or one octet. Returns octets taken from p. */
static size_t unescape(const char *p, size_t n, char **to)
{
    if (p[0] != '%' || n < 3 || !scan_is(p[1], SCAN_HEX) || !scan_is(p[2], SCAN_HEX)) {
        *(*to)++ = p[0];
        return 1;
    }
    char c = (char)(scan_hex(p[1]) << 4 | scan_hex(p[2]));
    if (scan_is(c, SCAN_UNRESERVED)) {
        *(*to)++ = c;
    } else {
        *(*to)++ = '%';
        *(*to)++ = upper_hex(p[1]);
        *(*to)++ = upper_hex(p[2]);
    }
    return 3;
}

static struct slice unescape_all(struct slice path, char *to)
{
    char *at = to;
    for (size_t i = 0; i < path.n;)
        i += unescape(path.p + i, path.n - i, &at);
    return slice_of(to, (size_t)(at - to));
}

/* Drops the last segment with the slash before it. False when there is none. */
static bool drop_segment(const char *start, char **at)
{
    if (*at == start)
        return false;
    do
        --*at;
    while (**at != '/');
    return true;
}

/* Second pass, in place: writing never overtakes reading. Each turn is one "/segment". */
static enum err remove_dots(struct slice path, char *to, struct slice *out)
{
    char *at = to;
    for (size_t i = 0; i < path.n;) {
        size_t next = slice_find(path, '/', i + 1);
        struct slice segment = slice_of(path.p + i + 1, next - i - 1);
        bool up = slice_eq(segment, SLICE("..")), dot = up || slice_eq(segment, SLICE("."));
        if (up && !drop_segment(to, &at))
            return ERR_SYNTAX;
        if (!dot) {
            memmove(at, path.p + i, next - i);
            at += next - i;
        } else if (next == path.n) {
            *at++ = '/';
        }
        i = next;
    }
    *out = slice_of(to, (size_t)(at - to));
    return OK;
}

enum err path_normalise(struct slice path, char *to, struct slice *out)
{
    if (path.n == 0 || path.p[0] != '/') {
        *out = path;
        return OK;
    }
    return remove_dots(unescape_all(path, to), to, out);
}

/* What a segment is, escapes of dots decoded: 0, 1 or 2 for a name, "." or "..". */
static unsigned dots_in(struct slice segment)
{
    unsigned dots = 0;
    for (size_t i = 0; i < segment.n; dots++) {
        bool escaped = segment.n - i >= 3 && slice_ieq(slice_of(segment.p + i, 3), SLICE("%2e"));
        if (dots == 2 || (!escaped && segment.p[i] != '.'))
            return 0;
        i += escaped ? 3 : 1;
    }
    return dots;
}

bool path_climbs(struct slice path)
{
    size_t depth = 0;
    for (size_t i = 0; i < path.n;) {
        size_t next = slice_find(path, '/', i + 1);
        unsigned dots = dots_in(slice_of(path.p + i + 1, next - i - 1));
        if (dots == 2 && depth-- == 0)
            return true;
        depth += dots == 0;
        i = next;
    }
    return false;
}

bool path_query_next(struct slice *rest, struct slice *key, struct slice *value)
{
    while (rest->n) {
        size_t end = slice_find(*rest, '&', 0);
        struct slice pair = slice_upto(*rest, end);
        *rest = slice_from(*rest, end + 1);
        if (pair.n == 0)
            continue;
        size_t equals = slice_find(pair, '=', 0);
        *key = slice_upto(pair, equals);
        *value = slice_from(pair, equals + 1);
        return true;
    }
    return false;
}
