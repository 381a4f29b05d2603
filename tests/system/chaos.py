"""What the chaos tests share: a target that misbehaves, and reloads for as long as clients run.

moody() repeats what it is asked, in all framings, and sometimes breaks off wherever it can. It
answers with the value of X-Id, X-Times times over, and the body that was sent.
"""

import random
import threading
import time

import origin as o
import wire


def moody(seed):
    """A target that mostly answers, in all framings, and sometimes breaks off at every place where it can."""
    def script(peer):
        mood = random.Random(f"{seed} {time.monotonic_ns()}")
        try:
            while (request := peer.read_request()):
                if not mood.choices(MOODS, WEIGHTS)[0](peer, request, mood):
                    return
        except wire.EndOfStream:
            pass  # a client left in its body; anything malformed fails the test
    return script


def body_of(request):
    return (request["x-id"] or "?").encode() * int(request["x-times"] or 1) + request.body


def by_length(peer, request, mood):
    return peer.send_until_refused(o.response(body_of(request)))


def in_chunks(peer, request, mood):
    data, pieces = body_of(request), b""
    while data:
        size = mood.randint(1, 5000)
        pieces += b"%x\r\n%s\r\n" % (len(data[:size]), data[:size])
        data = data[size:]
    return peer.send_until_refused(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n")


def slowly(peer, request, mood):
    whole = o.response(body_of(request))
    for i in range(3):
        peer.send_until_refused(whole[i:i + 1])
        time.sleep(0.005)
    return peer.send_until_refused(whole[3:])


def until_close(peer, request, mood):
    peer.send_until_refused(b"HTTP/1.1 200 OK\r\n\r\n" + body_of(request))
    return False


def with_close(peer, request, mood):
    peer.send_until_refused(o.response(body_of(request), "200 OK", "Connection: close"))
    return False


def cut(peer, request, mood):
    whole = o.response(body_of(request))
    peer.send_until_refused(whole[:mood.randint(0, len(whole) - 1)])
    return False


def reset(peer, request, mood):
    whole = o.response(body_of(request))
    peer.send_until_refused(whole[:mood.randint(0, len(whole) - 1)])
    peer.reset()
    return False


def garbage(peer, request, mood):
    peer.send_until_refused(bytes(mood.randrange(256) for _ in range(200)) + b"\r\n\r\n")
    return False


def early(peer, request, mood):
    peer.send_until_refused(b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" + o.response(body_of(request)) + b"and more")
    return True


MOODS = [by_length, in_chunks, slowly, until_close, with_close, cut, reset, garbage, early]
WEIGHTS = [30, 20, 20, 5, 3, 3, 3, 3, 2]


def run_with_reloads(lb, clients, text):
    """Each client.run() in a thread of its own; until all have ended text(n) is reloaded, n from 1 up."""
    threads = [threading.Thread(target=client.run) for client in clients]
    for thread in threads:
        thread.start()
    reloads = 0
    while any(thread.is_alive() for thread in threads):
        reloads += 1
        lb.reload(text(reloads))
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    assert [wrong for client in clients for wrong in client.wrong] == []
    return reloads
