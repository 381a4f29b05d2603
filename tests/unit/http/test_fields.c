#include "http/fields.h"

#include "heads.h"

static const struct {
    enum field_id id;
    const char *name;
} known[] = {
#define ROW(id, name, first, key) {FIELD_##id, name},
    FIELD_NAMES(ROW)
#undef ROW
};

static void test_every_known_name_has_its_id_in_any_case(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        char *name = heads_copy(slice_str(known[i].name));
        size_t n = strlen(known[i].name);
        assert_int_equal(fields_id(slice_of(name, n)), known[i].id);
        assert_slice(fields_name(known[i].id), known[i].name);
        for (size_t at = 0; at < n; at++)
            if (name[at] >= 'a')
                name[at] ^= 0x20;
        assert_int_equal(fields_id(slice_of(name, n)), known[i].id);
        free(name);
    }
}

static void test_a_name_with_one_octet_changed_has_no_id(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        size_t n = strlen(known[i].name);
        for (size_t at = 0; at < n; at++) {
            char *name = heads_copy(slice_str(known[i].name));
            name[at] = name[at] == 'q' ? 'j' : 'q';
            assert_int_equal(fields_id(slice_of(name, n)), FIELD_OTHER);
            name[at] = '_';
            assert_int_equal(fields_id(slice_of(name, n)), FIELD_OTHER);
            free(name);
        }
        char *name = heads_copy(slice_str(known[i].name));
        assert_int_equal(fields_id(slice_of(name, n - 1)), FIELD_OTHER);
        free(name);
    }
    assert_int_equal(fields_id(SLICE("")), FIELD_OTHER);
    assert_int_equal(fields_id(SLICE("x")), FIELD_OTHER);
    assert_int_equal(fields_name(FIELD_OTHER).n, 0);
    assert_int_equal(fields_name(FIELD_VOUCHED).n, 0);
}

static const char three_lines[] = "GET / HTTP/1.1\r\nHost: a\r\nCookie: one\r\nX-Thing: t\r\n"
                                  "cookie: two, Three\r\n\r\n";

static void test_lines_with_an_id_are_found_in_their_order(void **state)
{
    (void)state;
    struct request *r = heads_parse(three_lines);
    assert_int_equal(r->reason, REASON_NONE);
    const struct fields *f = &r->head.fields;
    assert_int_equal(f->count, 4);
    const struct field *first = fields_get(f, FIELD_COOKIE);
    assert_slice(first->value, "one");
    const struct field *second = fields_next(f, first);
    assert_slice(second->value, "two, Three");
    assert_null(fields_next(f, second));
    assert_null(fields_get(f, FIELD_TE));
    assert_true(fields_has(f, FIELD_HOST));
    assert_false(fields_has(f, FIELD_TE));
    heads_free_request(r);
}

static void test_a_field_is_found_by_name_in_any_case(void **state)
{
    (void)state;
    struct request *r = heads_parse(three_lines);
    assert_slice(fields_find(&r->head.fields, SLICE("x-THING"))->value, "t");
    assert_null(fields_find(&r->head.fields, SLICE("x-thin")));
    heads_free_request(r);
}

static void test_items_are_found_over_all_lines_and_only_whole(void **state)
{
    (void)state;
    struct request *r = heads_parse(three_lines);
    const struct fields *f = &r->head.fields;
    assert_true(fields_has_item(f, FIELD_COOKIE, SLICE("one")));
    assert_true(fields_has_item(f, FIELD_COOKIE, SLICE("TWO")));
    assert_true(fields_has_item(f, FIELD_COOKIE, SLICE("three")));
    assert_false(fields_has_item(f, FIELD_COOKIE, SLICE("thre")));
    assert_false(fields_has_item(f, FIELD_TE, SLICE("one")));
    heads_free_request(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_known_name_has_its_id_in_any_case),
        cmocka_unit_test(test_a_name_with_one_octet_changed_has_no_id),
        cmocka_unit_test(test_lines_with_an_id_are_found_in_their_order),
        cmocka_unit_test(test_a_field_is_found_by_name_in_any_case),
        cmocka_unit_test(test_items_are_found_over_all_lines_and_only_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
