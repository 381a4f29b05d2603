#include "upstream/group_zones.h"

#include "base/check.h"
#include "upstream/registry.h"

/* ---- made with the snapshot ---- */

/* The list while it is made; room for every name that could be in it. */
static size_t find(const struct group_zones *z, struct slice name)
{
    uint64_t id = registry_zone_id(name);
    for (size_t i = 0; i < z->n; i++)
        if (z->all[i].id == id && slice_eq(z->all[i].name, name))
            return i;
    return ZONE_NONE;
}

static size_t find_or_add(struct group_zones *z, struct slice name)
{
    size_t at = find(z, name);
    if (at != ZONE_NONE)
        return at;
    z->all[z->n] = (struct group_zone){.name = name, .id = registry_zone_id(name)};
    return z->n++;
}

/* Neighbours in the list are mostly of the same zone. */
static void add_members(struct group_zones *z, struct group *g)
{
    size_t last = ZONE_NONE;
    for (size_t i = 0; i < g->members_n; i++) {
        struct member *m = &g->members[i];
        if (last == ZONE_NONE || !slice_eq(z->all[last].name, m->zone))
            last = find_or_add(z, m->zone);
        m->zone_at = (uint32_t)last;
    }
}

static void add_order(struct group_zones *z, const struct config_zone_rules *c)
{
    for (size_t i = 0; i < c->order_n; i++)
        (void)find_or_add(z, c->order[i].zone);
    for (size_t i = 0; i < z->n; i++)
        z->all[i].rank = (uint32_t)c->order_n;
    for (size_t i = 0; i < c->order_n; i++)
        z->all[find(z, c->order[i].zone)].rank = (uint32_t)i;
}

/* Without a word about it there is one balancer in each zone that has a name. */
static void add_nodes(struct group_zones *z, const struct config_lb_nodes *c)
{
    for (size_t i = 0; i < c->zones_n; i++)
        z->all[find_or_add(z, c->zones[i].zone)].nodes = c->zones[i].nodes;
    for (size_t i = 0; i < z->n && c->zones_n == 0; i++)
        z->all[i].nodes = z->all[i].name.n > 0;
}

static struct zone_rules rules_of(const struct config_group_attributes *c)
{
    return (struct zone_rules){
        .policy = c->zone_policy.policy,
        .local = ZONE_NONE,
        .overprovision = c->zones.overprovision_permille / 1000.0,
        .smoothing_ms = c->zones.smoothing_ms,
        .fail_open = c->fail_open,
        .minimum_count = c->minimum_healthy.routing.count,
        .minimum_percent = c->minimum_healthy.routing.percent,
    };
}

/* What a remembered local factor is about. */
static uint64_t memory_key(const struct config_group_attributes *c, struct slice node_zone)
{
    bool order = c->zone_policy.policy == CONFIG_ZONES_ORDER && c->zone_policy.order_n;
    struct slice preferred = order ? c->zone_policy.order[0].zone : node_zone;
    return hash_bytes(preferred, (uint64_t)c->zone_policy.policy + 1);
}

void group_zones_make(struct arena *a, struct group *g, const struct config_group_attributes *c,
                      struct slice node_zone)
{
    struct group_zones *z = &g->zones;
    size_t most = g->members_n + c->zone_policy.order_n + c->lb_nodes.zones_n + 1;
    *z = (struct group_zones){.rules = rules_of(c), .key = memory_key(c, node_zone)};
    z->all = ARENA_ARRAY(a, struct group_zone, most);
    add_members(z, g);
    if (c->zone_policy.policy == CONFIG_ZONES_CROSS)
        return;
    if (node_zone.n)
        z->rules.local = find_or_add(z, node_zone);
    add_order(z, &c->zone_policy);
    add_nodes(z, &c->lb_nodes);
}

bool group_zones_apart(const struct group *g)
{
    enum config_zone_policy p = g->zones.rules.policy;
    return g->zones.n && p != CONFIG_ZONES_CROSS && p != CONFIG_ZONES_LOCAL_ONLY;
}

/* ---- as they are now ---- */

bool group_zones_healthy(const struct group *g, const struct member *m)
{
    if (m->weight == 0 || target_flags(m->target))
        return false;
    return !g->check || target_state(m->target) == HEALTH_HEALTHY;
}

bool group_zones_shifted(const struct group *g, size_t zone)
{
    return g->news && registry_is_shifted(g->news->shifted, g->zones.all[zone].id);
}

static void count(const struct group *g, const struct member *m, struct zone_input *in)
{
    if (m->weight == 0 || (target_flags(m->target) & TARGET_DRAINING))
        return;
    in->weight += m->weight;
    in->targets++;
    if (!group_zones_healthy(g, m))
        return;
    in->healthy_weight += m->weight;
    in->healthy++;
}

void group_zones_look(const struct group *g, struct zone_input *to)
{
    const struct group_zones *z = &g->zones;
    for (size_t i = 0; i < z->n; i++)
        to[i] = (struct zone_input){
            .nodes = z->all[i].nodes,
            .rank = z->all[i].rank,
            .shifted = group_zones_shifted(g, i),
        };
    for (size_t i = 0; i < g->members_n && z->n; i++)
        count(g, &g->members[i], &to[g->members[i].zone_at]);
}
