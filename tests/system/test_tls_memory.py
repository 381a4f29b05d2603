"""What an idle TLS connection holds in user space, on the release build."""

import socket
import struct
import time

import hpack
import pytest

import certs
from h2client import ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PREFACE, RST_STREAM, SETTINGS
from lb import eventually
from test_tls import TlsClient, client_context

pytestmark = [pytest.mark.release, pytest.mark.limit(180)]

CONNECTIONS = 5000
WARM = 200  # those used last keep OpenSSL's buffers: they are there before the count begins

TEXT = """
    workers: 1
    listeners:
      - name: web
        listen: "127.0.0.1:$web"
        protocol: https
        certificates: [{certificate: $certs/site.pem, key: $certs/site.key}]
        default_action: {fixed_response: {status_code: 200, content_type: text/plain, message_body: "hello"}}
    """

# As browsers send them: the tables of HPACK are not empty.
FIELDS = [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "site.example.com"),
          ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
          ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
          ("accept-language", "en-US,en;q=0.5"), ("accept-encoding", "gzip, deflate, br"),
          ("cookie", "session=0123456789abcdef0123456789abcdef")]
STREAMS = 4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def h2_opening():
    """All that a client says: the same octets on each connection."""
    encoder = hpack.Encoder()
    heads = [frame(HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, encoder.encode(FIELDS)) for i in range(STREAMS)]
    return PREFACE + frame(SETTINGS, 0, 0) + frame(SETTINGS, ACK, 0) + b"".join(heads)


def ended_streams(data):
    """Whole frames of it: (streams that were answered, what is left)."""
    ended = 0
    while len(data) >= 9 and len(data) >= 9 + int.from_bytes(data[:3], "big"):
        assert data[3] not in (RST_STREAM, GOAWAY), data
        ended += data[3] == DATA and data[4] & END_STREAM
        data = data[9 + int.from_bytes(data[:3], "big"):]
    return ended, data


def serve_h2(web, context, opening):
    sock = context.wrap_socket(socket.create_connection(("127.0.0.1", web.port()), 20))
    web.clients.append(sock)
    sock.sendall(opening)
    answered, rest = 0, b""
    while answered < STREAMS:
        data = sock.recv(65536)
        assert data, "closed"
        ended, rest = ended_streams(rest + data)
        answered += ended


def test_an_idle_connection_of_tls_1_3_and_http_1_1_holds_16_kib_at_most(tenbin, tmp_path):
    certs.make(tmp_path, "site")
    web = tenbin(TEXT, certs=tmp_path)
    context = client_context()

    def serve(count):
        for _ in range(count):
            client = TlsClient(web.port(), context=context)
            web.clients.append(client)
            assert client.get("/").status == 200
        time.sleep(0.5)
        return web.rss_bytes()

    before = serve(WARM)
    held = (serve(CONNECTIONS) - before) / CONNECTIONS
    assert held <= 16 * 1024, f"{held:.0f} bytes a connection"


def test_an_idle_connection_of_tls_1_3_and_http_2_holds_24_kib_at_most(tenbin, tmp_path):
    """Idle means for some seconds, see REST_MS in front_h2.c."""
    certs.make(tmp_path, "site")
    web = tenbin(TEXT, certs=tmp_path)
    context, opening = client_context("h2"), h2_opening()

    def serve(count):
        for _ in range(count):
            serve_h2(web, context, opening)

    serve(WARM)
    time.sleep(2.5)
    before = web.private_bytes()
    serve(CONNECTIONS)
    most = before + CONNECTIONS * 24 * 1024
    eventually(lambda: web.private_bytes() <= most or None,
               f"24 KiB a connection ({(web.private_bytes() - before) / CONNECTIONS:.0f} bytes at first)", 15)
    assert web.status()["connections"] >= WARM + CONNECTIONS
