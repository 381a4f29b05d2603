/* What name servers say to discoveries that are new with a start or a reload: asked for by the
 * loader, so that a group serves its targets from the first moment. Later answers are the control
 * thread's (server/discovery.h).
 *
 * All are asked at once, and waited for FIRST_ANSWERS_MS at most; who has not answered by then is
 * a warning, and an empty list until it does. Any thread. */
#ifndef SERVER_FIRST_ANSWERS_H
#define SERVER_FIRST_ANSWERS_H

#include <stdatomic.h>

#include "config/report.h"
#include "upstream/roster.h"

#define FIRST_ANSWERS_MS 5000

/* roster: that of the running snapshot, or an empty one. ERR_RESET: cancelled. */
MUST_USE enum err first_answers_find(const struct config *c, struct roster *roster,
                                     const atomic_bool *cancelled, struct report *r);
/* Names of targets that are followed already have their newest addresses in the roster: nobody
 * needs to look them up. */
void first_answers_reuse(struct config *c, const struct roster *roster);

#endif
