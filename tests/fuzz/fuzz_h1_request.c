/* A request head: found alike in every cut; judged alike by all modes but for what they may differ
 * in; and whatever validate accepts, http-parser reads in the same way, every octet of it. What
 * looks as if we had written it is therefore judged as anything else. */
#include <stdlib.h>

#include "../../src/http/second.h"
#include "heads.h"
#include "http/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The normalised path cannot climb, and is its own normal form. */
static void check_path(const struct request_head *h)
{
    char once[1024], twice[1024];
    struct slice first, second;
    CHECK(!path_climbs(h->path));
    CHECK(path_normalise(h->path, once, &first) == OK);
    CHECK(first.n <= h->path.n && !path_climbs(first));
    CHECK(!h->path_plain || slice_eq(first, h->path));
    CHECK(first.n == 0 || first.p[0] != '/' || path_normalise(first, twice, &second) == OK);
}

static void check_accepted(const struct request_head *h)
{
    struct slice raw = h->raw;
    CHECK(h->fields.count <= fuzz_limits.headers);
    CHECK(h->framing == FRAMING_LENGTH || h->content_length == 0);
    CHECK(h->host_norm.n > 0 || h->version == HTTP_1_0);
    CHECK(h->method.p == raw.p && h->target.p + h->target.n < raw.p + raw.n);
    CHECK(!h->isolate || !h->keep_alive);
    for (uint32_t i = 0; i < h->fields.count; i++) {
        const struct field *f = &h->fields.at[i];
        CHECK(f->name.n > 0 && f->name.n + f->value.n < fuzz_limits.header);
        CHECK(memchr(f->value.p, '\r', f->value.n) == NULL);
        CHECK(memchr(f->value.p, '\n', f->value.n) == NULL);
    }
    CHECK(second_whole_request(h));
    check_path(h);
}

static enum reason parse(struct slice raw, enum desync_mode mode)
{
    struct field fields[FUZZ_FIELDS];
    char host_space[HEAD_HOST_MAX];
    struct request_head h;
    head_request_init(&h, fields, FUZZ_FIELDS, host_space);
    enum reason r = h1_parser_request(raw, &fuzz_limits, mode, &h);
    CHECK(r < REASON_COUNT && (r == REASON_NONE || status_of(r) >= 400));
    CHECK(r != REASON_PARSERS_DISAGREE || fuzz_is_misread(&h.fields));
    if (r == REASON_NONE)
        check_accepted(&h);
    head_request_init(&h, fields, FUZZ_FIELDS, host_space);
    CHECK(h1_parser_written_request(raw, &fuzz_limits, mode, &h) == r);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct h1_find_result found =
        fuzz_find_head(h1_parser_find_request, slice_of((const char *)data, size));
    if (found.found != H1_FOUND_HEAD)
        return 0;
    char *bytes = malloc(found.length);
    CHECK(bytes);
    memcpy(bytes, data + found.skip, found.length);
    struct slice raw = slice_of(bytes, found.length);
    enum reason monitor = parse(raw, DESYNC_MODE_MONITOR);
    enum reason defensive = parse(raw, DESYNC_MODE_DEFENSIVE);
    enum reason strictest = parse(raw, DESYNC_MODE_STRICTEST);
    CHECK(defensive == monitor || defensive == REASON_DESYNC);
    CHECK(strictest == defensive || strictest == REASON_DESYNC);
    free(bytes);
    return 0;
}
