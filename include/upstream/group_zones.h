/* The zones of a group: which there are, what its policy says about them, and how they are now.
 *
 *   members, order, lb_nodes, the node's zone ──group_zones_make──▶ zones[] of the group
 *   targets' states ──group_zones_look──▶ struct zone_input ──zone_plan──▶ shares
 *
 * Made with the snapshot and immutable. A group that was never given zones has none: all of its
 * targets are alike. */
#ifndef UPSTREAM_GROUP_ZONES_H
#define UPSTREAM_GROUP_ZONES_H

#include "config/model.h"
#include "upstream/group.h"

/* Of all members, which are there already. Every member's `zone_at` says which is its own. */
void group_zones_make(struct arena *a, struct group *g, const struct config_group_attributes *c,
                      struct slice node_zone);

/* Does the policy hand out work zone by zone, and not all targets alike? */
bool group_zones_apart(const struct group *g);

/* Does it take work, and do its checks speak for it, or nobody checks it? Weight 0, draining or
 * ejected: no. Any thread. */
bool group_zones_healthy(const struct group *g, const struct member *m);

/* By the group's news. Any thread. */
bool group_zones_shifted(const struct group *g, size_t zone);

/* All zones as they are now, into `to` (zones_n long). By the group's news what is shifted. */
void group_zones_look(const struct group *g, struct zone_input *to);

#endif
