/* All targets of the process, by group name and address. It owns them; snapshots count references.
 *
 *   registry_get ──▶ target (refs 1) ──▶ registry_release ──▶ refs 0 ──▶ registry_sweep frees it
 *                        ▲                                       │       once no worker holds it
 *                        └───────────── registry_get ────────────┘
 *
 * Control thread only. */
#ifndef UPSTREAM_REGISTRY_H
#define UPSTREAM_REGISTRY_H

#include "upstream/target.h"

struct registry {
    unsigned workers;
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
/* Frees what nobody names any more and has nothing in flight; what is still busy waits for the
 * next call. */
void registry_sweep(struct registry *r);

#endif
