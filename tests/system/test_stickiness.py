"""Clients that stay with their target and their target group."""

import re
import time

import pytest

import h2client
import origin as o
import wire
from lb import eventually

LISTENER = """
listeners:
  - {name: web, listen: "127.0.0.1:$web", protocol: http, attributes: {h2c: true}, default_action: {forward: %s}}
"""
KEYS = "01" * 32, "02" * 32


def named(name, *lines):
    """A target that says its name, with more header lines."""
    return o.reply(o.response(name, "200 OK", *lines))


def a_fleet(origins, n=4, *lines):
    return {f"t{i}": origins(named(f"t{i}", *lines)).address for i in range(n)}


def a_group(name, attributes, names, more=""):
    targets = ", ".join(f'"${each}"' for each in names)
    return f"  - {{name: {name}, attributes: {{{attributes}}}, targets: [{targets}]{more}}}\n"


def sticky(tenbin, fleet, attributes="stickiness: {type: lb_cookie}", extra="", **keywords):
    text = LISTENER % "app" + extra + "target_groups:\n" + a_group("app", attributes, fleet)
    return tenbin(text, **fleet, **keywords)


def cookies_of(response):
    """{name: value} of the Set-Cookie lines."""
    return dict(line.split(";")[0].split("=", 1) for line in response.all("set-cookie"))


def get(web, cookies=None, path="/", client=None):
    """Who answered, and the cookies then."""
    lines = [f"Cookie: {'; '.join(f'{k}={v}' for k, v in cookies.items())}"] if cookies else []
    response = (client or web.connect()).request("GET", path, *lines).response()
    assert response.status == 200
    return response.body.decode(), cookies_of(response)


def stays(web, cookies, times=12):
    """The one target that serves this client, whose cookies are renewed each time."""
    seen = set()
    for _ in range(times):
        who, fresh = get(web, cookies)
        cookies = {**cookies, **fresh}
        seen.add(who)
    assert len(seen) == 1, seen
    return seen.pop(), cookies


def counted(web, result, cookie="target", group="app"):
    return web.metrics().get(f'tenbin_stickiness_total{{cookie="{cookie}",group="{group}",result="{result}"}}', 0)


# --- lb_cookie

def test_a_client_stays_with_its_first_target_and_others_are_spread(tenbin, origins):
    web = sticky(tenbin, a_fleet(origins))
    first, cookies = get(web)
    assert list(cookies) == ["TENBIN"]
    assert stays(web, cookies)[0] == first
    assert {get(web)[0] for _ in range(12)} == {"t0", "t1", "t2", "t3"}
    assert counted(web, "kept") == 12 and counted(web, "new") == 13


def test_the_cookie_is_as_elbs_and_tells_nothing_about_the_target(tenbin, origins):
    fleet = a_fleet(origins)
    web = sticky(tenbin, fleet)
    response = web.connect().get("/")
    line = response["set-cookie"]
    match = re.fullmatch(r"TENBIN=([A-Za-z0-9_-]{80}); Expires=(.*); Path=/", line)
    assert match, line
    ahead = time.mktime(time.strptime(match.group(2), "%a, %d %b %Y %H:%M:%S GMT")) - time.mktime(time.gmtime())
    assert abs(ahead - 7 * 86400) < 10
    again = web.connect().request("GET", "/", f"Cookie: TENBIN={match.group(1)}").response()["set-cookie"]
    assert again.split(";")[0] != line.split(";")[0], "the same target is sealed anew each time"


def test_the_aws_names_come_with_their_twins_and_the_cors_cookie_counts(tenbin, origins):
    web = sticky(tenbin, a_fleet(origins, 2), "aws_names: true, stickiness: {type: lb_cookie}")
    response = web.connect().get("/")
    lines = response.all("set-cookie")
    assert [line.split("=")[0] for line in lines] == ["AWSALB", "AWSALBCORS"]
    assert lines[1].endswith("; Path=/; SameSite=None; Secure") and lines[0].endswith("; Path=/")
    mine = response.body.decode()
    other = next(cookies for who, cookies in (get(web) for _ in range(8)) if who != mine)
    both = {"AWSALB": other["AWSALB"], "AWSALBCORS": cookies_of(response)["AWSALBCORS"]}
    for _ in range(6):
        assert get(web, both)[0] == mine
    assert get(web, {"TENBIN": other["AWSALB"]})[1].keys() == {"AWSALB", "AWSALBCORS"}
    for _ in range(6):
        assert get(web, {"AWSALB": other["AWSALB"]})[0] != mine


def test_a_cookie_that_was_changed_is_as_none_and_counted(tenbin, origins):
    web = sticky(tenbin, a_fleet(origins))
    _, cookies = get(web)
    value = cookies["TENBIN"]
    client = web.connect()
    seen = set()
    for i in range(len(value)):
        changed = value[:i] + ("A" if value[i] != "A" else "B") + value[i + 1:]
        who, fresh = get(web, {"TENBIN": changed}, client=client)
        assert fresh["TENBIN"]
        seen.add(who)
    assert len(seen) == 4
    for bad in "", "x", value + "A", value[:-1], "=" * 80, "%41" + value[3:]:
        get(web, {"TENBIN": bad}, client=client)
    assert counted(web, "invalid") == len(value) + 6 and counted(web, "kept") == 0


def test_the_duration_is_inside_and_begins_anew_with_each_answer(tenbin, origins):
    web = sticky(tenbin, a_fleet(origins), "stickiness: {type: lb_cookie, duration: 2s}")
    first, cookies = get(web)
    for _ in range(4):
        time.sleep(0.8)
        who, cookies = get(web, cookies)
        assert who == first
    time.sleep(3)
    fresh = [get(web, cookies) for _ in range(8)]
    assert {who for who, _ in fresh} == {"t0", "t1", "t2", "t3"}
    assert counted(web, "expired") == 8
    assert get(web, fresh[0][1])[0] == fresh[0][0]


def test_a_target_that_refuses_loses_its_clients_to_another_for_good(tenbin, origins):
    targets = [origins(named(f"t{i}")) for i in range(3)]
    fleet = {f"t{i}": t.address for i, t in enumerate(targets)}
    web = sticky(tenbin, fleet)
    first, cookies = get(web)
    lost = targets[int(first[1])]
    lost.stop_listening()
    for peer in lost.connections:
        peer.sock.shutdown(2)
    second, cookies = get(web, cookies)
    assert second != first
    assert stays(web, cookies)[0] == second
    assert counted(web, "gone") == 1


def test_a_target_that_left_the_file_and_one_that_is_unhealthy_lose_their_clients(tenbin, origins):
    fleet = a_fleet(origins, 3)
    attributes = "stickiness: {type: lb_cookie}"
    web = sticky(tenbin, fleet, attributes)
    first, cookies = get(web)
    rest = [name for name in fleet if name != first]
    web.reload(LISTENER % "app" + "target_groups:\n" + a_group("app", attributes, rest))
    who, cookies = get(web, cookies)
    assert who in rest
    assert stays(web, cookies)[0] == who
    assert counted(web, "gone") == 1


def test_an_unhealthy_target_loses_its_clients(tenbin, origins):
    bad = set()

    def target(name):
        def answer(request):
            if request.target == "/health":
                return o.response(b"", "500 Bad" if name in bad else "200 OK")
            return o.response(name)
        return origins(o.reply(answer)).address
    fleet = {name: target(name) for name in ("t0", "t1", "t2")}
    check = ", health_check: {path: /health, interval: 200ms, timeout: 150ms}"
    web = tenbin(LISTENER % "app" + "target_groups:\n" +
                 a_group("app", "stickiness: {type: lb_cookie}", fleet, check), **fleet)
    eventually(lambda: all(t["state"] == "healthy" for t in web.status()["groups"][0]["targets"]))
    first, cookies = get(web)
    assert stays(web, cookies)[0] == first
    bad.add(first)
    eventually(lambda: get(web, cookies)[0] != first)
    second, fresh = get(web, cookies)
    assert second != first and stays(web, fresh)[0] == second
    bad.clear()
    eventually(lambda: all(t["state"] == "healthy" for t in web.status()["groups"][0]["targets"]))
    assert get(web, cookies)[0] == first, "the old cookie is good again"


def test_weight_0_takes_no_new_clients_and_keeps_its_own(tenbin, origins):
    fleet = a_fleet(origins, 2)
    web = sticky(tenbin, fleet)
    first, cookies = get(web)
    other = "t1" if first == "t0" else "t0"
    targets = f'{{address: "${first}", weight: 0}}, "${other}"'
    web.reload(LISTENER % "app" + f"target_groups:\n  - {{name: app, attributes: {{stickiness: {{type: lb_cookie}}}}, targets: [{targets}]}}\n")
    assert stays(web, cookies)[0] == first
    assert {get(web)[0] for _ in range(6)} == {other}


# --- keys

def test_a_reload_keeps_the_keys(tenbin, origins):
    fleet = a_fleet(origins)
    web = sticky(tenbin, fleet)
    first, cookies = get(web)
    plain = LISTENER % "app" + "target_groups:\n" + a_group("app", "retries: 1", fleet)
    web.reload(plain)
    assert not get(web, cookies)[1]
    web.reload(LISTENER % "app" + "target_groups:\n" + a_group("app", "stickiness: {type: lb_cookie}", fleet))
    assert stays(web, cookies)[0] == first


def test_a_fleet_shares_keys_and_rotates_them(tenbin, origins, tmp_path):
    fleet = a_fleet(origins)
    keys = tmp_path / "cookies.key"
    keys.write_text(KEYS[0] + "\n")
    extra = f'keys: {{cookies: "{keys}"}}\n'
    one = sticky(tenbin, fleet, extra=extra)
    two = sticky(tenbin, dict(reversed(fleet.items())), extra=extra)
    stranger = sticky(tenbin, fleet)
    first, cookies = get(one)
    assert stays(two, cookies)[0] == first
    get(stranger, cookies)
    assert counted(stranger, "invalid") == 1
    keys.write_text(KEYS[1] + "\n" + KEYS[0] + "\n")
    one.reload(one.text)
    who, fresh = get(one, cookies)
    assert who == first
    keys.write_text(KEYS[1] + "\n")
    two.reload(two.text)
    assert stays(two, fresh)[0] == first
    get(two, cookies)
    assert counted(two, "invalid") == 1


def test_a_bad_key_file_refuses_a_reload(tenbin, origins, tmp_path):
    fleet = a_fleet(origins, 1)
    keys = tmp_path / "cookies.key"
    keys.write_text(KEYS[0] + "\n")
    web = sticky(tenbin, fleet, extra=f'keys: {{cookies: "{keys}"}}\n')
    keys.write_text("not a key\n")
    web.hup()
    web.says(r"cookies\.key: line 1: a key is 64 hex digits")
    assert get(web)[0] == "t0"


# --- app_cookie

APP = "stickiness: {type: app_cookie, cookie_name: SESSION}"


def test_an_app_cookie_begins_when_the_target_sets_it_and_needs_both(tenbin, origins):
    def target(name):
        def answer(request):
            lines = ["Set-Cookie: SESSION=abc; HttpOnly"] if request.target == "/login" else ["Set-Cookie: SESSIONX=1"]
            return o.response(name, "200 OK", *lines)
        return origins(o.reply(answer)).address
    fleet = {name: target(name) for name in ("t0", "t1", "t2")}
    web = sticky(tenbin, fleet, APP)
    assert {get(web)[0] for _ in range(6)} == {"t0", "t1", "t2"}
    assert set(get(web)[1]) == {"SESSIONX"}
    first, cookies = get(web, path="/login")
    assert set(cookies) == {"SESSION", "TENBINAPP"}
    who, cookies = stays(web, cookies)
    assert who == first
    assert cookies["TENBINAPP"], "renewed without the application's doing"
    alone = {"TENBINAPP": cookies["TENBINAPP"]}
    answers = [get(web, alone) for _ in range(6)]
    assert {who for who, _ in answers} == {"t0", "t1", "t2"}, "without the application's cookie it counts for nothing"
    assert not any("TENBINAPP" in fresh for _, fresh in answers)
    assert "TENBINAPP" not in get(web, {"SESSION": "abc"})[1]


def test_an_app_cookie_survives_the_loss_of_its_target_on_the_new_one(tenbin, origins):
    targets = [origins(named(f"t{i}", "Set-Cookie: SESSION=1")) for i in range(3)]
    web = sticky(tenbin, {f"t{i}": t.address for i, t in enumerate(targets)}, APP + ", aws_names: true")
    first, cookies = get(web)
    assert set(cookies) == {"SESSION", "AWSALBAPP-0"}
    lost = targets[int(first[1])]
    lost.stop_listening()
    for peer in lost.connections:
        peer.sock.shutdown(2)
    second, fresh = get(web, cookies)
    assert second != first and stays(web, {**cookies, **fresh})[0] == second


# --- groups

def weighted(a, b, stickiness="1h"):
    return f"{{target_groups: [{{name: a, weight: {a}}}, {{name: b, weight: {b}}}], stickiness: {stickiness}}}"


def test_a_client_stays_with_its_group_whatever_the_weights_become(tenbin, origins):
    fleet = a_fleet(origins, 2)
    groups = "target_groups:\n" + a_group("a", "retries: 2", ["t0"]) + a_group("b", "retries: 2", ["t1"])
    web = tenbin(LISTENER % weighted(1, 1) + groups, **fleet)
    answers = {who: cookies for who, cookies in (get(web) for _ in range(40))}
    assert set(answers) == {"t0", "t1"} and list(answers["t0"]) == ["TENBINTG"]
    for who, cookies in answers.items():
        assert stays(web, cookies, 20)[0] == who
    web.reload(LISTENER % weighted(1, 0) + groups)
    assert {get(web)[0] for _ in range(20)} == {"t0"}
    assert stays(web, answers["t1"])[0] == "t1"
    assert counted(web, "kept", "group", "b") == 32
    for _ in range(3):
        get(web, {"TENBINTG": answers["t1"]["TENBINTG"][:-1] + "!"})
    assert counted(web, "invalid", "group", "a") == 3


def test_group_and_target_cookies_come_together(tenbin, origins):
    fleet = a_fleet(origins, 4)
    sticky_aws = "aws_names: true, stickiness: {type: lb_cookie}"
    groups = "target_groups:\n" + a_group("a", sticky_aws, ["t0", "t1"]) + a_group("b", sticky_aws, ["t2", "t3"])
    web = tenbin(LISTENER % weighted(1, 1) + groups, **fleet)
    first, cookies = get(web)
    assert set(cookies) == {"AWSALBTG", "AWSALBTGCORS", "AWSALB", "AWSALBCORS"}
    assert stays(web, cookies, 20)[0] == first
    group = {"AWSALBTG": cookies["AWSALBTG"]}
    expected = {"t0", "t1"} if first in ("t0", "t1") else {"t2", "t3"}
    assert {get(web, group)[0] for _ in range(12)} == expected
    swapped = {"AWSALB": cookies["AWSALBTG"], "AWSALBTG": cookies["AWSALB"]}
    get(web, swapped)
    metrics = web.metrics()
    assert sum(v for k, v in metrics.items() if "stickiness_total" in k and 'result="invalid"' in k) == 2


def test_a_tcp_client_stays_with_its_group_by_its_address(tenbin, origins):
    a, b = origins(named("a")), origins(named("b"))
    text = f"""
listeners:
  - {{name: web, listen: "127.0.0.1:$web", protocol: tcp, default_action: {{forward: {weighted(1, 1)}}}}}
target_groups:
  - {{name: a, protocol: tcp, targets: ["$a"]}}
  - {{name: b, protocol: tcp, targets: ["$b"]}}
"""
    web = tenbin(text, a=a.address, b=b.address)
    assert len({web.connect().get("/").body for _ in range(10)}) == 1


def test_a_tcp_client_stays_with_its_target_by_its_address(tenbin, origins):
    fleet = a_fleet(origins, 4)
    targets = ", ".join(f'"${name}"' for name in fleet)
    web = tenbin(f"""
listeners:
  - {{name: web, listen: "127.0.0.1:$web", protocol: tcp, default_action: {{forward: app}}}}
target_groups:
  - {{name: app, protocol: tcp, attributes: {{stickiness: {{type: source_ip}}}}, targets: [{targets}]}}
""", **fleet)
    seen = {}
    for _ in range(3):
        for client in range(2, 32):
            who = web.connect(source=f"127.0.0.{client}").get("/").body
            assert seen.setdefault(client, who) == who
    assert len(set(seen.values())) == 4
    web.close_clients()
    eventually(lambda: len(web.access_log()) == 90, "a line for each connection")
    assert {line["zone_decision"] for line in web.access_log()} == {"sticky"}


@pytest.mark.parametrize("more, decision", [("zone_policy: local_only", "local"), ("algorithm: source_hash", "cross")])
def test_a_zone_policy_or_the_bare_algorithm_is_not_called_sticky(tenbin, origins, more, decision):
    sticky_by = "" if "algorithm" in more else "stickiness: {type: source_ip}, "
    web = tenbin(f"""
node: {{zone: a}}
listeners:
  - {{name: web, listen: "127.0.0.1:$web", protocol: tcp, default_action: {{forward: app}}}}
target_groups:
  - {{name: app, protocol: tcp, attributes: {{{sticky_by}{more}}}, targets: [{{address: "$t", zone: a}}]}}
""", t=origins().address)
    assert web.connect().get("/").status == 200
    web.close_clients()
    assert web.log_line(type="tcp")["zone_decision"] == decision


# --- on every wire

def test_cookies_over_http_2_in_many_lines(tenbin, origins):
    web = sticky(tenbin, a_fleet(origins))
    client = h2client.H2Client(web.port())
    first = client.get("/")
    cookie = first["set-cookie"].split(";")[0]
    for _ in range(6):
        again = client.get("/", ("cookie", "a=b"), ("cookie", cookie), ("cookie", "c=d"))
        assert again.body == first.body
        assert again["set-cookie"].split("=")[0] == "TENBIN"
    client.close()


def test_the_access_log_tells_who_came_by_a_cookie(tenbin, origins):
    web = sticky(tenbin, a_fleet(origins))
    _, cookies = get(web, path="/first")
    get(web, cookies, path="/second")
    assert web.log_line(path="/first")["zone_decision"] == "cross"
    assert web.log_line(path="/second")["zone_decision"] == "sticky"


def test_replies_of_our_own_and_other_groups_set_no_cookie(tenbin, origins):
    web = sticky(tenbin, {"t0": origins.refusing().address})
    response = web.connect().get("/")
    assert response.status == 502 and not response.has("set-cookie")


def test_the_targets_own_cookies_stay(tenbin, origins):
    web = sticky(tenbin, a_fleet(origins, 1, "Set-Cookie: a=1", "Set-Cookie: b=2"))
    assert list(get(web)[1]) == ["a", "b", "TENBIN"]


def test_a_websocket_sets_the_cookie_with_its_101(tenbin, origins):
    def upgrade(peer):
        accept = wire.websocket_accept(peer.read_request()["sec-websocket-key"])
        peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  f"Sec-WebSocket-Accept: {accept}\r\n\r\n")
        o.echo(peer)
    web = sticky(tenbin, {"t0": origins(upgrade).address})
    client = web.connect()
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    response = client.response()
    assert response.status == 101 and "TENBIN" in cookies_of(response)
