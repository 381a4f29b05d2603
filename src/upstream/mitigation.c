#include "upstream/mitigation.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"

/* ---- one group ---- */

static bool takes_part(const struct group *g, const struct member *m)
{
    return m->weight && target_flags(m->target) == 0 &&
           (!g->check || m->target->health.state == HEALTH_HEALTHY);
}

static void judge(const struct group *g)
{
    struct anomaly **all = calloc(g->members_n + 1, sizeof(*all));
    double *scratch = calloc(g->members_n + 1, sizeof(*scratch));
    size_t n = 0;
    CHECK(all && scratch);
    for (size_t i = 0; i < g->members_n; i++) {
        struct anomaly *a = &g->members[i].target->oddity.anomaly;
        if (takes_part(g, &g->members[i]))
            all[n++] = a;
        else
            a->anomalous = false;
    }
    anomaly_judge(all, n, ANOMALY_POINTS, scratch);
    free(scratch);
    free(all);
}

static void say(struct target *t)
{
    struct oddity *o = &t->oddity;
    if (o->anomaly.anomalous == o->said)
        return;
    o->said = o->anomaly.anomalous;
    if (o->said)
        log_warning("target %s of %s is anomalous: %.0f %% of its requests fail, more than those "
                    "of its peers",
                    t->text.p, t->group.p, 100 * o->anomaly.failures / o->anomaly.requests);
    else
        log_info("target %s of %s is normal again", t->text.p, t->group.p);
}

/* True: it changed. */
static bool share_out(struct target *t, bool mitigates)
{
    uint16_t was = atomic_load_explicit(&t->share, memory_order_relaxed);
    uint16_t share = mitigates ? anomaly_share(was, t->oddity.anomaly.anomalous) : TARGET_SHARE_ALL;
    atomic_store_explicit(&t->share, share, memory_order_relaxed);
    return share != was;
}

static void share_out_all(struct mitigation *m, const struct group *g)
{
    bool changed = false;
    for (size_t i = 0; i < g->members_n; i++)
        changed |= share_out(g->members[i].target, g->mitigates);
    if (changed)
        news_raise(m->news, g->news);
}

static void add_round(struct target *t)
{
    struct target_counts c = target_count_since(t, &t->oddity.seen);
    anomaly_add(&t->oddity.anomaly, c.requests, c.failures);
}

static void look_at(struct mitigation *m, const struct group *g)
{
    for (size_t i = 0; i < g->members_n; i++)
        add_round(g->members[i].target);
    judge(g);
    for (size_t i = 0; i < g->members_n; i++)
        say(g->members[i].target);
    share_out_all(m, g);
}

/* ---- all of them ---- */

static void on_round(struct ev_loop *ev, struct ev_timer *w, int revents)
{
    (void)ev, (void)revents;
    struct mitigation *m = w->data;
    loop_push(m->loop, &m->task);
}

static void look(struct task *t)
{
    struct mitigation *m = container_of(t, struct mitigation, task);
    for (size_t i = 0; i < m->groups_n; i++)
        if (m->groups[i].used)
            look_at(m, &m->groups[i]);
}

/* What the new file does not want is taken back at once. */
void mitigation_adopt(struct mitigation *m, const struct group *groups, size_t groups_n)
{
    m->groups = groups;
    m->groups_n = groups_n;
    for (size_t i = 0; i < groups_n; i++)
        if (!groups[i].mitigates)
            share_out_all(m, &groups[i]);
    if (!ev_is_active(&m->round))
        ev_timer_again(m->loop->ev, &m->round);
}

void mitigation_init(struct mitigation *m, struct loop *loop, struct news *news)
{
    *m = (struct mitigation){.loop = loop, .news = news};
    task_init(&m->task, look);
    ev_timer_init(&m->round, on_round, 0., ANOMALY_ROUND_MS / 1000.);
    m->round.data = m;
}

void mitigation_fini(struct mitigation *m)
{
    ev_timer_stop(m->loop->ev, &m->round);
    task_cancel(&m->task);
    m->groups_n = 0;
}
