#!/usr/bin/python3
"""tenbin in front of three instances of a small app in three zones.

    demo.py            starts it all, says what to try, runs until ^C
    demo.py --check    starts it on free ports, tries every feature once, ends
"""

import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = pathlib.Path(os.environ.get("TENBIN_BIN", ROOT / "build/release/tenbin"))
QUICKSTART = ROOT / "conf/quickstart.yaml"
APPS = {9001: ("app-1", "a"), 9002: ("app-2", "b"), 9003: ("app-3", "c")}
START_SECONDS = 15


class Failure(Exception):
    """Something that ends the demo, said in one line."""


class Demo:
    """What was started, and where it listens. Leaving it ends what it started, and nothing else."""

    def __init__(self, free_ports):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="tenbin-demo-"))
        self.processes = []
        self.config, self.ports = self.choose_ports(free_ports)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def choose_ports(self, free_ports):
        """The file itself when its ports are free, else a copy with other ports: (path, {old: new})."""
        text = QUICKSTART.read_text()
        wanted = sorted({int(port) for port in re.findall(r"(?:127\.0\.0\.1|0\.0\.0\.0|\[::1?\]):(\d+)", text)})
        taken = [port for port in wanted if free_ports or not is_free(port)]
        if not taken:
            return QUICKSTART, {port: port for port in wanted}
        if not free_ports:
            print(f"port {', '.join(map(str, taken))} is taken: using others")
        ports = {port: free_port() if port in taken else port for port in wanted}
        text = re.sub(r"((?:127\.0\.0\.1|0\.0\.0\.0|\[::1?\]):)(\d+)", lambda m: m.group(1) + str(ports[int(m.group(2))]), text)
        path = self.directory / "quickstart.yaml"
        path.write_text(text)
        return path, ports

    def start(self):
        for port, (instance, zone) in APPS.items():
            self.spawn(sys.executable, ROOT / "tests/demo/app.py", self.ports[port], instance, zone)
        for port in APPS:
            self.wait(lambda port=port: not is_free(self.ports[port]), "the demo app")
        self.tenbin = self.spawn(BINARY, "run", "-c", self.config)
        self.wait(self.ready, "tenbin")

    def spawn(self, *argv):
        # A session of its own: ^C is ours to hand on, once.
        process = subprocess.Popen([str(a) for a in argv], start_new_session=True, stdin=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def wait(self, condition, what):
        until = time.monotonic() + START_SECONDS
        while not condition():
            ended = next((p for p in self.processes if p.poll() is not None), None)
            if ended:
                raise Failure(f"{' '.join(ended.args)} ended with code {ended.returncode}")
            if time.monotonic() > until:
                raise Failure(f"{what} is not ready after {START_SECONDS} s")
            time.sleep(0.05)

    def ready(self):
        try:
            return self.ask("/healthz", self.admin)[0] == 200
        except OSError:
            return False

    @property
    def web(self):
        return f"127.0.0.1:{self.ports[8080]}"

    @property
    def tcp(self):
        return f"127.0.0.1:{self.ports[8081]}"

    @property
    def admin(self):
        return f"127.0.0.1:{self.ports[9900]}"

    def ask(self, path, where=None, data=None):
        """(status, headers, body) of one request; redirects are not followed."""
        try:
            url = f"http://{where or self.web}{path}"
            with urllib.request.build_opener(Unfollowed).open(url, data, timeout=10) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def status(self):
        return json.loads(self.ask("/status", self.admin)[2])


class Unfollowed(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def is_free(port):
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) != 0


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def explain(demo):
    path = os.path.relpath(demo.config)
    print(f"""
tenbin is running in front of three instances of a small app, in zones a, b and c.

  curl http://{demo.web}/                each call: the next instance
  curl http://{demo.web}/json            what the app got, with the headers that tenbin adds
  curl http://{demo.web}/hello           a rule that answers by itself
  curl -i http://{demo.web}/docs         a rule that redirects
  curl http://{demo.web}/mostly-a/       a rule that shares out by weight
  curl http://{demo.tcp}/                the same instances through plain TCP
  curl http://{demo.admin}/status          targets, connections, reloads
  curl http://{demo.admin}/metrics         the same for Prometheus
  wrk -t1 -c32 -d5s http://{demo.web}/   a little load

Edit {path} while it runs, then: kill -HUP {demo.tenbin.pid}
A broken file changes nothing and says where it is broken. ^C ends all of it.
Below is the access log.
""", flush=True)


# --- --check: every feature once

def check(demo):
    for name, step in [(step.__name__.removeprefix("check_").replace("_", " "), step) for step in STEPS]:
        step(demo)
        print(f"ok   {name}", flush=True)


def expect(condition, what):
    if not condition:
        raise Failure(what)


def instances(demo, path, count, where=None):
    return collections.Counter(demo.ask(path, where)[1]["X-Instance"] for _ in range(count))


def check_all_instances_take_turns(demo):
    seen = instances(demo, "/", 30)
    expect(seen.keys() == {"app-1", "app-2", "app-3"}, f"instances that answered: {seen}")


def check_the_app_is_told_about_the_client(demo):
    headers = {name.lower(): value for name, value in json.loads(demo.ask("/json")[2])["headers"].items()}
    expect(headers["x-forwarded-for"] == "127.0.0.1" and headers["x-forwarded-proto"] == "http", f"headers at the app: {headers}")
    expect(headers["x-amzn-trace-id"].startswith("Root=1-"), "no trace id at the app")


def check_bodies_pass(demo):
    data = os.urandom(1 << 20)
    expect(demo.ask("/echo", data=data)[2] == data, "the body came back changed")


def check_a_rule_answers_by_itself(demo):
    expect(demo.ask("/hello")[::2] == (200, b"hello from tenbin\n"), "no answer at /hello")


def check_a_rule_redirects(demo):
    status, headers, _ = demo.ask("/docs")
    expect(status == 302 and headers["Location"] == f"http://{demo.web}/manual", f"redirect: {status} {headers}")


def check_a_rule_shares_out_by_weight(demo):
    seen = instances(demo, "/mostly-a/", 100)
    expect(55 <= seen["app-1"] <= 95, f"instances that answered: {seen}")


def check_plain_tcp_passes(demo):
    seen = instances(demo, "/", 12, demo.tcp)
    expect(seen.keys() == {"app-1", "app-2", "app-3"}, f"instances that answered: {seen}")


def check_a_websocket_passes(demo):
    with socket.create_connection(demo.web.split(":"), timeout=10) as sock:
        sock.sendall(b"GET /ws HTTP/1.1\r\nHost: demo\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                     b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        stream = sock.makefile("rb")
        expect(b" 101 " in stream.readline(), "no upgrade")
        while stream.readline().strip():
            pass
        sock.sendall(b"\x81\x85\0\0\0\0hello")
        head = stream.read(2)
        expect(stream.read(head[1]).endswith(b": hello"), "no echo")


def check_admin_tells(demo):
    status = demo.status()
    expect(sum(t["requests"] for g in status["groups"] for t in g["targets"]) >= 30, f"status: {status}")
    expect(b"tenbin_requests_total" in demo.ask("/metrics", demo.admin)[2], "no metrics")


def check_a_lost_instance_is_passed_over(demo):
    demo.processes[0].terminate()
    demo.processes[0].wait()
    expect([demo.ask("/")[0] for _ in range(20)] == [200] * 20, "requests failed after an instance was lost")


def check_reload(demo):
    before = demo.status()["generation"]
    demo.tenbin.send_signal(signal.SIGHUP)
    demo.wait(lambda: demo.status()["generation"] > before, "the reload")


def check_graceful_stop(demo):
    demo.tenbin.send_signal(signal.SIGTERM)
    expect(demo.tenbin.wait(15) == 0, f"tenbin ended with code {demo.tenbin.returncode}")


STEPS = [check_all_instances_take_turns, check_the_app_is_told_about_the_client, check_bodies_pass,
         check_a_rule_answers_by_itself, check_a_rule_redirects, check_a_rule_shares_out_by_weight,
         check_plain_tcp_passes, check_a_websocket_passes, check_admin_tells, check_reload,
         check_a_lost_instance_is_passed_over, check_graceful_stop]


def end(*_):
    """A second signal must not cut off what the first one began: ending all that was started."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="try every feature once on free ports, and end")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, end)
    try:
        with Demo(free_ports=arguments.check) as demo:
            demo.start()
            if arguments.check:
                check(demo)
            else:
                explain(demo)
                code = demo.tenbin.wait()
                raise Failure(f"tenbin ended with code {code}")
    except Failure as failure:
        print(f"demo: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
