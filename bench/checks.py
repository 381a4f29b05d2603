#!/usr/bin/python3
"""CPU that health checks cost: many targets, all played by one origin on 127.0.0.0/8.

    checks.py [--targets 10000] [--interval 5] [--protocol http] [--seconds 20]

Prints what part of a core the control thread used over that time, by its schedstat, after the
first round of checks is over. There is no other traffic. As root the run has a network of its own,
and is made once more with what is received handled on the other core (RPS): over loopback the
targets' half of TCP is else done in the middle of the checker's own calls, and charged to it.
"""

import argparse
import ctypes
import json
import os
import pathlib
import time
import urllib.request

import processes
from processes import Failure, Stage

CLONE_NEWNS = 0x20000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

CONFIG = """\
workers: 1
limits: {max_connections: 1000}
admin: {listen: "127.0.0.1:%d"}
listeners:
  - {name: web, listen: "127.0.0.1:%d", protocol: http, default_action: {forward: app}}
target_groups:
  - name: app
    health_check: {protocol: %s, interval: %ds, healthy_threshold: 2}
    targets:
"""


def address(i):
    return f"127.{1 + i // 62500}.{i // 250 % 250}.{1 + i % 250}"


def states(admin):
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/status", timeout=10) as answer:
        targets = json.load(answer)["groups"][0]["targets"]
    return [target["state"] for target in targets]


def cpu_ns(pid):
    """Of the control thread: the one that has the process's own id."""
    return int(pathlib.Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0])


def receive_on(cpu):
    """What arrives over loopback is handled there. Needs the network to be our own, and root."""
    if processes.LIBC.unshare(CLONE_NEWNS) != 0 or processes.LIBC.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        raise OSError(ctypes.get_errno(), "no mounts of our own")
    if processes.LIBC.mount(b"sysfs", b"/sys", b"sysfs", 0, None) != 0:
        raise OSError(ctypes.get_errno(), "no sysfs of our own")
    pathlib.Path("/sys/class/net/lo/queues/rx-0/rps_cpus").write_text(f"{1 << cpu:x}")


def measure(options, how):
    with Stage() as stage:
        origin = stage.spawn([processes.tool("origin"), "--listen", "0.0.0.0:0"], stdout=-1, cpu=stage.load_cpu)
        port = int(origin.stdout.readline())
        admin, web = processes.free_port(), processes.free_port()
        path = stage.directory / "tenbin.yaml"
        targets = "".join(f'      - "{address(i)}:{port}"\n' for i in range(options.targets))
        path.write_text(CONFIG % (admin, web, options.protocol, options.interval) + targets)
        program = stage.spawn([str(processes.BUILD / "tenbin"), "run", "-c", str(path)], stdout=-3, cpu=stage.proxy_cpu)
        if not processes.wait_for_port(admin, program):
            raise Failure(f"tenbin does not start: {stage.errors()}")
        time.sleep(options.interval + 2)
        before, began = cpu_ns(program.pid), time.monotonic()
        time.sleep(options.seconds)
        used, took = cpu_ns(program.pid) - before, time.monotonic() - began
        healthy = states(admin).count("healthy")
        if healthy < options.targets:
            raise Failure(f"{healthy} of {options.targets} targets are healthy: {stage.errors()}")
    rate = options.targets / options.interval
    print(f"{options.targets} {options.protocol} checks every {options.interval} s: {used / took / 1e7:.1f} % of a core, "
          f"{used / took / rate / 1e3:.1f} us a check{how}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", type=int, default=10000)
    parser.add_argument("--interval", type=int, default=5)
    parser.add_argument("--protocol", default="http", choices=["http", "tcp"])
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    processes.raise_file_limit()
    try:
        ours = processes.isolate_network()["isolated"]
    except OSError:
        ours = False
    measure(options, "")
    if ours and len(os.sched_getaffinity(0)) > 1:
        receive_on(min(os.sched_getaffinity(0)))  # that of the load
        measure(options, ", without the targets' half of TCP")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        raise SystemExit(f"checks: {failure}")
