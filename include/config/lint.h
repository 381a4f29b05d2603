/* Warnings about a configuration that works, but hardly as it was meant: rules that are never
 * reached, groups that nobody uses, zones without targets. For a config that verify found good. */
#ifndef CONFIG_LINT_H
#define CONFIG_LINT_H

#include "config/model.h"
#include "config/report.h"

void lint_config(const struct config *c, struct report *r);

/* Is every text that `narrow` matches also matched by `wide`? Both may hold * and ?. Never true
 * wrongly; may be false where the answer takes thinking. */
bool lint_covers(struct slice wide, struct slice narrow);

#endif
