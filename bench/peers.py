"""The proxies of the comparison and their configurations.

Each is tuned as its own manuals advise and set to do the same work: one worker, keep-alive on both
sides with ample limits, two targets in turn, no header of its own where it can be told so, the same
cipher and certificate, no access log unless the case asks for one (then buffered, where it can
buffer). A proxy runs once for each kind of listener and log setting and is left idle between turns.
"""

import dataclasses
import os
import pathlib
import shutil
import subprocess

import processes
from processes import BUILD, Failure


@dataclasses.dataclass
class Setup:
    """What one instance of a proxy is to do."""
    kind: str                    # http, https (HTTP/1.1 and HTTP/2 by ALPN) or tcp
    log: bool
    port: int
    targets: list                # "ip:port"
    directory: pathlib.Path      # its own
    certificate: pathlib.Path    # certificate and key in PEM, apart and together
    key: pathlib.Path
    both: pathlib.Path
    single_process: bool = False  # for callgrind

    def file(self, name, text):
        path = self.directory / name
        path.write_text(text)
        return str(path)

    @property
    def log_path(self):
        return self.directory / "access.log"


def tenbin(setup):
    protocol = "tcp" if setup.kind == "tcp" else "http"
    listener = ""
    if setup.kind == "https":
        listener += f"    certificates: [{{certificate: {setup.certificate}, key: {setup.key}}}]\n"
    if setup.kind != "tcp":
        # As the others: no X-Forwarded-For, Host as it came.
        listener += ("    attributes: {xff_header_processing: preserve,"
                     " preserve_host_header: true, idle_timeout: 600s}\n")
    log = f"access_log: {{path: {setup.log_path}, format: json}}\n" if setup.log else ""
    targets = ", ".join(f'"{target}"' for target in setup.targets)
    config = setup.file("tenbin.yaml", f"""\
workers: 1
admin: {{listen: "127.0.0.1:{processes.free_port()}"}}
{log}\
listeners:
  - name: bench
    listen: "127.0.0.1:{setup.port}"
    protocol: {setup.kind}
{listener}\
    default_action: {{forward: app}}
target_groups:
  - name: app
    protocol: {protocol}
    targets: [{targets}]
""")
    binary = str(BUILD / "tenbin")
    check = subprocess.run([binary, "check", "-c", config], text=True, capture_output=True)
    if check.returncode != 0:
        lines = (check.stderr or check.stdout).strip().splitlines()
        raise Failure(lines[0] if lines else f"`tenbin check` ended with {check.returncode}")
    return [binary, "run", "-c", config]


NGINX_HTTP = """\
http {
  %(log)s
  tcp_nodelay on;  server_tokens off;  types {}  default_type application/octet-stream;
  keepalive_timeout 600s;  keepalive_requests 1000000000;  keepalive_time 24h;
  client_header_buffer_size 4k;  client_body_buffer_size 64k;  client_max_body_size 0;
  client_body_temp_path t;  proxy_temp_path t;  fastcgi_temp_path t;  uwsgi_temp_path t;
  scgi_temp_path t;
  upstream be { %(targets)s
    keepalive 512; keepalive_requests 1000000000; keepalive_timeout 600s; keepalive_time 24h; }
  proxy_http_version 1.1;  proxy_set_header Connection "";  proxy_set_header Host $http_host;
  proxy_buffer_size 16k;  proxy_buffers 8 64k;  proxy_busy_buffers_size 128k;
  proxy_max_temp_file_size 0;  proxy_request_buffering off;  proxy_read_timeout 600s;
  %(tls)s
  server { listen 127.0.0.1:%(port)d %(options)s reuseport backlog=4096;
    location / { proxy_pass http://be; } }
}
"""

NGINX_TLS = """\
  ssl_certificate %s;  ssl_certificate_key %s;
  ssl_protocols TLSv1.2 TLSv1.3;  ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
  ssl_ecdh_curve X25519:prime256v1;  ssl_session_cache off;  ssl_session_tickets on;
  ssl_buffer_size 16k;  http2_max_concurrent_streams 256;  http2_chunk_size 16k;
"""

NGINX_STREAM = """\
stream {
  %(log)s
  upstream tbe { %(targets)s }
  server { listen 127.0.0.1:%(port)d reuseport backlog=4096;
    tcp_nodelay on;  proxy_buffer_size 64k;  proxy_timeout 600s;  proxy_pass tbe; }
}
"""


def nginx_log(setup):
    if not setup.log:
        return "access_log off;"
    where = f"{setup.log_path} %s buffer=64k flush=1s;"
    if setup.kind == "tcp":
        shape = "$remote_addr [$time_local] $protocol $status $bytes_sent $bytes_received"
        return f'log_format tcp "{shape} $session_time $upstream_addr"; access_log ' + where % "tcp"
    return "access_log " + where % "combined"


def nginx(setup):
    values = {
        "log": nginx_log(setup),
        "targets": " ".join(f"server {target} max_fails=0;" for target in setup.targets),
        "port": setup.port,
        "tls": NGINX_TLS % (setup.certificate, setup.key) if setup.kind == "https" else "",
        "options": "ssl http2" if setup.kind == "https" else "",
    }
    module = "/usr/lib/nginx/modules/ngx_stream_module.so"
    if setup.kind == "tcp" and not pathlib.Path(module).exists():
        raise Failure("its stream module is not installed (libnginx-mod-stream)")
    (setup.directory / "t").mkdir(exist_ok=True)
    config = setup.file("nginx.conf", "".join([
        f"load_module {module};\n" if setup.kind == "tcp" else "",
        "worker_processes 1;  daemon off;  pid nginx.pid;  error_log stderr crit;\n",
        "master_process off;\n" if setup.single_process else "",
        "events { use epoll; worker_connections 8192; multi_accept on; accept_mutex off; }\n",
        (NGINX_STREAM if setup.kind == "tcp" else NGINX_HTTP) % values,
    ]))
    return ["nginx", "-p", str(setup.directory), "-e", "stderr", "-c", config]


HAPROXY = """\
global
  nbthread 1
  maxconn 6144
  tune.bufsize %(bufsize)d
  tune.pipesize 524288
  tune.h2.max-concurrent-streams 256
  tune.idle-pool.shared on
  ssl-default-bind-options ssl-min-ver TLSv1.2
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
  ssl-default-bind-curves X25519:P-256
  %(log_global)s
defaults
  mode %(mode)s
  %(log_defaults)s
  option splice-auto
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  %(http)s
frontend front
  bind 127.0.0.1:%(port)d shards by-thread backlog 4096 %(tls)s
  default_backend be
backend be
  balance roundrobin
  default-server pool-max-conn -1 pool-purge-delay 60s pool-low-conn 4
%(targets)s
"""

HAPROXY_HTTP = """\
option http-keep-alive
  http-reuse always
  timeout http-keep-alive 600s
  timeout http-request 60s
"""


def haproxy(setup, bufsize=16384):
    tcp = setup.kind == "tcp"
    option = "option tcplog" if tcp else "option httplog"
    config = setup.file("haproxy.cfg", HAPROXY % {
        "bufsize": bufsize,
        "log_global": "log stdout len 1024 format raw local0 info" if setup.log else "",
        "log_defaults": f"log global\n  {option}" if setup.log else "",
        "mode": "tcp" if tcp else "http",
        "http": "" if tcp else HAPROXY_HTTP,
        "port": setup.port,
        "tls": f"ssl crt {setup.both} alpn h2,http/1.1" if setup.kind == "https" else "",
        "targets": "\n".join(f"  server s{i} {t}" for i, t in enumerate(setup.targets)),
    })
    return ["haproxy", "-db", "-f", config]


def haproxy_64k(setup):
    """Larger buffers: they help HAProxy with large bodies and cost it elsewhere."""
    return haproxy(setup, bufsize=65536)


def nghttpx(setup):
    ends = [f"backend={target.replace(':', ',')};/;proto=http/1.1" for target in setup.targets]
    tls = "" if setup.kind == "https" else ";no-tls"
    log = [f"accesslog-file={setup.log_path}"] if setup.log else []
    config = setup.file("nghttpx.conf", "\n".join([
        "single-process=yes" if setup.single_process else "single-thread=yes",
        f"frontend=127.0.0.1,{setup.port}{tls}", *ends,
        f"private-key-file={setup.key}", f"certificate-file={setup.certificate}",
        "tls13-ciphers=TLS_AES_128_GCM_SHA256", "ecdh-curves=X25519:P-256",
        "tls-dyn-rec-warmup-threshold=0", "no-ocsp=yes", "no-via=yes",
        "no-add-x-forwarded-proto=yes", "no-server-rewrite=yes", "no-location-rewrite=yes",
        "frontend-http2-max-concurrent-streams=256", "frontend-keep-alive-timeout=600s",
        "backend-keep-alive-timeout=600s", "backlog=4096", *log, ""]))
    return ["nghttpx", f"--conf={config}"]


H2O = """\
%(user)s
num-threads: 1
max-connections: 8192
http1-request-timeout: 600
http2-idle-timeout: 600
http2-max-concurrent-requests-per-connection: 256
ssl-session-resumption: {mode: ticket}
%(log)s
listen: {host: 127.0.0.1, port: %(port)d%(tls)s}
proxy.timeout.keepalive: 600000
proxy.timeout.io: 600000
proxy.preserve-host: ON
proxy.emit-x-forwarded-headers: OFF
proxy.emit-via-header: OFF
hosts: {default: {paths: {"/": {proxy.reverse.url: "http://%(target)s/"}}}}
"""


def h2o(setup):
    """One target only: H2O 2.2 takes no more. max-version keeps its old TLS 1.3 drafts away, so
    that OpenSSL speaks the final one."""
    tls = (f", ssl: {{certificate-file: {setup.certificate}, key-file: {setup.key},"
           " minimum-version: TLSv1.2, max-version: TLSv1.2, neverbleed: OFF,"
           " ocsp-update-interval: 0}")
    config = setup.file("h2o.conf", H2O % {
        "log": f"access-log: {setup.log_path}" if setup.log else "",
        "port": setup.port,
        "tls": tls if setup.kind == "https" else "",
        "target": setup.targets[0],
        # As root it would become nobody, whom callgrind_control cannot reach.
        "user": "user: root" if os.geteuid() == 0 else "",
    })
    return ["h2o", "-c", config]


def null(setup):
    targets = [word for target in setup.targets for word in ("--target", target)]
    return [processes.tool("null_relay"), "--listen", f"127.0.0.1:{setup.port}", *targets]


@dataclasses.dataclass
class Peer:
    command: object              # Setup -> argv; writes the configuration; Failure when it cannot
    binary: str
    kinds: tuple
    version: tuple = ()          # arguments that make it say its version

    def missing(self):
        return shutil.which(self.binary) is None

    def version_text(self):
        if not self.version:
            return ""
        done = subprocess.run([self.binary, *self.version], text=True, capture_output=True)
        return (done.stdout + done.stderr).strip().partition("\n")[0]


ALL = ("http", "https", "tcp")
PEERS = {
    "tenbin": Peer(tenbin, str(BUILD / "tenbin"), ALL, ("version",)),
    "nginx": Peer(nginx, "nginx", ALL, ("-v",)),
    "haproxy": Peer(haproxy, "haproxy", ALL, ("-v",)),
    "haproxy-64k": Peer(haproxy_64k, "haproxy", ALL),
    "nghttpx": Peer(nghttpx, "nghttpx", ("http", "https"), ("--version",)),
    "h2o": Peer(h2o, "h2o", ("http", "https"), ("--version",)),
    "null": Peer(null, str(processes.TOOLS / "null_relay"), ("http", "tcp")),
}


class Instance:
    """One running proxy. Its CPU time counts all its processes and threads."""

    def __init__(self, stage, name, setup, program):
        self.name = name
        self.setup = setup
        self.program = program
        self.port = setup.port
        self._stage = stage

    @property
    def pids(self):
        return processes.session_pids(self.program.pid)

    def url(self, path):
        scheme = "https" if self.setup.kind == "https" else "http"
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def empty_log(self):
        """Logs lie in memory: what one turn wrote is dropped before the next."""
        for log in self.setup.directory.glob("*.log"):
            log.open("r+").truncate(0)

    def alive(self):
        return self.program.poll() is None


def make_certificate(directory):
    """An ECDSA P-256 certificate for 127.0.0.1: (certificate, key, both)."""
    certificate, key, both = (directory / name for name in ("cert.pem", "key.pem", "both.pem"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "7", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True)
    both.write_text(certificate.read_text() + key.read_text())
    return certificate, key, both


def prepare(stage, name, kind, log, targets, certificates, single_process=False):
    """Writes the configuration of an instance: (setup, argv)."""
    port = processes.free_port()
    directory = stage.directory / f"{name}-{kind}-{port}"
    directory.mkdir()
    setup = Setup(kind, log, port, targets, directory, *certificates, single_process)
    return setup, PEERS[name].command(setup)


def start(stage, name, kind, log, targets, certificates):
    """Starts a proxy, pinned, and waits until it accepts. Failure says why it does not."""
    setup, argv = prepare(stage, name, kind, log, targets, certificates)
    with open(setup.directory / "stdout.log", "ab") as out, \
            open(setup.directory / "stderr.txt", "ab") as err:
        program = stage.spawn(argv, cpu=stage.proxy_cpu, stdout=out, stderr=err,
                              cwd=setup.directory)
    if not processes.wait_for_port(setup.port, program):
        said = (setup.directory / "stderr.txt").read_text(errors="replace").strip()
        stage.end(program)
        raise Failure(f"did not start: {said[-300:] or 'it said nothing'}")
    return Instance(stage, name, setup, program)
