#include "http/fields.h"

#include "scan.h"

/* Length and two letters tell our names apart. New names may collide: the compiler then complains
 * of an initialiser given twice, and other factors have to be found. */
#define HASH(n, first, key)                                                                        \
    (((n) + 10u * (unsigned char)(first) + 9u * (unsigned char)(key)) & 127u)

static const uint8_t ids[128] = {
#define FIELD_SLOT(id, name, first, key) [HASH(sizeof(name) - 1, first, key)] = FIELD_##id,
    FIELD_NAMES(FIELD_SLOT)
#undef FIELD_SLOT
};

static const struct slice names[FIELD_IDS] = {
#define FIELD_NAME(id, name, first, key) [FIELD_##id] = SLICE_INIT(name),
    FIELD_NAMES(FIELD_NAME)
#undef FIELD_NAME
};

enum field_id fields_id(struct slice name)
{
    if (name.n == 0)
        return FIELD_OTHER;
    enum field_id id = ids[HASH(name.n, name.p[0] | 0x20, name.p[name.n * 3 / 4] | 0x20)];
    return scan_same(name, names[id]) ? id : FIELD_OTHER;
}

struct slice fields_name(enum field_id id)
{
    return names[id];
}

static const struct field *find_id(const struct fields *f, uint32_t from, enum field_id id)
{
    for (uint32_t i = from; i < f->count; i++)
        if (f->at[i].id == id)
            return &f->at[i];
    return NULL;
}

const struct field *fields_get(const struct fields *f, enum field_id id)
{
    return fields_has(f, id) ? find_id(f, 0, id) : NULL;
}

const struct field *fields_next(const struct fields *f, const struct field *prev)
{
    return find_id(f, (uint32_t)(prev - f->at) + 1, prev->id);
}

const struct field *fields_find(const struct fields *f, struct slice name)
{
    for (uint32_t i = 0; i < f->count; i++)
        if (slice_ieq(f->at[i].name, name))
            return &f->at[i];
    return NULL;
}

bool fields_has_item(const struct fields *f, enum field_id id, struct slice item)
{
    for (const struct field *l = fields_get(f, id); l; l = fields_next(f, l)) {
        struct slice rest = l->value, one;
        while (slice_next_item(&rest, &one))
            if (slice_ieq(one, item))
                return true;
    }
    return false;
}
