#!/usr/bin/python3
"""Instructions per request of an HTTP server, in user space, counted by callgrind.

    ir = instructions.per_request(argv, "http://127.0.0.1:8080/128", requests=10000)
    ir = instructions.per_request_h2(argv, "http://127.0.0.1:8080/128")       # HTTP/2, h2load

    instructions.py [--requests N] [--connections C] [--cwd DIR] URL -- COMMAND...

The command is started under valgrind and must serve the URL; what stands behind it must run
already. Only what lies between the marks of bench/fixed is counted: connections stand, caches are
warm, and exactly N requests pass. The figure depends on no clock and no neighbour, so it holds to
well under a percent where CPU time swings by several; it leaves out the kernel, which is most of
what a proxied request costs. Use it to tell two builds apart, not to tell what users will feel.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.parse

import marks
import processes
from processes import Failure


def _control(pid, *words):
    try:
        done = subprocess.run(["callgrind_control", *words, str(pid)], text=True,
                              capture_output=True, timeout=30)
    except subprocess.TimeoutExpired:
        raise Failure("callgrind_control got no answer within 30 s") from None
    if done.returncode or "Error" in done.stdout + done.stderr:
        raise Failure(f"callgrind_control: {(done.stderr or done.stdout).strip()}")


def _dumped(directory):
    """The instructions in all dumps written so far."""
    total = 0
    for dump in pathlib.Path(directory).glob("callgrind.out.*.*"):
        match = re.search(r"^totals: (\d+)", dump.read_text(), re.M)
        if not match:
            raise Failure(f"{dump.name} holds no totals")
        total += int(match[1])
    return total


def _stop(program):
    # The figures were dumped before: nothing is lost with a program that is killed.
    processes.kill_session(program.pid)
    program.wait()


class _Counted:
    """A command under callgrind that serves a port, while the `with` block runs."""

    def __init__(self, argv, port, cwd):
        self._argv, self._port, self._cwd = argv, port, cwd
        self._home = tempfile.TemporaryDirectory(prefix="tenbin-callgrind-")

    def __enter__(self):
        log = pathlib.Path(self._home.name, "log")
        with open(log, "wb") as output:
            self._program = subprocess.Popen(
                ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--fair-sched=try",
                 f"--callgrind-out-file={self._home.name}/callgrind.out.%p", *self._argv],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self._cwd,
                start_new_session=True, preexec_fn=processes.die_with_parent)
        if not processes.wait_for_port(self._port, self._program, 60):
            said = log.read_text(errors="replace")[-500:]
            self.__exit__()
            raise Failure(f"{self._argv[0]} did not start: {said}")
        return self

    def during(self, work):
        """The instructions spent while work() runs."""
        before = _dumped(self._home.name)
        _control(self._program.pid, "--instr=on")
        work()
        _control(self._program.pid, "--instr=off")
        _control(self._program.pid, "--dump")
        return _dumped(self._home.name) - before

    def __exit__(self, *_):
        _stop(self._program)
        self._home.cleanup()


def per_request(argv, url, requests=10000, cwd=None, **load):
    """Instructions a request; load: what else marks.FixedClient takes (warmup, connections, paths,
    host_header). Failure when the server does not start or a request goes wrong."""
    with _Counted(argv, urllib.parse.urlsplit(url).port, cwd) as server, \
            marks.FixedClient(url, requests, **load) as client:
        total = server.during(client.go)
        client.finish()
        return total / requests


def _h2load(url, requests, connections, streams):
    done = subprocess.run(["h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-n{requests}", url],
                          capture_output=True, text=True, timeout=120)
    if f" {requests} succeeded, 0 failed, 0 errored" not in done.stdout:
        raise Failure(f"h2load: {(done.stderr or done.stdout).strip()[-300:]}")


def per_request_h2(argv, url, requests=10000, cwd=None, connections=4, streams=32):
    """The same over HTTP/2 by prior knowledge. h2load has no marks: what connections cost goes out
    as the difference between a run with few requests and one with so many more."""
    few = 20 * connections * streams
    with _Counted(argv, urllib.parse.urlsplit(url).port, cwd) as server:
        _h2load(url, few, connections, streams)
        less = server.during(lambda: _h2load(url, few, connections, streams))
        more = server.during(lambda: _h2load(url, few + requests, connections, streams))
        return (more - less) / requests


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    marks.add_options(parser)
    parser.add_argument("--cwd")
    parser.add_argument("url")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    ir = per_request(options.command, options.url, cwd=options.cwd, **marks.load_of(options))
    print(f"{ir:.1f} instructions a request")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"instructions: {failure}")
