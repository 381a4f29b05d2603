"""Many HTTP/2 clients with many streams each, targets of both versions that misbehave, reloads in between.

Nobody gets another's answer: every stream carries an id that its answer must repeat, whole or
visibly broken off. What happens is drawn from a seed, which is printed.
"""

import random
import time

import h2.exceptions
import pytest

import h2origin
from chaos import moody, run_with_reloads
from h2client import CANCEL, NO_ERROR, H2Client
from lb import eventually

SECONDS = 8
CLIENTS = 6

TEXT = """
    timeouts: {request_head: 2s, connect: 2s, linger: 1s}
    listeners:
      - name: web
        listen: "127.0.0.1:$web"
        protocol: http
        attributes: {idle_timeout: 2s, h2c: true, client_keep_alive: %ds}
        rules:
          - priority: 1
            conditions: [{path_pattern: ["/fixed*"]}]
            action: {fixed_response: {status_code: 200, content_type: text/plain, message_body: fixed}}
          - {priority: 2, conditions: [{path_pattern: ["/two/*"]}], action: {forward: two}}
        default_action: {forward: one}
    target_groups:
      - {name: one, protocol: http, targets: ["$a", "$b", "$dead"]}
      - {name: two, protocol: http, protocol_version: http2, targets: [{address: "$c", weight: %d}, "$d"]}
    """


# ---- targets that speak HTTP/2 ----

def whole(server, request, body, mood):
    server.respond(request, body=body)


def with_trailers(server, request, body, mood):
    server.respond(request, 200, ("x-more", "yes"), body=body, trailers=[("x-end", "yes")])


def in_pieces(server, request, body, mood):
    middle = mood.randint(0, len(body))
    server.respond(request, 200, ("content-length", str(len(body))), body=body[:middle], end=False)
    time.sleep(0.002)
    server.send(request, body[middle:], end=True)


def broken_off(server, request, body, mood):
    server.respond(request, 200, body=body[:mood.randint(0, len(body) - 1)], end=False)
    server.reset(request)


def refused(server, request, body, mood):
    server.reset(request, h2origin.REFUSED_STREAM)


def leaving(server, request, body, mood):
    server.goaway(request.stream)
    server.respond(request, body=body)


def hung_up(server, request, body, mood):
    server.respond(request, 200, ("content-length", str(len(body) + 1)), body=body, end=False)
    server.peer.reset()


def garbage(server, request, body, mood):
    server.peer.sock.sendall(bytes(mood.randrange(256) for _ in range(100)))


MOODS = [whole, with_trailers, in_pieces, broken_off, refused, leaving, hung_up, garbage]
WEIGHTS = [60, 20, 20, 4, 4, 2, 2, 1]


def moody2(seed):
    mood = random.Random(seed)

    def answer(server, request):
        body = request["x-id"].encode() * int(request["x-times"]) + request.body
        try:
            mood.choices(MOODS, WEIGHTS)[0](server, request, body, mood)
        except (OSError, h2.exceptions.ProtocolError):
            pass  # the connection or the stream has ended meanwhile

    def script(peer):
        try:
            h2origin.serve(answer, settings={h2origin.MAX_CONCURRENT_STREAMS: mood.choice([1, 10, 100])})(peer)
        except OSError:
            pass
    return script


# ---- clients ----

class Chaos:
    """One connection after the other; `wrong` collects answers that are not what was asked for."""

    def __init__(self, lb, seed):
        self.lb, self.random, self.wrong, self.right = lb, random.Random(seed), [], 0
        self.until = time.monotonic() + SECONDS

    def run(self):
        while time.monotonic() < self.until:
            try:
                client = H2Client(self.lb.port("web"))
            except OSError:
                continue
            try:
                self.rounds(client)
            except (OSError, h2.exceptions.ProtocolError):
                pass  # python3-h2 sends nothing behind a GOAWAY
            except AssertionError as error:
                if "connection ended" not in str(error) and "no window" not in str(error):
                    self.wrong.append(repr(error)[:500])
            finally:
                client.close()

    def rounds(self, client):
        for _ in range(self.random.randint(1, 8)):
            asked = dict(self.ask(client) for _ in range(self.random.choice([1, 5, 40])))
            for stream in self.random.sample(sorted(asked), len(asked) // 8):
                if not client.answers[stream].over():
                    client.h2.reset_stream(stream, CANCEL)
                    client.flush()
                    del asked[stream]
            if self.random.random() < 0.1:
                return
            for stream, expected in asked.items():
                self.check(client, client.finish(stream), expected)
            if client.goaways:
                return

    def ask(self, client):
        """(its stream, the body of the answer)"""
        ident, times = f"i{self.random.getrandbits(64):016x}", self.random.choice([1, 1, 10, 1000, 5000])
        body = self.random.choice([None, None, bytes(10), bytes(40000)])
        path = self.random.choice(["/", "/two/", "/two/"]) + ident
        stream = client.start("POST" if body else "GET", path, ("x-id", ident), ("x-times", str(times)), body=body)
        return stream, ident.encode() * times + (body or b"")

    def check(self, client, answer, expected):
        if answer.status == 200 and answer.ended:
            if bytes(answer.body) != expected:
                self.wrong.append(f"asked for {expected[:20]!r}, got {answer.body[:200]!r} of {len(answer.body)}")
            self.right += 1
        elif answer.status == 200 and not expected.startswith(bytes(answer.body)):
            self.wrong.append(f"broken off, and not of {expected[:20]!r}: {answer.body[:200]!r}")
        elif answer.status not in (None, 200, 502, 503, 504):
            self.wrong.append(f"status {answer.status}")
        elif answer.reset == NO_ERROR and not answer.ended:
            self.wrong.append(f"an answer of {len(answer.body)} octets of {len(expected)} ended as if it were whole")


@pytest.mark.tsan
def test_no_stream_gets_anothers_answer_whatever_happens(tenbin, origins):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    lb = tenbin(TEXT % (3600, 1), a=origins(moody(seed)).address, b=origins(moody(seed + 1)).address,
                c=origins(moody2(seed + 2)).address, d=origins(moody2(seed + 3)).address,
                dead=origins.refusing().address)
    clients = [Chaos(lb, seed + n) for n in range(CLIENTS)]
    reloads = run_with_reloads(lb, clients, lambda n: TEXT % (3600 if n % 10 else 1, n % 3 + 1))
    assert sum(client.right for client in clients) > 200 and reloads > 10
    assert "bad_stream" not in lb.status()["reasons"]  # nobody broke a rule, and an answer that is out is out
    eventually(lambda: lb.status()["snapshots_live"] == 1, "one live snapshot")
