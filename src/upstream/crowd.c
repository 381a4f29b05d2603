#include "upstream/crowd.h"

#include <stdlib.h>

#include "base/check.h"

#define DRAWS 16 /* before the row is walked */

static void add_places(struct crowd *c, const struct balance_set *set)
{
    for (size_t i = 0; i < set->members_n; i++)
        c->n += set->weights[i] != 0;
    CHECK(c->n);
    c->places = calloc(c->n, sizeof(*c->places));
    CHECK(c->places);
    for (size_t i = 0, at = 0; i < set->members_n; i++)
        if (set->weights[i])
            c->places[at++] = (struct crowd_place){.member = &set->members[i],
                                                   .target = set->members[i].target,
                                                   .weight = set->weights[i]};
}

/* Weights as parts of a whole place: n * weight of sum. Who has less than one place gives the rest
 * of it to one who has more. */
struct parts {
    uint64_t *part; /* [n] */
    uint64_t sum;   /* a whole one */
    uint32_t *few, *many;
    uint32_t few_n, many_n;
};

static void sort_out(struct parts *s, uint32_t i)
{
    if (s->part[i] < s->sum)
        s->few[s->few_n++] = i;
    else
        s->many[s->many_n++] = i;
}

static void settle(struct crowd *c, struct parts *s)
{
    while (s->few_n && s->many_n) {
        uint32_t poor = s->few[--s->few_n], rich = s->many[--s->many_n];
        c->places[poor].cut = (uint64_t)((double)s->part[poor] / (double)s->sum * 0x1p32);
        c->places[poor].other = rich;
        s->part[rich] -= s->sum - s->part[poor];
        sort_out(s, rich);
    }
    while (s->many_n)
        c->places[s->many[--s->many_n]].cut = 1ull << 32;
}

static void share_places(struct crowd *c)
{
    uint32_t *stacks = calloc(2 * (size_t)c->n, sizeof(*stacks));
    struct parts s = {.part = calloc(c->n, sizeof(*s.part)), .few = stacks, .many = stacks + c->n};
    CHECK(stacks && s.part);
    for (uint32_t i = 0; i < c->n; i++)
        s.sum += c->places[i].weight;
    for (uint32_t i = 0; i < c->n; i++) {
        s.part[i] = (uint64_t)c->n * c->places[i].weight;
        sort_out(&s, i);
    }
    settle(c, &s);
    CHECK(s.few_n == 0); /* the parts are whole numbers: nothing is lost by rounding */
    free(s.part);
    free(stacks);
}

void crowd_init(struct crowd *c, const struct balance_set *set)
{
    *c = (struct crowd){0};
    add_places(c, set);
    share_places(c);
}

void crowd_fini(struct crowd *c)
{
    free(c->places);
    c->places = NULL;
}

static const struct crowd_place *walk(const struct crowd *c, const struct pick *p, uint32_t from)
{
    for (uint32_t i = 0; i < c->n; i++) {
        const struct crowd_place *place = &c->places[(from + i) % c->n];
        if (pick_allows(p, place->member))
            return place;
    }
    return NULL;
}

const struct crowd_place *crowd_draw_allowed(const struct crowd *c, const struct pick *p,
                                             struct rng *rng)
{
    for (unsigned i = 0; i < DRAWS; i++) {
        const struct crowd_place *place = crowd_draw(c, rng);
        if (pick_allows(p, place->member))
            return place;
    }
    return walk(c, p, rng_below(rng, c->n));
}
