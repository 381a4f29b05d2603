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
#include "upstream/anomaly.h"
#include "upstream/ejection.h"
#include "upstream/health.h"
#include "upstream/latency.h"

/* Bounds of the histogram of response times; the last bucket has none. */
#define TARGET_BUCKETS 14
extern const uint32_t target_bucket_us[TARGET_BUCKETS - 1];

struct target_local {
    _Alignas(64) struct list idle; /* of struct link with a free slot, warmest first */
    struct counter idle_links;
    struct counter in_flight; /* leases: requests, or TCP connections */
    struct latency latency;   /* only this worker looks at it; on the line of in_flight */
    struct counter requests;
    struct counter codes[6]; /* by the first digit of the status; [0]: no status */
    struct counter connect_errors;
    struct counter responses[TARGET_BUCKETS]; /* response heads, by time since the request */
    struct counter response_us;               /* all those times together */
    struct counter silent;                    /* requests that were not answered in time */
    struct counter broken; /* requests sent, with a reset, an end or garbage instead of a head */
    struct tls_resume resume; /* only this worker looks at it */
    struct list dialing;      /* of struct link that leases may wait for together */
    uint32_t slots_seen;      /* that the newest such link had; 0: none was there yet */
};

/* That worker only. */
void target_count_response(struct target_local *l, uint64_t us);

/* What the workers have counted. What had no answer to count is a request that failed; one that
 * took too long is not among these, but among the slowest answers. */
struct target_counts {
    uint64_t requests, failures; /* 5xx, no connection; reset, ended or garbage before a head */
};

/* Their last digits, so to say: only differences mean something. */
struct target_answers {
    uint32_t by_time[TARGET_BUCKETS];
};

/* How it does beside its peers; see upstream/mitigation.h. */
struct oddity {
    struct anomaly anomaly;
    struct target_counts seen; /* up to the last round */
    bool said;                 /* the log has it as anomalous */
};

struct check;
struct departure;
struct group_news;

/* What besides its health keeps work from a target. */
#define TARGET_DRAINING 1u /* no new work: counts as not registered */
#define TARGET_EJECTED  2u /* counts as unhealthy, whatever its checks say */

#define TARGET_SHARE_ALL 1000 /* of its weight */

/* state, flags, share and ramp are written by the control thread, which raises the group's news
 * after that; workers look when they make their views. */
struct target {
    uint32_t magic;
    _Atomic uint8_t state; /* enum health_state: health.state for workers */
    _Atomic uint8_t flags;
    _Atomic uint16_t share; /* of its weight, in 1/1000: less for one that does badly */
    _Atomic uint16_t ramp;  /* the same, multiplied with it: less for one that has just come */
    unsigned workers;
    struct slice group; /* name of its group */
    struct addr addr;
    struct slice text;             /* "10.0.1.10:3000", as logged */
    _Atomic uint64_t generation;   /* newest snapshot that names it; set before that is published */
    unsigned refs;                 /* live snapshots that name it; control thread only */
    struct health health;          /* the checker's; control thread only */
    struct check *check;           /* the same; NULL: nobody checks it */
    struct ejection ejection;      /* the same; the ejector's */
    struct oddity oddity;          /* the same */
    struct target_counts window;   /* the same; up to autoshift's last window */
    struct target_answers answers; /* the same */
    _Atomic uint32_t failing;      /* tries that failed in a row; see upstream/ejector.h */
    struct departure *departure;   /* the same; NULL: the newest snapshot names it */
    struct group_news *news;       /* of all groups of that name; as long as the target */
    bool drained;                  /* the same: an operator wants no new work on it */
    struct list ramping;        /* in upstream/slow_start.h while it ramps; control thread only */
    uint64_t ramp_from_ms;      /* the same: since when, */
    uint32_t ramp_ms;           /* and for how long */
    struct list node;           /* in the registry */
    struct target *same_bucket; /* in the registry's table */
    struct target_local *local; /* [workers] */
    /* Leases of all workers, for groups that want to know while they pick (group.h); only these
     * pay for the line that all workers write. */
    _Alignas(64) _Atomic uint32_t outstanding;
};

/* Any thread. Without any ordering: see group_refresh(). */
static inline enum health_state target_state(const struct target *t)
{
    return (enum health_state)atomic_load_explicit(&t->state, memory_order_relaxed);
}

/* The same. */
static inline unsigned target_flags(const struct target *t)
{
    return atomic_load_explicit(&t->flags, memory_order_relaxed);
}

/* What is left of its weight, in 1/1000000. The same. */
static inline uint32_t target_share(const struct target *t)
{
    return (uint32_t)atomic_load_explicit(&t->share, memory_order_relaxed) *
           atomic_load_explicit(&t->ramp, memory_order_relaxed);
}

static inline uint32_t target_outstanding(const struct target *t)
{
    return atomic_load_explicit(&t->outstanding, memory_order_relaxed);
}

/* Control thread; the group's news is to be raised afterwards. */
static inline void target_set_flag(struct target *t, unsigned flag, bool on)
{
    unsigned flags = on ? target_flags(t) | flag : target_flags(t) & ~flag;
    atomic_store_explicit(&t->flags, (uint8_t)flags, memory_order_relaxed);
}

/* After `drained` or `departure` was changed. The same. */
static inline void target_settle_draining(struct target *t)
{
    target_set_flag(t, TARGET_DRAINING, t->drained || t->departure);
}

/* Made with no references; control thread. target_free() is for the registry. */
struct target *target_new(struct slice group, const struct addr *addr, unsigned workers);
void target_free(struct target *t);

/* Does a worker still hold it? Any thread; the answer no is final once no snapshot names it. */
bool target_busy(const struct target *t);

/* Sums over the workers; any thread. */
uint64_t target_in_flight(const struct target *t);
uint64_t target_requests(const struct target *t);

/* What was counted since `seen`, which becomes now. Failures are never more than requests. */
struct target_counts target_count_since(const struct target *t, struct target_counts *seen);

/* Adds the answers since `seen`, which becomes now, to those in `to`, by their time; no answer in
 * time counts as the slowest. */
void target_answers_since(const struct target *t, struct target_answers *seen,
                          uint64_t to[TARGET_BUCKETS]);

#endif
