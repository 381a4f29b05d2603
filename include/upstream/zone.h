/* Which zone gets how much of a group's work, as pure arithmetic: no clock, no targets, no group.
 *
 *   zones as they are now ──▶ fail open? ──▶ policy ──▶ local factor, smoothed ──▶ shares of 10000
 *
 * A zone's capacity is overprovision x the weight of its healthy targets; its own clients are
 * taken to bring it work by the weight of all its targets. Where all capacity together is less
 * than all work, the ceiling is raised until it is just enough, so that everybody carries the same.
 *
 *   cross_zone    every healthy target alike, wherever it is
 *   local_only    the node's zone and nothing else (ELB: cross-zone off)
 *   prefer_local  the node's zone up to its capacity, the excess by what others have left
 *   balanced      equal load for each target, given how many balancers run in each zone
 *   order         zones by rank, each up to its capacity; a zone counts for all work there is
 *
 * The local factor (of the node's zone, or of the first in order) is what stays there. It is an
 * exponential average, and goes up again only when it would go up by ZONE_BACK, or when nothing
 * has changed for ZONE_CALM averages. So noise moves nothing, and in calm the share is exact.
 * The loss of all targets of the zone is believed at once.
 *
 * Health is ignored (`all`) when the healthy targets are fewer than the minimum and the group
 * fails open; counted over all zones that are not shifted away, under local_only in the node's.
 */
#ifndef UPSTREAM_ZONE_H
#define UPSTREAM_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/model.h"
#include "upstream/pick.h"

#define ZONE_WHOLE 10000 /* shares add up to this, or to 0: nobody can take anything */
#define ZONE_NONE  SIZE_MAX
#define ZONE_BACK  0.05
#define ZONE_CALM  2
#define ZONE_STEP_MS 100 /* how often a moving share is looked at again */

/* One zone of a group. Targets with a weight of 0 count nowhere. */
struct zone_input {
    uint64_t weight, healthy_weight; /* of all its targets; of the healthy ones */
    uint32_t targets, healthy;
    uint64_t outstanding, room; /* work at the healthy ones, and what they may have; room 0: any */
    uint32_t nodes;             /* balancers that run there; for balanced */
    uint32_t rank;              /* for order: 0 is first; zones may share a rank */
    bool shifted;               /* gets nothing */
};

struct zone_rules {
    enum config_zone_policy policy;
    size_t local; /* the node's zone; ZONE_NONE: it has none, and no zone is preferred */
    double overprovision;
    uint32_t smoothing_ms; /* 0: none */
    bool fail_open;
    uint32_t minimum_count, minimum_percent; /* of healthy targets; one is always needed */
};

/* What the local factor was. All zero: nothing is known, the next value is taken as it is. */
struct zone_memory {
    bool known, rising;
    double input, smooth, held;
    uint64_t at_ms, changed_ms;
};

struct zone_output {
    uint16_t share;
    bool all; /* its unhealthy targets serve too */
    enum zone_decision decision; /* of picks there */
};

/* memory is the caller's, one for each view; NULL: no smoothing. out: n long, as zones. Returns
 * after how many ms it should be asked again although nothing changes; 0: never. */
uint32_t zone_plan(const struct zone_rules *r, const struct zone_input *zones, size_t n,
                   struct zone_memory *memory, uint64_t now_ms, struct zone_output *out);

/* May this zone have work at all: is it not shifted away, and the node's under local_only? */
bool zone_counts(const struct zone_rules *r, const struct zone_input *zones, size_t z);
/* Is health to be ignored in the zones that count? */
bool zone_opens(const struct zone_rules *r, const struct zone_input *zones, size_t n);
/* Are so few of these targets healthy that the minimum is missed? */
bool zone_below(uint32_t targets, uint32_t healthy, uint32_t count, uint32_t percent);

/* One more look at the local factor: what is to be used of it, 0 to 1. In zone_factor.c. */
double zone_factor(struct zone_memory *m, double now, uint32_t smoothing_ms, uint64_t now_ms);
/* Would another look, with the same value, change it? */
bool zone_factor_moves(const struct zone_memory *m);

#endif
