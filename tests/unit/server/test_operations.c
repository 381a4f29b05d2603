/* Drains, and what is kept: without clients, so answers go nowhere. Registering needs a loader, and
 * is the system tests' business. */
#include "server/fixture.h"

#include "server/server.h"
#include "support/pass.h"

#define WORKERS 2

struct fixture {
    struct server server;
    const struct counters *counters[WORKERS];
    struct worker *workers[WORKERS];
    char *dir;
};

static const char yaml[] =
    "%s"
    "listeners:\n"
    "  - {name: web, listen: \"127.0.0.1:80\", protocol: http, default_action: {forward: app}}\n"
    "target_groups:\n"
    "  - {name: app, targets: [%s]}\n";

#define BOTH   "\"10.0.0.1:80\", \"10.0.0.2:80\""
#define SECOND "\"10.0.0.2:80\""

static void released(void *ctx, struct snapshot *s)
{
    snapshots_released(&((struct server *)ctx)->snapshots, s);
}

static void turn(struct fixture *f)
{
    for (int i = 0; i < 4; i++) {
        for (unsigned w = 0; w < WORKERS; w++)
            loop_turn(&f->workers[w]->loop);
        loop_turn(&f->server.loop);
    }
}

static void serve(struct fixture *f, const char *targets, bool reload)
{
    char state_dir[128];
    struct server *s = &f->server;
    snprintf(state_dir, sizeof(state_dir), "state_dir: %s\n", f->dir);
    struct snapshot *next = snapshot_compile(config_of(yaml, state_dir, targets), WORKERS);
    assert_int_equal(snapshots_bind(&s->snapshots, next), OK);
    departures_note(&s->departures, s->snapshots.current, next);
    snapshots_publish(&s->snapshots, next);
    changes_adopt(&s->operations.changes, next, reload);
    for (unsigned w = 0; w < WORKERS; w++)
        proxy_adopt(&f->workers[w]->proxy, next);
    turn(f);
    snapshots_served(&s->snapshots);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct server *s = &f->server;
    assert_int_equal(loop_init(&s->loop, 1 << 20), OK);
    f->dir = temp_dir();
    s->workers = f->workers;
    s->workers_n = WORKERS;
    s->shared = (struct worker_shared){.control = &s->loop,
                                       .limit = {10, WORKERS, f->counters},
                                       .released = released,
                                       .ctx = s};
    for (unsigned w = 0; w < WORKERS; w++)
        assert_int_equal(worker_new(&f->workers[w], w, &s->shared), OK);
    snapshots_init(&s->snapshots, &s->loop, WORKERS);
    roster_init(&s->roster);
    news_init(&s->news, &s->loop);
    shift_init(&s->shifts, &s->loop, &s->snapshots.registry);
    departures_init(&s->departures, s);
    admin_init(&s->admin, &s->loop, NULL, NULL);
    operations_init(&s->operations, s);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct server *s = &f->server;
    turn(f);
    admin_fini(&s->admin);
    for (unsigned w = 0; w < WORKERS; w++)
        worker_close(f->workers[w]);
    operations_fini(&s->operations);
    news_fini(&s->news);
    shift_fini(&s->shifts);
    departures_fini(&s->departures);
    snapshots_fini(&s->snapshots);
    roster_fini(&s->roster);
    loop_fini(&s->loop);
    remove_dir(f->dir);
    free(f);
    return 0;
}

static struct target *first(struct fixture *f)
{
    struct addr a = address_of("10.0.0.1:80");
    return registry_find(&f->server.snapshots.registry, SLICE("app"), &a);
}

static struct operation_wish wish(enum operation_what what, const char *group, const char *address)
{
    return (struct operation_wish){.what = what,
                                   .group = slice_str(group),
                                   .addr = address_of("%s", address),
                                   .weight = CONFIG_NONE,
                                   .who = SLICE("a test")};
}

/* The status of an answer at once, or 0 for one that comes later. */
static unsigned begin(struct fixture *f, const struct operation_wish *w)
{
    struct admin_answer a = {.status = 200};
    strbuf_init(&a.body);
    operations_begin(&f->server.operations, w, &a);
    strbuf_fini(&a.body);
    return a.later ? 0 : a.status;
}

static void finish(struct fixture *f)
{
    for (int i = 0; i < 2000 && f->server.operations.running_n; i++) {
        turn(f);
        usleep(1000);
    }
    assert_int_equal(f->server.operations.running_n, 0);
}

static void assert_saved(struct fixture *f, const char *what, bool there)
{
    const char *text = content(path_in(f->dir, STATE_FILE_NAME));
    if ((strstr(text, what) != NULL) != there)
        fail_msg("%s: %s", what, text);
}

static void test_a_drain_is_applied_by_every_worker_then_saved(void **state)
{
    struct fixture *f = *state;
    struct operation_wish w = wish(OPERATION_DRAIN, "app", "10.0.0.1:80");
    serve(f, BOTH, false);
    uint32_t epoch = atomic_load(&f->server.snapshots.current->groups[0].news->epoch);
    assert_int_equal(begin(f, &w), 0);
    assert_true(target_flags(first(f)) & TARGET_DRAINING);
    assert_int_equal(atomic_load(&f->server.snapshots.current->groups[0].news->epoch), epoch + 1);
    loop_turn(&f->server.loop);
    loop_turn(&f->workers[0]->loop);
    loop_turn(&f->server.loop);
    assert_int_equal(f->server.operations.changes.file.begun, 0); /* the other worker was not heard */
    finish(f);
    assert_int_equal(f->server.operations.changes.file.begun, 1);
    assert_saved(f, "{\"group\":\"app\",\"address\":\"10.0.0.1:80\"}", true);
    w.what = OPERATION_READY;
    assert_int_equal(begin(f, &w), 0);
    finish(f);
    assert_int_equal(target_flags(first(f)), 0);
    assert_saved(f, "10.0.0.1", false);
}

static void test_a_drain_lives_until_a_reload_does_not_name_the_target(void **state)
{
    struct fixture *f = *state;
    struct operation_wish w = wish(OPERATION_DRAIN, "app", "10.0.0.1:80");
    serve(f, BOTH, false);
    assert_int_equal(begin(f, &w), 0);
    finish(f);
    serve(f, BOTH, true);
    assert_true(first(f)->drained);
    serve(f, SECOND, false); /* as when discovery loses it for a while */
    serve(f, BOTH, false);
    assert_true(first(f)->drained);
    serve(f, SECOND, true);
    serve(f, BOTH, true);
    assert_false(first(f)->drained);
    assert_int_equal(target_flags(first(f)), 0);
}

static void test_what_was_kept_is_there_when_the_first_snapshot_serves(void **state)
{
    struct fixture *f = *state;
    struct addr one = address_of("10.0.0.1:80"), more = address_of("10.0.0.9:80");
    struct state_target drained = {.group = SLICE("app"), .addr = one};
    struct state_target registered[] = {{.group = SLICE("app"), .addr = more, .weight = 2},
                                        {.group = SLICE("gone"), .addr = more, .weight = 2}};
    struct state kept = {.drained = &drained,
                         .drained_n = 1,
                         .registered = registered,
                         .registered_n = 2};
    struct config *c = config_of(yaml, "", BOTH);
    changes_restore(&f->server.operations.changes, &kept, c);
    model_free(c);
    serve(f, BOTH, false);
    assert_true(target_flags(first(f)) & TARGET_DRAINING);
    assert_non_null(roster_get(&f->server.roster, SLICE("app"), ROSTER_OPERATOR, &more));
    assert_null(roster_get(&f->server.roster, SLICE("gone"), ROSTER_OPERATOR, &more));
}

static void test_an_operation_waits_until_nothing_is_in_flight_while_somebody_listens(void **state)
{
    struct fixture *f = *state;
    struct operation_wish w = wish(OPERATION_DRAIN, "app", "10.0.0.1:80");
    w.wait_ms = 60000;
    serve(f, BOTH, false);
    counter_add(&first(f)->local[0].in_flight, 1);
    assert_int_equal(begin(f, &w), 0);
    finish(f); /* nobody does */
    counter_sub(&first(f)->local[0].in_flight, 1);
}

static void test_what_cannot_be_is_answered_at_once(void **state)
{
    struct fixture *f = *state;
    struct operation_wish w = wish(OPERATION_DRAIN, "none", "10.0.0.1:80");
    serve(f, BOTH, false);
    assert_int_equal(begin(f, &w), 404);
    w = wish(OPERATION_READY, "app", "10.0.0.3:80");
    assert_int_equal(begin(f, &w), 404);
    w = wish(OPERATION_DEREGISTER, "app", "10.0.0.3:80");
    assert_int_equal(begin(f, &w), 404);
    w = wish(OPERATION_REGISTER, "app", "10.0.0.1:80");
    w.weight = 3;
    assert_int_equal(begin(f, &w), 409);
    f->server.stopping = true;
    w = wish(OPERATION_DRAIN, "app", "10.0.0.1:80");
    assert_int_equal(begin(f, &w), 503);
    assert_false(first(f)->drained);
}

static void test_no_more_than_64_run_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct operation_wish w = wish(OPERATION_DRAIN, "app", "10.0.0.1:80");
    serve(f, BOTH, false);
    for (unsigned i = 0; i < OPERATIONS_MAX; i++)
        assert_int_equal(begin(f, &w), 0);
    assert_int_equal(begin(f, &w), 503);
    finish(f);
    assert_int_equal(begin(f, &w), 0);
    finish(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_drain_is_applied_by_every_worker_then_saved),
        TEST(test_a_drain_lives_until_a_reload_does_not_name_the_target),
        TEST(test_what_was_kept_is_there_when_the_first_snapshot_serves),
        TEST(test_an_operation_waits_until_nothing_is_in_flight_while_somebody_listens),
        TEST(test_what_cannot_be_is_answered_at_once),
        TEST(test_no_more_than_64_run_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
