/* The typed configuration: what a file means, with every default filled in. Made by config/load.h,
 * read by whoever compiles a snapshot, `check` and `explain`.
 *
 *   config ── listeners[] ── rules[] ── conditions[]
 *      │           │            └────── action ── forward ── groups[] ─┐ (index)
 *      │           └── default_action                                  │
 *      └── groups[] ◄──────────────────────────────────────────────────┘
 *             └── targets[] ── addrs[]
 *
 * Owner: whoever got it from load, and who holds it (model_hold); model_free() gives all of it back: everything below lives in
 * its one arena. Immutable once loaded, so any thread may read it. Slices are NUL-terminated, but
 * an empty one may be NULL. Names are unique, references are resolved, values are in range:
 * readers check nothing again. Times are in milliseconds. Paths that were relative in the file
 * begin with the directory of that file. */
#ifndef CONFIG_MODEL_H
#define CONFIG_MODEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/slice.h"
#include "net/addr.h"

#define CONFIG_NONE UINT64_MAX /* a size written as `none`: no limit */

/* Where something was written. line 0: nowhere, it is a default. Line and column count from 1. */
struct config_pos {
    const char *file;
    uint32_t line, column;
};

/* A file that is read when the snapshot is made. */
struct config_file {
    struct slice path; /* empty: none */
    struct config_pos pos;
};

struct config_node {
    struct slice zone; /* empty: no zone preference */
    bool zone_wrong;   /* while loading: it was complained of */
};

struct config_limits {
    uint32_t max_connections; /* client connections, all workers */
    uint32_t request_line_bytes;
    uint32_t header_bytes;       /* one field line */
    uint32_t request_head_bytes; /* request line and all fields; at most 256 KiB */
    uint32_t response_head_bytes;
    uint32_t headers; /* field lines of a head */
    uint32_t trailers_bytes;
    uint32_t chunk_line_bytes;
    uint64_t body_bytes;     /* or CONFIG_NONE */
    uint32_t http2_streams;  /* open at the same time, a connection */
    uint32_t http2_requests; /* a connection, then GOAWAY */
    uint32_t http2_resets;
    uint32_t http2_control_frames;
    uint64_t buffer_memory_bytes; /* a worker; or CONFIG_NONE */
};

struct config_timeouts {
    uint32_t shutdown_ms;
    uint32_t drain_ms;
    uint32_t request_head_ms;
    uint32_t connect_ms;
    uint32_t tls_handshake_ms;
    uint32_t target_keep_alive_ms;
    uint32_t linger_ms;
    uint32_t half_close_ms;
};

enum config_output {
    CONFIG_OUTPUT_OFF,
    CONFIG_OUTPUT_STDERR,
    CONFIG_OUTPUT_STDOUT,
    CONFIG_OUTPUT_FILE,
};

struct config_sink {
    enum config_output output;
    struct slice path; /* only for CONFIG_OUTPUT_FILE */
};

struct config_log {
    enum log_level level;
    enum log_format format;
    struct config_sink sink; /* never off */
};

enum config_access_log_format {
    CONFIG_ACCESS_LOG_FORMAT_JSON,
    CONFIG_ACCESS_LOG_FORMAT_COMBINED,
};

struct config_access_log {
    struct config_sink sink; /* CONFIG_OUTPUT_OFF unless configured */
    enum config_access_log_format format;
    uint32_t buffer_bytes;
    uint32_t flush_ms;
};

struct config_connection_log {
    struct config_sink sink; /* CONFIG_OUTPUT_OFF unless configured */
};

struct config_health_check_log {
    struct config_sink sink; /* CONFIG_OUTPUT_OFF unless configured */
};

enum config_role {
    CONFIG_ROLE_NONE, /* of no token */
    CONFIG_ROLE_VIEWER,
    CONFIG_ROLE_OPERATOR,
};

struct config_token {
    enum config_role role;
    struct config_file file;
    struct slice secret; /* what is in it; empty until config/tokens.h has read it */
};

struct config_admin {
    struct addr listen; /* loopback or unix; AF_UNSPEC: off, the default */
    struct config_pos pos;
    struct config_token *tokens; /* none: see server/access.h */
    size_t tokens_n;
};

/* --- listeners --- */

/* https and tls are these two with `tls` set beside them. */
enum config_protocol {
    CONFIG_PROTOCOL_HTTP,
    CONFIG_PROTOCOL_TCP,
};

struct config_certificate {
    struct config_file certificate; /* PEM, with its chain */
    struct config_file key;         /* PEM */
    struct config_file ocsp;        /* DER; empty: none */
};

enum config_mutual_mode {
    CONFIG_MUTUAL_OFF,
    CONFIG_MUTUAL_PASSTHROUGH, /* any certificate is taken and shown to the target */
    CONFIG_MUTUAL_VERIFY,      /* without a good one there is no connection */
};

/* Certificates of clients. All but the mode mean something with verify only. */
struct config_mutual {
    enum config_mutual_mode mode;
    struct config_file trust_store;  /* PEM; with verify always there */
    struct config_file *revocations; /* PEM */
    size_t revocations_n;
    bool ignore_expiry;
    bool advertise_names; /* of the CAs, to clients */
};

enum config_desync {
    CONFIG_DESYNC_MONITOR,
    CONFIG_DESYNC_DEFENSIVE,
    CONFIG_DESYNC_STRICTEST,
};

enum config_xff {
    CONFIG_XFF_APPEND,
    CONFIG_XFF_PRESERVE,
    CONFIG_XFF_REMOVE,
};

/* A header that is put on every response of the listener, over the target's own. */
struct config_response_header {
    struct slice name; /* as on the wire: "Strict-Transport-Security" */
    struct slice value;
};

/* All but idle_timeout_ms mean something on http listeners only. */
struct config_listener_attributes {
    uint32_t idle_timeout_ms; /* default 60 s, tcp 350 s */
    uint32_t client_keep_alive_ms;
    enum config_desync desync_mitigation_mode;
    enum config_xff xff_header_processing;
    bool http2;            /* by ALPN on https listeners */
    bool h2c;              /* HTTP/2 by prior knowledge on a plain listener */
    bool http2_websockets; /* RFC 8441 */
    bool xff_client_port;
    bool drop_invalid_header_fields;
    bool preserve_host_header;
    bool x_amzn_tls;    /* X-Amzn-Tls-Version and -Cipher-Suite to targets */
    bool server_header; /* false: `Server` is taken off the target's responses */
    struct config_response_header *response_headers;
    size_t response_headers_n;
};

enum config_condition_type {
    CONFIG_CONDITION_HOST_HEADER,
    CONFIG_CONDITION_PATH_PATTERN,
};

/* Values are OR-ed, the conditions of a rule AND-ed; at most one condition of a type a rule.
 * Values are as typed: visible ASCII with the wildcards `*` and `?`. */
struct config_condition {
    enum config_condition_type type;
    struct slice *values; /* at least one */
    size_t values_n;
    struct config_pos pos;
};

struct config_forward_group {
    struct slice name;
    size_t group; /* index into config.groups */
    uint16_t weight;
    struct config_pos pos;
};

struct config_forward {
    struct config_forward_group *groups; /* at least one; the sum of weights is not 0 */
    size_t groups_n;
    uint32_t stickiness_ms; /* how long a client stays with its group; 0: it does not */
    bool failover;          /* another group when the picked one has no usable target */
};

/* Texts may hold #{protocol} #{host} #{port} #{path} #{query}, only where ELB allows them. What
 * was not given is the keyword itself, except port: the default one of a changed protocol. */
struct config_redirect {
    struct slice protocol; /* "http", "https" or "#{protocol}" */
    struct slice host;
    struct slice port;
    struct slice path;    /* begins with a slash */
    struct slice query;   /* without `?`; may be empty */
    uint16_t status_code; /* 301 302 303 307 308 */
};

struct config_fixed_response {
    uint16_t status_code; /* 200-299, 400-599 */
    struct slice content_type;
    struct slice message_body; /* may be empty, and is for 204 and 205 */
};

enum config_action_type {
    CONFIG_ACTION_FORWARD,
    CONFIG_ACTION_REDIRECT,
    CONFIG_ACTION_FIXED_RESPONSE,
};

struct config_action {
    enum config_action_type type;
    struct config_pos pos;
    union {
        struct config_forward forward;
        struct config_redirect redirect;
        struct config_fixed_response fixed_response;
    };
};

struct config_rule {
    struct slice name; /* unique in the listener; "rule-PRIORITY" when not given */
    uint32_t priority; /* unique in the listener, lowest first */
    struct config_condition *conditions; /* at least one */
    size_t conditions_n;
    struct config_action action;
    struct config_pos pos;
};

struct config_listen {
    struct addr addr;
    struct config_pos pos;
};

struct config_listener {
    struct slice name; /* unique */
    enum config_protocol protocol;
    bool tls;                                /* https, tls */
    struct config_certificate *certificates; /* with tls: at least one, the first is the default */
    size_t certificates_n;
    struct slice tls_policy; /* with tls: a name that was not looked up yet */
    struct config_pos tls_policy_pos;
    struct config_file ocsp; /* for one of the certificates; empty: none */
    struct config_mutual mutual;
    struct config_listen *listen; /* at least one */
    size_t listen_n;
    struct config_listener_attributes attributes;
    struct config_rule *rules; /* by priority; none on tcp */
    size_t rules_n;
    struct config_action default_action; /* on tcp: forward */
    struct config_pos pos;
    bool broken; /* while loading: an error was found in it; later checks do not blame it twice */
};

/* --- target groups --- */

enum config_algorithm {
    CONFIG_ALGORITHM_ROUND_ROBIN,
    CONFIG_ALGORITHM_LEAST_OUTSTANDING,
    CONFIG_ALGORITHM_WEIGHTED_RANDOM,
    CONFIG_ALGORITHM_PEAK_EWMA,
    CONFIG_ALGORITHM_SOURCE_HASH,
    CONFIG_ALGORITHM_CONSISTENT_HASH,
};

enum config_hash_on_type {
    CONFIG_HASH_ON_NOTHING,
    CONFIG_HASH_ON_SOURCE_IP,
    CONFIG_HASH_ON_PATH,
    CONFIG_HASH_ON_HEADER,
    CONFIG_HASH_ON_COOKIE,
    CONFIG_HASH_ON_QUERY,
};

/* What the algorithms that hash tell clients apart by. */
struct config_hash_on {
    enum config_hash_on_type type;
    struct slice name; /* of the header, cookie or query key */
};

enum config_ejection_on {
    CONFIG_EJECTION_CONNECT, /* connections that fail, are reset, or time out */
    CONFIG_EJECTION_5XX,     /* answers of 500 and more too */
};

struct config_ejection {
    bool enabled; /* the key is there */
    enum config_ejection_on on;
    uint32_t consecutive_failures;
    uint32_t base_time_ms, max_time_ms;
    uint32_t max_percent; /* of the targets of a zone */
};

/* What happens between zones; see upstream/zone.h. */
enum config_zone_policy {
    CONFIG_ZONES_CROSS,
    CONFIG_ZONES_LOCAL_ONLY,
    CONFIG_ZONES_PREFER_LOCAL,
    CONFIG_ZONES_BALANCED,
    CONFIG_ZONES_ORDER,
};

struct config_zone_name {
    struct slice zone;
    uint32_t nodes; /* lb_nodes: balancers that run there */
    struct config_pos pos;
};

/* The least number of healthy targets, and their least part of all of them. */
struct config_threshold {
    uint32_t count, percent;
};

struct config_minimum_healthy {
    struct config_threshold routing; /* below it: fail open */
    struct config_threshold dns;     /* below it, in the node's zone: /zone-health says 503 */
    struct config_pos pos;           /* line 0: not given; the same below */
};

struct config_zone_rules {
    enum config_zone_policy policy;
    struct config_zone_name *order; /* CONFIG_ZONES_ORDER: first to last, each once */
    size_t order_n;
    struct config_pos pos;
};

struct config_zone_details {
    uint32_t overprovision_permille;
    uint32_t smoothing_ms;
};

struct config_lb_nodes {
    struct config_zone_name *zones; /* each once; none: one balancer in each zone */
    size_t zones_n;
    struct config_pos pos;
};

enum config_stickiness_type {
    CONFIG_STICKINESS_OFF,
    CONFIG_STICKINESS_LB_COOKIE,
    CONFIG_STICKINESS_APP_COOKIE,
    CONFIG_STICKINESS_SOURCE_IP, /* tcp and tls groups */
};

struct config_stickiness {
    enum config_stickiness_type type;
    uint32_t duration_ms;
    struct slice cookie_name; /* the application's, with APP_COOKIE */
    struct config_pos pos;
};

/* Of requests that find all targets at max_outstanding. */
struct config_queue {
    uint32_t max;
    uint32_t timeout_ms;
};

/* Of replays after bytes were sent. */
struct config_retry_budget {
    uint32_t percent;
    uint32_t minimum;
};

struct config_group_attributes {
    enum config_algorithm algorithm;
    struct config_hash_on hash_on;    /* NOTHING: the algorithm does not hash */
    uint32_t slow_start_ms;           /* 0: off */
    uint32_t deregistration_delay_ms; /* work in flight on a target that left is cut then */
    struct config_zone_rules zone_policy;
    struct config_zone_details zones;
    struct config_lb_nodes lb_nodes;
    struct config_minimum_healthy minimum_healthy;
    uint32_t retries; /* further targets or tries after the first */
    bool fail_open;   /* no healthy target: use all */
    struct config_ejection ejection;
    bool anomaly_mitigation; /* with weighted_random only */
    bool aws_names;          /* of cookies: AWSALB and so on */
    struct config_stickiness stickiness;
    uint64_t max_outstanding; /* of one target; or CONFIG_NONE */
    struct config_queue queue;
    struct config_retry_budget retry_budget;
    uint64_t try_timeout_ms; /* or CONFIG_NONE */
};

enum config_check_protocol {
    CONFIG_CHECK_HTTP,
    CONFIG_CHECK_HTTPS,
    CONFIG_CHECK_TCP,
    CONFIG_CHECK_TLS,
    CONFIG_CHECK_GRPC,
};

#define CONFIG_CODE_MIN 200 /* of HTTP */
#define CONFIG_CODE_MAX 599
#define CONFIG_GRPC_MAX 99 /* status codes of gRPC, from 0 */

/* Status codes that count as a success. */
struct config_matcher {
    uint8_t bits[(CONFIG_CODE_MAX + 8) / 8];
};

void model_matcher_add(struct config_matcher *m, unsigned code);
bool model_matcher_has(const struct config_matcher *m, unsigned code); /* any number */

struct config_health_check {
    bool on;
    enum config_check_protocol protocol;
    bool tls;          /* https, tls, grpc in a group with TLS: with the group's target_tls */
    bool http2;        /* grpc; http and https in a group whose traffic is of HTTP/2 */
    uint16_t port;     /* 0: the target's own */
    struct slice path; /* with its query */
    struct slice host; /* empty: the target's address */
    uint32_t jitter_percent;
    uint32_t interval_ms, timeout_ms;
    uint32_t healthy_threshold, unhealthy_threshold;
    struct config_matcher matcher;
    struct config_pos pos;
};

struct config_target {
    struct slice text;  /* the address as typed */
    struct slice zone;  /* empty: none given */
    uint16_t weight;    /* 0: gets nothing */
    uint16_t priority;  /* serves only when no target of a lower one is healthy; 0 in files */
    struct slice host;  /* a name to look up; empty when the address was literal */
    uint16_t port;      /* of that name */
    struct addr *addrs; /* each is a target; none: the name gave no answer (or was not looked up) */
    size_t addrs_n;
    struct config_pos pos;
};

enum config_discovery_source {
    CONFIG_DISCOVERY_NONE,
    CONFIG_DISCOVERY_FILE,
    CONFIG_DISCOVERY_DNS,
    CONFIG_DISCOVERY_SRV,
};

#define CONFIG_RESOLVERS_MAX 16

/* Targets that are not in the configuration; see upstream/roster.h. */
struct config_discovery {
    enum config_discovery_source source;
    struct config_file file; /* FILE */
    struct slice name;       /* DNS, SRV: to look up */
    uint16_t port;           /* DNS: of all targets */
    struct slice zone;       /* DNS, SRV: of all targets; empty: none */
    uint32_t hold_ms;        /* DNS, SRV */
    struct addr *resolvers;  /* DNS, SRV; none: those of the file */
    size_t resolvers_n;
    struct config_pos pos;
};

/* With https and tls groups, and with checks that speak TLS. */
struct config_target_tls {
    bool verify;
    struct config_file ca;    /* empty: the system's */
    struct slice server_name; /* empty: the target's own name or address */
};

enum config_version {
    CONFIG_VERSION_HTTP1,
    CONFIG_VERSION_HTTP2,
    CONFIG_VERSION_GRPC,
};

struct config_group {
    struct slice name;           /* unique */
    enum config_version version; /* on http and https */
    enum config_protocol protocol;
    bool tls; /* https, tls */
    struct config_target_tls target_tls;
    struct config_group_attributes attributes;
    struct config_health_check health_check;
    struct config_target *targets; /* may be none: 503 */
    size_t targets_n;
    struct config_discovery discovery;
    bool used; /* by some action */
    struct config_pos pos;
    bool broken; /* as in a listener */
};

struct config_tls {
    bool ktls; /* asked for, for what clients are sent; see net/tls_ktls.h */
};

enum config_autoshift_mode {
    CONFIG_AUTOSHIFT_OFF,
    CONFIG_AUTOSHIFT_ON,
    CONFIG_AUTOSHIFT_PRACTICE, /* see upstream/practice.h */
};

/* See upstream/autoshift.h. */
struct config_autoshift {
    enum config_autoshift_mode mode;
    struct config_pos pos;
    uint32_t window_ms;
    uint32_t windows;
    uint32_t minimum_requests; /* of a zone in a window */
    uint64_t slow_ms; /* quicker answers are never slow; or CONFIG_NONE: times are not compared */
    uint32_t for_ms;
    uint32_t practice_at_s; /* after Monday 00:00 UTC */
};

struct config_keys {
    struct config_file tickets; /* empty: made at random */
    struct config_file cookies; /* the same */
};

struct config {
    struct arena arena;     /* holds all that is below, and the struct itself */
    _Atomic unsigned holds; /* by others than the first owner */
    const char *path;       /* the file, as given */
    struct config_node node;
    uint32_t workers;       /* threads; `auto` is already counted */
    struct slice user;      /* empty: stay who we are */
    struct slice state_dir; /* empty: run-time changes end with the process */
    struct config_limits limits;
    struct config_timeouts timeouts;
    struct addr *resolvers; /* none: the system's */
    size_t resolvers_n;
    struct config_keys keys;
    struct config_autoshift autoshift;
    struct config_tls tls;
    struct config_log log;
    struct config_access_log access_log;
    struct config_connection_log connection_log;
    struct config_health_check_log health_check_log;
    struct config_admin admin;
    struct config_listener *listeners; /* at least one */
    size_t listeners_n;
    struct config_group *groups;
    size_t groups_n;
};

/* One more owner, each of which calls model_free(): the snapshots that were made from one text share
 * its configuration. Any thread. */
struct config *model_hold(struct config *c);
/* The last owner's frees it. NULL is fine. */
void model_free(struct config *c);

#endif
