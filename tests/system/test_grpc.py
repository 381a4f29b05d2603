"""gRPC through tenbin with a real client and server (python3-grpcio): calls of all four kinds, deadlines, cancels, errors of ours."""

import queue
import threading
import time

import grpc
import pytest

import certs
import grpc_echo as g
import h2origin as t
from h2client import *  # noqa: the names of frames and codes
from lb import eventually

GRPC = """
workers: 1
listeners:
  - {name: web, listen: "127.0.0.1:$web", protocol: http, attributes: {h2c: true}, default_action: {forward: app}}
target_groups:
  - {name: app, protocol: http, protocol_version: grpc, targets: ["$app"]}
"""

EMPTY = GRPC.replace('["$app"]', "[]")


@pytest.fixture
def server():
    made = g.Server()
    yield made
    made.stop()


@pytest.fixture
def channel(tenbin, server):
    """(tenbin, server, channel through it)"""
    web = tenbin(GRPC, app=server.address)
    with g.connect(web.port()) as made:
        yield web, server, made


def failed(call, *arguments, **keywords):
    """The code and the message that the client gets."""
    with pytest.raises(grpc.RpcError) as caught:
        result = call(*arguments, **keywords)
        list(result)
    return caught.value.code(), caught.value.details()


# --- calls

@pytest.mark.parametrize("size", [0, 1, 1000, 200_000, 3_000_000])
def test_a_unary_call_with_its_trailers(channel, size):
    web, server, ch = channel
    message = bytes(size)
    answer, call = g.unary(ch, "Echo").with_call(message, timeout=20, metadata=[("x-name", "value")])
    assert answer == message
    assert dict(call.trailing_metadata())["x-length"] == str(size)
    method, metadata = server.seen[0]
    assert method == "Echo" and metadata["x-name"] == "value" and metadata["x-forwarded-for"] == "127.0.0.1"
    line = web.log_line(path="/test.Echo/Echo")
    assert (line["type"], line["status"], line["protocol"], line["reason"]) == ("grpc", 200, "HTTP/2.0", None)


def test_an_error_of_the_target_passes_with_its_message(channel):
    web, server, ch = channel
    assert failed(g.unary(ch, "Fail"), b"", timeout=10) == (grpc.StatusCode.FAILED_PRECONDITION, "not like this: 100 %")


def test_a_method_that_is_not_there_is_unimplemented(channel):
    web, server, ch = channel
    assert failed(g.unary(ch, "Nothing"), b"", timeout=10)[0] == grpc.StatusCode.UNIMPLEMENTED


def test_streams_in_either_direction(channel):
    web, server, ch = channel
    assert list(g.unary_stream(ch, "Count")(b"500", timeout=20)) == [b"%d" % i for i in range(500)]
    assert g.stream_unary(ch, "Sum")((b"%d" % i for i in range(500)), timeout=20) == b"124750"


def test_a_stream_both_ways_turn_by_turn(channel):
    web, server, ch = channel
    said = queue.Queue()
    answers = g.stream_stream(ch, "Talk")(iter(said.get, None), timeout=20)
    for word in (b"abc", b"defg" * 1000, b"", b"x"):
        said.put(word)
        assert next(answers) == word[::-1]
    said.put(None)
    assert list(answers) == []


def test_many_calls_at_once_share_a_connection(channel):
    web, server, ch = channel
    calls = [g.unary(ch, "Echo").future(b"%d" % i, timeout=30) for i in range(200)]
    assert [call.result() for call in calls] == [b"%d" % i for i in range(200)]
    target = web.status()["groups"][0]["targets"][0]
    assert target["requests"] == 200 and target["idle_links"] <= 2


def test_over_tls_it_is_logged_as_grpcs(tenbin, server, tmp_path):
    certs.make(tmp_path, "a", "a.test")
    text = GRPC.replace("protocol: http, attributes: {h2c: true}",
                        f"protocol: https, certificates: [{{certificate: {tmp_path}/a.pem, key: {tmp_path}/a.key}}]", 1)
    web = tenbin(text, app=server.address)
    credentials = grpc.ssl_channel_credentials((tmp_path / "a.pem").read_bytes())
    with g.connect(web.port(), credentials) as ch:
        assert g.unary(ch, "Echo")(b"abc", timeout=10) == b"abc"
    assert web.log_line(type="grpcs")["tls_protocol"] == "TLSv1.3"


# --- deadlines and cancels

def test_a_call_that_is_cancelled_is_cancelled_at_the_target(channel):
    web, server, ch = channel
    call = g.unary(ch, "Hold").future(b"")
    eventually(lambda: server.seen)
    call.cancel()
    eventually(lambda: server.cancelled, "the cancel at the target")
    assert web.log_line(path="/test.Echo/Hold")["reason"] == "client_gone"
    assert g.unary(ch, "Echo")(b"x", timeout=10) == b"x"


def test_a_deadline_ends_the_call_on_both_sides(channel):
    web, server, ch = channel
    assert failed(g.unary(ch, "Hold"), b"", timeout=0.5)[0] == grpc.StatusCode.DEADLINE_EXCEEDED
    eventually(lambda: server.cancelled, "the cancel at the target")
    assert g.unary(ch, "Echo")(b"x", timeout=10) == b"x"


def head(path="/test.Echo/Hold", *more):
    return "POST", path, ("content-type", "application/grpc"), ("te", "trailers"), *more


def trailers_only(answer, code):
    """An error of ours in gRPC's way: HTTP 200, the status among the fields, no body."""
    assert (answer.status, answer["content-type"], answer.body) == (200, "application/grpc", b"")
    assert answer["grpc-status"] == str(code) and answer["grpc-message"]
    assert answer["content-length"] is None and answer.ended


@pytest.mark.parametrize("timeout,least,most", [("300m", 0.25, 2), ("1S", 0.9, 3), ("1u", 0, 1)])
def test_a_deadline_that_the_client_does_not_watch_is_kept_here(tenbin, origins, timeout, least, most):
    app = origins(t.serve(answer=lambda server, request: None))
    web = tenbin(GRPC, app=app.address)
    c = H2Client(web.port())
    begun = time.monotonic()
    answer = c.request(*head(), ("grpc-timeout", timeout), body=b"\0\0\0\0\0")
    assert least <= time.monotonic() - begun < most
    trailers_only(answer, 4)
    if timeout != "1u":
        eventually(lambda: app.requests[0].reset == CANCEL, "the reset at the target")
        assert app.requests[0]["grpc-timeout"] == timeout
    assert web.log_line(path="/test.Echo/Hold")["reason"] == "deadline_exceeded"
    c.close()


@pytest.mark.parametrize("timeout", ["", "S", "5", "123456789S", "-1S", "1.5S", "1s"])
def test_a_malformed_timeout_is_the_targets_to_judge(tenbin, origins, timeout):
    app = origins(t.serve())
    web = tenbin(GRPC, app=app.address)
    c = H2Client(web.port())
    assert c.request(*head("/a"), ("grpc-timeout", timeout), body=b"x").body == b"hello\n"
    c.close()


def test_a_deadline_within_the_answer_resets_it(tenbin, origins):
    app = origins(t.serve(answer=lambda server, request: server.respond(request, body=b"part", end=False)))
    web = tenbin(GRPC, app=app.address)
    c = H2Client(web.port())
    answer = c.request(*head(), ("grpc-timeout", "500m"), body=b"x")
    assert (answer.status, answer.body, answer.reset) == (200, b"part", CANCEL)
    eventually(lambda: app.requests[0].reset == CANCEL, "the reset at the target")
    c.close()


# --- errors of ours

def test_no_target_is_unavailable(tenbin):
    web = tenbin(EMPTY)
    with g.connect(web.port()) as ch:
        assert failed(g.unary(ch, "Echo"), b"", timeout=10) == (grpc.StatusCode.UNAVAILABLE, "No target is registered.")
    line = web.log_line(path="/test.Echo/Echo")
    assert (line["type"], line["status"], line["reason"]) == ("grpc", 200, "no_target")


def test_a_target_that_refuses_is_unavailable(tenbin, origins):
    web = tenbin(GRPC, app=origins.refusing().address)
    with g.connect(web.port()) as ch:
        assert failed(g.unary(ch, "Echo"), b"", timeout=10)[0] == grpc.StatusCode.UNAVAILABLE


def test_a_target_that_is_slow_is_deadline_exceeded(tenbin, origins):
    app = origins(t.serve(answer=lambda server, request: None))
    web = tenbin(GRPC.replace("h2c: true", "h2c: true, idle_timeout: 1s"), app=app.address)
    c = H2Client(web.port())
    trailers_only(c.request(*head(), body=b"x"), 4)
    assert web.log_line(path="/test.Echo/Hold")["reason"] == "target_timeout"
    c.close()


def test_a_grpc_client_of_an_http1_group_gets_unimplemented(tenbin, origin):
    web = tenbin(GRPC.replace("grpc", "http1"), app=origin.address)
    with g.connect(web.port()) as ch:
        assert failed(g.unary(ch, "Echo"), b"", timeout=10)[0] == grpc.StatusCode.UNIMPLEMENTED
    assert not origin.requests
    assert web.log_line(path="/test.Echo/Echo")["reason"] == "protocol_mismatch"


def test_grpc_web_of_an_http1_group_passes(tenbin, origin):
    web = tenbin(GRPC.replace("grpc", "http1"), app=origin.address)
    c = H2Client(web.port())
    assert c.request("POST", "/", ("content-type", "application/grpc-web+proto"), body=b"x").status == 200
    c.close()


def test_a_get_with_a_grpc_type_is_refused_in_grpcs_way(tenbin, origins):
    app = origins(t.serve())
    web = tenbin(GRPC, app=app.address)
    c = H2Client(web.port())
    trailers_only(c.get("/", ("content-type", "application/grpc+proto")), 12)
    assert not app.requests
    c.close()


def test_trailers_only_answers_pass(tenbin, origins):
    fields = [("content-type", "application/grpc"), ("grpc-status", "5"), ("grpc-message", "not%20here")]
    app = origins(t.serve(lambda server, request: server.respond(request, 200, *fields)))
    web = tenbin(GRPC, app=app.address)
    with g.connect(web.port()) as ch:
        assert failed(g.unary(ch, "Echo"), b"", timeout=10) == (grpc.StatusCode.NOT_FOUND, "not here")


# --- leaving

def again(call, message):
    """As clients do: a call that was refused with its message is theirs to repeat, for it is kept nowhere here."""
    try:
        return call(message, timeout=10)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        return call(message, timeout=10)


def test_a_server_that_stops_costs_at_most_a_repeated_call(tenbin, server):
    second = g.Server()
    web = tenbin(GRPC.replace('["$app"]', '["$app", "$two"]'), app=server.address, two=second.address)
    with g.connect(web.port()) as ch:
        for i in range(20):
            assert g.unary(ch, "Echo")(b"%d" % i, timeout=10) == b"%d" % i
        stopper = threading.Thread(target=server.stop)
        stopper.start()
        for i in range(100):
            assert again(g.unary(ch, "Echo"), b"%d" % i) == b"%d" % i
        stopper.join()
    second.stop()


def test_reloads_under_calls_lose_none(channel):
    web, server, ch = channel
    wrong, over = [], threading.Event()

    def call():
        while not over.is_set():
            try:
                g.unary(ch, "Echo")(b"x", timeout=10)
            except grpc.RpcError as error:
                wrong.append(error)
    threads = [threading.Thread(target=call) for _ in range(4)]
    for each in threads:
        each.start()
    for _ in range(5):
        web.reload(GRPC, app=server.address)
    over.set()
    for each in threads:
        each.join()
    assert not wrong
    eventually(lambda: web.status()["snapshots_live"] == 1, "one snapshot")
