"""TCP pass-through: every byte and every end goes to the other side as it was."""

import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time

import pytest

import origin as o
from conftest import with_attributes
from lb import PORTS, die_with_parent, eventually

TCP = """
    listeners:
      - {name: db, listen: "127.0.0.1:$db", protocol: tcp, default_action: {forward: app}}
    target_groups:
      - {name: app, protocol: tcp, targets: ["$app"]}
    """


FLOW_BYTES = 128 << 10  # what one direction of one session may hold


@pytest.fixture
def through(tenbin, origins):
    """through(script) gives (tenbin, target, client) with the client connected."""
    def start(*scripts):
        target = origins(*scripts)
        started = tenbin(TCP, app=target.address)
        return started, target, started.connect("db")
    return start


# --- bytes

def test_bytes_pass_both_ways_as_they_are(through):
    _, target, client = through(o.echo)
    data = os.urandom(300000)
    sender = threading.Thread(target=client.send, args=(data,))
    sender.start()
    assert client.read_exactly(len(data)) == data
    sender.join()
    assert target.bytes() == data


def test_a_server_that_speaks_first_is_heard(through):
    def greet(peer):
        peer.send(b"220 hello\r\n")
        peer.wait_for_end()

    _, _, client = through(greet)
    assert client.read_exactly(11) == b"220 hello\r\n"


def test_single_bytes_arrive_at_once(through):
    _, _, client = through(o.echo)
    for n in range(200):
        client.send(bytes([n]))
        assert client.read_exactly(1) == bytes([n])


def test_connections_do_not_share_a_target_connection(tenbin, origins):
    target = origins(o.echo)
    db = tenbin(TCP, app=target.address)
    clients = [db.connect("db") for _ in range(50)]
    for n, client in enumerate(clients):
        client.send(b"%03d" % n)
    assert [client.read_exactly(3) for client in clients] == [b"%03d" % n for n in range(50)]
    assert sorted(bytes(peer.received) for peer in target.connections) == [b"%03d" % n for n in range(50)]
    assert db.gauges()["in_flight app " + target.address] == 50


# --- ends

def test_a_half_close_of_the_client_reaches_the_target_and_the_answer_comes_back(through):
    def sum_up(peer):
        got = peer.read_to_end()
        peer.send(b"got %d" % len(got))

    db, _, client = through(sum_up)
    client.send(bytes(500000))
    client.half_close()
    assert client.read_to_end() == b"got 500000"
    line = db.log_line(type="tcp")
    assert (line["reason"], line["received_bytes"], line["sent_bytes"]) == (None, 500000, 10)


def test_a_half_close_of_the_target_reaches_the_client_and_the_rest_still_goes_up(through):
    got = []

    def ask(peer):
        peer.send(b"question")
        peer.half_close()
        got.append(peer.read_to_end())

    _, _, client = through(ask)
    assert client.read_to_end() == b"question"
    client.send(b"a late ", [3])
    client.send(b"answer")
    client.half_close()
    eventually(lambda: got, "the rest at the target")
    assert got == [b"a late answer"]


def test_a_client_that_ends_at_once_ends_the_target_too(through):
    _, target, client = through(lambda peer: peer.wait_for_end())
    client.half_close()
    client.expect_end()
    eventually(lambda: target.connections[0].end == "fin", "the FIN at the target")


def test_a_reset_of_the_client_is_a_reset_at_the_target(through):
    db, target, client = through(lambda peer: peer.wait_for_end())
    client.send(b"x")
    eventually(lambda: target.bytes() == b"x", "the byte at the target")
    client.reset()
    eventually(lambda: target.connections[0].end, "the end at the target")
    assert target.connections[0].end == "reset"
    assert db.log_line(type="tcp")["reason"] == "client_gone"


def test_a_reset_of_the_target_is_a_reset_at_the_client(through):
    def rude(peer):
        peer.read_exactly(1)
        peer.reset()

    db, _, client = through(rude)
    client.send(b"x")
    client.expect_reset()
    assert db.log_line(type="tcp")["reason"] == "target_reset"


def test_all_bytes_before_a_fin_arrive_through_a_slow_reader(through):
    data = os.urandom(3 << 20)

    def pour(peer):
        peer.send(data)

    _, _, client = through(pour)
    time.sleep(0.5)
    assert client.read_to_end() == data


# --- targets

def test_a_refused_target_is_passed_over(tenbin, origins):
    target = origins(o.echo)
    db = tenbin(TCP.replace('"$app"', '"$dead", "$app"'), dead=origins.refusing().address, app=target.address)
    for _ in range(8):
        client = db.connect("db")
        client.send(b"ping")
        assert client.read_exactly(4) == b"ping"
    assert len(target.connections) == 8


def test_no_reachable_target_is_a_reset(tenbin, origins):
    db = tenbin(TCP, app=origins.refusing().address)
    db.expect_reset("db")
    assert db.log_line(type="tcp")["reason"] == "target_refused"


def test_no_target_is_a_reset(tenbin):
    db = tenbin(TCP.replace('"$app"', ""))
    db.expect_reset("db")
    assert db.log_line(type="tcp")["reason"] == "no_target"


def test_a_silent_target_costs_two_seconds_and_the_next_one_serves(tenbin, origins):
    target = origins(o.echo)
    db = tenbin(TCP.replace('"$app"', '"$silent", "$app"'), silent=origins.silent().address, app=target.address)
    for _ in range(2):
        begin = time.monotonic()
        client = db.connect("db")
        client.send(b"ping")
        assert client.read_exactly(4) == b"ping" and time.monotonic() - begin < 3


# --- time and memory

def test_a_silent_connection_is_reset_at_the_idle_timeout_and_a_talking_one_is_not(tenbin, origins):
    target = origins(o.echo)
    db = tenbin(with_attributes("idle_timeout: 1s", TCP), app=target.address)
    silent, talking = db.connect("db"), db.connect("db")
    begin = time.monotonic()
    for _ in range(6):
        talking.send(b"x")
        assert talking.read_exactly(1) == b"x"
        time.sleep(0.25)
    silent.expect_reset()
    assert time.monotonic() - begin < 3
    assert db.log_line(reason="idle_timeout")["type"] == "tcp"
    talking.send(b"y")
    assert talking.read_exactly(1) == b"y"


def test_a_half_closed_connection_ends_at_its_timeout(tenbin, origins):
    ends = []

    def half(peer):
        peer.half_close()
        ends.append(peer.wait_for_end())

    target = origins(half)
    db = tenbin(TCP + "timeouts: {half_close: 1s}\n", app=target.address)
    client = db.connect("db")
    begin = time.monotonic()
    eventually(lambda: ends, "the end at the target")
    assert 0.8 < time.monotonic() - begin < 3
    assert db.log_line(type="tcp")["reason"] == "half_close_timeout"
    client.expect_gone()


def test_a_slow_reader_holds_no_more_than_its_flow(through):
    """The target can send only what sockets and one flow hold, and all of it arrives in the end."""
    sent = []

    def pour(peer):
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        for _ in range(64):
            peer.send(bytes(1 << 20))
            sent.append(1 << 20)

    db, _, client = through(pour)
    client.read_at_rate(1024, 2)
    held = sum(sent)
    assert held < 32 << 20
    assert 0 < db.gauges()["pool buffer_bytes"] <= FLOW_BYTES * 2
    total = len(client.received)
    while total < 64 << 20:
        total += len(client.sock.recv(1 << 20))
    assert total == 64 << 20


class Counted:
    """Sends and takes a number of bytes without keeping them."""

    block = bytes(1 << 20)

    @classmethod
    def send(cls, sock, amount):
        while amount:
            piece = min(amount, len(cls.block))
            sock.sendall(cls.block[:piece])
            amount -= piece

    @staticmethod
    def take(sock, amount, each=lambda: None):
        room, marked = memoryview(bytearray(1 << 20)), amount
        while amount:
            got = sock.recv_into(room, min(amount, len(room)))
            assert got, f"{amount} bytes are missing"
            amount -= got
            if marked - amount > 32 << 20:
                marked = amount
                each()


def swap_raw(peer):
    """Takes as many bytes as the first eight say, and sends as many at the same time."""
    amount = int.from_bytes(peer.read_exactly(8), "big")
    sender = threading.Thread(target=Counted.send, args=(peer.sock, amount))
    sender.start()
    Counted.take(peer.sock, amount - len(peer.pending))
    sender.join()


def swap_http(peer):
    """Answers with as many bytes as the request has, while it is still coming; the last one comes last."""
    amount = int(peer.read_request(body=False)["content-length"])
    peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {amount}\r\n\r\n")
    sender = threading.Thread(target=Counted.send, args=(peer.sock, amount - 1))
    sender.start()
    Counted.take(peer.sock, amount - len(peer.pending))
    sender.join()
    peer.send(b"!")


def transfer(lb, protocol, amount):
    """Sends and takes that much at once through tenbin; the largest RSS seen on the way."""
    client, peak = lb.connect("db"), [0]
    client.timeout(60)
    client.send(amount.to_bytes(8, "big") if protocol == "tcp"
                else f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {amount}\r\n\r\n")
    sender = threading.Thread(target=Counted.send, args=(client.sock, amount))
    sender.start()
    if protocol == "http":
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")
    Counted.take(client.sock, amount - len(client.pending), lambda: peak.append(lb.rss_bytes()))
    sender.join()
    peak.append(lb.rss_bytes())
    client.close()
    return max(peak)


@pytest.mark.release
@pytest.mark.limit(180)
@pytest.mark.parametrize("protocol, swap", [("tcp", swap_raw), ("http", swap_http)])
def test_a_gibibyte_both_ways_leaves_memory_flat(tenbin, origins, protocol, swap):
    """Up and down at once: after a warm-up transfer the process grows by less than 8 MiB."""
    lb = tenbin(TCP.replace("protocol: tcp", f"protocol: {protocol}"), app=origins(swap).address)
    transfer(lb, protocol, 64 << 20)
    before = lb.rss_bytes()
    growth = transfer(lb, protocol, 1 << 30) - before
    assert growth < 8 << 20, f"grew by {growth >> 10} KiB"


# --- the real thing

def run_as_postgres():
    """PostgreSQL refuses root; the Debian package brings a user for it."""
    return ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []


@pytest.fixture
def postgres():
    """A PostgreSQL of its own on a free port, ended and removed afterwards. Gives the port."""
    binaries = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    home = pathlib.Path(subprocess.check_output(["mktemp", "-d", "/tmp/tenbin-postgres.XXXXXX"], text=True).strip())
    if os.getuid() == 0:
        shutil.chown(home, "postgres")
    port = PORTS.take()
    subprocess.run([*run_as_postgres(), binaries / "initdb", "-D", home / "data", "-A", "trust", "-U", "tester", "--no-sync"],
                   check=True, capture_output=True, cwd=home)
    server = subprocess.Popen([*run_as_postgres(), binaries / "postgres", "-D", home / "data", "-p", str(port), "-k", home,
                               "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"], cwd=home,
                              stdout=subprocess.DEVNULL, stderr=open(home / "log", "w"), preexec_fn=die_with_parent)
    ready = [binaries / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
    eventually(lambda: subprocess.run(ready, capture_output=True).returncode == 0, "PostgreSQL", 30)
    yield port
    subprocess.run([*run_as_postgres(), binaries / "pg_ctl", "stop", "-D", home / "data", "-m", "immediate"],
                   capture_output=True, cwd=home)
    server.wait(10)
    shutil.rmtree(home, ignore_errors=True)


def psql(port, sql):
    done = subprocess.run(["psql", "-XAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(port), "-U", "tester",
                           "postgres"], input=sql, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.limit(120)
def test_postgresql_serves_psql_through_tenbin(tenbin, postgres):
    db = tenbin(TCP, app=f"127.0.0.1:{postgres}")
    assert psql(db.port("db"), "select 6*7;").strip() == "42"
    psql(db.port("db"), "create table t as select n, md5(n::text) as text from generate_series(1, 200000) n;")
    through, direct = (psql(port, "select * from t order by n;") for port in (db.port("db"), postgres))
    assert through == direct and len(through) > 6_000_000
    rows = "".join(f"{n}\t{'x' * 100}\n" for n in range(50000))
    copied = f"create table u (n int, s text);\ncopy u from stdin;\n{rows}\\.\nselect count(*) from u;"
    assert "50000" in psql(db.port("db"), copied)
    threads = [threading.Thread(target=psql, args=(db.port("db"), "select pg_sleep(0.2);")) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    line = eventually(lambda: db.access_log(), "log lines")[0]
    assert line["type"] == "tcp" and line["target"] == f"127.0.0.1:{postgres}" and line["reason"] is None


@pytest.fixture
def redis(tmp_path):
    """A Redis of its own on a free port. Gives the port."""
    port = PORTS.take()
    server = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                               "--dir", tmp_path], stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)
    ping = ["redis-cli", "-p", str(port), "ping"]
    eventually(lambda: subprocess.run(ping, capture_output=True).stdout == b"PONG\n", "Redis", 20)
    yield port
    server.terminate()
    server.wait(10)


def redis_cli(port, *words, **keywords):
    done = subprocess.run(["redis-cli", "-p", str(port), *words], capture_output=True, timeout=60, **keywords)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_redis_serves_redis_cli_through_tenbin(tenbin, redis):
    db = tenbin(TCP, app=f"127.0.0.1:{redis}")
    port = db.port("db")
    assert redis_cli(port, "ping") == b"PONG\n"
    value = os.urandom(5 << 20).hex().encode()
    assert redis_cli(port, "-x", "set", "big", input=value) == b"OK\n"
    assert redis_cli(port, "get", "big") == value + b"\n" == redis_cli(redis, "get", "big")
    pipelined = b"".join(b"SET key:%d %d\r\n" % (n, n * n) for n in range(20000))
    assert b"errors: 0, replies: 20000" in redis_cli(port, "--pipe", input=pipelined)
    assert redis_cli(redis, "get", "key:19999") == b"399960001\n"


def test_redis_benchmark_finds_no_error(tenbin, redis):
    db = tenbin(TCP, app=f"127.0.0.1:{redis}")
    done = subprocess.run(["redis-benchmark", "-p", str(db.port("db")), "-n", "5000", "-c", "50", "-P", "10", "-q",
                           "-t", "set,get,lpush,lrange_100"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "rror" not in done.stdout + done.stderr, done.stdout + done.stderr
