/* What is typed in the file is what is in the model, and defaults are what they should be. */
#include "config/model.h"

#include "loaded.h"

static void test_tls_settings_are_what_was_typed(void **state)
{
    (void)state;
    struct loaded l = load_good("keys: {tickets: t.key}\n"
                                "listeners:\n"
                                "  - name: web\n"
                                "    listen: \"127.0.0.1:443\"\n"
                                "    protocol: https\n"
                                "    certificates:\n"
                                "      - {certificate: a.pem, key: a.key}\n"
                                "      - {certificate: /b.pem, key: b.key}\n"
                                "    default_action: {forward: app}\n"
                                "target_groups:\n"
                                "  - name: app\n"
                                "    protocol: https\n"
                                "    tls: {ca: ca.pem, server_name: app.internal}\n"
                                "    targets: [\"127.0.0.1:3000\"]\n");
    const struct config_listener *w = &l.config->listeners[0];
    const struct config_group *g = &l.config->groups[0];
    assert_string_equal(l.config->keys.tickets.path.p, "t.key");
    assert_true(w->tls);
    assert_int_equal(w->protocol, CONFIG_PROTOCOL_HTTP);
    assert_int_equal(w->certificates_n, 2);
    assert_string_equal(w->certificates[0].key.path.p, "a.key");
    assert_string_equal(w->certificates[1].certificate.path.p, "/b.pem");
    assert_int_equal(w->certificates[1].certificate.pos.line, 8);
    assert_string_equal(w->tls_policy.p, "ELBSecurityPolicy-TLS13-1-2-Res-2021-06");
    assert_true(g->tls && g->target_tls.verify);
    assert_string_equal(g->target_tls.ca.path.p, "ca.pem");
    assert_string_equal(g->target_tls.server_name.p, "app.internal");
    unload(&l);
}

static void test_defaults_are_those_of_elb(void **state)
{
    (void)state;
    struct loaded l = load_good(MINIMAL);
    const struct config *c = l.config;
    assert_string_equal(c->path, "t.yaml");
    assert_int_equal(c->node.zone.n, 0);
    assert_true(c->workers >= 1);
    assert_int_equal(c->user.n, 0);
    assert_int_equal(c->limits.max_connections, 100000);
    assert_int_equal(c->limits.request_line_bytes, 16384);
    assert_int_equal(c->limits.header_bytes, 16384);
    assert_int_equal(c->limits.request_head_bytes, 65536);
    assert_int_equal(c->limits.response_head_bytes, 32768);
    assert_int_equal(c->limits.headers, 200);
    assert_int_equal(c->limits.trailers_bytes, 8192);
    assert_int_equal(c->limits.chunk_line_bytes, 256);
    assert_true(c->limits.body_bytes == CONFIG_NONE);
    assert_int_equal(c->limits.buffer_memory_bytes, 256 << 20);
    assert_int_equal(c->timeouts.shutdown_ms, 30000);
    assert_int_equal(c->timeouts.drain_ms, 300000);
    assert_int_equal(c->timeouts.request_head_ms, 60000);
    assert_int_equal(c->timeouts.connect_ms, 10000);
    assert_int_equal(c->timeouts.tls_handshake_ms, 10000);
    assert_int_equal(c->timeouts.target_keep_alive_ms, 60000);
    assert_int_equal(c->timeouts.linger_ms, 5000);
    assert_int_equal(c->timeouts.half_close_ms, 60000);
    assert_int_equal(c->log.level, LOG_INFO);
    assert_int_equal(c->log.format, LOG_TEXT);
    assert_int_equal(c->log.sink.output, CONFIG_OUTPUT_STDERR);
    assert_int_equal(c->access_log.sink.output, CONFIG_OUTPUT_OFF);
    assert_int_equal(c->access_log.buffer_bytes, 65536);
    assert_int_equal(c->access_log.flush_ms, 1000);
    assert_int_equal(addr_family(&c->admin.listen), AF_UNSPEC);
    unload(&l);
}

static void test_defaults_of_listeners_and_groups(void **state)
{
    (void)state;
    struct loaded l = load_good(MINIMAL);
    const struct config_listener *web = &l.config->listeners[0];
    assert_int_equal(l.config->listeners_n, 1);
    assert_slice(web->name, "web");
    assert_int_equal(web->protocol, CONFIG_PROTOCOL_HTTP);
    assert_int_equal(web->listen_n, 1);
    assert_string_equal(loaded_text(&web->listen[0].addr), "127.0.0.1:8080");
    assert_int_equal(web->attributes.idle_timeout_ms, 60000);
    assert_int_equal(web->attributes.client_keep_alive_ms, 3600000);
    assert_int_equal(web->attributes.desync_mitigation_mode, CONFIG_DESYNC_DEFENSIVE);
    assert_int_equal(web->attributes.xff_header_processing, CONFIG_XFF_APPEND);
    assert_false(web->attributes.xff_client_port);
    assert_false(web->attributes.drop_invalid_header_fields);
    assert_false(web->attributes.preserve_host_header);
    assert_true(web->attributes.server_header);
    assert_int_equal(web->attributes.response_headers_n, 0);
    assert_int_equal(web->rules_n, 0);
    const struct config_group *app = &l.config->groups[0];
    assert_int_equal(app->protocol, CONFIG_PROTOCOL_HTTP);
    assert_int_equal(app->attributes.algorithm, CONFIG_ALGORITHM_ROUND_ROBIN);
    assert_int_equal(app->attributes.retries, 2);
    assert_true(app->used);
    assert_int_equal(app->targets[0].weight, 1);
    assert_int_equal(app->targets[0].zone.n, 0);
    assert_string_equal(loaded_text(&app->targets[0].addrs[0]), "127.0.0.1:3000");
    unload(&l);
}

static void test_settings_of_the_process_reach_the_model(void **state)
{
    (void)state;
    struct loaded l = load_good("node: {zone: c}\n"
                                "workers: 3\n"
                                "user: nobody\n"
                                "limits: {max_connections: 7, request_line: 100B, header: 200B,\n"
                                "  request_head: 256KiB, response_head: 300B, headers: 5,\n"
                                "  trailers: 0B, chunk_line: 20B, body: 0B, buffer_memory: none}\n"
                                "timeouts: {shutdown: 0, drain: 1m, request_head: 100ms,\n"
                                "  connect: 10ms, target_keep_alive: 1d, linger: 1ms,\n"
                                "  half_close: 2h}\n"
                                "log: {level: error, output: stdout, format: json}\n"
                                "access_log: {path: logs/a.log, format: combined, buffer: 4KiB,\n"
                                "  flush: 100ms}\n"
                                "admin: {listen: \"unix:/run/admin.sock\"}\n" MINIMAL);
    const struct config *c = l.config;
    assert_slice(c->node.zone, "c");
    assert_int_equal(c->workers, 3);
    assert_slice(c->user, "nobody");
    assert_int_equal(c->limits.max_connections, 7);
    assert_int_equal(c->limits.request_line_bytes, 100);
    assert_int_equal(c->limits.header_bytes, 200);
    assert_int_equal(c->limits.request_head_bytes, 262144);
    assert_int_equal(c->limits.response_head_bytes, 300);
    assert_int_equal(c->limits.headers, 5);
    assert_int_equal(c->limits.trailers_bytes, 0);
    assert_int_equal(c->limits.chunk_line_bytes, 20);
    assert_int_equal(c->limits.body_bytes, 0);
    assert_true(c->limits.buffer_memory_bytes == CONFIG_NONE);
    assert_int_equal(c->timeouts.shutdown_ms, 0);
    assert_int_equal(c->timeouts.drain_ms, 60000);
    assert_int_equal(c->timeouts.request_head_ms, 100);
    assert_int_equal(c->timeouts.connect_ms, 10);
    assert_int_equal(c->timeouts.target_keep_alive_ms, 86400000);
    assert_int_equal(c->timeouts.linger_ms, 1);
    assert_int_equal(c->timeouts.half_close_ms, 7200000);
    assert_int_equal(c->log.level, LOG_ERROR);
    assert_int_equal(c->log.format, LOG_JSON);
    assert_int_equal(c->log.sink.output, CONFIG_OUTPUT_STDOUT);
    assert_int_equal(c->access_log.sink.output, CONFIG_OUTPUT_FILE);
    assert_slice(c->access_log.sink.path, "logs/a.log");
    assert_int_equal(c->access_log.format, CONFIG_ACCESS_LOG_FORMAT_COMBINED);
    assert_int_equal(c->access_log.buffer_bytes, 4096);
    assert_int_equal(c->access_log.flush_ms, 100);
    assert_string_equal(loaded_text(&c->admin.listen), "unix:/run/admin.sock");
    assert_int_equal(c->admin.pos.line, 13);
    unload(&l);
}

static void test_a_listener_reaches_the_model(void **state)
{
    (void)state;
    struct loaded l = load_good("listeners:\n"
                                "  - name: web\n"
                                "    listen: [\"0.0.0.0:80\", \"[::]:80\"]\n"
                                "    protocol: http\n"
                                "    proxy_protocol: off\n"
                                "    attributes:\n"
                                "      idle_timeout: 1s\n"
                                "      client_keep_alive: 2s\n"
                                "      http2: false\n"
                                "      desync_mitigation_mode: strictest\n"
                                "      drop_invalid_header_fields: true\n"
                                "      preserve_host_header: on\n"
                                "      xff_header_processing: remove\n"
                                "      xff_client_port: true\n"
                                "      response_headers:\n"
                                "        strict_transport_security: \"max-age=1; preload\"\n"
                                "        x_frame_options: DENY\n"
                                "        access_control_max_age: 600\n"
                                "        content_security_policy: \"\"\n"
                                "        server: off\n"
                                "    default_action: {forward: app}\n" APP);
    const struct config_listener *web = &l.config->listeners[0];
    assert_int_equal(web->pos.line, 2);
    assert_int_equal(web->listen_n, 2);
    assert_string_equal(loaded_text(&web->listen[1].addr), "[::]:80");
    assert_int_equal(web->listen[1].pos.column, 28);
    assert_int_equal(web->attributes.idle_timeout_ms, 1000);
    assert_int_equal(web->attributes.client_keep_alive_ms, 2000);
    assert_int_equal(web->attributes.desync_mitigation_mode, CONFIG_DESYNC_STRICTEST);
    assert_true(web->attributes.drop_invalid_header_fields);
    assert_true(web->attributes.preserve_host_header);
    assert_int_equal(web->attributes.xff_header_processing, CONFIG_XFF_REMOVE);
    assert_true(web->attributes.xff_client_port);
    assert_false(web->attributes.server_header);
    assert_int_equal(web->attributes.response_headers_n, 3);
    const struct config_response_header *h = web->attributes.response_headers;
    assert_slice(h[0].name, "Strict-Transport-Security");
    assert_slice(h[0].value, "max-age=1; preload");
    assert_slice(h[1].name, "X-Frame-Options");
    assert_slice(h[2].name, "Access-Control-Max-Age");
    assert_slice(h[2].value, "600");
    unload(&l);
}

static void test_a_tcp_listener_is_idle_for_350_s_unless_told_otherwise(void **state)
{
    (void)state;
    struct loaded l = load_good(
        "listeners:\n"
        "  - {name: a, listen: \"127.0.0.1:1\", protocol: tcp, default_action: {forward: db}}\n"
        "  - {name: b, listen: \"127.0.0.1:2\", protocol: tcp, default_action: {forward: db},\n"
        "     attributes: {idle_timeout: 60s}}\n"
        "  - {name: c, listen: \"127.0.0.1:3\", protocol: tcp, default_action: {forward: db},\n"
        "     attributes: {}}\n"
        "target_groups:\n"
        "  - {name: db, protocol: tcp, targets: [\"unix:/run/db.sock\", \"[::1]:5432\"]}\n");
    const struct config *c = l.config;
    assert_int_equal(c->listeners[0].protocol, CONFIG_PROTOCOL_TCP);
    assert_int_equal(c->listeners[0].attributes.idle_timeout_ms, 350000);
    assert_int_equal(c->listeners[1].attributes.idle_timeout_ms, 60000);
    assert_int_equal(c->listeners[2].attributes.idle_timeout_ms, 350000);
    assert_string_equal(loaded_text(&c->groups[0].targets[0].addrs[0]), "unix:/run/db.sock");
    assert_string_equal(loaded_text(&c->groups[0].targets[1].addrs[0]), "[::1]:5432");
    unload(&l);
}

static void test_rules_are_in_the_order_of_their_priorities(void **state)
{
    (void)state;
    struct loaded l = load_good(
        "listeners:\n"
        "  - name: web\n"
        "    listen: \"127.0.0.1:80\"\n"
        "    protocol: http\n"
        "    rules:\n"
        "      - {priority: 1000000000, conditions: [{path_pattern: /z}], action: {forward: app}}\n"
        "      - name: both\n"
        "        priority: 1\n"
        "        conditions:\n"
        "          - host_header: [a.example, \"*.B.example\"]\n"
        "          - path_pattern: [/v1/*, \"/?\"]\n"
        "        action: {forward: app}\n"
        "    default_action: {forward: app}\n" APP);
    const struct config_listener *web = &l.config->listeners[0];
    assert_int_equal(web->rules_n, 2);
    assert_slice(web->rules[0].name, "both");
    assert_int_equal(web->rules[0].pos.line, 7);
    assert_slice(web->rules[1].name, "rule-1000000000");
    const struct config_condition *k = web->rules[0].conditions;
    assert_int_equal(web->rules[0].conditions_n, 2);
    assert_int_equal(k[0].type, CONFIG_CONDITION_HOST_HEADER);
    assert_int_equal(k[0].values_n, 2);
    assert_slice(k[0].values[1], "*.B.example");
    assert_int_equal(k[1].type, CONFIG_CONDITION_PATH_PATTERN);
    assert_slice(k[1].values[0], "/v1/*");
    assert_int_equal(web->rules[1].conditions[0].values_n, 1);
    unload(&l);
}

static void test_stickiness_reaches_the_model(void **state)
{
    (void)state;
    struct loaded l = load_good(
        "keys: {cookies: c.key}\n" WEB "target_groups:\n"
        "  - {name: app, targets: []}\n"
        "  - {name: lb, targets: [], attributes: {aws_names: true, stickiness: {type: lb_cookie}}}\n"
        "  - {name: own, targets: [], attributes: {stickiness:\n"
        "      {type: app_cookie, cookie_name: \"!#$%&'*+-.^_`|~09AZaz\", duration: 1s}}}\n"
        "  - {name: db, protocol: tcp, targets: [], attributes: {stickiness: {type: source_ip}}}\n");
    const struct config_group *g = l.config->groups;
    const struct config_stickiness *lb = &g[1].attributes.stickiness;
    const struct config_stickiness *own = &g[2].attributes.stickiness;
    assert_slice(l.config->keys.cookies.path, "c.key");
    assert_int_equal(g[0].attributes.stickiness.type, CONFIG_STICKINESS_OFF);
    assert_false(g[0].attributes.aws_names);
    assert_int_equal(lb->type, CONFIG_STICKINESS_LB_COOKIE);
    assert_int_equal(lb->duration_ms, 86400000);
    assert_int_equal(lb->pos.line, 9);
    assert_true(g[1].attributes.aws_names);
    assert_int_equal(own->type, CONFIG_STICKINESS_APP_COOKIE);
    assert_int_equal(own->duration_ms, 1000);
    assert_slice(own->cookie_name, "!#$%&'*+-.^_`|~09AZaz");
    assert_int_equal(g[3].attributes.algorithm, CONFIG_ALGORITHM_SOURCE_HASH);
    assert_int_equal(g[3].attributes.hash_on.type, CONFIG_HASH_ON_SOURCE_IP);
    unload(&l);
}

static void test_limits_of_work_reach_the_model(void **state)
{
    (void)state;
    struct loaded l = load_good(
        WEB "target_groups:\n"
            "  - {name: app, targets: []}\n"
            "  - {name: most, targets: [], attributes: {max_outstanding: 1000000,\n"
            "     queue: {max: 1000000, timeout: 1h}, retry_budget: {percent: 100, minimum: 1000000}}}\n"
            "  - {name: least, targets: [], attributes: {max_outstanding: 1,\n"
            "     queue: {max: 0, timeout: 1ms}, retry_budget: {percent: 0, minimum: 0}}}\n");
    static const struct {
        uint64_t outstanding;
        uint32_t max, timeout_ms, percent, minimum;
    } rows[] = {
        {CONFIG_NONE, 1024, 1000, 20, 10},
        {1000000, 1000000, 3600000, 100, 1000000},
        {1, 0, 1, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct config_group_attributes *a = &l.config->groups[i].attributes;
        assert_true(a->max_outstanding == rows[i].outstanding);
        assert_int_equal(a->queue.max, rows[i].max);
        assert_int_equal(a->queue.timeout_ms, rows[i].timeout_ms);
        assert_int_equal(a->retry_budget.percent, rows[i].percent);
        assert_int_equal(a->retry_budget.minimum, rows[i].minimum);
    }
    unload(&l);
    l = load_good(WEB "target_groups:\n"
                      "  - {name: app, targets: []}\n"
                      "  - {name: hasty, targets: [], attributes: {try_timeout: 100ms}}\n"
                      "  - {name: calm, targets: [], attributes: {try_timeout: 1h}}\n");
    assert_true(l.config->groups[0].attributes.try_timeout_ms == CONFIG_NONE);
    assert_int_equal(l.config->groups[1].attributes.try_timeout_ms, 100);
    assert_int_equal(l.config->groups[2].attributes.try_timeout_ms, 3600000);
    unload(&l);
}

static void test_forward_takes_one_name_or_weights(void **state)
{
    (void)state;
    struct loaded l = load_good("listeners:\n"
                                "  - name: web\n"
                                "    listen: \"127.0.0.1:80\"\n"
                                "    protocol: http\n"
                                "    rules:\n"
                                "      - priority: 1\n"
                                "        conditions: [{path_pattern: /x}]\n"
                                "        action: {forward: {failover: false, target_groups: "
                                "[{name: b, weight: 999}, {name: a, weight: 0}, {name: c}]}}\n"
                                "    default_action: {forward: b}\n"
                                "target_groups:\n"
                                "  - {name: a, targets: []}\n"
                                "  - {name: b, targets: []}\n"
                                "  - {name: c, targets: []}\n");
    const struct config_listener *web = &l.config->listeners[0];
    const struct config_forward *f = &web->rules[0].action.forward;
    assert_int_equal(web->rules[0].action.type, CONFIG_ACTION_FORWARD);
    assert_int_equal(f->groups_n, 3);
    assert_slice(f->groups[0].name, "b");
    assert_int_equal(f->groups[0].group, 1);
    assert_int_equal(f->groups[0].weight, 999);
    assert_int_equal(f->groups[1].group, 0);
    assert_int_equal(f->groups[1].weight, 0);
    assert_int_equal(f->groups[2].group, 2);
    assert_int_equal(f->groups[2].weight, 1);
    assert_int_equal(web->default_action.forward.groups_n, 1);
    assert_int_equal(web->default_action.forward.groups[0].group, 1);
    assert_int_equal(web->default_action.pos.line, 9);
    unload(&l);
}

static struct config_redirect redirect_of(const char *action, struct loaded *l)
{
    char text[1000];
    snprintf(text, sizeof(text),
             "listeners: [{name: w, listen: \"127.0.0.1:80\", protocol: http, default_action: "
             "{redirect: {%s}}}]\n",
             action);
    *l = load_good(text);
    assert_int_equal(l->config->listeners[0].default_action.type, CONFIG_ACTION_REDIRECT);
    return l->config->listeners[0].default_action.redirect;
}

static void test_what_a_redirect_does_not_name_stays_as_it_is(void **state)
{
    (void)state;
    struct loaded l;
    struct config_redirect r = redirect_of("host: \"www.#{host}\", status_code: 302", &l);
    assert_slice(r.protocol, "#{protocol}");
    assert_slice(r.host, "www.#{host}");
    assert_slice(r.port, "#{port}");
    assert_slice(r.path, "/#{path}");
    assert_slice(r.query, "#{query}");
    assert_int_equal(r.status_code, 302);
    unload(&l);
}

static void test_a_redirect_to_another_protocol_gets_its_port(void **state)
{
    (void)state;
    static const struct {
        const char *action, *port;
    } rows[] = {
        {"protocol: https, status_code: 301", "443"},
        {"protocol: http, host: x.example, status_code: 301", "80"},
        {"protocol: https, port: 8443, status_code: 301", "8443"},
        {"protocol: https, port: \"#{port}\", status_code: 301", "#{port}"},
        {"port: 81, status_code: 301", "81"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct loaded l;
        struct config_redirect r = redirect_of(rows[i].action, &l);
        assert_slice(r.port, rows[i].port);
        unload(&l);
    }
}

static void test_a_redirect_may_drop_the_query_and_use_keywords_where_elb_does(void **state)
{
    (void)state;
    struct loaded l;
    struct config_redirect r =
        redirect_of("path: \"/#{host}/#{port}/#{path}\", query: \"\", status_code: 308", &l);
    assert_slice(r.query, "");
    assert_slice(r.path, "/#{host}/#{port}/#{path}");
    unload(&l);
    r = redirect_of("host: x, query: \"a=#{protocol}#{host}#{port}#{path}&#{query}\", "
                    "status_code: 307",
                    &l);
    assert_slice(r.query, "a=#{protocol}#{host}#{port}#{path}&#{query}");
    unload(&l);
}

static void test_a_fixed_response_reaches_the_model(void **state)
{
    (void)state;
    struct loaded l = load_good(
        "listeners: [{name: w, listen: \"127.0.0.1:80\", protocol: http, default_action:\n"
        "  {fixed_response: {status_code: 503, content_type: text/html, message_body: "
        "\"a\\nb\"}}},\n"
        "  {name: v, listen: \"127.0.0.1:81\", protocol: http, default_action:\n"
        "  {fixed_response: {status_code: 204}}}]\n");
    const struct config_action *a = &l.config->listeners[0].default_action;
    assert_int_equal(a->type, CONFIG_ACTION_FIXED_RESPONSE);
    assert_int_equal(a->fixed_response.status_code, 503);
    assert_slice(a->fixed_response.content_type, "text/html");
    assert_slice(a->fixed_response.message_body, "a\nb");
    a = &l.config->listeners[1].default_action;
    assert_int_equal(a->fixed_response.message_body.n, 0);
    assert_slice(a->fixed_response.content_type, "text/plain");
    unload(&l);
}

static void test_what_targets_speak_reaches_the_model(void **state)
{
    (void)state;
    struct loaded l = load_good(WEB "target_groups:\n"
                                    "  - {name: app, targets: []}\n"
                                    "  - {name: two, protocol_version: http2, targets: []}\n"
                                    "  - {name: rpc, protocol_version: grpc, targets: []}\n");
    assert_int_equal(l.config->groups[0].version, CONFIG_VERSION_HTTP1);
    assert_int_equal(l.config->groups[1].version, CONFIG_VERSION_HTTP2);
    assert_int_equal(l.config->groups[2].version, CONFIG_VERSION_GRPC);
    unload(&l);
}

static void test_a_group_reaches_the_model(void **state)
{
    (void)state;
    struct loaded l = load_good(
        WEB "target_groups:\n"
            "  - name: app\n"
            "    protocol: http\n"
            "    protocol_version: http1\n"
            "    attributes: {algorithm: round_robin, slow_start: 0,\n"
            "      zone_policy: cross_zone, fail_open: true, aws_names: off, retries: 0,\n"
            "      max_outstanding: none, proxy_protocol: off, anomaly_mitigation: off}\n"
            "    targets:\n"
            "      - \"app.internal:3000\"\n"
            "      - {address: \"10.0.0.1:3000\", zone: b, weight: 0}\n");
    const struct config_group *g = &l.config->groups[0];
    assert_int_equal(g->attributes.retries, 0);
    assert_int_equal(g->targets_n, 2);
    assert_slice(g->targets[0].text, "app.internal:3000");
    assert_slice(g->targets[0].host, "app.internal");
    assert_int_equal(g->targets[0].port, 3000);
    assert_int_equal(g->targets[0].addrs_n, 0);
    assert_int_equal(g->targets[0].weight, 1);
    assert_slice(g->targets[1].zone, "b");
    assert_int_equal(g->targets[1].weight, 0);
    assert_int_equal(g->targets[1].host.n, 0);
    assert_int_equal(g->targets[1].pos.line, 15);
    unload(&l);
}

static void test_what_is_said_about_zones_reaches_the_model(void **state)
{
    (void)state;
    struct loaded l = load_good(
        "node: {zone: a}\n" WEB
        "target_groups:\n"
        "  - name: app\n"
        "    attributes:\n"
        "      zone_policy: {order: [b, a]}\n"
        "      zones: {overprovision: 2.05, smoothing: 0}\n"
        "      minimum_healthy: {routing: {count: 2, percent: 100}}\n"
        "    targets: [{address: \"10.0.0.1:1\", zone: a}, {address: \"10.0.0.1:2\", zone: b}]\n"
        "  - name: even\n"
        "    attributes: {zone_policy: balanced, lb_nodes: {a: 10000, b: 0}, zones: {}}\n"
        "    targets: [{address: \"10.0.0.1:1\", zone: a}, {address: \"10.0.0.1:2\", zone: b}]\n");
    const struct config_group_attributes *a = &l.config->groups[0].attributes;
    assert_int_equal(a->zone_policy.policy, CONFIG_ZONES_ORDER);
    assert_int_equal(a->zone_policy.order_n, 2);
    assert_slice(a->zone_policy.order[0].zone, "b");
    assert_slice(a->zone_policy.order[1].zone, "a");
    assert_int_equal(a->zones.overprovision_permille, 2050);
    assert_int_equal(a->zones.smoothing_ms, 0);
    assert_int_equal(a->minimum_healthy.routing.count, 2);
    assert_int_equal(a->minimum_healthy.dns.percent, 100); /* as routing, when it is not given */
    a = &l.config->groups[1].attributes;
    assert_int_equal(a->zone_policy.policy, CONFIG_ZONES_BALANCED);
    assert_int_equal(a->lb_nodes.zones_n, 2);
    assert_slice(a->lb_nodes.zones[0].zone, "a");
    assert_int_equal(a->lb_nodes.zones[0].nodes, 10000);
    assert_int_equal(a->lb_nodes.zones[1].nodes, 0);
    assert_int_equal(a->zones.overprovision_permille, 1400);
    assert_int_equal(a->zones.smoothing_ms, 5000);
    assert_int_equal(a->minimum_healthy.routing.count, 1);
    assert_int_equal(a->minimum_healthy.dns.percent, 0);
    unload(&l);
}

static struct loaded load_group(const char *rest)
{
    char text[1000];
    snprintf(text, sizeof(text),
             "listeners:\n"
             "  - {name: web, listen: \"127.0.0.1:80\", protocol: %s, default_action: {forward: g}}\n"
             "target_groups:\n"
             "  - {name: g, targets: [\"10.0.0.1:3000\"], %s}\n",
             strstr(rest, "protocol: tcp,") || strstr(rest, "protocol: tls,") ? "tcp" : "http", rest);
    return load_good(text);
}

static void test_a_group_without_a_health_check_gets_that_of_elb(void **state)
{
    (void)state;
    struct loaded l = load_group("attributes: {retries: 1}");
    const struct config_health_check *c = &l.config->groups[0].health_check;
    assert_true(l.config->groups[0].attributes.fail_open);
    assert_true(c->on);
    assert_int_equal(c->protocol, CONFIG_CHECK_HTTP);
    assert_int_equal(c->port, 0);
    assert_slice(c->path, "/");
    assert_int_equal(c->host.n, 0);
    assert_int_equal(c->jitter_percent, 10);
    assert_int_equal(c->interval_ms, 30000);
    assert_int_equal(c->timeout_ms, 5000);
    assert_int_equal(c->healthy_threshold, 5);
    assert_int_equal(c->unhealthy_threshold, 2);
    for (unsigned code = 0; code < 1000; code++)
        assert_int_equal(model_matcher_has(&c->matcher, code), code == 200);
    unload(&l);
}

static void test_a_check_speaks_as_the_traffic_unless_it_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *group;
        enum config_check_protocol protocol;
        bool tls;
    } rows[] = {
        {"protocol: http", CONFIG_CHECK_HTTP, false},
        {"protocol: tcp, attributes: {}", CONFIG_CHECK_TCP, false},
        {"protocol: tls, attributes: {}", CONFIG_CHECK_TCP, false},
        {"protocol: https, tls: {verify: false}", CONFIG_CHECK_HTTPS, true},
        {"protocol: https, health_check: {interval: 5s}", CONFIG_CHECK_HTTPS, true},
        {"protocol: https, health_check: {protocol: http, port: 81}", CONFIG_CHECK_HTTP, false},
        {"protocol: https, health_check: {protocol: tls}", CONFIG_CHECK_TLS, true},
        {"protocol: tcp, health_check: {protocol: https}, tls: {}", CONFIG_CHECK_HTTPS, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct loaded l = load_group(rows[i].group);
        const struct config_health_check *c = &l.config->groups[0].health_check;
        assert_true(c->on);
        assert_int_equal(c->protocol, rows[i].protocol);
        assert_int_equal(c->tls, rows[i].tls);
        unload(&l);
    }
}

/* What is asked of a group's targets by its version and what its health_check says. */
static void test_a_check_is_of_the_version_of_the_traffic(void **state)
{
    (void)state;
    static const struct {
        const char *group;
        enum config_check_protocol protocol;
        bool tls, http2;
        const char *path;
        unsigned good; /* status */
    } rows[] = {
        {"protocol_version: http1", CONFIG_CHECK_HTTP, false, false, "/", 200},
        {"protocol_version: http2", CONFIG_CHECK_HTTP, false, true, "/", 200},
        {"protocol: https, protocol_version: http2", CONFIG_CHECK_HTTPS, true, true, "/", 200},
        {"protocol_version: http2, health_check: {protocol: https, port: 81}", CONFIG_CHECK_HTTPS,
         true, true, "/", 200},
        {"protocol: https, protocol_version: http2, health_check: {protocol: http, matcher: 204}",
         CONFIG_CHECK_HTTP, false, true, "/", 204},
        {"protocol_version: http2, health_check: {protocol: grpc}", CONFIG_CHECK_GRPC, false, true,
         "/AWS.ALB/healthcheck", 12},
        {"protocol_version: http2, health_check: {protocol: tcp}", CONFIG_CHECK_TCP, false, false,
         "/", 200},
        {"protocol_version: http2, health_check: {protocol: tls}", CONFIG_CHECK_TLS, true, false,
         "/", 200},
        {"protocol_version: grpc", CONFIG_CHECK_GRPC, false, true, "/AWS.ALB/healthcheck", 12},
        {"protocol: https, protocol_version: grpc", CONFIG_CHECK_GRPC, true, true,
         "/AWS.ALB/healthcheck", 12},
        {"protocol_version: grpc, health_check: {interval: 5s, matcher: 99}", CONFIG_CHECK_GRPC,
         false, true, "/AWS.ALB/healthcheck", 99},
        {"protocol_version: grpc, health_check: {path: /a.b/c}", CONFIG_CHECK_GRPC, false, true,
         "/a.b/c", 12},
        {"protocol_version: grpc, health_check: {path: /grpc.health.v1.Health/Check}",
         CONFIG_CHECK_GRPC, false, true, "/grpc.health.v1.Health/Check", 0},
        {"protocol: https, protocol_version: grpc, health_check: {protocol: http}",
         CONFIG_CHECK_HTTP, false, true, "/", 200},
        {"protocol_version: grpc, health_check: {protocol: https}", CONFIG_CHECK_HTTPS, true, true,
         "/", 200},
        {"protocol_version: grpc, health_check: {protocol: tcp}", CONFIG_CHECK_TCP, false, false,
         "/", 200},
        {"protocol_version: http1, health_check: {protocol: grpc}", CONFIG_CHECK_GRPC, false, true,
         "/AWS.ALB/healthcheck", 12},
        {"protocol: tcp, health_check: {protocol: http}", CONFIG_CHECK_HTTP, false, false, "/", 200},
        {"protocol: tls, health_check: {protocol: grpc}", CONFIG_CHECK_GRPC, true, true,
         "/AWS.ALB/healthcheck", 12},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct loaded l = load_group(rows[i].group);
        const struct config_health_check *c = &l.config->groups[0].health_check;
        if (!c->on || c->protocol != rows[i].protocol || c->tls != rows[i].tls ||
            c->http2 != rows[i].http2)
            fail_msg("%s: protocol %d, tls %d, http2 %d", rows[i].group, c->protocol, c->tls,
                     c->http2);
        assert_slice(c->path, rows[i].path);
        for (unsigned code = 0; code < 1000; code++)
            assert_int_equal(model_matcher_has(&c->matcher, code), code == rows[i].good);
        unload(&l);
    }
}

static void test_a_health_check_reaches_the_model(void **state)
{
    (void)state;
    struct loaded l = load_group("attributes: {fail_open: false}, health_check: {protocol: http, "
                                 "port: 8081, path: '/up?deep=1', host: 'app.internal:81', "
                                 "jitter: 0, interval: 500ms, healthy_threshold: 3, "
                                 "unhealthy_threshold: 4, matcher: \"200-204,301,599\"}");
    const struct config_health_check *c = &l.config->groups[0].health_check;
    assert_false(l.config->groups[0].attributes.fail_open);
    assert_true(c->on);
    assert_int_equal(c->port, 8081);
    assert_slice(c->path, "/up?deep=1");
    assert_slice(c->host, "app.internal:81");
    assert_int_equal(c->jitter_percent, 0);
    assert_int_equal(c->interval_ms, 500);
    assert_int_equal(c->timeout_ms, 250); /* not typed: half the interval */
    assert_int_equal(c->healthy_threshold, 3);
    assert_int_equal(c->unhealthy_threshold, 4);
    for (unsigned code = 0; code < 1000; code++)
        assert_int_equal(model_matcher_has(&c->matcher, code),
                         (code >= 200 && code <= 204) || code == 301 || code == 599);
    unload(&l);
}

static void test_ejection_reaches_the_model_and_is_off_without_its_key(void **state)
{
    (void)state;
    struct loaded l = load_group("attributes: {retries: 1}");
    assert_false(l.config->groups[0].attributes.ejection.enabled);
    unload(&l);
    l = load_group("attributes: {ejection: {}}");
    const struct config_ejection *e = &l.config->groups[0].attributes.ejection;
    assert_true(e->enabled);
    assert_int_equal(e->on, CONFIG_EJECTION_CONNECT);
    assert_int_equal(e->consecutive_failures, 5);
    assert_int_equal(e->base_time_ms, 10000);
    assert_int_equal(e->max_time_ms, 300000);
    assert_int_equal(e->max_percent, 50);
    unload(&l);
    l = load_group("attributes: {ejection: {on: 5xx, consecutive_failures: 1000, base_time: 100ms, "
                   "max_time: 100ms, max_percent: 100}}");
    e = &l.config->groups[0].attributes.ejection;
    assert_int_equal(e->on, CONFIG_EJECTION_5XX);
    assert_int_equal(e->consecutive_failures, 1000);
    assert_int_equal(e->max_time_ms, 100);
    assert_int_equal(e->max_percent, 100);
    unload(&l);
}

static void check_autoshift(const char *yaml, struct config_autoshift want)
{
    char *text = NULL;
    assert_true(asprintf(&text, "%s" MINIMAL, yaml) > 0);
    struct loaded l = load_good(text);
    const struct config_autoshift *a = &l.config->autoshift;
    assert_int_equal(a->mode, want.mode);
    assert_int_equal(a->window_ms, want.window_ms);
    assert_int_equal(a->windows, want.windows);
    assert_int_equal(a->minimum_requests, want.minimum_requests);
    assert_int_equal(a->slow_ms, want.slow_ms);
    assert_int_equal(a->for_ms, want.for_ms);
    unload(&l);
    free(text);
}

static void test_autoshift_reaches_the_model_and_is_off_by_default(void **state)
{
    (void)state;
    struct config_autoshift want = {
        .window_ms = 10000, .windows = 3, .minimum_requests = 50, .slow_ms = 100, .for_ms = 1800000};
    check_autoshift("", want);
    check_autoshift("autoshift: {mode: off}\n", want);
    want = (struct config_autoshift){
        .window_ms = 1000, .windows = 1, .minimum_requests = 10, .slow_ms = 1, .for_ms = 1000};
    check_autoshift("autoshift: {window: 1s, windows: 1, minimum_requests: 10, slow: 1ms, for: 1s}\n",
                    want);
    want.slow_ms = CONFIG_NONE;
    check_autoshift(
        "autoshift: {window: 1s, windows: 1, minimum_requests: 10, slow: none, for: 1s}\n", want);
    want = (struct config_autoshift){.window_ms = 3600000,
                                     .windows = 100,
                                     .minimum_requests = 1000000000,
                                     .slow_ms = 10000,
                                     .for_ms = 259200000};
    check_autoshift("autoshift: {window: 1h, windows: 100, minimum_requests: 1000000000, slow: 10s, "
                    "for: 72h}\n",
                    want);
}

static void test_a_time_of_the_week_is_in_seconds_from_monday(void **state)
{
    (void)state;
    static const struct {
        const char *at;
        uint32_t s;
    } rows[] = {{"", 122400},
                {", at: \"mon 00:00\"", 0},
                {", at: wed 07:08", 198480},
                {", at: \"thu 00:00:01\"", 259201},
                {", at: \"fri 23:59\"", 431940},
                {", at: \"sat 00:00\"", 432000},
                {", at: \"sun 23:59:59\"", 604799}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *text = NULL;
        assert_true(asprintf(&text, "autoshift: {mode: off%s}\n" MINIMAL, rows[i].at) > 0);
        struct loaded l = load_good(text);
        assert_int_equal(l.config->autoshift.practice_at_s, rows[i].s);
        unload(&l);
        free(text);
    }
}

static void test_a_health_check_can_be_off(void **state)
{
    (void)state;
    struct loaded l = load_group("health_check: off");
    assert_false(l.config->groups[0].health_check.on);
    unload(&l);
}

static void test_discoveries_arrive(void **state)
{
    (void)state;
    struct loaded l = load_good(
        "resolvers: \"10.0.0.2:53\"\n" WEB "target_groups:\n"
        "  - {name: app, discovery: {dns: {name: app.internal, port: 3000, zone: a, hold: 5m}}}\n"
        "  - {name: s, discovery: {dns_srv: {name: _a._tcp.b, resolver: [\"[::1]:54\"]}}}\n"
        "  - {name: f, discovery: {file: f.yaml}}\n"
        "  - {name: none, targets: []}\n");
    const struct config_discovery *d = &l.config->groups[0].discovery;
    assert_int_equal(l.config->resolvers_n, 1);
    assert_int_equal(d->source, CONFIG_DISCOVERY_DNS);
    assert_slice(d->name, "app.internal");
    assert_slice(d->zone, "a");
    assert_int_equal(d->port, 3000);
    assert_int_equal(d->hold_ms, 300000);
    assert_int_equal(d->resolvers_n, 0);
    d = &l.config->groups[1].discovery;
    assert_int_equal(d->source, CONFIG_DISCOVERY_SRV);
    assert_slice(d->name, "_a._tcp.b");
    assert_int_equal(d->hold_ms, 0);
    assert_string_equal(loaded_text(d->resolvers), "[::1]:54");
    d = &l.config->groups[2].discovery;
    assert_int_equal(d->source, CONFIG_DISCOVERY_FILE);
    assert_slice(d->file.path, "f.yaml");
    assert_int_equal(l.config->groups[3].discovery.source, CONFIG_DISCOVERY_NONE);
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_discoveries_arrive),
        cmocka_unit_test(test_tls_settings_are_what_was_typed),
        cmocka_unit_test(test_defaults_are_those_of_elb),
        cmocka_unit_test(test_defaults_of_listeners_and_groups),
        cmocka_unit_test(test_settings_of_the_process_reach_the_model),
        cmocka_unit_test(test_a_listener_reaches_the_model),
        cmocka_unit_test(test_a_tcp_listener_is_idle_for_350_s_unless_told_otherwise),
        cmocka_unit_test(test_rules_are_in_the_order_of_their_priorities),
        cmocka_unit_test(test_stickiness_reaches_the_model),
        cmocka_unit_test(test_limits_of_work_reach_the_model),
        cmocka_unit_test(test_forward_takes_one_name_or_weights),
        cmocka_unit_test(test_what_a_redirect_does_not_name_stays_as_it_is),
        cmocka_unit_test(test_a_redirect_to_another_protocol_gets_its_port),
        cmocka_unit_test(test_a_redirect_may_drop_the_query_and_use_keywords_where_elb_does),
        cmocka_unit_test(test_a_fixed_response_reaches_the_model),
        cmocka_unit_test(test_what_targets_speak_reaches_the_model),
        cmocka_unit_test(test_a_group_reaches_the_model),
        cmocka_unit_test(test_what_is_said_about_zones_reaches_the_model),
        cmocka_unit_test(test_a_group_without_a_health_check_gets_that_of_elb),
        cmocka_unit_test(test_a_check_speaks_as_the_traffic_unless_it_is_told),
        cmocka_unit_test(test_a_check_is_of_the_version_of_the_traffic),
        cmocka_unit_test(test_a_health_check_reaches_the_model),
        cmocka_unit_test(test_ejection_reaches_the_model_and_is_off_without_its_key),
        cmocka_unit_test(test_autoshift_reaches_the_model_and_is_off_by_default),
        cmocka_unit_test(test_a_time_of_the_week_is_in_seconds_from_monday),
        cmocka_unit_test(test_a_health_check_can_be_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
