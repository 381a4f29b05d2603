#include "server/stats.h"

#include "base/check.h"

static void add_listener(struct stats_listener *out, const struct listener_counters *k)
{
    out->requests += counter_get(&k->requests);
    out->connections_active += counter_get(&k->connections_active);
    out->connections_total += counter_get(&k->connections_total);
    out->received_bytes += counter_get(&k->received_bytes);
    out->sent_bytes += counter_get(&k->sent_bytes);
    for (unsigned i = 0; i < ARRAY_LEN(out->tls); i++)
        out->tls[i] += counter_get(&k->tls[i]);
    for (unsigned i = 0; i < COUNTERS_CODES; i++)
        out->codes[i] += counter_get(&k->codes[i]);
    for (unsigned i = 0; i < REASON_COUNT; i++)
        out->reasons[i] += counter_get(&k->reasons[i]);
}

void stats_listener(const struct server *s, unsigned slot, struct stats_listener *out)
{
    *out = (struct stats_listener){0};
    for (unsigned w = 0; w < s->workers_n; w++) {
        const struct listener_counters *k = counters_peek(&s->workers[w]->counters, slot);
        if (k)
            add_listener(out, k);
    }
}

void stats_target(const struct target *t, struct stats_target *out)
{
    *out = (struct stats_target){0};
    for (unsigned w = 0; w < t->workers; w++) {
        const struct target_local *l = &t->local[w];
        out->in_flight += counter_get(&l->in_flight);
        out->requests += counter_get(&l->requests);
        out->idle_links += counter_get(&l->idle_links);
        out->connect_errors += counter_get(&l->connect_errors);
        for (unsigned i = 0; i < ARRAY_LEN(out->codes); i++)
            out->codes[i] += counter_get(&l->codes[i]);
    }
}

struct stats_health stats_health(const struct target *t, const struct group *g, bool used)
{
    if (t->departure)
        return (struct stats_health){SLICE("draining"), SLICE("Target.DeregistrationInProgress")};
    if (t->drained)
        return (struct stats_health){SLICE("draining"), SLICE("Operator.Drain")};
    if (!used)
        return (struct stats_health){SLICE("unused"), SLICE("Target.NotInUse")};
    if (t->ejection.out && !(g->check && t->health.state == HEALTH_UNHEALTHY))
        return (struct stats_health){SLICE("unhealthy"), SLICE("Target.Ejected")};
    if (!g->check)
        return (struct stats_health){SLICE("unavailable"), SLICE("Target.HealthCheckDisabled")};
    return (struct stats_health){health_state_name(t->health.state), health_reason(&t->health)};
}

uint64_t stats_responses(const struct target *t, uint64_t buckets[TARGET_BUCKETS])
{
    uint64_t us = 0;
    for (unsigned w = 0; w < t->workers; w++) {
        us += counter_get(&t->local[w].response_us);
        for (unsigned i = 0; i < TARGET_BUCKETS; i++)
            buckets[i] += counter_get(&t->local[w].responses[i]);
    }
    return us;
}

/* The two were read at different moments. */
static uint64_t less(uint64_t all, uint64_t idle)
{
    return all > idle ? all - idle : 0;
}

static void add_worker(struct stats_gauges *out, const struct worker *w)
{
    out->connections += counter_get(&w->counters.sessions_active);
    out->pins += counter_get(&w->counters.snapshot_pins);
    out->sessions += counter_get(&w->gauges.sessions);
    out->streams += counter_get(&w->gauges.streams);
    out->exchanges += counter_get(&w->gauges.exchanges);
    out->buffer_bytes += counter_get(&w->gauges.buffer_bytes);
    out->links += counter_get(&w->gauges.links);
    out->conns += counter_get(&w->gauges.conns);
}

void stats_gauges(const struct server *s, struct stats_gauges *out)
{
    *out = (struct stats_gauges){0};
    for (unsigned w = 0; w < s->workers_n; w++)
        add_worker(out, s->workers[w]);
    list_each(n, next, &s->snapshots.registry.targets) {
        struct stats_target t;
        stats_target(list_entry(n, struct target, node), &t);
        out->idle_links += t.idle_links;
        out->in_flight += t.in_flight;
    }
    out->links = less(out->links, out->idle_links);
    out->conns = less(out->conns, out->idle_links);
}

uint64_t stats_log_lines_dropped(const struct server *s)
{
    uint64_t sum = log_writer_lost(&s->log) + counter_get(&s->check_log.lines.dropped);
    for (unsigned w = 0; w < s->workers_n; w++)
        sum += counter_get(&s->workers[w]->access_log.dropped) +
               counter_get(&s->workers[w]->connection_log.dropped);
    return sum;
}
