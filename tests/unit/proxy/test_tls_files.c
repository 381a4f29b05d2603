/* Which files TLS is made from, and whether they are what they were. */
#include "proxy/tls_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "support/certs.h"

static struct config_file file(const char *path)
{
    return (struct config_file){.path = path ? slice_str(path) : slice_of(NULL, 0)};
}

/* Later than any file of the test was written. */
static int64_t later_us(void)
{
    return ((int64_t)time(NULL) + 60) * 1000000;
}

static void test_all_files_of_a_listener_are_there(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a);
    struct config_certificate pairs[] = {{file("a.pem"), file("a.key"), file(NULL)},
                                         {file("b.pem"), file("b.key"), file("b.ocsp")}};
    struct config_file lists[] = {file("1.crl"), file("2.crl")};
    struct config_listener l = {
        .certificates = pairs,
        .certificates_n = 2,
        .ocsp = file("site.ocsp"),
        .mutual = {.trust_store = file("ca.pem"), .revocations = lists, .revocations_n = 2},
    };
    static const char *const expected[] = {"a.pem",     "a.key",  "b.pem", "b.key", "b.ocsp",
                                           "site.ocsp", "ca.pem", "1.crl", "2.crl"};
    struct tls_files f = tls_files_of_listener(&a, &l, 0);
    assert_int_equal(f.n, sizeof(expected) / sizeof(*expected));
    for (size_t i = 0; i < f.n; i++) {
        assert_string_equal(f.at[i].path, expected[i]);
        assert_int_equal(f.at[i].stamp.hash, 0);
    }
    struct config_group none = {.name = SLICE("app")};
    assert_int_equal(tls_files_of_group(&a, &none, 0).n, 0);
    arena_fini(&a);
}

static void test_files_are_the_same_until_one_is_written(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a);
    struct config_file f = file(certs_write_text(&certs_dir, "ca.pem", "one"));
    struct config_group g = {.target_tls.ca = f};
    struct tls_files then = tls_files_of_group(&a, &g, later_us());
    struct tls_files now = tls_files_of_group(&a, &g, later_us());
    assert_true(tls_files_same(&now, &then));
    certs_write_text(&certs_dir, "ca.pem", "other");
    now = tls_files_of_group(&a, &g, later_us());
    assert_false(tls_files_same(&now, &then));
    arena_fini(&a);
}

static void test_a_file_just_written_may_have_changed_unseen(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a);
    struct config_file f = file(certs_write_text(&certs_dir, "fresh", "one"));
    struct tls_files then = tls_files_of(&a, &f, (int64_t)time(NULL) * 1000000);
    struct tls_files now = tls_files_of(&a, &f, later_us());
    assert_false(tls_files_same(&now, &then));
    assert_true(tls_files_same(&now, &now));
    arena_fini(&a);
}

static void test_one_file_more_or_less_is_another_set(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a);
    struct config_file f = file(certs_write_text(&certs_dir, "x", "x")), no = file(NULL);
    struct tls_files one = tls_files_of(&a, &f, later_us());
    struct tls_files none = tls_files_of(&a, &no, later_us());
    assert_false(tls_files_same(&one, &none));
    assert_false(tls_files_same(&none, &one));
    assert_true(tls_files_same(&none, &none));
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_files_of_a_listener_are_there),
        cmocka_unit_test(test_files_are_the_same_until_one_is_written),
        cmocka_unit_test(test_a_file_just_written_may_have_changed_unseen),
        cmocka_unit_test(test_one_file_more_or_less_is_another_set),
    };
    return cmocka_run_group_tests(tests, certs_setup, certs_teardown);
}
