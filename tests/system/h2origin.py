"""HTTP/2 targets, as scripts for origin.Origin: one that keeps the rules (python3-h2) and, through `frame`, one that does not.

    app = origins(serve())                          answers every request 200 with a short body
    app = origins(serve(lambda server, request: server.respond(request, 204)))
    app = origins(serve(answer, settings={MAX_CONCURRENT_STREAMS: 1}))
    app = origins(serve(on_head=answer))            as soon as the head is there

`origin.requests` holds every request whose head came, `origin.connections[i].server` each server.
"""

import struct
import threading
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

import wire
from h2client import *  # noqa: the names of frames and codes

MAX_CONCURRENT_STREAMS = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS
INITIAL_WINDOW_SIZE = h2.settings.SettingCodes.INITIAL_WINDOW_SIZE
GREETING = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


class H2Request:
    def __init__(self, stream, fields, server):
        self.stream, self.fields, self.server = stream, fields, server
        self.body, self.trailers, self.ended, self.reset, self.received = b"", None, False, None, 0
        self.arrived = time.monotonic()

    def __getitem__(self, name):
        values = [v for n, v in self.fields if n == name]
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else None

    def names(self):
        return [n for n, _ in self.fields]

    def __repr__(self):
        return f"<H2Request {self.stream}: {self.fields} {len(self.body)} octets, ended {self.ended}, reset {self.reset}>"


class H2Server:
    """One connection. take: give back the credit of what was received."""

    def __init__(self, peer, answer, on_head, settings, take):
        self.peer, self.answer, self.on_head, self.take = peer, answer, on_head, take
        self.lock = threading.RLock()
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.requests, self.unsent, self.goaways, self.closed = {}, {}, [], False
        if settings:
            self.h2.update_settings(settings)
            self.h2.local_settings.acknowledge()
        peer.server = self

    def run(self):
        with self.lock:
            self.h2.initiate_connection()
            self.flush()
        while (data := self.peer.sock.recv(262144)):
            with self.lock:
                self.peer.received += data
                for event in self.h2.receive_data(data):
                    self.on_event(event)
                self.flush()
        self.closed = True

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.peer.sock.sendall(data)

    def on_event(self, e):
        request = self.requests.get(getattr(e, "stream_id", None))
        if isinstance(e, h2.events.RequestReceived):
            request = self.requests[e.stream_id] = H2Request(e.stream_id, e.headers, self)
            with self.peer.origin.lock:
                self.peer.origin.requests.append(request)
            if self.on_head:
                self.on_head(self, request)
        elif isinstance(e, h2.events.DataReceived):
            request.body += e.data
            request.received += e.flow_controlled_length
            if self.take and not request.ended:
                self.h2.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
        elif isinstance(e, h2.events.TrailersReceived):
            request.trailers = e.headers
        elif isinstance(e, h2.events.StreamEnded):
            request.ended = True
            if self.answer:
                self.answer(self, request)
        elif isinstance(e, h2.events.StreamReset) and request:
            request.reset = int(e.error_code)
        elif isinstance(e, h2.events.ConnectionTerminated):
            self.goaways.append(int(e.error_code))
        elif isinstance(e, h2.events.WindowUpdated):
            for stream in list(self.unsent):
                self.push(stream)

    def respond(self, request, status=200, *fields, body=b"", trailers=None, end=True):
        with self.lock:
            alone = end and not body and trailers is None
            self.h2.send_headers(request.stream, [(":status", str(status)), *fields], end_stream=alone)
            if not alone:
                self.send(request, body, end, trailers)
            self.flush()

    def send(self, request, body=b"", end=False, trailers=None):
        """As the windows allow; the rest follows when they do."""
        with self.lock:
            before = self.unsent.get(request.stream, (b"", False, None))
            self.unsent[request.stream] = (before[0] + body, end, trailers)
            self.push(request.stream)
            self.flush()

    def push(self, stream):
        body, end, trailers = self.unsent[stream]
        try:
            while body and (n := min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(body))) > 0:
                self.h2.send_data(stream, body[:n])
                body = body[n:]
            self.unsent[stream] = (body, end, trailers)
            if body:
                return
            del self.unsent[stream]
            if trailers is not None:
                self.h2.send_headers(stream, trailers, end_stream=True)
            elif end:
                self.h2.end_stream(stream)
        except (h2.exceptions.StreamClosedError, h2.exceptions.ProtocolError):
            self.unsent.pop(stream, None)

    def reset(self, request, code=INTERNAL_ERROR):
        with self.lock:
            self.h2.reset_stream(request.stream, code)
            self.flush()

    def goaway(self, last, code=NO_ERROR):
        """By hand: python3-h2 would take nothing any more."""
        self.frame(GOAWAY, 0, 0, struct.pack(">II", last, code))

    def frame(self, kind, flags=0, stream=0, payload=b""):
        with self.lock:
            self.flush()
            head = struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream)
            self.peer.sock.sendall(head + payload)


def hello(server, request):
    server.respond(request, body=b"hello\n")


def serve(answer=hello, on_head=None, settings=None, take=True):
    """A script. answer(server, request): when it is whole; on_head: when its head is there."""
    def script(peer):
        H2Server(peer, None if on_head and answer is hello else answer, on_head, settings, take).run()
    return script


def silent(peer):
    """Accepts, and says nothing at all."""
    peer.wait_for_end()


def saying(data):
    """Says these bytes, whatever is asked."""
    def script(peer):
        peer.sock.sendall(data)
        peer.wait_for_end()
    return script
