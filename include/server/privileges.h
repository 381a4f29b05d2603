/* Who the process is. `user:` is given up before anything is opened or bound and before threads
 * start, so that a reload has the same rights as the start: what would fail at the first reload
 * fails at the start. */
#ifndef SERVER_PRIVILEGES_H
#define SERVER_PRIVILEGES_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/strbuf.h"

/* Becomes `user`, with its groups; of root's powers only CAP_NET_BIND_SERVICE stays, in this
 * thread. An empty name changes nothing. *changed: we are somebody else now. Single-threaded
 * process only. ERR_NOT_FOUND, ERR_REFUSED, ERR_SYSTEM: `why` says it in words. */
MUST_USE enum err privileges_drop(struct slice user, bool *changed, struct strbuf *why);

/* This thread gives up all capabilities; nothing happens when the process runs as root. */
void privileges_none(void);

#endif
