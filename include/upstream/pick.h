/* What is wished for when a target is chosen, and what was decided about its zone.
 *
 * A wish is made anew for each try: the lease keeps what stays (hash, preferred) and adds what it
 * has tried. Owner: whoever picks. */
#ifndef UPSTREAM_PICK_H
#define UPSTREAM_PICK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct target;
struct member;

/* Why the target's zone was the one. */
enum zone_decision {
    ZONE_CROSS,    /* the group looks at no zones */
    ZONE_LOCAL,    /* this node's */
    ZONE_SPILL,    /* another: this node's cannot carry all of it */
    ZONE_FAILOPEN, /* health was not looked at: too little of it is left */
    ZONE_SHIFT,    /* another: the one it would have been is shifted away */
    ZONE_STICKY,   /* the client belongs to that target */
};

#define ZONE_DECISIONS (ZONE_STICKY + 1)

struct slice pick_decision_name(enum zone_decision d);

struct pick {
    uint64_t hash; /* what clients are told apart by, where it matters */
    const struct member *preferred; /* of this group: taken first when it may serve; NULL: nobody */
    struct target *const *skip;     /* tried already: not to be picked again */
    unsigned skip_n;
    uint32_t limit;          /* targets with as many outstanding are not allowed; 0: none */
    struct slice avoid_zone;     /* a try in it failed: picked only when nobody else is there */
    uint64_t now_us;             /* the worker's clock */
    enum zone_decision decision; /* out */
};

static inline bool pick_allows_all(const struct pick *p)
{
    return p->skip_n == 0 && p->limit == 0 && p->avoid_zone.n == 0;
}

/* Is m neither skipped, nor at the limit, nor in the zone to avoid? */
bool pick_allows(const struct pick *p, const struct member *m);

#endif
