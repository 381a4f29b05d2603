"""Checks over TLS: what they say, whom they trust, what they make of a handshake that fails."""

import socket
import ssl
import threading

import pytest

import certs
import origin as o
from lb import eventually

QUICK = "interval: 200ms, timeout: 150ms, healthy_threshold: 1, unhealthy_threshold: 2"

GROUP = """
listeners:
  - {name: web, listen: "127.0.0.1:$web", protocol: %s, default_action: {forward: app}}
target_groups:
  - {name: app, protocol: %s, tls: %s, health_check: {%s}, targets: ["$app"]}
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    directory = tmp_path_factory.mktemp("certs")
    certs.make(directory, "ca")
    certs.make(directory, "target", "target.test", "127.0.0.1", issuer="ca")
    certs.make(directory, "named", "target.test", issuer="ca")
    certs.make(directory, "stranger", "target.test", "127.0.0.1")
    return directory


def secure(store, name="target"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(store / f"{name}.pem", store / f"{name}.key")
    context.set_alpn_protocols(["http/1.1"])
    return context


def start(tenbin, store, target, tls="{ca: $certs/ca.pem}", check=QUICK, group="https"):
    front = "tcp" if group in ("tcp", "tls") else "http"
    return tenbin(GROUP % (front, group, tls, check), app=target.address, certs=store)


def health(lb):
    target, = lb.status()["groups"][0]["targets"]
    return target["state"], target["reason"]


def becomes(lb, state):
    eventually(lambda: health(lb)[0] == state, f"the state {state}", 8.0)


def test_an_https_group_is_checked_over_https_as_its_traffic_is(tenbin, origins, store):
    alpn = []
    def script(peer):
        alpn.append(peer.sock.selected_alpn_protocol())
        o.serve(peer)
    target = origins(script, tls=secure(store))
    web = start(tenbin, store, target, check="interval: 30s")
    becomes(web, "healthy")
    request, = target.requests
    assert request.raw == (f"GET / HTTP/1.1\r\nHost: {target.address}\r\nConnection: close\r\n"
                           "User-Agent: ELB-HealthChecker/2.0\r\n\r\n").encode()
    assert alpn == ["http/1.1"]
    assert web.connect().get("/x").status == 200


@pytest.mark.parametrize("name, tls, good", [
    ("target", "{ca: $certs/ca.pem}", True),
    ("named", "{ca: $certs/ca.pem, server_name: target.test}", True),
    ("named", "{ca: $certs/ca.pem}", False),
    ("stranger", "{ca: $certs/ca.pem}", False),
    ("stranger", "{verify: false}", True),
])
@pytest.mark.parametrize("protocol", ["https", "tls"])
def test_checks_trust_whom_the_traffic_trusts(tenbin, origins, store, name, tls, good, protocol):
    web = start(tenbin, store, origins(tls=secure(store, name)), tls, f"{QUICK}, protocol: {protocol}")
    becomes(web, "healthy" if good else "unhealthy")
    if not good:
        assert health(web)[1] == "Target.FailedHealthChecks"
        web.says(r"target \S+ of app is unhealthy: Target\.FailedHealthChecks, .*(verify|certificate|mismatch)")


def test_a_tls_check_of_a_tcp_group_shakes_hands_and_says_nothing(tenbin, origins, store):
    seen = []
    def script(peer):
        seen.append((peer.sock.version(), peer.sock.recv(100)))
    target = origins(script, tls=secure(store))
    web = start(tenbin, store, target, check=f"{QUICK}, protocol: tls", group="tcp")
    becomes(web, "healthy")
    eventually(lambda: len(seen) >= 3, "three checks")
    assert set(seen) == {("TLSv1.3", b"")} and target.handshake_errors == []
    assert web.status()["pools"]["links"] == 0


def test_the_answer_of_an_https_check_is_judged(tenbin, origins, store):
    target = origins(o.reply(o.response(b"", "503 No")), tls=secure(store))
    web = start(tenbin, store, target, check=f"{QUICK}, protocol: https, path: /up, host: app.internal", group="tcp")
    becomes(web, "unhealthy")
    assert health(web)[1] == "Target.ResponseCodeMismatch"
    assert (target.requests[0].target, target.requests[0]["host"]) == ("/up", "app.internal")


def plain(peer):
    peer.sock.recv(4096)
    peer.send(o.response(b"", "400 Bad Request"))


def silent(peer):
    peer.wait_for_end()


def flood(peer):
    try:
        for _ in range(64):
            peer.send(b"\x16\x03\x03\x40\x00" + b"x" * (1 << 20))
    except OSError:
        pass


def leave(peer):
    peer.sock.recv(10)


@pytest.mark.parametrize("script, reason", [
    (plain, "FailedHealthChecks"), (silent, "Timeout"), (flood, "FailedHealthChecks"), (leave, "FailedHealthChecks"),
], ids=lambda p: getattr(p, "__name__", ""))
def test_a_handshake_that_fails_is_a_failed_check(tenbin, origins, store, script, reason):
    web = start(tenbin, store, origins(script))
    becomes(web, "unhealthy")
    assert health(web)[1] == f"Target.{reason}"
    descriptors, memory = web.status()["descriptors"], web.rss_bytes()
    eventually(lambda: len(web.status()["groups"]) == 1, "an answer")
    threading.Event().wait(1.5)
    assert web.rss_bytes() < memory + (8 << 20)
    assert web.status()["descriptors"] <= descriptors + 2


def test_tls_of_a_plain_group_is_for_its_checks_only(tenbin, store):
    """Traffic goes to the plain port, checks to the one with TLS."""
    with socket.socket() as plain_port:
        plain_port.bind(("127.0.0.1", 0))
        plain_port.listen(8)
        target = o.Origin(tls=secure(store))
        try:
            address = "127.0.0.1:%d" % plain_port.getsockname()[1]
            web = tenbin(GROUP % ("tcp", "tcp", "{ca: $certs/ca.pem}", f"{QUICK}, protocol: https, port: {target.port}"),
                         app=address, certs=store)
            becomes(web, "healthy")
            client = web.connect()
            client.send("hello")
            plain_port.settimeout(5)
            peer, _ = plain_port.accept()
            with peer:
                assert peer.recv(5) == b"hello"
        finally:
            target.close()
