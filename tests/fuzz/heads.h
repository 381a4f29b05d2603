/* What the fuzz targets of heads share: bytes found to be a head in every cut, and the limits. */
#ifndef FUZZ_HEADS_H
#define FUZZ_HEADS_H

#include "base/check.h"
#include "http/h1_parser.h"

enum { FUZZ_FIELDS = 64 };

/* Small, so that a fuzzer reaches them. */
static const struct limits fuzz_limits = {
    .request_line = 200,
    .header = 300,
    .request_head = 900,
    .response_head = 700,
    .headers = 20,
    .trailers = 100,
    .chunk_line = 20,
};

typedef struct h1_find_result (*fuzz_find)(struct h1_finder *, struct slice, const struct limits *);

/* The result for whole bytes, which must be that of bytes that come in two or one by one. */
static inline struct h1_find_result fuzz_find_head(fuzz_find find, struct slice in)
{
    struct h1_finder whole = {0}, pieces = {0}, halves = {0};
    struct h1_find_result r = find(&whole, in, &fuzz_limits), p = {.found = H1_FOUND_MORE};
    for (size_t n = 0; n <= in.n && p.found == H1_FOUND_MORE; n++)
        p = find(&pieces, slice_upto(in, n), &fuzz_limits);
    CHECK(p.found == r.found && p.reason == r.reason && p.skip == r.skip && p.length == r.length);
    p = find(&halves, slice_upto(in, in.n / 2), &fuzz_limits);
    if (p.found == H1_FOUND_MORE)
        p = find(&halves, in, &fuzz_limits);
    CHECK(p.found == r.found && p.reason == r.reason && p.length == r.length);
    CHECK(r.found != H1_FOUND_HEAD || r.skip + r.length <= in.n);
    CHECK((r.found == H1_FOUND_BAD) == (r.reason != REASON_NONE));
    return r;
}

/* http-parser reads a tab behind a length or a coding as part of it, and a name that begins as
 * Transfer-Encoding as that; that is why it is asked. Each field of a whole head has a CR behind it. */
static inline bool fuzz_is_misread(const struct fields *fields)
{
    static const struct slice coding = SLICE_INIT("transfer-encoding");
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct field *f = &fields->at[i];
        if (f->name.n > coding.n && slice_istarts(f->name, coding))
            return true;
        if (f->id != FIELD_CONTENT_LENGTH && f->id != FIELD_TRANSFER_ENCODING)
            continue;
        for (const char *p = f->value.p + f->value.n; *p != '\r'; p++)
            if (*p == '\t')
                return true;
    }
    return false;
}

#endif
