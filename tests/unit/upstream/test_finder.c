#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "support/name_server.h"
#include "upstream/finder.h"

struct fixture {
    struct loop loop;
    struct name_server server;
    struct dns *dns;
    struct finder finder;
    struct task notify;
    unsigned told;
};

static void on_found(struct task *t)
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
    task_init(&f.notify, on_found);
    finder_init(&f.finder, &f.notify);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    finder_fini(&f->finder);
    dns_free(f->dns);
    name_server_fini(&f->server);
    loop_fini(&f->loop);
    return 0;
}

static void find(struct fixture *f, const char *name, uint16_t port)
{
    f->told = 0;
    finder_start(&f->finder, f->dns, name, port);
    assert_true(finder_running(&f->finder));
    for (int i = 0; i < 8000 && !f->told; i++) {
        loop_turn(&f->loop);
        name_server_turn(&f->server);
        loop_turn(&f->loop);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    assert_int_equal(f->told, 1);
    assert_false(finder_running(&f->finder));
}

/* "10.0.0.1:80 h1 0/1 ..." with priority/weight. */
static const char *found(const struct fixture *f)
{
    static char text[1024];
    *text = '\0';
    for (size_t i = 0; i < f->finder.answer.targets_n; i++) {
        const struct discover_target *t = &f->finder.answer.targets[i];
        char one[ADDR_TEXT_MAX + 1];
        one[addr_format(&t->addr, one)] = '\0';
        sprintf(text + strlen(text), "%s%s %s %u/%u", *text ? ", " : "", one, t->host, t->priority,
                t->weight);
    }
    return text;
}

static void test_a_name_is_all_its_addresses_with_the_port(void **state)
{
    struct fixture *f = *state;
    name_server_a(&f->server, "app.test", "10.0.0.1", 60);
    name_server_a(&f->server, "app.test", "10.0.0.2", 50);
    name_server_a(&f->server, "app.test", "fd00::1", 40);
    find(f, "app.test", 81);
    assert_string_equal(found(f), "10.0.0.1:81 app.test 0/1, 10.0.0.2:81 app.test 0/1, "
                                  "[fd00::1]:81 app.test 0/1");
    assert_int_equal(f->finder.answer.ttl_s, 40);
    assert_int_equal(f->finder.answer.gaps_n, 0);
    assert_null(f->finder.why);
}

static void test_a_service_is_the_addresses_of_its_hosts(void **state)
{
    struct fixture *f = *state;
    name_server_srv(&f->server, "_s.test", "b.test", 80, 1, 5, 30);
    name_server_srv(&f->server, "_s.test", "a.test", 81, 0, 0, 30);
    name_server_srv(&f->server, "_s.test", "b.test", 82, 2, 6, 30);
    name_server_a(&f->server, "a.test", "10.0.0.1", 60);
    name_server_a(&f->server, "b.test", "10.0.0.2", 20);
    find(f, "_s.test", 0);
    assert_string_equal(found(f), "10.0.0.2:80 b.test 1/5, 10.0.0.1:81 a.test 0/1, "
                                  "10.0.0.2:82 b.test 2/6");
    assert_int_equal(f->finder.answer.ttl_s, 20);
    assert_int_equal(f->server.asked, 5); /* every host once: A and AAAA */
}

static void test_a_host_without_an_answer_is_a_gap_and_one_that_is_none_is_not(void **state)
{
    struct fixture *f = *state;
    name_server_srv(&f->server, "_s.test", "gone.test", 80, 0, 1, 30);
    name_server_srv(&f->server, "_s.test", "a.test", 80, 0, 1, 30);
    name_server_a(&f->server, "a.test", "10.0.0.1", 60);
    find(f, "_s.test", 0);
    assert_string_equal(found(f), "10.0.0.1:80 a.test 0/1");
    assert_int_equal(f->finder.answer.gaps_n, 0);
    f->server.code = 2;
    find(f, "a.test", 80);
    assert_int_equal(f->finder.answer.targets_n, 0);
    assert_int_equal(f->finder.answer.gaps_n, 2);
    assert_string_equal(f->finder.why, "the name servers failed or refused");
    find(f, "_s.test", 0);
    assert_int_equal(f->finder.answer.targets_n, 0);
    assert_string_equal(f->finder.why, "the name servers failed or refused");
}

static void test_nothing_has_a_reason(void **state)
{
    struct fixture *f = *state;
    name_server_srv(&f->server, "_s.test", ".", 0, 0, 0, 30);
    find(f, "none.test", 80);
    assert_string_equal(f->finder.why, "no such name");
    find(f, "_s.test", 0);
    assert_string_equal(f->finder.why, "no record of this type");
    find(f, "_none.test", 0);
    assert_string_equal(f->finder.why, "no such name");
}

static void test_a_search_can_be_left_or_begun_anew_at_any_time(void **state)
{
    struct fixture *f = *state;
    name_server_srv(&f->server, "_s.test", "a.test", 80, 0, 1, 30);
    name_server_a(&f->server, "a.test", "10.0.0.1", 60);
    for (int turns = 0; turns < 8; turns++) {
        finder_start(&f->finder, f->dns, "_s.test", 0);
        for (int i = 0; i < turns; i++) {
            loop_turn(&f->loop);
            name_server_turn(&f->server);
        }
    }
    find(f, "_s.test", 0);
    assert_string_equal(found(f), "10.0.0.1:80 a.test 0/1");
    finder_start(&f->finder, f->dns, "_s.test", 0); /* and the teardown leaves it */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_name_is_all_its_addresses_with_the_port),
        TEST(test_a_service_is_the_addresses_of_its_hosts),
        TEST(test_a_host_without_an_answer_is_a_gap_and_one_that_is_none_is_not),
        TEST(test_nothing_has_a_reason),
        TEST(test_a_search_can_be_left_or_begun_anew_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
