/* The definition of rule matching, written down as ALB's documents tell it: rule after rule, value
 * after value. What the compiled router is held against. */
#ifndef LINEAR_RULES_H
#define LINEAR_RULES_H

#include <stdlib.h>

#include "proxy/pattern.h"
#include "proxy/router.h"

static inline bool linear_rules_host(struct slice pattern, struct slice host)
{
    char *lower = malloc(pattern.n + 1);
    for (size_t i = 0; i < pattern.n; i++)
        lower[i] = slice_lower(pattern.p[i]);
    bool match = pattern_match(slice_of(lower, pattern.n), host);
    free(lower);
    return match;
}

static inline bool linear_rules_condition(const struct config_condition *c, struct slice host,
                                          struct slice path)
{
    for (size_t i = 0; i < c->values_n; i++)
        if (c->type == CONFIG_CONDITION_HOST_HEADER ? linear_rules_host(c->values[i], host)
                                                    : pattern_match(c->values[i], path))
            return true;
    return false;
}

/* The priority of the rule that matches; 0: the default. */
static inline uint32_t linear_rules_match(const struct config_listener *l, struct slice host,
                                          struct slice path)
{
    for (size_t i = 0; i < l->rules_n; i++) {
        bool holds = true;
        for (size_t j = 0; j < l->rules[i].conditions_n && holds; j++)
            holds = linear_rules_condition(&l->rules[i].conditions[j], host, path);
        if (holds)
            return l->rules[i].priority;
    }
    return 0;
}

#endif
