#include "upstream/slow_start.h"

#include "base/log.h"

#define STEPS       50
#define STEP_MIN_MS 100
#define STEP_MAX_MS 1000

uint16_t slow_start_share(uint64_t elapsed_ms, uint32_t duration_ms)
{
    if (elapsed_ms >= duration_ms)
        return TARGET_SHARE_ALL;
    uint64_t share = elapsed_ms * TARGET_SHARE_ALL / duration_ms;
    return share ? (uint16_t)share : 1;
}

static uint32_t step_of(const struct target *t)
{
    uint32_t ms = t->ramp_ms / STEPS;
    return ms < STEP_MIN_MS ? STEP_MIN_MS : ms > STEP_MAX_MS ? STEP_MAX_MS : ms;
}

static bool is_ramping(const struct target *t)
{
    return !list_empty(&t->ramping);
}

static void set_ramp(struct target *t, uint16_t share)
{
    atomic_store_explicit(&t->ramp, share, memory_order_relaxed);
}

static void plan(struct slow_start *s)
{
    uint32_t soonest_ms = STEP_MAX_MS;
    if (list_empty(&s->ramping))
        return;
    list_each(n, next, &s->ramping) {
        uint32_t ms = step_of(list_entry(n, struct target, ramping));
        soonest_ms = ms < soonest_ms ? ms : soonest_ms;
    }
    loop_timer(s->loop, &s->timer, soonest_ms);
}

void slow_start_end(struct slow_start *s, struct target *t)
{
    (void)s;
    list_del(&t->ramping);
    set_ramp(t, TARGET_SHARE_ALL);
}

static void step(struct slow_start *s, struct target *t)
{
    uint16_t share = slow_start_share(s->loop->clock.now_ms - t->ramp_from_ms, t->ramp_ms);
    if (share == TARGET_SHARE_ALL)
        slow_start_end(s, t);
    else
        set_ramp(t, share);
    news_raise(s->news, t->news);
}

static void run(struct task *task)
{
    struct slow_start *s = container_of(task, struct slow_start, task);
    if (!timer_take(&s->timer))
        return;
    list_each(n, next, &s->ramping)
        step(s, list_entry(n, struct target, ramping));
    plan(s);
}

/* ---- who ramps ---- */

static bool carries_the_group(const struct member *m)
{
    const struct target *t = m->target;
    return m->weight && target_state(t) == HEALTH_HEALTHY && target_flags(t) == 0 && !is_ramping(t);
}

static bool has_another(const struct group *g, const struct target *than)
{
    for (size_t i = 0; i < g->members_n; i++)
        if (g->members[i].target != than && carries_the_group(&g->members[i]))
            return true;
    return false;
}

void slow_start_begin(struct slow_start *s, const struct group *g, struct target *t)
{
    if (g->slow_start_ms == 0 || is_ramping(t) || !has_another(g, t))
        return;
    t->ramp_from_ms = s->loop->clock.now_ms;
    t->ramp_ms = g->slow_start_ms;
    set_ramp(t, slow_start_share(0, t->ramp_ms));
    list_push_back(&s->ramping, &t->ramping);
    plan(s);
    log_info("target %s of %s ramps up over %u ms", t->text.p, t->group.p, t->ramp_ms);
}

void slow_start_return(struct slow_start *s, const struct group *g, struct target *t)
{
    slow_start_end(s, t);
    if (target_state(t) == HEALTH_HEALTHY && target_flags(t) == 0)
        slow_start_begin(s, g, t);
}

void slow_start_keep(struct slow_start *s, const struct group *g, struct target *t)
{
    if (!is_ramping(t) || t->ramp_ms == g->slow_start_ms)
        return;
    t->ramp_ms = g->slow_start_ms;
    step(s, t);
    plan(s);
}

/* ---- life ---- */

void slow_start_init(struct slow_start *s, struct loop *loop, struct news *news)
{
    *s = (struct slow_start){.loop = loop, .news = news};
    list_init(&s->ramping);
    task_init(&s->task, run);
    timer_init(&s->timer, &s->task);
}

void slow_start_fini(struct slow_start *s)
{
    while (!list_empty(&s->ramping))
        slow_start_end(s, list_first(&s->ramping, struct target, ramping));
    timer_del(&s->loop->wheel, &s->timer);
    task_cancel(&s->task);
}
