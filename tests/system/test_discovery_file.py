"""Targets from a watched file: it is read at the start and whenever it changes; one that says nothing changes nothing."""

import json
import os

import pytest

from lb import eventually
from test_reload import Wrk

pytestmark = pytest.mark.tsan

GROUP = """
listeners:
  - {name: web, listen: "127.0.0.1:$web", protocol: http, default_action: {forward: app}}
target_groups:
  - {name: app, protocol: http, discovery: {file: targets.yaml}%s}
"""


def group_of(lb, name="app"):
    return next(g for g in lb.status()["groups"] if g["name"] == name)


def get(lb):
    client = lb.connect()
    status = client.get().status
    client.close()
    return status


def targets(lb, name="app"):
    return {t["address"]: (t["zone"], t["weight"]) for t in group_of(lb, name)["targets"]}


def put(directory, text, name="targets.yaml"):
    """Replaces the file at once, as programs should."""
    directory.mkdir(exist_ok=True)
    fresh = directory / f".{name}.new"
    fresh.write_text(text)
    fresh.rename(directory / name)


def become(lb, expected, name="app"):
    eventually(lambda: targets(lb, name) == expected, f"targets {expected}, not {targets(lb, name)}")


@pytest.fixture
def found(tenbin, tmp_path):
    """found(text of the file, more of the group) starts one with that targets file."""
    def start(text, more="", **names):
        if text is not None:
            put(tmp_path / "tenbin0", text)
        return tenbin(GROUP % more, **names)
    return start


def test_the_file_is_read_before_anything_serves(found, origin):
    lb = found(f'- {{address: "{origin.address}", zone: a, weight: 3}}\n- "127.0.0.1:1"\n')
    assert targets(lb) == {origin.address: ("a", 3), "127.0.0.1:1": (None, 1)}
    assert lb.status()["generation"] == 1
    state = group_of(lb)["discovery"]
    assert state["source"] == "file" and state["name"].endswith("targets.yaml") and state["targets"] == 2
    assert state["last_success"] and state["last_error"] is None


def test_a_replaced_file_serves_without_a_reload(found, origins):
    a, b = origins(), origins()
    lb = found(f'["{a.address}"]')
    assert get(lb) == 200 and len(a.requests) == 1
    put(lb.dir, json.dumps({"targets": [{"address": b.address, "zone": "b"}]}))
    become(lb, {b.address: ("b", 1)})
    assert get(lb) == 200 and len(b.requests) == 1 and len(a.requests) == 1
    status = lb.status()
    assert status["reloads"] == {"ok": 0, "failed": 0, "last_error": None}
    assert status["refreshes"]["ok"] >= 1 and status["refreshes"]["failed"] == 0
    assert lb.metrics()['tenbin_refreshes_total{result="ok"}'] >= 1


def test_a_file_that_is_written_in_place_is_seen(found, origins):
    a, b = origins(), origins()
    lb = found(f'["{a.address}"]')
    (lb.dir / "targets.yaml").write_text(f'- "{a.address}"\n- "{b.address}"\n')
    become(lb, {a.address: (None, 1), b.address: (None, 1)})


def test_a_link_that_is_turned_is_seen(tenbin, tmp_path, origins):
    """As Kubernetes mounts a ConfigMap: targets.yaml -> ..data/targets.yaml, and ..data -> a directory."""
    a, b = origins(), origins()
    home = tmp_path / "tenbin0"
    for version, target in (("v1", a), ("v2", b)):
        (home / version).mkdir(parents=True)
        (home / version / "targets.yaml").write_text(f'["{target.address}"]')
    (home / "..data").symlink_to("v1")
    (home / "targets.yaml").symlink_to("..data/targets.yaml")
    lb = tenbin(GROUP % "")
    assert targets(lb) == {a.address: (None, 1)}
    (home / "..new").symlink_to("v2")
    os.rename(home / "..new", home / "..data")
    become(lb, {b.address: (None, 1)})


@pytest.mark.parametrize("text, words", [
    ("- {address: 10.0.0.1", "targets.yaml:.*not YAML"),
    ("", r'targets.yaml:1:1: .*the key "targets" is missing'),
    ("# nothing yet\n", r'the key "targets" is missing'),
    ("targets:\n", "targets has no value"),
    ("- {address: \"10.0.0.1:80\", weight: 1000}\n", "targets.yaml:1:36: .*weight: .*out of range"),
    ("- 10.0.0.1\n", "targets.yaml:1:3: .*address: .*is not an address"),
    ("target: []\n", 'targets.yaml:1:1: .*unknown key "target" in a targets file'),
    ("\xff", "targets.yaml:.*not UTF-8"),
    ("- \"${HOME}:80\"\n", "is not set"),
], ids=["broken", "empty", "comment", "null", "weight", "port", "key", "bytes", "variable"])
def test_a_file_that_says_nothing_keeps_the_targets_and_warns(found, origin, text, words):
    lb = found(f'["{origin.address}"]')
    (lb.dir / ".new").write_bytes(text.encode("latin-1"))
    os.rename(lb.dir / ".new", lb.dir / "targets.yaml")
    lb.says(words)
    lb.says('"app" keeps the 1 targets that it has from here')
    assert targets(lb) == {origin.address: (None, 1)}
    assert get(lb) == 200
    state = eventually(lambda: group_of(lb)["discovery"]["last_error"] and group_of(lb)["discovery"], "the error in /status")
    assert state["targets"] == 1 and state["last_success"]
    put(lb.dir, "targets: []")
    become(lb, {})
    assert group_of(lb)["discovery"]["last_error"] is None


def test_a_deleted_file_keeps_the_targets_and_comes_back(found, origins):
    a, b = origins(), origins()
    lb = found(f'["{a.address}"]')
    (lb.dir / "targets.yaml").unlink()
    lb.says("targets.yaml: .*No such file or directory: \"app\" keeps the 1 targets")
    assert targets(lb) == {a.address: (None, 1)} and get(lb) == 200
    put(lb.dir, f'["{b.address}"]')
    become(lb, {b.address: (None, 1)})


def test_an_empty_list_is_a_wish(found, origin):
    lb = found(f'["{origin.address}"]')
    put(lb.dir, "[]")
    become(lb, {})
    assert get(lb) == 503
    put(lb.dir, f'["{origin.address}"]')
    become(lb, {origin.address: (None, 1)})
    assert get(lb) == 200


def test_a_start_without_the_file_waits_for_it(found, origin):
    lb = found(None)
    assert targets(lb) == {} and get(lb) == 503
    assert "No such file" in group_of(lb)["discovery"]["last_error"] and group_of(lb)["discovery"]["last_success"] is None
    put(lb.dir, f'["{origin.address}"]')
    become(lb, {origin.address: (None, 1)})
    assert get(lb) == 200


def test_the_configuration_file_is_not_looked_at(found, origins):
    a, b = origins(), origins()
    lb = found(f'["{a.address}"]')
    lb.path.write_text("half an edit: [")
    put(lb.dir, f'["{b.address}"]')
    become(lb, {b.address: (None, 1)})
    assert lb.status()["reloads"]["failed"] == 0
    lb.hup()
    eventually(lambda: lb.status()["reloads"]["failed"] == 1, "the reload's failure")
    assert targets(lb) == {b.address: (None, 1)}


def test_the_files_own_targets_have_the_say(found, origins):
    a, b = origins(), origins()
    lb = found(f'[{{address: "{a.address}", zone: x, weight: 9}}, {{address: "{b.address}", zone: b}}]',
               ', targets: [{address: "$a", zone: a, weight: 2}]', a=a.address)
    assert targets(lb) == {a.address: ("a", 2), b.address: ("b", 1)}
    put(lb.dir, "[]")
    become(lb, {a.address: ("a", 2)})


def test_a_group_that_leaves_the_file_takes_its_targets_with_it(found, origins):
    a, b = origins(), origins()
    lb = found(f'["{a.address}"]')
    lb.reload(GROUP.replace("discovery: {file: targets.yaml}%s", 'targets: ["$b"]'), b=b.address)
    become(lb, {b.address: (None, 1)})
    assert "discovery" not in group_of(lb)
    put(lb.dir, '["127.0.0.1:1"]')
    lb.reload(GROUP % "")
    become(lb, {"127.0.0.1:1": (None, 1)})


def test_names_in_the_file_are_looked_up(found, origin):
    lb = found(f'["localhost:{origin.port}"]')
    assert origin.address in targets(lb)
    assert get(lb) in (200, 502)


def test_health_counters_and_idle_links_survive(found, origin):
    lb = found(f'["{origin.address}"]',
               ", health_check: {interval: 1h, timeout: 2s}")
    eventually(lambda: group_of(lb)["targets"][0]["state"] == "healthy", "a first check")
    client = lb.connect()
    for i in range(5):
        assert client.get("/work").status == 200
        put(lb.dir, json.dumps([{"address": origin.address, "weight": i + 2}]))
        become(lb, {origin.address: (None, i + 2)})
        target = group_of(lb)["targets"][0]
        assert target["state"] == "healthy" and target["requests"] == i + 1 and target["idle_links"] == 1
    working = [c for c in origin.connections if any(r.target == "/work" for r in c.requests)]
    assert len(working) == 1 and len(working[0].requests) == 5
    client.close()


@pytest.mark.limit(120)
def test_targets_come_and_go_under_load_and_no_request_fails(found, origins):
    a, b, c = origins(), origins(), origins()
    lb = found(f'["{a.address}"]')
    wrk = Wrk(lb.port(), 60)
    try:
        for i in range(30):
            some = [a.address, *([b.address] if i % 2 else []), *([c.address] if i % 3 else [])]
            put(lb.dir, json.dumps(some))
            become(lb, {each: (None, 1) for each in some})
        assert not wrk.errors()
    finally:
        wrk.process.kill()
        wrk.process.wait()
    eventually(lambda: lb.status()["snapshots_live"] == 1, "old snapshots freed")
    assert lb.status()["refreshes"]["failed"] == 0


def test_two_groups_may_read_one_file(tenbin, tmp_path, origin):
    put(tmp_path / "tenbin0", f'["{origin.address}"]')
    lb = tenbin(GROUP % "" + '  - {name: twin, discovery: {file: ./targets.yaml}}\n')
    assert targets(lb) == targets(lb, "twin") == {origin.address: (None, 1)}
    put(lb.dir, "[]")
    become(lb, {})
    become(lb, {}, "twin")


def test_a_reload_and_a_refresh_at_once_lose_nothing(found):
    lb = found("[]")
    for i in range(1, 6):
        lb.write(GROUP % f', targets: [{{address: "10.0.0.1:80", weight: {i}}}]')
        put(lb.dir, f'[{{address: "10.0.0.2:80", weight: {i}}}]')
        lb.hup()
        become(lb, {"10.0.0.1:80": (None, i), "10.0.0.2:80": (None, i)})
    eventually(lambda: lb.status()["reloads"]["ok"] == 5, "five reloads")
    status = lb.status()
    assert status["reloads"]["failed"] == status["refreshes"]["failed"] == 0
    eventually(lambda: lb.status()["snapshots_live"] == 1, "old snapshots freed")
