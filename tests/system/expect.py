"""Assertions on what went over a wire, shared by the tests."""

import re

# What tenbin adds to every request, in whatever place.
ADDED = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "x-amzn-trace-id", "traceparent"}
FRAMING = {"content-length", "transfer-encoding"}
ROOT = r"1-[0-9a-f]{8}-[0-9a-f]{24}"


def forwarded(request, start, fields, framing=(), xff="127.0.0.1"):
    """The whole head that the target got: the client's fields in order, the framing, what tenbin adds, no more."""
    assert request.start == start
    own = [(name, value) for name, value in request.fields if name.lower() not in ADDED | FRAMING]
    assert own == list(fields)
    assert sorted((n, v) for n, v in request.fields if n.lower() in FRAMING) == sorted(framing)
    added = [name.lower() for name in request.names() if name.lower() in ADDED]
    assert sorted(added) == sorted(ADDED)
    assert request["x-forwarded-for"] == xff
    assert request["x-forwarded-proto"] == "http"
    assert re.fullmatch(rf"Root={ROOT}", request["x-amzn-trace-id"])
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", request["traceparent"])
    written = [request.start, *(f"{n}: {v}".rstrip() for n, v in request.fields)]
    assert request.raw == ("\r\n".join(written) + "\r\n\r\n").encode("latin-1")


def own_reply(response, status):
    """An answer of tenbin itself: short, of fixed length, of a plain type."""
    assert response.status == status, response
    assert response["content-length"] == str(len(response.body))
    if status not in (204, 304):
        assert 0 < len(response.body) < 1024
        assert response["content-type"].startswith("text/plain")


def refused(client, status):
    """The answer to input that cannot be trusted: a reply, `Connection: close`, the end."""
    response = client.response()
    own_reply(response, status)
    assert response["connection"] == "close"
    client.expect_gone()
    return response
