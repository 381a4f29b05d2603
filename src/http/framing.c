#include "framing.h"

#include "scan.h"

static bool is_token(struct slice s)
{
    bool odd = false;
    return s.n && scan_token(s.p, s.p + s.n, &odd) == s.p + s.n;
}

/* The name of a coding, without its parameters. */
static struct slice coding_name(struct slice coding)
{
    return slice_trim(slice_upto(coding, slice_find(coding, ';', 0)));
}

/* Only `chunked` alone is done here. The rest is told apart for the answer: something we do not
 * know (501), or something that is wrong whoever knows it (400). */
static enum reason judge_codings(struct slice value, enum desync_cause *cause)
{
    bool chunked = false, unknown = false;
    *cause = DESYNC_BAD_TRANSFER_ENCODING;
    for (size_t at = 0; at <= value.n;) {
        size_t comma = slice_find(value, ',', at);
        struct slice coding = slice_trim(slice_of(value.p + at, comma - at));
        struct slice name = coding_name(coding);
        if (!is_token(name) || slice_ieq(name, SLICE("identity")))
            return REASON_BAD_TRANSFER_ENCODING;
        bool is_chunked = slice_ieq(name, SLICE("chunked"));
        if (is_chunked && chunked)
            *cause = DESYNC_MULTIPLE_TRANSFER_ENCODING_CHUNKED;
        if (chunked || (is_chunked && coding.n != name.n))
            return REASON_BAD_TRANSFER_ENCODING;
        chunked |= is_chunked;
        unknown |= !is_chunked;
        at = comma + 1;
    }
    return unknown ? REASON_UNKNOWN_TRANSFER_CODING : REASON_NONE;
}

static enum reason read_codings(const struct fields *f, enum http_version version,
                                enum desync_cause *cause)
{
    const struct field *first = fields_get(f, FIELD_TRANSFER_ENCODING);
    *cause = DESYNC_UNDEFINED_TRANSFER_ENCODING_SEMANTICS;
    if (version < HTTP_1_1)
        return REASON_BAD_TRANSFER_ENCODING;
    *cause = DESYNC_MULTIPLE_TRANSFER_ENCODING_CHUNKED;
    if (fields_next(f, first))
        return REASON_BAD_TRANSFER_ENCODING;
    return judge_codings(first->value, cause);
}

static enum reason read_length(const struct fields *f, uint64_t *length, enum desync_cause *cause)
{
    const struct field *first = fields_get(f, FIELD_CONTENT_LENGTH);
    const struct field *second = fields_next(f, first);
    *cause = DESYNC_BAD_CONTENT_LENGTH;
    if (!slice_u64(first->value, length) || *length > INT64_MAX)
        return REASON_BAD_CONTENT_LENGTH;
    if (!second)
        return REASON_NONE;
    *cause = slice_eq(first->value, second->value) ? DESYNC_DUPLICATE_CONTENT_LENGTH
                                                   : DESYNC_MULTIPLE_CONTENT_LENGTH;
    return REASON_CONFLICTING_LENGTH;
}

enum reason framing_read(const struct fields *f, enum http_version version, struct framing_body *b,
                         enum desync_cause *cause)
{
    enum reason r = REASON_NONE;
    *b = (struct framing_body){.has_length = fields_has(f, FIELD_CONTENT_LENGTH),
                               .chunked = fields_has(f, FIELD_TRANSFER_ENCODING)};
    if (b->has_length)
        r = read_length(f, &b->length, cause);
    if (!r && b->has_length && b->chunked) {
        *cause = DESYNC_BOTH_TE_CL_PRESENT;
        return REASON_CONFLICTING_LENGTH;
    }
    if (!r && b->chunked)
        r = read_codings(f, version, cause);
    if (!r)
        *cause = DESYNC_NONE;
    return r;
}

/* Removed on every hop anyway, so that naming it adds nothing. */
static bool always_hop_by_hop(struct slice name)
{
    switch (fields_id(name)) {
    case FIELD_CONNECTION:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_PROXY_AUTHENTICATE:
    case FIELD_PROXY_AUTHORIZATION:
    case FIELD_TE:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_UPGRADE:
    case FIELD_HTTP2_SETTINGS:
        return true;
    default:
        return false;
    }
}

static void take_option(struct framing_options *o, struct slice item)
{
    if (scan_same(item, SLICE("keep-alive")))
        o->keep_alive = true;
    else if (scan_same(item, SLICE("close")))
        o->close = true;
    else if (scan_same(item, SLICE("upgrade")))
        o->upgrade = true;
    else if (!always_hop_by_hop(item))
        o->names = true;
}

struct framing_options framing_connection(const struct fields *f)
{
    struct framing_options o = {0};
    for (const struct field *l = fields_get(f, FIELD_CONNECTION); l; l = fields_next(f, l)) {
        struct slice rest = l->value, item;
        while (slice_next_item(&rest, &item))
            take_option(&o, item);
    }
    return o;
}
