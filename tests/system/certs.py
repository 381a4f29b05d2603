"""Certificates for a test, made with the openssl command. Files are DIR/NAME.pem and DIR/NAME.key."""

import subprocess


def openssl(*arguments, text=None):
    done = subprocess.run(["openssl", *map(str, arguments)], input=text, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def make(directory, name, *hosts, rsa=False, days=90, issuer=None):
    """A certificate for the hosts (addresses too), signed by itself or by the one called `issuer`. Returns its path."""
    pem, key = directory / f"{name}.pem", directory / f"{name}.key"
    kind = ["-newkey", "rsa:2048"] if rsa else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    names = ",".join(("IP:" if host.replace(".", "").isdigit() else "DNS:") + host for host in hosts or [name])
    signed = ["-CA", directory / f"{issuer}.pem", "-CAkey", directory / f"{issuer}.key"] if issuer else []
    openssl("req", "-x509", *kind, "-nodes", "-keyout", key, "-out", pem, "-days", days, "-subj", f"/CN={name}",
            "-addext", f"subjectAltName={names}", *signed)
    return pem


def subject(pem):
    return openssl("x509", "-noout", "-subject", "-in", pem)
