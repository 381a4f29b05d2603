/* No wake is lost: who joins counts itself in before it looks for a place once more, and who gives
 * one back does so before it looks whether somebody waits. Both are sequentially consistent, so one
 * of the two sees the other. */
#include "upstream/queue.h"

#include <stdlib.h>

#include "base/check.h"
#include "upstream/lease.h"

/* ---- life ---- */

static void run(struct task *t);
static void on_message(struct message *m);

struct queue *queue_new(struct slice group, unsigned workers)
{
    size_t align = _Alignof(struct queue);
    size_t bytes = (sizeof(struct queue) + group.n + 1 + align - 1) / align * align;
    struct queue *q = aligned_alloc(align, bytes);
    CHECK(q);
    memset(q, 0, bytes);
    memcpy(q->name, group.p, group.n);
    q->workers = workers;
    q->local = aligned_alloc(_Alignof(struct queue_local), workers * sizeof(*q->local));
    CHECK(q->local);
    memset(q->local, 0, workers * sizeof(*q->local));
    for (unsigned w = 0; w < workers; w++) {
        struct queue_local *l = &q->local[w];
        l->queue = q;
        l->message.run = on_message;
        list_init(&l->waiting);
        task_init(&l->task, run);
        timer_init(&l->look, &l->task);
    }
    list_init(&q->node);
    return q;
}

void queue_free(struct queue *q)
{
    for (unsigned w = 0; w < q->workers; w++)
        CHECK(list_empty(&q->local[w].waiting));
    list_del(&q->node);
    free(q->local);
    free(q);
}

/* ---- in and out ---- */

static void count(struct queue_local *l, int by)
{
    uint32_t n = atomic_load_explicit(&l->count, memory_order_relaxed);
    atomic_store(&l->count, n + (uint32_t)by);
}

static bool take_place(struct queue *q, uint32_t max)
{
    uint32_t n = atomic_load(&q->waiting);
    do {
        if (n >= max)
            return false;
    } while (!atomic_compare_exchange_weak(&q->waiting, &n, n + 1));
    return true;
}

static void look_later(struct queue_local *l)
{
    loop_timer(l->loop, &l->look, QUEUE_LOOK_MS);
}

bool queue_join(struct queue *q, struct upstream *up, struct lease *lease, uint32_t max)
{
    struct queue_local *l = &q->local[up->worker];
    bool first = list_empty(&l->waiting);
    if (!take_place(q, max)) {
        atomic_fetch_add_explicit(&q->spilled, 1, memory_order_relaxed);
        return false;
    }
    l->loop = up->loop;
    list_push_back(&l->waiting, &lease->waiting);
    count(l, 1);
    if (first) {
        loop_push(l->loop, &l->task); /* looks once more */
        look_later(l);
    }
    return true;
}

void queue_leave(struct queue *q, struct upstream *up, struct lease *lease)
{
    struct queue_local *l = &q->local[up->worker];
    CHECK(!list_empty(&lease->waiting));
    list_del(&lease->waiting);
    count(l, -1);
    atomic_fetch_sub(&q->waiting, 1);
    if (!list_empty(&l->waiting))
        return;
    task_cancel(&l->task);
    timer_del(&l->loop->wheel, &l->look);
}

/* ---- wakes ---- */

static void ring(struct queue_local *l)
{
    if (!atomic_exchange(&l->rung, true))
        loop_post(l->loop, &l->message);
}

static void on_message(struct message *m)
{
    struct queue_local *l = container_of(m, struct queue_local, message);
    atomic_store(&l->rung, false);
    if (!list_empty(&l->waiting))
        loop_push(l->loop, &l->task);
}

void queue_wake(struct queue *q, struct upstream *up)
{
    struct queue_local *mine = &q->local[up->worker];
    if (atomic_load(&q->waiting) == 0)
        return;
    for (unsigned i = 0; i < q->workers; i++) {
        struct queue_local *l = &q->local[mine->next];
        mine->next = mine->next + 1 < q->workers ? mine->next + 1 : 0;
        if (atomic_load(&l->count) == 0)
            continue;
        l == mine ? loop_push(up->loop, &l->task) : ring(l);
        return;
    }
}

/* ---- the task ---- */

static void expire(struct queue_local *l)
{
    uint64_t now = l->loop->clock.now_ms;
    list_each(n, tmp, &l->waiting) {
        struct lease *lease = list_entry(n, struct lease, waiting);
        if (lease->queued_until_ms > now)
            continue;
        atomic_fetch_add_explicit(&l->queue->timed_out, 1, memory_order_relaxed);
        lease_expire(lease);
    }
}

/* Picks look at places without any ordering. What the fence orders are atomics only, so it does not
 * matter that TSAN does not know it. */
static void order_places_after_count(void)
{
#ifdef __SANITIZE_THREAD__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan"
#endif
    atomic_thread_fence(memory_order_seq_cst);
#ifdef __SANITIZE_THREAD__
#pragma GCC diagnostic pop
#endif
}

/* One that has tried some targets already may find nobody where the next one does. */
static void serve(struct queue_local *l)
{
    uint32_t n = atomic_load_explicit(&l->count, memory_order_relaxed);
    order_places_after_count();
    struct list *at = l->waiting.next;
    for (; n > 0 && at != &l->waiting; n--) {
        struct lease *lease = list_entry(at, struct lease, waiting);
        bool fresh = lease->tries == 0;
        at = at->next;
        if (!lease_serve(lease) && fresh)
            return;
    }
}

static void run(struct task *t)
{
    struct queue_local *l = container_of(t, struct queue_local, task);
    bool due = timer_take(&l->look);
    if (due)
        expire(l);
    serve(l);
    if (due && !list_empty(&l->waiting))
        look_later(l); /* only then: wakes must not put it off */
}
