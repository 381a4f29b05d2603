/* Rows of attributes.ejection. */
#include "config/schema_tables.h"

#define DAY_MS 86400000ull

static const struct schema_word kinds[] = {
    {"connect", CONFIG_EJECTION_CONNECT, true},
    {"5xx", CONFIG_EJECTION_5XX, true},
    SCHEMA_WORDS_END,
};

const struct schema_key schema_ejection_keys[] = {
    {.name = "consecutive_failures",
     .type = SCHEMA_NUMBER,
     .def = "5",
     .min = 1,
     .max = 1000,
     .meaning = "that eject a target, over all workers",
     SCHEMA_AT(config_ejection, consecutive_failures)},
    {.name = "on",
     .type = SCHEMA_WORD,
     .def = "connect",
     .words = kinds,
     .meaning = "connect (failures, resets, timeouts) or 5xx (these answers too)",
     SCHEMA_AT(config_ejection, on)},
    {.name = "base_time",
     .type = SCHEMA_DURATION,
     .def = "10s",
     .min = 100,
     .max = DAY_MS,
     .meaning = "of the first ejection; each one lasts twice as long as the one before",
     SCHEMA_AT(config_ejection, base_time_ms)},
    {.name = "max_time",
     .type = SCHEMA_DURATION,
     .def = "300s",
     .min = 100,
     .max = DAY_MS,
     .meaning = "of a later one; at least base_time",
     SCHEMA_AT(config_ejection, max_time_ms)},
    {.name = "max_percent",
     .type = SCHEMA_NUMBER,
     .def = "50",
     .max = 100,
     .meaning = "of a zone's targets may be out; the others stay",
     SCHEMA_AT(config_ejection, max_percent)},
    SCHEMA_END,
};

static const struct yaml_tree_node *place(const struct yaml_tree_node *map, const char *key)
{
    const struct yaml_tree_node *n = yaml_tree_get(map, key);
    return n ? n : map;
}

void schema_ejection_check(struct schema_ctx *x, const struct yaml_tree_node *node, void *to)
{
    struct config_ejection *e = to;
    e->enabled = true;
    if (e->max_time_ms < e->base_time_ms)
        report_error(x->report, place(node, "max_time")->pos, "max_time is less than base_time");
}

void schema_ejection_finish(struct schema_ctx *x, const struct config_group *g)
{
    const struct config_ejection *e = &g->attributes.ejection;
    if (e->enabled && e->on == CONFIG_EJECTION_5XX && g->protocol == CONFIG_PROTOCOL_TCP)
        report_error(x->report, g->pos, "ejection on 5xx means nothing in a tcp group");
}
