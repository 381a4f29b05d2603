"""The C sources as the lint scripts see them: files by layer, code without comments, functions, includes."""

import pathlib
import re

LAYERS = {
    "base": {"base"},
    "net": {"base", "net"},
    "http": {"base", "http"},
    "config": {"base", "config"},
    "upstream": {"base", "net", "http", "config", "upstream"},
    "proxy": {"base", "net", "http", "config", "upstream", "proxy"},
    "server": {"base", "net", "http", "config", "upstream", "proxy", "server"},
    "cli": {"base", "net", "http", "config", "upstream", "proxy", "server", "cli"},
}
# Single headers a layer may see beyond its row.
EXTRA = {"config": {"net/addr.h"}}

TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def files(root, *suffixes):
    """Every source under src/ and include/ with one of the suffixes, sorted."""
    root = pathlib.Path(root)
    found = [p for top in ("src", "include") for p in (root / top).rglob("*") if p.suffix in suffixes]
    return sorted(found)


def layer_of(root, path):
    """`src/net/conn.c` is of layer net."""
    return path.relative_to(root).parts[1]


def code(path):
    """The text with comments and the insides of literals blanked, line numbers kept."""
    def blank(match):
        token = match.group(0)
        kept = "".join(c if c == "\n" else " " for c in token)
        return kept if token[0] == "/" else token[0] + kept[1:-1] + token[-1]
    return TOKEN.sub(blank, path.read_text())


def comments(path):
    """The text of the comments alone, line numbers kept."""
    text = path.read_text()
    kept = ["\n" if c == "\n" else " " for c in text]
    for match in TOKEN.finditer(text):
        if match.group(0)[0] == "/":
            kept[match.start():match.end()] = match.group(0)
    return "".join(kept)


def includes(path):
    """(line, name, quoted) of every #include."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
        if match:
            yield number, match.group(2), match.group(1) == '"'


def functions(text):
    """(name, first line, lines) of each function in clang-format's layout: `{` and `}` in column one."""
    lines = text.splitlines()
    start = None
    for number, line in enumerate(lines):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            yield function_name(lines, start), start + 1, lines[start + 1:number]
            start = None


def function_name(lines, brace):
    """The name in the signature that ends right above the opening brace."""
    signature = ""
    for line in reversed(lines[max(0, brace - 8):brace]):
        if not line.strip() or line.rstrip().endswith((";", "}")):
            break
        signature = line.strip() + " " + signature
    match = re.search(r"([A-Za-z_]\w*)\s*\(", signature)
    return match.group(1) if match else "?"
