"""Certificates, keys, CAs, revocation lists and key files that change on disk: what is served follows, nobody notices,
and what is no good changes nothing."""

import json
import os
import re
import shutil
import ssl
import subprocess
import threading
import time

import pytest

import certs
import lb as lb_module
import origin as o
from authority import Authority
from lb import eventually
from test_mutual import is_refused, shows
from test_ocsp import stapled
from test_tls import TlsClient, client_context, connect, is_certificate, server_context

TEXT = """
%slisteners:
  - name: web
    listen: "127.0.0.1:$web"
    protocol: https
    certificates: [{certificate: $live/site.pem, key: $live/site.key}]
    %s
    default_action: {forward: app}
target_groups:
  - {name: app, targets: ["$app"]}
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    directory = tmp_path_factory.mktemp("files")
    for name in ("one", "two"):
        certs.make(directory, name, "a.test")
    return directory


@pytest.fixture
def live(tmp_path, store):
    directory = tmp_path / "live"
    directory.mkdir()
    install(store, directory, "one")
    return directory


def replace(path, data):
    """As tools do it: whole, by a rename."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(data)
    fresh.rename(path)


def install(store, live, name):
    for kind in ("key", "pem"):
        replace(live / f"site.{kind}", (store / f"{name}.{kind}").read_bytes())


def start(tenbin, origin, live, head="", more="", **names):
    return tenbin(TEXT % (head, more), app=origin.address, live=live, **names)


def serves(lb, pem, seconds=8):
    def does():
        client = TlsClient(lb.port())
        try:
            return is_certificate(client, pem)
        finally:
            client.close()
    eventually(does, f"{pem.name} served", seconds)


# --- ways to change them

def test_renamed_files_are_served_and_connections_live_on(tenbin, origin, store, live):
    lb = start(tenbin, origin, live)
    first = connect(lb)
    assert is_certificate(first, store / "one.pem")
    install(store, live, "two")
    serves(lb, store / "two.pem")
    assert first.get("/").status == 200
    assert lb.status()["reloads"]["ok"] == 0


def test_files_written_in_place_are_served(tenbin, origin, store, live):
    lb = start(tenbin, origin, live)
    for kind in ("pem", "key"):
        (live / f"site.{kind}").write_bytes((store / f"two.{kind}").read_bytes())
    serves(lb, store / "two.pem")


def test_a_link_that_is_swapped_above_is_followed(tenbin, origin, store, live):
    """As Kubernetes mounts a secret: site.pem -> ..data/site.pem, ..data -> ..1."""
    for name in ("one", "two"):
        (live / f"..{name}").mkdir()
        for kind in ("pem", "key"):
            shutil.copy(store / f"{name}.{kind}", live / f"..{name}" / f"site.{kind}")
    for kind in ("pem", "key"):
        (live / f"site.{kind}").unlink()
        (live / f"site.{kind}").symlink_to(f"..data/site.{kind}")
    (live / "..data").symlink_to("..one")
    lb = start(tenbin, origin, live)
    serves(lb, store / "one.pem")
    (live / "..fresh").symlink_to("..two")
    (live / "..fresh").rename(live / "..data")
    serves(lb, store / "two.pem")


def test_a_link_into_another_directory_is_followed(tenbin, origin, store, live):
    """As certbot does it: live/site.pem -> ../archive/site1.pem."""
    archive = live.parent / "archive"
    archive.mkdir()
    def point(name):
        for kind in ("key", "pem"):
            shutil.copy(store / f"{name}.{kind}", archive / f"{name}.{kind}")
            (live / "fresh").symlink_to(archive / f"{name}.{kind}")
            (live / "fresh").rename(live / f"site.{kind}")
    point("one")
    lb = start(tenbin, origin, live)
    serves(lb, store / "one.pem")
    point("two")
    serves(lb, store / "two.pem")


# --- what is no good

@pytest.mark.parametrize("bad, words", [
    (lambda store, live: replace(live / "site.pem", b"-----BEGIN CERTIFICATE-----\nMIIB"), "no certificates in PEM form"),
    (lambda store, live: replace(live / "site.pem", (store / "two.pem").read_bytes()), "does not belong to the certificate"),
    (lambda store, live: (live / "site.key").unlink(), "No such file"),
], ids=["half_written", "other_key", "gone"])
def test_a_bad_file_keeps_the_old_one_and_says_why(tenbin, origin, store, live, bad, words):
    lb = start(tenbin, origin, live)
    bad(store, live)
    lb.says(f"warning: .*{words}.*what was read before stays in use")
    assert is_certificate(connect(lb), store / "one.pem")
    install(store, live, "two")
    serves(lb, store / "two.pem")


def test_a_bad_certificate_does_not_hold_up_the_good_one_of_another_listener(tenbin, origin, store, live):
    other = TEXT.replace("\ntarget_groups:", """
  - name: other
    listen: "127.0.0.1:$other"
    protocol: https
    certificates: [{certificate: $live/other.pem, key: $live/other.key}]
    default_action: {forward: app}
target_groups:""")
    for kind in ("pem", "key"):
        shutil.copy(store / f"one.{kind}", live / f"other.{kind}")
    lb = tenbin(other % ("", ""), app=origin.address, live=live)
    (live / "other.pem").write_text("broken")
    lb.says("other.pem: no certificates")
    install(store, live, "two")
    serves(lb, store / "two.pem")
    assert is_certificate(connect(lb, "other"), store / "one.pem")
    lb.hup()
    eventually(lambda: lb.status()["reloads"]["failed"] == 1, "the refusal of a reload")


def test_files_that_do_not_change_are_not_read_again(tenbin, origin, store, live):
    lb = start(tenbin, origin, live)
    time.sleep(1.2)
    os.utime(live, None)
    (live / "unrelated").write_text("x")
    time.sleep(0.8)
    assert lb.status()["generation"] == 1


# --- the other files

def test_a_revocation_and_a_new_ca_take_effect(tenbin, origin, store, live):
    authority, other = Authority(live), Authority(live, "other")
    for name in ("a", "b"):
        authority.issue(name)
    other.issue("c")
    authority.revocations()
    replace(live / "cas.pem", authority.pem.read_bytes())
    lb = start(tenbin, origin, live, more="mutual_authentication: {mode: verify, trust_store: $live/cas.pem, revocations: $live/crl.pem}")
    a, b, c = (shows(live, name) for name in "abc")
    kept = connect(lb, context=a)
    assert kept.get("/").status == 200 and is_refused(lb, c)
    authority.revoke("a")
    authority.revocations()
    eventually(lambda: is_refused(lb, a), "the refusal of the revoked")
    replace(live / "cas.pem", authority.pem.read_bytes() + other.pem.read_bytes())
    eventually(lambda: not is_refused(lb, c), "the other CA")
    assert connect(lb, context=b).get("/").status == 200
    assert kept.get("/").status == 200


def test_a_new_ocsp_response_is_stapled(tenbin, origin, live):
    authority = Authority(live)
    authority.issue("site", usage="serverAuth", extra="subjectAltName=DNS:site.test")
    replace(live / "site.pem", (live / "site.pem").read_bytes() + authority.pem.read_bytes())
    def answer(days):
        authority.answer("leaf", days=days)
        replace(live / "site.ocsp", (live / "leaf.ocsp").read_bytes())
    shutil.copy(live / "site.pem", live / "leaf.pem")
    answer(1)
    lb = start(tenbin, origin, live, more="ocsp: $live/site.ocsp")
    update = re.compile(r"Next Update: (.*)")
    before = update.search(stapled(lb, "site")).group(1)
    answer(5)
    eventually(lambda: update.search(stapled(lb, "site")).group(1) != before, "the new response")
    replace(live / "site.ocsp", b"broken")
    lb.says("no OCSP response in DER form; what was read before stays in use")
    assert "Cert Status: good" in stapled(lb, "site")


def test_new_cas_of_targets_take_effect(tenbin, origins, store, live):
    target = origins(tls=server_context(store, "two"))
    shutil.copy(store / "one.pem", live / "ca.pem")
    lb = tenbin("""
        listeners:
          - {name: web, listen: "127.0.0.1:$web", protocol: http, default_action: {forward: app}}
        target_groups:
          - {name: app, protocol: https, tls: {ca: $live/ca.pem, server_name: a.test}, targets: ["$app"]}
        """, app=target.address, live=live)
    client = lb.connect()
    assert client.get("/").status == 502
    replace(live / "ca.pem", (store / "two.pem").read_bytes())
    eventually(lambda: client.get("/").status == 200, "an accepted target")
    replace(live / "ca.pem", b"broken")
    lb.says("ca.pem: no certificates .*what was read before stays in use")
    assert client.get("/").status == 200


def test_new_ticket_keys_take_effect_and_old_ones_still_open(tenbin, origin, live):
    (live / "tickets").write_text("ab" * 32 + "\n")
    lb = start(tenbin, origin, live, head="keys: {tickets: $live/tickets}\n")
    context = client_context(maximum=ssl.TLSVersion.TLSv1_2)
    client = connect(lb, context=context)
    assert client.get("/").status == 200
    replace(live / "tickets", ("cd" * 32 + "\n" + "ab" * 32 + "\n").encode())
    eventually(lambda: lb.status()["generation"] == 2, "the new keys")
    again = TlsClient(lb.port(), context=context, session=client.sock.session)
    lb.clients.append(again)
    assert again.get("/").status == 200 and again.sock.session_reused
    replace(live / "tickets", ("ef" * 32 + "\n").encode())
    eventually(lambda: lb.status()["generation"] == 3, "the newest keys")
    last = TlsClient(lb.port(), context=context, session=client.sock.session)
    lb.clients.append(last)
    assert last.get("/").status == 200 and not last.sock.session_reused


# --- under load

class Load(threading.Thread):
    """h2load again and again until stop(): new connections and requests on old ones."""

    def __init__(self, lb):
        super().__init__()
        self.command = ["h2load", "-t1", "-c4", "-m8", "-n500", f"https://127.0.0.1:{lb.port()}/"]
        self.said, self.over = [], threading.Event()
        self.start()

    def run(self):
        while not self.over.is_set():
            self.said.append(subprocess.run(self.command, capture_output=True, text=True, timeout=60).stdout)

    def stop(self):
        self.over.set()
        self.join()
        return self.said


@pytest.mark.limit(180)
@pytest.mark.parametrize("how", ["files", "reload"])
def test_a_hundred_changes_fail_no_request(tenbin, origins, store, live, how):
    lb = start(tenbin, origins(o.reply(o.response(b"x"))), live)
    load = Load(lb)
    try:
        for n in range(100):
            install(store, live, ("two", "one")[n % 2])
            if how == "reload":
                lb.reload(lb.text)
            serves(lb, store / f"{('two', 'one')[n % 2]}.pem")
    finally:
        said = load.stop()
    assert len(said) > 1
    for each in said:
        assert "500 total, 500 started, 500 done, 500 succeeded, 0 failed, 0 errored, 0 timeout" in each, each
    eventually(lambda: lb.status()["snapshots_live"] == 1, "one live snapshot")
    assert lb.status()["reasons"] == {} or not any(lb.status()["reasons"].values())


# --- expiry

def expiry(pem):
    text = certs.openssl("x509", "-noout", "-enddate", "-in", pem).strip().removeprefix("notAfter=")
    return ssl.cert_time_to_seconds(text)


def test_expiry_is_shown_by_metrics_and_check(tenbin, origin, store, live):
    lb = start(tenbin, origin, live)
    name = f'tenbin_certificate_expiry_seconds{{certificate="{live}/site.pem"}}'
    assert lb.metrics()[name] == expiry(store / "one.pem")
    certs.make(store, "short", "a.test", days=5)
    install(store, live, "short")
    eventually(lambda: lb.metrics()[name] == expiry(store / "short.pem"), "the new date")
    lb.says("expires in [45] days")
    done = lb_module.run("check", "-c", lb.path)
    assert done.returncode == 0 and "expires in" in done.stderr
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(expiry(store / "short.pem")))
    assert f"{live}/site.pem: valid until {when}" in done.stdout


# --- certificates that no rule has a host for

BY_HOST = """
listeners:
  - name: web
    listen: "127.0.0.1:$web"
    protocol: https
    certificates:
      - {certificate: $live/site.pem, key: $live/site.key}
      - {certificate: $live/old.pem, key: $live/old.key}
    rules:
      - {priority: 1, conditions: [{host_header: NEW_HOST}], action: {forward: app}}
    default_action: {fixed_response: {status_code: 404}}
target_groups:
  - {name: app, targets: ["$app"]}
"""
NO_RULE = r'no rule of listener "web" has a host that "%s/old\.pem" is for \(old\.test, \*\.old\.test\)'


def by_host(host):
    return BY_HOST.replace("NEW_HOST", f'"{host}"')


def test_a_certificate_that_no_rule_has_a_host_for_is_told_by_check(tmp_path, live):
    certs.make(live, "old", "old.test", "*.old.test")
    path = tmp_path / "tenbin.yaml"
    place = BY_HOST.split("\n").index("      - {certificate: $live/old.pem, key: $live/old.key}") + 1
    def check(host, *arguments):
        text = by_host(host).replace("$web", "8443").replace("$app", "127.0.0.1:9000").replace("$live", str(live))
        path.write_text(text)
        done = lb_module.run("check", "-c", path, *arguments)
        assert done.returncode == 0, done.stderr
        return done
    words = NO_RULE % live
    assert re.search(rf"^{path}:{place}:23: warning: {words}$", check("a.test").stderr, re.M)
    told = json.loads(check("a.test", "--format", "json").stdout)
    assert told["ok"] and [(w["line"], w["column"]) for w in told["warnings"]] == [(place, 23)]
    assert re.fullmatch(words, told["warnings"][0]["message"])
    assert not check("x.OLD.test").stderr
    assert json.loads(check("*", "--format", "json").stdout)["warnings"] == []


def test_a_certificate_that_no_rule_has_a_host_for_is_told_in_the_log(tenbin, origin, store, live):
    certs.make(live, "old", "old.test", "*.old.test")
    words = re.compile("warning: .*" + NO_RULE % live)
    lb = tenbin(by_host("old.test"), app=origin.address, live=live)
    lb.reload(by_host("x.old.test"))
    assert not words.search(lb.stderr())
    lb.reload(by_host("b.test"))
    eventually(lambda: len(words.findall(lb.stderr())) == 1, "the warning of the reload")
    certs.make(store, "moved", "old.test", "*.old.test", "b.test", days=60)
    for kind in ("key", "pem"):
        replace(live / f"old.{kind}", (store / f"moved.{kind}").read_bytes())
    name = f'tenbin_certificate_expiry_seconds{{certificate="{live}/old.pem"}}'
    eventually(lambda: lb.metrics()[name] == expiry(store / "moved.pem"), "the new file")
    assert len(words.findall(lb.stderr())) == 1
    lb = tenbin(by_host("c.test"), app=origin.address, live=live)
    lb.says(r"warning: .*old\.pem\" is for \(old\.test, \*\.old\.test, b\.test\)")
