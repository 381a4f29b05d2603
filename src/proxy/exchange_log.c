#include "proxy/exchange_log.h"

#include "proxy/access_log.h"

static struct slice type_of(const struct exchange *x)
{
    bool tls = x->client.tls_protocol.n > 0;
    if (!x->raw && slice_eq(x->client.protocol, SLICE("HTTP/2.0")))
        return !x->grpc ? SLICE("h2") : tls ? SLICE("grpcs") : SLICE("grpc");
    if (!x->raw)
        return tls ? SLICE("https") : SLICE("http");
    if (x->req.raw.n)
        return tls ? SLICE("wss") : SLICE("ws");
    return tls ? SLICE("tls") : SLICE("tcp");
}

static int64_t between(uint64_t from_us, uint64_t to_us)
{
    return from_us && to_us >= from_us ? (int64_t)(to_us - from_us) : -1;
}

static uint64_t taken(const struct flow *f)
{
    return f->total_bytes - flow_bytes(f);
}

/* As the client sent it; an absolute-form target is shown as its path and query. */
static struct slice path_of(const struct request_head *h)
{
    if (h->authority.p && h->has_query && h->path.p + h->path.n + 1 != h->query.p)
        return h->target; /* `http://host?query`: its path is not among the bytes */
    return h->has_query ? slice_of(h->path.p, h->path.n + 1 + h->query.n) : h->path;
}

static struct slice value_of(const struct exchange *x, enum field_id id)
{
    const struct field *f = x->req.raw.n ? fields_get(&x->req.fields, id) : NULL;
    return f ? f->value : slice_of(NULL, 0);
}

static void fill_request(const struct exchange *x, struct access_entry *e)
{
    e->method = x->req.method;
    e->scheme = x->client.tls_protocol.n ? SLICE("https") : SLICE("http");
    e->host = x->req.host_norm;
    e->path = path_of(&x->req);
    if (x->client.protocol.n)
        e->protocol = x->client.protocol;
    else if (x->req.version)
        e->protocol = x->req.version == HTTP_1_0 ? SLICE("HTTP/1.0") : SLICE("HTTP/1.1");
    e->user_agent = value_of(x, FIELD_USER_AGENT);
    e->referer = value_of(x, FIELD_REFERER);
    e->trace_id = slice_of(x->trace, x->trace_n);
}

static void fill(const struct exchange *x, struct access_entry *e)
{
    uint64_t now_us = x->proxy->loop->clock.now_us;
    *e = (struct access_entry){
        .type = type_of(x),
        .listener = x->listener_name,
        .client = x->client.peer,
        .target = x->target_text,
        .group = x->group_name,
        .rule = x->rule_name,
        .status = x->status,
        .target_status = x->target_status,
        .reason = x->reason,
        .retries = x->lease.tries ? x->lease.tries - 1 : 0,
        .received_bytes = x->received_head_bytes + x->up.total_bytes,
        .sent_bytes = x->sent_head_bytes + taken(&x->down),
        .request_us = between(x->start_us, x->sent_us),
        .target_us = x->replied ? -1 : between(x->sent_us, x->answered_us),
        .response_us = between(x->answered_us, now_us),
        .zone = x->node_zone,
        .target_zone = x->target_zone,
        .zone_decision =
            x->target_text.n ? pick_decision_name(x->lease.pick.decision) : slice_of(NULL, 0),
        .conn_trace_id = x->client.trace,
        .tls_protocol = x->client.tls_protocol,
        .tls_cipher = x->client.tls_cipher,
        .snapshot = x->generation,
    };
    if (x->req.method.n)
        fill_request(x, e);
}

void exchange_log_end(const struct exchange *x)
{
    struct proxy *p = x->proxy;
    struct listener_counters *c = counters_of(p->counters, x->slot);
    counter_add(&c->requests, 1);
    counter_add(&c->codes[x->status < COUNTERS_CODES ? x->status : 0], 1);
    if (x->reason != REASON_NONE)
        counter_add(&c->reasons[x->reason], 1);
    if (!access_log_on(p->access_log))
        return;
    struct access_entry e;
    fill(x, &e);
    access_log_write(p->access_log, &p->loop->clock, &e);
}
