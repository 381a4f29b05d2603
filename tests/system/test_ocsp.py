"""OCSP stapling: which response a client gets, with which certificate."""

import subprocess

import pytest

import certs
from authority import Authority

TEXT = """
listeners:
  - name: web
    listen: "127.0.0.1:$web"
    protocol: https
    tls_policy: intermediate
    certificates:
      - {certificate: $certs/first.whole, key: $certs/first.key}
      - {certificate: $certs/second.whole, key: $certs/second.key%s}
    %s
    default_action: {forward: app}
target_groups:
  - {name: app, targets: ["$app"]}
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    directory = tmp_path_factory.mktemp("ocsp")
    authority = Authority(directory)
    for name in ("first", "second"):
        authority.issue(name, usage="serverAuth", extra=f"subjectAltName=DNS:{name}.test")
        (directory / f"{name}.whole").write_text((directory / f"{name}.pem").read_text() + authority.pem.read_text())
        authority.answer(name)
    return directory


def stapled(lb, name, *arguments):
    """What openssl s_client says of the response that comes with the certificate for a name."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{lb.port()}", "-servername", f"{name}.test", "-status",
                           *arguments], input="", capture_output=True, text=True, timeout=20)
    assert f"CN = {name}" in done.stdout.split("Server certificate")[1], done.stdout
    return done.stdout


def serial(store, name):
    return certs.openssl("x509", "-noout", "-serial", "-in", store / f"{name}.pem").strip().split("=")[1]


@pytest.mark.parametrize("version", ["-tls1_3", "-tls1_2"])
def test_each_certificate_comes_with_its_own_response(tenbin, origin, store, version):
    lb = tenbin(TEXT % (", ocsp: $certs/second.ocsp", "ocsp: $certs/first.ocsp"), app=origin.address, certs=store)
    for name in ("first", "second"):
        said = stapled(lb, name, version)
        assert "OCSP Response Status: successful" in said and "Cert Status: good" in said
        assert f"Serial Number: {serial(store, name)}" in said.split("Certificate ID:")[1]


def test_a_certificate_without_a_response_comes_alone(tenbin, origin, store):
    lb = tenbin(TEXT % (", ocsp: $certs/second.ocsp", ""), app=origin.address, certs=store)
    assert "OCSP response: no response sent" in stapled(lb, "first")
    assert "Cert Status: good" in stapled(lb, "second")
