#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

struct caught {
    int lines;
    char line[16384];
};

static void catch_line(void *ctx, struct slice line)
{
    struct caught *c = ctx;
    c->lines++;
    assert_true(line.n > 0 && line.n < sizeof(c->line));
    memcpy(c->line, line.p, line.n);
    c->line[line.n] = '\0';
}

static struct caught *begin(enum log_level level, enum log_format format)
{
    static struct caught c;
    memset(&c, 0, sizeof(c));
    log_setup(level, format, catch_line, &c);
    return &c;
}

static void end(void)
{
    log_setup(LOG_INFO, LOG_TEXT, NULL, NULL);
}

static void assert_ends(const char *line, const char *tail)
{
    size_t n = strlen(line), t = strlen(tail);
    assert_true(n >= t);
    assert_string_equal(line + n - t, tail);
}

static void test_a_text_line_has_time_level_and_message(void **state)
{
    (void)state;
    struct caught *c = begin(LOG_INFO, LOG_TEXT);
    int year, month, day, hour, minute, second, micro, read = 0;
    log_warning("listener %s: %d left", "web", 3);
    assert_int_equal(c->lines, 1);
    assert_int_equal(sscanf(c->line, "%4d-%2d-%2dT%2d:%2d:%2d.%6dZ %n", &year, &month, &day, &hour,
                            &minute, &second, &micro, &read),
                     7);
    assert_string_equal(c->line + read, "warning: listener web: 3 left\n");
    end();
}

static void test_a_json_line_is_one_object_whatever_the_message(void **state)
{
    (void)state;
    struct caught *c = begin(LOG_INFO, LOG_JSON);
    log_error("bad \"name\"\nin %s\x01\xff", "file");
    assert_int_equal(strncmp(c->line, "{\"time\":\"2", 10), 0);
    assert_ends(c->line, "Z\",\"level\":\"error\","
                         "\"message\":\"bad \\\"name\\\"\\nin file\\u0001\\u00ff\"}\n");
    end();
}

static void test_what_is_below_the_level_is_not_written(void **state)
{
    (void)state;
    for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
        struct caught *c = begin((enum log_level)level, LOG_TEXT);
        log_debug("d");
        log_info("i");
        log_warning("w");
        log_error("e");
        assert_int_equal(c->lines, LOG_ERROR - level + 1);
        assert_ends(c->line, "error: e\n");
    }
    end();
}

static void test_level_and_format_change_and_the_sink_stays(void **state)
{
    (void)state;
    struct caught *c = begin(LOG_ERROR, LOG_TEXT);
    log_info("no");
    assert_int_equal(c->lines, 0);
    log_adjust(LOG_DEBUG, LOG_JSON);
    log_debug("yes");
    assert_int_equal(c->lines, 1);
    assert_ends(c->line, "\"message\":\"yes\"}\n");
    end();
}

static void test_a_message_of_any_length_stays_one_whole_line(void **state)
{
    (void)state;
    static char text[10000], wide[10000];
    memset(text, 'x', sizeof(text) - 1);
    memset(wide, 1, sizeof(wide) - 1); /* six bytes each in JSON */
    for (int format = LOG_TEXT; format <= LOG_JSON; format++)
        for (int n = 4000; n < 4200; n++) {
            struct caught *c = begin(LOG_INFO, (enum log_format)format);
            log_info("%.*s", n, text);
            assert_int_equal(c->lines, 1);
            assert_ends(c->line, format == LOG_TEXT ? "xxx\n" : "xxx\"}\n");
        }
    struct caught *c = begin(LOG_INFO, LOG_JSON);
    log_info("%s", wide);
    assert_ends(c->line, "\\u0001\"}\n");
    end();
}

static void test_errno_is_left_alone(void **state)
{
    (void)state;
    begin(LOG_INFO, LOG_TEXT);
    errno = ENOENT;
    log_info("%m");
    assert_int_equal(errno, ENOENT);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_text_line_has_time_level_and_message),
        cmocka_unit_test(test_a_json_line_is_one_object_whatever_the_message),
        cmocka_unit_test(test_what_is_below_the_level_is_not_written),
        cmocka_unit_test(test_level_and_format_change_and_the_sink_stays),
        cmocka_unit_test(test_a_message_of_any_length_stays_one_whole_line),
        cmocka_unit_test(test_errno_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
