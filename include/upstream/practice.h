/* Practice runs: once a week, at a set time, a zone is shifted away for a while although nothing is
 * wrong, so that it is known that the others can do without it before that is needed.
 *
 *   the set time ──(no alarm, nothing shifted, the others can carry it)──▶ shift_set, no force
 *                                                                             │
 *     "succeeded" ◀── its time is over ──┬── an alarm: cancelled ──▶ "ended early"
 *                                        └── an operator cancelled it, or shifted a zone
 *                                            ──▶ "ended by an operator"
 *
 * The zones take turns by name and week, so all tenbins with one configuration practise the same
 * one at the same time, and a restart changes no turn. Who was not running at the set time has
 * missed it. An alarm is a window in which clearly too many requests fail (grey_failures), or a
 * group that has no healthy target left outside the zones that are shifted.
 * Each outcome is an `audit:` line in the log. Owner and thread: control. */
#ifndef UPSTREAM_PRACTICE_H
#define UPSTREAM_PRACTICE_H

#include "config/model.h"
#include "upstream/grey.h"
#include "upstream/shift.h"

struct practice {
    int64_t looked_us; /* wall clock of the last look */
    bool runs;         /* as of that look; the shift itself is in struct shifts */
    char zone[SHIFT_ZONE_MAX + 1];
    int64_t until_us;
};

/* What a look needs: all of it is the caller's. */
struct practice_world {
    struct shifts *shifts;
    const struct config_autoshift *rule;
    const struct group *groups; /* of the snapshot that serves */
    size_t groups_n;
    const struct group_zone *zones; /* of all groups, each once; as many as the window has */
    const struct grey_window *window;
};

/* From now on; a run from before a restart goes on. */
void practice_begin(struct practice *p, int64_t now_us);
/* A window is over. */
void practice_look(struct practice *p, const struct practice_world *w);

/* ---- pure ---- */

/* Which week is it, when weeks begin so many seconds after Monday 00:00 UTC? From 0 up. */
uint64_t practice_week(uint32_t at_s, int64_t now_us);
/* Whose turn is it in that week? n is at least 1. */
size_t practice_turn(const struct group_zone *zones, size_t n, uint64_t week);

#endif
