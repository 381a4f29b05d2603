#include <time.h>

#include "base/version.h"
#include "server/descriptors.h"
#include "server/stats.h"

/* ---- JSON ---- */

static void key(struct strbuf *b, const char *name)
{
    if (b->n && b->p[b->n - 1] != '{')
        strbuf_str(b, ",");
    strbuf_printf(b, "\"%s\":", name);
}

static void number(struct strbuf *b, const char *name, uint64_t v)
{
    key(b, name);
    strbuf_printf(b, "%llu", (unsigned long long)v);
}

static void string(struct strbuf *b, const char *name, struct slice v)
{
    key(b, name);
    if (v.n)
        strbuf_json(b, v);
    else
        strbuf_str(b, "null");
}

static void boolean(struct strbuf *b, const char *name, bool v)
{
    key(b, name);
    strbuf_str(b, v ? "true" : "false");
}

static void item(struct strbuf *b)
{
    if (b->p[b->n - 1] != '[')
        strbuf_str(b, ",");
}

/* ---- listeners ---- */

static void write_listen(struct strbuf *b, const struct config_listener *c)
{
    key(b, "listen");
    strbuf_str(b, "[");
    for (size_t i = 0; i < c->listen_n; i++) {
        char text[ADDR_TEXT_MAX];
        item(b);
        strbuf_json(b, slice_of(text, addr_format(&c->listen[i].addr, text)));
    }
    strbuf_str(b, "]");
}

static const char *protocol_name(enum config_protocol p)
{
    return p == CONFIG_PROTOCOL_TCP ? "tcp" : "http";
}

static void write_listener(struct strbuf *b, const struct server *s, const struct listener *l)
{
    struct stats_listener k;
    stats_listener(s, l->slot, &k);
    item(b);
    strbuf_str(b, "{");
    string(b, "name", l->name);
    string(b, "protocol", slice_str(protocol_name(l->config->protocol)));
    write_listen(b, l->config);
    number(b, "connections", k.connections_active);
    number(b, "connections_total", k.connections_total);
    if (l->tls) {
        number(b, "tls_connections_total", k.tls[0] + k.tls[1]);
        number(b, "tls_connections_offloaded", k.tls[1]);
    }
    number(b, "requests", k.requests);
    number(b, "received_bytes", k.received_bytes);
    number(b, "sent_bytes", k.sent_bytes);
    strbuf_str(b, "}");
}

static void write_listeners(struct strbuf *b, const struct server *s)
{
    const struct snapshot *now = s->snapshots.current;
    key(b, "listeners");
    strbuf_str(b, "[");
    for (size_t i = 0; i < now->listeners_n; i++)
        write_listener(b, s, &now->listeners[i]);
    strbuf_str(b, "]");
}

/* ---- groups ---- */

static void write_target(struct strbuf *b, const struct member *m, const struct group *g, bool used)
{
    struct stats_health h = stats_health(m->target, g, used);
    struct stats_target t;
    stats_target(m->target, &t);
    item(b);
    strbuf_str(b, "{");
    string(b, "address", m->target->text);
    string(b, "zone", m->zone);
    string(b, "state", h.state);
    string(b, "reason", h.reason);
    number(b, "in_flight", t.in_flight);
    number(b, "requests", t.requests);
    number(b, "idle_links", t.idle_links);
    number(b, "connect_errors", t.connect_errors);
    number(b, "failures_in_a_row", atomic_load(&m->target->failing));
    number(b, "ejections", m->target->ejection.total);
    string(b, "anomaly",
           m->target->oddity.anomaly.anomalous ? SLICE("anomalous") : SLICE("normal"));
    boolean(b, "mitigation_in_effect", atomic_load(&m->target->share) < TARGET_SHARE_ALL);
    number(b, "weight", m->weight);
    strbuf_str(b, "}");
}

static void write_queue(struct strbuf *b, const struct group *g)
{
    if (!g->queue)
        return;
    key(b, "queue");
    strbuf_str(b, "{");
    number(b, "length", atomic_load_explicit(&g->queue->waiting, memory_order_relaxed));
    number(b, "max", g->queue_max);
    number(b, "spillover", atomic_load_explicit(&g->queue->spilled, memory_order_relaxed));
    number(b, "timeouts", atomic_load_explicit(&g->queue->timed_out, memory_order_relaxed));
    strbuf_str(b, "}");
}

static void write_leaving(struct strbuf *b, const struct group *g, const struct departures *d)
{
    list_each(n, next, &d->all) {
        const struct departure *e = list_entry(n, struct departure, node);
        if (!e->returned && slice_eq(e->member.target->group, g->name))
            write_target(b, &e->member, g, true);
    }
}

static void write_time(struct strbuf *b, const char *name, int64_t s)
{
    char text[32] = "";
    struct tm tm;
    if (s && gmtime_r(&(time_t){s}, &tm))
        (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    string(b, name, slice_str(text));
}

static void write_discovery(struct strbuf *b, const struct server *s, const struct config_group *c)
{
    struct discovery_state d;
    if (!discovery_state(&s->discovery, c, &d))
        return;
    key(b, "discovery");
    strbuf_str(b, "{");
    string(b, "source", d.source);
    string(b, "name", d.name);
    number(b, "targets", d.targets);
    write_time(b, "last_success", d.good_s);
    string(b, "last_error", d.trouble);
    number(b, "failures", d.failures);
    if (d.follows)
        number(b, "next_seconds", (d.due_ms + 999) / 1000);
    strbuf_str(b, "}");
}

static void write_group(struct strbuf *b, const struct server *s, const struct group *g,
                        const struct config_group *c)
{
    item(b);
    strbuf_str(b, "{");
    string(b, "name", g->name);
    string(b, "protocol", slice_str(protocol_name(c->protocol)));
    write_discovery(b, s, c);
    write_queue(b, g);
    key(b, "zones");
    stats_zones_write(g, b);
    key(b, "targets");
    strbuf_str(b, "[");
    for (size_t i = 0; i < g->members_n; i++)
        write_target(b, &g->members[i], g, c->used);
    write_leaving(b, g, &s->departures);
    strbuf_str(b, "]}");
}

static void write_groups(struct strbuf *b, const struct server *s)
{
    const struct snapshot *now = s->snapshots.current;
    key(b, "groups");
    strbuf_str(b, "[");
    for (size_t i = 0; i < now->groups_n; i++)
        write_group(b, s, &now->groups[i], &now->config->groups[i]);
    strbuf_str(b, "]");
}

/* ---- the process ---- */

/* What must be 0 when nobody is connected, by what it is made of. */
static void write_pools(struct strbuf *b, const struct stats_gauges *g)
{
    key(b, "pools");
    strbuf_str(b, "{");
    number(b, "sessions", g->sessions);
    number(b, "streams", g->streams);
    number(b, "exchanges", g->exchanges);
    number(b, "links", g->links);
    number(b, "conns", g->conns);
    number(b, "buffer_bytes", g->buffer_bytes);
    number(b, "snapshot_pins", g->pins);
    strbuf_str(b, "}");
}

static void write_gauges(struct strbuf *b, const struct server *s)
{
    struct stats_gauges g;
    stats_gauges(s, &g);
    number(b, "connections", g.connections);
    number(b, "descriptors", descriptors_count());
    number(b, "exchanges", g.exchanges);
    number(b, "sessions", g.sessions);
    number(b, "buffer_bytes", g.buffer_bytes);
    number(b, "idle_links", g.idle_links);
    number(b, "in_flight", g.in_flight);
    write_pools(b, &g);
}

static void sum_reasons(const struct server *s, uint64_t sums[REASON_COUNT])
{
    for (unsigned slot = 0; slot < s->snapshots.slots.n; slot++) {
        struct stats_listener k;
        stats_listener(s, slot, &k);
        for (unsigned r = 0; r < REASON_COUNT; r++)
            sums[r] += k.reasons[r];
    }
}

static void write_reasons(struct strbuf *b, const struct server *s)
{
    uint64_t sums[REASON_COUNT] = {0};
    sum_reasons(s, sums);
    key(b, "reasons");
    strbuf_str(b, "{");
    for (enum reason r = REASON_NONE + 1; r < REASON_COUNT; r++)
        if (sums[r])
            number(b, status_reason_name(r), sums[r]);
    strbuf_str(b, "}");
}

static void write_tally(struct strbuf *b, const char *name, const struct reload_tally *t)
{
    key(b, name);
    strbuf_str(b, "{");
    number(b, "ok", t->ok);
    number(b, "failed", t->failed);
    string(b, "last_error", strbuf_get(&t->last_error));
    strbuf_str(b, "}");
}

static void write_process(struct strbuf *b, const struct server *s)
{
    number(b, "generation", s->snapshots.serving);
    number(b, "snapshots_live", s->snapshots.live);
    number(b, "uptime_seconds", (s->loop.clock.now_ms - s->started_ms) / 1000);
    string(b, "version", SLICE(VERSION));
    key(b, "node");
    strbuf_str(b, "{");
    string(b, "zone", s->snapshots.current->config->node.zone);
    strbuf_str(b, "}");
    number(b, "workers", s->workers_n);
    boolean(b, "stopping", s->stopping);
}

void stats_json_write(const struct server *s, struct strbuf *out)
{
    strbuf_str(out, "{");
    write_process(out, s);
    write_listeners(out, s);
    write_groups(out, s);
    write_gauges(out, s);
    write_reasons(out, s);
    write_tally(out, "reloads", &s->reload.reloads);
    write_tally(out, "refreshes", &s->reload.refreshes);
    number(out, "log_lines_dropped", stats_log_lines_dropped(s));
    strbuf_str(out, "}\n");
}
