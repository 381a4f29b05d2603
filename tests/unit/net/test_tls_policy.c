#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/tls_policy.h"

static void test_policies_that_cannot_be_had_say_why(void **state)
{
    (void)state;
    static const struct {
        const char *name, *words;
    } rows[] = {
        {"ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", "post-quantum"},
        {"ELBSecurityPolicy-TLS13-1-2-FIPS-2023-04", "FIPS"},
        {"ELBSecurityPolicy-TLS13-1-1-2021-06", "TLS 1.1"},
        {"ELBSecurityPolicy-TLS13-1-0-2021-06", "TLS 1.0"},
        {"ELBSecurityPolicy-TLS-1-1-2017-01", "TLS 1.1"},
        {"ELBSecurityPolicy-FS-1-1-2019-08", "TLS 1.1"},
        {"ELBSecurityPolicy-FS-2018-06", "TLS 1.0"},
        {"ELBSecurityPolicy-2016-08", "TLS 1.0"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *why;
        assert_null(tls_policy_find(slice_str(rows[i].name), &why));
        assert_non_null(why);
        assert_non_null(strstr(why, rows[i].words));
    }
}

static void test_unknown_names_are_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"", "Modern", "ELBSecurityPolicy-", "x-2016-08"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const char *why;
        assert_null(tls_policy_find(slice_str(names[i]), &why));
        assert_null(why);
    }
}

static void test_offered_names_are_found_and_the_default_is_one_of_them(void **state)
{
    (void)state;
    const char *name, *why;
    bool seen = false;
    for (unsigned i = 0; (name = tls_policy_name(i)); i++) {
        const struct tls_policy *p = tls_policy_find(slice_str(name), &why);
        assert_non_null(p);
        assert_string_equal(p->name, name);
        assert_true(p->tls12 || p->tls13);
        assert_true(p->tls12 == (p->ciphers != NULL));
        seen |= strcmp(name, TLS_POLICY_DEFAULT) == 0;
    }
    assert_true(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policies_that_cannot_be_had_say_why),
        cmocka_unit_test(test_unknown_names_are_nothing),
        cmocka_unit_test(test_offered_names_are_found_and_the_default_is_one_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
