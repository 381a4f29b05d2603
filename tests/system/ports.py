"""Ports for listeners under test.

A port must be known before tenbin binds it, so one from bind(0) could be taken in between by any
outgoing connection. These come from outside the kernel's ephemeral range, in blocks of which each
test process locks its own, and are tried with a bind first.
"""

import fcntl
import os
import pathlib
import socket
import tempfile

BLOCK = 64
LOCKS = pathlib.Path(tempfile.gettempdir()) / f"tenbin-ports.{os.getuid()}"


def ephemeral():
    low, high = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    return range(int(low), int(high) + 1)


class Ports:
    """Blocks locked by this process, handed out one port at a time, round and round."""

    def __init__(self):
        self.files, self.free, self.given = [], [], set()
        LOCKS.mkdir(exist_ok=True)

    def take(self):
        """A port that could be bound a moment ago and was not given before."""
        while True:
            if not self.free:
                self.lock_block()
            port = self.free.pop(0)
            if bindable(port):
                return port

    def lock_block(self):
        taken = ephemeral()
        outside = [p for p in range(10240, 65536 - BLOCK, BLOCK) if p not in taken and p + BLOCK - 1 not in taken]
        for begin in outside or range(10240, 65536 - BLOCK, BLOCK):
            if begin in self.given:
                continue
            file = open(LOCKS / str(begin), "w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                continue
            self.files.append(file)
            self.given.add(begin)
            self.free = list(range(begin, begin + BLOCK))
            return
        self.given.clear()
        self.files.clear()


def bindable(port):
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True
