/* What is wrong, or hardly meant, with how a configuration uses zones: wrong only when several
 * places are seen together. For config/verify.c and config/lint.c. */
#ifndef CONFIG_ZONES_H
#define CONFIG_ZONES_H

#include "config/model.h"
#include "config/report.h"

/* Errors: what cannot work. */
void zones_verify(const struct config *c, struct report *r);
/* Warnings: what has no effect, or a surprising one. */
void zones_lint(const struct config *c, const struct config_group *g, struct report *r);

#endif
