"""Targets that leave: no new work at once, what is in flight may end, and is cut when the deregistration delay is over."""

import threading
import time

import pytest

import expect
import origin as o
import wire
from conftest import WEB
from h2client import H2Client
from lb import eventually
from test_websocket import echo_frames, open_websocket, say

pytestmark = pytest.mark.tsan

TCP = """
listeners:
  - {name: web, listen: "127.0.0.1:$web", protocol: tcp, default_action: {forward: app}}
target_groups:
  - {name: app, protocol: tcp, targets: ["$app"]}
"""


def with_delay(delay, text=WEB):
    return text.replace("{name: app,", "{name: app, attributes: {deregistration_delay: %s}," % delay)


def target(lb, address):
    """As /status shows it, or None."""
    found = [t for g in lb.status()["groups"] for t in g["targets"] if t["address"] == address]
    assert len(found) < 2
    return found[0] if found else None


def gone(lb, address):
    eventually(lambda: target(lb, address) is None, f"{address} gone")


class Gate:
    """Targets that answer when they are let."""

    def __init__(self):
        self.open = threading.Event()

    def script(self, peer):
        while peer.read_request():
            assert self.open.wait(30)
            peer.send(o.OK)


def in_flight(lb, address, count):
    eventually(lambda: (target(lb, address) or {}).get("in_flight") == count, f"{count} in flight to {address}")


def test_a_removed_target_drains_and_its_requests_end_well(tenbin, origins):
    gate = Gate()
    old, new = origins(gate.script), origins()
    web = tenbin(WEB, app=old.address)
    held = [web.connect() for _ in range(3)]
    for client in held:
        client.request("GET", "/held")
    in_flight(web, old.address, 3)
    web.reload(WEB, app=new.address)
    shown = target(web, old.address)
    assert (shown["state"], shown["reason"], shown["in_flight"]) == ("draining", "Target.DeregistrationInProgress", 3)
    labels = f'group="app",state="draining",target="{old.address}",zone=""'
    assert web.metrics()[f"tenbin_target_health{{{labels}}}"] == 1
    for _ in range(6):
        assert web.connect().get("/new").status == 200
    assert {r.start for r in old.requests} == {"GET /held HTTP/1.1"}
    gate.open.set()
    for client in held:
        assert client.response().status == 200
    gone(web, old.address)
    assert "target_deregistered" not in web.status()["reasons"]


def test_a_request_without_an_answer_is_502_at_the_deadline_and_goes_nowhere_else(tenbin, origins):
    old, new = origins(o.hold_broken), origins()
    web = tenbin(with_delay("1s"), app=old.address)
    client, post = web.connect(), web.connect()
    client.request("GET", "/idempotent")
    post.request("POST", "/p", "Content-Length: 3")
    in_flight(web, old.address, 2)
    begin = time.monotonic()
    web.reload(with_delay("1s"), app=new.address)
    expect.own_reply(client.response(), 502)
    assert 0.8 < time.monotonic() - begin < 4
    assert post.response().status == 502
    assert new.requests == []
    line = web.log_line(path="/idempotent")
    assert (line["reason"], line["status"], line["target"]) == ("target_deregistered", 502, old.address)
    gone(web, old.address)
    assert client.get("/again").status == 200
    assert web.status()["reasons"]["target_deregistered"] == 2


def test_an_answer_that_has_begun_is_broken_off_at_the_deadline(tenbin, origins):
    def half(peer):
        peer.read_request()
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        peer.wait_for_end()

    old, new = origins(half), origins()
    web = tenbin(with_delay("300ms"), app=old.address)
    client = web.connect()
    client.request("GET", "/half")
    in_flight(web, old.address, 1)
    web.reload(with_delay("300ms"), app=new.address)
    with pytest.raises((wire.EndOfStream, ConnectionResetError)):
        client.response()
    assert web.log_line(path="/half")["reason"] == "target_deregistered"
    gone(web, old.address)


def test_streams_of_one_connection_are_cut_one_by_one(tenbin, origins):
    text = """
    listeners:
      - name: web
        listen: "127.0.0.1:$web"
        protocol: http
        attributes: {h2c: true}
        rules:
          - {priority: 1, conditions: [{path_pattern: ["/stays"]}], action: {forward: other}}
        default_action: {forward: app}
    target_groups:
      - {name: app, attributes: {deregistration_delay: 500ms}, targets: ["$app"]}
      - {name: other, targets: ["$other"]}
    """
    gate = Gate()
    old, new, other = origins(o.hold), origins(), origins(gate.script)
    web = tenbin(text, app=old.address, other=other.address)
    client = H2Client(web.port())
    cut, stays = client.start("GET", "/cut"), client.start("GET", "/stays")
    in_flight(web, old.address, 1)
    in_flight(web, other.address, 1)
    web.reload(text, app=new.address, other=other.address)
    assert client.finish(cut).status == 502
    gate.open.set()
    assert client.finish(stays).status == 200
    assert client.get("/next").status == 200
    client.close()


def test_tcp_connections_are_closed_at_the_deadline(tenbin, origins):
    old, new = origins(o.echo), origins(o.echo)
    tcp = tenbin(with_delay("1s", TCP), app=old.address)
    client = tcp.connect()
    client.send("before")
    assert client.read_exactly(6) == b"before"
    tcp.reload(with_delay("1s", TCP), app=new.address)
    assert target(tcp, old.address)["state"] == "draining"
    client.send("draining")
    assert client.read_exactly(8) == b"draining"
    other = tcp.connect()
    other.send("new")
    assert other.read_exactly(3) == b"new" and len(new.connections) == 1
    client.expect_gone()
    gone(tcp, old.address)
    other.send("stays")
    assert other.read_exactly(5) == b"stays"


def test_a_websocket_that_let_go_of_its_snapshot_is_closed_at_the_deadline(tenbin, origins):
    old, new = origins(echo_frames), origins(echo_frames)
    web = tenbin(with_delay("1s"), app=old.address)
    client = open_websocket(web)
    web.reload(with_delay("1s"), app=new.address)
    eventually(lambda: web.status()["snapshots_live"] == 1, "one live snapshot")
    assert say(client, b"still here") == (1, b"still here")
    client.expect_gone()
    assert web.log_line(path="/ws")["reason"] == "target_deregistered"
    gone(web, old.address)


def test_a_target_that_comes_back_in_time_is_not_cut(tenbin, origins):
    gate = Gate()
    old, new = origins(gate.script), origins()
    web = tenbin(with_delay("1s"), app=old.address)
    client = web.connect()
    client.request("GET", "/held")
    in_flight(web, old.address, 1)
    web.reload(with_delay("1s"), app=new.address)
    assert target(web, old.address)["state"] == "draining"
    web.reload(with_delay("1s"), app=old.address)
    assert target(web, old.address)["state"] != "draining"
    time.sleep(1.5)
    gate.open.set()
    assert client.response().status == 200


def test_a_removed_group_takes_its_delay_with_it(tenbin, origins):
    old, new = origins(o.hold), origins()
    web = tenbin(with_delay("500ms"), app=old.address)
    client = web.connect()
    client.request("GET", "/held")
    in_flight(web, old.address, 1)
    web.reload(WEB.replace("app,", "shop,").replace("forward: app", "forward: shop"), app=new.address)
    assert client.response().status == 502
    client.close()
    web.settle()


def test_a_delay_of_zero_cuts_at_once(tenbin, origins):
    old, new = origins(o.hold), origins()
    web = tenbin(with_delay("0"), app=old.address)
    client = web.connect()
    client.request("GET", "/held")
    in_flight(web, old.address, 1)
    begin = time.monotonic()
    web.reload(with_delay("0"), app=new.address)
    assert client.response().status == 502
    assert time.monotonic() - begin < 2


def test_an_idle_target_is_gone_at_once(tenbin, origins):
    old, new = origins(), origins()
    web = tenbin(WEB, app=old.address)
    assert web.connect().get("/").status == 200
    web.reload(WEB, app=new.address)
    gone(web, old.address)
