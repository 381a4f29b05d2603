/* All targets of the process, by group name and address, and what the groups of one name share. It
 * owns them; snapshots count references.
 *
 *   registry_get ──▶ target (refs 1) ──▶ registry_release ──▶ refs 0 ──▶ registry_sweep frees it
 *                        ▲                                       │       once no worker holds it
 *                        └───────────── registry_get ────────────┘
 *
 * Control thread only. */
#ifndef UPSTREAM_REGISTRY_H
#define UPSTREAM_REGISTRY_H

#include "upstream/budget.h"
#include "upstream/queue.h"
#include "upstream/target.h"
#include "upstream/zone.h"

#define REGISTRY_GROUP_BUCKETS 256
#define REGISTRY_SHIFTED_MAX   8

/* Zones that get no new work, as workers see them: upstream/shift.h writes, views are made from
 * it. */
struct shifted {
    _Atomic uint64_t zones[REGISTRY_SHIFTED_MAX]; /* registry_zone_id() of each; 0: none */
    _Atomic bool leaving; /* the node's zone is among them for some time: clients had better go */
};

/* How a request met its stickiness cookie. */
enum group_sticky {
    GROUP_STICKY_NEW,     /* it brought none */
    GROUP_STICKY_KEPT,    /* its target, or group, served it */
    GROUP_STICKY_INVALID, /* changed on the way, or of a key that nobody has */
    GROUP_STICKY_EXPIRED,
    GROUP_STICKY_GONE,    /* what it names is not there, or may not serve */
    GROUP_STICKY_RESULTS,
};

/* What one worker counts for a group of that name. */
struct group_local {
    _Alignas(64) struct counter sticky_targets[GROUP_STICKY_RESULTS];
    struct counter sticky_groups[GROUP_STICKY_RESULTS]; /* of forward actions */
    struct counter replays_refused; /* by the budget */
    struct budget budget; /* only this worker looks at it */
};

/* What a worker's views remember of the share that stays local; see upstream/view_zones.h. */
struct news_memory {
    _Alignas(64) uint64_t key; /* of what it is about */
    struct zone_memory factor;
};

/* Work that a group gave to targets of one zone, by the decision; each worker counts its own. */
struct zone_tally_local {
    _Alignas(64) struct counter requests[ZONE_DECISIONS];
};

struct zone_tally {
    struct list node;               /* in the group's news */
    struct zone_tally_local *local; /* [workers] */
    char zone[];
};

/* What all snapshots' versions of one group have in common. Snapshots and targets hold references.
 */
struct group_news {
    _Atomic uint32_t epoch; /* raised after something about a target has changed, see news.h */
    const struct shifted *shifted; /* the registry's */
    struct news_memory *memories;  /* [workers]: each is its worker's */
    struct list tallies;           /* of all zones that ever had a target; control thread */
    unsigned workers;
    unsigned refs;          /* control thread */
    struct list node;       /* in the registry */
    struct list due;        /* in upstream/news.h, while the epoch is to be raised */
    struct group_local *local; /* [workers] */
    /* Leases on all its targets, for groups that want to know (group.h): all workers write it. */
    _Alignas(64) _Atomic uint32_t outstanding;
    char name[];
};

/* Any thread. */
static inline uint32_t registry_outstanding(const struct group_news *g)
{
    return atomic_load_explicit(&g->outstanding, memory_order_relaxed);
}

struct registry {
    unsigned workers;
    struct shifted shifted;
    struct list groups[REGISTRY_GROUP_BUCKETS]; /* of struct group_news, by hash of the name */
    struct list queues;  /* of struct queue; there are few */
    struct list targets; /* in the order they were first named */
    size_t count;
    size_t buckets_n; /* a power of two */
    struct target **buckets;
};

void registry_init(struct registry *r, unsigned workers);
/* All workers have ended and all snapshots are freed. */
void registry_fini(struct registry *r);
/* NULL: there is none. */
struct target *registry_find(const struct registry *r, struct slice group, const struct addr *addr);
/* Finds or makes; one more reference. */
struct target *registry_get(struct registry *r, struct slice group, const struct addr *addr);
void registry_release(struct registry *r, struct target *t);
/* The same for what groups of one name share; freed with its last reference. */
struct group_news *registry_get_news(struct registry *r, struct slice group);
void registry_release_news(struct group_news *news);
/* Found or made; it lives as long as the news. */
struct zone_tally *registry_zone_tally(struct group_news *news, struct slice zone);
/* Finds or makes; it lives as long as the registry. */
struct queue *registry_get_queue(struct registry *r, struct slice group);
/* Something that concerns every group has changed: all epochs are raised, at once. */
void registry_raise_all(struct registry *r);

/* A zone by its name; never 0. */
uint64_t registry_zone_id(struct slice zone);
/* Any thread. */
bool registry_is_shifted(const struct shifted *s, uint64_t zone_id);

/* Frees what nobody names any more and has nothing in flight; what is still busy waits for the
 * next call. */
void registry_sweep(struct registry *r);

#endif
