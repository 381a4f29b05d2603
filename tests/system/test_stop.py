"""SIGTERM, SIGINT and SIGUSR1."""

import signal
import time

import pytest

import origin as o
from conftest import WEB
from lb import eventually
from test_tcp import TCP
from test_websocket import echo_frames, open_websocket, say

pytestmark = pytest.mark.tsan


def gated(go):
    """A script that answers once `go` has something in it."""
    def script(peer):
        while peer.read_request():
            eventually(lambda: go, "the gate")
            if not peer.send_until_refused(o.OK):
                return
    return script


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_graceful_stop_finishes_requests_and_closes_idle_connections_at_once(tenbin, origins, sig):
    go = []
    app = origins(gated(go))
    web = tenbin(WEB, app=app.address)
    idle, busy = web.connect(), web.connect()
    go.append(True)
    assert idle.get("/").status == 200
    go.clear()
    busy.request("GET", "/busy")
    eventually(lambda: len(app.requests) == 2, "the request at the target")
    web.process.send_signal(sig)
    idle.expect_end()
    web.refuses()
    time.sleep(0.3)
    assert web.process.poll() is None
    go.append(True)
    answer = busy.response()
    assert answer.body == b"hello\n" and answer["connection"] == "close"
    busy.expect_end()
    web.ended_by_test = True
    assert web.process.wait(10) == 0
    assert [line["path"] for line in web.access_log()] == ["/", "/busy"]


def test_an_upload_in_progress_is_finished(tenbin, origins):
    app = origins(o.reply(lambda r: o.response(b"%d" % len(r.body))))
    web = tenbin(WEB, app=app.address)
    client = web.connect().send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
    eventually(lambda: b"abc" in app.bytes(), "the beginning at the target")
    web.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    client.send("def")
    answer = client.response()
    assert answer.body == b"6" and answer["connection"] == "close"
    web.ended_by_test = True
    assert web.process.wait(10) == 0


def test_sessions_live_until_the_deadline_and_are_cut_then(tenbin, origins):
    raw, app = origins(o.echo), origins(echo_frames)
    lb = tenbin("""
        timeouts: {shutdown: 2s}
        listeners:
          - {name: web, listen: "127.0.0.1:$web", protocol: http, default_action: {forward: app}}
          - {name: db, listen: "127.0.0.1:$db", protocol: tcp, default_action: {forward: raw}}
        target_groups:
          - {name: app, protocol: http, targets: ["$app"]}
          - {name: raw, protocol: tcp, targets: ["$raw"]}
        """, app=app.address, raw=raw.address)
    tunnel, session = open_websocket(lb), lb.connect("db")
    session.send(b"x")
    assert session.read_exactly(1) == b"x"
    lb.process.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    time.sleep(0.7)
    session.send(b"y")
    assert session.read_exactly(1) == b"y" and say(tunnel, b"z") == (1, b"z")
    tunnel.expect_gone()
    session.expect_gone()
    lb.ended_by_test = True
    assert lb.process.wait(10) == 0
    assert 1.5 < time.monotonic() - begin < 5
    assert {line["reason"] for line in lb.access_log()} == {"drain_timeout"}


def test_a_request_that_never_ends_is_cut_at_the_deadline(tenbin, origins):
    web = tenbin(WEB + "timeouts: {shutdown: 1s}\n", app=origins(o.hold).address)
    client = web.connect()
    client.request("GET", "/")
    time.sleep(0.2)
    begin = time.monotonic()
    assert web.stop() == 0
    assert 0.7 < time.monotonic() - begin < 4


def test_a_second_signal_stops_now(tenbin, origins):
    web = tenbin(WEB, app=origins(o.hold).address)
    client = web.connect()
    client.request("GET", "/")
    time.sleep(0.2)
    web.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert web.process.poll() is None
    begin = time.monotonic()
    web.stop()
    assert time.monotonic() - begin < 2


def test_with_nobody_connected_it_stops_at_once(tenbin, origin):
    web = tenbin(WEB, app=origin.address)
    begin = time.monotonic()
    assert web.stop() == 0
    assert time.monotonic() - begin < 2


def test_a_tcp_session_that_ends_by_itself_ends_the_stop(tenbin, origins):
    lb = tenbin(TCP, app=origins(o.echo).address)
    session = lb.connect("db")
    session.send(b"x")
    assert session.read_exactly(1) == b"x"
    lb.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert lb.process.poll() is None
    session.half_close()
    session.expect_end()
    lb.ended_by_test = True
    assert lb.process.wait(10) == 0


def test_a_reload_during_the_stop_changes_nothing(tenbin, origins):
    go = []
    app = origins(gated(go))
    web = tenbin(WEB, app=app.address)
    client = web.connect()
    client.request("GET", "/")
    eventually(lambda: app.requests, "the request at the target")
    web.process.send_signal(signal.SIGTERM)
    for _ in range(10):
        web.hup()
    time.sleep(0.3)
    go.append(True)
    assert client.response().status == 200
    web.ended_by_test = True
    assert web.process.wait(10) == 0


def test_sigusr1_reopens_the_logs(tenbin, origin):
    web = tenbin(WEB + "log: {output: $dir/tenbin.log}\n", app=origin.address)
    client = web.connect()
    client.get("/before")
    web.log_line(path="/before")
    (web.dir / "access.log").rename(web.dir / "access.log.1")
    (web.dir / "tenbin.log").rename(web.dir / "tenbin.log.1")
    web.process.send_signal(signal.SIGUSR1)
    eventually(lambda: (web.dir / "access.log").exists() and (web.dir / "tenbin.log").exists(), "the new files")
    client.get("/after")
    assert web.log_line(path="/after")
    assert [line["path"] for line in web.access_log("access.log.1")] == ["/before"]
    assert [line["path"] for line in web.access_log()] == ["/after"]


def test_sigusr1_under_load_loses_no_line(tenbin, origin):
    web = tenbin(WEB, app=origin.address)
    client = web.connect()
    for n in range(10):
        for _ in range(20):
            client.get("/")
        (web.dir / "access.log").rename(web.dir / f"access.log.{n}") if (web.dir / "access.log").exists() else None
        web.process.send_signal(signal.SIGUSR1)
        eventually(lambda: (web.dir / "access.log").exists(), "the new file")

    def lines():
        return sum(len(web.access_log(path.name)) for path in web.dir.glob("access.log*"))
    eventually(lambda: lines() == 200, "200 lines in all files")
