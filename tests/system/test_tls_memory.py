"""What an idle TLS connection holds in user space, on the release build."""

import time

import pytest

import certs
from test_tls import TlsClient, client_context

pytestmark = [pytest.mark.release, pytest.mark.limit(180)]

CONNECTIONS = 5000
WARM = 200  # those used last keep OpenSSL's buffers: they are there before the count begins

TEXT = """
    workers: 1
    listeners:
      - name: web
        listen: "127.0.0.1:$web"
        protocol: https
        certificates: [{certificate: $certs/site.pem, key: $certs/site.key}]
        default_action: {fixed_response: {status_code: 200}}
    """


def test_an_idle_connection_of_tls_1_3_and_http_1_1_holds_16_kib_at_most(tenbin, tmp_path):
    certs.make(tmp_path, "site")
    web = tenbin(TEXT, certs=tmp_path)
    context = client_context()

    def serve(count):
        for _ in range(count):
            client = TlsClient(web.port(), context=context)
            web.clients.append(client)
            assert client.get("/").status == 200
        time.sleep(0.5)
        return web.rss_bytes()

    before = serve(WARM)
    held = (serve(CONNECTIONS) - before) / CONNECTIONS
    assert held <= 16 * 1024, f"{held:.0f} bytes a connection"
