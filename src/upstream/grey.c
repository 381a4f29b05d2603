#include "upstream/grey.h"

#include <stdlib.h>

#include "base/check.h"

static bool is_clean(const struct grey_count *c)
{
    return (double)c->failures <= (double)c->requests * GREY_POINTS;
}

/* ---- one group ---- */

static bool speaks_of_zones(const struct grey_count *group, size_t n)
{
    size_t asked = 0, failing = 0;
    for (size_t i = 0; i < n; i++) {
        asked += group[i].requests > 0;
        failing += !is_clean(&group[i]);
    }
    return asked >= ANOMALY_TARGETS_MIN && failing <= 1;
}

static void sum(struct grey_count *to, const struct grey_count *c)
{
    to->requests += c->requests;
    to->failures += c->failures;
}

void grey_add(struct grey_zone *zones, const struct grey_count *group, size_t n)
{
    bool speaks = speaks_of_zones(group, n);
    for (size_t i = 0; i < n; i++) {
        sum(&zones[i].all, &group[i]);
        if (speaks)
            sum(&zones[i].compared, &group[i]);
    }
}

/* ---- all of them ---- */

/* The only one of the zones that stands out. */
static size_t stands_out(const struct grey_zone *zones, size_t n, uint64_t minimum,
                         struct anomaly *each, struct anomaly **taken, double *scratch)
{
    size_t taken_n = 0, found = GREY_NONE;
    for (size_t i = 0; i < n; i++) {
        const struct grey_count *c = &zones[i].compared;
        each[i] = (struct anomaly){.requests = (double)c->requests, .failures = (double)c->failures};
        if (c->requests >= minimum)
            taken[taken_n++] = &each[i];
    }
    anomaly_judge(taken, taken_n, scratch);
    for (size_t i = 0; i < n; i++) {
        if (!each[i].anomalous)
            continue;
        if (found != GREY_NONE)
            return GREY_NONE;
        found = i;
    }
    return found;
}

static bool others_are_clean(const struct grey_zone *zones, size_t n, size_t grey)
{
    for (size_t i = 0; i < n; i++)
        if (i != grey && !is_clean(&zones[i].all))
            return false;
    return true;
}

size_t grey_judge(const struct grey_zone *zones, size_t n, uint64_t minimum_requests)
{
    struct anomaly *each = calloc(n + 1, sizeof(*each)), **taken = calloc(n + 1, sizeof(*taken));
    double *scratch = calloc(n + 1, sizeof(*scratch));
    CHECK(each && taken && scratch);
    size_t grey = stands_out(zones, n, minimum_requests, each, taken, scratch);
    free(scratch);
    free(taken);
    free(each);
    return grey != GREY_NONE && others_are_clean(zones, n, grey) ? grey : GREY_NONE;
}

unsigned grey_note(struct grey_run *r, uint64_t zone)
{
    if (zone == 0 || zone != r->zone)
        *r = (struct grey_run){.zone = zone};
    if (zone)
        r->windows++;
    return r->windows;
}
