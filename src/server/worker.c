#include "server/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "server/connection_log.h"
#include "server/thread.h"

#define CACHE_LINE ((size_t)64) /* two workers never share one */

/* ---- commands ---- */

static void arrived(struct message *m)
{
    struct worker_command *c = container_of(m, struct worker_command, message);
    c->done(c);
}

static void answer(struct worker_command *c)
{
    c->message.run = arrived;
    loop_post(c->worker->shared->control, &c->message);
}

static void on_connection(struct proxy *p, const struct connection_report *r)
{
    struct worker *w = p->owner;
    connection_log_write(&w->connection_log, &w->loop.clock, r);
}

/* Sockets of removed listeners are emptied while their listener is still known. */
static void adopt(struct worker *w, struct worker_command *c)
{
    acceptor_retire(&w->acceptor, c->plan);
    proxy_adopt(&w->proxy, c->snapshot);
    acceptor_adopt(&w->acceptor, c->plan);
    access_log_configure(&w->access_log, &c->snapshot->config->access_log, c->access_output);
    line_log_configure(&w->connection_log, c->connection_output);
    w->proxy.on_connection = c->connection_output ? on_connection : NULL;
    free(c->plan);
    c->plan = NULL;
    answer(c);
}

static void begin_to_listen(struct worker *w, struct worker_command *c)
{
    c->error = acceptor_listen(&w->acceptor, &c->failed) == OK ? 0 : errno;
    answer(c);
}

static void deregister(struct worker *w, struct worker_command *c)
{
    proxy_deregister(&w->proxy, c->target);
    answer(c);
}

static void close_idle(struct worker *w, struct worker_command *c)
{
    if (target_flags(c->target) & TARGET_DRAINING)
        link_close_idle(c->target, w->index);
    answer(c);
}

static void answer_when_stopped(struct worker *w)
{
    if (!w->stopping)
        return;
    if (!list_empty(&w->proxy.session_list)) {
        loop_timer(&w->loop, &w->stop_timer, WORKER_STOPPED_CHECK_MS);
        return;
    }
    answer(w->stopping);
    w->stopping = NULL;
}

static void on_stop_timer(struct task *t)
{
    struct worker *w = container_of(t, struct worker, stop_task);
    (void)timer_take(&w->stop_timer);
    answer_when_stopped(w);
}

static void stop(struct worker *w, struct worker_command *c)
{
    acceptor_retire(&w->acceptor, NULL);
    proxy_stop(&w->proxy);
    w->stopping = c;
    loop_push(&w->loop, &w->stop_task);
}

static void cut(struct worker *w, struct worker_command *c)
{
    proxy_cut(&w->proxy);
    loop_push(&w->loop, &w->stop_task);
    answer(c);
}

/* What is closed in this turn is reaped before the loop returns. */
static void quit(struct worker *w, struct worker_command *c)
{
    acceptor_retire(&w->acceptor, NULL);
    proxy_cut(&w->proxy);
    loop_stop(&w->loop);
    answer(c);
}

static void carry_out(struct message *m)
{
    static void (*const orders[])(struct worker *, struct worker_command *) = {
        [WORKER_ADOPT] = adopt,           [WORKER_LISTEN] = begin_to_listen,
        [WORKER_DEREGISTER] = deregister, [WORKER_CLOSE_IDLE] = close_idle,
        [WORKER_STOP] = stop,             [WORKER_CUT] = cut,
        [WORKER_QUIT] = quit,
    };
    struct worker_command *c = container_of(m, struct worker_command, message);
    orders[c->order](c->worker, c);
}

void worker_send(struct worker *w, struct worker_command *c)
{
    c->worker = w;
    c->message.run = carry_out;
    loop_post(&w->loop, &c->message);
}

/* ---- snapshots let go ---- */

struct release {
    struct message message;
    const struct worker_shared *shared;
    struct snapshot *snapshot;
};

static void deliver_release(struct message *m)
{
    struct release *r = container_of(m, struct release, message);
    r->shared->released(r->shared->ctx, r->snapshot);
    free(r);
}

static void on_released(struct proxy *p, struct snapshot *s)
{
    struct worker *w = p->owner;
    struct release *r = malloc(sizeof(*r));
    CHECK(r);
    *r = (struct release){{.run = deliver_release}, w->shared, s};
    loop_post(w->shared->control, &r->message);
}

/* ---- gauges ---- */

static inline void show(struct counter *c, uint64_t v)
{
    if (counter_get(c) != v)
        atomic_store_explicit(&c->v, v, memory_order_relaxed);
}

/* After the loop's own prepare watcher, which runs the tasks and reaps. */
static void on_turn_end(struct ev_loop *ev, struct ev_prepare *p, int revents)
{
    (void)ev;
    (void)revents;
    struct worker *w = p->data;
    struct worker_gauges *g = &w->gauges;
    show(&g->sessions, w->proxy.sessions.live);
    show(&g->streams, w->proxy.streams.live);
    show(&g->exchanges, w->proxy.exchanges.live);
    show(&g->conns, w->loop.conns.live);
    show(&g->links, w->proxy.upstream.links.live);
    show(&g->buffer_bytes, w->loop.chunks.used_bytes);
}

static void watch_turns(struct worker *w)
{
    ev_prepare_init(&w->turn_end, on_turn_end);
    ev_set_priority(&w->turn_end, EV_MINPRI);
    w->turn_end.data = w;
    ev_prepare_start(w->loop.ev, &w->turn_end);
}

/* ---- life ---- */

static unsigned sessions_max(const struct acceptor_limit *l)
{
    uint64_t n = 2 * (l->max_connections + ACCEPTOR_RESERVE);
    return n < UINT32_MAX ? (unsigned)n : UINT32_MAX;
}

enum err worker_new(struct worker **out, unsigned index, const struct worker_shared *shared)
{
    struct worker *w = aligned_alloc(CACHE_LINE, (sizeof(*w) + CACHE_LINE - 1) & ~(CACHE_LINE - 1));
    if (!w)
        return ERR_NOMEM;
    *w = (struct worker){.index = index, .shared = shared};
    enum err e = loop_init(&w->loop, SIZE_MAX);
    if (e != OK) {
        free(w);
        return e;
    }
    conn_pool_init(&w->loop, UINT32_MAX);
    counters_init(&w->counters);
    /* The acceptor keeps the limit; the closed ones wait for the reap. */
    proxy_init(&w->proxy, &w->loop, index, sessions_max(&shared->limit));
    log_feed_init(&w->feed, &w->loop, shared->log);
    access_log_init(&w->access_log, &w->loop, log_feed_sink(&w->feed));
    line_log_init(&w->connection_log, &w->loop, shared->log);
    acceptor_init(&w->acceptor, &w->proxy, &shared->limit);
    w->proxy.counters = &w->counters;
    w->proxy.access_log = &w->access_log;
    w->proxy.upstream.bell = shared->bell;
    w->proxy.released = on_released;
    w->proxy.leaving = shared->leaving;
    w->proxy.owner = w;
    task_init(&w->stop_task, on_stop_timer);
    timer_init(&w->stop_timer, &w->stop_task);
    watch_turns(w);
    *out = w;
    return OK;
}

static void *run(void *arg)
{
    struct worker *w = arg;
    char name[16];
    snprintf(name, sizeof(name), "worker %u", w->index % 10000);
    thread_begin(name);
    loop_run(&w->loop);
    access_log_fini(&w->access_log);
    line_log_stop(&w->connection_log);
    return NULL;
}

enum err worker_start(struct worker *w)
{
    return thread_start(&w->thread, run, w);
}

void worker_close(struct worker *w)
{
    loop_turn(&w->loop); /* log buffers on their way home */
    log_feed_fini(&w->feed);
    line_log_fini(&w->connection_log);
    timer_del(&w->loop.wheel, &w->stop_timer);
    acceptor_fini(&w->acceptor);
    proxy_fini(&w->proxy);
    counters_fini(&w->counters);
    loop_fini(&w->loop);
    free(w);
}
