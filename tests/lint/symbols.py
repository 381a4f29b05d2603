#!/usr/bin/python3
"""What the objects themselves say (asan build): names of external symbols, I/O in codecs, mutable globals."""

import pathlib
import re
import subprocess
import sys

import source
import tap

# External symbols may also begin with these, each with its reason.
OTHER_PREFIXES = {
    "cli/main.c": ("main",),                     # the C library calls it
    "base/chunk.c": ("chunkpool_", "chunkq_"),   # chunks, and the two things that hold them
    "base/wheel.c": ("timer_",),                 # a timer is what lies on a wheel
    "upstream/link.c": ("upstream_",),           # a worker's part of the layer is its links
    "config/schema_limits.c": ("schema_timeouts_",),  # limits of size and of time
}

# Globals that change, outside server/, each with its reason.
GLOBALS = {
    "base/log.c": ("setup",),  # a log must be reachable from everywhere
}

IO = re.compile(r"^(p?readv?2?|p?writev?2?|(re)?(send|recv)(to|from|msg|mmsg|file)?|socket(pair)?|connect|bind|listen"
                r"|accept4?|open(at|64)?|close|p?poll|p?select|epoll_\w+|ev_\w+|SSL_\w+|BIO_\w+"
                r"|f(open|read|write|puts|putc|close|flush|printf)(64)?|v?d?printf|puts|putchar|perror"
                r"|time|clock_gettime|gettimeofday|(nano|u)?sleep|getrandom|s?random|s?rand|__\w*printf_chk|syscall)$")

# Sections a program may write to once it runs. `.data.rel.ro` is made read-only by the loader.
MUTABLE = re.compile(r"^\.(data|bss|tdata|tbss)(?!\.rel\.ro)(\.|$)|^COMMON$")


def objects(root, build):
    """(object, source as shown) for every object of a source that still exists."""
    top = root / "build" / build / "obj"
    for path in source.files(root, ".c"):
        obj = top / path.relative_to(root / "src").with_suffix(".o")
        yield obj, path


def run(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def symbols(obj, *flags):
    """(name, type) of nm."""
    for line in run("nm", "-P", *flags, str(obj)).splitlines():
        name, kind = line.split()[:2]
        yield name, kind


def short(root, path):
    return str(path.relative_to(root / "src"))


def line_of(path, name):
    """Where a symbol is most likely defined: the last line that starts with no blank and has the name."""
    found = 1
    for number, text in enumerate(path.read_text().splitlines(), 1):
        if re.search(rf"\b{re.escape(name)}\b", text) and not text.startswith((" ", "\t", "/*", "*", "#")):
            found = number
    return found


def stemless_symbols(root, build):
    for obj, path in objects(root, build):
        stem = path.stem
        for name, kind in symbols(obj, "--extern-only", "--defined-only"):
            if name.startswith("__") or kind in "wW":
                continue
            if name != stem and not name.startswith((stem + "_", *OTHER_PREFIXES.get(short(root, path), ()))):
                yield path.relative_to(root), line_of(path, name), f"external symbol {name} does not start with {stem}_"


def codec_io(root, build):
    for obj, path in objects(root, build):
        if source.layer_of(root, path) != "http":
            continue
        for name, _ in symbols(obj, "--undefined-only"):
            plain = name.split("@")[0]
            if IO.match(plain):
                yield path.relative_to(root), line_of(path, plain), f"a codec does no I/O: {plain}"


def mutable_globals(root, build):
    for obj, path in objects(root, build):
        if source.layer_of(root, path) == "server":
            continue
        for name, section in data_symbols(obj):
            if MUTABLE.match(section) and name not in GLOBALS.get(short(root, path), ()):
                yield path.relative_to(root), line_of(path, name.split(".")[0]), f"mutable global {name} in {section}"


def data_symbols(obj):
    """(name, section) of every data symbol the object defines; the sanitizer's own are left out."""
    for line in run("objdump", "-t", str(obj)).splitlines():
        match = re.match(r"^[0-9a-f]+ (.{7}) (\S+)\s+[0-9a-f]+ (?:\.hidden )?(\S+)$", line)
        if match and "O" in match.group(1) and not match.group(3).startswith(("__", ".L", "*.L")):
            yield match.group(3), match.group(2)


def main(root, build):
    missing = [obj for obj, _ in objects(root, build) if not obj.exists()]
    if missing:
        print(f"Bail out! {missing[0]} is not built")
        return 2
    report = tap.Report()
    report.rule("external_symbols_start_with_their_files_stem", stemless_symbols(root, build))
    report.rule("codecs_do_no_io", codec_io(root, build))
    report.rule("no_mutable_globals_outside_server", mutable_globals(root, build))
    return report.finish()


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve(),
                  sys.argv[2] if len(sys.argv) > 2 else "asan"))
