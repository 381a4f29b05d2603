#include "cli/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* Characters, not bytes: what follows the first byte of one in UTF-8 takes no room. */
static size_t width(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

void table_add(struct table *t, const char *text)
{
    unsigned column = (unsigned)(t->cells_n % t->columns);
    size_t w = width(text);
    if (t->cells_n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 64;
        t->cells = reallocarray(t->cells, t->cap, sizeof(*t->cells));
        CHECK(t->cells);
    }
    t->cells[t->cells_n++] = arena_strdup(&t->arena, slice_str(text));
    if (w > t->widths[column])
        t->widths[column] = w;
}

void table_add_number(struct table *t, uint64_t v)
{
    char text[32];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
    table_add(t, text);
}

void table_init(struct table *t, const char *const *heads)
{
    *t = (struct table){0};
    arena_init(&t->arena);
    while (heads[t->columns])
        t->columns++;
    CHECK(t->columns > 0 && t->columns <= TABLE_COLUMNS_MAX);
    for (unsigned i = 0; i < t->columns; i++) {
        t->right[i] = heads[i][0] == '>';
        table_add(t, heads[i] + t->right[i]);
    }
}

void table_fini(struct table *t)
{
    free(t->cells);
    arena_fini(&t->arena);
}

static void print_cell(const struct table *t, unsigned column, const char *text, FILE *to)
{
    int pad = (int)(t->widths[column] - width(text));
    bool last = column + 1 == t->columns;
    if (t->right[column])
        fprintf(to, "%*s%s", pad, "", text);
    else
        fprintf(to, "%s%*s", text, last ? 0 : pad, "");
    fputs(last ? "\n" : "  ", to);
}

void table_print(const struct table *t, FILE *to)
{
    CHECK(t->cells_n % t->columns == 0);
    for (size_t i = 0; i < t->cells_n; i++)
        print_cell(t, (unsigned)(i % t->columns), t->cells[i], to);
}
