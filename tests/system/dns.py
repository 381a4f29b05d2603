"""A name server on loopback, UDP and TCP on one port, that answers as the test says.

    server.a("app.test", "127.0.0.1", "127.0.0.2", ttl=1)       server.srv("_http._tcp.app.test", (0, 1, 80, "h1.test"))
    server.fail("app.test", "nxdomain" | "servfail" | "refused" | "silent" | "garbage" | "truncated" | "empty" | ...)
"""

import socket
import struct
import threading

A, AAAA, SRV = 1, 28, 33
CODES = {"ok": 0, "formerr": 1, "servfail": 2, "nxdomain": 3, "refused": 5}


def encode_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def decode_name(packet, at):
    labels = []
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1"))
        at += 1 + packet[at]
    return ".".join(labels).lower(), at + 1


def rdata(kind, value):
    if kind == SRV:
        priority, weight, port, host = value
        return struct.pack("!HHH", priority, weight, port) + encode_name(host)
    return socket.inet_pton(socket.AF_INET if kind == A else socket.AF_INET6, value)


def record(kind, value, ttl):
    data = rdata(kind, value)
    return b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data


def message(query, kind, question, values=(), ttl=1, code=0, truncated=False, count=None):
    flags = 0x8580 | code | (0x0200 if truncated else 0)
    head = struct.pack("!HHHHHH", query, flags, 1, len(values) if count is None else count, 0, 0)
    return head + question + b"".join(record(kind, value, ttl) for value in values)


class NameServer:
    """Knows only what it was told; of other names it says NXDOMAIN. Every question is kept: (name, type, "udp" or "tcp")."""

    def __init__(self):
        self.lock = threading.Lock()
        self.records, self.ttls, self.modes, self.questions = {}, {}, {}, []
        for _ in range(20):
            self.tcp = socket.socket()
            self.tcp.bind(("127.0.0.1", 0))
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                self.udp.bind(self.tcp.getsockname())
                break
            except OSError:
                self.tcp.close()
                self.udp.close()
        self.tcp.listen(64)
        self.port = self.tcp.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self.serve_udp, self.serve_tcp)]
        for thread in self.threads:
            thread.start()

    # --- what it says

    def put(self, name, kind, values, ttl):
        with self.lock:
            self.records[name, kind] = list(values)
            self.ttls[name, kind] = ttl
            self.modes.pop((name, kind), None)
            self.modes.pop((name, None), None)

    def a(self, name, *addresses, ttl=1):
        self.put(name, A, addresses, ttl)

    def aaaa(self, name, *addresses, ttl=1):
        self.put(name, AAAA, addresses, ttl)

    def srv(self, name, *services, ttl=1):
        self.put(name, SRV, services, ttl)

    def fail(self, name, mode, kind=None):
        """This way of answering until the name is told anew; kind None: for every type."""
        with self.lock:
            self.modes[name, kind] = mode

    def asked(self, name, kind=None, how=None):
        with self.lock:
            return sum(1 for n, k, h in self.questions if n == name and kind in (None, k) and how in (None, h))

    # --- answers

    def answer(self, packet, how):
        """The reply's bytes, or None for silence."""
        query, = struct.unpack("!H", packet[:2])
        name, end = decode_name(packet, 12)
        kind, = struct.unpack("!H", packet[end:end + 2])
        question = packet[12:end + 4]
        with self.lock:
            self.questions.append((name, kind, how))
            mode = self.modes.get((name, kind)) or self.modes.get((name, None)) or "ok"
            known = any(n == name for n, _ in self.records)
            values, ttl = self.records.get((name, kind), []), self.ttls.get((name, kind), 1)
        if mode == "ok":
            return message(query, kind, question, values, ttl, 0 if known else CODES["nxdomain"])
        return self.odd(mode, query, kind, question, values, ttl, how)

    def odd(self, mode, query, kind, question, values, ttl, how):
        whole = message(query, kind, question, values, ttl)
        if mode in CODES:
            return message(query, kind, question, code=CODES[mode])
        if mode == "truncated":
            return whole if how == "tcp" else message(query, kind, question, truncated=True)
        return {
            "silent": None,
            "empty": message(query, kind, question),
            "garbage": struct.pack("!H", query) + b"\x85\x80" + b"\xff" * 60,
            "nothing": b"",
            "short": whole[:len(whole) - 3],
            "lies": message(query, kind, question, values, ttl, count=65535),
            "loop": struct.pack("!HHHHHH", query, 0x8580, 1, 1, 0, 0) + question + b"\xc0" + bytes([12 + len(question)]) + b"\0" * 10,
            "other id": message(query ^ 1, kind, question, values, ttl),
            "other name": message(query, kind, encode_name("evil.test") + question[-4:], values, ttl),
        }[mode]

    def serve_udp(self):
        while True:
            try:
                packet, peer = self.udp.recvfrom(65536)
            except OSError:
                return
            reply = self.answer(packet, "udp") if len(packet) > 12 else None
            if reply is not None:
                if len(reply) > 1200:
                    query, = struct.unpack("!H", packet[:2])
                    name, end = decode_name(packet, 12)
                    reply = message(query, 0, packet[12:end + 4], truncated=True)
                try:
                    self.udp.sendto(reply, peer)
                except OSError:
                    return

    def serve_tcp(self):
        while True:
            try:
                sock, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self.serve_stream, args=(sock,), daemon=True).start()

    def serve_stream(self, sock):
        with sock:
            sock.settimeout(20)
            stream = sock.makefile("rb")
            try:
                while len(head := stream.read(2)) == 2:
                    packet = stream.read(struct.unpack("!H", head)[0])
                    reply = self.answer(packet, "tcp")
                    if reply is not None:
                        sock.sendall(struct.pack("!H", len(reply)) + reply)
            except OSError:
                pass

    def close(self):
        for sock in (self.tcp, self.udp):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
        for thread in self.threads:
            thread.join(5)
