/* From the configuration file to a compiled snapshot: all that a start, a reload or a refresh does
 * before it touches anything shared. Any thread; it may take seconds, because names are resolved. */
#ifndef SERVER_LOADING_H
#define SERVER_LOADING_H

#include <stdatomic.h>

#include "config/report.h"
#include "proxy/snapshot.h"

struct loading {
    const char *path;
    const struct config *running; /* NULL at the start */
    struct crypto_ring *tickets;  /* of the running snapshot; NULL: it has none */
    struct crypto_ring *cookies;  /* the same */
    const struct snapshot *old;   /* of a refresh: the running one, for its secrets; else NULL */
    struct roster roster;         /* an own copy, goes into the snapshot */
    atomic_bool cancelled;
    struct report report;
    struct snapshot *snapshot; /* the result; NULL: the report says why, or it was cancelled */
};

void loading_init(struct loading *l, const char *path, const struct config *running);
void loading_fini(struct loading *l); /* a snapshot that is still here is the caller's */

/* Reads the file. NULL: the report says why. */
struct config *loading_read(struct loading *l);
/* Takes c: what needs a restart is put back as it runs, names become addresses, all is compiled. */
void loading_compile(struct loading *l, struct config *c);
/* Both: a start, a reload. */
void loading_run(struct loading *l);
/* A refresh: `running` compiled once more, with the roster as it is now. No configuration file is
 * looked at, so variables and includes are what they were; certificates, keys and CAs that
 * have changed are read again, and those that are no good stay what they were. */
void loading_refresh(struct loading *l, struct config *running);

#endif
