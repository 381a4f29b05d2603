/* `@` marks the place of the error. */
#include "loaded.h"

#define BEGIN                                                                                      \
    "listeners:\n"                                                                                 \
    "  - {name: w, listen: \"127.0.0.1:1\", protocol: %s, default_action: {forward: app}}\n"       \
    "target_groups:\n"                                                                             \
    "  - name: app\n"                                                                              \
    "    protocol: %s\n"                                                                           \
    "    attributes: {%s}%s\n"                                                                     \
    "    targets: [\"127.0.0.1:2\"]\n"

static char *yaml_with(const char *protocol, const char *attributes, const char *more)
{
    char *text = NULL;
    assert_true(asprintf(&text, BEGIN, protocol, protocol, attributes, more) > 0);
    return text;
}

static char *yaml(const char *protocol, const char *attributes)
{
    return yaml_with(protocol, attributes, "");
}

static void assert_wrong(const char *protocol, const char *attributes, const char *words)
{
    char *text = yaml(protocol, attributes);
    assert_one_error(text, words);
    free(text);
}

struct good {
    const char *protocol, *attributes;
    enum config_algorithm algorithm;
    enum config_hash_on_type type;
    const char *name;
};

static void test_what_each_algorithm_hashes(void **state)
{
    (void)state;
    static const struct good rows[] = {
        {"http", "", CONFIG_ALGORITHM_ROUND_ROBIN, CONFIG_HASH_ON_NOTHING, ""},
        {"http", "algorithm: round_robin", CONFIG_ALGORITHM_ROUND_ROBIN, CONFIG_HASH_ON_NOTHING,
         ""},
        {"tcp", "algorithm: least_outstanding_requests", CONFIG_ALGORITHM_LEAST_OUTSTANDING,
         CONFIG_HASH_ON_NOTHING, ""},
        {"http", "algorithm: weighted_random", CONFIG_ALGORITHM_WEIGHTED_RANDOM,
         CONFIG_HASH_ON_NOTHING, ""},
        {"http", "algorithm: peak_ewma", CONFIG_ALGORITHM_PEAK_EWMA, CONFIG_HASH_ON_NOTHING, ""},
        {"tcp", "algorithm: source_hash", CONFIG_ALGORITHM_SOURCE_HASH, CONFIG_HASH_ON_SOURCE_IP,
         ""},
        {"http", "algorithm: consistent_hash", CONFIG_ALGORITHM_CONSISTENT_HASH,
         CONFIG_HASH_ON_SOURCE_IP, ""},
        {"tcp", "algorithm: consistent_hash, hash_on: source_ip", CONFIG_ALGORITHM_CONSISTENT_HASH,
         CONFIG_HASH_ON_SOURCE_IP, ""},
        {"http", "hash_on: path, algorithm: consistent_hash", CONFIG_ALGORITHM_CONSISTENT_HASH,
         CONFIG_HASH_ON_PATH, ""},
        {"http", "algorithm: consistent_hash, hash_on: {header: X-User}",
         CONFIG_ALGORITHM_CONSISTENT_HASH, CONFIG_HASH_ON_HEADER, "X-User"},
        {"http", "algorithm: consistent_hash, hash_on: {cookie: id}",
         CONFIG_ALGORITHM_CONSISTENT_HASH, CONFIG_HASH_ON_COOKIE, "id"},
        {"http", "algorithm: consistent_hash, hash_on: {query: \"a[b]\"}",
         CONFIG_ALGORITHM_CONSISTENT_HASH, CONFIG_HASH_ON_QUERY, "a[b]"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char *text = yaml(rows[i].protocol, rows[i].attributes);
        struct loaded l = load_good(text);
        const struct config_group_attributes *a = &l.config->groups[0].attributes;
        assert_int_equal(a->algorithm, rows[i].algorithm);
        assert_int_equal(a->hash_on.type, rows[i].type);
        assert_true(slice_eq(a->hash_on.name, slice_str(rows[i].name)));
        unload(&l);
        free(text);
    }
}

static void test_hash_on_belongs_to_consistent_hash(void **state)
{
    (void)state;
    assert_wrong("http", "hash_on: @path", "without algorithm: consistent_hash");
    assert_wrong("http", "algorithm: source_hash, hash_on: @source_ip",
                 "without algorithm: consistent_hash");
    assert_wrong("http", "algorithm: peak_ewma, hash_on: @{header: X}",
                 "without algorithm: consistent_hash");
}

static void test_a_connection_is_hashed_on_its_address_only(void **state)
{
    (void)state;
    static const char words[] = "a tcp group has no requests to hash: only source_ip";
    assert_wrong("tcp", "algorithm: consistent_hash, hash_on: @path", words);
    assert_wrong("tcp", "algorithm: consistent_hash, hash_on: @{header: X}", words);
}

static void test_hash_on_is_one_word_or_one_key(void **state)
{
    (void)state;
    static const char begin[] = "algorithm: consistent_hash, hash_on: ";
    static const struct {
        const char *rest, *words;
    } rows[] = {
        {"@header", "hash_on: \"header\" cannot be used here"},
        {"@sourceip", "hash_on: \"sourceip\" cannot be used here"},
        {"@{header: X, cookie: y}", "hash_on must have exactly one key"},
        {"@{}", "hash_on must have exactly one key"},
        {"{@heeder: X}", "did you mean \"header\"?"},
        {"{header: @\"X Y\"}", "header: \"X Y\" cannot be used here"},
        {"{header: @\"\"}", "header"},
        {"{header: @[X]}", "header"},
        {"{cookie: @\"a=b\"}", "cookie: \"a=b\" cannot be used here"},
        {"{query: @\"a=b\"}", "query: \"a=b\" cannot be used here"},
        {"{query: @\"a&b\"}", "query: \"a&b\" cannot be used here"},
        {"@[path]", "hash_on"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char *attributes = NULL;
        assert_true(asprintf(&attributes, "%s%s", begin, rows[i].rest) > 0);
        assert_wrong("http", attributes, rows[i].words);
        free(attributes);
    }
}

static void test_a_name_has_at_most_256_bytes(void **state)
{
    (void)state;
    char name[258], attributes[400];
    memset(name, 'x', 257);
    name[256] = '\0';
    snprintf(attributes, sizeof(attributes), "algorithm: consistent_hash, hash_on: {header: %s}",
             name);
    char *text = yaml("http", attributes);
    struct loaded l = load_good(text);
    assert_int_equal(l.config->groups[0].attributes.hash_on.name.n, 256);
    unload(&l);
    free(text);
    name[256] = 'x';
    name[257] = '\0';
    snprintf(attributes, sizeof(attributes), "algorithm: consistent_hash, hash_on: {query: @%s}",
             name);
    assert_wrong("http", attributes, "cannot be used here");
}

static void test_an_unknown_algorithm_is_told_the_nearest(void **state)
{
    (void)state;
    assert_wrong("http", "algorithm: @least_outstanding", "least_outstanding_requests");
    assert_wrong("http", "algorithm: @round_robbin", "did you mean \"round_robin\"?");
}

static void test_slow_start_needs_shares_that_can_grow(void **state)
{
    (void)state;
    assert_wrong("http", "algorithm: least_outstanding_requests, slow_start: @30s",
                 "slow_start cannot be used with algorithm: least_outstanding_requests");
    assert_wrong("http", "algorithm: weighted_random, slow_start: @30s",
                 "slow_start cannot be used with algorithm: weighted_random");
    char *unchecked = yaml_with("http", "slow_start: @30s", "\n    health_check: off");
    assert_one_error(unchecked, "slow_start needs a health_check");
    free(unchecked);
    static const char *const good[] = {"slow_start: 30s", "slow_start: 1d, algorithm: peak_ewma",
                                       "slow_start: 100ms, algorithm: source_hash",
                                       "slow_start: 0s, algorithm: weighted_random"};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        char *text = yaml("http", good[i]);
        struct loaded l = load_good(text);
        unload(&l);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_each_algorithm_hashes),
        cmocka_unit_test(test_hash_on_belongs_to_consistent_hash),
        cmocka_unit_test(test_a_connection_is_hashed_on_its_address_only),
        cmocka_unit_test(test_hash_on_is_one_word_or_one_key),
        cmocka_unit_test(test_a_name_has_at_most_256_bytes),
        cmocka_unit_test(test_an_unknown_algorithm_is_told_the_nearest),
        cmocka_unit_test(test_slow_start_needs_shares_that_can_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
