#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "base/clock.h"

#define SECOND INT64_C(1000000)

static void assert_texts(const struct clock *c, const char *http, const char *iso, const char *clf)
{
    assert_string_equal(c->http_date, http);
    assert_string_equal(c->iso_sec, iso);
    assert_string_equal(c->clf_time, clf);
    assert_true(slice_eq(clock_http_date(c), slice_str(http)));
}

static void test_known_moments_are_written_in_all_three_forms(void **state)
{
    (void)state;
    struct clock c = {0};
    clock_set(&c, 1, 784111777 * SECOND);
    assert_texts(&c, "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37",
                 "06/Nov/1994:08:49:37 +0000");
    clock_set(&c, 1, 1795470480 * SECOND);
    assert_texts(&c, "Mon, 23 Nov 2026 21:48:00 GMT", "2026-11-23T21:48:00",
                 "23/Nov/2026:21:48:00 +0000");
    clock_set(&c, 1, 1709251199 * SECOND);
    assert_texts(&c, "Thu, 29 Feb 2024 23:59:59 GMT", "2024-02-29T23:59:59",
                 "29/Feb/2024:23:59:59 +0000");
}

/* A clock that was never set has no texts, also when its first second is 0. */
static void test_the_first_second_of_all_is_written_too(void **state)
{
    (void)state;
    struct clock c = {0};
    clock_set(&c, 0, 0);
    assert_texts(&c, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00",
                 "01/Jan/1970:00:00:00 +0000");
}

static void test_every_day_of_years_agrees_with_the_c_library(void **state)
{
    (void)state;
    struct clock c = {0};
    for (int64_t day = 18000; day < 18000 + 3 * 366; day++) {
        char http[64], iso[64], clf[64];
        time_t t = (time_t)(day * 86400 + day % 86400);
        struct tm tm;
        gmtime_r(&t, &tm);
        strftime(http, sizeof(http), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        strftime(iso, sizeof(iso), "%Y-%m-%dT%H:%M:%S", &tm);
        strftime(clf, sizeof(clf), "%d/%b/%Y:%H:%M:%S +0000", &tm);
        clock_set(&c, 1, (int64_t)t * SECOND);
        assert_texts(&c, http, iso, clf);
        char any[CLOCK_HTTP_DATE_BYTES];
        clock_format_http(any, t);
        assert_memory_equal(any, http, sizeof(any));
    }
}

static void test_texts_are_rendered_once_a_second(void **state)
{
    (void)state;
    struct clock c = {0};
    clock_set(&c, 1, 100 * SECOND);
    c.http_date[0] = '!'; /* a mark that a second rendering would wipe out */
    clock_set(&c, 2, 101 * SECOND - 1);
    assert_int_equal(c.http_date[0], '!');
    clock_set(&c, 3, 101 * SECOND);
    assert_string_equal(c.http_date, "Thu, 01 Jan 1970 00:01:41 GMT");
    clock_set(&c, 4, 100 * SECOND); /* somebody set the clock back */
    assert_string_equal(c.http_date, "Thu, 01 Jan 1970 00:01:40 GMT");
}

static void test_times_are_kept_in_their_units(void **state)
{
    (void)state;
    struct clock c = {0};
    clock_set(&c, 1234567, 7654321);
    assert_int_equal(c.now_us, 1234567);
    assert_int_equal(c.now_ms, 1234);
    assert_int_equal(c.wall_us, 7654321);
}

static void test_the_systems_clock_goes_forward(void **state)
{
    (void)state;
    struct clock c = {0};
    clock_update(&c);
    uint64_t first = c.now_us;
    assert_true(c.wall_us / SECOND >= time(NULL) - 1);
    assert_true(c.wall_us / SECOND <= time(NULL) + 1);
    struct timespec pause = {.tv_nsec = 2000000};
    nanosleep(&pause, NULL);
    clock_update(&c);
    assert_true(c.now_us >= first + 2000);
    assert_int_equal(c.now_ms, c.now_us / 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_moments_are_written_in_all_three_forms),
        cmocka_unit_test(test_the_first_second_of_all_is_written_too),
        cmocka_unit_test(test_every_day_of_years_agrees_with_the_c_library),
        cmocka_unit_test(test_texts_are_rendered_once_a_second),
        cmocka_unit_test(test_times_are_kept_in_their_units),
        cmocka_unit_test(test_the_systems_clock_goes_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
