/* Passive health: what traffic's failures in a row do to a target. Pure.
 *
 *   in ──consecutive_failures, and the zone can spare it──▶ out ──its time is over──▶ in
 *
 * Each ejection lasts twice as long as the one before, from base_time to max_time. For each such
 * length that a target then goes without another, it takes one step back. */
#ifndef UPSTREAM_EJECTION_H
#define UPSTREAM_EJECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/model.h"

/* Of one target; zeroed: it never failed. */
struct ejection {
    bool out;
    uint32_t steps;    /* of the back-off, with the present or last one */
    uint64_t until_ms; /* when that is, or was, over */
    uint64_t total;    /* ejections ever */
};

/* Of the steps-th ejection in a row; 1 is the first. */
uint64_t ejection_length_ms(const struct config_ejection *c, uint32_t steps);
/* May one more of a zone's targets go, when out_n of all_n are out? */
bool ejection_fits(const struct config_ejection *c, size_t out_n, size_t all_n);
void ejection_begin(struct ejection *e, const struct config_ejection *c, uint64_t now_ms);
/* Is it in again? True once, at the change. */
bool ejection_end(struct ejection *e, uint64_t now_ms);

#endif
