"""SIGHUP: a new configuration serves, and nobody who was being served notices."""

import os
import re
import socket
import subprocess
import time

import pytest

import origin as o
import wire
from conftest import WEB, and_listener, answering
from lb import die_with_parent, eventually
from test_websocket import UPGRADE, answer_upgrade, echo_frames, open_websocket, say

pytestmark = pytest.mark.tsan


def both(peer):
    """Serves requests, and frames once a request asks for them."""
    while (request := peer.read_request()):
        if request["upgrade"] is None:
            peer.send(o.OK)
            continue
        answer_upgrade(peer, request)
        while peer.pending or peer.arrives():
            _, payload = wire.read_websocket_frame(peer)
            peer.send(wire.websocket_frame(payload, masked=False))
        return


class Wrk:
    """wrk in the background. errors() ends it and tells everything it complained about."""

    def __init__(self, port, seconds, *lines, connections=8):
        headers = [word for line in lines for word in ("-H", line)]
        self.process = subprocess.Popen(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", *headers,
                                         f"http://127.0.0.1:{port}/wrk"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        preexec_fn=die_with_parent)

    def running(self):
        return self.process.poll() is None

    def errors(self):
        if self.running():
            self.process.send_signal(2)
        output = self.process.communicate(timeout=30)[0]
        match = re.search(r"(\d+) requests in", output)
        assert match and int(match.group(1)) > 100, output
        return re.findall(r"Socket errors.*|Non-2xx.*|unable.*", output)


@pytest.fixture
def wrk():
    """wrk(port, seconds, ...) starts one that is ended with the test."""
    started = []
    yield lambda *arguments: started.append(Wrk(*arguments)) or started[-1]
    for each in started:
        each.process.kill()
        each.process.wait()


def changing(n):
    """The n-th configuration: other rules, other weights, other listeners than the one before."""
    rules = "\n".join(f'      - {{priority: {i + 1}, conditions: [{{path_pattern: ["/r{i}/*"]}}], action: {{forward: app}}}}'
                      for i in range(n % 7 + 1))
    extra = "".join(f'  - {{name: extra{i}, listen: "127.0.0.1:$extra{i}", protocol: http, default_action: {{forward: app}}}}\n'
                    for i in range(3) if (n + i) % 3)
    return f"""
listeners:
  - name: web
    listen: "127.0.0.1:$web"
    protocol: http
    rules:
{rules}
    default_action: {{forward: {{target_groups: [{{name: app, weight: {n % 5 + 1}}}, {{name: other, weight: {n % 3 + 1}}}]}}}}
{extra}  - {{name: raw, listen: "127.0.0.1:$raw", protocol: tcp, default_action: {{forward: raw}}}}
target_groups:
  - {{name: app, protocol: http, targets: [{{address: "$a", weight: {n % 4 + 1}}}, {{address: "$b", weight: {n % 2 + 1}}}]}}
  - {{name: other, protocol: http, targets: ["$b"]}}
  - {{name: raw, protocol: tcp, targets: ["$echo"]}}
"""


@pytest.mark.limit(180)
@pytest.mark.parametrize("lines", [(), ("Connection: close",)], ids=["keep_alive", "new_connections"])
def test_a_hundred_reloads_under_load_fail_no_request_and_end_no_session(tenbin, origins, wrk, lines):
    a, b, echo = origins(both), origins(both), origins(o.echo)
    lb = tenbin(changing(0), a=a.address, b=b.address, echo=echo.address)
    lb.connect().get("/")
    lb.close_clients()
    lb.settle()
    time.sleep(0.3)
    start = lb.descriptors()
    load = wrk(lb.port(), 120, *lines)
    websockets, raws = [], []
    for n in range(1, 101):
        if n % 10 == 0:
            websockets.append(open_websocket(lb))
            raws.append(lb.connect("raw"))
            raws[-1].send(b"begin")
            assert raws[-1].read_exactly(5) == b"begin"
        lb.reload(changing(n if n < 100 else 0))
    assert load.running()
    assert load.errors() == []
    for n, client in enumerate(websockets):
        assert say(client, b"still here %d" % n) == (1, b"still here %d" % n)
    for n, client in enumerate(raws):
        client.send(b"end %02d" % n)
        assert client.read_exactly(6) == b"end %02d" % n
    status = eventually(lambda: lb.status()["snapshots_live"] == 1 and lb.status(), "one live snapshot")
    assert status["generation"] == 101 and status["reloads"] == {"ok": 100, "failed": 0, "last_error": None}
    sessions = 2 * (len(websockets) + len(raws))
    eventually(lambda: lb.descriptors() - idle_links(lb, a, b) <= start + sessions,
               f"descriptors at {start} + {sessions} (are {lb.descriptors()}, {idle_links(lb, a, b)} idle links)")


def idle_links(lb, *targets):
    """Connections that tenbin keeps open to targets for later requests."""
    text = subprocess.run(["ss", "-Htnp", "state", "established"], capture_output=True, text=True).stdout
    ours = [line for line in text.splitlines() if f"pid={lb.process.pid}," in line]
    ports = {str(target.port) for target in targets}
    return sum(1 for line in ours if line.split()[3].rsplit(":", 1)[1] in ports)


def test_fifty_sighups_at_once_end_with_the_newest_file(tenbin):
    def version(n):
        return answering(200, f"version {n}")

    web = tenbin(version(0))
    begin = time.monotonic()
    for n in range(1, 51):
        web.write(version(n))
        web.hup()
    assert time.monotonic() - begin < 0.5
    client = web.connect()
    eventually(lambda: client.get("/").body == b"version 50", "the newest file")
    time.sleep(0.5)
    assert client.get("/").body == b"version 50"
    status = eventually(lambda: web.status()["snapshots_live"] == 1 and web.status(), "one live snapshot")
    assert 1 <= status["reloads"]["ok"] <= 50 and status["reloads"]["failed"] == 0


def test_a_reload_while_another_runs_is_done_once_afterwards(tenbin, origin):
    web = tenbin(WEB, app=origin.address)
    for _ in range(200):
        web.hup()
    eventually(lambda: web.status()["reloads"]["ok"] >= 1, "a reload")
    time.sleep(0.5)
    assert web.connect().get("/").status == 200
    assert web.status()["reloads"]["ok"] <= 200


# --- what fails keeps the old

BROKEN = {
    "syntax": ("listeners: [\n", r"tenbin\.yaml:\d+:\d+:"),
    "unknown_key": (WEB + "lisstener: 1\n", r"tenbin\.yaml:\d+:1: .*lisstener"),
    "unknown_group": (WEB.replace("forward: app", "forward: ap"), r"tenbin\.yaml:\d+:\d+: .*\bap\b"),
    "wrong_type": (WEB + "timeouts: {connect: soon}\n", r"tenbin\.yaml:\d+:\d+: .*"),
    "empty": ("\n", r"tenbin\.yaml"),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_broken_file_keeps_the_old_configuration_and_says_where(tenbin, origin, name):
    text, said = BROKEN[name]
    web = tenbin(WEB, app=origin.address)
    client = web.connect()
    assert client.get("/").status == 200
    web.path.write_text(re.sub(r"\$(\w+)", lambda m: str(web.value(m.group(1))), text))
    web.hup()
    status = eventually(lambda: web.status()["reloads"]["failed"] == 1 and web.status(), "the failed reload")
    assert status["generation"] == 1 and status["snapshots_live"] == 1 and status["reloads"]["last_error"]
    web.says(said)
    assert client.get("/").status == 200 and web.connect().get("/").status == 200
    web.reload(WEB)
    assert web.status()["reloads"]["ok"] == 1


def test_a_missing_file_keeps_the_old_configuration(tenbin, origin):
    web = tenbin(WEB, app=origin.address)
    web.path.unlink()
    web.hup()
    eventually(lambda: web.status()["reloads"]["failed"] == 1, "the failed reload")
    web.says(r"tenbin\.yaml.*No such file")
    assert web.connect().get("/").status == 200
    web.write(WEB)


def test_a_new_listener_whose_port_is_taken_fails_the_whole_reload(tenbin, origin):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        web = tenbin(WEB, app=origin.address)
        more = and_listener(and_listener(WEB, "second", f"127.0.0.1:{port}"), "third")
        web.write(more)
        web.hup()
        eventually(lambda: web.status()["reloads"]["failed"] == 1, "the failed reload")
        web.says(rf"(?i)second.*127\.0\.0\.1:{port}.*in use")
        assert web.connect().get("/").status == 200
        web.refuses("third")
    web.reload(more)
    assert wire.Client(port).get("/").status == 200


def test_keys_that_need_a_restart_are_named_and_kept(tenbin, origin):
    web = tenbin(WEB, app=origin.address)
    web.reload("workers: 1\n" + WEB + "limits: {max_connections: 5}\n")
    assert web.status()["workers"] == 2
    web.says("workers", "limits.max_connections.*restart|restart.*limits.max_connections")
    clients = [web.connect() for _ in range(10)]
    assert all(client.get("/").status == 200 for client in clients)


# --- what changes

def test_new_rules_serve_the_next_request_of_an_open_connection(tenbin, origins):
    old, new = origins(), origins()
    web = tenbin(WEB, app=old.address)
    client = web.connect()
    client.get("/1")
    web.reload(WEB.replace("$app", "$new"), new=new.address)
    client.get("/2")
    assert [r.target for r in old.requests] == ["/1"] and [r.target for r in new.requests] == ["/2"]
    assert web.log_line(path="/2")["snapshot"] == 2


def test_a_request_in_flight_ends_as_it_began(tenbin, origins):
    def slow(peer):
        peer.read_request()
        eventually(lambda: go, "the reload")
        peer.send(o.response(b"old answer"))
        peer.wait_for_end()

    go = []
    old, new = origins(slow), origins()
    web = tenbin(WEB, app=old.address)
    client = web.connect()
    client.request("GET", "/old")
    eventually(lambda: old.requests, "the request at the old target")
    web.reload(WEB.replace("$app", "$new"), new=new.address)
    assert web.status()["snapshots_live"] == 2
    go.append(True)
    assert client.response().body == b"old answer"
    assert web.log_line(path="/old")["snapshot"] == 1
    eventually(lambda: web.status()["snapshots_live"] == 1, "the old snapshot's end")
    assert client.get("/").body == b"hello\n" and len(new.requests) == 1


def test_an_edited_weight_keeps_counters_and_idle_connections(tenbin, origin):
    web = tenbin("workers: 1\n" + WEB, app=origin.address)
    client = web.connect()
    client.get("/1")
    web.reload("workers: 1\n" + WEB.replace('"$app"', '{address: "$app", weight: 5, zone: b}'))
    client.get("/2")
    target = web.status()["groups"][0]["targets"][0]
    assert (target["requests"], target["weight"], target["zone"]) == (2, 5, "b")
    assert len(origin.connections) == 1


def test_a_target_that_left_gets_its_idle_connections_closed(tenbin, origins):
    old, new = origins(), origins()
    web = tenbin(WEB, app=old.address)
    web.connect().get("/")
    web.reload(WEB.replace("$app", "$new"), new=new.address)
    eventually(lambda: old.connections[0].end, "the end of the idle connection")


def test_an_added_listener_serves_and_a_removed_one_is_gone(tenbin, origin):
    two = and_listener(WEB, "second")
    web = tenbin(WEB, app=origin.address)
    web.reload(two)
    kept, idle = web.connect("web"), web.connect("second")
    assert idle.get("/").status == 200 and kept.get("/").status == 200
    web.reload(WEB)
    idle.expect_end()
    web.refuses("second")
    assert kept.get("/").status == 200
    eventually(lambda: web.status()["snapshots_live"] == 1, "one live snapshot")
    web.reload(two)
    assert web.connect("second").get("/").status == 200


def test_a_request_on_a_removed_listener_is_answered_with_close(tenbin, origins):
    def slow(peer):
        while peer.read_request():
            eventually(lambda: go, "the reload")
            peer.send(o.OK)

    go = []
    app = origins(slow)
    two = and_listener(WEB, "second")
    web = tenbin(two, app=app.address)
    client = web.connect("second")
    client.request("GET", "/")
    eventually(lambda: app.requests, "the request at the target")
    web.reload(WEB)
    go.append(True)
    answer = client.response()
    assert answer.body == b"hello\n" and answer["connection"] == "close"
    client.expect_end()


def test_sessions_of_a_removed_listener_live_until_the_drain_timeout(tenbin, origins):
    app, echo = origins(both), origins(o.echo)
    with_tcp = and_listener(WEB, "second").replace("target_groups:\n", """\
  - {name: raw, listen: "127.0.0.1:$raw", protocol: tcp, default_action: {forward: raw}}
target_groups:
  - {name: raw, protocol: tcp, targets: ["$echo"]}
""")
    drain = "timeouts: {drain: 1500ms}\n"
    lb = tenbin(drain + with_tcp, app=app.address, echo=echo.address)
    raw, socket_client = lb.connect("raw"), lb.connect("second")
    raw.send(b"a")
    assert raw.read_exactly(1) == b"a"
    assert socket_client.request("GET", "/ws", *UPGRADE).response().status == 101
    lb.reload(drain + WEB)
    begin = time.monotonic()
    raw.send(b"b")
    assert raw.read_exactly(1) == b"b" and say(socket_client, b"c") == (1, b"c")
    raw.expect_gone()
    socket_client.expect_gone()
    assert 1.0 < time.monotonic() - begin < 4
    lines = eventually(lambda: len(lb.access_log()) == 2 and lb.access_log(), "two lines")
    assert {line["reason"] for line in lines} == {"drain_timeout"}
    eventually(lambda: lb.status()["snapshots_live"] == 1, "one live snapshot")


def test_a_moved_listener_serves_at_its_new_address_only(tenbin, origin):
    web = tenbin(WEB, app=origin.address)
    assert web.connect("web").get("/").status == 200
    web.reload(WEB.replace("$web", "$moved"))
    assert web.connect("moved").get("/").status == 200
    web.refuses("web")


def test_a_websocket_pins_no_old_snapshot(tenbin, origins):
    app = origins(echo_frames)
    web = tenbin(WEB, app=app.address)
    client = open_websocket(web)
    for _ in range(3):
        web.reload(WEB)
    eventually(lambda: web.status()["snapshots_live"] == 1, "one live snapshot")
    assert say(client, b"alive") == (1, b"alive")


def test_reloads_leak_no_descriptor(tenbin, origin):
    web = tenbin(WEB, app=origin.address)
    web.reload(WEB)
    before = os.listdir(f"/proc/{web.process.pid}/fd")
    for _ in range(20):
        web.reload(WEB)
    eventually(lambda: len(os.listdir(f"/proc/{web.process.pid}/fd")) <= len(before), "no more descriptors than before")
