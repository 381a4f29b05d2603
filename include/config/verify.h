/* What no single key can tell: names that refer to nothing, settings that contradict each other.
 * Errors go to the report; the config is completed on the way (references become indices, rules
 * are put in order, groups in use are marked). Any thread; looks at nothing but its arguments. */
#ifndef CONFIG_VERIFY_H
#define CONFIG_VERIFY_H

#include "config/model.h"
#include "config/report.h"

void verify_config(struct config *c, struct report *r);

#endif
