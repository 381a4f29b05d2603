"""Which header fields the target gets, and which the client."""

import re

import pytest

import expect
import origin as o
from conftest import WEB, with_attributes

@pytest.fixture
def web_with(tenbin, origin):
    """web_with(attributes) is the shortest set-up with these."""
    return lambda attributes: tenbin(with_attributes(attributes), app=origin.address)


# --- X-Forwarded-*

def test_x_forwarded_for_is_begun_with_the_client(web, origin):
    web.connect(source="127.0.0.7").get("/")
    expect.forwarded(origin.request, "GET / HTTP/1.1", [("Host", f"example.com:{web.port()}")], xff="127.0.0.7")


def test_x_forwarded_for_is_appended_to(web, origin):
    web.connect().get("/", "X-Forwarded-For: 1.2.3.4, 5.6.7.8")
    assert origin.request["x-forwarded-for"] == "1.2.3.4, 5.6.7.8, 127.0.0.1"


def test_several_x_forwarded_for_lines_end_as_one_list_in_order(web, origin):
    web.connect().get("/", "X-Forwarded-For: 1.1.1.1", "X-A: b", "x-forwarded-for: 2.2.2.2")
    assert re.sub(r"\s", "", ",".join(origin.request.all("x-forwarded-for"))) == "1.1.1.1,2.2.2.2,127.0.0.1"


def test_x_forwarded_for_preserve_leaves_it_alone(web_with, origin):
    client = web_with("xff_header_processing: preserve").connect()
    client.get("/", "X-Forwarded-For: 1.2.3.4")
    client.get("/")
    assert [r["x-forwarded-for"] for r in origin.requests] == ["1.2.3.4", None]


def test_x_forwarded_for_remove_takes_it_off(web_with, origin):
    web_with("xff_header_processing: remove").connect().get("/", "X-Forwarded-For: 1.2.3.4")
    assert not origin.request.has("x-forwarded-for")


def test_xff_client_port_adds_the_port(web_with, origin):
    client = web_with("xff_client_port: true").connect()
    client.get("/")
    assert origin.request["x-forwarded-for"] == client.address


def test_thirty_forwarded_addresses_pass_and_one_more_is_463(web, origin):
    client = web.connect()
    assert client.get("/", "X-Forwarded-For: " + ", ".join(["1.2.3.4"] * 29)).status == 200
    assert client.get("/", "X-Forwarded-For: " + ", ".join(["1.2.3.4"] * 30)).status == 200
    assert client.get("/", "X-Forwarded-For: " + ", ".join(["1.2.3.4"] * 31)).status == 463
    assert len(origin.requests) == 2


def test_proto_and_port_are_overwritten(web, origin):
    web.connect().get("/", "X-Forwarded-Proto: https", "X-Forwarded-Port: 443", "x-forwarded-port: 1")
    assert origin.request["x-forwarded-proto"] == "http"
    assert origin.request["x-forwarded-port"] == str(web.port())


# --- Host

@pytest.mark.parametrize("sent, got", [("example.com", "example.com"), ("example.com:1234", "example.com"),
                                       ("Example.COM.", "Example.COM."), ("[::1]:80", "[::1]"), ("10.0.0.1", "10.0.0.1")])
def test_the_target_gets_the_host_with_the_port_of_the_listener(web, origin, sent, got):
    web.connect().get("/", host=sent)
    assert origin.request["host"] == f"{got}:{web.port()}"


def test_preserve_host_header_leaves_it_alone(web_with, origin):
    client = web_with("preserve_host_header: true").connect()
    for host in ("Example.com", "example.com:1234"):
        client.get("/", host=host)
    assert [r["host"] for r in origin.requests] == ["Example.com", "example.com:1234"]


# --- hop by hop

HOP_BY_HOP = ["Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "Proxy-Authorization: Basic eDp5", "TE: deflate, gzip",
              "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: Upgrade, HTTP2-Settings, keep-alive"]


def test_hop_by_hop_fields_of_a_request_are_taken_off(web, origin):
    web.connect().get("/", "X-Before: 1", *HOP_BY_HOP, "X-After: 2")
    expect.forwarded(origin.request, "GET / HTTP/1.1", [("Host", f"example.com:{web.port()}"), ("X-Before", "1"), ("X-After", "2")])


def test_a_wish_for_trailers_is_made_anew_and_other_codings_are_not(web, origin):
    web.connect().get("/", "TE: deflate, trailers", "Connection: TE")
    assert origin.request["te"] == "trailers" and origin.request["connection"].lower() == "te"


def test_fields_that_connection_names_are_taken_off(web, origin):
    web.connect().get("/", "X-One: 1", "x-two: 2", "X-Three: 3", "Connection: x-one , X-TWO", "Connection: close")
    expect.forwarded(origin.request, "GET / HTTP/1.1", [("Host", f"example.com:{web.port()}"), ("X-Three", "3")])


def test_connection_cannot_name_away_what_matters(web, origin):
    answer = web.connect().post("/", "Authorization: Bearer x", "Cookie: a=b",
                                "Connection: Host, Content-Length, Transfer-Encoding, Authorization, Cookie, X-Forwarded-For,"
                                " X-Forwarded-Proto, X-Forwarded-Port, X-Amzn-Trace-Id", body=b"12345")
    assert answer.status == 200
    expect.forwarded(origin.request, "POST / HTTP/1.1", [("Host", f"example.com:{web.port()}"), ("Authorization", "Bearer x"),
                                                         ("Cookie", "a=b")], [("Content-Length", "5")])
    assert origin.request.body == b"12345"


def test_hop_by_hop_fields_of_an_answer_are_taken_off(tenbin, origins):
    app = origins(o.reply(o.response(b"x", "200 OK", "X-Before: 1", "Keep-Alive: timeout=5", "Proxy-Authenticate: Basic",
                                     "Upgrade: h2c", "Connection: x-named, keep-alive", "X-Named: 1", "X-After: 2")))
    answer = tenbin(WEB, app=app.address).connect().get("/")
    assert [f for f in answer.fields if f[0] != "Date"] == [("X-Before", "1"), ("X-After", "2"), ("Content-Length", "1")]


def test_fields_that_tenbin_vouches_for_cannot_be_sent_by_a_client(web, origin):
    web.connect().get("/", "X-Amzn-Mtls-Clientcert-Subject: CN=root", "x-amzn-mtls-clientcert: x", "X-Amzn-Tls-Version: TLSv1.3",
                      "x-amzn-tls-cipher-suite: x", "x-amzn-oidc-identity: admin", "X-Amzn-Oidc-Data: x", "x-amzn-other: kept")
    expect.forwarded(origin.request, "GET / HTTP/1.1", [("Host", f"example.com:{web.port()}"), ("x-amzn-other", "kept")])


# --- trace id

def test_a_new_trace_begins_without_one(web, origin):
    client = web.connect()
    for _ in range(100):
        client.get("/")
    ids = {r["x-amzn-trace-id"] for r in origin.requests}
    assert len(ids) == 100 and all(re.fullmatch(f"Root={expect.ROOT}", i) for i in ids)


@pytest.mark.parametrize("sent, got", [
    ("Root=1-67891233-abcdef012345678912345678", r"Self={new};Root=1-67891233-abcdef012345678912345678"),
    ("Self=1-67891234-12456789abcdef012345678a;Root=1-67891233-abcdef012345678912345678",
     r"Self={new};Root=1-67891233-abcdef012345678912345678"),
    ("Root=1-67891233-abcdef012345678912345678;CalledFrom=app", r"Self={new};Root=1-67891233-abcdef012345678912345678;CalledFrom=app"),
    ("CalledFrom=app", r"Root={new};CalledFrom=app"),
])
def test_a_trace_is_continued_as_alb_does(web, origin, sent, got):
    web.connect().get("/", f"X-Amzn-Trace-Id: {sent}")
    assert re.fullmatch(got.format(new=expect.ROOT), origin.request["x-amzn-trace-id"])


def test_traceparent_is_continued_with_a_new_parent(web, origin):
    web.connect().get("/", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate: a=b")
    assert re.fullmatch(r"00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01", origin.request["traceparent"])
    assert "b7ad6b7169203331" not in origin.request["traceparent"] and origin.request["tracestate"] == "a=b"


def test_a_malformed_traceparent_is_replaced_and_its_state_dropped(web, origin):
    web.connect().get("/", "traceparent: 00-nonsense", "tracestate: a=b")
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", origin.request["traceparent"])
    assert not origin.request.has("tracestate")


def test_the_trace_id_is_in_the_access_log(web, origin):
    web.connect().get("/traced")
    assert web.log_line(path="/traced")["trace_id"] == origin.request["x-amzn-trace-id"]


# --- names and overrides

def test_odd_names_pass_unless_dropping_is_on(web, origin):
    web.connect().get("/", "x_under_score: 1", "x.dot: 2")
    assert origin.request["x_under_score"] == "1" and origin.request["x.dot"] == "2"


def test_drop_invalid_header_fields_drops_odd_names(web_with, origin):
    client = web_with("drop_invalid_header_fields: true")
    client.connect().get("/", "x_under_score: 1", "X-Fine-1: 3", "x.dot: 2")
    expect.forwarded(origin.request, "GET / HTTP/1.1", [("Host", f"example.com:{client.port()}"), ("X-Fine-1", "3")])


def test_response_headers_replace_the_targets(tenbin, origins):
    app = origins(o.reply(o.response(b"x", "200 OK", "strict-transport-security: max-age=1", "X-Frame-Options: ALLOW", "Server: app/1")))
    answer = tenbin(with_attributes('response_headers: {strict_transport_security: "max-age=63072000", x_content_type_options: nosniff}'),
                    app=app.address).connect().get("/")
    assert answer["strict-transport-security"] == "max-age=63072000"
    assert answer["x-content-type-options"] == "nosniff" and answer["x-frame-options"] == "ALLOW"
    assert answer["server"] == "app/1"


def test_the_server_field_can_be_turned_off(tenbin, origins):
    app = origins(o.reply(o.response(b"x", "200 OK", "Server: app/1")))
    answer = tenbin(with_attributes("response_headers: {server: off}"), app=app.address).connect().get("/")
    assert not answer.has("server")


def test_a_date_is_added_when_the_target_sent_none(tenbin, origins):
    app = origins(o.reply(lambda r: o.response(b"x", "200 OK", *(["Date: Thu, 01 Jan 1970 00:00:00 GMT"] if r.target == "/own" else []))))
    client = tenbin(WEB, app=app.address).connect()
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", client.get("/")["date"])
    assert client.get("/own")["date"] == "Thu, 01 Jan 1970 00:00:00 GMT"
