"""What a target that breaks the rules gets: its connection closed, and the client a 502 or a visible break."""

import pytest

import expect
import origin as o
import wire
from conftest import WEB
from lb import eventually

OK_HEAD = b"HTTP/1.1 200 OK\r\n"

HEADS = {
    "garbage": (b"hello, who is there?\r\n\r\n", "bad_response"),
    "binary": (bytes(range(256)) + b"\r\n\r\n", "bad_response"),
    "status_with_letters": (b"HTTP/1.1 2x0 OK\r\n\r\n", "bad_response"),
    "status_of_two_digits": (b"HTTP/1.1 20 OK\r\n\r\n", "bad_response"),
    "status_of_four_digits": (b"HTTP/1.1 2000 OK\r\n\r\n", "bad_response"),
    "status_below_100": (b"HTTP/1.1 099 What\r\n\r\n", "bad_response"),
    "status_above_599": (b"HTTP/1.1 600 What\r\nContent-Length: 0\r\n\r\n", "bad_response"),
    "version_2": (b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", "bad_response"),
    "version_1_9": (b"HTTP/1.9 200 OK\r\nContent-Length: 0\r\n\r\n", "bad_response"),
    "version_missing": (b"200 OK\r\nContent-Length: 0\r\n\r\n", "bad_response"),
    "bare_lf": (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "bad_response"),
    "bare_lf_in_fields": (OK_HEAD + b"X: a\nContent-Length: 0\r\n\r\n", "bad_response"),
    "bare_cr": (OK_HEAD + b"X: a\rb\r\nContent-Length: 0\r\n\r\n", "bad_response"),
    "nul": (OK_HEAD + b"X: a\0b\r\nContent-Length: 0\r\n\r\n", "bad_response"),
    "folded": (OK_HEAD + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n", "bad_response"),
    "space_before_colon": (OK_HEAD + b"X : a\r\nContent-Length: 0\r\n\r\n", "bad_response"),
    "space_in_name": (OK_HEAD + b"X Y: a\r\nContent-Length: 0\r\n\r\n", "bad_response"),
    "no_colon": (OK_HEAD + b"nonsense\r\nContent-Length: 0\r\n\r\n", "bad_response"),
    "length_and_chunked": (OK_HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "bad_response_framing"),
    "two_lengths": (OK_HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "bad_response_framing"),
    "length_text": (OK_HEAD + b"Content-Length: five\r\n\r\nhello", "bad_response_framing"),
    "length_negative": (OK_HEAD + b"Content-Length: -5\r\n\r\nhello", "bad_response_framing"),
    "length_list": (OK_HEAD + b"Content-Length: 5, 6\r\n\r\nhello", "bad_response_framing"),
    "length_over_64_bits": (OK_HEAD + b"Content-Length: 18446744073709551616\r\n\r\n", "bad_response_framing"),
    "coding_unknown": (OK_HEAD + b"Transfer-Encoding: gzip\r\n\r\n", "bad_response_framing"),
    "coding_chunked_twice": (OK_HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "bad_response_framing"),
    "coding_two_lines": (OK_HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "bad_response_framing"),
    "coding_in_1_0": (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "bad_response_framing"),
    "upgrade_unasked": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", "unexpected_upgrade"),
    "head_without_end": (OK_HEAD + b"X: " + b"a" * 40000, "response_head_too_large"),
    "head_too_large": (OK_HEAD + b"X: " + b"a" * 32768 + b"\r\n\r\n", "response_head_too_large"),
    "too_many_fields": (OK_HEAD + b"X: a\r\n" * 201 + b"\r\n", "bad_response response_head_too_large"),
}


@pytest.mark.parametrize("name", list(HEADS))
def test_a_malformed_answer_is_a_502_and_the_end_of_the_target_connection(tenbin, origins, name):
    data, reasons = HEADS[name]

    def bad(peer):
        peer.read_request()
        peer.send_until_refused(data)
        peer.wait_for_end()

    app = origins(bad)
    web = tenbin(WEB, app=app.address)
    client = web.connect()
    client.request("POST", "/bad", body=b"once")
    expect.own_reply(client.response(), 502)
    eventually(lambda: app.connections[0].end, "the end of the target connection")
    line = web.log_line(status=502)
    assert line["reason"] in reasons.split() and line["target"] == app.address
    assert len(app.requests) == 1, "a POST was replayed"


def test_the_largest_head_passes(tenbin, origins):
    head = OK_HEAD + b"Content-Length: 0\r\n"
    value = 32768 - len("HTTP/1.1 200 OK") - len("Content-Length: 0") - len("X: ")
    client = tenbin(WEB, app=origins(o.reply(head + b"X: " + b"a" * value + b"\r\n\r\n")).address).connect()
    assert len(client.get("/")["x"]) == value


def test_a_head_one_octet_past_the_limit_is_a_502(tenbin, origins):
    head = OK_HEAD + b"Content-Length: 0\r\n"
    value = 32768 - len("HTTP/1.1 200 OK") - len("Content-Length: 0") - len("X: ") + 1
    client = tenbin(WEB, app=origins(o.reply(head + b"X: " + b"a" * value + b"\r\n\r\n")).address).connect()
    expect.own_reply(client.get("/"), 502)


def test_the_client_may_go_on_after_a_502(tenbin, origins):
    def first(peer):
        peer.read_request()
        peer.send(b"garbage\r\n\r\n")
        peer.wait_for_end()

    client = tenbin(WEB, app=origins(first, o.serve).address).connect()
    answer = client.post("/", body=b"x")
    expect.own_reply(answer, 502)
    if answer["connection"] != "close":
        assert client.get("/").body == b"hello\n"


@pytest.mark.parametrize("method, body", [("POST", b"data"), ("PATCH", b"")])
def test_a_target_that_closes_without_an_answer_is_a_502(tenbin, origins, method, body):
    app = origins(lambda peer: peer.read_request())
    web = tenbin(WEB, app=app.address)
    expect.own_reply(web.connect().request(method, "/", body=body).response(), 502)
    assert web.log_line(status=502)["reason"] == "target_closed"
    assert len(app.requests) == 1


def test_a_target_that_resets_without_an_answer_is_a_502(tenbin, origins):
    def rude(peer):
        peer.read_request()
        peer.reset()

    app = origins(rude)
    web = tenbin(WEB, app=app.address)
    expect.own_reply(web.connect().post("/", body=b"data"), 502)
    assert web.log_line(status=502)["reason"] == "target_reset"
    assert len(app.requests) == 1


def test_a_target_that_closes_inside_its_head_is_a_502(tenbin, origins):
    def half(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Le")

    app = origins(half)
    web = tenbin(WEB, app=app.address)
    expect.own_reply(web.connect().get("/"), 502)
    assert len(app.requests) == 1, "a request was replayed after a byte of its answer"


# --- breaks after the head: the client must be able to see them

def broken_answer(tenbin, origins, first, then=None, end="close"):
    """A target that sends `first`, waits until the client has the head, sends `then` and ends."""
    seen = []

    def script(peer):
        peer.read_request()
        peer.send(first)
        eventually(lambda: seen, "the head at the client")
        if then:
            peer.send_until_refused(then)
        if end == "reset":
            peer.reset()
        elif end == "stay":
            peer.wait_for_end()

    app = origins(script)
    web = tenbin(WEB, app=app.address)
    client = web.connect()
    client.request("GET", "/broken")
    head = client.read_head(wire.STATUS_LINE)
    seen.append(True)
    return web, app, client, head


def rest_of(client):
    """What comes until the end, whether that is a FIN or a RST."""
    got = b""
    try:
        got = client.read_to_end()
    except ConnectionResetError:
        got = client.pending
    return got


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_body_shorter_than_its_length_is_cut_for_the_client_too(tenbin, origins, end):
    web, _, client, head = broken_answer(tenbin, origins, OK_HEAD + b"Content-Length: 10\r\n\r\nhello", end=end)
    assert head["content-length"] == "10" and len(rest_of(client)) <= 5
    line = web.log_line(path="/broken")
    assert line["status"] == 200 and line["reason"] in ("target_cut_body", "target_reset")


@pytest.mark.parametrize("end", ["close", "reset"])
def test_chunks_without_the_last_one_stay_without_it(tenbin, origins, end):
    web, _, client, _ = broken_answer(tenbin, origins, OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", end=end)
    assert b"0\r\n" not in rest_of(client)
    assert web.log_line(path="/broken")["reason"] in ("target_cut_body", "target_reset")


@pytest.mark.parametrize("bad", [b"nonsense\r\n", b"5\r\nhello!\r\n0\r\n\r\n", b"5\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n",
                                 b"5\rX\nhello\r\n0\r\n\r\n", b"ffffffffffffffffff\r\n", b"5;" + b"x" * 5000 + b"\r\nhello\r\n0\r\n\r\n"])
def test_malformed_chunks_end_both_connections(tenbin, origins, bad):
    web, app, client, _ = broken_answer(tenbin, origins, OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", bad, end="stay")
    assert not rest_of(client).endswith(b"0\r\n\r\n")
    eventually(lambda: app.connections[0].end, "the end of the target connection")
    assert web.log_line(path="/broken")["reason"] == "bad_response_chunk"


def test_interim_answers_without_end_hold_no_memory_and_end_with_the_client(tenbin, origins):
    def chatty(peer):
        peer.read_request()
        while peer.send_until_refused(b"HTTP/1.1 102 Processing\r\nX: " + b"a" * 1000 + b"\r\n\r\n"):
            pass

    app = origins(chatty)
    web = tenbin(WEB, app=app.address)
    client = web.connect()
    client.request("GET", "/")
    client.read_at_rate(1 << 20, 0.5)
    client.reset()
    eventually(lambda: app.connections[0].sock.fileno() == -1, "the end of the target connection")
