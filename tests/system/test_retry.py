"""When a request goes to another target, and when it must not."""

import time

import pytest

import expect
import origin as o
from conftest import WEB
from lb import eventually

TWO = """
    listeners:
      - {name: web, listen: "127.0.0.1:$web", protocol: http, default_action: {forward: app}}
    target_groups:
      - {name: app, protocol: http, attributes: {retries: %s}, targets: [%s]}
    """


def with_targets(tenbin, *targets, retries=2, extra=""):
    names = {f"t{i}": target.address for i, target in enumerate(targets)}
    text = TWO % (retries, ", ".join(f'"${name}"' for name in names))
    return tenbin(text + extra, **names)


def drop(peer):
    """Takes a request and ends without a byte."""
    peer.read_request()


def reset(peer):
    peer.read_request()
    peer.reset()


def once_then(end):
    """Serves one request, then ends the connection when the next one has come: a reused connection that dies."""
    def script(peer):
        peer.read_request()
        peer.send(o.OK)
        peer.read_request()
        if end == "reset":
            peer.reset()
    return script


# --- nothing was sent yet

@pytest.mark.parametrize("method, body", [("GET", b""), ("POST", b""), ("POST", b"data" * 50000)], ids=["get", "post", "big_post"])
def test_a_refused_connection_sends_the_request_to_the_next_target(tenbin, origins, method, body):
    good = origins()
    web = with_targets(tenbin, origins.refusing(), good)
    for _ in range(6):
        assert web.connect().request(method, "/", body=body).response().status == 200
    assert [r.body for r in good.requests] == [body] * 6


def test_the_tries_are_in_the_log(tenbin, origins):
    good = origins()
    web = with_targets(tenbin, origins.refusing(), good)
    for n in range(4):
        assert web.connect().get(f"/{n}").status == 200
    lines = eventually(lambda: len(web.access_log()) == 4 and web.access_log(), "four log lines")
    assert all(line["target"] == good.address and line["reason"] is None for line in lines)
    assert 1 in {line["retries"] for line in lines} <= {0, 1}


def test_all_targets_refusing_is_a_502(tenbin, origins):
    web = with_targets(tenbin, origins.refusing(), origins.refusing())
    expect.own_reply(web.connect().get("/"), 502)
    line = web.log_line(status=502)
    assert line["reason"] == "target_refused" and line["retries"] >= 1


def test_no_target_at_all_is_a_503(tenbin):
    web = tenbin(TWO % (2, ""))
    expect.own_reply(web.connect().get("/"), 503)
    assert web.log_line(status=503)["reason"] == "no_target"


def test_a_target_that_swallows_connections_costs_two_seconds(tenbin, origins):
    good = origins()
    web = with_targets(tenbin, origins.silent(), good)
    waits = []
    for _ in range(4):
        begin = time.monotonic()
        assert web.connect().get("/").status == 200
        waits.append(time.monotonic() - begin)
    assert max(waits) < 3, waits
    assert any(1.8 < wait for wait in waits), waits
    assert len(good.requests) == 4


def test_a_request_with_a_body_waits_whole_for_the_next_target(tenbin, origins):
    good = origins(o.reply(lambda r: o.response(r.body)))
    web = with_targets(tenbin, origins.silent(), good)
    for _ in range(2):
        assert web.connect().post("/", body=b"b" * 200000).body == b"b" * 200000


# --- after bytes were sent

@pytest.mark.parametrize("end", [drop, reset])
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "PUT", "DELETE", "HEAD"])
def test_an_idempotent_request_that_died_unanswered_goes_to_another_target(tenbin, origins, method, end):
    bad, good = origins(end), origins()
    web = with_targets(tenbin, bad, good)
    for _ in range(4):
        assert web.connect().request(method, "/").response(method).status == 200
    assert len(good.requests) == 4 and bad.requests


@pytest.mark.parametrize("method, body", [("POST", b""), ("PATCH", b""), ("PURGE", b""),
                                          ("POST", b"data"), ("PUT", b"data"), ("DELETE", b"data")])
def test_other_requests_are_never_sent_twice(tenbin, origins, method, body):
    bad, good = origins(drop), origins()
    web = with_targets(tenbin, bad, good)
    statuses = [web.connect().request(method, "/", body=body).response().status for _ in range(6)]
    assert sorted(set(statuses)) == [200, 502]
    assert len(bad.requests) + len(good.requests) == 6
    assert statuses.count(502) == len(bad.requests)


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_get_on_a_reused_connection_that_died_goes_to_the_only_target_again(tenbin, origins, end):
    app = origins(once_then(end), o.serve)
    client = tenbin(WEB, app=app.address).connect()
    assert client.get("/1").status == 200
    assert client.get("/2").status == 200
    assert [r.target for r in app.requests] == ["/1", "/2", "/2"]
    assert len(app.connections) == 2


def test_a_post_on_a_reused_connection_that_died_is_a_502(tenbin, origins):
    app = origins(once_then("close"), o.serve)
    client = tenbin(WEB, app=app.address).connect()
    assert client.get("/1").status == 200
    expect.own_reply(client.post("/2", body=b"once"), 502)
    assert [r.target for r in app.requests] == ["/1", "/2"]


def test_an_answer_that_has_begun_is_never_retried(tenbin, origins):
    def begin(peer):
        peer.read_request()
        peer.send(b"H")
        peer.reset()

    bad, good = origins(begin), origins()
    web = with_targets(tenbin, bad, good)
    statuses = [web.connect().get("/").status for _ in range(4)]
    assert statuses.count(502) == len(bad.requests) and len(good.requests) == statuses.count(200)
    assert 502 in statuses


@pytest.mark.parametrize("retries", [0, 1, 2, 3])
def test_retries_is_how_many_further_tries_there_are(tenbin, origins, retries):
    targets = [origins(drop) for _ in range(5)]
    web = with_targets(tenbin, *targets, retries=retries)
    expect.own_reply(web.connect().get("/"), 502)
    assert sum(len(t.requests) for t in targets) == retries + 1
    assert all(len(t.requests) <= 1 for t in targets), "a target was tried twice while others were untried"
    assert web.log_line(status=502)["retries"] == retries


# --- sharing out

def test_round_robin_takes_turns(tenbin, origins):
    targets = [origins() for _ in range(3)]
    client = with_targets(tenbin, *targets).connect()
    for _ in range(30):
        client.get("/")
    assert [len(t.requests) for t in targets] == [10, 10, 10]


def test_round_robin_follows_weights(tenbin, origins):
    heavy, light, none = origins(), origins(), origins()
    client = tenbin("""
        listeners:
          - {name: web, listen: "127.0.0.1:$web", protocol: http, default_action: {forward: app}}
        target_groups:
          - name: app
            health_check: off
            protocol: http
            targets:
              - {address: "$heavy", weight: 3, zone: a}
              - {address: "$light", weight: 1, zone: b}
              - {address: "$none", weight: 0, zone: c}
        """, heavy=heavy.address, light=light.address, none=none.address).connect()
    for _ in range(40):
        client.get("/")
    assert [len(t.requests) for t in (heavy, light, none)] == [30, 10, 0]
