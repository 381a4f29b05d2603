#include "server/fixture.h"

#include "server/access.h"

static struct config_token tokens[] = {
    {.role = CONFIG_ROLE_VIEWER, .secret = SLICE_INIT("viewer-token-0001")},
    {.role = CONFIG_ROLE_OPERATOR, .secret = SLICE_INIT("operator-token-01")},
};

static enum access_verdict verdict(size_t tokens_n, bool unix_socket, const char *token,
                                   enum config_role needed)
{
    struct config_admin c = {.tokens = tokens, .tokens_n = tokens_n};
    struct admin_request r = {.unix_socket = unix_socket, .token = slice_str(token)};
    return access_check(&c, &r, needed);
}

static void test_without_tokens_the_socket_decides(void **state)
{
    (void)state;
    assert_int_equal(verdict(0, false, "", CONFIG_ROLE_VIEWER), ACCESS_GRANTED);
    assert_int_equal(verdict(0, true, "", CONFIG_ROLE_VIEWER), ACCESS_GRANTED);
    assert_int_equal(verdict(0, true, "", CONFIG_ROLE_OPERATOR), ACCESS_GRANTED);
    assert_int_equal(verdict(0, true, "anything", CONFIG_ROLE_OPERATOR), ACCESS_GRANTED);
    assert_int_equal(verdict(0, false, "", CONFIG_ROLE_OPERATOR), ACCESS_NO_TOKENS);
    assert_int_equal(verdict(0, false, "anything", CONFIG_ROLE_OPERATOR), ACCESS_NO_TOKENS);
}

static void test_with_tokens_every_request_needs_one(void **state)
{
    (void)state;
    for (int unix_socket = 0; unix_socket < 2; unix_socket++) {
        assert_int_equal(verdict(2, unix_socket, "", CONFIG_ROLE_VIEWER), ACCESS_TOKEN_MISSING);
        assert_int_equal(verdict(2, unix_socket, "", CONFIG_ROLE_OPERATOR), ACCESS_TOKEN_MISSING);
        assert_int_equal(verdict(2, unix_socket, "viewer-token-000", CONFIG_ROLE_VIEWER),
                         ACCESS_TOKEN_WRONG);
        assert_int_equal(verdict(2, unix_socket, "viewer-token-00011", CONFIG_ROLE_VIEWER),
                         ACCESS_TOKEN_WRONG);
        assert_int_equal(verdict(2, unix_socket, "Viewer-token-0001", CONFIG_ROLE_VIEWER),
                         ACCESS_TOKEN_WRONG);
    }
}

static void test_a_viewer_may_ask_and_an_operator_may_do_both(void **state)
{
    (void)state;
    assert_int_equal(verdict(2, false, "viewer-token-0001", CONFIG_ROLE_VIEWER), ACCESS_GRANTED);
    assert_int_equal(verdict(2, false, "viewer-token-0001", CONFIG_ROLE_OPERATOR),
                     ACCESS_ROLE_TOO_LOW);
    assert_int_equal(verdict(2, false, "operator-token-01", CONFIG_ROLE_VIEWER), ACCESS_GRANTED);
    assert_int_equal(verdict(2, false, "operator-token-01", CONFIG_ROLE_OPERATOR), ACCESS_GRANTED);
    assert_int_equal(verdict(1, false, "operator-token-01", CONFIG_ROLE_VIEWER),
                     ACCESS_TOKEN_WRONG);
}

static void test_a_token_that_was_not_read_lets_nobody_in(void **state)
{
    (void)state;
    struct config_token unread = {.role = CONFIG_ROLE_OPERATOR};
    struct config_admin c = {.tokens = &unread, .tokens_n = 1};
    struct admin_request r = {.unix_socket = true, .token = SLICE("")};
    assert_int_equal(access_check(&c, &r, CONFIG_ROLE_VIEWER), ACCESS_TOKEN_MISSING);
    r.token = SLICE("x");
    assert_int_equal(access_check(&c, &r, CONFIG_ROLE_VIEWER), ACCESS_TOKEN_WRONG);
}

static void test_every_refusal_has_a_status_and_a_sentence(void **state)
{
    (void)state;
    assert_int_equal(access_status(ACCESS_TOKEN_MISSING), 401);
    assert_int_equal(access_status(ACCESS_TOKEN_WRONG), 401);
    assert_int_equal(access_status(ACCESS_ROLE_TOO_LOW), 403);
    assert_int_equal(access_status(ACCESS_NO_TOKENS), 403);
    for (enum access_verdict v = ACCESS_TOKEN_MISSING; v <= ACCESS_NO_TOKENS; v++)
        assert_true(strlen(access_text(v)) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_tokens_the_socket_decides),
        cmocka_unit_test(test_with_tokens_every_request_needs_one),
        cmocka_unit_test(test_a_viewer_may_ask_and_an_operator_may_do_both),
        cmocka_unit_test(test_a_token_that_was_not_read_lets_nobody_in),
        cmocka_unit_test(test_every_refusal_has_a_status_and_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
