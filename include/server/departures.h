/* Targets that have left the configuration, as long as work is in flight to them.
 *
 *   named by the old snapshot only ─▶ draining ─▶ nothing in flight ─▶ forgotten
 *                                        │ deregistration_delay has passed
 *                                        └▶ every worker cuts what is left ──▲
 *
 * New work does not reach them once the workers have adopted the snapshot without them. One that is
 * named again has never left. Owner and thread: control. */
#ifndef SERVER_DEPARTURES_H
#define SERVER_DEPARTURES_H

#include "server/worker.h"

#define DEPARTURES_LOOK_MS  100
#define DEPARTURES_AGAIN_MS 1000 /* what slipped through a cut is cut again */

struct server;

struct departures {
    struct server *server;
    struct list all; /* of struct departure, oldest first */
    struct timer timer;
    struct task task;
};

/* Of one target, which it holds a reference to. */
struct departure {
    struct list node;
    struct departures *all;
    struct member member; /* the target, and what the snapshot that had it last said about it */
    uint64_t generation;  /* of the snapshot that it is not in */
    uint64_t cut_ms;      /* when its time is over, or what is left is cut again */
    unsigned waiting;     /* workers that are cutting */
    bool returned;        /* it is named again: nothing is left to do but to wait for them */
    struct worker_command *commands; /* [workers]; NULL: its time was not over yet */
    char zone[];
};

void departures_init(struct departures *d, struct server *s);
/* Workers have ended. */
void departures_fini(struct departures *d);

/* The next snapshot is bound and about to be published in place of the old one (NULL: none). */
void departures_note(struct departures *d, const struct snapshot *old, const struct snapshot *next);

#endif
