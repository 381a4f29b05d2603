#include "upstream/health.h"

static struct health passed(struct health h, const struct config_health_check *c)
{
    if (h.state == HEALTH_UNHEALTHY && ++h.in_a_row < c->healthy_threshold)
        return h;
    return (struct health){.state = HEALTH_HEALTHY};
}

static struct health failed(struct health h, const struct config_health_check *c,
                            enum health_result result, uint16_t status)
{
    h.last = result;
    bool mismatch = result == HEALTH_RESULT_MISMATCH || result == HEALTH_RESULT_GRPC_MISMATCH;
    h.status = mismatch ? status : 0;
    if (h.state == HEALTH_UNHEALTHY) {
        h.in_a_row = 0;
    } else if (++h.in_a_row >= c->unhealthy_threshold) {
        h.state = HEALTH_UNHEALTHY;
        h.in_a_row = 0;
    }
    return h;
}

struct health health_step(struct health h, const struct config_health_check *c,
                          enum health_result result, uint16_t status)
{
    switch (result) {
    case HEALTH_RESULT_PASS:
        return passed(h, c);
    case HEALTH_RESULT_MISMATCH:
    case HEALTH_RESULT_TIMEOUT:
    case HEALTH_RESULT_RESET:
    case HEALTH_RESULT_FAILED:
    case HEALTH_RESULT_GRPC_EMPTY:
    case HEALTH_RESULT_GRPC_MISMATCH:
        return failed(h, c, result, status);
    case HEALTH_RESULT_NONE:
    case HEALTH_RESULT_INTERNAL:
        break;
    }
    return h;
}

struct slice health_state_name(enum health_state s)
{
    switch (s) {
    case HEALTH_HEALTHY:
        return SLICE("healthy");
    case HEALTH_UNHEALTHY:
        return SLICE("unhealthy");
    case HEALTH_INITIAL:
        break;
    }
    return SLICE("initial");
}

struct slice health_reason(const struct health *h)
{
    if (h->state == HEALTH_HEALTHY)
        return slice_of("", 0);
    if (h->state == HEALTH_INITIAL)
        return SLICE("Elb.InitialHealthChecking");
    switch (h->last) {
    case HEALTH_RESULT_MISMATCH:
    case HEALTH_RESULT_GRPC_MISMATCH:
        return SLICE("Target.ResponseCodeMismatch");
    case HEALTH_RESULT_TIMEOUT:
        return SLICE("Target.Timeout");
    default:
        return SLICE("Target.FailedHealthChecks");
    }
}

struct slice health_result_name(enum health_result result)
{
    switch (result) {
    case HEALTH_RESULT_MISMATCH:
        return SLICE("ResponseCodeMismatch");
    case HEALTH_RESULT_TIMEOUT:
        return SLICE("TimedOut");
    case HEALTH_RESULT_RESET:
        return SLICE("ConnectionReset");
    case HEALTH_RESULT_FAILED:
        return SLICE("TargetError");
    case HEALTH_RESULT_GRPC_EMPTY:
        return SLICE("GRPCStatusHeaderEmpty");
    case HEALTH_RESULT_GRPC_MISMATCH:
        return SLICE("GRPCUnexpectedStatus");
    case HEALTH_RESULT_INTERNAL:
        return SLICE("InternalError");
    case HEALTH_RESULT_NONE:
    case HEALTH_RESULT_PASS:
        break;
    }
    return slice_of("", 0);
}
