"""Health checks: who is asked, what is made of the answers, and who serves."""

import pathlib
import re
import socket
import subprocess
import sys
import threading
import time

import pytest

import lb as lb_module
import origin as o
from lb import eventually

APP = pathlib.Path(__file__).resolve().parent.parent / "demo" / "app.py"
QUICK = "interval: 200ms, timeout: 150ms, healthy_threshold: 2, unhealthy_threshold: 2"

WEB = """
    listeners:
      - {name: web, listen: "127.0.0.1:$web", protocol: %s, default_action: {forward: app}}
    target_groups:
      - name: app
        protocol: %s
        attributes: {retries: 2, %s}
        health_check: {%s}
        targets: [%s]
    """


def config(names, check=QUICK, attributes="fail_open: true", protocol="http"):
    return WEB % (protocol, protocol, attributes, check, ", ".join(f'"${name}"' for name in names))


class Well:
    """A target's script: what it says to checks can be changed; others get 200 and its name."""

    def __init__(self, name="", status="200 OK"):
        self.name, self.status = name, status
        self.checks = []

    def __call__(self, peer):
        while (request := peer.read_request()):
            if request.has("user-agent") and request["user-agent"] == "ELB-HealthChecker/2.0":
                self.checks.append(request)
                peer.send(o.response(b"", self.status))
            else:
                peer.send(o.response(self.name))


def start(tenbin, targets, **keywords):
    names = {f"t{i}": target.address for i, target in enumerate(targets)}
    return tenbin(config(names, **keywords), **names)


def health(lb):
    """[(state, reason), ...] in the order of the file."""
    return [(t["state"], t["reason"]) for t in lb.status()["groups"][0]["targets"]]


def becomes(lb, *states, seconds=8.0):
    """Waits until the targets are in these states; "*" is any."""
    def there():
        return all(want in ("*", state) for want, (state, _) in zip(states, health(lb), strict=True))
    eventually(there, f"the states {states}", seconds)


def served_by(lb, n=12):
    """Who answers n requests, each on a new connection."""
    bodies = set()
    for _ in range(n):
        answer = lb.connect().get("/")
        assert answer.status == 200, answer
        bodies.add(answer.body.decode())
    return bodies


# --- who is asked, and how

def test_a_group_without_a_health_check_is_checked_as_elb_does_it(tenbin, origins):
    well = Well()
    target = origins(well)
    web = start(tenbin, [target], check="interval: 30s")
    becomes(web, "healthy")
    assert health(web) == [("healthy", None)]
    check, = well.checks
    assert check.raw == (f"GET / HTTP/1.1\r\nHost: {target.address}\r\nConnection: close\r\n"
                         "User-Agent: ELB-HealthChecker/2.0\r\n\r\n").encode()


def test_each_check_has_a_connection_of_its_own_that_is_closed(tenbin, origins):
    well = Well()
    target = origins(well)
    web = start(tenbin, [target])
    eventually(lambda: len(well.checks) >= 4, "four checks")
    assert len(target.connections) >= 4
    assert all(len(peer.requests) <= 1 for peer in target.connections)
    assert web.status()["pools"]["links"] == 0


def test_a_group_that_no_listener_uses_is_not_checked(tenbin, origins):
    well = Well()
    target = origins(well)
    web = tenbin(config(["app"]) + """
      - {name: spare, health_check: {interval: 100ms}, targets: ["$spare"]}
    """, app=origins().address, spare=target.address)
    becomes(web, "healthy")
    time.sleep(0.5)
    assert target.connections == []
    spare = web.status()["groups"][1]["targets"][0]
    assert (spare["state"], spare["reason"]) == ("unused", "Target.NotInUse")


def test_checks_can_be_off(tenbin, origins):
    target = origins()
    web = tenbin(config(["app"]).replace("health_check: {%s}" % QUICK, "health_check: off"), app=target.address)
    time.sleep(0.5)
    assert target.connections == []
    assert health(web) == [("unavailable", "Target.HealthCheckDisabled")]
    assert web.connect().get("/").status == 200


def test_a_tcp_group_is_checked_by_connecting(tenbin, origins):
    up, down = origins(o.echo), origins.refusing()
    web = start(tenbin, [up, down], protocol="tcp")
    becomes(web, "healthy", "unhealthy")
    assert health(web)[1] == ("unhealthy", "Target.FailedHealthChecks")
    for _ in range(6):
        client = web.connect()
        client.send("hello")
        assert client.read_exactly(5) == b"hello"


def test_a_unix_target_is_asked_as_localhost(tenbin, tmp_path):
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "app.sock"))
    server.listen(8)
    server.settimeout(10)
    web = tenbin(config(["t0"]), t0=f"unix:{tmp_path}/app.sock")
    with server, server.accept()[0] as peer:
        assert peer.recv(4096).startswith(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        peer.sendall(o.OK)
        becomes(web, "healthy")


# --- verdicts

@pytest.mark.parametrize("matcher, status, good", [
    ('"200"', "200 OK", True), ('"200"', "204 No Content", False), ('"200-299"', "204 No Content", True),
    ('"200,404"', "404 Not Found", True), ('"200-299,301"', "302 Found", False), ('"200"', "500 No", False),
])
def test_the_matcher_decides(tenbin, origins, matcher, status, good):
    web = start(tenbin, [origins(Well(status=status))], check=f"{QUICK}, matcher: {matcher}")
    becomes(web, "healthy" if good else "unhealthy")
    assert health(web)[0][1] == (None if good else "Target.ResponseCodeMismatch")


def hang(peer):
    peer.read_request()
    peer.wait_for_end()


def garbage(peer):
    peer.read_request()
    peer.send(b"\x00\x01\x02garbage\r\n\r\n")
    peer.wait_for_end()


def half(peer):
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-")


def flood(peer):
    peer.read_request()
    try:
        for _ in range(64):
            peer.send(b"x" * (1 << 20))
    except OSError:
        pass


def trickle(peer):
    peer.read_request()
    try:
        for octet in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100000:
            peer.send(bytes([octet]))
            time.sleep(0.03)
    except OSError:
        pass


@pytest.mark.parametrize("script, reason", [
    (hang, "Target.Timeout"), (trickle, "Target.Timeout"), (garbage, "Target.FailedHealthChecks"),
    (half, "Target.FailedHealthChecks"), (flood, "Target.FailedHealthChecks"),
], ids=lambda p: getattr(p, "__name__", ""))
def test_a_target_that_answers_badly_is_unhealthy_with_the_reason(tenbin, origins, script, reason):
    good = origins(Well("good"))
    web = start(tenbin, [origins(script), good])
    becomes(web, "unhealthy", "healthy")
    assert health(web)[0] == ("unhealthy", reason)
    before = web.rss_bytes()
    time.sleep(1.5)
    assert web.rss_bytes() < before + (8 << 20)
    assert served_by(web) == {"good"}
    web.says(rf"target \S+ of app is unhealthy: {reason}")


def test_large_bodies_are_not_read(tenbin, origins):
    def big(peer):
        peer.read_request()
        try:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n")
            for _ in range(64):
                peer.send(b"x" * (1 << 20))
            assert False, "all of it was read"
        except OSError:
            pass
    web = start(tenbin, [origins(big)])
    becomes(web, "healthy")


# --- thresholds

def test_thresholds_count_in_a_row(tenbin, origins):
    well, other = Well("a"), Well("b")
    web = start(tenbin, [origins(well), origins(other)],
                check="interval: 200ms, timeout: 150ms, healthy_threshold: 4, unhealthy_threshold: 3")
    becomes(web, "healthy", "healthy")

    def checks_until(state):
        before = len(well.checks)
        becomes(web, state, "healthy")
        return len(well.checks) - before

    well.status = "503 No"
    assert 3 <= checks_until("unhealthy") <= 5
    assert served_by(web) == {"b"}
    well.status = "200 OK"
    assert 4 <= checks_until("healthy") <= 6
    assert served_by(web) == {"a", "b"}
    web.says(r"target \S+ of app is unhealthy: Target\.ResponseCodeMismatch, status 503", r"target \S+ of app is healthy")


def test_idle_connections_to_an_unhealthy_target_are_closed_at_the_next_pick(tenbin, origins):
    well = Well("a")
    names = {"t0": origins(well).address, "t1": origins(Well("b")).address}
    web = tenbin("workers: 1\n" + lb_module.dedent(config(names)), **names)
    becomes(web, "healthy", "healthy")
    assert served_by(web, 4) == {"a", "b"}

    def idle():
        return [t["idle_links"] for t in web.status()["groups"][0]["targets"]]

    eventually(lambda: idle() == [1, 1], "an idle connection each")
    well.status = "503 No"
    becomes(web, "unhealthy", "healthy")
    assert served_by(web, 1) == {"b"}
    eventually(lambda: idle() == [0, 1], "the end of the idle connection")


def test_the_state_is_in_the_metrics(tenbin, origins):
    up, down = origins(), origins.refusing()
    web = start(tenbin, [up, down])
    becomes(web, "healthy", "unhealthy")
    metrics = web.metrics()
    name = 'tenbin_target_health{group="app",state="%s",target="%s",zone=""}'
    assert metrics[name % ("healthy", up.address)] == 1
    assert metrics[name % ("unhealthy", down.address)] == 1


# --- no healthy target

def test_without_a_healthy_target_all_of_them_serve(tenbin, origins):
    web = start(tenbin, [origins(Well("a", "500 No")), origins(Well("b", "404 Not Found"))])
    becomes(web, "unhealthy", "unhealthy")
    assert served_by(web) == {"a", "b"}


def test_without_fail_open_the_answer_is_503_until_one_is_healthy(tenbin, origins):
    well = Well("a", "500 No")
    web = start(tenbin, [origins(well)], attributes="fail_open: false")
    becomes(web, "unhealthy")
    assert web.connect().get("/x").status == 503
    assert web.log_line(path="/x")["reason"] == "no_healthy_target"
    well.status = "200 OK"
    becomes(web, "healthy")
    assert served_by(web) == {"a"}


def test_without_fail_open_tcp_is_closed(tenbin, origins):
    web = start(tenbin, [origins.refusing()], protocol="tcp", attributes="fail_open: false")
    becomes(web, "unhealthy")
    web.expect_reset("web")
    assert web.status()["reasons"]["no_healthy_target"] >= 1


def test_without_fail_open_a_fresh_start_serves_before_the_first_verdict(tenbin, origins):
    def slow(peer):
        request = peer.read_request()
        if request.has("user-agent") and "HealthChecker" in request["user-agent"]:
            time.sleep(3)
        peer.send(o.OK)
    web = start(tenbin, [origins(slow)], attributes="fail_open: false", check="interval: 10s, timeout: 5s")
    assert web.connect().get("/").status == 200
    assert health(web) == [("initial", "Elb.InitialHealthChecking")]


# --- reloads

@pytest.mark.tsan
def test_state_is_kept_over_20_reloads(tenbin, origins):
    up, down = Well("up"), Well("down", "500 No")
    names = {"t0": origins(down).address, "t1": origins(up).address}
    web = tenbin(config(names), **names)
    becomes(web, "unhealthy", "healthy")
    for i in range(20):
        web.reload(config(names, check=QUICK if i % 2 else QUICK + ", path: /changed"))
        assert [state for state, _ in health(web)] == ["unhealthy", "healthy"]
        assert served_by(web, 2) == {"up"}
        time.sleep(0.05)
    assert len(re.findall(r"target \S+ of app is", web.stderr())) == 2
    assert {check.target for check in up.checks} == {"/", "/changed"}


def test_changed_settings_apply_to_the_next_check(tenbin, origins):
    well = Well(status="404 Not Found")
    names = {"t0": origins(well).address}
    web = tenbin(config(names), **names)
    becomes(web, "unhealthy")
    web.reload(config(names, check=QUICK + ', matcher: "404"'))
    becomes(web, "healthy")


def test_a_target_added_by_a_reload_waits_for_its_first_success(tenbin, origins):
    old, new = Well("old"), Well("new", "503 No")
    names = {"t0": origins(old).address, "t1": origins(new).address}
    web = tenbin(config(["t0"]), **names)
    becomes(web, "healthy")
    web.reload(config(names))
    assert served_by(web, 20) == {"old"}
    new.status = "200 OK"
    becomes(web, "healthy", "healthy")
    assert served_by(web, 20) == {"old", "new"}


# --- instances that come and go

class Instance:
    """A process of the demo app on a port of its own."""

    def __init__(self, name):
        self.name, self.port = name, lb_module.PORTS.take()
        self.address = f"127.0.0.1:{self.port}"
        self.begin()

    def begin(self):
        self.process = subprocess.Popen([sys.executable, str(APP), str(self.port), self.name, "a"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        preexec_fn=lb_module.die_with_parent)

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def instances():
    made = [Instance(name) for name in ("one", "two", "three")]
    yield made
    for each in made:
        each.kill()


class Load:
    """Clients that ask over and over; `statuses` counts all answers, `by` who gave the latest ones."""

    def __init__(self, web, clients=4):
        self.web, self.ended = web, False
        self.statuses, self.errors, self.by = {}, [], []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.ask, daemon=True) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def ask(self):
        client = lb_module.wire.Client(self.web.port())
        try:
            while not self.ended:
                answer = client.get("/")
                with self.lock:
                    self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
                    self.by.append(answer["x-instance"] if answer.has("x-instance") else None)
                time.sleep(0.002)
        except (AssertionError, OSError) as error:
            self.errors.append(repr(error))
        finally:
            client.close()

    def latest(self, n=60):
        """Who gives the next n answers."""
        with self.lock:
            begin = len(self.by)
        eventually(lambda: len(self.by) >= begin + n, "answers")
        return set(self.by[begin:begin + n])

    def end(self):
        self.ended = True
        for thread in self.threads:
            thread.join(10)


@pytest.mark.tsan
def test_an_instance_is_killed_and_comes_back_and_no_client_sees_it(tenbin, instances):
    names = {each.name: each.address for each in instances}
    web = tenbin(config(names), **names)
    becomes(web, "healthy", "healthy", "healthy", seconds=20)
    load = Load(web)
    assert load.latest() == {"one", "two", "three"}
    instances[1].kill()
    becomes(web, "healthy", "unhealthy", "healthy")
    assert load.latest() == {"one", "three"}
    instances[1].begin()
    becomes(web, "healthy", "healthy", "healthy", seconds=20)
    assert load.latest() == {"one", "two", "three"}
    load.end()
    assert load.errors == [] and set(load.statuses) == {200}, (load.errors, load.statuses)
