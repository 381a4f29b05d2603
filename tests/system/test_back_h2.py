"""HTTP/2 to targets: requests and answers, slots, ends on the wire, targets that break rules, who may go where."""

import struct
import threading
import time

import pytest

import certs
import h2origin as t
import origin as o
from h2client import *  # noqa: the names of frames and codes
from lb import eventually
from test_http1 import pattern

TO_H2 = """
workers: 1
listeners:
  - {name: web, listen: "127.0.0.1:$web", protocol: http, attributes: {h2c: true}, default_action: {forward: app}}
target_groups:
  - {name: app, protocol: http, protocol_version: http2, targets: ["$app"]}
"""


@pytest.fixture
def through(tenbin, origins):
    """through(script, ...) starts a target and tenbin in front of it and gives (tenbin, target, client)."""
    clients = []

    def start(*scripts, text=TO_H2, **keywords):
        app = origins(*(scripts or [t.serve()]))
        web = tenbin(text, app=app.address)
        clients.append(H2Client(web.port(), **keywords))
        return web, app, clients[-1]

    yield start
    for each in clients:
        each.close()


# --- requests and answers

def test_a_request_reaches_the_target_and_its_answer_comes_back(through):
    answer = lambda server, request: server.respond(request, 200, ("x-one", "1"), ("set-cookie", "a=b"), body=b"body")
    web, app, c = through(t.serve(answer))
    got = c.get("/a?b=c", ("x-name", "value"), ("cookie", "a=1"), ("cookie", "b=2"), host="example.com:81")
    assert (got.status, got.body, got["x-one"], got["set-cookie"]) == (200, b"body", "1", "a=b")
    request = app.requests[0]
    assert request.fields[:4] == [(":method", "GET"), (":scheme", "http"), (":path", "/a?b=c"),
                                  (":authority", f"example.com:{web.port()}")]
    assert request["x-name"] == "value" and request["cookie"] == "a=1; b=2"
    assert request["x-forwarded-for"] == "127.0.0.1" and request["x-forwarded-proto"] == "http"
    assert request["x-amzn-trace-id"] and request["traceparent"]
    assert {"host", "connection", "transfer-encoding", "te", "content-length"}.isdisjoint(request.names())
    assert all(name == name.lower() for name in request.names())
    line = web.log_line(path="/a?b=c")
    assert (line["status"], line["target_status"], line["reason"], line["target"]) == (200, 200, None, app.address)


@pytest.mark.parametrize("size", [0, 1, 16375, 65535, 131072, 131073, 1 << 20, 10 << 20])
@pytest.mark.parametrize("with_length", [True, False])
def test_bodies_pass_both_ways_as_they_are(through, size, with_length):
    def answer(server, request):
        length = [("content-length", str(len(request.body)))] if with_length else []
        server.respond(request, 200, *length, body=request.body)
    web, app, c = through(t.serve(answer))
    body = pattern(size)
    fields = [("content-length", str(size))] if with_length else []
    got = c.request("POST", "/", *fields, body=body)
    assert got.status == 200 and got.body == body
    assert app.requests[0]["content-length"] == (str(size) if with_length else None)
    assert got["content-length"] == (str(size) if with_length else None)


def test_head_and_statuses_without_a_body(through):
    def answer(server, request):
        if request[":method"] == "HEAD":
            server.respond(request, 200, ("content-length", "1000"))
        else:
            server.respond(request, int(request[":path"][1:]))
    web, app, c = through(t.serve(answer))
    got = c.request("HEAD", "/")
    assert (got.status, got["content-length"], got.body) == (200, "1000", b"")
    for status in (204, 304, 205):
        assert c.get(f"/{status}").status == status


def test_a_body_that_ends_with_its_head_has_no_length_added(through):
    web, app, c = through(t.serve(lambda server, request: server.respond(request, 200, ("x-a", "b"))))
    got = c.get("/")
    assert (got.status, got.body, got["content-length"]) == (200, b"", None)
    c.request("POST", "/", ("content-length", "0"))
    assert app.requests[1]["content-length"] == "0" and app.requests[1].ended


def test_trailers_pass_both_ways(through):
    web, app, c = through(t.serve(lambda server, request: server.respond(request, body=b"x", trailers=[("x-sum", "1")])))
    stream = c.start("POST", "/", ("te", "trailers"), body=b"abc", end=False)
    c.h2.send_headers(stream, [("x-up", "2")], end_stream=True)
    c.flush()
    got = c.finish(stream)
    assert got.trailers == [("x-sum", "1")] and got.body == b"x"
    assert app.requests[0].trailers == [("x-up", "2")] and app.requests[0].body == b"abc"
    assert app.requests[0]["te"] == "trailers"


def test_interim_heads_pass(through):
    def answer(server, request):
        server.h2.send_headers(request.stream, [(":status", "103"), ("link", "</a>")])
        server.respond(request, body=b"x")
    web, app, c = through(t.serve(answer))
    got = c.get("/")
    assert got.status == 200 and got.informational == [(103, [("link", "</a>")])]


def test_expect_is_answered_here_and_not_passed_on(through):
    web, app, c = through()
    stream = c.start("POST", "/", ("expect", "100-continue"), end=False)
    c.until(lambda: c.answers[stream].informational)
    assert c.answers[stream].informational[0][0] == 100
    c.send(stream, b"abc", end=True)
    assert c.finish(stream).status == 200
    assert app.requests[0].body == b"abc" and app.requests[0]["expect"] is None


def test_overrides_and_hop_by_hop_fields_are_as_for_other_targets(through):
    text = TO_H2.replace("h2c: true", "h2c: true, response_headers: {server: off, strict_transport_security: max-age=1}")
    web, app, c = through(t.serve(lambda s, r: s.respond(r, 200, ("server", "x"), ("proxy-authenticate", "y"), body=b"z")), text=text)
    got = c.get("/", ("proxy-authorization", "secret"))
    assert got["server"] is None and got["proxy-authenticate"] is None
    assert got["strict-transport-security"] == "max-age=1" and got["date"]
    assert app.requests[0]["proxy-authorization"] is None


def test_too_many_forwarded_addresses_are_463_and_the_connection_lives(through):
    web, app, c = through()
    assert c.get("/", ("x-forwarded-for", ", ".join(["1.2.3.4"] * 31))).status == 463
    assert c.get("/").status == 200
    assert len(app.requests) == 1 and len(app.connections) == 1


# --- slots

def test_many_requests_share_one_connection(through):
    gate = threading.Event()
    def answer(server, request):
        threading.Thread(target=lambda: gate.wait(20) and server.respond(request, body=request[":path"].encode())).start()
    web, app, c = through(t.serve(answer))
    streams = [c.start("GET", f"/{i}") for i in range(50)]
    eventually(lambda: len(app.requests) == 50)
    assert web.status()["groups"][0]["targets"][0]["in_flight"] == 50
    gate.set()
    for i, stream in enumerate(streams):
        assert c.finish(stream).body == b"/%d" % i
    assert len(app.connections) == 1
    eventually(lambda: web.status()["groups"][0]["targets"][0]["idle_links"] == 1)
    assert c.get("/").status == 200
    assert len(app.connections) == 1


def test_max_streams_is_kept_and_more_connections_are_made(through):
    gate = threading.Event()
    def answer(server, request):
        threading.Thread(target=lambda: gate.wait(20) and server.respond(request, body=b"x")).start()
    web, app, c = through(t.serve(answer, settings={t.MAX_CONCURRENT_STREAMS: 1}))
    streams = [c.start("GET", f"/{i}") for i in range(4)]
    eventually(lambda: len(app.requests) == 4)
    assert len(app.connections) == 4
    gate.set()
    assert [c.finish(s).status for s in streams] == [200] * 4
    assert [len(peer.server.requests) for peer in app.connections] == [1] * 4
    for _ in range(5):
        assert c.get("/").status == 200
    assert len(app.connections) == 4


def test_settings_may_change_how_many_streams_there_are(through):
    gate = threading.Event()
    def answer(server, request):
        threading.Thread(target=lambda: gate.wait(20) and server.respond(request, body=b"x")).start()
    web, app, c = through(t.serve(answer))
    first = c.start("GET", "/")
    eventually(lambda: app.requests)
    server = app.connections[0].server
    server.frame(SETTINGS, 0, 0, struct.pack(">HI", 3, 1))
    time.sleep(0.2)
    second = c.start("GET", "/")
    eventually(lambda: len(app.requests) == 2)
    assert len(app.connections) == 2
    gate.set()
    assert c.finish(first).status == c.finish(second).status == 200


def test_a_target_that_allows_no_streams_is_refused(through):
    web, app, c = through(t.serve(settings={t.MAX_CONCURRENT_STREAMS: 0}))
    assert c.get("/").status == 502
    assert not app.requests
    assert web.log_line(path="/")["reason"] == "target_refused"


def test_an_idle_connection_is_closed_after_its_keep_alive_time_with_a_goaway(through):
    text = "timeouts: {target_keep_alive: 1s}\n" + TO_H2.strip("\n")
    web, app, c = through(text=text)
    assert c.get("/").status == 200
    eventually(lambda: app.connections[0].server.closed, "the end of the connection")
    assert app.connections[0].server.goaways == [NO_ERROR]
    assert c.get("/").status == 200
    assert len(app.connections) == 2


def test_pings_are_answered_on_an_idle_connection(through):
    web, app, c = through()
    assert c.get("/").status == 200
    server = app.connections[0].server
    before = len(app.connections[0].received)
    server.frame(PING, 0, 0, b"12345678")
    eventually(lambda: b"\x06\x01\x00\x00\x00\x0012345678" in app.connections[0].received[before:])
    assert c.get("/").status == 200
    assert len(app.connections) == 1


def test_a_reload_keeps_the_connection_and_a_removed_target_loses_it(through, origins):
    other = origins(t.serve())
    web, app, c = through()
    assert c.get("/").status == 200
    web.reload(TO_H2.replace("h2c: true", "h2c: true, idle_timeout: 50s"), app=app.address)
    assert c.get("/").status == 200
    assert len(app.connections) == 1
    held = c.start("POST", "/", end=False)
    eventually(lambda: len(app.requests) == 3)
    web.reload(TO_H2, app=other.address)
    assert c.get("/").status == 200
    assert len(other.requests) == 1
    c.send(held, b"x", end=True)
    assert c.finish(held).status == 200
    eventually(lambda: app.connections[0].server.closed, "the end of the connection")


def test_a_reload_to_http1_makes_new_connections(through, origins):
    web, app, c = through(t.serve(), o.serve)
    assert c.get("/").status == 200
    web.reload(TO_H2.replace("http2", "http1"), app=app.address)
    assert c.get("/").body == b"hello\n"
    eventually(lambda: app.connections[0].server.closed, "the end of the connection")


# --- flow control

def test_a_client_that_stands_still_stalls_no_sibling_and_holds_little(through):
    big = pattern(4 << 20)
    web, app, c = through(t.serve(lambda s, r: s.respond(r, body=big if r[":path"] == "/big" else b"small")))
    c.paused.add(c.start("GET", "/big"))
    time.sleep(0.3)
    before = web.rss_bytes()
    for _ in range(20):
        assert c.get("/").body == b"small"
    assert web.rss_bytes() - before < 4 << 20
    assert len(app.connections) == 1
    server = app.connections[0].server
    eventually(lambda: len(server.unsent.get(1, (b"",))[0]) > 3 << 20)
    stalled = next(iter(c.paused))
    c.paused.clear()
    c.h2.increment_flow_control_window(len(c.answers[stalled].body), stalled)
    c.flush()
    assert c.finish(stalled).body == big


def test_a_target_that_takes_nothing_stalls_no_sibling(through):
    def on_head(server, request):
        if request[":path"] != "/hold":
            server.respond(request, body=b"x")
    web, app, c = through(t.serve(answer=None, on_head=on_head, take=False))
    hold = c.start("POST", "/hold", end=False)
    window = c.h2.local_flow_control_window(hold)
    c.h2.send_data(hold, pattern(16384))
    c.h2.send_data(hold, pattern(16384))
    c.flush()
    for _ in range(10):
        assert c.get("/").status == 200
    assert len(app.connections) == 1
    c.h2.reset_stream(hold, CANCEL)
    c.flush()
    eventually(lambda: app.requests[0].reset == CANCEL, "the reset at the target")
    assert window


def test_a_large_upload_waits_for_the_target(through):
    """Memory stays flat while the target takes nothing, and all of it arrives once it does."""
    web, app, c = through(t.serve(take=False))
    stream = c.start("POST", "/", end=False)
    body = pattern(2 << 20)
    sender = threading.Thread(target=lambda: c.send(stream, body, end=True))
    sender.start()
    eventually(lambda: app.requests and app.requests[0].received >= 65535)
    time.sleep(0.5)
    request, server = app.requests[0], app.connections[0].server
    assert request.received == 65535
    with server.lock:
        server.take = True
        server.h2.acknowledge_received_data(request.received, request.stream)
        server.flush()
    sender.join()
    assert c.finish(stream).status == 200
    assert request.body == body


# --- ends

def test_a_client_that_leaves_resets_its_stream_alone(through):
    web, app, c = through(t.serve(answer=lambda s, r: r[":path"] == "/" and s.respond(r, body=b"x")))
    stream = c.start("GET", "/hold")
    eventually(lambda: app.requests)
    c.h2.reset_stream(stream, CANCEL)
    c.flush()
    eventually(lambda: app.requests[0].reset == CANCEL, "the reset at the target")
    assert c.get("/").status == 200
    assert len(app.connections) == 1
    assert web.log_line(path="/hold")["reason"] == "client_gone"


def test_an_upload_that_breaks_off_is_cancelled(through):
    web, app, c = through()
    other = H2Client(web.port())
    other.start("POST", "/", body=b"abc", end=False)
    eventually(lambda: app.requests and app.requests[0].body == b"abc")
    other.close()
    eventually(lambda: app.requests[0].reset == CANCEL, "the reset at the target")
    assert c.get("/").status == 200
    assert len(app.connections) == 1


def test_an_early_answer_stops_the_upload(through):
    def on_head(server, request):
        if request[":path"] == "/up":
            server.respond(request, 413, body=b"no")
            server.reset(request, NO_ERROR)
        else:
            server.respond(request, body=b"x")
    web, app, c = through(t.serve(on_head=on_head))
    stream = c.start("POST", "/up", body=b"abc", end=False)
    got = c.finish(stream)
    assert (got.status, got.body) == (413, b"no")
    assert c.get("/").status == 200
    assert len(app.connections) == 1
    assert web.log_line(path="/up")["reason"] is None


def test_an_early_answer_without_a_reset_is_followed_by_one_of_ours(through):
    web, app, c = through(t.serve(on_head=lambda s, r: s.respond(r, 403, body=b"no")))
    stream = c.start("POST", "/", body=b"abc", end=False)
    assert c.finish(stream).status == 403
    eventually(lambda: app.requests[0].reset == CANCEL, "the reset at the target")
    assert len(app.connections) == 1


def test_a_reset_before_the_answer_is_tried_again_where_nothing_can_be_done_twice(through):
    def answer(server, request):
        if len(server.peer.origin.requests) == 1:
            server.reset(request, INTERNAL_ERROR)
        else:
            server.respond(request, body=b"x")
    web, app, c = through(t.serve(answer))
    assert c.get("/").status == 200
    assert len(app.requests) == 2
    assert web.log_line(path="/")["retries"] == 1


def test_a_reset_of_a_post_is_502(through):
    web, app, c = through(t.serve(lambda s, r: s.reset(r, INTERNAL_ERROR)))
    assert c.request("POST", "/", body=b"abc").status == 502
    assert len(app.requests) == 1
    assert web.log_line(path="/")["reason"] == "target_reset"


def test_a_reset_within_the_answer_reaches_the_client(through):
    def answer(server, request):
        server.respond(request, 200, ("content-length", "100"), body=b"part", end=False)
        time.sleep(0.2)  # else the head and the reset may leave together, as a reset alone
        server.reset(request, CANCEL)
    web, app, c = through(t.serve(answer))
    got = c.get("/")
    assert (got.status, got.reset) == (200, INTERNAL_ERROR)
    line = web.log_line(path="/")
    assert (line["status"], line["reason"]) == (200, "target_reset")


def test_a_refused_stream_is_tried_again_even_a_post(through):
    def answer(server, request):
        if len(server.peer.origin.requests) == 1:
            server.reset(request, REFUSED_STREAM)
        else:
            server.respond(request, body=b"x")
    web, app, c = through(t.serve(answer))
    assert c.request("POST", "/").status == 200
    assert len(app.requests) == 2


def test_streams_refused_for_ever_are_503(through):
    web, app, c = through(t.serve(on_head=lambda s, r: s.reset(r, REFUSED_STREAM)))
    assert c.get("/").status == 503
    assert len(app.requests) == 3
    assert web.log_line(path="/")["reason"] == "target_refused_stream"


def test_goaway_retries_what_was_not_looked_at_and_lets_the_rest_end(through):
    """Three requests wait; the target says that it has looked at the first only."""
    def answer(server, request):
        if server is not server.peer.origin.connections[0].server:
            server.respond(request, body=b"second")
        elif request[":path"] == "/2":
            server.goaway(app.requests[0].stream)
            server.respond(app.requests[0], body=b"first")
    web, app, c = through(t.serve(answer))
    streams = []
    for i in range(3):
        streams.append(c.start("POST", f"/{i}"))
        eventually(lambda: len(app.requests) > i)
    assert [c.finish(s).body for s in streams] == [b"first", b"second", b"second"]
    assert len(app.connections) == 2
    eventually(lambda: app.connections[0].server.closed, "the end of the first connection")
    assert c.get("/").body == b"second"
    assert len(app.connections) == 2


def test_goaway_on_an_idle_connection_closes_it(through):
    web, app, c = through()
    assert c.get("/").status == 200
    app.connections[0].server.goaway(1)
    eventually(lambda: app.connections[0].server.closed, "the end of the connection")
    assert c.get("/").status == 200
    assert len(app.connections) == 2


def test_a_connection_that_ends_takes_its_exchanges_along_by_the_rules_of_retries(through):
    def answer(server, request):
        if server is server.peer.origin.connections[0].server:
            if request[":path"] == "/end":
                server.peer.sock.shutdown(2)
        else:
            server.respond(request, body=b"again")
    web, app, c = through(t.serve(answer))
    get, post = c.start("GET", "/get"), c.start("POST", "/post", body=b"abc")
    eventually(lambda: len(app.requests) == 2)
    end = c.start("GET", "/end")
    assert c.finish(get).body == b"again" and c.finish(end).body == b"again"
    assert c.finish(post).status == 502
    assert web.log_line(path="/post")["reason"] == "target_closed"


def test_a_connection_that_ends_within_an_answer_shows_at_the_client(through):
    def answer(server, request):
        server.respond(request, body=b"part", end=False)
        server.peer.sock.shutdown(2)
    web, app, c = through(t.serve(answer))
    got = c.get("/")
    assert (got.status, got.reset) == (200, INTERNAL_ERROR)
    assert web.log_line(path="/")["reason"] == "target_cut_body"


def test_a_target_that_is_silent_times_out_and_is_not_asked_again_on_that_connection(through):
    text = TO_H2.replace("h2c: true", "h2c: true, idle_timeout: 1s")
    web, app, c = through(t.serve(answer=lambda s, r: r[":path"] != "/hold" and s.respond(r, body=b"x")), text=text)
    assert c.get("/").status == 200
    time.sleep(0.3)  # what the target still says of the greeting is behind us
    assert c.get("/hold").status == 504
    eventually(lambda: app.requests[1].reset == CANCEL, "the reset at the target")
    c2 = H2Client(web.port())
    assert c2.get("/").status == 200
    assert len(app.connections) == 2
    c2.close()


# --- wrong targets

@pytest.mark.parametrize("script", [
    t.saying(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
    t.saying(b"\x00" * 100),
    t.saying(b"\x00\x00\x00\x06\x00\x00\x00\x00\x00"),
], ids=["http1", "zeros", "no_settings"])
def test_a_target_without_http2_is_502_and_gets_no_request(through, script):
    web, app, c = through(script)
    got = c.get("/")
    assert got.status == 502
    line = web.log_line(path="/")
    assert line["reason"] == "target_wrong_protocol"


def test_a_target_that_greets_nobody_is_504(through):
    text = "timeouts: {connect: 1s}\n" + TO_H2.strip("\n")
    web, app, c = through(t.silent, text=text)
    assert c.get("/").status == 504
    assert web.log_line(path="/")["reason"] == "target_connect_timeout"


@pytest.mark.parametrize("frame", [
    (DATA, 0, 0, b"x"),
    (HEADERS, END_HEADERS, 99, b"\x88"),
    (PUSH_PROMISE, END_HEADERS, 1, b"\x00\x00\x00\x02\x88"),
    (WINDOW_UPDATE, 0, 0, b"\x00\x00\x00\x00"),
    (SETTINGS, 0, 0, b"x"),
    (CONTINUATION, END_HEADERS, 1, b"\x88"),
], ids=["data_0", "headers_of_nobody", "push", "window_0", "settings", "continuation"])
def test_malformed_frames_are_502_for_all_and_the_end_of_the_connection(through, frame):
    def answer(server, request):
        if request[":path"] == "/bad":
            server.frame(*frame)
    web, app, c = through(t.serve(answer))
    waiting = c.start("GET", "/waits")
    eventually(lambda: app.requests)
    assert c.get("/bad").status == 502
    assert c.finish(waiting).status == 502
    assert web.log_line(path="/bad")["reason"] == "target_bad_frame"
    eventually(lambda: app.connections[0].server.closed, "the end of the connection")
    assert app.connections[0].server.goaways


@pytest.mark.parametrize("fields", [
    [(":status", "200"), ("connection", "close")],
    [(":status", "200"), ("transfer-encoding", "chunked")],
    [(":status", "200"), ("content-length", "1"), ("content-length", "2")],
    [(":status", "200"), ("content-length", "x")],
    [(":status", "20")],
    [(":status", "600")],
    [("x-a", "b")],
    [(":status", "200"), ("X-A", "b")],
    [(":status", "200"), ("x-a", "b\r\nx-c: d")],
    [(":status", "101")],
], ids=lambda fields: "_".join(v for pair in fields for v in pair).encode("unicode_escape").decode())
def test_malformed_answers_are_502_and_leave_the_others_alone(through, fields):
    def answer(server, request):
        if request[":path"] == "/bad":
            server.frame(HEADERS, END_HEADERS | END_STREAM, request.stream, server.h2.encoder.encode(fields))
        else:
            server.respond(request, body=b"x")
    web, app, c = through(t.serve(answer))
    assert c.get("/").status == 200
    assert c.get("/bad").status == 502
    assert c.get("/").status == 200
    assert len(app.connections) == 1


def test_an_answer_longer_or_shorter_than_its_length_is_aborted(through):
    def answer(server, request):
        server.frame(HEADERS, END_HEADERS, request.stream, server.h2.encoder.encode([(":status", "200"), ("content-length", "3")]))
        server.frame(DATA, END_STREAM, request.stream, b"ab" if request[":path"] == "/short" else b"abcd")
    web, app, c = through(t.serve(answer))
    for path in ("/short", "/long"):
        got = c.get(path)
        assert got.status in (200, None) and got.reset == INTERNAL_ERROR  # the head and the reset may leave together
        assert web.log_line(path=path)["reason"] == "bad_response"
    assert len(app.connections) == 1


def test_a_head_beyond_the_limit_is_502(through):
    def answer(server, request):
        n = int(request[":path"][1:])
        server.respond(request, 200, *[(f"x-{i}", "a" * 1000) for i in range(n)], body=b"x")
    web, app, c = through(t.serve(answer), text="limits: {response_head: 8KiB}\n" + TO_H2.strip("\n"))
    assert c.get("/7").status == 200
    assert c.get("/9").status == 502
    assert web.log_line(path="/9")["reason"] == "response_head_too_large"
    assert c.get("/7").status == 200
    assert len(app.connections) == 1


def test_a_flood_of_frames_ends_the_connection(through):
    def answer(server, request):
        try:
            for _ in range(40):
                server.frame(PING, ACK, 0, b"12345678")
                server.peer.sock.sendall(b"\x00\x00\x08\x06\x01\x00\x00\x00\x0012345678" * 1000)
        except OSError:
            pass
    web, app, c = through(t.serve(answer))
    assert c.get("/").status == 502
    assert web.log_line(path="/")["reason"] == "target_bad_frame"


# --- TLS

TLS = """
workers: 1
listeners:
  - {name: web, listen: "127.0.0.1:$web", protocol: http, attributes: {h2c: true}, default_action: {forward: app}}
target_groups:
  - {name: app, protocol: https, protocol_version: http2, tls: {ca: $certs/a.pem, server_name: a.test}, targets: ["$app"]}
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    directory = tmp_path_factory.mktemp("backh2certs")
    certs.make(directory, "a", "a.test")
    return directory


def tls_of(store, *protocols):
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(store / "a.pem", store / "a.key")
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def test_over_tls_alpn_is_h2(tenbin, origins, store):
    app = origins(t.serve(), tls=tls_of(store, "h2", "http/1.1"))
    web = tenbin(TLS, app=app.address, certs=store)
    c = H2Client(web.port())
    body = pattern(300000)
    assert c.request("POST", "/", body=body).status == 200
    assert app.requests[0].body == body and app.requests[0][":scheme"] == "https"
    assert c.get("/").status == 200
    assert len(app.connections) == 1
    c.close()


@pytest.mark.parametrize("protocols", [(), ("http/1.1",)])
def test_a_target_that_does_not_choose_h2_is_502_with_a_reason_of_its_own(tenbin, origins, store, protocols):
    app = origins(o.serve, tls=tls_of(store, *protocols))
    web = tenbin(TLS, app=app.address, certs=store)
    c = H2Client(web.port())
    assert c.get("/").status == 502
    assert web.log_line(path="/")["reason"] == "target_wrong_protocol"
    assert not app.requests
    c.close()


# --- who may go where

def test_http1_clients_get_464(through):
    web, app, c = through()
    with_h1 = web.connect().get("/h1")
    assert with_h1.status == 464
    assert not app.requests
    assert web.log_line(path="/h1")["reason"] == "protocol_mismatch"


def test_websockets_do_not_go_to_http2_targets(through):
    web, app, c = through()
    client = web.connect()
    client.send("GET /ws HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
    assert client.response().status == 464
    assert not app.requests


def test_a_grpc_group_takes_post_only(through):
    web, app, c = through(text=TO_H2.replace("http2", "grpc"))
    assert c.get("/").status == 464
    assert c.request("POST", "/", body=b"x").status == 200
    assert len(app.requests) == 1


def test_two_workers_have_a_connection_each(through):
    web, app, c = through(text=TO_H2.replace("workers: 1", "workers: 2"))
    others = [H2Client(web.port()) for _ in range(20)]
    for each in others:
        assert each.get("/").status == 200
        each.close()
    assert len(app.connections) <= 2
