"""A gRPC service and its client by Debian's python3-grpcio, with bytes for messages: no generated code.

    server = Server(); channel = connect(web.port())
    call = unary(channel, "Echo"); call(b"abc", timeout=5)
"""

from concurrent import futures
import threading

import grpc

SERVICE = "test.Echo"
OPTIONS = [("grpc.enable_http_proxy", 0)]


class Server(grpc.GenericRpcHandler):
    """What it answers is up to the method; `seen` holds (method, metadata), `cancelled` what ended too early."""

    def __init__(self, threads=16):
        self.seen, self.cancelled, self.release = [], [], threading.Event()
        self.server = grpc.server(futures.ThreadPoolExecutor(threads), handlers=[self], options=OPTIONS)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.address = f"127.0.0.1:{self.port}"
        self.server.start()

    def stop(self):
        self.release.set()
        self.server.stop(None).wait(10)

    def service(self, details):
        method = details.method.rpartition("/")[2]
        self.seen.append((method, dict(details.invocation_metadata)))
        kinds = {
            "Echo": grpc.unary_unary_rpc_method_handler(self.echo),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "Hold": grpc.unary_unary_rpc_method_handler(self.hold),
            "Count": grpc.unary_stream_rpc_method_handler(self.count),
            "Sum": grpc.stream_unary_rpc_method_handler(self.sum),
            "Talk": grpc.stream_stream_rpc_method_handler(self.talk),
        }
        return kinds.get(method)

    def echo(self, message, context):
        context.set_trailing_metadata([("x-length", str(len(message)))])
        return message

    def fail(self, message, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not like this: 100 %")

    def hold(self, message, context):
        context.add_callback(lambda: self.cancelled.append("Hold"))
        self.release.wait(30)
        return b""

    def count(self, message, context):
        for i in range(int(message)):
            yield b"%d" % i

    def sum(self, messages, context):
        return b"%d" % sum(int(m) for m in messages)

    def talk(self, messages, context):
        for message in messages:
            yield message[::-1]


def connect(port, credentials=None):
    address = f"127.0.0.1:{port}"
    if credentials:
        options = OPTIONS + [("grpc.ssl_target_name_override", "a.test")]
        return grpc.secure_channel(address, credentials, options=options)
    return grpc.insecure_channel(address, options=OPTIONS)


def unary(channel, method):
    return channel.unary_unary(f"/{SERVICE}/{method}")


def unary_stream(channel, method):
    return channel.unary_stream(f"/{SERVICE}/{method}")


def stream_unary(channel, method):
    return channel.stream_unary(f"/{SERVICE}/{method}")


def stream_stream(channel, method):
    return channel.stream_stream(f"/{SERVICE}/{method}")
