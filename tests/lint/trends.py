#!/usr/bin/python3
"""Figures that are looked at and never gate: function lengths, checks a function, long files."""

import pathlib
import re
import sys

import source


def percentile(sorted_values, share):
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]


def main(root):
    lengths, checks, sizes = [], 0, []
    for path in source.files(root, ".c"):
        text = source.code(path)
        sizes.append((text.count("\n"), path.relative_to(root)))
        for name, line, body in source.functions(text):
            lengths.append((len(body), f"{path.relative_to(root)}:{line} {name}"))
            checks += len(re.findall(r"\bCHECK\w*\s*\(", "\n".join(body)))
    if not lengths:
        return 0
    lines = sorted(length for length, _ in lengths)
    over = sum(1 for length in lines if length > 50)
    print(f"trend: {len(lines)} functions, median {percentile(lines, 0.5)} lines, p95 {percentile(lines, 0.95)}, "
          f"{100 * over / len(lines):.1f} % over 50, {checks / len(lines):.2f} checks a function")
    print("trend: longest functions: " + ", ".join(f"{what} ({length})" for length, what in sorted(lengths)[:-4:-1]))
    print("trend: longest files: " + ", ".join(f"{what} ({length})" for length, what in sorted(sizes)[:-4:-1]))
    return 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()))
