#include "http/cookie.h"

static struct slice pair_name(struct slice pair)
{
    size_t eq = slice_find(pair, '=', 0);
    return eq < pair.n ? slice_trim(slice_upto(pair, eq)) : slice_of(NULL, 0);
}

static bool find_in(struct slice line, struct slice name, struct slice *value)
{
    while (line.n) {
        size_t end = slice_find(line, ';', 0);
        struct slice pair = slice_upto(line, end);
        line = slice_from(line, end + 1);
        if (!slice_eq(pair_name(pair), name))
            continue;
        *value = slice_trim(slice_from(pair, slice_find(pair, '=', 0) + 1));
        return true;
    }
    return false;
}

bool cookie_get(const struct fields *f, struct slice name, struct slice *value)
{
    const struct field *l = name.n ? fields_get(f, FIELD_COOKIE) : NULL;
    for (; l; l = fields_next(f, l))
        if (find_in(l->value, name, value))
            return true;
    return false;
}

struct slice cookie_set_name(struct slice line)
{
    return pair_name(slice_upto(line, slice_find(line, ';', 0)));
}
