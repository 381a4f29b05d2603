"""Fixtures of the system tests, a time limit on each test, and the record that tests/run.py counts from."""

import faulthandler
import json
import os
import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import lb as lb_module
import origin as origin_module

LIMIT_SECONDS = 60
SHOWN_LOG_BYTES = 4000


# --- marks, limits and counting

def pytest_configure(config):
    config.addinivalue_line("markers", "tsan: also run with the tsan build")
    config.addinivalue_line("markers", "release: run with the release build only")
    config.addinivalue_line("markers", "limit(seconds): time limit of this test instead of the usual one")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item, nextitem):
    """SIGALRM fails a test at its limit; if even that hangs, the process ends with all stacks printed."""
    mark = item.get_closest_marker("limit")
    seconds = mark.args[0] if mark else LIMIT_SECONDS

    def expired(signum, frame):
        raise AssertionError(f"no end after {seconds} s")

    signal.signal(signal.SIGALRM, expired)
    signal.alarm(seconds)
    faulthandler.dump_traceback_later(seconds + 30, exit=True)
    yield
    signal.alarm(0)
    faulthandler.cancel_dump_traceback_later()


def record(entry):
    if path := os.environ.get("TENBIN_CASES"):
        with open(path, "a") as file:
            file.write(json.dumps(entry) + "\n")


def pytest_collection_finish(session):
    record({"collected": len(session.items)})


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        item.went_wrong = True
    if report.when == "call" or report.outcome != "passed":
        record({"case": item.nodeid, "outcome": report.outcome})


# --- fixtures

@pytest.fixture
def origins():
    """origins(script, ...) gives a scripted target that is closed, and asserted on, at the end."""
    made = []

    def make(*scripts, **keywords):
        made.append(origin_module.Origin(*scripts, **keywords))
        return made[-1]

    make.refusing = lambda: made.append(origin_module.Refuser()) or made[-1]
    make.silent = lambda: made.append(origin_module.BlackHole()) or made[-1]
    yield make
    for each in made:
        each.close()
    errors = [error for each in made for error in each.errors]
    assert not errors, "a script of an origin failed:\n" + "\n".join(errors)


@pytest.fixture
def origin(origins):
    """One target that answers 200."""
    return origins()


@pytest.fixture
def tenbin(request, origins, tmp_path):
    """tenbin(yaml, name=address, ...) starts one; at the end it must stop cleanly with nothing left."""
    started = []

    def start(text, where=tmp_path, **names):
        started.append(lb_module.Tenbin(where / f"tenbin{len(started)}", text, **names))
        return started[-1]

    yield start
    try:
        if not getattr(request.node, "went_wrong", False):
            for each in started:
                each.assert_clean()
    finally:
        for each in started:
            each.close_clients()
            each.kill()
            print(f"--- {each.path}\n{lb_module.shown(each.path)}--- its log\n{each.stderr()[-SHOWN_LOG_BYTES:]}")


WEB = """
listeners:
  - {name: web, listen: "127.0.0.1:$web", protocol: http, default_action: {forward: app}}
target_groups:
  - {name: app, protocol: http, targets: ["$app"]}
"""


def and_listener(text, name, listen=None):
    """The same with one more HTTP listener in front of the same group."""
    line = f'{{name: {name}, listen: "{listen or f"127.0.0.1:${name}"}", protocol: http, default_action: {{forward: app}}}}'
    return text.replace("listeners:\n", f"listeners:\n  - {line}\n", 1)


def with_attributes(attributes, text=WEB):
    """The same with attributes of the (first) listener."""
    return text.replace("{forward: app}}", "{forward: app}, attributes: {%s}}" % attributes, 1)


def answering(status, body, content_type="text/plain"):
    """One listener that answers everything by itself."""
    return f"""
listeners:
  - name: web
    listen: "127.0.0.1:$web"
    protocol: http
    default_action: {{fixed_response: {{status_code: {status}, content_type: {content_type}, message_body: "{body}"}}}}
"""


def redirecting(redirect):
    """One listener that redirects everything."""
    return f"""
listeners:
  - {{name: web, listen: "127.0.0.1:$web", protocol: http, default_action: {{redirect: {redirect}}}}}
"""


@pytest.fixture
def web(tenbin, origin):
    """The shortest HTTP set-up: one listener in front of `origin`."""
    return tenbin(WEB, app=origin.address)
