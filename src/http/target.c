#include "target.h"

#include "http/path.h"
#include "scan.h"

static struct slice scheme_of(struct slice target)
{
    if (slice_istarts(target, SLICE("http://")))
        return slice_upto(target, 4);
    if (slice_istarts(target, SLICE("https://")))
        return slice_upto(target, 5);
    return slice_upto(target, 0);
}

/* Everything in front of the path. *rest is the path and what follows it. */
static enum reason read_form(struct request_head *h, struct slice *rest)
{
    *rest = h->target;
    if (h->target.p[0] == '/')
        return REASON_NONE;
    if (slice_eq(h->target, SLICE("*")))
        return h->method_id == METHOD_OPTIONS ? REASON_NONE : REASON_BAD_URI;
    h->scheme = scheme_of(h->target);
    if (h->scheme.n == 0)
        return REASON_BAD_URI;
    struct slice after = slice_from(h->target, h->scheme.n + strlen("://"));
    size_t n = 0;
    while (n < after.n && after.p[n] != '/' && after.p[n] != '?')
        n++;
    h->authority = slice_upto(after, n);
    *rest = slice_from(after, n);
    return n ? REASON_NONE : REASON_BAD_URI;
}

/* An absolute-form target without a path means `/`, as does the slash in front of its authority. */
static void split_query(struct request_head *h, struct slice rest)
{
    size_t mark = slice_find(rest, '?', 0);
    h->has_query = mark < rest.n;
    h->query = slice_from(rest, mark + 1);
    h->path = mark ? slice_upto(rest, mark) : slice_of(h->authority.p - 1, 1);
}

static unsigned seen_in(const struct request_head *h, struct slice s)
{
    return scan_target(s.p, s.p + s.n, h->raw.p + h->raw.n);
}

enum reason target_read(struct request_head *h, enum desync_cause *cause)
{
    struct slice rest;
    *cause = DESYNC_BAD_URI;
    if (h->target.n == 0)
        return REASON_BAD_REQUEST_LINE;
    enum reason r = read_form(h, &rest);
    if (r)
        return r;
    split_query(h, rest);

    unsigned in_path = seen_in(h, h->path), seen = in_path | seen_in(h, h->query);
    if (seen & SCAN_SEEN_HASH)
        return REASON_BAD_URI;
    h->path_plain = !(in_path & (SCAN_SEEN_PERCENT | SCAN_SEEN_DOT));
    if (!h->path_plain && path_climbs(h->path))
        return REASON_PATH_ABOVE_ROOT;
    *cause = seen & SCAN_SEEN_CONTROL ? DESYNC_AMBIGUOUS_URI
             : seen & SCAN_SEEN_SPACE ? DESYNC_SPACE_IN_URI
                                      : DESYNC_NONE;
    return REASON_NONE;
}
