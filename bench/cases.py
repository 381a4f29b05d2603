"""The table of cases: what is asked of every proxy."""

import dataclasses

import measure


@dataclasses.dataclass
class Case:
    name: str
    says: str
    kind: str = "http"           # the listener: http, https or tcp
    path: str = "/128"
    connections: int = 64
    close: bool = False          # a new client connection for every request
    log: bool = False
    latency: bool = False        # also at an equal offered rate, with latencies
    short: bool = False          # part of --short
    streams: int = 0             # HTTP/2 streams a connection; 0: HTTP/1.1
    peers: tuple = ()            # beyond the usual ones

    @property
    def generator(self):
        if self.streams:
            return measure.run_h2load
        # wrk reads 8 KiB at a time: with large bodies it would measure itself.
        if self.kind != "https" and self.path in ("/100k", "/1m"):
            return measure.run_fixed
        return measure.run_wrk

    @property
    def plain(self):
        """Our own clients speak plain HTTP/1.1 only."""
        return self.kind != "https"


LARGE = ("haproxy-64k",)

CASES = [
    Case("h1-128", "HTTP/1.1 keep-alive, 128 B", latency=True, short=True),
    Case("h1-128-log", "the same with an access log", log=True, short=True),
    Case("h1-1k", "HTTP/1.1 keep-alive, 1 KiB", path="/1k"),
    Case("h1-10k", "HTTP/1.1 keep-alive, 10 KiB", path="/10k"),
    Case("h1-100k", "HTTP/1.1 keep-alive, 100 KiB", path="/100k", short=True, peers=LARGE),
    Case("h1-1m", "HTTP/1.1 keep-alive, 1 MiB", path="/1m", peers=LARGE),
    Case("h1-128-c1", "HTTP/1.1 keep-alive, 128 B", connections=1),
    Case("h1-128-c256", "HTTP/1.1 keep-alive, 128 B", connections=256),
    Case("h1-128-close", "HTTP/1.1, 128 B, a connection for each request", close=True),
    Case("tcp-128", "TCP pass-through, 128 B answers", kind="tcp", latency=True, short=True),
    Case("tcp-100k", "TCP pass-through, 100 KiB answers", kind="tcp", path="/100k", peers=LARGE),
    Case("tcp-128-close", "TCP pass-through, a connection for each 128 B", kind="tcp", close=True),
    Case("tls-128", "HTTP/1.1 over TLS 1.3, 128 B", kind="https"),
    Case("tls-100k", "HTTP/1.1 over TLS 1.3, 100 KiB", kind="https", path="/100k"),
    Case("tls-128-close", "HTTP/1.1, a TLS 1.3 handshake for each 128 B", kind="https", close=True),
    Case("h2-128", "HTTP/2 over TLS 1.3, 128 B, 32 streams each", kind="https",
         connections=16, streams=32),
    Case("h2-10k", "HTTP/2 over TLS 1.3, 10 KiB, 32 streams each", kind="https",
         path="/10k", connections=16, streams=32),
]

SHORT_PROXIES = ["tenbin", "nginx", "haproxy", "null"]
FULL_PROXIES = ["tenbin", "nginx", "haproxy", "nghttpx", "h2o", "null"]
