#include "server/stop.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "server/server.h"

static void send_all(struct stop *s, struct worker_command *commands, enum worker_order order,
                     void (*done)(struct worker_command *c))
{
    for (unsigned w = 0; w < s->server->workers_n; w++) {
        commands[w] = (struct worker_command){.order = order, .done = done, .owner = s};
        worker_send(s->server->workers[w], &commands[w]);
    }
}

static void on_quit(struct worker_command *c)
{
    struct stop *s = c->owner;
    if (--s->due == 0)
        loop_stop(&s->server->loop);
}

static void quit(struct stop *s)
{
    s->phase = STOP_QUITTING;
    s->due = s->server->workers_n;
    send_all(s, s->quits, WORKER_QUIT, on_quit);
}

static void on_stopped(struct worker_command *c)
{
    struct stop *s = c->owner;
    if (--s->due == 0)
        quit(s);
}

static void on_cut(struct worker_command *c)
{
    (void)c; /* the answer to the stop follows */
}

static void cut(struct stop *s, const char *why)
{
    if (s->phase != STOP_STOPPING || s->cuts[0].worker)
        return;
    log_warning("stop: %s: open connections are cut", why);
    send_all(s, s->cuts, WORKER_CUT, on_cut);
}

static void on_deadline(struct task *t)
{
    struct stop *s = container_of(t, struct stop, task);
    if (timer_take(&s->deadline))
        cut(s, "timeouts.shutdown has passed");
}

void stop_begin(struct stop *s)
{
    struct server *server = s->server;
    if (s->phase != STOP_SERVING)
        return;
    s->phase = STOP_STOPPING;
    server->stopping = true;
    s->due = server->workers_n;
    send_all(s, s->stops, WORKER_STOP, on_stopped);
    uint32_t patience_ms = server->snapshots.current->config->timeouts.shutdown_ms;
    if (patience_ms)
        loop_timer(&server->loop, &s->deadline, patience_ms);
    else
        cut(s, "timeouts.shutdown is 0");
}

void stop_signal(struct stop *s, int signo)
{
    switch (++s->signals) {
    case 1:
        log_info("stop: signal %d: waiting for what is open", signo);
        stop_begin(s);
        break;
    case 2:
        cut(s, "a second signal");
        break;
    default:
        _exit(1);
    }
}

static struct worker_command *commands(unsigned n)
{
    struct worker_command *c = calloc(n, sizeof(*c));
    CHECK(c);
    return c;
}

void stop_init(struct stop *s, struct server *server)
{
    *s = (struct stop){
        .server = server,
        .stops = commands(server->workers_n),
        .cuts = commands(server->workers_n),
        .quits = commands(server->workers_n),
    };
    task_init(&s->task, on_deadline);
    timer_init(&s->deadline, &s->task);
}

void stop_fini(struct stop *s)
{
    timer_del(&s->server->loop.wheel, &s->deadline);
    task_cancel(&s->task);
    free(s->stops);
    free(s->cuts);
    free(s->quits);
}
