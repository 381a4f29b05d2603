/* Trace headers towards a target: X-Amzn-Trace-Id as ALB writes it, and W3C traceparent beside it.
 * Pure: time and randomness are handed in. */
#ifndef HTTP_TRACE_H
#define HTTP_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct trace_seed {
    uint32_t epoch_s;
    uint8_t random[20]; /* 12 for the trace, 8 for the span */
};

enum {
    TRACE_ROOT_LEN = 40,   /* "Root=1-5759e988-bd862e3fe1be46a994272793" */
    TRACE_PARENT_LEN = 55, /* "00-<32 hex>-<16 hex>-01" */
};

/* The value for the target; `in` is the client's (empty: none).
 *   none           Root=<new>
 *   Root=...       Self=<new>;<in without its Self>
 *   without Root   Root=<new>;<in without its Self>
 * Writes at most TRACE_ROOT_LEN + 1 + in.n octets and returns how many. */
size_t trace_amzn(char *to, struct slice in, const struct trace_seed *seed);

/* The traceparent for the target: the client's trace id and flags with a new parent id when `in`
 * is well formed (*continued), else a new trace whose id is that of the new Root. Always
 * TRACE_PARENT_LEN octets. When a new one was begun, tracestate must not be passed on. */
void trace_parent(char *to, struct slice in, const struct trace_seed *seed, bool *continued);

#endif
