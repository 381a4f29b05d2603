"""TLS with clients and with targets."""

import errno
import hashlib
import re
import socket
import ssl
import subprocess
import time

import pytest

import certs
import lb as lb_module
import origin as o
import wire
from lb import die_with_parent, eventually

HTTPS = """
timeouts: {tls_handshake: 1s}
listeners:
  - name: web
    listen: "127.0.0.1:$web"
    protocol: https
    certificates:
      - {certificate: $certs/default.pem, key: $certs/default.key}
      - {certificate: $certs/exact.pem, key: $certs/exact.key}
      - {certificate: $certs/exact_rsa.pem, key: $certs/exact_rsa.key}
      - {certificate: $certs/wild.pem, key: $certs/wild.key}
    default_action: {forward: app}
  - name: raw
    listen: "127.0.0.1:$raw"
    protocol: tls
    certificates: [{certificate: $certs/exact.pem, key: $certs/exact.key}]
    default_action: {forward: raw}
target_groups:
  - {name: app, targets: ["$app"]}
  - {name: raw, protocol: tcp, targets: ["$app"]}
"""

TARGETS = """
timeouts: {tls_handshake: 1s}
listeners:
  - {name: web, listen: "127.0.0.1:$web", protocol: http, default_action: {forward: app}}
  - {name: raw, listen: "127.0.0.1:$raw", protocol: tcp, default_action: {forward: raw}}
target_groups:
  - {name: app, protocol: https, attributes: {retries: 0}, tls: %s, targets: ["$app"]}
  - {name: raw, protocol: tls, attributes: {retries: 0}, tls: %s, targets: ["$app"]}
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The certificates of HTTPS, and those of targets signed by `ca`."""
    directory = tmp_path_factory.mktemp("certs")
    certs.make(directory, "default", "default.test")
    certs.make(directory, "exact", "a.test")
    certs.make(directory, "exact_rsa", "a.test", rsa=True)
    certs.make(directory, "wild", "*.w.test")
    certs.make(directory, "ca")
    certs.make(directory, "target", "target.test", "127.0.0.1", issuer="ca")
    certs.make(directory, "named", "target.test", issuer="ca")
    certs.make(directory, "stranger", "target.test", "127.0.0.1")
    return directory


@pytest.fixture
def https(tenbin, origin, store):
    return tenbin(HTTPS, app=origin.address, certs=store)


def client_context(*alpn, maximum=None, ciphers=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    if maximum:
        context.maximum_version = maximum
    if ciphers:
        context.set_ciphers(ciphers)
    return context


def server_context(store, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(store / f"{name}.pem", store / f"{name}.key")
    return context


class TlsClient(wire.Client):
    """A wire.Client inside of TLS."""

    def __init__(self, port, name="a.test", context=None, session=None):
        sock = socket.create_connection(("127.0.0.1", port), wire.SECONDS)
        context = context or client_context()
        wire.Stream.__init__(self, context.wrap_socket(sock, server_hostname=name, session=session))


def connect(lb, where="web", **keywords):
    client = TlsClient(lb.port(where), **keywords)
    lb.clients.append(client)
    return client


def is_certificate(client, pem):
    return client.sock.getpeercert(True) == ssl.PEM_cert_to_DER_cert(pem.read_text())


# --- what is agreed

@pytest.mark.parametrize("maximum, protocol, cipher", [
    (ssl.TLSVersion.TLSv1_3, "TLSv1.3", "TLS_AES_128_GCM_SHA256"),
    (ssl.TLSVersion.TLSv1_2, "TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
])
def test_a_request_is_served_and_logged_with_its_tls(https, origin, maximum, protocol, cipher):
    answer = connect(https, context=client_context(maximum=maximum)).get("/x")
    assert answer.status == 200
    assert origin.request["x-forwarded-proto"] == "https"
    assert origin.request["x-forwarded-port"] == str(https.port())
    line = https.log_line(path="/x")
    assert (line["type"], line["scheme"]) == ("https", "https")
    assert (line["tls_protocol"], line["tls_cipher"]) == (protocol, cipher)


def test_an_older_version_is_refused(https):
    context = client_context(ciphers="ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        connect(https, context=context)
    eventually(lambda: https.status()["reasons"].get("client_tls_error") == 1, "the failure is counted")


@pytest.mark.parametrize("name, pem", [
    ("a.test", "exact"), ("A.Test", "exact"), ("x.w.test", "wild"), ("w.test", "default"),
    ("y.x.w.test", "default"), ("other.test", "default"), (None, "default"),
])
def test_the_certificate_is_chosen_by_name(https, store, name, pem):
    client = connect(https, name=name)
    assert is_certificate(client, store / f"{pem}.pem")
    assert client.get("/").status == 200


def test_a_client_without_ecdsa_gets_the_rsa_certificate(https, store):
    context = client_context(maximum=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE-RSA-AES128-GCM-SHA256")
    assert is_certificate(connect(https, context=context), store / "exact_rsa.pem")


@pytest.mark.parametrize("offered, chosen", [
    ((), None), (("http/1.1",), "http/1.1"), (("spdy/1",), None), (("spdy/1", "http/1.1"), "http/1.1"),
])
def test_alpn_agrees_on_http_1_1_or_on_nothing(https, offered, chosen):
    client = connect(https, context=client_context(*offered))
    assert client.sock.selected_alpn_protocol() == chosen
    assert client.get("/").status == 200


@pytest.mark.parametrize("policy, good, bad", [
    ("modern", ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2),
    ("ELBSecurityPolicy-FS-1-2-Res-2020-10", ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3),
])
def test_a_policy_decides_the_version(tenbin, origin, store, policy, good, bad):
    lb = tenbin(HTTPS.replace("protocol: https", f"protocol: https\n    tls_policy: {policy}"), app=origin.address, certs=store)
    assert connect(lb, context=client_context(maximum=good)).sock.version() == good.name.replace("_", ".")
    context = client_context()
    context.minimum_version = context.maximum_version = bad
    with pytest.raises(ssl.SSLError):
        connect(lb, context=context)


# --- bad beginnings

def test_plain_http_on_a_tls_port_is_told_so(https):
    client = https.connect()
    answer = client.get("/")
    assert answer.status == 400 and b"TLS" in answer.body and answer["content-type"].startswith("text/plain")
    client.expect_end()
    assert https.status()["reasons"]["http_on_tls_port"] == 1


def test_plain_http_on_a_raw_tls_port_is_closed(https):
    https.connect("raw").send("GET / HTTP/1.1\r\n\r\n").expect_gone()


def test_a_handshake_has_a_deadline(https):
    client = https.connect()
    begin = time.monotonic()
    client.send(b"\x16\x03\x01\x02\x00")
    client.expect_gone()
    assert 0.8 < time.monotonic() - begin < 3
    assert https.status()["reasons"]["client_tls_timeout"] == 1


@pytest.mark.parametrize("data", [b"\x00" * 100, b"\x16\x03\x01\xff\xff" + b"\x01" * 100, b"\x16\x03\x01\x00\x05\x0b\x00\x00\x01\x00"])
def test_garbage_is_refused(https, data):
    client = https.connect()
    client.send(data)
    client.read_to_end()
    assert https.status()["reasons"]["client_tls_error"] == 1


def test_clients_that_leave_are_no_errors(https):
    for data in (b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"):
        https.connect().send(data).close()
    https.settle()
    assert "client_tls_error" not in {k for k, v in https.status()["reasons"].items() if v}


def test_a_stalled_handshake_costs_no_cpu(https):
    for _ in range(20):
        https.connect().send(b"\x16\x03\x01\x02\x00")
    assert https.cpu_share(0.5) < 0.1


# --- bytes

@pytest.mark.limit(120)
@pytest.mark.parametrize("maximum", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
def test_large_bodies_pass_unchanged_both_ways(tenbin, origins, store, maximum):
    up, down = b"0123456789abcdef" * 700000, b"fedcba98765432" * 600000 + b"!"
    sums = []

    def exchange(request):
        sums.append(hashlib.sha256(request.body).digest())
        return o.response(down)

    lb = tenbin(HTTPS, app=origins(o.reply(exchange)).address, certs=store)
    client = connect(lb, context=client_context(maximum=maximum)).timeout(60)
    for _ in range(2):
        assert client.post("/", body=up).body == down
    assert sums == [hashlib.sha256(up).digest()] * 2


def test_pipelined_requests_in_one_record_are_all_answered(https, origin):
    client = connect(https)
    client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a.test\r\n\r\n" % n for n in range(100)))
    for _ in range(100):
        assert client.response().status == 200
    assert [request.target for request in origin.requests] == [f"/{n}" for n in range(100)]


def test_a_slow_reader_gets_the_whole_body(tenbin, origins, store):
    body = bytes(range(256)) * 8192
    lb = tenbin(HTTPS, app=origins(o.reply(o.response(body))).address, certs=store)
    client = connect(lb)
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    time.sleep(1)
    assert lb.cpu_share(0.5) < 0.1
    assert client.response().body == body


def test_raw_bytes_go_both_ways(tenbin, origins, store):
    lb = tenbin(HTTPS, app=origins(o.echo).address, certs=store)
    client = connect(lb, "raw")
    data = bytes(range(256)) * 4096
    for begin in range(0, len(data), 100000):
        piece = data[begin:begin + 100000]
        client.send(piece)
        assert client.read_exactly(len(piece)) == piece
    client.sock.unwrap()
    client.close()
    line = lb.log_line(type="tls")
    assert (line["received_bytes"], line["sent_bytes"], line["reason"]) == (len(data), len(data), None)
    assert line["tls_protocol"] == "TLSv1.3"


# --- tickets

def resumed(lb, context, session=None):
    client = TlsClient(lb.port(), context=context, session=session)
    try:
        assert client.get("/").status == 200
        return client.sock.session_reused, client.sock.session
    finally:
        client.close()


@pytest.mark.parametrize("maximum", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
def test_a_session_is_resumed_by_every_worker_and_after_a_reload(tenbin, origin, store, maximum):
    text = "workers: 4\n" + HTTPS
    lb = tenbin(text, app=origin.address, certs=store)
    context = client_context(maximum=maximum)
    reused, session = resumed(lb, context)
    assert not reused
    for n in range(24):
        reused, session = resumed(lb, context, session)
        assert reused, n
        if n == 12:
            lb.reload(text + "  - {name: more, targets: []}\n")


def test_two_of_a_fleet_resume_each_other_s_sessions(tenbin, origin, store, tmp_path):
    key, other = "ab" * 32, "cd" * 32
    (tmp_path / "one").write_text(f"{key}\n")
    (tmp_path / "two").write_text(f"# new first\n{other}\n{key}\n")
    one = tenbin(f"keys: {{tickets: {tmp_path}/one}}\n" + HTTPS, app=origin.address, certs=store)
    two = tenbin(f"keys: {{tickets: {tmp_path}/two}}\n" + HTTPS, app=origin.address, certs=store)
    three = tenbin(HTTPS, app=origin.address, certs=store)
    context = client_context()
    _, session = resumed(one, context)
    assert resumed(two, context, session)[0]
    _, session = resumed(one, context)
    assert not resumed(three, context, session)[0]


# --- reload

CHANGING = """
listeners:
  - name: web
    listen: "127.0.0.1:$web"
    protocol: https
    certificates: [{certificate: %s.pem, key: %s.key}]
    default_action: {forward: app}
target_groups:
  - {name: app, targets: ["$app"]}
"""


@pytest.mark.tsan
@pytest.mark.limit(120)
@pytest.mark.parametrize("lines", [(), ("Connection: close",)], ids=["keep_alive", "new_connections"])
def test_certificates_change_under_load_and_no_request_fails(tenbin, origin, store, lines):
    def text(n):
        name = store / ("exact", "default")[n % 2]
        return CHANGING % (name, name)

    lb = tenbin(text(0), app=origin.address)
    first = connect(lb)
    headers = [word for line in lines for word in ("-H", line)]
    load = subprocess.Popen(["wrk", "-t1", "-c8", "-d60s", "--timeout", "10s", *headers, f"https://127.0.0.1:{lb.port()}/"],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=die_with_parent)
    try:
        for n in range(1, 41):
            lb.reload(text(n))
            client = connect(lb)
            assert is_certificate(client, store / f"{('exact', 'default')[n % 2]}.pem")
            client.close()
        assert load.poll() is None
        load.send_signal(2)
        said = load.communicate(timeout=30)[0]
    finally:
        load.kill()
        load.wait()
    assert int(re.search(r"(\d+) requests in", said).group(1)) > 100, said
    assert not re.findall(r"Socket errors.*|Non-2xx.*|unable.*", said), said
    assert first.get("/").status == 200
    eventually(lambda: lb.status()["snapshots_live"] == 1, "one live snapshot")


def test_a_bad_certificate_refuses_the_reload_and_the_old_one_serves(tenbin, origin, store, tmp_path):
    lb = tenbin(CHANGING % (store / "exact", store / "exact"), app=origin.address)
    lb.write(CHANGING % (store / "exact", store / "default"))
    lb.hup()
    eventually(lambda: lb.status()["reloads"]["failed"] == 1, "the refusal")
    assert "does not belong to the certificate" in lb.status()["reloads"]["last_error"]
    assert is_certificate(connect(lb), store / "exact.pem")


BAD = {
    "missing": ("$dir/none.pem", "$certs/exact.key", 6, "No such file"),
    "not_pem": ("$dir/tenbin.yaml", "$certs/exact.key", 6, "no certificates in PEM form"),
    "other_key": ("$certs/exact.pem", "$certs/default.key", 7, "does not belong"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_check_names_the_file_and_the_reason(tmp_path, store, name):
    certificate, key, line, words = BAD[name]
    path = tmp_path / "tenbin.yaml"
    path.write_text(f"""listeners:
  - name: web
    listen: "127.0.0.1:1"
    protocol: https
    certificates:
      - certificate: {certificate}
        key: {key}
    default_action: {{fixed_response: {{status_code: 200}}}}
""".replace("$certs", str(store)).replace("$dir", str(tmp_path)))
    done = lb_module.run("check", "-c", path)
    assert done.returncode == 1
    assert f"{path}:{line}:" in done.stderr and words in done.stderr, done.stderr


@pytest.mark.parametrize("policy, words", [
    ("ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", "post-quantum"), ("intermediat", "intermediate"),
])
def test_a_policy_that_cannot_be_had_is_an_error(tmp_path, store, policy, words):
    path = tmp_path / "tenbin.yaml"
    path.write_text((CHANGING % (store / "exact", store / "exact")).replace("protocol: https", f"protocol: https\n    tls_policy: {policy}")
                    .replace("$web", "1").replace("$app", "127.0.0.1:2"))
    done = lb_module.run("check", "-c", path)
    assert done.returncode == 1 and words in done.stderr, done.stderr


def kernel_has_tls():
    """As tenbin asks it: without a connection a kernel with the module "tls" says so."""
    with socket.socket() as asked:
        try:
            asked.setsockopt(socket.IPPROTO_TCP, 31, b"tls")  # TCP_ULP
        except OSError as e:
            return e.errno == errno.ENOTCONN
    return True


def tls_connections(lb, listener="web"):
    return {k: int(v) for k, v in lb.metrics().items() if k.startswith("tenbin_tls_connections_total") and f'listener="{listener}"' in k}


def counted(no, yes, listener="web"):
    name = 'tenbin_tls_connections_total{listener="%s",offloaded="%s"}'
    return {name % (listener, "no"): no, name % (listener, "yes"): yes}


def test_ktls_is_used_where_it_can_be_had_and_else_told_why_not(tenbin, origin, store):
    lb = tenbin("tls: {ktls: true}\n" + HTTPS, app=origin.address, certs=store)
    can = kernel_has_tls()
    if not can:
        lb.says("warning: tls.ktls is not available: .*; TLS stays in user space")
    for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
        assert connect(lb, context=client_context(maximum=version)).get("/").status == 200
    assert tls_connections(lb) == (counted(0, 2) if can else counted(2, 0))
    status = next(each for each in lb.status()["listeners"] if each["name"] == "web")
    assert (status["tls_connections_total"], status["tls_connections_offloaded"]) == (2, 2 if can else 0)


def test_handshakes_that_succeeded_are_counted_and_others_are_not(tenbin, origin, store):
    lb = tenbin(HTTPS, app=origin.address, certs=store)
    assert tls_connections(lb) == {}
    assert connect(lb).get("/").status == 200
    assert wire.Client(lb.port()).send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").response().status == 400
    assert tls_connections(lb) == counted(1, 0) and tls_connections(lb, "raw") == {}


# --- targets

def targets(tls):
    return TARGETS % (tls, tls)


@pytest.mark.parametrize("name, tls", [
    ("target", "{ca: $certs/ca.pem}"),
    ("named", "{ca: $certs/ca.pem, server_name: target.test}"),
    ("stranger", "{verify: false}"),
])
def test_a_target_that_is_who_it_should_be_serves(tenbin, origins, store, name, tls):
    target = origins(tls=server_context(store, name))
    lb = tenbin(targets(tls), app=target.address, certs=store)
    client = lb.connect()
    for _ in range(5):
        assert client.get("/").status == 200
    assert len(target.connections) == 1
    assert target.requests[0]["x-forwarded-proto"] == "http"
    assert ("are not verified" in lb.stderr()) == ("verify: false" in tls)


@pytest.mark.parametrize("name, tls, why", [
    ("stranger", "{ca: $certs/ca.pem}", "self-signed certificate"),
    ("named", "{ca: $certs/ca.pem}", "IP address mismatch"),
    ("target", "{ca: $certs/ca.pem, server_name: other.test}", "hostname mismatch"),
    ("target", "{}", "unable to get local issuer certificate"),
])
def test_another_is_a_502_that_says_why(tenbin, origins, store, name, tls, why):
    target = origins(tls=server_context(store, name))
    lb = tenbin(targets(tls), app=target.address, certs=store)
    assert lb.connect().get("/x").status == 502
    assert lb.log_line(path="/x")["reason"] == "target_tls_error"
    assert why in lb.stderr()
    lb.connect("raw").expect_reset()
    assert lb.log_line(type="tcp")["reason"] == "target_tls_error"
    assert target.requests == []


def test_a_target_without_tls_is_a_502(tenbin, origins, store):
    lb = tenbin(targets("{verify: false}"), app=origins(o.hold_broken).address)
    begin = time.monotonic()
    assert lb.connect().get("/x").status == 504
    assert 0.8 < time.monotonic() - begin < 3
    assert lb.log_line(path="/x")["reason"] == "target_tls_timeout"


def test_a_target_that_answers_in_plain_is_a_502(tenbin, origins, store):
    def plain(peer):
        peer.send(o.OK)
        peer.wait_for_end()

    lb = tenbin(targets("{verify: false}"), app=origins(plain).address)
    assert lb.connect().get("/x").status == 502
    assert lb.log_line(path="/x")["reason"] == "target_tls_error"


def test_the_next_target_serves_when_one_fails_its_handshake(tenbin, origins, store):
    bad, good = origins(tls=server_context(store, "stranger")), origins(tls=server_context(store, "target"))
    text = targets("{ca: $certs/ca.pem}").replace("retries: 0", "retries: 1").replace('["$app"]', '["$bad", "$good"]')
    lb = tenbin(text, bad=bad.address, good=good.address, certs=store)
    for _ in range(4):
        assert lb.connect().get("/", body=b"").status == 200
    assert bad.requests == []


def test_sessions_with_targets_are_resumed(tenbin, origins, store):
    seen = []

    def one(peer):
        seen.append(peer.sock.session_reused)
        peer.read_request()
        peer.send(o.response(b"x", "200 OK", "Connection: close"))

    lb = tenbin("workers: 1\n" + targets("{ca: $certs/ca.pem}"), app=origins(one, tls=server_context(store, "target")).address, certs=store)
    client = lb.connect()
    for _ in range(4):
        assert client.get("/").status == 200
    assert seen == [False, True, True, True]


def test_large_bodies_pass_to_tls_targets_unchanged(tenbin, origins, store):
    body = b"0123456789abcdef" * 300000
    target = origins(o.reply(lambda request: o.response(request.body[::-1])), tls=server_context(store, "target"))
    lb = tenbin(targets("{ca: $certs/ca.pem}"), app=target.address, certs=store)
    client = lb.connect().timeout(30)
    for _ in range(2):
        assert client.post("/", body=body).body == body[::-1]


def test_raw_bytes_to_a_tls_target(tenbin, origins, store):
    lb = tenbin(targets("{ca: $certs/ca.pem}"), app=origins(o.echo, tls=server_context(store, "target")).address, certs=store)
    client = lb.connect("raw")
    client.send(b"hello" * 10000)
    assert client.read_exactly(50000) == b"hello" * 10000


def test_a_body_that_ends_with_the_connection_must_end_with_close_notify(tenbin, origins, store):
    def answer(orderly):
        def script(peer):
            peer.read_request()
            peer.send(b"HTTP/1.0 200 OK\r\n\r\nwhole")
            if orderly:
                peer.sock.unwrap()
        return script

    context = server_context(store, "target")
    lb = tenbin(targets("{ca: $certs/ca.pem}"), app=origins(answer(True), answer(False), tls=context).address, certs=store)
    assert lb.connect().get("/whole").body == b"whole"
    client = lb.connect()
    client.send("GET /cut HTTP/1.1\r\nHost: a\r\n\r\n")
    with pytest.raises((wire.EndOfStream, ConnectionResetError)):
        client.response()
    assert lb.log_line(path="/cut")["reason"] == "target_reset"


def test_a_reload_that_changes_tls_settings_takes_no_old_connection(tenbin, origins, store):
    target = origins(tls=server_context(store, "stranger"))
    lb = tenbin("workers: 1\n" + targets("{verify: false}"), app=target.address, certs=store)
    client = lb.connect()
    assert client.get("/").status == 200
    lb.reload("workers: 1\n" + targets("{ca: $certs/ca.pem}"))
    assert client.get("/").status == 502
    lb.reload("workers: 1\n" + targets("{verify: false}"))
    assert client.get("/").status == 200


def test_tls_on_both_sides(tenbin, origins, store):
    text = HTTPS.replace('{name: app, targets: ["$app"]}', '{name: app, protocol: https, tls: {ca: $certs/ca.pem}, targets: ["$app"]}')
    target = origins(tls=server_context(store, "target"))
    lb = tenbin(text, app=target.address, certs=store)
    client = connect(lb)
    for _ in range(20):
        assert client.post("/", body=b"x" * 10000).status == 200
    assert len(target.connections) == 1
