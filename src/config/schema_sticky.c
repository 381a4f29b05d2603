/* Rows of a group's stickiness, and what it cannot go together with. */
#include "config/schema_tables.h"

#define WEEK_MS 604800000u

static const struct schema_word types[] = {
    {"lb_cookie", CONFIG_STICKINESS_LB_COOKIE, true},
    {"app_cookie", CONFIG_STICKINESS_APP_COOKIE, true},
    {"source_ip", CONFIG_STICKINESS_SOURCE_IP, true},
    SCHEMA_WORDS_END,
};

const struct schema_key schema_sticky_keys[] = {
    {.name = "type",
     .type = SCHEMA_WORD,
     .required = true,
     .words = types,
     .meaning = "lb_cookie or app_cookie; in tcp and tls groups source_ip, which is source_hash",
     SCHEMA_AT(config_stickiness, type)},
    {.name = "duration",
     .type = SCHEMA_DURATION,
     .def = "1d",
     .min = 1000,
     .max = WEEK_MS,
     .meaning = "how long a client stays, from its last request on; of cookies only",
     SCHEMA_AT(config_stickiness, duration_ms)},
    {.name = "cookie_name",
     .type = SCHEMA_TEXT,
     .min = 1,
     .max = 256,
     .meaning = "the application's cookie, for app_cookie: a client stays once a target has set it",
     SCHEMA_AT(config_stickiness, cookie_name)},
    SCHEMA_END,
};

/* A token (RFC 9110 5.6.2). */
static bool is_cookie_name(struct slice name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= ' ' || name.p[i] >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", name.p[i]))
            return false;
    return true;
}

/* Cookies of our own, or of an ELB that stands in front. */
static bool is_reserved(struct slice name)
{
    return slice_starts(name, SLICE("AWSALB")) || slice_eq(name, SLICE("TENBIN")) ||
           slice_eq(name, SLICE("TENBINAPP")) || slice_eq(name, SLICE("TENBINTG"));
}

static void check_name(struct schema_ctx *x, const struct yaml_tree_node *node,
                       struct config_stickiness *s)
{
    const struct schema_key *key = schema_find(schema_sticky_keys, SLICE("cookie_name"));
    const struct yaml_tree_node *name = yaml_tree_get(node, "cookie_name");
    if (!name)
        report_error(x->report, node->pos, "stickiness: app_cookie needs cookie_name, the cookie "
                                           "that the application sets");
    else if (!is_cookie_name(s->cookie_name))
        schema_complain(x, key, name, "is no cookie's name");
    else if (is_reserved(s->cookie_name))
        schema_complain(x, key, name, "is a name that load balancers use themselves");
}

void schema_sticky_check(struct schema_ctx *x, const struct yaml_tree_node *node, void *to)
{
    struct config_stickiness *s = to;
    const struct yaml_tree_node *name = yaml_tree_get(node, "cookie_name");
    const struct yaml_tree_node *duration = yaml_tree_get(node, "duration");
    s->pos = node->pos;
    if (s->type == CONFIG_STICKINESS_APP_COOKIE)
        check_name(x, node, s);
    else if (name && s->type != CONFIG_STICKINESS_OFF)
        report_error(x->report, name->pos, "cookie_name means nothing without type: app_cookie");
    if (duration && s->type == CONFIG_STICKINESS_SOURCE_IP)
        report_error(x->report, duration->pos, "duration means nothing with type: source_ip");
}

/* The client's address leads to a target as source_hash does it. */
static void hash_source(struct schema_ctx *x, struct config_group *g)
{
    enum config_algorithm *a = &g->attributes.algorithm;
    if (*a != CONFIG_ALGORITHM_ROUND_ROBIN && *a != CONFIG_ALGORITHM_SOURCE_HASH)
        report_error(x->report, g->attributes.stickiness.pos,
                     "stickiness: source_ip is the algorithm source_hash, and none can be beside it");
    *a = CONFIG_ALGORITHM_SOURCE_HASH;
}

void schema_sticky_finish(struct schema_ctx *x, struct config_group *g)
{
    const struct config_stickiness *s = &g->attributes.stickiness;
    bool by_address = s->type == CONFIG_STICKINESS_SOURCE_IP;
    if (s->type == CONFIG_STICKINESS_OFF)
        return;
    if (by_address)
        hash_source(x, g);
    else if (g->attributes.algorithm == CONFIG_ALGORITHM_WEIGHTED_RANDOM)
        report_error(x->report, s->pos, "stickiness means nothing with algorithm: weighted_random");
    if (g->protocol == CONFIG_PROTOCOL_TCP && !by_address)
        report_error(x->report, s->pos, "stickiness: a tcp group sees no cookies: type: source_ip");
    if (g->protocol == CONFIG_PROTOCOL_HTTP && by_address)
        report_error(x->report, s->pos, "stickiness: source_ip is for tcp and tls groups");
    if (!by_address && g->attributes.zone_policy.policy == CONFIG_ZONES_LOCAL_ONLY)
        report_error(x->report, s->pos, "stickiness: a client cannot stay with a target of another "
                                        "zone under zone_policy: local_only");
}
