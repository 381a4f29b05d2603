#include "http/host.h"

#include "heads.h"

static enum err parse(const char *text, struct host *out)
{
    static char space[HEAD_HOST_MAX], bytes[1024];
    size_t n = strlen(text);
    assert_true(n <= sizeof(bytes));
    memcpy(bytes, text, n);
    return host_parse(slice_of(bytes, n), space, out);
}

static void test_hosts_are_lower_case_without_port_and_trailing_dot(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name, *norm;
        unsigned port;
    } rows[] = {
        {"example.com", "example.com", "example.com", 0},
        {"Example.COM", "Example.COM", "example.com", 0},
        {"example.com.", "example.com.", "example.com", 0},
        {"example.com:80", "example.com", "example.com", 80},
        {"EXAMPLE.com.:65535", "EXAMPLE.com.", "example.com", 65535},
        {"example.com:", "example.com", "example.com", 0},
        {"a_b-c~d.9", "a_b-c~d.9", "a_b-c~d.9", 0},
        {"10.0.0.1:8080", "10.0.0.1", "10.0.0.1", 8080},
        {"[::1]", "[::1]", "[::1]", 0},
        {"[2001:DB8::7]:8443", "[2001:DB8::7]", "[2001:db8::7]", 8443},
        {"[::ffff:1.2.3.4]:", "[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct host h;
        if (parse(rows[i].text, &h))
            fail_msg("%s was refused", rows[i].text);
        assert_slice(h.name, rows[i].name);
        assert_slice(h.norm, rows[i].norm);
        assert_int_equal(h.port, rows[i].port);
    }
}

static void test_malformed_hosts_are_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",          ".",       ":80",     "a b",     "a,b",    "a/b",     "user@a",
        "a:0",       "a:65536", "a:-1",    "a:+1",    "a: 1",   "a:80:80", "a:8 0",
        "a%20b",     "a%2e",    "a*",      "a\tb",    "a\x80",  "\"a\"",   "a\\b",
        "[::1",      "::1",     "[]",      "[::1]80", "[::1]x", "[::g]",   "[fe80::1%eth0]",
        "[1.2.3.4]", "[::1]:0", "[[::1]]", "a]",      "a..b:x", "a?b",     "a#b",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct host h;
        if (parse(rows[i], &h) != ERR_SYNTAX)
            fail_msg("\"%s\" was accepted", rows[i]);
    }
    struct host h;
    char space[HEAD_HOST_MAX];
    assert_int_equal(host_parse(SLICE("a\0b"), space, &h), ERR_SYNTAX);
    assert_int_equal(host_parse(SLICE("[::1\0]"), space, &h), ERR_SYNTAX);
}

static void test_a_host_is_as_long_as_the_limit_and_no_longer(void **state)
{
    (void)state;
    char text[HEAD_HOST_MAX + 8], space[HEAD_HOST_MAX];
    struct host h;
    memset(text, 'A', sizeof(text));
    assert_int_equal(host_parse(slice_of(text, HEAD_HOST_MAX), space, &h), OK);
    assert_int_equal(h.norm.n, HEAD_HOST_MAX);
    assert_int_equal(h.norm.p[HEAD_HOST_MAX - 1], 'a');
    assert_int_equal(host_parse(slice_of(text, HEAD_HOST_MAX + 1), space, &h), ERR_SYNTAX);
    memcpy(text + HEAD_HOST_MAX, ":65535", 6);
    assert_int_equal(host_parse(slice_of(text, HEAD_HOST_MAX + 6), space, &h), OK);
    memcpy(text + HEAD_HOST_MAX + 1, ":6553", 5);
    text[HEAD_HOST_MAX] = 'a';
    assert_int_equal(host_parse(slice_of(text, HEAD_HOST_MAX + 6), space, &h), ERR_SYNTAX);
    memcpy(text + HEAD_HOST_MAX, ":000080", 7);
    assert_int_equal(host_parse(slice_of(text, HEAD_HOST_MAX + 7), space, &h), ERR_SYNTAX);
}

static void test_a_host_that_is_normal_is_not_copied(void **state)
{
    (void)state;
    char space[HEAD_HOST_MAX];
    struct host h;
    struct slice value = SLICE("example.com:80");
    assert_int_equal(host_parse(value, space, &h), OK);
    assert_ptr_equal(h.norm.p, value.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts_are_lower_case_without_port_and_trailing_dot),
        cmocka_unit_test(test_malformed_hosts_are_refused),
        cmocka_unit_test(test_a_host_is_as_long_as_the_limit_and_no_longer),
        cmocka_unit_test(test_a_host_that_is_normal_is_not_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
