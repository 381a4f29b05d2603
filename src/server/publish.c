#include "server/publish.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "server/server.h"

void publish_init(struct publish *p, struct server *s)
{
    *p = (struct publish){.server = s};
    p->commands = calloc(s->workers_n, sizeof(*p->commands));
    CHECK(p->commands);
}

void publish_fini(struct publish *p)
{
    free(p->commands);
    p->commands = NULL;
}

static void send_all(struct publish *p, void (*done)(struct worker_command *c))
{
    p->waiting = p->server->workers_n;
    for (unsigned w = 0; w < p->server->workers_n; w++) {
        p->commands[w].done = done;
        worker_send(p->server->workers[w], &p->commands[w]);
    }
}

static void on_listening(struct worker_command *c)
{
    struct publish *p = c->owner;
    if (c->error) {
        char text[ADDR_TEXT_MAX];
        int n = (int)addr_format(&c->failed, text);
        log_error("listen on %.*s: %s", n, text, strerror(c->error));
        p->error = c->error;
    }
    if (--p->waiting > 0)
        return;
    snapshots_served(&p->server->snapshots);
    p->done(p->server, p->error);
}

static void on_adopted(struct worker_command *c)
{
    struct publish *p = c->owner;
    struct server *s = p->server;
    if (--p->waiting > 0)
        return;
    listeners_commit(&s->listeners);
    outputs_retire(&p->old, &s->outputs, &s->log);
    for (unsigned w = 0; w < s->workers_n; w++)
        p->commands[w] = (struct worker_command){.order = WORKER_LISTEN, .owner = p};
    send_all(p, on_listening);
}

void publish_begin(struct publish *p, struct snapshot *next, struct outputs outputs,
                   void (*done)(struct server *s, int error))
{
    struct server *s = p->server;
    CHECK(!publish_busy(p));
    p->done = done;
    p->error = 0;
    p->old = s->outputs;
    outputs_attach(&outputs, &s->outputs, &s->log);
    s->outputs = outputs;
    line_log_configure(&s->check_log.lines, outputs.checks);
    log_adjust(next->config->log.level, next->config->log.format);
    bool reload = s->snapshots.current && !s->reload.refreshing;
    departures_note(&s->departures, s->snapshots.current, next);
    snapshots_publish(&s->snapshots, next);
    shift_adopt(&s->shifts, next->config->node.zone);
    checker_adopt(&s->checker, next->groups, next->groups_n, &next->config->limits);
    ejector_adopt(&s->ejector, next->groups, next->groups_n);
    mitigation_adopt(&s->mitigation, next->groups, next->groups_n);
    autoshift_adopt(&s->autoshift, &next->config->autoshift, next->groups, next->groups_n);
    discovery_adopt(&s->discovery, next);
    changes_adopt(&s->operations.changes, next, reload);
    certificates_adopt(&s->certificates, next);
    for (unsigned w = 0; w < s->workers_n; w++)
        p->commands[w] = (struct worker_command){
            .order = WORKER_ADOPT,
            .snapshot = next,
            .plan = listeners_plan(&s->listeners, next, w),
            .access_output = outputs.access,
            .connection_output = outputs.connections,
            .owner = p,
        };
    send_all(p, on_adopted);
}
