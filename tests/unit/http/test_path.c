#include "http/path.h"

#include "heads.h"

static void test_paths_are_normalised_as_rfc_3986_says(void **state)
{
    (void)state;
    static const struct {
        const char *path, *normal;
    } rows[] = {
        {"/", "/"},
        {"/a", "/a"},
        {"/a/", "/a/"},
        {"/a//b", "/a//b"},
        {"//", "//"},
        {"/.", "/"},
        {"/./", "/"},
        {"/./a", "/a"},
        {"/a/.", "/a/"},
        {"/a/./b", "/a/b"},
        {"/a/..", "/"},
        {"/a/../", "/"},
        {"/a/../b", "/b"},
        {"/a/b/..", "/a/"},
        {"/a/b/../..", "/"},
        {"/a//../b", "/a/b"},
        {"/a/b/c/./../../g", "/a/g"},
        {"/...", "/..."},
        {"/.a/..b/c..", "/.a/..b/c.."},
        {"/%41%5a%30%2D%7e", "/AZ0-~"},
        {"/%2e", "/"},
        {"/a/%2E%2e/b", "/b"},
        {"/a/.%2e", "/"},
        {"/%2f", "/%2F"},
        {"/%c3%a9", "/%C3%A9"},
        {"/%zz", "/%zz"},
        {"/%2", "/%2"},
        {"/%", "/%"},
        {"/%%41", "/%A"},
        {"/%2541", "/%2541"},
        {"/a%00b", "/a%00b"},
        {"/\xc3\xa9", "/\xc3\xa9"},
        {"*", "*"},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice path = slice_str(rows[i].path), out;
        char *bytes = heads_copy(path), *to = malloc(path.n ? path.n : 1);
        path.p = bytes;
        assert_int_equal(path_normalise(path, to, &out), OK);
        assert_slice(out, rows[i].normal);
        assert_false(path_climbs(path));
        if (path_plain(path))
            assert_string_equal(rows[i].path, rows[i].normal);
        free(bytes);
        free(to);
    }
}

static void test_a_normal_path_stays_as_it_is(void **state)
{
    (void)state;
    static const char *const rows[] = {"/b/../..x", "/a/b/../c/./%2e%2e/%41", "/a//..//b/./",
                                       "/%2f%2e"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char once[64], twice[64];
        struct slice first, second;
        assert_int_equal(path_normalise(slice_str(rows[i]), once, &first), OK);
        assert_int_equal(path_normalise(first, twice, &second), OK);
        assert_true(slice_eq(first, second));
    }
}

static void test_a_path_above_its_root_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "/..",     "/../",    "/../a", "/a/../..",   "/a/../../b",
        "/%2e%2e", "/.%2E/a", "/./..", "/a/.././..", "/a/%2e%2e/%2e%2e/etc/passwd"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char to[64];
        struct slice out;
        assert_int_equal(path_normalise(slice_str(rows[i]), to, &out), ERR_SYNTAX);
        assert_true(path_climbs(slice_str(rows[i])));
        assert_false(path_plain(slice_str(rows[i])));
    }
}

/* All paths of six of these octets: what path_climbs() says is what path_normalise() does. */
static void test_climbing_is_judged_alike_with_and_without_a_copy(void **state)
{
    (void)state;
    static const char *const pieces[] = {"/", ".", "%2e", "a", "/.", "/.."};
    size_t total = 6 * 6 * 6 * 6 * 6 * 6;
    for (size_t n = 0; n < total; n++) {
        char path[32] = "/", to[32];
        for (size_t i = 0, rest = n; i < 6; i++, rest /= 6)
            memcpy(path + strlen(path), pieces[rest % 6], strlen(pieces[rest % 6]) + 1);
        struct slice out;
        enum err e = path_normalise(slice_str(path), to, &out);
        if (path_climbs(slice_str(path)) != (e == ERR_SYNTAX))
            fail_msg("%s", path);
        if (path_plain(slice_str(path)))
            assert_true(e == OK && slice_eq(out, slice_str(path)));
    }
}

static void test_a_query_is_split_at_ampersands(void **state)
{
    (void)state;
    struct slice rest = SLICE("a=1&&b&=x&c=d=e&"), key, value;
    assert_true(path_query_next(&rest, &key, &value));
    assert_slice(key, "a");
    assert_slice(value, "1");
    assert_true(path_query_next(&rest, &key, &value));
    assert_slice(key, "b");
    assert_slice(value, "");
    assert_true(path_query_next(&rest, &key, &value));
    assert_slice(key, "");
    assert_slice(value, "x");
    assert_true(path_query_next(&rest, &key, &value));
    assert_slice(key, "c");
    assert_slice(value, "d=e");
    assert_false(path_query_next(&rest, &key, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_are_normalised_as_rfc_3986_says),
        cmocka_unit_test(test_a_normal_path_stays_as_it_is),
        cmocka_unit_test(test_a_path_above_its_root_is_refused),
        cmocka_unit_test(test_climbing_is_judged_alike_with_and_without_a_copy),
        cmocka_unit_test(test_a_query_is_split_at_ampersands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
