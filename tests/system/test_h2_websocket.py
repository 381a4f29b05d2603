"""WebSockets over HTTP/2 (RFC 8441): an extended CONNECT becomes an upgrade at the target, then a tunnel in DATA frames."""

import base64
import time

import pytest

import origin as o
import wire
from h2client import *  # noqa: the names of frames and codes
from lb import eventually
from test_h2 import H2
from test_websocket import accept, echo_frames

ON = H2.replace("h2c: true", "h2c: true, http2_websockets: true")
CONNECT = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/chat?x=1"),
           (":authority", "example.com"), ("sec-websocket-version", "13")]
ENABLE_CONNECT_PROTOCOL = 8


class Tunnel:
    """A websocket on one stream of a raw client."""

    def __init__(self, port, stream=1, early=b"", end=False):
        self.c, self.stream, self.data, self.ended = RawH2(port), stream, b"", False
        self.c.headers(stream, CONNECT)
        if early or end:
            self.send(early, end)

    def send(self, data, end=False):
        for at in range(0, max(len(data), 1), 16384):
            last = at + 16384 >= len(data)
            self.c.frame(DATA, END_STREAM if end and last else 0, self.stream, data[at:at + 16384])

    def more(self):
        frame = self.c.read_until(lambda f: f.type in (DATA, RST_STREAM, GOAWAY))
        assert frame.type == DATA and frame.stream == self.stream, frame
        self.data += frame.payload
        self.ended = self.ended or bool(frame.flags & END_STREAM)
        if frame.payload and not self.ended:
            for where in (0, self.stream):
                self.c.frame(WINDOW_UPDATE, 0, where, len(frame.payload).to_bytes(4, "big"))

    def read(self, n):
        while len(self.data) < n:
            self.more()
        taken, self.data = self.data[:n], self.data[n:]
        return taken

    def head(self):
        frame = self.c.read_until(lambda f: f.type in (HEADERS, RST_STREAM))
        assert frame.type == HEADERS, frame
        fields = self.c.decoder.decode(frame.payload)
        return int(dict(fields)[":status"]), [n for n, _ in fields], frame.flags & END_STREAM

    def say(self, payload):
        """One frame each way: the echo is not masked, so its header is two to ten octets."""
        self.send(wire.websocket_frame(payload))
        expected = wire.websocket_frame(payload, masked=False)
        assert self.read(len(expected)) == expected


@pytest.fixture
def start(tenbin, origins):
    made = []

    def begin(script=echo_frames, text=ON, receive_buffer=None, **keywords):
        app = origins(script, receive_buffer=receive_buffer)
        web = tenbin(text, app=app.address)
        made.append(Tunnel(web.port(), **keywords))
        return web, app, made[-1]

    yield begin
    for each in made:
        each.c.close()


def test_a_connect_becomes_an_upgrade_and_frames_go_both_ways(start):
    web, app, t = start()
    status, names, end = t.head()
    assert status == 200 and not end
    assert {"upgrade", "connection", "sec-websocket-accept"}.isdisjoint(names)
    request = app.request
    assert request.start == "GET /chat?x=1 HTTP/1.1" and request["upgrade"].lower() == "websocket"
    assert "upgrade" in request["connection"].lower() and request["sec-websocket-version"] == "13"
    assert len(base64.b64decode(request["sec-websocket-key"], validate=True)) == 16
    assert not request.has("transfer-encoding") and not request.has("content-length")
    for size in (0, 1, 125, 126, 20000):
        t.say(b"x" * size)
    t.send(wire.websocket_frame(b"\x03\xe8", opcode=8), end=True)
    while not t.ended:
        t.more()
    web.log_line(type="ws", path="/chat?x=1", protocol="HTTP/2.0", reason=None)


def test_it_is_offered_only_where_it_is_on(start, tenbin, origin):
    web, app, t = start()
    offered = next(f for f in t.c.frames if f.type == SETTINGS)
    assert bytes([0, ENABLE_CONNECT_PROTOCOL, 0, 0, 0, 1]) in offered.payload
    off = tenbin(H2, app=origin.address)
    raw = RawH2(off.port())
    raw.headers(1, CONNECT)
    assert raw.read_until(lambda f: f.type == RST_STREAM).code == PROTOCOL_ERROR
    assert bytes([0, ENABLE_CONNECT_PROTOCOL]) not in next(f for f in raw.frames if f.type == SETTINGS).payload
    raw.close()
    assert not origin.requests


def test_every_handshake_has_a_key_of_its_own(start):
    web, app, t = start()
    t.head()
    t.c.headers(3, CONNECT)
    t.head()
    assert len({r["sec-websocket-key"] for r in app.requests}) == 2


def test_what_comes_before_the_answer_waits_for_it(start):
    def late(peer):
        request = peer.read_request()
        time.sleep(0.3)
        assert not peer.pending
        peer.send(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  f"Sec-WebSocket-Accept: {wire.websocket_accept(request['sec-websocket-key'])}\r\n\r\n")
        o.echo(peer)

    early = bytes(range(256)) * 250  # 64,000 of the window's 65,535
    web, app, t = start(late, early=early, end=True)
    assert t.head()[0] == 200
    assert t.read(len(early)) == early
    while not t.ended:
        t.more()


@pytest.mark.parametrize("line", ["", "Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "twice"])
def test_an_upgrade_that_answers_another_key_is_none(start, line):
    def wrong(peer):
        key = peer.read_request()["sec-websocket-key"]
        lines = f"Sec-WebSocket-Accept: {wire.websocket_accept(key)}\r\n" * 2 if line == "twice" else line and line + "\r\n"
        peer.send(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{lines}\r\n")
        peer.wait_for_end()

    web, app, t = start(wrong)
    assert t.head()[0] == 502
    web.log_line(path="/chat?x=1", status=502, reason="bad_response")


@pytest.mark.parametrize("status", [200, 403])
def test_a_refused_upgrade_is_an_answer(start, status):
    web, app, t = start(o.reply(o.response(b"no", f"{status} Whatever")))
    assert t.head()[0] == status
    assert t.read(2) == b"no"
    t.send(wire.websocket_frame(b"ignored"))


def test_the_end_of_each_side_reaches_the_other_alone(start):
    def script(peer):
        accept(peer)
        peer.send(b"bye")
        peer.half_close()
        peer.wait_for_end()

    web, app, t = start(script)
    assert t.head()[0] == 200
    while not t.ended:
        t.more()
    assert t.data == b"bye"
    t.send(b"still going up", end=True)
    eventually(lambda: app.connections[0].received.endswith(b"still going up"), "the client's last bytes")
    eventually(lambda: app.connections[0].end == "fin", "its end")


def test_a_slow_target_gets_all_that_was_sent_before_the_end(start):
    def script(peer):
        accept(peer)
        peer.half_close()
        time.sleep(1)
        peer.wait_for_end()

    web, app, t = start(script, receive_buffer=4096)
    assert t.head()[0] == 200
    body = bytes(60000)
    t.send(body, end=True)
    eventually(lambda: app.connections[0].received.endswith(body), "all bytes")
    eventually(lambda: app.connections[0].end == "fin", "its end")


def test_a_reset_stream_is_a_reset_at_the_target(start):
    def script(peer):
        accept(peer)
        peer.wait_for_end()

    web, app, t = start(script)
    t.head()
    t.c.frame(RST_STREAM, 0, 1, CANCEL.to_bytes(4, "big"))
    eventually(lambda: app.connections[0].end == "reset", "the reset at the target")
    web.log_line(reason="client_gone")


def test_a_tunnel_is_cut_when_idle_and_pins_no_snapshot(start):
    web, app, t = start(text=ON.replace("h2c: true", "h2c: true, idle_timeout: 1s"))
    t.head()
    web.reload(ON.replace("h2c: true", "h2c: true, idle_timeout: 2s"))
    eventually(lambda: web.status()["snapshots_live"] == 1, "one snapshot")
    assert t.c.read_until(lambda f: f.type == RST_STREAM).code == CANCEL
    web.log_line(reason="idle_timeout")


@pytest.mark.parametrize("head, outcome", [
    ([(":method", "GET"), *CONNECT[1:]], PROTOCOL_ERROR),
    ([f for f in CONNECT if f[0] != ":scheme"], PROTOCOL_ERROR),
    ([f for f in CONNECT if f[0] != ":path"], PROTOCOL_ERROR),
    ([f for f in CONNECT if f[0] != ":authority"], PROTOCOL_ERROR),
    ([*CONNECT, ("content-length", "3")], PROTOCOL_ERROR),
    ([*CONNECT, ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")], PROTOCOL_ERROR),
    ([(":method", "CONNECT"), (":protocol", "other"), *CONNECT[2:]], 405),
    ([(":method", "CONNECT"), (":protocol", "websocket\r\nx: y"), *CONNECT[2:]], PROTOCOL_ERROR),
])
def test_what_is_no_extended_connect_to_websocket_is_refused(tenbin, origin, head, outcome):
    web = tenbin(ON, app=origin.address)
    raw = RawH2(web.port())
    raw.headers(1, head)
    frame = raw.read_until(lambda f: f.type in (HEADERS, RST_STREAM))
    if outcome == 405:
        assert dict(raw.decoder.decode(frame.payload))[":status"] == "405"
    else:
        assert frame.type == RST_STREAM and frame.code == outcome
    raw.close()
    assert not origin.requests
