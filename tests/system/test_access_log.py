"""The access log: what each line says, and that no line is lost."""

import json
import re
import time

import pytest

import origin as o
from conftest import WEB
from lb import eventually

FIELDS = ("time type listener client target group rule method scheme host path protocol status target_status reason"
          " received_bytes sent_bytes request_processing_time target_processing_time response_processing_time retries user_agent"
          " trace_id conn_trace_id zone target_zone zone_decision tls_protocol tls_cipher snapshot").split()

ZONED = """
    node: {zone: a}
    listeners:
      - {name: web, listen: "127.0.0.1:$web", protocol: http, default_action: {forward: app}}
    target_groups:
      - {name: app, protocol: http, targets: [{address: "$app", zone: b}]}
    """


def test_a_line_has_every_field_and_says_what_happened(tenbin, origins):
    def slow(peer):
        peer.read_request()
        time.sleep(0.2)
        peer.send(o.response(b"body", "201 Created"))
        peer.wait_for_end()

    app = origins(slow)
    web = tenbin(ZONED, app=app.address)
    client = web.connect()
    request = b"POST /a/b?c=d HTTP/1.1\r\nHost: Example.com\r\nUser-Agent: test \"1\"\r\nContent-Length: 4\r\n\r\ndata"
    client.send(request)
    client.response()
    line = web.log_line(path="/a/b?c=d")
    assert list(line) == FIELDS
    expected = {"type": "http", "listener": "web", "client": client.address, "target": app.address, "group": "app", "rule": "default",
                "method": "POST", "scheme": "http", "protocol": "HTTP/1.1", "status": 201, "target_status": 201,
                "reason": None, "received_bytes": len(request), "sent_bytes": len(client.received), "retries": 0,
                "user_agent": 'test "1"', "trace_id": app.request["x-amzn-trace-id"], "zone": "a", "target_zone": "b",
                "zone_decision": "cross", "tls_protocol": None, "tls_cipher": None, "snapshot": 1}
    assert {key: line[key] for key in expected} == expected
    assert line["host"].lower() == "example.com"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", line["time"])
    assert 0.15 < line["target_processing_time"] < 1.5
    assert 0 <= line["request_processing_time"] < 0.5 and 0 <= line["response_processing_time"] < 0.5


def test_what_never_reached_a_target_has_nulls(tenbin, origin):
    web = tenbin(WEB, app=origin.address)
    web.connect().send("BROKEN\r\n\r\n").response()
    line = web.log_line(status=400)
    assert list(line) == FIELDS
    for key in ("target", "target_status", "target_processing_time", "group"):
        assert line[key] is None, key
    assert line["reason"]


def test_hostile_bytes_stay_inside_their_field(web):
    client = web.connect()
    agent = b'quote" back\\slash \xff\xc3\xa4 </script> \x7e'
    client.send(b"GET /%22%0a?\"x\" HTTP/1.1\r\nHost: a\r\nUser-Agent: " + agent + b"\r\n\r\n")
    client.response()
    eventually(lambda: web.access_log(), "the line")
    raw = (web.dir / "access.log").read_bytes()
    assert raw.count(b"\n") == 1
    line = json.loads(raw.decode("utf-8"))
    assert line["user_agent"].startswith('quote" back\\slash ')


def test_every_request_has_its_line(web):
    for _ in range(20):
        client = web.connect()
        client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n" * 50)
        for _ in range(50):
            client.response()
        client.close()
    eventually(lambda: len(web.access_log()) == 1000, "1000 lines")
    assert {line["status"] for line in web.access_log()} == {200}
    assert web.metrics().get("tenbin_log_lines_dropped_total", 0) == 0


def test_lines_come_within_the_flush_time(tenbin, origin):
    web = tenbin(WEB + "access_log: {path: $dir/access.log, format: json, flush: 1s}\n", app=origin.address)
    web.connect().get("/")
    begin = time.monotonic()
    eventually(lambda: web.access_log(), "the line", 5)
    assert time.monotonic() - begin < 2.5


def test_buffered_lines_are_written_at_the_end(tenbin, origin):
    web = tenbin(WEB + "access_log: {path: $dir/access.log, format: json, flush: 60s}\n", app=origin.address)
    web.connect().get("/last")
    web.close_clients()
    assert web.stop() == 0
    assert [line["path"] for line in web.access_log()] == ["/last"]


def test_combined(tenbin, origin):
    web = tenbin(WEB + "access_log: {path: $dir/access.log, format: combined, flush: 100ms}\n", app=origin.address)
    client = web.connect()
    answer = client.get("/a?b=c", 'User-Agent: my "agent"', "Referer: http://from.example/")
    path = web.dir / "access.log"
    eventually(lambda: path.exists() and path.read_text(), "the line")
    time_form = r"\[(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\]"
    match = re.fullmatch(rf'(\S+) - - {time_form} "([^"]*)" (\d+) (\d+) "([^"]*)" "(.*)"\n', path.read_text())
    assert match, path.read_text()
    assert match.group(1) == "127.0.0.1" and match.group(3) == "GET /a?b=c HTTP/1.1" and match.group(4) == "200"
    assert int(match.group(5)) in (len(answer.body), len(client.received))
    assert match.group(6) == "http://from.example/" and match.group(7) == r'my \"agent\"'


@pytest.mark.parametrize("where", ["missing/dir/access.log", "."])
def test_a_log_that_cannot_be_opened_is_an_error_at_the_start(tenbin, origin, where):
    web = tenbin(WEB + f"access_log: {{path: $dir/{where}, format: json}}\n", app=origin.address, ready=False)
    assert web.process.wait(10) == 1
    web.ended_by_test = True
    assert "access.log" in web.stderr() or str(web.dir) in web.stderr()


def test_a_full_disk_loses_lines_and_nothing_else(tenbin, origin):
    web = tenbin(WEB + "access_log: {path: /dev/full, format: json, flush: 100ms}\n", app=origin.address)
    client = web.connect()
    for _ in range(200):
        assert client.get("/").status == 200
    eventually(lambda: web.metrics()["tenbin_log_lines_dropped_total"] >= 200, "the drops counted")
