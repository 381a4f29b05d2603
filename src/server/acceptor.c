#include "server/acceptor.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "net/socket.h"

struct socket {
    struct list node;
    struct acceptor *acceptor;
    struct addr addr;
    uint32_t id;
    unsigned slot;
    int fd;
    bool listening;
    struct ev_io io;
    struct task task;
};

/* ---- accepting ---- */

static uint64_t active(const struct acceptor_limit *l)
{
    uint64_t sum = 0;
    for (unsigned w = 0; w < l->workers; w++)
        sum += counter_get(&l->counters[w]->sessions_active);
    return sum;
}

static void count(struct socket *s, enum reason why)
{
    counter_add(&counters_of(s->acceptor->proxy->counters, s->slot)->reasons[why], 1);
}

/* The local address is that of the socket: exact but for a wildcard's host, which nobody asks
 * for. */
static void hand_over(struct socket *s, int fd, const struct addr *peer)
{
    const struct acceptor_limit *limit = s->acceptor->limit;
    uint64_t open = active(limit);
    if (open < limit->max_connections) {
        proxy_accept(s->acceptor->proxy, s->slot, fd, peer, &s->addr);
    } else if (open < limit->max_connections + ACCEPTOR_RESERVE) {
        proxy_refuse(s->acceptor->proxy, s->slot, fd, peer, &s->addr, REASON_MAX_CONNECTIONS);
    } else {
        count(s, REASON_MAX_CONNECTIONS);
        socket_reset(fd);
    }
}

static void watch(struct acceptor *a, bool on)
{
    list_each(n, next, &a->sockets) {
        struct socket *s = list_entry(n, struct socket, node);
        if (on && s->listening)
            ev_io_start(a->loop->ev, &s->io);
        else
            ev_io_stop(a->loop->ev, &s->io);
    }
}

static void say_once_a_second(struct acceptor *a, const struct socket *s, int error)
{
    uint64_t now = a->loop->clock.now_ms;
    if (a->said_ms && now - a->said_ms < 1000)
        return;
    a->said_ms = now;
    char text[ADDR_TEXT_MAX];
    log_error("%.*s: %s: accepting rests for %d ms", (int)addr_format(&s->addr, text), text,
              strerror(error), ACCEPTOR_PAUSE_MS);
}

static void rest(struct socket *s, int error)
{
    struct acceptor *a = s->acceptor;
    count(s, REASON_NO_DESCRIPTORS);
    say_once_a_second(a, s, error);
    a->paused = true;
    watch(a, false);
    loop_timer(a->loop, &a->pause, ACCEPTOR_PAUSE_MS);
}

static void on_rested(struct task *t)
{
    struct acceptor *a = container_of(t, struct acceptor, task);
    if (!timer_take(&a->pause))
        return;
    a->paused = false;
    watch(a, true);
}

static void broken(struct socket *s)
{
    char text[ADDR_TEXT_MAX];
    log_error("%.*s: accept: %s: this worker has stopped listening there",
              (int)addr_format(&s->addr, text), text, strerror(errno));
    ev_io_stop(s->acceptor->loop->ev, &s->io);
    s->listening = false;
}

/* False: nothing more now. */
static bool accept_one(struct socket *s)
{
    int fd;
    struct addr peer;
    enum err e = socket_accept(s->fd, &fd, &peer);
    if (e == OK)
        hand_over(s, fd, &peer);
    else if (e == ERR_NOMEM)
        rest(s, errno);
    else if (e != ERR_AGAIN)
        broken(s);
    return e == OK;
}

static void on_acceptable(struct task *t)
{
    struct socket *s = container_of(t, struct socket, task);
    if (s->acceptor->paused)
        return;
    for (int i = 0; i < ACCEPTOR_BATCH; i++)
        if (!accept_one(s))
            return;
    loop_push(s->acceptor->loop, t);
}

static void on_event(struct ev_loop *ev, struct ev_io *w, int revents)
{
    (void)ev;
    (void)revents;
    struct socket *s = w->data;
    runq_push_polled(&s->acceptor->loop->runq, &s->task);
}

/* ---- sockets ---- */

static struct socket *find(const struct acceptor *a, uint32_t id)
{
    list_each(n, next, &a->sockets) {
        struct socket *s = list_entry(n, struct socket, node);
        if (s->id == id)
            return s;
    }
    return NULL;
}

static bool planned(const struct listen_plan *plan, const struct socket *s)
{
    for (size_t i = 0; plan && i < plan->n; i++)
        if (plan->entries[i].id == s->id)
            return true;
    return false;
}

static void add(struct acceptor *a, const struct listen_entry *e)
{
    struct socket *s = calloc(1, sizeof(*s));
    CHECK(s);
    *s = (struct socket){.acceptor = a, .addr = e->addr, .id = e->id, .slot = e->slot, .fd = e->fd};
    task_init(&s->task, on_acceptable);
    ev_io_init(&s->io, on_event, s->fd, EV_READ);
    s->io.data = s;
    list_push_back(&a->sockets, &s->node);
}

static void close_socket(struct socket *s)
{
    ev_io_stop(s->acceptor->loop->ev, &s->io);
    task_cancel(&s->task);
    list_del(&s->node);
    close(s->fd);
    free(s);
}

/* Whoever is in the queue has been promised a connection. No more than the queue can hold: it may
 * fill as fast as it is emptied. */
static void drain(struct socket *s)
{
    for (int i = 0; s->listening && i < ACCEPTOR_BACKLOG; i++)
        if (!accept_one(s))
            return;
}

void acceptor_retire(struct acceptor *a, const struct listen_plan *plan)
{
    list_each(n, next, &a->sockets) {
        struct socket *s = list_entry(n, struct socket, node);
        if (planned(plan, s))
            continue;
        drain(s);
        close_socket(s);
    }
}

void acceptor_adopt(struct acceptor *a, const struct listen_plan *plan)
{
    for (size_t i = 0; i < plan->n; i++) {
        const struct listen_entry *e = &plan->entries[i];
        struct socket *s = find(a, e->id);
        CHECK(!s == (e->fd >= 0));
        if (s)
            s->slot = e->slot;
        else
            add(a, e);
    }
}

static enum err begin(struct socket *s)
{
    enum err e = socket_listen(s->fd, ACCEPTOR_BACKLOG);
    if (e != OK)
        return e;
    s->listening = true;
    if (!s->acceptor->paused)
        ev_io_start(s->acceptor->loop->ev, &s->io);
    return OK;
}

enum err acceptor_listen(struct acceptor *a, struct addr *failed)
{
    int error = 0;
    list_each(n, next, &a->sockets) {
        struct socket *s = list_entry(n, struct socket, node);
        if (s->listening || begin(s) == OK)
            continue;
        error = errno;
        *failed = s->addr;
    }
    errno = error;
    return error ? ERR_SYSTEM : OK;
}

void acceptor_init(struct acceptor *a, struct proxy *p, const struct acceptor_limit *limit)
{
    *a = (struct acceptor){.loop = p->loop, .proxy = p, .limit = limit};
    list_init(&a->sockets);
    task_init(&a->task, on_rested);
    timer_init(&a->pause, &a->task);
}

void acceptor_fini(struct acceptor *a)
{
    list_each(n, next, &a->sockets)
        close_socket(list_entry(n, struct socket, node));
    timer_del(&a->loop->wheel, &a->pause);
    task_cancel(&a->task);
}
