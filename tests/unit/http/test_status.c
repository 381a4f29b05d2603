#include "http/status.h"

#include "heads.h"
#include "http/h1_writer.h"

static void test_every_reason_has_a_name_of_its_own_and_a_sentence(void **state)
{
    (void)state;
    for (unsigned r = 1; r < REASON_COUNT; r++) {
        const char *name = status_reason_name(r);
        assert_true(name[0] && strspn(name, "abcdefghijklmnopqrstuvwxyz_") == strlen(name));
        for (unsigned other = 1; other < r; other++)
            assert_string_not_equal(name, status_reason_name(other));
        struct slice text = status_text(r);
        assert_true(text.n > 1 && text.p[text.n - 1] == '.');
        unsigned status = status_of(r);
        assert_true(status == 0 || (status >= 400 && status <= 599));
    }
    assert_string_equal(status_reason_name(REASON_NONE), "");
    assert_int_equal(status_of(REASON_NONE), 0);
}

static void test_every_status_has_a_phrase(void **state)
{
    (void)state;
    for (unsigned status = 100; status <= 599; status++)
        assert_true(status_phrase(status).n > 0);
    for (unsigned r = 1; r < REASON_COUNT; r++)
        if (status_of(r))
            assert_true(status_phrase(status_of(r)).n > 0);
    assert_slice(status_phrase(404), "Not Found");
    assert_slice(status_phrase(499), "Client Error");
    assert_slice(status_phrase(599), "Server Error");
    assert_slice(status_phrase(0), "");
    assert_slice(status_phrase(999), "");
}

static void test_every_error_body_fits(void **state)
{
    (void)state;
    for (unsigned r = 1; r < REASON_COUNT; r++) {
        char body[H1_ERROR_BODY_MAX];
        size_t n = h1_writer_error_body(body, status_of(r) ? status_of(r) : 500, r);
        assert_true(n > 0 && n <= sizeof(body) && body[n - 1] == '\n');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_reason_has_a_name_of_its_own_and_a_sentence),
        cmocka_unit_test(test_every_status_has_a_phrase),
        cmocka_unit_test(test_every_error_body_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
