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
from lb import eventually

ROOT = os.getuid() == 0
SOMEBODY = "nobody"


@pytest.fixture
def open_directory():
    """A directory that another user may write to."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="tenbin-test-"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


def threads_of(lb):
    """The status of each thread as {name: value}."""
    for task in pathlib.Path(f"/proc/{lb.process.pid}/task").iterdir():
        lines = (task / "status").read_text().splitlines()
        yield dict(line.split(":", 1) for line in lines if ":" in line)


def test_another_user_takes_over_before_logs_are_opened(tenbin, origin, open_directory):
    text = f"user: {SOMEBODY}\n" + WEB + f"access_log: {{path: {open_directory}/access.log, format: json, flush: 100ms}}\n"
    web = tenbin(text, app=origin.address, ready=ROOT)
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
    eventually(lambda: (open_directory / "access.log").exists(), "the log")
    assert (open_directory / "access.log").stat().st_uid == uid


def free_low_port():
    """A port that only root may bind, free on an address of loopback that nobody else uses."""
    return "127.77.0.1:%d" % next(port for port in range(700, 1000))


@pytest.mark.parametrize("reloaded", [False, True])
def test_a_low_port_can_be_bound_at_the_start_and_by_a_reload(tenbin, origin, reloaded):
    text = (f"user: {SOMEBODY}\n" if ROOT else "") + WEB + "access_log: {path: stdout, format: json}\n"
    low = text.replace("listeners:\n", f'listeners:\n  - {{name: low, listen: "{free_low_port()}", protocol: http, default_action: {{forward: app}}}}\n')
    web = tenbin(low if ROOT and not reloaded else text, app=origin.address)
    if reloaded and ROOT:
        web.path.parent.chmod(0o755)
        readable_to_others(web.path)
        web.write(low)
        readable_to_others(web.path)
        web.hup()
        eventually(lambda: web.status()["generation"] == 2, f"the reload {web.stderr()}")
    if ROOT:
        host, port = free_low_port().split(":")
        with wire.socket.create_connection((host, int(port))) as sock:
            stream = wire.Stream(sock)
            stream.send("GET /low HTTP/1.1\r\nHost: a\r\n\r\n")
            assert stream.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert web.connect().get("/").status == 200


def readable_to_others(path):
    """The file and all directories above it that are ours."""
    path.chmod(0o644)
    for directory in path.parents:
        if directory.stat().st_uid == os.getuid() and str(directory).startswith(tempfile.gettempdir() + "/"):
            directory.chmod(0o755)


def test_an_unknown_user_is_an_error(tmp_path):
    (tmp_path / "t.yaml").write_text("user: nobody-of-that-name\n" + WEB.replace("$web", "8080").replace("$app", "127.0.0.1:1"))
    done = lb_module.run("run", "-c", tmp_path / "t.yaml")
    assert done.returncode == 1 and "nobody-of-that-name" in done.stderr
