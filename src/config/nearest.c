#include "config/nearest.h"

#define WORD_MAX 64

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment, three rows of the table at a time. */
size_t nearest_distance(struct slice a, struct slice b)
{
    size_t rows[3][WORD_MAX + 1], *above2 = rows[0], *above = rows[1], *row = rows[2];
    if (a.n > WORD_MAX || b.n > WORD_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t *free_row = above2;
        above2 = above;
        above = row;
        row = free_row;
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            char x = slice_lower(a.p[i - 1]), y = slice_lower(b.p[j - 1]);
            row[j] = min(min(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == slice_lower(b.p[j - 2]) && slice_lower(a.p[i - 2]) == y)
                row[j] = min(row[j], above2[j - 2] + 1);
        }
    }
    return row[b.n];
}

struct nearest nearest_to(struct slice word)
{
    size_t far = word.n / 3;
    far = far < 1 ? 1 : far > 3 ? 3 : far;
    return (struct nearest){.word = word, .distance = far + 1};
}

void nearest_try(struct nearest *n, const char *candidate)
{
    size_t d = nearest_distance(n->word, slice_str(candidate));
    if (d < n->distance) {
        n->distance = d;
        n->best = candidate;
    }
}
