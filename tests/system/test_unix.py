"""A listener and a target on unix sockets."""

import origin as o
import wire

UNIX = """
    workers: 2
    listeners:
      - {name: web, listen: "unix:$dir/web.sock", protocol: http, default_action: {forward: app}}
      - {name: raw, listen: "unix:$dir/raw.sock", protocol: tcp, default_action: {forward: db}}
    target_groups:
      - {name: app, protocol: http, targets: ["$app"]}
      - {name: db, protocol: tcp, targets: ["$app"]}
    access_log: {path: $dir/access.log, format: json, flush: 100ms}
    """


def test_a_listener_on_a_unix_socket_serves_on_all_workers_and_over_a_reload(tenbin, origin):
    lb = tenbin(UNIX, app=origin.address)
    for _ in range(8):
        client = wire.Client(str(lb.dir / "web.sock"))
        assert client.get("/").status == 200
        client.close()
    held = wire.Client(str(lb.dir / "web.sock"))
    assert held.get("/").status == 200
    lb.reload(UNIX, app=origin.address)
    assert held.get("/").status == 200
    assert wire.Client(str(lb.dir / "web.sock")).get("/").status == 200
    held.close()


def test_raw_bytes_pass_through_a_unix_socket_both_ways(tenbin, origins):
    lb = tenbin(UNIX, app=origins(o.echo).address)
    client = wire.Client(str(lb.dir / "raw.sock"))
    client.send(b"x" * 100000)
    assert client.read_exactly(100000) == b"x" * 100000
    client.half_close()
    client.expect_end()
    client.close()
