#include "config/expand.h"

#include "loaded.h"

static const struct expand_env env = {.lookup = loaded_env};
static const struct config_pos here = {"t.yaml", 3, 7};

static void test_variables_are_put_in(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"", ""},
        {"plain", "plain"},
        {"$PORT", "$PORT"},
        {"${PORT}", "8080"},
        {"127.0.0.1:${PORT}/x", "127.0.0.1:8080/x"},
        {"${PORT}${PORT}", "80808080"},
        {"${PORT:-1}", "8080"},
        {"${MISSING:-1}", "1"},
        {"${MISSING:-}", ""},
        {"${EMPTY:-x}", "x"},
        {"[${EMPTY}]", "[]"},
        {"${MISSING:-a:-b$c}", "a:-b$c"},
        {"$${PORT}", "${PORT}"},
        {"a$${", "a${"},
        {"$$${PORT}", "$${PORT}"},
        {"#{host}$", "#{host}$"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a;
        struct report r;
        arena_init(&a);
        report_init(&r);
        struct slice out = expand_text(&a, &r, here, slice_str(rows[i].in), &env);
        if (!slice_eq(out, slice_str(rows[i].out)) || r.errors)
            fail_msg("%s became %.*s", rows[i].in, (int)out.n, out.p);
        report_fini(&r);
        arena_fini(&a);
    }
}

static void test_bad_variables_are_errors_and_change_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *in, *words;
    } rows[] = {
        {"${MISSING}", "$MISSING is not set"},
        {"${}", "${NAME}"},
        {"${1A}", "${NAME}"},
        {"${A B}", "${NAME}"},
        {"${A-b}", "${NAME}"},
        {"${A:b}", "${NAME}"},
        {"${PORT", "${NAME}"},
        {"x${PORT}${", "${NAME}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a;
        struct report r;
        arena_init(&a);
        report_init(&r);
        struct slice out = expand_text(&a, &r, here, slice_str(rows[i].in), &env);
        assert_true(slice_eq(out, slice_str(rows[i].in)));
        assert_int_equal(r.errors, 1);
        assert_non_null(find_entry(&r, REPORT_ERROR, "3:7", rows[i].words));
        report_fini(&r);
        arena_fini(&a);
    }
}

static const char *long_value(void *ctx, const char *name)
{
    (void)name;
    return ctx;
}

static void test_an_expanded_text_has_65536_bytes_at_most(void **state)
{
    (void)state;
    char *value = calloc(1, EXPAND_MAX + 2);
    struct expand_env big = {long_value, value};
    struct arena a;
    struct report r;
    arena_init(&a);
    report_init(&r);
    memset(value, 'v', EXPAND_MAX);
    assert_int_equal(expand_text(&a, &r, here, SLICE("${V}"), &big).n, EXPAND_MAX);
    assert_int_equal(r.errors, 0);
    value[EXPAND_MAX] = 'v';
    assert_int_equal(expand_text(&a, &r, here, SLICE("${V}"), &big).n, 4);
    assert_int_equal(r.errors, 1);
    report_fini(&r);
    arena_fini(&a);
    free(value);
}

static void test_without_an_environment_all_are_unset(void **state)
{
    (void)state;
    struct expand_env none = {0};
    struct arena a;
    struct report r;
    arena_init(&a);
    report_init(&r);
    assert_true(slice_eq(expand_text(&a, &r, here, SLICE("${PORT:-x}"), &none), SLICE("x")));
    assert_int_equal(r.errors, 0);
    expand_text(&a, &r, here, SLICE("${PORT}"), &none);
    assert_int_equal(r.errors, 1);
    report_fini(&r);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variables_are_put_in),
        cmocka_unit_test(test_bad_variables_are_errors_and_change_nothing),
        cmocka_unit_test(test_an_expanded_text_has_65536_bytes_at_most),
        cmocka_unit_test(test_without_an_environment_all_are_unset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
