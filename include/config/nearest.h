/* "Did you mean ...?": the known word that is nearest to an unknown one. Pure. */
#ifndef CONFIG_NEAREST_H
#define CONFIG_NEAREST_H

#include <stddef.h>

#include "base/slice.h"

/* Letters to insert, delete, change or swap with their neighbour to get from a to b, upper and
 * lower case being the same; words longer than 64 bytes are infinitely far (SIZE_MAX). */
size_t nearest_distance(struct slice a, struct slice b);

/* Feed words one by one; nearest_best() is NULL when none came within a third of the length (at
 * least 1, at most 3): a wild guess helps nobody. */
struct nearest {
    struct slice word;
    const char *best;
    size_t distance;
};

struct nearest nearest_to(struct slice word);
void nearest_try(struct nearest *n, const char *candidate);

static inline const char *nearest_best(const struct nearest *n)
{
    return n->best;
}

#endif
