"""WebSocket: an upgrade through the rules, then a raw tunnel with everything TCP has."""

import threading
import time

import pytest

import expect
import origin as o
import wire
from conftest import WEB, with_attributes
from lb import eventually

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13")


def accept(peer):
    """The target's half of the handshake."""
    answer_upgrade(peer, peer.read_request())


def answer_upgrade(peer, request):
    peer.send(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              f"Sec-WebSocket-Accept: {wire.websocket_accept(request['sec-websocket-key'])}\r\n\r\n")


def echo_frames(peer):
    accept(peer)
    while peer.pending or peer.arrives():
        opcode, payload = wire.read_websocket_frame(peer)
        peer.send(wire.websocket_frame(payload, opcode, masked=False))
        if opcode == 8:
            return


def open_websocket(lb, target="/ws"):
    client = lb.connect()
    answer = client.request("GET", target, *UPGRADE).response()
    assert answer.status == 101 and answer["upgrade"].lower() == "websocket" and "upgrade" in answer["connection"].lower()
    assert answer["sec-websocket-accept"] == wire.websocket_accept(KEY)
    return client


def say(client, payload):
    client.send(wire.websocket_frame(payload))
    return wire.read_websocket_frame(client)


def test_an_upgrade_passes_and_frames_go_both_ways(tenbin, origins):
    app = origins(echo_frames)
    web = tenbin(WEB, app=app.address)
    client = open_websocket(web)
    request = app.request
    assert request.start == "GET /ws HTTP/1.1" and request["upgrade"].lower() == "websocket"
    assert "upgrade" in request["connection"].lower() and request["sec-websocket-key"] == KEY
    assert request["x-forwarded-for"] == "127.0.0.1"
    for size in (0, 1, 125, 126, 65535, 65536, 1 << 20):
        assert say(client, b"x" * size) == (1, b"x" * size)
    client.send(wire.websocket_frame(b"\x03\xe8", opcode=8))
    assert wire.read_websocket_frame(client) == (8, b"\x03\xe8")
    client.close()
    line = web.log_line(path="/ws")
    assert (line["type"], line["status"], line["target_status"], line["reason"]) == ("ws", 101, 101, None)
    assert line["sent_bytes"] == len(client.received)


def test_frames_sent_right_behind_the_upgrade_reach_the_target_after_its_101(tenbin, origins):
    order = []

    def late(peer):
        peer.read_request()
        time.sleep(0.3)
        order.append(bytes(peer.pending))
        peer.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        order.append(wire.read_websocket_frame(peer))
        peer.wait_for_end()

    client = tenbin(WEB, app=origins(late).address).connect()
    head = "\r\n".join(["GET /ws HTTP/1.1", "Host: a", *UPGRADE]) + "\r\n\r\n"
    client.send(head.encode() + wire.websocket_frame(b"early"))
    assert client.response().status == 101
    eventually(lambda: len(order) == 2, "the frame at the target")
    assert order == [b"", (1, b"early")]


def test_frames_right_behind_the_101_reach_the_client(tenbin, origins):
    def eager(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
                  + wire.websocket_frame(b"first", masked=False))
        peer.wait_for_end()

    client = tenbin(WEB, app=origins(eager).address).connect()
    assert client.request("GET", "/", *UPGRADE).response().status == 101
    assert wire.read_websocket_frame(client) == (1, b"first")


def test_bytes_behind_a_refused_upgrade_are_the_next_request(tenbin, origins):
    app = origins(o.reply(o.response(b"no", "403 Forbidden")))
    web = tenbin(WEB, app=app.address)
    client = web.connect()
    head = "\r\n".join(["GET /ws HTTP/1.1", "Host: a", *UPGRADE]) + "\r\n\r\n"
    client.send(head + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    assert [client.response().status for _ in range(2)] == [403, 403]
    assert [r.target for r in app.requests] == ["/ws", "/next"]
    assert web.log_line(path="/ws")["status"] == 403


@pytest.mark.parametrize("lines", [("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
                                   ("Connection: Upgrade", "Upgrade: TLS/1.0"), ("Connection: upgrade", "Upgrade: h2c, websocket, x"),
                                   ("Upgrade: websocket",)])
def test_other_upgrades_are_not_asked_of_the_target(web, origin, lines):
    assert web.connect().get("/", *lines).status == 200
    request = origin.request
    assert not request.has("http2-settings") and not (request["upgrade"] or "").lower().startswith(("h2c", "tls"))
    if len(lines) < 3 and "websocket" not in lines[-1]:
        expect.forwarded(request, "GET / HTTP/1.1", [("Host", f"example.com:{web.port()}")])


@pytest.mark.parametrize("start", ["POST /ws HTTP/1.1", "GET /ws HTTP/1.0"])
def test_only_a_get_of_1_1_can_upgrade(web, origin, start):
    client = web.connect()
    client.send("\r\n".join([start, "Host: a", *UPGRADE]) + "\r\n\r\n")
    assert client.response().status == 200
    assert not origin.request.has("upgrade")


@pytest.mark.parametrize("lines", [(), ("Connection: Upgrade", "Upgrade: h2c")])
def test_a_101_that_was_not_asked_for_is_a_502(tenbin, origins, lines):
    def pushy(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
        peer.wait_for_end()

    app = origins(pushy)
    web = tenbin(WEB, app=app.address)
    expect.own_reply(web.connect().get("/", *lines), 502)
    assert web.log_line(status=502)["reason"] == "unexpected_upgrade"
    eventually(lambda: app.connections[0].end, "the end of the target connection")


def test_a_101_to_another_protocol_than_asked_is_a_502(tenbin, origins):
    def other(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
        peer.wait_for_end()

    web = tenbin(WEB, app=origins(other).address)
    expect.own_reply(web.connect().get("/", *UPGRADE), 502)


def test_the_end_of_either_side_ends_the_tunnel(tenbin, origins):
    ends = []

    def talk(peer):
        accept(peer)
        opcode, payload = wire.read_websocket_frame(peer)
        if payload == b"you close":
            ends.append(peer.wait_for_end())

    web = tenbin(WEB, app=origins(talk).address)
    client = open_websocket(web)
    client.send(wire.websocket_frame(b"i close"))
    client.expect_end()
    client = open_websocket(web)
    client.send(wire.websocket_frame(b"you close"))
    client.half_close()
    client.expect_end()
    assert ends == ["fin"]


def test_a_reset_of_the_client_reaches_the_target(tenbin, origins):
    ends = []

    def talk(peer):
        accept(peer)
        ends.append(peer.wait_for_end())

    web = tenbin(WEB, app=origins(talk).address)
    open_websocket(web).reset()
    eventually(lambda: ends, "the end at the target")
    assert ends == ["reset"]


def test_a_reset_of_the_target_reaches_the_client(tenbin, origins):
    def talk(peer):
        accept(peer)
        wire.read_websocket_frame(peer)
        peer.reset()

    client = open_websocket(tenbin(WEB, app=origins(talk).address))
    client.send(wire.websocket_frame(b"go"))
    client.expect_reset()


IDLE = with_attributes("idle_timeout: 1s")


@pytest.mark.parametrize("talker", ["client", "target"])
def test_bytes_of_either_direction_keep_a_tunnel_alive(tenbin, origins, talker):
    def talk(peer):
        accept(peer)
        if talker == "target":
            for n in range(8):
                peer.send(wire.websocket_frame(b"%d" % n, masked=False))
                time.sleep(0.3)
        peer.wait_for_end()

    web = tenbin(IDLE, app=origins(talk).address)
    client = open_websocket(web)
    for n in range(8):
        if talker == "client":
            client.send(wire.websocket_frame(b"%d" % n))
            time.sleep(0.3)
        else:
            assert wire.read_websocket_frame(client) == (1, b"%d" % n)
    client.expect_silence(0.2)


def test_a_silent_tunnel_is_cut_at_the_idle_timeout(tenbin, origins):
    ends = []

    def talk(peer):
        accept(peer)
        ends.append(peer.wait_for_end())

    web = tenbin(IDLE, app=origins(talk).address)
    client = open_websocket(web)
    begin = time.monotonic()
    client.expect_gone()
    assert 0.8 < time.monotonic() - begin < 2.5
    eventually(lambda: ends, "the end at the target")
    assert web.log_line(path="/ws")["reason"] == "idle_timeout"


def test_a_hundred_tunnels_at_once(tenbin, origins):
    web = tenbin(WEB, app=origins(echo_frames).address)
    clients = [open_websocket(web) for _ in range(100)]
    for n, client in enumerate(clients):
        assert say(client, b"%d" % n) == (1, b"%d" % n)
    assert web.gauges()["connections"] >= 100


def test_a_big_tunnel_transfer_arrives_whole_both_ways(tenbin, origins):
    def echo(peer):
        accept(peer)
        o.echo(peer)

    client = open_websocket(tenbin(WEB, app=origins(echo).address))
    data = bytes(range(256)) * 40000
    sender = threading.Thread(target=client.send, args=(data,))
    sender.start()
    assert client.read_exactly(len(data)) == data
    sender.join()
