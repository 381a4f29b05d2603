#include "upstream/practice.h"

#include "base/check.h"
#include "base/log.h"

#define DAY_S  86400
#define WEEK_S (7 * DAY_S)

/* ---- when, and who ---- */

/* 1970 began on a Thursday. */
uint64_t practice_week(uint32_t at_s, int64_t now_us)
{
    int64_t s = now_us / 1000000 + 3 * DAY_S - at_s;
    return s < 0 ? 0 : (uint64_t)s / WEEK_S;
}

static bool comes_before(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order < 0 : a.n < b.n;
}

static size_t rank(const struct group_zone *zones, size_t n, size_t of)
{
    size_t before = 0;
    for (size_t i = 0; i < n; i++)
        before += comes_before(zones[i].name, zones[of].name);
    return before;
}

size_t practice_turn(const struct group_zone *zones, size_t n, uint64_t week)
{
    size_t i = 0;
    CHECK(n);
    while (rank(zones, n, i) != week % n)
        i++;
    return i;
}

/* ---- alarms ---- */

static bool too_many_fail(const struct practice_world *w, struct strbuf *why)
{
    struct grey_count all = {0};
    for (size_t i = 0; i < w->window->n; i++) {
        all.all += w->window->failures[i].sum.all;
        all.bad += w->window->failures[i].sum.bad;
    }
    if (all.all < w->rule->minimum_requests || grey_is_clean(&all, &grey_failures))
        return false;
    strbuf_printf(why, "%llu of %llu requests failed in %g s", (unsigned long long)all.bad,
                  (unsigned long long)all.all, w->rule->window_ms / 1000.);
    return true;
}

/* Whether the group was well before is no question: now it needs the zone. */
static bool a_group_is_left_alone(const struct practice_world *w, struct strbuf *why)
{
    for (size_t i = 0; i < w->groups_n; i++) {
        const struct group *g = &w->groups[i];
        if (!g->used || g->members_n == 0 || shift_look(g, slice_of(NULL, 0)).now)
            continue;
        strbuf_printf(why, "\"%.*s\" has no healthy target left", (int)g->name.n, g->name.p);
        return true;
    }
    return false;
}

static bool is_alarming(const struct practice_world *w, struct strbuf *why)
{
    return too_many_fail(w, why) || a_group_is_left_alone(w, why);
}

/* ---- a run ---- */

static void say(struct slice zone, const char *outcome, const struct strbuf *why)
{
    log_info("audit: practice run in zone %.*s: %s%s%s", (int)zone.n, zone.p, outcome,
             why ? ": " : "", why ? why->p : "");
}

static const struct shift *find_ours(const struct shifts *s)
{
    for (unsigned i = 0; i < s->n; i++)
        if (s->all[i].by == SHIFT_BY_PRACTICE)
            return &s->all[i];
    return NULL;
}

static void note_run(struct practice *p, const struct shift *k)
{
    p->runs = true;
    memcpy(p->zone, k->zone, sizeof(p->zone));
    p->until_us = k->until_us;
}

static enum err try_start(const struct practice_world *w, struct slice zone, struct strbuf *why)
{
    struct shift_wish wish = {.zone = zone,
                              .reason = SLICE("practice run"),
                              .for_ms = w->rule->for_ms,
                              .by = SHIFT_BY_PRACTICE};
    if (is_alarming(w, why))
        return ERR_LIMIT;
    if (w->shifts->n) { /* also of the same zone: an operator's is not changed */
        strbuf_printf(why, "zone %s is shifted already", w->shifts->all[0].zone);
        return ERR_EXISTS;
    }
    return shift_set(w->shifts, &wish, w->groups, w->groups_n, why);
}

static void start(struct practice *p, const struct practice_world *w, struct slice zone)
{
    struct strbuf why;
    strbuf_init(&why);
    if (try_start(w, zone, &why) == OK)
        note_run(p, find_ours(w->shifts));
    say(zone, p->runs ? "begun" : "refused", p->runs ? NULL : &why);
    strbuf_fini(&why);
}

static void watch(struct practice *p, const struct practice_world *w)
{
    struct strbuf why, ignored;
    strbuf_init(&why);
    strbuf_init(&ignored);
    if (is_alarming(w, &why) && shift_cancel(w->shifts, slice_str(p->zone), &ignored) == OK) {
        p->runs = false;
        say(slice_str(p->zone), "ended early", &why);
    }
    strbuf_fini(&ignored);
    strbuf_fini(&why);
}

static void note_end(struct practice *p, int64_t now_us)
{
    p->runs = false;
    say(slice_str(p->zone), now_us >= p->until_us ? "succeeded" : "ended by an operator", NULL);
}

void practice_look(struct practice *p, const struct practice_world *w)
{
    int64_t now_us = w->shifts->loop->clock.wall_us;
    uint64_t week = practice_week(w->rule->practice_at_s, now_us);
    bool due = week > practice_week(w->rule->practice_at_s, p->looked_us);
    const struct shift *ours = find_ours(w->shifts);
    p->looked_us = now_us;
    if (ours)
        note_run(p, ours);
    else if (p->runs)
        note_end(p, now_us);
    if (ours)
        watch(p, w);
    else if (due && w->window->n)
        start(p, w, w->zones[practice_turn(w->zones, w->window->n, week)].name);
}

void practice_begin(struct practice *p, int64_t now_us)
{
    *p = (struct practice){.looked_us = now_us};
}
