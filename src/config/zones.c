#include "config/zones.h"

#define AUTOSHIFT_ZONES_MIN 3 /* as upstream/anomaly.h compares */
#define PRACTICE_ZONES_MIN  2

static const char *policy_text(enum config_zone_policy p)
{
    static const char *const texts[] = {
        [CONFIG_ZONES_CROSS] = "cross_zone",
        [CONFIG_ZONES_LOCAL_ONLY] = "local_only",
        [CONFIG_ZONES_PREFER_LOCAL] = "prefer_local",
        [CONFIG_ZONES_BALANCED] = "balanced",
        [CONFIG_ZONES_ORDER] = "order",
    };
    return texts[p];
}

/* --- errors --- */

static bool needs_node_zone(enum config_zone_policy p)
{
    return p != CONFIG_ZONES_CROSS && p != CONFIG_ZONES_ORDER;
}

static size_t count_zones(const struct config_group *g)
{
    size_t n = 0;
    for (size_t i = 0; i < g->targets_n; i++) {
        bool again = g->targets[i].zone.n == 0;
        for (size_t j = 0; j < i && !again; j++)
            again = slice_eq(g->targets[j].zone, g->targets[i].zone);
        n += !again;
    }
    return n;
}

/* What is discovered may be anywhere. */
static void verify_autoshift(const struct config *c, struct report *r)
{
    bool practice = c->autoshift.mode == CONFIG_AUTOSHIFT_PRACTICE;
    unsigned least = practice ? PRACTICE_ZONES_MIN : AUTOSHIFT_ZONES_MIN;
    if (c->autoshift.mode == CONFIG_AUTOSHIFT_OFF)
        return;
    for (size_t i = 0; i < c->groups_n; i++)
        if (c->groups[i].broken || c->groups[i].discovery.source ||
            count_zones(&c->groups[i]) >= least)
            return;
    struct report_entry *e = report_error(
        r, c->autoshift.pos, "%s %u zones at least, and no group has targets in so many",
        practice ? "a practice run needs" : "autoshift compares", least);
    report_hint(r, e, "targets: [{address: ADDRESS, zone: NAME}, ...]");
}

void zones_verify(const struct config *c, struct report *r)
{
    verify_autoshift(c, r);
    for (size_t i = 0; i < c->groups_n && !c->node.zone_wrong; i++) {
        const struct config_zone_rules *z = &c->groups[i].attributes.zone_policy;
        if (!needs_node_zone(z->policy) || c->node.zone.n)
            continue;
        struct report_entry *e =
            report_error(r, z->pos, "zone_policy: %s needs to know in which zone this tenbin runs",
                         policy_text(z->policy));
        report_hint(r, e, "node: {zone: NAME}, or auto for $TENBIN_ZONE or the zone file");
    }
}

/* --- warnings --- */

static bool has_target_in(const struct config_group *g, struct slice zone)
{
    for (size_t i = 0; i < g->targets_n; i++)
        if (slice_eq(g->targets[i].zone, zone))
            return true;
    return false;
}

static bool names(const struct config_zone_name *zones, size_t n, struct slice zone)
{
    for (size_t i = 0; i < n; i++)
        if (slice_eq(zones[i].zone, zone))
            return true;
    return false;
}

static void lint_names(const struct config_group *g, const struct config_zone_name *zones, size_t n,
                       const char *where, struct report *r)
{
    for (size_t i = 0; i < n && g->targets_n; i++)
        if (zones[i].zone.n && !has_target_in(g, zones[i].zone))
            report_warning(r, zones[i].pos, "%s names the zone %s, in which \"%s\" has no target",
                           where, zones[i].zone.p, g->name.p);
}

/* The first target whose zone the order leaves out. */
static void lint_order(const struct config_group *g, struct report *r)
{
    const struct config_zone_rules *z = &g->attributes.zone_policy;
    lint_names(g, z->order, z->order_n, "order", r);
    for (size_t i = 0; i < g->targets_n && z->order_n; i++) {
        const struct config_target *t = &g->targets[i];
        if (t->zone.n && !names(z->order, z->order_n, t->zone)) {
            report_warning(r, t->pos, "the order of \"%s\" leaves out zone %s: it comes last",
                           g->name.p, t->zone.p);
            return;
        }
    }
}

static void lint_lb_nodes(const struct config *c, const struct config_group *g, struct report *r)
{
    const struct config_lb_nodes *l = &g->attributes.lb_nodes;
    enum config_zone_policy policy = g->attributes.zone_policy.policy;
    if (l->pos.line == 0 || policy == CONFIG_ZONES_CROSS)
        return;
    if (policy != CONFIG_ZONES_BALANCED) {
        report_warning(r, l->pos, "lb_nodes means something for zone_policy balanced only");
        return;
    }
    lint_names(g, l->zones, l->zones_n, "lb_nodes", r);
    if (!names(l->zones, l->zones_n, c->node.zone))
        report_warning(r, l->pos, "lb_nodes leaves out zone %s, in which this tenbin runs",
                       c->node.zone.p);
}

static void lint_minimum(const struct config_group *g, struct report *r)
{
    const struct config_minimum_healthy *m = &g->attributes.minimum_healthy;
    if (!g->attributes.fail_open && (m->routing.count > 1 || m->routing.percent))
        report_warning(r, m->pos, "minimum_healthy.routing changes nothing with fail_open: false");
}

/* Targets without a zone under a policy that looks at zones. */
static void lint_zoneless(const struct config *c, const struct config_group *g, struct report *r)
{
    enum config_zone_policy policy = g->attributes.zone_policy.policy;
    const struct config_target *first = NULL;
    size_t n = 0;
    for (size_t i = 0; i < g->targets_n; i++)
        if (g->targets[i].zone.n == 0 && n++ == 0)
            first = &g->targets[i];
    if (n == 0 || (c->node.zone.n == 0 && policy == CONFIG_ZONES_CROSS))
        return;
    struct report_entry *e = report_warning(
        r, first->pos, "%zu of %zu targets of \"%s\" name no zone, this is the first", n,
        g->targets_n, g->name.p);
    if (policy == CONFIG_ZONES_LOCAL_ONLY)
        report_hint(r, e, "under local_only they get nothing");
    else if (policy != CONFIG_ZONES_CROSS)
        report_hint(r, e, "under %s they count as a zone of their own", policy_text(policy));
}

void zones_lint(const struct config *c, const struct config_group *g, struct report *r)
{
    lint_zoneless(c, g, r);
    lint_order(g, r);
    lint_lb_nodes(c, g, r);
    lint_minimum(g, r);
}
