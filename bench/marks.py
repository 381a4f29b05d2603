"""bench/fixed held at its marks: exactly N requests between go() and the end of it.

    with FixedClient(url, requests=10000) as client:    # connected, warm, waiting
        ... start counting ...
        client.go()                                     # N requests, then waiting again
        ... stop counting ...
"""

import json
import subprocess

from processes import Failure, tool


LOAD = ("requests", "warmup", "connections", "paths", "host_header")


def add_options(parser):
    """The options that say what FixedClient does."""
    parser.add_argument("--requests", type=int, default=10000)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--warmup", type=int, default=2000)
    parser.add_argument("--paths")
    parser.add_argument("--host-header")


def load_of(options):
    """Those options as FixedClient's arguments."""
    return {name: getattr(options, name) for name in LOAD}


class FixedClient:
    def __init__(self, url, requests=10000, warmup=2000, connections=8, paths=None,
                 host_header=None):
        self._argv = [tool("fixed"), "--marks", "--requests", str(requests), "--warmup",
                      str(warmup), "--connections", str(connections)]
        self._argv += ["--paths", str(paths)] if paths else []
        self._argv += ["--host-header", host_header] if host_header else []
        self._argv.append(url)
        self._program = None
        self.result = None

    def __enter__(self):
        self._program = subprocess.Popen(self._argv, text=True, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            self._await("warm")
        except Failure:
            self.__exit__()
            raise
        return self

    def _await(self, mark):
        line = self._program.stdout.readline().strip()  # fixed ends itself when nothing moves
        if line != mark:
            raise Failure(f"fixed failed before \"{mark}\": {self._program.stderr.read().strip()}")

    def _pass(self):
        self._program.stdin.write("\n")
        self._program.stdin.flush()

    def go(self):
        self._pass()
        self._await("done")

    def finish(self):
        """Closes the connections; what fixed reports."""
        self._pass()
        self.result = json.loads(self._program.stdout.readline())
        return self.result

    def __exit__(self, *_):
        if self._program.poll() is None:
            self._program.kill()
        self._program.wait()
        for pipe in (self._program.stdin, self._program.stdout, self._program.stderr):
            pipe.close()
