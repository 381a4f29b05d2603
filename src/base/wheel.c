#include "base/wheel.h"

static uint64_t tick_of(uint64_t deadline_ms)
{
    return (deadline_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
}

void wheel_init(struct wheel *w, uint64_t now_ms)
{
    w->tick = now_ms / WHEEL_TICK_MS;
    w->linked = 0;
    for (unsigned i = 0; i < WHEEL_SLOTS; i++)
        list_init(&w->slots[i]);
}

void timer_init(struct timer *t, struct task *task)
{
    *t = (struct timer){.task = task};
    list_init(&t->node);
}

static void insert(struct wheel *w, struct timer *t)
{
    uint64_t tick = tick_of(t->deadline_ms);
    if (tick < w->tick)
        tick = w->tick;
    if (tick >= w->tick + WHEEL_SLOTS)
        tick = w->tick + WHEEL_SLOTS - 1;
    t->slot_tick = tick;
    list_push_back(&w->slots[tick % WHEEL_SLOTS], &t->node);
    w->linked++;
}

void timer_set(struct wheel *w, struct timer *t, uint64_t deadline_ms)
{
    t->deadline_ms = deadline_ms;
    t->fired = false;
    if (!list_empty(&t->node) && t->slot_tick <= tick_of(deadline_ms))
        return;
    timer_del(w, t);
    t->deadline_ms = deadline_ms;
    insert(w, t);
}

void timer_clear(struct timer *t)
{
    t->deadline_ms = 0;
    t->fired = false;
}

void timer_del(struct wheel *w, struct timer *t)
{
    timer_clear(t);
    if (list_empty(&t->node))
        return;
    list_del(&t->node);
    CHECK(w->linked > 0);
    w->linked--;
}

static void visit(struct wheel *w, struct timer *t, uint64_t now_ms, struct runq *q)
{
    list_del(&t->node);
    w->linked--;
    if (t->deadline_ms == 0)
        return;
    if (t->deadline_ms > now_ms) {
        insert(w, t);
        return;
    }
    t->deadline_ms = 0;
    t->fired = true;
    runq_push(q, t->task);
}

void wheel_advance(struct wheel *w, uint64_t now_ms, struct runq *q)
{
    uint64_t upto = now_ms / WHEEL_TICK_MS;
    /* After a long stop (a suspended laptop) one round over all slots sees every timer. */
    if (upto > w->tick + WHEEL_SLOTS)
        w->tick = upto - WHEEL_SLOTS;
    while (w->tick <= upto) {
        struct list due;
        list_init(&due);
        list_splice_back(&due, &w->slots[w->tick % WHEEL_SLOTS]);
        w->tick++;
        while (!list_empty(&due))
            visit(w, list_first(&due, struct timer, node), now_ms, q);
    }
}
