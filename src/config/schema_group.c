/* Rows of a target group, its attributes and its targets. */
#include "config/decode.h"
#include "config/scalar.h"
#include "config/schema_tables.h"

#define DAY_MS 86400000ull

/* --- targets --- */

static void decode_address(struct schema_ctx *x, const struct schema_key *key,
                           const struct yaml_tree_node *node, void *to);

static const struct schema_key target_keys[] = {
    {.name = "address",
     .type = SCHEMA_CUSTOM,
     .required = true,
     .decode = decode_address,
     .expected = "IP:PORT, [IPv6]:PORT, NAME:PORT or unix:PATH",
     .meaning = "IP:PORT, [IPv6]:PORT, NAME:PORT (each of its addresses is a target) or unix:PATH"},
    {.name = "zone",
     .type = SCHEMA_NAME,
     .meaning = "the Availability Zone it runs in",
     SCHEMA_AT(config_target, zone)},
    {.name = "weight",
     .type = SCHEMA_NUMBER,
     .def = "1",
     .min = 0,
     .max = 999,
     .meaning = "its share; 0: no requests",
     SCHEMA_AT(config_target, weight)},
    SCHEMA_END,
};

/* What is neither an IP nor a unix socket: a name to be looked up. */
static bool decode_host_port(struct config_target *t, struct slice text)
{
    struct slice host;
    if (addr_split(text, &host, &t->port) || t->port == 0 || !scalar_is_host(host))
        return false;
    t->host = host;
    return true;
}

/* to is the whole struct config_target. */
static void decode_address(struct schema_ctx *x, const struct schema_key *key,
                           const struct yaml_tree_node *node, void *to)
{
    struct config_target *t = to;
    if (!decode_is_scalar(x, key, node))
        return;
    t->text = arena_slice(x->arena, node->text);
    if (decode_host_port(t, t->text)) {
        t->host = arena_slice(x->arena, t->host);
        return;
    }
    struct addr *addr = ARENA_NEW(x->arena, struct addr);
    if (!decode_addr(x, key, node, addr))
        return;
    if (addr_is_wildcard(addr)) {
        schema_complain(x, key, node, "is no machine's address");
        return;
    }
    t->addrs = addr;
    t->addrs_n = 1;
}

/* `"10.0.0.1:80"` is short for {address: "10.0.0.1:80"}. */
void schema_group_target_decode(struct schema_ctx *x, const struct schema_key *key,
                                const struct yaml_tree_node *node, void *to)
{
    struct config_target *t = to;
    t->pos = node->pos;
    if (node->kind == YAML_TREE_SCALAR) {
        schema_map(x, target_keys, key->name, NULL, t);
        decode_address(x, &target_keys[0], node, t);
    } else {
        schema_map(x, target_keys, key->name, node, t);
    }
}

/* --- attributes --- */

#define NOT_BUILT(key, what, default_text, text)                                                   \
    {                                                                                              \
        .name = key, .type = what, .built = SCHEMA_NOT_BUILT, .def = default_text, .meaning = text \
    }

#define NOT_BUILT_MAP(key, rows, text)                                                             \
    {                                                                                              \
        .name = key, .type = SCHEMA_MAP, .built = SCHEMA_NOT_BUILT, .keys = rows, .meaning = text  \
    }

#define ONLY(key, what, default_text, text)                                                        \
    {                                                                                              \
        .name = key, .type = what, .built = SCHEMA_ONLY_DEFAULT, .def = default_text,              \
        .max = UINT64_MAX, .none = true, .meaning = text " (other values: not built yet)"          \
    }

static const struct schema_word proxy_protocols[] = {
    {"off", 0, true},
    {"v1", 0, false},
    {"v2", 0, false},
    SCHEMA_WORDS_END,
};

static const struct schema_key attribute_keys[] = {
    {.name = "algorithm",
     .type = SCHEMA_WORD,
     .def = "round_robin",
     .words = schema_balance_words,
     .meaning =
         "round_robin, least_outstanding_requests, weighted_random, peak_ewma, source_hash or "
         "consistent_hash",
     SCHEMA_AT(config_group_attributes, algorithm)},
    {.name = "anomaly_mitigation",
     .type = SCHEMA_BOOL,
     .def = "off",
     .meaning = "less work for targets that fail more than their peers; with weighted_random",
     SCHEMA_AT(config_group_attributes, anomaly_mitigation)},
    {.name = "deregistration_delay",
     .type = SCHEMA_DURATION,
     .def = "300s",
     .min = 0,
     .max = 86400000,
     .meaning = "how long work in flight on a target that left may take: then 502, or closed",
     SCHEMA_AT(config_group_attributes, deregistration_delay_ms)},
    {.name = "slow_start",
     .type = SCHEMA_DURATION,
     .def = "0s",
     .min = 0,
     .max = DAY_MS,
     .meaning = "a target that becomes healthy or comes back beside others gets a share that "
                "grows over this time",
     SCHEMA_AT(config_group_attributes, slow_start_ms)},
    {.name = "stickiness",
     .type = SCHEMA_MAP,
     .keys = schema_sticky_keys,
     .check = schema_sticky_check,
     .meaning = "a client stays with its target",
     SCHEMA_AT(config_group_attributes, stickiness)},
    {.name = "zone_policy",
     .type = SCHEMA_CUSTOM,
     .def = "cross_zone",
     .decode = schema_zones_policy_decode,
     .expected = "cross_zone, local_only, prefer_local, balanced or {order: [ZONE, ...]}",
     .meaning = "cross_zone, local_only, prefer_local, balanced or {order: [a, b, c]}",
     SCHEMA_AT(config_group_attributes, zone_policy)},
    {.name = "zones",
     .type = SCHEMA_MAP,
     .keys = schema_zones_details_keys,
     .meaning = "details of the zone policy",
     SCHEMA_AT(config_group_attributes, zones)},
    {.name = "fail_open",
     .type = SCHEMA_BOOL,
     .def = "true",
     .meaning = "use unhealthy targets when no other is there; false: 503, or a closed connection",
     SCHEMA_AT(config_group_attributes, fail_open)},
    {.name = "aws_names",
     .type = SCHEMA_BOOL,
     .def = "false",
     .meaning = "cookies named AWSALB, AWSALBAPP-0, AWSALBTG; false: TENBIN, TENBINAPP, TENBINTG",
     SCHEMA_AT(config_group_attributes, aws_names)},
    {.name = "lb_nodes",
     .type = SCHEMA_CUSTOM,
     .decode = schema_zones_nodes_decode,
     .expected = "a map of zones and numbers, such as {a: 2, b: 2}",
     .meaning = "balancers in each zone, for zone_policy balanced; default one in each",
     SCHEMA_AT(config_group_attributes, lb_nodes)},
    {.name = "max_outstanding",
     .type = SCHEMA_NUMBER,
     .def = "none",
     .none = true,
     .min = 1,
     .max = 1000000,
     .meaning = "requests, or TCP connections, in flight on one target, of all workers",
     SCHEMA_AT(config_group_attributes, max_outstanding)},
    {.name = "minimum_healthy",
     .type = SCHEMA_MAP,
     .keys = schema_zones_minimum_keys,
     .check = schema_zones_minimum_check,
     .meaning = "how many healthy targets are enough; count and percent must both be reached",
     SCHEMA_AT(config_group_attributes, minimum_healthy)},
    {.name = "proxy_protocol",
     .type = SCHEMA_WORD,
     .def = "off",
     .words = proxy_protocols,
     .meaning = "off: no PROXY header to targets (v1, v2: not built yet)"},
    {.name = "queue",
     .type = SCHEMA_MAP,
     .keys = schema_queue_keys,
     .meaning = "requests that wait while all targets are at max_outstanding",
     SCHEMA_AT(config_group_attributes, queue)},
    {.name = "retries",
     .type = SCHEMA_NUMBER,
     .def = "2",
     .min = 0,
     .max = 10,
     .meaning = "further tries after the first, where nothing can be done twice",
     SCHEMA_AT(config_group_attributes, retries)},
    {.name = "try_timeout",
     .type = SCHEMA_DURATION,
     .def = "none",
     .none = true,
     .min = 100,
     .max = 3600000,
     .meaning =
         "for a target to begin its answer; then the next one, where retries allow it, else 504",
     SCHEMA_AT(config_group_attributes, try_timeout_ms)},
    {.name = "retry_budget",
     .type = SCHEMA_MAP,
     .keys = schema_queue_budget_keys,
     .meaning = "replays of requests that were sent, of a worker; others are free",
     SCHEMA_AT(config_group_attributes, retry_budget)},
    {.name = "ejection",
     .type = SCHEMA_MAP,
     .keys = schema_ejection_keys,
     .check = schema_ejection_check,
     .meaning = "targets that fail are left alone for a while; off unless the key is there",
     SCHEMA_AT(config_group_attributes, ejection)},
    {.name = "hash_on",
     .type = SCHEMA_CUSTOM,
     .keys = schema_balance_hash_keys,
     .decode = schema_balance_decode_hash_on,
     .expected = "{header: NAME}, {cookie: NAME}, {query: KEY}, path or source_ip",
     .meaning = "for consistent_hash: header, cookie, query, path or source_ip (the default)",
     SCHEMA_AT(config_group_attributes, hash_on)},
    SCHEMA_END,
};

/* --- group --- */

static const struct schema_word protocols[] = {
    {"http", CONFIG_PROTOCOL_HTTP, true},  {"tcp", CONFIG_PROTOCOL_TCP, true},
    {"https", CONFIG_PROTOCOL_HTTP, true}, {"tls", CONFIG_PROTOCOL_TCP, true},
    {"udp", CONFIG_PROTOCOL_TCP, false},   SCHEMA_WORDS_END,
};

static const struct schema_word versions[] = {
    {"http1", CONFIG_VERSION_HTTP1, true},
    {"http2", CONFIG_VERSION_HTTP2, true},
    {"grpc", CONFIG_VERSION_GRPC, true},
    SCHEMA_WORDS_END,
};

static void decode_server_name(struct schema_ctx *x, const struct schema_key *key,
                               const struct yaml_tree_node *node, void *to)
{
    struct addr ip;
    if (!decode_is_scalar(x, key, node))
        return;
    *(struct slice *)to = arena_slice(x->arena, node->text);
    if (!scalar_is_host(node->text) && addr_parse_ip(&ip, node->text, 0) != OK)
        schema_complain(x, key, node, "is not a name");
}

static const struct schema_key tls_keys[] = {
    {.name = "verify",
     .type = SCHEMA_BOOL,
     .def = "true",
     .meaning = "the target's certificate and its name; false: anybody may play the target",
     SCHEMA_AT(config_target_tls, verify)},
    {.name = "ca",
     .type = SCHEMA_CUSTOM,
     .decode = decode_file,
     .expected = "a PEM file of CAs",
     .meaning = "a PEM file of CAs; default the system's",
     SCHEMA_AT(config_target_tls, ca)},
    {.name = "server_name",
     .type = SCHEMA_CUSTOM,
     .decode = decode_server_name,
     .expected = "a host name or an IP address",
     .meaning = "the name it must be for; default the target's own, or its address",
     SCHEMA_AT(config_target_tls, server_name)},
    SCHEMA_END,
};

const struct schema_key schema_group_keys[] = {
    {.name = "name",
     .type = SCHEMA_NAME,
     .required = true,
     .meaning = "its name in rules, logs and metrics",
     SCHEMA_AT(config_group, name)},
    {.name = "protocol",
     .type = SCHEMA_WORD,
     .def = "http",
     .words = protocols,
     .meaning = "http, https, tcp or tls (udp: not built yet)",
     SCHEMA_AT(config_group, protocol)},
    {.name = "protocol_version",
     .type = SCHEMA_WORD,
     .def = "http1",
     .words = versions,
     .http_only = true,
     .meaning = "http1, http2 or grpc: what targets speak; the last two for HTTP/2 clients only",
     SCHEMA_AT(config_group, version)},
    {.name = "attributes",
     .type = SCHEMA_MAP,
     .keys = attribute_keys,
     .meaning = "with the names of ELB",
     SCHEMA_AT(config_group, attributes)},
    {.name = "tls",
     .type = SCHEMA_MAP,
     .keys = tls_keys,
     .meaning = "to https and tls targets, and of https and tls checks",
     SCHEMA_AT(config_group, target_tls)},
    {.name = "health_check",
     .type = SCHEMA_CUSTOM,
     .keys = schema_health_keys,
     .decode = schema_health_decode,
     .expected = "a map with protocol, path, interval and so on, or off",
     .meaning = "which targets are usable; off: all of them",
     SCHEMA_AT(config_group, health_check)},
    {.name = "targets",
     .type = SCHEMA_LIST,
     .keys = target_keys,
     .decode = schema_group_target_decode,
     .expected = "a list of addresses or of {address: , zone: , weight: }; [] for none",
     .meaning = "addresses, or maps as here; [] is a group that answers 503",
     SCHEMA_ITEMS(config_group, targets, config_target)},
    {.name = "discovery",
     .type = SCHEMA_CUSTOM,
     .keys = schema_discovery_keys,
     .decode = schema_discovery_decode,
     .expected = "one of dns, dns_srv and file",
     .meaning = "targets that come and go: one of these; targets may then be left out",
     SCHEMA_AT(config_group, discovery)},
    SCHEMA_END,
};

/* The certificate of a unix socket must be for some name. */
static void check_unix_names(struct schema_ctx *x, const struct config_group *g)
{
    for (size_t i = 0; i < g->targets_n; i++)
        if (g->targets[i].addrs_n && addr_family(g->targets[i].addrs) == AF_UNIX)
            report_error(x->report, g->targets[i].pos,
                         "%s: tls.server_name is needed to verify a unix socket's certificate",
                         g->targets[i].text.p);
}

static void check_tls(struct schema_ctx *x, const struct yaml_tree_node *node,
                      const struct config_group *g)
{
    const struct yaml_tree_node *tls = yaml_tree_get(node, "tls");
    bool used = g->tls || (g->health_check.on && g->health_check.tls);
    if (tls && !used)
        report_error(x->report, tls->pos, "tls means nothing in a group without TLS");
    if (used && g->target_tls.verify && g->target_tls.server_name.n == 0)
        check_unix_names(x, g);
}

static void want_targets(struct schema_ctx *x, const struct yaml_tree_node *node)
{
    bool none = !yaml_tree_get(node, "targets") && !yaml_tree_get(node, "discovery");
    if (none && node->kind == YAML_TREE_MAP)
        schema_missing(x, schema_find(schema_group_keys, SLICE("targets")), "a target group", node);
}

static void check_mitigation(struct schema_ctx *x, const struct yaml_tree_node *node,
                             const struct config_group *g)
{
    if (!g->attributes.anomaly_mitigation)
        return;
    const struct yaml_tree_node *attributes = yaml_tree_get(node, "attributes");
    if (g->attributes.algorithm != CONFIG_ALGORITHM_WEIGHTED_RANDOM)
        report_error(x->report, yaml_tree_get(attributes, "anomaly_mitigation")->pos,
                     "anomaly_mitigation needs algorithm: weighted_random");
}

void schema_group_decode(struct schema_ctx *x, const struct schema_key *key,
                         const struct yaml_tree_node *node, void *to)
{
    struct config_group *g = to;
    const struct yaml_tree_node *version = yaml_tree_get(node, "protocol_version");
    size_t errors = x->report->errors;
    (void)key;
    schema_map(x, schema_group_keys, "a target group", node, g);
    want_targets(x, node);
    g->pos = node->pos;
    g->tls = schema_tls_is_on(node);
    if (x->report->errors == errors) {
        schema_health_finish(x, node, g);
        schema_ejection_finish(x, g);
        check_mitigation(x, node, g);
        schema_sticky_finish(x, g);
        schema_balance_finish(x, node, g);
        schema_queue_finish(x, node, g);
        check_tls(x, node, g);
    }
    g->broken = x->report->errors > errors;
    if (version && g->protocol == CONFIG_PROTOCOL_TCP && !g->broken)
        report_error(x->report, version->pos, "protocol_version means nothing in a tcp group");
}
