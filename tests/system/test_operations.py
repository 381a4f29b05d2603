"""Commands of operators against the running process: targets drained, registered and deregistered."""

import json
import re
import threading
import time

import pytest

import origin as o
import wire
from conftest import WEB
from lb import eventually, run
from test_deregistration import TCP, Gate, gone, in_flight, target, with_delay
from test_reload import wrk  # noqa: F401

pytestmark = pytest.mark.tsan

SOCKET = 'admin: {listen: "unix:$dir/admin.sock"}\n'
TOKEN = "operator-secret-0123456789"


class Operator:
    """Runs commands against one process, over a unix socket."""

    def __init__(self, lb):
        self.lb = lb
        self.path = str(lb.dir / "admin.sock")

    def run(self, *words, code=0):
        result = run(*words, "--admin", f"unix:{self.path}")
        assert result.returncode == code, f"{words}: exit {result.returncode}: {result.stdout}{result.stderr}"
        return result

    def target(self, *words, code=0):
        return self.run("target", *words, code=code)

    def post(self, path, body, status=200):
        client = wire.Client(self.path)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = client.request("POST", path, body=data).response()
        client.close()
        assert answer.status == status, answer.body
        return json.loads(answer.body)


@pytest.fixture
def operated(tenbin):
    """operated(yaml, name=address, ...) gives a tenbin whose admin endpoint is a unix socket, and an operator of it."""
    def start(text, **names):
        lb = tenbin(SOCKET + text, **names)
        return lb, Operator(lb)
    return start


def shares(web, count=40):
    """Statuses of so many requests, each on a connection of its own."""
    seen = []
    for _ in range(count):
        client = web.connect()
        seen.append(client.get("/").status)
        client.close()
    return seen


TWO = WEB.replace('["$app"]', '["$app", "$other"]')


def test_a_drained_target_gets_no_new_work_and_what_is_in_flight_ends_well(operated, origins):
    gate = Gate()
    app, other = origins(gate.script), origins()
    web, operator = operated(TWO, app=app.address, other=other.address)
    operator.target("drain", "app", other.address)
    held = web.connect()
    held.request("GET", "/held")
    in_flight(web, app.address, 1)
    operator.target("ready", "app", other.address)
    result = operator.target("drain", "app", app.address)
    assert result.stdout == f"{app.address} of app: draining (Operator.Drain), 1 in flight\n"
    shown = target(web, app.address)
    assert (shown["state"], shown["reason"]) == ("draining", "Operator.Drain")
    assert shares(web) == [200] * 40
    assert len(app.requests) == 1
    waiting = threading.Thread(target=operator.target, args=("drain", "app", app.address, "--wait"))
    waiting.start()
    time.sleep(0.5)
    assert waiting.is_alive()
    gate.open.set()
    assert held.response().status == 200
    waiting.join(10)
    assert not waiting.is_alive()
    assert operator.target("ready", "app", app.address).stdout.startswith(f"{app.address} of app: unavailable")
    shares(web)
    assert len(app.requests) > 1
    web.says(rf"audit: target drain app {re.escape(app.address)} by uid \d+ pid \d+: ok",
             rf"audit: target ready app {re.escape(app.address)} by uid \d+ pid \d+: ok")


def test_idle_connections_to_a_drained_target_are_closed_when_the_command_returns(operated, origin, origins):
    other = origins()
    web, operator = operated(TWO, app=origin.address, other=other.address)
    shares(web, 10)
    assert origin.connections
    operator.target("drain", "app", origin.address)
    assert target(web, origin.address)["idle_links"] == 0
    assert target(web, other.address)["idle_links"] > 0


def test_a_drain_survives_reloads_until_the_file_removes_the_target(operated, origins):
    app, other = origins(), origins()
    web, operator = operated(TWO, app=app.address, other=other.address)
    operator.target("drain", "app", app.address)
    for _ in range(20):
        web.reload(SOCKET + TWO)
    weighted = TWO.replace('"$app",', '{address: "$app", weight: 5, zone: b},')
    web.reload(SOCKET + weighted)
    shown = target(web, app.address)
    assert (shown["state"], shown["weight"], shown["zone"]) == ("draining", 5, "b")
    assert shares(web) == [200] * 40 and app.requests == []
    web.reload(SOCKET + TWO.replace('"$app", ', ""))
    gone(web, app.address)
    web.reload(SOCKET + TWO)
    assert target(web, app.address)["state"] != "draining"


def test_deregistering_under_load_costs_no_request(operated, origins, wrk):  # noqa: F811
    app, other = origins(), origins()
    web, operator = operated(TWO, app=app.address, other=other.address)
    load = wrk(web.port(), 30)
    eventually(lambda: len(app.requests) > 50, "load")
    operator.target("deregister", "app", app.address, "--wait")
    assert web.status()["in_flight"] >= 0
    count = len(app.requests)
    gone(web, app.address)
    operator.target("register", "app", app.address)
    eventually(lambda: len(app.requests) > count + 50, "load again")
    assert load.running() and not load.errors()


def test_deregister_waits_for_what_is_in_flight(operated, origins):
    gate = Gate()
    app, other = origins(gate.script), origins()
    web, operator = operated(WEB, app=app.address, other=other.address)
    client = web.connect()
    client.request("GET", "/held")
    in_flight(web, app.address, 1)
    operator.target("register", "app", other.address)
    result = operator.target("deregister", "app", app.address)
    assert result.stdout == f"{app.address} of app: draining (Target.DeregistrationInProgress), 1 in flight\n"
    assert target(web, app.address)["state"] == "draining"
    assert shares(web) == [200] * 40 and len(app.requests) == 1
    waiting = threading.Thread(target=operator.target, args=("deregister", "app", app.address, "--wait"))
    waiting.start()
    time.sleep(0.5)
    assert waiting.is_alive() and web.admin("/healthz", operator.path).status == 200
    gate.open.set()
    assert client.response().status == 200
    waiting.join(10)
    assert not waiting.is_alive()
    gone(web, app.address)


def test_what_is_in_flight_to_a_deregistered_target_is_cut_at_the_deadline(operated, origins):
    app, other = origins(o.hold), origins()
    web, operator = operated(with_delay("1s"), app=app.address)
    client = web.connect()
    client.request("GET", "/held")
    in_flight(web, app.address, 1)
    operator.target("deregister", "app", app.address)
    assert client.response().status == 502
    assert web.log_line(path="/held")["reason"] == "target_deregistered"


def test_tcp_to_a_deregistered_target_is_closed_at_the_deadline(operated, origins):
    app = origins(o.echo)
    tcp, operator = operated(with_delay("1s", TCP), app=app.address)
    client = tcp.connect()
    client.send("hello")
    assert client.read_exactly(5) == b"hello"
    operator.target("deregister", "app", app.address, "--wait")
    client.expect_gone()


def test_a_deregistered_target_stays_away_until_the_file_forgets_it(operated, origins):
    app, other = origins(), origins()
    web, operator = operated(TWO, app=app.address, other=other.address)
    operator.target("deregister", "app", app.address, "--wait")
    for _ in range(20):
        web.reload(SOCKET + TWO)
    gone(web, app.address)
    assert shares(web) == [200] * 40 and app.requests == []
    assert operator.target("deregister", "app", app.address).returncode == 0  # it is so already
    web.reload(SOCKET + TWO.replace('"$app", ', ""))
    operator.target("deregister", "app", app.address, code=1)
    web.reload(SOCKET + TWO)
    assert target(web, app.address)


def test_a_registered_target_serves_with_its_zone_and_weight_and_survives_reloads(operated, origins):
    app, more = origins(), origins()
    web, operator = operated(WEB, app=app.address)
    operator.target("register", "app", more.address, "--zone", "b", "--weight", "3", "--wait")
    for _ in range(20):
        web.reload(SOCKET + WEB)
    shown = target(web, more.address)
    assert (shown["zone"], shown["weight"]) == ("b", 3)
    shares(web)
    assert len(more.requests) > 2 * len(app.requests)
    operator.target("register", "app", more.address, "--weight", "1")
    assert target(web, more.address)["weight"] == 1
    operator.target("deregister", "app", more.address, "--wait")
    gone(web, more.address)
    operator.target("deregister", "app", more.address, code=1)


STATEFUL = "state_dir: $dir\n"


def restarted(lb):
    """Stops it and starts it again in the same directory."""
    lb.close_clients()
    assert lb.stop() == 0
    lb.begin(True)
    lb.ended_by_test = False


def test_changes_survive_a_restart_with_a_state_dir(operated, origins):
    app, other, more = origins(), origins(), origins()
    web, operator = operated(STATEFUL + TWO, app=app.address, other=other.address)
    operator.target("drain", "app", app.address)
    operator.target("deregister", "app", other.address, "--wait")
    operator.target("register", "app", more.address, "--zone", "d", "--weight", "2")
    state = json.loads((web.dir / "state.json").read_text())
    assert [len(state[k]) for k in ("registered", "deregistered", "drained", "shifts")] == [1, 1, 1, 0]
    restarted(web)
    assert target(web, app.address)["state"] == "draining"
    assert target(web, other.address) is None
    assert (target(web, more.address)["zone"], target(web, more.address)["weight"]) == ("d", 2)
    assert shares(web) == [200] * 40
    assert app.requests == [] and other.requests == [] and len(more.requests) == 40
    operator.target("ready", "app", app.address)
    operator.target("register", "app", other.address)
    restarted(web)
    assert shares(web, 60) == [200] * 60
    assert app.requests and other.requests


def test_without_a_state_dir_changes_end_with_the_process(operated, origins):
    app, other = origins(), origins()
    web, operator = operated(TWO, app=app.address, other=other.address)
    assert operator.post("/targets/drain", {"group": "app", "address": app.address})["saved"] is None
    restarted(web)
    assert target(web, app.address)["state"] != "draining"


def test_a_broken_state_file_is_put_aside_and_said(operated, origins):
    app, other = origins(), origins()
    web, operator = operated(STATEFUL + TWO, app=app.address, other=other.address)
    operator.target("drain", "app", app.address)
    web.close_clients()
    assert web.stop() == 0
    (web.dir / "state.json").write_text('{"version":1,"drained":[{"group":"app","addre')
    web.begin(True)
    web.ended_by_test = False
    web.says("state: state.json:1:", "state: .*state.json cannot be used: it is now .*state.json.bad")
    assert target(web, app.address)["state"] != "draining"
    assert (web.dir / "state.json.bad").exists()


def test_what_cannot_be_saved_is_applied_and_said(operated, origins):
    app, other = origins(), origins()
    web, operator = operated("state_dir: $dir/none\n" + TWO, app=app.address, other=other.address)
    result = operator.target("drain", "app", app.address)
    assert "it will not survive a restart: No such file or directory" in result.stderr
    assert target(web, app.address)["state"] == "draining"
    web.says("state: .*none/state.json: No such file or directory")


# --- tables

ZONES = WEB.replace('["$app"]', '[{address: "$app", zone: a}, {address: "$b", zone: b}, {address: "$c", zone: c}]')


@pytest.fixture
def zones(operated, origins):
    targets = [origins() for _ in range(3)]
    names = dict(zip(("app", "b", "c"), (t.address for t in targets)))
    web, operator = operated("node: {zone: a}\n" + ZONES, **names)
    return web, operator, targets


def test_tables(zones):
    web, operator, (a, _, _) = zones
    shares(web, 12)
    status = operator.run("status").stdout
    assert status.startswith("tenbin ") and "LISTENER" in status
    assert re.search(rf"^app +{re.escape(a.address)} +a +1 +unavailable +0 +\d+ ", status, re.M)
    table = operator.run("zones").stdout.splitlines()
    assert table[0].split() == ["ZONE", "TARGETS", "HEALTHY", "IN", "FLIGHT", "REQUESTS", "NOTE"]
    assert [line.split()[:3] for line in table[1:]] == [["a", "1", "1"], ["b", "1", "1"], ["c", "1", "1"]]
    assert "this node's" in table[1]


# --- what is refused

@pytest.mark.parametrize("words, says", [
    (["drain", "ap", "10.0.0.1:80"], "there is no target group ap; did you mean app?"),
    (["drain", "nonsense", "10.0.0.1:80"], "there is no target group nonsense"),
    (["drain", "app", "10.0.0.1:80"], "10.0.0.1:80 is not registered in app"),
    (["ready", "app", "10.0.0.1:80"], "10.0.0.1:80 is not registered in app"),
    (["deregister", "app", "10.0.0.1:80"], "10.0.0.1:80 is not registered in app"),
    (["drain", "app", "localhost:80"], "is not an address; expected IP:PORT"),
    (["register", "app", "10.0.0.1:0"], "has no port to connect to"),
    (["register", "app", "10.0.0.1:80", "--weight", "1000"], "weight"),
    (["register", "app", "10.0.0.1:80", "--zone", "a b"], "zone"),
    (["register", "a b", "10.0.0.1:80"], "group"),
])
def test_a_command_that_cannot_be_is_explained(operated, origin, words, says):
    web, operator = operated(WEB, app=origin.address)
    result = operator.target(*words, code=1)
    assert says in result.stderr and result.stderr.startswith("tenbin target: ") and result.stderr.count("\n") == 1
    assert [t["address"] for t in web.status()["groups"][0]["targets"]] == [origin.address]


def test_zone_and_weight_of_a_configured_target_are_not_an_operators(operated, origin):
    web, operator = operated(WEB, app=origin.address)
    assert "changed there" in operator.target("register", "app", origin.address, "--weight", "2", code=1).stderr
    operator.target("register", "app", origin.address)


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b"{", b'{"group": "app"}', b'{"group": "app", "address": "10.0.0.1:80", "x": 1}',
                                  b'{"group": "app", "group": "app", "address": "10.0.0.1:80"}', b"\xff\xfe", b"{\x00}",
                                  b'{"group": "app", "address": "10.0.0.1:80", "wait": "61s"}', b"[" * 60000, b'{"a": &a [*a]}'])
def test_a_body_that_makes_no_sense_is_400(operated, origin, body):
    web, operator = operated(WEB, app=origin.address)
    answer = operator.post("/targets/drain", body, 400)
    assert set(answer) == {"error"} and len(answer["error"]) > 5
    assert web.admin("/healthz", operator.path).status == 200


def test_a_body_of_64_kib_is_read_and_one_more_byte_is_not(operated, origin):
    web, operator = operated(WEB, app=origin.address)
    body = json.dumps({"group": "app", "address": origin.address}).encode()
    assert operator.post("/targets/drain", body.ljust(65536))["ok"] is True
    client = wire.Client(operator.path)
    client.send(f"POST /targets/drain HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n")
    assert client.response().status == 413
    client.close()


def test_over_tcp_a_change_needs_the_token_of_an_operator(tenbin, origin, tmp_path):
    words = ["target", "drain", "app", origin.address]
    web = tenbin(WEB, app=origin.address)
    result = run(*words, "-c", web.path)
    assert result.returncode == 1 and "changes over TCP need the token of an operator" in result.stderr
    for name, token in {"operator": TOKEN, "viewer": "viewer-secret-0123456789", "wrong": "wrong-secret-0123456789"}.items():
        (tmp_path / name).write_text(token + "\n")
    tokens = "tokens: [{role: viewer, file: %s}, {role: operator, file: %s}]" % (tmp_path / "viewer", tmp_path / "operator")
    guarded = tenbin('admin: {listen: "127.0.0.1:$admin", ' + tokens + "}\n" + WEB, app=origin.address)
    expected = {"viewer": (1, "token of a viewer"), "wrong": (1, "not one of admin.tokens"), None: (1, "a token is needed"),
                "operator": (0, ""), "missing": (2, "No such file")}
    for name, (code, says) in expected.items():
        result = run(*words, "-c", guarded.path, *(["--token-file", tmp_path / name] if name else []))
        assert result.returncode == code and says in result.stderr, (name, result)
    guarded.says("audit: target drain app .* by 127.0.0.1:[0-9]+ with the token of an operator: ok")
    assert TOKEN not in guarded.stderr()
    assert guarded.stop() == 0


@pytest.mark.parametrize("words", [["target"], ["target", "drain"], ["target", "drain", "app"], ["target", "melt", "app", "10.0.0.1:1"],
                                   ["target", "drain", "app", "10.0.0.1:1", "--zone", "a"], ["target", "drain", "app", "10.0.0.1:1", "more"],
                                   ["target", "drain", "app", "10.0.0.1:1", "--admin"], ["target", "drain", "app", "10.0.0.1:1", "--admin", "x"],
                                   ["status", "x"], ["zones", "--wait"], ["top"]])
def test_usage(words):
    result = run(*words)
    assert result.returncode == 2 and result.stderr and not result.stdout


def test_a_process_that_is_not_there(tmp_path, origins):
    refusing = origins.refusing()
    for admin in (refusing.address, f"unix:{tmp_path}/none.sock"):
        result = run("status", "--admin", admin)
        assert result.returncode == 3 and admin in result.stderr
    assert run("status", "-c", tmp_path / "none.yaml").returncode == 3


def test_an_answer_that_is_none(origins):
    for script in (lambda p: p.read_request() and p.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}"),
                   lambda p: p.read_request() and p.send("garbage\r\n\r\n"), lambda p: p.read_request()):
        assert run("status", "--admin", origins(script).address).returncode == 3
    result = run("status", "--admin", origins(o.reply(lambda r: o.response(b'{"error": "no\\u001b[2J"}', "500 Internal"))).address)
    assert result.returncode == 1 and result.stderr == "tenbin status: no?[2J\n"


def test_clients_that_leave_while_they_wait_leave_nothing(operated, origins):
    gate = Gate()
    app, other = origins(gate.script), origins()
    web, operator = operated(TWO, app=app.address, other=other.address)
    operator.target("drain", "app", other.address)
    held = web.connect()
    held.request("GET", "/held")
    in_flight(web, app.address, 1)
    operator.target("ready", "app", other.address)
    before = web.descriptors()
    clients = []
    body = json.dumps({"group": "app", "address": app.address, "wait": "60s"})
    for _ in range(32):
        client = wire.Client(operator.path)
        client.send(f"POST /targets/drain HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}")
        clients.append(client)
    time.sleep(0.5)
    assert operator.post("/targets/ready", {"group": "app", "address": other.address}, 503)["error"] == "too many commands at the same time"
    assert web.admin("/healthz", operator.path).status == 200
    for client in clients:
        client.close()
    eventually(lambda: web.descriptors() <= before, "connections gone")
    assert operator.post("/targets/ready", {"group": "app", "address": app.address})["ok"] is True
    gate.open.set()
    assert held.response().status == 200


def test_commands_all_at_once_are_all_answered(operated, origins):
    app, other = origins(), origins()
    web, operator = operated(STATEFUL + TWO, app=app.address, other=other.address)
    errors = []

    def work(n):
        try:
            for i in range(8):
                what = ("drain", "ready", "deregister", "register")[(n + i) % 4]
                client = wire.Client(operator.path)
                client.timeout(30)
                body = json.dumps({"group": "app", "address": app.address})
                answer = client.request("POST", f"/targets/{what}", body=body.encode()).response()
                client.close()
                assert answer.status in (200, 404), answer.body
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    operator.target("register", "app", app.address)
    operator.target("ready", "app", app.address)
    assert shares(web) == [200] * 40 and app.requests
    eventually(lambda: web.status()["snapshots_live"] == 1, "one live snapshot")


def test_a_target_that_has_left_is_not_registered_although_an_old_request_remembers_it(operated, origins):
    gate = Gate()
    app, other = origins(gate.script), origins()
    web, operator = operated(TWO, app=app.address, other=other.address)
    operator.target("drain", "app", other.address)
    held = web.connect()
    held.request("GET", "/held")
    in_flight(web, app.address, 1)
    web.reload(SOCKET + WEB)
    gone(web, other.address)
    assert web.status()["snapshots_live"] == 2
    assert "is not registered in app" in operator.target("ready", "app", other.address, code=1).stderr
    gate.open.set()
    assert held.response().status == 200
