/* Host names of targets become addresses. Names are asked for in parallel by a few threads of our
 * own, because getaddrinfo() cannot be told when to stop: whoever has not answered by the deadline
 * is left behind. Such a thread owns all it touches and ends by itself.
 *
 * Call from the loader thread: it waits, at most for the timeout. `check` does not call it. */
#ifndef CONFIG_RESOLVE_H
#define CONFIG_RESOLVE_H

#include <stdatomic.h>

#include "base/err.h"
#include "config/model.h"
#include "config/report.h"

#define RESOLVE_TIMEOUT_MS 5000
#define RESOLVE_THREADS    16
#define RESOLVE_ADDRS_MAX  64 /* of one name; more are cut off */

/* Up to max addresses of a name, ports 0; how many, 0 for none. Runs on a thread that may be left
 * behind: it touches nothing but its arguments. */
typedef size_t resolve_lookup(const char *host, struct addr *to, size_t max);

struct resolve_options {
    unsigned timeout_ms;          /* for all names together */
    resolve_lookup *lookup;       /* getaddrinfo() but in tests */
    const struct config *last;    /* what is running, or NULL: its addresses stand in for silence */
    const atomic_bool *cancelled; /* NULL: never; looked at every 50 ms */
};

struct resolve_options resolve_options_default(void);

/* Fills addrs of every target that is a name and has none yet; each address is then a target, in a stable order.
 * A name without an answer keeps the addresses it has in `last` (same group, same text), else it
 * has none; both are warnings, and so is an address that another target of the group has: it is
 * dropped. ERR_RESET when cancelled, the config is then half done and to be freed. */
MUST_USE enum err resolve_targets(struct config *c, const struct resolve_options *o,
                                  struct report *r);

#endif
