/* A target: one address in one target group, process-wide. What belongs to its identity lives
 * here and survives reloads: counters, idle links, later health. Weight and zone are membership
 * and live in the snapshot (upstream/group.h).
 *
 * Owner: the registry, on the control thread. Live snapshots hold references; a target goes when
 * no live snapshot names it and nothing is in flight to it.
 * `local[w]` is worker w's own corner, on its own cache lines: only that worker writes it, others
 * read the counters.
 */
#ifndef UPSTREAM_TARGET_H
#define UPSTREAM_TARGET_H

#include "base/counter.h"
#include "base/list.h"
#include "base/slice.h"
#include "net/addr.h"

struct target_local {
    _Alignas(64) struct list idle; /* of struct link, warmest first */
    struct counter idle_links;
    struct counter in_flight; /* leases: requests, or TCP connections */
    struct counter requests;
    struct counter codes[6]; /* by the first digit of the status; [0]: no status */
    struct counter connect_errors;
};

struct target {
    uint32_t magic;
    unsigned workers;
    struct slice group; /* name of its group */
    struct addr addr;
    struct slice text;            /* "10.0.1.10:3000", as logged */
    _Atomic uint64_t generation;  /* newest snapshot that names it; set before that is published */
    unsigned refs;                /* live snapshots that name it; control thread only */
    struct list node;             /* in the registry */
    struct target_local *local;   /* [workers] */
};

uint64_t target_in_flight(const struct target *t);
uint64_t target_requests(const struct target *t);

/* All targets of the process. Control thread only. */
struct registry {
    unsigned workers;
    struct list targets;
};

void registry_init(struct registry *r, unsigned workers);
void registry_fini(struct registry *r);
/* Finds or makes; one more reference. */
struct target *registry_get(struct registry *r, struct slice group, const struct addr *addr);
void registry_release(struct registry *r, struct target *t);
/* Frees what nobody names any more and has nothing in flight; what is still busy waits for the
 * next call. */
void registry_sweep(struct registry *r);

#endif
