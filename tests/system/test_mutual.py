"""Mutual TLS: which clients get in, and what targets are told of them."""

import re
import ssl
import subprocess
import urllib.parse

import pytest

import certs
import h2origin
import lb as lb_module
from authority import Authority
from h2client import H2Client
from lb import eventually
from test_tls import TlsClient, client_context, connect

MUTUAL = """
listeners:
  - name: web
    listen: "127.0.0.1:$web"
    protocol: https
    certificates: [{certificate: $certs/server.pem, key: $certs/server.key}]
    mutual_authentication: %s
    attributes: {x_amzn_tls_version_and_cipher_suite: $tell}
    default_action: {forward: app}
  - name: raw
    listen: "127.0.0.1:$raw"
    protocol: tls
    certificates: [{certificate: $certs/server.pem, key: $certs/server.key}]
    mutual_authentication: %s
    default_action: {forward: raw}
target_groups:
  - {name: app, targets: ["$app"]}
  - {name: raw, protocol: tcp, targets: ["$app"]}
"""
VERIFY = "{mode: verify, trust_store: $certs/authority.pem, revocations: [$certs/crl.pem]}"
PASSTHROUGH = MUTUAL % ("{mode: passthrough}", "{mode: off}")
PREFIX = "x-amzn-mtls-clientcert"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    directory = tmp_path_factory.mktemp("mutual")
    certs.make(directory, "server", "a.test")
    certs.make(directory, "stranger")
    authority = Authority(directory)
    authority.issue("good", subject="/C=JP/O=tenbin, Ltd/OU=東京/CN=good")
    authority.issue("expired", begin=-20, end=-10)
    authority.issue("early", begin=10, end=20)
    authority.issue("revoked")
    authority.issue("server_only", usage="serverAuth")
    authority.issue("short_rsa", key=("rsa:1024",))
    authority.issue("ed25519", key=("ed25519",))
    authority.revoke("revoked")
    authority.revocations()
    authority.revocations("outdated", begin=-20, end=-10)
    deep = authority
    for n in range(5):
        deep.issue(f"depth{n}")
        deep = Authority(directory, f"between{n}", deep)
    deep.issue("depth5")
    return directory


def mutual(tenbin, origin, store, how=VERIFY, raw=VERIFY, tell="false"):
    return tenbin(MUTUAL % (how, raw), app=origin.address, certs=store, tell=tell)


def shows(store, name, chain=(), alpn=(), **keywords):
    """A context that shows the certificate, and those of the authorities between."""
    context = client_context(*alpn, **keywords)
    if name:
        whole = store / f"{name}.shown"
        whole.write_text("".join((store / f"{each}.pem").read_text() for each in (name, *chain)))
        context.load_cert_chain(whole, store / f"{name}.key")
    return context


def is_refused(lb, context, where="web"):
    """TLS 1.3 clients hear of it only after their part of the handshake."""
    try:
        client = connect(lb, where, context=context)
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        return client.sock.recv(1) == b""
    except (ssl.SSLError, ConnectionError):
        return True


def told(request):
    return {k.lower(): v for k, v in request.fields if k.lower().startswith("x-amzn-mtls")}


# --- verify

@pytest.mark.parametrize("maximum", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
def test_a_good_client_is_served_and_the_target_told_who_it_is(tenbin, origin, store, maximum):
    lb = mutual(tenbin, origin, store)
    client = connect(lb, context=shows(store, "good", maximum=maximum))
    for _ in range(2):
        assert client.get("/").status == 200
    for request in origin.requests:
        values = told(request)
        assert values.pop(f"{PREFIX}-serial-number") == "03A5B1"
        assert values.pop(f"{PREFIX}-issuer") == "CN=authority,O=tenbin tests"
        assert values.pop(f"{PREFIX}-subject") == r"CN=good,OU=\E6\9D\B1\E4\BA\AC,O=tenbin\, Ltd,C=JP"
        moment = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
        assert re.fullmatch(f"NotBefore={moment};NotAfter={moment}", values.pop(f"{PREFIX}-validity"))
        leaf = values.pop(f"{PREFIX}-leaf")
        assert re.fullmatch(r"[A-Za-z0-9+/=%._~-]+", leaf) and leaf.startswith("-----BEGIN%20CERTIFICATE-----%0A")
        assert urllib.parse.unquote(leaf) == (store / "good.pem").read_text()
        assert not values


@pytest.mark.parametrize("maximum", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
@pytest.mark.parametrize("name", [None, "stranger", "expired", "early", "revoked", "server_only", "short_rsa", "ed25519"])
def test_others_are_refused(tenbin, origin, store, name, maximum):
    lb = mutual(tenbin, origin, store)
    context = shows(store, name, maximum=maximum, ciphers="DEFAULT:@SECLEVEL=0")
    assert is_refused(lb, context) and is_refused(lb, context, "raw")
    eventually(lambda: lb.status()["reasons"].get("client_tls_error") == 2, "both are counted")
    assert not origin.requests


def test_a_chain_has_three_authorities_between_leaf_and_root_at_most(tenbin, origin, store):
    lb = mutual(tenbin, origin, store)
    between = [f"between{n}" for n in range(5)]
    for depth in range(6):
        context = shows(store, f"depth{depth}", reversed(between[:depth]))
        if depth <= 3:
            assert connect(lb, context=context).get("/").status == 200
        else:
            assert is_refused(lb, context)


def test_expiry_can_be_ignored_but_nothing_else(tenbin, origin, store):
    how = VERIFY.replace("{", "{ignore_client_certificate_expiry: true, ")
    lb = mutual(tenbin, origin, store, how)
    assert connect(lb, context=shows(store, "expired")).get("/").status == 200
    assert is_refused(lb, shows(store, "early")) and is_refused(lb, shows(store, "revoked"))


def test_an_outdated_list_refuses_and_is_warned_of(tenbin, origin, store):
    lb = mutual(tenbin, origin, store, VERIFY.replace("crl.pem", "outdated.pem"))
    assert is_refused(lb, shows(store, "good"))
    lb.says("outdated")


def test_without_lists_the_revoked_get_in(tenbin, origin, store):
    lb = mutual(tenbin, origin, store, "{mode: verify, trust_store: $certs/authority.pem}")
    assert connect(lb, context=shows(store, "revoked")).get("/").status == 200


def test_an_intermediate_alone_can_be_trusted(tenbin, origin, store):
    lb = mutual(tenbin, origin, store, "{mode: verify, trust_store: $certs/between0.pem}")
    assert connect(lb, context=shows(store, "depth1")).get("/").status == 200
    assert is_refused(lb, shows(store, "good"))


def test_bytes_of_a_good_client_pass_a_tls_listener(tenbin, origin, store):
    lb = mutual(tenbin, origin, store)
    assert connect(lb, "raw", context=shows(store, "good")).get("/").status == 200
    assert not told(origin.request)


@pytest.mark.parametrize("maximum", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
@pytest.mark.parametrize("how", [VERIFY, "{mode: passthrough}"], ids=["verify", "passthrough"])
def test_no_session_is_resumed(tenbin, origin, store, how, maximum):
    lb = mutual(tenbin, origin, store, how)
    context = shows(store, "good", maximum=maximum)
    client = connect(lb, context=context)
    assert client.get("/").status == 200
    again = TlsClient(lb.port(), context=context, session=client.sock.session)
    lb.clients.append(again)
    assert again.get("/").status == 200 and not again.sock.session_reused


@pytest.mark.parametrize("advertise, words", [("on", "CN = authority"), ("off", "No client certificate CA names sent")])
def test_names_of_authorities_are_told_when_asked_for(tenbin, origin, store, advertise, words):
    lb = mutual(tenbin, origin, store, VERIFY.replace("{", f"{{advertise_trust_store_ca_names: {advertise}, "))
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{lb.port()}", "-cert", store / "good.pem",
                           "-key", store / "good.key"], input="", capture_output=True, text=True, timeout=20)
    assert words in done.stdout


# --- passthrough

def test_any_chain_is_shown_to_the_target(tenbin, origin, store):
    lb = mutual(tenbin, origin, store, "{mode: passthrough}", "{mode: off}")
    for name, chain in (("stranger", ()), ("expired", ()), ("depth2", ("between1", "between0"))):
        assert connect(lb, context=shows(store, name, chain)).get("/").status == 200
        values = told(origin.requests[-1])
        assert list(values) == [PREFIX]
        assert urllib.parse.unquote(values[PREFIX]) == (store / f"{name}.shown").read_text()


def test_a_client_without_a_certificate_is_served_and_nothing_told(tenbin, origin, store):
    lb = mutual(tenbin, origin, store, "{mode: passthrough}", "{mode: off}")
    assert connect(lb).get("/").status == 200
    assert not told(origin.request)


def test_a_chain_beyond_64_kib_is_refused(tenbin, origin, store):
    lb = mutual(tenbin, origin, store, "{mode: passthrough}", "{mode: off}")
    one = len(ssl.PEM_cert_to_DER_cert((store / "between0.pem").read_text())) + 3
    fits = 65536 // one - 4
    assert connect(lb, context=shows(store, "good", ["between0"] * fits)).get("/").status == 200
    assert is_refused(lb, shows(store, "good", ["between0"] * (fits + 10)))


# --- who says so

SPOOFED = [f"X-Amzn-Mtls-Clientcert{rest}: forged" for rest in ("", "-Serial-Number", "-Issuer", "-Subject", "-Validity", "-Leaf", "-New")]
SPOOFED += ["x_amzn_mtls_clientcert_subject: forged", "X-AMZN-MTLS-CLIENTCERT-LEAF: forged", "X-Amzn-Tls-Version: forged",
            "x-amzn-tls-cipher-suite: forged"]


@pytest.mark.parametrize("how", ["{mode: off}", "{mode: passthrough}", VERIFY], ids=["off", "passthrough", "verify"])
@pytest.mark.parametrize("desync", ["monitor", "defensive"])
def test_what_a_client_says_of_itself_never_passes(tenbin, origin, store, how, desync):
    text = (MUTUAL % (how, "{mode: off}")).replace("attributes: {", f"attributes: {{desync_mitigation_mode: {desync}, ")
    lb = tenbin(text, app=origin.address, certs=store, tell="false")
    client = connect(lb, context=shows(store, "good"))
    assert client.get("/", *SPOOFED, "Connection: X-Amzn-Mtls-Clientcert-Subject").status == 200
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Amzn-Mtls-Clientcert\r\n\r\n0\r\n"
                "X-Amzn-Mtls-Clientcert: forged\r\n\r\n")
    assert client.response().status == 200
    for request in origin.requests:
        assert "forged" not in repr(request.fields) + repr(request.trailers)
        assert len(told(request)) == {"{mode: off}": 0, "{mode: passthrough}": 1, VERIFY: 5}[how]


def test_what_a_client_says_over_http2_never_passes(tenbin, origin, store):
    lb = mutual(tenbin, origin, store)
    lines = [word for line in SPOOFED for word in ("-H", line)]
    done = subprocess.run(["curl", "-sk", "--http2", "--cert", store / "good.pem", "--key", store / "good.key", *lines,
                           "-w", "%{http_version} %{http_code}", "-o", "/dev/null", f"https://127.0.0.1:{lb.port()}/"],
                          capture_output=True, text=True, timeout=20)
    assert done.stdout == "2 200"
    assert "forged" not in repr(origin.request.fields) and len(told(origin.request)) == 5


@pytest.fixture
def through_http2(tenbin, origins, store):
    """through_http2(how, ...) gives (target, client): HTTP/2 on both sides, and a good certificate."""
    clients = []

    def start(how, tell, desync="defensive"):
        app = origins(h2origin.serve())
        text = (MUTUAL % (how, "{mode: off}")).replace("{name: app,", "{name: app, protocol_version: http2,")
        text = text.replace("attributes: {", f"attributes: {{desync_mitigation_mode: {desync}, ")
        lb = tenbin(text, app=app.address, certs=store, tell=tell)
        clients.append(H2Client(lb.port(), context=shows(store, "good", alpn=["h2"])))
        return app, clients[-1]

    yield start
    for each in clients:
        each.close()


def test_targets_that_speak_http2_are_told_the_same(through_http2, store):
    app, client = through_http2(VERIFY, tell="true")
    for n in range(2):
        assert client.get("/").status == 200
        values = told(app.requests[n])
        assert values.pop(f"{PREFIX}-serial-number") == "03A5B1" and values.pop(f"{PREFIX}-issuer") == "CN=authority,O=tenbin tests"
        assert values.pop(f"{PREFIX}-subject") == r"CN=good,OU=\E6\9D\B1\E4\BA\AC,O=tenbin\, Ltd,C=JP"
        assert values.pop(f"{PREFIX}-validity").startswith("NotBefore=")
        assert urllib.parse.unquote(values.pop(f"{PREFIX}-leaf")) == (store / "good.pem").read_text() and not values
        assert app.requests[n]["x-amzn-tls-version"] == "TLSv1.3"
        assert app.requests[n]["x-amzn-tls-cipher-suite"] == "TLS_AES_128_GCM_SHA256"
        assert all(name == name.lower() for name in app.requests[n].names())


@pytest.mark.parametrize("how", ["{mode: off}", "{mode: passthrough}", VERIFY], ids=["off", "passthrough", "verify"])
@pytest.mark.parametrize("desync", ["monitor", "defensive"])
def test_what_a_client_says_of_itself_never_passes_to_http2(through_http2, how, desync):
    app, client = through_http2(how, "false", desync)
    spoofed = [tuple(line.lower().split(": ")) for line in SPOOFED]
    assert client.get("/", *spoofed, ("x-other", "passes")).status == 200
    stream = client.start("POST", "/", *spoofed, body=b"body", end=False)
    client.h2.send_headers(stream, [("x-amzn-mtls-clientcert", "forged")], end_stream=True)
    client.flush()
    assert client.finish(stream).status == 200
    assert app.requests[0]["x-other"] == "passes" and app.requests[1].body == b"body" and len(app.requests) == 2
    for request in app.requests:
        assert "forged" not in repr(request.fields) + repr(request.trailers)
        assert len(told(request)) == {"{mode: off}": 0, "{mode: passthrough}": 1, VERIFY: 5}[how]


def test_targets_are_told_of_the_tls_when_asked_for(tenbin, origin, store):
    lb = mutual(tenbin, origin, store, "{mode: off}", "{mode: off}", tell="true")
    client = connect(lb, context=client_context(maximum=ssl.TLSVersion.TLSv1_2))
    assert client.get("/").status == 200
    assert origin.requests[0]["x-amzn-tls-version"] == "TLSv1.2"
    assert origin.requests[0]["x-amzn-tls-cipher-suite"] == "ECDHE-ECDSA-AES128-GCM-SHA256"
    lb.reload(MUTUAL % ("{mode: off}", "{mode: off}"), tell="false")
    assert client.get("/").status == 200
    assert "x-amzn-tls" not in repr(origin.requests[-1].fields).lower()


# --- configuration

BAD = {
    "missing": ("{mode: verify, trust_store: $certs/none.pem}", "No such file"),
    "no_ca": ("{mode: verify, trust_store: $certs/good.key}", "no certificates in PEM form"),
    "expired_ca": ("{mode: verify, trust_store: $certs/expired.pem}", "has expired"),
    "no_list": ("{mode: verify, trust_store: $certs/authority.pem, revocations: $certs/good.pem}", "no revocation lists"),
    "other_list": ("{mode: verify, trust_store: $certs/between0.pem, revocations: $certs/crl.pem}", "not signed by a CA"),
    "no_store": ("{mode: verify}", "a trust_store is needed"),
    "store_alone": ("{mode: passthrough, trust_store: $certs/authority.pem}", "means nothing without mode: verify"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_check_refuses_what_cannot_be_verified_with(tmp_path, store, name):
    how, words = BAD[name]
    path = tmp_path / "tenbin.yaml"
    path.write_text((MUTUAL % (how, "{mode: off}")).replace("$certs", str(store)).replace("$tell", "false")
                    .replace("$web", "1").replace("$raw", "2").replace("$app", "127.0.0.1:3"))
    done = lb_module.run("check", "-c", path)
    assert done.returncode == 1 and words in done.stderr and f"{path}:7:" in done.stderr, done.stderr
