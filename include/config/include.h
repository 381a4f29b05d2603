/* A configuration file and those it includes, as one tree.
 *
 *   include: conf.d/site-*.yaml     or a list of such patterns
 *
 * Only lists come from included files: their `listeners` and `target_groups` are put behind those
 * of the file that includes them, in the order of names. Patterns are relative to the file they
 * stand in; one without wildcards must match. A file that is included twice, or by itself, is an
 * error. Positions in the tree name the file they are in. */
#ifndef CONFIG_INCLUDE_H
#define CONFIG_INCLUDE_H

#include "base/arena.h"
#include "config/expand.h"
#include "config/report.h"
#include "config/yaml_tree.h"

#define INCLUDE_FILES_MAX 1000
#define INCLUDE_DEPTH_MAX 8
#define INCLUDE_FILE_MAX  (16u << 20) /* bytes of one file */
#define INCLUDE_TOTAL_MAX (64u << 20) /* bytes of all */

/* Both: the tree and the bytes live in `scratch`, the names of files in `names` (they are part of
 * positions, which live longer). NULL after an error that leaves no tree. */
struct yaml_tree_node *include_path(struct arena *scratch, struct arena *names, struct report *r,
                                    const char *path, const struct expand_env *env);
/* No file is opened: `include` in the text is an error. The text must outlive the report's use
 * of it. */
struct yaml_tree_node *include_bytes(struct arena *scratch, struct arena *names, struct report *r,
                                     const char *name, struct slice text,
                                     const struct expand_env *env);

#endif
