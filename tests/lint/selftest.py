#!/usr/bin/python3
"""Every lint rule is shown a tree that breaks it, and one that does not: a rule that cannot fail is no rule."""

import contextlib
import io
import pathlib
import subprocess
import sys
import tempfile

import banned
import layers
import symbols
import tap

GOOD = {
    "include/base/thing.h": "struct thing_ops {\n    int (*a)(int);\n};\nint thing_a(void);\n",
    "src/base/thing.c": '#include "base/thing.h"\nstatic const char *const names[] = {"a", "b"};\n'
                        "int thing_a(void)\n{\n    return names[0][0];\n}\n",
    "src/server/state.c": "int state_of;\n",
    "include/net/addr.h": "",
    "src/config/load.c": '#include "net/addr.h"\n#include <yaml.h>\n',
    "src/net/tls_ctx.c": "#include <openssl/ssl.h>\n",
}

# What is added to the good tree, and the one rule that must then fail at that file.
BAD = {
    "layers_include_only_what_is_below_them": ("src/base/up.c", '#include "net/addr.h"\n'),
    "parser_libraries_have_one_includer_each": ("src/proxy/second.c", "#include <yaml.h>\n"),
    "openssl_stays_in_net_tls_and_net_crypto": ("src/net/conn.c", "#include <openssl/err.h>\n"),
    "external_symbols_start_with_their_files_stem": ("src/net/conn.c", "int open_conn(void);\nint open_conn(void)\n{\n    return 1;\n}\n"),
    "codecs_do_no_io": ("src/http/codec.c", "#include <unistd.h>\nlong codec_a(int fd);\nlong codec_a(int fd)\n{\n    char c;\n    return read(fd, &c, 1);\n}\n"),
    "no_mutable_globals_outside_server": ("src/net/conn.c", "int conn_a(void);\nint conn_a(void)\n{\n    static int n;\n    return n++;\n}\n"),
    "no_banned_calls": ("src/net/conn.c", "#include <stdlib.h>\nint conn_a(const char *s);\nint conn_a(const char *s)\n{\n    return atoi(s);\n}\n"),
    "no_struct_typedefs": ("include/net/conn.h", "typedef struct conn conn_t;\n"),
    "no_unfinished_work": ("src/net/conn.c", "/* TO" "DO: all of it */\n"),
    "vtables_have_at_most_six_functions": ("include/net/conn.h", "struct conn_ops {\n" + "".join(f"    int (*f{i})(int);\n" for i in range(7)) + "};\n"),
}


def plant(root, tree):
    for name, text in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if path.suffix == ".c":
            obj = (root / "build/asan/obj" / path.relative_to(root / "src")).with_suffix(".o")
            obj.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["gcc", "-O1", "-fsanitize=address", f"-I{root}/include", "-c", path, "-o", obj], check=True)


def broken_rules(root):
    """rule -> the places that each script printed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        layers.main(root)
        symbols.main(root, "asan")
        banned.main(root)
    rules, current = {}, None
    for line in out.getvalue().splitlines():
        if line.startswith("not ok"):
            current = line.split(" - ")[1]
            rules[current] = []
        elif line.startswith("#") and current:
            rules[current].append(line)
    return rules


def complaints(extra, expected):
    """What is wrong with the lint on the good tree plus `extra`; expected = {rule: file}."""
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name).resolve()
        plant(root, {**GOOD, **extra})
        found = broken_rules(root)
    for rule in found.keys() ^ expected.keys():
        yield "tests/lint/selftest.py", 1, f"{rule}: {'fired' if rule in found else 'did not fire'}: {found.get(rule)}"
    for rule, file in expected.items():
        if not all(f"{file}:" in place for place in found.get(rule, [file + ":"])):
            yield "tests/lint/selftest.py", 1, f"{rule}: did not name {file}: {found[rule]}"


def main():
    report = tap.Report()
    report.rule("a_clean_tree_breaks_no_rule", list(complaints({}, {})))
    for rule, (file, text) in BAD.items():
        report.rule(f"{rule}_fires", list(complaints({file: text}, {rule: file})))
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
