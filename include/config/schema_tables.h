/* The tables that the rows of the file itself lead to, one file each. */
#ifndef CONFIG_SCHEMA_TABLES_H
#define CONFIG_SCHEMA_TABLES_H

#include "config/schema.h"

extern const struct schema_key schema_limits_keys[];
extern const struct schema_key schema_timeouts_keys[];
extern const struct schema_key schema_listener_keys[];
extern const struct schema_key schema_tls_keys[];
extern const struct schema_key schema_tls_certificate_keys[];
extern const struct schema_key schema_tls_mutual_keys[];
extern const struct schema_key schema_rule_keys[];
extern const struct schema_key schema_action_keys[];
extern const struct schema_key schema_group_keys[];
extern const struct schema_key schema_health_keys[];
extern const struct schema_key schema_ejection_keys[];
extern const struct schema_key schema_discovery_keys[];
extern const struct schema_key schema_admin_keys[];
extern const struct schema_key schema_sticky_keys[];
extern const struct schema_key schema_balance_hash_keys[];
extern const struct schema_word schema_balance_words[];
extern const struct schema_key schema_queue_keys[];
extern const struct schema_key schema_queue_budget_keys[];
extern const struct schema_key schema_zones_details_keys[];
extern const struct schema_key schema_zones_minimum_keys[];
extern const struct schema_key schema_zones_autoshift_keys[];

/* Does the map say protocol: https or tls? */
bool schema_tls_is_on(const struct yaml_tree_node *node);

schema_check schema_limits_check;     /* to: struct config_limits */
schema_check schema_tls_mutual_check;     /* to: struct config_mutual */
schema_check schema_zones_minimum_check; /* to: struct config_minimum_healthy */
schema_check schema_zones_autoshift_check; /* to: struct config_autoshift */
schema_decode schema_listener_decode; /* to: struct config_listener */
schema_decode schema_tls_policy_decode;   /* to: the whole struct config_listener */
schema_decode schema_rule_decode;     /* to: struct config_rule */
schema_decode schema_action_decode;   /* to: struct config_action */
schema_decode schema_group_decode;    /* to: struct config_group */
schema_decode schema_health_decode;   /* to: struct config_health_check */
schema_decode schema_discovery_resolver; /* to: struct addr; for items of a list */
schema_check schema_ejection_check;   /* to: struct config_ejection */
schema_decode schema_zones_policy_decode; /* to: struct config_zone_rules */
schema_decode schema_zones_nodes_decode;    /* to: struct config_lb_nodes */
schema_decode schema_discovery_decode; /* to: struct config_discovery */
schema_decode schema_group_target_decode;    /* to: struct config_target; for items of a list */

/* What the TLS of a listener needs, and what means nothing without it. */
void schema_tls_finish(struct schema_ctx *x, const struct yaml_tree_node *listener,
                       const struct config_listener *l);

schema_check schema_sticky_check;     /* to: struct config_stickiness */

/* Contradictions with the rest of the group, which was decoded without errors. */
void schema_sticky_finish(struct schema_ctx *x, struct config_group *g);
void schema_queue_finish(struct schema_ctx *x, const struct yaml_tree_node *group,
                         const struct config_group *g);
schema_decode schema_balance_decode_hash_on; /* to: struct config_hash_on */

/* Complains of more name servers than there may be under the key of the map, which may be NULL. */
void schema_discovery_count(struct schema_ctx *x, const char *key, const struct yaml_tree_node *map,
                            size_t resolvers_n);

/* Defaults and contradictions that hang on the whole group, given as its node. */
void schema_health_finish(struct schema_ctx *x, const struct yaml_tree_node *group,
                          struct config_group *g);
void schema_ejection_finish(struct schema_ctx *x, const struct config_group *g);
void schema_balance_finish(struct schema_ctx *x, const struct yaml_tree_node *group,
                           struct config_group *g);

#endif
