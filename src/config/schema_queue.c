/* Rows of what bounds the work at a group's targets: how much of it waits, and how much of it is
 * done again. */
#include "config/schema_tables.h"

#define COUNT_MAX 1000000

const struct schema_key schema_queue_keys[] = {
    {.name = "max",
     .type = SCHEMA_NUMBER,
     .def = "1024",
     .min = 0,
     .max = COUNT_MAX,
     .meaning = "requests that wait, all workers together; one more: 503, or a closed connection",
     SCHEMA_AT(config_queue, max)},
    {.name = "timeout",
     .type = SCHEMA_DURATION,
     .def = "1s",
     .min = 1,
     .max = 3600000,
     .meaning = "how long one waits; then 503, or a closed connection",
     SCHEMA_AT(config_queue, timeout_ms)},
    SCHEMA_END,
};

const struct schema_key schema_queue_budget_keys[] = {
    {.name = "percent",
     .type = SCHEMA_NUMBER,
     .def = "20",
     .min = 0,
     .max = 100,
     .meaning = "of the requests of the last 10 s",
     SCHEMA_AT(config_retry_budget, percent)},
    {.name = "minimum",
     .type = SCHEMA_NUMBER,
     .def = "10",
     .min = 0,
     .max = COUNT_MAX,
     .meaning = "replays in 10 s that are always allowed",
     SCHEMA_AT(config_retry_budget, minimum)},
    SCHEMA_END,
};

void schema_queue_finish(struct schema_ctx *x, const struct yaml_tree_node *group,
                         const struct config_group *g)
{
    const struct yaml_tree_node *attributes = yaml_tree_get(group, "attributes");
    if (!attributes)
        return;
    const struct yaml_tree_node *queue = yaml_tree_get(attributes, "queue");
    const struct yaml_tree_node *try = yaml_tree_get(attributes, "try_timeout");
    if (queue && g->attributes.max_outstanding == CONFIG_NONE)
        report_error(x->report, queue->pos, "queue means nothing without max_outstanding: only "
                                            "that makes requests wait");
    if (try && g->protocol == CONFIG_PROTOCOL_TCP)
        report_error(x->report, try->pos, "try_timeout means nothing in a tcp group");
}
