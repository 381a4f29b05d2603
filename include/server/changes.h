/* All that operators have changed and that is to be kept, over reloads and restarts: drains are
 * here, registered and deregistered targets in the roster, zonal shifts in upstream/shift.h. This
 * is where they are collected, saved to state_dir, and put back.
 *
 * A change is forgotten when a reload does not name its target any more. Until then it holds also
 * for a target that discovery loses for a while. Owner and thread: control. */
#ifndef SERVER_CHANGES_H
#define SERVER_CHANGES_H

#include "proxy/snapshot.h"
#include "server/state_file.h"

struct server;

struct changes {
    struct server *server;
    struct list drains; /* of struct drain: targets, there or not */
    struct state_file file;
};

void changes_init(struct changes *c, struct server *s);
void changes_fini(struct changes *c);

bool changes_is_drained(const struct changes *c, struct slice group, const struct addr *addr);
/* The target itself is the caller's to settle. */
void changes_set_drained(struct changes *c, struct slice group, const struct addr *addr,
                         bool drained);

/* False: there is no place to keep it, and nobody is told. w as in state_file_save(). */
bool changes_save(struct changes *c, struct state_waiter *w);
/* At the start, before the first snapshot is published, as far as the configuration has the groups.
 */
void changes_restore(struct changes *c, const struct state *kept, const struct config *config);
/* The snapshot was published; the workers are about to adopt it. reload: its file was read anew. */
void changes_adopt(struct changes *c, const struct snapshot *next, bool reload);

#endif
