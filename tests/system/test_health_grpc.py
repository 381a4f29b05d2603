"""gRPC checks, against grpcio's server and wrong ones."""

from concurrent import futures

import pytest

import certs
import origin as o
from lb import eventually

grpc = pytest.importorskip("grpc")

TEXT = """
health_check_log: {path: $dir/checks.log}
listeners:
  - {name: web, listen: "127.0.0.1:$web", protocol: http, default_action: {forward: app}}
target_groups:
  - name: app
    health_check: {protocol: grpc, interval: 500ms, timeout: 400ms, healthy_threshold: 1, unhealthy_threshold: 1%s}
    targets: ["$app"]
"""

# Of a group whose traffic is gRPC this is the default.
DEFAULT = TEXT.replace("{protocol: grpc, ", "{").replace("protocol: http,", "protocol: http, attributes: {h2c: true},") \
              .replace("name: app\n", "name: app\n    protocol_version: grpc\n")
TLS = DEFAULT.replace("    protocol_version", "    protocol: https\n    tls: {ca: $certs/a.pem, server_name: a.test}\n    protocol_version")


class Service(grpc.GenericRpcHandler):
    """The health protocol: says what it is set to."""

    def __init__(self, answer):
        self.answer, self.calls = answer, []

    def service(self, call):
        if call.method != "/grpc.health.v1.Health/Check":
            return None
        return grpc.unary_unary_rpc_method_handler(self.check)

    def check(self, request, context):
        self.calls.append((request, dict(context.invocation_metadata())))
        return self.answer


@pytest.fixture
def serve():
    servers = []

    def start(service, credentials=None):
        server = grpc.server(futures.ThreadPoolExecutor(2))
        server.add_generic_rpc_handlers((service,))
        servers.append(server)
        port = (server.add_secure_port("127.0.0.1:0", credentials) if credentials else
                server.add_insecure_port("127.0.0.1:0"))
        server.start()
        return f"127.0.0.1:{port}"
    yield start
    for server in servers:
        server.stop(0)


def health(lb):
    target, = lb.status()["groups"][0]["targets"]
    return target["state"], target["reason"]


def line(lb):
    path = lb.dir / "checks.log"
    eventually(lambda: path.exists() and path.read_text(), "a line")
    fields = path.read_text().splitlines()[0].split()
    return fields[0], *fields[5:]


@pytest.mark.parametrize("text", [TEXT, DEFAULT], ids=["asked_for", "default"])
def test_alb_s_own_method_is_unknown_and_that_is_well(tenbin, serve, text):
    lb = tenbin(text % "", app=serve(Service(b"")))
    eventually(lambda: health(lb) == ("healthy", None), "health")
    assert line(lb) == ("grpc", "PASS", "12", "-")


@pytest.mark.parametrize("answer, good", [(b"\x08\x01", True), (b"\x08\x02", False), (b"", False)])
def test_the_health_protocol_must_say_serving(tenbin, serve, answer, good):
    service = Service(answer)
    lb = tenbin(TEXT % ", path: /grpc.health.v1.Health/Check", app=serve(service))
    eventually(lambda: health(lb)[0] == ("healthy" if good else "unhealthy"), "the verdict")
    assert line(lb) == ("grpc", "PASS", "0", "-") if good else line(lb) == ("grpc", "FAIL", "0", "GRPCUnexpectedStatus")
    assert service.calls[0][0] == b"" and "ELB-HealthChecker/2.0" in service.calls[0][1]["user-agent"]


@pytest.mark.parametrize("path", ["", ", path: /grpc.health.v1.Health/Check"], ids=["alb", "health"])
def test_a_grpc_group_with_tls_is_asked_over_tls(tenbin, serve, tmp_path, path):
    certs.make(tmp_path, "a", "a.test")
    key, chain = (tmp_path / "a.key").read_bytes(), (tmp_path / "a.pem").read_bytes()
    service = Service(b"\x08\x01")
    lb = tenbin(TLS % path, app=serve(service, grpc.ssl_server_credentials([(key, chain)])), certs=tmp_path)
    eventually(lambda: health(lb) == ("healthy", None), "health")
    assert line(lb) == ("grpc", "PASS", "0" if path else "12", "-")
    assert bool(service.calls) == bool(path)


def test_another_status_is_a_mismatch(tenbin, serve):
    lb = tenbin(TEXT % ', matcher: "0-11"', app=serve(Service(b"")))
    eventually(lambda: health(lb) == ("unhealthy", "Target.ResponseCodeMismatch"), "the verdict")
    assert line(lb) == ("grpc", "FAIL", "12", "GRPCUnexpectedStatus")
    lb.says(r"Target\.ResponseCodeMismatch, status 12")


def silent(peer):
    peer.wait_for_end()


def http1(peer):
    peer.sock.recv(65536)
    peer.send(o.OK)
    peer.wait_for_end()


def half(peer):
    peer.sock.recv(65536)
    peer.send(b"\0\0\0\4\0\0\0\0\0" + b"\0\0\x20\1")


@pytest.mark.parametrize("script, reason", [
    (silent, "Target.Timeout"), (http1, "Target.FailedHealthChecks"), (half, "Target.FailedHealthChecks"),
], ids=["silent", "http1", "half"])
def test_no_grpc_is_a_failed_check(tenbin, origins, script, reason):
    lb = tenbin(TEXT % "", app=origins(script).address)
    eventually(lambda: health(lb) == ("unhealthy", reason), "the verdict")
