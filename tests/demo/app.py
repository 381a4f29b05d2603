#!/usr/bin/python3
"""A demo app: one instance in one zone. It tells who it is and what request it got.

    app.py PORT INSTANCE ZONE

    GET  /              who I am and the request, as text
    GET  /json          the same as JSON
    GET  /slow?ms=500   answers after that time
    POST /echo          sends the body back
    GET  /ws            a WebSocket that sends back each message with my name in front
"""

import base64
import hashlib
import http.server
import json
import struct
import sys
import time
import urllib.parse

HANDSHAKE = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes
    server_version = "demo"
    instance = zone = None

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self.talk()
        elif url.path.endswith("/json"):
            self.answer("application/json", json.dumps(self.facts(), indent=2) + "\n")
        else:
            if url.path.endswith("/slow"):
                time.sleep(min(30000, int(dict(urllib.parse.parse_qsl(url.query)).get("ms", "500"))) / 1000)
            self.answer("text/plain", self.text())

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(self.headers.get("Content-Type", "application/octet-stream"), body)

    def facts(self):
        return {"instance": self.instance, "zone": self.zone, "method": self.command, "target": self.path,
                "headers": dict(self.headers.items())}

    def text(self):
        head = "".join(f"  {name}: {value}\n" for name, value in self.headers.items())
        return f"I am {self.instance} in zone {self.zone}. You asked: {self.command} {self.path}\n{head}"

    def answer(self, content_type, body):
        body = body.encode() if isinstance(body, str) else body
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Instance", self.instance)
        self.end_headers()
        self.wfile.write(body)

    def talk(self):
        """WebSocket: the handshake, then every text message back until the client closes."""
        accept = base64.b64encode(hashlib.sha1(self.headers["Sec-WebSocket-Key"].encode() + HANDSHAKE).digest())
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        self.close_connection = True
        while (frame := self.read_frame()) and frame[0] != 8:
            self.write_frame(1, f"{self.instance}: ".encode() + frame[1])
        if frame:
            self.write_frame(8, frame[1])

    def read_frame(self):
        """(opcode, payload), or None at the end. Messages of up to 64 KiB in one frame."""
        head = self.rfile.read(2)
        if len(head) < 2:
            return None
        size = head[1] & 0x7f
        if size == 126:
            size = struct.unpack(">H", self.rfile.read(2))[0]
        elif size == 127:
            return None
        mask = self.rfile.read(4)
        return head[0] & 0x0f, bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(size)))

    def write_frame(self, opcode, payload):
        size = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + struct.pack(">H", len(payload))
        self.wfile.write(bytes([0x80 | opcode]) + size + payload)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


def main():
    port, App.instance, App.zone = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    with Server(("127.0.0.1", port), App) as server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
