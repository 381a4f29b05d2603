/* The tables themselves, and conf/reference.yaml, which must say the same as they do. */
#include "config/schema.h"

#include "config/schema_tables.h"
#include "loaded.h"

#define REFERENCE  "conf/reference.yaml"
#define TABLES_MAX 64

/* --- every table --- */

struct tables {
    const struct schema_key *all[TABLES_MAX];
    size_t n;
};

static void collect(struct tables *t, const struct schema_key *keys)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->all[i] == keys)
            return;
    assert_true(t->n < TABLES_MAX);
    t->all[t->n++] = keys;
    for (const struct schema_key *k = keys; k->name; k++)
        if (k->keys)
            collect(t, k->keys);
}

static void for_each_row(void check(const struct schema_key *k))
{
    struct tables t = {0};
    collect(&t, schema_root_keys);
    assert_true(t.n > 20);
    for (size_t i = 0; i < t.n; i++)
        for (const struct schema_key *k = t.all[i]; k->name; k++)
            check(k);
}

static void row_is_whole(const struct schema_key *k)
{
    assert_non_null(k->meaning);
    assert_true(strlen(k->meaning) > 0 && !strchr(k->meaning, '\n'));
    if (k->built == SCHEMA_NOT_BUILT)
        return;
    assert_true(k->type != SCHEMA_MAP || k->keys);
    assert_true(k->type != SCHEMA_LIST || (k->size && (k->keys || k->decode)));
    assert_true(k->type != SCHEMA_CUSTOM || k->decode);
    assert_true(k->type != SCHEMA_WORD || k->words);
    assert_true(k->built != SCHEMA_ONLY_DEFAULT || (k->def && !k->width));
    assert_false(k->required && k->def);
    if (k->type == SCHEMA_NUMBER || k->type == SCHEMA_DURATION || k->type == SCHEMA_SIZE)
        assert_true(k->min <= k->max && k->max > 0);
    if (k->type == SCHEMA_TEXT)
        assert_true(k->max > 0);
    if (k->width == 4 && !k->none && k->type != SCHEMA_WORD)
        assert_true(k->max <= UINT32_MAX);
    if (k->none && k->built == SCHEMA_BUILT)
        assert_int_equal(k->width, 8);
}

static void test_every_row_is_whole(void **state)
{
    (void)state;
    for_each_row(row_is_whole);
}

static void test_no_table_has_a_key_twice_or_more_than_64(void **state)
{
    (void)state;
    struct tables t = {0};
    collect(&t, schema_root_keys);
    for (size_t i = 0; i < t.n; i++) {
        const struct schema_key *k = t.all[i];
        for (; k->name; k++)
            if (schema_find(t.all[i], slice_str(k->name)) != k)
                fail_msg("%s is there twice", k->name);
        assert_true(k - t.all[i] <= 64);
    }
}

/* A default goes through the same parser as what a user types. */
static void default_is_good(const struct schema_key *k)
{
    union {
        uint64_t number;
        struct slice text;
    } to = {0};
    struct arena a;
    struct report r;
    bool scalar = k->type != SCHEMA_CUSTOM && k->type != SCHEMA_MAP && k->type != SCHEMA_LIST;
    if (k->built == SCHEMA_NOT_BUILT || !k->def || !scalar)
        return;
    arena_init(&a);
    report_init(&r);
    struct schema_ctx x = {.arena = &a, .report = &r};
    struct yaml_tree_node n = {
        .kind = YAML_TREE_SCALAR, .pos = {"t.yaml", 1, 1}, .text = slice_str(k->def)};
    if (!schema_scalar(&x, k, &n, &to))
        fail_msg("%s: its default %s is refused", k->name, k->def);
    report_fini(&r);
    arena_fini(&a);
}

static void test_every_default_is_a_good_value(void **state)
{
    (void)state;
    for_each_row(default_is_good);
}

/* What was given as CONFIG_NONE, a range or a word is what a message says. */
static void test_what_is_expected_names_type_range_and_default(void **state)
{
    (void)state;
    static const struct schema_word words[] = {
        {"up", 1, true}, {"down", 2, true}, {"sideways", 3, false}, SCHEMA_WORDS_END};
    static const struct {
        struct schema_key key;
        const char *text;
    } rows[] = {
        {{.type = SCHEMA_BOOL, .def = "on"}, "true or false; default on"},
        {{.type = SCHEMA_NUMBER, .min = 1, .max = 9}, "a number from 1 to 9"},
        {{.type = SCHEMA_NUMBER, .max = 9, .none = true, .def = "none"},
         "a number from 0 to 9, or none; default none"},
        {{.type = SCHEMA_DURATION, .min = 100, .max = 3600000, .def = "60s"},
         "a duration such as 500ms, 30s, 5m or 1d, from 100ms to 1h; default 60s"},
        {{.type = SCHEMA_SIZE, .min = 64, .max = 65536},
         "a size such as 512B, 64KiB or 1MiB, from 64B to 64KiB"},
        {{.type = SCHEMA_WORD, .words = words, .def = "up"}, "one of up, down; default up"},
        {{.type = SCHEMA_BOOL, .built = SCHEMA_ONLY_DEFAULT, .def = "false"},
         "false: nothing else is built in this version"},
        {{.type = SCHEMA_TEXT, .min = 1, .max = 5}, "a text of 1 to 5 bytes on one line"},
        {{.type = SCHEMA_LIST}, "a list"},
        {{.type = SCHEMA_CUSTOM, .expected = "a fish", .def = ""}, "a fish"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct strbuf out;
        strbuf_init(&out);
        schema_expected(&rows[i].key, &out);
        assert_string_equal(out.p, rows[i].text);
        strbuf_fini(&out);
    }
}

/* --- the reference --- */

struct reference {
    struct strbuf text; /* the file with its `#~` lines made real */
    char **lines;       /* the file as it is, by number - 1 */
    size_t lines_n;
    struct arena arena;
    struct report report;
    struct yaml_tree_node *root;
};

static void read_lines(struct reference *r)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    FILE *f = fopen(REFERENCE, "r");
    assert_non_null(f);
    while ((n = getline(&line, &cap, f)) >= 0) {
        r->lines = realloc(r->lines, (r->lines_n + 1) * sizeof(*r->lines));
        r->lines[r->lines_n++] = strdup(line);
        char *mark = strstr(line, "#~");
        if (mark && strspn(line, " ") == (size_t)(mark - line)) {
            strbuf_add(&r->text, line, (size_t)(mark - line));
            strbuf_str(&r->text, mark + 3);
        } else {
            strbuf_add(&r->text, line, (size_t)n);
        }
    }
    free(line);
    fclose(f);
}

static int open_reference(void **state)
{
    struct expand_env env = {0};
    struct reference *r = calloc(1, sizeof(*r));
    strbuf_init(&r->text);
    arena_init(&r->arena);
    report_init(&r->report);
    read_lines(r);
    report_source(&r->report, REFERENCE, strbuf_get(&r->text));
    r->root = yaml_tree_parse(&r->arena, &r->report, REFERENCE, strbuf_get(&r->text), &env);
    print_report(&r->report);
    *state = r;
    return r->root && r->report.errors == 0 ? 0 : -1;
}

static int close_reference(void **state)
{
    struct reference *r = *state;
    for (size_t i = 0; i < r->lines_n; i++)
        free(r->lines[i]);
    free(r->lines);
    strbuf_fini(&r->text);
    report_fini(&r->report);
    arena_fini(&r->arena);
    free(r);
    return 0;
}

/* One place in the reference where a table's keys stand. */
typedef void visit(struct reference *r, const struct schema_key *keys,
                   const struct yaml_tree_node *map, void *ctx);

static void walk(struct reference *r, const struct schema_key *keys,
                 const struct yaml_tree_node *node, visit *f, void *ctx)
{
    for (size_t i = 0; node->kind == YAML_TREE_LIST && i < node->items_n; i++)
        walk(r, keys, node->items[i], f, ctx);
    if (node->kind != YAML_TREE_MAP)
        return;
    f(r, keys, node, ctx);
    for (size_t i = 0; i < node->pairs_n; i++) {
        const struct schema_key *k = schema_find(keys, node->pairs[i].key);
        if (k && k->keys)
            walk(r, k->keys, node->pairs[i].value, f, ctx);
    }
}

static void no_unknown_key(struct reference *r, const struct schema_key *keys,
                           const struct yaml_tree_node *map, void *ctx)
{
    (void)r, (void)ctx;
    for (size_t i = 0; i < map->pairs_n; i++)
        if (!schema_find(keys, map->pairs[i].key))
            fail_msg(REFERENCE ":%u: %s is no key", map->pairs[i].key_pos.line,
                     map->pairs[i].key.p);
}

static void test_the_reference_has_no_key_that_does_not_exist(void **state)
{
    struct reference *r = *state;
    walk(r, schema_root_keys, r->root, no_unknown_key, NULL);
}

/* The row looked for, and what was found of it. */
struct wanted {
    const struct schema_key *keys, *key;
    size_t times;
    bool explained, has_default;
};

static bool shows_default(const struct schema_key *k, const struct yaml_tree_node *value)
{
    return value->kind == YAML_TREE_SCALAR && slice_eq(value->text, slice_str(k->def));
}

static void look_for(struct reference *r, const struct schema_key *keys,
                     const struct yaml_tree_node *map, void *ctx)
{
    struct wanted *w = ctx;
    for (size_t i = 0; keys == w->keys && i < map->pairs_n; i++) {
        const struct yaml_tree_pair *pair = &map->pairs[i];
        if (schema_find(keys, pair->key) != w->key)
            continue;
        const char *comment = strstr(r->lines[pair->key_pos.line - 1], " # ");
        w->times++;
        w->explained |= comment && strstr(comment, w->key->meaning);
        w->has_default |= !w->key->def || shows_default(w->key, pair->value);
    }
}

static void check_key(struct reference *r, const struct schema_key *keys,
                      const struct schema_key *k)
{
    struct wanted w = {.keys = keys, .key = k};
    walk(r, schema_root_keys, r->root, look_for, &w);
    if (w.times == 0)
        fail_msg(REFERENCE " does not show %s (%s)", k->name, k->meaning);
    if (!w.explained)
        fail_msg(REFERENCE " does not say of %s: %s", k->name, k->meaning);
    if (!w.has_default)
        fail_msg(REFERENCE " does not show the default of %s: %s", k->name, k->def);
}

static void test_the_reference_shows_every_key_with_meaning_and_default(void **state)
{
    struct tables t = {0};
    collect(&t, schema_root_keys);
    for (size_t i = 0; i < t.n; i++)
        for (const struct schema_key *k = t.all[i]; k->name; k++)
            check_key(*state, t.all[i], k);
}

static void commented_when_not_built(struct reference *r, const struct schema_key *keys,
                                     const struct yaml_tree_node *map, void *ctx)
{
    (void)ctx;
    for (size_t i = 0; i < map->pairs_n; i++) {
        const struct schema_key *k = schema_find(keys, map->pairs[i].key);
        const char *line = r->lines[map->pairs[i].key_pos.line - 1];
        bool commented = strncmp(line + strspn(line, " "), "#~", 2) == 0;
        bool says_so = strstr(line, "# not built yet: ") != NULL;
        if (!k)
            continue;
        if (k->built == SCHEMA_NOT_BUILT && !(commented && says_so))
            fail_msg(REFERENCE ": not marked as not built: %s", line);
        if (k->built != SCHEMA_NOT_BUILT && (commented || says_so))
            fail_msg(REFERENCE ": marked as not built, but it is: %s", line);
        if (k->built == SCHEMA_ONLY_DEFAULT && !strstr(line, "not built yet)"))
            fail_msg(REFERENCE ": does not say what of it is not built: %s", line);
    }
}

static void test_the_reference_marks_what_is_not_built(void **state)
{
    struct reference *r = *state;
    walk(r, schema_root_keys, r->root, commented_when_not_built, NULL);
}

static void words_say_what_is_not_built(const struct schema_key *k)
{
    if (k->built != SCHEMA_BUILT || !k->words)
        return;
    for (const struct schema_word *w = k->words; w->text; w++)
        if (!w->built && !strstr(k->meaning, "not built yet"))
            fail_msg("%s: %s is not built, and its meaning does not say so", k->name, w->text);
}

static void test_meanings_tell_which_words_are_not_built(void **state)
{
    (void)state;
    for_each_row(words_say_what_is_not_built);
}

static void test_our_own_files_load_without_a_warning(void **state)
{
    (void)state;
    static const char *const files[] = {REFERENCE, "conf/minimal.yaml", "conf/quickstart.yaml"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct report r;
        report_init(&r);
        struct config *c = load_path(files[i], &loaded_options, &r);
        print_report(&r);
        assert_non_null(c);
        assert_int_equal(r.warnings, 0);
        model_free(c);
        report_fini(&r);
    }
}

/* --- not built --- */

/* Each unbuilt key and word, wherever it stands, is refused as such and not as unknown. */
static void refuse_row(const struct schema_key *keys, const struct schema_key *k)
{
    struct arena a;
    struct report r;
    uint64_t scratch[512] = {0};
    arena_init(&a);
    report_init(&r);
    struct schema_ctx x = {.arena = &a, .report = &r, .root = ""};
    struct yaml_tree_node value = {.kind = YAML_TREE_SCALAR, .text = SLICE("x")};
    struct yaml_tree_pair pair = {slice_str(k->name), {"t.yaml", 1, 1}, &value};
    struct yaml_tree_node map = {.kind = YAML_TREE_MAP, .pairs = &pair, .pairs_n = 1};
    schema_map(&x, keys, "here", &map, scratch);
    bool told = false;
    for (struct report_entry *e = r.first; e; e = e->next)
        told |= strstr(e->message, k->name) && strstr(e->message, "not built in this version");
    if (!told)
        fail_msg("%s is not refused as not built", k->name);
    report_fini(&r);
    arena_fini(&a);
}

static void test_every_key_that_is_not_built_says_so(void **state)
{
    (void)state;
    struct tables t = {0};
    size_t n = 0;
    collect(&t, schema_root_keys);
    for (size_t i = 0; i < t.n; i++)
        for (const struct schema_key *k = t.all[i]; k->name; k++)
            if (k->built == SCHEMA_NOT_BUILT) {
                refuse_row(t.all[i], k);
                n++;
            }
    assert_true(n > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_is_whole),
        cmocka_unit_test(test_no_table_has_a_key_twice_or_more_than_64),
        cmocka_unit_test(test_every_default_is_a_good_value),
        cmocka_unit_test(test_what_is_expected_names_type_range_and_default),
        cmocka_unit_test_setup_teardown(test_the_reference_has_no_key_that_does_not_exist,
                                        open_reference, close_reference),
        cmocka_unit_test_setup_teardown(test_the_reference_shows_every_key_with_meaning_and_default,
                                        open_reference, close_reference),
        cmocka_unit_test_setup_teardown(test_the_reference_marks_what_is_not_built, open_reference,
                                        close_reference),
        cmocka_unit_test(test_meanings_tell_which_words_are_not_built),
        cmocka_unit_test(test_our_own_files_load_without_a_warning),
        cmocka_unit_test(test_every_key_that_is_not_built_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
