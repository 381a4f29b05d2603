/* The decoder that works from the rows of schema_*.c. A value that is wrong is reported and the
 * default put in its place, so that the rest of the file is still looked at. */
#include "config/schema.h"

#include "base/check.h"
#include "config/nearest.h"
#include "config/scalar.h"

/* Of a value, in a message. */
#define SHOWN_MAX 60

static bool is_number(const struct schema_key *key)
{
    return key->type == SCHEMA_NUMBER || key->type == SCHEMA_DURATION || key->type == SCHEMA_SIZE;
}

const struct schema_key *schema_find(const struct schema_key *keys, struct slice name)
{
    for (const struct schema_key *k = keys; k->name; k++)
        if (slice_eq(slice_str(k->name), name))
            return k;
    return NULL;
}

/* --- messages --- */

static void expect_words(const struct schema_word *words, struct strbuf *out)
{
    const char *between = "one of ";
    for (const struct schema_word *w = words; w->text; w++) {
        if (!w->built)
            continue;
        strbuf_printf(out, "%s%s", between, w->text);
        between = ", ";
    }
}

static void expect_number(const struct schema_key *key, struct strbuf *out)
{
    char min[SCALAR_TEXT_MAX], max[SCALAR_TEXT_MAX];
    if (key->type == SCHEMA_DURATION) {
        scalar_show_duration(min, key->min);
        scalar_show_duration(max, key->max);
        strbuf_printf(out, "a duration such as 500ms, 30s, 5m or 1d, from %s to %s", min, max);
    } else if (key->type == SCHEMA_SIZE) {
        scalar_show_size(min, key->min);
        scalar_show_size(max, key->max);
        strbuf_printf(out, "a size such as 512B, 64KiB or 1MiB, from %s to %s", min, max);
    } else {
        strbuf_printf(out, "a number from %llu to %llu", (unsigned long long)key->min,
                      (unsigned long long)key->max);
    }
    if (key->none)
        strbuf_str(out, ", or none");
}

static void expect_keys(const struct schema_key *keys, struct strbuf *out)
{
    const char *between = "a map with the keys ";
    for (const struct schema_key *k = keys; k->name; k++) {
        if (k->built == SCHEMA_NOT_BUILT)
            continue;
        strbuf_printf(out, "%s%s", between, k->name);
        between = ", ";
    }
}

static void expect_type(const struct schema_key *key, struct strbuf *out)
{
    if (key->expected)
        strbuf_str(out, key->expected);
    else if (key->type == SCHEMA_MAP)
        expect_keys(key->keys, out);
    else if (key->type == SCHEMA_LIST)
        strbuf_str(out, "a list");
    else if (key->type == SCHEMA_BOOL)
        strbuf_str(out, "true or false");
    else if (is_number(key))
        expect_number(key, out);
    else if (key->type == SCHEMA_WORD)
        expect_words(key->words, out);
    else if (key->type == SCHEMA_NAME)
        strbuf_str(out, "a name of 1 to 64 letters, digits, dots, dashes and underscores");
    else
        strbuf_printf(out, "a text of %llu to %llu bytes on one line", (unsigned long long)key->min,
                      (unsigned long long)key->max);
}

void schema_expected(const struct schema_key *key, struct strbuf *out)
{
    if (key->built == SCHEMA_ONLY_DEFAULT) {
        strbuf_printf(out, "%s: nothing else is built in this version", key->def);
        return;
    }
    expect_type(key, out);
    if (key->def && *key->def)
        strbuf_printf(out, "; default %s", key->def);
}

static void add_expected(struct schema_ctx *x, struct report_entry *e, const struct schema_key *key)
{
    struct strbuf text;
    strbuf_init(&text);
    schema_expected(key, &text);
    report_expected(x->report, e, strbuf_get(&text));
    strbuf_fini(&text);
}

struct report_entry *schema_complain(struct schema_ctx *x, const struct schema_key *key,
                                     const struct yaml_tree_node *node, const char *message)
{
    struct report_entry *e;
    if (node->kind == YAML_TREE_SCALAR && !node->null)
        e = report_error(x->report, node->pos, "%s: \"%.*s\" %s", key->name, SHOWN_MAX,
                         node->text.p, message);
    else
        e = report_error(x->report, node->pos, "%s %s", key->name, message);
    add_expected(x, e, key);
    return e;
}

void schema_not_built(struct schema_ctx *x, struct config_pos pos, const char *what)
{
    report_error(x->report, pos, "%s is not built in this version of tenbin", what);
}

static const char *wrong_kind(const struct yaml_tree_node *node)
{
    if (node->kind == YAML_TREE_SCALAR && node->null)
        return "has no value";
    if (node->kind == YAML_TREE_SCALAR)
        return "is not the right kind of value";
    return node->kind == YAML_TREE_LIST ? "cannot be a list" : "cannot be a map";
}

/* Where else in the tables this key exists, as "listeners.attributes"; false when nowhere. */
static bool find_elsewhere(const struct schema_key *keys, struct slice name, struct strbuf *path)
{
    for (const struct schema_key *k = keys; k->name; k++) {
        if (!k->keys)
            continue;
        size_t before = path->n;
        strbuf_printf(path, "%s%s", before ? "." : "", k->name);
        if (schema_find(k->keys, name) || find_elsewhere(k->keys, name, path))
            return true;
        path->n = before;
        path->p[before] = '\0';
    }
    return false;
}

static void unknown_key(struct schema_ctx *x, const struct schema_key *keys, const char *what,
                        const struct yaml_tree_pair *pair)
{
    struct report_entry *e = report_error(x->report, pair->key_pos, "unknown key \"%.*s\" in %s",
                                          SHOWN_MAX, pair->key.p, what);
    struct nearest near = nearest_to(pair->key);
    struct strbuf path, expected;
    strbuf_init(&path);
    strbuf_init(&expected);
    for (const struct schema_key *k = keys; k->name; k++)
        nearest_try(&near, k->name);
    expect_keys(keys, &expected);
    report_expected(x->report, e, strbuf_get(&expected));
    report_suggest(x->report, e, nearest_best(&near));
    if (schema_find(schema_root_keys, pair->key))
        report_hint(x->report, e, "it is a key of the file itself");
    else if (find_elsewhere(schema_root_keys, pair->key, &path))
        report_hint(x->report, e, "it is a key of %s", path.p);
    strbuf_fini(&path);
    strbuf_fini(&expected);
}

/* --- scalars --- */

static void store(const struct schema_key *key, void *to, uint64_t v)
{
    uint32_t v32 = (uint32_t)v;
    uint16_t v16 = (uint16_t)v;
    uint8_t v8 = (uint8_t)v;
    switch (key->width) {
    case 0: /* a switch without a member: its only position needs none */
        break;
    case 1:
        memcpy(to, &v8, 1);
        break;
    case 2:
        memcpy(to, &v16, 2);
        break;
    case 4:
        memcpy(to, &v32, 4);
        break;
    default:
        CHECK(key->width == 8);
        memcpy(to, &v, 8);
    }
}

static const struct schema_word *find_word(const struct schema_key *key, struct slice text)
{
    for (const struct schema_word *w = key->words; w->text; w++)
        if (slice_eq(slice_str(w->text), text))
            return w;
    return NULL;
}

static bool parse_number(const struct schema_key *key, struct slice text, uint64_t *v)
{
    if (key->none && slice_eq(text, SLICE("none"))) {
        *v = CONFIG_NONE;
        return true;
    }
    if (key->type == SCHEMA_DURATION)
        return scalar_duration(text, v);
    return key->type == SCHEMA_SIZE ? scalar_size(text, v) : slice_u64(text, v);
}

static bool in_range(const struct schema_key *key, uint64_t v)
{
    return (v >= key->min && v <= key->max) || (key->none && v == CONFIG_NONE);
}

static const char *not_a_number(const struct schema_key *key, struct slice text)
{
    uint64_t bare;
    if (key->type != SCHEMA_NUMBER && slice_u64(text, &bare))
        return "has no unit";
    return key->type == SCHEMA_DURATION ? "is not a duration"
           : key->type == SCHEMA_SIZE   ? "is not a size"
                                        : "is not a number";
}

/* The number that stands for the text, for rows that keep one. NULL, or what is wrong. */
static const char *parse(const struct schema_key *key, struct slice text, uint64_t *v)
{
    if (key->type == SCHEMA_BOOL) {
        bool on;
        if (!scalar_bool(text, &on))
            return "is not a switch";
        *v = on;
        return NULL;
    }
    if (key->type == SCHEMA_WORD) {
        const struct schema_word *w = find_word(key, text);
        if (!w)
            return "is not one of the words known here";
        *v = (uint64_t)w->value;
        return NULL;
    }
    if (!parse_number(key, text, v))
        return not_a_number(key, text);
    return in_range(key, *v) ? NULL : "is out of range";
}

static void suggest_word(struct schema_ctx *x, struct report_entry *e, const struct schema_key *key,
                         struct slice text)
{
    struct nearest near = nearest_to(text);
    /* A number that is near another means nothing. */
    for (const struct schema_word *w = key->words; w->text; w++)
        if (*w->text > '9')
            nearest_try(&near, w->text);
    report_suggest(x->report, e, nearest_best(&near));
}

static bool is_built(struct schema_ctx *x, const struct schema_key *key,
                     const struct yaml_tree_node *node, uint64_t v)
{
    uint64_t only;
    bool built = true;
    if (key->built == SCHEMA_ONLY_DEFAULT)
        built = !parse(key, slice_str(key->def), &only) && v == only;
    else if (key->type == SCHEMA_WORD)
        built = find_word(key, node->text)->built;
    if (!built)
        schema_complain(x, key, node, "is not built in this version of tenbin");
    return built;
}

static bool decode_number(struct schema_ctx *x, const struct schema_key *key,
                          const struct yaml_tree_node *node, void *to)
{
    uint64_t v = 0;
    const char *wrong = parse(key, node->text, &v);
    if (wrong) {
        struct report_entry *e = schema_complain(x, key, node, wrong);
        if (key->type == SCHEMA_WORD)
            suggest_word(x, e, key, node->text);
        return false;
    }
    if (!is_built(x, key, node, v))
        return false;
    store(key, to, v);
    return true;
}

static bool decode_text(struct schema_ctx *x, const struct schema_key *key,
                        const struct yaml_tree_node *node, struct slice *to)
{
    bool good;
    if (key->type == SCHEMA_NAME)
        good = scalar_is_name(node->text);
    else
        good = scalar_is_line(node->text) && node->text.n >= key->min && node->text.n <= key->max;
    if (!good)
        schema_complain(x, key, node, "cannot be used here");
    *to = arena_slice(x->arena, node->text);
    return good;
}

static bool is_text(const struct schema_key *key)
{
    return key->type == SCHEMA_NAME || key->type == SCHEMA_TEXT;
}

static void scalar_default(struct schema_ctx *x, const struct schema_key *key, void *to)
{
    uint64_t v = 0;
    if (!key->def)
        return;
    if (is_text(key)) {
        *(struct slice *)to = arena_slice(x->arena, slice_str(key->def));
        return;
    }
    CHECK(!parse(key, slice_str(key->def), &v));
    store(key, to, v);
}

bool schema_scalar(struct schema_ctx *x, const struct schema_key *key,
                   const struct yaml_tree_node *node, void *to)
{
    bool good = false;
    if (node->kind != YAML_TREE_SCALAR || node->null)
        schema_complain(x, key, node, wrong_kind(node));
    else
        good = is_text(key) ? decode_text(x, key, node, to) : decode_number(x, key, node, to);
    /* A bad text is kept: names that refer to it are then not wrong as well. */
    if (!good && !is_text(key))
        scalar_default(x, key, to);
    return good;
}

/* --- lists and maps --- */

static void decode_items(struct schema_ctx *x, const struct schema_key *key,
                         struct yaml_tree_node *const *items, size_t n, void *base)
{
    char *array = arena_zalloc(x->arena, n * key->size);
    memcpy((char *)base + key->at, &array, sizeof(array));
    memcpy((char *)base + key->count_at, &n, sizeof(n));
    for (size_t i = 0; i < n; i++) {
        if (key->decode)
            key->decode(x, key, items[i], array + i * key->size);
        else
            schema_map(x, key->keys, key->name, items[i], array + i * key->size);
    }
}

static void decode_list(struct schema_ctx *x, const struct schema_key *key,
                        struct yaml_tree_node *node, void *base)
{
    struct yaml_tree_node *const *items = &node;
    size_t n = 1;
    if (node->kind == YAML_TREE_LIST) {
        items = node->items;
        n = node->items_n;
    } else if (!key->one_or_many || node->null) {
        schema_complain(x, key, node, wrong_kind(node));
        return;
    }
    if (n < key->min)
        schema_complain(x, key, node, "cannot be an empty list");
    decode_items(x, key, items, n, base);
}

static void decode_map(struct schema_ctx *x, const struct schema_key *key,
                       const struct yaml_tree_node *node, void *to)
{
    if (node && node->kind != YAML_TREE_MAP) {
        schema_complain(x, key, node, wrong_kind(node));
        node = NULL;
    }
    schema_map(x, key->keys, key->name, node, to);
    if (node && key->check)
        key->check(x, node, to);
}

static void decode_key(struct schema_ctx *x, const struct schema_key *key,
                       const struct yaml_tree_pair *pair, void *base)
{
    char *member = (char *)base + key->at;
    if (key->built == SCHEMA_NOT_BUILT)
        schema_not_built(x, pair->key_pos, key->name);
    else if (key->type == SCHEMA_MAP)
        decode_map(x, key, pair->value, member);
    else if (key->type == SCHEMA_LIST)
        decode_list(x, key, pair->value, base);
    else if (key->type == SCHEMA_CUSTOM)
        key->decode(x, key, pair->value, member);
    else
        schema_scalar(x, key, pair->value, member);
}

static void fill_default(struct schema_ctx *x, const struct schema_key *key, void *base)
{
    char *member = (char *)base + key->at;
    if (key->built == SCHEMA_NOT_BUILT || key->type == SCHEMA_LIST)
        return;
    if (key->type == SCHEMA_MAP)
        decode_map(x, key, NULL, member);
    else if (key->type != SCHEMA_CUSTOM)
        scalar_default(x, key, member);
    else if (key->def)
        key->decode(x, key, NULL, member);
}

void schema_missing(struct schema_ctx *x, const struct schema_key *key, const char *what,
                    const struct yaml_tree_node *map)
{
    add_expected(
        x, report_error(x->report, map->pos, "%s: the key \"%s\" is missing", what, key->name),
        key);
}

void schema_map(struct schema_ctx *x, const struct schema_key *keys, const char *what,
                const struct yaml_tree_node *node, void *to)
{
    uint64_t seen = 0;
    if (node && node->kind != YAML_TREE_MAP) {
        struct schema_key map = {.name = what, .type = SCHEMA_MAP, .keys = keys};
        schema_complain(x, &map, node, wrong_kind(node));
        node = NULL;
    }
    for (size_t i = 0; node && i < node->pairs_n; i++) {
        const struct yaml_tree_pair *pair = &node->pairs[i];
        const struct schema_key *key = schema_find(keys, pair->key);
        if (!key) {
            unknown_key(x, keys, what, pair);
            continue;
        }
        seen |= 1ull << (key - keys);
        decode_key(x, key, pair, to);
    }
    for (const struct schema_key *k = keys; k->name; k++) {
        if (seen & 1ull << (k - keys))
            continue;
        if (node && k->required)
            schema_missing(x, k, what, node);
        fill_default(x, k, to);
    }
}

const struct schema_key *schema_only_key(struct schema_ctx *x, const struct schema_key *keys,
                                         const char *what, const struct yaml_tree_node *node,
                                         const struct yaml_tree_node **value)
{
    struct schema_key map = {.name = what, .type = SCHEMA_MAP, .keys = keys};
    if (node->kind != YAML_TREE_MAP || node->pairs_n != 1) {
        schema_complain(x, &map, node, "must have exactly one key");
        return NULL;
    }
    const struct yaml_tree_pair *pair = &node->pairs[0];
    const struct schema_key *key = schema_find(keys, pair->key);
    if (!key) {
        unknown_key(x, keys, what, pair);
        return NULL;
    }
    if (key->built == SCHEMA_NOT_BUILT) {
        schema_not_built(x, pair->key_pos, key->name);
        return NULL;
    }
    *value = pair->value;
    return key;
}
