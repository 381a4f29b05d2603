"""The admin endpoint: what it tells, and how little it lets anyone do."""

import os
import re
import stat
import time

import pytest

import origin as o
import wire
from conftest import WEB
from lb import eventually, run

STATUS = "generation snapshots_live uptime_seconds version node workers listeners groups connections descriptors reasons reloads".split()


def test_healthz_is_200(web):
    answer = web.admin("/healthz")
    assert answer.status == 200 and answer.body


def test_status_has_the_names_that_tools_rely_on(web, origin):
    client = web.connect()
    client.get("/")
    client.send("nonsense\r\n\r\n").response()
    status = eventually(lambda: web.status()["reasons"] and web.status(), "a reason counted")
    assert set(STATUS) <= set(status)
    assert status["generation"] == 1 and status["snapshots_live"] == 1 and status["workers"] == 2
    assert [listener["name"] for listener in status["listeners"]] == ["web"]
    group = status["groups"][0]
    assert group["name"] == "app"
    target = group["targets"][0]
    assert set("address zone state reason in_flight requests weight".split()) <= set(target)
    assert (target["address"], target["requests"], target["in_flight"], target["weight"]) == (origin.address, 1, 0, 1)
    assert status["reloads"]["ok"] == 0 and status["reloads"]["failed"] == 0 and status["reloads"]["last_error"] is None
    assert sum(status["reasons"].values()) == 1
    assert abs(status["descriptors"] - web.descriptors()) <= 3
    assert status["uptime_seconds"] < 60


def test_gauges_go_up_and_come_back(tenbin, origins):
    app = origins(o.hold)
    web = tenbin(WEB, app=app.address)
    clients = [web.connect() for _ in range(5)]
    for client in clients:
        client.request("GET", "/")
    eventually(lambda: web.gauges()[f"in_flight app {app.address}"] == 5, "five in flight")
    assert web.gauges()["connections"] == 5
    assert web.metrics()['tenbin_connections_active{listener="web"}'] == 5
    for client in clients:
        client.reset()
    web.settle()
    assert web.metrics()['tenbin_connections_active{listener="web"}'] == 0


def test_metrics_count_what_happened(tenbin, origin):
    web = tenbin("node: {zone: a}\n" + WEB.replace('["$app"]', '[{address: "$app", zone: b}]'), app=origin.address)
    client = web.connect()
    for _ in range(7):
        client.get("/")
    client.send("nonsense\r\n\r\n").response()
    client.expect_gone()
    eventually(lambda: web.metrics().get('tenbin_requests_total{code="400",listener="web"}'), "the 400 counted")
    metrics = web.metrics()
    target = f'group="app",target="{origin.address}",zone="b"'
    assert metrics['tenbin_requests_total{code="200",listener="web"}'] == 7
    assert sum(v for k, v in metrics.items() if k.startswith("tenbin_reasons_total{")) == 1
    assert metrics['tenbin_connections_total{listener="web"}'] == 1
    assert metrics[f'tenbin_target_requests_total{{code="2xx",{target}}}'] == 7
    assert metrics[f"tenbin_target_in_flight{{{target}}}"] == 0
    by_direction = {k: v for k, v in metrics.items() if k.startswith("tenbin_bytes_total{")}
    assert len(client.received) in by_direction.values(), by_direction
    assert metrics["tenbin_snapshot_generation"] == 1 and metrics["tenbin_snapshots_live"] == 1
    assert metrics["tenbin_log_lines_dropped_total"] == 0
    assert metrics['tenbin_target_response_seconds_count{group="app"}'] == 7
    assert metrics['tenbin_target_response_seconds_bucket{group="app",le="+Inf"}'] == 7
    assert metrics['tenbin_zone_requests_total{decision="cross",group="app",target_zone="b",zone="a"}'] == 7


def test_metrics_are_valid_prometheus_text(web):
    web.connect().get("/")
    answer = web.admin("/metrics")
    assert answer["content-type"].startswith("text/plain") and "0.0.4" in answer["content-type"]
    lines = answer.body.decode().split("\n")
    assert lines.pop() == ""
    typed = set()
    for line in lines:
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            assert kind in ("counter", "gauge", "histogram") and name not in typed
            assert name.startswith("tenbin_") and (name.endswith("_total") == (kind == "counter"))
            typed.add(name)
        elif not line.startswith("# HELP "):
            match = re.fullmatch(r'([a-z_0-9]+)(\{([a-z_]+="([^"\\\n]|\\["\\n])*",?)*\})? [-+0-9.eE]+(Inf)?', line)
            assert match, line
            assert re.sub("_(bucket|sum|count)$", "", match.group(1)) in typed or match.group(1) in typed, line
    assert len(lines) == len(set(lines)), "a series appears twice"


@pytest.mark.parametrize("path", ["/", "/status/", "/statu", "/metrics/x", "/healthz%00"])
def test_an_unknown_path_is_404(web, path):
    assert web.admin(path).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_what_shows_something_is_for_get_only(web, method):
    client = wire.Client(web.port("admin"))
    client.send(f"{method} /status HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    answer = client.response()
    assert answer.status == 405 and "GET" in (answer["allow"] or "GET")
    client.close()


@pytest.mark.parametrize("data, status", [(b"nonsense\r\n\r\n", 400), (b"GET /status HTTP/1.1\r\n\r\n", 400), (b"GET /status HTTP/1.1\nHost: a\n\n", 400),
                                          (b"GET /status HTTP/3.0\r\nHost: a\r\n\r\n", 505),
                                          (b"GET /status HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400)])
def test_bad_requests_are_refused(web, data, status):
    client = wire.Client(web.port("admin"))
    client.send(data)
    assert client.response().status == status
    client.expect_gone()
    client.close()


def test_a_request_larger_than_the_admin_endpoint_takes_is_refused(web):
    client = wire.Client(web.port("admin"))
    client.send_until_refused(b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.response().status in (414, 431)
    client.close()


def test_a_slow_request_is_cut_after_five_seconds_and_others_are_served_meanwhile(web):
    slow = wire.Client(web.port("admin"))
    begin = time.monotonic()
    slow.send("GET /status HTTP/1.1\r\n")
    assert web.admin("/healthz").status == 200
    slow.timeout(10)
    try:
        rest = slow.read_to_end()
    except ConnectionResetError:
        rest = b""
    assert rest == b"" or rest.startswith(b"HTTP/1.1 408 ")
    assert 4 < time.monotonic() - begin < 8
    slow.close()


def test_a_slow_reader_of_a_large_answer_is_cut_too(web):
    slow = wire.Client(web.port("admin"), receive_buffer=2048)
    slow.send("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 200)
    eventually(lambda: web.admin("/healthz").status == 200, "others served")
    time.sleep(6)
    slow.timeout(10)
    try:
        slow.read_to_end()
    except ConnectionResetError:
        pass
    slow.close()


def test_the_65th_connection_waits_until_another_has_ended(web):
    time.sleep(0.5)  # the connection that found it ready is closed by now
    before = web.descriptors()
    held = [wire.Client(web.port("admin")) for _ in range(64)]
    for client in held:
        client.send("GET /heal")
    eventually(lambda: web.descriptors() >= before + 64, "64 accepted")
    extra = wire.Client(web.port("admin"))
    extra.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    extra.expect_silence(1)
    held[0].send("thz HTTP/1.1\r\nHost: a\r\n\r\n")
    assert held[0].response().status == 200
    for client in held:
        client.close()
    assert extra.response().status == 200
    extra.close()
    assert web.cpu_share(1) < 0.1


def test_a_unix_socket_is_0660_and_serves_the_same(tenbin, origin):
    web = tenbin(WEB + 'admin: {listen: "unix:$dir/admin.sock"}\n', app=origin.address, ready=False)
    path = str(web.dir / "admin.sock")
    eventually(lambda: os.path.exists(path) and served(web, path), "the socket")
    mode = os.stat(path).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660
    assert web.admin("/status", path).status == 200
    web.connect().get("/")
    web.close_clients()
    assert web.stop() == 0
    assert not os.path.exists(path)


def served(lb, path):
    try:
        return lb.admin("/healthz", path).status == 200
    except (OSError, AssertionError):
        return False


def test_a_unix_socket_left_by_a_dead_process_is_no_obstacle(tenbin, origin, tmp_path):
    text = WEB + 'admin: {listen: "unix:$sock"}\n'
    path = str(tmp_path / "a.sock")
    first = tenbin(text, app=origin.address, sock=path, ready=False)
    eventually(lambda: os.path.exists(path) and served(first, path), "the first")
    first.kill()
    first.ended_by_test = True
    second = tenbin(text, app=origin.address, sock=path, ready=False)
    eventually(lambda: served(second, path), "the second")
    second.close_clients()
    assert second.stop() == 0


# --- tokens

VIEWER, OPERATOR = "viewer-secret-0123456789", "operator-secret-0123456789"
TOKENS = 'tokens: [{role: viewer, file: $viewer}, {role: operator, file: $operator}]'


@pytest.fixture
def token_files(tmp_path):
    names = {"viewer": VIEWER, "operator": OPERATOR}
    for name, token in names.items():
        (tmp_path / name).write_text(token + "\n")
    return {name: tmp_path / name for name in names}


def ask(lb, method, path, token=None, body=b""):
    client = wire.Client(lb.port("admin"))
    lines = (f"Authorization: Bearer {token}",) if token else ()
    answer = client.request(method, path, *lines, body=body).response()
    client.close()
    return answer


def test_with_tokens_every_question_needs_one_but_healthz(tenbin, origin, token_files):
    web = tenbin(WEB + 'admin: {listen: "127.0.0.1:$admin", ' + TOKENS + "}\n", app=origin.address, **token_files)
    assert ask(web, "GET", "/healthz").status == 200
    for path in ("/status", "/metrics"):
        for token in (None, "wrong-secret-0123456789", VIEWER[:-1], VIEWER + "x"):
            answer = ask(web, "GET", path, token)
            assert answer.status == 401 and answer["www-authenticate"] == "Bearer" and b"token" in answer.body
        assert ask(web, "GET", path, VIEWER).status == 200
        assert ask(web, "GET", path, OPERATOR).status == 200
    web.says("admin: GET /status from 127.0.0.1:[0-9]+ refused: a token is needed")
    assert VIEWER not in web.stderr() and "wrong-secret" not in web.stderr()
    assert web.stop() == 0


def test_a_reload_reads_the_tokens_again(tenbin, origin, token_files):
    text = WEB + 'admin: {listen: "127.0.0.1:$admin", ' + TOKENS + "}\n"
    web = tenbin(text, app=origin.address, **token_files)
    token_files["viewer"].write_text("another-secret-0123456789")
    web.hup()
    eventually(lambda: ask(web, "GET", "/status", "another-secret-0123456789").status == 200, "the new token")
    assert ask(web, "GET", "/status", VIEWER).status == 401
    token_files["viewer"].unlink()
    web.hup()
    web.says("cannot read the token .*viewer: No such file", "reload: failed")
    assert ask(web, "GET", "/status", "another-secret-0123456789").status == 200
    assert web.stop() == 0


def test_a_bad_token_file_stops_check_and_start(tenbin, origin, token_files, tmp_path):
    token_files["operator"].write_text("short")
    file = tmp_path / "c.yaml"
    file.write_text(f"""
admin: {{listen: "127.0.0.1:9900", tokens: [{{role: operator, file: {token_files["operator"]}}}]}}
listeners: [{{name: web, listen: "127.0.0.1:8080", protocol: http, default_action: {{forward: app}}}}]
target_groups: [{{name: app, targets: ["{origin.address}"]}}]
""")
    result = run("check", "-c", file)
    assert result.returncode == 1 and "16 to 256 visible ASCII characters" in result.stderr
    result = run("run", "-c", file)
    assert result.returncode == 1 and "16 to 256 visible ASCII characters" in result.stderr


@pytest.mark.parametrize("length, status", [(65536, 405), (65537, 413), (10**12, 413)])
def test_a_body_is_bounded(web, length, status):
    client = wire.Client(web.port("admin"))
    client.send(f"POST /status HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
    if status == 405:
        client.send(b"x" * length)
    assert client.response().status == status
    client.close()


def test_a_body_that_never_becomes_whole_is_cut_and_others_are_served_meanwhile(web):
    slow = wire.Client(web.port("admin"))
    slow.send("POST /status HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nx")
    assert web.admin("/healthz").status == 200
    slow.timeout(10)
    assert slow.response().status == 408
    slow.close()
