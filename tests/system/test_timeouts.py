"""Each timeout cuts what is late, with its status and reason, and spares what is in time."""

import time

import pytest

import expect
import origin as o
import wire
from conftest import WEB, answering, with_attributes
from lb import eventually

SHORT = 1.0
EARLY, LATE = 0.15, 1.6  # how much before and after its time a timeout may come on a busy machine


@pytest.fixture
def slow(tenbin, origins):
    """slow(script, timeouts, attributes) gives (tenbin, target)."""
    def start(script=o.serve, timeouts="connect: 10s", attributes="idle_timeout: 60s"):
        target = origins(script)
        return tenbin(f"timeouts: {{{timeouts}}}\n" + with_attributes(attributes), app=target.address), target
    return start


class Stopwatch:
    def __init__(self):
        self.begin = time.monotonic()

    def expect(self, seconds=SHORT):
        took = time.monotonic() - self.begin
        assert seconds - EARLY < took < seconds + LATE, f"took {took:.2f} s instead of {seconds}"


# --- a client that is late

def test_an_idle_keep_alive_connection_is_closed_without_a_word(slow):
    web, _ = slow(attributes="idle_timeout: 1s")
    client = web.connect()
    assert client.get("/").status == 200
    watch = Stopwatch()
    client.expect_end()
    watch.expect()
    time.sleep(0.3)
    assert [line["status"] for line in web.access_log()] == [200]


def test_a_connection_that_sends_nothing_is_closed_without_a_word(slow):
    web, target = slow(attributes="idle_timeout: 1s")
    client, watch = web.connect(), Stopwatch()
    client.expect_end()
    watch.expect()
    assert web.access_log() == [] and target.connections == []


def test_requests_in_time_keep_a_connection_open(slow):
    web, _ = slow(attributes="idle_timeout: 1s")
    client = web.connect()
    for _ in range(5):
        time.sleep(0.6)
        assert client.get("/").status == 200


@pytest.mark.parametrize("begin", ["G", "GET / HTTP/1.1\r\nHost: a\r\n"])
def test_a_head_that_stops_is_a_408_at_its_deadline(slow, begin):
    web, target = slow(timeouts="request_head: 1s")
    client = web.connect().send(begin)
    watch = Stopwatch()
    expect.refused(client, 408)
    watch.expect()
    assert web.log_line(status=408)["reason"] == "request_timeout" and target.connections == []


def test_a_head_that_trickles_is_cut_at_its_deadline_all_the_same(slow):
    web, target = slow(timeouts="request_head: 1s")
    client, watch = web.connect(), Stopwatch()
    client.send("GET / HTTP/1.1\r\nHost: a\r\n")
    for n in range(60):
        if not client.send_until_refused(b"X: y\r\n"):
            break
        time.sleep(0.05)
        if time.monotonic() - watch.begin > SHORT + LATE:
            break
    assert client.response().status == 408
    assert target.connections == []


def test_a_second_head_has_its_own_deadline(slow):
    web, _ = slow(timeouts="request_head: 1s")
    client = web.connect()
    assert client.get("/").status == 200
    time.sleep(1.5)
    assert client.send("GET / HTTP/1.1\r\n", ).send("Host: a\r\n\r\n").response().status == 200
    client.send("GET /")
    watch = Stopwatch()
    expect.refused(client, 408)
    watch.expect()


def test_a_request_body_that_stops_is_a_408(slow):
    web, target = slow(o.hold_broken, attributes="idle_timeout: 1s")
    client = web.connect().send("POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
    watch = Stopwatch()
    expect.refused(client, 408)
    watch.expect()
    assert web.log_line(path="/b")["reason"] == "body_timeout"
    eventually(lambda: target.connections[0].end, "the end of the target connection")


def test_a_request_body_that_makes_progress_is_spared(slow):
    web, target = slow(attributes="idle_timeout: 1s")
    client = web.connect().send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n")
    for _ in range(8):
        time.sleep(0.3)
        client.send("x")
    assert client.response().status == 200 and target.request.body == b"x" * 8


def test_a_client_that_takes_nothing_is_cut(slow):
    def pour(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while peer.send_until_refused(bytes(1 << 20)):
            pass

    web, target = slow(pour, attributes="idle_timeout: 1s")
    client = web.connect(receive_buffer=4096)
    client.request("GET", "/big")
    client.read_head(wire.STATUS_LINE)
    eventually(lambda: target.connections[0].sock.fileno() == -1, "the end of the target connection", 15)
    line = web.log_line(path="/big")
    assert line["reason"] == "client_timeout" and line["status"] == 200


def test_a_client_that_takes_little_but_steadily_is_spared(slow):
    size = 8 << 20

    def pour(peer):
        peer.read_request()
        peer.send(o.response(bytes(size)))
        peer.wait_for_end()

    web, _ = slow(pour, attributes="idle_timeout: 1s")
    client = web.connect(receive_buffer=65536)
    client.request("GET", "/")
    client.read_head(wire.STATUS_LINE)
    for _ in range(10):
        time.sleep(0.25)
        client.more()
    while len(client.pending) < size:
        client.more()
    assert len(client.pending) == size


# --- a target that is late

def test_a_connect_without_answer_is_a_504(tenbin, origins):
    web = tenbin("timeouts: {connect: 1s}\n" + WEB, app=origins.silent().address)
    client = web.connect()
    client.request("GET", "/")
    watch = Stopwatch()
    expect.own_reply(client.response(), 504)
    watch.expect()
    assert web.log_line(status=504)["reason"] == "target_connect_timeout"


def test_a_target_without_a_first_byte_is_a_504(slow):
    web, target = slow(o.hold, attributes="idle_timeout: 1s")
    client = web.connect()
    client.request("GET", "/")
    watch = Stopwatch()
    expect.own_reply(client.response(), 504)
    watch.expect()
    assert web.log_line(status=504)["reason"] == "target_timeout"
    eventually(lambda: target.connections[0].end, "the end of the target connection")
    assert len(target.requests) == 1, "a request that timed out was sent again"


def test_a_target_just_in_time_is_spared(slow):
    def late(peer):
        while peer.read_request():
            time.sleep(0.7)
            peer.send(o.OK)

    web, _ = slow(late, attributes="idle_timeout: 1s")
    client = web.connect()
    for _ in range(3):
        assert client.get("/").status == 200


def test_a_target_that_stops_in_its_head_is_a_504(slow):
    def half(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nX-Some")
        peer.wait_for_end()

    web, _ = slow(half, attributes="idle_timeout: 1s")
    client = web.connect()
    client.request("GET", "/")
    watch = Stopwatch()
    expect.own_reply(client.response(), 504)
    watch.expect()


def test_a_target_that_stops_in_its_body_is_cut_for_the_client_too(slow):
    def half(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        peer.wait_for_end()

    web, target = slow(half, attributes="idle_timeout: 1s")
    client = web.connect()
    client.request("GET", "/b")
    client.read_head(wire.STATUS_LINE)
    assert client.read_exactly(4) == b"half"
    watch = Stopwatch()
    client.expect_gone()
    watch.expect()
    line = web.log_line(path="/b")
    assert line["reason"] == "target_body_timeout" and line["status"] == 200
    eventually(lambda: target.connections[0].end, "the end of the target connection")


def test_a_target_body_that_makes_progress_is_spared(slow):
    def trickle(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
        for _ in range(8):
            time.sleep(0.3)
            peer.send(b"x")

    web, _ = slow(trickle, attributes="idle_timeout: 1s")
    assert web.connect().get("/").body == b"x" * 8


def test_a_target_that_does_not_take_the_body_is_a_504(slow):
    def deaf(peer):
        peer.read_request(body=False)
        time.sleep(5)

    web, _ = slow(deaf, attributes="idle_timeout: 1s")
    client = web.connect()
    client.sock.settimeout(6)
    try:
        client.send(f"POST /deaf HTTP/1.1\r\nHost: a\r\nContent-Length: {64 << 20}\r\n\r\n".encode() + bytes(64 << 20))
    except (ConnectionError, TimeoutError):
        pass
    assert client.response().status == 504
    assert web.log_line(path="/deaf")["reason"] in ("target_timeout", "target_body_timeout")


def test_idle_target_connections_end_at_target_keep_alive(slow):
    web, target = slow(timeouts="target_keep_alive: 1s")
    client = web.connect()
    assert client.get("/").status == 200
    watch = Stopwatch()
    eventually(lambda: target.connections[0].end, "the end of the idle connection")
    watch.expect()
    assert client.get("/").status == 200 and len(target.connections) == 2


def test_a_client_that_lingers_is_dropped_at_the_linger_timeout(tenbin):
    web = tenbin(answering(403, "no") + "timeouts: {linger: 1s}\n")
    client = web.connect().send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n")
    assert client.response().status == 403
    client.expect_end()
    watch = Stopwatch()
    eventually(lambda: web.gauges()["connections"] == 0, "the end of the connection")
    watch.expect()


def test_no_timer_beats_an_answer_that_is_there(slow):
    """A target that answers right at the limit, many times: each is a 200 or a 504, none is lost or both."""
    def borderline(peer):
        while peer.read_request():
            time.sleep(0.45 + 0.02 * (len(peer.origin.requests) % 10))
            if not peer.send_until_refused(o.OK):
                return

    web, _ = slow(borderline, attributes="idle_timeout: 500ms")
    statuses = []
    for _ in range(20):
        client = web.connect()
        statuses.append(client.get("/").status)
        client.close()
    assert set(statuses) <= {200, 504} and 200 in statuses
