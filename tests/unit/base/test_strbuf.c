#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/strbuf.h"

static void test_an_untouched_buffer_is_empty_and_owns_nothing(void **state)
{
    (void)state;
    struct strbuf b;
    strbuf_init(&b);
    assert_int_equal(strbuf_get(&b).n, 0);
    assert_null(b.p);
    strbuf_fini(&b);
}

static void test_pieces_are_put_together_and_terminated(void **state)
{
    (void)state;
    struct strbuf b;
    strbuf_init(&b);
    strbuf_str(&b, "a");
    strbuf_slice(&b, SLICE("bc"));
    strbuf_add(&b, "d\0e", 3);
    strbuf_printf(&b, "%d-%s", 42, "x");
    strbuf_slice(&b, slice_of(NULL, 0));
    assert_true(slice_eq(strbuf_get(&b), SLICE("abcd\0e42-x")));
    assert_int_equal(b.p[b.n], '\0');
    strbuf_fini(&b);
    assert_null(b.p);
}

/* Every length around the places where the buffer grows. */
static void test_it_grows_at_every_length(void **state)
{
    (void)state;
    char text[1100];
    memset(text, 'x', sizeof(text));
    for (size_t first = 0; first < 600; first++) {
        struct strbuf b;
        strbuf_init(&b);
        strbuf_add(&b, text, first);
        strbuf_printf(&b, "%.*s", (int)(first % 521), text);
        strbuf_add(&b, text, 500);
        assert_int_equal(b.n, first + first % 521 + 500);
        assert_int_equal(strlen(b.p), b.n);
        assert_true(b.n < b.cap);
        strbuf_fini(&b);
    }
}

static void test_json_is_valid_whatever_comes_in(void **state)
{
    (void)state;
    struct strbuf b;
    strbuf_init(&b);
    strbuf_str(&b, "[");
    strbuf_json(&b, SLICE("a\"b\n\0\xff"));
    strbuf_json(&b, SLICE(""));
    assert_string_equal(b.p, "[\"a\\\"b\\n\\u0000\\u00ff\"\"\"");
    strbuf_fini(&b);
    char worst[300];
    memset(worst, 1, sizeof(worst));
    strbuf_json(&b, slice_of(worst, sizeof(worst)));
    assert_int_equal(b.n, 6 * sizeof(worst) + 2);
    strbuf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_untouched_buffer_is_empty_and_owns_nothing),
        cmocka_unit_test(test_pieces_are_put_together_and_terminated),
        cmocka_unit_test(test_it_grows_at_every_length),
        cmocka_unit_test(test_json_is_valid_whatever_comes_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
