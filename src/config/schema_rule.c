/* Rows of a rule and its conditions. */
#include <stdio.h>

#include "config/decode.h"
#include "config/schema_tables.h"

/* --- conditions --- */

static bool is_host_byte(char c)
{
    char l = slice_lower(c);
    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || strchr("-._*?", c) != NULL;
}

static bool is_path_byte(char c)
{
    return c > 0x20 && c < 0x7f;
}

static bool all_bytes(struct slice s, bool good(char))
{
    for (size_t i = 0; i < s.n; i++)
        if (!good(s.p[i]))
            return false;
    return true;
}

static void decode_host_value(struct schema_ctx *x, const struct schema_key *key,
                              const struct yaml_tree_node *node, void *to)
{
    struct slice *value = to;
    if (decode_line(x, key, node, value) && !all_bytes(*value, is_host_byte))
        schema_complain(x, key, node, "cannot be part of a host name");
}

static void decode_path_value(struct schema_ctx *x, const struct schema_key *key,
                              const struct yaml_tree_node *node, void *to)
{
    struct slice *value = to;
    if (!decode_line(x, key, node, value))
        return;
    if (!all_bytes(*value, is_path_byte))
        schema_complain(x, key, node, "cannot be part of a path");
    else if (!strchr("/*?", value->p[0]))
        schema_complain(x, key, node, "matches nothing: paths begin with a slash");
}

#define VALUES(key, decoder, longest, what, text)                                                  \
    {                                                                                              \
        .name = key, .type = SCHEMA_LIST, .one_or_many = true, .min = 1, .max = longest,           \
        .decode = decoder, .expected = what, .meaning = text,                                      \
        SCHEMA_ITEMS(config_condition, values, slice)                                              \
    }

#define NOT_BUILT(key, text)                                                                       \
    {                                                                                              \
        .name = key, .type = SCHEMA_LIST, .built = SCHEMA_NOT_BUILT, .meaning = text               \
    }

static const struct schema_key http_header_keys[] = {
    {.name = "name", .type = SCHEMA_TEXT, .built = SCHEMA_NOT_BUILT, .meaning = "of the header"},
    NOT_BUILT("values", "patterns"),
    SCHEMA_END,
};

static const struct schema_key query_string_keys[] = {
    {.name = "key", .type = SCHEMA_TEXT, .built = SCHEMA_NOT_BUILT, .meaning = "any when absent"},
    {.name = "value", .type = SCHEMA_TEXT, .built = SCHEMA_NOT_BUILT, .meaning = "a pattern"},
    SCHEMA_END,
};

static const struct schema_key condition_keys[] = {
    VALUES("host_header", decode_host_value, 253,
           "host names of letters, digits, - . _ and the wildcards * and ?",
           "Host without port, in any case; * is any text, ? any character"),
    VALUES("path_pattern", decode_path_value, 4096,
           "paths of visible ASCII beginning with a slash or a wildcard, * or ?",
           "the normalised path without query, case-sensitive; * and ? cross slashes"),
    {.name = "http_header",
     .type = SCHEMA_MAP,
     .built = SCHEMA_NOT_BUILT,
     .keys = http_header_keys,
     .meaning = "a header's value"},
    NOT_BUILT("http_request_method", "exact names"),
    {.name = "query_string",
     .type = SCHEMA_LIST,
     .built = SCHEMA_NOT_BUILT,
     .keys = query_string_keys,
     .meaning = "pairs of the query"},
    NOT_BUILT("source_ip", "CIDRs"),
    NOT_BUILT("host_header_regex", "the twin of host_header"),
    NOT_BUILT("path_regex", "the twin of path_pattern"),
    NOT_BUILT("http_header_regex", "the twin of http_header"),
    NOT_BUILT("query_string_regex", "the twin of query_string"),
    NOT_BUILT("sni", "server names, on tls listeners"),
    NOT_BUILT("alpn", "protocol names, on tls listeners"),
    SCHEMA_END,
};

static void decode_condition(struct schema_ctx *x, const struct schema_key *key,
                             const struct yaml_tree_node *node, void *to)
{
    struct config_condition *c = to;
    const struct yaml_tree_node *value;
    const struct schema_key *type = schema_only_key(x, condition_keys, key->name, node, &value);
    c->pos = node->pos;
    if (!type)
        return;
    c->type = strcmp(type->name, "host_header") == 0 ? CONFIG_CONDITION_HOST_HEADER
                                                     : CONFIG_CONDITION_PATH_PATTERN;
    schema_map(x, condition_keys, key->name, node, c);
}

/* --- rules --- */

static const struct schema_key rewrite_keys[] = {
    {.name = "regex", .type = SCHEMA_TEXT, .built = SCHEMA_NOT_BUILT, .meaning = "what to find"},
    {.name = "replace",
     .type = SCHEMA_TEXT,
     .built = SCHEMA_NOT_BUILT,
     .meaning = "what to put there, with $1 and so on"},
    SCHEMA_END,
};

static const struct schema_key transform_keys[] = {
    {.name = "url_rewrite",
     .type = SCHEMA_MAP,
     .built = SCHEMA_NOT_BUILT,
     .keys = rewrite_keys,
     .meaning = "path and query"},
    {.name = "host_header_rewrite",
     .type = SCHEMA_MAP,
     .built = SCHEMA_NOT_BUILT,
     .keys = rewrite_keys,
     .meaning = "the Host header"},
    SCHEMA_END,
};

const struct schema_key schema_rule_keys[] = {
    {.name = "name",
     .type = SCHEMA_NAME,
     .meaning = "its name in logs; rule-PRIORITY when absent",
     SCHEMA_AT(config_rule, name)},
    {.name = "priority",
     .type = SCHEMA_NUMBER,
     .required = true,
     .min = 1,
     .max = 1000000000,
     .meaning = "lowest first, unique in the listener",
     SCHEMA_AT(config_rule, priority)},
    {.name = "conditions",
     .type = SCHEMA_LIST,
     .required = true,
     .min = 1,
     .keys = condition_keys,
     .decode = decode_condition,
     .expected = "a list of conditions such as host_header: [...] or path_pattern: [...]",
     .meaning = "all must hold; of the values of one, any",
     SCHEMA_ITEMS(config_rule, conditions, config_condition)},
    {.name = "transforms",
     .type = SCHEMA_MAP,
     .built = SCHEMA_NOT_BUILT,
     .keys = transform_keys,
     .meaning = "rewrites before the request is forwarded"},
    {.name = "action",
     .type = SCHEMA_CUSTOM,
     .required = true,
     .keys = schema_action_keys,
     .decode = schema_action_decode,
     .expected = "forward, redirect or fixed_response",
     .meaning = "forward, redirect or fixed_response",
     SCHEMA_AT(config_rule, action)},
    SCHEMA_END,
};

static void default_name(struct schema_ctx *x, struct config_rule *r)
{
    char name[32];
    int n = snprintf(name, sizeof(name), "rule-%u", r->priority);
    r->name = arena_slice(x->arena, slice_of(name, (size_t)n));
}

void schema_rule_decode(struct schema_ctx *x, const struct schema_key *key,
                        const struct yaml_tree_node *node, void *to)
{
    struct config_rule *r = to;
    (void)key;
    schema_map(x, schema_rule_keys, "a rule", node, r);
    r->pos = node->pos;
    if (!r->name.n)
        default_name(x, r);
}
