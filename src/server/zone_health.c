#include "server/zone_health.h"

#include "base/strbuf.h"
#include "server/admin_routes.h"
#include "server/server.h"
#include "upstream/group_zones.h"

/* ---- one group ---- */

struct counts {
    uint32_t targets, healthy;
};

static struct counts count(const struct group *g, struct slice zone)
{
    struct counts c = {0, 0};
    for (size_t i = 0; i < g->members_n; i++) {
        const struct member *m = &g->members[i];
        bool registered = m->weight && !(target_flags(m->target) & TARGET_DRAINING);
        if (!registered || (zone.n && !slice_eq(m->zone, zone)))
            continue;
        c.targets++;
        c.healthy += group_zones_healthy(g, m);
    }
    return c;
}

bool zone_health_of(const struct group *g, const struct config_threshold *least, struct slice zone,
                    struct strbuf *why)
{
    struct counts c = count(g, zone);
    if (!zone_below(c.targets, c.healthy, least->count, least->percent))
        return true;
    strbuf_printf(why, "group %.*s: %u of %u targets", (int)g->name.n, g->name.p, c.healthy,
                  c.targets);
    if (zone.n)
        strbuf_printf(why, " of zone %.*s", (int)zone.n, zone.p);
    strbuf_printf(why, " healthy, at least %u", least->count);
    if (least->percent)
        strbuf_printf(why, " and %u %%", least->percent);
    strbuf_str(why, " needed\n");
    return false;
}

/* ---- all that was asked for ---- */

/* The value of `group=`; false: there is none. */
static bool wanted_group(struct slice query, struct slice *name)
{
    while (query.n) {
        struct slice part = slice_upto(query, slice_find(query, '&', 0));
        if (slice_starts(part, SLICE("group="))) {
            *name = slice_from(part, 6);
            return true;
        }
        query = part.n < query.n ? slice_from(query, part.n + 1) : slice_of(NULL, 0);
    }
    return false;
}

static bool all_well(const struct snapshot *now, struct slice zone, struct strbuf *why)
{
    bool well = true;
    for (size_t i = 0; i < now->groups_n; i++) {
        const struct config_group *c = &now->config->groups[i];
        if (c->used)
            well &= zone_health_of(&now->groups[i], &c->attributes.minimum_healthy.dns, zone, why);
    }
    return well;
}

static const struct group *find(const struct snapshot *now, struct slice name)
{
    for (size_t i = 0; i < now->groups_n; i++)
        if (slice_eq(now->groups[i].name, name))
            return &now->groups[i];
    return NULL;
}

static bool node_well(const struct server *s, struct slice zone, struct strbuf *why)
{
    if (s->stopping)
        strbuf_str(why, "stopping\n");
    if (zone.n && shift_has(&s->shifts, zone))
        strbuf_printf(why, "zone %.*s is shifted away\n", (int)zone.n, zone.p);
    return why->n == 0;
}

void zone_health_answer(struct server *s, const struct admin_request *r, struct admin_answer *a)
{
    const struct snapshot *now = s->snapshots.current;
    struct slice zone = now->config->node.zone, name;
    bool narrowed = wanted_group(r->query, &name);
    const struct group *g = narrowed ? find(now, name) : NULL;
    if (narrowed && !g) {
        admin_routes_error(a, 404, "there is no such target group");
        return;
    }
    bool well = node_well(s, zone, &a->body);
    if (g)
        well &=
            zone_health_of(g, &now->config->groups[g - now->groups].attributes.minimum_healthy.dns,
                           zone, &a->body);
    else
        well &= all_well(now, zone, &a->body);
    a->status = well ? 200 : 503;
    if (well)
        strbuf_str(&a->body, "ok\n");
}
