#include "server/fixture.h"

#include "server/admin_body.h"

struct body {
    struct slice name;
    struct addr addr;
    uint64_t n;
};

static const struct schema_key keys[] = {
    {.name = "name", .type = SCHEMA_NAME, .required = true, SCHEMA_AT(body, name)},
    {.name = "addr",
     .type = SCHEMA_CUSTOM,
     .decode = admin_body_addr,
     .expected = ADMIN_BODY_ADDR_EXPECTED,
     SCHEMA_AT(body, addr)},
    {.name = "n", .type = SCHEMA_NUMBER, .def = "7", .max = 9, SCHEMA_AT(body, n)},
    SCHEMA_END,
};

static bool decode(const char *text, struct body *b, struct arena *a, struct admin_answer *answer)
{
    struct admin_request r = {.post = true, .body = slice_str(text)};
    *b = (struct body){0};
    *answer = (struct admin_answer){.status = 200};
    arena_init(a);
    strbuf_init(&answer->body);
    return admin_body_decode(&r, keys, a, b, answer);
}

static void test_a_json_object_fills_the_struct(void **state)
{
    (void)state;
    struct arena a;
    struct body b;
    struct admin_answer answer;
    assert_true(decode("{\"name\":\"app\",\"addr\":\"unix:a.sock\",\"n\":9}", &b, &a, &answer));
    assert_true(slice_eq(b.name, SLICE("app")));
    assert_string_equal(b.addr.un.sun_path, "a.sock");
    assert_int_equal(b.n, 9);
    arena_fini(&a);
    assert_true(decode("{\"name\":\"app\"}", &b, &a, &answer));
    assert_int_equal(b.n, 7);
    assert_int_equal(addr_family(&b.addr), AF_UNSPEC);
    arena_fini(&a);
}

static void assert_refused(const char *text, const char *what)
{
    struct arena a;
    struct body b;
    struct admin_answer answer;
    assert_false(decode(text, &b, &a, &answer));
    assert_int_equal(answer.status, 400);
    assert_string_equal(answer.content_type, "application/json");
    if (!strstr(answer.body.p, what))
        fail_msg("%s: %s", text, answer.body.p);
    strbuf_fini(&answer.body);
    arena_fini(&a);
}

static void test_what_is_wrong_is_said(void **state)
{
    (void)state;
    assert_refused("", "name");
    assert_refused("[]", "{\"error\":\"");
    assert_refused("{\"name\":", "{\"error\":\"");
    assert_refused("{\"name\":\"app\",\"nome\":1}", "did you mean \\\"name\\\"?");
    assert_refused("{\"name\":\"app\",\"n\":10}", "; expected a number");
    assert_refused("{\"name\":\"app\",\"addr\":\"host:80\"}", "; expected IP:PORT");
    assert_refused("{\"name\":\"app\",\"name\":\"app\"}", "name");
    assert_refused("{\"name\":\"\xff\"}", "{\"error\":\"");
}

static void test_texts_stand_as_they_are(void **state)
{
    (void)state;
    assert_refused("{\"name\":\"${HOME}\"}", "${HOME}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_json_object_fills_the_struct),
        cmocka_unit_test(test_what_is_wrong_is_said),
        cmocka_unit_test(test_texts_stand_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
