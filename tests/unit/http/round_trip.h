/* The property against request smuggling, as an oracle for tests and fuzzing: what is accepted and
 * forwarded is read by the next hop exactly as we read it. A violation aborts through CHECK(). */
#ifndef UNIT_HTTP_ROUND_TRIP_H
#define UNIT_HTTP_ROUND_TRIP_H

#include <stdlib.h>

#include "../../../src/http/second.h"
#include "base/check.h"
#include "http/forward.h"
#include "http/h1_parser.h"

enum { ROUND_TRIP_FIELDS = 512 };

/* For what comes out: our own lines come on top of a head that may fill its limits. */
static const struct limits round_trip_wide = {
    .request_line = 1 << 20,
    .header = 1 << 20,
    .request_head = 1 << 20,
    .response_head = 1 << 20,
    .headers = ROUND_TRIP_FIELDS,
    .trailers = 1 << 20,
    .chunk_line = 256,
};

/* Listeners that differ in all that forwarding depends on. */
static const struct forward_request round_trip_contexts[] = {
    {.client_address = {"192.0.2.7", 9}, .default_host = {"10.0.0.1", 8}, .listener_port = 80},
    {.client_address = {"2001:db8::1", 11},
     .default_host = {"10.0.0.1", 8},
     .listener_port = 8443,
     .client_port = 65535,
     .https = true,
     .xff_client_port = true,
     .drop_invalid_header_fields = true},
    {.client_address = {"192.0.2.7", 9},
     .default_host = {"a.b", 3},
     .listener_port = 8080,
     .xff_mode = XFF_PRESERVE,
     .preserve_host_header = true},
    {.client_address = {"192.0.2.7", 9},
     .default_host = {"a.b", 3},
     .listener_port = 65535,
     .xff_mode = XFF_REMOVE},
};

static inline bool round_trip_same(struct slice a, struct slice b)
{
    return slice_eq(a, b);
}

/* Written by tenbin whatever the client said: compared by meaning, not line by line. */
static inline bool round_trip_is_ours(const struct field *f)
{
    switch (f->id) {
    case FIELD_HOST:
    case FIELD_CONTENT_LENGTH:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_CONNECTION:
    case FIELD_UPGRADE:
    case FIELD_TE:
    case FIELD_X_FORWARDED_FOR:
    case FIELD_X_FORWARDED_PROTO:
    case FIELD_X_FORWARDED_PORT:
    case FIELD_X_AMZN_TRACE_ID:
    case FIELD_TRACEPARENT:
    case FIELD_DATE:
        return true;
    default:
        return false;
    }
}

/* A line of the client that may be missing in what the target gets. */
static inline bool round_trip_may_go(const struct fields *in, const struct field *f,
                                     const struct forward_request *c)
{
    switch (f->id) {
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_PROXY_AUTHENTICATE:
    case FIELD_PROXY_AUTHORIZATION:
    case FIELD_HTTP2_SETTINGS:
    case FIELD_EXPECT:
    case FIELD_VOUCHED:
    case FIELD_TRACESTATE:
    case FIELD_TRAILER:
        return true;
    default:
        return (c && f->odd_name && c->drop_invalid_header_fields) ||
               fields_has_item(in, FIELD_CONNECTION, f->name);
    }
}

/* The lines that are not ours are the client's, in its order, none added and none missing. */
static inline void round_trip_lines(const struct fields *in, const struct fields *out,
                                    const struct forward_request *c)
{
    uint32_t i = 0;
    for (uint32_t o = 0; o < out->count; o++) {
        const struct field *f = &out->at[o];
        if (round_trip_is_ours(f))
            continue;
        while (i < in->count && !(round_trip_same(in->at[i].name, f->name) &&
                                  round_trip_same(in->at[i].value, f->value))) {
            CHECK(round_trip_is_ours(&in->at[i]) || round_trip_may_go(in, &in->at[i], c));
            i++;
        }
        CHECK(i < in->count);
        i++;
    }
    for (; i < in->count; i++)
        CHECK(round_trip_is_ours(&in->at[i]) || round_trip_may_go(in, &in->at[i], c));
}

static inline unsigned round_trip_count(const struct fields *f, enum field_id id)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < f->count; i++)
        n += f->at[i].id == id;
    return n;
}

static inline void round_trip_target(const struct request_head *in, const struct request_head *out)
{
    bool asterisk = slice_eq(out->target, SLICE("*"));
    CHECK(out->scheme.n == 0);
    if (asterisk) {
        CHECK(in->method_id == METHOD_OPTIONS && !in->has_query);
        CHECK(slice_eq(in->target, SLICE("*")) || slice_eq(in->path, SLICE("/")));
        return;
    }
    CHECK(round_trip_same(in->path, out->path));
    CHECK(in->has_query == out->has_query && round_trip_same(in->query, out->query));
    if (!in->scheme.n)
        CHECK(round_trip_same(in->target, out->target));
}

static inline void round_trip_check_request(const struct request_head *in,
                                            const struct forward_request *c, struct slice bytes)
{
    struct field fields[ROUND_TRIP_FIELDS];
    char host_space[HEAD_HOST_MAX];
    struct request_head out;
    struct h1_finder finder = {0};
    struct h1_find_result found = h1_parser_find_request(&finder, bytes, &round_trip_wide);
    CHECK(found.found == H1_FOUND_HEAD && found.skip == 0 && found.length == bytes.n);
    head_request_init(&out, fields, ROUND_TRIP_FIELDS, host_space);
    CHECK(h1_parser_request(bytes, &round_trip_wide, DESYNC_MODE_MONITOR, &out) == REASON_NONE);
    CHECK(second_whole_request(&out));

    CHECK(out.version == HTTP_1_1);
    CHECK(round_trip_same(in->method, out.method));
    CHECK(out.framing == in->framing && out.content_length == in->content_length);
    CHECK(out.desync_class <= in->desync_class);
    CHECK(!out.expect_continue && out.upgrade_websocket == in->upgrade_websocket);
    CHECK(out.te_trailers == in->te_trailers && !out.connection_names);
    round_trip_target(in, &out);
    if (in->host.n)
        CHECK(round_trip_same(in->host_norm, out.host_norm));
    CHECK(round_trip_count(&out.fields, FIELD_HOST) == 1);
    CHECK(round_trip_count(&out.fields, FIELD_X_FORWARDED_PROTO) == 1);
    CHECK(round_trip_count(&out.fields, FIELD_X_FORWARDED_PORT) == 1);
    CHECK(round_trip_count(&out.fields, FIELD_X_AMZN_TRACE_ID) == 1);
    CHECK(round_trip_count(&out.fields, FIELD_TRACEPARENT) == 1);
    CHECK(round_trip_count(&out.fields, FIELD_VOUCHED) == 0);
    round_trip_lines(&in->fields, &out.fields, c);
}

/* A whole turn in memory of exactly the promised size. */
static inline void round_trip_request(const struct request_head *in,
                                      const struct forward_request *c)
{
    struct forwarded out;
    size_t cap = in->raw.n + FORWARD_REQUEST_EXTRA;
    char *to = malloc(cap);
    enum reason r = forward_request(in, c, to, cap, &out);
    CHECK(r == REASON_NONE || r == REASON_TOO_MANY_FORWARDED);
    if (r == REASON_NONE)
        round_trip_check_request(in, c, slice_of(to, out.n));
    free(to);
}

static inline void round_trip_response(const struct response_head *in, enum method_id method,
                                       enum http_version client)
{
    struct field fields[ROUND_TRIP_FIELDS];
    struct response_head out;
    struct forward_response c = {
        .client = client,
        .framing = forward_response_framing(in, client),
        .date = SLICE("Sun, 06 Nov 1994 08:49:37 GMT"),
    };
    struct forwarded done;
    c.keep_alive = c.framing != FRAMING_CLOSE;
    size_t cap = in->raw.n + FORWARD_RESPONSE_EXTRA;
    char *to = malloc(cap);
    CHECK(forward_response(in, &c, to, cap, &done) == OK);
    struct slice bytes = slice_of(to, done.n);
    struct h1_finder finder = {0};
    struct h1_find_result found = h1_parser_find_response(&finder, bytes, &round_trip_wide);
    CHECK(found.found == H1_FOUND_HEAD && found.length == bytes.n);
    head_response_init(&out, fields, ROUND_TRIP_FIELDS);
    CHECK(h1_parser_response(bytes, &round_trip_wide, method, in->upgrade_websocket, &out) ==
          REASON_NONE);
    CHECK(second_whole_response(&out));

    CHECK(out.status == in->status && round_trip_same(in->reason, out.reason));
    CHECK(out.version == HTTP_1_1 && out.framing == c.framing && out.interim == in->interim);
    CHECK(out.framing != FRAMING_LENGTH || out.content_length == in->content_length);
    CHECK(out.interim || out.status == 101 || out.keep_alive == c.keep_alive);
    round_trip_lines(&in->fields, &out.fields, NULL);
    free(to);
}

#endif
