#!/usr/bin/python3
"""What an idle connection over TLS 1.3 holds in user space: tenbin and the others, one after another.

    /usr/bin/python3 bench/idle.py                                    5,000 connections; some minutes
    /usr/bin/python3 bench/idle.py --connections 1000 --proxies tenbin,nginx

Each connection is served some requests with the fields that browsers send, so that buffers and the
tables of HPACK were used, and is then left alone. A figure is what the memory of all processes of a
proxy (proportional set size) grew by, divided by the connections. The first ones are not counted:
what a proxy makes once, and buffers that it keeps ready for all, are there by then. Memory of the
kernel is not in it, nor what a proxy sets aside at its start for all connections it may have
(nginx: about 0.4 KB each).
"""

import argparse
import os
import pathlib
import re
import socket
import ssl
import struct
import time

import peers
import processes
from processes import Failure

UNCOUNTED = 300
REQUESTS = 4
SETTLE_SECONDS = 4
PATH = "/128"
PROXIES = ["tenbin", "nginx", "haproxy", "nghttpx", "h2o"]

FIELDS = [
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br"),
    ("cookie", "session=0123456789abcdef0123456789abcdef"),
]
PSEUDO = [(":method", "GET"), (":scheme", "https"), (":path", PATH), (":authority", "127.0.0.1")]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, RST_STREAM, SETTINGS, GOAWAY, DATA = 1, 3, 4, 7, 0
END_STREAM, ACK, END_HEADERS = 1, 1, 4


def receive(sock):
    data = sock.recv(65536)
    if not data:
        raise Failure("a connection was closed")
    return data


# ---- HTTP/1.1 ----

H1_REQUEST = "".join([f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\n",
                      *(f"{name}: {value}\r\n" for name, value in FIELDS), "\r\n"]).encode()


def serve_h1(sock):
    for _ in range(REQUESTS):
        sock.sendall(H1_REQUEST)
        data = b""
        while b"\r\n\r\n" not in data:
            data += receive(sock)
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
        if b" 200 " not in head.partition(b"\r\n")[0] or not length:
            raise Failure(f"an answer that was not expected: {head!r}")
        while len(body) < int(length.group(1)):
            body += receive(sock)


# ---- HTTP/2 ----

def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def field(name, value):
    """Literal, to be kept in the table (RFC 7541 6.2.1)."""
    return b"\x40" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def requests_h2():
    """The second and later ones find all their fields in the table: the last one kept is 62."""
    fields = PSEUDO + FIELDS
    whole = b"".join(field(*pair) for pair in fields)
    again = bytes(0x80 | 61 + len(fields) - i for i in range(len(fields)))
    return [frame(HEADERS, END_STREAM | END_HEADERS, 2 * i + 1, again if i else whole)
            for i in range(REQUESTS)]


H2_REQUESTS = requests_h2()


def serve_h2(sock):
    sock.sendall(PREFACE + frame(SETTINGS, 0, 0))
    data = b""
    for request in H2_REQUESTS:
        sock.sendall(request)
        ended = False
        while not ended:
            data += receive(sock)
            while len(data) >= 9 and len(data) >= 9 + int.from_bytes(data[:3], "big"):
                kind, flags = data[3], data[4]
                if kind in (RST_STREAM, GOAWAY):
                    raise Failure("a request was refused")
                if kind == SETTINGS and not flags & ACK:
                    sock.sendall(frame(SETTINGS, ACK, 0))
                ended = ended or (kind in (DATA, HEADERS) and bool(flags & END_STREAM))
                data = data[9 + int.from_bytes(data[:3], "big"):]


# ---- measuring ----

PROTOCOLS = {"HTTP/1.1": ("http/1.1", serve_h1), "HTTP/2": ("h2", serve_h2)}


def pss_bytes(pids):
    total = 0
    for pid in pids:
        rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss:\s+(\d+) kB", rollup, re.M).group(1)) * 1024
    return total


def client_context(alpn):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([alpn])
    return context


def open_connections(instance, count, context, alpn, serve, held):
    for _ in range(count):
        plain = socket.create_connection(("127.0.0.1", instance.port), 20)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock = context.wrap_socket(plain)
        if sock.selected_alpn_protocol() != alpn:
            raise Failure(f"{alpn} was not agreed on")
        serve(sock)
        held.append(sock)


def is_closed(sock):
    """Unread bytes (an acknowledgement) may be there; the end of the stream may not."""
    sock.settimeout(0)
    try:
        while sock.recv(65536):
            continue
        return True
    except (ssl.SSLWantReadError, BlockingIOError):
        return False
    except OSError:
        return True


def measure(stage, name, protocol, count, targets, certificates):
    """Octets a connection."""
    alpn, serve = PROTOCOLS[protocol]
    context, held = client_context(alpn), []
    instance = peers.start(stage, name, "https", False, targets, certificates)
    try:
        open_connections(instance, UNCOUNTED, context, alpn, serve, held)
        time.sleep(SETTLE_SECONDS)
        before = pss_bytes(instance.pids)
        open_connections(instance, count, context, alpn, serve, held)
        time.sleep(SETTLE_SECONDS)
        grown = pss_bytes(instance.pids) - before
        closed = sum(is_closed(sock) for sock in held)
        if closed:
            raise Failure(f"{closed} connections were closed meanwhile")
        return grown / count
    finally:
        for sock in held:
            sock.close()
        stage.end(instance.program)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--proxies", default=",".join(PROXIES))
    options = parser.parse_args()
    options.proxies = options.proxies.split(",")
    unknown = set(options.proxies) - set(PROXIES)
    if unknown or options.connections < 1:
        parser.error(f"no such proxies: {', '.join(sorted(unknown))}" if unknown else "--connections is at least 1")
    return options


def main():
    options = parse_options()
    processes.raise_file_limit()
    print(f"{'KiB an idle connection':24}" + "".join(f"{protocol:>10}" for protocol in PROTOCOLS))
    with processes.Stage() as stage:
        if stage.load_cpu is not None:
            os.sched_setaffinity(0, [stage.load_cpu])
        certificates = peers.make_certificate(stage.directory)
        targets = [f"127.0.0.1:{stage.start_tool('origin')[1]}" for _ in range(2)]
        for name in options.proxies:
            row, said = [], []
            for protocol in PROTOCOLS:
                try:
                    if peers.PEERS[name].missing():
                        raise Failure("not installed")
                    row.append(f"{measure(stage, name, protocol, options.connections, targets, certificates) / 1024:.1f}")
                except Failure as failure:
                    row.append("-")
                    said.append(f"{protocol}: {failure}")
            print(f"{name:24}" + "".join(f"{cell:>10}" for cell in row) + "".join(f"   {line}" for line in said),
                  flush=True)


if __name__ == "__main__":
    main()
