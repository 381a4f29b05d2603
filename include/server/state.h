/* What was changed at run time, as a text that survives a restart (one JSON object):
 *
 *   {"version": 1,
 *    "registered":   [{"group": "app", "address": "10.0.1.12:3000", "zone": "a", "weight": 1}],
 *    "deregistered": [{"group": "app", "address": "10.0.1.10:3000"}],
 *    "drained":      [{"group": "app", "address": "10.0.1.11:3000"}],
 *    "shifts":       [{"zone": "a", "by": "operator", "since": 1789990000,
 *                 "until": 1790000000, "reason": "power work"}],
 *    "holds":        [{"zone": "b", "until": 1790000000}]}
 *
 * Owner: the caller; all of it lives in its arena. Pure. */
#ifndef SERVER_STATE_H
#define SERVER_STATE_H

#include "config/report.h"
#include "upstream/roster.h"
#include "upstream/shift.h"

#define STATE_VERSION 1

struct state_target {
    struct slice group;
    struct addr addr;
    struct slice zone; /* of registered ones; empty: none */
    uint16_t weight;   /* the same */
};

struct state_shift {
    struct slice zone, reason;
    enum shift_by by;
    uint64_t since_s, until_s; /* since the epoch */
};

struct state_hold {
    struct slice zone;
    uint64_t until_s; /* since the epoch */
};

struct state {
    uint64_t version;
    struct state_target *registered, *deregistered, *drained;
    size_t registered_n, deregistered_n, drained_n;
    struct state_shift *shifts;
    size_t shifts_n;
    struct state_hold *holds; /* see struct shift_hold */
    size_t holds_n;
};

/* name: of the file, for the report. False: the report says why, and *s is empty. */
bool state_parse(struct state *s, struct arena *a, struct slice text, const char *name,
                 struct report *r);
void state_format(const struct state *s, struct strbuf *out);

/* The operator's lists of a roster, there and back. */
void state_to_roster(const struct state *s, struct roster *r);
void state_from_roster(struct state *s, struct arena *a, const struct roster *r);

#endif
