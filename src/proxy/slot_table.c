#include "proxy/slot_table.h"

#include <stdlib.h>

#include "base/check.h"

void slot_table_fini(struct slot_table *t)
{
    while (t->n)
        free(t->names[--t->n]);
}

unsigned slot_table_find(const struct slot_table *t, struct slice name)
{
    for (unsigned i = 0; i < t->n; i++)
        if (slice_eq(slice_str(t->names[i]), name))
            return i;
    return SLOTS_MAX;
}

unsigned slot_table_add(struct slot_table *t, struct slice name)
{
    CHECK(t->n < SLOTS_MAX);
    char *copy = strndup(name.p, name.n);
    CHECK(copy);
    t->names[t->n] = copy;
    return t->n++;
}
