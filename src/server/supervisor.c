#include "server/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/version.h"
#include "server/descriptors.h"
#include "server/privileges.h"
#include "server/server.h"
#include "server/stats.h"

#define LOG_STOP_MS 5000 /* for the last lines; a stuck pipe must not keep the process */

enum phase { PHASE_SERVING, PHASE_STOPPING, PHASE_QUITTING };

struct supervisor {
    struct server server;
    enum phase phase;
    unsigned stop_signals;
    int exit_code;
    unsigned stops_due, quits_due; /* answers of workers */
    struct worker_command *stops, *cuts, *quits;
    struct timer deadline;
    struct task deadline_task;
};

/* ---- stopping ---- */

static void send_all(struct supervisor *v, struct worker_command *commands, enum worker_order order,
                     void (*done)(struct worker_command *c))
{
    for (unsigned w = 0; w < v->server.workers_n; w++) {
        commands[w] = (struct worker_command){.order = order, .done = done, .owner = v};
        worker_send(v->server.workers[w], &commands[w]);
    }
}

static void on_quit(struct worker_command *c)
{
    struct supervisor *v = c->owner;
    if (--v->quits_due == 0)
        loop_stop(&v->server.loop);
}

static void quit(struct supervisor *v)
{
    v->phase = PHASE_QUITTING;
    v->quits_due = v->server.workers_n;
    send_all(v, v->quits, WORKER_QUIT, on_quit);
}

static void on_stopped(struct worker_command *c)
{
    struct supervisor *v = c->owner;
    if (--v->stops_due == 0)
        quit(v);
}

static void on_cut(struct worker_command *c)
{
    (void)c; /* the answer to the stop follows */
}

static void cut(struct supervisor *v, const char *why)
{
    if (v->phase != PHASE_STOPPING || v->cuts[0].worker)
        return;
    log_warning("stop: %s: open connections are cut", why);
    send_all(v, v->cuts, WORKER_CUT, on_cut);
}

static void on_deadline(struct task *t)
{
    struct supervisor *v = container_of(t, struct supervisor, deadline_task);
    if (timer_take(&v->deadline))
        cut(v, "timeouts.shutdown has passed");
}

static void stop(struct supervisor *v)
{
    struct server *s = &v->server;
    v->phase = PHASE_STOPPING;
    s->stopping = true;
    v->stops_due = s->workers_n;
    send_all(v, v->stops, WORKER_STOP, on_stopped);
    uint32_t patience_ms = s->snapshots.current->config->timeouts.shutdown_ms;
    if (patience_ms)
        loop_timer(&s->loop, &v->deadline, patience_ms);
    else
        cut(v, "timeouts.shutdown is 0");
}

static void on_stop_signal(struct supervisor *v, int signo)
{
    switch (++v->stop_signals) {
    case 1:
        log_info("stop: signal %d: waiting for what is open", signo);
        stop(v);
        break;
    case 2:
        cut(v, "a second signal");
        break;
    default:
        _exit(1);
    }
}

/* ---- signals ---- */

static void on_signal(void *ctx, int signo)
{
    struct supervisor *v = ctx;
    switch (signo) {
    case SIGHUP:
        reload_request(&v->server.reload);
        break;
    case SIGUSR1:
        log_writer_reopen(&v->server.log);
        break;
    case SIGUSR2:
        log_error("SIGUSR2: binary upgrade is not built in this version");
        break;
    default:
        on_stop_signal(v, signo);
    }
}

/* ---- admin ---- */

static void answer_health(const struct server *s, struct admin_answer *a)
{
    a->status = s->stopping ? 503 : 200;
    strbuf_str(&a->body, s->stopping ? "stopping\n" : "ok\n");
}

static void on_admin(void *ctx, struct slice path, struct admin_answer *a)
{
    const struct server *s = ctx;
    a->status = 200;
    if (slice_eq(path, SLICE("/healthz"))) {
        answer_health(s, a);
    } else if (slice_eq(path, SLICE("/status"))) {
        a->content_type = "application/json";
        stats_json_write(s, &a->body);
    } else if (slice_eq(path, SLICE("/metrics"))) {
        a->content_type = "text/plain; version=0.0.4; charset=utf-8";
        stats_metrics_write(s, &a->body);
    } else {
        a->status = 404;
        strbuf_str(&a->body, "Here are /healthz, /status and /metrics.\n");
    }
}

/* ---- the start: what may fail, in the order of the header's picture ---- */

static void say_report(const struct report *r)
{
    struct strbuf text;
    strbuf_init(&text);
    report_text(r, &text);
    if (text.n)
        fputs(text.p, stderr);
    strbuf_fini(&text);
}

/* As the user who will reload it, so that what would fail then fails now. */
static struct config *load_as_user(struct loading *l)
{
    bool changed;
    struct strbuf why;
    struct config *c = loading_read(l);
    if (!c)
        return NULL;
    strbuf_init(&why);
    if (privileges_drop(c->user, &changed, &why) != OK) {
        log_error("%s", why.p);
        model_free(c);
        c = NULL;
    } else if (changed) {
        const char *path = l->path;
        model_free(c);
        loading_fini(l);
        loading_init(l, path, NULL);
        c = loading_read(l);
    }
    strbuf_fini(&why);
    return c;
}

static struct snapshot *load(const char *path)
{
    struct loading l;
    loading_init(&l, path, NULL);
    struct config *c = load_as_user(&l);
    if (c)
        loading_compile(&l, c);
    say_report(&l.report);
    loading_fini(&l);
    return l.snapshot;
}

static enum err bind_admin(struct server *s, const struct config *c, struct strbuf *why)
{
    char text[ADDR_TEXT_MAX];
    if (addr_family(&c->admin.listen) == AF_UNSPEC)
        return OK;
    enum err e = admin_bind(&s->admin, &c->admin.listen);
    if (e != OK)
        strbuf_printf(why, "admin: %.*s: %s", (int)addr_format(&c->admin.listen, text), text,
                      strerror(errno));
    return e;
}

static enum err open_all(struct server *s, struct snapshot *first, struct outputs *outputs,
                         struct strbuf *why)
{
    enum err e = outputs_open(outputs, &s->outputs, first->config, why);
    if (e == OK)
        e = listeners_bind(&s->listeners, first->config, why);
    if (e == OK)
        e = bind_admin(s, first->config, why);
    if (e == OK && snapshots_bind(&s->snapshots, first) != OK) {
        strbuf_printf(why, "there are more than %d listeners", SLOTS_MAX);
        e = ERR_LIMIT;
    }
    return e;
}

/* ---- threads ---- */

static void on_released(void *ctx, struct snapshot *old)
{
    struct server *s = ctx;
    snapshots_released(&s->snapshots, old);
}

static enum err make_workers(struct server *s)
{
    for (unsigned w = 0; w < s->workers_n; w++) {
        enum err e = worker_new(&s->workers[w], w, &s->shared);
        if (e != OK)
            return e;
        s->shared.limit.counters[w] = &s->workers[w]->counters;
    }
    return OK;
}

static enum err start_threads(struct server *s, const struct config *c, struct outputs *outputs)
{
    enum err e = log_writer_start(&s->log, outputs->errors);
    if (e != OK)
        return e;
    s->outputs.errors = outputs->errors; /* the writer has it already */
    log_setup(c->log.level, c->log.format, log_writer_sink, &s->log);
    for (unsigned w = 0; w < s->workers_n && e == OK; w++)
        e = worker_start(s->workers[w]);
    return e;
}

static void on_started(struct server *s, int error)
{
    struct supervisor *v = container_of(s, struct supervisor, server);
    if (!error && admin_listen(&s->admin) != OK) {
        error = errno;
        log_error("admin: %s", strerror(error));
    }
    if (error) {
        v->exit_code = 1;
        if (v->phase == PHASE_SERVING)
            stop(v);
        return;
    }
    s->ready = true;
    log_info("tenbin " VERSION " serves with %u workers", s->workers_n);
    reload_started(&s->reload);
}

/* ---- all of it ---- */

static void *array(unsigned n, size_t size)
{
    void *p = calloc(n, size);
    CHECK(p);
    return p;
}

static enum err init(struct supervisor *v, const char *path, const struct config *c)
{
    struct server *s = &v->server;
    enum err e = loop_init(&s->loop, SIZE_MAX);
    if (e != OK)
        return e;
    conn_pool_init(&s->loop, ADMIN_CONNECTIONS);
    s->path = path;
    s->signals.fd = -1;
    s->started_ms = s->loop.clock.now_ms;
    s->workers_n = c->workers;
    s->workers = array(s->workers_n, sizeof(*s->workers));
    s->shared = (struct worker_shared){
        .control = &s->loop,
        .log = &s->log,
        .limit = {.max_connections = c->limits.max_connections,
                  .workers = s->workers_n,
                  .counters = array(s->workers_n, sizeof(*s->shared.limit.counters))},
        .released = on_released,
        .ctx = s,
    };
    snapshots_init(&s->snapshots, &s->loop, s->workers_n);
    listeners_init(&s->listeners, s->workers_n);
    publish_init(&s->publish, s);
    reload_init(&s->reload, s);
    admin_init(&s->admin, &s->loop, on_admin, s);
    v->stops = array(s->workers_n, sizeof(*v->stops));
    v->cuts = array(s->workers_n, sizeof(*v->cuts));
    v->quits = array(s->workers_n, sizeof(*v->quits));
    task_init(&v->deadline_task, on_deadline);
    timer_init(&v->deadline, &v->deadline_task);
    return OK;
}

static void fini(struct supervisor *v)
{
    struct server *s = &v->server;
    reload_fini(&s->reload);
    admin_fini(&s->admin);
    signals_fini(&s->signals);
    loop_turn(&s->loop); /* what workers let go of last */
    for (unsigned w = 0; w < s->workers_n; w++)
        if (s->workers[w])
            worker_close(s->workers[w]);
    snapshots_fini(&s->snapshots);
    listeners_fini(&s->listeners);
    publish_fini(&s->publish);
    timer_del(&s->loop.wheel, &v->deadline);
    loop_fini(&s->loop);
    free(s->workers);
    free(s->shared.limit.counters);
    free(v->stops);
    free(v->cuts);
    free(v->quits);
}

/* A thread that cannot be started is found out when others run: the process ends as it is. */
static _Noreturn void give_up(const char *what)
{
    log_setup(LOG_INFO, LOG_TEXT, NULL, NULL);
    log_error("%s", what);
    _exit(1);
}

static void join_threads(struct supervisor *v)
{
    struct server *s = &v->server;
    for (unsigned w = 0; w < s->workers_n; w++)
        (void)pthread_join(s->workers[w]->thread, NULL);
    if (!log_writer_stop(&s->log, LOG_STOP_MS))
        _exit(v->exit_code);
    log_setup(LOG_INFO, LOG_TEXT, NULL, NULL);
}

static void serve(struct supervisor *v, struct snapshot *first, struct outputs outputs)
{
    struct server *s = &v->server;
    if (start_threads(s, first->config, &outputs) != OK)
        give_up("no thread can be started");
    publish_begin(&s->publish, first, outputs, on_started);
    loop_run(&s->loop);
    join_threads(v);
}

static enum err prepare(struct supervisor *v, struct snapshot *first, struct outputs *outputs,
                        struct strbuf *why)
{
    struct server *s = &v->server;
    enum err e = open_all(s, first, outputs, why);
    if (e == OK && (e = signals_init(&s->signals, &s->loop, on_signal, v)) != OK)
        strbuf_printf(why, "signals: %s", strerror(errno));
    if (e == OK && (e = make_workers(s)) != OK)
        strbuf_str(why, "no memory for the workers");
    return e;
}

static void run(struct supervisor *v, struct snapshot *first)
{
    struct outputs outputs = {0}, none = {0};
    struct strbuf why;
    strbuf_init(&why);
    if (prepare(v, first, &outputs, &why) == OK) {
        serve(v, first, outputs);
    } else {
        log_error("%s", why.p);
        outputs_discard(&outputs, &none);
        snapshots_discard(&v->server.snapshots, first);
        v->exit_code = 1;
    }
    strbuf_fini(&why);
}

int supervisor_run(const char *path)
{
    struct snapshot *first = load(path);
    if (!first)
        return 1;
    struct supervisor *v = array(1, sizeof(*v));
    const struct config *c = first->config;
    log_setup(c->log.level, c->log.format, NULL, NULL);
    descriptors_raise(c->limits.max_connections);
    if (init(v, path, c) != OK)
        give_up("no memory for the event loop");
    run(v, first);
    fini(v);
    int code = v->exit_code;
    free(v);
    return code;
}
