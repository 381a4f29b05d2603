#include "upstream/grey.h"

#include <stdlib.h>

#include "base/check.h"

const struct grey_rule grey_failures = {ANOMALY_POINTS, 0};
const struct grey_rule grey_slowness = {0.01, ANOMALY_FAILURES_MIN - 1};

bool grey_is_clean(const struct grey_count *c, const struct grey_rule *r)
{
    return c->bad <= r->stray || (double)c->bad <= (double)c->all * r->points;
}

/* ---- one group ---- */

static bool speaks_of_zones(const struct grey_count *group, size_t n, const struct grey_rule *r)
{
    size_t asked = 0, bad = 0;
    for (size_t i = 0; i < n; i++) {
        asked += group[i].all > 0;
        bad += !grey_is_clean(&group[i], r);
    }
    return asked >= ANOMALY_TARGETS_MIN && bad <= 1;
}

static void sum(struct grey_count *to, const struct grey_count *c)
{
    to->all += c->all;
    to->bad += c->bad;
}

void grey_add(struct grey_zone *zones, const struct grey_count *group, size_t n,
              const struct grey_rule *r)
{
    bool speaks = speaks_of_zones(group, n, r);
    for (size_t i = 0; i < n; i++) {
        sum(&zones[i].sum, &group[i]);
        if (speaks)
            sum(&zones[i].compared, &group[i]);
    }
}

/* ---- all of them ---- */

/* What anomaly_judge() works on. */
struct field {
    struct anomaly *each, **taken;
    double *scratch;
};

/* The only one of the zones that stands out. */
static size_t pick_out(const struct grey_zone *zones, size_t n, uint64_t minimum, double points,
                       struct field *f)
{
    size_t taken_n = 0, found = GREY_NONE;
    for (size_t i = 0; i < n; i++) {
        const struct grey_count *c = &zones[i].compared;
        f->each[i] = (struct anomaly){.requests = (double)c->all, .failures = (double)c->bad};
        if (c->all >= minimum)
            f->taken[taken_n++] = &f->each[i];
    }
    anomaly_judge(f->taken, taken_n, points, f->scratch);
    for (size_t i = 0; i < n; i++) {
        if (!f->each[i].anomalous)
            continue;
        if (found != GREY_NONE)
            return GREY_NONE;
        found = i;
    }
    return found;
}

static size_t stands_out(const struct grey_zone *zones, size_t n, uint64_t minimum,
                         const struct grey_rule *r)
{
    struct field f = {calloc(n + 1, sizeof(*f.each)), calloc(n + 1, sizeof(*f.taken)),
                      calloc(n + 1, sizeof(*f.scratch))};
    CHECK(f.each && f.taken && f.scratch);
    size_t found = pick_out(zones, n, minimum, r->points, &f);
    free(f.scratch);
    free(f.taken);
    free(f.each);
    return found;
}

static bool others_are_clean(const struct grey_window *w, size_t grey)
{
    for (size_t i = 0; i < w->n; i++)
        if (i != grey && !(grey_is_clean(&w->failures[i].sum, &grey_failures) &&
                           grey_is_clean(&w->slowness[i].sum, &grey_slowness)))
            return false;
    return true;
}

struct grey_verdict grey_judge(const struct grey_window *w, uint64_t minimum)
{
    struct grey_verdict v = {stands_out(w->failures, w->n, minimum, &grey_failures), false};
    if (v.zone == GREY_NONE)
        v = (struct grey_verdict){stands_out(w->slowness, w->n, minimum, &grey_slowness), true};
    if (v.zone == GREY_NONE || !others_are_clean(w, v.zone))
        return (struct grey_verdict){GREY_NONE, false};
    return v;
}

unsigned grey_note(struct grey_run *r, uint64_t zone)
{
    if (zone == 0 || zone != r->zone)
        *r = (struct grey_run){.zone = zone};
    if (zone)
        r->windows++;
    return r->windows;
}
