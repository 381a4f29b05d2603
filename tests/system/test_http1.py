"""HTTP/1.1 on both sides: what the client sends is what the target gets, and the other way round."""

import threading
import time

import pytest

import expect
import origin as o
import wire
from conftest import WEB, answering, with_attributes
from lb import eventually

BODY_SIZES = [0, 1, 65535, 65536, 65537, 1 << 20, 10 << 20]


def pattern(size):
    """Bytes that show when a piece is lost, doubled or out of order."""
    block = b"".join(i.to_bytes(4, "big") for i in range(16384))
    return (block * (size // len(block) + 1))[:size]


def chunked(data, size=7000):
    pieces = [data[i:i + size] for i in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def answer_in_chunks(request):
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(request.body)


def answer_with_length(request):
    return o.response(request.body)


# --- heads

def test_a_request_and_its_answer_pass_byte_by_byte(tenbin, origins):
    app = origins(o.reply(o.response(b"body", "200 Fine", "X-One: 1", "x-two:  2 ", "Set-Cookie: a=b", "Set-Cookie: c=d")))
    web = tenbin(WEB, app=app.address)
    client = web.connect()
    client.send("GET /a/b?c=d&e HTTP/1.1\r\nHost: Example.com\r\nX-Case-Kept: Yes\r\naccept: */*\r\nX-Empty:\r\n\r\n")
    answer = client.response()
    expect.forwarded(app.request, "GET /a/b?c=d&e HTTP/1.1",
                     [("Host", f"Example.com:{web.port()}"), ("X-Case-Kept", "Yes"), ("accept", "*/*"), ("X-Empty", "")])
    assert app.request["x-forwarded-port"] == str(web.port())
    assert answer.start == "HTTP/1.1 200 Fine"
    assert [f for f in answer.fields if f[0] != "Date"] == [
        ("X-One", "1"), ("x-two", "2"), ("Set-Cookie", "a=b"), ("Set-Cookie", "c=d"), ("Content-Length", "4")]
    assert answer.body == b"body"


def test_many_requests_use_one_connection_on_each_side(web, origin):
    client = web.connect()
    for n in range(50):
        assert client.get(f"/{n}").body == b"hello\n"
    assert [r.target for r in origin.requests] == [f"/{n}" for n in range(50)]
    assert len(origin.connections) == 1


def test_a_thousand_pipelined_requests_are_answered_in_order(tenbin, origins):
    app = origins(o.reply(lambda request: o.response(request.target)))
    client = tenbin(WEB, app=app.address).connect()
    sender = threading.Thread(target=client.send, args=("".join(
        f"GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n" for n in range(1000)),))
    sender.start()
    assert [client.response().body.decode() for _ in range(1000)] == [f"/{n}" for n in range(1000)]
    sender.join()
    assert [r.target for r in app.requests] == [f"/{n}" for n in range(1000)]


def test_pipelined_requests_with_bodies_do_not_run_into_each_other(tenbin, origins):
    app = origins(o.reply(answer_with_length))
    client = tenbin(WEB, app=app.address).connect()
    client.send(b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nfirst"
                b"POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nsecond\r\n0\r\n\r\n"
                b"GET /3 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert [client.response().body for _ in range(3)] == [b"first", b"second", b""]
    assert [(r.target, r.body) for r in app.requests] == [("/1", b"first"), ("/2", b"second"), ("/3", b"")]


def test_a_request_cut_at_every_offset_is_the_same_request(tenbin, origins):
    app = origins(o.reply(answer_with_length))
    web = tenbin(WEB, app=app.address)
    request = b"POST /p HTTP/1.1\r\nHost: a\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-T: v\r\n\r\n"
    client = web.connect()
    for cut in range(1, len(request)):
        assert client.send(request, [cut], pause=0.002).response().body == b"body", f"cut at {cut}"
    assert len(app.requests) == len(request) - 1
    for seen in app.requests:
        expect.forwarded(seen, "POST /p HTTP/1.1", [("Host", f"a:{web.port()}"), ("X-A", "b")],
                         [("Transfer-Encoding", "chunked")])
        assert seen.trailers == [("X-T", "v")]


def test_an_answer_cut_at_every_offset_is_the_same_answer(tenbin, origins):
    answer = b"HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-T: v\r\n\r\n"

    def cut_ever_later(peer):
        for cut in range(1, len(answer)):
            peer.read_request()
            peer.send(answer, [cut], pause=0.002)
        peer.wait_for_end()

    client = tenbin(WEB, app=origins(cut_ever_later).address).connect()
    for cut in range(1, len(answer)):
        got = client.get("/", "TE: trailers", "Connection: TE")
        assert (got["x-a"], got.body, got.trailers) == ("b", b"body", [("X-T", "v")]), f"cut at {cut}"


def test_an_empty_line_before_a_request_is_ignored(web, origin):
    client = web.connect()
    assert client.send(b"\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\n").response().status == 200
    assert client.send(b"\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n").response().status == 200
    assert [r.target for r in origin.requests] == ["/1", "/2"]


# --- answers without a body

def test_an_answer_to_head_has_the_length_and_no_body(tenbin, origins):
    app = origins(o.reply(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"))
    client = tenbin(WEB, app=app.address).connect()
    for _ in range(3):
        answer = client.request("HEAD").response("HEAD")
        assert answer.status == 200 and answer["content-length"] == "5000"
    client.expect_silence()
    assert len(app.connections) == 1


def test_a_chunked_answer_to_head_has_no_body(tenbin, origins):
    app = origins(o.reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
    client = tenbin(WEB, app=app.address).connect()
    for _ in range(2):
        assert client.request("HEAD").response("HEAD").status == 200
    client.expect_silence()
    assert len(app.connections) == 1


@pytest.mark.parametrize("head", ["204 No Content", "304 Not Modified", "304 Not Modified\r\nContent-Length: 77",
                                  "304 Not Modified\r\nETag: \"x\""])
def test_204_and_304_have_no_body_and_the_connections_live_on(tenbin, origins, head):
    app = origins(o.reply(f"HTTP/1.1 {head}\r\n\r\n".encode()))
    client = tenbin(WEB, app=app.address).connect()
    for _ in range(3):
        assert client.get("/").status == int(head[:3])
    client.expect_silence()
    assert len(app.connections) == 1


# --- bodies

@pytest.mark.parametrize("size", BODY_SIZES)
@pytest.mark.parametrize("answer", [answer_with_length, answer_in_chunks])
def test_a_body_of_known_length_passes_both_ways(tenbin, origins, size, answer):
    app = origins(o.reply(answer))
    client = tenbin(WEB, app=app.address).connect()
    body = pattern(size)
    head = f"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode()
    sender = threading.Thread(target=client.send, args=(head + body,))
    sender.start()
    assert client.response().body == body
    sender.join()
    assert app.request.body == body and app.request["content-length"] == str(size)
    assert client.request("POST", body=b"again").response().body == b"again"
    assert len(app.connections) == 1


@pytest.mark.parametrize("size", BODY_SIZES)
def test_a_chunked_body_passes_both_ways(tenbin, origins, size):
    app = origins(o.reply(answer_in_chunks))
    client = tenbin(WEB, app=app.address).connect()
    body = pattern(size)
    sender = threading.Thread(target=client.send, args=(
        b"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body),))
    sender.start()
    assert client.response().body == body
    sender.join()
    assert app.request.body == body and app.request["transfer-encoding"] == "chunked"
    assert client.request("POST", body=b"again").response().body == b"again"
    assert len(app.connections) == 1


def test_chunk_extensions_are_not_passed_on(tenbin, origins):
    app = origins(o.reply(answer_with_length))
    client = tenbin(WEB, app=app.address).connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;name=value\r\nhello\r\n0;x\r\n\r\n")
    assert client.response().body == b"hello"
    assert b"name=value" not in app.bytes()


def test_trailers_of_a_request_reach_the_target(tenbin, origins):
    app = origins(o.reply(answer_with_length))
    client = tenbin(WEB, app=app.address).connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                b"3\r\nabc\r\n0\r\nX-Sum: 900150983cd24fb0\r\nx-more: 1\r\n\r\n")
    assert client.response().body == b"abc"
    assert app.request.trailers == [("X-Sum", "900150983cd24fb0"), ("x-more", "1")]


def test_framing_and_routing_fields_in_trailers_are_left_out(tenbin, origins):
    app = origins(o.reply(answer_with_length))
    client = tenbin(WEB, app=app.address).connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
                b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\nHost: evil\r\nX-Forwarded-For: 6.6.6.6\r\nX-Ok: 1\r\n\r\n")
    assert client.response().body == b"abc"
    assert app.request.trailers == [("X-Ok", "1")]


def test_trailers_of_an_answer_reach_a_client_that_wants_them(tenbin, origins):
    app = origins(o.reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"))
    client = tenbin(WEB, app=app.address).connect()
    answer = client.get("/", "TE: trailers", "Connection: TE")
    assert answer.body == b"abc" and answer.trailers == [("X-Sum", "1")]


def test_an_answer_until_close_goes_chunked_to_a_1_1_client(tenbin, origins):
    def until_close(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nfirst,")
        peer.send(b"second")

    client = tenbin(WEB, app=origins(until_close).address).connect()
    for _ in range(2):
        answer = client.get("/")
        assert answer["transfer-encoding"] == "chunked" and answer.body == b"first,second"


# --- HTTP/1.0

def test_a_1_0_client_gets_the_answer_and_the_end(web, origin):
    client = web.connect()
    client.send("GET /old HTTP/1.0\r\nHost: a\r\n\r\n")
    answer = client.response()
    assert (answer.status, answer.body, answer["connection"]) == (200, b"hello\n", "close")
    client.expect_end()
    expect.forwarded(origin.request, "GET /old HTTP/1.1", [("Host", f"a:{web.port()}")])


def test_a_1_0_client_that_asks_for_it_keeps_its_connection(web, origin):
    client = web.connect()
    for _ in range(3):
        answer = client.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n").response()
        assert answer.body == b"hello\n" and answer["connection"].lower() == "keep-alive"
    assert len(origin.connections) == 1


def test_a_1_0_request_without_host_gets_one(web, origin):
    assert web.connect().send("GET / HTTP/1.0\r\n\r\n").response().status == 200
    assert origin.request["host"] == f"127.0.0.1:{web.port()}"


def test_a_1_0_client_gets_no_chunks(tenbin, origins):
    app = origins(o.reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"))
    client = tenbin(WEB, app=app.address).connect()
    answer = client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").response()
    assert not answer.has("transfer-encoding") and not answer.has("content-length")
    assert answer.body == b"abcdef" and answer["connection"] == "close"


def test_a_1_0_client_gets_no_1xx(tenbin, origins):
    app = origins(o.reply(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + o.OK))
    answer = tenbin(WEB, app=app.address).connect().send("GET / HTTP/1.0\r\n\r\n").response()
    assert answer.interim == [] and answer.body == b"hello\n"


def test_the_answer_of_a_1_0_target_is_shown_as_1_1(tenbin, origins):
    def old(peer):
        peer.read_request()
        peer.send(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold")

    app = origins(old)
    client = tenbin(WEB, app=app.address).connect()
    for _ in range(2):
        answer = client.get("/")
        assert answer.start == "HTTP/1.1 200 OK" and answer.body == b"old"
    assert len(app.connections) == 2


# --- 1xx and Expect

def test_interim_answers_pass_to_the_client(tenbin, origins):
    app = origins(o.reply(b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
                          b"HTTP/1.1 102 Processing\r\n\r\n" + o.OK))
    client = tenbin(WEB, app=app.address).connect()
    for _ in range(2):
        answer = client.get("/")
        assert [i.status for i in answer.interim] == [103, 102]
        assert answer.interim[0]["link"] == "</a>; rel=preload" and answer.body == b"hello\n"
    assert len(app.connections) == 1


def test_expect_is_answered_by_tenbin_and_not_passed_on(tenbin, origins):
    app = origins(o.reply(answer_with_length))
    web = tenbin(WEB, app=app.address)
    client = web.connect()
    client.send("POST /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.expect_silence()
    assert client.send("data").response().body == b"data"
    expect.forwarded(app.request, "POST /e HTTP/1.1", [("Host", f"a:{web.port()}")], [("Content-Length", "4")])


def test_expect_gets_no_100_when_no_target_can_be_reached(tenbin, origins):
    client = tenbin(WEB, app=origins.refusing().address).connect()
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    answer = client.response()
    expect.own_reply(answer, 502)
    assert answer.interim == [] and answer["connection"] == "close"
    client.expect_end()


def test_expect_gets_no_100_before_a_reply_of_tenbins_own(tenbin):
    client = tenbin(answering(404, "no")).connect()
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    answer = client.response()
    assert (answer.status, answer.interim, answer["connection"]) == (404, [], "close")
    client.expect_end()


# --- targets and methods

def test_an_absolute_target_is_forwarded_in_origin_form(web, origin):
    client = web.connect()
    assert client.get("http://Other.example:99/p/q?r=s", host="ignored").status == 200
    expect.forwarded(origin.request, "GET /p/q?r=s HTTP/1.1", [("Host", f"Other.example:{web.port()}")])


def test_an_absolute_target_without_a_path_asks_for_the_root(web, origin):
    assert web.connect().get("http://other.example?x=1", host="ignored").status == 200
    assert origin.request.start == "GET /?x=1 HTTP/1.1"


def test_options_star_and_custom_methods_pass(web, origin):
    client = web.connect()
    for method, target in [("OPTIONS", "*"), ("PURGE", "/"), ("M-SEARCH", "/x"), ("frobnicate", "/y"), ("PATCH", "/z")]:
        assert client.request(method, target).response().status == 200
    assert [r.start for r in origin.requests] == [
        "OPTIONS * HTTP/1.1", "PURGE / HTTP/1.1", "M-SEARCH /x HTTP/1.1", "frobnicate /y HTTP/1.1", "PATCH /z HTTP/1.1"]


@pytest.mark.parametrize("target", ["/a%2fb", "/a/%2E/b", "/a/./b", "//x", "/%7euser", "/a?b=%00&c=../..", "/a;b=c", "/%zz"])
def test_the_target_gets_the_path_as_the_client_wrote_it(web, origin, target):
    assert web.connect().get(target).status == 200
    assert origin.request.target == target


# --- early answers and ends

UPLOAD = 10 << 20


def upload(client, body):
    """Sends in the background, as a client does that does not look up while it sends."""
    head = f"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    thread = threading.Thread(target=client.send_until_refused, args=(head + body,))
    thread.start()
    return thread


@pytest.mark.parametrize("status", ["413 Content Too Large", "404 Not Found", "302 Found", "200 OK"])
@pytest.mark.parametrize("manner", ["reads_on", "closes", "closes_unread"])
@pytest.mark.parametrize("client_reads", ["while_sending", "after_sending"])
def test_an_early_answer_to_a_big_upload_arrives_whole(tenbin, origins, status, manner, client_reads):
    answer = o.response(b"early " * 2000, status, "Connection: close")

    def early(peer):
        peer.read_request(body=False)
        peer.send(answer)
        if manner == "reads_on":
            peer.wait_for_end()
        elif manner == "closes":
            peer.half_close()
            peer.wait_for_end()

    web = tenbin(WEB, app=origins(early).address)
    body = pattern(UPLOAD)
    for _ in range(4):
        client = web.connect()
        sender = upload(client, body)
        if client_reads == "after_sending":
            sender.join()
        got = client.response()
        assert got.start == f"HTTP/1.1 {status}" and got.body == b"early " * 2000
        client.close()
        sender.join()


def test_a_client_that_goes_on_after_an_early_answer_is_served_or_told_to_leave(tenbin, origins):
    def early(peer):
        while peer.read_request(body=False):
            peer.send(o.response(b"early"))
            peer.pending = b""
            if peer.wait_for_end():
                return

    app = origins(early)
    client = tenbin(WEB, app=app.address).connect()
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n")
    answer = client.response()
    assert answer.body == b"early"
    client.send_until_refused(b"12345678")
    if answer["connection"] == "close":
        client.expect_gone()
    else:
        assert client.get("/next").body == b"early"


def test_a_half_closed_client_gets_its_answer_and_then_the_end(tenbin, origins):
    def slow(peer):
        peer.read_request()
        time.sleep(0.4)
        peer.send(o.response(pattern(300000)))
        peer.wait_for_end()

    client = tenbin(WEB, app=origins(slow).address).connect()
    client.request("GET", "/")
    client.half_close()
    assert client.response().body == pattern(300000)
    client.expect_end()


def test_a_half_closed_client_gets_the_answers_to_all_it_pipelined(web):
    client = web.connect()
    client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n")
    client.half_close()
    assert [client.response().body for _ in range(3)] == [b"hello\n"] * 3
    client.expect_end()


@pytest.mark.parametrize("body", [b"Content-Length: 100\r\n\r\nonly this",
                                  b"Transfer-Encoding: chunked\r\n\r\n40\r\nonly this"])
def test_a_fin_inside_a_request_body_is_a_400_in_the_log_and_the_end_for_the_target(tenbin, origins, body):
    ends = []

    def take(peer):
        peer.read_request(body=False)
        ends.append(peer.wait_for_end())

    app = origins(take)
    web = tenbin(WEB, app=app.address)
    client = web.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + body)
    eventually(lambda: b"only this" in app.bytes(), "the beginning of the body at the target")
    client.half_close()
    line = web.log_line(reason="client_cut_body")
    assert line["status"] == 400
    eventually(lambda: ends, "the end at the target")
    assert not app.bytes().endswith(b"0\r\n\r\n") and len(app.connections) == 1


def test_a_client_that_resets_while_it_waits_is_a_460_and_the_end_for_the_target(tenbin, origins):
    ends = []

    def wait(peer):
        peer.read_request()
        ends.append(peer.wait_for_end())

    app = origins(wait)
    web = tenbin(WEB, app=app.address)
    client = web.connect()
    client.request("GET", "/")
    eventually(lambda: app.requests, "the request at the target")
    client.reset()
    line = web.log_line(reason="client_gone")
    assert line["status"] == 460
    eventually(lambda: ends, "the end at the target")


def test_a_client_that_resets_in_the_answer_ends_the_target_connection(tenbin, origins):
    ends = []

    def pour(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        try:
            while True:
                peer.send(bytes(100000))
        except OSError:
            ends.append(True)

    web = tenbin(WEB, app=origins(pour).address)
    client = web.connect()
    client.request("GET", "/")
    client.read_exactly(200000)
    client.reset()
    eventually(lambda: ends, "the end at the target")
    assert web.log_line(path="/")["reason"] == "client_gone"


# --- lingering, closing and reuse

FIXED = answering(403, "go away")


@pytest.mark.parametrize("size, kept", [(1, True), (65536, True), (65537, False), (10 << 20, False)])
def test_a_reply_of_our_own_takes_up_to_64_kib_of_body_and_keeps_the_connection(tenbin, size, kept):
    client = tenbin(FIXED).connect()
    client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n")
    answer = client.response()
    assert (answer.status, answer.body) == (403, b"go away")
    assert (answer["connection"] == "close") == (not kept)
    if kept:
        client.send(bytes(size))
        assert client.get("/again").status == 403
    else:
        client.send_until_refused(bytes(size))
        client.expect_gone()


def test_a_chunked_body_after_a_reply_of_our_own_is_taken_too(tenbin):
    client = tenbin(FIXED).connect()
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    answer = client.response()
    assert answer.status == 403
    if answer["connection"] != "close":
        client.send(chunked(pattern(20000)))
        assert client.get("/again").status == 403


def test_a_lingering_close_lets_the_reply_arrive_through_a_running_upload(tenbin):
    web = tenbin(FIXED)
    for _ in range(10):
        client = web.connect()
        sender = upload(client, bytes(UPLOAD))
        sender.join()
        assert client.response().body == b"go away"


def test_after_the_reply_a_client_may_go_on_for_256_kib_before_it_is_reset(tenbin):
    client = tenbin(FIXED).connect()
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
    assert client.response().body == b"go away"
    client.expect_end()
    for _ in range(12):
        client.send(bytes(20000))
        time.sleep(0.02)
    for _ in range(50):
        if not client.send_until_refused(bytes(20000)):
            return
        time.sleep(0.02)
    raise AssertionError("a megabyte was taken after the reply")


def test_connection_close_of_the_client_is_kept(web, origin):
    client = web.connect()
    answer = client.get("/", "Connection: close")
    assert answer["connection"] == "close" and answer.body == b"hello\n"
    client.expect_end()
    assert web.connect().get("/").status == 200
    assert len(origin.connections) <= 2


def test_a_target_that_says_close_is_not_used_again(tenbin, origins):
    app = origins(o.reply(o.response(b"x", "200 OK", "Connection: close")))
    client = tenbin(WEB, app=app.address).connect()
    for _ in range(3):
        answer = client.get("/")
        assert answer.body == b"x" and not answer.has("connection")
    assert len(app.connections) == 3


def test_a_target_connection_that_ended_while_idle_is_not_used(tenbin, origins):
    def once(peer):
        peer.read_request()
        peer.send(o.OK)

    app = origins(once)
    client = tenbin(WEB, app=app.address).connect()
    for n in range(5):
        assert client.request("POST", f"/{n}", body=b"never replayed").response().body == b"hello\n"
        eventually(lambda: app.connections[-1].sock.fileno() == -1, "the target's end")
        time.sleep(0.05)
    assert [r.target for r in app.requests] == [f"/{n}" for n in range(5)]


def test_bytes_behind_an_answer_are_never_an_answer(tenbin, origins):
    def talkative(peer):
        peer.read_request()
        peer.send(o.response(b"right") + o.response(b"wrong"))
        peer.wait_for_end()

    app = origins(talkative)
    client = tenbin(WEB, app=app.address).connect()
    for _ in range(3):
        assert client.get("/").body == b"right"
    assert len(app.connections) == 3


def test_client_keep_alive_ends_a_connection_with_one_more_answer(tenbin, origin):
    client = tenbin(with_attributes("client_keep_alive: 500ms"), app=origin.address).connect()
    assert not client.get("/1").has("connection")
    time.sleep(0.8)
    assert client.get("/2")["connection"] == "close"
    client.expect_end()


def test_a_target_that_breaks_off_is_seen_by_a_1_1_client(tenbin, origins):
    def broken(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nsome of it")
        eventually(lambda: seen, "the first bytes at the client")
        peer.reset()

    seen = []
    client = tenbin(WEB, app=origins(broken).address).connect()
    client.request("GET", "/")
    head = client.read_head(wire.STATUS_LINE)
    assert head["transfer-encoding"] == "chunked"
    client.read_until(b"some of it")
    seen.append(True)
    rest = b""
    try:
        rest = client.read_to_end()
    except ConnectionResetError:
        pass
    assert b"0\r\n" not in rest


def test_a_target_that_breaks_off_is_a_reset_for_a_1_0_client(tenbin, origins):
    seen = []

    def broken(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nsome of it")
        eventually(lambda: seen, "the first bytes at the client")
        peer.reset()

    client = tenbin(WEB, app=origins(broken).address).connect()
    client.send("GET / HTTP/1.0\r\n\r\n")
    client.read_until(b"some of it")
    seen.append(True)
    client.expect_reset()
