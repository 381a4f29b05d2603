#!/usr/bin/python3
"""Which file may include what: layer arrows, one includer a library, OpenSSL only where it is wrapped."""

import pathlib
import re
import sys

import source
import tap

ONE_INCLUDER = ("http_parser.h", "nghttp2.h", "yaml.h", "ares.h")
OPENSSL_HOME = re.compile(r"^(src|include)/net/(tls|crypto)[a-z0-9_]*\.[ch]$")


def foreign_arrows(root):
    for path in source.files(root, ".c", ".h"):
        layer = source.layer_of(root, path)
        if layer not in source.LAYERS:
            yield path.relative_to(root), 1, f"no layer is called {layer}"
            continue
        for line, name, quoted in source.includes(path):
            if quoted and not arrow_allowed(root, layer, path, name):
                yield path.relative_to(root), line, f"{layer} may not include \"{name}\""


def arrow_allowed(root, layer, path, name):
    """A header names its layer; one beside the .c file is private to it and belongs to the same layer."""
    if "/" not in name:
        return (path.parent / name).exists()
    if name in source.EXTRA.get(layer, ()):
        return True
    return name.split("/")[0] in source.LAYERS[layer] and (root / "include" / name).exists()


def second_includers(root):
    for header in ONE_INCLUDER:
        users = [(path.relative_to(root), line)
                 for path in source.files(root, ".c", ".h")
                 for line, name, _ in source.includes(path) if name.split("/")[-1] == header]
        for path, line in users[1:]:
            yield path, line, f"{header} has its includer already: {users[0][0]}"


def stray_openssl(root):
    for path in source.files(root, ".c", ".h"):
        where = path.relative_to(root)
        for line, name, _ in source.includes(path):
            if name.startswith("openssl/") and not OPENSSL_HOME.match(str(where)):
                yield where, line, "OpenSSL belongs to net/tls* and net/crypto*"


def main(root):
    report = tap.Report()
    report.rule("layers_include_only_what_is_below_them", foreign_arrows(root))
    report.rule("parser_libraries_have_one_includer_each", second_includers(root))
    report.rule("openssl_stays_in_net_tls_and_net_crypto", stray_openssl(root))
    return report.finish()


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()))
