#include "upstream/maglev.h"

#include <stdlib.h>

#include "base/check.h"

#define FREE UINT32_MAX

struct preference {
    uint32_t place; /* the next one */
    uint32_t step;
};

uint32_t maglev_size(size_t members_n)
{
    return members_n > MAGLEV_FEW ? MAGLEV_PLACES_MANY : MAGLEV_PLACES;
}

static struct preference preference_of(const struct member *m, uint32_t size)
{
    uint64_t hash = hash_bytes(m->target->text, 0);
    return (struct preference){(uint32_t)(hash % size), (uint32_t)((hash >> 32) % (size - 1)) + 1};
}

/* The step and the size have no common divisor, so every place comes once. */
static uint32_t take_place(uint32_t *table, struct preference *p, uint32_t size)
{
    uint32_t place;
    do {
        place = p->place;
        p->place = place + p->step < size ? place + p->step : place + p->step - size;
    } while (table[place] != FREE);
    return place;
}

static struct preference *preferences_of(const struct balance_set *set, uint32_t size)
{
    struct preference *all = calloc(set->members_n, sizeof(*all));
    CHECK(all);
    for (size_t i = 0; i < set->members_n; i++)
        if (set->weights[i])
            all[i] = preference_of(&set->members[i], size);
    return all;
}

uint32_t *maglev_build(const struct balance_set *set)
{
    uint32_t size = maglev_size(set->members_n), turns_n;
    uint32_t *turns = group_sequence(set->weights, set->members_n, &turns_n);
    struct preference *all = preferences_of(set, size);
    uint32_t *table = malloc(size * sizeof(*table));
    CHECK(table && turns);
    memset(table, 0xff, size * sizeof(*table));
    for (uint32_t i = 0, turn = 0; i < size; i++) {
        uint32_t who = turns[turn];
        table[take_place(table, &all[who], size)] = who;
        turn = turn + 1 < turns_n ? turn + 1 : 0;
    }
    free(all);
    free(turns);
    return table;
}
