#include "server/discovery.h"

#include <stdlib.h>

#include "base/check.h"
#include "server/server.h"

#define NO_ORIGIN ((struct slice){0})

static const struct roster_list *file_list(const struct snapshot *s, const struct config_group *g)
{
    if (g->discovery.source != CONFIG_DISCOVERY_FILE)
        return NULL;
    return roster_find(&s->roster, g->name, ROSTER_FILE, NO_ORIGIN);
}

/* ---- files ---- */

static void on_changed(struct task *t)
{
    struct discovery *d = container_of(t, struct discovery, changed);
    reload_refresh(&d->server->reload, NULL);
}

/* Lists of files are the loader's: the newest are in the snapshot. */
static void take_file_lists(struct roster *to, const struct snapshot *next)
{
    for (size_t i = to->n; i-- > 0;)
        if (to->lists[i]->source == ROSTER_FILE)
            (void)roster_drop(to, to->lists[i]->group, ROSTER_FILE, NO_ORIGIN);
    for (size_t i = 0; i < next->roster.n; i++)
        if (next->roster.lists[i]->source == ROSTER_FILE)
            roster_put(to, roster_list_ref(next->roster.lists[i]));
}

static void watch_files(struct discovery *d, const struct snapshot *next)
{
    struct watch_path *paths = calloc(next->groups_n + 1, sizeof(*paths));
    size_t n = 0;
    CHECK(paths);
    for (size_t i = 0; i < next->groups_n; i++) {
        const struct config_group *g = &next->config->groups[i];
        const struct roster_list *l = file_list(next, g);
        if (l)
            paths[n++] = (struct watch_path){g->discovery.file.path.p, l->stamp};
    }
    watch_set(&d->watch, paths, n);
    free(paths);
}

/* ---- all ---- */

void discovery_adopt(struct discovery *d, const struct snapshot *next)
{
    take_file_lists(&d->server->roster, next);
    watch_files(d, next);
}

bool discovery_state(const struct discovery *d, const struct snapshot *s,
                     const struct config_group *g, struct discovery_state *out)
{
    const struct roster_list *l = file_list(s, g);
    (void)d;
    if (!l)
        return false;
    *out = (struct discovery_state){
        .source = SLICE("file"),
        .name = g->discovery.file.path,
        .targets = l->targets_n,
        .good_s = l->good_s,
        .trouble = slice_str(l->trouble),
    };
    return true;
}

void discovery_init(struct discovery *d, struct server *s)
{
    *d = (struct discovery){.server = s};
    task_init(&d->changed, on_changed);
    watch_init(&d->watch, &s->loop, &d->changed);
}

void discovery_fini(struct discovery *d)
{
    watch_fini(&d->watch);
    task_cancel(&d->changed);
}
