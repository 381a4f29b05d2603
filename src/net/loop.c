#include "net/loop.h"

#include "net/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

/* Rounds of tasks before the loop polls again: work that makes work does not starve I/O. */
#define ROUNDS_MAX 8

static void reap_closed(struct loop *l)
{
    while (l->closed) {
        struct reapable *r = l->closed;
        l->closed = r->next;
        r->reap(r);
    }
}

static void put_spent(struct loop *l)
{
    while (l->spent) {
        struct chunk *c = l->spent;
        l->spent = c->next;
        chunkpool_put(&l->chunks, c);
    }
}

static void run_rounds(struct loop *l)
{
    struct list round;
    list_init(&round);
    for (int i = 0; i < ROUNDS_MAX && !runq_empty(&l->runq); i++) {
        runq_begin_round(&l->runq, &round);
        while (!list_empty(&round)) {
            struct task *t = list_first(&round, struct task, node);
            list_del(&t->node);
            t->run(t);
            put_spent(l);
        }
    }
}

static void keep_polling_without_blocking(struct loop *l, bool on)
{
    if (on && !ev_is_active(&l->idle))
        ev_idle_start(l->ev, &l->idle);
    else if (!on && ev_is_active(&l->idle))
        ev_idle_stop(l->ev, &l->idle);
}

static void run_turn(struct loop *l)
{
    run_rounds(l);
    if (l->tick_due && runq_empty(&l->runq)) {
        l->tick_due = false;
        wheel_advance(&l->wheel, l->clock.now_ms, &l->runq);
        run_rounds(l);
    }
    reap_closed(l);
    put_spent(l); /* of conns that were closed outside of a task: by a message, at the end */
    if (wheel_empty(&l->wheel) && ev_is_active(&l->tick))
        ev_timer_stop(l->ev, &l->tick);
    keep_polling_without_blocking(l, !runq_empty(&l->runq) || l->tick_due);
}

static void on_prepare(struct ev_loop *ev, struct ev_prepare *w, int revents)
{
    (void)revents;
    (void)ev;
    struct loop *l = w->data;
    clock_update(&l->clock);
    run_turn(l);
}

static void on_idle(struct ev_loop *ev, struct ev_idle *w, int revents)
{
    (void)ev;
    (void)w;
    (void)revents;
}

static void on_tick(struct ev_loop *ev, struct ev_timer *w, int revents)
{
    (void)ev;
    (void)revents;
    ((struct loop *)w->data)->tick_due = true;
}

static void deliver(struct message *newest_first)
{
    struct message *oldest_first = NULL, *next;
    for (; newest_first; newest_first = next) {
        next = newest_first->next;
        newest_first->next = oldest_first;
        oldest_first = newest_first;
    }
    for (; oldest_first; oldest_first = next) {
        next = oldest_first->next;
        oldest_first->run(oldest_first);
    }
}

static void on_wake(struct ev_loop *ev, struct ev_async *w, int revents)
{
    (void)ev;
    (void)revents;
    struct loop *l = w->data;
    deliver(atomic_exchange_explicit(&l->inbox, NULL, memory_order_acquire));
}

void loop_post(struct loop *l, struct message *m)
{
    struct message *head = atomic_load_explicit(&l->inbox, memory_order_relaxed);
    do
        m->next = head;
    while (!atomic_compare_exchange_weak_explicit(&l->inbox, &head, m, memory_order_release,
                                                  memory_order_relaxed));
    ev_async_send(l->ev, &l->wake);
}

static void watch(struct loop *l)
{
    ev_prepare_init(&l->prepare, on_prepare);
    ev_idle_init(&l->idle, on_idle);
    ev_timer_init(&l->tick, on_tick, WHEEL_TICK_MS / 1e3, WHEEL_TICK_MS / 1e3);
    ev_async_init(&l->wake, on_wake);
    l->prepare.data = l->idle.data = l->tick.data = l->wake.data = l;
    ev_prepare_start(l->ev, &l->prepare);
    ev_async_start(l->ev, &l->wake);
}

enum err loop_init(struct loop *l, size_t buffer_bytes)
{
    *l = (struct loop){0};
    l->ev = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV | EVFLAG_NOSIGMASK);
    l->scratch = malloc(LOOP_SCRATCH_BYTES);
    l->head = malloc(LOOP_HEAD_BYTES);
    if (!l->ev || !l->scratch || !l->head ||
        getrandom(&l->rng.state, sizeof(l->rng.state), 0) != sizeof(l->rng.state)) {
        loop_fini(l);
        return ERR_NOMEM;
    }
    clock_update(&l->clock);
    runq_init(&l->runq);
    wheel_init(&l->wheel, l->clock.now_ms);
    chunkpool_init(&l->chunks, buffer_bytes);
    watch(l);
    return OK;
}

void loop_fini(struct loop *l)
{
    reap_closed(l);
    put_spent(l);
    if (l->ev)
        ev_loop_destroy(l->ev);
    if (l->conns.size)
        pool_fini(&l->conns);
    chunkpool_fini(&l->chunks);
    tls_space_free(l->tls);
    free(l->scratch);
    free(l->head);
    *l = (struct loop){0};
}

void loop_run(struct loop *l)
{
    ev_run(l->ev, 0);
    run_turn(l);
}

void loop_stop(struct loop *l)
{
    ev_break(l->ev, EVBREAK_ALL);
}

void loop_turn(struct loop *l)
{
    ev_run(l->ev, EVRUN_NOWAIT);
    clock_update(&l->clock);
    run_turn(l);
}

void loop_timer_at(struct loop *l, struct timer *t, uint64_t deadline_ms)
{
    if (deadline_ms == 0) {
        timer_clear(t);
        return;
    }
    timer_set(&l->wheel, t, deadline_ms);
    if (!ev_is_active(&l->tick))
        ev_timer_again(l->ev, &l->tick);
}

void loop_timer(struct loop *l, struct timer *t, uint64_t after_ms)
{
    loop_timer_at(l, t, after_ms ? l->clock.now_ms + after_ms : 0);
}
