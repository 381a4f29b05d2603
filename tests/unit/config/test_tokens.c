#include "config/tokens.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "loaded.h"

static char dir[] = "/tmp/tenbin-tokens-XXXXXX";
static char path[64];

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/token", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static void write_token(const char *text, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, n), n);
    close(fd);
}

static bool reads(struct config *c, struct config_token *t, struct report *r)
{
    *c = (struct config){.admin = {.tokens = t, .tokens_n = 1}};
    *t = (struct config_token){.role = CONFIG_ROLE_VIEWER,
                               .file = {slice_str(path), {.file = "t.yaml", .line = 3}}};
    arena_init(&c->arena);
    report_init(r);
    return tokens_read(c, r);
}

static void assert_reads(const char *text, const char *token)
{
    struct config c;
    struct config_token t;
    struct report r;
    write_token(text, strlen(text));
    assert_true(reads(&c, &t, &r));
    assert_string_equal(t.secret.p, token);
    arena_fini(&c.arena);
    report_fini(&r);
}

static void assert_refused(const char *what)
{
    struct config c;
    struct config_token t;
    struct report r;
    assert_false(reads(&c, &t, &r));
    assert_int_equal(r.errors, 1);
    assert_non_null(strstr(r.first->message, what));
    assert_int_equal(r.first->pos.line, 3);
    arena_fini(&c.arena);
    report_fini(&r);
}

static void test_white_space_around_a_token_is_not_part_of_it(void **state)
{
    (void)state;
    assert_reads("0123456789abcdef", "0123456789abcdef");
    assert_reads("0123456789abcdef\n", "0123456789abcdef");
    assert_reads(" \r\n\t0123456789-._~+/=\r\n\n", "0123456789-._~+/=");
}

static void test_a_token_has_16_to_256_characters(void **state)
{
    (void)state;
    char text[TOKENS_MAX + 2];
    memset(text, 'x', sizeof(text));
    text[TOKENS_MAX] = '\0';
    assert_reads(text, text);
    write_token(text, TOKENS_MIN - 1);
    assert_refused("16 to 256");
    text[TOKENS_MAX] = 'x';
    write_token(text, TOKENS_MAX + 1);
    assert_refused("16 to 256");
    write_token("", 0);
    assert_refused("16 to 256");
}

static void test_a_token_is_one_word(void **state)
{
    (void)state;
    write_token("0123456789 abcdef", 17);
    assert_refused("visible");
    write_token("0123456789\nabcdef", 17);
    assert_refused("visible");
    write_token("0123456789\0abcdef", 17);
    assert_refused("visible");
    write_token("0123456789abcde\xc3\xa9", 17);
    assert_refused("visible");
}

static void test_a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    unlink(path);
    assert_refused("No such file");
    write_token("", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_white_space_around_a_token_is_not_part_of_it),
        cmocka_unit_test(test_a_token_has_16_to_256_characters),
        cmocka_unit_test(test_a_token_is_one_word),
        cmocka_unit_test(test_a_file_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
