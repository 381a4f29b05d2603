"""A raw HTTP/1.1 and TCP client that sends exactly the bytes it is given and believes nothing it reads.

Stream holds one socket and reads from it strictly: anything malformed, early or missing raises with
what has arrived so far. Client is a Stream that connects; origin.Peer is one that was accepted.
"""

import base64
import hashlib
import os
import re
import socket
import struct
import time

SECONDS = 10
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
FIELD = re.compile(rb"^(" + TOKEN + rb"):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*$")
STATUS_LINE = re.compile(rb"^HTTP/1\.[01] ([1-9][0-9][0-9]) ([^\x00-\x08\x0a-\x1f\x7f]*)$")
REQUEST_LINE = re.compile(rb"^(" + TOKEN + rb") ([\x21-\x7e]+) HTTP/1\.[01]$")
CHUNK_LINE = re.compile(rb"^([0-9A-Fa-f]+)([ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?$")


class Malformed(AssertionError):
    """The other side sent something that is not the protocol."""


class EndOfStream(AssertionError):
    """The other side ended before what was awaited."""


class Message:
    """A head with its body. Names keep their case and order, as they were on the wire."""

    def __init__(self, start, fields, raw):
        self.start, self.fields, self.raw = start, fields, raw
        self.body, self.chunks, self.trailers, self.interim = b"", [], [], []

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def has(self, name):
        return bool(self.all(name))

    def __getitem__(self, name):
        """The value of a field that must not be there twice; None when it is not there."""
        values = self.all(name)
        if len(values) > 1:
            raise Malformed(f"{name} appears {len(values)} times in {self.raw!r}")
        return values[0] if values else None

    def names(self):
        return [key for key, _ in self.fields]

    @property
    def status(self):
        return int(self.start.split(" ")[1])

    @property
    def version(self):
        return self.start.split(" ")[0] if self.start.startswith("HTTP/") else self.start.split(" ")[-1]

    @property
    def method(self):
        return self.start.split(" ")[0]

    @property
    def target(self):
        return self.start.split(" ")[1]

    def __repr__(self):
        return f"<{self.start} {self.fields} {len(self.body)} bytes>"


def parse_head(raw, start_line):
    """A whole head with its empty line, checked octet by octet."""
    lines = raw[:-4].split(b"\r\n")
    if not start_line.match(lines[0]):
        raise Malformed(f"start line {lines[0]!r} of {raw!r}")
    fields = []
    for line in lines[1:]:
        match = FIELD.match(line)
        if not match:
            raise Malformed(f"header line {line!r} of {raw!r}")
        fields.append((match.group(1).decode("ascii"), match.group(2).decode("latin-1")))
    message = Message(lines[0].decode("latin-1"), fields, raw)
    check_framing(message)
    return message


def check_framing(message):
    lengths, codings = message.all("content-length"), message.all("transfer-encoding")
    if lengths and codings:
        raise Malformed(f"both Content-Length and Transfer-Encoding: {message.raw!r}")
    if len(lengths) > 1 or len(codings) > 1 or (lengths and not lengths[0].isdigit()):
        raise Malformed(f"framing fields {lengths} {codings}: {message.raw!r}")
    if codings and codings[0].lower() != "chunked":
        raise Malformed(f"Transfer-Encoding {codings}: {message.raw!r}")


class Stream:
    """One socket, read strictly. `received` is every byte that ever came."""

    def __init__(self, sock):
        self.sock = sock
        self.pending = b""
        self.received = bytearray()
        sock.settimeout(SECONDS)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # --- writing and ending

    def send(self, data, cuts=(), pause=0.005):
        """Sends the bytes, in pieces that end at the given offsets, each a segment of its own."""
        data = data.encode("latin-1") if isinstance(data, str) else data
        begin = 0
        for cut in [*cuts, len(data)]:
            if begin:
                time.sleep(pause)
            self.sock.sendall(data[begin:cut])
            begin = cut
        return self

    def send_until_refused(self, data):
        """Sends what the other side takes; True if it took all of it."""
        try:
            self.sock.sendall(data)
            return True
        except OSError:
            return False

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Ends with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()

    def timeout(self, seconds):
        self.sock.settimeout(seconds)
        return self

    # --- reading bytes

    def more(self):
        """One recv into `pending`."""
        try:
            data = self.sock.recv(65536)
        except TimeoutError:
            raise AssertionError(f"nothing more came, so far {bytes(self.received[-400:])!r}") from None
        if not data:
            raise EndOfStream(f"the stream ended after {bytes(self.received[-400:])!r}")
        self.received += data
        self.pending += data

    def read_until(self, mark, limit=1 << 20):
        while mark not in self.pending:
            if len(self.pending) > limit:
                raise Malformed(f"no {mark!r} in {limit} bytes")
            self.more()
        end = self.pending.index(mark) + len(mark)
        found, self.pending = self.pending[:end], self.pending[end:]
        return found

    def read_exactly(self, count):
        pieces, have = [self.pending[:count]], len(self.pending[:count])
        self.pending = self.pending[count:]
        while have < count:
            self.more()
            piece, self.pending = self.pending[:count - have], self.pending[count - have:]
            pieces.append(piece)
            have += len(piece)
        return b"".join(pieces)

    def read_to_end(self):
        """All bytes up to a FIN."""
        pieces = [self.pending]
        self.pending = b""
        while True:
            try:
                self.more()
            except EndOfStream:
                return b"".join(pieces)
            pieces.append(self.pending)
            self.pending = b""

    def read_at_rate(self, bytes_per_second, seconds):
        """Reads like a slow reader for a while and returns what came."""
        got = b""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            got += self.sock.recv(max(1, bytes_per_second // 10))
            time.sleep(0.1)
        self.received += got
        return got

    # --- how it ends

    def expect_end(self):
        """A FIN, and not one more byte before it."""
        rest = self.read_to_end()
        assert rest == b"", f"bytes before the end: {rest[:400]!r}"

    def expect_reset(self):
        """A RST; bytes before it do not matter."""
        try:
            while True:
                self.more()
        except ConnectionResetError:
            return
        except EndOfStream:
            raise AssertionError("a FIN where a RST was due") from None

    def expect_gone(self):
        """FIN or RST, and not one more byte."""
        try:
            self.expect_end()
        except ConnectionResetError:
            pass

    def expect_silence(self, seconds=0.3):
        """Nothing comes, and the stream stays open."""
        self.sock.settimeout(seconds)
        try:
            data = self.pending or self.sock.recv(1)
        except TimeoutError:
            return
        finally:
            self.sock.settimeout(SECONDS)
        raise AssertionError(f"silence was due, got {data!r}")

    # --- reading messages

    def read_head(self, start_line):
        return parse_head(self.read_until(b"\r\n\r\n"), start_line)

    def read_chunked(self, message):
        """Chunks to the last one and the trailers, every line strict."""
        while True:
            line = self.read_until(b"\r\n")[:-2]
            match = CHUNK_LINE.match(line)
            if not match:
                raise Malformed(f"chunk line {line!r}")
            size = int(match.group(1), 16)
            if size == 0:
                break
            message.chunks.append(self.read_exactly(size))
            if self.read_exactly(2) != b"\r\n":
                raise Malformed("chunk data not ended by CRLF")
        while (line := self.read_until(b"\r\n")[:-2]):
            match = FIELD.match(line)
            if not match:
                raise Malformed(f"trailer line {line!r}")
            message.trailers.append((match.group(1).decode(), match.group(2).decode("latin-1")))
        message.body = b"".join(message.chunks)

    def read_sized_body(self, message):
        """The body when its head says how long it is; False when only the end of the stream does."""
        if message["transfer-encoding"]:
            self.read_chunked(message)
        elif message["content-length"] is not None:
            message.body = self.read_exactly(int(message["content-length"]))
        else:
            return False
        return True


class Client(Stream):
    """Connects to a port of 127.0.0.1 (or a unix socket) and talks."""

    def __init__(self, port, source=None, receive_buffer=None):
        sock = socket.socket(socket.AF_UNIX if isinstance(port, str) else socket.AF_INET)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(SECONDS)
        if source:
            sock.bind((source, 0))
        sock.connect(port if isinstance(port, str) else ("127.0.0.1", port))
        super().__init__(sock)

    @property
    def address(self):
        return "%s:%d" % self.sock.getsockname()

    def response(self, method="GET"):
        """The next response; 1xx heads before it are in .interim."""
        interim = []
        while True:
            message = self.read_head(STATUS_LINE)
            if message.status >= 200 or message.status == 101:
                break
            if message.has("content-length") or message.has("transfer-encoding"):
                raise Malformed(f"a 1xx with a body: {message.raw!r}")
            interim.append(message)
        message.interim = interim
        self.read_response_body(message, method)
        return message

    def read_response_body(self, message, method):
        status = message.status
        if status in (101, 204) and (message.has("content-length") or message.has("transfer-encoding")):
            raise Malformed(f"a {status} with a body: {message.raw!r}")
        if method == "HEAD" or status in (101, 204, 304):
            return
        if not self.read_sized_body(message):
            message.body = self.read_to_end()

    def request(self, method="GET", target="/", *lines, host="example.com", body=b""):
        """Sends a plain request: Host, the lines given, Content-Length when there is a body."""
        head = [f"{method} {target} HTTP/1.1", f"Host: {host}", *lines]
        if body:
            head.append(f"Content-Length: {len(body)}")
        return self.send("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body)

    def get(self, target="/", *lines, **keywords):
        """One GET and its response."""
        return self.request("GET", target, *lines, **keywords).response()

    def post(self, target="/", *lines, body=b"", **keywords):
        return self.request("POST", target, *lines, body=body, **keywords).response()


# --- WebSocket frames

def websocket_accept(key):
    return base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()


def websocket_frame(payload, opcode=1, masked=True):
    """One final frame."""
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | opcode, (0x80 if masked else 0) | size])
    elif size < 65536:
        head = bytes([0x80 | opcode, (0x80 if masked else 0) | 126]) + struct.pack(">H", size)
    else:
        head = bytes([0x80 | opcode, (0x80 if masked else 0) | 127]) + struct.pack(">Q", size)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def read_websocket_frame(stream):
    """(opcode, payload) of the next frame."""
    first, second = stream.read_exactly(2)
    size = second & 0x7f
    if size == 126:
        size = struct.unpack(">H", stream.read_exactly(2))[0]
    elif size == 127:
        size = struct.unpack(">Q", stream.read_exactly(8))[0]
    mask = stream.read_exactly(4) if second & 0x80 else b"\0\0\0\0"
    return first & 0x0f, bytes(b ^ mask[i % 4] for i, b in enumerate(stream.read_exactly(size)))
