#include "server/changes.h"

#include <stdlib.h>

#include "base/check.h"
#include "server/server.h"

/* ---- drains ---- */

struct drain {
    struct list node;
    struct slice group;
    struct addr addr;
    char name[];
};

static struct drain *find(const struct changes *c, struct slice group, const struct addr *addr)
{
    list_each(n, next, &c->drains) {
        struct drain *d = list_entry(n, struct drain, node);
        if (slice_eq(d->group, group) && addr_eq(&d->addr, addr))
            return d;
    }
    return NULL;
}

static void add(struct changes *c, struct slice group, const struct addr *addr)
{
    struct drain *d = calloc(1, sizeof(*d) + group.n + 1);
    CHECK(d);
    d->group = slice_of(memcpy(d->name, group.p, group.n), group.n);
    d->addr = *addr;
    list_push_back(&c->drains, &d->node);
}

static void drop(struct drain *d)
{
    list_del(&d->node);
    free(d);
}

bool changes_is_drained(const struct changes *c, struct slice group, const struct addr *addr)
{
    return find(c, group, addr) != NULL;
}

void changes_set_drained(struct changes *c, struct slice group, const struct addr *addr,
                         bool drained)
{
    struct drain *d = find(c, group, addr);
    if (drained && !d)
        add(c, group, addr);
    else if (!drained && d)
        drop(d);
}

/* ---- saving ---- */

static size_t count(const struct list *l)
{
    size_t n = 0;
    list_each(at, next, l)
        n++;
    return n;
}

static void collect_drains(const struct changes *c, struct state *s, struct arena *a)
{
    s->drained = ARENA_ARRAY(a, struct state_target, count(&c->drains) + 1);
    list_each(n, next, &c->drains) {
        const struct drain *d = list_entry(n, struct drain, node);
        s->drained[s->drained_n++] = (struct state_target){.group = d->group, .addr = d->addr};
    }
}

static uint64_t seconds_up(int64_t us)
{
    return (uint64_t)((us + 999999) / 1000000);
}

static void collect_shifts(const struct shifts *from, struct state *s, struct arena *a)
{
    s->shifts = ARENA_ARRAY(a, struct state_shift, from->n + 1);
    for (; s->shifts_n < from->n; s->shifts_n++) {
        const struct shift *f = &from->all[s->shifts_n];
        s->shifts[s->shifts_n] = (struct state_shift){
            .zone = slice_str(f->zone),
            .reason = slice_str(f->reason),
            .by = f->by,
            .since_s = (uint64_t)(f->since_us / 1000000),
            .until_s = seconds_up(f->until_us),
        };
    }
}

static void collect_holds(const struct shifts *from, struct state *s, struct arena *a)
{
    s->holds = ARENA_ARRAY(a, struct state_hold, from->holds_n + 1);
    for (unsigned i = 0; i < from->holds_n; i++) {
        const struct shift_hold *h = &from->holds[i];
        struct slice zone = slice_str(h->zone);
        if (shift_is_held(from, zone))
            s->holds[s->holds_n++] = (struct state_hold){zone, seconds_up(h->until_us)};
    }
}

bool changes_save(struct changes *c, struct state_waiter *w)
{
    struct server *server = c->server;
    struct slice dir = server->snapshots.current->config->state_dir;
    struct state s = {.version = STATE_VERSION};
    struct arena a;
    struct strbuf text;
    if (dir.n == 0)
        return false;
    arena_init(&a);
    state_from_roster(&s, &a, &server->roster);
    collect_drains(c, &s, &a);
    collect_shifts(&server->shifts, &s, &a);
    collect_holds(&server->shifts, &s, &a);
    strbuf_init(&text);
    state_format(&s, &text);
    state_file_save(&c->file, dir, &text, w);
    strbuf_fini(&text);
    arena_fini(&a);
    return true;
}

/* By whomever, also by time. */
static void on_shifts_changed(void *ctx)
{
    struct changes *c = ctx;
    if (c->server->snapshots.current)
        (void)changes_save(c, NULL);
}

/* ---- restarts and reloads ---- */

static void restore_shift(struct shifts *to, const struct state_shift *k)
{
    struct shift s = {.by = k->by,
                      .since_us = (int64_t)k->since_s * 1000000,
                      .until_us = (int64_t)k->until_s * 1000000};
    CHECK(k->zone.n < sizeof(s.zone) &&
          k->reason.n < sizeof(s.reason)); /* state_parse() saw to it */
    memcpy(s.zone, k->zone.p, k->zone.n);
    memcpy(s.reason, k->reason.p, k->reason.n);
    (void)shift_restore(to, &s);
}

static void restore_hold(struct shifts *to, const struct state_hold *k)
{
    struct shift_hold h = {.until_us = (int64_t)k->until_s * 1000000};
    CHECK(k->zone.n < sizeof(h.zone)); /* the same */
    memcpy(h.zone, k->zone.p, k->zone.n);
    (void)shift_restore_hold(to, &h);
}

void changes_restore(struct changes *c, const struct state *kept, const struct config *config)
{
    struct roster *r = &c->server->roster;
    state_to_roster(kept, r);
    roster_keep_wanted(r, config);
    for (size_t i = 0; i < kept->drained_n; i++)
        changes_set_drained(c, kept->drained[i].group, &kept->drained[i].addr, true);
    for (size_t i = 0; i < kept->shifts_n; i++)
        restore_shift(&c->server->shifts, &kept->shifts[i]);
    for (size_t i = 0; i < kept->holds_n; i++)
        restore_hold(&c->server->shifts, &kept->holds[i]);
}

/* True: something was forgotten. */
static bool adopt_drains(struct changes *c, const struct snapshot *next, bool reload)
{
    bool forgot = false;
    list_each(n, tmp, &c->drains) {
        struct drain *d = list_entry(n, struct drain, node);
        struct target *t = registry_find(&c->server->snapshots.registry, d->group, &d->addr);
        bool named =
            t && atomic_load_explicit(&t->generation, memory_order_relaxed) >= next->generation;
        if (named) {
            t->drained = true;
            target_settle_draining(t);
        } else if (reload) {
            drop(d);
            forgot = true;
        }
    }
    return forgot;
}

void changes_adopt(struct changes *c, const struct snapshot *next, bool reload)
{
    bool forgot = adopt_drains(c, next, reload);
    if (reload)
        forgot |= roster_forget_removed(&c->server->roster, next->config);
    if (forgot)
        (void)changes_save(c, NULL);
}

/* ---- life ---- */

void changes_init(struct changes *c, struct server *s)
{
    *c = (struct changes){.server = s};
    list_init(&c->drains);
    state_file_init(&c->file, &s->loop);
    s->shifts.changed = on_shifts_changed;
    s->shifts.ctx = c;
}

void changes_fini(struct changes *c)
{
    state_file_fini(&c->file);
    list_each(n, next, &c->drains)
        drop(list_entry(n, struct drain, node));
}
