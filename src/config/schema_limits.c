/* Rows of limits and timeouts. The worker's scratch for heads is as large as the largest head that
 * can be configured here. */
#include "config/schema_tables.h"

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)

/* --- limits --- */

/* A part of the head that is larger than the whole: an error where it was typed, cut to size where
 * it is a default. */
static void fit_into_head(struct schema_ctx *x, const struct yaml_tree_node *node, const char *name,
                          uint32_t *bytes, uint32_t head_bytes)
{
    const struct yaml_tree_node *value = yaml_tree_get(node, name);
    if (*bytes <= head_bytes)
        return;
    if (value)
        report_error(x->report, value->pos,
                     "%s is larger than request_head (%u bytes), of which it is a part", name,
                     head_bytes);
    *bytes = head_bytes;
}

void schema_limits_check(struct schema_ctx *x, const struct yaml_tree_node *node, void *to)
{
    struct config_limits *l = to;
    fit_into_head(x, node, "request_line", &l->request_line_bytes, l->request_head_bytes);
    fit_into_head(x, node, "header", &l->header_bytes, l->request_head_bytes);
}

const struct schema_key schema_limits_keys[] = {
    {.name = "max_connections",
     .type = SCHEMA_NUMBER,
     .def = "100000",
     .min = 1,
     .max = 10000000,
     .meaning = "client connections of all workers; further ones get 503; needs a restart",
     SCHEMA_AT(config_limits, max_connections)},
    {.name = "request_line",
     .type = SCHEMA_SIZE,
     .def = "16KiB",
     .min = 64,
     .max = KIB(256),
     .meaning = "a request line, else 414; at most request_head",
     SCHEMA_AT(config_limits, request_line_bytes)},
    {.name = "header",
     .type = SCHEMA_SIZE,
     .def = "16KiB",
     .min = 64,
     .max = KIB(256),
     .meaning = "one header line of a request, else 431; at most request_head",
     SCHEMA_AT(config_limits, header_bytes)},
    {.name = "request_head",
     .type = SCHEMA_SIZE,
     .def = "64KiB",
     .min = 256,
     .max = KIB(256),
     .meaning = "request line and headers together, else 431; at most 256KiB",
     SCHEMA_AT(config_limits, request_head_bytes)},
    {.name = "response_head",
     .type = SCHEMA_SIZE,
     .def = "32KiB",
     .min = 256,
     .max = KIB(256),
     .meaning = "status line and headers of a target, else 502; at most 256KiB",
     SCHEMA_AT(config_limits, response_head_bytes)},
    {.name = "headers",
     .type = SCHEMA_NUMBER,
     .def = "200",
     .min = 1,
     .max = 10000,
     .meaning = "header lines of a request (else 431) or a response (else 502)",
     SCHEMA_AT(config_limits, headers)},
    {.name = "trailers",
     .type = SCHEMA_SIZE,
     .def = "8KiB",
     .min = 0,
     .max = KIB(64),
     .meaning = "header lines after a chunked body",
     SCHEMA_AT(config_limits, trailers_bytes)},
    {.name = "chunk_line",
     .type = SCHEMA_SIZE,
     .def = "256B",
     .min = 16,
     .max = KIB(4),
     .meaning = "the size line of a chunk with its extensions, else 400",
     SCHEMA_AT(config_limits, chunk_line_bytes)},
    {.name = "body",
     .type = SCHEMA_SIZE,
     .def = "none",
     .none = true,
     .min = 0,
     .max = 1ull << 50,
     .meaning = "a request body, else 413",
     SCHEMA_AT(config_limits, body_bytes)},
    {.name = "http2_streams",
     .type = SCHEMA_NUMBER,
     .def = "128",
     .min = 1,
     .max = 10000,
     .meaning = "requests at the same time on an HTTP/2 connection; further ones are refused",
     SCHEMA_AT(config_limits, http2_streams)},
    {.name = "http2_requests",
     .type = SCHEMA_NUMBER,
     .def = "10000",
     .min = 1,
     .max = 1000000000,
     .meaning = "requests on an HTTP/2 connection before it is closed with GOAWAY",
     SCHEMA_AT(config_limits, http2_requests)},
    {.name = "http2_resets",
     .type = SCHEMA_NUMBER,
     .def = "200",
     .min = 1,
     .max = 1000000,
     .meaning = "streams reset by or because of an HTTP/2 client; a sixth of them each second",
     SCHEMA_AT(config_limits, http2_resets)},
    {.name = "http2_control_frames",
     .type = SCHEMA_NUMBER,
     .def = "1000",
     .min = 10,
     .max = 1000000,
     .meaning = "frames of an HTTP/2 client that carry nothing; a fifth of them each second",
     SCHEMA_AT(config_limits, http2_control_frames)},
    {.name = "buffer_memory",
     .type = SCHEMA_SIZE,
     .def = "256MiB",
     .none = true,
     .min = MIB(1),
     .max = 1ull << 40,
     .meaning = "bytes in flight that a worker may hold; 503 for new requests beyond",
     SCHEMA_AT(config_limits, buffer_memory_bytes)},
    SCHEMA_END,
};

/* --- timeouts --- */

#define TIMEOUT(key, member, default_text, least, most, text)                                      \
    {                                                                                              \
        .name = key, .type = SCHEMA_DURATION, .def = default_text, .min = least, .max = most,      \
        .meaning = text, SCHEMA_AT(config_timeouts, member)                                        \
    }

#define MINUTE (60 * 1000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

const struct schema_key schema_timeouts_keys[] = {
    TIMEOUT("shutdown", shutdown_ms, "30s", 0, DAY,
            "how long a graceful stop waits for work in flight"),
    TIMEOUT("drain", drain_ms, "300s", 0, 30ull * DAY,
            "how long connections of a removed listener may live"),
    TIMEOUT("request_head", request_head_ms, "60s", 100, HOUR,
            "a whole request head after its first byte, else 408"),
    TIMEOUT("connect", connect_ms, "10s", 10, 10 * MINUTE,
            "a connection to a target; 504 when no target is left"),
    TIMEOUT("tls_handshake", tls_handshake_ms, "10s", 10, 10 * MINUTE,
            "a TLS handshake with a client, or with a target (else 504)"),
    TIMEOUT("target_keep_alive", target_keep_alive_ms, "60s", 100, DAY,
            "an unused connection to a target"),
    TIMEOUT("linger", linger_ms, "5s", 0, 10 * MINUTE,
            "reading on after an early answer, so that it is not lost"),
    TIMEOUT("half_close", half_close_ms, "60s", 100, 7ull * DAY,
            "a TCP session of which one direction has ended"),
    SCHEMA_END,
};
