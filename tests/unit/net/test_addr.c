#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "net/addr.h"

static struct addr must_parse(const char *text)
{
    struct addr a;
    if (addr_parse(&a, slice_str(text)))
        fail_msg("%s was refused", text);
    return a;
}

static const char *show(size_t format(const struct addr *, char *), const struct addr *a)
{
    static char text[ADDR_TEXT_MAX + 1];
    size_t n = format(a, text);
    assert_true(n <= ADDR_TEXT_MAX);
    text[n] = '\0';
    return text;
}

static void test_good_addresses_are_written_as_they_were_read(void **state)
{
    (void)state;
    static const struct {
        const char *text, *ip;
        int family;
        uint16_t port;
    } rows[] = {
        {"127.0.0.1:80", "127.0.0.1", AF_INET, 80},
        {"0.0.0.0:65535", "0.0.0.0", AF_INET, 65535},
        {"10.0.0.1:0", "10.0.0.1", AF_INET, 0},
        {"[::]:443", "::", AF_INET6, 443},
        {"[2001:db8::7]:8080", "2001:db8::7", AF_INET6, 8080},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", AF_INET6, 65535},
        {"unix:/run/app.sock", "unix:/run/app.sock", AF_UNIX, 0},
        {"unix:app.sock", "unix:app.sock", AF_UNIX, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct addr a = must_parse(rows[i].text);
        assert_int_equal(addr_family(&a), rows[i].family);
        assert_int_equal(addr_port(&a), rows[i].port);
        assert_string_equal(show(addr_format, &a), rows[i].text);
        assert_string_equal(show(addr_format_ip, &a), rows[i].ip);
    }
}

static void test_bad_addresses_are_refused_and_leave_the_result_alone(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        ":80",
        "80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        "127.0.0.1: 80",
        "127.0.0:80",
        "127.0.0.256:80",
        "1.2.3.4.5:80",
        "::1:80",
        "[::1]80",
        "[::1]:",
        "[]:80",
        "[127.0.0.1]:80",
        "[::1:80",
        "::1]:80",
        "[fe80::1%lo]:80",
        "localhost:80",
        "unix:",
        "UNIX:/x",
        "http://1.2.3.4:80",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct addr a = must_parse("9.9.9.9:9");
        if (addr_parse(&a, slice_str(rows[i])) != ERR_SYNTAX)
            fail_msg("%s was not a syntax error", rows[i]);
        assert_string_equal(show(addr_format, &a), "9.9.9.9:9");
    }
    struct addr a;
    assert_int_equal(addr_parse(&a, SLICE("127.0.0.1\0:80")), ERR_SYNTAX);
    assert_int_equal(addr_parse(&a, SLICE("unix:/a\0b")), ERR_SYNTAX);
}

static void test_a_unix_path_is_as_long_as_the_kernel_takes_and_no_longer(void **state)
{
    (void)state;
    char text[5 + sizeof(((struct sockaddr_un *)0)->sun_path) + 1] = "unix:";
    size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
    memset(text + 5, 'p', most + 1);
    struct addr a;
    assert_int_equal(addr_parse(&a, slice_of(text, 5 + most)), OK);
    assert_int_equal(strlen(a.un.sun_path), most);
    assert_int_equal(addr_parse(&a, slice_of(text, 5 + most + 1)), ERR_LIMIT);
    text[5 + most] = '\0';
    assert_string_equal(show(addr_format, &a), text);
}

static void test_split_gives_host_names_and_ports(void **state)
{
    (void)state;
    struct slice host;
    uint16_t port;
    assert_int_equal(addr_split(SLICE("app.internal:3000"), &host, &port), OK);
    assert_true(slice_eq(host, SLICE("app.internal")));
    assert_int_equal(port, 3000);
    assert_int_equal(addr_split(SLICE("[::1]:7"), &host, &port), OK);
    assert_true(slice_eq(host, SLICE("::1")));
    assert_int_equal(addr_split(SLICE("a:b:80"), &host, &port), ERR_SYNTAX);
    assert_int_equal(addr_split(SLICE("app.internal"), &host, &port), ERR_SYNTAX);
}

static void test_an_ip_alone_is_parsed_without_brackets(void **state)
{
    (void)state;
    struct addr a;
    assert_int_equal(addr_parse_ip(&a, SLICE("::1"), 80), OK);
    assert_string_equal(show(addr_format, &a), "[::1]:80");
    assert_int_equal(addr_parse_ip(&a, SLICE("[::1]"), 80), ERR_SYNTAX);
    assert_int_equal(addr_parse_ip(&a, SLICE("1.2.3.4:80"), 80), ERR_SYNTAX);
}

static void test_equality_is_family_address_and_port(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "1.2.3.4:80", "1.2.3.4:81", "1.2.3.5:80", "[::1]:80", "[::2]:80", "unix:/a", "unix:/ab",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t j = 0; j < ARRAY_LEN(rows); j++) {
            struct addr a = must_parse(rows[i]), b = must_parse(rows[j]);
            assert_int_equal(addr_eq(&a, &b), i == j);
            assert_int_equal(addr_hash(&a, 7) == addr_hash(&b, 7), i == j);
            assert_true(i != j || addr_hash(&a, 7) != addr_hash(&b, 8));
        }
    struct addr none = {0}, other = {0};
    assert_true(addr_eq(&none, &other));
    assert_string_equal(show(addr_format, &none), "-");
}

static void test_overlap_counts_the_wildcard_of_the_same_family(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool overlap;
    } rows[] = {
        {"0.0.0.0:80", "10.0.0.1:80", true},   {"0.0.0.0:80", "10.0.0.1:81", false},
        {"0.0.0.0:80", "[::]:80", false},      {"[::]:80", "[::1]:80", true},
        {"10.0.0.1:80", "10.0.0.2:80", false}, {"10.0.0.1:80", "10.0.0.1:80", true},
        {"unix:/a", "unix:/a", true},          {"unix:/a", "unix:/b", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct addr a = must_parse(rows[i].a), b = must_parse(rows[i].b);
        assert_int_equal(addr_overlaps(&a, &b), rows[i].overlap);
        assert_int_equal(addr_overlaps(&b, &a), rows[i].overlap);
    }
}

static void test_loopback_is_what_only_this_machine_reaches(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool loopback;
    } rows[] = {
        {"127.0.0.1:1", true}, {"127.255.0.9:1", true}, {"128.0.0.1:1", false},
        {"0.0.0.0:1", false},  {"[::1]:1", true},       {"[::]:1", false},
        {"[::2]:1", false},    {"unix:/x", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct addr a = must_parse(rows[i].text);
        assert_int_equal(addr_is_loopback(&a), rows[i].loopback);
    }
    struct addr none = {0};
    assert_false(addr_is_loopback(&none));
}

static void test_a_v4_mapped_peer_becomes_plain_v4(void **state)
{
    (void)state;
    struct addr six = must_parse("[::ffff:10.0.0.1]:5");
    struct addr a = addr_from_sockaddr(&six.sa, six.len);
    assert_string_equal(show(addr_format, &a), "10.0.0.1:5");
    struct addr four = must_parse("10.0.0.1:5");
    assert_true(addr_eq(&a, &four));
    assert_int_equal(a.len, sizeof(struct sockaddr_in));
}

static void test_what_the_kernel_gives_is_taken_as_it_is(void **state)
{
    (void)state;
    static const char *const rows[] = {"1.2.3.4:80", "[2001:db8::1]:80", "unix:/run/x"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct addr in = must_parse(rows[i]);
        struct addr out = addr_from_sockaddr(&in.sa, in.len);
        assert_true(addr_eq(&in, &out));
        assert_int_equal(in.len, out.len);
    }
    /* The peer of a unix connection has no name. */
    struct sockaddr_un nameless = {.sun_family = AF_UNIX};
    struct addr a = addr_from_sockaddr((struct sockaddr *)&nameless, sizeof(sa_family_t));
    assert_string_equal(show(addr_format, &a), "unix:");
    struct sockaddr odd = {.sa_family = AF_PACKET};
    a = addr_from_sockaddr(&odd, sizeof(odd));
    assert_int_equal(addr_family(&a), AF_UNSPEC);
    a = addr_from_sockaddr(&odd, 0);
    assert_int_equal(addr_family(&a), AF_UNSPEC);
}

static void test_a_cidr_matches_its_block_only(void **state)
{
    (void)state;
    static const struct {
        const char *cidr, *ip;
        bool match;
    } rows[] = {
        {"10.0.0.0/8", "10.255.255.255:1", true},
        {"10.0.0.0/8", "11.0.0.0:1", false},
        {"10.0.0.0/8", "9.255.255.255:1", false},
        {"0.0.0.0/0", "203.0.113.9:1", true},
        {"0.0.0.0/0", "[::1]:1", false},
        {"192.168.1.4/30", "192.168.1.7:1", true},
        {"192.168.1.4/30", "192.168.1.8:1", false},
        {"192.168.1.4", "192.168.1.4:1", true},
        {"192.168.1.4", "192.168.1.5:1", false},
        {"2001:db8::/33", "[2001:db8:7fff::1]:1", true},
        {"2001:db8::/33", "[2001:db8:8000::1]:1", false},
        {"::/0", "[2001:db8::1]:1", true},
        {"::1/128", "[::1]:1", true},
        {"::/0", "unix:/x", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct addr_cidr c;
        struct addr a = must_parse(rows[i].ip);
        assert_int_equal(addr_cidr_parse(&c, slice_str(rows[i].cidr)), OK);
        if (addr_cidr_match(&c, &a) != rows[i].match)
            fail_msg("%s in %s: expected %d", rows[i].ip, rows[i].cidr, rows[i].match);
    }
}

static void test_bad_cidrs_are_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",    "/8",     "10.0.0.0/",   "10.0.0.0/33",    "::/129", "10.0.0.1/8", "10.0.0.0/8/8",
        "x/8", "10.0/8", "10.0.0.0/-1", "2001:db8::1/64",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct addr_cidr c;
        if (addr_cidr_parse(&c, slice_str(rows[i])) != ERR_SYNTAX)
            fail_msg("%s was accepted", rows[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_addresses_are_written_as_they_were_read),
        cmocka_unit_test(test_bad_addresses_are_refused_and_leave_the_result_alone),
        cmocka_unit_test(test_a_unix_path_is_as_long_as_the_kernel_takes_and_no_longer),
        cmocka_unit_test(test_split_gives_host_names_and_ports),
        cmocka_unit_test(test_an_ip_alone_is_parsed_without_brackets),
        cmocka_unit_test(test_equality_is_family_address_and_port),
        cmocka_unit_test(test_overlap_counts_the_wildcard_of_the_same_family),
        cmocka_unit_test(test_loopback_is_what_only_this_machine_reaches),
        cmocka_unit_test(test_a_v4_mapped_peer_becomes_plain_v4),
        cmocka_unit_test(test_what_the_kernel_gives_is_taken_as_it_is),
        cmocka_unit_test(test_a_cidr_matches_its_block_only),
        cmocka_unit_test(test_bad_cidrs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
