#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/check.h"
#include "proxy/snapshot.h"

/* ---- a configuration by hand ---- */

static struct addr *addrs_of(struct arena *a, const char *const *texts, size_t n)
{
    struct addr *to = ARENA_ARRAY(a, struct addr, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(addr_parse(&to[i], slice_str(texts[i])), OK);
    return to;
}

static struct config_target target_of(struct arena *a, const char *zone, uint16_t weight,
                                      const char *const *addrs, size_t n)
{
    return (struct config_target){
        .zone = slice_str(zone), .weight = weight, .addrs = addrs_of(a, addrs, n), .addrs_n = n};
}

static void forward_to(struct arena *a, struct config_action *c, size_t group)
{
    c->type = CONFIG_ACTION_FORWARD;
    c->forward.groups_n = 1;
    c->forward.groups = ARENA_NEW(a, struct config_forward_group);
    *c->forward.groups = (struct config_forward_group){.group = group, .weight = 1};
}

/* Listener `web` (http) to group `app` of three addresses, `db` (tcp) to group `sql` of one. */
static struct config *make_config(const char *web, const char *db)
{
    struct arena arena;
    arena_init(&arena);
    struct config *c = ARENA_NEW(&arena, struct config);
    c->timeouts = (struct config_timeouts){.connect_ms = 10000, .target_keep_alive_ms = 60000};
    c->groups_n = c->listeners_n = 2;
    c->groups = ARENA_ARRAY(&arena, struct config_group, 2);
    c->groups[0] = (struct config_group){
        .name = SLICE("app"), .protocol = CONFIG_PROTOCOL_HTTP, .attributes = {.retries = 2}};
    c->groups[0].targets_n = 2;
    c->groups[0].targets = ARENA_ARRAY(&arena, struct config_target, 2);
    c->groups[0].targets[0] =
        target_of(&arena, "a", 3, (const char *const[]){"10.0.0.1:80", "10.0.0.2:80"}, 2);
    c->groups[0].targets[1] = target_of(&arena, "b", 1, (const char *const[]){"10.0.0.3:80"}, 1);
    c->groups[1] = (struct config_group){.name = SLICE("sql"), .protocol = CONFIG_PROTOCOL_TCP};
    c->groups[1].targets_n = 1;
    c->groups[1].targets = ARENA_ARRAY(&arena, struct config_target, 1);
    c->groups[1].targets[0] = target_of(&arena, "", 1, (const char *const[]){"10.0.0.1:80"}, 1);
    c->listeners = ARENA_ARRAY(&arena, struct config_listener, 2);
    c->listeners[0].name = slice_str(web);
    forward_to(&arena, &c->listeners[0].default_action, 0);
    c->listeners[1].name = slice_str(db);
    c->listeners[1].protocol = CONFIG_PROTOCOL_TCP;
    forward_to(&arena, &c->listeners[1].default_action, 1);
    c->arena = arena;
    return c;
}

struct fixture {
    struct registry registry;
    struct slot_table slots;
};

static int setup(void **state)
{
    static struct fixture f;
    registry_init(&f.registry, 2);
    slot_table_init(&f.slots);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    registry_fini(&f->registry);
    slot_table_fini(&f->slots);
    return 0;
}

static struct snapshot *make_bound(struct fixture *f, const char *web, const char *db,
                                   uint64_t generation)
{
    struct snapshot *s = snapshot_compile(make_config(web, db), 2);
    assert_int_equal(snapshot_bind(s, &f->registry, &f->slots, generation), OK);
    return s;
}

/* ---- compile ---- */

static void test_groups_take_their_settings_from_the_configuration(void **state)
{
    struct fixture *f = *state;
    struct snapshot *s = snapshot_compile(make_config("web", "db"), 2);
    assert_int_equal(s->groups_n, 2);
    const struct group *app = &s->groups[0], *sql = &s->groups[1];
    assert_true(slice_eq(app->name, SLICE("app")));
    assert_int_equal(app->wire, GROUP_WIRE_H1);
    assert_int_equal(sql->wire, GROUP_WIRE_RAW);
    assert_int_equal(app->retries, 2);
    assert_int_equal(sql->retries, 0);
    assert_int_equal(app->connect_timeout_ms, 10000);
    assert_int_equal(app->keep_alive_ms, 60000);
    snapshot_free(s, &f->registry);
}

static void test_every_address_of_a_target_is_a_member(void **state)
{
    struct fixture *f = *state;
    struct snapshot *s = make_bound(f, "web", "db", 1);
    static const struct {
        const char *text, *zone;
        unsigned weight;
    } rows[] = {{"10.0.0.1:80", "a", 3}, {"10.0.0.2:80", "a", 3}, {"10.0.0.3:80", "b", 1}};
    assert_int_equal(s->groups[0].members_n, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct member *m = &s->groups[0].members[i];
        assert_true(slice_eq(m->target->text, slice_str(rows[i].text)));
        assert_true(slice_eq(m->target->group, SLICE("app")));
        assert_true(slice_eq(m->zone, slice_str(rows[i].zone)));
        assert_int_equal(m->weight, rows[i].weight);
    }
    snapshot_free(s, &f->registry);
}

static void test_a_listener_has_a_router_or_a_tcp_action(void **state)
{
    struct fixture *f = *state;
    struct snapshot *s = snapshot_compile(make_config("web", "db"), 2);
    const struct listener *web = &s->listeners[0], *db = &s->listeners[1];
    assert_ptr_equal(web->root, s->config);
    assert_ptr_equal(web->config, &s->config->listeners[0]);
    assert_null(web->tcp_action);
    const struct rule *rule = router_match(web->router, SLICE("h"), SLICE("/"));
    assert_ptr_equal(router_pick_group(rule->action, 0), &s->groups[0]);
    assert_null(db->router);
    assert_ptr_equal(router_pick_group(db->tcp_action, 0), &s->groups[1]);
    snapshot_free(s, &f->registry);
}

static void test_a_group_without_targets_is_valid(void **state)
{
    struct fixture *f = *state;
    struct config *c = make_config("web", "db");
    struct rng rng = {1};
    c->groups[0].targets_n = 0;
    c->groups[1].targets[0].addrs_n = 0; /* a name without an answer */
    struct snapshot *s = snapshot_compile(c, 2);
    assert_int_equal(snapshot_bind(s, &f->registry, &f->slots, 1), OK);
    assert_int_equal(f->registry.count, 0);
    struct pick anybody = {0};
    assert_null(group_pick(&s->groups[0], 0, &rng, &anybody));
    assert_null(group_pick(&s->groups[1], 1, &rng, &anybody));
    snapshot_free(s, &f->registry);
}

static void test_a_configuration_without_groups_is_valid(void **state)
{
    struct fixture *f = *state;
    struct config *c = make_config("web", "db");
    c->groups_n = 0;
    c->listeners_n = 1;
    c->listeners[0].default_action = (struct config_action){.type = CONFIG_ACTION_FIXED_RESPONSE};
    struct snapshot *s = snapshot_compile(c, 1);
    assert_int_equal(snapshot_bind(s, &f->registry, &f->slots, 1), OK);
    snapshot_free(s, &f->registry);
}

/* ---- bind ---- */

static void test_targets_are_shared_by_group_and_address(void **state)
{
    struct fixture *f = *state;
    struct snapshot *old = make_bound(f, "web", "db", 1), *new = make_bound(f, "web", "db", 2);
    struct target *t = old->groups[0].members[0].target;
    assert_ptr_equal(new->groups[0].members[0].target, t);
    assert_ptr_not_equal(new->groups[1].members[0].target, t); /* another group */
    assert_int_equal(t->refs, 2);
    assert_int_equal(atomic_load(&t->generation), 2);
    assert_int_equal(new->groups[0].generation, 2);
    assert_int_equal(old->groups[0].generation, 1);
    snapshot_free(old, &f->registry);
    assert_int_equal(t->refs, 1);
    registry_sweep(&f->registry);
    assert_int_equal(f->registry.count, 4);
    snapshot_free(new, &f->registry);
    registry_sweep(&f->registry);
    assert_int_equal(f->registry.count, 0);
}

static void test_a_listener_keeps_its_slot_by_its_name(void **state)
{
    struct fixture *f = *state;
    struct snapshot *one = make_bound(f, "web", "db", 1);
    struct snapshot *two = make_bound(f, "new", "web", 2);
    assert_int_equal(one->listeners[0].slot, two->listeners[1].slot);
    assert_int_equal(two->slots_n, 3);
    assert_ptr_equal(two->by_slot[two->listeners[0].slot], &two->listeners[0]);
    assert_ptr_equal(two->by_slot[two->listeners[1].slot], &two->listeners[1]);
    assert_null(two->by_slot[one->listeners[1].slot]); /* `db` has left */
    struct snapshot *three = make_bound(f, "web", "db", 3);
    assert_int_equal(three->listeners[1].slot, one->listeners[1].slot);
    snapshot_free(one, &f->registry);
    snapshot_free(two, &f->registry);
    snapshot_free(three, &f->registry);
}

static void test_the_last_free_slots_are_given_and_no_more(void **state)
{
    struct fixture *f = *state;
    char name[16];
    while (f->slots.n < SLOTS_MAX - 2) {
        snprintf(name, sizeof(name), "l%u", f->slots.n);
        (void)slot_table_add(&f->slots, slice_str(name));
    }
    snapshot_free(make_bound(f, "web", "db", 1), &f->registry);
    assert_int_equal(f->slots.n, SLOTS_MAX);
    struct snapshot *s = snapshot_compile(make_config("web", "one-too-many"), 2);
    assert_int_equal(snapshot_bind(s, &f->registry, &f->slots, 2), ERR_LIMIT);
    assert_int_equal(f->slots.n, SLOTS_MAX);
    snapshot_free(s, &f->registry);
    snapshot_free(make_bound(f, "web", "l5", 3), &f->registry); /* known names still find theirs */
}

static void test_a_snapshot_that_was_never_bound_is_freed_without_a_trace(void **state)
{
    struct fixture *f = *state;
    snapshot_free(snapshot_compile(make_config("web", "db"), 2), NULL);
    assert_int_equal(f->registry.count, 0);
    assert_int_equal(f->slots.n, 0);
}

static void test_workers_pins_share_no_cache_line(void **state)
{
    struct fixture *f = *state;
    struct snapshot *s = snapshot_compile(make_config("web", "db"), 2);
    assert_int_equal((uintptr_t)&s->local[0] % 64, 0);
    assert_int_equal((uintptr_t)&s->local[1] % 64, 0);
    assert_int_equal((uintptr_t)&s->groups[0].views[1] % 64, 0);
    assert_int_equal(s->unreleased, 2);
    snapshot_free(s, &f->registry);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_groups_take_their_settings_from_the_configuration),
        TEST(test_every_address_of_a_target_is_a_member),
        TEST(test_a_listener_has_a_router_or_a_tcp_action),
        TEST(test_a_group_without_targets_is_valid),
        TEST(test_a_configuration_without_groups_is_valid),
        TEST(test_targets_are_shared_by_group_and_address),
        TEST(test_a_listener_keeps_its_slot_by_its_name),
        TEST(test_the_last_free_slots_are_given_and_no_more),
        TEST(test_a_snapshot_that_was_never_bound_is_freed_without_a_trace),
        TEST(test_workers_pins_share_no_cache_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
