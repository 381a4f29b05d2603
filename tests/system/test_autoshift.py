"""A zone that fails while the others do not is shifted away without an operator."""

import json
import re
import threading
import time

import pytest

from lb import eventually
from test_anomalies import Moody
from test_operations import operated, restarted, shares  # noqa: F401

pytestmark = pytest.mark.tsan

AUTOSHIFT = "autoshift: {mode: on, window: 1s, windows: 2, minimum_requests: 10, for: %s}\n"
SLOW = "autoshift: {mode: on, window: 2s, windows: 2, minimum_requests: 10%s}\n"
PRACTICE = "autoshift: {mode: practice, window: 1s, minimum_requests: 10, at: %s}\n"
TEXT = """
state_dir: $dir
listeners:
  - {name: web, listen: "127.0.0.1:$web", protocol: http, default_action: {forward: app}}
target_groups:
  - {name: app, health_check: off, attributes: {retries: %d},
     targets: [{address: "$a", zone: a}, {address: "$b", zone: b}, {address: "$c", zone: c}]}
"""


class Traffic:
    """Clients that ask again and again."""

    def __init__(self, lb, clients=1):
        self.lb, self.statuses, self.over = lb, [], threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(clients)]

    def run(self):
        client = self.lb.connect()
        while not self.over.is_set():
            self.statuses.append(client.get("/").status)
            time.sleep(0.005)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def zones(operated, origins):  # noqa: F811
    """zones(...) gives a tenbin with a target in each of three zones, its operator, and their moods."""
    def start(lasts="30m", retries=0, rule=AUTOSHIFT, **refusing):
        moods = {zone: Moody(zone) for zone in "abc"}
        names = {zone: origins(mood).address for zone, mood in moods.items()} | refusing
        lb, operator = operated(rule % lasts + TEXT % retries, **names)
        return lb, operator, moods
    return start


def shifts(lb):
    answer = lb.admin("/zones/shifts")
    assert answer.status == 200
    return [(s["zone"], s["by"]) for s in json.loads(answer.body)["shifts"]]


def status_shifted(lb):
    return [z["zone"] for z in lb.status()["groups"][0]["zones"] if z["shifted"]]


def windows_pass(lb, n):
    until = lb.status()["uptime_seconds"] + n
    eventually(lambda: lb.status()["uptime_seconds"] >= until, f"{n} windows", 20)


def test_a_zone_that_answers_500_is_shifted_and_requests_go_elsewhere(zones):
    lb, operator, moods = zones()
    with Traffic(lb) as traffic:
        windows_pass(lb, 3)
        assert shifts(lb) == [] and set(traffic.statuses) == {200}
        moods["b"].status = "500 No"
        eventually(lambda: shifts(lb) == [("b", "autoshift")], "the shift", 30)
    assert 500 in traffic.statuses
    assert status_shifted(lb) == ["b"]
    assert shares(lb) == [200] * 40
    lb.says(r"zone b is shifted away for 1800 s by autoshift: \d+ % of \d+ requests failed, of the other zones' \d+ 0 %",
            r"audit: zone shift b by autoshift: ok")
    status = operator.run("zone", "status").stdout
    assert re.search(r"^b is shifted away until .* \(by autoshift\): \d+ % of", status)
    restarted(lb)
    assert shifts(lb) == [("b", "autoshift")], "kept in state_dir"


def test_a_zone_that_refuses_connections_is_shifted_although_retries_hide_it(zones, origins):
    lb, _, _ = zones(retries=2, c=origins.refusing().address)
    with Traffic(lb) as traffic:
        eventually(lambda: shifts(lb) == [("c", "autoshift")], "the shift", 30)
    assert set(traffic.statuses) == {200}


def test_a_fault_of_all_zones_shifts_nothing(zones):
    lb, _, moods = zones()
    for mood in moods.values():
        mood.status = "500 No"
    with Traffic(lb) as traffic:
        windows_pass(lb, 6)
    assert set(traffic.statuses) == {500} and len(traffic.statuses) > 180
    assert shifts(lb) == [] and "autoshift" not in lb.stderr()


def test_a_zone_that_is_slow_is_shifted_and_answers_are_quick_again(zones):
    lb, _, moods = zones("", rule=SLOW)
    with Traffic(lb, 12) as traffic:
        eventually(lambda: len(traffic.statuses) > 300, "quick answers", 20)
        assert shifts(lb) == []
        moods["c"].thinks = 0.7  # of the others on a busy machine 250 ms would still pass
        eventually(lambda: shifts(lb) == [("c", "autoshift")], "the shift", 60)
        lb.says(r"zone c is shifted away for 1800 s by autoshift: \d+\.\d % of \d+ answers took over twice the usual p99",
                r"audit: zone shift c by autoshift: ok")
        moods["c"].thinks = 5
        assert shares(lb, 20) == [200] * 20
    assert set(traffic.statuses) == {200}


@pytest.mark.parametrize("slow_zones, more", [("abc", ""), ("c", ", slow: none")])
def test_what_is_slow_everywhere_or_does_not_matter_shifts_nothing(zones, slow_zones, more):
    lb, _, moods = zones(more, rule=SLOW)
    for zone in slow_zones:
        moods[zone].thinks = 0.5
    with Traffic(lb, 12) as traffic:
        windows_pass(lb, 9)
    assert len(traffic.statuses) > 60
    assert shifts(lb) == [] and "autoshift" not in lb.stderr()


def test_an_operator_has_the_last_word(zones):
    lb, operator, moods = zones()
    moods["a"].status = "500 No"
    with Traffic(lb):
        eventually(lambda: shifts(lb) == [("a", "autoshift")], "the shift", 30)
        operator.run("zone", "cancel", "a")
        assert shifts(lb) == [] and 500 in shares(lb)
        lb.says("audit: zone shift a by autoshift: refused: an operator cancelled the last one")
        windows_pass(lb, 3)
        assert shifts(lb) == []
    restarted(lb)
    with Traffic(lb):
        lb.says("autoshift: refused: an operator cancelled the last one")
        assert shifts(lb) == [], "the cancel was forgotten"
        operator.run("zone", "shift", "c", "--for", "1h", "--reason", "work")
        windows_pass(lb, 4)
        assert shifts(lb) == [("c", "operator")]


def test_a_shift_ends_by_itself_and_comes_again_while_the_zone_fails(zones):
    lb, _, moods = zones(lasts="2s")
    moods["a"].status = "500 No"
    with Traffic(lb):
        lb.says("audit: zone shift a by autoshift: ok")
        lb.says(r"(?s)zone a: its shift has ended.*audit: zone shift a by autoshift: ok")
        moods["a"].status = "200 OK"
        eventually(lambda: shifts(lb) == [], "the end", 20)
        windows_pass(lb, 4)
        assert shifts(lb) == []
    assert shares(lb) == [200] * 40


def in_seconds(n):
    """That time of the week, as the configuration has it."""
    return '"' + time.strftime("%a %H:%M:%S", time.gmtime(time.time() + n)).lower() + '"'


def test_a_practice_run_shifts_a_zone_that_is_well_and_an_alarm_ends_it(zones):
    lb, operator, moods = zones(in_seconds(12), rule=PRACTICE)
    with Traffic(lb) as traffic:
        zone, by = eventually(lambda: shifts(lb), "the run", 40)[0]
        assert by == "practice" and set(traffic.statuses) == {200}
        assert shares(lb) == [200] * 40
        assert re.search(rf"^{zone} is shifted away until .* \(by practice\): practice run",
                         operator.run("zone", "status").stdout)
    restarted(lb)
    with Traffic(lb):
        assert shifts(lb) == [(zone, "practice")], "kept in state_dir"
        for mood in moods.values():
            mood.status = "500 No"
        eventually(lambda: shifts(lb) == [], "the alarm", 30)
    lb.says(rf"audit: practice run in zone {zone}: ended early: \d+ of \d+ requests failed in 1 s")


def test_an_operator_ends_a_practice_run_and_an_alarm_refuses_one(zones):
    lb, operator, moods = zones(in_seconds(10), rule=PRACTICE)
    zone, _ = eventually(lambda: shifts(lb), "the run", 40)[0]
    operator.run("zone", "cancel", zone)
    lb.says(rf"audit: practice run in zone {zone}: begun", rf"audit: practice run in zone {zone}: ended by an operator")
    moods["a"].status = "500 No"
    with Traffic(lb):
        lb.reload(lb.text.replace(re.search('at: ("[^"]*")', lb.text)[1], in_seconds(6)))
        lb.says(r"audit: practice run in zone \w: refused: \d+ of \d+ requests failed in 1 s")
    assert shifts(lb) == []
