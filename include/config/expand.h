/* Variables in the configuration: `${NAME}` and `${NAME:-default}` become the value of the
 * environment variable; the default stands in for one that is unset or empty. `$${` writes a
 * literal `${`. What a variable holds is text: it cannot bring in new keys. */
#ifndef CONFIG_EXPAND_H
#define CONFIG_EXPAND_H

#include "base/arena.h"
#include "config/report.h"

/* Where variables come from: getenv, or a table of a test. lookup NULL: all are unset. */
struct expand_env {
    const char *(*lookup)(void *ctx, const char *name);
    void *ctx;
};

#define EXPAND_MAX 65536 /* bytes of an expanded text */

/* The text itself when there is nothing to put in, else a new one in the arena. Errors go to the
 * report at pos; the text then stays as it was. */
struct slice expand_text(struct arena *a, struct report *r, struct config_pos pos,
                         struct slice text, const struct expand_env *env);

const char *expand_lookup(const struct expand_env *env, const char *name);

#endif
