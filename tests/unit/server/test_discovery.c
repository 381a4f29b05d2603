/* What is followed, on a control thread's loop of its own: the test plays the name server, the
 * loader and its snapshots. A refresh that is asked for only leaves its mark, as during a start. */
#include "server/fixture.h"

#include <time.h>

#include "server/server.h"
#include "support/name_server.h"
#include "support/pass.h"

struct fixture {
    struct server server;
    struct discovery discovery;
    struct name_server names;
    struct config *config; /* of the newest snapshot */
    struct roster roster;  /* of the next one */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    assert_int_equal(loop_init(&f->server.loop, SIZE_MAX), OK);
    roster_init(&f->server.roster);
    roster_init(&f->roster);
    reload_init(&f->server.reload, &f->server);
    name_server_init(&f->names);
    discovery_init(&f->discovery, &f->server);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    discovery_fini(&f->discovery);
    assert_int_equal(f->server.roster.n, 0);
    loop_turn(&f->server.loop);
    name_server_fini(&f->names);
    reload_fini(&f->server.reload);
    roster_fini(&f->roster);
    roster_fini(&f->server.roster);
    if (f->config)
        model_free(f->config);
    loop_fini(&f->server.loop);
    free(f);
    return 0;
}

#define HEAD                                                                                       \
    "listeners:\n  - {name: web, listen: \"127.0.0.1:80\", protocol: http,"                        \
    " default_action: {forward: app}}\n"
#define GROUP                                                                                      \
    HEAD "target_groups:\n  - {name: app, discovery: {dns: {name: app.test, port: %u,"             \
         " resolver: \"127.0.0.1:%u\"}}}\n"
#define PLAIN HEAD "target_groups:\n  - {name: app, targets: [\"10.0.0.1:80\"]}\n"

/* What the loader found for the next snapshot: one address. */
static struct roster_list *loaded(struct fixture *f, enum roster_source source, const char *ip)
{
    struct addr addr = address_of("%s", ip);
    const struct config_target t = {.text = slice_str(ip),
                                    .host = SLICE("app.test"),
                                    .addrs = &addr,
                                    .addrs_n = 1,
                                    .weight = 1};
    struct roster_list *l = roster_list_of(SLICE("app"), source, SLICE(""), &t, 1);
    l->ttl_s = 7;
    l->good_s = 1000;
    roster_put(&f->roster, l);
    return l;
}

/* The snapshot of this configuration serves, with what was loaded. */
static void adopt(struct fixture *f, struct config *c)
{
    struct snapshot next = {.config = c, .groups_n = c->groups_n, .roster = f->roster};
    discovery_adopt(&f->discovery, &next);
    if (f->config)
        model_free(f->config);
    f->config = c;
}

static void adopt_group(struct fixture *f, unsigned port)
{
    adopt(f, config_of(GROUP, port, addr_port(&f->names.addr)));
}

static bool asked_for_refresh(struct fixture *f)
{
    bool asked = f->server.reload.refresh_again;
    f->server.reload.refresh_again = false;
    return asked;
}

static struct discovery_state state_now(struct fixture *f)
{
    struct discovery_state s;
    assert_true(discovery_state(&f->discovery, &f->config->groups[0], &s));
    return s;
}

static void turn(struct fixture *f)
{
    loop_turn(&f->server.loop);
    name_server_turn(&f->names);
    loop_turn(&f->server.loop);
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* The answer's time is over: it is asked for again, and something comes. */
static void look(struct fixture *f)
{
    unsigned asked = f->names.asked;
    pass_ms(&f->server.loop, 400000);
    for (int i = 0; i < 8000 && (f->names.asked == asked || state_now(f).due_ms == 0); i++)
        turn(f);
    assert_true(f->names.asked > asked && state_now(f).due_ms > 0);
}

/* "10.0.0.1:80 10.0.0.2:80", as the next snapshot will have it. */
static const char *listed(struct fixture *f, enum roster_source source, const char *origin)
{
    static char text[256];
    const struct roster_list *l =
        roster_find(&f->server.roster, SLICE("app"), source, slice_str(origin));
    struct strbuf all;
    strbuf_init(&all);
    for (size_t i = 0; l && i < l->targets_n; i++)
        for (size_t j = 0; j < l->targets[i].addrs_n; j++) {
            char one[ADDR_TEXT_MAX];
            size_t n = addr_format(&l->targets[i].addrs[j], one);
            strbuf_printf(&all, " %.*s", (int)n, one);
        }
    snprintf(text, sizeof(text), "%s", all.n ? all.p + 1 : "");
    strbuf_fini(&all);
    return l ? text : "nothing";
}

static void answers(struct fixture *f, const char *first, const char *second)
{
    f->names.records_n = 0;
    name_server_a(&f->names, "app.test", first, 7);
    if (second)
        name_server_a(&f->names, "app.test", second, 7);
}

static const char *dns(struct fixture *f)
{
    return listed(f, ROSTER_DNS, "");
}

/* 10.0.0.1:80 is known, and the name server says so too. */
static void follow(struct fixture *f)
{
    answers(f, "10.0.0.1", NULL);
    loaded(f, ROSTER_DNS, "10.0.0.1:80");
    adopt_group(f, 80);
    assert_string_equal(dns(f), "10.0.0.1:80");
    assert_false(asked_for_refresh(f));
}

static void test_an_answer_that_differs_is_a_list_and_a_refresh(void **state)
{
    struct fixture *f = *state;
    follow(f);
    look(f);
    assert_false(asked_for_refresh(f)); /* it is as it was */
    answers(f, "10.0.0.1", "10.0.0.2");
    look(f);
    assert_string_equal(dns(f), "10.0.0.1:80 10.0.0.2:80");
    assert_true(asked_for_refresh(f));
    answers(f, "10.0.0.2", NULL);
    look(f); /* one answer takes nobody away */
    assert_string_equal(dns(f), "10.0.0.1:80 10.0.0.2:80");
    assert_false(asked_for_refresh(f));
    look(f);
    assert_string_equal(dns(f), "10.0.0.2:80");
    assert_true(asked_for_refresh(f));
}

static void test_a_failure_empties_nothing_and_is_told(void **state)
{
    struct fixture *f = *state;
    follow(f);
    f->names.code = 3;
    for (unsigned failures = 1; failures <= 2; failures++) {
        look(f);
        struct discovery_state s = state_now(f);
        assert_string_equal(s.trouble.p, "no such name");
        assert_int_equal(s.failures, failures);
        assert_int_equal(s.targets, 1);
        assert_int_equal(s.good_s, 1000);
        assert_string_equal(dns(f), "10.0.0.1:80");
    }
    f->names.code = 0;
    look(f);
    struct discovery_state s = state_now(f);
    assert_int_equal(s.trouble.n, 0);
    assert_true(s.good_s > 1000 && s.failures == 2 && s.follows);
    assert_false(asked_for_refresh(f));
}

static void test_a_snapshot_that_is_behind_asks_for_another(void **state)
{
    struct fixture *f = *state;
    follow(f);
    answers(f, "10.0.0.1", "10.0.0.2");
    look(f);
    assert_true(asked_for_refresh(f));
    adopt_group(f, 80); /* its loader began before the answer came */
    assert_string_equal(dns(f), "10.0.0.1:80 10.0.0.2:80");
    assert_true(asked_for_refresh(f));
    roster_fini(&f->roster);
    roster_copy(&f->roster, &f->server.roster);
    adopt_group(f, 80);
    assert_false(asked_for_refresh(f));
}

static void test_another_question_begins_with_what_the_loader_found(void **state)
{
    struct fixture *f = *state;
    follow(f);
    answers(f, "10.0.0.1", "10.0.0.2");
    look(f);
    loaded(f, ROSTER_DNS, "10.0.0.1:81");
    adopt_group(f, 81);
    assert_string_equal(dns(f), "10.0.0.1:81");
    look(f);
    assert_string_equal(dns(f), "10.0.0.1:81 10.0.0.2:81");
}

static void test_what_no_snapshot_wants_is_dropped_and_not_asked_for(void **state)
{
    struct fixture *f = *state;
    follow(f);
    adopt(f, config_of(PLAIN));
    struct discovery_state s;
    assert_false(discovery_state(&f->discovery, &f->config->groups[0], &s));
    assert_string_equal(dns(f), "nothing");
    unsigned asked = f->names.asked;
    pass_ms(&f->server.loop, 400000);
    for (int i = 0; i < 20; i++)
        turn(f);
    assert_int_equal(f->names.asked, asked);
}

static void test_nothing_is_asked_while_the_server_stops(void **state)
{
    struct fixture *f = *state;
    follow(f);
    unsigned asked = f->names.asked;
    f->server.stopping = true;
    pass_ms(&f->server.loop, 400000);
    for (int i = 0; i < 20; i++)
        turn(f);
    assert_int_equal(f->names.asked, asked);
}

static void test_a_targets_name_is_followed_beside_its_own_addresses(void **state)
{
    struct fixture *f = *state;
    struct addr addr = address_of("10.0.0.1:80");
    struct config *c = config_of("resolvers: [\"127.0.0.1:%u\"]\n" HEAD
                                 "target_groups:\n  - {name: app, targets: [\"app.test:80\"]}\n",
                                 addr_port(&f->names.addr));
    c->groups[0].targets[0].addrs = &addr; /* as resolve.h has it */
    c->groups[0].targets[0].addrs_n = 1;
    answers(f, "10.0.0.1", "10.0.0.2");
    adopt(f, c);
    assert_string_equal(listed(f, ROSTER_NAME, "app.test:80"), "nothing");
    pass_ms(&f->server.loop, 20000);
    for (int i = 0; i < 8000 && !f->server.reload.refresh_again; i++)
        turn(f);
    assert_true(asked_for_refresh(f));
    assert_string_equal(listed(f, ROSTER_NAME, "app.test:80"), "10.0.0.1:80 10.0.0.2:80");
}

static void test_a_file_counts_and_asks_for_a_refresh_when_it_changes(void **state)
{
    struct fixture *f = *state;
    char *dir = temp_dir();
    const char *path = path_in(dir, "targets.yaml");
    struct roster_list *l = loaded(f, ROSTER_FILE, "10.0.0.1:80");
    l->trouble = "it is no list";
    l->stamp = (struct stamp){.hash = 1};
    for (int i = 0; i < 2; i++) {
        adopt(f, config_of(HEAD "target_groups:\n  - {name: app, discovery: {file: %s}}\n", path));
        struct discovery_state s = state_now(f);
        assert_string_equal(s.source.p, "file");
        assert_string_equal(s.name.p, path);
        assert_string_equal(s.trouble.p, "it is no list");
        assert_int_equal(s.failures, 1); /* the same state of the file is one failure */
        assert_true(s.targets == 1 && !s.follows);
    }
    assert_string_equal(listed(f, ROSTER_FILE, ""), "10.0.0.1:80");
    (void)asked_for_refresh(f);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fclose(out);
    for (int i = 0; i < 8000 && !f->server.reload.refresh_again; i++)
        turn(f);
    assert_true(asked_for_refresh(f));
    remove_dir(dir);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_answer_that_differs_is_a_list_and_a_refresh),
        TEST(test_a_failure_empties_nothing_and_is_told),
        TEST(test_a_snapshot_that_is_behind_asks_for_another),
        TEST(test_another_question_begins_with_what_the_loader_found),
        TEST(test_what_no_snapshot_wants_is_dropped_and_not_asked_for),
        TEST(test_nothing_is_asked_while_the_server_stops),
        TEST(test_a_targets_name_is_followed_beside_its_own_addresses),
        TEST(test_a_file_counts_and_asks_for_a_refresh_when_it_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
