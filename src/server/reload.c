#include "server/reload.h"

#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "server/server.h"
#include "server/thread.h"

static void begin(struct reload *r);

static void end(struct reload *r)
{
    r->state = RELOAD_IDLE;
    if (!r->again || r->server->stopping)
        return;
    r->again = false;
    begin(r);
}

/* ---- how it ends ---- */

static void fail(struct reload *r, struct slice why)
{
    r->failed++;
    strbuf_fini(&r->last_error);
    strbuf_init(&r->last_error);
    strbuf_slice(&r->last_error, why);
    log_error("reload: failed, generation %llu goes on serving",
              (unsigned long long)r->server->snapshots.serving);
    end(r);
}

static void fail_logged(struct reload *r, struct slice why)
{
    log_error("reload: %.*s", (int)why.n, why.p);
    fail(r, why);
}

/* A socket that cannot listen is in the log; all others serve the new file. */
static void on_published(struct server *s, int error)
{
    struct reload *r = &s->reload;
    CHECK(r->state == RELOAD_PUBLISHING);
    (void)error;
    r->ok++;
    log_info("reload: generation %llu serves", (unsigned long long)s->snapshots.serving);
    end(r);
}

/* ---- applying what was loaded ---- */

/* Each step undoes the ones before it when it fails; the publishing cannot. */
static enum err apply(struct reload *r, struct snapshot *next, struct strbuf *why)
{
    struct server *s = r->server;
    struct outputs outputs;
    enum err e = outputs_open(&outputs, &s->outputs, next->config, why);
    if (e != OK)
        goto fail;
    e = listeners_bind(&s->listeners, next->config, why);
    if (e != OK)
        goto fail_outputs;
    e = snapshots_bind(&s->snapshots, next);
    if (e != OK) {
        strbuf_printf(why, "there have been more than %d names of listeners since the start",
                      SLOTS_MAX);
        goto fail_listeners;
    }
    publish_begin(&s->publish, next, outputs, on_published);
    return OK;

fail_listeners:
    listeners_rollback(&s->listeners);
fail_outputs:
    outputs_discard(&outputs, &s->outputs);
fail:
    snapshots_discard(&s->snapshots, next);
    return e;
}

static void log_report(const struct report *report, struct strbuf *first_error)
{
    struct strbuf line;
    for (const struct report_entry *e = report->first; e; e = e->next) {
        strbuf_init(&line);
        report_line(e, &line);
        log_write(e->level == REPORT_ERROR ? LOG_ERROR : LOG_WARNING, "%s", line.p);
        if (e->level == REPORT_ERROR && !first_error->n)
            strbuf_slice(first_error, strbuf_get(&line));
        strbuf_fini(&line);
    }
}

static void use(struct reload *r, struct snapshot *next)
{
    struct strbuf why;
    strbuf_init(&why);
    log_report(&r->loading.report, &why);
    loading_fini(&r->loading);
    if (!next)
        fail(r, strbuf_get(&why));
    else if (apply(r, next, &why) != OK)
        fail_logged(r, strbuf_get(&why));
    strbuf_fini(&why);
}

static void drop(struct reload *r, struct snapshot *next)
{
    if (next)
        snapshots_discard(&r->server->snapshots, next);
    loading_fini(&r->loading);
    r->state = RELOAD_IDLE;
}

static void on_loaded(struct message *m)
{
    struct reload *r = container_of(m, struct reload, loaded);
    struct snapshot *next = r->loading.snapshot;
    (void)pthread_join(r->loader, NULL);
    r->state = RELOAD_PUBLISHING;
    if (r->server->stopping)
        drop(r, next);
    else
        use(r, next);
}

/* ---- the loader ---- */

static void *load(void *arg)
{
    struct reload *r = arg;
    thread_begin("loader");
    loading_run(&r->loading);
    loop_post(&r->server->loop, &r->loaded);
    return NULL;
}

static void begin(struct reload *r)
{
    struct server *s = r->server;
    CHECK(r->state == RELOAD_IDLE);
    r->state = RELOAD_LOADING;
    loading_init(&r->loading, s->path, s->snapshots.current->config);
    r->loading.tickets = s->snapshots.current->tickets;
    r->loaded.run = on_loaded;
    if (thread_start(&r->loader, load, r) == OK)
        return;
    loading_fini(&r->loading);
    fail_logged(r, SLICE("no thread can be started"));
}

void reload_request(struct reload *r)
{
    if (r->server->stopping)
        return;
    if (r->state == RELOAD_IDLE)
        begin(r);
    else
        r->again = true;
}

/* ---- life ---- */

void reload_init(struct reload *r, struct server *s)
{
    *r = (struct reload){.server = s, .state = RELOAD_PUBLISHING};
    strbuf_init(&r->last_error);
}

void reload_started(struct reload *r)
{
    CHECK(r->state == RELOAD_PUBLISHING);
    end(r);
}

/* The loader's message is on its way to a loop that nobody runs any more. */
static void wait_for_loader(struct reload *r)
{
    atomic_store(&r->loading.cancelled, true);
    while (r->state == RELOAD_LOADING) {
        (void)usleep(1000);
        loop_turn(&r->server->loop);
    }
}

void reload_fini(struct reload *r)
{
    if (r->state == RELOAD_LOADING)
        wait_for_loader(r);
    strbuf_fini(&r->last_error);
}
