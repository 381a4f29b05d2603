#!/usr/bin/python3
"""Runs the tests of tenbin.

    tests/run.py all                       what `make test` runs: builds, every suite, the gates
    tests/run.py unit|sim|replay|lint [--build asan]
    tests/run.py system [--build asan] [-k EXPRESSION]

One line a suite while it goes, then what failed, then `N passed, N failed` as the last line.
A case is a cmocka test, a corpus file, a lint rule or a pytest test. Nothing is skipped: a skip
counts as a failure, and so do a crash, a hang and a suite that ran nothing.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import sanitize

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORES = len(os.sched_getaffinity(0))
PROGRAM_SECONDS = 180       # a unit test, simulation, lint script or corpus replay
SYSTEM_FILE_SECONDS = 420   # one file of system tests
BUILD_SECONDS = 600
REPLAY_BATCH = 200          # corpus files a process
WAITERS = 2 * CORES         # files of system tests at once: most of their time they wait

LINT = ("layers", "symbols", "banned", "selftest")


class Result:
    """What one program or test file came to."""

    def __init__(self, passed=0, failed=0, report=""):
        self.passed, self.failed, self.report = passed, failed, report


class Suite:
    """Jobs that count together. A job is a function that returns a Result."""

    def __init__(self, name, jobs, parallel=CORES):
        self.name, self.jobs, self.parallel = name, jobs, parallel


class Finished:
    """A program that ended, or was ended at its limit."""

    def __init__(self, code, output):
        self.code, self.output = code, output


def execute(argv, seconds, env=None):
    """Runs a program in a session of its own, so that at the limit all it started ends with it."""
    process = subprocess.Popen([str(a) for a in argv], cwd=ROOT, env=env or sanitize.environment(), text=True,
                               errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=seconds)
        return Finished(process.returncode, output)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return Finished(None, f"{output}\n*** no end after {seconds} s\n")


def build(name, *goals):
    """Builds one flavour; what make said comes out only when it failed."""
    def job():
        done = execute(["make", f"-j{CORES}", f"BUILD={name}", *goals], BUILD_SECONDS, dict(os.environ))
        if done.code == 0:
            return Result(passed=0)
        return Result(failed=1, report=done.output)
    return Suite(f"build {name}", [job])


# --- programs that answer in TAP: cmocka tests, simulations, lint scripts

def tap_cases(output):
    """(passed, failed) of a TAP answer; a plan not kept is failures."""
    planned = sum(int(n) for n in re.findall(r"^1\.\.(\d+)", output, re.M))
    passed = failed = 0
    for line in output.splitlines():
        if re.match(r"ok \d+", line) and not re.search(r"#\s*(skip|todo)", line, re.I):
            passed += 1
        elif re.match(r"(not ok|ok) \d+", line):
            failed += 1
    return passed, failed + max(0, planned - passed - failed)


def tap_job(argv):
    def job():
        done = execute([*sanitize.prefix(), *argv], PROGRAM_SECONDS,
                       {**sanitize.environment(), "CMOCKA_MESSAGE_OUTPUT": "TAP"})
        passed, failed = tap_cases(done.output)
        if (done.code != 0 and not failed) or passed + failed == 0:
            failed += 1
        header = f"--- {' '.join(str(a) for a in argv)}: exit code {done.code}\n"
        return Result(passed, failed, header + done.output if failed else "")
    return job


def programs(build_name, kind, pattern):
    """The test programs that the sources ask for, whether or not they were built."""
    for path in sorted((ROOT / "tests" / kind).glob(pattern)):
        yield ROOT / "build" / build_name / kind / path.relative_to(ROOT / "tests" / kind).with_suffix("")


def unit_suite(build_name):
    return Suite(f"unit {build_name}", [tap_job([p]) for p in programs(build_name, "unit", "*/test_*.c")])


def sim_suite(build_name):
    return Suite(f"sim {build_name}", [tap_job([p]) for p in programs(build_name, "sim", "sim_*.c")])


def lint_suite():
    scripts = [[sys.executable, ROOT / "tests/lint" / f"{name}.py"] for name in LINT]
    return Suite("lint", [tap_job(argv if argv[1].stem == "selftest" else [*argv, ROOT]) for argv in scripts])


# --- fuzz corpora, replayed

def replay_suite(build_name):
    jobs = []
    for source in sorted((ROOT / "tests/fuzz").glob("fuzz_*.c")):
        target = source.stem.removeprefix("fuzz_")
        files = sorted(p for p in (ROOT / "tests/fuzz/corpus" / target).rglob("*") if p.is_file())
        program = ROOT / "build" / build_name / "fuzz" / target
        if not files:
            jobs.append(lambda target=target: Result(failed=1, report=f"--- no corpus for {target}\n"))
        jobs += [replay_job(program, files[i:i + REPLAY_BATCH]) for i in range(0, len(files), REPLAY_BATCH)]
    return Suite(f"replay {build_name}", jobs)


def replay_job(program, files):
    """All files in one process; only when that fails, each alone, to name the ones that break it."""
    def job():
        replayer = [*sanitize.prefix(), program]
        if execute([*replayer, *files], PROGRAM_SECONDS).code == 0:
            return Result(passed=len(files))
        broken = [(file, done) for file in files if (done := execute([*replayer, file], PROGRAM_SECONDS)).code != 0]
        report = "".join(f"--- {program} {file}: exit code {done.code}\n{done.output}" for file, done in broken)
        failed = max(1, len(broken))
        report = report or f"--- {program}: fails on the whole corpus, on no file alone\n"
        return Result(len(files) - failed, failed, report)
    return job


# --- system tests: one pytest a file

def system_suite(build_name, marks, expression=None, extra=()):
    """Those of the release build count instructions and memory: one at a time a core."""
    files = sorted((ROOT / "tests/system").glob("test_*.py"), key=long_first)
    jobs = [pytest_job(file, build_name, marks, expression, extra) for file in files]
    return Suite(f"system {build_name}", jobs, CORES if build_name == "release" else WAITERS)


def long_first(path):
    """Long files begin first, so that the last to end is short."""
    long = ["test_discovery_dns.py", "test_autoshift.py", "test_anomalies.py", "test_h2.py", "test_timeouts.py",
            "test_cpu_idle.py", "test_connection_log.py", "test_certificate_files.py", "test_bad_input.py",
            "test_back_h2.py", "test_stop.py", "test_tls.py", "test_cost.py", "test_tls_memory.py"]
    return (long.index(path.name) if path.name in long else len(long), path.name)


def pytest_job(file, build_name, marks, expression, extra):
    def job():
        with tempfile.TemporaryDirectory(prefix="tenbin-run-") as scratch:
            record = pathlib.Path(scratch) / "cases"
            env = {**sanitize.environment(), "TENBIN_BIN": str(ROOT / "build" / build_name / "tenbin"),
                   "TENBIN_CASES": str(record), "PYTHONDONTWRITEBYTECODE": "1"}
            argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "-m", marks, *extra]
            argv += ["-k", expression] if expression else []
            done = execute([*argv, file], SYSTEM_FILE_SECONDS, env)
            return pytest_result(file, done, record)
    return job


def pytest_result(file, done, record):
    """Counts from what conftest.py wrote case by case, so that a crash loses nothing."""
    collected, outcomes = 0, {}
    for line in record.read_text().splitlines() if record.exists() else ():
        entry = json.loads(line)
        if "collected" in entry:
            collected = entry["collected"]
        else:
            passed_so_far = outcomes.get(entry["case"], True)
            outcomes[entry["case"]] = passed_so_far and entry["outcome"] == "passed"
    passed = sum(outcomes.values())
    failed = max(collected, len(outcomes)) - passed
    if done.code not in (0, 5) and not failed:
        failed = 1
    return Result(passed, failed, f"--- {file.relative_to(ROOT)}: exit code {done.code}\n{done.output}" if failed else "")


# --- running

def run_suite(suite, total):
    """One line; the reports of what failed are kept for the end."""
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(max_workers=suite.parallel) as pool:
        results = list(pool.map(lambda job: job(), suite.jobs))
    passed, failed = sum(r.passed for r in results), sum(r.failed for r in results)
    if passed + failed == 0 and not suite.name.startswith("build"):
        failed = 1
        results.append(Result(report=f"--- {suite.name}: ran no tests\n"))
    total.passed += passed
    total.failed += failed
    total.report += "".join(r.report for r in results)
    verdict = f"{passed} passed" + (f", {failed} FAILED" if failed else "") if passed + failed else "done"
    print(f"{suite.name:<18} {verdict:<28} {time.monotonic() - begin:6.1f} s", flush=True)
    return failed == 0


def run_all(total):
    """Everything. A flavour that does not build cannot be tested, the others still are."""
    if run_suite(build("asan", "all-tests"), total):
        run_suite(lint_suite(), total)
        print(execute([sys.executable, ROOT / "tests/lint/trends.py", ROOT], 60).output, end="")
        for suite in (unit_suite("asan"), sim_suite("asan"), replay_suite("asan"), system_suite("asan", "not release")):
            run_suite(suite, total)
    if run_suite(build("tsan", "all"), total):
        run_suite(system_suite("tsan", "tsan"), total)
    if run_suite(build("release", "all", "tools"), total):
        run_suite(system_suite("release", "release"), total)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["all", "unit", "sim", "replay", "lint", "system"])
    parser.add_argument("--build", default="asan")
    parser.add_argument("-k", dest="expression", default=None, help="system: pytest's expression")
    return parser.parse_args()


def main():
    args, total = arguments(), Result()
    begin = time.monotonic()
    if args.what == "all":
        run_all(total)
    elif args.what == "system":
        marks = {"release": "release", "tsan": "tsan"}.get(args.build, "not release")
        run_suite(system_suite(args.build, marks, args.expression), total)
    else:
        suite = {"unit": unit_suite, "sim": sim_suite, "replay": replay_suite}.get(args.what)
        run_suite(suite(args.build) if suite else lint_suite(), total)
    if total.report:
        print(f"\n{total.report}")
    print(f"in {time.monotonic() - begin:.0f} s")
    print(f"{total.passed} passed, {total.failed} failed", flush=True)
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
