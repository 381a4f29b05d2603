/* From a file to a struct config:
 *
 *   bytes ─▶ include ─▶ yaml_tree ─▶ schema tables ─▶ model ─▶ verify ─▶ lint
 *
 * Touches nothing global and no socket, looks up no host name (that is config/resolve.h), so it
 * may run on any thread beside a serving process; it reads files, so it may take its time. */
#ifndef CONFIG_LOAD_H
#define CONFIG_LOAD_H

#include "config/expand.h"
#include "config/model.h"
#include "config/report.h"

struct load_options {
    struct expand_env env; /* for ${NAME} and zone: auto */
    const char *root;      /* stands before /proc, /sys and /etc: "" outside of tests */
};

/* The process's own environment, which nobody may be changing meanwhile. */
struct load_options load_options_default(void);

/* The configuration, or NULL when the report holds an error. Warnings come with either. The
 * report is sorted and needs nothing of the files any more. Free with model_free(). */
MUST_USE struct config *load_path(const char *path, const struct load_options *o, struct report *r);
/* The same from memory; name stands for the file in messages. No file is opened. */
MUST_USE struct config *load_bytes(struct slice text, const char *name,
                                   const struct load_options *o, struct report *r);

#endif
