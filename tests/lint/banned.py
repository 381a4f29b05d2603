#!/usr/bin/python3
"""What no source may contain: calls without bounds or errors, struct typedefs, fat vtables, unfinished work."""

import pathlib
import re
import sys

import source
import tap

CALLS = re.compile(r"(?<![\w.>])(strcpy|strncpy|stpcpy|strcat|strncat|v?sprintf|gets|atoi|atol|atoll|atof|strtok|rand|srand|random"
                   r"|alloca|setjmp|longjmp|signal|system|popen|gethostbyname|inet_ntoa|localtime|gmtime|ctime|asctime)\s*\(")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|\bfor now\b|not (yet )?implemented", re.I)
VTABLE_MAX = 6


def lines_matching(root, pattern, text_of, what):
    for path in source.files(root, ".c", ".h"):
        for number, line in enumerate(text_of(path).splitlines(), 1):
            for match in pattern.finditer(line):
                yield path.relative_to(root), number, what.format(match.group(1) if match.lastindex else match.group(0))


def fat_vtables(root):
    """A struct that has more function pointers than VTABLE_MAX."""
    for path in source.files(root, ".c", ".h"):
        text = source.code(path)
        for match in re.finditer(r"\bstruct\s+(\w+)\s*\{(.*?)\n\}", text, re.S):
            count = len(re.findall(r"\(\s*\*\s*(?:const\s+)?\w+\s*\)\s*\(", match.group(2)))
            if count > VTABLE_MAX:
                line = text.count("\n", 0, match.start()) + 1
                yield path.relative_to(root), line, f"struct {match.group(1)} has {count} functions, {VTABLE_MAX} at most"


def main(root):
    report = tap.Report()
    report.rule("no_banned_calls", lines_matching(root, CALLS, source.code, "{}() is banned"))
    report.rule("no_struct_typedefs",
                lines_matching(root, re.compile(r"\btypedef\s+(?:struct|union)\b"), source.code, "a struct goes by its own name"))
    report.rule("no_unfinished_work",
                lines_matching(root, UNFINISHED, source.comments, "unfinished: {}"))
    report.rule("vtables_have_at_most_six_functions", fat_vtables(root))
    return report.finish()


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()))
