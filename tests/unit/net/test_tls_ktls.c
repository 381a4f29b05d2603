/* What is found of kTLS depends on the machine; that it is said does not. */
#include "net/tls_ktls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <string.h>

static unsigned descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    unsigned n = 0;
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void test_a_probe_finds_the_same_twice_and_leaves_nothing(void **state)
{
    (void)state;
    unsigned before = descriptors();
    enum tls_ktls found = tls_ktls_probe();
    assert_int_equal(tls_ktls_probe(), found);
    assert_int_equal(descriptors(), before);
}

static void test_each_finding_has_its_words(void **state)
{
    (void)state;
    assert_non_null(strstr(tls_ktls_why(TLS_KTLS_NO_KERNEL), "no module \"tls\""));
    assert_non_null(strstr(tls_ktls_why(TLS_KTLS_NO_OPENSSL), "OpenSSL"));
    assert_string_equal(tls_ktls_why(TLS_KTLS_POSSIBLE), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_probe_finds_the_same_twice_and_leaves_nothing),
        cmocka_unit_test(test_each_finding_has_its_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
