/* Decoders that more than one table uses. All report what is wrong at the node. */
#ifndef CONFIG_DECODE_H
#define CONFIG_DECODE_H

#include "config/schema.h"

/* A scalar that is not empty, or a complaint and false. */
bool decode_is_scalar(struct schema_ctx *x, const struct schema_key *key,
                      const struct yaml_tree_node *node);

/* A file's name: relative ones begin with the directory of the file that names them. */
bool decode_path(struct schema_ctx *x, const struct schema_key *key,
                 const struct yaml_tree_node *node, struct slice *to);

/* The same for a key's decoder; to is a struct config_file. */
schema_decode decode_file;

/* `ip:port`, `[v6]:port` or `unix:PATH`, the path taken as decode_path() does. Port 0 is refused.
 * No names. */
bool decode_addr(struct schema_ctx *x, const struct schema_key *key,
                 const struct yaml_tree_node *node, struct addr *to);

/* A text of at least one byte and at most key->max without control characters, for items of
 * lists. */
bool decode_line(struct schema_ctx *x, const struct schema_key *key,
                 const struct yaml_tree_node *node, struct slice *to);

#endif
