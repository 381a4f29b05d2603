"""How much work targets get at a time, what waits meanwhile, and how often work is done again."""

import signal
import threading
import time

import pytest

import expect
import h2client
import origin as o
from lb import eventually

LISTENER = """
listeners:
  - {name: web, listen: "127.0.0.1:$web", protocol: %s, default_action: {forward: app}}
target_groups:
  - {name: app, protocol: %s, attributes: {%s}, targets: [%s]}
"""


class Gate:
    """A target that answers only when it is told to, and knows how many requests it has had at a time."""

    def __init__(self, origins):
        self.lock = threading.Lock()
        self.held, self.most = [], 0
        self.origin = origins(self.script)
        self.address = self.origin.address

    def script(self, peer):
        while (request := peer.read_request()):
            event = threading.Event()
            with self.lock:
                self.held.append((request.target, event))
                self.most = max(self.most, len(self.held))
            event.wait(20)
            peer.send(o.response(request.target))

    def paths(self):
        with self.lock:
            return [path for path, _ in self.held]

    def open(self, n=1):
        """Answers the n oldest requests."""
        for _ in range(n):
            with self.lock:
                _, event = self.held.pop(0)
            event.set()

    def has(self, n):
        eventually(lambda: len(self.paths()) == n, f"{n} requests at the target, of {self.paths()}")


def limited(tenbin, gates, attributes, protocol="http", workers=2):
    names = {f"t{i}": gate.address for i, gate in enumerate(gates)}
    targets = ", ".join(f'"${name}"' for name in names)
    return tenbin(f"workers: {workers}\n" + LISTENER % (protocol, protocol, attributes, targets), **names)


def queue(web):
    return web.status()["groups"][0]["queue"]


def waits(web, n):
    eventually(lambda: queue(web)["length"] == n, f"{n} waiting")


def busy(web):
    """Requests that are at a target or wait."""
    group = web.status()["groups"][0]
    return sum(target["in_flight"] for target in group["targets"]) + group.get("queue", {"length": 0})["length"]


def ask(web, count, begin=0):
    """Requests that are not answered yet, each on its connection: the next is sent when the one before has come."""
    clients = []
    for i in range(begin, begin + count):
        before = busy(web)
        clients.append(web.connect().request("GET", f"/{i}"))
        eventually(lambda: busy(web) == before + 1, f"{before + 1} requests inside")
    return clients


@pytest.mark.tsan
def test_a_target_has_as_many_as_allowed_and_the_next_waits_in_order(tenbin, origins):
    gate = Gate(origins)
    web = limited(tenbin, [gate], "max_outstanding: 2, queue: {timeout: 20s}", workers=1)
    clients = ask(web, 5)
    waits(web, 3)
    gate.has(2)
    assert web.metrics()['tenbin_queue_length{group="app"}'] == 3
    for i in range(5):
        gate.has(min(2, 5 - i))
        gate.open()
        assert clients[i].response().body == f"/{i}".encode()
    assert gate.most == 2 and [r.target for r in gate.origin.requests] == [f"/{i}" for i in range(5)]
    assert queue(web) == {"length": 0, "max": 1024, "spillover": 0, "timeouts": 0}


@pytest.mark.tsan
def test_workers_share_the_limit_and_wake_each_other(tenbin, origins):
    """One target with one place, clients on both workers: each answer lets the next in at once."""
    gate = Gate(origins)
    web = limited(tenbin, [gate], "max_outstanding: 1, queue: {timeout: 30s}")
    clients = ask(web, 24)
    waits(web, 23)
    begin = time.monotonic()
    for _ in range(24):
        gate.has(1)
        gate.open()
    assert sorted(c.response().body for c in clients) == sorted(f"/{i}".encode() for i in range(24))
    assert gate.most == 1
    assert time.monotonic() - begin < 4


def test_full_targets_are_passed_over(tenbin, origins):
    gates = [Gate(origins) for _ in range(3)]
    web = limited(tenbin, gates, "max_outstanding: 2, queue: {max: 0}")
    clients = ask(web, 6)
    for gate in gates:
        gate.has(2)
    expect.own_reply(web.connect().get("/6"), 503)
    assert web.log_line(path="/6")["reason"] == "targets_busy"
    for gate in gates:
        gate.open(2)
    assert all(c.response().status == 200 for c in clients)


def test_the_queue_holds_max_and_one_more_is_503(tenbin, origins):
    gate = Gate(origins)
    web = limited(tenbin, [gate], "max_outstanding: 1, queue: {max: 3, timeout: 30s}")
    clients = ask(web, 4)
    waits(web, 3)
    expect.own_reply(web.connect().get("/4"), 503)
    assert web.log_line(path="/4")["reason"] == "queue_full"
    assert queue(web)["spillover"] == 1
    assert web.metrics()['tenbin_queue_spillover_total{group="app"}'] == 1
    for _ in range(4):
        gate.has(1)
        gate.open()
    assert all(c.response().status == 200 for c in clients)


def test_who_waits_too_long_gets_503_and_its_place_in_the_queue_is_free(tenbin, origins):
    gate = Gate(origins)
    web = limited(tenbin, [gate], "max_outstanding: 1, queue: {max: 1, timeout: 500ms}")
    first, second = ask(web, 2)
    begin = time.monotonic()
    expect.own_reply(second.response(), 503)
    assert 0.3 < time.monotonic() - begin < 2
    line = web.log_line(path="/1")
    assert line["reason"] == "queue_timeout" and line["target"] is None
    assert queue(web) == {"length": 0, "max": 1, "spillover": 0, "timeouts": 1}
    third, = ask(web, 1, 2)
    gate.open()
    gate.has(1)
    gate.open()
    assert first.response().status == third.response().status == 200


@pytest.mark.tsan
def test_a_client_that_leaves_leaves_the_queue(tenbin, origins):
    gate = Gate(origins)
    web = limited(tenbin, [gate], "max_outstanding: 1, queue: {timeout: 30s}")
    clients = ask(web, 6)
    waits(web, 5)
    for client in clients[1:5]:
        client.reset()
    waits(web, 1)
    gate.open()
    gate.has(1)
    assert gate.paths() == ["/5"]
    gate.open()
    assert clients[5].response().status == 200


def test_a_request_with_a_body_waits_whole(tenbin, origins):
    gate = Gate(origins)
    web = limited(tenbin, [gate], "max_outstanding: 1, queue: {timeout: 30s}")
    first, = ask(web, 1)
    gate.has(1)
    body = bytes(range(256)) * 4000
    second = web.connect()
    sender = threading.Thread(target=second.request, args=("POST", "/body"), kwargs={"body": body})
    sender.start()
    waits(web, 1)
    gate.open()
    eventually(lambda: gate.paths() == ["/body"])
    sender.join()
    gate.open()
    assert first.response().status == second.response().status == 200
    assert gate.origin.requests[1].body == body


def test_streams_of_one_http_2_connection_wait_too(tenbin, origins):
    gate = Gate(origins)
    text = "workers: 1\n" + LISTENER % ("http", "http", "max_outstanding: 2, queue: {timeout: 30s}", '"$t0"')
    web = tenbin(text.replace("protocol: http, default", "protocol: http, attributes: {h2c: true}, default"), t0=gate.address)
    client = h2client.H2Client(web.port())
    streams = [client.start("GET", f"/{i}") for i in range(5)]
    waits(web, 3)
    for _ in range(5):
        eventually(gate.paths)
        gate.open()
    assert [client.finish(stream).body for stream in streams] == [f"/{i}".encode() for i in range(5)]
    assert gate.most == 2
    client.close()


@pytest.mark.tsan
def test_tcp_connections_wait_for_one_to_end(tenbin, origins):
    target = origins(o.echo)
    web = tenbin(LISTENER % ("tcp", "tcp", "max_outstanding: 2, queue: {max: 1, timeout: 30s}", '"$t0"'), t0=target.address)
    first, second = web.connect(), web.connect()
    for client in first, second:
        assert client.send("a").read_exactly(1) == b"a"
    third = web.connect().send("b")
    waits(web, 1)
    web.expect_reset("web")
    assert queue(web)["spillover"] == 1
    third.expect_silence()
    first.close()
    assert third.read_exactly(1) == b"b"
    assert len(target.connections) == 3


def test_a_tcp_connection_that_waits_too_long_is_closed(tenbin, origins):
    target = origins(o.echo)
    web = tenbin(LISTENER % ("tcp", "tcp", "max_outstanding: 1, queue: {timeout: 300ms}", '"$t0"'), t0=target.address)
    first = web.connect()
    assert first.send("a").read_exactly(1) == b"a"
    web.connect().expect_reset()
    assert web.log_line(reason="queue_timeout")["type"] == "tcp"
    assert first.send("b").read_exactly(1) == b"b"


# --- reloads and the end

@pytest.mark.tsan
def test_a_reload_keeps_the_queue(tenbin, origins):
    gate = Gate(origins)
    attributes = "max_outstanding: 1, queue: {timeout: 30s}"
    web = limited(tenbin, [gate], attributes)
    clients = ask(web, 4)
    waits(web, 3)
    web.reload("workers: 2\n" + LISTENER % ("http", "http", attributes + ", retries: 1", '"$t0"'))
    clients += ask(web, 2, 4)
    waits(web, 5)
    assert gate.paths() == ["/0"]
    for _ in range(6):
        gate.has(1)
        gate.open()
    assert all(c.response().status == 200 for c in clients)
    assert gate.most == 1
    eventually(lambda: web.status()["snapshots_live"] == 1)


def test_a_reload_that_takes_the_limit_away_leaves_nobody_waiting_for_ever(tenbin, origins):
    gate = Gate(origins)
    web = limited(tenbin, [gate], "max_outstanding: 1, queue: {timeout: 30s}")
    clients = ask(web, 3)
    waits(web, 2)
    web.reload("workers: 2\n" + LISTENER % ("http", "http", "retries: 1", '"$t0"'))
    clients += ask(web, 1, 3)
    gate.has(2)
    gate.open(2)
    for _ in range(2):
        gate.has(1)
        gate.open()
    assert all(c.response().status == 200 for c in clients)


def test_who_waits_is_served_before_a_graceful_stop(tenbin, origins):
    gate = Gate(origins)
    web = limited(tenbin, [gate], "max_outstanding: 1, queue: {timeout: 30s}")
    clients = ask(web, 3)
    waits(web, 2)
    web.ended_by_test = True
    web.process.send_signal(signal.SIGTERM)
    for _ in range(3):
        gate.has(1)
        gate.open()
    assert all(c.response().status == 200 for c in clients)
    assert web.process.wait(20) == 0


def test_who_waits_at_the_deadline_of_a_stop_is_cut(tenbin, origins):
    gate = Gate(origins)
    text = LISTENER % ("http", "http", "max_outstanding: 1, queue: {timeout: 30s}", '"$t0"')
    web = tenbin("timeouts: {shutdown: 500ms}\n" + text, t0=gate.address)
    ask(web, 3)
    waits(web, 2)
    assert web.stop() == 0
    gate.open()


def test_a_target_that_becomes_healthy_takes_who_waits(tenbin, origins):
    well = set()
    gate = Gate(origins)

    def answer(request):
        if request.target == "/health":
            return o.response(b"", "200 OK" if "t1" in well else "500 Bad")
        return o.response("t1")
    other = origins(o.reply(answer))
    health = origins(o.reply(o.OK))
    text = f"""
listeners:
  - {{name: web, listen: "127.0.0.1:$web", protocol: http, default_action: {{forward: app}}}}
target_groups:
  - name: app
    attributes: {{max_outstanding: 1, queue: {{timeout: 30s}}}}
    health_check: {{path: /health, interval: 200ms, timeout: 150ms, unhealthy_threshold: 1, healthy_threshold: 1}}
    targets: ["$t0", "$t1"]
"""
    def script(peer):
        while (request := peer.read_request()):
            if request.target == "/health":
                peer.send(o.OK)
                continue
            event = threading.Event()
            gate.held.append((request.target, event))
            event.wait(20)
            peer.send(o.response("t0"))
    first = origins(script)
    web = tenbin(text, t0=first.address, t1=other.address)
    eventually(lambda: [t["state"] for t in web.status()["groups"][0]["targets"]] == ["healthy", "unhealthy"])
    a, b = ask(web, 2)
    waits(web, 1)
    well.add("t1")
    assert b.response().body == b"t1"
    gate.open()
    assert a.response().body == b"t0"
    health.close()


def test_waiting_costs_next_to_no_cpu(tenbin, origins):
    gate = Gate(origins)
    web = limited(tenbin, [gate], "max_outstanding: 1, queue: {timeout: 30s}")
    clients = ask(web, 12)
    waits(web, 11)
    web.comes_to_rest()
    for _ in range(12):
        gate.has(1)
        gate.open()
    assert all(c.response().status == 200 for c in clients)


# --- the budget of replays

def dies_on_reuse(peer):
    """One answer a connection: the next request on it is taken and dropped."""
    peer.read_request()
    peer.send(o.OK)
    peer.read_request()


@pytest.mark.parametrize("budget, allowed", [("{minimum: 3, percent: 0}", 3), ("{minimum: 0, percent: 50}", None),
                                             ("{minimum: 0, percent: 0}", 0)])
def test_replays_end_with_the_budget(tenbin, origins, budget, allowed):
    target = origins(dies_on_reuse)
    web = tenbin("workers: 1\n" + LISTENER % ("http", "http", f"retry_budget: {budget}", '"$t0"'), t0=target.address)
    statuses = [web.connect().get(f"/{i}").status for i in range(20)]
    lost = statuses.count(502)
    replayed = len(target.requests) - 20
    assert set(statuses) <= {200, 502} and statuses[0] == 200
    if allowed is None:
        assert 5 <= replayed <= 10
    else:
        assert replayed == allowed
    assert lost > 0
    assert web.metrics()['tenbin_replays_refused_total{group="app"}'] == lost
    assert all(line["reason"] in ("target_closed", "target_reset") for line in web.access_log() if line["status"] == 502)


def test_tries_that_sent_nothing_are_free(tenbin, origins):
    good, refusing = origins(), origins.refusing()
    web = tenbin(LISTENER % ("http", "http", "retry_budget: {minimum: 0, percent: 0}", '"$t0", "$t1"'),
                 t0=good.address, t1=refusing.address)
    assert [web.connect().get("/").status for _ in range(20)] == [200] * 20


# --- a time for each try

def silent(peer):
    """Takes requests and answers none."""
    while peer.read_request():
        pass


def tried(tenbin, attributes, *targets):
    names = {f"t{i}": target.address for i, target in enumerate(targets)}
    return tenbin(LISTENER % ("http", "http", attributes, ", ".join(f'"${name}"' for name in names)), **names)


@pytest.mark.tsan
def test_a_silent_target_is_left_after_try_timeout(tenbin, origins):
    mute, good = origins(silent), origins()
    web = tried(tenbin, "try_timeout: 300ms", mute, good)
    begin = time.monotonic()
    for i in range(6):
        assert web.connect().get(f"/{i}").status == 200
    assert 0.5 < time.monotonic() - begin < 6
    assert len(mute.requests) >= 2
    lines = eventually(lambda: len(web.access_log()) == 6 and web.access_log(), "six lines")
    assert all(line["target"] == good.address for line in lines) and 1 in {line["retries"] for line in lines} <= {0, 1}


def test_when_all_are_silent_it_is_504_after_each_had_its_time(tenbin, origins):
    targets = [origins(silent) for _ in range(3)]
    web = tried(tenbin, "try_timeout: 300ms", *targets)
    begin = time.monotonic()
    expect.own_reply(web.connect().get("/"), 504)
    assert 0.8 < time.monotonic() - begin < 3
    assert [len(t.requests) for t in targets] == [1, 1, 1]
    line = web.log_line(status=504)
    assert line["reason"] == "target_timeout" and line["retries"] == 2


def test_the_only_target_is_not_asked_twice(tenbin, origins):
    target = origins(silent)
    web = tried(tenbin, "try_timeout: 300ms", target)
    expect.own_reply(web.connect().get("/"), 504)
    assert len(target.requests) == 1


def test_what_may_not_be_sent_twice_is_504_at_once(tenbin, origins):
    mute, other = origins(silent), origins(silent)
    web = tried(tenbin, "try_timeout: 300ms", mute, other)
    expect.own_reply(web.connect().post("/", body=b"data"), 504)
    expect.own_reply(web.connect().request("PATCH", "/").response(), 504)
    assert len(mute.requests) + len(other.requests) == 2


def test_a_slow_upload_and_a_slow_answer_have_all_the_time(tenbin, origins):
    def slowly(peer):
        while peer.read_request():
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
            for byte in b"abc":
                time.sleep(0.5)
                peer.send(bytes([byte]))
    target, other = origins(slowly), origins(slowly)
    web = tried(tenbin, "try_timeout: 300ms", target, other)
    client = web.connect()
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
    for byte in "xyz":
        time.sleep(0.5)
        client.send(byte)
    assert client.response().body == b"abc"
    assert len(target.requests) + len(other.requests) == 1
