"""A certificate authority for a test, by the openssl command: it issues, revokes, signs its list of what is
revoked, and answers for a certificate (OCSP). Its own certificate is DIR/NAME.pem, those it issues DIR/THEIR.pem with DIR/THEIR.key."""

import datetime

import certs

CONFIG = """
[ca]
default_ca = this
[this]
database = {home}/index.txt
new_certs_dir = {home}
certificate = {pem}
private_key = {key}
serial = {home}/serial
crlnumber = {home}/crlnumber
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
C = optional
ST = optional
O = optional
OU = optional
CN = supplied
"""


def date(days):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days, minutes=-5)
    return when.strftime("%Y%m%d%H%M%SZ")


class Authority:
    def __init__(self, directory, name="authority", issuer=None):
        self.directory, self.name = directory, name
        self.pem, self.key = directory / f"{name}.pem", directory / f"{name}.key"
        if issuer:
            issuer.issue(name, usage=None, ca=True)
        else:
            self.request(name, f"/O=tenbin tests/CN={name}", "basicConstraints=critical,CA:TRUE", "-x509", "-days", "90")
        self.home = directory / f"{name}.home"
        self.home.mkdir()
        (self.home / "index.txt").write_text("")
        (self.home / "serial").write_text("03A5B1\n")
        (self.home / "crlnumber").write_text("01\n")
        self.config = self.home / "ca.conf"
        self.config.write_text(CONFIG.format(home=self.home, pem=self.pem, key=self.key))

    def request(self, name, subject, extension, *more, key=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
        out = self.directory / f"{name}.pem" if "-x509" in more else self.directory / f"{name}.csr"
        certs.openssl("req", "-utf8", "-new", "-newkey", *key, "-nodes", "-keyout", self.directory / f"{name}.key",
                      "-out", out, "-subj", subject, "-addext", extension, *more)
        return out

    def issue(self, name, begin=0, end=90, usage="clientAuth", ca=False, subject=None, extra=None, **keywords):
        """A certificate valid from `begin` to `end`, in days from now. Returns its path."""
        extension = f"basicConstraints=critical,CA:{str(ca).upper()}"
        more = ["-addext", f"extendedKeyUsage={usage}"] if usage else []
        more += ["-addext", extra] if extra else []
        csr = self.request(name, subject or f"/C=JP/O=tenbin/CN={name}", extension, *more, **keywords)
        pem = self.directory / f"{name}.pem"
        certs.openssl("ca", "-batch", "-config", self.config, "-in", csr, "-out", pem, "-notext", "-preserveDN",
                      "-startdate", date(begin), "-enddate", date(end))
        return pem

    def revoke(self, name):
        certs.openssl("ca", "-batch", "-config", self.config, "-revoke", self.directory / f"{name}.pem")

    def revocations(self, name="crl", begin=0, end=30):
        pem = self.directory / f"{name}.pem"
        certs.openssl("ca", "-batch", "-config", self.config, "-gencrl", "-out", pem,
                      "-crl_lastupdate", date(begin), "-crl_nextupdate", date(end))
        return pem

    def answer(self, name, days=1):
        """An OCSP response for the certificate, in DER, good for so many days from now."""
        out = self.directory / f"{name}.ocsp"
        certs.openssl("ocsp", "-index", self.home / "index.txt", "-rsigner", self.pem, "-rkey", self.key, "-CA", self.pem,
                      "-issuer", self.pem, "-cert", self.directory / f"{name}.pem", "-respout", out, "-ndays", days)
        return out
