"""HTTP/2 clients: one that keeps the rules (python3-h2) and one that sends any frame it is told to.

    c = H2Client(web.port())
    answer = c.get("/a")                      status, headers, body, trailers, informational, reset
    a, b = c.start("GET", "/a"), c.start("GET", "/b"); c.finish(a); c.finish(b)

    raw = RawH2(web.port())
    raw.headers(1, GET, end=True); raw.frame(PING, 0, 0, b"12345678")
    raw.read_until(lambda f: f.type == GOAWAY)
"""

import socket
import struct
import time

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import hpack

SECONDS = 20
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 5, 6, 7, 8, 9, 11
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Answer:
    """What came for one stream."""

    def __init__(self, stream):
        self.stream, self.status, self.headers, self.body = stream, None, [], b""
        self.trailers, self.informational, self.reset, self.ended = None, [], None, False

    def __getitem__(self, name):
        values = [v for n, v in self.headers if n == name]
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else None

    def over(self):
        return self.ended or self.reset is not None

    def __repr__(self):
        return f"<{self.stream}: {self.status} {self.headers} {len(self.body)} octets, reset {self.reset}>"


class H2Client:
    """Keeps to the rules. take: give back the credit of what was received (False: a client that stands still)."""

    def __init__(self, port, window=None, take=True, context=None):
        self.sock = socket.create_connection(("127.0.0.1", port), SECONDS)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            self.sock = context.wrap_socket(self.sock)
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config)
        self.answers, self.take, self.goaways, self.closed, self.pongs = {}, take, [], False, 0
        self.paused = set()
        self.h2.initiate_connection()
        if window is not None:
            self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.flush()

    def close(self):
        self.sock.close()

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.sock.sendall(data)

    def start(self, method="GET", path="/", *headers, body=None, end=True, host="example.com"):
        """Sends a head; body None: there is none."""
        stream = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "http"), (":path", path), (":authority", host), *headers]
        self.answers[stream] = Answer(stream)
        self.h2.send_headers(stream, head, end_stream=body is None and end)
        self.flush()
        if body is not None:
            self.send(stream, body, end)
        return stream

    def send(self, stream, data, end=False):
        """All of it, as the windows allow."""
        view, until = memoryview(data), time.monotonic() + SECONDS
        while len(view):
            n = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(view))
            if n == 0:
                assert time.monotonic() < until and not self.closed, f"no window for {len(view)} octets"
                self.receive()
                continue
            self.h2.send_data(stream, view[:n].tobytes())
            view = view[n:]
            self.flush()
        if end:
            self.h2.end_stream(stream)
            self.flush()

    def receive(self, seconds=SECONDS):
        """One recv; False when nothing came in time."""
        self.sock.settimeout(seconds)
        try:
            data = self.sock.recv(262144)
        except (TimeoutError, socket.timeout):
            return False
        except ConnectionError:
            data = b""
        if not data:
            self.closed = True
            return True
        for event in self.h2.receive_data(data):
            self.on_event(event)
        self.flush()
        return True

    def on_event(self, e):
        answer = self.answers.get(getattr(e, "stream_id", None))
        if isinstance(e, h2.events.ResponseReceived):
            answer.status, answer.headers = int(dict(e.headers)[":status"]), [h for h in e.headers if h[0] != ":status"]
        elif isinstance(e, h2.events.InformationalResponseReceived):
            answer.informational.append((int(dict(e.headers)[":status"]), [h for h in e.headers if h[0] != ":status"]))
        elif isinstance(e, h2.events.DataReceived):
            answer.body += e.data
            if self.take and e.stream_id not in self.paused:
                self.h2.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
            elif self.take:
                self.h2.increment_flow_control_window(e.flow_controlled_length)
        elif isinstance(e, h2.events.TrailersReceived):
            answer.trailers = e.headers
        elif isinstance(e, h2.events.StreamEnded):
            answer.ended = True
        elif isinstance(e, h2.events.StreamReset) and answer:
            answer.reset = int(e.error_code)
        elif isinstance(e, h2.events.ConnectionTerminated):
            self.goaways.append((e.last_stream_id, int(e.error_code)))
        elif isinstance(e, h2.events.PingAckReceived):
            self.pongs += 1

    def until(self, condition, seconds=SECONDS):
        end = time.monotonic() + seconds
        while not condition():
            assert not self.closed, f"the connection ended: goaways {self.goaways}, {list(self.answers.values())[-3:]}"
            assert self.receive(max(end - time.monotonic(), 0.01)) or time.monotonic() < end, "nothing came in time"

    def finish(self, stream, seconds=SECONDS):
        answer = self.answers[stream]
        self.until(answer.over, seconds)
        return answer

    def request(self, *arguments, **keywords):
        return self.finish(self.start(*arguments, **keywords))

    def get(self, path="/", *headers, **keywords):
        return self.request("GET", path, *headers, **keywords)

    def expect_end(self, seconds=SECONDS):
        end = time.monotonic() + seconds
        while not self.closed:
            assert time.monotonic() < end, "the connection stays open"
            try:
                self.receive(0.5)
            except h2.exceptions.ProtocolError:  # python3-h2 takes no frames behind a GOAWAY
                continue


class Frame:
    def __init__(self, kind, flags, stream, payload):
        self.type, self.flags, self.stream, self.payload = kind, flags, stream, payload

    @property
    def code(self):
        return struct.unpack(">I", self.payload[4:8] if self.type == GOAWAY else self.payload[:4])[0]

    def __repr__(self):
        return f"Frame(type={self.type}, flags={self.flags}, stream={self.stream}, {self.payload[:24]!r})"


GET = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "example.com")]
POST = [(":method", "POST"), *GET[1:]]


class RawH2:
    """Sends frames as they are. After the greeting unless greet is False."""

    def __init__(self, port, greet=True):
        self.sock = socket.create_connection(("127.0.0.1", port), SECONDS)
        self.sock.settimeout(SECONDS)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.decoder.max_header_list_size = 1 << 20
        self.pending, self.frames = b"", []
        if greet:
            self.send(PREFACE)
            self.frame(SETTINGS)
            self.read_until(lambda f: f.type == SETTINGS and not f.flags & ACK)
            self.frame(SETTINGS, ACK)
            self.read_until(lambda f: f.type == SETTINGS and f.flags & ACK)

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def frame(self, kind, flags=0, stream=0, payload=b""):
        self.send(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload)

    def headers(self, stream, fields, end=False, flags=END_HEADERS):
        self.frame(HEADERS, flags | (END_STREAM if end else 0), stream, self.encoder.encode(fields))

    def read_frame(self):
        """The next frame, or None at the end of the connection."""
        while True:
            if len(self.pending) >= 9:
                length = int.from_bytes(self.pending[:3], "big")
                if len(self.pending) >= 9 + length:
                    break
            try:
                data = self.sock.recv(262144)
            except ConnectionError:
                return None
            if not data:
                return None
            self.pending += data
        frame = Frame(self.pending[3], self.pending[4], int.from_bytes(self.pending[5:9], "big"),
                      self.pending[9:9 + length])
        self.pending = self.pending[9 + length:]
        self.frames.append(frame)
        return frame

    def read_until(self, condition):
        """The first frame for which it is true; the connection must not end before."""
        while (frame := self.read_frame()):
            if condition(frame):
                return frame
        raise AssertionError(f"the connection ended after {self.frames[-5:]}")

    def read_to_end(self):
        while self.read_frame():
            pass
        return self.frames

    def status(self, stream):
        """Of the answer on that stream; its fields are decoded in the order in which they come."""
        frame = self.read_until(lambda f: f.type == HEADERS)
        fields = dict(self.decoder.decode(frame.payload))
        return int(fields[":status"]) if frame.stream == stream else self.status(stream)
