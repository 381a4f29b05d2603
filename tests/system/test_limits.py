"""What happens when something runs out: connections, descriptors, buffer memory."""

import time

import pytest

import expect
import origin as o
from conftest import WEB
from lb import eventually
from test_tcp import TCP


def test_max_connections_and_one_more(tenbin, origin):
    web = tenbin(WEB + "limits: {max_connections: 10}\n", app=origin.address)
    clients = [web.connect() for _ in range(10)]
    assert [client.get("/").status for client in clients] == [200] * 10
    extra = web.connect()
    expect.refused(extra, 503)
    assert [client.get("/").status for client in clients] == [200] * 10
    assert web.status()["reasons"]["max_connections"] == 1
    clients[0].close()
    eventually(lambda: web.gauges()["connections"] == 9, "one connection less")
    assert web.connect().get("/").status == 200
    assert len(origin.requests) == 21


def test_max_connections_of_tcp_is_a_reset(tenbin, origins):
    db = tenbin(TCP + "limits: {max_connections: 3}\n", app=origins(o.echo).address)
    clients = [db.connect("db") for _ in range(3)]
    for client in clients:
        client.send(b"x")
        assert client.read_exactly(1) == b"x"
    db.expect_reset("db")
    clients[1].send(b"y")
    assert clients[1].read_exactly(1) == b"y"
    assert db.status()["reasons"]["max_connections"] == 1


def test_many_refused_connections_leave_nothing_behind(tenbin, origin):
    web = tenbin(WEB + "limits: {max_connections: 5}\n", app=origin.address)
    clients = [web.connect() for _ in range(5)]
    assert all(client.get("/").status == 200 for client in clients)
    before = web.descriptors()
    for _ in range(300):
        extra = web.connect()
        expect.refused(extra, 503)
        extra.close()
    assert eventually(lambda: web.descriptors() <= before, "no descriptor more")
    assert web.status()["reasons"]["max_connections"] == 300


def test_without_descriptors_it_neither_spins_nor_dies(tenbin, origins):
    app = origins(o.hold)
    web = tenbin(WEB, app=app.address, wrapper=("prlimit", "--nofile=200:200"))
    clients = [web.connect() for _ in range(250)]
    for client in clients:
        client.request("GET", "/")
    time.sleep(1)
    assert web.descriptors() <= 200
    assert web.cpu_share(2) < 0.1
    assert web.process.poll() is None
    for client in clients:
        client.reset()
    app.scripts = (o.serve,)
    eventually(lambda: web.connect().get("/").status == 200, "service again", 15)


def test_slow_readers_hold_no_more_than_the_buffer_memory(tenbin, origins):
    def pour(peer):
        while peer.read_request():
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
            while peer.send_until_refused(bytes(1 << 20)):
                pass

    web = tenbin("workers: 1\n" + WEB + "limits: {buffer_memory: 1MiB}\n", app=origins(pour).address)
    clients = [web.connect(receive_buffer=4096) for _ in range(60)]
    for client in clients:
        client.request("GET", "/slow")
    web.comes_to_rest()
    held = web.gauges()
    buffers = [value for name, value in held.items() if "bytes" in name]
    assert buffers and max(buffers) <= (1 << 20) + (64 << 10), held
    extra = web.connect()
    extra.request("GET", "/extra")
    status = int(extra.read_until(b"\r\n\r\n").split()[1])
    assert status in (200, 503)
    for client in [*clients, extra]:
        client.reset()
    web.clients.clear()
    web.settle()


@pytest.mark.parametrize("limit", [1, 64])
def test_a_tiny_process_still_serves(tenbin, origin, limit):
    web = tenbin(WEB + f"limits: {{max_connections: {limit}}}\n", app=origin.address)
    client = web.connect()
    for _ in range(10):
        assert client.get("/").status == 200
