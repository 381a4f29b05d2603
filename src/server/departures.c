#include "server/departures.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "server/server.h"

/* ---- one ---- */

static void forget(struct departure *e)
{
    struct snapshots *s = &e->all->server->snapshots;
    if (e->member.target->departure == e)
        e->member.target->departure = NULL;
    target_settle_draining(e->member.target);
    registry_release(&s->registry, e->member.target);
    list_del(&e->node);
    free(e->commands);
    free(e);
}

static void on_cut(struct worker_command *c)
{
    struct departure *e = c->owner;
    CHECK(e->waiting > 0);
    if (--e->waiting == 0)
        e->cut_ms = c->worker->shared->control->clock.now_ms + DEPARTURES_AGAIN_MS;
}

static void cut(struct departure *e)
{
    const struct server *s = e->all->server;
    const struct target *t = e->member.target;
    if (!e->commands)
        e->commands = calloc(s->workers_n, sizeof(*e->commands));
    CHECK(e->commands);
    e->waiting = s->workers_n;
    log_info("target %.*s of %.*s: its deregistration delay is over, %llu in flight are cut",
             (int)t->text.n, t->text.p, (int)t->group.n, t->group.p,
             (unsigned long long)target_in_flight(t));
    for (unsigned w = 0; w < s->workers_n; w++) {
        e->commands[w] = (struct worker_command){
            .order = WORKER_DEREGISTER, .target = e->member.target, .done = on_cut, .owner = e};
        worker_send(s->workers[w], &e->commands[w]);
    }
}

/* ---- all of them ---- */

/* Until every worker has adopted the snapshot without it, work may still begin. */
static bool is_over(const struct departure *e)
{
    if (e->waiting)
        return false;
    return e->returned || (e->all->server->snapshots.serving >= e->generation &&
                           target_in_flight(e->member.target) == 0);
}

static bool is_due(const struct departure *e)
{
    const struct server *s = e->all->server;
    return !e->waiting && s->snapshots.serving >= e->generation &&
           e->cut_ms <= s->loop.clock.now_ms;
}

static void look(struct departures *d)
{
    struct snapshots *s = &d->server->snapshots;
    bool any = false;
    list_each(n, next, &d->all) {
        struct departure *e = list_entry(n, struct departure, node);
        if (is_over(e)) {
            forget(e);
            any = true;
        } else if (is_due(e)) {
            cut(e);
        }
    }
    if (any)
        snapshots_sweep(s);
    loop_timer(&d->server->loop, &d->timer, list_empty(&d->all) ? 0 : DEPARTURES_LOOK_MS);
}

static void on_look(struct task *t)
{
    struct departures *d = container_of(t, struct departures, task);
    if (timer_take(&d->timer))
        look(d);
}

/* ---- who leaves ---- */

static void take_back(struct departures *d, const struct snapshot *next)
{
    list_each(n, tmp, &d->all) {
        struct departure *e = list_entry(n, struct departure, node);
        struct target *t = e->member.target;
        if (atomic_load_explicit(&t->generation, memory_order_relaxed) < next->generation)
            continue;
        t->departure = NULL;
        target_settle_draining(t); /* nobody has looked through the next snapshot yet */
        e->returned = true;
    }
}

static void add(struct departures *d, const struct member *m, uint64_t generation,
                uint32_t delay_ms)
{
    struct departure *e = calloc(1, sizeof(*e) + m->zone.n + 1);
    struct registry *r = &d->server->snapshots.registry;
    CHECK(e);
    e->all = d;
    e->member = (struct member){
        .target = registry_get(r, m->target->group, &m->target->addr),
        .zone = slice_of(memcpy(e->zone, m->zone.n ? m->zone.p : "", m->zone.n), m->zone.n),
        .weight = m->weight,
    };
    CHECK(e->member.target == m->target);
    e->generation = generation;
    e->cut_ms = d->server->loop.clock.now_ms + delay_ms;
    m->target->departure = e;
    m->target->drained = false;
    target_settle_draining(m->target);
    list_push_back(&d->all, &e->node);
}

/* The group's delay as the next snapshot has it, or the last that had the group. */
static uint32_t delay_of(const struct snapshot *next, const struct config_group *old)
{
    for (size_t i = 0; i < next->groups_n; i++)
        if (slice_eq(next->groups[i].name, old->name))
            return next->config->groups[i].attributes.deregistration_delay_ms;
    return old->attributes.deregistration_delay_ms;
}

static void note_group(struct departures *d, const struct group *g, const struct config_group *c,
                       const struct snapshot *next)
{
    uint32_t delay_ms = 0;
    bool known = false;
    for (size_t i = 0; i < g->members_n; i++) {
        struct target *t = g->members[i].target;
        if (t->departure ||
            atomic_load_explicit(&t->generation, memory_order_relaxed) >= next->generation)
            continue;
        if (!known)
            delay_ms = delay_of(next, c);
        known = true;
        add(d, &g->members[i], next->generation, delay_ms);
    }
    if (known) /* for exchanges that pick from an older snapshot once more */
        news_raise(&d->server->news, g->news);
}

void departures_note(struct departures *d, const struct snapshot *old, const struct snapshot *next)
{
    take_back(d, next);
    for (size_t i = 0; old && i < old->groups_n; i++)
        note_group(d, &old->groups[i], &old->config->groups[i], next);
    if (!list_empty(&d->all))
        loop_timer(&d->server->loop, &d->timer, DEPARTURES_LOOK_MS);
}

/* ---- life ---- */

void departures_init(struct departures *d, struct server *s)
{
    *d = (struct departures){.server = s};
    list_init(&d->all);
    task_init(&d->task, on_look);
    timer_init(&d->timer, &d->task);
}

void departures_fini(struct departures *d)
{
    timer_del(&d->server->loop.wheel, &d->timer);
    task_cancel(&d->task);
    list_each(n, tmp, &d->all)
        forget(list_entry(n, struct departure, node));
}
