#!/usr/bin/python3
"""Instructions per request of an HTTP server, in user space, counted by callgrind.

    ir = instructions.per_request(argv, "http://127.0.0.1:8080/128", requests=10000)

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


def per_request(argv, url, requests=10000, cwd=None, **load):
    """Instructions a request; load: what else marks.FixedClient takes (warmup, connections, paths,
    host_header). Failure when the server does not start or a request goes wrong."""
    port = urllib.parse.urlsplit(url).port
    with tempfile.TemporaryDirectory(prefix="tenbin-callgrind-") as directory:
        log = pathlib.Path(directory, "log")
        with open(log, "wb") as output:
            program = subprocess.Popen(
                ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--fair-sched=try",
                 f"--callgrind-out-file={directory}/callgrind.out.%p", *argv],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=cwd,
                start_new_session=True, preexec_fn=processes.die_with_parent)
        try:
            if not processes.wait_for_port(port, program, 60):
                raise Failure(f"{argv[0]} did not start: {log.read_text(errors='replace')[-500:]}")
            with marks.FixedClient(url, requests, **load) as client:
                _control(program.pid, "--instr=on")
                client.go()
                _control(program.pid, "--instr=off")
                _control(program.pid, "--dump")
                client.finish()
        finally:
            _stop(program)
        return _dumped(directory) / requests


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
