/* A file with the targets of a group, as `discovery: {file: }` names it: the list that stands under
 * `targets:` in the configuration, in YAML or JSON, bare or under the key `targets`. `[]` is a
 * wish; a file with nothing in it is not, so it is an error. Variables are not put in.
 * Any thread. */
#ifndef CONFIG_TARGETS_FILE_H
#define CONFIG_TARGETS_FILE_H

#include "config/model.h"
#include "config/report.h"

#define TARGETS_FILE_MAX (8u << 20) /* bytes: some 100,000 targets */

/* The targets are in the arena, their names not looked up. False: the report says why, with lines
 * of the file. */
MUST_USE bool targets_file_parse(struct arena *a, struct report *r, const char *path,
                                 struct slice bytes, const struct config_group *g,
                                 struct config_target **targets, size_t *targets_n);
/* The same from the file. */
MUST_USE bool targets_file_read(struct arena *a, struct report *r, const char *path,
                                const struct config_group *g, struct config_target **targets,
                                size_t *targets_n);

#endif
