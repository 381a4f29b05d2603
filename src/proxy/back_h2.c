#include "back_h2_stream.h"

#include "net/tls.h"

#define SESSION_MAGIC 0x48324253

size_t back_h2_bytes(void)
{
    return sizeof(struct back_h2);
}

static struct chunkpool *chunks_of(const struct back_h2 *b)
{
    return &b->proxy->loop->chunks;
}

static uint64_t now_of(const struct back_h2 *b)
{
    return b->proxy->loop->clock.now_ms;
}

void back_h2_mark(struct back_h2 *b)
{
    if (!b->running && !b->closed)
        loop_push(b->proxy->loop, &b->task);
}

/* ---- output ---- */

bool back_h2_send(struct back_h2 *b)
{
    struct iovec iov = {.iov_base = b->proxy->loop->head};
    if (b->closed || conn_unsent(b->conn) || b->conn->broken)
        return false;
    if (h2_session_pull(&b->h2, iov.iov_base, LOOP_HEAD_BYTES, &iov.iov_len) != OK && !iov.iov_len)
        return false;
    return iov.iov_len && conn_write(b->conn, &iov, 1) == OK;
}

/* ---- events ---- */

static void take_settings(struct back_h2 *b)
{
    uint32_t n = b->h2.streams_max;
    link_set_slots(b->link, n < BACK_H2_SLOTS_MAX ? n : BACK_H2_SLOTS_MAX);
    if (b->greeted)
        return;
    b->greeted = true;
    link_started(b->link, n ? OK : ERR_REFUSED);
}

static void on_event(struct back_h2 *b, const struct h2_event *ev)
{
    switch (ev->type) {
    case H2_EVENT_HEAD:
    case H2_EVENT_DATA:
    case H2_EVENT_TRAILERS:
        back_h2_stream_take(b, ev);
        return;
    case H2_EVENT_SETTINGS:
        take_settings(b);
        return;
    case H2_EVENT_GOAWAY:
        link_drain(b->link);
        return;
    case H2_EVENT_PONG:
    case H2_EVENT_NONE:
        return;
    }
}

static void take(struct back_h2 *b, struct slice in)
{
    struct h2_event ev;
    b->heard_ms = now_of(b);
    while (in.n && !b->closed && h2_session_feed(&b->h2, now_of(b), &in, &ev) == OK)
        on_event(b, &ev);
    back_h2_stream_close_ended(b);
}

/* ---- the end ---- */

static void session_reap(struct reapable *r)
{
    struct back_h2 *b = container_of(r, struct back_h2, reapable);
    b->magic = 0;
    pool_put(&b->proxy->back_sessions, b);
}

static void end_session(struct back_h2 *b)
{
    h2_session_fini(&b->h2);
    back_h2_stream_free_all(b);
    task_cancel(&b->task);
    b->reapable.reap = session_reap;
    loop_reap(b->proxy->loop, &b->reapable);
}

/* From the link, perhaps while the task runs: then it ends the session. */
static void close_session(struct link *k)
{
    struct back_h2 *b = k->session;
    CHECK_MAGIC(b, SESSION_MAGIC);
    if (!b->lost && !b->running) {
        (void)back_h2_send(b); /* what was cancelled just now */
        h2_session_terminate(&b->h2, H2_CODE_NO_ERROR);
        (void)back_h2_send(b);
    }
    b->closed = true;
    if (!b->running)
        end_session(b);
}

static void lose_session(struct back_h2 *b, enum err e)
{
    if (b->h2.failed)
        (void)back_h2_send(b);
    b->lost = true;
    if (!b->greeted) {
        link_started(b->link, b->h2.failed ? ERR_UNSUPPORTED : ERR_RESET);
        return;
    }
    link_drain(b->link);
    back_h2_stream_lose(b, e);
}

/* ---- the task ---- */

static bool may_read(const struct back_h2 *b)
{
    return !b->lost && h2_session_queued(&b->h2) < H2_SESSION_QUEUE_MAX;
}

static enum err read_frames(struct back_h2 *b)
{
    struct slice in;
    if (!may_read(b))
        return ERR_AGAIN;
    enum err e = conn_read(b->conn, LOOP_RECV_BYTES, &in);
    if (e != OK)
        return e;
    take(b, in);
    if (!b->closed)
        conn_keep(b->conn, slice_from(in, in.n), false);
    return OK;
}

static void write_frames(struct back_h2 *b)
{
    int pulls = 0;
    back_h2_stream_tell_taken(b); /* of what wake() sent at once */
    while (pulls < BACK_H2_PULLS && back_h2_send(b)) {
        back_h2_stream_tell_taken(b);
        pulls++;
    }
    if (pulls == BACK_H2_PULLS)
        loop_push(b->proxy->loop, &b->task);
}

static bool is_lost(const struct back_h2 *b, enum err e)
{
    return b->h2.failed || b->conn->broken || e == ERR_RESET || e == ERR_EOF || e == ERR_LIMIT;
}

static void back_run(struct task *t)
{
    struct back_h2 *b = container_of(t, struct back_h2, task);
    if (b->lost)
        return;
    b->running = true;
    enum err e = conn_flush(b->conn) == OK ? read_frames(b) : ERR_RESET;
    write_frames(b);
    if (!b->closed && is_lost(b, e))
        lose_session(b, e);
    b->running = false;
    if (b->closed)
        end_session(b);
    else
        conn_settle(b->conn, may_read(b));
}

/* ---- the beginning ---- */

static bool agreed(const struct conn *c)
{
    return !c->transport || slice_eq(tls_info(c).alpn, SLICE("h2"));
}

static enum err start_session(struct link *k, struct upstream *up)
{
    struct proxy *p = container_of(up, struct proxy, upstream);
    struct h2_settings settings = H2_SETTINGS_CLIENT;
    settings.memory = &p->h2_memory;
    if (!agreed(k->conn))
        return ERR_UNSUPPORTED;
    struct back_h2 *b = pool_get(&p->back_sessions);
    CHECK(b); /* the pool has no limit: links have */
    *b = (struct back_h2){.magic = SESSION_MAGIC, .proxy = p, .link = k, .conn = k->conn};
    list_init(&b->streams);
    task_init(&b->task, back_run);
    if (h2_session_init(&b->h2, chunks_of(b), &p->limits, &settings, now_of(b)) != OK) {
        b->reapable.reap = session_reap;
        loop_reap(p->loop, &b->reapable);
        return ERR_NOMEM;
    }
    k->session = b;
    conn_own(k->conn, &b->task);
    loop_push(p->loop, &b->task);
    return ERR_AGAIN;
}

struct endpoint *back_h2_start(struct exchange *x)
{
    struct back_h2 *b = x->lease.link->session;
    CHECK_MAGIC(b, SESSION_MAGIC);
    return back_h2_stream_new(b, x);
}

const struct link_ops back_h2_link_ops = {start_session, close_session};
