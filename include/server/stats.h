/* What the process counts, summed over its workers, and the two texts that show it: the JSON of
 * /status and the Prometheus text of /metrics, with the names of the documentation. Sums are taken
 * while workers count on, so they are a moment's blur. Thread: control. */
#ifndef SERVER_STATS_H
#define SERVER_STATS_H

#include "base/strbuf.h"
#include "server/server.h"

/* Of one listener. */
struct stats_listener {
    uint64_t requests;
    uint64_t connections_active, connections_total;
    uint64_t received_bytes, sent_bytes;
    uint64_t tls[2]; /* connections; [1]: the kernel encrypts what they are sent */
    uint64_t codes[COUNTERS_CODES];
    uint64_t reasons[REASON_COUNT];
};

/* Of one target. */
struct stats_target {
    uint64_t in_flight, requests, idle_links, connect_errors;
    uint64_t codes[ARRAY_LEN(((struct target_local *)0)->codes)];
};

/* In ELB's words; both are constant text. g is not looked at for a target that has left. */
struct stats_health {
    struct slice state, reason; /* reason: empty when there is nothing to explain */
};

/* Of the process. Everything but idle_links is 0 when nobody is connected. */
struct stats_gauges {
    uint64_t connections; /* of clients */
    uint64_t sessions, streams, exchanges, buffer_bytes, pins;
    uint64_t links, conns; /* in use: not idle */
    uint64_t idle_links;
    uint64_t in_flight;
};

void stats_listener(const struct server *s, unsigned slot, struct stats_listener *out);
void stats_target(const struct target *t, struct stats_target *out);
/* used: by some listener of the snapshot that the group is from. */
struct stats_health stats_health(const struct target *t, const struct group *g, bool used);
/* Adds a target's response times to the buckets; returns their sum. */
uint64_t stats_responses(const struct target *t, uint64_t buckets[TARGET_BUCKETS]);
void stats_gauges(const struct server *s, struct stats_gauges *out);
uint64_t stats_log_lines_dropped(const struct server *s);

/* In stats_json.c and stats_metrics.c. */
void stats_json_write(const struct server *s, struct strbuf *out);
void stats_metrics_write(const struct server *s, struct strbuf *out);

/* In stats_zones.c: a list. */
void stats_zones_write(const struct group *g, struct strbuf *out);

#endif
