/* Rows of a group's algorithm: the words, hash_on, and what of it goes together. */
#include "config/decode.h"
#include "config/scalar.h"
#include "config/schema_tables.h"

#define NAME_MAX_BYTES 256

const struct schema_word schema_balance_words[] = {
    {"round_robin", CONFIG_ALGORITHM_ROUND_ROBIN, true},
    {"least_outstanding_requests", CONFIG_ALGORITHM_LEAST_OUTSTANDING, true},
    {"weighted_random", CONFIG_ALGORITHM_WEIGHTED_RANDOM, true},
    {"peak_ewma", CONFIG_ALGORITHM_PEAK_EWMA, true},
    {"source_hash", CONFIG_ALGORITHM_SOURCE_HASH, true},
    {"consistent_hash", CONFIG_ALGORITHM_CONSISTENT_HASH, true},
    SCHEMA_WORDS_END,
};

/* --- hash_on --- */

static bool is_token_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_token_byte(s.p[i]))
            return false;
    return s.n > 0 && s.n <= NAME_MAX_BYTES;
}

/* Compared with what clients send, byte by byte. */
static bool is_query_key(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f || strchr("&=#", s.p[i]))
            return false;
    return s.n > 0 && s.n <= NAME_MAX_BYTES;
}

static void decode_name(struct schema_ctx *x, const struct schema_key *key,
                        const struct yaml_tree_node *node, void *to)
{
    bool query = strcmp(key->name, "query") == 0;
    if (!decode_is_scalar(x, key, node))
        return;
    if (!(query ? is_query_key(node->text) : is_token(node->text)))
        schema_complain(x, key, node, "cannot be used here");
    *(struct slice *)to = arena_slice(x->arena, node->text);
}

const struct schema_key schema_balance_hash_keys[] = {
    {.name = "header",
     .type = SCHEMA_CUSTOM,
     .decode = decode_name,
     .expected = "a header's name",
     .meaning = "a header's name",
     SCHEMA_AT(config_hash_on, name)},
    {.name = "cookie",
     .type = SCHEMA_CUSTOM,
     .decode = decode_name,
     .expected = "a cookie's name",
     .meaning = "a cookie's name",
     SCHEMA_AT(config_hash_on, name)},
    {.name = "query",
     .type = SCHEMA_CUSTOM,
     .decode = decode_name,
     .expected = "a key of the query, as clients send it",
     .meaning = "a query key, as clients send it",
     SCHEMA_AT(config_hash_on, name)},
    SCHEMA_END,
};

static const struct {
    const char *word;
    enum config_hash_on_type type;
} types[] = {
    {"header", CONFIG_HASH_ON_HEADER},       {"cookie", CONFIG_HASH_ON_COOKIE},
    {"query", CONFIG_HASH_ON_QUERY},         {"path", CONFIG_HASH_ON_PATH},
    {"source_ip", CONFIG_HASH_ON_SOURCE_IP},
};

static enum config_hash_on_type type_of(struct slice word)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (slice_eq(word, slice_str(types[i].word)))
            return types[i].type;
    return CONFIG_HASH_ON_NOTHING;
}

void schema_balance_decode_hash_on(struct schema_ctx *x, const struct schema_key *key,
                                   const struct yaml_tree_node *node, void *to)
{
    struct config_hash_on *h = to;
    const struct yaml_tree_node *value;
    if (node->kind == YAML_TREE_SCALAR) {
        h->type = type_of(node->text);
        if (h->type != CONFIG_HASH_ON_PATH && h->type != CONFIG_HASH_ON_SOURCE_IP)
            schema_complain(x, key, node, "cannot be used here");
        return;
    }
    const struct schema_key *k =
        schema_only_key(x, schema_balance_hash_keys, key->name, node, &value);
    if (!k)
        return;
    h->type = type_of(slice_str(k->name));
    k->decode(x, k, value, &h->name);
}

/* --- what hangs together --- */

static void check_hash_on(struct schema_ctx *x, const struct yaml_tree_node *node,
                          struct config_group *g)
{
    struct config_hash_on *h = &g->attributes.hash_on;
    if (g->attributes.algorithm == CONFIG_ALGORITHM_SOURCE_HASH ||
        (g->attributes.algorithm == CONFIG_ALGORITHM_CONSISTENT_HASH && !node))
        h->type = CONFIG_HASH_ON_SOURCE_IP;
    if (!node)
        return;
    if (g->attributes.algorithm != CONFIG_ALGORITHM_CONSISTENT_HASH)
        report_error(x->report, node->pos,
                     "hash_on means nothing without algorithm: consistent_hash");
    else if (g->protocol == CONFIG_PROTOCOL_TCP && h->type != CONFIG_HASH_ON_SOURCE_IP)
        report_error(x->report, node->pos,
                     "a %s group has no requests to hash: only source_ip can be used here",
                     g->tls ? "tls" : "tcp");
}

/* ELB's rule: both know no share that grows. */
static void check_slow_start(struct schema_ctx *x, const struct yaml_tree_node *node,
                             const struct config_group *g)
{
    const char *algorithm = NULL;
    if (!node || g->attributes.slow_start_ms == 0)
        return;
    if (g->attributes.algorithm == CONFIG_ALGORITHM_LEAST_OUTSTANDING)
        algorithm = "least_outstanding_requests";
    if (g->attributes.algorithm == CONFIG_ALGORITHM_WEIGHTED_RANDOM)
        algorithm = "weighted_random";
    if (algorithm)
        report_error(x->report, node->pos, "slow_start cannot be used with algorithm: %s",
                     algorithm);
    else if (!g->health_check.on)
        report_error(x->report, node->pos,
                     "slow_start needs a health_check: a target ramps up when it becomes healthy");
}

void schema_balance_finish(struct schema_ctx *x, const struct yaml_tree_node *group,
                           struct config_group *g)
{
    const struct yaml_tree_node *map = yaml_tree_get(group, "attributes");
    check_hash_on(x, map ? yaml_tree_get(map, "hash_on") : NULL, g);
    check_slow_start(x, map ? yaml_tree_get(map, "slow_start") : NULL, g);
}
