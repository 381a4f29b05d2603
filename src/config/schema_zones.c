/* Rows that are about zones: of a target group's attributes, and of autoshift. */
#include "base/check.h"
#include "config/decode.h"
#include "config/scalar.h"
#include "config/schema_tables.h"

/* --- names of zones --- */

static void take_zone(struct schema_ctx *x, const struct schema_key *key,
                      const struct yaml_tree_node *node, struct config_zone_name *to)
{
    to->pos = node->pos;
    if (!decode_is_scalar(x, key, node))
        return;
    if (!scalar_is_name(node->text))
        schema_complain(x, key, node, "cannot be a zone");
    to->zone = arena_slice(x->arena, node->text);
}

static bool is_known(const struct config_zone_name *names, size_t n, struct slice zone)
{
    for (size_t i = 0; i < n; i++)
        if (slice_eq(names[i].zone, zone))
            return true;
    return false;
}

/* --- zone_policy --- */

static const struct schema_word policies[] = {
    {"cross_zone", CONFIG_ZONES_CROSS, true},
    {"local_only", CONFIG_ZONES_LOCAL_ONLY, true},
    {"prefer_local", CONFIG_ZONES_PREFER_LOCAL, true},
    {"balanced", CONFIG_ZONES_BALANCED, true},
    SCHEMA_WORDS_END,
};

static void take_order(struct schema_ctx *x, const struct schema_key *key,
                       const struct yaml_tree_node *list, struct config_zone_rules *r)
{
    r->policy = CONFIG_ZONES_ORDER;
    if (list->kind != YAML_TREE_LIST || list->items_n == 0) {
        schema_complain(x, key, list, "order is not a list of zones");
        return;
    }
    r->order = ARENA_ARRAY(x->arena, struct config_zone_name, list->items_n);
    for (size_t i = 0; i < list->items_n; i++) {
        struct config_zone_name *to = &r->order[r->order_n];
        take_zone(x, key, list->items[i], to);
        if (to->zone.n && is_known(r->order, r->order_n, to->zone))
            schema_complain(x, key, list->items[i], "a zone is listed twice");
        r->order_n++;
    }
}

/* A word, or {order: [...]}. */
void schema_zones_policy_decode(struct schema_ctx *x, const struct schema_key *key,
                                const struct yaml_tree_node *node, void *to)
{
    struct config_zone_rules *r = to;
    struct schema_key word = *key;
    word.type = SCHEMA_WORD;
    word.words = policies;
    word.width = sizeof(r->policy);
    if (!node)
        return;
    r->pos = node->pos;
    if (node->kind != YAML_TREE_MAP)
        schema_scalar(x, &word, node, &r->policy);
    else if (node->pairs_n == 1 && yaml_tree_get(node, "order"))
        take_order(x, key, yaml_tree_get(node, "order"), r);
    else
        schema_complain(x, key, node, "is a map with other keys than \"order\"");
}

/* --- zones --- */

#define PERMILLE_MIN 1000
#define PERMILLE_MAX 10000

/* "1.4" as 1400; at most three digits behind the point. */
static bool parse_permille(struct slice text, uint32_t *out)
{
    uint64_t whole, part = 0;
    size_t point = slice_find(text, '.', 0);
    struct slice digits = point < text.n ? slice_of(text.p + point + 1, text.n - point - 1) : text;
    bool has_part = point < text.n;
    if (!slice_u64(slice_upto(text, point), &whole) || whole > PERMILLE_MAX / 1000)
        return false;
    if (has_part && (digits.n == 0 || digits.n > 3 || !slice_u64(digits, &part)))
        return false;
    for (size_t i = digits.n; has_part && i < 3; i++)
        part *= 10;
    *out = (uint32_t)(whole * 1000 + part);
    return *out >= PERMILLE_MIN && *out <= PERMILLE_MAX;
}

static void decode_overprovision(struct schema_ctx *x, const struct schema_key *key,
                                 const struct yaml_tree_node *node, void *to)
{
    uint32_t *permille = to;
    CHECK(parse_permille(slice_str(key->def), permille));
    if (!node || !decode_is_scalar(x, key, node))
        return;
    if (!parse_permille(node->text, permille)) {
        schema_complain(x, key, node, "is not a factor");
        CHECK(parse_permille(slice_str(key->def), permille));
    }
}

const struct schema_key schema_zones_details_keys[] = {
    {.name = "overprovision",
     .type = SCHEMA_CUSTOM,
     .def = "1.4",
     .decode = decode_overprovision,
     .expected = "a factor from 1.0 to 10.0",
     .meaning = "prefer_local, order: what a zone may carry, 1.0 being its share when all is well",
     SCHEMA_AT(config_zone_details, overprovision_permille)},
    {.name = "smoothing",
     .type = SCHEMA_DURATION,
     .def = "5s",
     .min = 0,
     .max = 60000,
     .meaning = "of the share that stays local; 0s: none",
     SCHEMA_AT(config_zone_details, smoothing_ms)},
    SCHEMA_END,
};

/* --- lb_nodes --- */

#define NODES_MAX 10000

static void take_nodes(struct schema_ctx *x, const struct schema_key *key,
                       const struct yaml_tree_pair *pair, struct config_zone_name *to)
{
    uint64_t n;
    to->pos = pair->key_pos;
    to->zone = arena_slice(x->arena, pair->key);
    if (!scalar_is_name(pair->key))
        schema_complain(x, key, pair->value, "has a key that cannot be a zone");
    if (!decode_is_scalar(x, key, pair->value))
        return;
    if (!slice_u64(pair->value->text, &n) || n > NODES_MAX)
        schema_complain(x, key, pair->value, "is not a number of balancers");
    else
        to->nodes = (uint32_t)n;
}

void schema_zones_nodes_decode(struct schema_ctx *x, const struct schema_key *key,
                               const struct yaml_tree_node *node, void *to)
{
    struct config_lb_nodes *l = to;
    uint64_t sum = 0;
    size_t errors = x->report->errors;
    if (!node)
        return;
    l->pos = node->pos;
    if (node->kind != YAML_TREE_MAP || node->pairs_n == 0) {
        schema_complain(x, key, node, "is not a map of zones");
        return;
    }
    l->zones = ARENA_ARRAY(x->arena, struct config_zone_name, node->pairs_n);
    for (l->zones_n = 0; l->zones_n < node->pairs_n; l->zones_n++) {
        take_nodes(x, key, &node->pairs[l->zones_n], &l->zones[l->zones_n]);
        sum += l->zones[l->zones_n].nodes;
    }
    if (sum == 0 && x->report->errors == errors)
        schema_complain(x, key, node, "counts no balancer at all");
}

/* --- minimum_healthy --- */

static const struct schema_key threshold_keys[] = {
    {.name = "count",
     .type = SCHEMA_NUMBER,
     .def = "1",
     .min = 1,
     .max = 1000000,
     .meaning = "healthy targets",
     SCHEMA_AT(config_threshold, count)},
    {.name = "percent",
     .type = SCHEMA_NUMBER,
     .def = "0",
     .min = 0,
     .max = 100,
     .meaning = "of the registered ones; 0: off",
     SCHEMA_AT(config_threshold, percent)},
    SCHEMA_END,
};

const struct schema_key schema_zones_minimum_keys[] = {
    {.name = "routing",
     .type = SCHEMA_MAP,
     .keys = threshold_keys,
     .meaning = "below it, requests go to all targets; local_only: of the zone, else of all zones",
     SCHEMA_AT(config_minimum_healthy, routing)},
    {.name = "dns",
     .type = SCHEMA_MAP,
     .keys = threshold_keys,
     .meaning = "below it in the node's zone, /zone-health says 503",
     SCHEMA_AT(config_minimum_healthy, dns)},
    SCHEMA_END,
};

static bool is_lower(struct config_threshold a, struct config_threshold b)
{
    return a.count < b.count || a.percent < b.percent;
}

/* As with ELB a zone leaves DNS before its health is ignored. */
void schema_zones_minimum_check(struct schema_ctx *x, const struct yaml_tree_node *node, void *to)
{
    struct config_minimum_healthy *m = to;
    const struct yaml_tree_node *dns = yaml_tree_get(node, "dns");
    m->pos = node->pos;
    if (!dns && is_lower(m->dns, m->routing))
        m->dns = m->routing;
    else if (is_lower(m->dns, m->routing))
        report_error(x->report, dns->pos, "minimum_healthy: dns cannot be lower than routing");
}

/* --- autoshift --- */

static const struct schema_word autoshift_modes[] = {
    {"off", CONFIG_AUTOSHIFT_OFF, true},
    {"on", CONFIG_AUTOSHIFT_ON, true},
    {"practice", CONFIG_AUTOSHIFT_PRACTICE, true},
    SCHEMA_WORDS_END,
};

/* "hh" of "hh:mm", below a limit; takes it and what parts it from the next. */
static bool take_two_digits(struct slice *text, uint32_t limit, uint32_t *out)
{
    uint64_t v;
    if (text->n < 2 || !slice_u64(slice_upto(*text, 2), &v) || v >= limit)
        return false;
    *text = slice_from(*text, 2);
    if (text->n && text->p[0] != ':')
        return false;
    *text = slice_from(*text, text->n ? 1 : 0);
    *out = (uint32_t)v;
    return true;
}

/* "tue 10:00" or "tue 10:00:30", in UTC, as seconds from the beginning of Monday. */
static bool parse_week_time(struct slice text, uint32_t *out)
{
    static const struct slice days[] = {SLICE_INIT("mon"), SLICE_INIT("tue"), SLICE_INIT("wed"),
                                        SLICE_INIT("thu"), SLICE_INIT("fri"), SLICE_INIT("sat"),
                                        SLICE_INIT("sun")};
    uint32_t day = 0, hours, minutes, seconds = 0;
    while (day < ARRAY_LEN(days) && !slice_eq(slice_upto(text, 3), days[day]))
        day++;
    if (day == ARRAY_LEN(days) || text.n < 9 || text.p[3] != ' ' || text.p[text.n - 1] == ':')
        return false;
    text = slice_from(text, 4);
    if (!take_two_digits(&text, 24, &hours) || !take_two_digits(&text, 60, &minutes))
        return false;
    if (text.n && (!take_two_digits(&text, 60, &seconds) || text.n))
        return false;
    *out = ((day * 24 + hours) * 60 + minutes) * 60 + seconds;
    return true;
}

static void decode_week_time(struct schema_ctx *x, const struct schema_key *key,
                             const struct yaml_tree_node *node, void *to)
{
    CHECK(parse_week_time(slice_str(key->def), to));
    if (!node || !decode_is_scalar(x, key, node))
        return;
    if (!parse_week_time(node->text, to))
        schema_complain(x, key, node, "is not a time of the week");
}

const struct schema_key schema_zones_autoshift_keys[] = {
    {.name = "mode",
     .type = SCHEMA_WORD,
     .def = "off",
     .words = autoshift_modes,
     .meaning = "on: a zone that fails or is slow while the others are not is shifted away for a "
                "while; practice: one that is well, each week",
     SCHEMA_AT(config_autoshift, mode)},
    {.name = "window",
     .type = SCHEMA_DURATION,
     .def = "10s",
     .min = 1000,
     .max = 3600000,
     .meaning = "the time after which zones are compared",
     SCHEMA_AT(config_autoshift, window_ms)},
    {.name = "windows",
     .type = SCHEMA_NUMBER,
     .def = "3",
     .min = 1,
     .max = 100,
     .meaning = "in a row in which the same zone fails, before it is shifted",
     SCHEMA_AT(config_autoshift, windows)},
    {.name = "minimum_requests",
     .type = SCHEMA_NUMBER,
     .def = "50",
     .min = 10,
     .max = 1000000000,
     .meaning = "in a zone in a window; with fewer it is not compared",
     SCHEMA_AT(config_autoshift, minimum_requests)},
    {.name = "slow",
     .type = SCHEMA_DURATION,
     .none = true,
     .def = "100ms",
     .min = 1,
     .max = 10000,
     .meaning = "a zone whose p99 is over this and twice that of the others is shifted too; none: "
                "times do not matter",
     SCHEMA_AT(config_autoshift, slow_ms)},
    {.name = "for",
     .type = SCHEMA_DURATION,
     .def = "30m",
     .min = 1000,
     .max = 259200000,
     .meaning = "how long such a shift lasts",
     SCHEMA_AT(config_autoshift, for_ms)},
    {.name = "at",
     .type = SCHEMA_CUSTOM,
     .def = "tue 10:00",
     .decode = decode_week_time,
     .expected = "a day and time in UTC, such as \"tue 10:00\"",
     .meaning = "mode practice: the day and time, in UTC; zones take turns by name",
     SCHEMA_AT(config_autoshift, practice_at_s)},
    SCHEMA_END,
};

void schema_zones_autoshift_check(struct schema_ctx *x, const struct yaml_tree_node *node, void *to)
{
    (void)x;
    ((struct config_autoshift *)to)->pos = node->pos;
}
