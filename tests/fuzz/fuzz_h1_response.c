/* A response head: found alike in every cut; framed by the rules of RFC 9112 6.3; and whatever
 * validate accepts, http-parser reads in the same way. */
#include <stdlib.h>

#include "../../src/http/second.h"
#include "heads.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_accepted(const struct response_head *h, enum method_id method)
{
    bool bodiless =
        h->status < 200 || h->status == 204 || h->status == 304 || method == METHOD_HEAD;
    CHECK(h->status >= 100 && h->status <= 599);
    CHECK(bodiless == (h->framing == FRAMING_NONE));
    CHECK(h->framing != FRAMING_LENGTH || h->has_length);
    CHECK(h->framing != FRAMING_CLOSE || !h->keep_alive);
    CHECK(h->interim == (h->status < 200 && h->status != 101));
    CHECK(h->status != 101 || h->upgrade_websocket);
    CHECK(second_framing_response(h));
    CHECK(second_whole_response(h) || fuzz_is_misread(&h->fields));
}

static void parse(struct slice raw, enum method_id method, bool upgrade)
{
    struct field fields[FUZZ_FIELDS];
    struct response_head h;
    head_response_init(&h, fields, FUZZ_FIELDS);
    enum reason valid = validate_response(raw, &fuzz_limits, method, upgrade, &h);
    head_response_init(&h, fields, FUZZ_FIELDS);
    enum reason r = h1_parser_response(raw, &fuzz_limits, method, upgrade, &h);
    CHECK(r == REASON_NONE || status_of(r) == 502);
    CHECK(r == valid || fuzz_is_misread(&h.fields));
    if (r == REASON_NONE)
        check_accepted(&h, method);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct h1_find_result found =
        fuzz_find_head(h1_parser_find_response, slice_of((const char *)data, size));
    if (found.found != H1_FOUND_HEAD)
        return 0;
    char *bytes = malloc(found.length);
    CHECK(bytes);
    memcpy(bytes, data, found.length);
    struct slice raw = slice_of(bytes, found.length);
    for (int upgrade = 0; upgrade < 2; upgrade++) {
        parse(raw, METHOD_GET, upgrade);
        parse(raw, METHOD_HEAD, upgrade);
    }
    free(bytes);
    return 0;
}
