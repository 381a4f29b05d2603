"""Which target gets a request: each algorithm on the real binary, and groups that take over from others."""

import collections
import time

import pytest

import h2client
import origin as o
from lb import eventually

WEB = """
    workers: 2
    listeners:
      - {name: web, listen: "127.0.0.1:$web", protocol: http, attributes: {h2c: true}, default_action: {forward: app}}
    target_groups:
      - name: app
        attributes: {%s}
        health_check: off
        targets: [%s]
    access_log: {path: $dir/access.log}
    """


class Site:
    """Targets that answer with their number, and a tenbin in front of them."""

    def __init__(self, tenbin, origins, count, attributes, scripts=None, weights=None):
        self.targets = [origins((scripts or named)(i)) for i in range(count)]
        weights = weights or [1] * count
        listed = ", ".join(f'{{address: "$t{i}", weight: {weights[i]}}}' for i in range(count))
        names = {f"t{i}": target.address for i, target in enumerate(self.targets)}
        self.lb = tenbin(WEB % (attributes, listed), **names)

    def ask(self, *lines, path="/", client=None):
        answer = (client or self.lb.connect()).get(path, *lines)
        assert answer.status == 200, answer
        return int(answer.body)

    def hold(self, *lines):
        """A client whose request stays in flight."""
        client = self.lb.connect()
        client.send("\r\n".join(["GET /hold HTTP/1.1", "Host: h", *lines, "", ""]))
        return client

    def let_go(self):
        for client in self.lb.clients:
            client.reset()
        self.lb.clients.clear()
        eventually(lambda: not any(self.in_flight()), "none in flight")

    def in_flight(self):
        return [target["in_flight"] for target in self.lb.status()["groups"][0]["targets"]]


def named(i):
    return o.reply(o.response(str(i)))


def held(i):
    """Answers only what is asked for with /now."""
    def script(peer):
        while (request := peer.read_request()):
            if request.target == "/now":
                peer.send(o.response(str(i)))
    return script


def counts(numbers, count):
    found = collections.Counter(numbers)
    return [found[i] for i in range(count)]


# --- least outstanding requests

def test_the_target_with_the_fewest_requests_in_flight_is_taken(tenbin, origins):
    site = Site(tenbin, origins, 3, "algorithm: least_outstanding_requests", held)
    for n in range(1, 10):
        site.hold()
        eventually(lambda n=n: sum(site.in_flight()) == n, f"{n} in flight")
        assert max(site.in_flight()) - min(site.in_flight()) <= 1
    site.let_go()


def test_streams_of_one_http2_connection_count_singly(tenbin, origins):
    site = Site(tenbin, origins, 3, "algorithm: least_outstanding_requests", held)
    client = h2client.H2Client(site.lb.port())
    for _ in range(12):
        client.start(path="/hold")
    eventually(lambda: site.in_flight() == [4, 4, 4], "4 in flight on each")
    client.close()
    eventually(lambda: site.in_flight() == [0, 0, 0], "none in flight")


def test_a_busy_target_is_left_alone_until_the_others_have_as_many(tenbin, origins):
    site = Site(tenbin, origins, 2, "algorithm: least_outstanding_requests", held)
    site.hold()
    eventually(lambda: sum(site.in_flight()) == 1, "one in flight")
    idle = 1 - site.in_flight().index(1)
    assert {site.ask(path="/now") for _ in range(10)} == {idle}
    site.let_go()


# --- chance and latency

def test_weighted_random_serves_by_weight(tenbin, origins):
    site = Site(tenbin, origins, 3, "algorithm: weighted_random", weights=[1, 0, 3])
    client = site.lb.connect()
    got = counts([site.ask(client=client) for _ in range(400)], 3)
    assert got[1] == 0
    assert 60 <= got[0] <= 140, got


def test_a_slow_target_gets_little_by_peak_ewma(tenbin, origins):
    def script(i):
        def slow(request):
            time.sleep(0.2 if i == 0 else 0)
            return o.response(str(i))
        return o.reply(slow)

    site = Site(tenbin, origins, 3, "algorithm: peak_ewma", script)
    got = counts([site.ask() for _ in range(120)], 3)
    assert got[0] <= 6, got  # each of two workers finds out for itself
    assert min(got[1:]) >= 20, got


def test_a_target_that_refuses_does_not_look_quick(tenbin, origins):
    site = Site(tenbin, origins, 2, "algorithm: peak_ewma")
    site.targets[0].close()
    client = site.lb.connect()
    assert {site.ask(client=client) for _ in range(60)} == {1}
    refused = site.lb.metrics()
    assert refused['tenbin_target_requests_total{code="2xx",group="app",target="%s",zone=""}' % site.targets[1].address] == 60
    retries = [line["retries"] for line in eventually(lambda: len(site.lb.access_log()) >= 60 and site.lb.access_log(), "the log")]
    assert sum(retries) <= 10, "it is asked again and again"


# --- hashing

KEYS = [
    ("{header: X-User}", lambda key: {"lines": [f"X-User: {key}"]}),
    ("{cookie: id}", lambda key: {"lines": [f"Cookie: a=b; id={key}"]}),
    ("{query: id}", lambda key: {"path": f"/?a=b&id={key}"}),
    ("path", lambda key: {"path": f"/{key}?{time.monotonic()}"}),
]


@pytest.mark.parametrize("on, request_of", KEYS, ids=["header", "cookie", "query", "path"])
def test_a_key_stays_with_its_target_over_connections_and_workers(tenbin, origins, on, request_of):
    site = Site(tenbin, origins, 4, "algorithm: consistent_hash, hash_on: " + on)

    def ask(key):
        request = request_of(key)
        return site.ask(*request.get("lines", []), path=request.get("path", "/"))

    first = {key: ask(key) for key in range(40)}
    assert len(set(first.values())) == 4, "the keys are not spread"
    for _ in range(2):
        assert {key: ask(key) for key in range(40)} == first


def test_keys_stay_over_a_reload_and_only_those_of_a_target_that_went_move(tenbin, origins):
    site = Site(tenbin, origins, 4, "algorithm: consistent_hash, hash_on: {header: X-User}")
    before = {key: site.ask(f"X-User: {key}") for key in range(60)}
    names = {f"t{i}": target.address for i, target in enumerate(site.targets)}
    weights = [1, 1, 0, 1]
    listed = ", ".join(f'{{address: "$t{i}", weight: {weights[i]}}}' for i in range(4))
    site.lb.reload(WEB % ("algorithm: consistent_hash, hash_on: {header: X-User}", listed), **names)
    after = {key: site.ask(f"X-User: {key}") for key in range(60)}
    assert 2 not in after.values()
    moved = [key for key in before if before[key] != after[key] and before[key] != 2]
    assert len(moved) <= 4, moved


def test_requests_without_the_key_go_anywhere(tenbin, origins):
    site = Site(tenbin, origins, 3, "algorithm: consistent_hash, hash_on: {header: X-User}")
    assert len({site.ask() for _ in range(40)}) == 3


def test_a_popular_key_is_spread_when_its_target_has_more_than_its_share(tenbin, origins):
    site = Site(tenbin, origins, 3, "algorithm: consistent_hash, hash_on: {header: X-User}", held)
    for _ in range(30):
        site.hold("X-User: star")
    eventually(lambda: sum(site.in_flight()) == 30, "30 in flight")
    assert max(site.in_flight()) <= 13, site.in_flight()  # 1.25 * 10, rounded up
    site.let_go()


def test_a_request_goes_on_to_another_target_when_its_own_is_down(tenbin, origins):
    site = Site(tenbin, origins, 3, "algorithm: source_hash")
    home = site.ask()
    assert {site.ask() for _ in range(10)} == {home}
    site.targets[home].close()
    others = {site.ask() for _ in range(10)}
    assert len(others) == 1 and home not in others


TCP = """
    listeners:
      - {name: db, listen: "127.0.0.1:$db", protocol: tcp, default_action: {forward: app}}
    target_groups:
      - name: app
        protocol: tcp
        attributes: {algorithm: source_hash}
        health_check: off
        targets: ["$t0", "$t1", "$t2", "$t3"]
    """


def test_tcp_clients_are_told_apart_by_their_address(tenbin, origins):
    targets = [origins(lambda peer, i=i: (peer.send(str(i)), peer.wait_for_end())) for i in range(4)]
    db = tenbin(TCP, **{f"t{i}": target.address for i, target in enumerate(targets)})

    def ask(source):
        return db.connect("db", source=source).read_exactly(1)

    first = {n: ask(f"127.0.3.{n}") for n in range(1, 30)}
    assert len(set(first.values())) == 4
    assert {n: ask(f"127.0.3.{n}") for n in range(1, 30)} == first


# --- groups that take over

def test_weights_of_a_forward_hold_while_a_group_is_unhealthy_unless_failover_is_on(tenbin, origins):
    well, ill = origins(named(1)), origins(o.reply(o.response("ill", "500 Oops")))
    text = """
    listeners:
      - name: web
        listen: "127.0.0.1:$web"
        protocol: http
        default_action:
          forward: {target_groups: [{name: blue, weight: 9}, {name: green, weight: 1}], failover: %s}
    target_groups:
      - {name: blue, health_check: {interval: 200ms, unhealthy_threshold: 1}, targets: ["$ill"]}
      - {name: green, health_check: {interval: 200ms}, targets: ["$well"]}
    access_log: {path: $dir/access.log}
    """
    web = tenbin(text % "true", well=well.address, ill=ill.address)
    eventually(lambda: [g["targets"][0]["state"] for g in web.status()["groups"]] == ["unhealthy", "healthy"], "states")
    client = web.connect()
    assert {client.get("/").status for _ in range(40)} == {200}
    eventually(lambda: len(web.access_log()) == 40, "the log")
    assert {line["group"] for line in web.access_log()} == {"green"}
    web.reload(text % "false", well=well.address, ill=ill.address)
    assert {client.get("/").status for _ in range(40)} == {200, 500}, "as ALB: no failover"


def test_an_empty_group_fails_over_and_a_group_of_weight_0_stands_by(tenbin, origins):
    text = """
    listeners:
      - name: web
        listen: "127.0.0.1:$web"
        protocol: http
        default_action:
          forward: {target_groups: [{name: blue, weight: 1}, {name: spare, weight: 0}], failover: %s}
    target_groups:
      - {name: blue, targets: []}
      - {name: spare, health_check: off, targets: ["$spare"]}
    """
    spare = origins(named(1))
    web = tenbin(text % "true", spare=spare.address)
    client = web.connect()
    assert {client.get("/").status for _ in range(10)} == {200}
    web.reload(text % "false", spare=spare.address)
    assert client.get("/").status == 503
