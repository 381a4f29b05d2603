#include "proxy/hash_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"

struct fixture {
    struct loop loop;
    struct proxy proxy;
    struct exchange x;
    struct field fields[4];
};

static void begin(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->loop.rng = (struct rng){5};
    f->proxy.loop = &f->loop;
    f->x.proxy = &f->proxy;
    f->x.client.peer_ip = SLICE("10.1.2.3");
    f->x.req.path = SLICE("/a/b");
    f->x.req.query = SLICE("n=1&id=42&id=43&flag&e=");
    f->fields[0] = (struct field){.name = SLICE("X-User"), .value = SLICE("anna")};
    f->fields[1] =
        (struct field){.name = SLICE("Cookie"), .value = SLICE("a=1; id=c7"), .id = FIELD_COOKIE};
    f->fields[2] = (struct field){.name = SLICE("x-user"), .value = SLICE("bert")};
    f->fields[3] = (struct field){.name = SLICE("X-Empty"), .value = SLICE("")};
    f->x.req.fields = (struct fields){f->fields, 4, 4, FIELD_BIT(FIELD_COOKIE)};
}

static void test_the_value_that_is_named_makes_the_hash(void **state)
{
    (void)state;
    static const struct {
        struct config_hash_on on;
        const char *value; /* NULL: there is none */
    } rows[] = {
        {{CONFIG_HASH_ON_SOURCE_IP, {NULL, 0}}, "10.1.2.3"},
        {{CONFIG_HASH_ON_PATH, {NULL, 0}}, "/a/b"},
        {{CONFIG_HASH_ON_HEADER, SLICE_INIT("X-USER")}, "anna"},
        {{CONFIG_HASH_ON_HEADER, SLICE_INIT("X-Use")}, NULL},
        {{CONFIG_HASH_ON_HEADER, SLICE_INIT("X-Empty")}, NULL},
        {{CONFIG_HASH_ON_COOKIE, SLICE_INIT("id")}, "c7"},
        {{CONFIG_HASH_ON_COOKIE, SLICE_INIT("ID")}, NULL},
        {{CONFIG_HASH_ON_QUERY, SLICE_INIT("id")}, "42"},
        {{CONFIG_HASH_ON_QUERY, SLICE_INIT("n")}, "1"},
        {{CONFIG_HASH_ON_QUERY, SLICE_INIT("flag")}, NULL},
        {{CONFIG_HASH_ON_QUERY, SLICE_INIT("e")}, NULL},
        {{CONFIG_HASH_ON_QUERY, SLICE_INIT("i")}, NULL},
        {{CONFIG_HASH_ON_QUERY, SLICE_INIT("d")}, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture f;
        begin(&f);
        uint64_t one = hash_key(&f.x, &rows[i].on), two = hash_key(&f.x, &rows[i].on);
        if (rows[i].value)
            assert_true(one == two && one == hash_bytes(slice_str(rows[i].value), 0));
        else
            assert_true(one != two); /* anywhere */
    }
}

static void test_a_client_without_an_address_goes_anywhere(void **state)
{
    (void)state;
    struct fixture f;
    struct config_hash_on on = {CONFIG_HASH_ON_SOURCE_IP, {NULL, 0}};
    begin(&f);
    f.x.client.peer_ip = slice_of(NULL, 0);
    assert_true(hash_key(&f.x, &on) != hash_key(&f.x, &on));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_value_that_is_named_makes_the_hash),
        cmocka_unit_test(test_a_client_without_an_address_goes_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
