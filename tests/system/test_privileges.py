"""Root is given up before anything is opened, and what is left is enough for a reload."""

import os
import pathlib
import pwd
import shutil
import tempfile

import pytest

import lb as lb_module
import wire
from conftest import WEB

ROOT = os.getuid() == 0
SOMEBODY = "nobody"


@pytest.fixture
def open_directory():
    """A directory that another user may read and write."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="tenbin-test-"))
    path.chmod(0o777)
    before = os.umask(0)
    yield path
    os.umask(before)
    shutil.rmtree(path)


def threads_of(lb):
    """The status of each thread as {name: value}."""
    for task in pathlib.Path(f"/proc/{lb.process.pid}/task").iterdir():
        lines = (task / "status").read_text().splitlines()
        yield dict(line.split(":", 1) for line in lines if ":" in line)


def test_another_user_takes_over_before_logs_are_opened(open_directory, tenbin, origin):
    web = tenbin(f"user: {SOMEBODY}\n" + WEB, where=open_directory, app=origin.address, ready=ROOT)
    if not ROOT:
        assert web.process.wait(10) == 1 and SOMEBODY in web.stderr()
        web.ended_by_test = True
        return
    uid = pwd.getpwnam(SOMEBODY).pw_uid
    threads = list(threads_of(web))
    assert len(threads) >= 3
    assert all(set(map(int, thread["Uid"].split())) == {uid} for thread in threads)
    bind_only = 1 << 10
    capable = [int(thread["CapEff"], 16) for thread in threads]
    assert sorted(set(capable)) in ([0, bind_only], [0]) and capable.count(bind_only) <= 1
    assert web.connect().get("/").status == 200
    assert web.log_line(path="/") and (web.dir / "access.log").stat().st_uid == uid


# Only root may bind the port, and nobody else uses the address.
LOW = "127.77.0.1", 777
TWO = WEB.replace("listeners:\n", """listeners:
  - {name: low, listen: "%s:%d", protocol: http, default_action: {forward: app}}
""" % LOW)


def asks_low():
    with wire.socket.create_connection(LOW) as sock:
        stream = wire.Stream(sock)
        stream.send("GET /low HTTP/1.1\r\nHost: a\r\n\r\n")
        return stream.read_until(b"\r\n\r\n").split()[1]


def test_a_low_port_can_be_bound_at_the_start_and_by_a_reload(open_directory, tenbin, origin):
    first = int(pathlib.Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if not ROOT and LOW[1] < first:
        web = tenbin(TWO, app=origin.address, ready=False)
        assert web.process.wait(10) == 1 and "%s:%d" % LOW in web.stderr()
        web.ended_by_test = True
        return
    user = f"user: {SOMEBODY}\n" if ROOT else ""
    web = tenbin(user + TWO, where=open_directory, app=origin.address)
    assert asks_low() == b"200"
    web.reload(user + WEB)
    web.reload(user + TWO)
    assert asks_low() == b"200"


def test_an_unknown_user_is_an_error(tmp_path):
    (tmp_path / "t.yaml").write_text("user: nobody-of-that-name\n" + WEB.replace("$web", "8080").replace("$app", "127.0.0.1:1"))
    done = lb_module.run("run", "-c", tmp_path / "t.yaml")
    assert done.returncode == 1 and "nobody-of-that-name" in done.stderr
