#include "upstream/ejector.h"

#include "base/log.h"

/* ---- one target ---- */

static uint32_t failing(const struct target *t)
{
    return atomic_load_explicit(&t->failing, memory_order_relaxed);
}

static void show(struct target *t)
{
    atomic_store_explicit(&t->failing, 0, memory_order_relaxed);
    target_set_flag(t, TARGET_EJECTED, t->ejection.out);
}

static void take_out(struct target *t, const struct config_ejection *c, uint64_t now_ms)
{
    uint32_t run = failing(t);
    ejection_begin(&t->ejection, c, now_ms);
    show(t);
    log_warning("target %s of %s is ejected for %.1f s: %u failures in a row", t->text.p,
                t->group.p, (double)(t->ejection.until_ms - now_ms) / 1000, run);
}

static bool let_back(struct ejector *e, const struct group *g, struct target *t, uint64_t now_ms)
{
    if (!ejection_end(&t->ejection, now_ms))
        return false;
    show(t);
    slow_start_return(e->slow_start, g, t);
    log_info("target %s of %s is back: its ejection is over", t->text.p, t->group.p);
    return true;
}

/* ---- one group ---- */

/* Those who could serve at all. */
static bool counts(const struct member *m)
{
    return m->weight && !(target_flags(m->target) & TARGET_DRAINING);
}

static bool zone_can_spare(const struct group *g, const struct member *one)
{
    size_t all = 0, out = 0;
    for (size_t i = 0; i < g->members_n; i++) {
        const struct member *m = &g->members[i];
        if (!counts(m) || !slice_eq(m->zone, one->zone))
            continue;
        all++;
        out += m->target->ejection.out;
    }
    return ejection_fits(g->ejection, out, all);
}

static bool try_out(const struct group *g, const struct member *m, uint64_t now_ms)
{
    struct target *t = m->target;
    if (t->ejection.out || failing(t) < g->ejection->consecutive_failures)
        return false;
    if (!counts(m) || !zone_can_spare(g, m))
        return false;
    take_out(t, g->ejection, now_ms);
    return true;
}

/* Who is back makes room for others. */
static void look_at(struct ejector *e, const struct group *g)
{
    uint64_t now_ms = g->ejection ? e->loop->clock.now_ms : UINT64_MAX;
    bool changed = false;
    for (size_t i = 0; i < g->members_n; i++)
        changed |= let_back(e, g, g->members[i].target, now_ms);
    for (size_t i = 0; g->ejection && i < g->members_n; i++)
        changed |= try_out(g, &g->members[i], now_ms);
    if (changed)
        news_raise(e->news, g->news);
}

/* ---- all of them ---- */

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a && a < b ? a : b;
}

static uint64_t next_end(const struct ejector *e)
{
    uint64_t next_ms = UINT64_MAX;
    for (size_t i = 0; i < e->groups_n; i++)
        for (size_t j = 0; e->groups[i].ejection && j < e->groups[i].members_n; j++) {
            const struct ejection *x = &e->groups[i].members[j].target->ejection;
            if (x->out)
                next_ms = sooner(x->until_ms, next_ms);
        }
    return next_ms;
}

static void look(struct ejector *e)
{
    for (size_t i = 0; i < e->groups_n; i++)
        look_at(e, &e->groups[i]);
    uint64_t next_ms = sooner(e->silent_until_ms, next_end(e));
    loop_timer_at(e->loop, &e->timer, next_ms == UINT64_MAX ? 0 : next_ms);
}

/* Whoever wanted to ring meanwhile is heard now. */
static void end_silence(struct ejector *e)
{
    if (!e->silent_until_ms || e->loop->clock.now_ms < e->silent_until_ms)
        return;
    e->silent_until_ms = 0;
    atomic_store_explicit(&e->bell.rung, false, memory_order_seq_cst);
}

static void on_timer(struct task *t)
{
    struct ejector *e = container_of(t, struct ejector, task);
    if (!timer_take(&e->timer))
        return;
    end_silence(e);
    look(e);
}

static void on_rung(struct message *m)
{
    struct ejector *e = container_of(m, struct ejector, bell.message);
    e->silent_until_ms = e->loop->clock.now_ms + EJECTOR_PAUSE_MS;
    look(e);
}

void ejector_adopt(struct ejector *e, const struct group *groups, size_t groups_n)
{
    e->groups = groups;
    e->groups_n = groups_n;
    look(e);
}

/* ---- for workers ---- */

void ejector_failed(struct ejector_bell *b, struct target *t, struct ejector_rule r)
{
    if (r.limit == 0 || !b)
        return;
    uint32_t run = atomic_fetch_add_explicit(&t->failing, 1, memory_order_relaxed) + 1;
    if (run % r.limit == 0 && !atomic_exchange_explicit(&b->rung, true, memory_order_seq_cst))
        loop_post(b->loop, &b->message);
}

/* ---- life ---- */

void ejector_init(struct ejector *e, struct loop *loop, struct news *news,
                  struct slow_start *slow_start)
{
    *e = (struct ejector){.loop = loop, .news = news, .slow_start = slow_start};
    e->bell.loop = loop;
    e->bell.message.run = on_rung;
    task_init(&e->task, on_timer);
    timer_init(&e->timer, &e->task);
}

void ejector_fini(struct ejector *e)
{
    timer_del(&e->loop->wheel, &e->timer);
    task_cancel(&e->task);
    e->groups_n = 0;
}
