#include "server/fixture.h"

#include <pthread.h>
#include <time.h>

#include "server/first_answers.h"
#include "server/found.h"
#include "support/name_server.h"

struct fixture {
    struct name_server server;
    struct roster roster;
    struct report report;
    pthread_t thread;
    atomic_bool end;
};

/* The loader waits for answers, so another thread gives them. */
static void *serve(void *arg)
{
    struct fixture *f = arg;
    while (!atomic_load(&f->end)) {
        name_server_turn(&f->server);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return NULL;
}

static int setup(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof(f));
    name_server_init(&f.server);
    name_server_a(&f.server, "app.test", "10.0.0.1", 60);
    name_server_a(&f.server, "app.test", "10.0.0.2", 7);
    roster_init(&f.roster);
    report_init(&f.report);
    *state = &f;
    return 0;
}

static void start(struct fixture *f)
{
    assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->end, true);
    if (f->thread)
        (void)pthread_join(f->thread, NULL);
    name_server_fini(&f->server);
    roster_fini(&f->roster);
    report_fini(&f->report);
    return 0;
}

#define GROUP                                                                                      \
    "listeners:\n  - {name: web, listen: \"127.0.0.1:80\", protocol: http,"                        \
    " default_action: {forward: app}}\n"                                                           \
    "target_groups:\n  - {name: app, discovery: {dns: {name: app.test, port: %u, zone: b,"         \
    " resolver: \"127.0.0.1:%u\"}}}\n"

static struct config *config_for(struct fixture *f, unsigned port)
{
    return config_of(GROUP, port, addr_port(&f->server.addr));
}

static const struct roster_list *list(const struct fixture *f)
{
    return roster_find(&f->roster, SLICE("app"), ROSTER_DNS, SLICE(""));
}

static enum err find(struct fixture *f, unsigned port)
{
    struct config *c = config_for(f, port);
    enum err e = first_answers_find(c, &f->roster, NULL, &f->report);
    model_free(c);
    return e;
}

static void test_a_new_discovery_gets_its_list_and_keeps_it(void **state)
{
    struct fixture *f = *state;
    start(f);
    assert_int_equal(find(f, 3000), OK);
    const struct roster_list *l = list(f);
    assert_int_equal(l->targets_n, 2);
    assert_string_equal(l->targets[0].text.p, "10.0.0.1:3000");
    assert_string_equal(l->targets[0].zone.p, "b");
    assert_string_equal(l->targets[0].host.p, "app.test");
    assert_int_equal(l->targets[0].weight, 1);
    assert_int_equal(l->ttl_s, 7);
    assert_true(l->good_s > 0 && !l->trouble && f->report.warnings == 0);
    unsigned asked = f->server.asked;
    assert_int_equal(find(f, 3000), OK);
    assert_ptr_equal(list(f), l);
    assert_int_equal(f->server.asked, asked); /* it is followed already */
    assert_int_equal(find(f, 3001), OK);
    assert_string_equal(list(f)->targets[1].text.p, "10.0.0.2:3001");
}

static void test_a_failure_is_a_warning_and_keeps_what_there_was(void **state)
{
    struct fixture *f = *state;
    f->server.code = 3;
    start(f);
    assert_int_equal(find(f, 3000), OK);
    assert_int_equal(list(f)->targets_n, 0);
    assert_string_equal(list(f)->trouble, "no such name");
    assert_int_equal(f->report.warnings, 1);
    assert_int_equal(f->report.errors, 0);
    struct addr addr = address_of("10.0.0.9:3000");
    const struct config_target t = {.addrs = &addr, .addrs_n = 1, .weight = 1};
    roster_put(&f->roster, roster_list_of(SLICE("app"), ROSTER_DNS, SLICE(""), &t, 1));
    assert_int_equal(find(f, 3000), OK);
    assert_int_equal(list(f)->targets_n, 1);
    assert_true(addr_eq(list(f)->targets[0].addrs, &addr));
}

static void test_a_cancel_ends_it_soon(void **state)
{
    struct fixture *f = *state;
    atomic_bool cancelled = true;
    f->server.silent = true;
    start(f);
    struct config *c = config_for(f, 3000);
    assert_int_equal(first_answers_find(c, &f->roster, &cancelled, &f->report), ERR_RESET);
    assert_null(list(f));
    model_free(c);
}

static void test_names_that_are_followed_have_their_newest_addresses(void **state)
{
    struct fixture *f = *state;
    struct addr addrs[] = {address_of("10.0.0.7:81"), address_of("10.0.0.8:81")};
    const struct config_target t = {.addrs = addrs, .addrs_n = 2};
    struct config *c = config_of("listeners:\n  - {name: web, listen: \"127.0.0.1:80\","
                                 " protocol: http, default_action: {forward: app}}\n"
                                 "target_groups:\n  - {name: app, targets: [\"a.test:81\","
                                 " \"b.test:81\"]}\n");
    roster_put(&f->roster, roster_list_of(SLICE("app"), ROSTER_NAME, SLICE("b.test:81"), &t, 1));
    first_answers_reuse(c, &f->roster);
    assert_int_equal(c->groups[0].targets[0].addrs_n, 0);
    assert_int_equal(c->groups[0].targets[1].addrs_n, 2);
    assert_true(addr_eq(&c->groups[0].targets[1].addrs[1], &addrs[1]));
    model_free(c);
}

static void test_the_key_is_about_what_is_asked_for(void **state)
{
    (void)state;
    const struct found_about a = {.source = ROSTER_DNS, .name = SLICE("a"), .port = 1};
    struct found_about b = a;
    b.zone = SLICE("z");
    b.hold_ms = 5;
    assert_true(found_key(&a) == found_key(&b));
    b.port = 2;
    assert_true(found_key(&a) != found_key(&b));
    b = a;
    b.name = SLICE("b");
    assert_true(found_key(&a) != found_key(&b));
    b = a;
    b.source = ROSTER_NAME;
    assert_true(found_key(&a) != found_key(&b));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_new_discovery_gets_its_list_and_keeps_it),
        TEST(test_a_failure_is_a_warning_and_keeps_what_there_was),
        TEST(test_a_cancel_ends_it_soon),
        TEST(test_names_that_are_followed_have_their_newest_addresses),
        TEST(test_the_key_is_about_what_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
