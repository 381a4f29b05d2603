"""Which rule a request meets, and what redirect, fixed_response and weighted forward do."""

import collections

import pytest

import origin as o
from conftest import answering, redirecting

RULES = """
    listeners:
      - name: web
        listen: "127.0.0.1:$web"
        protocol: http
        rules:
%s
        default_action: {fixed_response: {status_code: 404, content_type: text/plain, message_body: default}}
    """


def fixed(name):
    return "{fixed_response: {status_code: 200, content_type: text/plain, message_body: %s}}" % name


def rule(priority, name, *conditions):
    return "{priority: %d, name: %s, conditions: [%s], action: %s}" % (priority, name, ", ".join(conditions), fixed(name))


def host(*values):
    return '{host_header: [%s]}' % ", ".join(f'"{v}"' for v in values)


def path(*values):
    return '{path_pattern: [%s]}' % ", ".join(f'"{v}"' for v in values)


@pytest.fixture
def matched(tenbin):
    """matched(rules) gives ask(host, path) -> the name of the rule that answered."""
    def start(*rules):
        client = tenbin(RULES % "\n".join(f"          - {r}" for r in rules)).connect()
        return lambda host="h.example", path="/", **kw: client.get(path, host=host, **kw).body.decode()
    return start


# --- host_header

@pytest.mark.parametrize("value, yes, no", [
    ("example.com", ["example.com", "EXAMPLE.com", "example.com:8080", "example.com."],
     ["www.example.com", "example.org", "example.comx"]),
    ("Example.COM", ["example.com"], []),
    ("*.example.com", ["a.example.com", "a.b.example.com", "A.EXAMPLE.COM:1"], ["example.com", "aexample.com"]),
    ("?.example.com", ["a.example.com"], ["ab.example.com", ".example.com"]),
    ("api-*.example.com", ["api-1.example.com", "api-.example.com", "api-1.2.example.com"], ["api.example.com"]),
    ("*.example.*", ["a.example.com", "a.example.co.uk"], ["example.com"]),
    ("*", ["anything", "10.0.0.1"], []),
    ("*example.com", ["example.com", "myexample.com", "a.example.com"], ["example.org"]),
    ("10.0.0.1", ["10.0.0.1", "10.0.0.1:99"], ["10.0.0.2"]),
])
def test_host_header(matched, value, yes, no):
    ask = matched(rule(1, "hit", host(value)))
    assert [h for h in yes if ask(host=h) != "hit"] == []
    assert [h for h in no if not h.startswith(".") and ask(host=h) != "default"] == []


# --- path_pattern

@pytest.mark.parametrize("value, yes, no", [
    ("/img", ["/img", "/img?x=y"], ["/img/", "/IMG", "/imgs", "/"]),
    ("/img/*", ["/img/", "/img/a", "/img/a/b/c"], ["/img", "/images/a", "/Img/a"]),
    ("/img/*/pics", ["/img/a/pics", "/img/a/b/pics", "/img//pics"], ["/img/pics", "/img/a/pics/"]),
    ("/a?c", ["/abc", "/a/c"], ["/ac", "/abbc"]),
    ("*.php", ["/x.php", "/a/b.php"], ["/x.php5", "/x.PHP"]),
    ("/*", ["/", "/anything"], []),
    ("*", ["/", "/anything"], []),
    ("/a*b*c", ["/abc", "/axbxc", "/abbcc"], ["/ab", "/acb"]),
])
def test_path_pattern(matched, value, yes, no):
    ask = matched(rule(1, "hit", path(value)))
    assert [p for p in yes if ask(path=p) != "hit"] == []
    assert [p for p in no if ask(path=p) != "default"] == []


@pytest.mark.parametrize("asked", ["/admin/x", "/%61dmin/x", "/./admin/x", "/a/../admin/x", "/a/%2e%2e/admin/x",
                                   "/admin/../admin/x"])
def test_paths_match_in_their_normal_form(matched, asked):
    assert matched(rule(1, "hit", path("/admin/*")))(path=asked) == "hit"


def test_an_escaped_slash_is_no_slash(matched):
    ask = matched(rule(1, "hit", path("/a/b")))
    assert ask(path="/a%2fb") == "default" and ask(path="/a/b") == "hit"


def test_the_query_is_no_part_of_the_path(matched):
    ask = matched(rule(1, "hit", path("*secret*")))
    assert ask(path="/x?secret") == "default" and ask(path="/secret?x") == "hit"


def test_the_host_of_an_absolute_target_counts(matched):
    ask = matched(rule(1, "hit", host("real.example")))
    assert ask(host="other.example", path="http://real.example/") == "hit"
    assert ask(host="real.example", path="http://other.example/") == "default"


# --- many rules

def test_conditions_are_and_and_values_are_or(matched):
    ask = matched(rule(1, "both", host("a.example", "b.example"), path("/x", "/y/*")))
    assert [ask("a.example", "/x"), ask("b.example", "/y/1"), ask("a.example", "/z"), ask("c.example", "/x")] == [
        "both", "both", "default", "default"]


def test_the_lowest_priority_number_wins_whatever_the_order_or_kind(matched):
    ask = matched(rule(30, "exact", host("a.example"), path("/x")), rule(20, "wild", host("*.example")),
                  rule(10, "prefix", path("/x/*")), rule(40, "any", path("*")), rule(25, "suffix", path("*.png")))
    assert ask("a.example", "/x") == "wild"
    assert ask("a.example", "/x/1") == "prefix"
    assert ask("a.test", "/x") == "any"
    assert ask("a.test", "/a.png") == "suffix"
    assert ask("a.example", "/a.png") == "wild"


def test_overlapping_hosts_and_paths_agree_with_a_plain_search(tenbin):
    """Every combination of hosts and paths gives what looking at each rule in turn gives."""
    hosts = [None, "a.example", "*.example", "a.*", "*", "?.example"]
    paths = [None, "/", "/a", "/a/*", "/a/b", "/a/b/*", "*b", "/?/b", "*"]
    rules, priority = [], 0
    for i, p in enumerate(paths):
        for j, h in enumerate(hosts):
            if h or p:
                priority = (i * 7 + j * 11) % 53 * 100 + i * 10 + j + 1
                rules.append((priority, f"r{i}x{j}", h, p))
    text = RULES % "\n".join("          - " + rule(n, name, *([host(h)] if h else []), *([path(p)] if p else []))
                             for n, name, h, p in rules)
    client = tenbin(text).connect()
    for asked_host in ("a.example", "b.example", "bb.example", "a.test", "x.test", "example"):
        for asked_path in ("/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/x/b", "/xb", "/c"):
            want = next((name for n, name, h, p in sorted(rules)
                         if (not h or glob(h, asked_host)) and (not p or glob(p, asked_path))), "default")
            assert client.get(asked_path, host=asked_host).body.decode() == want, (asked_host, asked_path)


def glob(pattern, text):
    """ALB's wildcards, the slow and obvious way."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(glob(pattern[1:], text[i:]) for i in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and glob(pattern[1:], text[1:])


def test_a_thousand_rules_each_answer_for_themselves(tenbin):
    rules = [rule(n + 1, f"r{n}", host(f"h{n}.example"), path(f"/p{n}/*")) for n in range(1000)]
    client = tenbin(RULES % "\n".join(f"          - {r}" for r in rules)).connect()
    for n in range(0, 1000, 37):
        assert client.get(f"/p{n}/x", host=f"h{n}.example").body.decode() == f"r{n}"
        assert client.get(f"/p{n}/x", host="h.example").body == b"default"


def test_the_rule_and_the_group_are_in_the_access_log(tenbin, origin):
    web = tenbin("""
        listeners:
          - name: web
            listen: "127.0.0.1:$web"
            protocol: http
            rules: [{name: special, priority: 7, conditions: [{path_pattern: ["/s"]}], action: {forward: app}}]
            default_action: {forward: app}
        target_groups:
          - {name: app, protocol: http, targets: ["$app"]}
        """, app=origin.address)
    client = web.connect()
    client.get("/s")
    client.get("/other")
    line = web.log_line(path="/s")
    assert (line["rule"], line["group"], line["target"]) == ("special", "app", origin.address)
    assert web.log_line(path="/other")["rule"] == "default"


# --- fixed_response

def test_a_fixed_response_is_what_the_file_says(tenbin):
    client = tenbin(answering(503, "<h1>back soon</h1>", "text/html")).connect()
    answer = client.get("/")
    assert (answer.status, answer["content-type"], answer.body) == (503, "text/html", b"<h1>back soon</h1>")
    head = client.request("HEAD", "/").response("HEAD")
    assert (head.status, head["content-length"]) == (503, "18")
    assert client.get("/").status == 503


# --- redirect

@pytest.mark.parametrize("redirect, asked, location", [
    ("{protocol: https}", "/a/b?c=d", "https://h.example/a/b?c=d"),
    ("{protocol: https, port: 8443}", "/", "https://h.example:8443/"),
    ("{host: other.example}", "/p?q", "http://other.example:$port/p?q"),
    ('{host: "www.#{host}"}', "/", "http://www.h.example:$port/"),
    ('{path: "/new/#{path}"}', "/old/x?y=1", "http://h.example:$port/new/old/x?y=1"),
    ('{path: "/fixed", query: ""}', "/old?y=1", "http://h.example:$port/fixed"),
    ('{path: "/#{host}/#{path}", query: "#{query}&from=#{path}"}', "/a?b=c",
     "http://h.example:$port/h.example/a?b=c&from=a"),
    ('{port: "80"}', "/x", "http://h.example/x"),
    ('{protocol: https, host: "#{host}", port: "443", path: "/#{path}", query: "#{query}"}', "/a%2fb?x=%20",
     "https://h.example/a%2fb?x=%20"),
])
def test_redirect(tenbin, redirect, asked, location):
    web = tenbin(redirecting(redirect[:-1] + ", status_code: 302}"))
    answer = web.connect().get(asked, host="h.example")
    assert answer.status == 302
    assert answer["location"] == location.replace("$port", str(web.port()))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_every_redirect_status(tenbin, status):
    client = tenbin(redirecting("{protocol: https, status_code: %d}" % status)).connect()
    for _ in range(2):
        assert client.get("/", host="h.example").status == status


def test_a_redirect_cannot_be_split_by_what_a_client_sends(tenbin):
    client = tenbin(redirecting("{protocol: https, status_code: 301}")).connect()
    answer = client.get("/%0d%0aSet-Cookie:%20x=y?%0d%0a", host="h.example")
    assert answer["location"] == "https://h.example/%0d%0aSet-Cookie:%20x=y?%0d%0a" and not answer.has("set-cookie")


@pytest.mark.parametrize("size, status", [(8000, 301), (9000, 507)])
def test_a_location_over_8_k_is_a_507(tenbin, size, status):
    client = tenbin(redirecting("{protocol: https, status_code: 301}")).connect()
    assert client.get("/" + "a" * size, host="h.example").status == status


# --- weighted forward

def test_weights_share_out_requests_between_groups(tenbin, origins):
    big, small, none = origins(), origins(), origins()
    client = tenbin("""
        listeners:
          - name: web
            listen: "127.0.0.1:$web"
            protocol: http
            default_action: {forward: {target_groups: [{name: big, weight: 90}, {name: small, weight: 10}, {name: none, weight: 0}]}}
        target_groups:
          - {name: big, protocol: http, targets: ["$big"]}
          - {name: small, protocol: http, targets: ["$small"]}
          - {name: none, protocol: http, targets: ["$none"]}
        """, big=big.address, small=small.address, none=none.address).connect()
    for _ in range(1000):
        assert client.get("/").status == 200
    counts = collections.Counter({"big": len(big.requests), "small": len(small.requests), "none": len(none.requests)})
    assert counts["none"] == 0 and 860 <= counts["big"] <= 940, counts


def test_a_chosen_group_without_targets_does_not_fail_over(tenbin, origins):
    full = origins()
    client = tenbin("""
        listeners:
          - name: web
            listen: "127.0.0.1:$web"
            protocol: http
            default_action: {forward: {target_groups: [{name: full, weight: 1}, {name: empty, weight: 1}]}}
        target_groups:
          - {name: full, protocol: http, targets: ["$full"]}
          - {name: empty, protocol: http, targets: []}
        """, full=full.address).connect()
    statuses = collections.Counter(client.get("/").status for _ in range(100))
    assert set(statuses) == {200, 503} and 25 <= statuses[503] <= 75, statuses


def test_rules_choose_the_group(tenbin, origins):
    api, rest = origins(), origins()
    client = tenbin("""
        listeners:
          - name: web
            listen: "127.0.0.1:$web"
            protocol: http
            rules: [{priority: 1, conditions: [{path_pattern: ["/v1/*"]}], action: {forward: api}}]
            default_action: {forward: rest}
        target_groups:
          - {name: api, protocol: http, targets: ["$api"]}
          - {name: rest, protocol: http, targets: ["$rest"]}
        """, api=api.address, rest=rest.address).connect()
    for target in ("/v1/a", "/v2/a", "/v1/b"):
        client.get(target)
    assert [r.target for r in api.requests] == ["/v1/a", "/v1/b"] and [r.target for r in rest.requests] == ["/v2/a"]
