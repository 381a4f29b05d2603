#include "server/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/version.h"
#include "server/admin_routes.h"
#include "server/descriptors.h"
#include "server/privileges.h"
#include "server/server.h"

#define LOG_STOP_MS 5000 /* for the last lines; a stuck pipe must not keep the process */

/* ---- signals ---- */

static void on_signal(void *ctx, int signo)
{
    struct server *s = ctx;
    switch (signo) {
    case SIGHUP:
        reload_request(&s->reload);
        break;
    case SIGUSR1:
        log_writer_reopen(&s->log);
        break;
    case SIGUSR2:
        log_error("SIGUSR2: binary upgrade is not built in this version");
        break;
    default:
        stop_signal(&s->stop, signo);
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

/* kept: what was changed at run time, before; its texts live in the arena. */
static struct snapshot *load(const char *path, struct arena *a, struct state *kept)
{
    struct loading l;
    loading_init(&l, path, NULL);
    struct config *c = load_as_user(&l);
    if (c && c->state_dir.n)
        (void)state_file_read(c->state_dir, a, kept);
    state_to_roster(kept, &l.roster);
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
    if (!error && admin_listen(&s->admin) != OK) {
        error = errno;
        log_error("admin: %s", strerror(error));
    }
    if (error) {
        s->exit_code = 1;
        stop_begin(&s->stop);
        return;
    }
    log_info("tenbin " VERSION " serves with %u worker%s", s->workers_n,
             s->workers_n == 1 ? "" : "s");
    reload_started(&s->reload);
}

/* ---- all of it ---- */

static void *array(unsigned n, size_t size)
{
    void *p = calloc(n, size);
    CHECK(p);
    return p;
}

static enum err init(struct server *s, const char *path, const struct config *c)
{
    enum err e = loop_init(&s->loop, SIZE_MAX);
    if (e != OK)
        return e;
    conn_pool_init(&s->loop, UINT32_MAX); /* admin has its own limit, checks are one a target */
    s->path = path;
    s->signals.fd = -1;
    s->started_ms = s->loop.clock.now_ms;
    s->workers_n = c->workers;
    s->workers = array(s->workers_n, sizeof(*s->workers));
    s->shared = (struct worker_shared){
        .control = &s->loop,
        .log = &s->log,
        .bell = &s->ejector.bell,
        .limit = {.max_connections = c->limits.max_connections,
                  .workers = s->workers_n,
                  .counters = array(s->workers_n, sizeof(*s->shared.limit.counters))},
        .leaving = &s->snapshots.registry.shifted.leaving,
        .released = on_released,
        .ctx = s,
    };
    snapshots_init(&s->snapshots, &s->loop, s->workers_n);
    roster_init(&s->roster);
    news_init(&s->news, &s->loop);
    shift_init(&s->shifts, &s->loop, &s->snapshots.registry);
    autoshift_init(&s->autoshift, &s->loop, &s->shifts);
    checker_init(&s->checker, &s->loop, &s->news);
    departures_init(&s->departures, s);
    mitigation_init(&s->mitigation, &s->loop, &s->news);
    ejector_init(&s->ejector, &s->loop, &s->news, &s->checker.slow_start);
    check_log_init(&s->check_log, &s->loop, &s->log);
    s->checker.report = check_log_write;
    s->checker.report_ctx = &s->check_log;
    discovery_init(&s->discovery, s);
    certificates_init(&s->certificates, s);
    listeners_init(&s->listeners, s->workers_n);
    publish_init(&s->publish, s);
    reload_init(&s->reload, s);
    operations_init(&s->operations, s);
    admin_init(&s->admin, &s->loop, admin_routes_answer, s);
    stop_init(&s->stop, s);
    return OK;
}

static void fini(struct server *s)
{
    reload_fini(&s->reload);
    admin_fini(&s->admin);
    signals_fini(&s->signals);
    loop_turn(&s->loop); /* what workers let go of last */
    for (unsigned w = 0; w < s->workers_n; w++)
        if (s->workers[w])
            worker_close(s->workers[w]);
    discovery_fini(&s->discovery);
    operations_fini(&s->operations);
    certificates_fini(&s->certificates);
    checker_fini(&s->checker);
    ejector_fini(&s->ejector);
    mitigation_fini(&s->mitigation);
    news_fini(&s->news);
    autoshift_fini(&s->autoshift);
    shift_fini(&s->shifts);
    departures_fini(&s->departures);
    line_log_fini(&s->check_log.lines);
    snapshots_fini(&s->snapshots);
    roster_fini(&s->roster);
    listeners_fini(&s->listeners);
    publish_fini(&s->publish);
    stop_fini(&s->stop);
    loop_fini(&s->loop);
    free(s->workers);
    free(s->shared.limit.counters);
}

/* A thread that cannot be started is found out when others run: the process ends as it is. */
static _Noreturn void give_up(const char *what)
{
    log_setup(LOG_INFO, LOG_TEXT, NULL, NULL);
    log_error("%s", what);
    _exit(1);
}

static void join_threads(struct server *s)
{
    for (unsigned w = 0; w < s->workers_n; w++)
        (void)pthread_join(s->workers[w]->thread, NULL);
    if (!log_writer_stop(&s->log, LOG_STOP_MS))
        _exit(s->exit_code);
    log_setup(LOG_INFO, LOG_TEXT, NULL, NULL);
}

static void serve(struct server *s, struct snapshot *first, struct outputs outputs)
{
    if (start_threads(s, first->config, &outputs) != OK)
        give_up("no thread can be started");
    publish_begin(&s->publish, first, outputs, on_started);
    loop_run(&s->loop);
    line_log_stop(&s->check_log.lines);
    join_threads(s);
}

static enum err prepare(struct server *s, struct snapshot *first, struct outputs *outputs,
                        struct strbuf *why)
{
    enum err e = open_all(s, first, outputs, why);
    if (e == OK && (e = signals_init(&s->signals, &s->loop, on_signal, s)) != OK)
        strbuf_printf(why, "signals: %s", strerror(errno));
    if (e == OK && (e = make_workers(s)) != OK)
        strbuf_str(why, "no memory for the workers");
    return e;
}

static void run(struct server *s, struct snapshot *first)
{
    struct outputs outputs = {0}, none = {0};
    struct strbuf why;
    strbuf_init(&why);
    if (prepare(s, first, &outputs, &why) == OK) {
        serve(s, first, outputs);
    } else {
        log_error("%s", why.p);
        outputs_discard(&outputs, &none);
        snapshots_discard(&s->snapshots, first);
        s->exit_code = 1;
    }
    strbuf_fini(&why);
}

int supervisor_run(const char *path)
{
    struct arena a;
    struct state kept = {0};
    arena_init(&a);
    struct snapshot *first = load(path, &a, &kept);
    if (!first) {
        arena_fini(&a);
        return 1;
    }
    struct server *s = array(1, sizeof(*s));
    const struct config *c = first->config;
    log_setup(c->log.level, c->log.format, NULL, NULL);
    descriptors_raise(c->limits.max_connections);
    if (init(s, path, c) != OK)
        give_up("no memory for the event loop");
    changes_restore(&s->operations.changes, &kept, c);
    arena_fini(&a);
    run(s, first);
    fini(s);
    int code = s->exit_code;
    free(s);
    return code;
}
