/* What operators change while we run: targets that are drained, registered or deregistered, and
 * zones that are shifted.
 *
 *   begin ─▶ APPLYING ─▶ SAVING ─▶ WAITING ─▶ answered
 *               │           │         └ until nothing is in flight (or the target serves), or the
 *               │           │           time that the client gave is over
 *               │           └ it is on the disk, where state_dir is configured
 *               └ every worker has it: by a message to each (drain, ready), or because a snapshot
 *                 with the changed roster serves (register, deregister)
 *
 * A change survives reloads until the file names the target no more, and restarts where there is a
 * state_dir. An operation goes on when its client has gone, but for the waiting. Each is one line
 * in the log, which says who did what and what came of it.
 * Owner and thread: control. */
#ifndef SERVER_OPERATIONS_H
#define SERVER_OPERATIONS_H

#include "server/admin.h"
#include "server/changes.h"
#include "server/worker.h"

#define OPERATIONS_MAX         64 /* at the same time */
#define OPERATIONS_WAIT_MAX_MS 60000
#define OPERATIONS_LOOK_MS     100

struct server;

struct operations {
    struct server *server;
    struct list running; /* of struct operation */
    unsigned running_n;
    struct changes changes;
};

enum operation_what {
    OPERATION_DRAIN,      /* no new work; in-flight work ends when it ends */
    OPERATION_READY,      /* the opposite */
    OPERATION_REGISTER,   /* one more target, or one that was deregistered */
    OPERATION_DEREGISTER, /* leaves, see server/departures.h */
    OPERATION_SHIFT,      /* a zone; was applied already */
    OPERATION_CANCEL,     /* the same */
};

struct operation_wish {
    enum operation_what what;
    struct slice group;
    struct addr addr;
    struct slice zone; /* REGISTER, SHIFT, CANCEL; REGISTER: empty: none given */
    uint64_t weight;   /* REGISTER; CONFIG_NONE: none given */
    uint64_t wait_ms;  /* at most OPERATIONS_WAIT_MAX_MS; 0: not at all */
    struct slice who;  /* for the log */
};

void operations_init(struct operations *o, struct server *s);
/* Clients have gone, workers have ended. */
void operations_fini(struct operations *o);

/* False: not now, and the answer says why. */
bool operations_may_begin(const struct operations *o, struct admin_answer *answer);
/* Answers at once when it cannot be, else later. */
void operations_begin(struct operations *o, const struct operation_wish *w,
                      struct admin_answer *answer);

#endif
