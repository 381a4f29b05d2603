#include "server/targets_files.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "config/targets_file.h"

#define NO_ORIGIN ((struct slice){0})

/* Groups whose file was read this time, with its targets: as a configuration, for resolve.h. */
struct fresh {
    struct config config; /* with groups and arena only */
    struct roster_list **lists; /* one for each group */
};

static struct roster_list *old_list(const struct roster *roster, const struct config_group *g)
{
    return roster_find(roster, g->name, ROSTER_FILE, NO_ORIGIN);
}

/* ---- reading ---- */

/* The targets that are there already, and what is wrong with the file. */
static struct roster_list *keep(const struct config_group *g, const struct roster_list *old,
                                struct stamp stamp, const struct report *why, struct report *r)
{
    struct roster_list *l = roster_list_of(g->name, ROSTER_FILE, NO_ORIGIN,
                                           old ? old->targets : NULL, old ? old->targets_n : 0);
    const struct report_entry *first = why->first;
    struct strbuf text;
    strbuf_init(&text);
    report_line(first, &text);
    l->trouble = arena_strdup(&l->arena, strbuf_get(&text));
    l->stamp = stamp;
    l->good_s = old ? old->good_s : 0;
    struct report_entry *e =
        report_warning(r, first->pos, "%s: \"%s\" keeps the %zu targets that it has from here",
                       first->message, g->name.p, l->targets_n);
    if (first->hint)
        report_hint(r, e, "%s", first->hint);
    strbuf_fini(&text);
    return l;
}

static struct roster_list *read_list(const struct config_group *g, const struct roster_list *old,
                                     struct stamp stamp, int64_t now_us, struct report *r)
{
    struct roster_list *l = roster_list_new(g->name, ROSTER_FILE, NO_ORIGIN);
    struct report why;
    report_init(&why);
    if (targets_file_read(&l->arena, &why, g->discovery.file.path.p, g, &l->targets,
                          &l->targets_n)) {
        l->stamp = stamp;
        l->good_s = now_us / 1000000;
    } else {
        roster_list_unref(l);
        report_sort(&why);
        l = keep(g, old, stamp, &why, r);
    }
    report_fini(&why);
    return l;
}

static void add_fresh(struct fresh *f, struct roster_list *l)
{
    f->lists[f->config.groups_n] = l;
    f->config.groups[f->config.groups_n++] = (struct config_group){
        .name = l->group, .targets = l->targets, .targets_n = l->targets_n};
}

static void look_at(const struct config_group *g, struct roster *roster, int64_t now_us,
                    struct fresh *f, struct report *r)
{
    const struct roster_list *old = old_list(roster, g);
    struct stamp stamp = stamp_of(g->discovery.file.path.p, now_us);
    if (old && stamp.hash && old->stamp.settled && stamp_same(old->stamp, stamp))
        return;
    struct roster_list *l = read_list(g, old, stamp, now_us, r);
    if (!l->trouble)
        add_fresh(f, l);
    roster_put(roster, l);
}

/* ---- names ---- */

/* Addresses were found in the memory of `f`: into that of their lists. */
static void take_addrs(struct roster_list *l)
{
    for (size_t i = 0; i < l->targets_n; i++)
        if (l->targets[i].host.n)
            l->targets[i].addrs = arena_copy(&l->arena, l->targets[i].addrs,
                                             l->targets[i].addrs_n * sizeof(struct addr));
}

static enum err resolve(struct fresh *f, const struct resolve_options *o, struct report *r)
{
    struct resolve_options own = *o;
    own.last = NULL;
    enum err e = resolve_targets(&f->config, &own, r);
    for (size_t i = 0; e == OK && i < f->config.groups_n; i++)
        take_addrs(f->lists[i]);
    return e;
}

/* ---- all ---- */

enum err targets_files_load(const struct config *c, struct roster *roster,
                            const struct resolve_options *o, struct report *r)
{
    struct clock now = {0};
    struct fresh f = {0};
    clock_update(&now);
    arena_init(&f.config.arena);
    f.config.groups = calloc(c->groups_n + 1, sizeof(*f.config.groups));
    f.lists = calloc(c->groups_n + 1, sizeof(struct roster_list *));
    CHECK(f.config.groups && f.lists);
    for (size_t i = 0; i < c->groups_n; i++)
        if (c->groups[i].discovery.source == CONFIG_DISCOVERY_FILE)
            look_at(&c->groups[i], roster, now.wall_us, &f, r);
    enum err e = resolve(&f, o, r);
    arena_fini(&f.config.arena);
    free(f.config.groups);
    free(f.lists);
    return e;
}
