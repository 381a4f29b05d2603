"""Passive health: who fails traffic again and again is left alone for a while."""

import threading
import time

import pytest

import origin as o
from lb import eventually

TEXT = """
listeners:
  - {name: web, listen: "127.0.0.1:$web", protocol: %s, default_action: {forward: app}}
target_groups:
  - name: app
    protocol: %s
    health_check: off
    attributes: {retries: %d, ejection: {%s}}
    targets: [%s]
"""

QUICK = "consecutive_failures: 3, base_time: 600ms, max_time: 10s"


def text(names, ejection=QUICK, protocol="http", retries=2, zone="a"):
    targets = ", ".join(f'{{address: "${name}", zone: {zone}}}' for name in names)
    return TEXT % (protocol, protocol, retries, ejection, targets)


def start(tenbin, targets, **keywords):
    names = {f"t{i}": target.address for i, target in enumerate(targets)}
    return tenbin(text(names, **keywords), **names)


def targets(lb):
    return lb.status()["groups"][0]["targets"]


def ejected(lb):
    return [t["reason"] == "Target.Ejected" for t in targets(lb)]


class Sick:
    """A target's script: well, or ill in the way that is set."""

    def __init__(self, name, ill=None):
        self.name, self.ill = name, ill

    def __call__(self, peer):
        while (request := peer.read_request()):
            if self.ill:
                self.ill(peer)
                return
            peer.send(o.response(self.name))


def reset(peer):
    peer.sock.setsockopt(o.socket.SOL_SOCKET, o.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def reset_in_body(peer):
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome")
    time.sleep(0.02)
    reset(peer)


def answer_503(peer):
    peer.send(o.response(b"", "503 No"))


def ask(lb, n=1):
    return [lb.connect().get("/") for _ in range(n)]


def served_by(lb, n=12):
    return {answer.body.decode() for answer in ask(lb, n)}


def ask_until_ejected(lb, which, n=40):
    def step():
        ask(lb)
        return ejected(lb) == which
    eventually(step, f"the ejections {which}")


def test_without_the_key_nobody_is_ejected(tenbin, origins):
    names = {"t0": origins.refusing().address, "t1": origins(Sick("b")).address}
    lb = tenbin(text(names).replace("ejection: {%s}" % QUICK, "fail_open: true"), **names)
    ask(lb, 40)
    time.sleep(0.3)
    assert ejected(lb) == [False, False]
    assert targets(lb)[0]["connect_errors"] >= 10
    assert "tenbin_target_ejected{" not in "".join(lb.metrics())


def test_a_target_that_refuses_is_ejected_and_comes_back(tenbin, origins):
    gone, well = origins.refusing(), origins(Sick("b"))
    lb = start(tenbin, [gone, well])
    ask_until_ejected(lb, [True, False])
    before = targets(lb)[0]
    assert (before["state"], before["reason"], before["ejections"]) == ("unhealthy", "Target.Ejected", 1)
    ask(lb, 20)
    assert targets(lb)[0]["connect_errors"] == before["connect_errors"], "it was tried all the same"
    eventually(lambda: ejected(lb) == [False, False], "its return")
    assert targets(lb)[0]["state"] == "unavailable"
    lb.says(r"target \S+ of app is ejected for 0\.6 s: \d failures in a row", r"target \S+ of app is back")
    ask_until_ejected(lb, [True, False])
    lb.says(r"ejected for 1\.2 s")
    metrics = lb.metrics()
    labels = 'group="app",target="%s",zone="a"' % gone.address
    assert metrics["tenbin_target_ejected{%s}" % labels] == 1
    assert metrics["tenbin_target_ejections_total{%s}" % labels] == 2


def test_resets_eject_and_no_client_sees_them(tenbin, origins):
    ill = Sick("a", reset)
    lb = start(tenbin, [origins(ill), origins(Sick("b"))])
    for answer in ask(lb, 20):
        assert (answer.status, answer.body) == (200, b"b")
    eventually(lambda: ejected(lb) == [True, False], "the ejection")
    ill.ill = None
    eventually(lambda: ejected(lb) == [False, False], "the return")
    assert served_by(lb) == {"a", "b"}
    assert lb.status()["in_flight"] == 0


def ask_badly(lb):
    """The status, or None where the answer broke off."""
    try:
        return lb.connect().get("/").status
    except (OSError, AssertionError, EOFError):
        return None


def test_answers_cut_in_their_bodies_eject(tenbin, origins):
    lb = start(tenbin, [origins(Sick("a", reset_in_body)), origins(Sick("b"))])
    eventually(lambda: ask_badly(lb) is None, "a body that breaks off")
    eventually(lambda: ask_badly(lb) and ejected(lb) == [True, False], "the ejection")
    assert served_by(lb, 4) == {"b"}


def test_clients_that_have_enough_speak_for_the_target(tenbin, origins):
    """Two failures, an answer that its client leaves, and so on: never three in a row."""
    def long_answer(peer):
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome")
        while peer.sock.recv(4096):
            pass
    ill = Sick("a")
    lb = start(tenbin, [origins(ill)], ejection="consecutive_failures: 3, base_time: 60s, max_percent: 100", retries=0)
    run = lambda: targets(lb)[0]["failures_in_a_row"]
    for _ in range(2):
        ill.ill = reset_in_body
        assert [ask_badly(lb) for _ in range(2)] == [None, None]
        assert run() == 2
        ill.ill = long_answer
        client = lb.connect()
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        client.read_until(b"some")
        client.reset()
        eventually(lambda: run() == 0, "the end of the run")
    assert ejected(lb) == [False]


def test_answers_that_come_too_late_eject(tenbin, origins):
    lb = tenbin(text(["t0", "t1"], retries=0).replace("protocol: http, default", "protocol: http, attributes: {idle_timeout: 300ms}, default"),
                t0=origins(o.hold).address, t1=origins(Sick("b")).address)
    threads = [threading.Thread(target=ask, args=(lb,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    eventually(lambda: ejected(lb) == [True, False], "the ejection")


@pytest.mark.parametrize("on", ["connect", "5xx"])
def test_5xx_eject_only_if_they_are_asked_to(tenbin, origins, on):
    lb = start(tenbin, [origins(Sick("a", answer_503)), origins(Sick("b"))], ejection=f"{QUICK}, on: {on}")
    statuses = [answer.status for answer in ask(lb, 16)]
    assert 503 in statuses
    if on == "5xx":
        eventually(lambda: ejected(lb) == [True, False], "the ejection")
        assert served_by(lb, 4) == {"b"}
    else:
        time.sleep(0.3)
        assert ejected(lb) == [False, False]


def test_the_cap_of_a_zone_holds(tenbin, origins):
    """All four fail; half of the zone stays and is tried."""
    lb = start(tenbin, [origins.refusing() for _ in range(4)], ejection="consecutive_failures: 3, base_time: 60s")
    eventually(lambda: ask(lb, 5) and sum(ejected(lb)) == 2, "two ejections")
    for answer in ask(lb, 30):
        assert answer.status == 502
    time.sleep(0.3)
    assert sum(ejected(lb)) == 2
    stay = [t for t in targets(lb) if t["reason"] != "Target.Ejected"]
    assert all(t["failures_in_a_row"] > 3 for t in stay)


def test_without_a_share_for_it_the_only_target_stays(tenbin, origins):
    lb = start(tenbin, [origins.refusing()])
    assert {answer.status for answer in ask(lb, 20)} == {502}
    time.sleep(0.3)
    assert ejected(lb) == [False]


def test_all_may_be_ejected_and_are_used_when_nobody_is_left(tenbin, origins):
    ill = [Sick("a", reset), Sick("b", reset)]
    lb = start(tenbin, [origins(s) for s in ill], ejection="consecutive_failures: 3, base_time: 60s, max_percent: 100")
    eventually(lambda: ask(lb) and ejected(lb) == [True, True], "both ejections")
    for s in ill:
        s.ill = None
    assert served_by(lb) == {"a", "b"}


def test_a_tcp_target_is_ejected_too(tenbin, origins):
    def fresh_reset(peer):
        peer.sock.recv(1)
        reset(peer)
    lb = start(tenbin, [origins(fresh_reset), origins.refusing(), origins(o.echo), origins(o.echo)], protocol="tcp")

    def talk():
        client = lb.connect()
        client.send("hello")
        try:
            return client.read_exactly(5)
        except (OSError, AssertionError, EOFError):
            return None
    eventually(lambda: talk() or ejected(lb)[:2] == [True, True], "something")
    eventually(lambda: (talk(), ejected(lb) == [True, True, False, False])[1], "both ejections")
    assert {talk() for _ in range(6)} == {b"hello"}


@pytest.mark.tsan
def test_ejections_are_kept_over_20_reloads(tenbin, origins):
    names = {"t0": origins.refusing().address, "t1": origins(Sick("b")).address}
    slow = "consecutive_failures: 3, base_time: 60s"
    lb = tenbin(text(names, ejection=slow), **names)
    ask_until_ejected(lb, [True, False])
    errors = targets(lb)[0]["connect_errors"]
    for i in range(20):
        lb.reload(text(names, ejection=slow, retries=1 + i % 2))
        assert ejected(lb) == [True, False]
        assert served_by(lb, 2) == {"b"}
    assert targets(lb)[0]["ejections"] == 1
    assert targets(lb)[0]["connect_errors"] == errors
    assert lb.stderr().count("is ejected") == 1
    lb.reload(text(names).replace("ejection: {%s}" % QUICK, "fail_open: true"))
    assert ejected(lb) == [False, False]
