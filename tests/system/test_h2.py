"""HTTP/2 to clients, by prior knowledge: streams, flow control, ends on the wire, leaving, and clients that break rules."""

import hashlib
import struct
import subprocess
import threading
import time

import pytest

import origin as o
from h2client import *  # noqa: the names of frames and codes
from lb import eventually
from test_http1 import answer_in_chunks, answer_with_length, pattern

H2 = """
listeners:
  - {name: web, listen: "127.0.0.1:$web", protocol: http, attributes: {h2c: true}, default_action: {forward: app}}
target_groups:
  - {name: app, protocol: http, targets: ["$app"]}
"""

QUICK = H2.replace("h2c: true", "h2c: true, idle_timeout: 1s")


@pytest.fixture
def h2(tenbin, origins):
    """h2(script) starts tenbin in front of an origin and gives (tenbin, origin, client)."""
    clients = []

    def start(*scripts, text=H2, client=True, **keywords):
        app = origins(*scripts)
        web = tenbin(text, app=app.address)
        if client:
            clients.append(H2Client(web.port(), **keywords))
        return web, app, clients[-1] if client else None

    yield start
    for each in clients:
        each.close()


@pytest.fixture
def raw(tenbin, origins):
    """raw(text) gives (tenbin, origin, raw client)."""
    made = []

    def start(text=H2, script=o.serve, greet=True):
        app = origins(script)
        web = tenbin(text, app=app.address)
        made.append(RawH2(web.port(), greet))
        return web, app, made[-1]

    yield start
    for each in made:
        each.close()


def reasons(web, name):
    return web.metrics().get(f'tenbin_reasons_total{{listener="web",reason="{name}"}}', 0)


# --- requests and answers

def test_a_request_reaches_the_target_as_http1_and_its_answer_comes_back(h2):
    web, app, c = h2(o.reply(o.response(b"body", "200 Fine", "X-One: 1", "Connection: x-hop", "X-Hop: 1", "Keep-Alive: 5")))
    answer = c.get("/a?b=c", ("x-name", "value"), ("cookie", "a=1"), ("cookie", "b=2"), host="example.com:81")
    assert (answer.status, answer.body, answer["x-one"], answer["content-length"]) == (200, b"body", "1", "4")
    assert {"connection", "x-hop", "keep-alive", "transfer-encoding"}.isdisjoint(n for n, _ in answer.headers)
    assert answer["date"]
    assert app.request.start == "GET /a?b=c HTTP/1.1"
    assert app.request["x-name"] == "value" and app.request["cookie"] == "a=1; b=2"
    assert app.request["host"] == f"example.com:{web.port()}"
    assert not app.request.has("transfer-encoding") and not app.request.has("content-length")
    line = web.log_line(path="/a?b=c")
    assert (line["protocol"], line["status"], line["reason"]) == ("HTTP/2.0", 200, None)


def test_http1_is_served_beside_it(h2):
    web, app, c = h2(o.serve)
    assert web.connect().get("/").status == 200
    assert c.get("/").status == 200


def test_without_the_attribute_the_preface_is_a_505(tenbin, origin):
    web = tenbin(H2.replace("h2c: true", "h2c: false"), app=origin.address)
    client = web.connect()
    client.send(PREFACE)
    assert client.response().status == 505
    assert not origin.requests


def test_the_preface_may_come_in_pieces(h2):
    web, app, _ = h2(o.serve, client=False)
    raw = RawH2(web.port(), greet=False)
    for byte in PREFACE:
        raw.send(bytes([byte]))
        time.sleep(0.002)
    raw.frame(SETTINGS)
    raw.headers(1, GET, end=True)
    assert raw.status(1) == 200
    raw.close()


def test_a_method_that_begins_like_the_preface_is_http1(h2):
    web, app, _ = h2(o.serve, client=False)
    client = web.connect()
    client.send(b"PRI", pause=0)
    time.sleep(0.1)
    client.send(b"NT / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.response().status == 200
    assert app.request.method == "PRINT"


@pytest.mark.parametrize("size", [0, 1, 16375, 65535, 65536, 1 << 20, 10 << 20])
@pytest.mark.parametrize("answer", [answer_with_length, answer_in_chunks])
def test_bodies_pass_both_ways_as_they_are(h2, size, answer):
    web, app, c = h2(o.reply(answer))
    body = pattern(size)
    got = c.request("POST", "/", body=body)
    assert got.status == 200 and hashlib.sha256(got.body).digest() == hashlib.sha256(body).digest()
    got = c.request("POST", "/", ("content-length", str(size)), body=body)
    assert got.status == 200 and got.body == body
    assert [r.body == body for r in app.requests] == [True, True]
    assert app.requests[0]["transfer-encoding"] == "chunked" and app.requests[1]["content-length"] == str(size)


def test_head_has_a_length_and_no_body(h2):
    web, app, c = h2(o.reply(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"))
    answer = c.request("HEAD", "/")
    assert (answer.status, answer["content-length"], answer.body) == (200, "1000", b"")


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_answers_without_a_body_end_with_their_head(h2, status):
    web, app, c = h2(o.reply(f"HTTP/1.1 {status}\r\nETag: x\r\n\r\n".encode()))
    for _ in range(2):
        assert c.get("/").status == int(status[:3])


def test_trailers_pass_both_ways(h2):
    def script(peer):
        request = peer.read_request()
        assert dict(request.trailers) == {"x-sum": "42"}
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Grpc-Status\r\n\r\n3\r\nabc\r\n0\r\nGrpc-Status: 0\r\n\r\n")
        peer.wait_for_end()
    web, app, c = h2(script)
    stream = c.start("POST", "/", ("te", "trailers"), ("trailer", "x-sum"), body=b"123", end=False)
    c.h2.send_headers(stream, [("x-sum", "42")], end_stream=True)
    c.flush()
    answer = c.finish(stream)
    assert (answer.status, answer.body, answer.trailers) == (200, b"abc", [("grpc-status", "0")])
    assert answer["trailer"] == "Grpc-Status"
    assert app.request["te"] == "trailers"


def test_interim_answers_pass(h2):
    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + o.OK)
        peer.wait_for_end()
    web, app, c = h2(script)
    answer = c.get("/")
    assert answer.informational == [(103, [("link", "</a.css>")])] and answer.status == 200


def test_a_client_that_expects_it_is_told_to_continue(h2):
    web, app, c = h2(o.reply(answer_with_length))
    stream = c.start("POST", "/", ("expect", "100-continue"), ("content-length", "3"), end=False)
    answer = c.answers[stream]
    c.until(lambda: answer.informational)
    assert answer.informational[0][0] == 100
    c.send(stream, b"abc", end=True)
    assert c.finish(stream).body == b"abc"
    assert not app.request.has("expect")


def test_connect_is_405(raw):
    web, app, c = raw()
    c.headers(1, [(":method", "CONNECT"), (":authority", "example.com:443")])
    assert c.status(1) == 405
    assert not app.requests


def test_what_the_gate_refuses_is_answered_on_its_stream_alone(raw):
    web, app, c = raw()
    c.headers(1, [*GET[:2], (":path", "/../x"), GET[3]], end=True)
    assert c.status(1) == 400
    c.headers(3, [*GET[:3], (":authority", "user@example.com")], end=True)
    assert c.status(3) == 400
    c.headers(5, GET, end=True)
    assert c.status(5) == 200
    assert len(app.requests) == 1
    web.log_line(reason="path_above_root", status=400, protocol="HTTP/2.0")


def test_rules_redirects_and_own_answers_work_on_streams(tenbin, origin):
    web = tenbin("""
listeners:
  - name: web
    listen: "127.0.0.1:$web"
    protocol: http
    attributes: {h2c: true, response_headers: {x_frame_options: DENY}}
    rules:
      - {priority: 1, conditions: [{path_pattern: "/gone"}], action: {fixed_response: {status_code: 410, message_body: bye}}}
    default_action: {forward: app}
target_groups:
  - {name: app, protocol: http, targets: ["$app"]}
""", app=origin.address)
    c = H2Client(web.port())
    answer = c.get("/gone")
    assert (answer.status, answer.body, answer["x-frame-options"]) == (410, b"bye", "DENY")
    assert c.request("POST", "/gone", body=pattern(10000)).status == 410
    assert c.get("/").status == 200
    c.close()


# --- many streams

@pytest.mark.parametrize("streams", [1, 2, 16, 100, 128])
def test_many_streams_share_a_connection(h2, streams):
    web, app, c = h2(o.reply(lambda r: o.response(pattern(len(r.target) * 1000))))
    started = [(c.start("GET", "/" + "x" * (i % 40)), i) for i in range(streams)]
    for stream, i in started:
        assert c.finish(stream).body == pattern((i % 40 + 1) * 1000)
    assert len(app.requests) == streams


def test_a_stream_that_stands_still_does_not_hold_up_the_others(h2):
    big = pattern(4 << 20)
    web, app, c = h2(o.reply(lambda r: o.response(big if r.target == "/big" else b"small")))
    stalled = c.start("GET", "/big")
    c.paused.add(stalled)
    c.until(lambda: len(c.answers[stalled].body) == 65535)
    for _ in range(50):
        assert c.get("/small").body == b"small"
    assert c.get("/big").body == big
    assert len(c.answers[stalled].body) == 65535
    c.paused.clear()
    c.h2.increment_flow_control_window(1 << 23, stalled)
    c.flush()
    assert c.finish(stalled).body == big


def test_an_upload_that_its_target_does_not_take_does_not_hold_up_the_others(h2):
    gate = threading.Event()

    def script(peer):
        while (head := peer.read_request(body=False)):
            if head.target == "/slow":
                gate.wait(20)
            peer.read_sized_body(head)
            peer.send(o.response(str(len(head.body))))
    web, app, c = h2(script)
    slow = c.start("POST", "/slow", ("content-length", str(20 << 20)), end=False)
    sent = 0
    while c.h2.local_flow_control_window(slow) or c.receive(1):
        n = min(c.h2.local_flow_control_window(slow), 16384)
        if n:
            c.h2.send_data(slow, bytes(n))
            c.flush()
            sent += n
    assert sent < 20 << 20, "the target took all of it"
    for _ in range(3):
        assert c.request("POST", "/fast", body=bytes(1 << 20)).body == str(1 << 20).encode()
    gate.set()
    c.send(slow, bytes((20 << 20) - sent), end=True)
    assert c.finish(slow).body == str(20 << 20).encode()


def test_memory_stays_flat_while_all_streams_stand_still(h2):
    big = pattern(8 << 20)
    web, app, c = h2(o.reply(lambda r: o.response(big)), take=False)
    for _ in range(100):
        c.start("GET", "/")
    c.until(lambda: sum(len(a.body) for a in c.answers.values()) == 65535)
    eventually(lambda: web.status()["buffer_bytes"] > 100 * (64 << 10), "full flows")
    def full():
        before = web.status()["buffer_bytes"]
        web.comes_to_rest()
        return web.status()["buffer_bytes"] == before

    eventually(full, "nothing more to come", 30)
    held, resident = web.status()["buffer_bytes"], web.rss_bytes()
    assert held < 100 * (160 << 10)
    assert web.cpu_share(1) < 0.1
    assert web.status()["buffer_bytes"] == held and web.rss_bytes() - resident < 1 << 20
    c.close()


def test_streams_that_stand_still_keep_to_the_memory_budget_and_go_on(h2):
    big = pattern(1 << 20)
    tight = H2 + "limits: {buffer_memory: 1MiB}\nworkers: 1\n"
    web, app, c = h2(o.reply(lambda r: o.response(big)), text=tight, take=False)
    streams = [c.start("GET", "/") for _ in range(60)]
    c.until(lambda: sum(len(a.body) for a in c.answers.values()) == 65535)
    time.sleep(0.5)
    assert web.status()["buffer_bytes"] < 2 << 20
    c.take = True
    c.h2.increment_flow_control_window(1 << 30)
    for stream in streams:
        if not c.answers[stream].over():
            c.h2.increment_flow_control_window(1 << 21, stream)
    c.flush()
    for stream in streams:
        answer = c.finish(stream)
        assert answer.body == big or answer.reset == REFUSED_STREAM or answer.status == 503, answer
    assert sum(a.body == big for a in c.answers.values()) > 10


def test_uploads_that_stand_still_keep_to_the_memory_budget_and_go_on(h2):
    gate = threading.Event()

    def script(peer):
        while (head := peer.read_request(body=False)):
            gate.wait(20)
            peer.read_sized_body(head)
            peer.send(o.response(str(len(head.body))))
    tight = H2 + "limits: {buffer_memory: 1MiB}\nworkers: 1\n"
    web, app, c = h2(script, text=tight)
    streams = [c.start("POST", "/", ("content-length", str(200000)), end=False) for _ in range(20)]
    left = dict.fromkeys(streams, 200000)

    def push():
        for stream in [s for s in streams if left[s] and not c.answers[s].over()]:
            n = min(c.h2.local_flow_control_window(stream), 16384, left[stream])
            while n > 0:
                left[stream] -= n
                c.h2.send_data(stream, bytes(n), end_stream=left[stream] == 0)
                c.flush()
                n = min(c.h2.local_flow_control_window(stream), 16384, left[stream])
    push()
    while c.receive(0.5):
        push()
    assert web.status()["buffer_bytes"] < 3 << 20
    gate.set()
    while not all(c.answers[s].over() for s in streams):
        assert c.receive(), f"nothing came; left {left}"
        push()
    assert sum(a.body == b"200000" for a in c.answers.values()) > 5, c.answers


# --- how things end

def test_a_reset_by_the_client_cancels_the_request_at_its_target(h2):
    web, app, c = h2(o.hold)
    stream = c.start("GET", "/")
    eventually(lambda: app.requests, "the request")
    c.h2.reset_stream(stream, CANCEL)
    c.flush()
    eventually(lambda: app.connections[0].end, "the end at the target")
    web.log_line(reason="client_gone", status=460)
    stream = c.start("GET", "/")
    eventually(lambda: len(app.requests) == 2, "the next request")


def test_a_client_that_goes_away_cancels_all_its_requests(h2):
    web, app, c = h2(o.hold)
    for _ in range(5):
        c.start("GET", "/")
    eventually(lambda: len(app.requests) == 5, "the requests")
    c.close()
    eventually(lambda: all(p.end for p in app.connections), "the end at the target")
    eventually(lambda: len(web.access_log()) == 5)
    assert {line["status"] for line in web.access_log()} == {460}


def test_a_target_that_breaks_off_is_a_reset_with_internal_error(h2):
    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    web, app, c = h2(script)
    answer = c.get("/")
    assert (answer.status, answer.reset, answer.ended) == (200, INTERNAL_ERROR, False)


def test_a_target_that_does_not_answer_is_502_and_504(h2, origins):
    def script(peer):
        peer.read_request()
    web, app, c = h2(script)
    assert c.get("/").status == 502
    web, app, c = h2(o.hold, text=QUICK)
    assert c.get("/").status == 504


def test_an_answer_that_stops_is_a_reset_with_cancel(h2):
    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        peer.wait_for_end()
    web, app, c = h2(script, text=QUICK)
    answer = c.get("/")
    assert (answer.body, answer.reset) == (b"half", CANCEL)


def test_a_client_that_takes_no_answer_is_cut_after_the_idle_timeout(h2):
    web, app, c = h2(o.reply(o.response(pattern(1 << 20))), text=QUICK, take=False)
    answer = c.get("/")
    assert (len(answer.body), answer.reset) == (65535, CANCEL)
    web.log_line(reason="client_timeout")


def test_a_client_that_sends_no_body_gets_408(h2):
    web, app, c = h2(o.hold_broken, text=QUICK)
    stream = c.start("POST", "/", ("content-length", "10"), body=b"abc", end=False)
    assert c.finish(stream).status == 408


def test_an_early_answer_is_whole_and_the_client_is_told_to_stop(h2):
    def script(peer):
        peer.read_request(body=False)
        peer.send(o.response(b"no", "403 Forbidden", "Connection: close"))
        peer.wait_for_end()
    web, app, c = h2(script)
    stream = c.start("POST", "/", body=pattern(1000), end=False)
    answer = c.answers[stream]
    c.until(lambda: answer.reset is not None)
    assert (answer.status, answer.body, answer.ended, answer.reset) == (403, b"no", True, NO_ERROR)


def test_a_body_beyond_the_limit_is_413(h2):
    limited = H2 + "limits: {body: 1000B}\n"
    web, app, c = h2(o.hold_broken, text=limited)
    assert c.finish(c.start("POST", "/", ("content-length", "1001"), end=False)).status == 413
    assert c.finish(c.start("POST", "/", body=pattern(1001), end=False)).status == 413


def test_too_many_or_too_large_fields_are_431_and_long_paths_414(h2):
    web, app, c = h2(o.serve)
    assert c.get("/", *((f"x-{i}", "v") for i in range(250))).status == 431
    assert c.get("/", *((f"x-{i}", "v" * 8000) for i in range(9))).status == 431
    assert c.get("/", ("x-large", "v" * 20000)).status == 431
    assert c.get("/" + "x" * 20000).status == 414
    assert c.get("/").status == 200
    assert len(app.requests) == 1


# --- leaving

def read_leaving(c):
    """All frames up to the end of the connection; PING is answered."""
    while (frame := c.read_frame()):
        if frame.type == PING and not frame.flags & ACK:
            c.frame(PING, ACK, 0, frame.payload)
    goaways = [f for f in c.frames if f.type == GOAWAY]
    assert [f.code for f in goaways] == [0] * len(goaways)
    return [int.from_bytes(f.payload[:4], "big") for f in goaways]


def test_a_stop_says_goaway_twice_and_finishes_what_is_open(raw):
    gate = threading.Event()

    def script(peer):
        peer.read_request()
        gate.wait(10)
        peer.send(o.OK)
        peer.wait_for_end()
    web, app, c = raw(script=script)
    c.headers(1, GET, end=True)
    eventually(lambda: app.requests, "the request")
    done = []
    stopper = threading.Thread(target=lambda: done.append(web.stop()))
    stopper.start()
    first = c.read_until(lambda f: f.type == GOAWAY)
    assert int.from_bytes(first.payload[:4], "big") == 2**31 - 1
    gate.set()
    assert read_leaving(c) == [2**31 - 1, 1]
    assert any(f.type == DATA and f.payload == b"hello\n" for f in c.frames)
    stopper.join()
    assert done == [0]


def test_a_reload_leaves_connections_alone_and_a_removed_listener_says_goaway(raw):
    web, app, c = raw()
    for _ in range(3):
        web.reload(H2)
    c.headers(1, GET, end=True)
    assert c.status(1) == 200
    web.reload(H2.replace("name: web", "name: other"))
    assert read_leaving(c) == [2**31 - 1, 1]


def test_an_old_connection_is_asked_to_leave(raw):
    web, app, c = raw(H2.replace("h2c: true", "h2c: true, client_keep_alive: 500ms"))
    time.sleep(0.6)
    c.headers(1, GET, end=True)
    assert read_leaving(c) == [2**31 - 1, 1]
    assert any(f.type == HEADERS for f in c.frames)


def test_a_connection_leaves_after_its_number_of_requests(raw):
    web, app, c = raw(H2 + "limits: {http2_requests: 3}\n")
    for stream in (1, 3, 5):
        c.headers(stream, GET, end=True)
    assert read_leaving(c) == [2**31 - 1, 5]
    assert sum(f.type == HEADERS for f in c.frames) == 3


def test_an_idle_connection_ends_with_goaway_and_ping_does_not_keep_it(raw):
    web, app, c = raw(QUICK)
    begin = time.monotonic()
    stop = threading.Event()

    def ping():
        while not stop.wait(0.2):
            try:
                c.frame(PING, 0, 0, b"12345678")
            except OSError:
                return
    pinger = threading.Thread(target=ping)
    pinger.start()
    frames = c.read_to_end()
    stop.set()
    pinger.join()
    assert 0.9 < time.monotonic() - begin < 3
    assert [f.code for f in frames if f.type == GOAWAY] == [0]


def test_a_client_that_never_finishes_a_head_is_cut(raw):
    web, app, c = raw(H2 + "timeouts: {request_head: 1s}\n")
    c.headers(1, GET, end=True, flags=0)
    frames = c.read_to_end()
    assert frames[-1].type == GOAWAY and frames[-1].code == ENHANCE_YOUR_CALM


def test_a_client_that_never_greets_is_cut(raw):
    web, app, c = raw(H2 + "timeouts: {request_head: 1s}\n", greet=False)
    c.send(PREFACE)
    begin = time.monotonic()
    c.read_to_end()
    assert time.monotonic() - begin < 4


# --- clients that break the rules

BAD_HEADS = {
    "upper case": [*GET, ("X-A", "b")],
    "connection": [*GET, ("connection", "close")],
    "te": [*GET, ("te", "gzip")],
    "no path": [GET[0], GET[1], GET[3]],
    "empty path": [GET[0], GET[1], (":path", ""), GET[3]],
    "two methods": [GET[0], *GET],
    "pseudo behind a field": [*GET[:3], ("x", "y"), GET[3]],
    "unknown pseudo": [*GET, (":x", "y")],
    "line feed": [*GET, ("x", "a\r\nevil: 1")],
    "other host": [*GET, ("host", "evil.com")],
    "space in path": [GET[0], GET[1], (":path", "/ HTTP/1.1"), GET[3]],
    "length without a body": [*GET, ("content-length", "5")],
    "transfer coding": [*GET, ("transfer-encoding", "chunked")],
}


@pytest.mark.parametrize("name", BAD_HEADS)
def test_a_malformed_head_is_reset_and_never_forwarded(raw, name):
    web, app, c = raw()
    c.headers(1, BAD_HEADS[name], end=True)
    frame = c.read_until(lambda f: f.type in (RST_STREAM, GOAWAY))
    assert (frame.type, frame.stream, frame.code) == (RST_STREAM, 1, PROTOCOL_ERROR)
    c.headers(3, GET, end=True)
    assert c.status(3) == 200
    assert len(app.requests) == 1 and not app.request.has("evil")


@pytest.mark.parametrize("sent", [b"abcd", b"ab"])
def test_a_body_that_is_not_as_long_as_said_is_cut_at_the_target(raw, sent):
    web, app, c = raw(script=o.hold_broken)
    c.headers(1, [*POST, ("content-length", "3")])
    c.frame(DATA, END_STREAM, 1, sent)
    frame = c.read_until(lambda f: f.type in (RST_STREAM, GOAWAY))
    assert (frame.type, frame.stream, frame.code) == (RST_STREAM, 1, PROTOCOL_ERROR)
    eventually(lambda: all(p.end for p in app.connections), "the end at the target")
    web.log_line(reason="bad_stream")


BAD_FRAMES = {
    "SETTINGS of an odd length": (lambda c: c.frame(SETTINGS, 0, 0, b"abc"), FRAME_SIZE_ERROR),
    "SETTINGS on a stream": (lambda c: c.frame(SETTINGS, 0, 1), PROTOCOL_ERROR),
    "a window of 2^31": (lambda c: c.frame(SETTINGS, 0, 0, b"\0\4\x80\0\0\0"), FLOW_CONTROL_ERROR),
    "PING of 7 octets": (lambda c: c.frame(PING, 0, 0, b"1234567"), FRAME_SIZE_ERROR),
    "DATA on no stream": (lambda c: c.frame(DATA, 0, 0, b"x"), PROTOCOL_ERROR),
    "an even stream": (lambda c: c.headers(2, GET, end=True), PROTOCOL_ERROR),
    "CONTINUATION alone": (lambda c: c.frame(CONTINUATION, END_HEADERS, 1), PROTOCOL_ERROR),
    "PUSH_PROMISE": (lambda c: c.frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2"), PROTOCOL_ERROR),
    "broken HPACK": (lambda c: c.frame(HEADERS, 5, 1, b"\xff\xff\xff\xff"), COMPRESSION_ERROR),
    "RST_STREAM of an idle stream": (lambda c: c.frame(RST_STREAM, 0, 1, b"\0\0\0\0"), PROTOCOL_ERROR),
    "WINDOW_UPDATE of 0": (lambda c: c.frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\0"), PROTOCOL_ERROR),
    "WINDOW_UPDATE beyond the end": (lambda c: c.frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), FLOW_CONTROL_ERROR),
    "a frame that is too large": (lambda c: c.frame(PING, 0, 0, bytes(16385)), FRAME_SIZE_ERROR),
    "GOAWAY on a stream": (lambda c: c.frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL_ERROR),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_a_malformed_frame_ends_the_connection_with_its_code(raw, name):
    web, app, c = raw()
    send, code = BAD_FRAMES[name]
    send(c)
    frames = c.read_to_end()
    assert frames[-1].type == GOAWAY and frames[-1].code == code, frames
    eventually(lambda: reasons(web, "bad_frame") == 1, "the count")
    assert not app.requests


def test_unknown_frames_settings_flags_and_priorities_are_ignored(raw):
    web, app, c = raw()
    c.frame(0x42, 0xff, 0, b"anything")
    c.frame(SETTINGS, 0, 0, b"\xff\xff\0\0\0\1")
    c.frame(PRIORITY, 0, 9, b"\0\0\0\0\7")
    c.frame(16, 0, 0, b"\0\0\0\1u=0")
    c.frame(PING, 0xf0, 0, b"12345678")
    c.headers(1, [*GET, ("priority", "u=0, i")], end=True)
    assert c.status(1) == 200


# --- floods

def test_rapid_resets_end_the_connection(raw):
    web, app, c = raw(script=o.serve)
    try:
        for stream in range(1, 1001, 2):
            c.headers(stream, GET, end=True)
            c.frame(RST_STREAM, 0, stream, struct.pack(">I", CANCEL))
    except OSError:
        pass
    c.read_to_end()
    eventually(lambda: reasons(web, "reset_flood") == 1, "the count")


def test_resets_that_the_client_makes_us_send_end_the_connection(raw):
    web, app, c = raw(H2 + "limits: {http2_resets: 20}\n", script=o.hold_broken)
    for stream in range(1, 201, 2):
        c.headers(stream, POST)
        c.frame(WINDOW_UPDATE, 0, stream, b"\x7f\xff\xff\xff")
        frame = c.read_until(lambda f: f.type in (RST_STREAM, GOAWAY))
        if frame.type == GOAWAY:
            break
        assert frame.code == FLOW_CONTROL_ERROR
    assert frame.type == GOAWAY and frame.code == ENHANCE_YOUR_CALM and stream > 20
    c.read_to_end()
    eventually(lambda: reasons(web, "reset_flood") == 1, "the count")


FLOODS = {
    "PING": lambda c: c.frame(PING, 0, 0, b"12345678"),
    "SETTINGS": lambda c: c.frame(SETTINGS),
    "PRIORITY": lambda c: c.frame(PRIORITY, 0, 9, b"\0\0\0\0\7"),
    "unknown": lambda c: c.frame(0x42),
}


@pytest.mark.parametrize("name", FLOODS)
def test_frames_that_carry_nothing_end_the_connection_in_the_end(raw, name):
    web, app, c = raw(H2 + "limits: {http2_control_frames: 100}\n")
    try:
        for _ in range(1000):
            FLOODS[name](c)
    except OSError:
        pass
    c.read_to_end()
    eventually(lambda: reasons(web, "control_flood") == 1, "the count")


def test_a_flood_of_continuations_ends_the_connection(raw):
    web, app, c = raw()
    c.headers(1, GET, flags=0)
    try:
        for _ in range(100):
            c.frame(CONTINUATION, 0, 1)
    except OSError:
        pass
    c.read_to_end()
    eventually(lambda: reasons(web, "header_flood") == 1, "the count")


def test_a_bomb_of_headers_ends_the_connection(raw):
    web, app, c = raw()
    block = c.encoder.encode([*GET, ("x", "v" * 3900)]) + b"\xbe" * 300
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, block)
    frames = c.read_to_end()
    assert frames[-1].type == GOAWAY and frames[-1].code == ENHANCE_YOUR_CALM
    eventually(lambda: reasons(web, "header_flood") == 1, "the count")
    assert not app.requests


def test_streams_beyond_the_limit_are_refused(raw):
    web, app, c = raw(H2 + "limits: {http2_streams: 2}\n", script=o.hold, greet=False)
    c.send(PREFACE)
    c.frame(SETTINGS)
    for stream in (1, 3, 5):
        c.headers(stream, GET, end=True)
    frame = c.read_until(lambda f: f.type == RST_STREAM)
    assert (frame.stream, frame.code) == (5, REFUSED_STREAM)
    eventually(lambda: len(app.requests) == 2, "two requests")


# --- real clients

def run(*argv, seconds=60):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_curl_uploads_and_downloads(h2, tmp_path):
    web, app, _ = h2(o.reply(answer_with_length), client=False)
    (tmp_path / "big").write_bytes(pattern(5 << 20))
    run("curl", "-sS", "--fail", "--http2-prior-knowledge", "--data-binary", f"@{tmp_path}/big", "-o", f"{tmp_path}/got",
        f"http://127.0.0.1:{web.port()}/")
    assert (tmp_path / "got").read_bytes() == pattern(5 << 20)


@pytest.mark.release
@pytest.mark.limit(120)
def test_curl_moves_100_megabytes_each_way(h2, tmp_path):
    web, app, _ = h2(o.reply(answer_with_length), client=False)
    size = 100 << 20
    with open(tmp_path / "big", "wb") as big:
        for _ in range(100):
            big.write(pattern(1 << 20))
    run("curl", "-sS", "--fail", "--http2-prior-knowledge", "-T", f"{tmp_path}/big", "-o", f"{tmp_path}/got",
        f"http://127.0.0.1:{web.port()}/", seconds=100)
    assert (tmp_path / "got").stat().st_size == size
    run("cmp", tmp_path / "big", tmp_path / "got")


def test_nghttp_gets_many_paths_at_once(h2):
    web, app, _ = h2(o.reply(lambda r: o.response(pattern(100000))), client=False)
    out = run("nghttp", "-n", "-s", *(f"http://127.0.0.1:{web.port()}/{i}" for i in range(20)))
    assert out.count(" 200 ") == 20


@pytest.mark.parametrize("streams", [1, 32, 128, 256])
def test_h2load_loses_nothing(h2, streams):
    web, app, _ = h2(o.reply(lambda r: o.response(pattern(2000))), client=False,
                     text=H2 + f"limits: {{http2_streams: {streams}}}\n")
    out = run("h2load", "-n", "1000", "-c", "2", "-m", str(streams), f"http://127.0.0.1:{web.port()}/")
    assert "1000 succeeded, 0 failed, 0 errored" in out


def test_reloads_under_load_lose_no_request(h2):
    web, app, _ = h2(o.reply(lambda r: o.response(b"hello")), client=False)
    outputs = []
    loader = threading.Thread(target=lambda: outputs.append(
        run("h2load", "-n", "8000", "-c", "4", "-m", "8", f"http://127.0.0.1:{web.port()}/", seconds=90)))
    loader.start()
    for _ in range(10):
        web.reload(H2)
    loader.join()
    assert "8000 succeeded, 0 failed, 0 errored" in outputs[0]
    eventually(lambda: web.status()["snapshots_live"] == 1, "one snapshot")
