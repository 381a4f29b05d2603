/* One YAML document as a tree in which every node knows where it was written. The only user of
 * libyaml. Owner: the arena passed in. Immutable once made; aliases share the node they name.
 *
 * What is bounded: the size of the text (the caller's part), nesting, nodes, and the nodes that
 * aliases stand for, so that a small file cannot grow into a large tree. */
#ifndef CONFIG_YAML_TREE_H
#define CONFIG_YAML_TREE_H

#include "base/arena.h"
#include "base/err.h"
#include "config/expand.h"
#include "config/model.h"
#include "config/report.h"

#define YAML_TREE_DEPTH_MAX   32
#define YAML_TREE_ALIASED_MAX 10000   /* nodes, summed over all aliases */
#define YAML_TREE_NODES_MAX   4000000 /* 100,000 rules take one million */

enum yaml_tree_kind { YAML_TREE_SCALAR, YAML_TREE_LIST, YAML_TREE_MAP };

struct yaml_tree_pair;

struct yaml_tree_node {
    enum yaml_tree_kind kind;
    bool null; /* a scalar that is empty, `~` or `null`, without quotes */
    struct config_pos pos;
    size_t weight; /* nodes below and this one, aliases counted as what they stand for */
    union {
        struct slice text; /* NUL-terminated, ${...} already put in */
        struct {
            struct yaml_tree_node **items;
            size_t items_n;
        };
        struct {
            struct yaml_tree_pair *pairs; /* in the order of the file; keys are unique */
            size_t pairs_n;
        };
    };
};

struct yaml_tree_pair {
    struct slice key;
    struct config_pos key_pos;
    struct yaml_tree_node *value;
};

/* An empty document is an empty map. NULL after an error that leaves no tree (bad UTF-8, syntax,
 * a limit); smaller ones (a duplicate key, an unset variable) are in the report beside the tree.
 * env NULL: texts stand as they are, whatever they look like. */
struct yaml_tree_node *yaml_tree_parse(struct arena *a, struct report *r, const char *file,
                                       struct slice bytes, const struct expand_env *env);

/* The value of a key, or NULL. */
struct yaml_tree_node *yaml_tree_get(const struct yaml_tree_node *map, const char *key);

#endif
