#include "server/fixture.h"

#include "server/server.h"
#include "support/pass.h"

#define WORKERS 2

struct fixture {
    struct server server;
    const struct counters *counters[WORKERS];
    struct worker *workers[WORKERS];
};

#define FILE_WITH(delay, targets)                                                                  \
    "listeners:\n"                                                                                 \
    "  - {name: web, listen: \"127.0.0.1:80\", protocol: http,"                                    \
    " default_action: {forward: app}}\n"                                                           \
    "target_groups:\n"                                                                             \
    "  - {name: app, attributes: {deregistration_delay: " delay "}, targets: [" targets "]}\n"

static const char both[] =
    FILE_WITH("10s", "{address: \"10.0.0.1:80\", zone: a, weight: 3}, \"10.0.0.2:80\"");
static const char second[] = FILE_WITH("10s", "\"10.0.0.2:80\"");
static const char second_soon[] = FILE_WITH("1s", "\"10.0.0.2:80\"");

static void released(void *ctx, struct snapshot *s)
{
    snapshots_released(&((struct server *)ctx)->snapshots, s);
}

static void turn(struct fixture *f)
{
    for (int i = 0; i < 3; i++) {
        for (unsigned w = 0; w < WORKERS; w++)
            loop_turn(&f->workers[w]->loop);
        loop_turn(&f->server.loop);
    }
}

/* What a publish does, as far as targets are concerned. */
static void publish(struct fixture *f, const char *yaml)
{
    struct snapshots *s = &f->server.snapshots;
    struct snapshot *next = snapshot_compile(config_of("%s", yaml), WORKERS);
    assert_int_equal(snapshots_bind(s, next), OK);
    departures_note(&f->server.departures, s->current, next);
    snapshots_publish(s, next);
    for (unsigned w = 0; w < WORKERS; w++)
        proxy_adopt(&f->workers[w]->proxy, next);
    turn(f);
}

static void serve(struct fixture *f, const char *yaml)
{
    publish(f, yaml);
    snapshots_served(&f->server.snapshots);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct server *s = &f->server;
    assert_int_equal(loop_init(&s->loop, 1 << 20), OK);
    s->workers = f->workers;
    s->workers_n = WORKERS;
    s->shared = (struct worker_shared){
        .control = &s->loop, .limit = {10, WORKERS, f->counters}, .released = released, .ctx = s};
    for (unsigned w = 0; w < WORKERS; w++)
        assert_int_equal(worker_new(&f->workers[w], w, &s->shared), OK);
    snapshots_init(&s->snapshots, &s->loop, WORKERS);
    departures_init(&s->departures, s);
    news_init(&s->news, &s->loop);
    serve(f, both);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    turn(f);
    for (unsigned w = 0; w < WORKERS; w++)
        worker_close(f->workers[w]);
    departures_fini(&f->server.departures);
    news_fini(&f->server.news);
    snapshots_fini(&f->server.snapshots);
    loop_fini(&f->server.loop);
    free(f);
    return 0;
}

static struct target *first(struct fixture *f)
{
    return list_first(&f->server.snapshots.registry.targets, struct target, node);
}

static unsigned count(struct fixture *f)
{
    unsigned n = 0;
    list_each(at, next, &f->server.departures.all)
        n++;
    return n;
}

static void pass(struct fixture *f, uint64_t ms)
{
    pass_ms(&f->server.loop, ms);
    turn(f);
}

static void test_a_target_that_leaves_is_noted_with_what_was_known_of_it(void **state)
{
    struct fixture *f = *state;
    struct target *t = first(f);
    assert_null(t->departure);
    counter_add(&t->local[1].in_flight, 1);
    serve(f, second);
    assert_int_equal(count(f), 1);
    assert_ptr_equal(t->departure->member.target, t);
    assert_true(slice_eq(t->departure->member.zone, SLICE("a")));
    assert_int_equal(t->departure->member.weight, 3);
    counter_sub(&t->local[1].in_flight, 1);
    pass(f, 200);
    assert_int_equal(count(f), 0);
    assert_int_equal(f->server.snapshots.registry.count, 1);
}

static void test_it_stays_while_something_is_in_flight(void **state)
{
    struct fixture *f = *state;
    struct target *t = first(f);
    counter_add(&t->local[0].in_flight, 1);
    serve(f, second);
    serve(f, second);
    pass(f, 9000);
    assert_int_equal(count(f), 1);
    assert_null(t->departure->commands);
    counter_sub(&t->local[0].in_flight, 1);
    pass(f, 200);
    assert_int_equal(count(f), 0);
}

static void test_workers_cut_when_the_delay_is_over(void **state)
{
    struct fixture *f = *state;
    struct target *t = first(f);
    counter_add(&t->local[0].in_flight, 1);
    serve(f, second);
    pass_ms(&f->server.loop, 10200);
    assert_non_null(t->departure->commands);
    assert_int_equal(t->departure->waiting, WORKERS);
    assert_int_equal(t->departure->commands[1].order, WORKER_DEREGISTER);
    turn(f);
    assert_int_equal(t->departure->waiting, 0);
    counter_sub(&t->local[0].in_flight, 1);
    pass(f, 200);
    assert_int_equal(count(f), 0);
}

static void test_what_slipped_through_is_cut_again_a_second_later(void **state)
{
    struct fixture *f = *state;
    struct target *t = first(f);
    counter_add(&t->local[0].in_flight, 1);
    serve(f, second);
    pass(f, 10200);
    assert_int_equal(t->departure->waiting, 0);
    assert_true(t->departure->cut_ms >= f->server.loop.clock.now_ms + DEPARTURES_AGAIN_MS - 100);
    pass_ms(&f->server.loop, 1200);
    assert_int_equal(t->departure->waiting, WORKERS);
    counter_sub(&t->local[0].in_flight, 1);
    turn(f);
    pass(f, 200);
    assert_int_equal(count(f), 0);
}

static void test_the_delay_is_that_of_the_new_file(void **state)
{
    struct fixture *f = *state;
    struct target *t = first(f);
    counter_add(&t->local[0].in_flight, 1);
    serve(f, second_soon);
    pass_ms(&f->server.loop, 1200);
    assert_non_null(t->departure->commands);
    counter_sub(&t->local[0].in_flight, 1);
    turn(f);
    pass(f, 200);
    assert_int_equal(count(f), 0);
}

static void test_nothing_is_over_before_all_workers_serve_the_new_snapshot(void **state)
{
    struct fixture *f = *state;
    publish(f, second_soon);
    pass(f, 5000);
    assert_int_equal(count(f), 1);
    snapshots_served(&f->server.snapshots);
    pass(f, 200);
    assert_int_equal(count(f), 0);
}

static void test_one_that_is_named_again_has_never_left(void **state)
{
    struct fixture *f = *state;
    struct target *t = first(f);
    counter_add(&t->local[0].in_flight, 1);
    serve(f, second);
    assert_non_null(t->departure);
    serve(f, both);
    assert_null(t->departure);
    pass(f, 200);
    assert_int_equal(count(f), 0);
    counter_sub(&t->local[0].in_flight, 1);
}

static void test_one_may_come_back_and_leave_again_while_it_is_cut(void **state)
{
    struct fixture *f = *state;
    struct target *t = first(f);
    counter_add(&t->local[0].in_flight, 1);
    serve(f, second_soon);
    pass_ms(&f->server.loop, 1200);
    struct departure *e = t->departure;
    assert_int_equal(e->waiting, WORKERS);
    struct snapshot *next = snapshot_compile(config_of("%s", both), WORKERS);
    assert_int_equal(snapshots_bind(&f->server.snapshots, next), OK);
    departures_note(&f->server.departures, f->server.snapshots.current, next);
    snapshots_publish(&f->server.snapshots, next);
    assert_null(t->departure);
    assert_int_equal(count(f), 1); /* workers still have its commands */
    for (unsigned w = 0; w < WORKERS; w++)
        proxy_adopt(&f->workers[w]->proxy, next);
    snapshots_served(&f->server.snapshots);
    publish(f, second);
    assert_non_null(t->departure);
    assert_ptr_not_equal(t->departure, e);
    counter_sub(&t->local[0].in_flight, 1);
    snapshots_served(&f->server.snapshots);
    pass(f, 200);
    assert_int_equal(count(f), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_target_that_leaves_is_noted_with_what_was_known_of_it),
        TEST(test_it_stays_while_something_is_in_flight),
        TEST(test_workers_cut_when_the_delay_is_over),
        TEST(test_what_slipped_through_is_cut_again_a_second_later),
        TEST(test_the_delay_is_that_of_the_new_file),
        TEST(test_nothing_is_over_before_all_workers_serve_the_new_snapshot),
        TEST(test_one_that_is_named_again_has_never_left),
        TEST(test_one_may_come_back_and_leave_again_while_it_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
