#include "proxy/back_h1.h"

#include "http/forward.h"
#include "http/h1_parser.h"
#include "proxy/end_raw.h"
#include "proxy/h1_body.h"
#include "proxy/vouched.h"
#include "proxy/websocket.h"

struct back_h1 {
    struct endpoint ep;
    struct conn *conn;
    struct task task;
    struct h1_finder finder;
    struct h1_body_in in;
    struct h1_body_out out;
    enum reason failed; /* found while called by the exchange, reported from the task */
    bool wrote;         /* some of the request went to the socket */
    bool received;      /* some of the response came */
    bool answered;      /* the final head is parsed */
    bool keep_alive;
};

_Static_assert(sizeof(struct back_h1) <= EXCHANGE_BACK_BYTES, "the exchange has room for it");

static struct back_h1 *back_of(struct endpoint *ep)
{
    return container_of(ep, struct back_h1, ep);
}

/* ---- the request ---- */

/* host: room for the Host of a client of HTTP/1.0 that sends none. */
static struct forward_request context(const struct exchange *x, char *host)
{
    const struct config_listener_attributes *a = &x->listener->config->attributes;
    struct forward_request c = {
        .client_address = x->client.peer_ip,
        .client_port = x->client.peer_port,
        .listener_port = exchange_local_port(x),
        .default_host = slice_of(host, x->req.host.n ? 0 : exchange_local_host(x, host)),
        .xff_mode = (enum xff_mode)a->xff_header_processing,
        .xff_client_port = a->xff_client_port,
        .https = x->client.tls_protocol.n > 0,
        .preserve_host_header = a->preserve_host_header,
        .drop_invalid_header_fields = a->drop_invalid_header_fields,
        .vouched = x->client.vouched ? x->client.vouched->at : NULL,
        .vouched_count = x->client.vouched ? x->client.vouched->n : 0,
        .tls_version = a->x_amzn_tls ? x->client.tls_protocol : slice_of(NULL, 0),
        .tls_cipher = x->client.tls_cipher,
        .trace.epoch_s = (uint32_t)(x->start_wall_us / 1000000),
    };
    uint64_t r[3];
    for (size_t i = 0; i < ARRAY_LEN(r); i++)
        r[i] = rng_next(&x->proxy->loop->rng);
    memcpy(c.trace.random, r, sizeof(c.trace.random));
    return c;
}

enum reason back_h1_head(struct exchange *x, size_t *n)
{
    char host[ADDR_TEXT_MAX];
    struct forward_request c = context(x, host);
    struct forwarded out;
    enum reason why = forward_request(&x->req, &c, x->proxy->loop->head, LOOP_HEAD_BYTES, &out);
    if (why != REASON_NONE)
        return why;
    struct slice trace = slice_upto(out.trace_id, sizeof(x->trace));
    memcpy(x->trace, trace.p, trace.n);
    x->trace_n = trace.n;
    *n = out.n;
    return REASON_NONE;
}

static void send_head(struct endpoint *ep)
{
    struct back_h1 *b = back_of(ep);
    struct exchange *x = ep->x;
    size_t n;
    b->failed = back_h1_head(x, &n);
    if (b->failed == REASON_NONE)
        h1_body_out_init(&b->out, x->req.framing, n);
    else
        loop_push(x->proxy->loop, &b->task);
}

/* A write that fails is found by the task, which reads what the target said before it closed. */
static void push(struct back_h1 *b)
{
    struct exchange *x = b->ep.x;
    bool taken;
    if (b->failed != REASON_NONE || b->conn->broken)
        return;
    if (h1_body_push(&b->out, b->conn, &x->up, &x->up_trailers, &taken) == OK)
        b->wrote = true;
    else
        loop_push(b->conn->loop, &b->task);
}

static void wake(struct endpoint *ep, unsigned what)
{
    struct back_h1 *b = back_of(ep);
    if (ep->x->raw)
        end_raw_wake(ep->x, b->conn, RAW_BACK, what);
    else if (what & WAKE_TAKE)
        push(b);
    if (what & WAKE_ROOM)
        conn_unblock(b->conn);
}

/* On this wire all ends but a clean one look the same: the connection goes. A tunnel is raw. */
static void close_back(struct endpoint *ep, enum end end)
{
    struct back_h1 *b = back_of(ep);
    task_cancel(&b->task);
    if (ep->x->raw && end != END_OK)
        lease_abort(&ep->x->lease);
    ep->x = NULL;
}

/* ---- the response ---- */

static void fail(struct back_h1 *b, enum reason why)
{
    struct exchange *x = b->ep.x;
    task_cancel(&b->task);
    exchange_back_failed(x, why, b->wrote, b->received);
}

static void refuse(struct back_h1 *b, enum reason why)
{
    b->received = true; /* whatever it was: not to be tried again */
    fail(b, why);
}

/* A request that could not be written to its end leaves the connection unfit for another one. */
static bool reusable(const struct back_h1 *b)
{
    return b->keep_alive && b->out.over && !conn_unsent(b->conn) && !b->conn->residue &&
           !b->conn->broken && !b->conn->eof;
}

static void done(struct back_h1 *b)
{
    struct exchange *x = b->ep.x;
    task_cancel(&b->task);
    exchange_back_done(x, reusable(b));
    exchange_down(x);
    if (!exchange_done(x))
        flow_settle(&x->down, &x->proxy->loop->chunks);
}

static enum reason body_fault(const struct back_h1 *b)
{
    return b->in.reason == REASON_BAD_CHUNK ? REASON_BAD_RESPONSE_CHUNK : REASON_BAD_RESPONSE;
}

/* After body was read, in whatever way. */
static void after_body(struct back_h1 *b, enum h1_body_result r)
{
    struct exchange *x = b->ep.x;
    if (b->in.ended && !x->raw) {
        done(b);
        return;
    }
    if (r == H1_BODY_MOVED)
        exchange_down(x);
    if (exchange_done(x) || x->back != &b->ep)
        return;
    flow_settle(&x->down, &x->proxy->loop->chunks);
    if (r == H1_BODY_BAD)
        refuse(b, body_fault(b));
    else if (r == H1_BODY_EOF)
        fail(b, REASON_TARGET_CUT_BODY);
    else if (r == H1_BODY_RESET)
        fail(b, REASON_TARGET_RESET);
}

static enum reason parse(struct back_h1 *b, struct slice raw)
{
    struct exchange *x = b->ep.x;
    struct proxy *p = x->proxy;
    head_response_init(&x->resp, p->fields, p->limits.headers);
    enum reason why =
        h1_parser_response(raw, &p->limits, x->req.method_id, x->req.upgrade_websocket, &x->resp);
    bool ours = x->resp.upgrade_websocket && x->client.protocol.n; /* of HTTP/1.1: the client's */
    if (why == REASON_NONE && ours && !websocket_agreed(&x->req.fields, &x->resp.fields))
        return REASON_BAD_RESPONSE;
    return why;
}

/* The final head, and what came behind it in the same segment. */
static void answer(struct back_h1 *b, struct slice in)
{
    struct exchange *x = b->ep.x;
    enum h1_body_result r = H1_BODY_NOTHING;
    b->answered = true;
    b->keep_alive = x->resp.keep_alive;
    h1_body_in_init(&b->in, x->resp.framing, x->resp.content_length, UINT64_MAX);
    b->in.trailers = &x->down_trailers;
    b->in.trailer_store = &x->down_trailer_store;
    exchange_response(x);
    if (x->raw) {
        conn_keep(b->conn, in, false);
        exchange_down(x);
        return;
    }
    if (b->in.ended)
        flow_end(&x->down);
    else
        r = h1_body_feed(&b->in, x->proxy, &x->down, &in);
    conn_keep(b->conn, in, in.n && h1_body_needs_more(&b->in));
    if (r == H1_BODY_NOTHING && !b->in.ended)
        r = H1_BODY_MOVED; /* the head alone has to go out */
    after_body(b, r);
}

/* in: from the first byte of a response head. */
static void take_head(struct back_h1 *b, struct slice in)
{
    struct exchange *x = b->ep.x;
    b->received = true;
    struct h1_find_result f = h1_parser_find_response(&b->finder, in, &x->proxy->limits);
    if (f.found == H1_FOUND_MORE) {
        conn_keep(b->conn, in, true);
        return;
    }
    if (f.found == H1_FOUND_BAD) {
        conn_keep(b->conn, slice_from(in, in.n), false);
        refuse(b, f.reason);
        return;
    }
    enum reason why = parse(b, slice_of(in.p + f.skip, f.length));
    struct slice rest = slice_from(in, f.skip + f.length);
    if (why != REASON_NONE) {
        conn_keep(b->conn, slice_from(in, in.n), false);
        refuse(b, why);
        return;
    }
    if (!x->resp.interim) {
        answer(b, rest);
        return;
    }
    b->finder = (struct h1_finder){0};
    exchange_response(x);
    exchange_down(x);
    conn_keep(b->conn, rest, false);
    if (rest.n && b->ep.x)
        loop_push(b->conn->loop, &b->task);
}

static void read_head(struct back_h1 *b)
{
    struct slice in;
    switch (conn_read(b->conn, LOOP_RECV_BYTES, &in)) {
    case OK:
        take_head(b, in);
        return;
    case ERR_AGAIN:
        return;
    case ERR_EOF:
        fail(b, REASON_TARGET_CLOSED);
        return;
    case ERR_LIMIT:
        refuse(b, REASON_RESPONSE_HEAD_TOO_LARGE);
        return;
    default:
        fail(b, REASON_TARGET_RESET);
        return;
    }
}

/* ---- the task ---- */

static void write_more(struct back_h1 *b)
{
    struct exchange *x = b->ep.x;
    bool taken = false;
    if (conn_flush(b->conn) != OK)
        return;
    if (h1_body_push(&b->out, b->conn, &x->up, &x->up_trailers, &taken) == OK && taken)
        exchange_up_taken(x);
}

static void read_body(struct back_h1 *b)
{
    struct exchange *x = b->ep.x;
    after_body(b, h1_body_pull(&b->in, x->proxy, &x->down, b->conn));
}

static void back_run(struct task *t)
{
    struct back_h1 *b = container_of(t, struct back_h1, task);
    struct exchange *x = b->ep.x;
    if (b->failed != REASON_NONE) {
        refuse(b, b->failed);
        return;
    }
    if (x->raw) {
        if (conn_flush(b->conn) != OK)
            exchange_back_failed(x, REASON_TARGET_RESET, true, true);
        else
            end_raw_turn(x, b->conn, RAW_BACK);
        return;
    }
    write_more(b);
    if (b->answered)
        read_body(b);
    else
        read_head(b);
    if (b->ep.x)
        conn_settle(b->conn, !b->answered || flow_room(&x->down, &x->proxy->loop->chunks));
}

static const struct endpoint_ops ops = {send_head, wake, close_back};

struct endpoint *back_h1_start(struct exchange *x)
{
    struct back_h1 *b = (struct back_h1 *)(void *)x->back_mem;
    *b = (struct back_h1){.ep = {&ops, x}, .conn = x->lease.link->conn};
    task_init(&b->task, back_run);
    conn_own(b->conn, &b->task);
    return &b->ep;
}
