/* Which value is refused where, and with which words. `@` marks the place of the error. */
#include "config/decode.h"

#include "loaded.h"

struct row {
    const char *text, *words;
};

/* Each row's text between two others. */
static void check_rows(const struct row *rows, size_t n, const char *before, const char *after)
{
    for (size_t i = 0; i < n; i++) {
        char *text = NULL;
        assert_true(asprintf(&text, "%s%s%s", before, rows[i].text, after) > 0);
        assert_one_error(text, rows[i].words);
        free(text);
    }
}

static const char rest[] = "\n"
                           "listeners:\n"
                           "  - name: web\n"
                           "    listen: \"127.0.0.1:8080\"\n"
                           "    protocol: http\n"
                           "    default_action: {forward: app}\n"
                           "target_groups:\n"
                           "  - name: app\n"
                           "    targets: [\"127.0.0.1:3000\"]\n";

static void test_settings_of_the_process_are_checked(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"@nod: {zone: a}", "unknown key \"nod\" in the file; did you mean \"node\"?"},
        {"@idle_timeout: 5s", "it is a key of listeners.attributes"},
        {"log: {@listeners: 1}", "it is a key of the file itself"},
        {"node: @here", "expected a map with the keys zone"},
        {"node: @[a]", "node cannot be a list"},
        {"node: {zone: @\"a b\"}", "zone: \"a b\" cannot be a zone"},
        {"node: {zone: @[a]}", "zone must be a single value"},
        {"node: {zone: @~}", "zone has no value"},
        {"workers: @0", "expected auto or a number from 1 to 1024; default auto"},
        {"workers: @1025", "\"1025\" is not a number of threads"},
        {"workers: @-1", "is not a number of threads"},
        {"workers: @{a: 1}", "must be a single value"},
        {"user: @\"a b\"", "expected a name of 1 to 64 letters"},
        {"user: @[a]", "user cannot be a list"},
        {"limits: {max_connections: @0}", "out of range"},
        {"limits: {max_connections: @10000001}", "a number from 1 to 10000000; default 100000"},
        {"limits: {max_connections: @none}", "is not a number"},
        {"limits: {request_line: @63B}", "out of range"},
        {"limits: {header: @64}", "\"64\" has no unit"},
        {"limits: {request_head: @255B}", "from 256B to 256KiB; default 64KiB"},
        {"limits: {request_head: @262145B}", "out of range"},
        {"limits: {request_line: @65KiB}", "request_line is larger than request_head (65536"},
        {"limits: {header: @65KiB}", "header is larger than request_head (65536 bytes)"},
        {"limits: {response_head: @257KiB}", "out of range"},
        {"limits: {headers: @10001}", "out of range"},
        {"limits: {trailers: @65KiB}", "out of range"},
        {"limits: {chunk_line: @15B}", "out of range"},
        {"limits: {body: @nothing}", "expected a size such as 512B"},
        {"limits: {buffer_memory: @1023KiB}", "from 1MiB to 1TiB, or none"},
        {"timeouts: {connect: @10}", "connect: \"10\" has no unit"},
        {"timeouts: {connect: @soon}", "\"soon\" is not a duration"},
        {"timeouts: {connect: @9ms}", "from 10ms to 10m; default 10s"},
        {"timeouts: {shutdown: @86401s}", "out of range"},
        {"timeouts: {drain: @[1s]}", "drain cannot be a list"},
        {"timeouts: {tls_handshake: @9ms}", "from 10ms to 10m; default 10s"},
        {"keys: {tickets: @[a]}", "tickets must be a single value"},
        {"keys: {cookies: @[a]}", "cookies must be a single value"},
        {"log: {level: @loud}", "one of debug, info, warning, error; default info"},
        {"log: {level: @warnin}", "did you mean \"warning\"?"},
        {"log: {output: @off}", "\"off\" cannot be used here"},
        {"log: {output: @\"a\\nb\"}", "is not a file's name"},
        {"log: {format: @xml}", "one of text, json"},
        {"access_log: @{format: json}", "the key \"path\" is missing"},
        {"health_check_log: @{}", "health_check_log: the key \"path\" is missing"},
        {"tls: {ktls: @maybe}", "is not a switch"},
        {"connection_log: @{}", "connection_log: the key \"path\" is missing"},
        {"access_log: {path: stdout, format: @alb}", "\"alb\" is not built in this version"},
        {"access_log: {path: stdout, buffer: @1B}", "from 4KiB to 1MiB"},
        {"access_log: {path: stdout, flush: @99ms}", "from 100ms to 1m"},
        {"admin: {listen: @\"0.0.0.0:9900\"}", "is open to other machines"},
        {"admin: {listen: @\"[::]:9900\"}", "is open to other machines"},
        {"admin: {listen: @\"127.0.0.1:0\"}", "has no port to connect to"},
        {"admin: {listen: @localhost}", "expected a loopback address such as 127.0.0.1:9900"},
        {"admin: {tokens: [{role: @boss, file: x}]}", "expected one of viewer, operator"},
        {"admin: {tokens: [@{role: viewer}]}", "file"},
        {"admin: {tokens: [{role: viewer, file: @[]}]}", "expected a file"},
        {"state_dir: @[]", "expected a directory, or none"},
        {"autoshift: @on", "expected a map"},
        {"autoshift: {mode: @maybe}", "one of off, on, practice"},
        {"autoshift: @{mode: practice}", "a practice run needs 2 zones at least, and no group has"},
        {"autoshift: {at: @tuesday 10:00}", "a day and time in UTC, such as \"tue 10:00\""},
        {"autoshift: {at: @tue 24:00}", "is not a time of the week"},
        {"autoshift: {at: @tue 23:60}", "is not a time of the week"},
        {"autoshift: {at: @\"tue 23:59:60\"}", "is not a time of the week"},
        {"autoshift: {at: @\"tue 23:59:\"}", "is not a time of the week"},
        {"autoshift: {at: @\"tue 10:00:00:00\"}", "is not a time of the week"},
        {"autoshift: {at: @\"tue 1:00\"}", "is not a time of the week"},
        {"autoshift: {at: @\"tue 10.00\"}", "is not a time of the week"},
        {"autoshift: {at: @\"10:00\"}", "is not a time of the week"},
        {"autoshift: {at: @\"\"}", "is not a time of the week"},
        {"autoshift: {at: @[tue]}", "a day and time"},
        {"autoshift: {window: @999ms}", "from 1s to 1h; default 10s"},
        {"autoshift: {window: @3600001ms}", "out of range"},
        {"autoshift: {windows: @0}", "from 1 to 100; default 3"},
        {"autoshift: {windows: @101}", "out of range"},
        {"autoshift: {minimum_requests: @9}", "from 10 to 1000000000; default 50"},
        {"autoshift: {minimum_requests: @1000000001}", "out of range"},
        {"autoshift: {slow: @0s}", "or none; default 100ms"},
        {"autoshift: {slow: @10001ms}", "out of range"},
        {"autoshift: {for: @999ms}", "default 30m"},
        {"autoshift: {for: @259200001ms}", "out of range"},
        {"autoshift: @{mode: on}", "compares 3 zones at least, and no group has"},
        {"@reload: {confirm: 60s}", "reload is not built"},
        {"@tests: []", "tests is not built"},
        {"@\"a\\nb\": 1", "unknown key \"a b\""},
    };
    check_rows(rows, ARRAY_LEN(rows), "", rest);
}

static void test_a_part_of_the_head_shrinks_with_the_head_unless_it_was_typed(void **state)
{
    (void)state;
    char *text = NULL;
    assert_true(asprintf(&text, "limits: {request_head: 1KiB}%s", rest) > 0);
    struct loaded l = load_good(text);
    assert_int_equal(l.config->limits.request_line_bytes, 1024);
    assert_int_equal(l.config->limits.header_bytes, 1024);
    unload(&l);
    free(text);
}

static void test_a_list_of_listeners_is_needed(void **state)
{
    (void)state;
    assert_one_error("@", "the key \"listeners\" is missing");
    assert_one_error("listeners: @[]\n", "listeners cannot be an empty list");
    assert_one_error("listeners: @web\n", "expected a list of listeners");
    assert_one_error("listeners: @~\n", "listeners has no value");
    assert_one_error("listeners: [@web]\n", "a listener: \"web\" is not the right kind");
    assert_one_error("@- a\n", "the file cannot be a list");
    assert_one_error("@text\n", "expected a map with the keys include, node");
}

#define GOOD   "name: w, listen: \"127.0.0.1:1\", protocol: http"
#define SECURE "name: w, listen: \"127.0.0.1:1\", protocol: https"
#define PAIR   "{certificate: a.pem, key: a.key}"

static void test_listeners_are_checked(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{name: @[x], listen: \"127.0.0.1:1\", protocol: http", "name cannot be a list"},
        {"{name: @\"a b\", listen: \"127.0.0.1:1\", protocol: http", "cannot be used here"},
        {"@{listen: \"127.0.0.1:1\", protocol: http", "the key \"name\" is missing"},
        {"@{name: w, protocol: http", "the key \"listen\" is missing; expected IP:PORT"},
        {"{name: w, listen: @[], protocol: http", "listen cannot be an empty list"},
        {"{name: w, listen: @~, protocol: http", "listen has no value"},
        {"{name: w, listen: @{a: b}, protocol: http", "listen must be a single value"},
        {"{name: w, listen: [@[x]], protocol: http", "listen must be a single value"},
        {"{name: w, listen: @\"127.0.0.1\", protocol: http", "is not an address"},
        {"{name: w, listen: @\"127.0.0.1:0\", protocol: http", "has no port"},
        {"{name: w, listen: @\"127.0.0.1:65536\", protocol: http", "is not an address"},
        {"{name: w, listen: @\"localhost:80\", protocol: http", "is not an address"},
        {"{name: w, listen: @\":80\", protocol: http", "such as 0.0.0.0:80 or [::]:80"},
        {"@{name: w, listen: \"127.0.0.1:1\"", "the key \"protocol\" is missing"},
        {"{name: w, listen: \"127.0.0.1:1\", protocol: @udp", "\"udp\" is not built"},
        {"{name: w, listen: \"127.0.0.1:1\", protocol: @htp", "did you mean \"http\"?"},
        {"{" GOOD ", proxy_protocol: @accept", "expected off: nothing else is built"},
        {"{" GOOD ", certificates: @[]", "certificates cannot be an empty list"},
        {"{" GOOD ", certificates: @[" PAIR "]", "means nothing on a listener without TLS"},
        {"{" GOOD ", tls_policy: @modern", "means nothing on a listener without TLS"},
        {"@{" SECURE, "a listener with TLS needs certificates"},
        {"{" SECURE ", certificates: [@{key: a}]", "the key \"certificate\" is missing"},
        {"{" SECURE ", certificates: [@{certificate: a}]", "the key \"key\" is missing"},
        {"{" SECURE ", certificates: [" PAIR "], tls_policy: @[a]", "must be a single value"},
        {"{" SECURE ", certificates: [" PAIR "], ocsp: @[a]", "must be a single value"},
        {"{" GOOD ", ocsp: @a", "means nothing on a listener without TLS"},
        {"{" GOOD ", mutual_authentication: @{mode: off}", "on a listener without TLS"},
        {"{" SECURE ", certificates: [" PAIR "], mutual_authentication: {mode: @on}", "one of off"},
        {"{" SECURE ", certificates: [" PAIR "], mutual_authentication: @{mode: verify}",
         "to verify clients a trust_store is needed"},
        {"{" SECURE ", certificates: [" PAIR "], mutual_authentication: {mode: verify, "
         "trust_store: a, revocations: @[]}",
         "cannot be an empty list"},
        {"{" SECURE ", certificates: [" PAIR "], mutual_authentication: {mode: passthrough, "
         "advertise_trust_store_ca_names: @on}",
         "means nothing without mode: verify"},
        {"{" GOOD ", attributes: {http2: @maybe}", "is not a switch"},
        {"{" GOOD ", attributes: {idle_timeout: @99ms}", "from 100ms to 7d; default 60s"},
        {"{" GOOD ", attributes: {desync_mitigation_mode: @x}", "one of monitor, defensive"},
        {"{" GOOD ", attributes: {@slow_start: 1s}", "it is a key of target_groups.attributes"},
        {"{" GOOD ", attributes: {response_headers: {server: @x}}", "true or false; default on"},
        {"{" GOOD ", attributes: {response_headers: {x_frame_options: @\"a\\r\\nb\"}}", "value"},
        {"{" GOOD ", attributes: {response_headers: {@x_powered_by: x}}", "unknown key"},
    };
    check_rows(rows, ARRAY_LEN(rows), "listeners:\n  - ",
               ", default_action: {forward: app}}\ntarget_groups: [{name: app, targets: []}]\n");
}

static void test_a_tls_listener_passes_no_certificates_on(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"@{mode: passthrough}", "which a tls listener does not have"},
    };
    check_rows(rows, ARRAY_LEN(rows),
               "target_groups: [{name: app, protocol: tcp, targets: []}]\n"
               "listeners:\n"
               "  - name: db\n"
               "    listen: \"127.0.0.1:1\"\n"
               "    protocol: tls\n"
               "    certificates: [" PAIR "]\n"
               "    default_action: {forward: app}\n"
               "    mutual_authentication: ",
               "\n");
}

static void test_attributes_of_http_mean_nothing_on_tcp(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{@client_keep_alive: 1s}", "client_keep_alive means nothing on a tcp listener"},
        {"{idle_timeout: 1s, @http2: false}", "http2 means nothing"},
        {"{@response_headers: {}}", "response_headers means nothing"},
        {"{@xff_client_port: false}", "xff_client_port means nothing"},
    };
    check_rows(rows, ARRAY_LEN(rows),
               "target_groups: [{name: app, protocol: tcp, targets: []}]\n"
               "listeners:\n"
               "  - name: db\n"
               "    listen: \"127.0.0.1:1\"\n"
               "    protocol: tcp\n"
               "    default_action: {forward: app}\n"
               "    attributes: ",
               "\n");
}

static void test_rules_are_checked(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"@{conditions: [{path_pattern: /a}], action: {forward: app}}", "\"priority\" is missing"},
        {"{priority: @0, conditions: [{path_pattern: /a}], action: {forward: app}}", "range"},
        {"{priority: @1000000001, conditions: [{path_pattern: /a}], action: {forward: app}}",
         "a number from 1 to 1000000000"},
        {"@{priority: 1, action: {forward: app}}", "the key \"conditions\" is missing"},
        {"{priority: 1, action: {forward: app}, conditions: @[]}", "cannot be an empty list"},
        {"{priority: 1, action: {forward: app}, conditions: @{path_pattern: /a}}", "be a map"},
        {"{priority: 1, action: {forward: app}, conditions: [@path_pattern]}", "exactly one key"},
        {"{priority: 1, action: {forward: app}, conditions: [@{}]}", "exactly one key"},
        {"{priority: 1, action: {forward: app}, conditions: [@{host_header: a, path_pattern: /a}]}",
         "must have exactly one key"},
        {"{priority: 1, action: {forward: app}, conditions: [{@path_patern: /a}]}",
         "did you mean \"path_pattern\"?"},
        {"{priority: 1, action: {forward: app}, conditions: [{@source_ip: 10.0.0.0/8}]}",
         "source_ip is not built in this version"},
        {"{priority: 1, action: {forward: app}, conditions: [{path_pattern: @[]}]}", "empty list"},
        {"{priority: 1, action: {forward: app}, conditions: [{path_pattern: @\"\"}]}", "be used"},
        {"{priority: 1, action: {forward: app}, conditions: [{path_pattern: [/a, @[b]]}]}",
         "must be a single value"},
        {"{priority: 1, action: {forward: app}, conditions: [{path_pattern: @a}]}",
         "paths begin with a slash"},
        {"{priority: 1, action: {forward: app}, conditions: [{path_pattern: @\"/a b\"}]}",
         "cannot be part of a path"},
        {"{priority: 1, action: {forward: app}, conditions: [{path_pattern: @/\xc3\xa4}]}",
         "cannot be part of a path"},
        {"{priority: 1, action: {forward: app}, conditions: [{host_header: @\"a.x:80\"}]}",
         "cannot be part of a host name"},
        {"{priority: 1, action: {forward: app}, conditions: [{path_pattern: /a}], @transforms: {}}",
         "transforms is not built"},
        {"@{priority: 1, conditions: [{path_pattern: /a}]}", "the key \"action\" is missing"},
        {"{priority: 1, conditions: [{path_pattern: /a}], action: @app}", "exactly one key"},
        {"{priority: 1, conditions: [{path_pattern: /a}], action: {@forwrd: app}}",
         "did you mean \"forward\"?"},
        {"{priority: 1, name: @\"a b\", conditions: [{path_pattern: /a}], action: {forward: app}}",
         "name: \"a b\" cannot be used here"},
    };
    check_rows(rows, ARRAY_LEN(rows),
               "target_groups: [{name: app, targets: []}]\n"
               "listeners:\n"
               "  - name: web\n"
               "    listen: \"127.0.0.1:1\"\n"
               "    protocol: http\n"
               "    default_action: {forward: app}\n"
               "    rules:\n"
               "      - ",
               "\n");
}

static void test_actions_are_checked(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"@{}", "must have exactly one key"},
        {"@{redirect: {host: x, status_code: 301}, fixed_response: {}}", "exactly one key"},
        {"{forward: @~}", "name has no value"},
        {"{forward: @[app]}", "forward cannot be a list"},
        {"{forward: @{}}", "the key \"target_groups\" is missing"},
        {"{forward: {target_groups: @[]}}", "cannot be an empty list"},
        {"{forward: {target_groups: [@app]}}", "is not the right kind of value"},
        {"{forward: {target_groups: [@{weight: 1}]}}", "the key \"name\" is missing"},
        {"{forward: {target_groups: [{name: app, weight: @1000}]}}", "from 0 to 999"},
        {"{forward: {target_groups: [{name: app}], failover: @x}}", "is not a switch"},
        {"{forward: {target_groups: [{name: app}], stickiness: @999ms}}", "from 1s to 7d"},
        {"{forward: {target_groups: [{name: app}], stickiness: @604800001ms}}", "from 1s to 7d"},
        {"{forward: {target_groups: [{name: app}], stickiness: @on}}", "is not a duration"},
        {"{redirect: @{host: x}}", "the key \"status_code\" is missing"},
        {"{redirect: {host: x, status_code: @304}}", "one of 301, 302, 303, 307, 308"},
        {"{redirect: {host: x, protocol: @ftp, status_code: 301}}", "is not a protocol to"},
        {"{redirect: {host: x, protocol: @HTTPS, status_code: 301}}", "http, https or #{protocol}"},
        {"{redirect: {host: @\"a/b\", status_code: 301}}", "is more than a host"},
        {"{redirect: {path: /x, host: @\"\", status_code: 301}}", "cannot be used here"},
        {"{redirect: {host: @\"#{path}\", status_code: 301}}", "keyword that cannot stand here"},
        {"{redirect: {host: @\"#{hst}\", status_code: 301}}", "did you mean \"host\"?"},
        {"{redirect: {host: @\"x#{host\", status_code: 301}}", "has an open keyword"},
        {"{redirect: {host: x, port: @0, status_code: 301}}", "1 to 65535 or #{port}"},
        {"{redirect: {host: x, port: @65536, status_code: 301}}", "is not a port"},
        {"{redirect: {path: @x, status_code: 301}}", "does not begin with a slash"},
        {"{redirect: {path: @\"/x?y\", status_code: 301}}", "query, which has a key"},
        {"{redirect: {path: @\"/#{query}\", status_code: 301}}", "that cannot stand here"},
        {"{redirect: {host: x, path: @\"/x y\", status_code: 301}}", "cannot be used here"},
        {"{redirect: {host: x, query: @\"?a\", status_code: 301}}", "begins with the ?"},
        {"{fixed_response: @{content_type: a}}", "the key \"status_code\" is missing"},
        {"{fixed_response: {status_code: @301}}", "is not 3xx: use redirect"},
        {"{fixed_response: {status_code: @199}}", "a number from 200 to 599"},
        {"{fixed_response: {status_code: @600}}", "out of range"},
        {"{fixed_response: {status_code: 204, message_body: @x}}", "a 204 has no body"},
        {"{fixed_response: {status_code: 205, message_body: @x}}", "a 205 has no body"},
        {"{fixed_response: {status_code: 200, content_type: @\"a\\nb\"}}", "on one line"},
        {"{fixed_response: {status_code: 200, message_body: @[x]}}", "a single value"},
        {"{fixed_response: @404}", "is not the right kind of value"},
    };
    check_rows(rows, ARRAY_LEN(rows),
               "listeners:\n"
               "  - name: web\n"
               "    listen: \"127.0.0.1:1\"\n"
               "    protocol: http\n"
               "    default_action: ",
               "\n"
               "target_groups: [{name: app, targets: []}]\n");
}

static void test_an_unquoted_keyword_is_told_to_be_a_comment(void **state)
{
    (void)state;
    assert_one_error("listeners:\n"
                     "  - name: web\n"
                     "    listen: \"127.0.0.1:1\"\n"
                     "    protocol: http\n"
                     "    default_action:\n"
                     "      redirect:\n"
                     "        status_code: 301\n"
                     "        path: /x\n"
                     "        host:@ #{host}\n",
                     "without quotes, # begins a comment");
}

/* `top`: the file's own list, else that of a discovery. */
static struct loaded load_resolvers(bool top, unsigned n)
{
    struct strbuf list, text;
    strbuf_init(&list);
    strbuf_init(&text);
    for (unsigned i = 0; i < n; i++)
        strbuf_printf(&list, "%s\"10.0.0.%u:53\"", i ? ", " : "", i + 1);
    strbuf_str(&text, WEB "target_groups:\n  - {name: app, discovery: {dns: {name: a, port: 1");
    strbuf_printf(&text, top ? "}}}\nresolvers: [%s]\n" : ", resolver: [%s]}}}\n", list.p);
    struct loaded l = load(text.p);
    strbuf_fini(&list);
    strbuf_fini(&text);
    return l;
}

static void test_sixteen_name_servers_are_taken_and_one_more_is_not(void **state)
{
    (void)state;
    for (int top = 0; top < 2; top++) {
        struct loaded l = load_resolvers(top, 16);
        assert_non_null(l.config);
        const struct config_discovery *d = &l.config->groups[0].discovery;
        assert_int_equal(top ? l.config->resolvers_n : d->resolvers_n, 16);
        assert_string_equal(loaded_text(top ? l.config->resolvers : d->resolvers), "10.0.0.1:53");
        unload(&l);
        l = load_resolvers(top, 17);
        assert_null(l.config);
        assert_int_equal(l.report.errors, 1);
        assert_non_null(strstr(l.report.first->message, "more than 16 name servers"));
        unload(&l);
    }
}

static void test_target_groups_are_checked(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"@{targets: []}", "the key \"name\" is missing"},
        {"@{name: g}", "the key \"targets\" is missing"},
        {"{name: g, targets: @~}", "targets has no value"},
        {"{name: g, targets: @x}", "[] for none"},
        {"{name: g, targets: [], protocol: @udp}", "\"udp\" is not built"},
        {"{name: g, targets: [], protocol_version: @http3}", "\"http3\""},
        {"{name: g, targets: [], protocol: tcp, protocol_version: @http1}", "means nothing"},
        {"{name: g, targets: [], health_check: {protocol: grpc, matcher: @\"100\"}}", "0 to 99"},
        {"{name: g, targets: [], health_check: {protocol: grpc, matcher: @\"200\"}}", "0 to 99"},
        {"{name: g, targets: [], health_check: {matcher: @\"12\"}}", "from 200 to 599"},
        {"{name: g, targets: [], protocol_version: http2, health_check: {matcher: @12}}",
         "from 200 to 599"},
        {"{name: g, targets: [], protocol_version: grpc, health_check: {matcher: @200}}", "0 to 99"},
        {"{name: g, targets: [], health_check: @on}", "or off"},
        {"{name: g, targets: [], health_check: @[]}", "cannot be used here"},
        {"{name: g, targets: [], health_check: {path: @x}}", "begins with /"},
        {"{name: g, targets: [], health_check: {path: @'/a b'}}", "is no path"},
        {"{name: g, targets: [], health_check: {path: @'/a#b'}}", "is no path"},
        {"{name: g, targets: [], health_check: {host: @'a b'}}", "is no host"},
        {"{name: g, targets: [], health_check: {port: @0}}", "is no port"},
        {"{name: g, targets: [], health_check: {port: @65536}}", "is no port"},
        {"{name: g, targets: [], health_check: {interval: @99ms}}", "from 100ms"},
        {"{name: g, targets: [], health_check: {healthy_threshold: @0}}", "from 1 to 1000"},
        {"{name: g, targets: [], health_check: {unhealthy_threshold: @1001}}", "from 1 to 1000"},
        {"{name: g, targets: [], health_check: {matcher: @ok}}", "list of status codes"},
        {"{name: g, targets: [], health_check: {matcher: @\"\"}}", "list of status codes"},
        {"{name: g, targets: [], health_check: {matcher: @\"199\"}}", "from 200 to 599"},
        {"{name: g, targets: [], health_check: {matcher: @\"200-600\"}}", "from 200 to 599"},
        {"{name: g, targets: [], health_check: {matcher: @\"299-200\"}}", "list of status codes"},
        {"{name: g, targets: [], health_check: {matcher: @\"200,\"}}", "list of status codes"},
        {"{name: g, targets: [], health_check: {matcher: @\"200-\"}}", "list of status codes"},
        {"{name: g, targets: [], protocol: tcp, health_check: {path: @/x}}",
         "nothing in a tcp check"},
        {"{name: g, targets: [], health_check: {protocol: tcp, matcher: @200}}", "in a tcp check"},
        {"{name: g, targets: [], health_check: {protocol: tls, host: @h}}", "in a tls check"},
        {"{name: g, targets: [@\"unix:/x\"], health_check: {protocol: https}}", "tls.server_name"},
        {"{name: g, targets: [\"unix:/x\"], health_check: {port: @80}}", "unix socket"},
        {"{name: g, discovery: @x}", "must have exactly one key"},
        {"{name: g, discovery: @{}}", "must have exactly one key"},
        {"{name: g, discovery: {@fiel: x}}", "did you mean \"file\"?"},
        {"{name: g, discovery: {dns: @x}}", "is not the right kind"},
        {"{name: g, discovery: {dns: @{port: 1}}}", "the key \"name\" is missing"},
        {"{name: g, discovery: {dns: @{name: a}}}", "the key \"port\" is missing"},
        {"{name: g, discovery: {dns: {name: a, port: @0}}}", "from 1 to 65535"},
        {"{name: g, discovery: {dns: {name: a, port: @65536}}}", "from 1 to 65535"},
        {"{name: g, discovery: {dns: {name: @10.0.0.1, port: 1}}}", "nothing to look up"},
        {"{name: g, discovery: {dns: {name: @a/b, port: 1}}}", "is not a name"},
        {"{name: g, discovery: {dns: {name: a, port: 1, hold: @86400001ms}}}", "to 1d"},
        {"{name: g, discovery: {dns: {name: a, port: 1, resolver: @\"1.1.1.1\"}}}", "not an address"},
        {"{name: g, discovery: {dns: {name: a, port: 1, resolver: @[]}}}", "empty list"},
        {"{name: g, discovery: {dns_srv: {name: a, @port: 1}}}", "unknown key \"port\""},
        {"{name: g, discovery: {dns_srv: {name: a, resolver: @\"unix:/x\"}}}", "name server"},
        {"{name: g, discovery: {@dsn_srv: {}}}", "did you mean \"dns_srv\"?"},
        {"{name: g, discovery: @{file: x, dns: {name: a, port: 1}}}", "must have exactly one key"},
        {"{name: g, discovery: {file: @[x]}}", "must be a single value"},
        {"{name: g, discovery: {file: @\"a\\tb\"}}", "is not a file's name"},
        {"{name: g, targets: [], tls: @{}}", "tls means nothing in a group without TLS"},
        {"{name: g, targets: [], protocol: https, tls: {server_name: @a/b}}", "is not a name"},
        {"{name: g, targets: [], protocol: https, tls: {verify: @perhaps}}", "is not a switch"},
        {"{name: g, targets: [@\"unix:/x\"], protocol: tls}", "tls.server_name is needed"},
        {"{name: g, targets: [], attributes: {slow_start: @2d}}", "is out of range"},
        {"{name: g, targets: [], attributes: {algorithm: @round-robin}}", "mean \"round_robin\"?"},
        {"{name: g, targets: [], attributes: {slow_start: @x}}", "is not a duration"},
        {"{name: g, targets: [], attributes: {fail_open: @x}}", "is not a switch"},
        {"{name: g, targets: [], attributes: {max_outstanding: @0}}", "from 1 to 1000000, or none"},
        {"{name: g, targets: [], attributes: {max_outstanding: @1000001}}", "or none; default none"},
        {"{name: g, targets: [], attributes: {queue: @{max: 1}}}", "nothing without max_outstanding"},
        {"{name: g, targets: [], attributes: {max_outstanding: none, queue: @{max: 1}}}",
         "nothing without max_outstanding"},
        {"{name: g, targets: [], attributes: {max_outstanding: 1, queue: {max: @1000001}}}",
         "from 0 to 1000000; default 1024"},
        {"{name: g, targets: [], attributes: {max_outstanding: 1, queue: {timeout: @0s}}}",
         "from 1ms to 1h; default 1s"},
        {"{name: g, targets: [], attributes: {max_outstanding: 1, queue: {timeout: @3601s}}}",
         "from 1ms to 1h; default 1s"},
        {"{name: g, targets: [], attributes: {try_timeout: @99ms}}", "from 100ms to 1h, or none"},
        {"{name: g, targets: [], attributes: {try_timeout: @3601s}}", "from 100ms to 1h, or none"},
        {"{name: g, targets: [], protocol: tcp, attributes: {try_timeout: @1s}}", "in a tcp group"},
        {"{name: g, targets: [], attributes: {retry_budget: {percent: @101}}}",
         "from 0 to 100; default 20"},
        {"{name: g, targets: [], attributes: {retry_budget: {minimum: @1000001}}}",
         "from 0 to 1000000; default 10"},
        {"{name: g, targets: [], attributes: {zone_policy: @local_onl}}", "mean \"local_only\"?"},
        {"{name: g, targets: [], attributes: {zone_policy: @{x: [a]}}}", "other keys than"},
        {"{name: g, targets: [], attributes: {zone_policy: {order: @[]}}}", "not a list of zones"},
        {"{name: g, targets: [], attributes: {zone_policy: {order: @a}}}", "not a list of zones"},
        {"{name: g, targets: [], attributes: {zone_policy: {order: [a, @a]}}}", "listed twice"},
        {"{name: g, targets: [], attributes: {zone_policy: {order: [@a b]}}}", "cannot be a zone"},
        {"{name: g, targets: [], attributes: {zones: {overprovision: @0.999}}}", "not a factor"},
        {"{name: g, targets: [], attributes: {zones: {overprovision: @10.001}}}", "not a factor"},
        {"{name: g, targets: [], attributes: {zones: {overprovision: @1.2345}}}", "not a factor"},
        {"{name: g, targets: [], attributes: {zones: {overprovision: @1.}}}", "not a factor"},
        {"{name: g, targets: [], attributes: {zones: {smoothing: @61s}}}", "0s to 1m"},
        {"{name: g, targets: [], attributes: {lb_nodes: @{}}}", "not a map of zones"},
        {"{name: g, targets: [], attributes: {lb_nodes: {a: @x}}}", "not a number of balancers"},
        {"{name: g, targets: [], attributes: {lb_nodes: {a: @10001}}}", "number of balancers"},
        {"{name: g, targets: [], attributes: {lb_nodes: {a b: @1}}}", "cannot be a zone"},
        {"{name: g, targets: [], attributes: {lb_nodes: @{a: 0, b: 0}}}", "no balancer at all"},
        {"{name: g, targets: [], attributes: {minimum_healthy: {routing: {count: @0}}}}", "1 to"},
        {"{name: g, targets: [], attributes: {minimum_healthy: {dns: {percent: @101}}}}", "to 100"},
        {"{name: g, targets: [], attributes: {minimum_healthy: {routing: {count: 2}, "
         "dns: @{percent: 1}}}}",
         "lower than routing"},
        {"{name: g, targets: [], attributes: {ejection: @on}}", "ejection"},
        {"@{name: g, targets: [], protocol: tcp, attributes: {ejection: {on: 5xx}}}",
         "nothing in a tcp group"},
        {"{name: g, targets: [], attributes: {ejection: {consecutive_failures: @0}}}", "1 to 1000"},
        {"{name: g, targets: [], attributes: {ejection: {consecutive_failures: @1001}}}",
         "1 to 1000"},
        {"{name: g, targets: [], attributes: {ejection: {max_percent: @101}}}", "0 to 100"},
        {"{name: g, targets: [], attributes: {ejection: {base_time: @99ms}}}", "from 100ms"},
        {"{name: g, targets: [], attributes: {ejection: {on: @4xx}}}", "5xx"},
        {"{name: g, targets: [], attributes: {ejection: {max_time: @9s}}}", "less than base_time"},
        {"{name: g, targets: [], attributes: {stickiness: @{}}}", "the key \"type\" is missing"},
        {"{name: g, targets: [], attributes: {stickiness: {type: @cookie}}}", "one of lb_cookie,"},
        {"{name: g, targets: [], attributes: {stickiness: {type: lb_cookie, duration: @999ms}}}",
         "from 1s to 7d; default 1d"},
        {"{name: g, targets: [], attributes: {stickiness: {type: lb_cookie, duration: @8d}}}",
         "from 1s to 7d; default 1d"},
        {"{name: g, targets: [], attributes: {stickiness: {type: lb_cookie, cookie_name: @a}}}",
         "means nothing without type: app_cookie"},
        {"{name: g, targets: [], attributes: {stickiness: @{type: app_cookie}}}",
         "app_cookie needs cookie_name"},
        {"{name: g, targets: [], attributes: {stickiness: {type: app_cookie, cookie_name: @'a "
         "b'}}}",
         "is no cookie's name"},
        {"{name: g, targets: [], attributes: {stickiness: {type: app_cookie, cookie_name: @'a;'}}}",
         "is no cookie's name"},
        {"{name: g, targets: [], attributes: {stickiness: {type: app_cookie, cookie_name: "
         "@AWSALBX}}}",
         "that load balancers use"},
        {"{name: g, targets: [], attributes: {stickiness: {type: app_cookie, cookie_name: "
         "@TENBIN}}}",
         "that load balancers use"},
        {"{name: g, targets: [], attributes: {stickiness: @{type: source_ip}}}",
         "source_ip is for tcp and tls groups"},
        {"{name: g, protocol: tcp, targets: [],"
         " attributes: {stickiness: {type: source_ip, duration: @1h}}}",
         "duration means nothing with type: source_ip"},
        {"{name: g, protocol: tcp, targets: [],"
         " attributes: {algorithm: peak_ewma, stickiness: @{type: source_ip}}}",
         "none can be beside it"},
        {"{name: g, targets: [],"
         " attributes: {algorithm: weighted_random, stickiness: @{type: lb_cookie}}}",
         "nothing with algorithm: weighted_random"},
        {"{name: g, protocol: tcp, targets: [], attributes: {stickiness: @{type: lb_cookie}}}",
         "a tcp group sees no cookies"},
        {"{name: g, targets: [], attributes: {anomaly_mitigation: @on}}", "weighted_random"},
        {"{name: g, targets: [], attributes: {anomaly_mitigation: @2}}", "is not a switch"},
        {"{name: g, targets: [], attributes: {retries: @11}}", "a number from 0 to 10; default 2"},
        {"{name: g, targets: [], attributes: {deregistration_delay: @8d}}", "expected a duration"},
        {"{name: g, targets: [], attributes: {@health_check: {}}}", "a key of target_groups"},
    };
    check_rows(rows, ARRAY_LEN(rows), "target_groups:\n  - {name: app, targets: []}\n  - ",
               "\n"
               "listeners:\n"
               "  - name: web\n"
               "    listen: \"127.0.0.1:1\"\n"
               "    protocol: http\n"
               "    default_action: {forward: app}\n");
}

static void test_targets_are_checked(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"@{zone: a}", "the key \"address\" is missing"},
        {"@\"\"", "is not an address"},
        {"@[a]", "targets cannot be a list"},
        {"@\"10.0.0.1\"", "expected IP:PORT, [IPv6]:PORT, NAME:PORT or unix:PATH"},
        {"@\"10.0.0.1:0\"", "has no port"},
        {"@\"0.0.0.0:80\"", "is no machine's address"},
        {"@\"[::]:80\"", "is no machine's address"},
        {"@\"10.0.0:80\"", "is not an address"},
        {"@\"10.0.0.256:80\"", "is not an address"},
        {"@\"app.internal:0\"", "is not an address"},
        {"@\"app.internal\"", "is not an address"},
        {"@\"a b:80\"", "is not an address"},
        {"@\"http://a:80\"", "is not an address"},
        {"@\"unix:\"", "is not an address"},
        {"{address: @[a]}", "address must be a single value"},
        {"{address: \"10.0.0.1:1\", zone: @\"a b\"}", "zone: \"a b\" cannot be used here"},
        {"{address: \"10.0.0.1:1\", weight: @1000}", "a number from 0 to 999; default 1"},
        {"{address: \"10.0.0.1:1\", weight: @-1}", "is not a number"},
        {"{address: \"10.0.0.1:1\", @wieght: 1}", "did you mean \"weight\"?"},
    };
    check_rows(rows, ARRAY_LEN(rows),
               "listeners:\n"
               "  - name: web\n"
               "    listen: \"127.0.0.1:1\"\n"
               "    protocol: http\n"
               "    default_action: {forward: app}\n"
               "target_groups:\n"
               "  - name: app\n"
               "    targets:\n"
               "      - ",
               "\n");
}

static void test_a_unix_path_is_as_long_as_the_kernel_takes(void **state)
{
    (void)state;
    char path[200] = "/";
    memset(path + 1, 'p', 107);
    char *text = NULL;
    assert_true(asprintf(&text, "target_groups: [{name: a, targets: [@\"unix:%s\"]}]\n%s", path,
                         "listeners: [{name: w, listen: \"127.0.0.1:1\", protocol: http, "
                         "default_action: {forward: a}}]\n") > 0);
    assert_one_error(text, "is longer than the kernel takes");
    free(text);
}

static void test_long_values_are_refused_one_byte_past_their_limit(void **state)
{
    (void)state;
    static const struct {
        const char *format;
        size_t most;
    } rows[] = {
        {"fixed_response: {status_code: 200, message_body: \"%s\"}", 32768},
        {"fixed_response: {status_code: 200, content_type: \"%s\"}", 256},
        {"redirect: {status_code: 301, path: \"/%s\"}", 2047},
        {"redirect: {status_code: 301, host: x, query: \"%s\"}", 2048},
        {"redirect: {status_code: 301, host: \"%s\"}", 253},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t more = 0; more < 2; more++) {
            char *value = calloc(1, rows[i].most + 2), *action = NULL, *text = NULL;
            memset(value, 'v', rows[i].most + more);
            /* The format is one of the literals above. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            assert_true(asprintf(&action, rows[i].format, value) > 0);
#pragma GCC diagnostic pop
            assert_true(asprintf(&text,
                                 "listeners: [{name: w, listen: \"127.0.0.1:1\", protocol: http, "
                                 "default_action: {%s}}]\n",
                                 action) > 0);
            struct loaded l = load(text);
            assert_int_equal(l.report.errors, more);
            unload(&l);
            free(text);
            free(action);
            free(value);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings_of_the_process_are_checked),
        cmocka_unit_test(test_a_part_of_the_head_shrinks_with_the_head_unless_it_was_typed),
        cmocka_unit_test(test_a_list_of_listeners_is_needed),
        cmocka_unit_test(test_listeners_are_checked),
        cmocka_unit_test(test_a_tls_listener_passes_no_certificates_on),
        cmocka_unit_test(test_attributes_of_http_mean_nothing_on_tcp),
        cmocka_unit_test(test_rules_are_checked),
        cmocka_unit_test(test_actions_are_checked),
        cmocka_unit_test(test_an_unquoted_keyword_is_told_to_be_a_comment),
        cmocka_unit_test(test_sixteen_name_servers_are_taken_and_one_more_is_not),
        cmocka_unit_test(test_target_groups_are_checked),
        cmocka_unit_test(test_targets_are_checked),
        cmocka_unit_test(test_a_unix_path_is_as_long_as_the_kernel_takes),
        cmocka_unit_test(test_long_values_are_refused_one_byte_past_their_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
