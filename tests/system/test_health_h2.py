"""Checks of groups whose traffic is HTTP/2: how they ask, and what targets that break the rules cost."""

import re
import struct
import time

import h2.exceptions
import pytest

import certs
import h2origin as t
import origin as o
from h2client import *  # noqa: the names of frames and codes
from lb import eventually
from test_back_h2 import tls_of

QUICK = "interval: 500ms, timeout: 450ms, healthy_threshold: 1, unhealthy_threshold: 1"

TEXT = """
listeners:
  - {name: web, listen: "127.0.0.1:$web", protocol: http, attributes: {h2c: true}, default_action: {forward: app}}
target_groups:
  - {name: app, protocol: %s, protocol_version: %s, %s health_check: {%s}, targets: [%s]}
"""

AGENT = "ELB-HealthChecker/2.0"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    directory = tmp_path_factory.mktemp("healthh2certs")
    certs.make(directory, "a", "a.test")
    return directory


def text(check=QUICK, version="http2", protocol="http", tls="", targets='"$app"'):
    return TEXT % (protocol, version, tls, check, targets)


def health(lb, i=0):
    target = lb.status()["groups"][0]["targets"][i]
    return target["state"], target["reason"]


def becomes(lb, state, reason=None, i=0):
    eventually(lambda: health(lb, i) == (state, reason), f"{state}, {reason}", 12.0)


def status(code, *fields, **keywords):
    """A target that answers everything so."""
    return t.serve(lambda server, request: server.respond(request, code, *fields, **keywords))


# --- how it asks

def test_an_http2_group_is_asked_over_http2_as_elb_does_it(tenbin, origins):
    app = origins(t.serve())
    web = tenbin(text("interval: 30s"), app=app.address)
    becomes(web, "healthy")
    request, = app.requests
    assert request.fields == [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", app.address),
                              ("user-agent", AGENT)]
    assert request.ended and not request.body
    connection, = app.connections
    eventually(lambda: connection.server.closed, "the end of the connection")
    assert connection.server.goaways == [NO_ERROR]
    client = H2Client(web.port())
    assert client.get("/").status == 200
    client.close()


def test_path_host_and_port_are_those_of_the_file(tenbin, origins):
    app, other = origins(t.serve()), origins(t.serve())
    web = tenbin(text(f"{QUICK}, path: '/up?x=1', host: app.internal, port: {other.port}"), app=app.address)
    becomes(web, "healthy")
    request = other.requests[0]
    assert (request[":path"], request[":authority"]) == ("/up?x=1", "app.internal")
    assert not app.requests


@pytest.mark.parametrize("check, asked", [
    ("protocol: http", (":method", "GET")), ("protocol: grpc", (":method", "POST")), ("protocol: tcp", None),
])
@pytest.mark.parametrize("version", ["http2", "grpc"])
def test_another_protocol_can_be_asked_for(tenbin, origins, version, check, asked):
    def answer(server, request):
        if request[":method"] == "GET":
            server.respond(request, 200)
        else:
            server.respond(request, 200, ("content-type", "application/grpc"), ("grpc-status", "12"))
    app = origins(t.serve(answer))
    web = tenbin(text(f"{QUICK}, {check}", version), app=app.address)
    becomes(web, "healthy")
    assert not app.requests if asked is None else app.requests[0].fields[0] == asked


@pytest.mark.parametrize("matcher, code, good", [
    ('"200"', 200, True), ('"200"', 204, False), ('"200-299"', 204, True), ('"200,404"', 404, True), ('"200"', 503, False),
])
def test_the_matcher_decides(tenbin, origins, matcher, code, good):
    web = tenbin("health_check_log: {path: $dir/checks.log}\n" + text(f"{QUICK}, matcher: {matcher}"),
                 app=origins(status(code)).address)
    becomes(web, *(["healthy"] if good else ["unhealthy", "Target.ResponseCodeMismatch"]))
    log = web.dir / "checks.log"
    eventually(lambda: log.exists() and log.read_text(), "a line")
    fields = log.read_text().splitlines()[0].split()
    assert (fields[0], *fields[5:]) == ("http", *(("PASS", str(code), "-") if good else
                                                  ("FAIL", str(code), "ResponseCodeMismatch")))
    if not good:
        web.says(rf"target \S+ of app is unhealthy: Target\.ResponseCodeMismatch, status {code}")


def test_a_reload_to_another_version_asks_another_question(tenbin, origins):
    def script(peer):
        try:
            t.serve()(peer)
        except h2.exceptions.ProtocolError:
            pass  # HTTP/1.1
    app = origins(script)
    web = tenbin(text(version="http1"), app=app.address)
    becomes(web, "unhealthy", "Target.FailedHealthChecks")
    web.reload(text())
    becomes(web, "healthy")
    assert app.requests[0][":method"] == "GET"
    web.reload(text(version="grpc"))
    becomes(web, "unhealthy", "Target.FailedHealthChecks")
    assert app.requests[-1].fields[:1] == [(":method", "POST")]
    assert app.requests[-1][":path"] == "/AWS.ALB/healthcheck"


# --- TLS

CA = "tls: {ca: $certs/a.pem, server_name: a.test},"


@pytest.mark.parametrize("protocol", ["https", "http"])
def test_an_https_check_agrees_on_h2(tenbin, origins, store, protocol):
    """Of a group with TLS, and of one whose `tls:` is for its checks alone."""
    alpn = []
    def script(peer):
        alpn.append(peer.sock.selected_alpn_protocol())
        t.serve()(peer)
    app = origins(script, tls=tls_of(store, "http/1.1", "h2"))
    web = tenbin(text(f"{QUICK}, protocol: https", protocol=protocol, tls=CA), app=app.address, certs=store)
    becomes(web, "healthy")
    assert app.requests[0].fields[:2] == [(":method", "GET"), (":scheme", "https")]
    assert set(alpn) == {"h2"}


@pytest.mark.parametrize("version", ["http2", "grpc"])
@pytest.mark.parametrize("protocols", [(), ("http/1.1",)])
def test_a_target_that_does_not_choose_h2_is_unhealthy_with_the_reason(tenbin, origins, store, version, protocols):
    app = origins(o.serve, tls=tls_of(store, *protocols))
    web = tenbin(text(version=version, protocol="https", tls=CA), app=app.address, certs=store)
    becomes(web, "unhealthy", "Target.FailedHealthChecks")
    web.says(r"target \S+ of app is unhealthy: Target\.FailedHealthChecks, HTTP/2 was not agreed on by ALPN")
    assert not app.requests


def test_a_certificate_that_is_not_trusted_fails_the_check(tenbin, origins, store):
    web = tenbin(text(protocol="https", tls="tls: {ca: $certs/a.pem},"), app=origins(t.serve(), tls=tls_of(store, "h2")).address,
                 certs=store)
    becomes(web, "unhealthy", "Target.FailedHealthChecks")
    web.says(r"Target\.FailedHealthChecks, .*(verify|certificate|mismatch)")


# --- targets that break the rules

def frame(kind, payload=b"", flags=0, stream=0):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


OK_HEAD = frame(HEADERS, b"\x88", END_HEADERS | END_STREAM, 1)
EARLY_HINTS = frame(HEADERS, b"\x08\x03103", END_HEADERS, 1)
NO_END = frame(HEADERS, b"\x88", 0, 1)
GRPC_HEAD = frame(HEADERS, b"\x88", END_HEADERS, 1)


def says(*pieces):
    """Sends these bytes, reads nothing, and waits for the end."""
    def script(peer):
        peer.sock.sendall(b"".join(pieces))
        peer.wait_for_end()
    return script


def floods(first, again):
    """Sends `again` over and over, as fast as it is taken, and never reads."""
    def script(peer):
        peer.sock.sendall(t.GREETING + first)
        while True:
            peer.sock.sendall(again * (1 + 65536 // len(again)))
    return script


def leaves(*pieces):
    def script(peer):
        peer.sock.recv(65536)
        peer.sock.sendall(b"".join(pieces))
    return script


def trickles(peer):
    """A long answer, octet by octet."""
    for octet in t.GREETING + frame(HEADERS, b"\x88" + b"\x00\x01a\x7f\x00" + b"x" * 127 * 100, END_HEADERS, 1):
        peer.sock.sendall(bytes([octet]))
        time.sleep(0.03)


FAILED = "Target.FailedHealthChecks"
NO_H2, TOO_MUCH = ", it does not speak HTTP/2", ", it says too much"

BAD = {
    "silence": (t.silent, "Target.Timeout"),
    "only_settings": (says(t.GREETING), "Target.Timeout"),
    "trickle": (trickles, "Target.Timeout"),
    "closes": (leaves(), FAILED),
    "half_a_frame": (leaves(t.GREETING, OK_HEAD[:-1]), FAILED),
    "half_an_answer": (leaves(t.GREETING, EARLY_HINTS), FAILED),
    "http_1": (says(o.response(b"", "400 Bad Request")), FAILED + NO_H2),
    "garbage": (says(b"\x00\x01\x02garbage" * 100), FAILED + NO_H2),
    "no_settings": (says(OK_HEAD), FAILED + NO_H2),
    "data_before_the_head": (says(t.GREETING, frame(DATA, b"x", 0, 1)), FAILED),
    "a_push": (says(t.GREETING, frame(SETTINGS, b"", ACK), frame(PUSH_PROMISE, b"\0\0\0\2\x82\x86\x84", END_HEADERS, 1)), FAILED),
    "a_bad_status": (says(t.GREETING, frame(HEADERS, b"\x08\x0320x", END_HEADERS, 1)), FAILED),
    "a_reset": (says(t.GREETING, frame(RST_STREAM, b"\0\0\0\7", 0, 1)), FAILED),
    "a_refusal": (says(t.GREETING, frame(GOAWAY, bytes(8))), FAILED),
    "garbage_for_ever": (floods(b"", b"x" * 9), FAILED),
    "interim_heads": (floods(b"", EARLY_HINTS), FAILED),
    "pings": (floods(b"", frame(PING, bytes(8))), FAILED),
    "settings": (floods(b"", t.GREETING), FAILED),
    "continuations": (floods(NO_END, frame(CONTINUATION, b"\x00\x01a\x01b", 0, 1)), FAILED),
    "unknown_frames": (floods(b"", frame(0x20, bytes(16000))), FAILED + TOO_MUCH),
    "empty_frames": (floods(b"", frame(0x20)), FAILED + TOO_MUCH),
}

BAD_CALLS = {
    "megabytes": (floods(GRPC_HEAD, frame(DATA, bytes(16000), 0, 1)), FAILED + TOO_MUCH),
    "padding": (floods(GRPC_HEAD, frame(DATA, b"\xfe" + bytes(254), PADDED, 1)), FAILED + TOO_MUCH),
    "empty_data": (floods(GRPC_HEAD, frame(DATA, b"", 0, 1)), FAILED + TOO_MUCH),
    "no_trailers": (says(t.GREETING, GRPC_HEAD, frame(DATA, b"\0\0\0\0\0", END_STREAM, 1)), FAILED),
    "half_a_call": (leaves(t.GREETING, GRPC_HEAD), FAILED),
}


@pytest.mark.parametrize("version, bad", [("http2", BAD), ("grpc", BAD_CALLS)])
def test_targets_that_answer_badly_are_unhealthy_and_cost_little(tenbin, origins, version, bad):
    """All of them at the same time."""
    good = origins(status(200, ("grpc-status", "12")))
    apps = {name: origins(script).address for name, (script, _) in bad.items()}
    web = tenbin(text("interval: 1s, timeout: 900ms, healthy_threshold: 1, unhealthy_threshold: 1", version,
                      targets=", ".join(f'"${name}"' for name in [*apps, "good"])), good=good.address, **apps)
    for i, (name, (_, verdict)) in enumerate(bad.items()):
        reason, _, why = verdict.partition(", ")
        becomes(web, "unhealthy", reason, i)
        web.says(rf"target {apps[name]} of app is unhealthy: {re.escape(verdict)}\n")
    becomes(web, "healthy", i=len(bad))
    descriptors, memory, share = web.status()["descriptors"], web.rss_bytes(), web.cpu_share(2)
    assert share < 0.5
    assert web.rss_bytes() < memory + (8 << 20)
    assert web.status()["descriptors"] <= descriptors + len(bad)
    client = H2Client(web.port())
    assert client.request("POST", "/", body=b"x").status == 200
    client.close()


def test_large_bodies_are_not_read(tenbin, origins):
    """The head is the answer."""
    web = tenbin(text(), app=origins(floods(GRPC_HEAD, frame(DATA, bytes(16000), 0, 1))).address)
    becomes(web, "healthy")
    assert web.cpu_share(1) < 0.5
