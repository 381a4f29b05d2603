/* The property against request smuggling: what is accepted, from either side, is forwarded so that
 * the next hop reads what we read. The oracle is that of the unit tests. */
#include "../unit/http/round_trip.h"
#include "heads.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void forward_request_head(struct slice raw)
{
    struct field fields[FUZZ_FIELDS];
    char host_space[HEAD_HOST_MAX];
    struct request_head h;
    head_request_init(&h, fields, FUZZ_FIELDS, host_space);
    if (h1_parser_request(raw, &fuzz_limits, DESYNC_MODE_MONITOR, &h))
        return;
    for (size_t i = 0; i < ARRAY_LEN(round_trip_contexts); i++)
        round_trip_request(&h, &round_trip_contexts[i]);
}

static void forward_response_head(struct slice raw, enum method_id method)
{
    struct field fields[FUZZ_FIELDS];
    struct response_head h;
    head_response_init(&h, fields, FUZZ_FIELDS);
    if (h1_parser_response(raw, &fuzz_limits, method, true, &h))
        return;
    round_trip_response(&h, method, HTTP_1_1);
    if (!h.interim)
        round_trip_response(&h, method, HTTP_1_0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of((const char *)data, size);
    struct h1_finder request = {0}, response = {0};
    struct h1_find_result r = h1_parser_find_request(&request, in, &fuzz_limits);
    if (r.found == H1_FOUND_HEAD)
        forward_request_head(slice_of(in.p + r.skip, r.length));
    r = h1_parser_find_response(&response, in, &fuzz_limits);
    if (r.found == H1_FOUND_HEAD) {
        forward_response_head(slice_upto(in, r.length), METHOD_GET);
        forward_response_head(slice_upto(in, r.length), METHOD_HEAD);
    }
    return 0;
}
