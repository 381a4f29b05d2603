#include "http/cookie.h"

#include "heads.h"

/* A request whose Cookie lines are given, one after another. */
static struct slice get(const char *const *lines, size_t n, const char *name, bool *found)
{
    struct field at[8];
    struct fields f;
    struct slice value = {NULL, 0};
    fields_init(&f, at, 8);
    at[f.count++] = (struct field){SLICE("Accept"), SLICE("a=wrong"), FIELD_OTHER, false};
    for (size_t i = 0; i < n; i++) {
        at[f.count++] = (struct field){SLICE("Cookie"), slice_str(lines[i]), FIELD_COOKIE, false};
        f.present |= FIELD_BIT(FIELD_COOKIE);
    }
    *found = cookie_get(&f, slice_str(name), &value);
    return value;
}

static void expect(const char *line, const char *name, const char *value)
{
    bool found;
    struct slice got = get(&line, 1, name, &found);
    assert_int_equal(found, value != NULL);
    if (value)
        assert_slice(got, value);
}

static void test_a_cookie_is_found_by_its_whole_name(void **state)
{
    (void)state;
    expect("a=1; b=2; ab=3", "a", "1");
    expect("a=1; b=2; ab=3", "b", "2");
    expect("a=1; b=2; ab=3", "ab", "3");
    expect("a=1; b=2", "c", NULL);
    expect("a=1; b=2", "A", NULL);
    expect("xa=1; a x=2; ax=3", "a", NULL);
    expect("c=a=1", "a", NULL);
    expect("c=a=1", "c", "a=1");
}

static void test_pairs_may_stand_close_or_apart(void **state)
{
    (void)state;
    expect("a=1;b=2", "b", "2");
    expect(" \t a = 1 ;\tb=  2 ", "a", "1");
    expect(" \t a = 1 ;\tb=  2 ", "b", "2");
    expect("a=\"q\"", "a", "\"q\"");
    expect("a=", "a", "");
    expect("a=;b=1", "a", "");
}

static void test_what_is_no_pair_is_passed_over(void **state)
{
    (void)state;
    expect("", "a", NULL);
    expect("a", "a", NULL);
    expect(";;;=;;a;=1; a=2", "a", "2");
    expect("=1", "", NULL);
    expect(";", "", NULL);
}

static void test_the_first_of_several_counts_in_all_lines(void **state)
{
    (void)state;
    const char *lines[] = {"x=0", "a=1; a=2", "a=3; b=4"};
    bool found;
    assert_slice(get(lines, 3, "a", &found), "1");
    assert_slice(get(lines, 3, "b", &found), "4");
    (void)get(lines, 0, "a", &found);
    assert_false(found);
}

static void test_names_that_are_set(void **state)
{
    (void)state;
    assert_slice(cookie_set_name(SLICE("SID=31d4; Path=/; Secure")), "SID");
    assert_slice(cookie_set_name(SLICE(" SID = 1")), "SID");
    assert_slice(cookie_set_name(SLICE("SID=")), "SID");
    assert_slice(cookie_set_name(SLICE("=1; a=2")), "");
    assert_slice(cookie_set_name(SLICE("SID; a=2")), "");
    assert_slice(cookie_set_name(SLICE("")), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_cookie_is_found_by_its_whole_name),
        cmocka_unit_test(test_pairs_may_stand_close_or_apart),
        cmocka_unit_test(test_what_is_no_pair_is_passed_over),
        cmocka_unit_test(test_the_first_of_several_counts_in_all_lines),
        cmocka_unit_test(test_names_that_are_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
