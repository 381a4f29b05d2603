"""Many clients and targets that misbehave at once, with reloads in between: nobody gets another's answer.

Every request carries an id that its answer must repeat, whole or visibly broken off. What happens is
drawn from a seed, which is printed; which thread does it first is not.
"""

import random
import time

import pytest

import origin as o
import wire
from chaos import moody, run_with_reloads
from lb import eventually

SECONDS = 8
CLIENTS = 10

TEXT = """
    timeouts: {request_head: 2s, connect: 2s, linger: 1s}
    listeners:
      - name: web
        listen: "127.0.0.1:$web"
        protocol: http
        attributes: {idle_timeout: 2s}
        rules:
          - priority: 1
            conditions: [{path_pattern: ["/fixed*"]}]
            action: {fixed_response: {status_code: 200, content_type: text/plain, message_body: fixed}}
        default_action: {forward: {target_groups: [{name: a, weight: %d}, {name: b, weight: %d}]}}
      - {name: raw, listen: "127.0.0.1:$raw", protocol: tcp, default_action: {forward: raw}}
    target_groups:
      - {name: a, protocol: http, targets: ["$one", "$two"]}
      - {name: b, protocol: http, targets: ["$two", "$dead"]}
      - {name: raw, protocol: tcp, targets: ["$echo"]}
    """


class Chaos:
    """One client after the other; `wrong` collects answers that are not what was asked for."""

    def __init__(self, lb, seed):
        self.lb, self.random, self.wrong, self.right = lb, random.Random(seed), [], 0
        self.until = time.monotonic() + SECONDS

    def run(self):
        steps = [self.requests] * 6 + [self.pipelined] * 3 + [self.leaver, self.uploader, self.nonsense, self.tunnel, self.raw]
        while time.monotonic() < self.until:
            try:
                client = wire.Client(self.lb.port("web"))
            except OSError:
                continue
            try:
                self.random.choice(steps)(client)
            except (OSError, wire.EndOfStream):
                pass
            except AssertionError as error:
                if "nothing more came" not in str(error):
                    self.wrong.append(repr(error)[:500])
            finally:
                client.close()

    def ask(self, ident, times, body=b"", method=None):
        method = method or ("POST" if body else "GET")
        head = f"{method} /{ident} HTTP/1.1\r\nHost: a\r\nX-Id: {ident}\r\nX-Times: {times}\r\n"
        if body and self.random.random() < 0.5:
            return f"{head}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body if body else f"{head}\r\n".encode()

    def check(self, client, ident, times, body=b""):
        answer = client.response()
        if answer.status == 200:
            if answer.body != ident.encode() * times + body:
                self.wrong.append(f"asked for {times} of {ident}, got {answer.body[:200]!r} of {len(answer.body)}")
            self.right += 1
        elif answer.status not in (502, 503, 504):
            self.wrong.append(f"status {answer.status}")
        return answer["connection"] != "close"

    def ident(self):
        return f"i{self.random.getrandbits(64):016x}"

    def requests(self, client):
        for _ in range(self.random.randint(1, 20)):
            ident, times = self.ident(), self.random.choice([1, 1, 10, 1000, 20000])
            body = bytes(self.random.choice([0, 0, 10, 70000]))
            client.send(self.ask(ident, times, body))
            if not self.check(client, ident, times, body):
                return

    def pipelined(self, client):
        asked = [(self.ident(), self.random.choice([1, 50, 5000])) for _ in range(self.random.randint(2, 30))]
        client.send(b"".join(self.ask(*each) for each in asked))
        if self.random.random() < 0.3:
            client.half_close()
        for each in asked:
            if not self.check(client, *each):
                return

    def leaver(self, client):
        whole = self.ask(self.ident(), 20000, bytes(50000))
        client.send(whole[:self.random.randint(1, len(whole))])
        time.sleep(self.random.random() * 0.02)
        self.random.choice([client.reset, client.close, client.half_close])()

    def uploader(self, client):
        ident = self.ident()
        whole = self.ask(ident, 1, bytes(300000))
        client.send(whole, sorted(self.random.sample(range(1, len(whole)), 5)), pause=0.002)
        self.check(client, ident, 1, bytes(300000))

    def nonsense(self, client):
        client.send_until_refused(bytes(self.random.randrange(256) for _ in range(500)) + b"\r\n\r\n")
        assert client.response().status in (400, 505), "nonsense was understood"

    def tunnel(self, client):
        head = ("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        client.send(head)
        client.response()

    def raw(self, client):
        raw = wire.Client(self.lb.port("raw"))
        data = self.ident().encode() * self.random.randint(1, 5000)
        raw.send(data)
        if raw.read_exactly(len(data)) != data:
            self.wrong.append("TCP bytes came back changed")
        self.random.choice([raw.reset, raw.close, raw.half_close])()
        raw.close()


@pytest.mark.tsan
def test_nobody_gets_anothers_answer_whatever_happens(tenbin, origins):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    one, two = origins(moody(seed)), origins(moody(seed + 1))
    lb = tenbin(TEXT % (1, 1), one=one.address, two=two.address, dead=origins.refusing().address,
                echo=origins(o.echo).address)
    clients = [Chaos(lb, seed + n) for n in range(CLIENTS)]
    reloads = run_with_reloads(lb, clients, lambda n: TEXT % (n % 5 + 1, n % 3 + 1))
    assert sum(client.right for client in clients) > 300 and reloads > 10
    eventually(lambda: lb.status()["snapshots_live"] == 1, "one live snapshot")
