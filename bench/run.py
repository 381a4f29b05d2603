#!/usr/bin/python3
"""tenbin, nginx, HAProxy and others side by side: CPU a request, rate, latency, memory.

    make bench                                    the short run, under five minutes
    /usr/bin/python3 bench/run.py --full          every case, every proxy
    /usr/bin/python3 bench/run.py --case h1-128 --case tcp-128 --proxies tenbin,nginx,null

All proxies run at once, pinned to one CPU, and are measured in turn: A B C, C B A, in a new order
every two rounds, so that what drifts hits all alike. Read bench/README.md before quoting a figure.
"""

import argparse
import hashlib
import http.client
import json
import os
import pathlib
import random
import signal
import ssl
import subprocess
import sys
import time

import cases
import instructions
import measure
import peers
import processes
import report
import syscalls
from processes import Failure, ROOT


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--short", action="store_true", help="few cases, few rounds (the default)")
    size.add_argument("--full", action="store_true", help="all cases and proxies, more rounds")
    parser.add_argument("--case", action="append", choices=[case.name for case in cases.CASES],
                        metavar="NAME", help="only this case (may be repeated); see --list")
    parser.add_argument("--list", action="store_true", help="list the cases and end")
    parser.add_argument("--proxies", help="only these, with commas: " + ",".join(peers.PEERS))
    parser.add_argument("--rounds", type=int, help="turns of each proxy in a case")
    parser.add_argument("--seconds", type=int, help="length of a turn")
    parser.add_argument("--instructions", action="store_true",
                        help="also count instructions a request (callgrind, slow)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE",
                        help="default: build/bench/<time>.json")
    options = parser.parse_args()
    options.latency_rounds = options.rounds or (10 if options.full else 3)
    options.rounds = options.rounds or (10 if options.full else 5)
    options.seconds = options.seconds or (5 if options.full else 2)
    if min(options.rounds, options.seconds) < 1:
        parser.error("--rounds and --seconds are at least 1")
    unknown = set((options.proxies or "null").split(",")) - set(peers.PEERS)
    if unknown:
        parser.error(f"--proxies: unknown: {', '.join(sorted(unknown))}")
    return options


def chosen_cases(options):
    if options.case:
        return [case for case in cases.CASES if case.name in options.case]
    return [case for case in cases.CASES if options.full or case.short]


def names_for(case, options):
    """The proxies of a case, installed or not."""
    if options.proxies:
        usual = options.proxies.split(",")
    else:
        usual = cases.FULL_PROXIES if options.full else cases.SHORT_PROXIES
        usual = usual + [name for name in case.peers if options.full]
    return [name for name in usual if case.kind in peers.PEERS[name].kinds]


class Bench:
    """The stage with the origins and one running instance for each (proxy, kind, log)."""

    def __init__(self, stage, options):
        self.stage = stage
        self.options = options
        self.certificates = peers.make_certificate(stage.directory)
        self.targets = [f"127.0.0.1:{stage.start_tool('origin', cpu=stage.load_cpu)[1]}"
                        for _ in range(2)]
        self.instances = {}
        self.skipped = {}
        self.said = set()

    def say_once(self, line):
        if line not in self.said:
            print(line)
        self.said.add(line)

    def start_all(self, chosen):
        for case in chosen:
            for name in names_for(case, self.options):
                key = (name, case.kind, case.log)
                if key not in self.instances and key not in self.skipped:
                    self._start(key)

    def _start(self, key):
        name, kind, log = key
        try:
            if peers.PEERS[name].missing():
                raise Failure("not installed" if name != "tenbin" else "build/release/tenbin"
                              " does not exist")
            self.instances[key] = peers.start(self.stage, *key, self.targets, self.certificates)
        except Failure as failure:
            self.skipped[key] = str(failure)
            print(f"SKIPPED {name}, {kind}{' with access log' if log else ''}: {failure}")

    def instances_for(self, case):
        keys = [(name, case.kind, case.log) for name in names_for(case, self.options)]
        return {key[0]: self.instances[key] for key in keys if key in self.instances}

    def others(self, instance):
        return [other for other in self.instances.values() if other is not instance]


# ---- the same bytes from all ----

def fetch(instance_url, path):
    """(status, hash of the body, header names) over HTTP/1.1."""
    scheme, _, rest = instance_url.partition("://")
    host = rest.partition("/")[0]
    if scheme == "https":
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(host, timeout=10, context=context)
    else:
        connection = http.client.HTTPConnection(host, timeout=10)
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    names = sorted(name.lower() for name, _ in response.getheaders())
    connection.close()
    return response.status, hashlib.sha256(body).hexdigest(), names


def check_answers(bench, case, instances):
    """Names whose answer is not the origin's, with why; says which headers differ."""
    status, body, headers = fetch(f"http://{bench.targets[0]}/", case.path)
    wrong = {}
    for name, instance in instances.items():
        try:
            got = fetch(instance.url("/"), case.path)
        except (OSError, http.client.HTTPException) as error:
            wrong[name] = f"no answer to a first request: {error}"
            continue
        if got[:2] != (status, body):
            wrong[name] = f"its answer (status {got[0]}) is not the origin's"
        added, removed = set(got[2]) - set(headers), set(headers) - set(got[2])
        if added or removed:
            bench.say_once(f"  {name}: headers added: {', '.join(sorted(added)) or 'none'};"
                           f" removed: {', '.join(sorted(removed)) or 'none'}")
    return wrong


# ---- rounds ----

def orders(names, rounds):
    """A new order every two rounds, forth and back."""
    chance = random.Random()
    order = list(names)
    for number in range(rounds):
        if number % 2 == 0:
            chance.shuffle(order)
            yield list(order)
        else:
            yield order[::-1]


def run_rounds(bench, instances, rounds, load):
    """A list with a {name: Sample} a round. A proxy with an error is not asked again."""
    found, failed = [], set()
    for order in orders(instances, rounds):
        samples = {}
        for name in order:
            if name in failed:
                continue
            instance = instances[name]
            samples[name] = measure.take_turn(bench.stage, instance, bench.others(instance),
                                              lambda: load(instance))
            if samples[name].error:
                failed.add(name)
        found.append(samples)
    return found


def warm_up(bench, case, instance):
    if case.plain:
        argv = [processes.tool("fixed"), "--connections", str(case.connections), "--requests",
                str(max(256, 4 * case.connections)), instance.url(case.path)]
        bench.stage.run(argv, cpu=bench.stage.load_cpu)
    else:
        case.generator(bench.stage, instance.url(case.path), case, 1)


def busy_idlers(rounds):
    """The most CPU that the proxies not being measured took, as a share of a turn."""
    shares = [s.others_ns / 1e9 / s.seconds for r in rounds for s in r.values() if s.seconds]
    return max(shares, default=0)


def count_calls(case, instance, cell):
    if not case.plain or case.close or not syscalls.Perf.usable():
        return
    requests = 2000 if case.path in ("/100k", "/1m") else 10000
    try:
        cell.calls = syscalls.count(instance.pids, instance.url(case.path), requests=requests,
                                    connections=case.connections, warmup=500)
        cell.syscalls = sum(cell.calls.values()) / requests
    except Failure as failure:
        print(f"  {cell.name}: system calls not counted: {failure}")


def count_instructions(bench, case, name, cell):
    if not case.plain or case.close:
        return
    setup, argv = peers.prepare(bench.stage, name, case.kind, case.log, bench.targets,
                                bench.certificates, single_process=True)
    try:
        cell.instructions = instructions.per_request(
            argv, f"http://127.0.0.1:{setup.port}{case.path}", 5000, setup.directory,
            warmup=1000)
    except Failure as failure:
        print(f"  {name}: instructions not counted: {failure}")


def measure_cost(bench, case, instances):
    """The saturating turns: (rounds, cells, note)."""
    for instance in instances.values():
        warm_up(bench, case, instance)
    rounds = run_rounds(bench, instances, bench.options.rounds,
                        lambda instance: case.generator(bench.stage, instance.url(case.path), case,
                                                        bench.options.seconds))
    cells, note = report.make_cells(rounds, instances)
    for name, cell in cells.items():
        if cell.void:
            continue
        cell.rss_mib = measure.rss_kib(instances[name].pids) / 1024
        count_calls(case, instances[name], cell)
        if bench.options.instructions:
            count_instructions(bench, case, name, cell)
    return rounds, cells, note


def measure_latency(bench, case, instances, cells):
    """At half of what the slowest can do, the same for all: (rate, rounds, cells)."""
    instances = {name: i for name, i in instances.items() if not cells[name].void}
    slowest = min(cell.rate for cell in cells.values() if not cell.void)
    rate = int(slowest * 0.5 / 100) * 100
    rounds = run_rounds(bench, instances, bench.options.latency_rounds,
                        lambda instance: measure.run_openloop(
                            bench.stage, instance.url(case.path), case, bench.options.seconds,
                            rate))
    return rate, rounds, *report.make_cells(rounds, instances)


def run_case(bench, case):
    """Measures and prints a case; returns what goes into the JSON."""
    instances = bench.instances_for(case)
    print(f"{case.name}: {case.says}, {case.connections} connections")
    if not instances:
        print("  SKIPPED: none of its proxies runs\n")
        return {"case": case.name, "skipped": True}
    wrong = check_answers(bench, case, instances)
    right = {name: i for name, i in instances.items() if name not in wrong}
    rounds, cells, note = measure_cost(bench, case, right)
    cells |= {name: report.Cell(name, void=why) for name, why in wrong.items()}
    report.print_table(report.COST_HEAD, [report.cost_row(cell) for cell in cells.values()])
    found = {"case": case.name, "says": case.says, "connections": case.connections, "note": note,
             "rounds": rounds, "cells": cells}
    notes = [note] if note else []
    if busy_idlers(rounds) > 0.01:
        notes.append(f"idle proxies took {busy_idlers(rounds):.1%} of a CPU in a turn")
    if case.latency and any(not cell.void for cell in cells.values()):
        rate, rounds, cells, note = measure_latency(bench, case, right, cells)
        quantiles = {name: report.latencies(rounds, name) for name in cells}
        print(f"  at {rate} requests/s for all, latency from when a request was due:")
        report.print_table(report.LATENCY_HEAD, [report.latency_row(cell, quantiles[name])
                                                 for name, cell in cells.items()])
        found["latency"] = {"rate": rate, "note": note, "rounds": rounds, "cells": cells,
                            "quantiles": quantiles}
        notes += [note] if note else []
    for line in notes:
        print(f"  note: {line}")
    if notes:
        print(flush=True)
    return found


# ---- the whole ----

def describe_box(stage, full):
    status, out, err = stage.run([processes.tool("calibrate")])
    if status:
        raise Failure(f"calibrate: {err.strip()}")
    box = {"calibration": json.loads(out), "kernel": os.uname().release,
           "cpus": len(os.sched_getaffinity(0))}
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            box["cpu"] = line.partition(":")[2].strip()
    if full:
        box["openssl"] = subprocess.run(
            ["openssl", "speed", "-seconds", "1", "-evp", "aes-128-gcm"],
            text=True, capture_output=True).stdout.splitlines()[-2:]
        box["openssl"] += subprocess.run(
            ["openssl", "speed", "-seconds", "1", "ecdsap256", "rsa2048"],
            text=True, capture_output=True).stdout.splitlines()[-4:]
    return box


def print_head(box, network, versions, stage):
    figures = ", ".join(f"{name} {value}" for name, value in box["calibration"].items())
    print(f"{box.get('cpu', 'CPU')}, {box['cpus']} CPUs, Linux {box['kernel']}")
    print(f"calibration: {figures}")
    if stage.proxy_cpu is None:
        print("only one CPU: nothing is pinned, proxies and load share it")
    if not network["isolated"]:
        print("not root: no network of our own, the machine's settings apply:"
              f" {network['ipv4/tcp_congestion_control']}")
    for name, version in versions.items():
        print(f"{name}: {version}")
    print(flush=True)


def used_versions(chosen, options):
    names = {name: None for case in chosen for name in names_for(case, options)}
    return {name: peers.PEERS[name].version_text() for name in names
            if not peers.PEERS[name].missing() and peers.PEERS[name].version}


def on_terminate(*_):
    sys.exit(143)


def main():
    options = parse_options()
    if options.list:
        for case in cases.CASES:
            print(f"{case.name:15} {'short' if case.short else '     '} {case.says}")
        return 0
    signal.signal(signal.SIGTERM, on_terminate)
    signal.signal(signal.SIGHUP, on_terminate)
    chosen = chosen_cases(options)
    start = time.time()
    network = processes.isolate_network()
    processes.raise_file_limit()
    processes.adopt_orphans()
    with processes.Stage() as stage:
        box = describe_box(stage, options.full)
        versions = used_versions(chosen, options)
        print_head(box, network, versions, stage)
        bench = Bench(stage, options)
        bench.start_all(chosen)
        found = [run_case(bench, case) for case in chosen]
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(start))
    path = options.json or ROOT / "build" / "bench" / f"{stamp}.json"
    report.write_json(path, {"started": stamp, "seconds": round(time.time() - start, 1),
                             "box": box, "network": network, "versions": versions,
                             "turn_seconds": options.seconds, "cases": found})
    print(f"{time.time() - start:.0f} s; all figures: {path}")
    void = [case["case"] for case in found for cell in case.get("cells", {}).values()
            if cell.name == "tenbin" and cell.void]
    if void:
        print(f"tenbin failed in: {', '.join(void)}")
    return 1 if void else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"bench: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
