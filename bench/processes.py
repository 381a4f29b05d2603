"""Starting, pinning, watching and ending the programs of a bench run.

Everything that a run starts is started through a Stage, each program in a session of its own, so
that leaving the Stage (also by an exception or ^C) ends all of it, children included, and removes
its directory. Nothing is left behind and nothing else is touched.
"""

import ctypes
import fcntl
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "release"
TOOLS = BUILD / "bench"


class Failure(Exception):
    """Something that ends the run, said in one line."""


def tool(name):
    """The path of a C tool of bench/."""
    path = TOOLS / name
    if not path.exists():
        raise Failure(f"{path.relative_to(ROOT)} is missing: run `make tools` first")
    return str(path)


def free_port():
    """A port that the kernel says is free. For programs that cannot say which one they got."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def raise_file_limit():
    import resource
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def session_pids(leader):
    """The pids of a program and of all its children."""
    pids = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = pathlib.Path("/proc", entry, "stat").read_text()
        except OSError:
            continue
        if int(stat.rpartition(")")[2].split()[3]) == leader:
            pids.append(int(entry))
    return pids


def kill_session(leader):
    """Ends a program that was started in a session of its own, children included."""
    for pid in session_pids(leader):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def die_with_parent():
    """In a new child: end when the run is killed without a chance to clean up."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def adopt_orphans():
    """Makes grandchildren whose parent was killed our children, so that we can reap them."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_orphans(seconds=2):
    """Waits for children that were killed, ours and adopted ones."""
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            if not os.waitpid(-1, os.WNOHANG)[0]:
                time.sleep(0.01)
    except ChildProcessError:
        pass  # none left


class Stage:
    """Owns the programs of a run and a temporary directory (in memory where there is one)."""

    def __init__(self):
        shared = pathlib.Path("/dev/shm")
        base = shared if os.access(shared, os.W_OK) else None
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="tenbin-bench-", dir=base))
        self._programs = []
        cpus = sorted(os.sched_getaffinity(0))
        self.load_cpu, self.proxy_cpu = (cpus[0], cpus[1]) if len(cpus) > 1 else (None, None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for program in self._programs:
            self.end(program)
        reap_orphans()
        shutil.rmtree(self.directory, ignore_errors=True)

    def spawn(self, argv, cpu=None, **options):
        """Starts argv on one CPU. stderr goes to the stage's log unless options say otherwise."""
        if cpu is not None:
            argv = ["taskset", "-c", str(cpu), *argv]
        if "stderr" not in options:
            options["stderr"] = open(self.directory / "stderr.log", "ab")
        program = subprocess.Popen(argv, start_new_session=True, text=True,
                                   preexec_fn=die_with_parent, **options)
        self._programs.append(program)
        return program

    def end(self, program):
        """Kills a program and its children, and waits for it."""
        kill_session(program.pid)
        program.wait()
        if program.stdout:
            program.stdout.close()

    def errors(self):
        """The last of what the programs wrote to stderr."""
        log = self.directory / "stderr.log"
        return log.read_text(errors="replace")[-2000:].strip() if log.exists() else ""

    def start_tool(self, name, *arguments, cpu=None):
        """Starts a listening C tool and returns (program, port)."""
        argv = [tool(name), "--listen", "127.0.0.1:0", *arguments]
        program = self.spawn(argv, cpu=cpu, stdout=subprocess.PIPE)
        line = program.stdout.readline().strip()
        if not line.isdigit():
            raise Failure(f"{name} did not start: {self.errors()}")
        return program, int(line)

    def run(self, argv, cpu=None, seconds=60):
        """Runs a program to its end: (status, stdout, stderr)."""
        program = self.spawn(argv, cpu=cpu, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, err = program.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{argv[0]} did not end within {seconds} s") from None
        finally:
            self.end(program)
            self._programs.remove(program)
        return program.returncode, out, err


def wait_for_port(port, program, seconds=15):
    """True once something accepts on the port; False when the program ended or time ran out."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and program.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.02)
    return False


# ---- a network of our own ----

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1

SETTINGS = {
    "ipv4/ip_local_port_range": "10240 65001",
    "ipv4/tcp_tw_reuse": "1",
    "ipv4/tcp_max_syn_backlog": "65535",
    "core/somaxconn": "65535",
}


def _set(name, value):
    try:
        pathlib.Path("/proc/sys/net", name).write_text(value)
    except OSError:
        return False
    return pathlib.Path("/proc/sys/net", name).read_text().split() == value.split()


def isolate_network():
    """Moves this process into a network namespace with only a loopback device.

    There the kernel settings of a bench can be made without changing those of the machine, and no
    other program's ports or connections are in the way. Needs root; without it the run goes on in
    the machine's own network. Returns what came of it, for the report.
    """
    isolated = LIBC.unshare(CLONE_NEWNET) == 0
    if isolated:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", IFF_UP, b""))
        for name, value in SETTINGS.items():
            _set(name, value)
        # Pacing (BBR) would measure its timers; without loss cubic and reno do the same.
        _set("ipv4/tcp_congestion_control", "cubic") or _set("ipv4/tcp_congestion_control", "reno")
    state = {name: pathlib.Path("/proc/sys/net", name).read_text().strip()
             for name in [*SETTINGS, "ipv4/tcp_congestion_control"]}
    return {"isolated": isolated, **state}
