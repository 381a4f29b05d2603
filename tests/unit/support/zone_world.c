#include "support/zone_world.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

static const char letters[] = "abcdefghijklmnopqrstuvwxyz";

static struct config_group_attributes with_defaults(struct config_group_attributes c)
{
    if (!c.zones.overprovision_permille)
        c.zones.overprovision_permille = 1400;
    if (!c.minimum_healthy.routing.count)
        c.minimum_healthy.routing.count = 1;
    return c;
}

static struct member member_of(struct zone_world *w, unsigned i, char zone)
{
    struct addr addr;
    char text[32];
    snprintf(text, sizeof(text), "10.0.%u.%u:80", i / 250, i % 250 + 1);
    CHECK(addr_parse(&addr, slice_str(text)) == OK);
    return (struct member){.target = registry_get(&w->registry, w->group.name, &addr),
                           .zone = slice_of(&letters[zone - 'a'], 1),
                           .weight = 1};
}

void zone_world_init(struct zone_world *w, const char *zones, struct config_group_attributes c,
                     const char *node_zone)
{
    size_t n = strlen(zones);
    CHECK(n <= ZONE_WORLD_MAX);
    *w = (struct zone_world){.rng = {5}, .now_ms = 1000};
    registry_init(&w->registry, 1);
    arena_init(&w->arena);
    group_init(&w->group, 1);
    w->group.name = SLICE("app");
    w->group.used = true;
    w->group.check = &w->check;
    w->group.fail_open = c.fail_open;
    w->group.news = registry_get_news(&w->registry, w->group.name);
    w->group.members = w->members;
    w->group.members_n = n;
    for (unsigned i = 0; i < n; i++) {
        w->members[i] = member_of(w, i, zones[i]);
        atomic_store(&w->members[i].target->state, HEALTH_HEALTHY);
    }
    c = with_defaults(c);
    group_zones_make(&w->arena, &w->group, &c, slice_str(node_zone));
}

void zone_world_fini(struct zone_world *w)
{
    for (size_t i = 0; i < w->group.members_n; i++)
        registry_release(&w->registry, w->members[i].target);
    registry_release_news(w->group.news);
    group_fini(&w->group);
    arena_fini(&w->arena);
    registry_fini(&w->registry);
}

void zone_world_states(struct zone_world *w, const char *states)
{
    CHECK(strlen(states) == w->group.members_n);
    for (size_t i = 0; i < w->group.members_n; i++) {
        struct target *t = w->members[i].target;
        enum health_state s = states[i] == '0'   ? HEALTH_UNHEALTHY
                              : states[i] == 'i' ? HEALTH_INITIAL
                                                 : HEALTH_HEALTHY;
        atomic_store(&t->state, (uint8_t)s);
        target_set_flag(t, TARGET_DRAINING, states[i] == 'd');
        target_set_flag(t, TARGET_EJECTED, states[i] == 'e');
    }
    registry_raise_all(&w->registry);
}

void zone_world_shift(struct zone_world *w, char zone)
{
    uint64_t id = zone ? registry_zone_id(slice_of(&zone, 1)) : 0;
    atomic_store(&w->registry.shifted.zones[0], id);
    registry_raise_all(&w->registry);
}

int zone_world_pick(struct zone_world *w, struct pick *p)
{
    p->now_us = w->now_ms * 1000;
    const struct member *m = group_pick(&w->group, 0, &w->rng, p);
    return m ? (int)(m - w->members) : -1;
}

void zone_world_count(struct zone_world *w, unsigned n, unsigned counts[26],
                      unsigned how[ZONE_DECISIONS])
{
    memset(counts, 0, 26 * sizeof(*counts));
    if (how)
        memset(how, 0, ZONE_DECISIONS * sizeof(*how));
    for (unsigned i = 0; i < n; i++) {
        struct pick p = {0};
        int at = zone_world_pick(w, &p);
        if (at < 0)
            continue;
        counts[w->members[at].zone.p[0] - 'a']++;
        if (how)
            how[p.decision]++;
    }
}

void zone_world_pass(struct zone_world *w, uint64_t ms)
{
    for (uint64_t end_ms = w->now_ms + ms; w->now_ms < end_ms; w->now_ms += 100) {
        struct pick p = {0};
        (void)zone_world_pick(w, &p);
    }
}
