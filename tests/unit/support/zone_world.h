/* A group with fake targets in zones a, b, c, ..., picked from by one worker, without a loop:
 * time and states are set by hand. */
#ifndef TESTS_SUPPORT_ZONE_WORLD_H
#define TESTS_SUPPORT_ZONE_WORLD_H

#include "base/arena.h"
#include "upstream/group_zones.h"
#include "upstream/registry.h"

#define ZONE_WORLD_MAX 64

struct zone_world {
    struct registry registry;
    struct arena arena;
    struct group group;
    struct member members[ZONE_WORLD_MAX];
    struct config_health_check check;
    struct rng rng;
    uint64_t now_ms;
};

/* zones: a letter for each target, "aabbc". What is 0 in `c` gets its default. All are healthy. */
void zone_world_init(struct zone_world *w, const char *zones, struct config_group_attributes c,
                     const char *node_zone);
void zone_world_fini(struct zone_world *w);

/* Of each target: `1` healthy, `0` unhealthy, `i` initial, `d` draining, `e` ejected. */
void zone_world_states(struct zone_world *w, const char *states);
/* One zone, or 0 for none. */
void zone_world_shift(struct zone_world *w, char zone);

/* The index of the member; -1: none. */
int zone_world_pick(struct zone_world *w, struct pick *p);
/* The zones of n picks, counted: counts['a'-'a'], ... Decisions are counted in `how`, if given. */
void zone_world_count(struct zone_world *w, unsigned n, unsigned counts[26],
                      unsigned how[ZONE_DECISIONS]);
/* Time passes, with a pick every 100 ms. */
void zone_world_pass(struct zone_world *w, uint64_t ms);

#endif
