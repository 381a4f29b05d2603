/* A table for a terminal: cells row by row, columns as wide as their widest cell.
 * Owner: the caller; it keeps copies of the texts. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"

#define TABLE_COLUMNS_MAX 16

struct table {
    struct arena arena;
    const char **cells; /* from malloc; row by row */
    size_t cells_n, cap;
    unsigned columns;
    size_t widths[TABLE_COLUMNS_MAX];
    bool right[TABLE_COLUMNS_MAX]; /* numbers */
};

/* heads: one for each column, up to a NULL; one that begins with '>' is of a column of numbers. */
void table_init(struct table *t, const char *const *heads);
void table_fini(struct table *t);

/* The next cell; rows follow from the number of columns. */
void table_add(struct table *t, const char *text);
void table_add_number(struct table *t, uint64_t v);
/* Whole rows only. */
void table_print(const struct table *t, FILE *to);

#endif
