"""A raw scripted target. Each accepted connection runs a script in a thread of its own.

    origin = Origin()                                  answers every request 200 with a short body
    origin = Origin(reply(b"HTTP/1.1 204 No Content\r\n\r\n"))
    origin = Origin(tls=context)                       the same behind TLS
    origin = Origin(first, second)                     the n-th connection runs the n-th script, the last for ever

A script takes a Peer: it reads with the strict parser of wire.py and sends bytes as they are.
`requests` holds every request read, `connections` every peer with all the bytes it `received`.
A script that raises fails the test when the origin is closed, unless it ended with the connection.
"""

import socket
import ssl
import threading
import time
import traceback

import wire


def response(body=b"", status="200 OK", *lines):
    """The bytes of a plain response with Content-Length."""
    body = body.encode() if isinstance(body, str) else body
    head = [f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(body)}"]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


OK = response(b"hello\n")


def serve(peer):
    """Keep-alive: the default answer to each request until the connection ends."""
    while peer.read_request():
        peer.send(OK)


def reply(answer):
    """A keep-alive script that always answers with these bytes, or with what answer(request) gives."""
    def script(peer):
        while (request := peer.read_request()):
            peer.send(answer(request) if callable(answer) else answer)
    return script


def echo(peer):
    """Raw TCP: sends back what it gets, then ends when the other side did."""
    while (data := peer.sock.recv(65536)):
        peer.received += data
        peer.sock.sendall(data)


def hold(peer):
    """Reads one request and never answers; ends when the other side does."""
    peer.read_request()
    peer.wait_for_end()


def hold_broken(peer):
    """Takes whatever comes and never answers; ends when the other side does. For requests that must not become whole."""
    peer.wait_for_end()


class Peer(wire.Stream):
    """One accepted connection, seen by its script."""

    def __init__(self, origin, sock):
        super().__init__(sock)
        self.origin = origin
        self.sock.settimeout(30)
        self.requests = []
        self.end = None  # "fin" or "reset" once the other side ended and wait_for_end() saw it

    def read_request(self, body=True):
        """The next request, whole (or only its head); None when the stream ended between two."""
        if not self.pending and not self.arrives():
            return None
        request = self.read_head(wire.REQUEST_LINE)
        request.arrived = time.monotonic()
        self.requests.append(request)
        with self.origin.lock:
            self.origin.requests.append(request)
        if body:
            self.read_sized_body(request)
        return request

    def arrives(self):
        """Waits for a byte; False at the end of the stream, however it ended."""
        try:
            self.more()
            return True
        except wire.EndOfStream:
            self.end = "fin"
        except ConnectionError:
            self.end = "reset"
        return False

    def wait_for_end(self):
        """Reads until the other side ends and tells how."""
        while self.arrives():
            self.pending = b""
        return self.end


class Origin:
    """A listening socket on a port that the kernel chose, and the scripts of its connections."""

    def __init__(self, *scripts, receive_buffer=None, tls=None):
        self.scripts = scripts or (serve,)
        self.tls = tls  # an ssl.SSLContext
        self.handshake_errors = []
        self.connections, self.requests, self.errors = [], [], []
        self.lock = threading.Lock()
        self.threads = []
        self.closing = False
        self.listener = socket.socket()
        if receive_buffer:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(1024)
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.acceptor = threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                script = self.scripts[min(len(self.connections), len(self.scripts) - 1)]
                peer = Peer(self, sock)
                self.connections.append(peer)
            thread = threading.Thread(target=self.run, args=(script, peer), daemon=True)
            thread.start()
            self.threads.append(thread)

    def run(self, script, peer):
        try:
            if self.tls and not self.shake_hands(peer):
                return
            script(peer)
        except ConnectionError:
            peer.end = "reset"
        except Exception:
            if not self.closing:
                self.errors.append(traceback.format_exc())
        finally:
            peer.sock.close()

    def shake_hands(self, peer):
        """False: the other side did not want to."""
        try:
            peer.sock = self.tls.wrap_socket(peer.sock, server_side=True)
            return True
        except (ssl.SSLError, ConnectionError) as error:
            self.handshake_errors.append(error)
            return False

    def stop_listening(self):
        """New connections are refused from now on; the port is kept until close()."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.acceptor.join(5)

    def close(self):
        """Ends everything. The scripts' errors are the caller's to assert on."""
        self.closing = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for peer in self.connections:
            try:
                peer.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads:
            thread.join(5)

    @property
    def request(self):
        """The only request that came."""
        assert len(self.requests) == 1, f"{len(self.requests)} requests came: {self.requests}"
        return self.requests[0]

    def bytes(self):
        """All bytes of all connections, in order of connection."""
        return b"".join(bytes(peer.received) for peer in self.connections)


class Refuser:
    """A port that nobody listens on and nobody else can take: connecting to it is refused."""

    def __init__(self):
        self.sock = socket.socket()
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.errors = []

    def close(self):
        self.sock.close()


class BlackHole:
    """A listener whose queue is full: connecting to it gets no answer at all."""

    def __init__(self):
        self.sock = socket.socket()
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen(0)
        self.port = self.sock.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.errors = []
        self.fillers = [self.filler() for _ in range(4)]

    def filler(self):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", self.port))
        return sock

    def close(self):
        for sock in [*self.fillers, self.sock]:
            sock.close()
