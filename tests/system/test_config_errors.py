"""A wrong configuration file: exit code 1, every error with file, line and column, and what would have been right."""

import re
import socket

import pytest

import certs
import lb as lb_module
from authority import Authority
from conftest import WEB, and_listener

GOOD = """\
listeners:
  - name: web
    listen: "127.0.0.1:8080"
    protocol: http
    default_action: {forward: app}
target_groups:
  - name: app
    protocol: http
    targets: ["127.0.0.1:3000"]
"""


def check(tmp_path, text, *arguments):
    path = tmp_path / "tenbin.yaml"
    path.write_text(text)
    return lb_module.run("check", "-c", path, *arguments)


def test_a_good_file_is_exit_code_0(tmp_path):
    done = check(tmp_path, GOOD)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["minimal.yaml", "quickstart.yaml", "reference.yaml"])
def test_the_files_we_ship_are_good(tmp_path, name):
    path = tmp_path / name
    path.write_text((lb_module.ROOT / "conf" / name).read_text())
    certs.make(tmp_path, "ca")
    authority = Authority(tmp_path, "clients")
    authority.revocations("crl")
    for certificate in ("site", "other"):
        authority.issue(certificate, usage="serverAuth")
        authority.answer(certificate)
    for keys in ("tickets", "cookies"):
        (tmp_path / f"{keys}.key").write_text("ab" * 32 + "\n")
    (tmp_path / "viewer.token").write_text("a token of a viewer".replace(" ", "-"))
    (tmp_path / "viewer.token").chmod(0o600)
    done = lb_module.run("check", "-c", path)
    assert done.returncode == 0, done.stderr


# what is replaced by what, where the error must be, and words it must say
WRONG = {
    "unknown_top_key": ("listeners:", "lisseners:", "1:1", ["lisseners", "listeners"]),
    "unknown_key": ("protocol: http\n    default", "protocl: http\n    default", "4:5", ["protocl", "protocol"]),
    "unknown_value": ("protocol: http\n    default", "protocol: htpt\n    default", "4:15", ["htpt", "http"]),
    "unknown_group": ("forward: app", "forward: apq", "5:31", ["apq", "app"]),
    "duplicate_key": ("    protocol: http\n    default", "    protocol: http\n    protocol: http\n    default", "5:5", ["protocol"]),
    "bad_address": ("127.0.0.1:8080", "127.0.0.1", "3:13", ["127.0.0.1"]),
    "bad_port": ("127.0.0.1:8080", "127.0.0.1:80800", "3:13", ["80800"]),
    "scalar_for_list": ('targets: ["127.0.0.1:3000"]', "targets: {a: b}", "9:14", []),
    "list_for_scalar": ("name: web", "name: [web]", "2:11", []),
    "missing_name": ("  - name: app\n    protocol: http\n", "  - protocol: http\n", "7:5", ["name"]),
    "missing_default_action": ("    default_action: {forward: app}\n", "", "2:5", ["default_action"]),
    "tab": ("    protocol: http\n    default", "\tprotocol: http\n    default", "4:1", []),
    "group_of_another_protocol": ("protocol: http\n    targets", "protocol: tcp\n    targets", "5:31", ["tcp", "http"]),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_an_error_names_its_place_and_what_was_meant(tmp_path, name):
    old, new, place, words = WRONG[name]
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    done = check(tmp_path, text)
    assert done.returncode == 1
    _, found, told = done.stderr.partition(f"tenbin.yaml:{place}: ")
    assert found, done.stderr
    for word in words:
        assert word in told.splitlines()[0], done.stderr
    line_number, column = map(int, place.split(":"))
    shown = text.splitlines()[line_number - 1]
    assert shown.strip() in told, "the line is not shown"
    assert caret_column(told, shown) == column, done.stderr


def caret_column(output, shown):
    """Under which column of the shown line the caret stands."""
    lines = output.splitlines()
    for above, below in zip(lines, lines[1:]):
        if shown.strip() in above and "^" in below:
            return below.index("^") - above.index(shown.strip()) + (len(shown) - len(shown.lstrip())) + 1
    return None


SECTION_ERRORS = [
    ("timeouts: {connect: 10}\n", "unit"),
    ("timeouts: {connect: soon}\n", "10s"),
    ("timeouts: {connect: 0s}\n", ""),
    ("limits: {header: 10 apples}\n", ""),
    ("limits: {max_connections: -1}\n", ""),
    ("limits: {max_connections: many}\n", ""),
    ("workers: 0\n", ""),
    ("workers: lots\n", "auto"),
    ("log: {level: loud}\n", "info"),
    ("access_log: {format: xml}\n", "json"),
    ("admin: {listen: \"0.0.0.0:9900\"}\n", "loopback"),
    ("nonsense\n", ""),
]


@pytest.mark.parametrize("section, word", SECTION_ERRORS)
def test_bad_values_of_top_level_sections(tmp_path, section, word):
    done = check(tmp_path, GOOD + section)
    assert done.returncode == 1
    assert re.search(r"tenbin\.yaml:\d+:\d+: ", done.stderr) and word in done.stderr, done.stderr


DECISION_24 = [
    "{redirect: {status_code: 301}}",
    "{redirect: {protocol: https, status_code: 304}}",
    '{redirect: {host: "#{host}", status_code: 301}}',
    "{fixed_response: {status_code: 301}}",
    "{fixed_response: {status_code: 99}}",
    "{forward: {target_groups: [{name: app, weight: 0}]}}",
    "{forward: {target_groups: [{name: app, weight: 1000}]}}",
    "{forward: {target_groups: []}}",
    "{forward: app, redirect: {protocol: https, status_code: 301}}",
    "{}",
]


@pytest.mark.parametrize("action", DECISION_24)
def test_actions_that_make_no_sense_are_errors(tmp_path, action):
    done = check(tmp_path, GOOD.replace("{forward: app}", action))
    assert done.returncode == 1 and "tenbin.yaml:5:" in done.stderr, done.stderr


@pytest.mark.parametrize("rules", [
    '[{priority: 1, conditions: [{path_pattern: ["/a"]}], action: {forward: app}},'
    ' {priority: 1, conditions: [{path_pattern: ["/b"]}], action: {forward: app}}]',
    "[{priority: 1, conditions: [], action: {forward: app}}]",
    '[{priority: 0, conditions: [{path_pattern: ["/a"]}], action: {forward: app}}]',
    '[{priority: 1, conditions: [{path_pattern: ["/a"]}, {path_pattern: ["/b"]}], action: {forward: app}}]',
    '[{priority: 1, conditions: [{path_pattern: []}], action: {forward: app}}]',
    '[{conditions: [{path_pattern: ["/a"]}], action: {forward: app}}]',
    '[{priority: 1, conditions: [{path_pattern: ["/a"]}]}]',
])
def test_rules_that_make_no_sense_are_errors(tmp_path, rules):
    done = check(tmp_path, GOOD.replace("    default_action", f"    rules: {rules}\n    default_action"))
    assert done.returncode == 1 and "tenbin.yaml:5:" in done.stderr, done.stderr


@pytest.mark.parametrize("text", [
    GOOD + "---\nlisteners: []\n",
    "listeners: []\n",
    GOOD.replace("target_groups:\n", 'target_groups:\n  - {name: app, protocol: http, targets: []}\n'),
    and_listener(GOOD, "web", "127.0.0.1:8081"),
    and_listener(GOOD, "second", "0.0.0.0:8080"),
    GOOD.replace("protocol: http\n    default_action: {forward: app}",
                 "protocol: tcp\n    default_action: {fixed_response: {status_code: 200}}"),
    GOOD.replace('["127.0.0.1:3000"]', '["127.0.0.1:3000", "127.0.0.1:3000"]'),
    GOOD.replace('["127.0.0.1:3000"]', "&a [*a]"),
    "- just\n- a list\n",
    "",
])
def test_files_that_contradict_themselves_are_errors(tmp_path, text):
    done = check(tmp_path, text)
    assert done.returncode == 1 and "tenbin.yaml" in done.stderr, (text, done.stderr)


LATER = [
    ("    protocol: http\n    default", "    protocol: udp\n    default"),
    ("    protocol: http\n    default", "    protocol: http\n    proxy_protocol: accept\n    default"),
]


@pytest.mark.parametrize("old, new", LATER)
def test_a_feature_that_does_not_exist_yet_is_an_error_that_says_so(tmp_path, old, new):
    done = check(tmp_path, GOOD.replace(old, new, 1))
    assert done.returncode == 1, "the key was ignored"
    assert re.search(r"not (yet )?(supported|built|available|there)|does not exist|this version|no .* in this", done.stderr), done.stderr


def test_all_errors_are_told_at_once_in_the_order_of_the_file(tmp_path):
    text = GOOD.replace("protocol: http\n    default", "protocol: ftp\n    default").replace("forward: app", "forward: nobody").replace(
        "127.0.0.1:3000", "nonsense").replace("name: app", "name: app\n    colour: red")
    done = check(tmp_path, text)
    lines = [int(m) for m in re.findall(r"tenbin\.yaml:(\d+):\d+:", done.stderr)]
    assert done.returncode == 1 and lines == sorted(lines) and {4, 8, 10} <= set(lines), done.stderr


def test_errors_as_json(tmp_path):
    import json
    done = check(tmp_path, GOOD.replace("protocol: http\n    default", "protocol: ftp\n    default"), "--format", "json")
    assert done.returncode == 1
    text = json.dumps(json.loads(done.stdout or done.stderr))
    assert "ftp" in text and "4" in text


def test_warnings_do_not_fail_a_file(tmp_path):
    done = check(tmp_path, GOOD + '  - {name: spare, protocol: http, targets: ["127.0.0.1:3001"]}\n')
    assert done.returncode == 0 and "spare" in done.stderr + done.stdout


def test_environment_variables_are_substituted(tmp_path):
    import os
    os.environ["TENBIN_TEST_PORT"] = "8080"
    try:
        assert check(tmp_path, GOOD.replace("127.0.0.1:8080", "127.0.0.1:${TENBIN_TEST_PORT}")).returncode == 0
        assert check(tmp_path, GOOD.replace("8080", "${TENBIN_TEST_MISSING:-8080}")).returncode == 0
        missing = check(tmp_path, GOOD.replace("127.0.0.1:8080", "127.0.0.1:${TENBIN_TEST_MISSING}"))
        assert missing.returncode == 1 and "TENBIN_TEST_MISSING" in missing.stderr and "tenbin.yaml:3:" in missing.stderr
    finally:
        del os.environ["TENBIN_TEST_PORT"]


def test_an_error_in_an_included_file_names_that_file(tmp_path):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/more.yaml").write_text("listeners:\n  - {name: x, protocol: ftp}\n")
    done = check(tmp_path, "include: conf.d/*.yaml\n" + GOOD)
    assert done.returncode == 1 and re.search(r"conf\.d/more\.yaml:2:\d+:", done.stderr), done.stderr


# --- run

@pytest.mark.parametrize("command", ["run", "check"])
def test_a_missing_file_is_exit_code_1(tmp_path, command):
    done = lb_module.run(command, "-c", tmp_path / "nowhere.yaml")
    assert done.returncode == 1 and "nowhere.yaml" in done.stderr and "No such file" in done.stderr


def test_an_unreadable_file_is_exit_code_1(tmp_path):
    done = lb_module.run("run", "-c", tmp_path)
    assert done.returncode == 1 and str(tmp_path) in done.stderr


def test_run_with_a_bad_file_never_starts(tmp_path):
    (tmp_path / "bad.yaml").write_text(GOOD.replace("forward: app", "forward: apq"))
    done = lb_module.run("run", "-c", tmp_path / "bad.yaml")
    assert done.returncode == 1 and "bad.yaml:5:31:" in done.stderr, done.stderr


@pytest.mark.parametrize("arguments", [["frobnicate"], ["run", "--frobnicate"], ["check", "-c"], ["run", "-c"], ["--what"]])
def test_wrong_usage_is_exit_code_2(arguments):
    done = lb_module.run(*arguments)
    assert done.returncode == 2 and done.stderr


def test_version_is_told():
    done = lb_module.run("version")
    assert done.returncode == 0 and re.search(r"\d+\.\d+", done.stdout)


def test_a_port_in_use_is_told_with_listener_address_and_error(tenbin, origin):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        web = tenbin(WEB.replace("127.0.0.1:$web", address), app=origin.address, ready=False)
        assert web.process.wait(15) == 1
        web.ended_by_test = True
        line = next(line for line in web.stderr().splitlines() if address in line)
        assert "web" in line and "in use" in line.lower()


def test_a_second_tenbin_on_the_same_port_does_not_start(tenbin, origin):
    first = tenbin(WEB, app=origin.address)
    second = tenbin(WEB.replace("$web", str(first.port())), app=origin.address, ready=False)
    assert second.process.wait(15) == 1
    second.ended_by_test = True
    assert f"127.0.0.1:{first.port()}" in second.stderr() and "in use" in second.stderr().lower()
    assert first.connect().get("/").status == 200
