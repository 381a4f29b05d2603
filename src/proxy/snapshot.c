#include "proxy/snapshot.h"

#include <stdlib.h>

#include "base/check.h"
#include "proxy/back_h2.h"
#include "proxy/stickiness.h"
#include "proxy/tls_store.h"
#include "upstream/balance.h"
#include "upstream/group_zones.h"

#define SNAPSHOT_MAGIC 0x534e4150
#define PLAIN_H2_KEY   2 /* of links; those of TLS are odd */

/* ---- compile ---- */

static struct snapshot_local *new_locals(unsigned workers)
{
    size_t bytes = workers * sizeof(struct snapshot_local);
    struct snapshot_local *l = aligned_alloc(_Alignof(struct snapshot_local), bytes);
    CHECK(l);
    return memset(l, 0, bytes);
}

static struct slice server_name(const struct config_group *c, const struct config_target *t)
{
    return c->target_tls.server_name.n ? c->target_tls.server_name : t->host;
}

struct members {
    struct group *group;
    const struct config_group *config;
};

static void count_member(void *ctx, const struct config_target *t, const struct addr *addr)
{
    (void)t, (void)addr;
    ++*(size_t *)ctx;
}

static void add_member(void *ctx, const struct config_target *t, const struct addr *addr)
{
    struct members *to = ctx;
    to->group->members[to->group->members_n++] =
        (struct member){.addr = addr,
                        .zone = t->zone,
                        .server_name = server_name(to->config, t),
                        .link_key = to->group->wire == GROUP_WIRE_H2 ? PLAIN_H2_KEY : 0,
                        .weight = t->weight,
                        .priority = t->priority};
}

/* Every address of a target is a member; its target comes with the bind. */
static void add_members(struct snapshot *s, struct group *g, const struct config_group *c)
{
    struct members to = {g, c};
    size_t n = 0;
    roster_each(&s->roster, c, count_member, &n);
    g->members = ARENA_ARRAY(&s->arena, struct member, n);
    roster_each(&s->roster, c, add_member, &to);
    CHECK(g->members_n == n);
}

static void limit_work(struct group *g, const struct config_group_attributes *c)
{
    if (c->max_outstanding != CONFIG_NONE)
        g->max_outstanding = (uint32_t)c->max_outstanding;
    g->counts_outstanding |= g->max_outstanding > 0;
    if (c->try_timeout_ms != CONFIG_NONE)
        g->try_timeout_ms = (uint32_t)c->try_timeout_ms;
    g->queue_max = c->queue.max;
    g->queue_timeout_ms = c->queue.timeout_ms;
    g->budget = (struct budget_rule){c->retry_budget.percent, c->retry_budget.minimum};
}

static enum group_wire wire_of(const struct config_group *c)
{
    if (c->protocol == CONFIG_PROTOCOL_TCP)
        return GROUP_WIRE_RAW;
    return c->version == CONFIG_VERSION_HTTP1 ? GROUP_WIRE_H1 : GROUP_WIRE_H2;
}

static void compile_group(struct snapshot *s, struct group *g, const struct config_group *c)
{
    group_init(g, s->workers);
    g->name = c->name;
    g->wire = wire_of(c);
    g->link_ops = g->wire == GROUP_WIRE_H2 ? &back_h2_link_ops : NULL;
    g->grpc = c->version == CONFIG_VERSION_GRPC;
    balance_choose(g, &c->attributes);
    g->retries = c->attributes.retries;
    g->check = c->health_check.on && c->used ? &c->health_check : NULL;
    g->used = c->used;
    g->fail_open = c->attributes.fail_open;
    g->mitigates = c->attributes.anomaly_mitigation;
    g->ejection = c->attributes.ejection.enabled ? &c->attributes.ejection : NULL;
    g->aws_names = c->attributes.aws_names;
    limit_work(g, &c->attributes);
    g->connect_timeout_ms = s->config->timeouts.connect_ms;
    g->keep_alive_ms = s->config->timeouts.target_keep_alive_ms;
    add_members(s, g, c);
    group_zones_make(&s->arena, g, &c->attributes, s->config->node.zone);
    g->stickiness = stickiness_compile(&s->arena, g, c);
}

static void add_override(struct listener *l, struct slice name, struct slice value)
{
    enum field_id id = fields_id(name);
    CHECK(id != FIELD_OTHER && id != FIELD_VOUCHED);
    l->overrides[l->override_count++] = (struct field){.name = name, .value = value, .id = id};
    l->override_mask |= FIELD_BIT(id);
}

/* What the listener puts over the target's response fields; an empty value takes one off. */
static void compile_overrides(struct arena *a, struct listener *l)
{
    const struct config_listener_attributes *c = &l->config->attributes;
    l->overrides = ARENA_ARRAY(a, struct field, c->response_headers_n + 1);
    for (size_t i = 0; i < c->response_headers_n; i++)
        add_override(l, c->response_headers[i].name, c->response_headers[i].value);
    if (!c->server_header)
        add_override(l, SLICE("Server"), slice_of("", 0));
}

static void compile_listener(struct snapshot *s, struct listener *l,
                             const struct config_listener *c)
{
    l->name = c->name;
    l->config = c;
    l->root = s->config;
    compile_overrides(&s->arena, l);
    if (c->protocol == CONFIG_PROTOCOL_TCP)
        l->tcp_action = router_action(&s->arena, &c->default_action, s->groups);
    else
        l->router = router_build(&s->arena, c, s->groups);
}

struct snapshot *snapshot_compile(struct config *config, unsigned workers)
{
    struct roster none;
    roster_init(&none);
    return snapshot_compile_with(config, &none, workers);
}

struct snapshot *snapshot_compile_with(struct config *config, struct roster *roster,
                                       unsigned workers)
{
    struct snapshot *s = calloc(1, sizeof(*s));
    CHECK(s && workers);
    s->magic = SNAPSHOT_MAGIC;
    s->config = config;
    s->roster = *roster;
    roster_init(roster);
    s->workers = s->unreleased = workers;
    s->local = new_locals(workers);
    arena_init(&s->arena);
    s->groups_n = config->groups_n;
    s->groups = ARENA_ARRAY(&s->arena, struct group, s->groups_n);
    s->group_files = ARENA_ARRAY(&s->arena, struct tls_files, s->groups_n);
    for (size_t i = 0; i < s->groups_n; i++)
        compile_group(s, &s->groups[i], &config->groups[i]);
    s->listeners_n = config->listeners_n;
    s->listeners = ARENA_ARRAY(&s->arena, struct listener, s->listeners_n);
    for (size_t i = 0; i < s->listeners_n; i++)
        compile_listener(s, &s->listeners[i], &config->listeners[i]);
    return s;
}

/* ---- bind ---- */

static bool slots_suffice(const struct snapshot *s, const struct slot_table *slots)
{
    size_t n = slots->n;
    for (size_t i = 0; i < s->listeners_n; i++)
        n += slot_table_find(slots, s->listeners[i].name) == SLOTS_MAX;
    return n <= SLOTS_MAX;
}

static void bind_listeners(struct snapshot *s, struct slot_table *slots)
{
    for (size_t i = 0; i < s->listeners_n; i++) {
        struct listener *l = &s->listeners[i];
        l->slot = slot_table_find(slots, l->name);
        if (l->slot == SLOTS_MAX)
            l->slot = slot_table_add(slots, l->name);
    }
    s->slots_n = slots->n;
    s->by_slot = ARENA_ARRAY(&s->arena, struct listener *, s->slots_n);
    for (size_t i = 0; i < s->listeners_n; i++)
        s->by_slot[s->listeners[i].slot] = &s->listeners[i];
}

static void bind_group(struct group *g, struct registry *registry, uint64_t generation)
{
    g->generation = generation;
    g->news = registry_get_news(registry, g->name);
    if (g->max_outstanding)
        g->queue = registry_get_queue(registry, g->name);
    for (size_t i = 0; i < g->members_n; i++) {
        struct member *m = &g->members[i];
        m->target = registry_get(registry, g->name, m->addr);
        m->tally = registry_zone_tally(g->news, m->zone);
        atomic_store_explicit(&m->target->generation, generation, memory_order_relaxed);
    }
}

enum err snapshot_bind(struct snapshot *s, struct registry *registry, struct slot_table *slots,
                       uint64_t generation)
{
    CHECK_MAGIC(s, SNAPSHOT_MAGIC);
    CHECK(s->generation == 0 && generation != 0);
    if (!slots_suffice(s, slots))
        return ERR_LIMIT;
    s->generation = generation;
    bind_listeners(s, slots);
    for (size_t i = 0; i < s->groups_n; i++)
        bind_group(&s->groups[i], registry, generation);
    return OK;
}

/* ---- free ---- */

static void free_group(struct group *g, struct registry *registry)
{
    for (size_t i = 0; i < g->members_n; i++)
        if (g->members[i].target)
            registry_release(registry, g->members[i].target);
    if (g->news)
        registry_release_news(g->news);
    group_fini(g);
}

void snapshot_free(struct snapshot *s, struct registry *registry)
{
    CHECK_MAGIC(s, SNAPSHOT_MAGIC);
    for (unsigned w = 0; w < s->workers; w++)
        CHECK(s->local[w].pins == 0);
    for (size_t i = 0; i < s->groups_n; i++)
        free_group(&s->groups[i], registry);
    tls_store_free(s);
    model_free(s->config);
    roster_fini(&s->roster);
    arena_fini(&s->arena);
    free(s->local);
    s->magic = 0;
    free(s);
}
