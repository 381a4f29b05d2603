#include "server/found.h"

#include <stdlib.h>

#include "base/check.h"

struct found_about found_about_group(const struct config *c, const struct config_group *g)
{
    const struct config_discovery *d = &g->discovery;
    bool own = d->resolvers_n > 0;
    return (struct found_about){
        .group = g->name,
        .source = d->source == CONFIG_DISCOVERY_DNS ? ROSTER_DNS : ROSTER_SRV,
        .name = d->name,
        .port = d->port,
        .zone = d->zone,
        .hold_ms = d->hold_ms,
        .resolvers = own ? d->resolvers : c->resolvers,
        .resolvers_n = own ? d->resolvers_n : c->resolvers_n,
    };
}

uint64_t found_key(const struct found_about *a)
{
    uint64_t seed = hash_mix((uint64_t)a->source << 16 | a->port);
    return hash_bytes(a->name, seed) | 1;
}

/* ---- to a list ---- */

static void copy_addr(struct arena *a, struct config_target *to, const struct discover_target *from)
{
    char text[ADDR_TEXT_MAX];
    to->text = arena_slice(a, slice_of(text, addr_format(&from->addr, text)));
    to->host = arena_slice(a, slice_str(from->host));
    to->weight = from->weight;
    to->priority = from->priority;
    to->addrs = arena_copy(a, &from->addr, sizeof(from->addr));
    to->addrs_n = 1;
}

/* A target for each address. */
static void fill_targets(struct roster_list *l, const struct found_about *about,
                         const struct discover *d)
{
    struct slice zone = arena_slice(&l->arena, about->zone);
    l->targets = ARENA_ARRAY(&l->arena, struct config_target, d->known_n + 1);
    for (; l->targets_n < d->known_n; l->targets_n++) {
        l->targets[l->targets_n].zone = zone;
        copy_addr(&l->arena, &l->targets[l->targets_n], &d->known[l->targets_n]);
    }
}

/* One target that has all addresses. */
static void fill_name(struct roster_list *l, const struct discover *d)
{
    l->targets = ARENA_NEW(&l->arena, struct config_target);
    l->targets->addrs = ARENA_ARRAY(&l->arena, struct addr, d->known_n + 1);
    for (size_t i = 0; i < d->known_n; i++)
        l->targets->addrs[i] = d->known[i].addr;
    l->targets->addrs_n = d->known_n;
    l->targets_n = 1;
}

struct roster_list *found_list(const struct found_about *a, const struct discover *d)
{
    struct roster_list *l = roster_list_new(a->group, a->source, a->origin);
    l->key = found_key(a);
    if (a->source == ROSTER_NAME)
        fill_name(l, d);
    else
        fill_targets(l, a, d);
    return l;
}

/* ---- from a list ---- */

void found_take_target(struct discover *d, const struct config_target *t)
{
    for (size_t i = 0; i < t->addrs_n; i++) {
        struct discover_target known = {.addr = t->addrs[i],
                                        .host = t->host.n ? t->host.p : "",
                                        .weight = t->weight,
                                        .priority = t->priority};
        discover_add(d, &known);
    }
}

void found_take_list(struct discover *d, const struct roster_list *l)
{
    for (size_t i = 0; i < l->targets_n; i++)
        found_take_target(d, &l->targets[i]);
}
