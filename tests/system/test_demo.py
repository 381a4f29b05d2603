"""The demo that a newcomer types first must work."""

import os
import signal
import subprocess
import sys
import time

import lb as lb_module

DEMO = [sys.executable, str(lb_module.ROOT / "tests/demo/demo.py")]
ENV = {**os.environ, "TENBIN_BIN": str(lb_module.BINARY)}


def test_every_step_of_the_demo_works():
    done = subprocess.run([*DEMO, "--check"], env=ENV, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok   ") == 12


def test_the_demo_ends_what_it_started(tmp_path):
    process = subprocess.Popen(DEMO, env=ENV, stdout=open(tmp_path / "out", "w"), stderr=subprocess.STDOUT, cwd=lb_module.ROOT)
    until = time.monotonic() + 20
    while "kill -HUP" not in (tmp_path / "out").read_text() and time.monotonic() < until:
        time.sleep(0.1)
    said = (tmp_path / "out").read_text()
    assert "kill -HUP" in said and "curl http://127.0.0.1:" in said, said
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    assert len(children) == 4
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0
    assert not [pid for pid in children if os.path.exists(f"/proc/{pid}")]
