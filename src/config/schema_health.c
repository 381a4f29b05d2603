/* Rows of health_check: a map, or `off`. */
#include "config/decode.h"
#include "config/scalar.h"
#include "config/schema_tables.h"

#define DAY_MS             86400000ull
#define DEFAULT_TIMEOUT_MS 5000u

/* --- one key each --- */

static const struct schema_word protocols[] = {
    {"http", CONFIG_CHECK_HTTP, true}, {"https", CONFIG_CHECK_HTTPS, true},
    {"tcp", CONFIG_CHECK_TCP, true},   {"tls", CONFIG_CHECK_TLS, true},
    {"grpc", CONFIG_CHECK_GRPC, true}, SCHEMA_WORDS_END,
};

static void decode_port(struct schema_ctx *x, const struct schema_key *key,
                        const struct yaml_tree_node *node, void *to)
{
    uint64_t n;
    if (!node || !decode_is_scalar(x, key, node) || slice_eq(node->text, SLICE("traffic")))
        return;
    if (slice_u64(node->text, &n) && n >= 1 && n <= 65535)
        *(uint16_t *)to = (uint16_t)n;
    else
        schema_complain(x, key, node, "is no port");
}

/* Goes into a request line or a Host field as it is. */
static bool is_visible(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f)
            return false;
    return s.n > 0;
}

static void decode_path_text(struct schema_ctx *x, const struct schema_key *key,
                             const struct yaml_tree_node *node, void *to)
{
    struct slice text = node ? node->text : slice_str(key->def);
    if (node && !decode_is_scalar(x, key, node))
        return;
    if (!is_visible(text) || text.p[0] != '/' || text.n > key->max || memchr(text.p, '#', text.n))
        schema_complain(x, key, node, "is no path");
    *(struct slice *)to = arena_slice(x->arena, text);
}

static bool is_authority(struct slice text)
{
    struct slice host;
    uint16_t port;
    struct addr ip;
    if (addr_split(text, &host, &port) != OK)
        host = text;
    return scalar_is_host(host) || addr_parse_ip(&ip, host, 0) == OK;
}

static void decode_host(struct schema_ctx *x, const struct schema_key *key,
                        const struct yaml_tree_node *node, void *to)
{
    if (!decode_is_scalar(x, key, node))
        return;
    if (!is_authority(node->text))
        schema_complain(x, key, node, "is no host");
    *(struct slice *)to = arena_slice(x->arena, node->text);
}

static bool parse_code(struct slice text, unsigned *code)
{
    uint64_t n;
    if (!slice_u64(text, &n) || n > CONFIG_CODE_MAX)
        return false;
    *code = (unsigned)n;
    return true;
}

/* "200" or "200-299". */
static bool add_codes(struct config_matcher *m, struct slice item)
{
    unsigned first, last;
    const char *dash = memchr(item.p, '-', item.n);
    size_t cut = dash ? (size_t)(dash - item.p) : item.n;
    if (!parse_code(slice_of(item.p, cut), &first))
        return false;
    if (!parse_code(dash ? slice_from(item, cut + 1) : item, &last) || last < first)
        return false;
    for (unsigned code = first; code <= last; code++)
        model_matcher_add(m, code);
    return true;
}

static bool parse_matcher(struct config_matcher *m, struct slice text)
{
    while (text.n) {
        const char *comma = memchr(text.p, ',', text.n);
        size_t cut = comma ? (size_t)(comma - text.p) : text.n;
        if (!add_codes(m, slice_of(text.p, cut)) || (comma && cut + 1 == text.n))
            return false;
        text = slice_from(text, comma ? cut + 1 : cut);
    }
    return true;
}

static void decode_matcher(struct schema_ctx *x, const struct schema_key *key,
                           const struct yaml_tree_node *node, void *to)
{
    struct config_matcher m = {0};
    if (node && !decode_is_scalar(x, key, node))
        return;
    struct slice text = node ? node->text : slice_str(key->def);
    if (text.n == 0 || !parse_matcher(&m, text))
        schema_complain(x, key, node, "is no list of status codes");
    else
        *(struct config_matcher *)to = m;
}

/* --- the map --- */

const struct schema_key schema_health_keys[] = {
    {.name = "protocol",
     .type = SCHEMA_WORD,
     .def = "http",
     .words = protocols,
     .meaning = "http and https (over the group's protocol_version, on any port), tcp, tls, grpc; "
                "default as the group's traffic, tcp for tls",
     SCHEMA_AT(config_health_check, protocol)},
    {.name = "port",
     .type = SCHEMA_CUSTOM,
     .def = "traffic",
     .decode = decode_port,
     .expected = "traffic, or a number from 1 to 65535",
     .meaning = "traffic (the target's own) or a number",
     SCHEMA_AT(config_health_check, port)},
    {.name = "path",
     .type = SCHEMA_CUSTOM,
     .def = "/",
     .max = 1024,
     .decode = decode_path_text,
     .expected = "a path that begins with /, at most 1024 bytes",
     .meaning = "what is asked for, with a query; grpc: the method, default /AWS.ALB/healthcheck",
     SCHEMA_AT(config_health_check, path)},
    {.name = "host",
     .type = SCHEMA_CUSTOM,
     .decode = decode_host,
     .expected = "a host name or an IP address, perhaps with a port",
     .meaning = "the Host header; default the target's address; http, https and grpc checks",
     SCHEMA_AT(config_health_check, host)},
    {.name = "jitter",
     .type = SCHEMA_NUMBER,
     .def = "10",
     .max = 50,
     .meaning = "percent of the interval by which a check may be early or late",
     SCHEMA_AT(config_health_check, jitter_percent)},
    {.name = "interval",
     .type = SCHEMA_DURATION,
     .def = "30s",
     .min = 100,
     .max = DAY_MS,
     .meaning = "from the beginning of a check to that of the next",
     SCHEMA_AT(config_health_check, interval_ms)},
    {.name = "timeout",
     .type = SCHEMA_DURATION,
     .def = "5s",
     .min = 100,
     .max = DAY_MS,
     .meaning = "of a whole check; default at most half the interval",
     SCHEMA_AT(config_health_check, timeout_ms)},
    {.name = "healthy_threshold",
     .type = SCHEMA_NUMBER,
     .def = "5",
     .min = 1,
     .max = 1000,
     .meaning = "successes in a row that bring an unhealthy target back; a new one needs one",
     SCHEMA_AT(config_health_check, healthy_threshold)},
    {.name = "unhealthy_threshold",
     .type = SCHEMA_NUMBER,
     .def = "2",
     .min = 1,
     .max = 1000,
     .meaning = "failures in a row that make a target unhealthy",
     SCHEMA_AT(config_health_check, unhealthy_threshold)},
    {.name = "matcher",
     .type = SCHEMA_CUSTOM,
     .def = "200",
     .decode = decode_matcher,
     .expected =
         "codes from 200 to 599 (grpc: 0 to 99) and ranges of them, such as 200,301 or 200-299",
     .meaning = "good status codes: 200,301 or 200-299; grpc: default 12, of the health protocol 0",
     SCHEMA_AT(config_health_check, matcher)},
    SCHEMA_END,
};

void schema_health_decode(struct schema_ctx *x, const struct schema_key *key,
                          const struct yaml_tree_node *node, void *to)
{
    struct config_health_check *c = to;
    bool on;
    if (node && node->kind == YAML_TREE_SCALAR && scalar_bool(node->text, &on) && !on) {
        schema_map(x, schema_health_keys, key->name, NULL, c);
        return;
    }
    if (node && node->kind != YAML_TREE_MAP)
        schema_complain(x, key, node, "cannot be used here");
    else
        schema_map(x, schema_health_keys, key->name, node, c);
    c->on = true;
    c->pos = node ? node->pos : (struct config_pos){0};
}

/* --- what hangs together --- */

static void refuse_on_tcp(struct schema_ctx *x, const struct yaml_tree_node *map, bool tls)
{
    static const char *const http_only[] = {"path", "host", "matcher"};
    for (size_t i = 0; i < sizeof(http_only) / sizeof(*http_only); i++) {
        const struct yaml_tree_node *n = yaml_tree_get(map, http_only[i]);
        if (n)
            report_error(x->report, n->pos, "%s means nothing in a %s check", http_only[i],
                         tls ? "tls" : "tcp");
    }
}

static void refuse_port_on_unix(struct schema_ctx *x, const struct yaml_tree_node *map,
                                const struct config_group *g)
{
    for (size_t i = 0; i < g->targets_n; i++)
        if (g->targets[i].addrs_n && addr_family(g->targets[i].addrs) == AF_UNIX) {
            report_error(x->report, yaml_tree_get(map, "port")->pos,
                         "a port means nothing to the unix socket %s", g->targets[i].text.p);
            return;
        }
}

/* As ELB: that of the traffic for HTTP and gRPC, a connection for all else. */
static enum config_check_protocol usual_protocol(const struct config_group *g)
{
    if (g->protocol == CONFIG_PROTOCOL_TCP)
        return CONFIG_CHECK_TCP;
    if (g->version == CONFIG_VERSION_GRPC)
        return CONFIG_CHECK_GRPC;
    return g->tls ? CONFIG_CHECK_HTTPS : CONFIG_CHECK_HTTP;
}

static bool is_bare(const struct config_health_check *c)
{
    return c->protocol == CONFIG_CHECK_TCP || c->protocol == CONFIG_CHECK_TLS;
}

#define GRPC_PATH        "/AWS.ALB/healthcheck"
#define GRPC_HEALTH_PATH "/grpc.health.v1.Health/Check"
#define GRPC_UNKNOWN     12 /* what a service says to a method that it does not have */

static void finish_grpc(struct config_health_check *c, const struct yaml_tree_node *map)
{
    if (!(map && yaml_tree_get(map, "path")))
        c->path = SLICE(GRPC_PATH);
    if (map && yaml_tree_get(map, "matcher"))
        return;
    c->matcher = (struct config_matcher){0};
    model_matcher_add(&c->matcher, slice_eq(c->path, SLICE(GRPC_HEALTH_PATH)) ? 0 : GRPC_UNKNOWN);
}

/* Which codes there are hangs on the protocol. */
static void check_matcher(struct schema_ctx *x, const struct config_health_check *c,
                          const struct yaml_tree_node *node)
{
    bool grpc = c->protocol == CONFIG_CHECK_GRPC;
    unsigned first = grpc ? 0 : CONFIG_CODE_MIN, last = grpc ? CONFIG_GRPC_MAX : CONFIG_CODE_MAX;
    for (unsigned code = 0; node && code <= CONFIG_CODE_MAX; code++)
        if ((code < first || code > last) && model_matcher_has(&c->matcher, code)) {
            schema_complain(x, schema_find(schema_health_keys, SLICE("matcher")), node,
                            "is no list of status codes");
            return;
        }
}

void schema_health_finish(struct schema_ctx *x, const struct yaml_tree_node *group,
                          struct config_group *g)
{
    struct config_health_check *c = &g->health_check;
    const struct yaml_tree_node *block = yaml_tree_get(group, "health_check");
    const struct yaml_tree_node *map = block && block->kind == YAML_TREE_MAP ? block : NULL;
    if (!block)
        schema_health_decode(x, schema_find(schema_group_keys, SLICE("health_check")), NULL, c);
    if (!(map && yaml_tree_get(map, "protocol")))
        c->protocol = usual_protocol(g);
    c->tls = c->protocol == CONFIG_CHECK_HTTPS || c->protocol == CONFIG_CHECK_TLS ||
             (c->protocol == CONFIG_CHECK_GRPC && g->tls);
    c->http2 =
        c->protocol == CONFIG_CHECK_GRPC || (!is_bare(c) && g->version != CONFIG_VERSION_HTTP1);
    if (c->protocol == CONFIG_CHECK_GRPC)
        finish_grpc(c, map);
    if (map && !is_bare(c))
        check_matcher(x, c, yaml_tree_get(map, "matcher"));
    if (!(map && yaml_tree_get(map, "timeout")) && c->interval_ms / 2 < DEFAULT_TIMEOUT_MS)
        c->timeout_ms = c->interval_ms / 2;
    if (map && is_bare(c))
        refuse_on_tcp(x, map, c->tls);
    if (map && c->port)
        refuse_port_on_unix(x, map, g);
}
