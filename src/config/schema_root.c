/* Rows of the file itself and of the settings of the process. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "config/cpus.h"
#include "config/decode.h"
#include "config/scalar.h"
#include "config/schema.h"
#include "config/schema_tables.h"

/* --- node --- */

#define ZONE_FILE "/etc/tenbin/zone"

/* The first line of the zone file, or an empty text. */
static struct slice read_zone_file(const char *root, char *buf, size_t cap)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s%s", root, ZONE_FILE) >= (int)sizeof(path))
        return (struct slice){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 ? 0 : read(fd, buf, cap);
    if (fd >= 0)
        close(fd);
    struct slice text = slice_of(buf, n > 0 ? (size_t)n : 0);
    return slice_trim(slice_upto(text, slice_find(text, '\n', 0)));
}

static void find_zone(struct schema_ctx *x, const struct schema_key *key,
                      const struct yaml_tree_node *node, struct config_node *to)
{
    char buf[256];
    struct slice zone = slice_str(expand_lookup(x->env, "TENBIN_ZONE"));
    if (zone.n == 0)
        zone = read_zone_file(x->root, buf, sizeof(buf));
    if (scalar_is_name(zone)) {
        to->zone = arena_slice(x->arena, zone);
        return;
    }
    to->zone_wrong = true;
    struct report_entry *e = schema_complain(x, key, node, "finds no zone");
    report_hint(x->report, e, "$TENBIN_ZONE or the first line of %s should name it", ZONE_FILE);
}

/* to is the whole struct config_node. */
static void decode_zone(struct schema_ctx *x, const struct schema_key *key,
                        const struct yaml_tree_node *node, void *to)
{
    struct config_node *n = to;
    if (!node)
        return;
    n->zone_wrong = !decode_is_scalar(x, key, node);
    if (n->zone_wrong || slice_eq(node->text, SLICE("none")))
        return;
    n->zone_wrong = !slice_eq(node->text, SLICE("auto")) && !scalar_is_name(node->text);
    if (n->zone_wrong)
        schema_complain(x, key, node, "cannot be a zone");
    else if (slice_eq(node->text, SLICE("auto")))
        find_zone(x, key, node, n);
    else
        n->zone = arena_slice(x->arena, node->text);
}

static const struct schema_key node_keys[] = {
    {.name = "zone",
     .type = SCHEMA_CUSTOM,
     .def = "none",
     .decode = decode_zone,
     .expected = "a zone's name, auto ($TENBIN_ZONE, then " ZONE_FILE "), or none",
     .meaning = "the Availability Zone this node runs in: a name, auto or none"},
    SCHEMA_END,
};

/* --- workers, user --- */

#define WORKERS_MAX 1024

static void decode_workers(struct schema_ctx *x, const struct schema_key *key,
                           const struct yaml_tree_node *node, void *to)
{
    uint64_t n;
    if (node && !decode_is_scalar(x, key, node))
        return;
    if (!node || slice_eq(node->text, SLICE("auto"))) {
        n = cpus_usable(x->root);
        n = n < WORKERS_MAX ? n : WORKERS_MAX;
    } else if (!slice_u64(node->text, &n) || n < 1 || n > WORKERS_MAX) {
        schema_complain(x, key, node, "is not a number of threads");
        n = 1;
    }
    *(uint32_t *)to = (uint32_t)n;
}

/* --- logs --- */

/* The program's own log cannot be turned off. */
static void decode_off(struct schema_ctx *x, const struct schema_key *key,
                       const struct yaml_tree_node *node, struct config_sink *sink)
{
    sink->output = CONFIG_OUTPUT_OFF;
    if (strcmp(key->def, "off") != 0)
        schema_complain(x, key, node, "cannot be used here");
}

static void decode_sink(struct schema_ctx *x, const struct schema_key *key,
                        const struct yaml_tree_node *node, void *to)
{
    struct config_sink *sink = to;
    struct slice text = slice_str(key->def);
    if (node && !decode_is_scalar(x, key, node))
        return;
    if (node)
        text = node->text;
    if (slice_eq(text, SLICE("stderr")))
        sink->output = CONFIG_OUTPUT_STDERR;
    else if (slice_eq(text, SLICE("stdout")))
        sink->output = CONFIG_OUTPUT_STDOUT;
    else if (slice_eq(text, SLICE("off")))
        decode_off(x, key, node, sink);
    else if (decode_path(x, key, node, &sink->path))
        sink->output = CONFIG_OUTPUT_FILE;
}

static const struct schema_word log_levels[] = {
    {"debug", LOG_DEBUG, true}, {"info", LOG_INFO, true}, {"warning", LOG_WARNING, true},
    {"error", LOG_ERROR, true}, SCHEMA_WORDS_END,
};

static const struct schema_word log_formats[] = {
    {"text", LOG_TEXT, true},
    {"json", LOG_JSON, true},
    SCHEMA_WORDS_END,
};

static const struct schema_key log_keys[] = {
    {.name = "level",
     .type = SCHEMA_WORD,
     .def = "info",
     .words = log_levels,
     .meaning = "debug, info, warning or error",
     SCHEMA_AT(config_log, level)},
    {.name = "output",
     .type = SCHEMA_CUSTOM,
     .def = "stderr",
     .decode = decode_sink,
     .expected = "stderr, stdout or a file's name",
     .meaning = "stderr, stdout or a file",
     SCHEMA_AT(config_log, sink)},
    {.name = "format",
     .type = SCHEMA_WORD,
     .def = "text",
     .words = log_formats,
     .meaning = "text or json",
     SCHEMA_AT(config_log, format)},
    SCHEMA_END,
};

static const struct schema_word access_log_formats[] = {
    {"json", CONFIG_ACCESS_LOG_FORMAT_JSON, true},
    {"combined", CONFIG_ACCESS_LOG_FORMAT_COMBINED, true},
    {"alb", 0, false},
    SCHEMA_WORDS_END,
};

static const struct schema_key access_log_keys[] = {
    {.name = "path",
     .type = SCHEMA_CUSTOM,
     .def = "off",
     .decode = decode_sink,
     .expected = "a file's name, stdout, stderr or off",
     .meaning = "a file, stdout, stderr or off",
     SCHEMA_AT(config_access_log, sink)},
    {.name = "format",
     .type = SCHEMA_WORD,
     .def = "json",
     .words = access_log_formats,
     .meaning = "json or combined (alb: not built yet)",
     SCHEMA_AT(config_access_log, format)},
    {.name = "buffer",
     .type = SCHEMA_SIZE,
     .def = "64KiB",
     .min = 4 << 10,
     .max = 1 << 20,
     .meaning = "a worker hands over its lines when it holds so many bytes",
     SCHEMA_AT(config_access_log, buffer_bytes)},
    {.name = "flush",
     .type = SCHEMA_DURATION,
     .def = "1s",
     .min = 100,
     .max = 60000,
     .meaning = "or when the oldest line is so old",
     SCHEMA_AT(config_access_log, flush_ms)},
    SCHEMA_END,
};

static void need_path(struct schema_ctx *x, const struct yaml_tree_node *node, const char *log)
{
    if (!yaml_tree_get(node, "path"))
        report_error(x->report, node->pos, "%s: the key \"path\" is missing: where to?", log);
}

static void check_access_log(struct schema_ctx *x, const struct yaml_tree_node *node, void *to)
{
    (void)to;
    need_path(x, node, "access_log");
}

static void check_health_check_log(struct schema_ctx *x, const struct yaml_tree_node *node,
                                   void *to)
{
    (void)to;
    need_path(x, node, "health_check_log");
}

static void check_connection_log(struct schema_ctx *x, const struct yaml_tree_node *node, void *to)
{
    (void)to;
    need_path(x, node, "connection_log");
}

static const struct schema_key connection_log_keys[] = {
    {.name = "path",
     .type = SCHEMA_CUSTOM,
     .def = "off",
     .decode = decode_sink,
     .expected = "a file's name, stdout, stderr or off",
     .meaning = "a file, stdout, stderr or off",
     SCHEMA_AT(config_connection_log, sink)},
    SCHEMA_END,
};

static const struct schema_key health_check_log_keys[] = {
    {.name = "path",
     .type = SCHEMA_CUSTOM,
     .def = "off",
     .decode = decode_sink,
     .expected = "a file's name, stdout, stderr or off",
     .meaning = "a file, stdout, stderr or off",
     SCHEMA_AT(config_health_check_log, sink)},
    SCHEMA_END,
};

/* --- the file --- */

static const struct schema_key keys_keys[] = {
    {.name = "tickets",
     .type = SCHEMA_CUSTOM,
     .decode = decode_file,
     .expected = "a file of 32-byte keys, 64 hex digits a line; the first seals, all open",
     .meaning = "a file of keys for TLS tickets, shared by a fleet: 64 hex digits a line",
     SCHEMA_AT(config_keys, tickets)},
    {.name = "cookies",
     .type = SCHEMA_CUSTOM,
     .decode = decode_file,
     .expected = "a file of 32-byte keys, 64 hex digits a line; the first seals, all open",
     .meaning = "a file of keys for stickiness cookies, shared by a fleet: 64 hex digits a line",
     SCHEMA_AT(config_keys, cookies)},
    SCHEMA_END,
};

static const struct schema_key reload_keys[] = {
    {.name = "confirm",
     .type = SCHEMA_DURATION,
     .built = SCHEMA_NOT_BUILT,
     .def = "60s",
     .meaning = "a reload that is not confirmed in time is taken back"},
    SCHEMA_END,
};

/* Includes were read and taken out before the tables are asked. */
static void decode_include(struct schema_ctx *x, const struct schema_key *key,
                           const struct yaml_tree_node *node, void *to)
{
    (void)x, (void)key, (void)node, (void)to;
}

static void decode_state_dir(struct schema_ctx *x, const struct schema_key *key,
                             const struct yaml_tree_node *node, void *to)
{
    if (node && !(node->kind == YAML_TREE_SCALAR && slice_eq(node->text, SLICE("none"))))
        (void)decode_path(x, key, node, to);
}

const struct schema_key schema_root_keys[] = {
    {.name = "include",
     .type = SCHEMA_CUSTOM,
     .decode = decode_include,
     .expected = "a file name pattern or a list of them",
     .meaning = "patterns of further files; their listeners and target_groups are added"},
    {.name = "node",
     .type = SCHEMA_MAP,
     .keys = node_keys,
     .meaning = "where this tenbin runs",
     SCHEMA_AT(config, node)},
    {.name = "workers",
     .type = SCHEMA_CUSTOM,
     .def = "auto",
     .decode = decode_workers,
     .expected = "auto or a number from 1 to 1024",
     .meaning = "threads; auto: CPUs allowed, at most the cgroup quota; needs a restart",
     SCHEMA_AT(config, workers)},
    {.name = "user",
     .type = SCHEMA_NAME,
     .meaning = "dropped to before anything is opened or bound; needs a restart",
     SCHEMA_AT(config, user)},
    {.name = "state_dir",
     .type = SCHEMA_CUSTOM,
     .def = "none",
     .decode = decode_state_dir,
     .expected = "a directory, or none",
     .meaning = "a directory where run-time changes and zonal shifts survive restarts, or none",
     SCHEMA_AT(config, state_dir)},
    {.name = "limits",
     .type = SCHEMA_MAP,
     .keys = schema_limits_keys,
     .check = schema_limits_check,
     .meaning = "what is refused; octets are counted without the line end",
     SCHEMA_AT(config, limits)},
    {.name = "timeouts",
     .type = SCHEMA_MAP,
     .keys = schema_timeouts_keys,
     .meaning = "see also idle_timeout of listeners",
     SCHEMA_AT(config, timeouts)},
    {.name = "resolvers",
     .type = SCHEMA_LIST,
     .one_or_many = true,
     .min = 1,
     .decode = schema_discovery_resolver,
     .expected = "IP:PORT, or a list of at most 16",
     .meaning = "name servers for discovery; default those of resolv.conf",
     SCHEMA_ITEMS(config, resolvers, addr)},
    {.name = "keys",
     .type = SCHEMA_MAP,
     .keys = keys_keys,
     .meaning = "secrets shared by a fleet; made at random when absent",
     SCHEMA_AT(config, keys)},
    {.name = "autoshift",
     .type = SCHEMA_MAP,
     .keys = schema_zones_autoshift_keys,
     .check = schema_zones_autoshift_check,
     .meaning = "zonal shifts without an operator",
     SCHEMA_AT(config, autoshift)},
    {.name = "tls",
     .type = SCHEMA_MAP,
     .keys = schema_tls_keys,
     .meaning = "TLS of all listeners and groups",
     SCHEMA_AT(config, tls)},
    {.name = "reload",
     .type = SCHEMA_MAP,
     .built = SCHEMA_NOT_BUILT,
     .keys = reload_keys,
     .meaning = "how a reload takes place"},
    {.name = "log",
     .type = SCHEMA_MAP,
     .keys = log_keys,
     .meaning = "what tenbin says about itself",
     SCHEMA_AT(config, log)},
    {.name = "access_log",
     .type = SCHEMA_MAP,
     .keys = access_log_keys,
     .check = check_access_log,
     .meaning = "one line a request or TCP session",
     SCHEMA_AT(config, access_log)},
    {.name = "connection_log",
     .type = SCHEMA_MAP,
     .keys = connection_log_keys,
     .check = check_connection_log,
     .meaning = "one line a client connection, with the fields of ELB's",
     SCHEMA_AT(config, connection_log)},
    {.name = "health_check_log",
     .type = SCHEMA_MAP,
     .keys = health_check_log_keys,
     .check = check_health_check_log,
     .meaning = "one line a health check, with the fields of ELB's",
     SCHEMA_AT(config, health_check_log)},
    {.name = "admin",
     .type = SCHEMA_MAP,
     .keys = schema_admin_keys,
     .meaning = "the endpoint for operators",
     SCHEMA_AT(config, admin)},
    {.name = "tests",
     .type = SCHEMA_LIST,
     .built = SCHEMA_NOT_BUILT,
     .meaning = "requests and where they must lead, run by tenbin check"},
    {.name = "listeners",
     .type = SCHEMA_LIST,
     .required = true,
     .min = 1,
     .keys = schema_listener_keys,
     .decode = schema_listener_decode,
     .expected = "a list of listeners",
     .meaning = "where clients connect",
     SCHEMA_ITEMS(config, listeners, config_listener)},
    {.name = "target_groups",
     .type = SCHEMA_LIST,
     .keys = schema_group_keys,
     .decode = schema_group_decode,
     .expected = "a list of target groups",
     .meaning = "where requests go",
     SCHEMA_ITEMS(config, groups, config_group)},
    SCHEMA_END,
};
