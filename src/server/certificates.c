#include "server/certificates.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "server/server.h"

static void on_changed(struct task *t)
{
    struct certificates *c = container_of(t, struct certificates, changed);
    log_info("certificates or keys have changed on disk");
    reload_refresh(&c->server->reload, NULL);
}

static void add(struct watch_path *to, size_t *n, const struct tls_files *f)
{
    for (size_t i = 0; i < f->n; i++)
        to[(*n)++] = (struct watch_path){f->at[i].path, f->at[i].stamp};
}

static size_t count(const struct snapshot *s)
{
    size_t n = s->ticket_files.n + s->cookie_files.n;
    for (size_t i = 0; i < s->listeners_n; i++)
        n += s->listeners[i].tls_files.n;
    for (size_t i = 0; i < s->groups_n; i++)
        n += s->group_files[i].n;
    return n;
}

void certificates_adopt(struct certificates *c, const struct snapshot *next)
{
    struct watch_path *paths = calloc(count(next) + 1, sizeof(*paths));
    size_t n = 0;
    CHECK(paths);
    add(paths, &n, &next->ticket_files);
    add(paths, &n, &next->cookie_files);
    for (size_t i = 0; i < next->listeners_n; i++)
        add(paths, &n, &next->listeners[i].tls_files);
    for (size_t i = 0; i < next->groups_n; i++)
        add(paths, &n, &next->group_files[i]);
    watch_set(&c->watch, paths, n);
    free(paths);
}

void certificates_init(struct certificates *c, struct server *s)
{
    *c = (struct certificates){.server = s};
    task_init(&c->changed, on_changed);
    watch_init(&c->watch, &s->loop, &c->changed);
}

void certificates_fini(struct certificates *c)
{
    watch_fini(&c->watch);
    task_cancel(&c->changed);
}
