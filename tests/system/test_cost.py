"""What a request may cost: system calls, and instructions in user space, on the release build.

Both figures depend on no clock and no neighbour, so they gate; CPU time against other proxies is
bench/'s business. A change that makes a request cheaper lowers the limit here in the same commit.
"""

import re
import subprocess
import sys

import pytest

import lb as lb_module

sys.path.insert(0, str(lb_module.ROOT / "bench"))
import instructions
import processes
import syscalls

pytestmark = [pytest.mark.release, pytest.mark.limit(240)]

REQUESTS = 10000
ALLOWED = 1.02  # what is stray: the log writer, timers
DATA = "read readv recvfrom recvmsg recvmmsg write writev sendto sendmsg sendmmsg".split()

# Instructions a keep-alive request over 8 connections, 128-byte body, one worker, access log on.
INSTRUCTIONS = 15800

# The same of a request of HTTP/2, without TLS, over 4 connections of 32 streams each.
INSTRUCTIONS_H2 = 22860

KEEP_ALIVE = """
    workers: %d
    listeners:
      - name: web
        listen: "127.0.0.1:$web"
        protocol: http
        attributes: {h2c: true}
        rules:
%s
        default_action: {forward: app}
    target_groups:
      - {name: app, protocol: http, targets: ["$app"]}
    access_log: {path: $dir/access.log, format: json}
    """
ONE_RULE = '          - {priority: 1, conditions: [{path_pattern: ["/never/*"]}], action: {forward: app}}'


@pytest.fixture
def target():
    """The minimal origin of bench/. Gives its address."""
    with processes.Stage() as stage:
        _, port = stage.start_tool("origin", "--mode", "http")
        yield f"127.0.0.1:{port}"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_request_costs_four_data_calls_and_no_epoll_ctl_and_no_futex(tenbin, target, workers):
    web = tenbin(KEEP_ALIVE % (workers, ONE_RULE), app=target)
    counts = syscalls.count([web.process.pid], f"http://127.0.0.1:{web.port()}/128", requests=REQUESTS)
    per_request = {name: calls / REQUESTS for name, calls in counts.items()}
    shown = ", ".join(f"{name} {calls:.4f}" for name, calls in sorted(per_request.items(), key=lambda item: -item[1]))
    assert sum(per_request.get(name, 0) for name in DATA) <= 4 * ALLOWED, shown
    assert per_request.get("epoll_ctl", 0) <= ALLOWED - 1, shown
    assert per_request.get("futex", 0) <= ALLOWED - 1, shown
    others = {name: calls for name, calls in per_request.items() if name not in DATA and not name.startswith("epoll_")}
    assert sum(others.values()) <= ALLOWED - 1, shown


def prepare(tmp_path, target, workers, rules):
    """What starts a tenbin, and a URL of it: for callgrind, which starts it itself."""
    port = lb_module.PORTS.take()
    text = lb_module.dedent(KEEP_ALIVE % (workers, rules))
    for name, value in {"$web": port, "$app": target, "$dir": tmp_path}.items():
        text = text.replace(name, str(value))
    path = tmp_path / "tenbin.yaml"
    path.write_text(text)
    return [str(lb_module.BINARY), "run", "-c", str(path)], f"http://127.0.0.1:{port}/128"


def measure(tmp_path, target, workers, rules, paths=None):
    """Instructions a request."""
    return instructions.per_request(*prepare(tmp_path, target, workers, rules), requests=REQUESTS, paths=paths)


def gate(cost, limit):
    assert cost <= limit * ALLOWED, f"{cost:.0f} instructions a request, {limit} before"
    assert cost >= limit * 0.9, f"{cost:.0f} instructions a request: lower the limit of {limit}"


def test_instructions_of_a_keep_alive_request(tmp_path, target):
    gate(measure(tmp_path, target, 1, ONE_RULE), INSTRUCTIONS)


def test_instructions_of_a_request_of_http2(tmp_path, target):
    gate(instructions.per_request_h2(*prepare(tmp_path, target, 1, ONE_RULE), REQUESTS // 2), INSTRUCTIONS_H2)


FORWARD = "{forward: app}"
FIXED = '{fixed_response: {status_code: 200, content_type: text/plain, message_body: "%s"}}' % ("x" * 128)
KINDS = [  # the condition of rule i, its action (the origin knows no other path than a size), a request that meets it
    ('{{host_header: ["h{i}.example"]}}', FORWARD, "http://h{i}.example/128"),
    ('{{host_header: ["*.w{i}.example"]}}', FORWARD, "http://a.w{i}.example/128"),
    ('{{path_pattern: ["/e{i}/128"]}}', FIXED, "http://n.example/e{i}/128"),
    ('{{path_pattern: ["/p{i}/*"]}}', FIXED, "http://n.example/p{i}/128"),
    ('{{path_pattern: ["/g{i}/*/x?8"]}}', FIXED, "http://n.example/g{i}/a/x28"),
]


def rules_and_requests(tmp_path, count):
    """`count` rules of all kinds, and requests that meet each of them once, and none every sixth time."""
    numbers = range(0, 10000, 10000 // count)
    rules, requests = [], []
    for priority, number in enumerate(numbers, 1):
        condition, action, asked = KINDS[priority % len(KINDS)]
        index = f"{number:05d}"
        rules.append(f"          - {{priority: {priority}, conditions: [{condition.format(i=index)}], action: {action}}}")
        requests.append(asked.format(i=index))
        if priority % 5 == 0:
            requests.append(f"http://n{index}.example/128")
    path = tmp_path / f"paths{count}"
    path.write_text("\n".join(requests) + "\n")
    return "\n".join(rules), path


def test_ten_thousand_rules_cost_what_ten_do(tmp_path, target):
    few = measure(tmp_path, target, 1, *rules_and_requests(tmp_path, 10))
    many = measure(tmp_path, target, 1, *rules_and_requests(tmp_path, 10000))
    assert many <= few * 1.05, f"{many:.0f} instructions a request with 10,000 rules, {few:.0f} with 10"


ALGORITHMS = "round_robin least_outstanding_requests weighted_random peak_ewma source_hash consistent_hash".split()
PICKS = 20000


def pick_cost(tmp_path, algorithm, targets):
    """Instructions a pick."""
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=picks",
         f"--callgrind-out-file={tmp_path}/callgrind.out", str(lb_module.ROOT / "build/release/cost/pick"),
         algorithm, str(targets), str(PICKS)], capture_output=True, text=True, timeout=120)
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert done.returncode == 0 and found, done.stderr
    return int(found[1]) / PICKS


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_pick_among_ten_thousand_targets_costs_what_one_among_ten_does(tmp_path, algorithm):
    few, many = pick_cost(tmp_path, algorithm, 10), pick_cost(tmp_path, algorithm, 10000)
    assert 10 < many <= few * 1.05, f"{many:.0f} instructions a pick of 10,000, {few:.0f} of 10"
