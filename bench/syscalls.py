#!/usr/bin/python3
"""System calls per request of a running HTTP server, all its threads.

    counts = syscalls.count(pids, "http://127.0.0.1:8080/128", requests=10000)
    counts["epoll_ctl"] / 10000

    syscalls.py --pid PID [--pid PID ...] [--requests N] [--connections C] URL

Counted are exactly N requests over connections that stand before and after (bench/fixed between its
marks), with perf where it may count system calls of others, else with strace. strace makes every
call slow, so a loop finds more events a turn than it would in life: the calls a request needs are
exact, the number of epoll_wait is then too low.
"""

import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import marks
from processes import Failure

# The rest goes under "other": all calls less these.
NAMES = """accept4 bind brk clock_gettime clock_nanosleep close connect epoll_ctl epoll_pwait
epoll_pwait2 epoll_wait fcntl futex getpeername getpid getsockname getsockopt gettid io_uring_enter
ioctl listen madvise mmap mprotect munmap nanosleep poll ppoll pwrite64 read readv recvfrom recvmmsg
recvmsg
rt_sigaction rt_sigprocmask sched_yield select sendfile64 sendmmsg sendmsg sendto setsockopt
shutdown socket splice timerfd_settime write writev""".split()

TRACING = pathlib.Path("/sys/kernel/tracing/events/syscalls")


class Perf:
    """Counts through tracepoints: exact, and hardly slower than life."""

    def __init__(self, pids):
        names = [name for name in NAMES if (TRACING / f"sys_enter_{name}").exists()]
        self._directory = tempfile.TemporaryDirectory(prefix="tenbin-perf-")
        control, answer, self._output = (os.path.join(self._directory.name, name)
                                         for name in ("control", "answer", "output"))
        os.mkfifo(control)
        os.mkfifo(answer)
        events = ["raw_syscalls:sys_enter", *(f"syscalls:sys_enter_{name}" for name in names)]
        self._program = subprocess.Popen(
            ["perf", "stat", "-x,", "-o", self._output, "-D", "-1", "--control",
             f"fifo:{control},{answer}", "-p", ",".join(map(str, pids)), "-e", ",".join(events)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._control = os.open(control, os.O_RDWR)
        self._answer = os.open(answer, os.O_RDWR | os.O_NONBLOCK)

    @staticmethod
    def usable():
        if not shutil.which("perf") or not os.access(TRACING, os.R_OK | os.X_OK):
            return False
        done = subprocess.run(["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "true"],
                              text=True, capture_output=True)
        return done.returncode == 0 and re.match(r"\d+,", done.stderr) is not None

    def _tell(self, word):
        os.write(self._control, f"{word}\n".encode())
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self._program.poll() is None:
            try:
                if b"ack" in os.read(self._answer, 64):
                    return
            except BlockingIOError:
                time.sleep(0.01)
        raise Failure(f"perf did not answer \"{word}\"")

    def begin(self):
        self._tell("enable")

    def end(self):
        self._tell("disable")
        self._program.send_signal(signal.SIGINT)
        self._program.wait(10)
        counts = {}
        for line in pathlib.Path(self._output).read_text().splitlines():
            fields = line.split(",")
            if len(fields) > 2 and "sys_enter" in fields[2]:
                name = fields[2].rpartition("sys_enter")[2].lstrip("_")
                counts[name or "all"] = int(fields[0]) if fields[0].isdigit() else 0
        total = counts.pop("all")
        counts["other"] = total - sum(counts.values())
        return counts

    def close(self):
        if self._program.poll() is None:
            self._program.kill()
        self._program.wait()
        os.close(self._control)
        os.close(self._answer)
        self._directory.cleanup()


class Strace:
    """Counts with ptrace."""

    def __init__(self, pids):
        self._directory = tempfile.TemporaryDirectory(prefix="tenbin-strace-")
        self._output = pathlib.Path(self._directory.name, "output")
        which = [word for pid in pids for word in ("-p", str(pid))]
        self._program = subprocess.Popen(
            ["strace", "-f", "-c", "-U", "calls,name", "-o", str(self._output), *which],
            text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in pids:
            line = self._program.stderr.readline()
            if "attached" not in line:
                said = line.strip()
                self.close()
                raise Failure(f"strace cannot attach: {said}")

    @staticmethod
    def usable():
        return shutil.which("strace") is not None

    def begin(self):
        pass

    def end(self):
        self._program.send_signal(signal.SIGINT)
        self._program.communicate(timeout=30)
        rows = re.findall(r"^\s*(\d+)\s+(\w+)$", self._output.read_text(), re.M)
        return {name: int(calls) for calls, name in rows if name != "total"}

    def close(self):
        if self._program.poll() is None:
            self._program.kill()
        self._program.wait()
        self._program.stderr.close()
        self._directory.cleanup()


COUNTERS = {"perf": Perf, "strace": Strace}


def choose():
    """The name of the best counter of this machine, or None."""
    return next((name for name, counter in COUNTERS.items() if counter.usable()), None)


def count(pids, url, counter=None, **load):
    """Calls by name that the processes made for the requests of a load (marks.FixedClient's
    arguments: requests, warmup, connections, paths, host_header). Failure when they went wrong."""
    counter = counter or choose()
    if not counter:
        raise Failure("neither perf nor strace can count system calls here")
    with marks.FixedClient(url, **load) as client:
        counting = COUNTERS[counter](pids)
        try:
            counting.begin()
            client.go()
            counts = counting.end()
        finally:
            counting.close()
        client.finish()
    return {name: calls for name, calls in counts.items() if calls}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pid", type=int, action="append", required=True)
    marks.add_options(parser)
    parser.add_argument("--counter", choices=COUNTERS)
    parser.add_argument("url")
    options = parser.parse_args()
    counts = count(options.pid, options.url, counter=options.counter, **marks.load_of(options))
    for name, calls in sorted(counts.items(), key=lambda item: -item[1]):
        print(f"{calls / options.requests:10.4f}  {name}")
    print(f"{sum(counts.values()) / options.requests:10.4f}  a request, all calls")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"syscalls: {failure}")
