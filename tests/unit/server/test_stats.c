#include "server/fixture.h"

#include "server/stats.h"

#define WORKERS 2

struct fixture {
    struct server server;
    struct snapshot *snapshot;
    const struct counters *counters[WORKERS];
    struct worker *workers[WORKERS];
    struct strbuf out;
};

static const char yaml[] =
    "node: {zone: a}\n"
    "listeners:\n"
    "  - {name: web, listen: [\"127.0.0.1:80\", \"[::1]:80\"], protocol: http,"
    " default_action: {forward: app}}\n"
    "  - {name: db, listen: \"127.0.0.1:81\", protocol: tcp, default_action: {forward: sql}}\n"
    "target_groups:\n"
    "  - {name: app, targets: [{address: \"10.0.0.1:80\", zone: a, weight: 3},"
    " {address: \"10.0.0.2:80\", zone: b}]}\n"
    "  - {name: sql, protocol: tcp, targets: [\"10.0.0.3:5432\"]}\n"
    "  - {name: idle, targets: [\"10.0.0.4:80\"]}\n";

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct server *s = &f->server;
    assert_int_equal(loop_init(&s->loop, 1 << 20), OK);
    s->started_ms = s->loop.clock.now_ms - 65999;
    s->workers = f->workers;
    s->workers_n = WORKERS;
    s->shared.limit = (struct acceptor_limit){10, WORKERS, f->counters};
    for (unsigned w = 0; w < WORKERS; w++)
        assert_int_equal(worker_new(&f->workers[w], w, &s->shared), OK);
    snapshots_init(&s->snapshots, &s->loop, WORKERS);
    departures_init(&s->departures, s);
    discovery_init(&s->discovery, s);
    reload_init(&s->reload, s);
    f->snapshot = snapshot_compile(config_of("%s", yaml), WORKERS);
    assert_int_equal(snapshots_bind(&s->snapshots, f->snapshot), OK);
    snapshots_publish(&s->snapshots, f->snapshot);
    snapshots_served(&s->snapshots);
    strbuf_init(&f->out);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    strbuf_fini(&f->out);
    reload_fini(&f->server.reload);
    for (unsigned w = 0; w < WORKERS; w++)
        worker_close(f->workers[w]);
    departures_fini(&f->server.departures);
    discovery_fini(&f->server.discovery);
    snapshots_fini(&f->server.snapshots);
    loop_fini(&f->server.loop);
    free(f);
    return 0;
}

static struct listener_counters *of(struct fixture *f, unsigned worker, unsigned slot)
{
    return counters_of(&f->workers[worker]->counters, slot);
}

static struct target *target(struct fixture *f, size_t group, size_t member)
{
    return f->snapshot->groups[group].members[member].target;
}

/* Some of everything, on both workers. */
static void count_something(struct fixture *f)
{
    counter_add(&of(f, 0, 0)->codes[200], 3);
    counter_add(&of(f, 1, 0)->codes[200], 4);
    counter_add(&of(f, 1, 0)->codes[502], 1);
    counter_add(&of(f, 1, 0)->reasons[REASON_TARGET_REFUSED], 1);
    counter_add(&of(f, 0, 0)->requests, 8);
    counter_add(&of(f, 0, 0)->connections_active, 2);
    counter_add(&of(f, 1, 0)->connections_total, 5);
    counter_add(&of(f, 0, 0)->received_bytes, 100);
    counter_add(&of(f, 1, 0)->sent_bytes, 200);
    counter_add(&of(f, 0, 1)->codes[0], 6);
    counter_add(&f->workers[0]->counters.sessions_active, 2);
    counter_add(&f->workers[1]->gauges.conns, 7);
    counter_add(&f->workers[1]->gauges.links, 5);
    counter_add(&f->workers[1]->access_log.dropped, 9);
    counter_add(&target(f, 0, 0)->local[0].in_flight, 1);
    counter_add(&target(f, 0, 0)->local[1].codes[2], 7);
    counter_add(&target(f, 0, 1)->local[1].idle_links, 3);
}

static void assert_has(struct fixture *f, const char *what)
{
    if (!strstr(f->out.p, what))
        fail_msg("%s is not in %s", what, f->out.p);
}

static void test_status_of_a_fresh_start(void **state)
{
    struct fixture *f = *state;
    stats_json_write(&f->server, &f->out);
    assert_has(f, "{\"generation\":1,\"snapshots_live\":1,\"uptime_seconds\":65,\"version\":\"");
    assert_has(f, "\"node\":{\"zone\":\"a\"},\"workers\":2,\"stopping\":false,");
    assert_has(f, "\"listeners\":[{\"name\":\"web\",\"protocol\":\"http\","
                  "\"listen\":[\"127.0.0.1:80\",\"[::1]:80\"],\"connections\":0,");
    assert_has(f, "\"name\":\"db\",\"protocol\":\"tcp\"");
    assert_has(f, "{\"address\":\"10.0.0.1:80\",\"zone\":\"a\",\"state\":\"initial\","
                  "\"reason\":\"Elb.InitialHealthChecking\",\"in_flight\":0,\"requests\":0,");
    assert_has(f, "\"weight\":3}");
    assert_has(f, "{\"address\":\"10.0.0.3:5432\",\"zone\":null,");
    assert_has(f, "\"state\":\"unused\",\"reason\":\"Target.NotInUse\"");
    assert_has(f, "\"reasons\":{},\"reloads\":{\"ok\":0,\"failed\":0,\"last_error\":null},"
                  "\"refreshes\":{\"ok\":0,\"failed\":0,\"last_error\":null},"
                  "\"log_lines_dropped\":0}\n");
    assert_has(f, "\"pools\":{\"sessions\":0,\"streams\":0,\"exchanges\":0,\"links\":0,\"conns\":0,"
                  "\"buffer_bytes\":0,\"snapshot_pins\":0}");
}

static void test_status_sums_over_workers(void **state)
{
    struct fixture *f = *state;
    count_something(f);
    f->server.reload.reloads.failed = 1;
    strbuf_str(&f->server.reload.reloads.last_error, "a \"bad\" file");
    stats_json_write(&f->server, &f->out);
    assert_has(f, "\"connections\":2,\"connections_total\":5,\"requests\":8,"
                  "\"received_bytes\":100,\"sent_bytes\":200}");
    assert_has(f, "],\"connections\":2,\"descriptors\":");
    assert_has(f, "\"in_flight\":1,\"requests\":0,");
    assert_has(f, "\"idle_links\":3,\"in_flight\":1,\"pools\":{\"sessions\":0,\"streams\":0,\"exchanges\":0,"
                  "\"links\":2,\"conns\":4,");
    assert_has(f, "\"reasons\":{\"target_refused\":1}");
    assert_has(f, "\"failed\":1,\"last_error\":\"a \\\"bad\\\" file\"");
    assert_has(f, "\"log_lines_dropped\":9");
}

static void test_metrics_have_the_documented_names(void **state)
{
    struct fixture *f = *state;
    count_something(f);
    f->server.reload.reloads.ok = 3;
    stats_metrics_write(&f->server, &f->out);
    assert_has(f, "# TYPE tenbin_requests_total counter\n"
                  "tenbin_requests_total{listener=\"web\",code=\"200\"} 7\n"
                  "tenbin_requests_total{listener=\"web\",code=\"502\"} 1\n"
                  "tenbin_requests_total{listener=\"db\",code=\"none\"} 6\n");
    assert_has(f, "tenbin_reasons_total{listener=\"web\",reason=\"target_refused\"} 1\n");
    assert_has(f, "tenbin_connections_active{listener=\"web\"} 2\n");
    assert_has(f, "tenbin_connections_total{listener=\"web\"} 5\n");
    assert_has(f, "tenbin_bytes_total{listener=\"web\",direction=\"received\"} 100\n");
    assert_has(f, "tenbin_bytes_total{listener=\"web\",direction=\"sent\"} 200\n");
    assert_has(f, "tenbin_target_requests_total{group=\"app\",target=\"10.0.0.1:80\",zone=\"a\","
                  "code=\"2xx\"} 7\n");
    assert_has(f, "tenbin_target_in_flight{group=\"app\",target=\"10.0.0.1:80\",zone=\"a\"} 1\n");
    assert_has(f, "tenbin_target_in_flight{group=\"sql\",target=\"10.0.0.3:5432\",zone=\"\"} 0\n");
    assert_has(f, "\ntenbin_snapshot_generation 1\n");
    assert_has(f, "\ntenbin_snapshots_live 1\n");
    assert_has(f, "\ntenbin_reloads_total{result=\"ok\"} 3\n");
    assert_has(f, "\ntenbin_log_lines_dropped_total 9\n");
}

static void test_response_times_are_a_histogram_by_group(void **state)
{
    struct fixture *f = *state;
    target_count_response(&target(f, 0, 0)->local[0], 1000); /* at the bound */
    target_count_response(&target(f, 0, 0)->local[1], 1001);
    target_count_response(&target(f, 0, 1)->local[1], 60000000);
    stats_metrics_write(&f->server, &f->out);
    assert_has(f, "# TYPE tenbin_target_response_seconds histogram\n"
                  "tenbin_target_response_seconds_bucket{group=\"app\",le=\"0.001\"} 1\n"
                  "tenbin_target_response_seconds_bucket{group=\"app\",le=\"0.0025\"} 2\n");
    assert_has(f, "{group=\"app\",le=\"10\"} 2\n"
                  "tenbin_target_response_seconds_bucket{group=\"app\",le=\"+Inf\"} 3\n"
                  "tenbin_target_response_seconds_sum{group=\"app\"} 60.002001\n"
                  "tenbin_target_response_seconds_count{group=\"app\"} 3\n");
}

static void test_requests_are_counted_by_the_zones_they_crossed(void **state)
{
    struct fixture *f = *state;
    const struct member *m = f->server.snapshots.current->groups[0].members;
    counter_add(&m[0].tally->local[0].requests[ZONE_CROSS], 2);
    counter_add(&m[1].tally->local[0].requests[ZONE_CROSS], 1);
    counter_add(&m[1].tally->local[1].requests[ZONE_CROSS], 2);
    counter_add(&m[1].tally->local[1].requests[ZONE_SHIFT], 4);
    stats_metrics_write(&f->server, &f->out);
    assert_has(f, "tenbin_zone_requests_total{group=\"app\",zone=\"a\",target_zone=\"a\","
                  "decision=\"cross\"} 2\n"
                  "tenbin_zone_requests_total{group=\"app\",zone=\"a\",target_zone=\"b\","
                  "decision=\"cross\"} 3\n"
                  "tenbin_zone_requests_total{group=\"app\",zone=\"a\",target_zone=\"b\","
                  "decision=\"shift\"} 4\n");
}

static void test_a_removed_listener_keeps_its_metrics(void **state)
{
    struct fixture *f = *state;
    count_something(f);
    struct snapshot *next = snapshot_compile(
        config_of("listeners:\n  - {name: new, listen: \"127.0.0.1:82\", protocol: http,"
                  " default_action: {fixed_response: {status_code: 200}}}\n"),
        WORKERS);
    assert_int_equal(snapshots_bind(&f->server.snapshots, next), OK);
    snapshots_publish(&f->server.snapshots, next);
    for (unsigned w = 0; w < WORKERS; w++)
        snapshots_released(&f->server.snapshots, f->snapshot);
    stats_metrics_write(&f->server, &f->out);
    assert_has(f, "tenbin_requests_total{listener=\"web\",code=\"200\"} 7\n");
    assert_has(f, "tenbin_connections_active{listener=\"new\"} 0\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_status_of_a_fresh_start),
        TEST(test_status_sums_over_workers),
        TEST(test_metrics_have_the_documented_names),
        TEST(test_response_times_are_a_histogram_by_group),
        TEST(test_requests_are_counted_by_the_zones_they_crossed),
        TEST(test_a_removed_listener_keeps_its_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
