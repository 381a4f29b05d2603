/* A target group as one snapshot has it, and each worker's view of it.
 *
 * The group is immutable and shared. The view is one worker's pick order, made when it first
 * picks and made again when the group's epoch says that something about a target has changed; a
 * pick is O(1) whatever the number of targets. Owner of both: the snapshot.
 *
 * Who is in the view: the healthy targets. When there is none: all of them if the group fails
 * open, else those whose first check is not over. In a group without checks all are healthy. An
 * ejected target counts as unhealthy, a draining one as not there at all. Targets of a priority serve
 * while none of a lower number is healthy; before anybody is, those of the lowest that may be.
 */
#ifndef UPSTREAM_GROUP_H
#define UPSTREAM_GROUP_H

#include "base/arena.h"
#include "base/hash.h"
#include "upstream/budget.h"
#include "upstream/pick.h"
#include "upstream/target.h"
#include "upstream/zone.h"

/* A zone as a group knows it. */
struct group_zone {
    struct slice name; /* empty: that of targets without one */
    uint64_t id;       /* registry_zone_id() */
    uint32_t nodes;    /* balancers that run there */
    uint32_t rank;     /* in the order of zones */
};

/* See group_zones.h. */
struct group_zones {
    struct zone_rules rules;
    uint64_t key; /* a remembered local factor of another key is about something else */
    size_t n;     /* 0: zones were never looked at */
    struct group_zone *all;
};

struct member {
    struct target *target;
    const struct addr *addr; /* of the target; in the configuration or the roster */
    struct slice zone;
    uint32_t zone_at;         /* in the group's zones */
    struct zone_tally *tally; /* of that zone; NULL until it is bound */
    struct slice server_name; /* what its certificate must be for; empty: its address */
    uint64_t link_key;        /* of links to it, see link.h */
    uint16_t weight;
    uint16_t priority; /* see struct config_target */
};

/* How connections to the targets of a group speak: chooses the back endpoint. */
enum group_wire { GROUP_WIRE_RAW, GROUP_WIRE_H1, GROUP_WIRE_H2 };

struct tls_ctx;
struct group_news;
struct balancer;
struct balance_ops;
struct zone_tally;
struct view_zones;
struct link_ops;

struct view {
    _Alignas(64) bool built;
    bool closed;                 /* there are targets, but their health keeps all of them out */
    bool usable;                 /* there is a target that is not unhealthy */
    bool remade;                 /* since group_refresh() said so */
    uint8_t serving;             /* a bit for each enum health_state that is let in */
    uint16_t priority;           /* members with a higher number are not there */
    uint32_t epoch;              /* of the group's news when it was made */
    uint32_t members_n;          /* how many may be picked */
    struct balancer *balancer;   /* of those; NULL: nobody, or each zone has its own */
    struct view_zones *zones;    /* NULL: the group has none */
    bool no_zone;                /* there are targets, all of them in zones that get nothing */
    enum zone_decision decision; /* of picks by the balancer */
};

struct group {
    struct slice name;
    enum group_wire wire;
    bool grpc;                       /* its targets take nothing but gRPC's POST */
    const struct link_ops *link_ops; /* of a wire that has some, see link.h; else NULL */
    struct tls_ctx *tls; /* of connections to its targets; NULL: plain. Not the group's to free */
    uint32_t tls_timeout_ms; /* of the handshake */
    uint64_t generation;     /* of its snapshot */
    unsigned retries;
    uint32_t connect_timeout_ms;
    uint32_t keep_alive_ms;                  /* of idle links */
    const struct config_health_check *check; /* in the snapshot; NULL: nobody checks its targets */
    struct tls_ctx *check_tls;               /* of those checks, as tls */
    bool used;                               /* some listener leads here */
    bool fail_open;
    const struct config_ejection *ejection; /* in the snapshot; NULL: nobody is ejected */
    bool mitigates;                         /* targets that do badly beside the others get less */
    struct group_zones zones;
    const struct balance_ops *balance;    /* the algorithm, see balance.h; round robin by default */
    const struct config_hash_on *hash_on; /* in the snapshot; NULL: it does not hash */
    bool sticks_by_source;    /* its balancer is its stickiness: picks by it count as sticky */
    uint32_t slow_start_ms;   /* 0: off */
    bool counts_outstanding;  /* leases count in target->outstanding */
    uint32_t max_outstanding; /* of one target, which then gets no more; 0: no limit */
    uint32_t try_timeout_ms;  /* for the first byte of an answer; 0: no limit of its own */
    uint32_t queue_max, queue_timeout_ms; /* of leases that wait for that */
    struct queue *queue;                  /* where; NULL: no limit */
    struct budget_rule budget;            /* of replays */
    bool aws_names;                       /* of cookies */
    struct stickiness *stickiness;        /* proxy/'s; NULL: clients do not stay */
    bool counts_all;                      /* and in its news */
    bool measures_latency;                /* answers count in target_local.latency */
    struct group_news *news;              /* see registry.h; NULL: there are none */
    size_t members_n;
    struct member *members;
    unsigned workers;
    struct view *views; /* [workers] */
};

#define GROUP_SEQUENCE_MAX 65536

/* Gives the group its views and round robin, and zeroes the rest, which is the caller's to fill
 * in. */
void group_init(struct group *g, unsigned workers);
void group_fini(struct group *g); /* frees the views */

/* Smooth weighted round robin: every target w times in sum(w) places, evenly spread, and nobody
 * twice in a row (the end joins the beginning) unless its weight leaves no other way. Pure; the
 * result lives in memory from malloc (NULL when all weights are 0) and its length goes to *n.
 * Weights are divided by their gcd; beyond GROUP_SEQUENCE_MAX places they are rounded to fit, at
 * least one place for each target with a weight. Time: n log(targets). */
uint32_t *group_sequence(const uint32_t *weights, size_t weights_n, uint32_t *n);

/* Looks for news and makes the view anew if there are some. True once for each time it was made
 * anew, here or in what is below. The epoch is raised after the states that it stands for, so a
 * view never stays behind it. Thread: that worker's, as below. */
bool group_refresh(struct group *g, unsigned worker, struct rng *rng);

/* Whom the wish leads to, first among those outside the zone to avoid; NULL when all who may serve
 * are skipped. p->decision is set. */
const struct member *group_pick(struct group *g, unsigned worker, struct rng *rng, struct pick *p);
/* Would group_pick() find anybody? By the view as it is; takes no turn. */
bool group_has_other(const struct group *g, unsigned worker, const struct pick *p);

/* By the view, made anew if there are news: is there a target that is not unhealthy? */
bool group_usable(struct group *g, unsigned worker, struct rng *rng);
/* By the view as it is: may the target serve? */
bool group_lets_in(const struct group *g, unsigned worker, const struct target *t);
/* By the view as it is: does the member's zone get nothing? It is shifted away, or not the node's
 * under local_only. */
bool group_zone_out(const struct group *g, unsigned worker, const struct member *m);
/* By the view as it is: are there targets, all of them in such zones? */
bool group_no_zone(const struct group *g, unsigned worker);
/* By the view as it is: are there targets, all of them kept out by their health? */
bool group_closed(const struct group *g, unsigned worker);

#endif
