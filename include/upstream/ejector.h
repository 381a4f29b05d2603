/* Takes targets out that fail again and again, and puts them back when their time is over.
 *
 *   worker: a try failed ──▶ target->failing + 1 ──consecutive_failures──▶ bell ─┐
 *           a try worked ──▶ target->failing = 0                                 │ message
 *   control: ◀── looks at all targets of groups with `ejection:` ◀──────────────┘
 *              └─▶ TARGET_EJECTED, the group's news; a timer for the end
 *
 * An answer has worked when it is whole, or when the client had enough of it; one that is cut
 * in its body has failed.
 * The run of failures is one number a target, of all workers, so it does not matter how traffic is
 * spread over them. Steady state only reads it: it is written by failures and by the success that
 * ends a run. The bell rings at most every EJECTOR_PAUSE_MS.
 * An ejection belongs to the target and survives reloads; a group that has no `ejection:` any more
 * gets its targets back at once.
 * Owner and thread: control, but for the bell. */
#ifndef UPSTREAM_EJECTOR_H
#define UPSTREAM_EJECTOR_H

#include "upstream/group.h"
#include "upstream/news.h"
#include "upstream/slow_start.h"

#define EJECTOR_PAUSE_MS 100

/* How workers reach the ejector. */
struct ejector_bell {
    struct loop *loop;
    struct message message;
    _Atomic bool rung; /* the message is on its way, or it came less than EJECTOR_PAUSE_MS ago */
};

struct ejector {
    struct loop *loop;
    struct news *news;
    struct slow_start *slow_start; /* for those that come back */
    const struct group *groups;    /* of the snapshot that serves */
    size_t groups_n;
    struct ejector_bell bell;
    struct task task;
    struct timer timer;
    uint64_t silent_until_ms; /* 0: the bell may ring */
};

void ejector_init(struct ejector *e, struct loop *loop, struct news *news,
                  struct slow_start *slow_start);
/* The workers have ended. */
void ejector_fini(struct ejector *e);
/* These groups serve from now on; those they replace are still there. */
void ejector_adopt(struct ejector *e, const struct group *groups, size_t groups_n);

/* ---- for workers ---- */

/* What a group wants to know about tries. The limit is 0 where nobody is ejected. */
struct ejector_rule {
    uint32_t limit;
    bool on_5xx;
};

static inline struct ejector_rule ejector_rule_of(const struct group *g)
{
    const struct config_ejection *c = g->ejection;
    return c ? (struct ejector_rule){c->consecutive_failures, c->on == CONFIG_EJECTION_5XX}
             : (struct ejector_rule){0};
}

void ejector_failed(struct ejector_bell *b, struct target *t, struct ejector_rule r);

static inline void ejector_worked(struct target *t, struct ejector_rule r)
{
    if (r.limit && atomic_load_explicit(&t->failing, memory_order_relaxed))
        atomic_store_explicit(&t->failing, 0, memory_order_relaxed);
}

#endif
