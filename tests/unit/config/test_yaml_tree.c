#include "config/yaml_tree.h"

#include "loaded.h"

struct parsed {
    struct arena arena;
    struct report report;
    struct yaml_tree_node *root;
};

static struct parsed parse(struct slice text)
{
    struct parsed p;
    struct expand_env env = {.lookup = loaded_env};
    arena_init(&p.arena);
    report_init(&p.report);
    report_source(&p.report, "t.yaml", text);
    p.root = yaml_tree_parse(&p.arena, &p.report, "t.yaml", text, &env);
    return p;
}

static void drop(struct parsed *p)
{
    report_fini(&p->report);
    arena_fini(&p->arena);
}

static struct parsed parse_good(const char *text)
{
    struct parsed p = parse(slice_str(text));
    if (!p.root || p.report.errors) {
        print_report(&p.report);
        fail_msg("refused:\n%s", text);
    }
    return p;
}

static void assert_at(const struct yaml_tree_node *n, uint32_t line, uint32_t column)
{
    assert_non_null(n);
    assert_int_equal(n->pos.line, line);
    assert_int_equal(n->pos.column, column);
    assert_string_equal(n->pos.file, "t.yaml");
}

static void test_every_node_knows_its_line_and_column(void **state)
{
    (void)state;
    struct parsed p = parse_good("a: 1\n"
                                 "b:\n"
                                 "  - x\n"
                                 "  - {c: \"y z\", d: [p, q]}\n"
                                 "\xc3\xa4: {e: f}\n");
    assert_at(p.root, 1, 1);
    assert_int_equal(p.root->kind, YAML_TREE_MAP);
    assert_int_equal(p.root->pairs_n, 3);
    assert_at(yaml_tree_get(p.root, "a"), 1, 4);
    struct yaml_tree_node *b = yaml_tree_get(p.root, "b");
    assert_int_equal(b->kind, YAML_TREE_LIST);
    assert_int_equal(b->items_n, 2);
    assert_at(b->items[0], 3, 5);
    assert_at(b->items[1], 4, 5);
    struct yaml_tree_node *c = yaml_tree_get(b->items[1], "c");
    assert_at(c, 4, 9);
    assert_slice(c->text, "y z");
    assert_at(yaml_tree_get(b->items[1], "d")->items[1], 4, 23);
    assert_int_equal(p.root->pairs[2].key_pos.line, 5);
    assert_at(yaml_tree_get(yaml_tree_get(p.root, "\xc3\xa4"), "e"), 5, 8);
    assert_null(yaml_tree_get(p.root, "nothing"));
    assert_null(yaml_tree_get(b, "a"));
    drop(&p);
}

static void test_empty_values_are_null_unless_quoted(void **state)
{
    (void)state;
    struct parsed p = parse_good("a:\nb: ~\nc: null\nd: \"\"\ne: 'null'\nf: x\n");
    static const bool expected[] = {true, true, true, false, false, false};
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        assert_int_equal(p.root->pairs[i].value->null, expected[i]);
    drop(&p);
}

static void test_an_empty_document_is_an_empty_map(void **state)
{
    (void)state;
    static const char *const rows[] = {"",      "\n\n", "# only a comment\n",
                                       "---\n", "~\n",  "---\n...\n"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct parsed p = parse_good(rows[i]);
        assert_int_equal(p.root->kind, YAML_TREE_MAP);
        assert_int_equal(p.root->pairs_n, 0);
        drop(&p);
    }
}

static void test_variables_are_put_into_values_but_not_into_keys(void **state)
{
    (void)state;
    struct parsed p = parse_good("${PORT}: '${PORT}'\nb: [\"x${PORT}\"]\n");
    assert_slice(p.root->pairs[0].key, "${PORT}");
    assert_slice(p.root->pairs[0].value->text, "8080");
    assert_slice(p.root->pairs[1].value->items[0]->text, "x8080");
    drop(&p);
}

static void test_an_alias_is_what_it_names(void **state)
{
    (void)state;
    struct parsed p = parse_good("a: &x {k: v}\nb: *x\nc: &y s\nd: [*y, *y]\ne: &x other\nf: *x\n");
    assert_ptr_equal(yaml_tree_get(p.root, "a"), yaml_tree_get(p.root, "b"));
    assert_slice(yaml_tree_get(p.root, "d")->items[1]->text, "s");
    assert_slice(yaml_tree_get(p.root, "f")->text, "other");
    drop(&p);
}

static void test_what_is_not_our_yaml_is_an_error_at_its_place(void **state)
{
    (void)state;
    static const struct {
        struct slice text;
        const char *place, *words;
    } rows[] = {
        {SLICE_INIT("a: 1\nb: 2\na: 3\n"), "3:1", "duplicate key \"a\": it is already in line 1"},
        {SLICE_INIT("x: {a: 1, b: 2, a: 3}\n"), "1:17", "duplicate key \"a\""},
        {SLICE_INIT("a: 1\n---\nb: 1\n"), "2:1", "second document"},
        {SLICE_INIT("a: *x\n"), "1:4", "there is no &x before it"},
        {SLICE_INIT("a: *x\nb: &x 1\n"), "1:4", "there is no &x before it"},
        {SLICE_INIT("a: &x [*x]\n"), "1:8", "*x contains itself"},
        {SLICE_INIT("a: &x\n  b: {c: *x}\n"), "2:10", "*x contains itself"},
        {SLICE_INIT("[a, b]: c\n"), "1:1", "a key must be a plain word"},
        {SLICE_INIT("? {a: b}\n: c\n"), "1:3", "a key must be a plain word"},
        {SLICE_INIT("a: &x k\n*x : v\n"), "1:4", "a key must be a plain word"},
        {SLICE_INIT("a: !!str 5\n"), "1:4", "tags"},
        {SLICE_INIT("a: !x [5]\n"), "1:4", "tags"},
        {SLICE_INIT("a: !x {b: 5}\n"), "1:4", "tags"},
        {SLICE_INIT("a: [1, 2\n"), "2:1", "not YAML"},
        {SLICE_INIT("a: 1\n b: 2\n"), "2:3", "not YAML"},
        {SLICE_INIT("a:\n\tb: 1\n"), "2:1", "tab"},
        {SLICE_INIT("a: \"x\n"), "2:1", "not YAML"},
        {SLICE_INIT("a: 1\nb: \xff\n"), "2:4", "not UTF-8"},
        {SLICE_INIT("\xc3\xa4\xc3\xa4: \xc3\n"), "1:6", "not UTF-8"},
        {SLICE_INIT("a: \xed\xa0\x80\n"), "1:4", "not UTF-8"},
        {SLICE_INIT("a: \xc0\x80\n"), "1:4", "not UTF-8"},
        {SLICE_INIT("a: b\0c\n"), "1:5", "not UTF-8"},
        {SLICE_INIT("a: \x07\n"), "1:4", "not UTF-8"},
        {SLICE_INIT("a: ${MISSING}\n"), "1:4", "$MISSING is not set"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct parsed p = parse(rows[i].text);
        if (p.report.errors != 1 ||
            !find_entry(&p.report, REPORT_ERROR, rows[i].place, rows[i].words)) {
            print_report(&p.report);
            fail_msg("expected one error at %s with \"%s\": %s", rows[i].place, rows[i].words,
                     rows[i].text.p);
        }
        drop(&p);
    }
}

static void test_utf16_is_not_taken_for_text(void **state)
{
    (void)state;
    struct parsed p = parse(SLICE("\xff\xfe"
                                  "a\0:\0 \0b\0\n\0"));
    assert_null(p.root);
    assert_int_equal(p.report.errors, 1);
    drop(&p);
}

static void test_a_byte_order_mark_of_utf8_is_skipped(void **state)
{
    (void)state;
    struct parsed p = parse_good("\xef\xbb\xbf"
                                 "a: b\n");
    assert_non_null(yaml_tree_get(p.root, "a"));
    drop(&p);
}

static void fill(char *to, const char *what, size_t times)
{
    *to = '\0';
    for (size_t i = 0; i < times; i++)
        to = stpcpy(to, what);
}

static void test_nesting_stops_at_its_limit(void **state)
{
    (void)state;
    char text[200];
    fill(text, "[", YAML_TREE_DEPTH_MAX);
    fill(text + YAML_TREE_DEPTH_MAX, "]", YAML_TREE_DEPTH_MAX);
    struct parsed p = parse_good(text);
    drop(&p);
    fill(text, "[", YAML_TREE_DEPTH_MAX + 1);
    fill(text + YAML_TREE_DEPTH_MAX + 1, "]", YAML_TREE_DEPTH_MAX + 1);
    p = parse(slice_str(text));
    assert_null(p.root);
    assert_non_null(find_entry(&p.report, REPORT_ERROR, "1:33", "nested deeper than 32"));
    drop(&p);
}

/* `a: &x [...]` of 99 values is a node of weight 100; a hundred aliases to it are 10,000 nodes. */
static void test_aliases_stand_for_10000_nodes_at_most(void **state)
{
    (void)state;
    char text[4000], *to = text + sprintf(text, "a: &x [0");
    for (size_t i = 1; i < 99; i++)
        to += sprintf(to, ",0");
    to += sprintf(to, "]\nb: [*x");
    for (size_t i = 1; i < 100; i++)
        to += sprintf(to, ",*x");
    strcpy(to, "]\n");
    struct parsed p = parse_good(text);
    drop(&p);
    strcpy(to, ",*x]\n");
    p = parse(slice_str(text));
    assert_null(p.root);
    assert_int_equal(p.report.errors, 1);
    assert_non_null(strstr(p.report.first->message, "more than 10000 values"));
    drop(&p);
}

static void test_ten_lines_of_aliases_do_not_grow_into_a_billion_nodes(void **state)
{
    (void)state;
    char text[2000], *to = text + sprintf(text, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 10; i++)
        to += sprintf(to, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1,
                      i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    struct parsed p = parse(slice_str(text));
    assert_null(p.root);
    assert_int_equal(p.report.errors, 1);
    assert_true(p.arena.total_bytes < 1 << 20);
    drop(&p);
}

static void test_anchors_are_bounded(void **state)
{
    (void)state;
    char *text = malloc(20000), *to = text;
    for (int i = 0; i < 1000; i++)
        to += sprintf(to, "- &a%d x\n", i);
    struct parsed p = parse_good(text);
    drop(&p);
    strcpy(to, "- &more x\n");
    p = parse(slice_str(text));
    assert_null(p.root);
    assert_non_null(find_entry(&p.report, REPORT_ERROR, "1001:3", "more than 1000 anchors"));
    drop(&p);
    free(text);
}

static void test_text_cut_anywhere_gives_a_tree_or_an_error(void **state)
{
    (void)state;
    static const char text[] =
        "a: &x {k: [v, \"w\\n\", '\xc3\xa4']}\nb: *x\nc: |\n  block\n  text\nd: [~]\n";
    for (size_t n = 0; n < sizeof(text); n++) {
        char *copy = malloc(n + 1); /* exactly as long, so that ASAN sees a step too far */
        memcpy(copy, text, n);
        struct parsed p = parse(slice_of(copy, n));
        assert_int_equal(p.root == NULL, p.report.errors > 0);
        drop(&p);
        free(copy);
    }
}

static void test_many_duplicate_keys_are_found_fast(void **state)
{
    (void)state;
    size_t n = 200000;
    char *text = malloc(n * 12), *to = text;
    for (size_t i = 0; i < n; i++)
        to += sprintf(to, "k%zu: x\n", i);
    strcpy(to, "k7: y\n");
    struct parsed p = parse(slice_str(text));
    assert_int_equal(p.report.errors, 1);
    assert_non_null(find_entry(&p.report, REPORT_ERROR, "200001:1", "already in line 8"));
    drop(&p);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_node_knows_its_line_and_column),
        cmocka_unit_test(test_empty_values_are_null_unless_quoted),
        cmocka_unit_test(test_an_empty_document_is_an_empty_map),
        cmocka_unit_test(test_variables_are_put_into_values_but_not_into_keys),
        cmocka_unit_test(test_an_alias_is_what_it_names),
        cmocka_unit_test(test_what_is_not_our_yaml_is_an_error_at_its_place),
        cmocka_unit_test(test_utf16_is_not_taken_for_text),
        cmocka_unit_test(test_a_byte_order_mark_of_utf8_is_skipped),
        cmocka_unit_test(test_nesting_stops_at_its_limit),
        cmocka_unit_test(test_aliases_stand_for_10000_nodes_at_most),
        cmocka_unit_test(test_ten_lines_of_aliases_do_not_grow_into_a_billion_nodes),
        cmocka_unit_test(test_anchors_are_bounded),
        cmocka_unit_test(test_text_cut_anywhere_gives_a_tree_or_an_error),
        cmocka_unit_test(test_many_duplicate_keys_are_found_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
