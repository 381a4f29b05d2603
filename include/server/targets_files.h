/* The targets files of a configuration, as part of a start, a reload or a refresh: each becomes a
 * list of the loader's roster.
 *
 * A file that cannot be read, is broken or has nothing in it changes nothing but the list's
 * `trouble`: the targets that the running snapshot has from it stay, and a warning says why. One
 * that is as it was when it was read last is not read again. Any thread. */
#ifndef SERVER_TARGETS_FILES_H
#define SERVER_TARGETS_FILES_H

#include "config/resolve.h"
#include "upstream/roster.h"

/* roster: that of the running snapshot, or an empty one. Names in files are looked up with these
 * options. ERR_RESET: cancelled. */
MUST_USE enum err targets_files_load(const struct config *c, struct roster *roster,
                                     const struct resolve_options *o, struct report *r);

#endif
