/* The snapshots that are alive: the one that serves and those that somebody still pins. A snapshot
 * is freed when every worker has let go of it, a target some time after the last snapshot that
 * named it. Owner and thread: control. */
#ifndef SERVER_SNAPSHOTS_H
#define SERVER_SNAPSHOTS_H

#include "net/loop.h"
#include "proxy/snapshot.h"

#define SNAPSHOTS_SWEEP_MS 5000 /* targets that were busy are looked at again */

struct snapshots {
    struct loop *loop;
    struct registry registry;
    struct slot_table slots;
    struct snapshot *current; /* NULL until the first is published */
    uint64_t generation;      /* of the newest that was bound */
    uint64_t serving;         /* of the newest that all workers serve */
    unsigned live;
    struct timer sweep_timer;
    struct task sweep_task;
};

void snapshots_init(struct snapshots *s, struct loop *loop, unsigned workers);
/* Workers have ended: whatever they did not let go of goes too. */
void snapshots_fini(struct snapshots *s);

/* Gives a compiled snapshot its targets and slots. ERR_LIMIT: it can only be discarded. */
MUST_USE enum err snapshots_bind(struct snapshots *s, struct snapshot *next);
/* It was compiled, perhaps bound, but never published. */
void snapshots_discard(struct snapshots *s, struct snapshot *next);
/* From now on it is the current one; the workers are about to adopt it. */
void snapshots_publish(struct snapshots *s, struct snapshot *next);
/* All of them have, and listen. */
void snapshots_served(struct snapshots *s);
/* Frees targets that nobody names any more. */
void snapshots_sweep(struct snapshots *s);
/* One worker has let go of an old one. */
void snapshots_released(struct snapshots *s, struct snapshot *old);

#endif
