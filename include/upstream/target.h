/* A target: one address in one target group, process-wide. What belongs to its identity lives
 * here and survives reloads: counters, idle links, health. Weight, zone and check settings are
 * membership and live in the snapshot (upstream/group.h).
 *
 * Owner: the registry (upstream/registry.h), on the control thread. Live snapshots hold
 * references; a target goes when no live snapshot names it and nothing is in flight to it.
 * `local[w]` is worker w's own corner, on its own cache lines: only that worker writes it, others
 * read the counters.
 *
 * A worker that outlives the snapshot it got the target from (a tunnel) is known by its counters
 * alone. So lowering in_flight or idle_links is the last thing it does to a target, and going from
 * leased to idle it raises idle_links before it lowers in_flight.
 */
#ifndef UPSTREAM_TARGET_H
#define UPSTREAM_TARGET_H

#include "base/counter.h"
#include "base/list.h"
#include "base/slice.h"
#include "net/addr.h"
#include "net/tls.h"
#include "upstream/health.h"

/* Bounds of the histogram of response times; the last bucket has none. */
#define TARGET_BUCKETS 14
extern const uint32_t target_bucket_us[TARGET_BUCKETS - 1];

struct target_local {
    _Alignas(64) struct list idle; /* of struct link, warmest first */
    struct counter idle_links;
    struct counter in_flight; /* leases: requests, or TCP connections */
    struct counter requests;
    struct counter codes[6]; /* by the first digit of the status; [0]: no status */
    struct counter connect_errors;
    struct counter responses[TARGET_BUCKETS]; /* response heads, by time since the request */
    struct counter response_us;               /* all those times together */
    struct tls_resume resume; /* only this worker looks at it */
};

/* That worker only. */
void target_count_response(struct target_local *l, uint64_t us);

struct check;

struct target {
    uint32_t magic;
    _Atomic uint8_t state; /* enum health_state: health.state for workers */
    unsigned workers;
    struct slice group; /* name of its group */
    struct addr addr;
    struct slice text;           /* "10.0.1.10:3000", as logged */
    _Atomic uint64_t generation; /* newest snapshot that names it; set before that is published */
    unsigned refs;               /* live snapshots that name it; control thread only */
    struct health health;        /* the checker's; control thread only */
    struct check *check;         /* the same; NULL: nobody checks it */
    struct list node;            /* in the registry */
    struct target *same_bucket;  /* in the registry's table */
    struct target_local *local;  /* [workers] */
};

/* Any thread. Without any ordering: see group_refresh(). */
static inline enum health_state target_state(const struct target *t)
{
    return (enum health_state)atomic_load_explicit(&t->state, memory_order_relaxed);
}

/* Made with no references; control thread. target_free() is for the registry. */
struct target *target_new(struct slice group, const struct addr *addr, unsigned workers);
void target_free(struct target *t);

/* Does a worker still hold it? Any thread; the answer no is final once no snapshot names it. */
bool target_busy(const struct target *t);

/* Sums over the workers; any thread. */
uint64_t target_in_flight(const struct target *t);
uint64_t target_requests(const struct target *t);

#endif
