#include "server/discovery.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "server/found.h"
#include "server/server.h"
#include "upstream/finder.h"

#define NAME_FIRST_MS 1000 /* getaddrinfo() does not say how long its addresses are good: they are */
#define NAME_SPREAD_MS 9000 /* asked for again soon, and not all at once */

/* Those who ask the same name servers share a channel. */
struct name_servers {
    struct list node;
    struct dns *dns; /* NULL: there is none, tried again with the next question */
    unsigned users;
    size_t n;
    struct addr addrs[];
};

/* One thing that is followed. Those of files only count: the loader does their work. */
struct lookup {
    struct list node;
    struct discovery *owner;
    struct found_about about; /* its texts are in `texts` */
    struct arena texts;
    struct name_servers *servers; /* NULL: of a file */
    struct finder finder;
    struct task found, ask;
    struct timer due;
    struct discover known;
    bool listed; /* server->roster has, or is to have, a list of it */
    unsigned round;
    struct stamp stamp; /* of a file: as it was counted last */
    uint64_t failures;
    int64_t good_s;
    const char *why; /* constant, or in `texts`; NULL: the last look was good */
};

static const char *source_name(enum roster_source s)
{
    static const char *const names[] = {[ROSTER_FILE] = "file",
                                        [ROSTER_DNS] = "dns",
                                        [ROSTER_SRV] = "dns_srv",
                                        [ROSTER_NAME] = "name"};
    return names[s];
}

/* ---- name servers ---- */

static bool same_servers(const struct name_servers *s, const struct addr *addrs, size_t n)
{
    for (size_t i = 0; i < n && s->n == n; i++)
        if (!addr_eq(&s->addrs[i], &addrs[i]))
            return false;
    return s->n == n;
}

static struct name_servers *get_servers(struct discovery *d, const struct addr *addrs, size_t n)
{
    list_each(node, next, &d->servers) {
        struct name_servers *s = list_entry(node, struct name_servers, node);
        if (same_servers(s, addrs, n)) {
            s->users++;
            return s;
        }
    }
    struct name_servers *s = calloc(1, sizeof(*s) + n * sizeof(*addrs));
    CHECK(s);
    s->users = 1;
    s->n = n;
    if (n)
        memcpy(s->addrs, addrs, n * sizeof(*addrs));
    list_push_back(&d->servers, &s->node);
    return s;
}

static void put_servers(struct name_servers *s)
{
    if (!s || --s->users > 0)
        return;
    list_del(&s->node);
    dns_free(s->dns);
    free(s);
}

/* resolv.conf and /etc/hosts may have changed: they are read again with the next question. */
static void renew_servers(struct discovery *d)
{
    list_each(node, next, &d->servers) {
        struct name_servers *s = list_entry(node, struct name_servers, node);
        if (s->n || !s->dns || !dns_idle(s->dns))
            continue;
        dns_free(s->dns);
        s->dns = NULL;
    }
}

/* ---- lists ---- */

/* Puts what is known into the roster. True: that is not what the snapshot has. */
static bool publish(struct lookup *l, const struct roster *serving)
{
    struct roster *roster = &l->owner->server->roster;
    struct roster_list *own = found_list(&l->about, &l->known);
    struct roster_list *there =
        serving ? roster_find(serving, l->about.group, l->about.source, l->about.origin) : NULL;
    bool same = there && roster_list_same(there, own);
    if (same) {
        roster_list_unref(own);
        own = roster_list_ref(there);
    }
    roster_put(roster, own);
    return !same;
}

static void refresh(struct discovery *d)
{
    reload_refresh(&d->server->reload, NULL);
}

/* ---- answers ---- */

static void wait_ms(struct lookup *l, uint64_t ms)
{
    loop_timer(&l->owner->server->loop, &l->due, ms);
}

static void note_failure(struct lookup *l)
{
    l->failures++;
    l->why = l->finder.why ? l->finder.why : "no address that could be a target";
    if (l->known.failures == 1)
        log_warning("%s %s of \"%s\": %s: its %zu addresses stay", source_name(l->about.source),
                    l->about.name.p, l->about.group.p, l->why, l->known.known_n);
}

static void note_success(struct lookup *l, unsigned failures)
{
    l->why = NULL;
    l->good_s = l->owner->server->loop.clock.wall_us / 1000000;
    if (failures)
        log_info("%s %s of \"%s\": answered again", source_name(l->about.source),
                 l->about.name.p, l->about.group.p);
}

static void on_found(struct task *t)
{
    struct lookup *l = container_of(t, struct lookup, found);
    struct loop *loop = &l->owner->server->loop;
    const struct discover_answer *a = &l->finder.answer;
    unsigned failures = l->known.failures;
    bool changed = discover_take(&l->known, a, loop->clock.now_ms, l->about.hold_ms);
    if (l->known.failures)
        note_failure(l);
    else
        note_success(l, failures);
    wait_ms(l, discover_wait_ms(&l->known, a->ttl_s, &loop->rng));
    if (!changed)
        return;
    l->listed = true;
    (void)publish(l, NULL);
    refresh(l->owner);
}

static void on_due(struct task *t)
{
    struct lookup *l = container_of(t, struct lookup, ask);
    struct name_servers *s = l->servers;
    if (!timer_take(&l->due) || l->owner->server->stopping)
        return;
    if (!s->dns)
        s->dns = dns_new(&l->owner->server->loop, s->addrs, s->n);
    if (s->dns)
        finder_start(&l->finder, s->dns, l->about.name.p, l->about.port);
    else
        wait_ms(l, DISCOVER_RETRY_MAX_MS);
}

/* ---- life of one ---- */

static struct list *bucket(struct discovery *d, const struct found_about *a)
{
    uint64_t hash = hash_bytes(a->group, hash_bytes(a->origin, a->source));
    return &d->all[hash % DISCOVERY_BUCKETS];
}

static struct lookup *find(const struct discovery *d, const struct found_about *a)
{
    struct list *all = bucket((struct discovery *)d, a);
    list_each(n, next, all) {
        struct lookup *l = list_entry(n, struct lookup, node);
        if (l->about.source == a->source && slice_eq(l->about.group, a->group) &&
            slice_eq(l->about.origin, a->origin))
            return l;
    }
    return NULL;
}

/* What it is about, with texts and name servers of its own. */
static void take_about(struct lookup *l, const struct found_about *a)
{
    struct name_servers *before = l->servers;
    struct arena texts;
    arena_init(&texts);
    l->about = *a;
    l->about.group = arena_slice(&texts, a->group);
    l->about.origin = arena_slice(&texts, a->origin);
    l->about.name = arena_slice(&texts, a->name);
    l->about.zone = arena_slice(&texts, a->zone);
    if (a->source != ROSTER_FILE) {
        l->servers = get_servers(l->owner, a->resolvers, a->resolvers_n);
        l->about.resolvers = l->servers->addrs;
    }
    if (l->servers != before && finder_running(&l->finder)) {
        finder_fini(&l->finder); /* it asks the wrong ones */
        finder_init(&l->finder, &l->found);
        wait_ms(l, 1);
    }
    put_servers(before);
    arena_fini(&l->texts);
    l->texts = texts;
}

static struct lookup *new_lookup(struct discovery *d, const struct found_about *a)
{
    struct lookup *l = calloc(1, sizeof(*l));
    CHECK(l);
    l->owner = d;
    arena_init(&l->texts);
    discover_init(&l->known);
    task_init(&l->found, on_found);
    task_init(&l->ask, on_due);
    timer_init(&l->due, &l->ask);
    finder_init(&l->finder, &l->found);
    take_about(l, a);
    list_push_back(bucket(d, a), &l->node);
    return l;
}

static void free_lookup(struct lookup *l)
{
    list_del(&l->node);
    finder_fini(&l->finder);
    timer_del(&l->owner->server->loop.wheel, &l->due);
    task_cancel(&l->ask);
    task_cancel(&l->found);
    discover_fini(&l->known);
    put_servers(l->servers);
    arena_fini(&l->texts);
    free(l);
}

/* ---- adopting ---- */

/* The one that is followed already, as far as it is about the same; else a new one. */
static struct lookup *want(struct discovery *d, const struct found_about *a, bool *is_new)
{
    struct lookup *l = find(d, a);
    if (l && found_key(&l->about) != found_key(a)) {
        free_lookup(l);
        l = NULL;
    }
    *is_new = !l;
    if (l)
        take_about(l, a);
    else
        l = new_lookup(d, a);
    l->round = d->round;
    return l;
}

/* The loader has asked once. */
static void begin(struct lookup *l, const struct roster_list *list)
{
    found_take_list(&l->known, list);
    l->good_s = list->good_s;
    l->why = list->trouble ? "no answer yet" : NULL;
    l->failures = list->trouble != NULL;
    l->known.failures = list->trouble != NULL;
    l->listed = true;
    wait_ms(l, discover_wait_ms(&l->known, list->ttl_s, &l->owner->server->loop.rng));
}

/* True: the snapshot has not what is known. */
static bool adopt_group(struct discovery *d, const struct snapshot *next,
                        const struct config_group *g)
{
    struct found_about a = found_about_group(next->config, g);
    const struct roster_list *list = roster_find(&next->roster, a.group, a.source, a.origin);
    bool is_new;
    struct lookup *l = want(d, &a, &is_new);
    CHECK(list); /* the loader made one, even if it is empty */
    if (is_new)
        begin(l, list);
    return publish(l, &next->roster);
}

static bool adopt_name(struct discovery *d, const struct snapshot *next,
                       const struct config_group *g, const struct config_target *t)
{
    const struct found_about a = {.group = g->name,
                                  .source = ROSTER_NAME,
                                  .origin = t->text,
                                  .name = t->host,
                                  .port = t->port,
                                  .resolvers = next->config->resolvers,
                                  .resolvers_n = next->config->resolvers_n};
    bool is_new;
    struct lookup *l = want(d, &a, &is_new);
    if (is_new) {
        struct config_target addrs = *t;
        addrs.weight = 1; /* as answers have it: that of the target is the configuration's */
        found_take_target(&l->known, &addrs);
        wait_ms(l, NAME_FIRST_MS + rng_below(&d->server->loop.rng, NAME_SPREAD_MS));
    }
    return l->listed && publish(l, &next->roster);
}

static bool adopt_names(struct discovery *d, const struct snapshot *next,
                        const struct config_group *g, const struct config_target *targets,
                        size_t n)
{
    bool differs = false;
    for (size_t i = 0; i < n; i++)
        if (targets[i].host.n)
            differs |= adopt_name(d, next, g, &targets[i]);
    return differs;
}

static bool adopt_file(struct discovery *d, const struct snapshot *next,
                       const struct config_group *g)
{
    const struct found_about a = {
        .group = g->name, .source = ROSTER_FILE, .name = g->discovery.file.path};
    struct roster_list *list = roster_find(&next->roster, a.group, a.source, a.origin);
    bool is_new;
    struct lookup *l = want(d, &a, &is_new);
    CHECK(list);
    if (list->trouble && (is_new || !stamp_same(l->stamp, list->stamp) || !l->why))
        l->failures++;
    l->stamp = list->stamp;
    l->good_s = list->good_s;
    l->why = list->trouble ? arena_strdup(&l->texts, slice_str(list->trouble)) : NULL;
    roster_put(&d->server->roster, roster_list_ref(list));
    return adopt_names(d, next, g, list->targets, list->targets_n);
}

static void drop_others(struct discovery *d)
{
    for (unsigned i = 0; i < DISCOVERY_BUCKETS; i++)
        list_each(n, next, &d->all[i]) {
            struct lookup *l = list_entry(n, struct lookup, node);
            if (l->round == d->round)
                continue;
            (void)roster_drop(&d->server->roster, l->about.group, l->about.source,
                              l->about.origin);
            free_lookup(l);
        }
}

static void watch_files(struct discovery *d, const struct snapshot *next)
{
    struct watch_path *paths = calloc(next->groups_n + 1, sizeof(*paths));
    size_t n = 0;
    CHECK(paths);
    for (size_t i = 0; i < next->groups_n; i++) {
        const struct config_group *g = &next->config->groups[i];
        if (g->discovery.source != CONFIG_DISCOVERY_FILE)
            continue;
        const struct roster_list *l =
            roster_find(&next->roster, g->name, ROSTER_FILE, (struct slice){0});
        paths[n++] = (struct watch_path){g->discovery.file.path.p, l->stamp};
    }
    watch_set(&d->watch, paths, n);
    free(paths);
}

void discovery_adopt(struct discovery *d, const struct snapshot *next)
{
    bool differs = false;
    d->round++;
    renew_servers(d);
    for (size_t i = 0; i < next->groups_n; i++) {
        const struct config_group *g = &next->config->groups[i];
        if (g->discovery.source == CONFIG_DISCOVERY_FILE)
            differs |= adopt_file(d, next, g);
        else if (g->discovery.source != CONFIG_DISCOVERY_NONE)
            differs |= adopt_group(d, next, g);
        differs |= adopt_names(d, next, g, g->targets, g->targets_n);
    }
    drop_others(d);
    watch_files(d, next);
    if (differs)
        refresh(d);
}

/* ---- how it is doing ---- */

static size_t targets_of(const struct lookup *l)
{
    const struct roster_list *list;
    if (l->servers)
        return l->known.known_n;
    list = roster_find(&l->owner->server->roster, l->about.group, ROSTER_FILE, (struct slice){0});
    return list ? list->targets_n : 0;
}

static struct discovery_state state_of(const struct lookup *l)
{
    uint64_t now = l->owner->server->loop.clock.now_ms, due = l->due.deadline_ms;
    return (struct discovery_state){
        .source = slice_str(source_name(l->about.source)),
        .group = l->about.group,
        .name = l->about.name,
        .targets = targets_of(l),
        .good_s = l->good_s,
        .trouble = slice_str(l->why),
        .failures = l->failures,
        .follows = l->servers != NULL,
        .due_ms = due > now ? due - now : 0,
    };
}

bool discovery_state(const struct discovery *d, const struct config_group *g,
                     struct discovery_state *out)
{
    static const enum roster_source sources[] = {[CONFIG_DISCOVERY_FILE] = ROSTER_FILE,
                                                 [CONFIG_DISCOVERY_DNS] = ROSTER_DNS,
                                                 [CONFIG_DISCOVERY_SRV] = ROSTER_SRV};
    if (g->discovery.source == CONFIG_DISCOVERY_NONE)
        return false;
    const struct found_about a = {.group = g->name, .source = sources[g->discovery.source]};
    const struct lookup *l = find(d, &a);
    if (l)
        *out = state_of(l);
    return l != NULL;
}

void discovery_each(const struct discovery *d,
                    void (*each)(void *ctx, const struct discovery_state *s), void *ctx)
{
    for (unsigned i = 0; i < DISCOVERY_BUCKETS; i++)
        list_each(n, next, (struct list *)&d->all[i]) {
            struct discovery_state s = state_of(list_entry(n, struct lookup, node));
            each(ctx, &s);
        }
}

/* ---- life ---- */

static void on_changed(struct task *t)
{
    refresh(container_of(t, struct discovery, changed));
}

void discovery_init(struct discovery *d, struct server *s)
{
    *d = (struct discovery){.server = s};
    for (unsigned i = 0; i < DISCOVERY_BUCKETS; i++)
        list_init(&d->all[i]);
    list_init(&d->servers);
    task_init(&d->changed, on_changed);
    watch_init(&d->watch, &s->loop, &d->changed);
}

void discovery_fini(struct discovery *d)
{
    d->round++;
    drop_others(d);
    watch_fini(&d->watch);
    task_cancel(&d->changed);
}
