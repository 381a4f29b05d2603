/* A worker's view of the zones of a group (group_zones.h): who is out because of its zone, and for
 * policies that hand out work zone by zone a balancer for each, with the share that it gets.
 *
 *   view is made ──▶ inputs, balancers ──▶ first pick: zone_plan ──▶ pick: a zone by its share,
 *                                              ▲                     then its balancer
 *                                              └── again while a share moves, every ZONE_STEP_MS
 *
 * Zones take turns as weighted targets do, smoothly. Owner: the view. Thread: its worker's. */
#ifndef UPSTREAM_VIEW_ZONES_H
#define UPSTREAM_VIEW_ZONES_H

#include "upstream/balance.h"
#include "upstream/group_zones.h"

struct view_zone {
    bool out; /* gets nothing: shifted away, or not the node's under local_only */
    uint16_t share;
    int32_t credit; /* grows by its share at every pick, and pays for a turn */
    enum zone_decision decision;
    struct balancer *balancer; /* NULL: nobody serves there, or zones are not told apart */
};

struct view_zones {
    bool apart;
    bool planned;       /* since the view was made */
    uint64_t replan_ms; /* 0: the shares stand still */
    size_t only;        /* the zone that gets everything; ZONE_NONE: there are several, or none */
    size_t turn;        /* where to look when the zone whose turn it is has nobody */
    struct zone_input *inputs;  /* [n] */
    struct zone_memory *memory; /* in the group's news, or own */
    struct zone_memory own;
    size_t n;
    struct view_zone zones[];
};

/* The view's zones, made at its first build, kept over the others; NULL: the group has none. */
struct view_zones *view_zones_new(const struct group *g, unsigned worker, struct rng *rng);
void view_zones_free(struct view_zones *z); /* NULL is fine */

/* What is to be let in: a bit for each enum health_state. states: of every member, as such a bit,
 * 0 for those that are not there. */
unsigned view_zones_let_in(struct view_zones *z, const struct group *g, const uint8_t *states);
/* Balancers for those with a weight. */
void view_zones_build(struct view_zones *z, const struct group *g, const struct balance_set *set,
                      struct rng *rng);
/* As group_pick(). */
const struct member *view_zones_pick(struct view_zones *z, const struct group *g, struct pick *p,
                                     struct rng *rng);

static inline bool view_zones_out(const struct view_zones *z, const struct member *m)
{
    return z && z->zones[m->zone_at].out;
}

#endif
