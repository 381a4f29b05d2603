#include "server/reload.h"

#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "server/server.h"
#include "server/thread.h"

static void begin(struct reload *r, bool refresh);

/* ---- how it ends ---- */

static struct reload_tally *tally(struct reload *r)
{
    return r->refreshing ? &r->refreshes : &r->reloads;
}

static const char *kind(const struct reload *r)
{
    return r->refreshing ? "refresh" : "reload";
}

static void tell_waiters(struct reload *r, bool ok)
{
    list_each(n, next, &r->waiters) {
        struct reload_waiter *w = list_entry(n, struct reload_waiter, node);
        if (w->run > r->begun && !r->server->stopping)
            continue;
        list_del(&w->node);
        w->ok = ok && w->run <= r->begun;
        loop_push(&r->server->loop, w->notify);
    }
}

static void end(struct reload *r, bool ok)
{
    bool reload = r->reload_again, refresh = r->refresh_again;
    r->state = RELOAD_IDLE;
    tell_waiters(r, ok);
    if ((!reload && !refresh) || r->server->stopping)
        return;
    begin(r, !reload);
}

static void fail(struct reload *r, struct slice why)
{
    struct reload_tally *t = tally(r);
    t->failed++;
    strbuf_fini(&t->last_error);
    strbuf_init(&t->last_error);
    strbuf_slice(&t->last_error, why);
    if (!r->refreshing || t->failed_in_a_row++ == 0)
        log_error("%s: failed, generation %llu goes on serving", kind(r),
                  (unsigned long long)r->server->snapshots.serving);
    end(r, false);
}

static void fail_logged(struct reload *r, struct slice why)
{
    log_error("%s: %.*s", kind(r), (int)why.n, why.p);
    fail(r, why);
}

/* A socket that cannot listen is in the log; all others serve the new file. */
static void on_published(struct server *s, int error)
{
    struct reload *r = &s->reload;
    CHECK(r->state == RELOAD_PUBLISHING);
    (void)error;
    tally(r)->ok++;
    tally(r)->failed_in_a_row = 0;
    log_info("%s: generation %llu serves", kind(r), (unsigned long long)s->snapshots.serving);
    end(r, true);
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
    roster_keep_wanted(&s->roster, next->config);
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

static void report_lines(const struct report *report, enum report_level level, struct strbuf *out)
{
    for (const struct report_entry *e = report->first; e; e = e->next) {
        if (e->level != level)
            continue;
        report_line(e, out);
        strbuf_str(out, "\n");
    }
}

static void log_lines(enum log_level level, struct slice lines)
{
    while (lines.n) {
        size_t end = slice_find(lines, '\n', 0);
        log_write(level, "%.*s", (int)end, lines.p);
        lines = slice_from(lines, end + 1);
    }
}

/* A refresh repeats what the one before it said only in /status: it may come every second. */
static bool is_news(struct reload *r, struct slice errors, struct slice warnings)
{
    struct strbuf text;
    strbuf_init(&text);
    strbuf_slice(&text, errors);
    strbuf_slice(&text, warnings);
    bool news = !r->refreshing || !slice_eq(strbuf_get(&text), strbuf_get(&r->said));
    strbuf_fini(&r->said);
    r->said = text;
    return news;
}

/* The first error goes to *why. */
static void log_report(struct reload *r, struct strbuf *why)
{
    struct strbuf errors, warnings;
    strbuf_init(&errors);
    strbuf_init(&warnings);
    report_lines(&r->loading.report, REPORT_ERROR, &errors);
    report_lines(&r->loading.report, REPORT_WARNING, &warnings);
    if (is_news(r, strbuf_get(&errors), strbuf_get(&warnings))) {
        log_lines(LOG_WARNING, strbuf_get(&warnings));
        log_lines(LOG_ERROR, strbuf_get(&errors));
    }
    strbuf_slice(why, slice_upto(strbuf_get(&errors), slice_find(strbuf_get(&errors), '\n', 0)));
    strbuf_fini(&errors);
    strbuf_fini(&warnings);
}

static void use(struct reload *r, struct snapshot *next)
{
    struct strbuf why;
    strbuf_init(&why);
    log_report(r, &why);
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
    end(r, false);
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
    if (r->refreshing)
        loading_refresh(&r->loading, r->server->snapshots.current->config);
    else
        loading_run(&r->loading);
    loop_post(&r->server->loop, &r->loaded);
    return NULL;
}

static void begin(struct reload *r, bool refresh)
{
    struct server *s = r->server;
    CHECK(r->state == RELOAD_IDLE);
    r->state = RELOAD_LOADING;
    r->refreshing = refresh;
    r->reload_again = r->refresh_again = false;
    r->begun++;
    loading_init(&r->loading, s->path, s->snapshots.current->config);
    roster_copy(&r->loading.roster, &s->roster);
    r->loading.old = refresh ? s->snapshots.current : NULL;
    r->loading.tickets = s->snapshots.current->tickets;
    r->loading.cookies = s->snapshots.current->cookies;
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
        begin(r, false);
    else
        r->reload_again = true;
}

/* Whatever runs already may have looked before the change that this is for: the next one counts. */
static void wait_for_next(struct reload *r, struct reload_waiter *w)
{
    w->run = r->begun + 1;
    list_push_back(&r->waiters, &w->node);
}

void reload_refresh(struct reload *r, struct reload_waiter *w)
{
    if (w)
        wait_for_next(r, w);
    if (r->server->stopping)
        tell_waiters(r, false);
    else if (r->state == RELOAD_IDLE)
        begin(r, true);
    else
        r->refresh_again = true;
}

void reload_forget(struct reload_waiter *w)
{
    list_del(&w->node);
}

/* ---- life ---- */

void reload_init(struct reload *r, struct server *s)
{
    *r = (struct reload){.server = s, .state = RELOAD_PUBLISHING};
    list_init(&r->waiters);
    strbuf_init(&r->reloads.last_error);
    strbuf_init(&r->refreshes.last_error);
    strbuf_init(&r->said);
}

void reload_started(struct reload *r)
{
    CHECK(r->state == RELOAD_PUBLISHING);
    end(r, true);
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
    strbuf_fini(&r->reloads.last_error);
    strbuf_fini(&r->refreshes.last_error);
    strbuf_fini(&r->said);
}
