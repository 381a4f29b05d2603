#include "proxy/end_raw.h"

/* ---- one side of a raw stream ---- */

static struct flow *filled_by(struct exchange *x, enum raw_side side)
{
    return side == RAW_FRONT ? &x->up : &x->down;
}

static struct flow *drained_by(struct exchange *x, enum raw_side side)
{
    return side == RAW_FRONT ? &x->down : &x->up;
}

/* Sends what the flow holds, as far as the socket takes it; at its end the FIN. A failure shows
 * as conn->broken. */
static bool push(struct exchange *x, struct conn *c, struct flow *f)
{
    bool moved = false;
    struct iovec iov[FLOW_IOV_MAX];
    size_t sent = 0;
    if (flow_bytes(f) && !c->shut_wanted) {
        int n = flow_peek(f, iov, FLOW_IOV_MAX);
        if (conn_write_some(c, iov, n, &sent) != OK)
            return false;
        flow_consume(f, &x->proxy->loop->chunks, sent);
        moved = sent > 0;
    }
    if (flow_finished(f) && !c->shut_wanted) {
        conn_shutdown(c);
        moved = true;
    }
    return moved;
}

static enum err pull(struct exchange *x, struct conn *c, struct flow *f)
{
    struct chunkpool *pool = &x->proxy->loop->chunks;
    size_t room = flow_room(f, pool);
    struct slice in;
    if (f->ended || room == 0)
        return ERR_AGAIN;
    enum err e = conn_read(c, room, &in);
    if (e == OK) {
        flow_lend(f, pool, in);
        conn_keep(c, slice_from(in, in.n), false);
    } else if (e == ERR_EOF) {
        flow_end(f);
    }
    return e;
}

static void broke(struct exchange *x, enum raw_side side)
{
    if (side == RAW_FRONT)
        exchange_gone(x);
    else
        exchange_back_failed(x, REASON_TARGET_RESET, true, true);
}

static void filled(struct exchange *x, enum raw_side side)
{
    exchange_progress(x);
    side == RAW_FRONT ? exchange_up(x) : exchange_down(x);
    if (!exchange_done(x) && x->raw && flow_finished(&x->up) && flow_finished(&x->down))
        exchange_up_taken(x);
}

void end_raw_turn(struct exchange *x, struct conn *c, enum raw_side side)
{
    struct flow *in = filled_by(x, side), *out = drained_by(x, side);
    if (push(x, c, out))
        side == RAW_FRONT ? exchange_down_taken(x) : exchange_up_taken(x);
    if (exchange_done(x))
        return;
    enum err e = pull(x, c, in);
    if (e == OK || e == ERR_EOF)
        filled(x, side);
    if (exchange_done(x))
        return;
    if (e == ERR_RESET || c->broken) {
        broke(x, side);
        return;
    }
    flow_settle(in, &x->proxy->loop->chunks);
    conn_settle(c, !in->ended && flow_room(in, &x->proxy->loop->chunks));
}

void end_raw_wake(struct exchange *x, struct conn *c, enum raw_side side, unsigned what)
{
    if (what & WAKE_TAKE)
        (void)push(x, c, drained_by(x, side));
    if (c->broken && c->task)
        loop_push(c->loop, c->task);
    else if (what & WAKE_ROOM)
        conn_unblock(c);
}

/* ---- the client's side of a TCP connection ---- */

static void no_head(struct endpoint *ep)
{
    CHECK(!ep);
}

static void front_wake(struct endpoint *ep, unsigned what)
{
    struct session *s = container_of(ep, struct session, front);
    end_raw_wake(ep->x, s->conn, RAW_FRONT, what);
}

static void front_close(struct endpoint *ep, enum end end)
{
    session_close(container_of(ep, struct session, front), end != END_OK);
}

static const struct endpoint_ops front_ops = {no_head, front_wake, front_close};

static void front_run(struct task *t)
{
    struct session *s = container_of(t, struct session, task);
    if (s->closed)
        return;
    struct exchange *x = s->front.x;
    if (timer_take(&s->timer))
        exchange_timeout(x);
    if (!s->front.x)
        return;
    if (conn_flush(s->conn) != OK)
        exchange_gone(x);
    else
        end_raw_turn(x, s->conn, RAW_FRONT);
    session_count_bytes(s);
}

void end_raw_start(struct session *s)
{
    struct exchange_client client = session_client(s);
    s->front.ops = &front_ops;
    s->task.run = front_run;
    struct exchange *x = exchange_new(s->proxy, s->slot, session_snapshot(s), session_listener(s),
                                      &s->front, &client);
    if (x)
        exchange_connect(x);
    else
        session_close(s, true);
}

void end_raw_accept(struct proxy *p, unsigned slot, int fd, const struct addr *peer,
                    const struct addr *local)
{
    struct session *s = session_new(p, slot, fd, peer, local, &front_ops, front_run);
    if (s)
        end_raw_start(s);
}

/* ---- the target's side ---- */

struct raw_back {
    struct endpoint ep;
    struct conn *conn;
    struct task task;
};

_Static_assert(sizeof(struct raw_back) <= EXCHANGE_BACK_BYTES, "the exchange has room for it");

static void back_wake(struct endpoint *ep, unsigned what)
{
    end_raw_wake(ep->x, container_of(ep, struct raw_back, ep)->conn, RAW_BACK, what);
}

static void back_close(struct endpoint *ep, enum end end)
{
    struct raw_back *b = container_of(ep, struct raw_back, ep);
    task_cancel(&b->task);
    if (end != END_OK)
        lease_abort(&ep->x->lease);
    ep->x = NULL;
}

static const struct endpoint_ops back_ops = {no_head, back_wake, back_close};

static void back_run(struct task *t)
{
    struct raw_back *b = container_of(t, struct raw_back, task);
    struct exchange *x = b->ep.x;
    if (conn_flush(b->conn) != OK)
        exchange_back_failed(x, REASON_TARGET_RESET, true, true);
    else
        end_raw_turn(x, b->conn, RAW_BACK);
}

struct endpoint *end_raw_back(struct exchange *x)
{
    struct raw_back *b = (struct raw_back *)(void *)x->back_mem;
    *b = (struct raw_back){.ep = {&back_ops, x}, .conn = x->lease.link->conn};
    task_init(&b->task, back_run);
    conn_own(b->conn, &b->task);
    return &b->ep;
}
