"""Zones: which zone gets the work, under each policy, while targets and whole zones come and go."""

import threading
import time

import pytest

import lb as lb_module
from lb import eventually
from test_health import QUICK, Well
from test_operations import operated  # noqa: F401

WEB = """
    node: {zone: a}
    listeners:
      - {name: web, listen: "127.0.0.1:$web", protocol: http, default_action: {forward: app}}
    target_groups:
      - name: app
        attributes: {%s}
        health_check: {%s}
        targets: [%s]
    """


class Zones:
    """Three instances in each of three zones; what an instance answers is the letter of its zone."""

    def __init__(self, tenbin, origins, attributes, check=QUICK, zones="aaabbbccc", **keywords):
        self.wells = [Well(zone) for zone in zones]
        self.origins = [origins(well) for well in self.wells]
        targets = [f'{{address: "$t{i}", zone: {zone}}}' for i, zone in enumerate(zones)]
        names = {f"t{i}": origin.address for i, origin in enumerate(self.origins)}
        self.zones, self.names = zones, names
        self.lb = tenbin(lb_module.dedent(WEB) % (attributes, check, ", ".join(targets)), **names, **keywords)
        self.become(lambda zone: "healthy")

    def states(self):
        return [(t["zone"], t["state"]) for t in self.lb.status()["groups"][0]["targets"]]

    def become(self, wanted):
        eventually(lambda: all(state == wanted(zone) for zone, state in self.states()), "the states")

    def set(self, zone, status):
        for well in self.wells:
            if well.name == zone:
                well.status = status
        bad = status != "200 OK"
        eventually(lambda: all((state == "unhealthy") == bad for z, state in self.states() if z == zone), "the states")

    def get(self, n=30):
        """How many of n requests each zone answered, as "a30" or "a20 b5 c5"."""
        counts = {}
        for _ in range(n):
            answer = self.lb.connect().get("/")
            assert answer.status == 200, answer
            zone = answer.body.decode()
            counts[zone] = counts.get(zone, 0) + 1
        return counts

    def logged(self, n):
        """Zone, target's zone and decision of n lines of the access log."""
        eventually(lambda: len(self.lb.access_log()) >= n, "the access log")
        return {(line["zone"], line["target_zone"], line["zone_decision"]) for line in self.lb.access_log()}

    def counted(self):
        """{(target_zone, decision): requests}"""
        result = {}
        for name, value in self.lb.metrics().items():
            if name.startswith("tenbin_zone_requests_total{"):
                labels = dict(part.split("=") for part in name[len("tenbin_zone_requests_total{"):-1].split(","))
                assert labels["zone"] == '"a"'
                if value:
                    result[labels["target_zone"].strip('"'), labels["decision"].strip('"')] = value
        return result


# --- policies

def test_prefer_local_stays_local(tenbin, origins):
    zones = Zones(tenbin, origins, "zone_policy: prefer_local")
    assert zones.get() == {"a": 30}
    assert zones.counted() == {("a", "local"): 30}
    assert zones.logged(30) == {("a", "a", "local")}


def test_the_loss_of_the_local_zone_sends_everything_to_the_others_at_once(tenbin, origins):
    zones = Zones(tenbin, origins, "zone_policy: prefer_local")
    zones.set("a", "503 Service Unavailable")
    counts = zones.get(20)
    assert set(counts) == {"b", "c"} and abs(counts["b"] - counts["c"]) <= 4, counts  # each worker has its own turn
    assert zones.counted() == {("b", "spill"): counts["b"], ("c", "spill"): counts["c"]}
    assert zones.logged(20) == {("a", "b", "spill"), ("a", "c", "spill")}


def test_a_part_of_the_local_zone_spills_its_part(tenbin, origins):
    zones = Zones(tenbin, origins, "zone_policy: prefer_local, zones: {smoothing: 0s}", zones="aabbcc")
    zones.wells[0].status = "503 Service Unavailable"
    eventually(lambda: zones.states()[0] == ("a", "unhealthy"), "one unhealthy")
    counts = zones.get(100)
    assert 68 <= counts["a"] <= 72 and 13 <= counts["b"] <= 17 and 13 <= counts["c"] <= 17, counts


def test_local_only_never_leaves_and_says_so(tenbin, origins):
    zones = Zones(tenbin, origins, "zone_policy: local_only, fail_open: false")
    assert zones.get() == {"a": 30}
    zones.set("a", "503 Service Unavailable")
    assert zones.lb.connect().get("/").status == 503
    assert zones.lb.log_line(status=503)["reason"] == "no_healthy_target"


def test_local_only_without_a_target_in_the_zone_is_503(tenbin, origins):
    zones = Zones(tenbin, origins, "zone_policy: local_only", zones="bc")
    assert zones.lb.connect().get("/").status == 503
    assert zones.lb.log_line(status=503)["reason"] == "no_target_in_zone"
    assert all(request["user-agent"].startswith("ELB") for origin in zones.origins for request in origin.requests)


def test_order_goes_to_the_first_and_then_to_the_next(tenbin, origins):
    zones = Zones(tenbin, origins, "zone_policy: {order: [b, c, a]}")
    assert zones.get() == {"b": 30}
    zones.set("b", "503 Service Unavailable")
    assert zones.get() == {"c": 30}
    zones.set("c", "503 Service Unavailable")
    assert zones.get() == {"a": 30}
    assert zones.counted() == {("b", "local"): 30, ("c", "spill"): 30, ("a", "spill"): 30}


def test_balanced_loads_every_target_alike(tenbin, origins):
    zones = Zones(tenbin, origins, "zone_policy: balanced, lb_nodes: {a: 1, b: 1}", zones="abb")
    counts = zones.get(60)
    assert 38 <= counts["a"] <= 42, counts  # a third of the targets for half of the balancers


def test_below_the_minimum_all_targets_serve(tenbin, origins):
    zones = Zones(tenbin, origins, "zone_policy: cross_zone, minimum_healthy: {routing: {percent: 50}}", zones="abc")
    zones.set("a", "503 Service Unavailable")
    assert set(zones.get(12)) == {"b", "c"}
    zones.set("b", "503 Service Unavailable")
    counts = zones.get(30)
    assert set(counts) == {"a", "b", "c"}
    assert zones.counted()["a", "failopen"] == counts["a"]


def test_counts_by_zone_survive_reloads(tenbin, origins):
    zones = Zones(tenbin, origins, "zone_policy: prefer_local")
    zones.get(5)
    for _ in range(3):
        zones.lb.reload(zones.lb.text)
    zones.get(5)
    assert zones.counted() == {("a", "local"): 10}


# --- errors

def test_a_policy_without_the_nodes_zone_does_not_start(tmp_path):
    text = """
    listeners:
      - {name: web, listen: "127.0.0.1:8080", protocol: http, default_action: {forward: app}}
    target_groups:
      - {name: app, attributes: {zone_policy: prefer_local}, targets: []}
    """
    (tmp_path / "bad.yaml").write_text(lb_module.dedent(text))
    done = lb_module.run("check", "-c", tmp_path / "bad.yaml")
    assert done.returncode == 1
    assert "needs to know in which zone this tenbin runs" in done.stdout + done.stderr


# --- a zone goes and comes back, under load

class Load:
    """GETs from a few clients until it is stopped; keeps (time, status, zone)."""

    def __init__(self, lb, clients=4, pause=0.005):
        self.lb, self.pause, self.stopping, self.results = lb, pause, False, []
        self.threads = [threading.Thread(target=self.run) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self):
        client = self.lb.connect()
        while not self.stopping:
            answer = client.get("/")
            self.results.append((time.monotonic(), answer.status, answer.body.decode()))
            time.sleep(self.pause)

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()
        return self.results


def test_a_zone_that_dies_costs_no_get_and_traffic_settles(tenbin, origins):
    zones = Zones(tenbin, origins, "zone_policy: prefer_local, retries: 2")
    load = Load(zones.lb)
    time.sleep(0.5)
    for origin, well in zip(zones.origins, zones.wells):
        if well.name == "a":
            origin.close()
    died = time.monotonic()
    eventually(lambda: all(state == "unhealthy" for zone, state in zones.states() if zone == "a"), "the zone is out")
    time.sleep(0.5)
    results = load.stop()
    assert {status for _, status, _ in results} == {200}
    assert {zone for at, _, zone in results if at < died - 0.1} == {"a"}
    assert {zone for at, _, zone in results if at > died + 2} <= {"b", "c"}
    zones.lb.close_clients()
    zones.lb.settle()


# --- what others are told

def health(zones, query=""):
    return zones.lb.admin("/zone-health" + query)


def test_zone_health_follows_the_targets_of_the_nodes_zone(tenbin, origins):
    zones = Zones(tenbin, origins, "minimum_healthy: {dns: {count: 1}}")
    answer = health(zones)
    assert (answer.status, answer.body) == (200, b"ok\n")
    zones.set("b", "503 Service Unavailable")
    assert health(zones).status == 200
    zones.set("a", "503 Service Unavailable")
    answer = health(zones)
    assert answer.status == 503
    assert answer.body == b"group app: 0 of 3 targets of zone a healthy, at least 1 needed\n"
    assert health(zones, "?group=app").status == 503
    assert health(zones, "?group=nobody").status == 404
    zones.set("a", "200 OK")
    assert health(zones).status == 200


def test_the_status_shows_the_zones_of_a_group(tenbin, origins):
    zones = Zones(tenbin, origins, "zone_policy: prefer_local")
    zones.set("b", "503 Service Unavailable")
    assert zones.lb.status()["groups"][0]["zones"] == [
        {"zone": "a", "targets": 3, "healthy": 3, "shifted": False, "share": 1.0},
        {"zone": "b", "targets": 3, "healthy": 0, "shifted": False, "share": 0.0},
        {"zone": "c", "targets": 3, "healthy": 3, "shifted": False, "share": 0.0},
    ]


# --- shifts

def operated_zones(operated, origins, attributes):
    made = {}

    def start(text, **names):
        made["web"], made["operator"] = operated(text, **names)
        return made["web"]

    return Zones(start, origins, attributes), made["operator"]


@pytest.mark.parametrize("policy", ["cross_zone", "prefer_local"])
def test_a_shift_and_the_return_under_load_cost_nothing(operated, origins, policy):  # noqa: F811
    zones, operator = operated_zones(operated, origins, f"zone_policy: {policy}")
    load = Load(zones.lb)
    time.sleep(0.4)
    operator.run("zone", "shift", "a", "--for", "1h", "--reason", "test")
    shifted = time.monotonic()
    time.sleep(0.8)
    assert health(zones).status == 503
    assert health(zones).body == b"zone a is shifted away\n"
    cancelled = time.monotonic()
    operator.run("zone", "cancel", "a")
    time.sleep(1.5)
    assert health(zones).status == 200
    results = load.stop()
    assert {status for _, status, _ in results} == {200}
    assert "a" in {zone for at, _, zone in results if at < shifted - 0.2}
    assert {zone for at, _, zone in results if shifted + 0.1 < at < cancelled} == {"b", "c"}
    assert "a" in {zone for at, _, zone in results if at > cancelled}
    assert zones.counted()["b", "shift"] > 0


def test_idle_connections_to_a_shifted_zone_are_closed(operated, origins):  # noqa: F811
    zones, operator = operated_zones(operated, origins, "zone_policy: cross_zone")
    zones.get(60)
    operator.run("zone", "shift", "c", "--for", "1h", "--reason", "test")
    zones.get(30)
    targets = zones.lb.status()["groups"][0]["targets"]
    assert all(t["idle_links"] == 0 for t in targets if t["zone"] == "c")
    assert any(t["idle_links"] for t in targets if t["zone"] != "c")


def test_clients_are_told_to_leave_after_half_of_a_short_shift(operated, origins):  # noqa: F811
    zones, operator = operated_zones(operated, origins, "zone_policy: cross_zone")
    client = zones.lb.connect()
    operator.run("zone", "shift", "a", "--for", "4s", "--reason", "test")
    assert not client.get("/").has("connection")
    eventually(lambda: zones.lb.connect().get("/").has("connection"), "the end of the grace", 5)
    answer = client.get("/")
    assert answer.status == 200 and answer["connection"] == "close"
    eventually(lambda: not zones.lb.connect().get("/").has("connection"), "the end of the shift", 8)
