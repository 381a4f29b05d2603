"""Listeners on unix sockets, and what the kernel is asked for when a listener is a wildcard."""

import os
import stat

import wire
from lb import eventually

BOTH = """
    listeners:
      - {name: web, listen: ["unix:$dir/web.sock", "0.0.0.0:$web"], protocol: http, default_action: {forward: app}}
    target_groups:
      - {name: app, protocol: http, targets: ["$app"]}
    """
TCP_ONLY = BOTH.replace('"unix:$dir/web.sock", ', "")


def test_a_unix_listener_serves_and_adds_no_address_and_no_port(tenbin, origin):
    web = tenbin(BOTH, app=origin.address)
    path = web.dir / "web.sock"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o666
    for _ in range(4):  # both workers have the socket
        client = wire.Client(str(path))
        assert client.get("/", host="app.example").status == 200
        assert origin.requests[-1]["host"] == "app.example"
        assert origin.requests[-1]["x-forwarded-for"] is None and origin.requests[-1]["x-forwarded-port"] == "80"
        client.close()
    assert eventually(lambda: len(web.access_log()) == 4, "four lines")
    assert {line["client"] for line in web.access_log()} == {"unix:"}


def test_the_path_goes_with_its_listener_and_with_the_process(tenbin, origin):
    web = tenbin(BOTH, app=origin.address)
    path = web.dir / "web.sock"
    web.reload(TCP_ONLY)
    assert not path.exists()
    web.reload(BOTH)
    assert path.exists() and web.connect().get("/").status == 200
    web.close_clients()
    assert web.stop() == 0
    assert not path.exists()


def test_a_path_that_another_process_serves_is_an_error(tenbin, origin):
    web = tenbin(BOTH, app=origin.address)
    other = tenbin(BOTH.replace("$dir", str(web.dir)).replace("$web", "$other"), app=origin.address, ready=False)
    assert other.process.wait(10) == 1 and "web.sock: Address already in use" in other.stderr()
    other.ended_by_test = True
    assert web.connect().get("/").status == 200


def test_http_1_0_without_a_host_on_a_wildcard_gets_the_address_it_came_to(tenbin, origin):
    web = tenbin(BOTH, app=origin.address)
    client = web.connect()
    assert client.send("GET / HTTP/1.0\r\n\r\n").response().status == 200
    assert origin.requests[-1]["host"] == f"127.0.0.1:{web.port()}"
    client = wire.Client(str(web.dir / "web.sock"))
    assert client.send("GET / HTTP/1.0\r\n\r\n").response().status == 200
    assert origin.requests[-1]["host"] == "localhost"
    client.close()
