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

#include "upstream/target.h"

#define REGISTRY_GROUP_BUCKETS 256

/* What all snapshots' versions of one group have in common. Snapshots hold references. */
struct group_news {
    _Atomic uint32_t epoch; /* raised after something about a target has changed, see news.h */
    unsigned refs;          /* control thread */
    struct list node;       /* in the registry */
    struct list due;        /* in upstream/news.h, while the epoch is to be raised */
    char name[];
};

struct registry {
    unsigned workers;
    struct list groups[REGISTRY_GROUP_BUCKETS]; /* of struct group_news, by hash of the name */
    struct list targets; /* in the order they were first named */
    size_t count;
    size_t buckets_n; /* a power of two */
    struct target **buckets;
};

void registry_init(struct registry *r, unsigned workers);
/* All workers have ended and all snapshots are freed. */
void registry_fini(struct registry *r);
/* Finds or makes; one more reference. */
struct target *registry_get(struct registry *r, struct slice group, const struct addr *addr);
void registry_release(struct registry *r, struct target *t);
/* The same for what groups of one name share; freed with its last reference. */
struct group_news *registry_get_news(struct registry *r, struct slice group);
void registry_release_news(struct group_news *news);
/* Frees what nobody names any more and has nothing in flight; what is still busy waits for the
 * next call. */
void registry_sweep(struct registry *r);

#endif
