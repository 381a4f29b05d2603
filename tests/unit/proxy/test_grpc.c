#include "proxy/grpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_a_timeout_is_up_to_eight_digits_and_a_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } rows[] = {
        {"1H", 3600000},
        {"2M", 120000},
        {"3S", 3000},
        {"4m", 4},
        {"5000u", 5},
        {"1u", 1},
        {"1001u", 2},
        {"1n", 1},
        {"1000000n", 1},
        {"1000001n", 2},
        {"99999999m", 99999999},
        {"0S", 0},
        {"00000001S", 1000},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t ms;
        assert_int_equal(grpc_timeout(slice_str(rows[i].text), &ms), OK);
        assert_int_equal(ms, rows[i].ms);
    }
    static const char *const bad[] = {"",    "S",    "1",   "s",   "1s",         "1h", "-1S",
                                      "+1S", "1.5S", " 1S", "1 S", "123456789S", "1SS"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint64_t ms;
        assert_int_equal(grpc_timeout(slice_str(bad[i]), &ms), ERR_SYNTAX);
    }
}

/* ELB's table: who may go where, by client, method and content type. */
static void test_clients_go_where_elb_lets_them(void **state)
{
    (void)state;
    enum { H1, H2, RPC };
    static const struct {
        bool http2, grpc, post, websocket;
        bool mismatch[3]; /* of a group of HTTP/1.1, HTTP/2, gRPC */
    } rows[] = {
        {.mismatch = {false, true, true}},
        {.post = true, .mismatch = {false, true, true}},
        {.websocket = true, .mismatch = {false, true, true}},
        {.http2 = true, .mismatch = {false, false, true}},
        {.http2 = true, .post = true, .mismatch = {false, false, false}},
        {.http2 = true, .websocket = true, .mismatch = {false, true, true}},
        {.http2 = true, .grpc = true, .post = true, .mismatch = {true, false, false}},
        {.http2 = true, .grpc = true, .mismatch = {true, false, true}},
    };
    struct group groups[3] = {
        [H1] = {.wire = GROUP_WIRE_H1},
        [H2] = {.wire = GROUP_WIRE_H2},
        [RPC] = {.wire = GROUP_WIRE_H2, .grpc = true},
    };
    static struct exchange x;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        x.client.protocol = rows[i].http2 ? SLICE("HTTP/2.0") : slice_of(NULL, 0);
        x.grpc = rows[i].grpc;
        x.req.method_id = rows[i].post ? METHOD_POST : METHOD_GET;
        x.req.upgrade_websocket = rows[i].websocket;
        for (int g = H1; g <= RPC; g++)
            if (grpc_mismatch(&x, &groups[g]) != rows[i].mismatch[g])
                fail_msg("row %zu, group %d: expected %d", i, g, rows[i].mismatch[g]);
    }
    struct group raw = {.wire = GROUP_WIRE_RAW};
    assert_false(grpc_mismatch(&x, &raw));
}

static struct request_head head_of(struct field *fields, uint32_t n)
{
    struct request_head h = {.fields = {.at = fields, .count = n}};
    for (uint32_t i = 0; i < n; i++) {
        fields[i].id = (uint8_t)fields_id(fields[i].name);
        h.fields.present |= FIELD_BIT(fields[i].id);
    }
    return h;
}

static void test_grpc_is_told_by_its_type_over_http2(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        bool grpc;
    } rows[] = {
        {"application/grpc", true},
        {"application/grpc+proto", true},
        {"Application/GRPC;x=y", true},
        {"application/grpc-web", false},
        {"application/grpc-web+proto", false},
        {"application/grpcx", false},
        {"text/plain", false},
        {"", false},
    };
    static struct loop l;
    static struct proxy p = {.loop = &l};
    static struct exchange x;
    l.clock.now_ms = 5000;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (int http2 = 0; http2 < 2; http2++) {
            struct field fields[] = {
                {.name = SLICE("content-type"), .value = slice_str(rows[i].type)},
                {.name = SLICE("Grpc-Timeout"), .value = SLICE("2S")},
            };
            x = (struct exchange){.proxy = &p, .req = head_of(fields, ARRAY_LEN(fields))};
            x.client.protocol = http2 ? SLICE("HTTP/2.0") : slice_of(NULL, 0);
            grpc_note(&x);
            assert_int_equal(x.grpc, rows[i].grpc && http2);
            assert_int_equal(x.deadline_ms, x.grpc ? 7000 : 0);
        }
}

static void test_each_reason_has_a_code(void **state)
{
    (void)state;
    assert_int_equal(grpc_code_of(REASON_NO_TARGET), GRPC_UNAVAILABLE);
    assert_int_equal(grpc_code_of(REASON_TARGET_REFUSED), GRPC_UNAVAILABLE);
    assert_int_equal(grpc_code_of(REASON_TARGET_TIMEOUT), GRPC_DEADLINE_EXCEEDED);
    assert_int_equal(grpc_code_of(REASON_DEADLINE_EXCEEDED), GRPC_DEADLINE_EXCEEDED);
    assert_int_equal(grpc_code_of(REASON_PROTOCOL_MISMATCH), GRPC_UNIMPLEMENTED);
    assert_int_equal(grpc_code_of(REASON_BODY_TOO_LARGE), GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(grpc_code_of(REASON_SOURCE_DENIED), GRPC_PERMISSION_DENIED);
    assert_int_equal(grpc_code_of(REASON_BAD_HEADER), GRPC_INTERNAL);
    for (int r = 1; r < REASON_COUNT; r++)
        assert_true(grpc_code_of((enum reason)r) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_timeout_is_up_to_eight_digits_and_a_unit),
        cmocka_unit_test(test_clients_go_where_elb_lets_them),
        cmocka_unit_test(test_grpc_is_told_by_its_type_over_http2),
        cmocka_unit_test(test_each_reason_has_a_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
