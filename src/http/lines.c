#include "lines.h"

#include "scan.h"

/* a without its characters that are no letter or digit is the same as `letters`, case aside. */
static bool spells(struct slice a, struct slice letters)
{
    size_t at = 0;
    for (size_t i = 0; i < a.n; i++) {
        if (!scan_is(a.p[i], SCAN_PLAIN) || a.p[i] == '-')
            continue;
        if (at == letters.n || slice_lower(a.p[i]) != letters.p[at++])
            return false;
    }
    return at == letters.n;
}

/* A next hop that maps names to variables, as CGI does, reads `_` and the like as `-`. */
static struct slice as_cgi(struct slice name, char *to, size_t cap)
{
    size_t n = name.n < cap ? name.n : cap;
    for (size_t i = 0; i < n; i++)
        to[i] = scan_is(name.p[i], SCAN_PLAIN) ? slice_lower(name.p[i]) : '-';
    return slice_of(to, n);
}

static bool is_vouched(struct slice name)
{
    return slice_istarts(name, SLICE("x-amzn-")) &&
           (slice_istarts(slice_from(name, 7), SLICE("mtls-")) ||
            slice_istarts(slice_from(name, 7), SLICE("tls-")) ||
            slice_istarts(slice_from(name, 7), SLICE("oidc-")));
}

static bool poses_as_ours(struct slice name)
{
    char space[24];
    struct slice as = as_cgi(name, space, sizeof(space));
    if (is_vouched(as))
        return true;
    enum field_id id = as.n == name.n ? fields_id(as) : FIELD_OTHER;
    return id == FIELD_X_FORWARDED_FOR || id == FIELD_X_FORWARDED_PROTO ||
           id == FIELD_X_FORWARDED_PORT || id == FIELD_X_AMZN_TRACE_ID;
}

static uint8_t id_of_unknown(struct lines *l, const struct field *f)
{
    char first = slice_lower(f->name.p[0]);
    if (f->odd_name && poses_as_ours(f->name))
        return FIELD_VOUCHED;
    if (first == 'x')
        return is_vouched(f->name) ? FIELD_VOUCHED : FIELD_OTHER;
    if (f->name.n >= 13 &&
        (first == 'c' || first == 't' || !scan_is(first, SCAN_PLAIN) || first == '-'))
        l->suspicious |=
            spells(f->name, SLICE("contentlength")) || spells(f->name, SLICE("transferencoding"));
    return FIELD_OTHER;
}

static enum reason bad_name(struct lines *l, const char *line, const char *at)
{
    l->empty_name = at == line && *at == ':';
    if (scan_is(*line, SCAN_SPACE))
        return REASON_FOLDED_HEADER;
    return *at == '\n' || (*at == '\r' && at[1] != '\n') ? REASON_BAD_LINE_END : REASON_BAD_HEADER;
}

/* One line from p; *next is the start of the one behind it. The region ends in CRLF, so a scan
 * that stops before `end` has one octet behind it to look at. */
static enum reason read_line(struct lines *l, const char *p, const char *end, struct field *f,
                             const char **next)
{
    f->odd_name = false;
    const char *colon = scan_token(p, end, &f->odd_name);
    if (colon == p || *colon != ':')
        return bad_name(l, p, colon);
    const char *value = colon + 1;
    while (scan_is(*value, SCAN_SPACE))
        value++;
    const char *stop = scan_text(value, end, &l->seen), *last = stop;
    if (*stop == '\0')
        return REASON_BAD_HEADER;
    if (*stop != '\r' || stop[1] != '\n')
        return REASON_BAD_LINE_END;
    if ((size_t)(stop - p) > l->max_line)
        return REASON_HEADER_TOO_LARGE;
    while (last > value && scan_is(last[-1], SCAN_SPACE))
        last--;
    f->name = slice_of(p, (size_t)(colon - p));
    f->value = slice_of(value, (size_t)(last - value));
    *next = stop + 2;
    return REASON_NONE;
}

enum reason lines_read(struct lines *l, const char *p, const char *end, struct fields *to)
{
    uint32_t most = to->cap < l->max_lines ? to->cap : l->max_lines;
    if (p < end && (end - p < 2 || end[-2] != '\r' || end[-1] != '\n'))
        return REASON_BAD_LINE_END;
    while (p < end) {
        if (to->count == most)
            return REASON_TOO_MANY_HEADERS;
        struct field *f = &to->at[to->count];
        enum reason r = read_line(l, p, end, f, &p);
        if (r)
            return r;
        f->id = (uint8_t)fields_id(f->name);
        if (f->id == FIELD_OTHER)
            f->id = id_of_unknown(l, f);
        l->odd_names += f->odd_name;
        to->present |= FIELD_BIT(f->id);
        to->count++;
    }
    return REASON_NONE;
}
