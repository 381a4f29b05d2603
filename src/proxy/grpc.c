#include "proxy/grpc.h"

#define DIGITS_MAX 8

static struct slice value_of(const struct exchange *x, struct slice name)
{
    for (uint32_t i = 0; i < x->req.fields.count; i++)
        if (slice_ieq(x->req.fields.at[i].name, name))
            return x->req.fields.at[i].value;
    return slice_of(NULL, 0);
}

static bool is_grpc(struct slice content_type)
{
    struct slice name = SLICE("application/grpc");
    if (!slice_istarts(content_type, name))
        return false;
    struct slice rest = slice_from(content_type, name.n);
    return rest.n == 0 || rest.p[0] == '+' || rest.p[0] == ';' || rest.p[0] == ' ';
}

enum err grpc_timeout(struct slice value, uint64_t *ms)
{
    uint64_t n;
    if (value.n < 2 || value.n > DIGITS_MAX + 1 || !slice_u64(slice_upto(value, value.n - 1), &n))
        return ERR_SYNTAX;
    switch (value.p[value.n - 1]) {
    case 'H':
        *ms = n * 3600000;
        return OK;
    case 'M':
        *ms = n * 60000;
        return OK;
    case 'S':
        *ms = n * 1000;
        return OK;
    case 'm':
        *ms = n;
        return OK;
    case 'u':
        *ms = (n + 999) / 1000;
        return OK;
    case 'n':
        *ms = (n + 999999) / 1000000;
        return OK;
    default:
        return ERR_SYNTAX;
    }
}

void grpc_note(struct exchange *x)
{
    uint64_t ms;
    const struct field *type = fields_get(&x->req.fields, FIELD_CONTENT_TYPE);
    x->grpc = type && x->client.protocol.n && is_grpc(type->value);
    if (x->grpc && grpc_timeout(value_of(x, SLICE("grpc-timeout")), &ms) == OK)
        x->deadline_ms = x->proxy->loop->clock.now_ms + (ms ? ms : 1);
}

bool grpc_mismatch(const struct exchange *x, const struct group *g)
{
    bool http2 = x->client.protocol.n > 0;
    if (g->wire == GROUP_WIRE_RAW)
        return false;
    if (g->wire == GROUP_WIRE_H1)
        return x->grpc;
    if (!http2 || x->req.upgrade_websocket)
        return true;
    return g->grpc && x->req.method_id != METHOD_POST;
}

enum grpc_code grpc_code_of(enum reason why)
{
    unsigned status = status_of(why);
    switch (status) {
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 413:
    case 414:
    case 431:
        return GRPC_RESOURCE_EXHAUSTED;
    case 404:
    case 405:
    case 464:
    case 501:
        return GRPC_UNIMPLEMENTED;
    case 504:
        return GRPC_DEADLINE_EXCEEDED;
    case 502:
    case 503:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_INTERNAL;
    }
}
