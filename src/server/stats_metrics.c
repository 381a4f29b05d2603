/* Prometheus text format 0.0.4. A family is written as a whole, its HELP and TYPE first, so the
 * sums of all listeners are taken once and walked family by family. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/text.h"
#include "net/tls_ctx.h"
#include "server/stats.h"

/* ---- the format ---- */

static void family(struct strbuf *b, const char *name, const char *type, const char *help)
{
    strbuf_printf(b, "# HELP tenbin_%s %s\n# TYPE tenbin_%s %s\n", name, help, name, type);
}

static void escape(struct strbuf *b, struct slice v)
{
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] == '\n') {
            strbuf_str(b, "\\n");
            continue;
        }
        if (v.p[i] == '"' || v.p[i] == '\\')
            strbuf_str(b, "\\");
        strbuf_add(b, &v.p[i], 1);
    }
}

static void begin(struct strbuf *b, const char *name)
{
    strbuf_printf(b, "tenbin_%s{", name);
}

static void label(struct strbuf *b, const char *name, struct slice value)
{
    if (b->p[b->n - 1] != '{')
        strbuf_str(b, ",");
    strbuf_printf(b, "%s=\"", name);
    escape(b, value);
    strbuf_str(b, "\"");
}

static void end(struct strbuf *b, uint64_t v)
{
    strbuf_printf(b, "} %llu\n", (unsigned long long)v);
}

static void single(struct strbuf *b, const char *name, const char *type, const char *help,
                   uint64_t v)
{
    family(b, name, type, help);
    strbuf_printf(b, "tenbin_%s %llu\n", name, (unsigned long long)v);
}

/* ---- listeners ---- */

/* All that ever were, so that a counter does not vanish with its listener. */
struct listeners_sums {
    unsigned n;
    struct slice *names;
    struct stats_listener *sums;
};

static struct listeners_sums take_sums(const struct server *s)
{
    const struct slot_table *slots = &s->snapshots.slots;
    struct listeners_sums l = {.n = slots->n};
    l.names = calloc(l.n, sizeof(*l.names));
    l.sums = calloc(l.n, sizeof(*l.sums));
    CHECK(l.names && l.sums);
    for (unsigned i = 0; i < l.n; i++) {
        l.names[i] = slice_str(slots->names[i]);
        stats_listener(s, i, &l.sums[i]);
    }
    return l;
}

static void by_listener(struct strbuf *b, const char *name, struct slice listener, uint64_t v)
{
    begin(b, name);
    label(b, "listener", listener);
    end(b, v);
}

/* "none" for what ended without a status: TCP connections, clients that left. */
static void write_codes(struct strbuf *b, struct slice listener, const struct stats_listener *k)
{
    for (unsigned code = 0; code < COUNTERS_CODES; code++) {
        if (!k->codes[code])
            continue;
        char text[TEXT_U64_MAX];
        begin(b, "requests_total");
        label(b, "listener", listener);
        label(b, "code", code ? slice_of(text, text_u64(text, code)) : SLICE("none"));
        end(b, k->codes[code]);
    }
}

static void write_reasons(struct strbuf *b, struct slice listener, const struct stats_listener *k)
{
    for (enum reason r = REASON_NONE + 1; r < REASON_COUNT; r++) {
        if (!k->reasons[r])
            continue;
        begin(b, "reasons_total");
        label(b, "listener", listener);
        label(b, "reason", slice_str(status_reason_name(r)));
        end(b, k->reasons[r]);
    }
}

/* Both are there once there was one: a share is to be seen. */
static void write_tls(struct strbuf *b, struct slice listener, const struct stats_listener *k)
{
    static const char *const offloaded[] = {"no", "yes"};
    for (unsigned i = 0; i < ARRAY_LEN(k->tls) && k->tls[0] + k->tls[1]; i++) {
        begin(b, "tls_connections_total");
        label(b, "listener", listener);
        label(b, "offloaded", slice_str(offloaded[i]));
        end(b, k->tls[i]);
    }
}

static void write_bytes(struct strbuf *b, struct slice listener, const char *direction, uint64_t v)
{
    begin(b, "bytes_total");
    label(b, "listener", listener);
    label(b, "direction", slice_str(direction));
    end(b, v);
}

static void write_listeners(struct strbuf *b, const struct listeners_sums *l)
{
    family(b, "requests_total", "counter", "Requests and TCP connections that ended, by status.");
    for (unsigned i = 0; i < l->n; i++)
        write_codes(b, l->names[i], &l->sums[i]);
    family(b, "reasons_total", "counter", "Ends other than a target's whole answer, by reason.");
    for (unsigned i = 0; i < l->n; i++)
        write_reasons(b, l->names[i], &l->sums[i]);
    family(b, "connections_active", "gauge", "Client connections that are open.");
    for (unsigned i = 0; i < l->n; i++)
        by_listener(b, "connections_active", l->names[i], l->sums[i].connections_active);
    family(b, "connections_total", "counter", "Client connections that were accepted.");
    for (unsigned i = 0; i < l->n; i++)
        by_listener(b, "connections_total", l->names[i], l->sums[i].connections_total);
    family(b, "tls_connections_total", "counter",
           "TLS handshakes that succeeded, and whether the kernel encrypts what is sent.");
    for (unsigned i = 0; i < l->n; i++)
        write_tls(b, l->names[i], &l->sums[i]);
    family(b, "bytes_total", "counter", "Bytes received from clients and sent to them.");
    for (unsigned i = 0; i < l->n; i++) {
        write_bytes(b, l->names[i], "received", l->sums[i].received_bytes);
        write_bytes(b, l->names[i], "sent", l->sums[i].sent_bytes);
    }
}

/* ---- targets ---- */

static void target_labels(struct strbuf *b, const struct group *g, const struct member *m)
{
    label(b, "group", g->name);
    label(b, "target", m->target->text);
    label(b, "zone", m->zone);
}

static void write_target_codes(struct strbuf *b, const struct group *g, const struct member *m)
{
    static const char *const classes[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    struct stats_target t;
    stats_target(m->target, &t);
    _Static_assert(ARRAY_LEN(classes) == ARRAY_LEN(t.codes), "a name for each class");
    for (unsigned i = 0; i < ARRAY_LEN(t.codes); i++) {
        if (!t.codes[i])
            continue;
        begin(b, "target_requests_total");
        target_labels(b, g, m);
        label(b, "code", slice_str(classes[i]));
        end(b, t.codes[i]);
    }
}

static void write_target_in_flight(struct strbuf *b, const struct group *g, const struct member *m)
{
    begin(b, "target_in_flight");
    target_labels(b, g, m);
    end(b, target_in_flight(m->target));
}

static void write_target_ejections(struct strbuf *b, const struct group *g, const struct member *m)
{
    if (!g->ejection)
        return;
    begin(b, "target_ejections_total");
    target_labels(b, g, m);
    end(b, m->target->ejection.total);
}

static void write_target_ejected(struct strbuf *b, const struct group *g, const struct member *m)
{
    if (!g->ejection)
        return;
    begin(b, "target_ejected");
    target_labels(b, g, m);
    end(b, m->target->ejection.out);
}

static void write_target_anomalous(struct strbuf *b, const struct group *g, const struct member *m)
{
    begin(b, "target_anomalous");
    target_labels(b, g, m);
    end(b, m->target->oddity.anomaly.anomalous);
}

static void write_target_mitigated(struct strbuf *b, const struct group *g, const struct member *m)
{
    if (!g->mitigates)
        return;
    begin(b, "target_mitigated");
    target_labels(b, g, m);
    end(b, atomic_load(&m->target->share) < TARGET_SHARE_ALL);
}

static void write_leaving(struct strbuf *b, const struct departures *d,
                          void (*write)(struct strbuf *, const struct group *,
                                        const struct member *))
{
    list_each(n, next, &d->all) {
        const struct departure *e = list_entry(n, struct departure, node);
        const struct group named = {.name = e->member.target->group};
        if (!e->returned)
            write(b, &named, &e->member);
    }
}

static void write_leaving_health(struct strbuf *b, const struct group *g, const struct member *m)
{
    begin(b, "target_health");
    target_labels(b, g, m);
    label(b, "state", stats_health(m->target, g, true).state);
    end(b, 1);
}

static void write_target_health(struct strbuf *b, const struct snapshot *now)
{
    family(b, "target_health", "gauge", "1 for the state that a target is in.");
    for (size_t i = 0; i < now->groups_n; i++)
        for (size_t j = 0; j < now->groups[i].members_n; j++) {
            const struct group *g = &now->groups[i];
            const struct member *m = &g->members[j];
            begin(b, "target_health");
            target_labels(b, g, m);
            label(b, "state", stats_health(m->target, g, now->config->groups[i].used).state);
            end(b, 1);
        }
}

static void each_target(struct strbuf *b, const struct snapshot *now,
                        void (*write)(struct strbuf *, const struct group *, const struct member *))
{
    for (size_t i = 0; i < now->groups_n; i++)
        for (size_t j = 0; j < now->groups[i].members_n; j++)
            write(b, &now->groups[i], &now->groups[i].members[j]);
}

static void write_targets(struct strbuf *b, const struct server *s)
{
    const struct snapshot *now = s->snapshots.current;
    family(b, "target_requests_total", "counter", "Answers of targets, by class of status.");
    each_target(b, now, write_target_codes);
    write_leaving(b, &s->departures, write_target_codes);
    family(b, "target_in_flight", "gauge", "Requests and TCP connections at a target.");
    each_target(b, now, write_target_in_flight);
    write_leaving(b, &s->departures, write_target_in_flight);
    write_target_health(b, now);
    write_leaving(b, &s->departures, write_leaving_health);
    family(b, "target_ejected", "gauge", "1 while a target is ejected, in groups with ejection.");
    each_target(b, now, write_target_ejected);
    family(b, "target_ejections_total", "counter", "Ejections, in groups with ejection.");
    each_target(b, now, write_target_ejections);
    family(b, "target_anomalous", "gauge", "1 for a target that fails more than its peers.");
    each_target(b, now, write_target_anomalous);
    family(b, "target_mitigated", "gauge",
           "1 for a target that gets less because of that, in groups with anomaly_mitigation.");
    each_target(b, now, write_target_mitigated);
}

/* ---- groups ---- */

static void write_bucket(struct strbuf *b, struct slice group, unsigned i, uint64_t upto)
{
    char text[16];
    int n = snprintf(text, sizeof(text), "%g", target_bucket_us[i] / 1e6);
    begin(b, "target_response_seconds_bucket");
    label(b, "group", group);
    label(b, "le", slice_of(text, (size_t)n));
    end(b, upto);
}

/* Of the targets that the group has now: what has left takes its counts with it. */
static void write_responses(struct strbuf *b, const struct group *g)
{
    uint64_t buckets[TARGET_BUCKETS] = {0}, upto = 0, us = 0;
    for (size_t i = 0; i < g->members_n; i++)
        us += stats_responses(g->members[i].target, buckets);
    for (unsigned i = 0; i < TARGET_BUCKETS - 1; i++)
        write_bucket(b, g->name, i, upto += buckets[i]);
    upto += buckets[TARGET_BUCKETS - 1];
    begin(b, "target_response_seconds_bucket");
    label(b, "group", g->name);
    label(b, "le", SLICE("+Inf"));
    end(b, upto);
    begin(b, "target_response_seconds_sum");
    label(b, "group", g->name);
    strbuf_printf(b, "} %llu.%06llu\n", (unsigned long long)(us / 1000000),
                  (unsigned long long)(us % 1000000));
    begin(b, "target_response_seconds_count");
    label(b, "group", g->name);
    end(b, upto);
}

static uint64_t tally_sum(const struct zone_tally *t, unsigned workers, enum zone_decision d)
{
    uint64_t sum = 0;
    for (unsigned w = 0; w < workers; w++)
        sum += counter_get(&t->local[w].requests[d]);
    return sum;
}

/* What a policy decides when nothing is wrong is there from the beginning. */
static enum zone_decision usual_decision(const struct group *g)
{
    return g->zones.rules.policy == CONFIG_ZONES_CROSS ? ZONE_CROSS : ZONE_LOCAL;
}

static void write_zone_tally(struct strbuf *b, const struct group *g, const struct zone_tally *t,
                             struct slice node_zone)
{
    for (unsigned d = 0; d < ZONE_DECISIONS; d++) {
        uint64_t sum = tally_sum(t, g->workers, (enum zone_decision)d);
        if (sum == 0 && d != usual_decision(g))
            continue;
        begin(b, "zone_requests_total");
        label(b, "group", g->name);
        label(b, "zone", node_zone);
        label(b, "target_zone", slice_str(t->zone));
        label(b, "decision", pick_decision_name((enum zone_decision)d));
        end(b, sum);
    }
}

/* Zones that had targets once are still there: what was counted for them does not vanish. */
static void write_zones(struct strbuf *b, const struct group *g, struct slice node_zone)
{
    list_each(n, next, &g->news->tallies)
        write_zone_tally(b, g, list_entry(n, struct zone_tally, node), node_zone);
}

static const char *const sticky_results[GROUP_STICKY_RESULTS] = {
    [GROUP_STICKY_NEW] = "new",         [GROUP_STICKY_KEPT] = "kept",
    [GROUP_STICKY_INVALID] = "invalid", [GROUP_STICKY_EXPIRED] = "expired",
    [GROUP_STICKY_GONE] = "gone",
};

static void write_sticky_result(struct strbuf *b, const struct group *g, const char *cookie,
                                unsigned result, uint64_t v)
{
    begin(b, "stickiness_total");
    label(b, "group", g->name);
    label(b, "cookie", slice_str(cookie));
    label(b, "result", slice_str(sticky_results[result]));
    end(b, v);
}

static void write_stickiness(struct strbuf *b, const struct group *g)
{
    for (unsigned i = 0; i < GROUP_STICKY_RESULTS; i++) {
        uint64_t targets = 0, groups = 0;
        for (unsigned w = 0; w < g->workers; w++) {
            targets += counter_get(&g->news->local[w].sticky_targets[i]);
            groups += counter_get(&g->news->local[w].sticky_groups[i]);
        }
        if (targets)
            write_sticky_result(b, g, "target", i, targets);
        if (groups)
            write_sticky_result(b, g, "group", i, groups);
    }
}

static void by_group(struct strbuf *b, const char *name, const struct group *g, uint64_t v)
{
    begin(b, name);
    label(b, "group", g->name);
    end(b, v);
}

static void each_queue(struct strbuf *b, const struct snapshot *now, const char *name,
                       uint64_t (*value)(const struct queue *))
{
    for (size_t i = 0; i < now->groups_n; i++)
        if (now->groups[i].queue)
            by_group(b, name, &now->groups[i], value(now->groups[i].queue));
}

static uint64_t waiting(const struct queue *q)
{
    return atomic_load_explicit(&q->waiting, memory_order_relaxed);
}

static uint64_t spilled(const struct queue *q)
{
    return atomic_load_explicit(&q->spilled, memory_order_relaxed);
}

static uint64_t timed_out(const struct queue *q)
{
    return atomic_load_explicit(&q->timed_out, memory_order_relaxed);
}

static void write_queues(struct strbuf *b, const struct snapshot *now)
{
    family(b, "queue_length", "gauge", "Requests that wait for a target below max_outstanding.");
    each_queue(b, now, "queue_length", waiting);
    family(b, "queue_spillover_total", "counter", "Requests that found the queue full.");
    each_queue(b, now, "queue_spillover_total", spilled);
    family(b, "queue_timeouts_total", "counter", "Requests that waited for too long.");
    each_queue(b, now, "queue_timeouts_total", timed_out);
}

static void write_budgets(struct strbuf *b, const struct snapshot *now)
{
    family(b, "replays_refused_total", "counter", "Retries that retry_budget did not allow.");
    for (size_t i = 0; i < now->groups_n; i++) {
        const struct group *g = &now->groups[i];
        uint64_t sum = 0;
        for (unsigned w = 0; w < g->workers; w++)
            sum += counter_get(&g->news->local[w].replays_refused);
        by_group(b, "replays_refused_total", g, sum);
    }
}

static void write_groups(struct strbuf *b, const struct snapshot *now)
{
    write_queues(b, now);
    write_budgets(b, now);
    family(b, "stickiness_total", "counter", "Requests by what became of their stickiness cookie.");
    for (size_t i = 0; i < now->groups_n; i++)
        write_stickiness(b, &now->groups[i]);
    family(b, "target_response_seconds", "histogram",
           "From sending the request to the head of the target's answer.");
    for (size_t i = 0; i < now->groups_n; i++)
        write_responses(b, &now->groups[i]);
    family(b, "zone_requests_total", "counter", "Requests and TCP connections, by zone.");
    for (size_t i = 0; i < now->groups_n; i++)
        write_zones(b, &now->groups[i], now->config->node.zone);
}

/* ---- certificates ---- */

static bool certificate_seen_before(const struct snapshot *s, size_t listener, size_t pair)
{
    struct slice path = s->listeners[listener].config->certificates[pair].certificate.path;
    for (size_t i = 0; i <= listener; i++) {
        const struct config_listener *c = s->listeners[i].config;
        size_t n = i < listener ? c->certificates_n : pair;
        for (size_t j = 0; j < n; j++)
            if (slice_eq(c->certificates[j].certificate.path, path))
                return true;
    }
    return false;
}

static void write_certificates(struct strbuf *b, const struct snapshot *s)
{
    family(b, "certificate_expiry_seconds", "gauge",
           "When a certificate ends, in seconds since the epoch.");
    for (size_t i = 0; i < s->listeners_n; i++)
        for (size_t j = 0; j < s->listeners[i].config->certificates_n; j++) {
            if (certificate_seen_before(s, i, j))
                continue;
            begin(b, "certificate_expiry_seconds");
            label(b, "certificate", s->listeners[i].config->certificates[j].certificate.path);
            end(b, (uint64_t)tls_ctx_expiry(s->listeners[i].tls, j));
        }
}

/* ---- discovery ---- */

static void write_lookup(void *ctx, const struct discovery_state *d)
{
    struct strbuf *b = ctx;
    begin(b, "discovery_failures_total");
    label(b, "group", d->group);
    label(b, "source", d->source);
    label(b, "name", d->name);
    end(b, d->failures);
}

static void write_discovery(struct strbuf *b, const struct discovery *d)
{
    family(b, "discovery_failures_total", "counter",
           "Looks at a targets file or the DNS that brought no targets.");
    discovery_each(d, write_lookup, b);
}

/* ---- the process ---- */

static void write_tally(struct strbuf *b, const char *name, const char *help,
                        const struct reload_tally *t)
{
    family(b, name, "counter", help);
    begin(b, name);
    label(b, "result", SLICE("ok"));
    end(b, t->ok);
    begin(b, name);
    label(b, "result", SLICE("failed"));
    end(b, t->failed);
}

void stats_metrics_write(const struct server *s, struct strbuf *out)
{
    struct listeners_sums l = take_sums(s);
    write_listeners(out, &l);
    free(l.names);
    free(l.sums);
    write_targets(out, s);
    write_groups(out, s->snapshots.current);
    write_certificates(out, s->snapshots.current);
    write_discovery(out, &s->discovery);
    single(out, "snapshot_generation", "gauge", "The configuration that serves, counted from 1.",
           s->snapshots.serving);
    single(out, "snapshots_live", "gauge", "Configurations that are in memory.", s->snapshots.live);
    write_tally(out, "reloads_total", "Reloads, by how they ended.", &s->reload.reloads);
    write_tally(out, "refreshes_total", "New targets without a reload, by how that ended.",
                &s->reload.refreshes);
    single(out, "log_lines_dropped_total", "counter", "Log lines that were not written.",
           stats_log_lines_dropped(s));
}
