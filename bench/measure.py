"""One turn of one proxy: load for some seconds, and what it cost.

CPU time is the first column of schedstat, in nanoseconds, summed over all threads of all processes
of the proxy: exact where /proc/PID/stat counts ticks of 10 ms.
"""

import dataclasses
import json
import pathlib
import random
import re
import statistics

from processes import tool


def cpu_ns(pids):
    total = 0
    for pid in pids:
        for stat in pathlib.Path("/proc", str(pid), "task").glob("*/schedstat"):
            try:
                total += int(stat.read_text().split()[0])
            except OSError:
                pass  # the thread ended
    return total


def rss_kib(pids):
    """Resident memory; pages that two processes share count twice."""
    total = 0
    for pid in pids:
        for line in pathlib.Path("/proc", str(pid), "status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1])
    return total


def machine_ticks():
    """(stolen, all) ticks of all CPUs since boot."""
    fields = [int(x) for x in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return fields[7], sum(fields)


@dataclasses.dataclass
class Sample:
    """What one turn gave. `error` set means that its figures are worth nothing."""
    requests: int = 0
    seconds: float = 0.0
    cpu_ns: int = 0
    others_ns: int = 0           # CPU time of the proxies that should have been idle
    stolen: float = 0.0          # share of the machine's time taken by its host
    error: str = ""
    latency: dict = dataclasses.field(default_factory=dict)

    @property
    def cpu_per_request(self):
        return self.cpu_ns / self.requests

    @property
    def rate(self):
        return self.requests / self.seconds


# ---- generators: (stage, url, case, seconds) -> Sample without CPU ----

def run_wrk(stage, url, case, seconds):
    close = ["-H", "Connection: close"] if case.close else []
    argv = ["wrk", "-t1", f"-c{case.connections}", f"-d{seconds}s", "--timeout", "5s", *close, url]
    status, out, err = stage.run(argv, cpu=stage.load_cpu, seconds=seconds + 30)
    requests = re.search(r"(\d+) requests in ", out)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    if status or not requests or not rate or not int(requests[1]):
        return Sample(error=f"wrk: {(err or out).strip()[-200:]}")
    bad = re.search(r"Socket errors:.*[1-9].*|Non-2xx or 3xx responses.*", out)
    count = int(requests[1])
    return Sample(count, count / float(rate[1]), error=bad[0].strip() if bad else "")


def run_fixed(stage, url, case, seconds):
    argv = [tool("fixed"), "--connections", str(case.connections), "--seconds", str(seconds), url]
    status, out, err = stage.run(argv, cpu=stage.load_cpu, seconds=seconds + 60)
    if status:
        return Sample(error=f"fixed: {err.strip()}")
    done = json.loads(out)
    return Sample(done["requests"], done["seconds"])


def run_h2load(stage, url, case, seconds):
    argv = ["h2load", "-t1", f"-c{case.connections}", f"-m{case.streams}", f"-D{seconds}",
            "--tls13-ciphers=TLS_AES_128_GCM_SHA256", "--groups=X25519", url]
    status, out, err = stage.run(argv, cpu=stage.load_cpu, seconds=seconds + 30)
    counts = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout",
                       out)
    rate = re.search(r"finished in .*?, ([\d.]+) req/s", out)
    if status or not counts or not rate or not int(counts[2]):
        return Sample(error=f"h2load: {(err or out).strip()[-200:]}")
    done, good, *bad = (int(x) for x in counts.groups())
    error = counts[0] if any(bad) or good != done else ""
    return Sample(done, done / float(rate[1]), error=error)


def run_openloop(stage, url, case, seconds, rate):
    argv = [tool("openloop"), "--rate", str(rate), "--connections", str(case.connections),
            "--seconds", str(seconds), "--warmup", "0", url]
    status, out, err = stage.run(argv, cpu=stage.load_cpu, seconds=seconds + 30)
    if status:
        return Sample(error=f"openloop: {err.strip()}")
    done = json.loads(out)
    error = f"openloop: {done['errors']} errors" if done["errors"] else ""
    return Sample(done["done"], seconds, error=error, latency=done)


def take_turn(stage, instance, others, load):
    """Runs load() and adds what it cost the instance."""
    instance.empty_log()
    others_before = sum(cpu_ns(other.pids) for other in others)
    stolen_before, all_before = machine_ticks()
    pids = instance.pids
    before = cpu_ns(pids)
    sample = load()
    sample.cpu_ns = cpu_ns(pids) - before
    stolen_after, all_after = machine_ticks()
    sample.stolen = (stolen_after - stolen_before) / max(1, all_after - all_before)
    sample.others_ns = sum(cpu_ns(other.pids) for other in others) - others_before
    instance.empty_log()
    if not instance.alive():
        sample.error = "the proxy ended"
    return sample


# ---- figures ----

@dataclasses.dataclass
class Ratio:
    """The median of per-round ratios with its bootstrap 95 % interval."""
    median: float
    low: float = None            # none from fewer than three rounds
    high: float = None


def ratio(values, resamples=4000):
    if not values:
        return None
    if len(values) < 3:
        return Ratio(statistics.median(values))
    chance = random.Random(1)
    medians = sorted(statistics.median(chance.choices(values, k=len(values)))
                     for _ in range(resamples))
    return Ratio(statistics.median(values), medians[int(resamples * 0.025)],
                 medians[int(resamples * 0.975) - 1])
