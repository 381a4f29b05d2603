"""The real tenbin binary, started from YAML written in the test.

`$name` in the YAML is a keyword argument of start() (a target's address), or else a free port that
lb.port("name") tells; `$dir` is the test's own directory. Workers, admin, access log and a short
log flush are added unless the test writes those keys itself. So is `health_check: off` in a file
that does not speak of health checks at all: most origins are scripted connection by connection.
"""

import ctypes
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import ports
import wire

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import sanitize

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = pathlib.Path(os.environ.get("TENBIN_BIN", ROOT / "build/asan/tenbin"))
COMMAND = [*([] if "release" in BINARY.parts else sanitize.prefix()), str(BINARY)]
START_SECONDS = 20
STOP_SECONDS = 20

DEFAULTS = {
    "workers": "workers: 2",
    "admin": 'admin: {listen: "127.0.0.1:$admin"}',
    "access_log": "access_log: {path: $dir/access.log, format: json, flush: 100ms}",
}

PORTS = ports.Ports()
LIBC = ctypes.CDLL(None)


def eventually(condition, what="the condition", seconds=8.0):
    """Waits until condition() is true and returns its value."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < until, f"{what} did not come true in {seconds} s (last: {value!r})"
        time.sleep(0.02)


def die_with_parent():
    """In the child: a test process that is killed leaves no tenbin behind."""
    LIBC.prctl(1, signal.SIGKILL)


class Tenbin:
    """One running process. Everything about it lives in `dir`."""

    def __init__(self, directory, text, env=None, wrapper=(), ready=True, **names):
        self.dir = pathlib.Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.path = self.dir / "tenbin.yaml"
        self.names, self.ports, self.clients = names, {}, []
        self.env, self.wrapper, self.text = {**sanitize.environment(), **(env or {})}, wrapper, text
        self.process = None
        self.ended_by_test = False
        self.begin(ready)

    # --- life

    def begin(self, ready, tries=3):
        """Starts it; ports that somebody took meanwhile are chosen again."""
        for attempt in range(tries):
            self.write(self.text)
            self.log = open(self.dir / "stderr", "wb")
            self.process = subprocess.Popen([*self.wrapper, *COMMAND, "run", "-c", str(self.path)], env=self.env,
                                            cwd=self.dir, stdin=subprocess.DEVNULL, stdout=self.log,
                                            stderr=subprocess.STDOUT, preexec_fn=die_with_parent)
            if not ready or self.becomes_ready():
                return
            if "in use" not in self.stderr() or attempt + 1 == tries:
                raise AssertionError(f"tenbin did not start (exit code {self.process.poll()}):\n{self.stderr()}")
            self.ports.clear()

    def becomes_ready(self):
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self.process.poll() is not None:
                return False
            try:
                if self.admin("/healthz").status == 200:
                    return True
            except (OSError, AssertionError):
                pass
            time.sleep(0.02)
        self.process.kill()
        self.process.wait()
        raise AssertionError(f"tenbin is not ready after {START_SECONDS} s:\n{self.stderr()}")

    def write(self, text):
        """Makes `text` the configuration file, all at once."""
        missing = [line for key, line in DEFAULTS.items() if not re.search(rf"^{key}:", dedent(text), re.M)]
        whole = "\n".join(missing) + "\n" + without_checks(dedent(text))
        whole = re.sub(r"\$([a-z_][a-z_0-9]*)", lambda m: str(self.value(m.group(1))), whole)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(whole)
        fresh.rename(self.path)
        self.written = whole

    def value(self, name):
        if name == "dir":
            return self.dir
        return self.names[name] if name in self.names else self.port(name)

    def port(self, name="web"):
        if name not in self.ports:
            self.ports[name] = PORTS.take()
        return self.ports[name]

    def hup(self):
        self.process.send_signal(signal.SIGHUP)

    def reload(self, text, **names):
        """Writes a new file and returns when its snapshot serves."""
        self.names.update(names)
        before = self.status()["generation"]
        self.write(text)
        self.hup()
        eventually(lambda: self.status()["generation"] > before, "the reload", 15)

    def stop(self, sig=signal.SIGTERM, seconds=STOP_SECONDS):
        """Asks it to end and returns the exit code."""
        self.ended_by_test = True
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"no end {seconds} s after signal {sig}:\n{self.stderr()}") from None

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    # --- talking to it

    def connect(self, name="web", **keywords):
        """A raw client; closed at the end of the test."""
        client = wire.Client(self.port(name), **keywords)
        self.clients.append(client)
        return client

    def refuses(self, name="web"):
        """Waits until nobody listens there any more."""
        def refused():
            try:
                self.connect(name)
            except ConnectionRefusedError:
                return True
            except ConnectionResetError:
                return False
        eventually(refused, f"a refusal at {name}")

    def expect_reset(self, name):
        """Connects, and is reset at once or soon."""
        try:
            self.connect(name).expect_reset()
        except ConnectionResetError:
            pass

    def close_clients(self):
        for client in self.clients:
            client.close()
        self.clients.clear()

    def admin_place(self):
        """The port of its admin endpoint, or the path of its unix socket."""
        match = re.search(r'^admin: .*"unix:([^"]+)"', self.written, re.M)
        return match.group(1) if match else self.port("admin")

    def admin(self, path, where=None):
        client = wire.Client(where or self.admin_place())
        try:
            client.send(f"GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")
            return client.response()
        finally:
            client.close()

    def status(self):
        answer = self.admin("/status")
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def metrics(self):
        """{'tenbin_requests_total{code="200",listener="web"}': 3.0}, labels sorted."""
        values = {}
        for line in self.admin("/metrics").body.decode().splitlines():
            match = re.match(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$", line)
            if match:
                labels = sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match.group(2) or ""))
                inside = ",".join(f'{k}="{v}"' for k, v in labels)
                values[match.group(1) + (f"{{{inside}}}" if inside else "")] = float(match.group(3))
        return values

    # --- what it holds

    def gauges(self):
        """Everything that must be zero when nobody is connected."""
        status = self.status()
        gauges = {"connections": status["connections"]}
        for group in status["groups"]:
            if "queue" in group:
                gauges[f"queue {group['name']}"] = group["queue"]["length"]
            for target in group["targets"]:
                gauges[f"in_flight {group['name']} {target['address']}"] = target["in_flight"]
        for name, value in status.get("pools", {}).items():
            gauges[f"pool {name}"] = value
        return gauges

    def settle(self, seconds=8):
        """Waits until all gauges are zero."""
        eventually(lambda: not any(self.gauges().values()) or None, f"gauges at zero {self.gauges()}", seconds)

    def cpu_seconds(self):
        """CPU time of all threads so far."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def cpu_share(self, seconds):
        """CPU used over the next seconds, as a share of one core."""
        before, begin = self.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        return (self.cpu_seconds() - before) / (time.monotonic() - begin)

    def comes_to_rest(self, share=0.1, seconds=1, tries=8):
        """Measures until it used less than that: what was on its way when the first one began is no waste."""
        shares = []
        while not shares or shares[-1] >= share:
            assert len(shares) < tries, f"never at rest: {shares} of a core"
            shares.append(self.cpu_share(seconds))

    def rss_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.M).group(1)) * 1024

    def private_bytes(self):
        """What it alone holds of memory, to the page."""
        rollup = pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return int(re.search(r"^Private_Dirty:\s+(\d+) kB", rollup, re.M).group(1)) * 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    # --- what it wrote

    def stderr(self):
        return (self.dir / "stderr").read_text(errors="replace")

    def says(self, *patterns):
        """Waits until its log has a match of each."""
        for pattern in patterns:
            eventually(lambda: re.search(pattern, self.stderr()), f"{pattern!r} in the log")

    def access_log(self, name="access.log"):
        """All whole lines so far, parsed."""
        path = self.dir / name
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def log_line(self, **expected):
        """Waits for the one line of the access log that has these fields and returns it."""
        def matching():
            return [line for line in self.access_log() if all(line.get(k) == v for k, v in expected.items())]
        lines = eventually(matching, f"an access log line with {expected} among {self.access_log()}")
        assert len(lines) == 1, f"{len(lines)} lines with {expected}"
        return lines[0]

    def assert_clean(self):
        """Ends it, if the test did not, and asserts that nothing was left and nothing went wrong."""
        self.close_clients()
        if not self.ended_by_test and self.process.poll() is None:
            self.settle()
            code = self.stop()
            assert code == 0, f"exit code {code} after SIGTERM:\n{self.stderr()}"
        report = sanitize.report_in(self.stderr())
        assert report is None, f"{report}\n{self.stderr()}"
        assert self.ended_by_test, f"tenbin ended by itself with exit code {self.process.poll()}:\n{self.stderr()}"


def shown(path):
    """A file for the report of a failure."""
    return path.read_text(errors="replace") if path.exists() else f"(no {path.name})\n"


def dedent(text):
    """YAML indented as the test's source is."""
    lines = text.strip("\n").split("\n")
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[indent:] for line in lines) + "\n"


def without_checks(text):
    """Puts `health_check: off` into the target groups, written as {name: ...}, of a file without the word."""
    head, found, groups = text.partition("\ntarget_groups:")
    if "health_check" in text:
        return text
    return head + found + groups.replace("{name:", "{health_check: off, name:")


def run(*arguments, **keywords):
    """A tenbin command that is expected to end by itself."""
    return subprocess.run([*COMMAND, *map(str, arguments)], env=sanitize.environment(), text=True,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=30, **keywords)
