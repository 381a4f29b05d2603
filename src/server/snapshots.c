#include "server/snapshots.h"

#include "base/check.h"

/* ---- targets ---- */

static bool has_unnamed(const struct registry *r)
{
    list_each(n, next, &r->targets)
        if (list_entry(n, struct target, node)->refs == 0)
            return true;
    return false;
}

void snapshots_sweep(struct snapshots *s)
{
    registry_sweep(&s->registry);
    loop_timer(s->loop, &s->sweep_timer, has_unnamed(&s->registry) ? SNAPSHOTS_SWEEP_MS : 0);
}

static void on_sweep_due(struct task *t)
{
    struct snapshots *s = container_of(t, struct snapshots, sweep_task);
    if (timer_take(&s->sweep_timer))
        snapshots_sweep(s);
}

/* ---- snapshots ---- */

void snapshots_init(struct snapshots *s, struct loop *loop, unsigned workers)
{
    *s = (struct snapshots){.loop = loop};
    registry_init(&s->registry, workers);
    slot_table_init(&s->slots);
    task_init(&s->sweep_task, on_sweep_due);
    timer_init(&s->sweep_timer, &s->sweep_task);
}

enum err snapshots_bind(struct snapshots *s, struct snapshot *next)
{
    enum err e = snapshot_bind(next, &s->registry, &s->slots, s->generation + 1);
    if (e == OK)
        s->generation++;
    return e;
}

void snapshots_discard(struct snapshots *s, struct snapshot *next)
{
    snapshot_free(next, &s->registry);
}

void snapshots_publish(struct snapshots *s, struct snapshot *next)
{
    CHECK(next->generation == s->generation);
    s->current = next;
    s->live++;
}

void snapshots_served(struct snapshots *s)
{
    s->serving = s->current->generation;
}

static void let_go(struct snapshots *s, struct snapshot *old)
{
    s->live--;
    snapshot_free(old, &s->registry);
    snapshots_sweep(s);
}

void snapshots_released(struct snapshots *s, struct snapshot *old)
{
    CHECK(old != s->current && old->unreleased > 0);
    if (--old->unreleased == 0)
        let_go(s, old);
}

void snapshots_fini(struct snapshots *s)
{
    if (s->current)
        let_go(s, s->current);
    CHECK(s->live == 0);
    timer_del(&s->loop->wheel, &s->sweep_timer);
    task_cancel(&s->sweep_task);
    registry_fini(&s->registry);
    slot_table_fini(&s->slots);
}
