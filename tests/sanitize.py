"""Sanitizer settings of every test run: stop at the first report, leaks included, nothing suppressed."""

import os
import pathlib

OPTIONS = {
    "ASAN_OPTIONS": "abort_on_error=1:exitcode=99:detect_leaks=1:detect_stack_use_after_return=1"
                    ":strict_string_checks=1:check_initialization_order=1:allow_user_segv_handler=0",
    "LSAN_OPTIONS": "exitcode=99",
    "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:exitcode=99:second_deadlock_stack=1",
}

# What a report starts with, whatever the sanitizer. Our own CHECK() counts as one.
REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer",
           "runtime error:", "UndefinedBehaviorSanitizer", "tenbin: BUG:", "FATAL: ThreadSanitizer")


def environment():
    """A copy of the environment with the settings above in it."""
    return {**os.environ, **OPTIONS}


def prefix():
    """What to put before a command: gcc 12's sanitizers lose their shadow to a very random address space."""
    bits = pathlib.Path("/proc/sys/vm/mmap_rnd_bits")
    return ["setarch", "-R"] if bits.exists() and int(bits.read_text()) > 28 else []


def report_in(text):
    """The first line of a sanitizer's report in what a program wrote, or None."""
    for line in text.splitlines():
        if any(mark in line for mark in REPORTS):
            return line
    return None
