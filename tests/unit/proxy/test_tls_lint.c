/* Which certificates get a warning, and above all which do not. */
#include "proxy/tls_lint.h"

#include "config/loaded.h"
#include "proxy/tls_store.h"
#include "support/certs.h"

static void make(const char *name, const struct cert_spec *spec)
{
    char file[32];
    struct cert c = certs_make(spec);
    snprintf(file, sizeof(file), "%s.pem", name);
    certs_write(&certs_dir, file, (const struct cert *const[]){&c, NULL});
    snprintf(file, sizeof(file), "%s.key", name);
    certs_write_key(&certs_dir, file, &c, NULL);
    certs_free(&c);
}

static int setup(void **state)
{
    certs_setup(state);
    make("first", &(struct cert_spec){.cn = "x", .san = "DNS:first.test,DNS:*.first.test"});
    make("twin", &(struct cert_spec){.cn = "x", .san = "DNS:*.FIRST.test", .rsa_bits = 2048});
    make("old", &(struct cert_spec){.cn = "x", .san = "DNS:Old.test"});
    make("rsa", &(struct cert_spec){.cn = "x", .san = "DNS:old.test", .rsa_bits = 2048});
    make("wild", &(struct cert_spec){.cn = "x", .san = "DNS:*.wild.test"});
    make("many", &(struct cert_spec){.cn = "x",
                                     .san = "DNS:c.test,DNS:b.test,DNS:a.test,DNS:d.test,"
                                            "DNS:e.test,IP:127.0.0.1"});
    make("three", &(struct cert_spec){.cn = "x", .san = "DNS:c.test,DNS:b.test,DNS:a.test"});
    make("nameless", &(struct cert_spec){.cn = "", .san = "IP:127.0.0.1"});
    return 0;
}

/* ---- a configuration with its certificates ---- */

#define NOT_FOUND "{fixed_response: {status_code: 404}}"
#define NEW_HOST  "[{host_header: new.test}]"

static void put_pair(struct strbuf *to, const char *name)
{
    strbuf_printf(to, "      - {certificate: %s/%s.pem, key: %s/%s.key}\n", certs_dir.dir, name,
                  certs_dir.dir, name);
}

/* names: of certificates, up to a NULL; conditions: of rules, likewise; NULL: it has no rules. */
static void put_listener(struct strbuf *to, const char *name, const char *const *names,
                         const char *const *conditions, const char *action)
{
    strbuf_printf(to, "  - name: %s\n    listen: \"127.0.0.1:%u\"\n", name, 8000 + (unsigned)to->n);
    strbuf_printf(to, "    protocol: %s\n    certificates:\n",
                  strcmp(name, "raw") == 0 ? "tls" : "https");
    for (; *names; names++)
        put_pair(to, *names);
    if (conditions)
        strbuf_str(to, "    rules:\n");
    for (unsigned i = 1; conditions && *conditions; conditions++)
        strbuf_printf(to, "      - {priority: %u, conditions: %s, action: {forward: a}}\n", i++,
                      *conditions);
    strbuf_printf(to, "    default_action: %s\n", action);
}

static void put_groups(struct strbuf *to)
{
    strbuf_str(to, "target_groups:\n"
                   "  - {name: a, targets: [\"127.0.0.1:9000\"]}\n"
                   "  - {name: b, protocol: tcp, targets: [\"127.0.0.1:9001\"]}\n");
}

struct linted {
    struct loaded loaded;
    struct snapshot *snapshot;
    size_t said; /* warnings that are not about groups */
};

static struct linted lint(struct strbuf *listeners)
{
    struct linted l;
    struct strbuf text;
    strbuf_init(&text);
    strbuf_printf(&text, "listeners:\n%s", listeners->p);
    put_groups(&text);
    l.loaded = load_good(text.p);
    size_t before = l.loaded.report.warnings;
    l.snapshot = snapshot_compile(l.loaded.config, 1);
    struct tls_store_options o = tls_store_options_default(NULL, NULL);
    if (!tls_store_load(l.snapshot, &o, &l.loaded.report)) {
        print_report(&l.loaded.report);
        fail_msg("refused:\n%s", text.p);
    }
    l.said = l.loaded.report.warnings - before;
    strbuf_fini(&text);
    strbuf_fini(listeners);
    return l;
}

static void drop(struct linted *l)
{
    snapshot_free(l->snapshot, NULL);
    report_fini(&l->loaded.report);
}

static struct linted lint_one(const char *const *names, const char *const *conditions,
                              const char *action)
{
    struct strbuf text;
    strbuf_init(&text);
    put_listener(&text, "web", names, conditions, action);
    return lint(&text);
}

static void assert_said(struct linted *l, size_t n, const char *what)
{
    if (l->said != n) {
        print_report(&l->loaded.report);
        fail_msg("%s: expected %zu warnings", what, n);
    }
}

/* place: line:column. */
static void assert_warned(struct linted *l, const char *place, const char *words)
{
    if (!find_entry(&l->loaded.report, REPORT_WARNING, place, words)) {
        print_report(&l->loaded.report);
        fail_msg("not at %s: %s", place, words);
    }
}

/* ---- */

/* A listener with the certificates `first` and `second`; does the second one get a warning? */
static void check(const char *second, const char *const *conditions, const char *action,
                  bool warned)
{
    struct linted l = lint_one((const char *const[]){"first", second, NULL}, conditions, action);
    assert_said(&l, warned, conditions ? conditions[0] : action);
    if (warned)
        assert_warned(&l, "7:23", ".pem\" is for (");
    drop(&l);
}

static void test_only_a_certificate_without_a_host_of_a_rule_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *second, *host;
        bool warned;
    } rows[] = {
        {"old", "[{host_header: new.test}]", true},
        {"old", "[{host_header: old.test}]", false},
        {"old", "[{host_header: OLD.Test}]", false},
        {"old", "[{host_header: [new.test, old.test]}]", false},
        {"old", "[{host_header: '*'}]", false},
        {"old", "[{host_header: '*.test'}]", false},
        {"old", "[{host_header: 'o?d.test'}]", false},
        {"old", "[{host_header: '*.old.test'}]", true},
        {"old", "[{host_header: new.test}, {path_pattern: /a}]", true},
        {"old", "[{path_pattern: /a}, {host_header: old.test}]", false},
        {"old", "[{path_pattern: /.well-known/*}]", false},
        {"wild", "[{host_header: A.Wild.test}]", false},
        {"wild", "[{host_header: '*.wild.test'}]", false},
        {"wild", "[{host_header: a.b.wild.test}]", true},
        {"wild", "[{host_header: wild.test}]", true},
        {"wild", "[{host_header: '*.b.wild.test'}]", true},
        {"many", "[{host_header: e.test}]", false},
        {"many", "[{host_header: 127.0.0.1}]", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check(rows[i].second, (const char *const[]){rows[i].host, NULL}, NOT_FOUND, rows[i].warned);
}

static void test_one_rule_for_any_host_is_enough_for_silence(void **state)
{
    (void)state;
    check("old", (const char *const[]){NEW_HOST, "[{host_header: x.test}]", NULL}, NOT_FOUND, true);
    check("old", (const char *const[]){NEW_HOST, "[{host_header: old.test}]", NULL}, NOT_FOUND,
          false);
    check("old", (const char *const[]){NEW_HOST, "[{path_pattern: /a}]", NULL}, NOT_FOUND, false);
    check("old", NULL, NOT_FOUND, false);
}

static void test_other_hosts_may_be_served_by_the_default_action(void **state)
{
    (void)state;
    static const struct {
        const char *action;
        bool warned;
    } rows[] = {
        {NOT_FOUND, true},
        {"{fixed_response: {status_code: 400}}", true},
        {"{fixed_response: {status_code: 503}}", true},
        {"{fixed_response: {status_code: 200}}", false},
        {"{fixed_response: {status_code: 410}}", false},
        {"{redirect: {host: new.test, status_code: 301}}", false},
        {"{forward: a}", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check("old", (const char *const[]){NEW_HOST, NULL}, rows[i].action, rows[i].warned);
}

static void test_the_default_certificate_and_its_twins_are_always_needed(void **state)
{
    (void)state;
    check("twin", (const char *const[]){NEW_HOST, NULL}, NOT_FOUND, false);
    struct linted l = lint_one((const char *const[]){"old", NULL},
                               (const char *const[]){NEW_HOST, NULL}, NOT_FOUND);
    assert_said(&l, 0, "the default alone");
    drop(&l);
}

static void test_two_kinds_of_key_for_a_name_are_judged_alike(void **state)
{
    (void)state;
    const char *const names[] = {"first", "old", "rsa", NULL};
    struct linted l =
        lint_one(names, (const char *const[]){"[{host_header: old.test}]", NULL}, NOT_FOUND);
    assert_said(&l, 0, "both for a host of a rule");
    drop(&l);
    l = lint_one(names, (const char *const[]){NEW_HOST, NULL}, NOT_FOUND);
    assert_said(&l, 2, "both for no host of a rule");
    assert_warned(&l, "7:23", "no rule of listener \"web\" has a host that \"");
    assert_warned(&l, "7:23", "/old.pem\" is for (old.test)");
    assert_warned(&l, "8:23", "/rsa.pem\" is for (old.test)");
    drop(&l);
}

static void test_three_names_are_told_in_the_order_of_the_certificate(void **state)
{
    (void)state;
    struct linted l = lint_one((const char *const[]){"first", "three", "many", NULL},
                               (const char *const[]){NEW_HOST, NULL}, NOT_FOUND);
    assert_warned(&l, "7:23", "/three.pem\" is for (c.test, b.test, a.test)");
    assert_warned(&l, "8:23", "/many.pem\" is for (c.test, b.test, a.test and 2 more)");
    drop(&l);
}

static void test_a_certificate_for_no_name_is_told_on_any_listener(void **state)
{
    (void)state;
    const char *const names[] = {"first", "nameless", NULL};
    struct linted l = lint_one(names, NULL, "{forward: a}");
    assert_said(&l, 1, "https");
    assert_warned(&l, "7:23", "/nameless.pem\" is for no host name, and not the first");
    drop(&l);
    struct strbuf text;
    strbuf_init(&text);
    put_listener(&text, "raw", names, NULL, "{forward: b}");
    l = lint(&text);
    assert_said(&l, 1, "tls");
    drop(&l);
    l = lint_one((const char *const[]){"nameless", NULL}, NULL, "{forward: a}");
    assert_said(&l, 0, "the default");
    drop(&l);
}

static void test_names_on_a_tls_listener_are_for_its_targets_to_know(void **state)
{
    (void)state;
    struct strbuf text;
    strbuf_init(&text);
    put_listener(&text, "raw", (const char *const[]){"first", "old", NULL}, NULL, "{forward: b}");
    struct linted l = lint(&text);
    assert_said(&l, 0, "tls");
    drop(&l);
}

/* The list of `web` again in `more`, whose rules are these and whose default certificate that. */
static void check_shared(const char *const *names, const char *conditions, size_t warnings)
{
    struct strbuf text;
    strbuf_init(&text);
    put_listener(&text, "web", (const char *const[]){"first", "old", NULL},
                 (const char *const[]){NEW_HOST, NULL}, NOT_FOUND);
    put_listener(&text, "more", names, (const char *const[]){conditions, NULL}, NOT_FOUND);
    struct linted l = lint(&text);
    assert_said(&l, warnings, conditions);
    drop(&l);
}

static void test_a_file_that_another_listener_needs_is_needed(void **state)
{
    (void)state;
    const char *const same[] = {"first", "old", NULL};
    check_shared(same, "[{host_header: old.test}]", 0);
    check_shared(same, "[{path_pattern: /a}]", 0);
    check_shared(same, "[{host_header: x.test}]", 2);
    check_shared((const char *const[]){"old", NULL}, NEW_HOST, 0);
    check_shared((const char *const[]){"first", "rsa", NULL}, "[{host_header: old.test}]", 1);
}

/* So many hosts, none of which is of the certificate. */
static size_t warnings_for(struct linted *l, size_t hosts)
{
    struct report r;
    const struct listener *web = &l->snapshot->listeners[0];
    struct config_condition *k = web->config->rules[0].conditions, kept = *k;
    report_init(&r);
    k->values = calloc(hosts, sizeof(*k->values));
    assert_non_null(k->values);
    k->values_n = hosts;
    for (size_t i = 0; i < hosts; i++)
        k->values[i] = SLICE("new.test");
    tls_lint_listener(web, &r);
    size_t n = r.warnings;
    free(k->values);
    *k = kept;
    report_fini(&r);
    return n;
}

static void test_what_is_too_much_to_compare_gets_no_warning(void **state)
{
    (void)state;
    struct linted l = lint_one((const char *const[]){"first", "old", NULL},
                               (const char *const[]){NEW_HOST, NULL}, NOT_FOUND);
    assert_int_equal(warnings_for(&l, TLS_LINT_COMPARISONS_MAX), 1);
    assert_int_equal(warnings_for(&l, TLS_LINT_COMPARISONS_MAX + 1), 0);
    drop(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_a_certificate_without_a_host_of_a_rule_is_told),
        cmocka_unit_test(test_one_rule_for_any_host_is_enough_for_silence),
        cmocka_unit_test(test_other_hosts_may_be_served_by_the_default_action),
        cmocka_unit_test(test_the_default_certificate_and_its_twins_are_always_needed),
        cmocka_unit_test(test_two_kinds_of_key_for_a_name_are_judged_alike),
        cmocka_unit_test(test_three_names_are_told_in_the_order_of_the_certificate),
        cmocka_unit_test(test_a_certificate_for_no_name_is_told_on_any_listener),
        cmocka_unit_test(test_names_on_a_tls_listener_are_for_its_targets_to_know),
        cmocka_unit_test(test_a_file_that_another_listener_needs_is_needed),
        cmocka_unit_test(test_what_is_too_much_to_compare_gets_no_warning),
    };
    return cmocka_run_group_tests(tests, setup, certs_teardown);
}
