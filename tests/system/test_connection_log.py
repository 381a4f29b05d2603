"""The connection log: ELB's thirteen fields, what became of each connection, and that no line is lost."""

import re
import signal
import ssl

import pytest

from lb import eventually
from test_mutual import MUTUAL, VERIFY, is_refused, shows, store  # noqa: F401 (store is a fixture)
from test_tls import TlsClient, client_context, connect

LINE = re.compile(r'(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) (\S+) (\d+|-) (\d+|-) (\S+) (\S+) (\d+\.\d{3}|-) '
                  r'"((?:[^"\\]|\\.)*)" (\S+) (\S+) (\S+) (TID_[0-9a-f]{32}) (\S+)\n')
NAMES = "time ip port listener protocol cipher latency subject validity serial status trace group".split()

TEXT = "connection_log: {path: $dir/connections.log}" + MUTUAL + """
  - {name: plain, protocol: tcp, targets: ["$app"]}
"""
PLAIN = """
  - {name: plain, listen: "127.0.0.1:$plain", protocol: http, default_action: {forward: app}}
  - {name: tcp, listen: "127.0.0.1:$tcp", protocol: tcp, default_action: {forward: plain}}
target_groups:"""


def start(tenbin, origin, store, how="{mode: off}", raw="{mode: off}"):
    return tenbin((TEXT % (how, raw)).replace("\ntarget_groups:", PLAIN), app=origin.address, certs=store, tell="false")


def lines(lb, count, name="connections.log"):
    """Waits for so many lines and returns them as maps."""
    path = lb.dir / name
    def whole():
        found = path.read_text().splitlines(keepends=True) if path.exists() else []
        return len(found) >= count and found
    found = eventually(whole, f"{count} lines")
    assert len(found) == count, found
    return [dict(zip(NAMES, LINE.fullmatch(line).groups())) for line in found]


def port_of(client):
    return str(client.sock.getsockname()[1])


def test_a_connection_is_one_line_and_its_requests_refer_to_it(tenbin, origin, store):
    lb = start(tenbin, origin, store)
    client = connect(lb)
    for path in ("/1", "/2"):
        client.get(path)
    line, = lines(lb, 1)
    assert (line["ip"], line["port"], line["listener"]) == ("127.0.0.1", port_of(client), str(lb.port()))
    assert (line["protocol"], line["cipher"], line["group"]) == ("TLSv1.3", "TLS_AES_128_GCM_SHA256", "x25519")
    assert 0 <= float(line["latency"]) < 5
    assert (line["subject"], line["validity"], line["serial"], line["status"]) == ("-", "-", "-", "Success")
    for path in ("/1", "/2"):
        assert lb.log_line(path=path)["conn_trace_id"] == line["trace"]


def test_plain_connections_are_lines_too(tenbin, origin, store):
    lb = start(tenbin, origin, store)
    for where in ("plain", "tcp"):
        client = lb.connect(where)
        client.get(f"/{where}")
        line = lines(lb, 1 if where == "plain" else 2)[-1]
        assert (line["port"], line["listener"]) == (client.address.split(":")[1], str(lb.port(where)))
        assert {line[key] for key in ("protocol", "cipher", "latency", "subject", "validity", "serial", "status", "group")} == {"-"}
    assert lb.log_line(path="/plain")["conn_trace_id"] == lines(lb, 2)[0]["trace"]
    lb.close_clients()
    assert lb.log_line(type="tcp")["conn_trace_id"] == lines(lb, 2)[1]["trace"]


def test_a_client_s_certificate_is_in_the_line(tenbin, origin, store):
    lb = start(tenbin, origin, store, VERIFY)
    assert connect(lb, context=shows(store, "good", maximum=ssl.TLSVersion.TLSv1_2)).get("/").status == 200
    line, = lines(lb, 1)
    assert line["subject"] == r"CN=good,OU=\E6\9D\B1\E4\BA\AC,O=tenbin\, Ltd,C=JP"
    assert re.fullmatch(r"NotBefore=\S+Z;NotAfter=\S+Z", line["validity"])
    assert (line["serial"], line["status"], line["protocol"]) == ("03A5B1", "Success", "TLSv1.2")


FAILURES = {
    None: "UnmappedConnectionError", "stranger": "ClientCertUntrusted", "expired": "ClientCertExpired", "early": "ClientCertNotYetValid",
    "revoked": "ClientCertCrlHit", "server_only": "ClientCertPurposeInvalid", "short_rsa": "ClientCertTypeUnsupported",
    "ed25519": "ClientCertTypeUnsupported",
}


@pytest.mark.parametrize("where", ["web", "raw"])
def test_failures_have_elb_s_reasons(tenbin, origin, store, where):
    lb = start(tenbin, origin, store, VERIFY, VERIFY)
    for count, (name, word) in enumerate(FAILURES.items(), 1):
        assert is_refused(lb, shows(store, name, ciphers="DEFAULT:@SECLEVEL=0"), where)
        line = lines(lb, count)[-1]
        assert line["status"] == f"Failed:{word}", name
        assert (name is None) == (line["subject"] == "-"), line
        assert line["latency"] == "-" and line["protocol"] == "-"


def test_the_lists_and_limits_have_their_own(tenbin, origin, store):
    lb = start(tenbin, origin, store, VERIFY.replace("crl.pem", "outdated.pem"), "{mode: verify, trust_store: $certs/authority.pem}")
    assert is_refused(lb, shows(store, "good"))
    assert lines(lb, 1)[-1]["status"] == "Failed:ClientCertCrlProcessingError"
    assert is_refused(lb, shows(store, "depth4", [f"between{n}" for n in (3, 2, 1, 0)]), "raw")
    assert lines(lb, 2)[-1]["status"] == "Failed:ClientCertMaxChainDepthExceeded"
    assert is_refused(lb, shows(store, "good", ["between0"] * 200), "raw")
    assert lines(lb, 3)[-1]["status"] == "Failed:ClientCertMaxSizeExceeded"


def test_those_that_never_spoke_tls_are_unmapped(tenbin, origin, store):
    lb = start(tenbin, origin, store)
    lb.connect().get("/")
    lb.connect("raw").send("GET / HTTP/1.1\r\n\r\n").expect_gone()
    lb.connect().send(b"\x16\x03").close()
    lb.connect().send(b"\x16\x03\x01\x00\x05\x0b\x00\x00\x01\x00").read_to_end()
    lb.close_clients()
    assert {line["status"] for line in lines(lb, 4)} == {"Failed:UnmappedConnectionError"}


def test_a_resumed_session_is_a_success(tenbin, origin, store):
    lb = start(tenbin, origin, store)
    context = client_context()
    client = connect(lb, context=context)
    client.get("/")
    again = TlsClient(lb.port(), context=context, session=client.sock.session)
    lb.clients.append(again)
    assert again.get("/").status == 200 and again.sock.session_reused
    first, second = lines(lb, 2)
    assert first["status"] == second["status"] == "Success" and first["trace"] != second["trace"]


def test_rotation_reloads_and_the_end_lose_no_line(tenbin, origin, store):
    lb = start(tenbin, origin, store)
    connect(lb).get("/")
    lines(lb, 1)
    (lb.dir / "connections.log").rename(lb.dir / "old.log")
    lb.process.send_signal(signal.SIGUSR1)
    eventually(lambda: (lb.dir / "connections.log").exists(), "the new file")
    connect(lb).get("/")
    lines(lb, 1)
    lb.reload(lb.text.replace("connections.log", "other.log"))
    connect(lb).get("/")
    lines(lb, 1, "other.log")
    lb.reload(lb.text.replace("connection_log: {path: $dir/connections.log}", ""))
    connect(lb).get("/")
    lb.reload(lb.text)
    connect(lb).get("/")
    lb.close_clients()
    lb.settle()
    lb.stop()
    assert [len(lines(lb, n, name)) for name, n in (("old.log", 1), ("connections.log", 2), ("other.log", 1))] == [1, 2, 1]


def test_a_path_that_cannot_be_opened_fails_the_reload_and_nothing_else(tenbin, origin, store):
    lb = start(tenbin, origin, store)
    lb.write(lb.text.replace("connections.log", "nowhere/connections.log"))
    lb.hup()
    eventually(lambda: lb.status()["reloads"]["failed"] == 1, "the failure")
    assert "connection_log" in lb.status()["reloads"]["last_error"]
    connect(lb).get("/")
    lines(lb, 1)
