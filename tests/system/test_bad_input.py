"""What bad input gets: a status, a reason, the end of the connection, and nothing for the target."""

import pytest

import expect
import origin as o
from conftest import WEB, with_attributes
from lb import eventually

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"

# name: (bytes, status, reasons of which one must be in the log)
HEADS = {
    "no_target": (b"GET HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_request_line bad_uri bad_version"),
    "two_spaces": (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_request_line bad_uri"),
    "space_in_target": (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", None, "space_in_uri"),
    "tab_for_space": (b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_request_line bad_method bad_uri"),
    "space_first": (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_request_line bad_method"),
    "method_no_token": (b"GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_method bad_request_line"),
    "target_relative": (b"GET index.html HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_uri"),
    "target_with_fragment": (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_uri"),
    "target_above_root": (b"GET /a/../../b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "path_above_root"),
    "target_above_root_escaped": (b"GET /%2e%2E/b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "path_above_root"),
    "target_with_nul": (b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_uri bad_request_line"),
    "star_for_get": (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_uri"),
    "unknown_scheme": (b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_uri"),
    "user_in_absolute_target": (b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_uri bad_host"),
    "version_0_9": (b"GET /\r\n\r\n", 400, "bad_request_line"),
    "version_1_2": (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505, "bad_version"),
    "version_1_9": (b"GET / HTTP/1.9\r\nHost: a\r\n\r\n", 505, "bad_version"),
    "version_2_0": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "bad_version"),
    "h2_preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "bad_version"),
    "version_lower_case": (b"GET / http/1.1\r\nHost: a\r\n\r\n", 400, "bad_request_line bad_version"),
    "version_malformed": (b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400, "bad_request_line bad_version"),
    "tls_hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "bad_request_line bad_method"),
    "bare_lf_after_line": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "bad_line_end bad_request_line"),
    "bare_lf_after_field": (b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400, "bad_line_end bad_header bad_host"),
    "bare_lf_at_end": (b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400, "bad_line_end"),
    "only_bare_lf": (b"GET / HTTP/1.1\nHost: a\n\n", 400, "bad_line_end"),
    "bare_cr_in_value": (GET + b"X: a\rb\r\n\r\n", 400, "bad_line_end bad_header"),
    "bare_cr_in_line": (b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_line_end bad_uri bad_request_line"),
    "nul_in_value": (GET + b"X: a\0b\r\n\r\n", 400, "bad_header"),
    "nul_in_name": (GET + b"X\0Y: a\r\n\r\n", 400, "bad_header"),
    "folded": (GET + b"X: a\r\n b\r\n\r\n", 400, "folded_header"),
    "folded_with_tab": (GET + b"X: a\r\n\tb\r\n\r\n", 400, "folded_header"),
    "folded_first": (b"GET / HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n", 400, "folded_header bad_header"),
    "space_before_colon": (GET + b"X : a\r\n\r\n", 400, "bad_header"),
    "tab_before_colon": (GET + b"X\t: a\r\n\r\n", 400, "bad_header"),
    "space_in_name": (GET + b"X Y: a\r\n\r\n", 400, "bad_header"),
    "no_colon": (GET + b"just text\r\n\r\n", 400, "bad_header"),
    "empty_name": (GET + b": a\r\n\r\n", 400, "bad_header desync"),
    "name_not_ascii": (GET + b"X\xe4: a\r\n\r\n", 400, "bad_header"),
    "name_in_brackets": (GET + b"X[1]: a\r\n\r\n", 400, "bad_header"),
    "no_host": (b"GET / HTTP/1.1\r\n\r\n", 400, "missing_host"),
    "two_hosts": (GET + b"Host: b\r\n\r\n", 400, "bad_host"),
    "two_equal_hosts": (GET + b"Host: a\r\n\r\n", 400, "bad_host"),
    "empty_host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "bad_host missing_host"),
    "host_with_space": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "bad_host"),
    "host_with_slash": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "bad_host"),
    "host_with_user": (b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, "bad_host"),
    "host_with_comma": (b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400, "bad_host"),
    "host_with_bad_port": (b"GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", 400, "bad_host"),
    "host_with_great_port": (b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400, "bad_host"),
    "absolute_target_and_no_host": (b"GET http://a/ HTTP/1.1\r\n\r\n", 400, "missing_host"),
    "trace": (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405, "method_not_allowed"),
    "connect": (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405, "method_not_allowed"),
    "two_lengths": (POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400, "conflicting_length bad_content_length"),
    "two_equal_lengths": (POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400, "conflicting_length bad_content_length"),
    "length_list": (POST + b"Content-Length: 3, 3\r\n\r\nabc", 400, "bad_content_length conflicting_length"),
    "length_negative": (POST + b"Content-Length: -1\r\n\r\n", 400, "bad_content_length"),
    "length_signed": (POST + b"Content-Length: +3\r\n\r\nabc", 400, "bad_content_length"),
    "length_hex": (POST + b"Content-Length: 0x3\r\n\r\nabc", 400, "bad_content_length"),
    "length_text": (POST + b"Content-Length: three\r\n\r\n", 400, "bad_content_length"),
    "length_empty": (POST + b"Content-Length:\r\n\r\n", 400, "bad_content_length"),
    "length_with_space": (POST + b"Content-Length: 3 3\r\n\r\nabc", 400, "bad_content_length"),
    "length_over_64_bits": (POST + b"Content-Length: 18446744073709551616\r\n\r\n", 400, "bad_content_length"),
    "length_and_chunked": (POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "conflicting_length"),
    "chunked_and_length": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400, "conflicting_length"),
    "coding_in_1_0": (b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad_transfer_encoding"),
    "coding_unknown": (POST + b"Transfer-Encoding: gzip\r\n\r\n", 501, "unknown_transfer_coding"),
    "coding_unknown_then_chunked": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, "unknown_transfer_coding"),
    "coding_identity": (POST + b"Transfer-Encoding: identity\r\n\r\n", None, "bad_transfer_encoding unknown_transfer_coding"),
    "coding_empty": (POST + b"Transfer-Encoding:\r\n\r\n", 400, "bad_transfer_encoding"),
    "coding_chunked_twice": (POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400, "bad_transfer_encoding"),
    "coding_two_lines": (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad_transfer_encoding"),
    "coding_chunked_not_last": (POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", None, "bad_transfer_encoding unknown_transfer_coding"),
    "coding_space_before_colon": (POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400, "bad_header"),
    "coding_with_vt": (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", None, "bad_transfer_encoding unknown_transfer_coding bad_header"),
    "coding_quoted": (POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n', None, "bad_transfer_encoding unknown_transfer_coding"),
}
# Both are right where something is neither plainly unknown nor plainly malformed.
EITHER = {"coding_identity": (400, 501), "coding_chunked_not_last": (400, 501), "coding_with_vt": (400, 501), "coding_quoted": (400, 501),
          "version_malformed": (400, 505)}
# Legal or not by desync mode: tested below.
BY_MODE = {"space_in_target"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One tenbin for the whole table; each case asserts for itself that its target saw nothing."""
    import lb
    target = o.Origin()
    started = lb.Tenbin(tmp_path_factory.mktemp("shared"), WEB, app=target.address)
    started.target = target
    yield started
    started.assert_clean()
    target.close()
    assert not target.errors


@pytest.mark.parametrize("name", [n for n in HEADS if n not in BY_MODE])
def test_a_malformed_head_is_refused_and_never_forwarded(shared, name):
    data, status, reasons = HEADS[name]
    seen = len(shared.target.bytes())
    client = shared.connect()
    address = client.address
    client.send(data + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    response = client.response()
    assert response.status in (EITHER[name] if name in EITHER else (status,)), response
    expect.own_reply(response, response.status)
    assert response["connection"] == "close"
    client.expect_gone()
    line = shared.log_line(client=address)
    assert line["status"] == response.status and line["reason"] in reasons.split() and line["target"] is None
    assert len(shared.target.bytes()) == seen, "something reached the target"


@pytest.mark.parametrize("name", ["two_lengths", "length_and_chunked", "bare_lf_after_field", "no_host", "coding_unknown"])
def test_a_malformed_head_cut_anywhere_is_refused_the_same(shared, name):
    data, status, _ = HEADS[name]
    end = data.find(b"\r\n\r\n") + 4 or len(data)
    seen = len(shared.target.bytes())
    for cut in range(1, end):
        client = shared.connect()
        client.send_until_refused(data[:cut])
        client.send_until_refused(data[cut:])
        assert client.response().status == status, f"cut at {cut}"
        client.expect_gone()
    assert len(shared.target.bytes()) == seen


@pytest.mark.parametrize("mode", ["monitor", "defensive", "strictest"])
@pytest.mark.parametrize("name", ["two_equal_lengths", "two_lengths", "length_and_chunked", "folded", "space_before_colon",
                                  "bare_lf_after_field", "bare_cr_in_value", "nul_in_value", "coding_in_1_0", "coding_chunked_twice"])
def test_what_decision_12_names_is_refused_in_every_desync_mode(tenbin, origin, mode, name):
    web = tenbin(with_attributes(f"desync_mitigation_mode: {mode}"), app=origin.address)
    client = web.connect()
    client.send(HEADS[name][0])
    expect.refused(client, HEADS[name][1])
    assert origin.bytes() == b""


# --- what the desync modes decide

AMBIGUOUS = [GET + b"Content-Length: 3\r\n\r\nabc", GET + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]
ACCEPTABLE = [GET + b"Content-Length: 0\r\n\r\n", GET + b"X: \xe4\r\n\r\n"]


@pytest.mark.parametrize("data", ACCEPTABLE)
@pytest.mark.parametrize("mode, status", [("monitor", 200), ("defensive", 200), ("strictest", 400)])
def test_acceptable_requests_pass_unless_strictest(tenbin, origin, mode, status, data):
    client = tenbin(with_attributes(f"desync_mitigation_mode: {mode}"), app=origin.address).connect()
    client.send(data)
    if status == 400:
        expect.refused(client, 400)
        assert origin.bytes() == b""
    else:
        assert client.response().status == 200
        assert client.get("/again").status == 200


@pytest.mark.parametrize("data", AMBIGUOUS)
def test_ambiguous_requests_pass_alone_in_defensive_mode(tenbin, origin, data):
    client = tenbin(with_attributes("desync_mitigation_mode: defensive"), app=origin.address).connect()
    client.send(data)
    answer = client.response()
    assert answer.status == 200 and answer["connection"] == "close"
    client.expect_gone()
    eventually(lambda: origin.connections[0].end, "the end of the target connection")


@pytest.mark.parametrize("data", AMBIGUOUS)
def test_ambiguous_requests_are_refused_in_strictest_mode(tenbin, origin, data):
    client = tenbin(with_attributes("desync_mitigation_mode: strictest"), app=origin.address).connect()
    client.send(data)
    expect.refused(client, 400)
    assert origin.bytes() == b""


# --- bodies

CHUNKS = {
    "size_not_hex": b"g\r\nhello\r\n0\r\n\r\n",
    "size_empty": b"\r\nhello\r\n0\r\n\r\n",
    "size_negative": b"-5\r\nhello\r\n0\r\n\r\n",
    "size_with_0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "size_with_space": b"5 \r\nhello\r\n0\r\n\r\n",
    "size_space_first": b" 5\r\nhello\r\n0\r\n\r\n",
    "size_over_64_bits": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "size_bare_lf": b"5\nhello\r\n0\r\n\r\n",
    "size_bare_cr": b"5\rX\nhello\r\n0\r\n\r\n",
    "data_too_long": b"5\r\nhello!\r\n0\r\n\r\n",
    "data_bare_lf": b"5\r\nhello\n0\r\n\r\n",
    "data_without_end": b"5\r\nhello0\r\n\r\n",
    "trailer_without_colon": b"5\r\nhello\r\n0\r\nbad\r\n\r\n",
    "trailer_bare_lf": b"5\r\nhello\r\n0\r\nA: b\n\r\n",
    "trailer_space_before_colon": b"5\r\nhello\r\n0\r\nA : b\r\n\r\n",
    "trailer_folded": b"5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n",
    "extension_bare_cr": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "extension_with_nul": b"5;a\0\r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("name", list(CHUNKS))
def test_a_malformed_chunked_body_is_a_400_and_never_whole_for_the_target(tenbin, origins, name, cut):
    app = origins(o.hold_broken)
    web = tenbin(WEB, app=app.address)
    client = web.connect()
    head = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    client.send(head + CHUNKS[name], [len(head)] if cut else [], pause=0.1)
    expect.refused(client, 400)
    assert web.log_line(status=400)["reason"] in ("bad_chunk", "bad_trailer")
    eventually(lambda: all(peer.end for peer in app.connections), "the end of the target connection")
    assert not app.bytes().endswith(b"0\r\n\r\n")


# --- limits: at the limit and one past it

LIMITED = WEB + """
limits: {request_line: 100B, header: 80B, request_head: 300B, headers: 5, trailers: 60B, chunk_line: 20B, body: 1000B}
"""


@pytest.fixture
def limited(tenbin, origins):
    app = origins(o.reply(lambda r: o.response(r.body)))
    started = tenbin(LIMITED, app=app.address)
    started.target = app
    return started


def exchange(limited, data, status, reason):
    """Passes with 200, or is refused with the status and the reason."""
    client = limited.connect()
    client.send(data)
    if status == 200:
        answer = client.response()
        assert answer.status == 200
        return answer
    seen = len(limited.target.requests)
    response = client.response()
    expect.own_reply(response, status)
    assert response["connection"] == "close"
    client.expect_gone()
    limited.log_line(status=status, reason=reason)
    assert len(limited.target.requests) == seen
    return response


@pytest.mark.parametrize("over, status", [(0, 200), (1, 414)])
def test_limit_request_line(limited, over, status):
    target = "/" + "a" * (100 - len("GET / HTTP/1.1") + over)
    assert len(f"GET {target} HTTP/1.1") == 100 + over
    exchange(limited, f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n", status, "uri_too_long")


def test_an_endless_request_line_is_refused_before_it_ends(limited):
    exchange(limited, "GET /" + "a" * 5000, 414, "uri_too_long")


@pytest.mark.parametrize("over, status", [(0, 200), (1, 431)])
def test_limit_header(limited, over, status):
    line = "X: " + "a" * (77 + over)
    exchange(limited, f"GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n", status, "header_too_large")


def test_an_endless_header_is_refused_before_it_ends(limited):
    client = limited.connect()
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX: " + "a" * 5000)
    expect.refused(client, 431)


@pytest.mark.parametrize("over, status", [(0, 200), (1, 431)])
def test_limit_headers(limited, over, status):
    lines = "".join(f"X{i}: a\r\n" for i in range(4 + over))
    exchange(limited, f"GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n", status, "too_many_headers")


@pytest.mark.parametrize("over, status", [(0, 200), (1, 431)])
def test_limit_request_head(limited, over, status):
    first, host = "GET /" + "a" * 80 + " HTTP/1.1", "Host: a"
    left = 300 - len(first) - len(host) + over
    lines = [first, host, "X: " + "a" * 77, "Y: " + "a" * 77, "Z: " + "a" * (left - 163)]
    assert sum(map(len, lines)) == 300 + over
    exchange(limited, "\r\n".join(lines) + "\r\n\r\n", status, "head_too_large")


@pytest.mark.parametrize("over, status", [(0, 200), (1, 413)])
def test_limit_body_with_a_length(limited, over, status):
    data = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {1000 + over}\r\n\r\n" + "a" * (1000 + over)
    exchange(limited, data, status, "body_too_large")
    assert all(len(request.body) <= 1000 for request in limited.target.requests)


@pytest.mark.parametrize("over, status", [(0, 200), (1, 413)])
def test_limit_body_in_chunks(tenbin, origins, over, status):
    app = origins(o.reply(lambda r: o.response(r.body)) if not over else o.hold_broken)
    web = tenbin(LIMITED, app=app.address)
    client = web.connect()
    chunks = b"".join(b"%x\r\n%s\r\n" % (size, bytes(size)) for size in (500, 500 + over, 0))
    client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
    if over:
        expect.refused(client, 413)
        web.log_line(status=413, reason="body_too_large")
        assert not app.bytes().endswith(b"0\r\n\r\n")
    else:
        assert len(client.response().body) == 1000


@pytest.mark.parametrize("over, status", [(0, 200), (1, 400)])
def test_limit_chunk_line(tenbin, origins, over, status):
    app = origins(o.reply(lambda r: o.response(r.body)) if not over else o.hold_broken)
    web = tenbin(LIMITED, app=app.address)
    client = web.connect()
    line = b"5;" + b"e" * (18 + over)
    client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n" + line + b"\r\nhello\r\n0\r\n\r\n")
    if over:
        expect.refused(client, 400)
        web.log_line(status=400, reason="bad_chunk")
    else:
        assert client.response().body == b"hello"


@pytest.mark.parametrize("over, status", [(0, 200), (1, 431)])
def test_limit_trailers(tenbin, origins, over, status):
    app = origins(o.reply(lambda r: o.response(r.body)) if not over else o.hold_broken)
    web = tenbin(LIMITED, app=app.address)
    client = web.connect()
    trailers = b"A: " + b"t" * 27 + b"\r\nB: " + b"t" * (27 + over) + b"\r\n"
    client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n" + trailers + b"\r\n")
    if over:
        expect.refused(client, 431)
        web.log_line(status=431, reason="trailers_too_large")
    else:
        assert client.response().body == b"hello"
        assert [name for name, _ in app.request.trailers] == ["A", "B"]


@pytest.mark.parametrize("over, status", [(0, 200), (1, 414)])
def test_the_default_request_line_is_16_kib(shared, over, status):
    client = shared.connect()
    client.send("GET /" + "a" * (16384 - len("GET / HTTP/1.1") + over) + " HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.response().status == status


@pytest.mark.parametrize("over, status", [(0, 200), (1, 431)])
def test_the_default_header_is_16_kib(shared, over, status):
    client = shared.connect()
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX: " + "a" * (16384 - 3 + over) + "\r\n\r\n")
    assert client.response().status == status


@pytest.mark.parametrize("over, status", [(0, 200), (1, 431)])
def test_the_default_head_is_64_kib(shared, over, status):
    client = shared.connect()
    lines = ["GET / HTTP/1.1", "Host: a", *(f"X{i}: " + "a" * (16000 - 4) for i in range(4))]
    lines.append("Y: " + "a" * (65536 - sum(map(len, lines)) - 3 + over))
    client.send("\r\n".join(lines) + "\r\n\r\n")
    assert client.response().status == status


@pytest.mark.parametrize("over, status", [(0, 200), (1, 431)])
def test_the_default_number_of_headers_is_200(shared, over, status):
    client = shared.connect()
    client.send("GET / HTTP/1.1\r\nHost: a\r\n" + "".join(f"X{i}: a\r\n" for i in range(199 + over)) + "\r\n")
    assert client.response().status == status


def test_garbage_without_end_is_refused(shared):
    client = shared.connect()
    client.send_until_refused(b"\xff" * 200000)
    assert client.response().status in (400, 414)
    client.expect_gone()
