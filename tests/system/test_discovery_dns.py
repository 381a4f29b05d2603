"""Targets from the DNS: they come, leave and carry what the records say, and no name server can empty a group."""

import pytest

import dns
import wire
from lb import eventually
from test_discovery_file import become, get, group_of, put, targets
from test_reload import Wrk

pytestmark = pytest.mark.tsan

LISTENER = """
listeners:
  - {name: web, listen: "127.0.0.1:$web", protocol: http, default_action: {forward: app}}
"""
DNS = LISTENER + """
target_groups:
  - {name: app, discovery: {dns: {port: $to, name: app.test, resolver: "$ns"%s}}}
"""
SERVICE = LISTENER + """
target_groups:
  - {name: app, discovery: {dns_srv: {resolver: "$ns", name: _http._tcp.app.test%s}}%s}
"""
NAME = "_http._tcp.app.test"


@pytest.fixture
def ns():
    server = dns.NameServer()
    yield server
    server.close()


@pytest.fixture
def by_name(tenbin, ns):
    """by_name() starts one that follows app.test; all its targets have one port."""
    return lambda more="", port=3000, **names: tenbin(DNS % more, ns=ns.address, to=port, **names)


@pytest.fixture
def by_service(tenbin, ns):
    return lambda more="", attributes="": tenbin(SERVICE % (more, attributes), ns=ns.address)


def at(*hosts, port=3000, zone=None, weight=1):
    return {(f"[{host}]" if ":" in host else host) + f":{port}": (zone, weight) for host in hosts}


def state(lb):
    return group_of(lb)["discovery"]


def failures(lb, name="app.test", source="dns"):
    return lb.metrics()[f'tenbin_discovery_failures_total{{group="app",name="{name}",source="{source}"}}']


# --- addresses

def test_the_first_answer_is_there_before_anything_serves(by_name, ns, origin):
    ns.a("app.test", "127.0.0.1", ttl=30)
    lb = by_name(", zone: b", port=origin.port)
    assert targets(lb) == at("127.0.0.1", port=origin.port, zone="b")
    assert lb.status()["generation"] == 1 and get(lb) == 200
    about = state(lb)
    assert about["source"] == "dns" and about["name"] == "app.test" and about["targets"] == 1
    assert about["last_success"] and about["last_error"] is None and about["failures"] == 0
    assert 20 <= about["next_seconds"] <= 32


def test_addresses_of_both_families_come_and_leave(by_name, ns):
    ns.a("app.test", "10.0.0.1")
    lb = by_name()
    ns.a("app.test", "10.0.0.1", "10.0.0.2")
    ns.aaaa("app.test", "fd00::1")
    become(lb, at("10.0.0.1", "10.0.0.2", "fd00::1"))
    ns.a("app.test", "10.0.0.2")
    become(lb, at("10.0.0.2", "fd00::1"))
    status = lb.status()
    assert status["reloads"]["ok"] == 0 and status["refreshes"]["ok"] >= 2


def test_the_time_to_live_says_when_to_ask_again(by_name, ns):
    ns.a("app.test", "10.0.0.1", ttl=2)
    lb = by_name()
    begin = ns.asked("app.test", dns.A)
    eventually(lambda: ns.asked("app.test", dns.A) == begin + 2, "two more questions", 10)
    ns.a("app.test", "10.0.0.1", ttl=600)
    eventually(lambda: state(lb)["next_seconds"] > 10, "a longer time to live")
    assert 250 < state(lb)["next_seconds"] <= 315


def test_a_time_to_live_of_nothing_is_a_second(by_name, ns):
    ns.a("app.test", "10.0.0.1", ttl=0)
    lb = by_name()
    before = ns.asked("app.test", dns.A)
    with pytest.raises(AssertionError):
        eventually(lambda: ns.asked("app.test", dns.A) > before + 4, "too many questions", 2.5)
    assert ns.asked("app.test", dns.A) > before and targets(lb) == at("10.0.0.1")


def test_an_address_that_one_answer_leaves_out_stays(by_name, ns):
    """Name servers that hand out a part of what they have, by turns."""
    parts = [("10.0.0.1", "10.0.0.2"), ("10.0.0.2", "10.0.0.3"), ("10.0.0.3", "10.0.0.1")]
    ns.a("app.test", "10.0.0.1", "10.0.0.2", "10.0.0.3")
    lb = by_name()
    generation = lb.status()["generation"]
    for i in range(6):
        ns.a("app.test", *parts[i % 3])
        before = ns.asked("app.test", dns.A)
        eventually(lambda: ns.asked("app.test", dns.A) > before, "a question")
    assert targets(lb) == at("10.0.0.1", "10.0.0.2", "10.0.0.3")
    assert lb.status()["generation"] == generation


def test_hold_keeps_what_is_missing_for_longer(by_name, ns):
    ns.a("app.test", "10.0.0.1", "10.0.0.2")
    lb = by_name(", hold: 1h")
    ns.a("app.test", "10.0.0.2")
    before = ns.asked("app.test", dns.A)
    eventually(lambda: ns.asked("app.test", dns.A) >= before + 4, "four questions", 12)
    assert targets(lb) == at("10.0.0.1", "10.0.0.2")


FAILURES = ["nxdomain", "servfail", "refused", "empty", "silent", "garbage", "nothing", "short", "loop", "other id", "other name"]


@pytest.mark.parametrize("mode", FAILURES)
def test_no_answer_of_any_kind_empties_the_group(by_name, ns, mode):
    ns.a("app.test", "10.0.0.1", "10.0.0.2")
    lb = by_name()
    ns.fail("app.test", mode)
    about = eventually(lambda: state(lb)["last_error"] and state(lb), "an error in /status", 25)
    assert targets(lb) == at("10.0.0.1", "10.0.0.2") and about["targets"] == 2
    assert about["failures"] >= 1 and failures(lb) >= 1
    lb.says(r'warning: dns app.test of "app": .*: its 2 addresses stay')
    ns.a("app.test", "10.0.0.3")
    become(lb, {**at("10.0.0.1", "10.0.0.2"), **at("10.0.0.3")})
    lb.says(r'dns app.test of "app": answered again')
    become(lb, at("10.0.0.3"))
    assert state(lb)["last_error"] is None


def test_failures_are_asked_about_ever_more_rarely_and_said_once(by_name, ns):
    ns.a("app.test", "10.0.0.1")
    lb = by_name()
    ns.fail("app.test", "nxdomain")
    eventually(lambda: state(lb)["failures"] >= 4, "four failures", 20)
    assert 5 <= state(lb)["next_seconds"] <= 10
    assert lb.stderr().count("its 1 addresses stay") == 1


def test_a_failure_of_one_family_keeps_its_addresses(by_name, ns):
    ns.a("app.test", "10.0.0.1")
    ns.aaaa("app.test", "fd00::1")
    lb = by_name()
    ns.fail("app.test", "servfail", dns.AAAA)
    ns.a("app.test", "10.0.0.2")
    ns.fail("app.test", "servfail", dns.AAAA)
    become(lb, at("10.0.0.2", "fd00::1"))


def test_a_truncated_answer_is_asked_for_over_tcp(by_name, ns):
    ns.a("app.test", "10.0.0.1", "10.0.0.2")
    ns.fail("app.test", "truncated")
    lb = by_name()
    assert targets(lb) == at("10.0.0.1", "10.0.0.2")
    assert ns.asked("app.test", how="tcp") >= 1


def test_a_huge_answer_is_taken_whole(by_name, ns):
    hosts = [f"10.1.{i // 250}.{i % 250 + 1}" for i in range(3000)]
    ns.a("app.test", *hosts)
    lb = by_name()
    assert targets(lb) == at(*hosts)
    ns.a("app.test", *hosts[:10])
    become(lb, at(*hosts[:10]))


def test_addresses_that_cannot_be_targets_are_not_taken(by_name, ns):
    ns.a("app.test", "0.0.0.0", "10.0.0.1", "224.0.0.1", "255.255.255.255", "10.0.0.1")
    ns.aaaa("app.test", "::", "ff02::1")
    lb = by_name()
    assert targets(lb) == at("10.0.0.1")
    ns.a("app.test", "0.0.0.0")
    eventually(lambda: state(lb)["last_error"], "an error")
    assert targets(lb) == at("10.0.0.1")


def test_a_start_without_an_answer_serves_and_finds_it_later(by_name, ns, origin):
    ns.fail("app.test", "servfail")
    lb = by_name(port=origin.port)
    assert targets(lb) == {} and get(lb) == 503
    assert '"app" has no targets from it until there is an answer' in lb.stderr()
    ns.a("app.test", "127.0.0.1")
    become(lb, at("127.0.0.1", port=origin.port))
    assert get(lb) == 200


def test_a_silent_name_server_delays_the_start_by_its_limit_only(by_name, ns):
    ns.fail("app.test", "silent")
    lb = by_name()
    assert targets(lb) == {} and "no answer" in lb.stderr()


def test_a_reload_to_discovery_loses_no_target(tenbin, ns, origin):
    ns.a("app.test", "127.0.0.1")
    plain = LISTENER + '\ntarget_groups:\n  - {name: app, targets: ["$a"]}\n'
    lb = tenbin(plain, a=origin.address, ns=ns.address, to=origin.port)
    wrk = Wrk(lb.port(), 30)
    for _ in range(3):
        lb.reload(DNS % "")
        lb.reload(plain)
    assert not wrk.errors()


def test_a_reload_keeps_what_is_known_and_takes_new_settings(by_name, ns):
    ns.a("app.test", "10.0.0.1", "10.0.0.2")
    lb = by_name()
    ns.fail("app.test", "servfail")
    lb.reload(DNS % ", zone: c", to=3000)
    become(lb, at("10.0.0.1", "10.0.0.2", zone="c"))
    lb.reload(DNS % "", to=3001)
    eventually(lambda: "keeps its 2 targets" in lb.stderr(), "the warning")
    ns.a("app.test", "10.0.0.9")
    become(lb, at("10.0.0.9", port=3001))


def test_the_resolvers_of_the_file_are_used_unless_there_are_own(tenbin, ns):
    other = dns.NameServer()
    ns.a("app.test", "10.0.0.1")
    other.a("app.test", "10.0.0.2")
    own = (DNS % "").replace(', resolver: "$ns"', "")
    lb = tenbin('\nresolvers: ["$other", "$ns"]\n' + own, ns=ns.address, other=other.address, to=1)
    assert targets(lb) == at("10.0.0.2", port=1)
    lb.reload('\nresolvers: "$ns"\n' + own)
    become(lb, at("10.0.0.1", port=1))
    other.close()


def test_a_dead_name_server_is_passed_over(tenbin, ns, origins):
    ns.a("app.test", "10.0.0.1")
    dead = origins.refusing()
    lb = tenbin((DNS % "").replace('"$ns"', '["$dead", "$ns"]'), dead=dead.address, ns=ns.address, to=1)
    assert targets(lb) == at("10.0.0.1", port=1)


def test_the_configuration_and_a_name_may_tell_of_the_same_target(tenbin, ns):
    ns.a("app.test", "10.0.0.1", "10.0.0.2")
    text = (DNS % "").replace("{name: app, ", '{name: app, targets: [{address: "10.0.0.1:3000", zone: z, weight: 7}], ')
    lb = tenbin(text, ns=ns.address, to=3000)
    assert targets(lb) == {"10.0.0.1:3000": ("z", 7), "10.0.0.2:3000": (None, 1)}


def test_a_stop_does_not_wait_for_a_name_server(by_name, ns):
    ns.a("app.test", "10.0.0.1")
    lb = by_name()
    before = ns.asked("app.test")
    ns.fail("app.test", "silent")
    eventually(lambda: ns.asked("app.test") > before, "a question")
    assert lb.stop(seconds=3) == 0


# --- services

def test_services_bring_port_and_weight_and_zones(by_service, ns):
    ns.srv(NAME, (0, 5, 3001, "h1.test"), (0, 0, 3002, "h2.test"), (0, 65535, 3003, "h1.test"))
    ns.a("h1.test", "10.0.0.1")
    ns.a("h2.test", "10.0.0.2")
    ns.aaaa("h2.test", "fd00::2")
    lb = by_service(", zone: a")
    assert targets(lb) == {"10.0.0.1:3001": ("a", 5), "10.0.0.1:3003": ("a", 65535),
                           "10.0.0.2:3002": ("a", 1), "[fd00::2]:3002": ("a", 1)}
    ns.srv(NAME, (0, 9, 3001, "h1.test"), (0, 0, 3002, "h2.test"))
    become(lb, {"10.0.0.1:3001": ("a", 9), "10.0.0.2:3002": ("a", 1), "[fd00::2]:3002": ("a", 1)})
    assert state(lb)["source"] == "dns_srv" and state(lb)["name"] == NAME


def test_a_reserve_serves_while_nobody_before_it_is_healthy(by_service, ns, origins):
    first, reserve = origins(), origins()
    ns.srv(NAME, (10, 1, first.port, "h.test"), (20, 1, reserve.port, "h.test"))
    ns.a("h.test", "127.0.0.1")
    lb = by_service(attributes=", health_check: {interval: 200ms, timeout: 100ms, healthy_threshold: 1, unhealthy_threshold: 1}")

    def asked():
        return [sum(not r.has("user-agent") for r in o.requests) for o in (first, reserve)]

    def serve(*expected):
        before = asked()
        assert all(get(lb) == 200 for _ in range(6))
        return tuple(b > a for a, b in zip(before, asked())) == expected

    def states():
        return [t["state"] for t in sorted(group_of(lb)["targets"], key=lambda t: t["address"] != first.address)]

    eventually(lambda: states() == ["healthy", "healthy"], "first checks")
    eventually(lambda: serve(True, False), "the first alone")
    first.stop_listening()
    eventually(lambda: states() == ["unhealthy", "healthy"], "a failed check")
    assert serve(False, True)


@pytest.mark.parametrize("mode", ["nxdomain", "servfail", "empty", "garbage", "lies", "short"])
def test_a_service_that_answers_nothing_keeps_its_targets(by_service, ns, mode):
    ns.srv(NAME, (0, 1, 3000, "h1.test"))
    ns.a("h1.test", "10.0.0.1")
    lb = by_service()
    ns.fail(NAME, mode)
    eventually(lambda: state(lb)["last_error"], "an error", 25)
    assert targets(lb) == at("10.0.0.1") and failures(lb, NAME, "dns_srv") >= 1


def test_a_service_that_is_not_offered_keeps_its_targets(by_service, ns):
    ns.srv(NAME, (0, 1, 3000, "h1.test"))
    ns.a("h1.test", "10.0.0.1")
    lb = by_service()
    ns.srv(NAME, (0, 0, 0, "."))
    eventually(lambda: state(lb)["last_error"], "an error")
    assert targets(lb) == at("10.0.0.1")


def test_a_host_of_a_service_that_cannot_be_looked_up_keeps_its_addresses(by_service, ns):
    ns.srv(NAME, (0, 1, 3000, "h1.test"), (0, 1, 3000, "h2.test"))
    ns.a("h1.test", "10.0.0.1")
    ns.a("h2.test", "10.0.0.2")
    lb = by_service()
    ns.fail("h2.test", "servfail")
    ns.a("h1.test", "10.0.0.3")
    become(lb, at("10.0.0.2", "10.0.0.3"))
    ns.fail("h2.test", "nxdomain")
    become(lb, at("10.0.0.3"))


def test_a_service_of_many_hosts(by_service, ns):
    ns.srv(NAME, *[(0, 1, 3000, f"h{i}.test") for i in range(300)], ttl=5)
    for i in range(300):
        ns.a(f"h{i}.test", f"10.0.{i // 100}.{i % 100 + 1}", ttl=60)
    lb = by_service()
    assert targets(lb) == at(*[f"10.0.{i // 100}.{i % 100 + 1}" for i in range(300)])


# --- names of targets

def test_the_names_of_targets_are_followed(tenbin, ns):
    text = '\nresolvers: "$ns"\n' + LISTENER + '\ntarget_groups:\n  - {name: app, targets: [{address: "localhost:81", zone: q, weight: 4}]}\n'
    ns.a("localhost", "10.0.0.7")
    lb = tenbin(text, ns=ns.address)
    assert "127.0.0.1:81" in targets(lb)  # by the system, at the start
    eventually(lambda: "10.0.0.7:81" in targets(lb), "the name server's address", 20)
    become(lb, {"10.0.0.7:81": ("q", 4)})
    lb.reload(text)
    become(lb, {"10.0.0.7:81": ("q", 4)})
    ns.fail("localhost", "nxdomain")
    eventually(lambda: lb.metrics()['tenbin_discovery_failures_total{group="app",name="localhost",source="name"}'] >= 1, "a failure")
    assert targets(lb) == {"10.0.0.7:81": ("q", 4)}


def test_names_in_a_targets_file_are_followed(tenbin, ns, tmp_path):
    put(tmp_path / "tenbin0", '["localhost:81"]')
    ns.a("localhost", "10.0.0.7")
    lb = tenbin('\nresolvers: "$ns"\n' + LISTENER + "\ntarget_groups:\n  - {name: app, discovery: {file: targets.yaml}}\n", ns=ns.address)
    eventually(lambda: targets(lb) == at("10.0.0.7", port=81), "the name server's address", 20)
    put(lb.dir, '["10.0.0.8:81"]')
    become(lb, at("10.0.0.8", port=81))
