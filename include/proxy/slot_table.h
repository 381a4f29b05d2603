/* Small numbers for listener names: a name keeps its slot as long as the process lives, so that
 * counters and sessions find their listener again in every snapshot.
 * Owner and only user: the control thread. */
#ifndef PROXY_SLOT_TABLE_H
#define PROXY_SLOT_TABLE_H

#include "base/slice.h"

#define SLOTS_MAX 4096

struct slot_table {
    unsigned n;
    char *names[SLOTS_MAX];
};

static inline void slot_table_init(struct slot_table *t)
{
    t->n = 0;
}

void slot_table_fini(struct slot_table *t);

/* SLOTS_MAX: the name is new. */
unsigned slot_table_find(const struct slot_table *t, struct slice name);
/* A new name; there must be room. */
unsigned slot_table_add(struct slot_table *t, struct slice name);

#endif
