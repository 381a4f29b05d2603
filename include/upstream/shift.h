/* Zonal shifts: zones that get no new work for a while, because somebody said so.
 *
 *   shift_set ─▶ registry->shifted (atomics) ─▶ every group's epoch ─▶ each worker's next pick
 *       │                                                        (its idle links there are closed)
 *       └─▶ until `until_us`, or shift_cancel ─▶ the same once more
 *
 * When shift_set() or shift_cancel() returns, no later pick of any worker knows better: that is
 * what an operator's command waits for. Work in flight goes on. Times are wall clock, so that a
 * shift that was kept on disk ends when it was meant to; it is looked at every SHIFT_LOOK_MS.
 * When the node's own zone is shifted, clients are told to go elsewhere after a grace: DNS needs
 * time too.
 *
 * For commands and for whoever keeps shifts on disk:
 *   set:     fill a shift_wish, call shift_set() with the groups of the snapshot that serves;
 *            anything but OK left everything as it was (but that a practice run in another zone may
 *            have given way), and `why` says it in words
 *   status:  shift_json(), or shifts->all[0 .. n-1]
 *   keep:    set shifts->changed: it is called after every change, also by expiry, autoshift and
 *            shift_restore(); write shifts->all and ->holds, and at the start give each one to
 *            shift_restore() or shift_restore_hold() (what has expired meanwhile is dropped there)
 * Owner and thread: control. */
#ifndef UPSTREAM_SHIFT_H
#define UPSTREAM_SHIFT_H

#include "base/strbuf.h"
#include "net/loop.h"
#include "upstream/group.h"
#include "upstream/registry.h"

#define SHIFT_FOR_MIN_MS 1000
#define SHIFT_FOR_MAX_MS (72ull * 3600 * 1000)
#define SHIFT_ZONE_MAX   64
#define SHIFT_REASON_MAX 256 /* octets */
#define SHIFT_LOAD_MAX   150 /* percent of their present load that those who stay may carry */
#define SHIFT_LOOK_MS    10000
#define SHIFT_GRACE_MS   60000 /* at most half the time of the shift */

enum shift_by { SHIFT_BY_OPERATOR, SHIFT_BY_AUTOSHIFT, SHIFT_BY_PRACTICE };

/* "operator", ... */
const char *shift_by_name(enum shift_by by);

struct shift {
    char zone[SHIFT_ZONE_MAX + 1];
    char reason[SHIFT_REASON_MAX + 1];
    enum shift_by by;
    int64_t since_us, until_us; /* wall clock */
};

/* An operator cancelled a shift of autoshift: until when it would have lasted, the zone is the
 * operator's business. */
struct shift_hold {
    char zone[SHIFT_ZONE_MAX + 1];
    int64_t until_us; /* wall clock */
};

struct shifts {
    struct loop *loop;
    struct registry *registry;
    unsigned n;
    struct shift all[REGISTRY_SHIFTED_MAX]; /* in the order they were set */
    unsigned holds_n;
    struct shift_hold holds[REGISTRY_SHIFTED_MAX]; /* a zone once; some may be over */
    char node_zone[SHIFT_ZONE_MAX + 1];
    struct timer timer; /* the next end, or grace */
    struct task task;
    void (*changed)(void *ctx); /* NULL: nobody wants to know */
    void *ctx;
};

struct shift_wish {
    struct slice zone, reason; /* reason: not empty, one line */
    uint64_t for_ms;
    bool force;
    enum shift_by by;
};

void shift_init(struct shifts *s, struct loop *loop, struct registry *registry);
void shift_fini(struct shifts *s);
/* The node runs in this zone from now on; empty: in none. */
void shift_adopt(struct shifts *s, struct slice node_zone);

/* A zone that is shifted already gets the new time and reason; a practice run in another zone ends
 * for any shift that is none itself. Without force refused are
 *   ERR_EXISTS  another zone is shifted
 *   ERR_LIMIT   capacity: see shift_check()
 * and always
 *   ERR_NOT_FOUND  no target of these groups is in the zone, nor is the node
 *   ERR_SYNTAX     the time or the reason is out of bounds
 *   ERR_NOMEM      REGISTRY_SHIFTED_MAX zones are shifted */
MUST_USE enum err shift_set(struct shifts *s, const struct shift_wish *w,
                            const struct group *groups, size_t groups_n, struct strbuf *why);
/* ERR_NOT_FOUND: it was not shifted. */
MUST_USE enum err shift_cancel(struct shifts *s, struct slice zone, struct strbuf *why);
/* One that was kept. False: it has expired, or cannot be one. */
bool shift_restore(struct shifts *s, const struct shift *kept);

bool shift_restore_hold(struct shifts *s, const struct shift_hold *kept);

bool shift_has(const struct shifts *s, struct slice zone);
/* Is autoshift to leave it alone? */
bool shift_is_held(const struct shifts *s, struct slice zone);
/* A list: [{"zone":"b","reason":"...","by":"operator","since":1.5,"until":61.5,"seconds_left":60}],
 * since and until in seconds since 1970. */
void shift_json(const struct shifts *s, struct strbuf *out);

/* ---- the check of capacity: pure ---- */

/* Weights of the healthy targets of a group that is in use. */
struct shift_group {
    struct slice name;
    uint64_t now;  /* of all that serve now */
    uint64_t left; /* of those that still would */
};

/* How a group would look without the zone and those that are shifted already. */
struct shift_group shift_look(const struct group *g, struct slice zone);
/* Of their present load, rounded up; 0: there is none; UINT32_MAX: nobody is left. */
uint32_t shift_load(const struct shift_group *g);
/* OK, or ERR_LIMIT and the worst group with its figure in words: a group would be left without a
 * healthy target, or its targets would carry more than SHIFT_LOAD_MAX percent. */
MUST_USE enum err shift_check(const struct shift_group *groups, size_t n, struct slice zone,
                              struct strbuf *why);

#endif
