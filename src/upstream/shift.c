#include "upstream/shift.h"

#include <stdio.h>

#include "base/check.h"
#include "base/log.h"
#include "upstream/group_zones.h"

/* ---- what workers see ---- */

static int64_t now_us(const struct shifts *s)
{
    return s->loop->clock.wall_us;
}

static const struct shift *find(const struct shifts *s, struct slice zone)
{
    for (unsigned i = 0; i < s->n; i++)
        if (slice_eq(slice_str(s->all[i].zone), zone))
            return &s->all[i];
    return NULL;
}

static int64_t grace_us(const struct shift *k)
{
    int64_t grace = SHIFT_GRACE_MS * 1000ll, half = (k->until_us - k->since_us) / 2;
    return grace < half ? grace : half;
}

static bool is_leaving(const struct shifts *s)
{
    const struct shift *own = find(s, slice_str(s->node_zone));
    return own && now_us(s) >= own->since_us + grace_us(own);
}

/* The soonest of what is to happen: an end, the end of the grace, or just another look. */
static void plan(struct shifts *s)
{
    int64_t soonest = now_us(s) + SHIFT_LOOK_MS * 1000ll;
    timer_clear(&s->timer);
    for (unsigned i = 0; i < s->n; i++) {
        int64_t leaves = s->all[i].since_us + grace_us(&s->all[i]);
        if (s->all[i].until_us < soonest)
            soonest = s->all[i].until_us;
        if (leaves > now_us(s) && leaves < soonest)
            soonest = leaves;
    }
    if (s->n)
        loop_timer(s->loop, &s->timer, (uint64_t)(soonest - now_us(s)) / 1000 + 1);
}

/* First what has changed, then the news of it. */
static void show(struct shifts *s)
{
    struct shifted *to = &s->registry->shifted;
    for (unsigned i = 0; i < REGISTRY_SHIFTED_MAX; i++) {
        uint64_t id = i < s->n ? registry_zone_id(slice_str(s->all[i].zone)) : 0;
        atomic_store_explicit(&to->zones[i], id, memory_order_relaxed);
    }
    atomic_store_explicit(&to->leaving, is_leaving(s), memory_order_relaxed);
    registry_raise_all(s->registry);
    plan(s);
    if (s->changed)
        s->changed(s->ctx);
}

/* ---- holds ---- */

static bool is_over(const struct shifts *s, const struct shift_hold *h)
{
    return h->until_us <= now_us(s);
}

static const struct shift_hold *find_hold(const struct shifts *s, struct slice zone)
{
    for (unsigned i = 0; i < s->holds_n; i++)
        if (slice_eq(slice_str(s->holds[i].zone), zone))
            return &s->holds[i];
    return NULL;
}

/* With no place left the one that ends first goes, which is one that is over if there is one. */
static struct shift_hold *place_of_hold(struct shifts *s, struct slice zone)
{
    const struct shift_hold *same = find_hold(s, zone);
    unsigned first = 0;
    if (same)
        return &s->holds[same - s->holds];
    if (s->holds_n < REGISTRY_SHIFTED_MAX)
        return &s->holds[s->holds_n++];
    for (unsigned i = 1; i < s->holds_n; i++)
        if (s->holds[i].until_us < s->holds[first].until_us)
            first = i;
    return &s->holds[first];
}

static void hold(struct shifts *s, const struct shift *cancelled)
{
    struct shift_hold h = {.until_us = cancelled->until_us};
    memcpy(h.zone, cancelled->zone, sizeof(h.zone));
    if (cancelled->by == SHIFT_BY_AUTOSHIFT)
        *place_of_hold(s, slice_str(h.zone)) = h;
}

bool shift_is_held(const struct shifts *s, struct slice zone)
{
    const struct shift_hold *h = find_hold(s, zone);
    return h && !is_over(s, h);
}

/* ---- the end of a shift ---- */

static void take_out(struct shifts *s, unsigned at)
{
    s->n--;
    for (unsigned i = at; i < s->n; i++)
        s->all[i] = s->all[i + 1];
}

static void look(struct task *t)
{
    struct shifts *s = container_of(t, struct shifts, task);
    bool ended = false;
    (void)timer_take(&s->timer);
    for (unsigned i = s->n; i-- > 0;)
        if (s->all[i].until_us <= now_us(s)) {
            log_info("zone %s: its shift has ended, it gets work again", s->all[i].zone);
            take_out(s, i);
            ended = true;
        }
    if (ended) {
        show(s);
        return;
    }
    atomic_store_explicit(&s->registry->shifted.leaving, is_leaving(s), memory_order_relaxed);
    plan(s);
}

enum err shift_cancel(struct shifts *s, struct slice zone, struct strbuf *why)
{
    const struct shift *k = find(s, zone);
    if (!k) {
        strbuf_printf(why, "zone %.*s is not shifted", (int)zone.n, zone.p);
        return ERR_NOT_FOUND;
    }
    log_info("zone %s: its shift was cancelled, it gets work again", k->zone);
    hold(s, k);
    take_out(s, (unsigned)(k - s->all));
    show(s);
    return OK;
}

/* ---- the check of capacity ---- */

static bool stays(const struct group *g, const struct member *m, struct slice zone)
{
    const struct shifted *s = g->news ? g->news->shifted : NULL;
    return !slice_eq(m->zone, zone) && !(s && registry_is_shifted(s, registry_zone_id(m->zone)));
}

struct shift_group shift_look(const struct group *g, struct slice zone)
{
    struct shift_group look = {.name = g->name};
    for (size_t i = 0; i < g->members_n; i++) {
        const struct member *m = &g->members[i];
        if (!group_zones_healthy(g, m))
            continue;
        if (stays(g, m, slice_of(NULL, 0)))
            look.now += m->weight;
        if (stays(g, m, zone))
            look.left += m->weight;
    }
    return look;
}

uint32_t shift_load(const struct shift_group *g)
{
    if (g->now == 0)
        return 0;
    uint64_t percent = g->left ? (g->now * 100 + g->left - 1) / g->left : UINT32_MAX;
    return percent < UINT32_MAX ? (uint32_t)percent : UINT32_MAX;
}

enum err shift_check(const struct shift_group *groups, size_t n, struct slice zone,
                     struct strbuf *why)
{
    const struct shift_group *worst = NULL;
    for (size_t i = 0; i < n; i++)
        if (!worst || shift_load(&groups[i]) > shift_load(worst))
            worst = &groups[i];
    uint32_t load = worst ? shift_load(worst) : 0;
    if (load <= SHIFT_LOAD_MAX)
        return OK;
    strbuf_printf(why, "zone %.*s: target group %.*s would ", (int)zone.n, zone.p,
                  (int)worst->name.n, worst->name.p);
    if (load == UINT32_MAX)
        strbuf_str(why, "be left without a healthy target");
    else
        strbuf_printf(why, "run at %u %% of its present load per target (%u %% at most)", load,
                      SHIFT_LOAD_MAX);
    return ERR_LIMIT;
}

/* ---- the beginning of a shift ---- */

static bool is_line(struct slice text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
            return false;
    return text.n > 0;
}

static enum err check_wish(const struct shift_wish *w, struct strbuf *why)
{
    if (w->for_ms < SHIFT_FOR_MIN_MS || w->for_ms > SHIFT_FOR_MAX_MS) {
        strbuf_str(why, "a shift lasts from 1s to 72h");
        return ERR_SYNTAX;
    }
    if (!is_line(w->reason) || w->reason.n > SHIFT_REASON_MAX) {
        strbuf_printf(why, "a shift has a reason: one line of at most %u octets", SHIFT_REASON_MAX);
        return ERR_SYNTAX;
    }
    return OK;
}

static bool is_known(const struct shifts *s, struct slice zone, const struct group *groups,
                     size_t n)
{
    if (zone.n == 0 || zone.n > SHIFT_ZONE_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < groups[i].members_n; j++)
            if (slice_eq(groups[i].members[j].zone, zone))
                return true;
    return slice_eq(slice_str(s->node_zone), zone);
}

static enum err check_capacity(const struct group *groups, size_t n, struct slice zone,
                               struct strbuf *why)
{
    for (size_t i = 0; i < n; i++) {
        struct shift_group look = shift_look(&groups[i], zone);
        if (!groups[i].used || look.now == look.left)
            continue;
        enum err e = shift_check(&look, 1, zone, why);
        if (e != OK)
            return e;
    }
    return OK;
}

static enum err check_words(const struct shifts *s, const struct shift_wish *w,
                            const struct group *groups, size_t n, struct strbuf *why)
{
    enum err e = check_wish(w, why);
    if (e == OK && !is_known(s, w->zone, groups, n)) {
        strbuf_printf(why, "no target is in a zone %.*s", (int)w->zone.n, w->zone.p);
        e = ERR_NOT_FOUND;
    }
    return e;
}

static enum err check(const struct shifts *s, const struct shift_wish *w,
                      const struct group *groups, size_t n, struct strbuf *why)
{
    const struct shift *same = find(s, w->zone);
    if (!same && s->n && !w->force) {
        strbuf_printf(why, "zone %s is shifted already", s->all[0].zone);
        return ERR_EXISTS;
    }
    if (!same && s->n == REGISTRY_SHIFTED_MAX) {
        strbuf_printf(why, "%u zones are shifted already", s->n);
        return ERR_NOMEM;
    }
    return w->force || same ? OK : check_capacity(groups, n, w->zone, why);
}

/* Nothing is wrong where it is practised: whoever shifts in earnest needs that zone. */
static void end_practice(struct shifts *s, const struct shift_wish *w)
{
    for (unsigned i = s->n; i-- > 0;) {
        const struct shift *k = &s->all[i];
        if (k->by != SHIFT_BY_PRACTICE || slice_eq(slice_str(k->zone), w->zone))
            continue;
        log_info("zone %s: its practice run gives way to a shift of zone %.*s", k->zone,
                 (int)w->zone.n, w->zone.p);
        take_out(s, i);
        show(s);
    }
}

static void put(char *to, struct slice text)
{
    if (text.n)
        memcpy(to, text.p, text.n);
    to[text.n] = '\0';
}

static struct shift *place(struct shifts *s, struct slice zone)
{
    const struct shift *same = find(s, zone);
    return same ? &s->all[same - s->all] : &s->all[s->n++];
}

enum err shift_set(struct shifts *s, const struct shift_wish *w, const struct group *groups,
                   size_t groups_n, struct strbuf *why)
{
    enum err e = check_words(s, w, groups, groups_n, why);
    if (e == OK && w->by != SHIFT_BY_PRACTICE)
        end_practice(s, w);
    if (e == OK)
        e = check(s, w, groups, groups_n, why);
    if (e != OK)
        return e;
    struct shift *k = place(s, w->zone);
    *k = (struct shift){.by = w->by, .since_us = now_us(s)};
    put(k->zone, w->zone);
    put(k->reason, w->reason);
    k->until_us = k->since_us + (int64_t)w->for_ms * 1000;
    log_warning("zone %s is shifted away for %llu s by %s: %s", k->zone,
                (unsigned long long)w->for_ms / 1000, shift_by_name(k->by), k->reason);
    show(s);
    return OK;
}

/* What was kept is about a zone, and has a while to go, but not for ever. */
static bool still_means(const struct shifts *s, struct slice zone, int64_t until_us)
{
    int64_t left_us = until_us - now_us(s);
    return zone.n && zone.n <= SHIFT_ZONE_MAX && left_us > 0 &&
           left_us <= (int64_t)SHIFT_FOR_MAX_MS * 1000;
}

bool shift_restore_hold(struct shifts *s, const struct shift_hold *kept)
{
    struct slice zone = slice_of(kept->zone, strnlen(kept->zone, sizeof(kept->zone)));
    if (!still_means(s, zone, kept->until_us))
        return false;
    *place_of_hold(s, zone) = *kept;
    return true;
}

bool shift_restore(struct shifts *s, const struct shift *kept)
{
    struct slice zone = slice_of(kept->zone, strnlen(kept->zone, sizeof(kept->zone)));
    struct slice reason = slice_of(kept->reason, strnlen(kept->reason, sizeof(kept->reason)));
    bool fits = is_line(reason) && reason.n <= SHIFT_REASON_MAX;
    if (!fits || !still_means(s, zone, kept->until_us) || s->n == REGISTRY_SHIFTED_MAX ||
        find(s, zone))
        return false;
    s->all[s->n++] = *kept;
    show(s);
    return true;
}

/* ---- life and looks ---- */

const char *shift_by_name(enum shift_by by)
{
    static const char *const names[] = {
        [SHIFT_BY_OPERATOR] = "operator",
        [SHIFT_BY_AUTOSHIFT] = "autoshift",
        [SHIFT_BY_PRACTICE] = "practice",
    };
    return names[by];
}

void shift_init(struct shifts *s, struct loop *loop, struct registry *registry)
{
    *s = (struct shifts){.loop = loop, .registry = registry};
    task_init(&s->task, look);
    timer_init(&s->timer, &s->task);
}

void shift_fini(struct shifts *s)
{
    timer_del(&s->loop->wheel, &s->timer);
    task_cancel(&s->task);
}

void shift_adopt(struct shifts *s, struct slice node_zone)
{
    CHECK(node_zone.n <= SHIFT_ZONE_MAX);
    put(s->node_zone, node_zone);
    atomic_store_explicit(&s->registry->shifted.leaving, is_leaving(s), memory_order_relaxed);
}

bool shift_has(const struct shifts *s, struct slice zone)
{
    return find(s, zone);
}

static void add_seconds(struct strbuf *out, const char *key, int64_t us)
{
    strbuf_printf(out, ",\"%s\":%lld.%03lld", key, (long long)us / 1000000,
                  (long long)us / 1000 % 1000);
}

void shift_json(const struct shifts *s, struct strbuf *out)
{
    strbuf_str(out, "[");
    for (unsigned i = 0; i < s->n; i++) {
        const struct shift *k = &s->all[i];
        int64_t left_us = k->until_us > now_us(s) ? k->until_us - now_us(s) : 0;
        strbuf_str(out, i ? ",{\"zone\":" : "{\"zone\":");
        strbuf_json(out, slice_str(k->zone));
        strbuf_str(out, ",\"reason\":");
        strbuf_json(out, slice_str(k->reason));
        strbuf_printf(out, ",\"by\":\"%s\"", shift_by_name(k->by));
        add_seconds(out, "since", k->since_us);
        add_seconds(out, "until", k->until_us);
        strbuf_printf(out, ",\"seconds_left\":%lld}", (long long)(left_us + 999999) / 1000000);
    }
    strbuf_str(out, "]");
}
