#include "upstream/zone.h"

#include <stdlib.h>

#include "base/check.h"

#define GUARD_BEGINS                                                                               \
    0.8 /* of the room: from here on a zone counts for less, at all of it nothing */

/* One zone while the plan is made. */
struct part {
    double weight, healthy; /* what its clients bring; what may serve them */
    double capacity;        /* under the ceiling, and as far as its targets have room */
    double share;           /* in any unit, until shares_out() */
};

struct plan {
    const struct zone_rules *rules;
    const struct zone_input *zones;
    size_t n;
    struct zone_memory *memory;
    uint64_t now_ms;
    struct part *parts;
    double ceiling; /* of what a healthy target may carry, 1 being its share when all are well */
    bool all;       /* health is ignored in the zones that count */
    bool shifted;   /* a zone with targets is shifted away */
};

/* ---- health ---- */

bool zone_below(uint32_t targets, uint32_t healthy, uint32_t count, uint32_t percent)
{
    return healthy == 0 || healthy < count || (uint64_t)healthy * 100 < (uint64_t)percent * targets;
}

bool zone_counts(const struct zone_rules *r, const struct zone_input *zones, size_t z)
{
    if (zones[z].shifted)
        return false;
    return r->policy != CONFIG_ZONES_LOCAL_ONLY || z == r->local;
}

bool zone_opens(const struct zone_rules *r, const struct zone_input *zones, size_t n)
{
    uint32_t targets = 0, healthy = 0;
    for (size_t z = 0; z < n; z++)
        if (zone_counts(r, zones, z)) {
            targets += zones[z].targets;
            healthy += zones[z].healthy;
        }
    return r->fail_open && targets &&
           zone_below(targets, healthy, r->minimum_count, r->minimum_percent);
}

static bool counts(const struct plan *p, size_t z)
{
    return zone_counts(p->rules, p->zones, z);
}

static void take_health(struct plan *p)
{
    p->all = zone_opens(p->rules, p->zones, p->n);
    for (size_t z = 0; z < p->n; z++) {
        const struct zone_input *in = &p->zones[z];
        p->shifted |= in->shifted && in->weight;
        p->parts[z].weight = (double)in->weight;
        if (counts(p, z))
            p->parts[z].healthy = (double)(p->all ? in->weight : in->healthy_weight);
    }
}

/* ---- capacity ---- */

static double guard(const struct zone_input *in)
{
    if (in->room == 0)
        return 1;
    double used = (double)in->outstanding / (double)in->room;
    if (used <= GUARD_BEGINS)
        return 1;
    return used < 1 ? (1 - used) / (1 - GUARD_BEGINS) : 0;
}

static double ceiling(const struct plan *p)
{
    double weight = 0, healthy = 0, over = p->rules->overprovision;
    for (size_t z = 0; z < p->n; z++) {
        weight += p->parts[z].weight;
        healthy += p->parts[z].healthy;
    }
    return healthy > 0 && weight / healthy > over ? weight / healthy : over;
}

/* When everybody is full, room tells nothing. */
static void take_capacity(struct plan *p)
{
    double sum = 0;
    p->ceiling = ceiling(p);
    for (size_t z = 0; z < p->n; z++) {
        p->parts[z].capacity = p->ceiling * p->parts[z].healthy * guard(&p->zones[z]);
        sum += p->parts[z].capacity;
    }
    for (size_t z = 0; z < p->n && sum <= 0; z++)
        p->parts[z].capacity = p->ceiling * p->parts[z].healthy;
}

/* ---- what stays, what goes ---- */

/* now: what could stay, 1 being all; it may be more. */
static double factor(const struct plan *p, double now)
{
    double most = 1 + ZONE_BACK;
    now = now < most ? now : most;
    if (p->memory)
        return zone_factor(p->memory, now, p->rules->smoothing_ms, p->now_ms);
    return now < 1 ? now : 1;
}

static double sum_of(const double *values, size_t n)
{
    double sum = 0;
    for (size_t z = 0; z < n; z++)
        sum += values[z];
    return sum;
}

/* Spreads `much` over the zones but `except`, by the first of the three measures that anybody has
 * something of; what nobody can take stays with `except`. */
static void spread(struct plan *p, double much, size_t except, double *residual)
{
    double *by = residual;
    for (int measure = 0; measure < 3; measure++) {
        for (size_t z = 0; z < p->n && measure; z++)
            by[z] = z == except ? 0 : measure == 1 ? p->parts[z].capacity : p->parts[z].healthy;
        double sum = sum_of(by, p->n);
        for (size_t z = 0; z < p->n && sum > 0; z++)
            p->parts[z].share += much * by[z] / sum;
        if (sum > 0)
            return;
    }
    p->parts[except].share += much;
}

static double *new_residual(const struct plan *p)
{
    double *residual = calloc(p->n, sizeof(*residual));
    CHECK(residual);
    return residual;
}

/* ---- policies ---- */

static void plan_cross_zone(struct plan *p)
{
    for (size_t z = 0; z < p->n; z++)
        p->parts[z].share = p->parts[z].healthy;
}

static void plan_prefer_local(struct plan *p)
{
    size_t local = p->rules->local;
    const struct part *own = &p->parts[local];
    double *residual = new_residual(p);
    for (size_t z = 0; z < p->n; z++)
        if (z != local && p->parts[z].capacity > p->parts[z].weight)
            residual[z] = p->parts[z].capacity - p->parts[z].weight;
    p->parts[local].share = factor(p, own->healthy > 0 ? own->capacity / own->weight : 0);
    spread(p, 1 - own->share, local, residual);
    free(residual);
}

/* Each zone's share of the balancers against its share of the capacity. */
static void plan_balanced(struct plan *p)
{
    size_t local = p->rules->local;
    double nodes = 0, capacity = 0, *residual = new_residual(p);
    for (size_t z = 0; z < p->n; z++) {
        nodes += p->zones[z].nodes;
        capacity += p->parts[z].capacity;
    }
    double own = 0;
    for (size_t z = 0; z < p->n && capacity > 0; z++) {
        double here = p->parts[z].capacity / capacity;
        double wanted = nodes > 0 ? p->zones[z].nodes / nodes : 0;
        if (z == local)
            own = wanted > 0 ? here / wanted : here > 0;
        else if (here > wanted)
            residual[z] = here - wanted;
    }
    p->parts[local].share = factor(p, own > 1 - 1e-9 ? own + ZONE_BACK : own);
    spread(p, 1 - p->parts[local].share, local, residual);
    free(residual);
}

/* Sum over the zones of a rank: what part of all work they can take. */
static double rank_capacity(const struct plan *p, uint32_t rank)
{
    double weight = 0, capacity = 0;
    for (size_t z = 0; z < p->n; z++)
        if (p->zones[z].rank == rank) {
            weight += p->parts[z].weight;
            capacity += p->parts[z].capacity / p->ceiling;
        }
    return weight > 0 ? p->rules->overprovision * capacity / weight : 0;
}

static void give_rank(struct plan *p, uint32_t rank, double much)
{
    double sum = 0;
    for (size_t z = 0; z < p->n; z++)
        if (p->zones[z].rank == rank)
            sum += p->parts[z].capacity;
    for (size_t z = 0; z < p->n && sum > 0; z++)
        if (p->zones[z].rank == rank)
            p->parts[z].share += much * p->parts[z].capacity / sum;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

static void plan_order(struct plan *p)
{
    double left = 1, sum = 0, first = rank_capacity(p, 0);
    for (uint32_t rank = 0; rank < p->n; rank++)
        sum += least(1, rank_capacity(p, rank));
    if (sum <= 0)
        return;
    double scale = sum < 1 ? 1 / sum : 1;
    double stays = sum - least(1, first) > 0 ? factor(p, first * scale) : 1;
    give_rank(p, 0, stays);
    left -= stays;
    for (uint32_t rank = 1; rank < p->n && left > 0; rank++) {
        double take = least(left, least(1, rank_capacity(p, rank)) * scale);
        give_rank(p, rank, take);
        left -= take;
    }
}

static bool prefers(const struct zone_rules *r)
{
    return r->policy == CONFIG_ZONES_ORDER ||
           (r->policy != CONFIG_ZONES_CROSS && r->local != ZONE_NONE);
}

static void apply_policy(struct plan *p)
{
    if (!prefers(p->rules) || p->rules->policy == CONFIG_ZONES_LOCAL_ONLY)
        plan_cross_zone(p);
    else if (p->rules->policy == CONFIG_ZONES_PREFER_LOCAL)
        plan_prefer_local(p);
    else if (p->rules->policy == CONFIG_ZONES_BALANCED)
        plan_balanced(p);
    else
        plan_order(p);
}

/* ---- the result ---- */

static bool preferred(const struct zone_rules *r, const struct zone_input *zones, size_t z)
{
    return r->policy == CONFIG_ZONES_ORDER ? zones[z].rank == 0 : z == r->local;
}

static bool preferred_shifted(const struct plan *p)
{
    for (size_t z = 0; z < p->n; z++)
        if (preferred(p->rules, p->zones, z) && p->zones[z].shifted)
            return true;
    return false;
}

static enum zone_decision decision(const struct plan *p, size_t z, bool away)
{
    if (p->all)
        return ZONE_FAILOPEN;
    if (!prefers(p->rules))
        return p->shifted ? ZONE_SHIFT : ZONE_CROSS;
    if (preferred(p->rules, p->zones, z))
        return ZONE_LOCAL;
    return away ? ZONE_SHIFT : ZONE_SPILL;
}

/* To whole numbers that add up: what rounding left goes to the largest share. */
static void shares_out(const struct plan *p, struct zone_output *out)
{
    double sum = 0;
    uint32_t given = 0;
    size_t largest = 0;
    for (size_t z = 0; z < p->n; z++) {
        if (p->parts[z].healthy <= 0)
            p->parts[z].share = 0;
        sum += p->parts[z].share;
    }
    for (size_t z = 0; z < p->n && sum > 0; z++) {
        out[z].share = (uint16_t)(p->parts[z].share / sum * ZONE_WHOLE + 0.5);
        given += out[z].share;
        if (p->parts[z].share > p->parts[largest].share)
            largest = z;
    }
    if (sum > 0)
        out[largest].share = (uint16_t)(out[largest].share + ZONE_WHOLE - given);
}

uint32_t zone_plan(const struct zone_rules *r, const struct zone_input *zones, size_t n,
                   struct zone_memory *memory, uint64_t now_ms, struct zone_output *out)
{
    struct plan p = {r, zones, n,    memory, now_ms, calloc(n + 1, sizeof(struct part)),
                     0, false, false};
    CHECK(p.parts && (r->local == ZONE_NONE || r->local < n));
    take_health(&p);
    take_capacity(&p);
    apply_policy(&p);
    bool away = preferred_shifted(&p), guarded = false;
    for (size_t z = 0; z < n; z++) {
        out[z] = (struct zone_output){0, p.all && counts(&p, z), decision(&p, z, away)};
        guarded |= zones[z].room != 0;
    }
    shares_out(&p, out);
    free(p.parts);
    bool moves = memory && prefers(r) && r->smoothing_ms && zone_factor_moves(memory);
    return moves || (guarded && prefers(r)) ? ZONE_STEP_MS : 0;
}
