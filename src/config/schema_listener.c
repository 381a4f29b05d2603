/* Rows of a listener and its attributes. */
#include "config/decode.h"
#include "config/scalar.h"
#include "config/schema_tables.h"

#define TCP_IDLE_MS 350000

/* --- addresses --- */

static void decode_listen(struct schema_ctx *x, const struct schema_key *key,
                          const struct yaml_tree_node *node, void *to)
{
    struct config_listen *l = to;
    l->pos = node->pos;
    (void)decode_addr(x, key, node, &l->addr); /* has complained when it is none */
}

/* --- response headers --- */

/* access_control_max_age -> Access-Control-Max-Age */
static struct slice header_name(struct arena *a, const char *key)
{
    char *p = arena_strdup(a, slice_str(key));
    bool first = true;
    for (char *c = p; *c; c++) {
        if (*c == '_')
            *c = '-';
        else if (first)
            *c = (char)(*c & ~0x20);
        first = *c == '-';
    }
    return slice_str(p);
}

/* to is the struct config_listener_attributes. An empty value is no header, as with ALB. */
static void decode_response_header(struct schema_ctx *x, const struct schema_key *key,
                                   const struct yaml_tree_node *node, void *to);

#define RESPONSE_HEADER(key, text)                                                                 \
    {                                                                                              \
        .name = key, .type = SCHEMA_CUSTOM, .decode = decode_response_header, .max = 4096,         \
        .expected = "a header's value of at most 4096 bytes on one line", .meaning = text          \
    }

static const struct schema_key response_header_keys[] = {
    RESPONSE_HEADER("strict_transport_security", "a value, or nothing: the target's own is kept"),
    RESPONSE_HEADER("access_control_allow_origin", "likewise"),
    RESPONSE_HEADER("access_control_allow_methods", "likewise"),
    RESPONSE_HEADER("access_control_allow_headers", "likewise"),
    RESPONSE_HEADER("access_control_allow_credentials", "likewise"),
    RESPONSE_HEADER("access_control_expose_headers", "likewise"),
    RESPONSE_HEADER("access_control_max_age", "likewise"),
    RESPONSE_HEADER("content_security_policy", "likewise"),
    RESPONSE_HEADER("x_content_type_options", "likewise"),
    RESPONSE_HEADER("x_frame_options", "likewise"),
    {.name = "server",
     .type = SCHEMA_BOOL,
     .def = "on",
     .meaning = "on: the target's Server header is left alone; off: it is removed",
     SCHEMA_AT(config_listener_attributes, server_header)},
    SCHEMA_END,
};

#define RESPONSE_HEADERS_MAX (sizeof(response_header_keys) / sizeof(*response_header_keys))

static void decode_response_header(struct schema_ctx *x, const struct schema_key *key,
                                   const struct yaml_tree_node *node, void *to)
{
    struct config_listener_attributes *a = to;
    if (!decode_is_scalar(x, key, node) || node->text.n == 0)
        return;
    if (node->text.n > key->max || !scalar_is_line(node->text)) {
        schema_complain(x, key, node, "cannot be a header's value");
        return;
    }
    if (!a->response_headers)
        a->response_headers =
            ARENA_ARRAY(x->arena, struct config_response_header, RESPONSE_HEADERS_MAX);
    /* More than there are rows: some are duplicate keys, which is an error already. */
    if (a->response_headers_n == RESPONSE_HEADERS_MAX)
        return;
    a->response_headers[a->response_headers_n++] = (struct config_response_header){
        header_name(x->arena, key->name), arena_slice(x->arena, node->text)};
}

/* --- attributes --- */

static const struct schema_word desync_modes[] = {
    {"monitor", CONFIG_DESYNC_MONITOR, true},
    {"defensive", CONFIG_DESYNC_DEFENSIVE, true},
    {"strictest", CONFIG_DESYNC_STRICTEST, true},
    SCHEMA_WORDS_END,
};

static const struct schema_word xff_modes[] = {
    {"append", CONFIG_XFF_APPEND, true},
    {"preserve", CONFIG_XFF_PRESERVE, true},
    {"remove", CONFIG_XFF_REMOVE, true},
    SCHEMA_WORDS_END,
};

#define HTTP_SWITCH(key, member, text)                                                             \
    {                                                                                              \
        .name = key, .type = SCHEMA_BOOL, .def = "false", .http_only = true, .meaning = text,      \
        SCHEMA_AT(config_listener_attributes, member)                                              \
    }

static const struct schema_key attribute_keys[] = {
    {.name = "idle_timeout",
     .type = SCHEMA_DURATION,
     .def = "60s",
     .min = 100,
     .max = 7 * 86400000u,
     .meaning = "no byte in either direction; tcp listeners: 350s",
     SCHEMA_AT(config_listener_attributes, idle_timeout_ms)},
    {.name = "client_keep_alive",
     .type = SCHEMA_DURATION,
     .def = "3600s",
     .http_only = true,
     .min = 100,
     .max = 30 * 86400000u,
     .meaning = "age at which a client connection gets one more answer and is closed",
     SCHEMA_AT(config_listener_attributes, client_keep_alive_ms)},
    {.name = "http2",
     .type = SCHEMA_BOOL,
     .def = "true",
     .http_only = true,
     .meaning = "HTTP/2 to clients that ask for it over TLS (ALPN)",
     SCHEMA_AT(config_listener_attributes, http2)},
    HTTP_SWITCH("h2c", h2c, "HTTP/2 by prior knowledge, without TLS, beside HTTP/1"),
    HTTP_SWITCH("http2_websockets", http2_websockets, "WebSockets over HTTP/2 (RFC 8441), which ALB has not"),
    {.name = "desync_mitigation_mode",
     .type = SCHEMA_WORD,
     .def = "defensive",
     .words = desync_modes,
     .http_only = true,
     .meaning = "monitor, defensive or strictest",
     SCHEMA_AT(config_listener_attributes, desync_mitigation_mode)},
    HTTP_SWITCH("drop_invalid_header_fields", drop_invalid_header_fields,
                "drop headers whose names are not letters, digits and dashes"),
    HTTP_SWITCH("preserve_host_header", preserve_host_header,
                "leave Host as the client sent it; else it gets the listener's port"),
    {.name = "xff_header_processing",
     .type = SCHEMA_WORD,
     .def = "append",
     .words = xff_modes,
     .http_only = true,
     .meaning = "X-Forwarded-For: append, preserve or remove",
     SCHEMA_AT(config_listener_attributes, xff_header_processing)},
    HTTP_SWITCH("xff_client_port", xff_client_port, "X-Forwarded-For with the client's port"),
    HTTP_SWITCH("x_amzn_tls_version_and_cipher_suite", x_amzn_tls,
                "tell targets about the client's TLS: X-Amzn-Tls-Version, X-Amzn-Tls-Cipher-Suite"),
    {.name = "response_headers",
     .type = SCHEMA_MAP,
     .keys = response_header_keys,
     .http_only = true,
     .meaning = "headers put on every response, over the target's own"},
    SCHEMA_END,
};

/* --- listener --- */

static const struct schema_word protocols[] = {
    {"http", CONFIG_PROTOCOL_HTTP, true},  {"tcp", CONFIG_PROTOCOL_TCP, true},
    {"https", CONFIG_PROTOCOL_HTTP, true}, {"tls", CONFIG_PROTOCOL_TCP, true},
    {"udp", CONFIG_PROTOCOL_TCP, false},   SCHEMA_WORDS_END,
};

static const struct schema_word proxy_protocols[] = {
    {"off", 0, true},
    {"accept", 1, false},
    SCHEMA_WORDS_END,
};

const struct schema_key schema_listener_keys[] = {
    {.name = "name",
     .type = SCHEMA_NAME,
     .required = true,
     .meaning = "its name in logs and metrics; keeps its identity over reloads",
     SCHEMA_AT(config_listener, name)},
    {.name = "listen",
     .type = SCHEMA_LIST,
     .required = true,
     .one_or_many = true,
     .min = 1,
     .decode = decode_listen,
     .expected = "IP:PORT such as 0.0.0.0:80 or [::]:80, or a list of them",
     .meaning = "IP:PORT or [IPv6]:PORT, one or a list",
     SCHEMA_ITEMS(config_listener, listen, config_listen)},
    {.name = "protocol",
     .type = SCHEMA_WORD,
     .required = true,
     .words = protocols,
     .meaning = "http, https, tcp or tls (udp: not built yet)",
     SCHEMA_AT(config_listener, protocol)},
    {.name = "certificates",
     .type = SCHEMA_LIST,
     .min = 1,
     .keys = schema_tls_certificate_keys,
     .expected = "a list of {certificate: FILE, key: FILE}",
     .meaning = "https and tls: the first is the default, the rest by SNI",
     SCHEMA_ITEMS(config_listener, certificates, config_certificate)},
    {.name = "ocsp",
     .type = SCHEMA_CUSTOM,
     .decode = decode_file,
     .expected = "a file with an OCSP response in DER form",
     .meaning = "an OCSP response to staple, for whichever certificate it is",
     SCHEMA_AT(config_listener, ocsp)},
    {.name = "tls_policy",
     .type = SCHEMA_CUSTOM,
     .def = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
     .max = 64,
     .decode = schema_tls_policy_decode,
     .expected = "an ELBSecurityPolicy name, modern or intermediate",
     .meaning = "an ELBSecurityPolicy name, modern or intermediate"},
    {.name = "mutual_authentication",
     .type = SCHEMA_MAP,
     .keys = schema_tls_mutual_keys,
     .check = schema_tls_mutual_check,
     .meaning = "certificates of clients; https, or tls with verify",
     SCHEMA_AT(config_listener, mutual)},
    {.name = "preset",
     .type = SCHEMA_WORD,
     .built = SCHEMA_NOT_BUILT,
     .meaning = "the defaults of an ELB kind: alb, nlb or classic"},
    {.name = "proxy_protocol",
     .type = SCHEMA_WORD,
     .built = SCHEMA_ONLY_DEFAULT,
     .def = "off",
     .words = proxy_protocols,
     .meaning = "off or accept: PROXY headers from clients (accept: not built yet)"},
    {.name = "trusted_proxies",
     .type = SCHEMA_LIST,
     .built = SCHEMA_NOT_BUILT,
     .meaning = "CIDRs that may send PROXY headers"},
    {.name = "allow",
     .type = SCHEMA_LIST,
     .built = SCHEMA_NOT_BUILT,
     .meaning = "CIDRs that may connect"},
    {.name = "deny",
     .type = SCHEMA_LIST,
     .built = SCHEMA_NOT_BUILT,
     .meaning = "CIDRs that may not; wins over allow"},
    {.name = "attributes",
     .type = SCHEMA_MAP,
     .keys = attribute_keys,
     .meaning = "with the names of ELB",
     SCHEMA_AT(config_listener, attributes)},
    {.name = "rules",
     .type = SCHEMA_LIST,
     .keys = schema_rule_keys,
     .decode = schema_rule_decode,
     .expected = "a list of rules",
     .meaning = "the first that matches, by priority, decides",
     SCHEMA_ITEMS(config_listener, rules, config_rule)},
    {.name = "default_action",
     .type = SCHEMA_CUSTOM,
     .required = true,
     .keys = schema_action_keys,
     .decode = schema_action_decode,
     .expected = "forward, redirect or fixed_response",
     .meaning = "when no rule matches: forward, redirect or fixed_response",
     SCHEMA_AT(config_listener, default_action)},
    SCHEMA_END,
};

static void refuse_http_attributes(struct schema_ctx *x, const struct yaml_tree_node *attributes)
{
    for (size_t i = 0; i < attributes->pairs_n; i++) {
        const struct yaml_tree_pair *pair = &attributes->pairs[i];
        const struct schema_key *key = schema_find(attribute_keys, pair->key);
        if (key && key->http_only)
            report_error(x->report, pair->key_pos, "%s means nothing on a tcp listener", key->name);
    }
}

static void adapt_to_tcp(struct schema_ctx *x, const struct yaml_tree_node *node,
                         struct config_listener *l)
{
    const struct yaml_tree_node *attributes = yaml_tree_get(node, "attributes");
    bool given = attributes && attributes->kind == YAML_TREE_MAP;
    if (given)
        refuse_http_attributes(x, attributes);
    if (!given || !yaml_tree_get(attributes, "idle_timeout"))
        l->attributes.idle_timeout_ms = TCP_IDLE_MS;
}

void schema_listener_decode(struct schema_ctx *x, const struct schema_key *key,
                            const struct yaml_tree_node *node, void *to)
{
    struct config_listener *l = to;
    size_t errors = x->report->errors;
    schema_map(x, schema_listener_keys, "a listener", node, l);
    (void)key;
    l->pos = node->pos;
    l->tls = schema_tls_is_on(node);
    if (x->report->errors == errors)
        schema_tls_finish(x, node, l);
    l->broken = x->report->errors > errors;
    if (l->protocol == CONFIG_PROTOCOL_TCP && !l->broken)
        adapt_to_tcp(x, node, l);
}
