#include "proxy/front_h1.h"

#include "http/forward.h"
#include "http/h1_parser.h"
#include "http/h1_writer.h"
#include "http/h2_session.h"
#include "proxy/end_raw.h"
#include "proxy/front_h2.h"
#include "proxy/h1_body.h"

enum front_state {
    FRONT_IDLE,
    FRONT_HEAD,
    FRONT_BUSY,
    FRONT_DRAIN,
    FRONT_LINGER,
    FRONT_CLOSING, /* the exchange asked for the end while it was on the stack */
};

struct front_h1 {
    struct session s;
    enum front_state state;
    struct h1_finder finder;
    struct h1_body_in in;
    struct h1_body_out out;
    uint64_t budget; /* octets still thrown away in DRAIN and LINGER */
    bool served;     /* a request was read: it is not HTTP/2 */
    bool keep_alive; /* as said in the response head */
    bool reset;      /* CLOSING: with an RST */
};

size_t front_h1_bytes(void)
{
    return sizeof(struct front_h1);
}

static struct front_h1 *front_of(struct endpoint *ep)
{
    return container_of(ep, struct front_h1, s.front);
}

static struct loop *loop_of(const struct front_h1 *f)
{
    return f->s.conn->loop;
}

static const struct config_timeouts *timeouts(const struct front_h1 *f)
{
    return &session_listener(&f->s)->root->timeouts;
}

/* ---- between exchanges ---- */

static void become_idle(struct front_h1 *f)
{
    f->state = FRONT_IDLE;
    f->finder = (struct h1_finder){0};
    loop_timer(loop_of(f), &f->s.timer,
               session_listener(&f->s)->config->attributes.idle_timeout_ms);
    if (f->s.conn->eof || f->s.ending || conn_has_input(f->s.conn) || conn_unsent(f->s.conn))
        loop_push(loop_of(f), &f->s.task);
}

static void become_lingering(struct front_h1 *f)
{
    f->state = FRONT_LINGER;
    session_begin_linger(&f->s, &f->budget);
}

static void become_draining(struct front_h1 *f)
{
    f->state = FRONT_DRAIN;
    f->budget = FRONT_H1_DRAIN_BYTES;
    loop_timer(loop_of(f), &f->s.timer, timeouts(f)->linger_ms);
    loop_push(loop_of(f), &f->s.task);
}

/* ---- endpoint ---- */

/* Body that is still to come can be thrown away when it is known to be little. */
static bool rest_is_small(const struct front_h1 *f)
{
    if (f->in.ended)
        return true;
    return f->in.framing == FRAMING_LENGTH && f->in.left <= FRONT_H1_DRAIN_BYTES &&
           !f->s.front.x->req.expect_continue;
}

static bool keeps(const struct front_h1 *f, enum framing framing)
{
    const struct exchange *x = f->s.front.x;
    return x->req.keep_alive && !x->close_client && !f->s.ending && !f->s.conn->eof &&
           framing != FRAMING_CLOSE && rest_is_small(f) && !session_too_old(&f->s);
}

static const char continue_head[] = "HTTP/1.1 100 Continue\r\n\r\n";

static void write_interim(struct front_h1 *f, const char *p, size_t n)
{
    struct iovec iov = {(void *)(uintptr_t)p, n};
    f->s.front.x->sent_head_bytes += (uint32_t)n;
    if (conn_write(f->s.conn, &iov, 1) != OK)
        loop_push(loop_of(f), &f->s.task);
}

static void fill_context(struct front_h1 *f, struct forward_response *c)
{
    struct exchange *x = f->s.front.x;
    *c = (struct forward_response){
        .client = x->req.version ? x->req.version : HTTP_1_1,
        .date = clock_http_date(&loop_of(f)->clock),
        .overrides = x->listener->overrides,
        .override_count = x->listener->override_count,
        .override_mask = x->listener->override_mask,
        .added = x->added,
        .added_count = x->added_n,
    };
    c->framing = forward_response_framing(&x->resp, c->client);
    c->keep_alive = keeps(f, c->framing);
}

static void send_head(struct endpoint *ep)
{
    struct front_h1 *f = front_of(ep);
    struct exchange *x = ep->x;
    struct forward_response c;
    struct forwarded out;
    if (x->resp.status == 100) {
        write_interim(f, continue_head, sizeof(continue_head) - 1);
        return;
    }
    fill_context(f, &c);
    char *to = loop_of(f)->head;
    /* The buffer holds the largest head that the limits allow, with what we add to it. */
    CHECK(forward_response(&x->resp, &c, to, LOOP_HEAD_BYTES, &out) == OK);
    if (x->resp.interim) {
        write_interim(f, to, out.n);
        return;
    }
    f->keep_alive = c.keep_alive;
    x->sent_head_bytes += (uint32_t)out.n;
    h1_body_out_init(&f->out, x->resp.upgrade_websocket ? FRAMING_CLOSE : c.framing, out.n);
}

static void write_tunnel_head(struct front_h1 *f)
{
    struct iovec iov = {loop_of(f)->head, f->out.head_n};
    f->out.head_n = 0;
    if (iov.iov_len && conn_write(f->s.conn, &iov, 1) != OK)
        loop_push(loop_of(f), &f->s.task);
}

static void wake(struct endpoint *ep, unsigned what)
{
    struct front_h1 *f = front_of(ep);
    struct exchange *x = ep->x;
    bool taken;
    if (x->raw) {
        write_tunnel_head(f);
        end_raw_wake(x, f->s.conn, RAW_FRONT, what);
        return;
    }
    if ((what & WAKE_TAKE) && x->head_given &&
        h1_body_push(&f->out, f->s.conn, &x->down, &x->down_trailers, &taken) != OK)
        loop_push(loop_of(f), &f->s.task);
    if (what & WAKE_ROOM)
        conn_unblock(f->s.conn);
}

/* A body that ends with the connection can only be told from a broken one by an RST. */
static void become_closing(struct front_h1 *f)
{
    f->state = FRONT_CLOSING;
    f->reset = f->out.framing == FRAMING_CLOSE || f->s.conn->broken;
    loop_push(loop_of(f), &f->s.task);
}

static void close_front(struct endpoint *ep, enum end end)
{
    struct front_h1 *f = front_of(ep);
    if (end != END_OK)
        become_closing(f);
    else if (!f->keep_alive)
        become_lingering(f);
    else if (f->in.ended)
        become_idle(f);
    else
        become_draining(f);
}

static const struct endpoint_ops ops = {send_head, wake, close_front};

/* ---- a request head ---- */

/* No exchange can be had: the answer is written without one, and only counted. */
static void refuse(struct front_h1 *f, enum reason why)
{
    struct listener_counters *k = counters_of(f->s.proxy->counters, f->s.slot);
    char body[H1_ERROR_BODY_MAX];
    struct h1_reply r = {
        .status = status_of(why),
        .body = slice_of(body, h1_writer_error_body(body, status_of(why), why)),
        .date = clock_http_date(&loop_of(f)->clock),
        .client = HTTP_1_1,
    };
    struct iovec iov = {.iov_base = loop_of(f)->head};
    counter_add(&k->requests, 1);
    counter_add(&k->reasons[why], 1);
    counter_add(&k->codes[r.status], 1);
    CHECK(h1_writer_reply(iov.iov_base, LOOP_HEAD_BYTES, &r, &iov.iov_len) == OK);
    if (conn_write(f->s.conn, &iov, 1) == OK)
        become_lingering(f);
    else
        become_closing(f);
}

static struct exchange *begin(struct front_h1 *f)
{
    struct session *s = &f->s;
    struct exchange_client client = session_client(s);
    struct exchange *x = exchange_new(s->proxy, s->slot, session_snapshot(s), session_listener(s),
                                      &s->front, &client);
    if (!x)
        return NULL;
    f->state = FRONT_BUSY;
    f->keep_alive = false;
    h1_body_in_init(&f->in, FRAMING_NONE, 0, 0);
    h1_body_out_init(&f->out, FRAMING_NONE, 0);
    head_request_init(&x->req, s->proxy->fields, s->proxy->limits.headers, s->proxy->host_space);
    return x;
}

static void reject(struct front_h1 *f, enum reason why)
{
    struct exchange *x = begin(f);
    if (!x) {
        refuse(f, REASON_OVERLOAD);
        return;
    }
    x->req.keep_alive = false;
    exchange_reject(x, why);
}

static void after_body(struct front_h1 *f, enum h1_body_result r)
{
    struct exchange *x = f->s.front.x;
    switch (r) {
    case H1_BODY_MOVED:
        exchange_progress(x);
        exchange_up(x);
        break;
    case H1_BODY_EOF:
        exchange_up_failed(x, REASON_CLIENT_CUT_BODY);
        break;
    case H1_BODY_RESET:
        exchange_gone(x);
        break;
    case H1_BODY_BAD:
        exchange_up_failed(x, f->in.reason);
        break;
    default:
        break;
    }
    if (f->s.front.x)
        flow_settle(&x->up, &x->proxy->loop->chunks);
}

static bool too_large(const struct exchange *x)
{
    uint64_t max = x->listener->root->limits.body_bytes;
    return x->req.framing == FRAMING_LENGTH && x->req.content_length > max;
}

/* An accepted head, and the bytes behind it. */
static void serve(struct front_h1 *f, struct exchange *x, struct slice *rest)
{
    h1_body_in_init(&f->in, x->req.framing, x->req.content_length,
                    x->listener->root->limits.body_bytes);
    f->in.trailers = &x->up_trailers;
    f->in.trailer_store = &x->up_trailer_store;
    if (too_large(x)) {
        exchange_reject(x, REASON_BODY_TOO_LARGE);
        return;
    }
    if (f->in.ended)
        flow_end(&x->up);
    exchange_request(x);
    if (!f->s.front.x || x->up_closed)
        return;
    enum h1_body_result r = h1_body_feed(&f->in, x->proxy, &x->up, rest);
    if (r != H1_BODY_MOVED)
        exchange_up(x); /* the head alone */
    if (f->s.front.x)
        after_body(f, r);
}

static void wait_for_more(struct front_h1 *f, struct slice in)
{
    if (f->state == FRONT_IDLE)
        loop_timer(loop_of(f), &f->s.timer, timeouts(f)->request_head_ms);
    f->state = FRONT_HEAD;
    conn_keep(f->s.conn, in, true);
}

/* The preface of HTTP/2 as the first bytes, or what may become it (RFC 9113 3.3, 3.4). */
static bool speaks_h2(const struct front_h1 *f, struct slice in)
{
    size_t n = H2_SESSION_PREFACE.n;
    return !f->served && session_listener(&f->s)->config->attributes.h2c &&
           slice_eq(slice_upto(in, n), slice_upto(H2_SESSION_PREFACE, in.n));
}

/* The session is no longer ours afterwards. */
static void become_h2(struct front_h1 *f, struct slice in)
{
    conn_keep(f->s.conn, in, false);
    front_h2_begin(&f->s);
}

static void take_head(struct front_h1 *f, struct slice in)
{
    if (speaks_h2(f, in)) {
        in.n < H2_SESSION_PREFACE.n ? wait_for_more(f, in) : become_h2(f, in);
        return;
    }
    f->served = true;
    struct conn *c = f->s.conn;
    struct proxy *p = f->s.proxy;
    const struct config_listener_attributes *a = &session_listener(&f->s)->config->attributes;
    struct h1_find_result found = h1_parser_find_request(&f->finder, in, &p->limits);
    if (found.found == H1_FOUND_MORE) {
        wait_for_more(f, in);
        return;
    }
    if (found.found == H1_FOUND_BAD) {
        conn_keep(c, slice_from(in, in.n), false);
        reject(f, found.reason);
        return;
    }
    struct slice rest = slice_from(in, found.skip + found.length);
    struct exchange *x = begin(f);
    if (!x) {
        conn_keep(c, slice_from(in, in.n), false);
        refuse(f, REASON_OVERLOAD);
        return;
    }
    enum reason why = h1_parser_request(slice_of(in.p + found.skip, found.length), &p->limits,
                                        (enum desync_mode)a->desync_mitigation_mode, &x->req);
    if (why == REASON_NONE)
        serve(f, x, &rest);
    else
        exchange_reject(x, why);
    conn_keep(c, rest,
              rest.n && f->state == FRONT_BUSY && f->in.framing == FRAMING_CHUNKED && !f->in.ended);
}

/* ---- the task, state by state ---- */

static void end_session(struct front_h1 *f)
{
    session_close(&f->s, f->reset);
}

static void on_idle_timeout(struct front_h1 *f)
{
    if (f->state == FRONT_HEAD)
        reject(f, REASON_REQUEST_TIMEOUT);
    else
        end_session(f);
}

/* Waiting for a head. A connection that is to end is looked at once more: a request that is
 * already in the socket must not be lost. */
static void read_head(struct front_h1 *f)
{
    struct conn *c = f->s.conn;
    struct slice in;
    if (timer_take(&f->s.timer)) {
        on_idle_timeout(f);
        return;
    }
    if (conn_unsent(c))
        return;
    if (f->s.ending)
        c->readable = true;
    switch (conn_read(c, LOOP_RECV_BYTES, &in)) {
    case OK:
        take_head(f, in);
        return;
    case ERR_AGAIN:
        if (f->s.ending && f->state == FRONT_IDLE)
            end_session(f);
        return;
    case ERR_LIMIT:
        reject(f, REASON_HEAD_TOO_LARGE);
        return;
    default:
        end_session(f);
        return;
    }
}

/* The request is whole: what comes now is the next one, or tells that the client has gone. */
static void look_ahead(struct front_h1 *f)
{
    struct conn *c = f->s.conn;
    struct slice in;
    if (c->residue || f->s.conn->eof)
        return;
    switch (conn_read(c, LOOP_RECV_BYTES, &in)) {
    case OK:
        conn_keep(c, in, false);
        return;
    case ERR_RESET:
        exchange_gone(f->s.front.x);
        return;
    default:
        return; /* also a half-closed client: the answer is still wanted */
    }
}

static void write_more(struct front_h1 *f)
{
    struct exchange *x = f->s.front.x;
    bool taken = false;
    if (!x->head_given || conn_unsent(f->s.conn))
        return;
    if (h1_body_push(&f->out, f->s.conn, &x->down, &x->down_trailers, &taken) == OK && taken)
        exchange_down_taken(x);
}

static void busy(struct front_h1 *f)
{
    struct exchange *x = f->s.front.x;
    if (timer_take(&f->s.timer))
        exchange_timeout(x);
    if (f->s.front.x && x->raw) {
        end_raw_turn(x, f->s.conn, RAW_FRONT);
        return;
    }
    if (f->s.front.x)
        write_more(f);
    if (!f->s.front.x)
        return;
    if (x->up.ended)
        look_ahead(f);
    else if (!x->up_closed)
        after_body(f, h1_body_pull(&f->in, x->proxy, &x->up, f->s.conn));
}

static void drain(struct front_h1 *f)
{
    enum h1_body_result r = H1_BODY_RESET;
    if (!timer_take(&f->s.timer))
        r = h1_body_discard(&f->in, f->s.proxy, f->s.conn, &f->budget);
    if (r == H1_BODY_MOVED && f->in.ended)
        become_idle(f);
    else if (r != H1_BODY_MOVED && r != H1_BODY_NOTHING)
        end_session(f);
}

static bool may_read(const struct front_h1 *f)
{
    const struct exchange *x = f->s.front.x;
    switch (f->state) {
    case FRONT_BUSY:
        if (x->up.ended)
            return !f->s.conn->residue && !f->s.conn->eof;
        return !x->up_closed && flow_room(&x->up, &x->proxy->loop->chunks);
    case FRONT_IDLE:
    case FRONT_HEAD:
        return !conn_unsent(f->s.conn);
    default:
        return true;
    }
}

static void step(struct front_h1 *f)
{
    switch (f->state) {
    case FRONT_IDLE:
    case FRONT_HEAD:
        read_head(f);
        return;
    case FRONT_BUSY:
        busy(f);
        return;
    case FRONT_DRAIN:
        drain(f);
        return;
    case FRONT_LINGER:
        if (session_linger(&f->s, &f->budget))
            end_session(f);
        return;
    case FRONT_CLOSING:
        end_session(f);
        return;
    }
}

static void front_run(struct task *t)
{
    struct front_h1 *f = container_of(t, struct front_h1, s.task);
    if (conn_flush(f->s.conn) == OK)
        step(f);
    else if (f->s.front.x)
        exchange_gone(f->s.front.x);
    else
        end_session(f);
    if (f->s.closed || f->s.task.run != front_run)
        return;
    session_count_bytes(&f->s);
    if (f->s.front.x && f->s.front.x->raw)
        return; /* end_raw_turn settles */
    conn_settle(f->s.conn, may_read(f));
}

void front_h1_start(struct session *s)
{
    s->front.ops = &ops;
    s->task.run = front_run;
    become_idle(container_of(s, struct front_h1, s));
}

void front_h1_turn_away(struct session *s, enum reason why)
{
    s->front.ops = &ops;
    s->task.run = front_run;
    refuse(container_of(s, struct front_h1, s), why);
}

void front_h1_accept(struct proxy *p, unsigned slot, int fd, const struct addr *peer,
                     const struct addr *local)
{
    struct session *s = session_new(p, slot, fd, peer, local, &ops, front_run);
    if (s)
        front_h1_start(s);
}

void front_h1_refuse(struct proxy *p, unsigned slot, int fd, const struct addr *peer,
                     const struct addr *local, enum reason why)
{
    struct session *s = session_new(p, slot, fd, peer, local, &ops, front_run);
    if (s)
        front_h1_turn_away(s, why);
}
