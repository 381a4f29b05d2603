#include "proxy/exchange_reason.h"

enum reason exchange_reason_of(const struct lease *l)
{
    switch (l->why) {
    case ERR_NOT_FOUND:
        if (group_no_zone(l->group, l->up->worker))
            return REASON_NO_TARGET_IN_ZONE;
        return group_closed(l->group, l->up->worker) ? REASON_NO_HEALTHY_TARGET : REASON_NO_TARGET;
    case ERR_NOMEM:
        return REASON_NO_DESCRIPTORS;
    case ERR_TIMEOUT:
        return REASON_TARGET_CONNECT_TIMEOUT;
    case ERR_TLS:
        return REASON_TARGET_TLS_ERROR;
    case ERR_TLS_TIMEOUT:
        return REASON_TARGET_TLS_TIMEOUT;
    case ERR_RESET:
        return REASON_TARGET_RESET;
    case ERR_LIMIT:
        return l->group->queue_max ? REASON_QUEUE_FULL : REASON_TARGETS_BUSY;
    case ERR_AGAIN:
        return REASON_QUEUE_TIMEOUT;
    case ERR_UNSUPPORTED:
        return REASON_TARGET_WRONG_PROTOCOL;
    default:
        return REASON_TARGET_REFUSED;
    }
}
