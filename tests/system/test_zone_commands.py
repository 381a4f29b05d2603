"""Zones shifted away, and back, by commands of operators."""

import re

import pytest

from conftest import WEB
from lb import eventually, run
from test_operations import SOCKET, STATEFUL, operated, restarted, shares  # noqa: F401

pytestmark = pytest.mark.tsan

ZONES = WEB.replace('["$app"]', '[{address: "$app", zone: a}, {address: "$b", zone: b}, {address: "$c", zone: c}]')


@pytest.fixture
def zones(operated, origins):  # noqa: F811
    targets = [origins() for _ in range(3)]
    names = dict(zip(("app", "b", "c"), (t.address for t in targets)))
    web, operator = operated("node: {zone: a}\n" + ZONES, **names)
    return web, operator, targets


def test_a_zone_is_shifted_away_and_comes_back(zones):
    web, operator, (a, b, c) = zones
    operator.run("zone", "shift", "b", "--for", "2h", "--reason", "power work")
    assert shares(web) == [200] * 40 and b.requests == [] and a.requests and c.requests
    status = operator.run("zone", "status").stdout
    assert re.fullmatch(r"b is shifted away until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC \(by operator\): power work\n", status)
    for _ in range(3):
        web.reload(SOCKET + "node: {zone: a}\n" + ZONES)
    assert shares(web) == [200] * 40 and b.requests == []
    assert re.search("shifted away for (2h 00m|1h 59m): power work", operator.run("zones").stdout)
    operator.run("zone", "cancel", "b")
    assert shares(web) == [200] * 40 and b.requests
    assert operator.run("zone", "status").stdout == "no zone is shifted away\n"
    web.says("audit: zone shift b by uid", "audit: zone cancel b by uid")


def test_a_shift_ends_by_itself(zones):
    web, operator, (_, b, _) = zones
    operator.run("zone", "shift", "b", "--for", "1s", "--reason", "short")
    assert shares(web, 12) == [200] * 12 and b.requests == []
    eventually(lambda: "no zone" in operator.run("zone", "status").stdout, "the end of the shift")
    assert shares(web) == [200] * 40 and b.requests


def test_a_second_shift_needs_force(zones):
    web, operator, (a, _, c) = zones
    operator.run("zone", "shift", "b", "--for", "1h", "--reason", "one")
    refused = operator.run("zone", "shift", "a", "--for", "1h", "--reason", "two", code=1)
    assert refused.stderr.startswith("tenbin zone: ") and "b" in refused.stderr
    operator.run("zone", "shift", "a", "--for", "1h", "--reason", "two", "--force")
    assert shares(web, 12) == [200] * 12 and a.requests == [] and len(c.requests) == 12


@pytest.mark.parametrize("words, says", [
    (["zone", "shift", "x", "--for", "1h", "--reason", "r"], "x"),
    (["zone", "shift", "b", "--for", "73h", "--reason", "r"], "for"),
    (["zone", "shift", "b", "--for", "999ms", "--reason", "r"], "for"),
    (["zone", "shift", "b", "--for", "1h", "--reason", ""], "reason"),
    (["zone", "shift", "b", "--for", "1h", "--reason", "r" * 257], "reason"),
    (["zone", "shift", "b", "--for", "1h", "--reason", "two\nlines"], "reason"),
    (["zone", "cancel", "b"], "b"),
])
def test_a_shift_that_cannot_be_is_refused(zones, words, says):
    web, operator, _ = zones
    result = operator.run(*words, code=1)
    assert result.stderr.startswith("tenbin zone: ") and says in result.stderr and result.stderr.count("\n") == 1
    assert "no zone" in operator.run("zone", "status").stdout


def test_a_shift_survives_a_restart_with_a_state_dir(operated, tenbin, origins):  # noqa: F811
    targets = [origins() for _ in range(3)]
    names = dict(zip(("app", "b", "c"), (t.address for t in targets)))
    web, operator = operated(STATEFUL + ZONES, **names)
    operator.run("zone", "shift", "c", "--for", "1h", "--reason", "a \"quoted\" ${reason}")
    restarted(web)
    status = operator.run("zone", "status").stdout
    assert 'c is shifted away until' in status and 'a "quoted" ${reason}' in status
    assert shares(web) == [200] * 40 and targets[2].requests == [] and targets[0].requests
    operator.run("zone", "cancel", "c")
    restarted(web)
    assert operator.run("zone", "status").stdout == "no zone is shifted away\n"
    assert shares(web, 60) == [200] * 60 and targets[2].requests


@pytest.mark.parametrize("words", [["zone"], ["zone", "shift", "a"], ["zone", "shift", "a", "--for", "1h"], ["zone", "status", "a"],
                                   ["zone", "cancel"], ["zone", "cancel", "a", "--force"], ["zone", "melt", "a"], ["zone", "shift", "a", "--for"]])
def test_usage(words):
    result = run(*words)
    assert result.returncode == 2 and result.stderr and not result.stdout
