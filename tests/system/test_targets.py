"""Addresses of targets: unix sockets and host names beside ip:port."""

import socket

import pytest

import expect
import origin as o
from conftest import WEB
from lb import eventually


class UnixOrigin(o.Origin):
    """The same, on a unix socket."""

    def __init__(self, path, *scripts):
        super().__init__(*scripts)
        self.listener.close()
        self.acceptor.join(5)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        self.acceptor = o.threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()
        self.address = f"unix:{path}"


@pytest.fixture
def unix_origin(tmp_path):
    target = UnixOrigin(str(tmp_path / "app"), o.reply(lambda r: o.response(r.body)))
    yield target
    target.close()
    assert not target.errors


def test_a_target_on_a_unix_socket(tenbin, unix_origin):
    web = tenbin(WEB, app=unix_origin.address)
    client = web.connect()
    for _ in range(5):
        assert client.post("/u", body=b"x" * 100000).body == b"x" * 100000
    assert len(unix_origin.connections) == 1
    lines = eventually(web.access_log, "a log line")
    assert lines[0]["target"] == unix_origin.address


def test_a_missing_unix_socket_is_a_502(tenbin, tmp_path):
    web = tenbin(WEB, app=f"unix:{tmp_path}/nobody")
    expect.own_reply(web.connect().get("/"), 502)


def test_a_target_by_host_name(tenbin, origin):
    web = tenbin(WEB, app=f"localhost:{origin.port}")
    for _ in range(4):
        assert web.connect().get("/").status == 200
    assert "127.0.0.1" in str(web.status()["groups"][0]["targets"])


@pytest.mark.limit(90)
def test_a_host_name_without_an_answer_is_a_warning_and_no_target(tenbin, origin):
    web = tenbin(WEB.replace('["$app"]', '["no-such-host.invalid:80", "$app"]'), app=origin.address)
    web.says("no-such-host.invalid")
    for _ in range(4):
        assert web.connect().get("/").status == 200
    assert len(web.status()["groups"][0]["targets"]) == 1


def test_a_zone_from_the_environment(tenbin, origin):
    web = tenbin("node: {zone: auto}\n" + WEB, app=origin.address, env={"TENBIN_ZONE": "zone-from-env"})
    web.connect().get("/z")
    assert web.log_line(path="/z")["zone"] == "zone-from-env"


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_replies_of_our_own_to_head_have_no_body(tenbin, method):
    client = tenbin(WEB.replace('["$app"]', "[]")).connect()
    for _ in range(3):
        answer = client.request(method, "/").response(method)
        assert answer.status == 503 and int(answer["content-length"]) > 0
        assert bool(answer.body) == (method == "GET")
