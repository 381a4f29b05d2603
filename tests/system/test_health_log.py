"""The health check log: ELB's eight fields, over reloads and log rotation."""

import re
import signal
import time

import pytest

import origin as o
from lb import eventually

QUICK = "interval: 200ms, timeout: 150ms, healthy_threshold: 1, unhealthy_threshold: 1"
LINE = re.compile(r"(http|tcp) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) (\d+\.\d{6}) (\S+) (\S+) (PASS|FAIL) (\d+|-) (\w+|-)\n")

TEXT = """
%slisteners:
  - {name: web, listen: "127.0.0.1:$web", protocol: %s, default_action: {forward: app}}
target_groups:
  - {name: app, protocol: %s, health_check: {%s}, targets: ["$app"]}
"""

ON = "health_check_log: {path: $dir/checks.log}\n"


def text(log=ON, protocol="http", check=QUICK):
    return TEXT % (log, protocol, protocol, check)


def lines(lb, name="checks.log"):
    path = lb.dir / name
    return path.read_text().splitlines(keepends=True) if path.exists() else []


def test_each_check_is_a_line(tenbin, origins):
    target = origins()
    began = time.time()
    lb = tenbin(text(), app=target.address)
    eventually(lambda: len(lines(lb)) >= 3, "three lines")
    fields = [LINE.fullmatch(line).groups() for line in lines(lb)]
    assert all(f[0] == "http" and f[3:] == (target.address, "app", "PASS", "200", "-") for f in fields), fields
    assert all(0 < float(f[2]) < 0.2 for f in fields)
    stamp = time.strptime(fields[0][1][:19], "%Y-%m-%dT%H:%M:%S")
    assert abs(time.mktime(stamp) - time.timezone - began) < 5
    assert len(target.requests) >= len(fields)


def reset(peer):
    peer.read_request()
    peer.sock.setsockopt(o.socket.SOL_SOCKET, o.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def garbage(peer):
    peer.read_request()
    peer.send(b"garbage\r\n\r\n")


@pytest.mark.parametrize("script, code, reason", [
    (o.reply(o.response(b"", "503 No")), "503", "ResponseCodeMismatch"), (o.hold, "-", "TimedOut"),
    (reset, "-", "ConnectionReset"), (garbage, "-", "TargetError"), (None, "-", "ConnectionReset"),
], ids=["mismatch", "silent", "reset", "garbage", "refused"])
def test_failures_have_elbs_reasons(tenbin, origins, script, code, reason):
    target = origins(script) if script else origins.refusing()
    lb = tenbin(text(), app=target.address)
    eventually(lambda: len(lines(lb)) >= 2, "two lines")
    for line in lines(lb):
        assert LINE.fullmatch(line).groups()[5:] == ("FAIL", code, reason), line


def test_a_tcp_check_has_no_code(tenbin, origins):
    lb = tenbin(text(protocol="tcp"), app=origins(o.echo).address)
    eventually(lambda: lines(lb), "a line")
    assert LINE.fullmatch(lines(lb)[0]).group(1, 6, 7, 8) == ("tcp", "PASS", "-", "-")


def test_rotation_loses_no_line(tenbin, origins):
    target = origins()
    lb = tenbin(text(), app=target.address)
    eventually(lambda: lines(lb), "a line")
    (lb.dir / "checks.log").rename(lb.dir / "checks.log.1")
    lb.process.send_signal(signal.SIGUSR1)
    eventually(lambda: lines(lb), "a line in the new file")
    before = len(lines(lb, "checks.log.1"))
    time.sleep(0.5)
    assert len(lines(lb, "checks.log.1")) == before
    lb.stop()
    assert abs(before + len(lines(lb)) - len(target.requests)) <= 1


def test_reloads_keep_change_and_end_it(tenbin, origins):
    target = origins()
    lb = tenbin(text(), app=target.address)
    eventually(lambda: lines(lb), "a line")
    lb.reload(text())
    eventually(lambda: len(lines(lb)) >= 6, "more lines in the same file")
    lb.reload(text("health_check_log: {path: $dir/other.log}\n"))
    eventually(lambda: lines(lb, "other.log"), "a line in the other file")
    old = len(lines(lb))
    descriptors = lb.status()["descriptors"]
    lb.reload(text(""))
    eventually(lambda: lb.status()["descriptors"] < descriptors, "the end of the file")
    asked, other = len(target.requests), len(lines(lb, "other.log"))
    eventually(lambda: len(target.requests) >= asked + 3, "more checks")
    assert (len(lines(lb)), len(lines(lb, "other.log"))) == (old, other)
    assert abs(old + other - asked) <= 2
    assert lb.status()["log_lines_dropped"] == 0


def test_the_last_lines_are_written_at_the_end(tenbin, origins):
    target = origins()
    lb = tenbin(text(check="interval: 10s"), app=target.address)
    eventually(lambda: lb.status()["groups"][0]["targets"][0]["state"] == "healthy", "a verdict")
    lb.stop()
    assert len(lines(lb)) == 1


def test_a_path_that_cannot_be_opened_fails_the_reload_and_nothing_else(tenbin, origins):
    lb = tenbin(text(), app=origins().address)
    eventually(lambda: lines(lb), "a line")
    lb.write(text("health_check_log: {path: $dir/nowhere/checks.log}\n"))
    lb.hup()
    eventually(lambda: lb.status()["reloads"]["failed"] == 1, "the failure")
    assert "health_check_log" in lb.status()["reloads"]["last_error"]
    before = len(lines(lb))
    eventually(lambda: len(lines(lb)) > before, "more lines")
