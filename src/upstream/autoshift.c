#include "upstream/autoshift.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"

/* ---- a window's counts ---- */

struct window {
    struct group_zone *names; /* of all groups, each once */
    struct grey_window grey;
    struct grey_count *group;   /* the one that is looked at */
    struct grey_latency *times; /* the same */
};

static size_t find_or_add(struct window *w, const struct group_zone *z)
{
    for (size_t i = 0; i < w->grey.n; i++)
        if (w->names[i].id == z->id)
            return i;
    w->names[w->grey.n] = *z;
    return w->grey.n++;
}

static void *array(size_t n, size_t size)
{
    void *p = calloc(n + 1, size);
    CHECK(p);
    return p;
}

static void window_init(struct window *w, const struct group *groups, size_t groups_n)
{
    size_t most = 0;
    for (size_t i = 0; i < groups_n; i++)
        most += groups[i].zones.n;
    *w = (struct window){.names = array(most, sizeof(*w->names)),
                         .grey.failures = array(most, sizeof(*w->grey.failures)),
                         .grey.slowness = array(most, sizeof(*w->grey.slowness)),
                         .group = array(most, sizeof(*w->group)),
                         .times = array(most, sizeof(*w->times))};
    for (size_t i = 0; i < groups_n; i++)
        for (size_t j = 0; j < groups[i].zones.n; j++)
            if (groups[i].zones.all[j].name.n)
                (void)find_or_add(w, &groups[i].zones.all[j]);
}

static void window_fini(struct window *w)
{
    free(w->times);
    free(w->group);
    free(w->grey.slowness);
    free(w->grey.failures);
    free(w->names);
}

/* The zone's place in the window, or GREY_NONE where it says nothing. */
static size_t place_of(struct window *w, const struct group *g, const struct member *m)
{
    if (!g->used || m->zone.n == 0 || g->zones.n == 0)
        return GREY_NONE;
    return find_or_add(w, &g->zones.all[m->zone_at]);
}

/* Every target is read, so that none brings old counts into a later window. */
static void count_group(struct window *w, const struct group *g)
{
    uint64_t nowhere[TARGET_BUCKETS] = {0};
    memset(w->group, 0, w->grey.n * sizeof(*w->group));
    memset(w->times, 0, w->grey.n * sizeof(*w->times));
    for (size_t i = 0; i < g->members_n; i++) {
        struct target *t = g->members[i].target;
        size_t at = place_of(w, g, &g->members[i]);
        struct target_counts c = target_count_since(t, &t->window);
        target_answers_since(t, &t->answers, at == GREY_NONE ? nowhere : w->times[at].answers);
        if (at == GREY_NONE)
            continue;
        w->group[at].all += c.requests;
        w->group[at].bad += c.failures;
    }
}

static void add_group(const struct autoshift *a, struct window *w, const struct group *g)
{
    count_group(w, g);
    grey_add(w->grey.failures, w->group, w->grey.n, &grey_failures);
    if (a->rule.slow_ms == CONFIG_NONE)
        return;
    grey_latency_count(w->times, w->grey.n, a->rule.minimum_requests, a->rule.slow_ms * 1000,
                       w->group);
    grey_add(w->grey.slowness, w->group, w->grey.n, &grey_slowness);
}

static void count(const struct autoshift *a, struct window *w)
{
    window_init(w, a->groups, a->groups_n);
    for (size_t i = 0; i < a->groups_n; i++)
        add_group(a, w, &a->groups[i]);
}

/* ---- what follows ---- */

static double percent(const struct grey_count *c)
{
    return c->all ? 100.0 * (double)c->bad / (double)c->all : 0;
}

static void give_reason(const struct autoshift *a, const struct window *w, struct grey_verdict v,
                        struct strbuf *to)
{
    const struct grey_zone *zones = v.slow ? w->grey.slowness : w->grey.failures;
    const struct grey_count *own = &zones[v.zone].compared;
    struct grey_count others = {0};
    for (size_t i = 0; i < w->grey.n; i++)
        if (i != v.zone) {
            others.all += zones[i].compared.all;
            others.bad += zones[i].compared.bad;
        }
    strbuf_printf(to, "%.*f %% of %llu ", v.slow, percent(own), (unsigned long long)own->all);
    strbuf_str(to, v.slow ? "answers took over twice the usual p99" : "requests failed");
    strbuf_printf(to, ", of the other zones' %llu %.*f %% (window %u of %g s in a row)",
                  (unsigned long long)others.all, v.slow, percent(&others), a->run.windows,
                  a->rule.window_ms / 1000.);
}

static void shift(struct autoshift *a, struct slice zone, struct slice reason, bool first)
{
    struct strbuf why;
    struct shift_wish wish = {
        .zone = zone, .reason = reason, .for_ms = a->rule.for_ms, .by = SHIFT_BY_AUTOSHIFT};
    strbuf_init(&why);
    if (shift_set(a->shifts, &wish, a->groups, a->groups_n, &why) == OK) {
        log_info("audit: zone shift %.*s by autoshift: ok", (int)zone.n, zone.p);
        a->run = (struct grey_run){0};
    } else if (first) {
        log_warning("audit: zone shift %.*s by autoshift: refused: %s; %.*s", (int)zone.n, zone.p,
                    why.p, (int)reason.n, reason.p);
    }
    strbuf_fini(&why);
}

/* first: of those in a row that are enough. What keeps it back is said once. */
static void act(struct autoshift *a, const struct window *w, struct grey_verdict v, bool first)
{
    const struct group_zone *z = &w->names[v.zone];
    struct strbuf reason;
    strbuf_init(&reason);
    give_reason(a, w, v, &reason);
    if (!shift_is_held(a->shifts, z->name))
        shift(a, z->name, strbuf_get(&reason), first);
    else if (first)
        log_warning("audit: zone shift %.*s by autoshift: refused: an operator cancelled the last "
                    "one; %s",
                    (int)z->name.n, z->name.p, reason.p);
    strbuf_fini(&reason);
}

static void begin_window(struct autoshift *a)
{
    loop_timer(a->loop, &a->timer, a->rule.window_ms);
}

static void detect(struct autoshift *a, const struct window *w)
{
    struct grey_verdict v = {.zone = GREY_NONE};
    if (a->shifts->n == 0)
        v = grey_judge(&w->grey, a->rule.minimum_requests);
    unsigned windows = grey_note(&a->run, v.zone == GREY_NONE ? 0 : w->names[v.zone].id);
    if (windows >= a->rule.windows)
        act(a, w, v, windows == a->rule.windows);
}

static void practise(struct autoshift *a, const struct window *w)
{
    struct practice_world world = {a->shifts, &a->rule, a->groups, a->groups_n, w->names, &w->grey};
    practice_look(&a->practice, &world);
}

static void look(struct task *t)
{
    struct autoshift *a = container_of(t, struct autoshift, task);
    struct window w;
    (void)timer_take(&a->timer);
    if (a->rule.mode == CONFIG_AUTOSHIFT_OFF)
        return;
    count(a, &w);
    if (a->rule.mode == CONFIG_AUTOSHIFT_ON)
        detect(a, &w);
    else
        practise(a, &w);
    window_fini(&w);
    begin_window(a);
}

/* ---- life ---- */

static void begin(struct autoshift *a)
{
    struct window past;
    count(a, &past);
    window_fini(&past);
    a->run = (struct grey_run){0};
    practice_begin(&a->practice, a->loop->clock.wall_us);
}

void autoshift_adopt(struct autoshift *a, const struct config_autoshift *rule,
                     const struct group *groups, size_t groups_n)
{
    struct config_autoshift old = a->rule;
    a->rule = *rule;
    a->groups = groups;
    a->groups_n = groups_n;
    if (rule->mode == CONFIG_AUTOSHIFT_OFF) {
        timer_clear(&a->timer);
        return;
    }
    if (old.mode != rule->mode)
        begin(a);
    if (old.mode == CONFIG_AUTOSHIFT_OFF || old.window_ms != rule->window_ms)
        begin_window(a);
}

void autoshift_init(struct autoshift *a, struct loop *loop, struct shifts *shifts)
{
    *a = (struct autoshift){.loop = loop, .shifts = shifts};
    task_init(&a->task, look);
    timer_init(&a->timer, &a->task);
}

void autoshift_fini(struct autoshift *a)
{
    timer_del(&a->loop->wheel, &a->timer);
    task_cancel(&a->task);
    a->groups_n = 0;
}
