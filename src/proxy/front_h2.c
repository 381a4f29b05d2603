#include "front_h2_stream.h"

#define NOTICE_MS 5000 /* for the client to answer the PING behind the first GOAWAY */
#define REST_MS   2000 /* without a request, nor any frame: long beside what waking up costs */

size_t front_h2_bytes(void)
{
    return sizeof(struct front_h2);
}

static struct loop *loop_of(const struct front_h2 *f)
{
    return f->s.conn->loop;
}

static uint64_t now_of(const struct front_h2 *f)
{
    return loop_of(f)->clock.now_ms;
}

static const struct config *config_of(const struct front_h2 *f)
{
    return session_listener(&f->s)->root;
}

void front_h2_count(struct front_h2 *f, enum reason why)
{
    counter_add(&counters_of(f->s.proxy->counters, f->s.slot)->reasons[why], 1);
}

void front_h2_mark(struct front_h2 *f)
{
    if (!f->running)
        loop_push(loop_of(f), &f->s.task);
}

/* ---- output ---- */

bool front_h2_send(struct front_h2 *f)
{
    struct iovec iov = {.iov_base = loop_of(f)->head};
    if (conn_unsent(f->s.conn) || f->s.conn->broken)
        return false;
    if (h2_session_pull(&f->h2, iov.iov_base, LOOP_HEAD_BYTES, &iov.iov_len) != OK && !iov.iov_len)
        return false;
    return iov.iov_len && conn_write(f->s.conn, &iov, 1) == OK;
}

/* ---- events ---- */

static void become_leaving(struct front_h2 *f)
{
    f->state = FRONT_LEAVING;
    f->notice_at = 0;
    h2_session_goaway(&f->h2);
}

static void on_event(struct front_h2 *f, const struct h2_event *ev)
{
    switch (ev->type) {
    case H2_EVENT_HEAD:
    case H2_EVENT_DATA:
    case H2_EVENT_TRAILERS:
        front_h2_stream_take(f, ev);
        return;
    case H2_EVENT_PONG:
        if (f->state == FRONT_NOTICED)
            become_leaving(f);
        return;
    case H2_EVENT_NONE:
    case H2_EVENT_SETTINGS: /* these two: of targets */
    case H2_EVENT_GOAWAY:
        return;
    }
}

static void take(struct front_h2 *f, struct slice in)
{
    struct h2_event ev;
    while (in.n && h2_session_feed(&f->h2, now_of(f), &in, &ev) == OK)
        on_event(f, &ev);
    front_h2_stream_pass_waiting(f);
    front_h2_stream_tell_taken(f); /* also of what wake() sent since the last run */
}

/* ---- the task ---- */

/* Of the session, streams included; what is unsent is dropped. */
static void end_session(struct front_h2 *f, bool reset)
{
    front_h2_stream_drop(f, REASON_CLIENT_GONE);
    h2_session_fini(&f->h2);
    front_h2_stream_close_all(f);
    session_close(&f->s, reset);
}

/* All that is to be said is in the conn. */
static void become_lingering(struct front_h2 *f)
{
    enum reason why = f->h2.failed ? f->h2.why : REASON_CLIENT_GONE;
    if (f->h2.failed)
        front_h2_count(f, why);
    front_h2_stream_drop(f, why);
    f->state = FRONT_LINGER;
    session_begin_linger(&f->s, &f->budget);
}

static bool has_served_enough(const struct front_h2 *f)
{
    return f->s.ending || f->h2.requests >= config_of(f)->limits.http2_requests ||
           session_too_old(&f->s);
}

static void give_notice(struct front_h2 *f)
{
    f->state = FRONT_NOTICED;
    f->notice_at = now_of(f) + NOTICE_MS;
    h2_session_notice(&f->h2);
}

static bool past(const struct front_h2 *f, uint64_t deadline)
{
    return deadline && deadline <= now_of(f);
}

static void on_timer(struct front_h2 *f)
{
    if (!timer_take(&f->s.timer))
        return;
    if (past(f, f->head_at)) {
        front_h2_count(f, REASON_REQUEST_TIMEOUT);
        front_h2_stream_drop(f, REASON_CLIENT_TIMEOUT);
        h2_session_terminate(&f->h2, H2_CODE_ENHANCE_YOUR_CALM);
    } else if (past(f, f->idle_at)) {
        h2_session_terminate(&f->h2, H2_CODE_NO_ERROR);
    } else if (past(f, f->notice_at) && f->state == FRONT_NOTICED) {
        become_leaving(f);
    } else if (past(f, f->rest_at)) {
        h2_session_rest(&f->h2);
    }
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return !a || (b && b < a) ? b : a;
}

/* A head or a greeting that has begun must become whole, a client without a request may stay for a
 * while. A head that is open is the same one as before while no request was completed. */
static void set_deadlines(struct front_h2 *f)
{
    uint64_t now = now_of(f);
    bool partial = f->h2.head_open || !f->h2.greeted;
    if (!partial || f->h2.requests != f->requests_seen)
        f->head_at = 0;
    f->requests_seen = f->h2.requests;
    if (partial && !f->head_at)
        f->head_at = now + config_of(f)->timeouts.request_head_ms;
    if (f->active)
        f->idle_at = 0;
    else if (!f->idle_at)
        f->idle_at = now + session_listener(&f->s)->config->attributes.idle_timeout_ms;
    f->rest_at = !f->active && f->h2.warm ? now + REST_MS : 0;
    loop_timer_at(loop_of(f), &f->s.timer,
                  sooner(sooner(f->head_at, f->rest_at), sooner(f->idle_at, f->notice_at)));
}

/* Not more than the codec can answer: a client that takes no answers has to wait. */
static bool may_read(const struct front_h2 *f)
{
    return f->state == FRONT_LINGER || h2_session_queued(&f->h2) < H2_SESSION_QUEUE_MAX;
}

static enum err read_frames(struct front_h2 *f)
{
    struct slice in;
    if (!may_read(f))
        return ERR_AGAIN;
    enum err e = conn_read(f->s.conn, LOOP_RECV_BYTES, &in);
    if (e == OK) {
        take(f, in);
        conn_keep(f->s.conn, slice_from(in, in.n), false);
    }
    return e;
}

static void write_frames(struct front_h2 *f)
{
    int pulls = 0;
    front_h2_stream_tell_taken(f); /* of what wake() sent at once */
    while (pulls < FRONT_H2_PULLS && front_h2_send(f)) {
        front_h2_stream_tell_taken(f);
        pulls++;
    }
    if (pulls == FRONT_H2_PULLS)
        loop_push(loop_of(f), &f->s.task);
}

static bool is_over(const struct front_h2 *f)
{
    return (f->h2.failed || h2_session_over(&f->h2)) && !h2_session_wants_out(&f->h2);
}

static void turn(struct front_h2 *f)
{
    f->running = true;
    on_timer(f);
    if (f->state == FRONT_OPEN && has_served_enough(f))
        give_notice(f);
    enum err e = read_frames(f);
    write_frames(f);
    f->running = false;
    if (f->s.conn->broken || e == ERR_RESET || e == ERR_EOF || e == ERR_LIMIT)
        end_session(f, false);
    else if (is_over(f))
        become_lingering(f);
    else
        set_deadlines(f);
}

static void front_run(struct task *t)
{
    struct front_h2 *f = container_of(t, struct front_h2, s.task);
    bool lingers = f->state == FRONT_LINGER;
    if (conn_flush(f->s.conn) != OK || (lingers && session_linger(&f->s, &f->budget)))
        end_session(f, false);
    else if (!lingers)
        turn(f);
    if (f->s.closed)
        return;
    session_count_bytes(&f->s);
    conn_settle(f->s.conn, may_read(f));
}

/* A deadline passed: what can be said without waiting is said. */
static void cut(struct session *s)
{
    struct front_h2 *f = container_of(s, struct front_h2, s);
    front_h2_stream_drop(f, REASON_DRAIN_TIMEOUT);
    if (f->state != FRONT_LINGER) {
        h2_session_terminate(&f->h2, H2_CODE_NO_ERROR);
        front_h2_send(f);
    }
    end_session(f, false);
}

static void visit(struct session *s, session_visitor *visitor, void *ctx)
{
    front_h2_stream_visit(container_of(s, struct front_h2, s), visitor, ctx);
}

void front_h2_begin(struct session *s)
{
    struct front_h2 *f = container_of(s, struct front_h2, s);
    struct proxy *p = s->proxy;
    const struct config_limits *l = &config_of(f)->limits;
    struct h2_settings settings = {
        .streams = l->http2_streams,
        .resets = {l->http2_resets, l->http2_resets / 6 + 1},
        .controls = {l->http2_control_frames, l->http2_control_frames / 5 + 1},
        .memory = &p->h2_memory,
        .websockets =
            session_listener(s)->config->attributes.http2_websockets ? &p->loop->rng : NULL,
    };
    CHECK(!s->front.x);
    memset((char *)f + sizeof(f->s), 0, sizeof(*f) - sizeof(f->s));
    list_init(&f->streams);
    s->task.run = front_run;
    s->front.ops = NULL;
    s->cut = cut;
    s->visit = visit;
    if (h2_session_init(&f->h2, &p->loop->chunks, &p->limits, &settings, now_of(f)) != OK) {
        session_close(s, false);
        return;
    }
    set_deadlines(f);
    loop_push(p->loop, &s->task);
}
