"""Targets that do badly beside their peers are found out, whatever their health checks say."""

import time

import pytest

import origin as o
from lb import eventually

TEXT = """
listeners:
  - {name: web, listen: "127.0.0.1:$web", protocol: http, default_action: {forward: app}}
target_groups:
  - {name: app, health_check: off, attributes: {retries: 0%s}, targets: [%s]}
"""


RESET = "an RST and no answer"


class Moody:
    def __init__(self, name):
        self.name, self.status, self.thinks = name, "200 OK", 0

    def __call__(self, peer):
        while peer.read_request():
            time.sleep(self.thinks)
            if self.status == RESET:
                peer.reset()
                return
            peer.send(o.response(self.name, self.status))


def start(tenbin, moods, origins, more=""):
    names = {f"t{i}": origins(mood).address for i, mood in enumerate(moods)}
    return tenbin(TEXT % (more, ", ".join(f'"${name}"' for name in names)), **names)


def targets(lb):
    return lb.status()["groups"][0]["targets"]


def ask(lb, n):
    client = lb.connect()
    return [client.get("/").status for _ in range(n)]


def await_anomalies(lb, wanted, seconds=30):
    def there():
        ask(lb, 30)
        return [t["anomaly"] for t in targets(lb)] == wanted
    eventually(there, f"the anomalies {wanted}", seconds)


@pytest.mark.parametrize("fault", ["500 No", RESET])
def test_a_target_that_fails_more_than_its_peers_is_anomalous_until_it_does_not(tenbin, origins, fault):
    moods = [Moody("a"), Moody("b"), Moody("c")]
    lb = start(tenbin, moods, origins)
    assert [t["anomaly"] for t in targets(lb)] == ["normal"] * 3
    moods[1].status = fault
    await_anomalies(lb, ["normal", "anomalous", "normal"])
    assert targets(lb)[1]["mitigation_in_effect"] is False
    lb.says(r"target \S+ of app is anomalous: \d+ % of its requests fail")
    labels = 'group="app",target="%s",zone=""' % targets(lb)[1]["address"]
    assert lb.metrics()["tenbin_target_anomalous{%s}" % labels] == 1
    moods[1].status = "200 OK"
    await_anomalies(lb, ["normal"] * 3, 60)
    lb.says(r"target \S+ of app is normal again")


def test_a_fault_that_all_share_is_no_anomaly(tenbin, origins):
    moods = [Moody("a"), Moody("b"), Moody("c")]
    for mood in moods:
        mood.status = "500 No"
    lb = start(tenbin, moods, origins)
    eventually(lambda: set(ask(lb, 30)) == {500} and sum(t["requests"] for t in targets(lb)) > 600, "600 requests", 20)
    eventually(lambda: lb.status()["uptime_seconds"] >= 6, "a round", 10)
    assert [t["anomaly"] for t in targets(lb)] == ["normal"] * 3


def test_mitigation_needs_weighted_random(tenbin, origins):
    lb = start(tenbin, [Moody("a")], origins)
    lb.write(TEXT % (", anomaly_mitigation: on", '"$t0"'))
    lb.hup()
    eventually(lambda: lb.status()["reloads"]["failed"] == 1, "the failure")
    assert "weighted_random" in lb.status()["reloads"]["last_error"]


def test_mitigation_gives_an_anomalous_target_less(tenbin, origins):
    moods = [Moody("a"), Moody("b"), Moody("c")]
    moods[1].status = "500 No"
    lb = start(tenbin, moods, origins, ", algorithm: weighted_random, anomaly_mitigation: on")

    def failures(n=200):
        return ask(lb, n).count(500)

    assert failures() > 40
    await_anomalies(lb, ["normal", "anomalous", "normal"])
    eventually(lambda: failures() < 25, "fewer failures", 40)
    assert targets(lb)[1]["mitigation_in_effect"] is True
    assert targets(lb)[1]["state"] == "unavailable"
    labels = 'group="app",target="%s",zone=""' % targets(lb)[1]["address"]
    assert lb.metrics()["tenbin_target_mitigated{%s}" % labels] == 1
    assert failures() > 0, "too little is left to see how it does"
