#include "server/loading.h"

#include "base/arena.h"
#include "config/load.h"
#include "config/resolve.h"
#include "config/tokens.h"
#include "proxy/tls_store.h"
#include "server/first_answers.h"
#include "server/targets_files.h"

void loading_init(struct loading *l, const char *path, const struct config *running)
{
    *l = (struct loading){.path = path, .running = running};
    report_init(&l->report);
    roster_init(&l->roster);
}

void loading_fini(struct loading *l)
{
    report_fini(&l->report);
    roster_fini(&l->roster);
}

struct config *loading_read(struct loading *l)
{
    struct load_options o = load_options_default();
    return load_path(l->path, &o, &l->report);
}

/* ---- what needs a restart ---- */

static void warn_kept(struct loading *l, const char *key)
{
    struct config_pos pos = {.file = l->path};
    report_warning(&l->report, pos, "%s has changed: that needs a restart, the old value stays",
                   key);
}

static void keep_running_values(struct loading *l, struct config *c)
{
    const struct config *now = l->running;
    if (c->workers != now->workers)
        warn_kept(l, "workers");
    c->workers = now->workers;
    if (!slice_eq(c->user, now->user)) {
        warn_kept(l, "user");
        c->user = slice_of(arena_strdup(&c->arena, now->user), now->user.n);
    }
    if (!addr_eq(&c->admin.listen, &now->admin.listen))
        warn_kept(l, "admin.listen");
    c->admin.listen = now->admin.listen;
    if (c->limits.max_connections != now->limits.max_connections)
        warn_kept(l, "limits.max_connections");
    c->limits.max_connections = now->limits.max_connections;
}

/* ---- */

static void load_secrets(struct loading *l)
{
    struct tls_store_options o = tls_store_options_default(l->tickets, l->cookies);
    o.old = l->old;
    if (tls_store_load(l->snapshot, &o, &l->report))
        return;
    snapshot_free(l->snapshot, NULL);
    l->snapshot = NULL;
}

static struct resolve_options resolve_options(struct loading *l)
{
    struct resolve_options o = resolve_options_default();
    o.last = l->running;
    o.cancelled = &l->cancelled;
    return o;
}

/* Takes c, with its names resolved. */
static void compile(struct loading *l, struct config *c)
{
    struct resolve_options o = resolve_options(l);
    roster_keep_wanted(&l->roster, c);
    if (targets_files_load(c, &l->roster, &o, &l->report) != OK ||
        first_answers_find(c, &l->roster, &l->cancelled, &l->report) != OK) {
        model_free(c);
        return;
    }
    l->snapshot = snapshot_compile_with(c, &l->roster, c->workers);
    load_secrets(l);
}

void loading_compile(struct loading *l, struct config *c)
{
    struct resolve_options o = resolve_options(l);
    if (l->running)
        keep_running_values(l, c);
    first_answers_reuse(c, &l->roster);
    if (!tokens_read(c, &l->report) || resolve_targets(c, &o, &l->report) != OK) {
        model_free(c);
        return;
    }
    compile(l, c);
}

void loading_run(struct loading *l)
{
    struct config *c = loading_read(l);
    if (c)
        loading_compile(l, c);
}

void loading_refresh(struct loading *l, struct config *running)
{
    compile(l, model_hold(running));
}
