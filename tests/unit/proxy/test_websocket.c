#include "proxy/websocket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "net/crypto.h"

#define KEY    SLICE_INIT("dGhlIHNhbXBsZSBub25jZQ==")
#define ACCEPT SLICE_INIT("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")

/* RFC 6455 1.3 */
static void test_the_example_of_the_rfc(void **state)
{
    (void)state;
    char accept[CRYPTO_ACCEPT_BYTES];
    crypto_websocket_accept((struct slice)KEY, accept);
    assert_memory_equal(accept, ((struct slice)ACCEPT).p, CRYPTO_ACCEPT_BYTES);
}

static void test_only_one_accept_that_is_right_agrees(void **state)
{
    (void)state;
    static struct field key = {.name = SLICE_INIT("Sec-WebSocket-Key"), .value = KEY};
    static const struct {
        struct slice values[2];
        uint32_t n;
        bool agreed;
    } rows[] = {
        {{ACCEPT}, 1, true},
        {{{NULL, 0}}, 0, false},
        {{SLICE_INIT("")}, 1, false},
        {{SLICE_INIT("S3pPLMBiTxaQ9kYGzzhZRbK+xOo=")}, 1, false},
        {{SLICE_INIT("s3pPLMBiTxaQ9kYGzzhZRbK+xOo")}, 1, false},
        {{SLICE_INIT("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=x")}, 1, false},
        {{ACCEPT, ACCEPT}, 2, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct field said[2];
        for (uint32_t j = 0; j < rows[i].n; j++)
            said[j] = (struct field){.name = SLICE("sec-websocket-ACCEPT"),
                                     .value = rows[i].values[j]};
        struct fields request = {.at = &key, .count = 1};
        struct fields response = {.at = said, .count = rows[i].n};
        assert_int_equal(websocket_agreed(&request, &response), rows[i].agreed);
    }
}

static void test_a_key_that_is_too_long_agrees_with_nothing(void **state)
{
    (void)state;
    char text[65];
    memset(text, 'a', sizeof(text));
    struct field said = {.name = SLICE("Sec-WebSocket-Accept")};
    for (size_t n = 64; n <= 65; n++) {
        char accept[CRYPTO_ACCEPT_BYTES];
        struct field key = {.name = SLICE("Sec-WebSocket-Key"), .value = slice_of(text, n)};
        struct fields request = {.at = &key, .count = 1}, response = {.at = &said, .count = 1};
        crypto_websocket_accept(slice_of(text, 64), accept);
        said.value = slice_of(accept, sizeof(accept));
        assert_int_equal(websocket_agreed(&request, &response), n == 64);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_example_of_the_rfc),
        cmocka_unit_test(test_only_one_accept_that_is_right_agrees),
        cmocka_unit_test(test_a_key_that_is_too_long_agrees_with_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
