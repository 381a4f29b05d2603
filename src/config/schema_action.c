/* Rows of the three actions. */
#include "base/check.h"
#include "config/decode.h"
#include "config/nearest.h"
#include "config/scalar.h"
#include "config/schema_tables.h"

/* --- forward --- */

#define WEIGHT_MAX 999

static const struct schema_key forward_group_keys[] = {
    {.name = "name",
     .type = SCHEMA_NAME,
     .required = true,
     .meaning = "of a target group",
     SCHEMA_AT(config_forward_group, name)},
    {.name = "weight",
     .type = SCHEMA_NUMBER,
     .def = "1",
     .min = 0,
     .max = WEIGHT_MAX,
     .meaning = "its share, against the sum of weights",
     SCHEMA_AT(config_forward_group, weight)},
    SCHEMA_END,
};

static void decode_forward_group(struct schema_ctx *x, const struct schema_key *key,
                                 const struct yaml_tree_node *node, void *to)
{
    struct config_forward_group *g = to;
    const struct yaml_tree_node *name = yaml_tree_get(node, "name");
    schema_map(x, forward_group_keys, key->name, node, g);
    g->pos = name ? name->pos : node->pos;
}

static const struct schema_key forward_keys[] = {
    {.name = "target_groups",
     .type = SCHEMA_LIST,
     .required = true,
     .min = 1,
     .keys = forward_group_keys,
     .decode = decode_forward_group,
     .expected = "a list of {name: GROUP, weight: NUMBER}",
     .meaning = "one is picked by weight for each request",
     SCHEMA_ITEMS(config_forward, groups, config_forward_group)},
    {.name = "stickiness",
     .type = SCHEMA_DURATION,
     .min = 1000,
     .max = 604800000,
     .meaning = "how long a client stays with the group that was picked; by its address on tcp",
     SCHEMA_AT(config_forward, stickiness_ms)},
    {.name = "failover",
     .type = SCHEMA_BOOL,
     .def = "false",
     .meaning = "another group when the picked one has no target, or only unhealthy ones",
     SCHEMA_AT(config_forward, failover)},
    SCHEMA_END,
};

/* `forward: app` is short for one group of weight 1. */
static void decode_short_forward(struct schema_ctx *x, const struct yaml_tree_node *node,
                                 struct config_forward *f)
{
    const struct schema_key *name = schema_find(forward_group_keys, SLICE("name"));
    f->groups = ARENA_NEW(x->arena, struct config_forward_group);
    f->groups_n = 1;
    f->groups->weight = 1;
    f->groups->pos = node->pos;
    schema_scalar(x, name, node, &f->groups->name);
}

static void decode_forward(struct schema_ctx *x, const struct schema_key *key,
                           const struct yaml_tree_node *node, void *to)
{
    if (node->kind == YAML_TREE_SCALAR)
        decode_short_forward(x, node, to);
    else
        schema_map(x, forward_keys, key->name, node, to);
}

/* --- redirect --- */

static const char *const keywords[] = {"protocol", "host", "port", "path", "query", NULL};

static bool is_keyword(struct slice word, const char *const *allowed)
{
    for (; *allowed; allowed++)
        if (slice_eq(word, slice_str(*allowed)))
            return true;
    return false;
}

static void blame_keyword(struct schema_ctx *x, const struct schema_key *key,
                          const struct yaml_tree_node *node, struct slice word)
{
    bool known = is_keyword(word, keywords);
    struct nearest near = nearest_to(word);
    for (const char *const *k = keywords; *k; k++)
        nearest_try(&near, *k);
    struct report_entry *e = schema_complain(
        x, key, node, known ? "has a keyword that cannot stand here" : "has an unknown keyword");
    if (!known)
        report_suggest(x->report, e, nearest_best(&near));
}

/* Every `#{...}` in the text must be one of the allowed words. */
static void check_keywords(struct schema_ctx *x, const struct schema_key *key,
                           const struct yaml_tree_node *node, const char *const *allowed)
{
    struct slice rest = node->text;
    const char *at;
    while ((at = memmem(rest.p, rest.n, "#{", 2))) {
        struct slice word = slice_from(rest, (size_t)(at - rest.p) + 2);
        size_t end = slice_find(word, '}', 0);
        if (end == word.n) {
            schema_complain(x, key, node, "has an open keyword");
            return;
        }
        rest = slice_from(word, end + 1);
        word = slice_upto(word, end);
        if (!is_keyword(word, allowed))
            blame_keyword(x, key, node, word);
    }
}

static bool is_visible(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= 0x20 || s.p[i] >= 0x7f)
            return false;
    return true;
}

/* The default of `to` is the row's; true when the node holds a text that may stay. */
static bool decode_template(struct schema_ctx *x, const struct schema_key *key,
                            const struct yaml_tree_node *node, struct slice *to)
{
    *to = arena_slice(x->arena, slice_str(key->def));
    if (!node)
        return false;
    if (node->null) {
        report_hint(x->report, schema_complain(x, key, node, "has no value"),
                    "without quotes, # begins a comment");
        return false;
    }
    if (!decode_is_scalar(x, key, node))
        return false;
    if (node->text.n < key->min || node->text.n > key->max || !is_visible(node->text)) {
        schema_complain(x, key, node, "cannot be used here");
        return false;
    }
    *to = arena_slice(x->arena, node->text);
    return true;
}

static void decode_protocol(struct schema_ctx *x, const struct schema_key *key,
                            const struct yaml_tree_node *node, void *to)
{
    static const char *const words[] = {"http", "https", "#{protocol}", NULL};
    if (decode_template(x, key, node, to) && !is_keyword(node->text, words))
        schema_complain(x, key, node, "is not a protocol to redirect to");
}

static void decode_host(struct schema_ctx *x, const struct schema_key *key,
                        const struct yaml_tree_node *node, void *to)
{
    static const char *const allowed[] = {"host", NULL};
    if (!decode_template(x, key, node, to))
        return;
    check_keywords(x, key, node, allowed);
    if (strpbrk(node->text.p, "/?@\\"))
        schema_complain(x, key, node, "is more than a host");
}

static void decode_port(struct schema_ctx *x, const struct schema_key *key,
                        const struct yaml_tree_node *node, void *to)
{
    uint64_t port;
    if (!decode_template(x, key, node, to) || slice_eq(node->text, SLICE("#{port}")))
        return;
    if (!slice_u64(node->text, &port) || port < 1 || port > 65535)
        schema_complain(x, key, node, "is not a port");
}

static void decode_redirect_path(struct schema_ctx *x, const struct schema_key *key,
                                 const struct yaml_tree_node *node, void *to)
{
    static const char *const allowed[] = {"host", "port", "path", NULL};
    if (!decode_template(x, key, node, to))
        return;
    check_keywords(x, key, node, allowed);
    if (node->text.p[0] != '/')
        schema_complain(x, key, node, "does not begin with a slash");
    if (memmem(node->text.p, node->text.n, "?", 1))
        schema_complain(x, key, node, "holds a query, which has a key of its own");
}

static void decode_query(struct schema_ctx *x, const struct schema_key *key,
                         const struct yaml_tree_node *node, void *to)
{
    if (!decode_template(x, key, node, to))
        return;
    check_keywords(x, key, node, keywords);
    if (slice_starts(node->text, SLICE("?")))
        schema_complain(x, key, node, "begins with the ?, which is put there anyway");
}

#define TEMPLATE(key, member, default_text, least, most, decoder, what, text)                      \
    {                                                                                              \
        .name = key, .type = SCHEMA_CUSTOM, .def = default_text, .min = least, .max = most,        \
        .decode = decoder, .expected = what, .meaning = text, SCHEMA_AT(config_redirect, member)   \
    }

static const struct schema_word redirect_codes[] = {
    {"301", 301, true}, {"302", 302, true}, {"303", 303, true},
    {"307", 307, true}, {"308", 308, true}, SCHEMA_WORDS_END,
};

static const struct schema_key redirect_keys[] = {
    TEMPLATE("protocol", protocol, "#{protocol}", 1, 16, decode_protocol,
             "http, https or #{protocol}", "http, https or #{protocol}"),
    TEMPLATE("host", host, "#{host}", 1, 253, decode_host, "a host, with #{host} in it if you like",
             "may hold #{host}"),
    TEMPLATE("port", port, "#{port}", 1, 16, decode_port, "1 to 65535 or #{port}",
             "1 to 65535 or #{port}; a changed protocol without it: the protocol's own"),
    TEMPLATE("path", path, "/#{path}", 1, 2048, decode_redirect_path,
             "a path beginning with a slash; it may hold #{host} #{port} #{path}",
             "may hold #{host} #{port} #{path}"),
    TEMPLATE("query", query, "#{query}", 0, 2048, decode_query,
             "a query without ?; it may hold #{protocol} #{host} #{port} #{path} #{query}",
             "may hold any keyword; empty: no query"),
    {.name = "status_code",
     .type = SCHEMA_WORD,
     .required = true,
     .words = redirect_codes,
     .meaning = "301, 302, 303, 307 or 308",
     SCHEMA_AT(config_redirect, status_code)},
    SCHEMA_END,
};

static void decode_redirect(struct schema_ctx *x, const struct schema_key *key,
                            const struct yaml_tree_node *node, void *to)
{
    struct config_redirect *r = to;
    schema_map(x, redirect_keys, key->name, node, r);
    bool changed = !slice_eq(r->protocol, SLICE("#{protocol}"));
    if (changed && !yaml_tree_get(node, "port"))
        r->port = slice_eq(r->protocol, SLICE("https")) ? SLICE("443") : SLICE("80");
}

/* --- fixed_response --- */

#define BODY_MAX 32768

static void decode_body(struct schema_ctx *x, const struct schema_key *key,
                        const struct yaml_tree_node *node, void *to)
{
    if (!node || !decode_is_scalar(x, key, node))
        return;
    if (node->text.n > BODY_MAX)
        schema_complain(x, key, node, "is too long");
    *(struct slice *)to = arena_slice(x->arena, node->text);
}

static const struct schema_key fixed_response_keys[] = {
    {.name = "status_code",
     .type = SCHEMA_NUMBER,
     .required = true,
     .min = 200,
     .max = 599,
     .meaning = "2xx, 4xx or 5xx",
     SCHEMA_AT(config_fixed_response, status_code)},
    {.name = "content_type",
     .type = SCHEMA_TEXT,
     .def = "text/plain",
     .min = 1,
     .max = 256,
     .meaning = "the Content-Type header",
     SCHEMA_AT(config_fixed_response, content_type)},
    {.name = "message_body",
     .type = SCHEMA_CUSTOM,
     .def = "",
     .decode = decode_body,
     .expected = "a text of at most 32768 bytes",
     .meaning = "the body, at most 32 KiB",
     SCHEMA_AT(config_fixed_response, message_body)},
    SCHEMA_END,
};

static void decode_fixed_response(struct schema_ctx *x, const struct schema_key *key,
                                  const struct yaml_tree_node *node, void *to)
{
    struct config_fixed_response *f = to;
    const struct yaml_tree_node *code = yaml_tree_get(node, "status_code");
    schema_map(x, fixed_response_keys, key->name, node, f);
    if (f->status_code / 100 == 3 && code)
        report_error(x->report, code->pos,
                     "status_code: a fixed_response is not 3xx: use redirect");
    if ((f->status_code == 204 || f->status_code == 205) && f->message_body.n)
        report_error(x->report, yaml_tree_get(node, "message_body")->pos,
                     "message_body: a %u has no body", f->status_code);
}

/* --- action --- */

/* All fill the union of struct config_action. */
const struct schema_key schema_action_keys[] = {
    {.name = "forward",
     .type = SCHEMA_CUSTOM,
     .keys = forward_keys,
     .decode = decode_forward,
     .meaning = "the name of a target group, or several by weight"},
    {.name = "redirect",
     .type = SCHEMA_CUSTOM,
     .keys = redirect_keys,
     .decode = decode_redirect,
     .meaning = "an answer that sends the client elsewhere"},
    {.name = "fixed_response",
     .type = SCHEMA_CUSTOM,
     .keys = fixed_response_keys,
     .decode = decode_fixed_response,
     .meaning = "an answer of our own"},
    SCHEMA_END,
};

void schema_action_decode(struct schema_ctx *x, const struct schema_key *key,
                          const struct yaml_tree_node *node, void *to)
{
    struct config_action *a = to;
    const struct yaml_tree_node *value;
    const struct schema_key *type = schema_only_key(x, schema_action_keys, key->name, node, &value);
    a->pos = node->pos;
    if (!type)
        return;
    size_t which = (size_t)(type - schema_action_keys);
    CHECK(which <= CONFIG_ACTION_FIXED_RESPONSE);
    a->type = (enum config_action_type)which;
    type->decode(x, type, value, &a->forward);
}
