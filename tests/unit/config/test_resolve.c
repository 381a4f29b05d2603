#include "config/resolve.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "loaded.h"

static const char two_names[] =
    "listeners:\n"
    "  - {name: w, listen: \"127.0.0.1:80\", protocol: http, default_action: {forward: a}}\n"
    "target_groups:\n"
    "  - name: a\n"
    "    targets:\n"
    "      - \"127.0.0.1:9000\"\n"
    "      - {address: \"one.test:9001\", zone: a, weight: 3}\n"
    "      - \"two.test:9002\"\n";

/* Longer than any of the deadlines here. */
#define NEVER_MS 1500

static struct addr ip(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(&a, slice_str(text), 0), OK);
    return a;
}

static void nap_ms(long ms)
{
    struct timespec ts = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&ts, NULL);
}

static uint64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* one.test has two addresses, each named twice and not in order; two.test has none. */
static size_t lookup_table(const char *host, struct addr *to, size_t max)
{
    assert_true(max >= 4);
    if (strcmp(host, "one.test") != 0)
        return 0;
    to[0] = ip("10.0.0.2");
    to[1] = ip("::2");
    to[2] = ip("10.0.0.2");
    to[3] = ip("::2");
    return 4;
}

static size_t lookup_same(const char *host, struct addr *to, size_t max)
{
    (void)host, (void)max;
    to[0] = ip("127.0.0.1");
    to[1] = ip("10.0.0.9");
    return 2;
}

static size_t lookup_never(const char *host, struct addr *to, size_t max)
{
    (void)host, (void)to, (void)max;
    nap_ms(NEVER_MS);
    return 0;
}

static size_t lookup_half(const char *host, struct addr *to, size_t max)
{
    if (strcmp(host, "two.test") == 0)
        return lookup_never(host, to, max);
    to[0] = ip("10.0.0.1");
    return 1;
}

static size_t lookup_slow(const char *host, struct addr *to, size_t max)
{
    (void)host, (void)max;
    nap_ms(100);
    to[0] = ip("10.0.0.1");
    return 1;
}

static size_t lookup_many(const char *host, struct addr *to, size_t max)
{
    char text[32];
    (void)host;
    for (size_t i = 0; i < max; i++) {
        snprintf(text, sizeof(text), "10.0.1.%zu", i);
        to[i] = ip(text);
    }
    return max;
}

static const char *text_of(const struct config_target *t, size_t i)
{
    static char text[ADDR_TEXT_MAX + 1];
    assert_true(i < t->addrs_n);
    text[addr_format(&t->addrs[i], text)] = '\0';
    return text;
}

static struct resolve_options with(resolve_lookup *lookup)
{
    return (struct resolve_options){.timeout_ms = 5000, .lookup = lookup};
}

static void test_each_address_of_a_name_is_a_target_once_and_in_order(void **state)
{
    (void)state;
    struct loaded l = load_good(two_names);
    struct resolve_options o = with(lookup_table);
    struct config_target *t = l.config->groups[0].targets;
    assert_int_equal(t[1].addrs_n, 0);
    assert_slice(t[1].host, "one.test");
    assert_int_equal(resolve_targets(l.config, &o, &l.report), OK);
    assert_string_equal(text_of(&t[0], 0), "127.0.0.1:9000");
    assert_int_equal(t[1].addrs_n, 2);
    assert_string_equal(text_of(&t[1], 0), "10.0.0.2:9001");
    assert_string_equal(text_of(&t[1], 1), "[::2]:9001");
    assert_int_equal(t[2].addrs_n, 0);
    assert_int_equal(l.report.warnings, 1);
    assert_non_null(find_entry(&l.report, REPORT_WARNING, "8:9", "no answer for two.test"));
    unload(&l);
}

static void test_silence_keeps_the_last_addresses(void **state)
{
    (void)state;
    struct loaded old = load_good(two_names), new = load_good(two_names);
    struct resolve_options o = with(lookup_table);
    assert_int_equal(resolve_targets(old.config, &o, &old.report), OK);
    o = with(lookup_never);
    o.timeout_ms = 50;
    o.last = old.config;
    assert_int_equal(resolve_targets(new.config, &o, &new.report), OK);
    struct config_target *t = new.config->groups[0].targets;
    assert_int_equal(t[1].addrs_n, 2);
    assert_string_equal(text_of(&t[1], 1), "[::2]:9001");
    assert_int_equal(t[2].addrs_n, 0);
    assert_non_null(find_entry(&new.report, REPORT_WARNING, "7:9", "keeps its 2 addresses"));
    assert_non_null(find_entry(&new.report, REPORT_WARNING, "8:9", "left out"));
    unload(&old);
    /* The kept addresses are the new config's own. */
    assert_string_equal(text_of(&t[1], 0), "10.0.0.2:9001");
    unload(&new);
}

static void test_the_deadline_is_for_all_names_and_answers_in_time_count(void **state)
{
    (void)state;
    struct loaded l = load_good(two_names);
    struct resolve_options o = with(lookup_half);
    o.timeout_ms = 100;
    uint64_t before = now_ms();
    assert_int_equal(resolve_targets(l.config, &o, &l.report), OK);
    assert_true(now_ms() - before < NEVER_MS - 300);
    struct config_target *t = l.config->groups[0].targets;
    assert_int_equal(t[1].addrs_n, 1);
    assert_int_equal(t[2].addrs_n, 0);
    unload(&l);
    /* The thread that was left behind comes back to a table that it may still touch. */
    nap_ms(NEVER_MS + 200);
}

static void test_names_are_asked_for_in_parallel(void **state)
{
    (void)state;
    struct strbuf text;
    strbuf_init(&text);
    strbuf_str(&text, "listeners:\n  - {name: w, listen: \"127.0.0.1:80\", protocol: http, "
                      "default_action: {forward: a}}\ntarget_groups:\n  - name: a\n    targets:\n");
    for (int i = 0; i < 32; i++)
        strbuf_printf(&text, "      - \"n%d.test:%d\"\n", i, 9000 + i);
    struct loaded l = load_good(text.p);
    struct resolve_options o = with(lookup_slow);
    uint64_t before = now_ms();
    assert_int_equal(resolve_targets(l.config, &o, &l.report), OK);
    assert_true(now_ms() - before < 1600);
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(l.config->groups[0].targets[i].addrs_n, 1);
    unload(&l);
    strbuf_fini(&text);
}

static void *cancel_soon(void *flag)
{
    nap_ms(60);
    atomic_store((atomic_bool *)flag, true);
    return NULL;
}

static void test_waiting_can_be_cancelled(void **state)
{
    (void)state;
    struct loaded l = load_good(two_names);
    atomic_bool cancelled = false;
    struct resolve_options o = with(lookup_never);
    pthread_t id;
    o.cancelled = &cancelled;
    assert_int_equal(pthread_create(&id, NULL, cancel_soon, &cancelled), 0);
    uint64_t before = now_ms();
    assert_int_equal(resolve_targets(l.config, &o, &l.report), ERR_RESET);
    assert_true(now_ms() - before < NEVER_MS - 300);
    pthread_join(id, NULL);
    unload(&l);
    nap_ms(NEVER_MS + 200);
}

static void test_an_address_counts_once_in_a_group(void **state)
{
    (void)state;
    struct loaded l = load_good(
        "listeners:\n"
        "  - {name: w, listen: \"127.0.0.1:80\", protocol: http, default_action: {forward: a}}\n"
        "target_groups:\n"
        "  - name: a\n"
        "    targets: [\"x.test:9000\", \"y.test:9000\", \"127.0.0.1:9000\", \"x.test:9001\"]\n");
    struct resolve_options o = with(lookup_same);
    assert_int_equal(resolve_targets(l.config, &o, &l.report), OK);
    struct config_target *t = l.config->groups[0].targets;
    assert_int_equal(t[0].addrs_n, 1);
    assert_string_equal(text_of(&t[0], 0), "10.0.0.9:9000");
    assert_int_equal(t[1].addrs_n, 0);
    assert_int_equal(t[2].addrs_n, 1);
    assert_int_equal(t[3].addrs_n, 2);
    assert_int_equal(l.report.warnings, 3);
    unload(&l);
}

static void test_a_name_has_64_addresses_at_most(void **state)
{
    (void)state;
    struct loaded l = load_good(two_names);
    struct resolve_options o = with(lookup_many);
    assert_int_equal(resolve_targets(l.config, &o, &l.report), OK);
    assert_int_equal(l.config->groups[0].targets[1].addrs_n, RESOLVE_ADDRS_MAX);
    unload(&l);
}

static void test_the_system_knows_localhost(void **state)
{
    (void)state;
    struct loaded l = load_good(
        "listeners:\n"
        "  - {name: w, listen: \"127.0.0.1:80\", protocol: http, default_action: {forward: a}}\n"
        "target_groups: [{name: a, targets: [\"localhost:9000\"]}]\n");
    struct resolve_options o = resolve_options_default();
    assert_int_equal(resolve_targets(l.config, &o, &l.report), OK);
    struct config_target *t = l.config->groups[0].targets;
    assert_true(t->addrs_n > 0);
    for (size_t i = 0; i < t->addrs_n; i++) {
        assert_true(addr_is_loopback(&t->addrs[i]));
        assert_int_equal(addr_port(&t->addrs[i]), 9000);
    }
    unload(&l);
}

static void test_without_names_nothing_is_asked(void **state)
{
    (void)state;
    struct loaded l = load_good(
        "listeners:\n"
        "  - {name: w, listen: \"127.0.0.1:80\", protocol: http, default_action: {forward: a}}\n"
        "target_groups: [{name: a, targets: [\"127.0.0.1:9000\"]}]\n");
    struct resolve_options o = {0};
    assert_int_equal(resolve_targets(l.config, &o, &l.report), OK);
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_address_of_a_name_is_a_target_once_and_in_order),
        cmocka_unit_test(test_silence_keeps_the_last_addresses),
        cmocka_unit_test(test_the_deadline_is_for_all_names_and_answers_in_time_count),
        cmocka_unit_test(test_names_are_asked_for_in_parallel),
        cmocka_unit_test(test_waiting_can_be_cancelled),
        cmocka_unit_test(test_an_address_counts_once_in_a_group),
        cmocka_unit_test(test_a_name_has_64_addresses_at_most),
        cmocka_unit_test(test_the_system_knows_localhost),
        cmocka_unit_test(test_without_names_nothing_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
