"""Waiting costs nothing: under 2 % of a core in every state in which nobody has anything to do."""

import time

import pytest

import origin as o
from conftest import WEB
from lb import eventually
from test_tcp import TCP
from test_websocket import accept, open_websocket

LIMIT = 0.02
SECONDS = 2


def assert_idle(lb):
    time.sleep(0.3)
    share = lb.cpu_share(SECONDS)
    assert share < LIMIT, f"{share:.1%} of a core while waiting"


def pour(peer):
    """An endless answer, as fast as it is taken."""
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    while peer.send_until_refused(bytes(1 << 20)):
        pass


def test_nobody_connected(web):
    assert_idle(web)


def test_connected_and_silent(web):
    for _ in range(50):
        web.connect().get("/")
    assert_idle(web)


def test_a_reader_that_stopped(tenbin, origins):
    web = tenbin(WEB, app=origins(pour).address)
    client = web.connect(receive_buffer=4096)
    client.request("GET", "/")
    client.read_exactly(1000)
    assert_idle(web)
    client.reset()


def test_a_reader_at_a_kilobyte_a_second(tenbin, origins):
    web = tenbin(WEB, app=origins(pour).address)
    client = web.connect(receive_buffer=4096)
    client.request("GET", "/")
    client.read_exactly(1000)
    time.sleep(0.5)
    before, begin = web.cpu_seconds(), time.monotonic()
    client.read_at_rate(1024, 3)
    share = (web.cpu_seconds() - before) / (time.monotonic() - begin)
    client.reset()
    assert share < LIMIT, f"{share:.1%} of a core"


def test_a_target_that_does_not_take_the_upload(tenbin, origins):
    def deaf(peer):
        peer.read_request(body=False)
        eventually(lambda: done, "the end of the test", 20)

    done = []
    web = tenbin(WEB, app=origins(deaf, receive_buffer=4096).address)
    client = web.connect().timeout(1)
    try:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n" + bytes(32 << 20))
    except TimeoutError:
        pass
    assert_idle(web)
    client.reset()
    done.append(True)


def hold_until(done):
    """Answers nothing before the end of the test. Who has half-closed, or sent more than is read, is not
    seen to go before that."""
    def script(peer):
        while peer.read_request():
            eventually(lambda: done, "the end of the test", 20)
            if not peer.send_until_refused(o.OK):
                return
    return script


@pytest.fixture
def holding(tenbin, origins):
    """A tenbin whose target answers when the test is over."""
    done = []
    yield tenbin(WEB, app=origins(hold_until(done)).address)
    done.append(True)


def test_a_client_that_half_closed_early(holding):
    for _ in range(10):
        client = holding.connect()
        client.request("GET", "/")
        client.half_close()
    assert_idle(holding)


def test_a_client_that_half_closed_with_requests_waiting(holding):
    client = holding.connect()
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 10)
    client.half_close()
    assert_idle(holding)


def test_a_thousand_pipelined_requests_behind_a_slow_one(holding):
    client = holding.connect()
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 1000)
    assert_idle(holding)


def test_a_thousand_pipelined_requests_and_a_client_that_does_not_read(tenbin, origins):
    app = origins(o.reply(o.response(bytes(100000))))
    web = tenbin(WEB, app=app.address)
    client = web.connect(receive_buffer=4096)
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 1000)
    eventually(lambda: app.requests, "the first request")
    assert_idle(web)
    client.reset()


@pytest.mark.parametrize("who", ["client", "target"])
def test_a_half_closed_tcp_session(tenbin, origins, who):
    def script(peer):
        if who == "target":
            peer.half_close()
        peer.wait_for_end()
        eventually(lambda: done, "the end of the test", 20)

    done = []
    db = tenbin(TCP, app=origins(script).address)
    for _ in range(10):
        client = db.connect("db")
        if who == "client":
            client.send(b"x")
            client.half_close()
    assert_idle(db)
    done.append(True)


@pytest.mark.parametrize("protocol", ["tcp", "websocket"])
def test_a_tunnel_whose_reader_stopped(tenbin, origins, protocol):
    def script(peer):
        if protocol == "websocket":
            accept(peer)
        while peer.send_until_refused(bytes(1 << 20)):
            pass

    lb = tenbin(WEB if protocol == "websocket" else TCP, app=origins(script).address)
    client = open_websocket(lb) if protocol == "websocket" else lb.connect("db")
    assert_idle(lb)
    client.reset()


def test_a_tunnel_whose_target_ended_while_its_reader_stopped(tenbin, origins):
    """The FIN is seen behind bytes that cannot be passed on yet."""
    def script(peer):
        peer.send(bytes(8 << 20))

    db = tenbin(TCP, app=origins(script).address)
    client = db.connect("db", receive_buffer=4096)
    client.read_exactly(10)
    assert_idle(db)
    assert len(client.read_to_end()) == (8 << 20) - 10


def test_targets_that_close_their_idle_connections(tenbin, origins):
    def once(peer):
        peer.read_request()
        peer.send(o.OK)
        peer.half_close()
        peer.wait_for_end()

    app = origins(once)
    web = tenbin(WEB, app=app.address)
    for _ in range(20):
        web.connect().get("/")
    assert_idle(web)
    eventually(lambda: all(peer.end for peer in app.connections), "the ends of the target connections")


def test_all_targets_refusing_between_requests(tenbin, origins):
    web = tenbin(WEB, app=origins.refusing().address)
    client = web.connect()
    for _ in range(20):
        assert client.get("/").status == 502
    assert_idle(web)


def test_a_broken_file_after_sighup(web):
    web.path.write_text("listeners: [\n")
    web.hup()
    eventually(lambda: web.status()["reloads"]["failed"] == 1, "the failed reload")
    assert_idle(web)
