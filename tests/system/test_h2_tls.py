"""HTTP/2 over TLS: ALPN chooses it, and all that runs over HTTP/1.1 runs over it."""

import subprocess
import threading

import pytest

import certs
import origin as o
from lb import eventually

HTTPS = """
listeners:
  - name: web
    listen: "127.0.0.1:$web"
    protocol: https
    attributes: {http2: %s}
    certificates: [{certificate: $certs/a.pem, key: $certs/a.key}]
    default_action: {forward: app}
target_groups:
  - {name: app, targets: ["$app"]}
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    directory = tmp_path_factory.mktemp("h2certs")
    certs.make(directory, "a", "a.test")
    certs.make(directory, "b", "a.test", rsa=True)
    return directory


def pattern(n):
    return (b"0123456789abcdef" * (n // 16 + 1))[:n]


def run(*argv, seconds=60):
    done = subprocess.run(argv, capture_output=True, timeout=seconds)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.decode()


def test_alpn_chooses_http2_where_it_is_on(tenbin, origin, store):
    web = tenbin(HTTPS % "true", app=origin.address, certs=store)
    version = run("curl", "-sSk", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", f"https://127.0.0.1:{web.port()}/x?y=1")
    assert version == "2 200"
    assert origin.request.start == "GET /x?y=1 HTTP/1.1"
    assert origin.request["x-forwarded-proto"] == "https"
    line = web.log_line(type="h2")
    assert (line["protocol"], line["scheme"], line["tls_protocol"], line["status"]) == ("HTTP/2.0", "https", "TLSv1.3", 200)


def test_a_client_that_offers_only_http_1_1_gets_it(tenbin, origin, store):
    web = tenbin(HTTPS % "true", app=origin.address, certs=store)
    version = run("curl", "-sSk", "--http1.1", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", f"https://127.0.0.1:{web.port()}/")
    assert version == "1.1 200"


def test_with_http2_off_nobody_gets_it(tenbin, origin, store):
    web = tenbin(HTTPS % "false", app=origin.address, certs=store)
    version = run("curl", "-sSk", "--http2", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", f"https://127.0.0.1:{web.port()}/")
    assert version == "1.1 200"


@pytest.mark.parametrize("size", [0, 1, 16384, 65535, 1 << 20, 20 << 20])
def test_bodies_pass_both_ways_as_they_are(tenbin, origins, store, tmp_path, size):
    app = origins(o.reply(lambda request: o.response(request.body)))
    web = tenbin(HTTPS % "true", app=app.address, certs=store)
    (tmp_path / "up").write_bytes(pattern(size))
    run("curl", "-sSk", "--fail", "--data-binary", f"@{tmp_path}/up", "-o", f"{tmp_path}/down", f"https://127.0.0.1:{web.port()}/")
    assert (tmp_path / "down").read_bytes() == pattern(size)


@pytest.mark.parametrize("streams", [1, 32, 128])
def test_h2load_loses_nothing(tenbin, origins, store, streams):
    app = origins(o.reply(lambda request: o.response(pattern(2000))))
    web = tenbin(HTTPS % "true", app=app.address, certs=store)
    out = run("h2load", "-n", "1000", "-c", "4", "-m", str(streams), f"https://127.0.0.1:{web.port()}/")
    assert "1000 succeeded, 0 failed, 0 errored" in out


def test_reloads_with_certificate_changes_under_load_lose_no_request(tenbin, origins, store):
    app = origins(o.reply(lambda request: o.response(b"hello")))
    web = tenbin(HTTPS % "true", app=app.address, certs=store)
    outputs = []
    loader = threading.Thread(target=lambda: outputs.append(
        run("h2load", "-n", "6000", "-c", "4", "-m", "8", f"https://127.0.0.1:{web.port()}/", seconds=90)))
    loader.start()
    for name in ("b", "a") * 6:
        web.reload((HTTPS % "true").replace("$certs/a.", f"$certs/{name}."), app=app.address, certs=store)
    loader.join()
    assert "6000 succeeded, 0 failed, 0 errored" in outputs[0]
    eventually(lambda: web.status()["snapshots_live"] == 1, "one snapshot")
