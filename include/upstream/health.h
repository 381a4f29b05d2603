/* What the checks of a target say about it. Pure; the words are ELB's.
 *
 *              first success
 *   INITIAL ──────────────────▶ HEALTHY ◀─┐
 *      │                           │      │ healthy_threshold successes in a row
 *      │ unhealthy_threshold       ▼      │
 *      └───── failures ───────▶ UNHEALTHY ┘
 */
#ifndef UPSTREAM_HEALTH_H
#define UPSTREAM_HEALTH_H

#include <stdint.h>

#include "base/slice.h"
#include "config/model.h"

enum health_state { HEALTH_INITIAL, HEALTH_HEALTHY, HEALTH_UNHEALTHY };

/* How one check ended. */
enum health_result {
    HEALTH_RESULT_NONE,     /* it has not */
    HEALTH_RESULT_PASS,
    HEALTH_RESULT_MISMATCH, /* an answer with another code than wanted */
    HEALTH_RESULT_TIMEOUT,
    HEALTH_RESULT_RESET,    /* refused, or broken off */
    HEALTH_RESULT_FAILED,   /* closed without an answer, garbage, no TLS, or too long a head */
    HEALTH_RESULT_GRPC_EMPTY,    /* an answer without a status of gRPC */
    HEALTH_RESULT_GRPC_MISMATCH, /* as MISMATCH, by that status */
    HEALTH_RESULT_INTERNAL, /* we could not ask: says nothing about the target */
};

struct health {
    enum health_state state;
    enum health_result last;  /* INITIAL, UNHEALTHY: the last failure, which is the reason */
    uint16_t status;          /* with MISMATCH: the code */
    uint32_t in_a_row;        /* results that speak against the state */
};

/* One more result; status: that of the answer, 0 without one. */
struct health health_step(struct health h, const struct config_health_check *c,
                          enum health_result result, uint16_t status);

struct slice health_state_name(enum health_state s);
/* Empty when there is nothing to explain. */
struct slice health_reason(const struct health *h);
/* Of one check, as ELB's health check log has it; empty: it passed. */
struct slice health_result_name(enum health_result result);

#endif
