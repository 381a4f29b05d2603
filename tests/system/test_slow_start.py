"""Slow start on the real binary: who ramps, how the share grows, and that a reload does not disturb it."""

import time

import origin as o
from lb import eventually
from test_operations import Operator, SOCKET

WEB = """
    workers: 1
    listeners:
      - {name: web, listen: "127.0.0.1:$web", protocol: http, default_action: {forward: app}}
    target_groups:
      - name: app
        attributes: {slow_start: %s}
        health_check: {interval: 250ms, timeout: 200ms, healthy_threshold: 1, unhealthy_threshold: 2}
        targets: [%s]
    """


class Target:
    """Answers with its number; can be told to fail its checks."""

    def __init__(self, origins, number):
        self.number, self.well, self.ill = number, True, False
        self.origin = origins(self)

    def __call__(self, peer):
        while (request := peer.read_request()):
            if request.has("user-agent"):
                peer.send(o.response(b"", "200 OK" if self.well else "500 Oops"))
            else:
                peer.send(o.response(str(self.number), "500 Ill" if self.ill else "200 OK"))


def start(tenbin, origins, slow_start="3s", count=3, listed=None, more=""):
    targets = [Target(origins, i) for i in range(count)]
    names = {f"t{i}": target.origin.address for i, target in enumerate(targets)}
    text = lambda shown=range(count), slow=slow_start: WEB % (slow, ", ".join(f'"$t{i}"' for i in shown))
    return tenbin(more + text(listed or range(count)), **names), targets, text, names


def states(lb):
    return [target["state"] for target in lb.status()["groups"][0]["targets"]]


def share(client, number, requests=300):
    return sum(int(client.get("/").body) == number for _ in range(requests)) / requests


def test_targets_that_are_there_at_the_start_do_not_ramp(tenbin, origins):
    web, _, _, _ = start(tenbin, origins, "1d")
    eventually(lambda: states(web) == ["healthy"] * 3, "three healthy")
    client = web.connect()
    assert [round(share(client, i, 90), 1) for i in range(3)] == [0.3, 0.3, 0.3]


def test_a_target_that_recovers_gets_a_share_that_grows(tenbin, origins):
    web, targets, _, _ = start(tenbin, origins, "4s")
    eventually(lambda: states(web) == ["healthy"] * 3, "three healthy")
    targets[1].well = False
    eventually(lambda: states(web)[1] == "unhealthy", "unhealthy")
    targets[1].well = True
    eventually(lambda: states(web)[1] == "healthy", "healthy again")
    client = web.connect()
    began, shares = time.monotonic(), []
    while time.monotonic() - began < 5.5:
        at = time.monotonic() - began
        got = share(client, 1, 100)
        middle = min(1, (at + time.monotonic() - began) / 2 / 4)
        shares.append((round(middle, 2), got, middle / (2 + middle)))
    off = [abs(got - ideal) for _, got, ideal in shares]
    assert max(off) < 0.12, shares  # the share steps with the epochs, and checks come late on a busy machine
    assert shares[0][1] < 0.15 and shares[-1][1] > 0.3, shares
    web.says(r"target \S+ of app ramps up over 4000 ms")


def test_a_new_target_of_a_reload_ramps_and_the_next_reload_keeps_its_clock(tenbin, origins):
    web, _, text, names = start(tenbin, origins, "60s", listed=[0, 1])
    eventually(lambda: states(web) == ["healthy"] * 2, "two healthy")
    web.reload(text([0, 1, 2]), **names)
    eventually(lambda: states(web) == ["healthy"] * 3, "three healthy")
    client = web.connect()
    assert share(client, 2) < 0.1
    for _ in range(3):
        web.reload(text([0, 1, 2]), **names)
        assert share(client, 2) < 0.1
    web.reload(text([0, 1, 2], "0s"), **names)  # no slow start any more: the whole share at once
    eventually(lambda: share(client, 2, 90) > 0.3, "a third")


def test_the_first_healthy_target_of_a_group_does_not_ramp_and_the_next_does(tenbin, origins):
    web, targets, _, _ = start(tenbin, origins, "1d", count=2)
    eventually(lambda: states(web) == ["healthy"] * 2, "two healthy")
    for target in targets:
        target.well = False
    eventually(lambda: states(web) == ["unhealthy"] * 2, "none healthy")
    targets[0].well = True
    eventually(lambda: states(web)[0] == "healthy", "one healthy")
    assert "ramps" not in web.stderr()
    targets[1].well = True  # this one has a healthy one beside it
    eventually(lambda: states(web)[1] == "healthy", "two healthy")
    assert web.stderr().count("ramps up") == 1


def test_a_target_that_is_made_ready_ramps(tenbin, origins):
    web, targets, _, _ = start(tenbin, origins, "1d", more="    " + SOCKET)
    eventually(lambda: states(web) == ["healthy"] * 3, "three healthy")
    operator, address = Operator(web), targets[1].origin.address
    operator.target("drain", "app", address)
    client = web.connect()
    assert share(client, 1, 90) == 0
    operator.target("ready", "app", address)
    assert share(client, 1, 90) < 0.1
    web.says(f"target {address} of app ramps up over 86400000 ms")
    operator.target("ready", "app", address)  # it is: nothing begins anew
    assert web.stderr().count("ramps up") == 1


def test_a_target_whose_ejection_is_over_ramps(tenbin, origins):
    """Its checks are well all the time."""
    web, targets, text, names = start(tenbin, origins, "1d, ejection: {on: 5xx, consecutive_failures: 3, base_time: 1s}")
    eventually(lambda: states(web) == ["healthy"] * 3, "three healthy")
    targets[1].ill = True
    client = web.connect()
    eventually(lambda: [client.get("/") for _ in range(9)] and states(web)[1] == "unhealthy", "the ejection")
    targets[1].ill = False
    eventually(lambda: states(web)[1] == "healthy", "the return")
    web.says(f"target {targets[1].origin.address} of app ramps up over 86400000 ms")
    assert share(client, 1, 90) < 0.1
