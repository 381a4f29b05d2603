#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "net/dns.h"
#include "support/name_server.h"

struct fixture {
    struct loop loop;
    struct name_server server;
    struct dns *dns;
    struct dns_question q;
    struct task notify;
    unsigned told;
};

static void on_answer(struct task *t)
{
    container_of(t, struct fixture, notify)->told++;
}

static int setup(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof(f));
    assert_int_equal(loop_init(&f.loop, SIZE_MAX), OK);
    name_server_init(&f.server);
    f.dns = dns_new(&f.loop, &f.server.addr, 1);
    assert_non_null(f.dns);
    task_init(&f.notify, on_answer);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    dns_drop(&f->q);
    dns_free(f->dns);
    task_cancel(&f->notify);
    name_server_fini(&f->server);
    loop_fini(&f->loop);
    return 0;
}

static void turn(struct fixture *f)
{
    loop_turn(&f->loop);
    name_server_turn(&f->server);
    loop_turn(&f->loop);
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void ask(struct fixture *f, const char *name, enum dns_type type)
{
    f->told = 0;
    dns_ask(f->dns, &f->q, name, type, &f->notify);
    for (int i = 0; i < 5000 && !f->told; i++)
        turn(f);
    assert_int_equal(f->told, 1);
}

static void assert_ip(const struct addr *a, const char *want)
{
    char text[ADDR_TEXT_MAX + 1];
    text[addr_format_ip(a, text)] = '\0';
    assert_string_equal(text, want);
    assert_int_equal(addr_port(a), 0);
}

static void test_addresses_are_found_with_the_shortest_time_to_live(void **state)
{
    struct fixture *f = *state;
    name_server_a(&f->server, "app.test", "10.0.0.1", 60);
    name_server_a(&f->server, "app.test", "10.0.0.2", 7);
    name_server_a(&f->server, "app.test", "fd00::1", 3);
    ask(f, "app.test", DNS_A);
    assert_int_equal(f->q.status, DNS_FOUND);
    assert_int_equal(f->q.records_n, 2);
    assert_int_equal(f->q.ttl_s, 7);
    assert_ip(&f->q.records[0].addr, "10.0.0.1");
    assert_ip(&f->q.records[1].addr, "10.0.0.2");
    ask(f, "app.test", DNS_AAAA);
    assert_int_equal(f->q.records_n, 1);
    assert_ip(&f->q.records[0].addr, "fd00::1");
    assert_true(dns_idle(f->dns));
}

static void test_services_are_found_but_not_those_that_are_none(void **state)
{
    struct fixture *f = *state;
    name_server_srv(&f->server, "_http._tcp.test", "h1.test", 80, 1, 2, 9);
    name_server_srv(&f->server, "_http._tcp.test", ".", 80, 0, 0, 9);
    name_server_srv(&f->server, "_http._tcp.test", "h2.test", 0, 0, 0, 9);
    ask(f, "_http._tcp.test", DNS_SRV);
    assert_int_equal(f->q.status, DNS_FOUND);
    assert_int_equal(f->q.records_n, 1);
    assert_string_equal(f->q.records[0].host, "h1.test");
    assert_int_equal(f->q.records[0].port, 80);
    assert_int_equal(f->q.records[0].priority, 1);
    assert_int_equal(f->q.records[0].weight, 2);
    assert_int_equal(f->q.ttl_s, 9);
}

static void test_nothing_and_failures_are_told_apart(void **state)
{
    static const struct {
        uint8_t code;
        enum dns_status status;
        const char *why;
    } rows[] = {{0, DNS_NONE, "no record of this type"},
                {3, DNS_NONE, "no such name"},
                {2, DNS_FAILED, "the name servers failed or refused"},
                {5, DNS_FAILED, "the name servers failed or refused"}};
    struct fixture *f = *state;
    name_server_a(&f->server, "app.test", "10.0.0.1", 60);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        f->server.code = rows[i].code;
        ask(f, "app.test", DNS_AAAA);
        assert_int_equal(f->q.status, rows[i].status);
        assert_string_equal(f->q.why, rows[i].why);
        assert_int_equal(f->q.records_n, 0);
    }
}

static void test_silence_ends_after_a_second_try(void **state)
{
    struct fixture *f = *state;
    f->server.silent = true;
    ask(f, "app.test", DNS_A);
    assert_int_equal(f->q.status, DNS_FAILED);
    assert_string_equal(f->q.why, "no answer from the name servers");
    assert_int_equal(f->server.asked, 2);
}

static void test_a_dropped_question_is_not_told_of(void **state)
{
    struct fixture *f = *state;
    name_server_a(&f->server, "app.test", "10.0.0.1", 60);
    dns_ask(f->dns, &f->q, "app.test", DNS_A, &f->notify);
    dns_drop(&f->q);
    for (int i = 0; i < 50; i++)
        turn(f);
    assert_int_equal(f->told, 0);
    assert_true(dns_idle(f->dns));
}

static void test_what_is_open_goes_with_its_channel(void **state)
{
    struct fixture *f = *state;
    f->server.silent = true;
    dns_ask(f->dns, &f->q, "app.test", DNS_A, &f->notify);
    turn(f);
    assert_false(dns_idle(f->dns));
    dns_drop(&f->q); /* and the teardown frees the channel */
}

static void test_a_name_that_is_none_fails_at_once(void **state)
{
    struct fixture *f = *state;
    char name[400];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    ask(f, name, DNS_A);
    assert_int_equal(f->q.status, DNS_FAILED);
    assert_int_equal(f->server.asked, 0);
}

/* ---- times to live ---- */

#define HEADER "\1\2\x85\x80"
#define ANSWER(ttl, data) "\xc0\x0c\0\1\0\1" ttl data

static uint32_t ttl_of(const char *bytes, size_t n)
{
    return dns_ttl(slice_of(bytes, n));
}
#define TTL_OF(lit) ttl_of((lit), sizeof(lit) - 1)

static void test_the_shortest_time_to_live_is_read_from_any_bytes(void **state)
{
    (void)state;
    static const char two[] = HEADER "\0\1\0\2\0\0\0\0\1a\0\0\1\0\1"
                              ANSWER("\0\0\0\x3c", "\0\4abcd") ANSWER("\0\0\0\x05", "\0\4abcd");
    assert_int_equal(TTL_OF(two), 5);
    for (size_t n = 0; n < sizeof(two) - 1; n++)
        assert_int_equal(ttl_of(two, n), 0); /* cut anywhere: no answer */
    assert_int_equal(TTL_OF(HEADER "\0\0\0\0\0\0\0\0"), 0);
    assert_int_equal(TTL_OF(HEADER "\0\0\0\1\0\0\0\0\0\0\1\0\1\x80\0\0\0\0\0"), 0); /* negative */
    assert_int_equal(TTL_OF(HEADER "\0\0\0\1\0\0\0\0\0\0\1\0\1\x7f\0\0\0\0\0"), 604800);
    assert_int_equal(TTL_OF(HEADER "\0\0\0\1\0\0\0\0\x80\0\1\0\1\0\0\0\1\0\0"), 0); /* bad label */
    assert_int_equal(TTL_OF(HEADER "\0\0\xff\xff\0\0\0\0\0\0\1\0\1\0\0\0\1\0\0"), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_addresses_are_found_with_the_shortest_time_to_live),
        TEST(test_services_are_found_but_not_those_that_are_none),
        TEST(test_nothing_and_failures_are_told_apart),
        TEST(test_silence_ends_after_a_second_try),
        TEST(test_a_dropped_question_is_not_told_of),
        TEST(test_what_is_open_goes_with_its_channel),
        TEST(test_a_name_that_is_none_fails_at_once),
        cmocka_unit_test(test_the_shortest_time_to_live_is_read_from_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
