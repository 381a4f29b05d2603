/* A lease: one exchange's right to a connection of some target of a group.
 *
 *   lease_begin ─▶ READY      an idle link was there: the normal case
 *               ─▶ WAIT       connecting; lease->notify is queued when it is decided, then
 *                             lease->state is READY or REFUSED
 *                             or waiting for a place at a target (upstream/queue.h)
 *               ─▶ REFUSED    nobody to connect to; lease->why tells
 *
 * A connect that fails goes on to the next untried target by itself, as long as tries are left:
 * no byte of the request was written, so that is always allowed. After a try that failed, targets
 * of another zone come first where the group's policy has any. A try with an untried target
 * left gets at most LEASE_TRY_MS, so that a black-holed zone costs 2 s, not 10.
 * lease_again() is for a link that died in use; whether the request may be sent again is
 * proxy/retry.h's decision, not this module's.
 * Owner: the exchange (embedded). Never calls back; cancelling (lease_end) is always legal.
 */
#ifndef UPSTREAM_LEASE_H
#define UPSTREAM_LEASE_H

#include "upstream/ejector.h"
#include "upstream/link.h"
#include "upstream/queue.h"

#define LEASE_TRY_MS    2000
#define LEASE_TRIES_MAX 16

enum lease_state { LEASE_NONE, LEASE_WAIT, LEASE_READY, LEASE_REFUSED };

struct lease {
    enum lease_state state;
    struct upstream *up;
    struct group *group;
    struct task *notify;
    const struct member *member; /* of the present try; NULL before the first. In the snapshot:
                                    not to be used once the exchange has let go of that */
    struct target *target;       /* of the present try; its in-flight count keeps it alive */
    struct link *link;
    struct list waiting; /* in the link's list, or the queue's, while WAIT */
    struct queue *queue; /* the group's, which a tunnel does not know any more; NULL: none */
    uint64_t queued_until_ms;
    enum err why; /* REFUSED: ERR_NOT_FOUND no target at all, ERR_REFUSED, ERR_TIMEOUT, ERR_NOMEM,
                     ERR_TLS, ERR_TLS_TIMEOUT, ERR_UNSUPPORTED it speaks otherwise, ERR_RESET,
                     ERR_LIMIT no place and too many wait, ERR_AGAIN no place came in time */
    bool reused;  /* the link has served before */
    bool counted, counted_all; /* in target->outstanding and its news */
    struct ejector_rule rule;  /* the group's, which a tunnel does not know any more */
    struct pick pick; /* hash and preferred: whoever begins the lease; the rest is the lease's */
    unsigned tries;   /* so far */
    struct target *tried[LEASE_TRIES_MAX];
};

/* Between this and lease_begin(), l->pick.hash and .preferred may be set. */
void lease_init(struct lease *l, struct upstream *up, struct group *g, struct task *notify);
MUST_USE enum lease_state lease_begin(struct lease *l);
/* The link in hand died, or did not want the request: drop it and take the next. Tries the same
 * target again on a new connection when no other is left and the link was a reused or shared one.
 */
MUST_USE enum lease_state lease_again(struct lease *l);
/* Does it count as in flight to the target now? */
static inline bool lease_holds(const struct lease *l, const struct target *t)
{
    return l->target == t && (l->state == LEASE_READY || l->state == LEASE_WAIT);
}
/* How the target in hand did, for its ejection. Connecting is the lease's own business. */
static inline void lease_worked(const struct lease *l)
{
    ejector_worked(l->target, l->rule);
}
static inline void lease_failed(const struct lease *l)
{
    ejector_failed(l->up->bell, l->target, l->rule);
}
/* Its answer is whole, or went as far as anybody wanted: a head alone says little. */
static inline void lease_answered(const struct lease *l, unsigned status)
{
    status >= 500 && l->rule.on_5xx ? lease_failed(l) : lease_worked(l);
}
/* After lease_end() of one that took too long: the next untried target. */
MUST_USE enum lease_state lease_elsewhere(struct lease *l, enum err why);
/* Is there another target for one more try? */
bool lease_has_other(struct lease *l);
/* Are there tries left at all? */
bool lease_can_retry(const struct lease *l);
/* The target has answered, or a TCP connection to it stands: counts for it and its zone. */
void lease_count_request(const struct lease *l);
/* May the request, of which bytes were sent, be sent again? Then that counts (budget.h). */
MUST_USE bool lease_may_replay(struct lease *l);
/* Gives back what is held. reusable: both halves finished cleanly. Idempotent. */
void lease_end(struct lease *l, bool reusable);
/* The same, and the target sees an RST. */
void lease_abort(struct lease *l);

/* From the queue's task. There may be a place: true when its wait is over. */
MUST_USE bool lease_serve(struct lease *l);
/* It has waited long enough. */
void lease_expire(struct lease *l);

/* From the link's task: the connect was decided. ERR_AGAIN: all its slots went to others that
 * waited for it. */
void lease_link_done(struct lease *l, struct link *k, enum err e);

#endif
