#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "proxy/redirect.h"

/* What a redirect is when it names nothing. */
#define KEPT                                                                                       \
    .protocol = SLICE_INIT("#{protocol}"), .host = SLICE_INIT("#{host}"),                          \
    .port = SLICE_INIT("#{port}"), .path = SLICE_INIT("/#{path}"), .query = SLICE_INIT("#{query}")

#pragma GCC diagnostic ignored "-Woverride-init"

static const struct redirect_from plain = {.protocol = SLICE_INIT("http"),
                                           .host = SLICE_INIT("a.example"),
                                           .port = 8080,
                                           .path = SLICE_INIT("/x/y"),
                                           .query = SLICE_INIT("k=v")};

static void assert_location(const char *want, const struct config_redirect *r,
                            const struct redirect_from *from)
{
    char to[REDIRECT_LOCATION_MAX];
    struct slice got;
    assert_int_equal(redirect_location(r, from, to, &got), OK);
    if (!slice_eq(got, slice_str(want)))
        fail_msg("%.*s, expected %s", (int)got.n, got.p, want);
}

static void test_each_part_can_be_changed_alone(void **state)
{
    (void)state;
    static const struct {
        struct config_redirect r;
        const char *location;
    } rows[] = {
        {{KEPT}, "http://a.example:8080/x/y?k=v"},
        {{KEPT, .host = SLICE_INIT("b.example")}, "http://b.example:8080/x/y?k=v"},
        {{KEPT, .host = SLICE_INIT("www.#{host}")}, "http://www.a.example:8080/x/y?k=v"},
        {{KEPT, .port = SLICE_INIT("9000")}, "http://a.example:9000/x/y?k=v"},
        {{KEPT, .path = SLICE_INIT("/new")}, "http://a.example:8080/new?k=v"},
        {{KEPT, .path = SLICE_INIT("/v2/#{path}")}, "http://a.example:8080/v2/x/y?k=v"},
        {{KEPT, .query = SLICE_INIT("")}, "http://a.example:8080/x/y"},
        {{KEPT, .query = SLICE_INIT("#{query}&z=1")}, "http://a.example:8080/x/y?k=v&z=1"},
        {{KEPT, .protocol = SLICE_INIT("https"), .port = SLICE_INIT("443")},
         "https://a.example/x/y?k=v"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_location(rows[i].location, &rows[i].r, &plain);
}

static void test_keywords_stand_wherever_elb_allows_them(void **state)
{
    (void)state;
    struct config_redirect r = {KEPT, .path = SLICE_INIT("/#{host}/#{port}/#{path}"),
                                .query =
                                    SLICE_INIT("#{protocol}-#{host}-#{port}-#{path}-#{query}")};
    assert_location("http://a.example:8080/a.example/8080/x/y?http-a.example-8080-x/y-k=v", &r,
                    &plain);
}

static void test_what_only_looks_like_a_keyword_stays(void **state)
{
    (void)state;
    struct config_redirect r = {KEPT, .path = SLICE_INIT("/#{PATH}#{path#{}#"),
                                .query = SLICE_INIT("")};
    assert_location("http://a.example:8080/#{PATH}#{path#{}#", &r, &plain);
}

static void test_the_port_of_the_protocol_is_left_out(void **state)
{
    (void)state;
    static const struct {
        const char *from, *protocol, *port;
        uint16_t from_port;
        const char *location;
    } rows[] = {
        {"http", "#{protocol}", "#{port}", 80, "http://h/"},
        {"http", "#{protocol}", "#{port}", 443, "http://h:443/"},
        {"https", "#{protocol}", "#{port}", 443, "https://h/"},
        {"https", "#{protocol}", "#{port}", 80, "https://h:80/"},
        {"http", "https", "443", 80, "https://h/"},
        {"http", "https", "8443", 80, "https://h:8443/"},
        {"http", "https", "#{port}", 80, "https://h:80/"}, /* asked for by name */
        {"http", "https", "#{port}", 443, "https://h/"},
        {"https", "http", "80", 443, "http://h/"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct config_redirect r = {KEPT, .protocol = slice_str(rows[i].protocol),
                                    .port = slice_str(rows[i].port)};
        struct redirect_from from = {.protocol = slice_str(rows[i].from),
                                     .host = SLICE("h"),
                                     .port = rows[i].from_port,
                                     .path = SLICE("/")};
        assert_location(rows[i].location, &r, &from);
    }
}

static void test_paths_of_any_form_keep_exactly_one_slash_in_front(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"/", "http://a.example:8080/?k=v"},
        {"//evil.example/", "http://a.example:8080//evil.example/?k=v"},
        {"*", "http://a.example:8080/*?k=v"},
        {"", "http://a.example:8080/?k=v"},
    };
    struct config_redirect r = {KEPT};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct redirect_from from = plain;
        from.path = slice_str(rows[i][0]);
        assert_location(rows[i][1], &r, &from);
    }
}

static void test_an_empty_query_leaves_no_question_mark(void **state)
{
    (void)state;
    struct redirect_from from = plain;
    from.query = SLICE("");
    assert_location("http://a.example:8080/x/y", &(struct config_redirect){KEPT}, &from);
    assert_location("http://a.example:8080/x/y?q=",
                    &(struct config_redirect){KEPT, .query = SLICE_INIT("q=#{query}")}, &from);
}

static void test_a_host_in_brackets_stays_in_them(void **state)
{
    (void)state;
    struct redirect_from from = plain;
    from.host = SLICE("[2001:db8::1]");
    assert_location("http://[2001:db8::1]:8080/x/y?k=v", &(struct config_redirect){KEPT}, &from);
}

static void test_without_any_host_there_is_no_location(void **state)
{
    (void)state;
    char to[REDIRECT_LOCATION_MAX];
    struct slice got;
    struct redirect_from from = plain;
    from.host = SLICE("");
    struct config_redirect r = {KEPT};
    assert_int_equal(redirect_location(&r, &from, to, &got), ERR_NOT_FOUND);
    r.host = SLICE("b.example");
    assert_location("http://b.example:8080/x/y?k=v", &r, &from);
}

static void test_bytes_that_could_break_a_line_are_escaped(void **state)
{
    (void)state;
    struct redirect_from from = plain;
    from.path = SLICE("/a\r\nSet-Cookie: x=1\0\t#\x7f\xff%0d|");
    from.query = SLICE("q=\n \xc3\xa9");
    assert_location(
        "http://a.example:8080/a%0D%0ASet-Cookie:%20x=1%00%09%23%7F%FF%0d|?q=%0A%20%C3%A9",
        &(struct config_redirect){KEPT}, &from);
    for (int c = 0; c < 256; c++) {
        char to[REDIRECT_LOCATION_MAX], byte = (char)c;
        struct slice got;
        from.host = from.path = from.query = slice_of(&byte, 1);
        assert_int_equal(redirect_location(&(struct config_redirect){KEPT}, &from, to, &got), OK);
        for (size_t i = 0; i < got.n; i++)
            assert_true(got.p[i] > 0x20 && got.p[i] < 0x7f);
    }
}

static void test_a_location_has_at_most_8192_octets(void **state)
{
    (void)state;
    static char query[REDIRECT_LOCATION_MAX];
    static char to[REDIRECT_LOCATION_MAX];
    struct config_redirect r = {KEPT};
    struct redirect_from from = plain;
    struct slice got;
    memset(query, 'q', sizeof(query));
    from.query = SLICE("");
    assert_int_equal(redirect_location(&r, &from, to, &got), OK);
    size_t room = REDIRECT_LOCATION_MAX - got.n - 1;
    from.query = slice_of(query, room);
    assert_int_equal(redirect_location(&r, &from, to, &got), OK);
    assert_int_equal(got.n, REDIRECT_LOCATION_MAX);
    from.query = slice_of(query, room + 1);
    assert_int_equal(redirect_location(&r, &from, to, &got), ERR_LIMIT);
    query[0] = ' '; /* three octets once it is escaped */
    from.query = slice_of(query, room - 2);
    assert_int_equal(redirect_location(&r, &from, to, &got), OK);
    from.query = slice_of(query, room - 1);
    assert_int_equal(redirect_location(&r, &from, to, &got), ERR_LIMIT);
}

static void test_a_path_that_just_fits_without_query_is_within_the_limit(void **state)
{
    (void)state;
    static char path[REDIRECT_LOCATION_MAX];
    static char to[REDIRECT_LOCATION_MAX];
    struct config_redirect r = {KEPT};
    struct redirect_from from = plain;
    struct slice got;
    size_t before = strlen("http://a.example:8080");
    memset(path, '/', sizeof(path));
    from.query = SLICE("");
    from.path = slice_of(path, REDIRECT_LOCATION_MAX - before);
    assert_int_equal(redirect_location(&r, &from, to, &got), OK);
    assert_int_equal(got.n, REDIRECT_LOCATION_MAX);
    from.query = SLICE("q");
    assert_int_equal(redirect_location(&r, &from, to, &got), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_part_can_be_changed_alone),
        cmocka_unit_test(test_keywords_stand_wherever_elb_allows_them),
        cmocka_unit_test(test_what_only_looks_like_a_keyword_stays),
        cmocka_unit_test(test_the_port_of_the_protocol_is_left_out),
        cmocka_unit_test(test_paths_of_any_form_keep_exactly_one_slash_in_front),
        cmocka_unit_test(test_an_empty_query_leaves_no_question_mark),
        cmocka_unit_test(test_a_host_in_brackets_stays_in_them),
        cmocka_unit_test(test_without_any_host_there_is_no_location),
        cmocka_unit_test(test_bytes_that_could_break_a_line_are_escaped),
        cmocka_unit_test(test_a_location_has_at_most_8192_octets),
        cmocka_unit_test(test_a_path_that_just_fits_without_query_is_within_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
