"""HTTP/2 rule by rule, from the text of RFC 9113 and RFC 7541: every frame, state and field that the RFC forbids, and
what it allows, sent as raw frames. A case is a section, what is sent, and what must come of it:

    connection(CODE, ...)   GOAWAY with one of the codes, then the end of the connection (5.4.1)
    ends                    the end of the connection, with or without GOAWAY
    stream(CODE, ...)       RST_STREAM with one of the codes; a connection error with one of them is as good (5.4.2)
    answers(200, ...)       the streams, in order, get answers with these codes
    lives()                 the connection still answers a PING and a request

The target must never have seen a request of a case that ends in an error before its head was whole.
"""

import struct

import pytest

import origin as o
from h2client import *  # noqa: the names of frames and codes
from test_h2 import H2

PING_BYTES = b"tenbin!!"
U32 = struct.Struct(">I")
PRIORITY_FLAG = 0x20
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_STREAMS, INITIAL_WINDOW, MAX_FRAME, MAX_LIST = range(1, 7)


def setting(*pairs):
    return b"".join(struct.pack(">HI", key, value) for key, value in pairs)


def field(name, value):
    """A literal without indexing, nothing compressed: any octets (RFC 7541 6.2.2)."""
    def string(s):
        s = s.encode("latin-1") if isinstance(s, str) else s
        assert len(s) < 127
        return bytes([len(s)]) + s
    return b"\0" + string(name) + string(value)


HEAD = field(":method", "GET") + field(":scheme", "http") + field(":path", "/") + field(":authority", "example.com")
POST_HEAD = HEAD.replace(field(":method", "GET"), field(":method", "POST"))


def head(*extra, without=(), post=False):
    """A request's field block; `without` leaves pseudo-headers out."""
    pseudo = {":method": "POST" if post else "GET", ":scheme": "http", ":path": "/", ":authority": "example.com"}
    return b"".join(field(n, v) for n, v in pseudo.items() if n not in without) + b"".join(field(*e) for e in extra)


def request(c, stream=1, block=HEAD, end=True, flags=0):
    c.frame(HEADERS, END_HEADERS | flags | (END_STREAM if end else 0), stream, block)


# --- what must come of it

def connection(*codes):
    def check(c):
        frames = c.read_to_end()
        goaways = [f.code for f in frames if f.type == GOAWAY]
        assert goaways and goaways[-1] in codes, frames
    return check


def ends(c):
    assert not [f for f in c.read_to_end() if f.type == GOAWAY and f.code != NO_ERROR]


def stream(*codes, id=1):
    def check(c):
        frame = c.read_until(lambda f: f.type in (RST_STREAM, GOAWAY))
        assert frame.code in codes, frame
        if frame.type == RST_STREAM:
            assert frame.stream == id
            lives(c, after=id)
    return check


def answers(*statuses):
    def check(c):
        for status in statuses:
            frame = c.read_until(lambda f: f.type in (HEADERS, RST_STREAM, GOAWAY))
            assert frame.type == HEADERS, frame
            assert int(dict(c.decoder.decode(frame.payload))[":status"]) == status
    return check


def lives(c, after=1):
    c.frame(PING, 0, 0, PING_BYTES)
    pong = c.read_until(lambda f: f.type in (PING, GOAWAY))
    assert pong.type == PING and pong.flags & ACK and pong.payload == PING_BYTES, pong
    newest = after + 100 + (after + 1) % 2
    request(c, newest)
    frame = c.read_until(lambda f: f.stream == newest or f.type == GOAWAY)
    assert frame.type == HEADERS, frame


CASES = {}


def case(section, expected):
    def add(f):
        CASES[f"{section} {f.__name__.replace('_', ' ')}"] = (f, expected)
        return f
    return add


# --- 4: frames

@case("4.1", lives)
def a_frame_of_an_unknown_type_is_ignored(c):
    c.frame(0xFA, 0xFF, 0, b"12345678")


@case("4.1", lives)
def unknown_flags_are_ignored(c):
    c.frame(PING, 0xFE, 0, b"87654321")
    c.read_until(lambda f: f.type == PING)


@case("4.1", lives)
def the_reserved_bit_of_a_stream_is_ignored(c):
    c.frame(PING, 0, 0x80000000, b"87654321")
    c.read_until(lambda f: f.type == PING)


@case("4.2", answers(200))
def a_data_frame_of_16384_octets_passes(c):
    request(c, 1, POST_HEAD, end=False)
    c.frame(DATA, END_STREAM, 1, bytes(16384))


@case("4.2", stream(FRAME_SIZE_ERROR))
def a_data_frame_of_16385_octets_is_an_error(c):
    request(c, 1, POST_HEAD, end=False)
    c.frame(DATA, END_STREAM, 1, bytes(16385))


@case("4.2", connection(FRAME_SIZE_ERROR))
def a_headers_frame_of_more_than_16384_octets_ends_the_connection(c):
    request(c, 1, head(*((f"x{i}", "v" * 100) for i in range(160))))


@case("4.3", connection(COMPRESSION_ERROR))
def a_field_block_that_does_not_decode_ends_the_connection(c):
    request(c, 1, b"\x40\x0a" + b"x" * 3)


@case("4.3", connection(PROTOCOL_ERROR))
def priority_inside_a_field_block_ends_the_connection(c):
    c.frame(HEADERS, END_STREAM, 1, HEAD[:10])
    c.frame(PRIORITY, 0, 1, b"\0\0\0\0\1")
    c.frame(CONTINUATION, END_HEADERS, 1, HEAD[10:])


@case("4.3", connection(PROTOCOL_ERROR))
def headers_of_another_stream_inside_a_field_block_end_the_connection(c):
    c.frame(HEADERS, END_STREAM, 1, HEAD[:10])
    request(c, 3)


@case("4.3", connection(PROTOCOL_ERROR))
def a_continuation_of_another_stream_ends_the_connection(c):
    c.frame(HEADERS, END_STREAM, 1, HEAD[:10])
    c.frame(CONTINUATION, END_HEADERS, 3, HEAD[10:])


# --- 5.1: states of streams

@case("5.1 idle", connection(PROTOCOL_ERROR))
def data_ends_the_connection(c):
    c.frame(DATA, END_STREAM, 1, b"x")


@case("5.1 idle", connection(PROTOCOL_ERROR))
def rst_stream_ends_the_connection(c):
    c.frame(RST_STREAM, 0, 1, U32.pack(CANCEL))


@case("5.1 idle", connection(PROTOCOL_ERROR))
def window_update_ends_the_connection(c):
    c.frame(WINDOW_UPDATE, 0, 1, U32.pack(100))


@case("5.1 idle", connection(PROTOCOL_ERROR))
def continuation_ends_the_connection(c):
    c.frame(CONTINUATION, END_HEADERS, 1, HEAD)


@case("5.1 idle", lives)
def priority_is_allowed(c):
    c.frame(PRIORITY, 0, 1, b"\0\0\0\3\1")


@case("5.1 half-closed (remote)", stream(STREAM_CLOSED))
def data_is_an_error(c):
    request(c)
    c.frame(DATA, END_STREAM, 1, b"x")


@case("5.1 half-closed (remote)", stream(STREAM_CLOSED))
def headers_are_an_error(c):
    request(c)
    request(c)


@case("5.1 half-closed (remote)", connection(STREAM_CLOSED, PROTOCOL_ERROR))
def continuation_is_an_error(c):
    request(c)
    c.frame(CONTINUATION, END_HEADERS, 1, HEAD)


@case("5.1 half-closed (remote)", answers(200))
def window_update_priority_and_an_unknown_frame_are_allowed(c):
    request(c)
    c.frame(WINDOW_UPDATE, 0, 1, U32.pack(1))
    c.frame(PRIORITY, 0, 1, b"\0\0\0\3\1")
    c.frame(0xFA, 0, 1, b"x")


@case("5.1 closed", stream(STREAM_CLOSED))
def data_behind_the_clients_own_reset_is_an_error(c):
    request(c, end=False, block=POST_HEAD)
    c.frame(RST_STREAM, 0, 1, U32.pack(CANCEL))
    c.frame(DATA, END_STREAM, 1, b"x")


@case("5.1 closed", stream(STREAM_CLOSED))
def headers_behind_the_clients_own_reset_are_an_error(c):
    request(c, end=False, block=POST_HEAD)
    c.frame(RST_STREAM, 0, 1, U32.pack(CANCEL))
    request(c)


@case("5.1 closed", connection(STREAM_CLOSED, PROTOCOL_ERROR))
def continuation_behind_the_clients_own_reset_is_an_error(c):
    request(c, end=False, block=POST_HEAD)
    c.frame(RST_STREAM, 0, 1, U32.pack(CANCEL))
    c.frame(CONTINUATION, END_HEADERS, 1, HEAD)


def finish(c, stream=1):
    request(c, stream)
    c.read_until(lambda f: f.stream == stream and f.flags & END_STREAM)


@case("5.1 closed", stream(STREAM_CLOSED))
def data_behind_both_ends_is_an_error(c):
    finish(c)
    c.frame(DATA, END_STREAM, 1, b"x")


@case("5.1 closed", connection(STREAM_CLOSED))
def headers_behind_both_ends_end_the_connection(c):
    finish(c)
    request(c)


@case("5.1 closed", connection(STREAM_CLOSED, PROTOCOL_ERROR))
def continuation_behind_both_ends_ends_the_connection(c):
    finish(c)
    c.frame(CONTINUATION, END_HEADERS, 1, HEAD)


@case("5.1 closed", lives)
def priority_window_update_and_rst_stream_are_allowed(c):
    finish(c)
    c.frame(PRIORITY, 0, 1, b"\0\0\0\3\1")
    c.frame(WINDOW_UPDATE, 0, 1, U32.pack(1))
    c.frame(RST_STREAM, 0, 1, U32.pack(CANCEL))


@case("5.1.1", connection(PROTOCOL_ERROR))
def an_even_id_ends_the_connection(c):
    request(c, 2)


@case("5.1.1", connection(PROTOCOL_ERROR))
def an_id_below_the_newest_ends_the_connection(c):
    request(c, 5)
    request(c, 3)


@case("5.1.2", stream(REFUSED_STREAM, PROTOCOL_ERROR, id=257))
def more_streams_than_allowed_are_refused(c):
    for id in range(1, 259, 2):
        request(c, id, POST_HEAD, end=False)


# RFC 9113 leaves priorities out; RFC 7540 5.3.1 calls these errors, and so does nghttp2.
@case("7540 5.3.1", stream(PROTOCOL_ERROR))
def a_head_that_depends_on_its_own_stream_is_an_error(c):
    request(c, 1, U32.pack(1) + b"\1" + HEAD, flags=PRIORITY_FLAG)


@case("7540 5.3.2", answers(200))
def a_head_with_a_priority_passes(c):
    request(c, 1, U32.pack(1 << 31) + b"\xff" + HEAD, flags=PRIORITY_FLAG)


@case("5.4.1", connection(PROTOCOL_ERROR))
def behind_a_connection_error_the_connection_is_closed(c):
    c.frame(DATA, 0, 0, b"x")


@case("5.5", connection(PROTOCOL_ERROR))
def an_unknown_frame_inside_a_field_block_ends_the_connection(c):
    c.frame(HEADERS, END_STREAM, 1, HEAD[:10])
    c.frame(0xFA, 0, 1, b"x")
    c.frame(CONTINUATION, END_HEADERS, 1, HEAD[10:])


# --- 6.1 DATA, 6.2 HEADERS

@case("6.1", answers(200))
def padded_data_passes(c):
    request(c, 1, POST_HEAD, end=False)
    c.frame(DATA, END_STREAM | PADDED, 1, b"\4body" + bytes(4))


@case("6.1", connection(PROTOCOL_ERROR))
def data_on_stream_0_ends_the_connection(c):
    c.frame(DATA, 0, 0, b"x")


@case("6.1", connection(PROTOCOL_ERROR))
def padding_of_data_longer_than_the_frame_ends_the_connection(c):
    request(c, 1, POST_HEAD, end=False)
    c.frame(DATA, END_STREAM | PADDED, 1, b"\6body" + b"\0")


@case("6.1", answers(200))
def padding_of_data_that_fills_the_frame_passes(c):
    request(c, 1, POST_HEAD, end=False)
    c.frame(DATA, END_STREAM | PADDED, 1, b"\4" + bytes(4))


@case("6.2", answers(200))
def padded_headers_with_a_priority_pass(c):
    request(c, 1, b"\3" + b"\0\0\0\0\7" + HEAD + bytes(3), flags=PADDED | PRIORITY_FLAG)


@case("6.2", connection(PROTOCOL_ERROR))
def headers_on_stream_0_end_the_connection(c):
    request(c, 0)


@case("6.2", connection(PROTOCOL_ERROR))
def padding_of_headers_longer_than_the_frame_ends_the_connection(c):
    request(c, 1, bytes([len(HEAD) + 1]) + HEAD, flags=PADDED)


# --- 6.3 PRIORITY, 6.4 RST_STREAM

@case("6.3", connection(PROTOCOL_ERROR))
def priority_on_stream_0_ends_the_connection(c):
    c.frame(PRIORITY, 0, 0, b"\0\0\0\3\1")


@case("6.3", stream(FRAME_SIZE_ERROR))
def priority_of_4_octets_is_an_error(c):
    request(c, 1, POST_HEAD, end=False)
    c.frame(PRIORITY, 0, 1, b"\0\0\0\3")


@case("6.4", connection(PROTOCOL_ERROR))
def rst_stream_on_stream_0_ends_the_connection(c):
    c.frame(RST_STREAM, 0, 0, U32.pack(CANCEL))


@case("6.4", connection(FRAME_SIZE_ERROR))
def rst_stream_of_3_octets_ends_the_connection(c):
    request(c, 1, POST_HEAD, end=False)
    c.frame(RST_STREAM, 0, 1, b"\0\0\0")


# --- 6.5 SETTINGS

@case("6.5", connection(FRAME_SIZE_ERROR))
def an_acknowledgement_with_a_payload_ends_the_connection(c):
    c.frame(SETTINGS, ACK, 0, bytes(6))


@case("6.5", connection(PROTOCOL_ERROR))
def settings_on_a_stream_end_the_connection(c):
    c.frame(SETTINGS, 0, 1, setting((MAX_STREAMS, 100)))


@case("6.5", connection(FRAME_SIZE_ERROR))
def settings_of_5_octets_end_the_connection(c):
    c.frame(SETTINGS, 0, 0, bytes(5))


@case("6.5.2", connection(PROTOCOL_ERROR))
def enable_push_other_than_0_or_1_ends_the_connection(c):
    c.frame(SETTINGS, 0, 0, setting((ENABLE_PUSH, 2)))


@case("6.5.2", connection(FLOW_CONTROL_ERROR))
def a_window_beyond_the_largest_ends_the_connection(c):
    c.frame(SETTINGS, 0, 0, setting((INITIAL_WINDOW, 1 << 31)))


@case("6.5.2", connection(PROTOCOL_ERROR))
def frames_smaller_than_16384_end_the_connection(c):
    c.frame(SETTINGS, 0, 0, setting((MAX_FRAME, 16383)))


@case("6.5.2", connection(PROTOCOL_ERROR))
def frames_larger_than_24_bits_end_the_connection(c):
    c.frame(SETTINGS, 0, 0, setting((MAX_FRAME, 1 << 24)))


@case("6.5.2", lives)
def the_smallest_and_the_largest_frame_size_pass(c):
    c.frame(SETTINGS, 0, 0, setting((MAX_FRAME, 16384), (MAX_FRAME, (1 << 24) - 1)))


@case("6.5.2", lives)
def an_unknown_setting_is_ignored(c):
    c.frame(SETTINGS, 0, 0, setting((0xFFFF, 7)))


@case("6.5.3", lives)
def settings_are_acknowledged(c):
    c.frame(SETTINGS, 0, 0, setting((MAX_STREAMS, 100)))
    c.read_until(lambda f: f.type == SETTINGS and f.flags & ACK and not f.payload)


# --- 6.6 PUSH_PROMISE, 6.7 PING, 6.8 GOAWAY

@case("6.6", connection(PROTOCOL_ERROR))
def push_promise_of_a_client_ends_the_connection(c):
    request(c, 1, POST_HEAD, end=False)
    c.frame(PUSH_PROMISE, END_HEADERS, 1, U32.pack(2) + HEAD)


@case("6.7", lives)
def an_acknowledgement_of_no_ping_is_not_answered(c):
    c.frame(PING, ACK, 0, b"87654321")


@case("6.7", connection(PROTOCOL_ERROR))
def ping_on_a_stream_ends_the_connection(c):
    c.frame(PING, 0, 1, bytes(8))


@case("6.7", connection(FRAME_SIZE_ERROR))
def ping_of_6_octets_ends_the_connection(c):
    c.frame(PING, 0, 0, bytes(6))


@case("6.8", connection(PROTOCOL_ERROR))
def goaway_on_a_stream_ends_the_connection(c):
    c.frame(GOAWAY, 0, 1, bytes(8))


@case("6.8", answers(200))
def a_request_before_the_clients_goaway_is_answered(c):
    request(c)
    c.frame(GOAWAY, 0, 0, bytes(8))


# --- 6.9 WINDOW_UPDATE

@case("6.9", connection(PROTOCOL_ERROR))
def a_credit_of_0_for_the_connection_ends_it(c):
    c.frame(WINDOW_UPDATE, 0, 0, U32.pack(0))


@case("6.9", stream(PROTOCOL_ERROR))
def a_credit_of_0_for_a_stream_is_an_error(c):
    request(c, 1, POST_HEAD, end=False)
    c.frame(WINDOW_UPDATE, 0, 1, U32.pack(0))


@case("6.9", connection(FRAME_SIZE_ERROR))
def window_update_of_3_octets_ends_the_connection(c):
    c.frame(WINDOW_UPDATE, 0, 0, b"\0\0\1")


@case("6.9.1", connection(FLOW_CONTROL_ERROR))
def credit_of_the_connection_beyond_the_largest_ends_it(c):
    for _ in range(2):
        c.frame(WINDOW_UPDATE, 0, 0, U32.pack((1 << 31) - 1))


@case("6.9.1", stream(FLOW_CONTROL_ERROR))
def credit_of_a_stream_beyond_the_largest_is_an_error(c):
    request(c, 1, POST_HEAD, end=False)
    for _ in range(2):
        c.frame(WINDOW_UPDATE, 0, 1, U32.pack((1 << 31) - 1))


def body_frames(c, n):
    """n octets of body on stream 1, frame by frame as they come."""
    sizes = []
    while sum(sizes) < n:
        frame = c.read_until(lambda f: f.type in (DATA, RST_STREAM, GOAWAY))
        assert frame.type == DATA, frame
        sizes.append(len(frame.payload))
    return sizes


@case("6.9.1", lives)
def a_window_of_1_gets_1_octet(c):
    c.frame(SETTINGS, 0, 0, setting((INITIAL_WINDOW, 1)))
    request(c)
    assert body_frames(c, 1) == [1]


@case("6.9.2", lives)
def a_window_that_grows_later_lets_the_body_go_on(c):
    c.frame(SETTINGS, 0, 0, setting((INITIAL_WINDOW, 0)))
    request(c)
    c.read_until(lambda f: f.type == HEADERS)
    c.frame(SETTINGS, 0, 0, setting((INITIAL_WINDOW, 1)))
    assert body_frames(c, 1) == [1]


@case("6.9.2", lives)
def a_window_that_becomes_negative_is_kept_track_of(c):
    c.frame(SETTINGS, 0, 0, setting((INITIAL_WINDOW, 3)))
    request(c)
    assert body_frames(c, 3) == [3]
    c.frame(SETTINGS, 0, 0, setting((INITIAL_WINDOW, 2)))  # -1 now
    c.frame(WINDOW_UPDATE, 0, 1, U32.pack(2))
    assert body_frames(c, 1) == [1]


@case("6.9.2", connection(FLOW_CONTROL_ERROR))
def a_new_window_that_makes_a_streams_overflow_ends_the_connection(c):
    request(c, 1, POST_HEAD, end=False)
    c.frame(WINDOW_UPDATE, 0, 1, U32.pack(1 << 30))
    c.frame(SETTINGS, 0, 0, setting((INITIAL_WINDOW, (1 << 31) - 1)))


@case("6.9.2", lives)
def a_new_window_that_makes_a_streams_the_largest_passes(c):
    request(c, 1, POST_HEAD, end=False)
    c.frame(WINDOW_UPDATE, 0, 1, U32.pack(1 << 30))
    c.frame(SETTINGS, 0, 0, setting((INITIAL_WINDOW, (1 << 30) - 1)))


# --- 6.10 CONTINUATION

@case("6.10", answers(200))
def a_head_in_three_frames_passes(c):
    c.frame(HEADERS, END_STREAM, 1, HEAD[:10])
    c.frame(CONTINUATION, 0, 1, HEAD[10:20])
    c.frame(CONTINUATION, END_HEADERS, 1, HEAD[20:])


@case("6.10", connection(PROTOCOL_ERROR))
def a_continuation_followed_by_data_ends_the_connection(c):
    c.frame(HEADERS, 0, 1, POST_HEAD[:10])
    c.frame(CONTINUATION, 0, 1, POST_HEAD[10:20])
    c.frame(DATA, END_STREAM, 1, b"x")


@case("6.10", connection(PROTOCOL_ERROR))
def a_continuation_on_stream_0_ends_the_connection(c):
    c.frame(HEADERS, END_STREAM, 1, HEAD[:10])
    c.frame(CONTINUATION, END_HEADERS, 0, HEAD[10:])


@case("6.10", connection(PROTOCOL_ERROR))
def a_continuation_behind_a_whole_head_ends_the_connection(c):
    request(c, 1, POST_HEAD, end=False)
    c.frame(CONTINUATION, END_HEADERS, 1, HEAD)


@case("6.10", connection(PROTOCOL_ERROR))
def a_continuation_behind_the_last_continuation_ends_the_connection(c):
    c.frame(HEADERS, 0, 1, POST_HEAD[:10])
    c.frame(CONTINUATION, END_HEADERS, 1, POST_HEAD[10:])
    c.frame(CONTINUATION, END_HEADERS, 1, POST_HEAD)


@case("6.10", connection(PROTOCOL_ERROR))
def a_continuation_behind_data_ends_the_connection(c):
    request(c, 1, POST_HEAD, end=False)
    c.frame(DATA, 0, 1, b"x")
    c.frame(CONTINUATION, END_HEADERS, 1, POST_HEAD)


# --- 7 error codes

@case("7", ends)
def an_unknown_code_in_goaway_is_taken_as_an_end(c):
    c.frame(GOAWAY, 0, 0, U32.pack(0) + U32.pack(0xFF))


@case("7", lives)
def an_unknown_code_in_rst_stream_is_taken_as_a_reset(c):
    request(c, 1, POST_HEAD, end=False)
    c.frame(RST_STREAM, 0, 1, U32.pack(0xFF))


# --- 8 messages

def malformed(name, block):
    CASES[f"8 {name}"] = (lambda c: request(c, 1, block), stream(PROTOCOL_ERROR))


malformed("a name in upper case", head(("X-Test", "ok")))
malformed("a name with a space", head(("x test", "ok")))
malformed("a name with a colon", head(("x:test", "ok")))
malformed("an empty name", head(("", "ok")))
malformed("NUL in a value", head(("x", "a\0b")))
malformed("LF in a value", head(("x", "a\nb")))
malformed("CR in a value", head(("x", "a\rb")))
malformed("a value that begins with a blank", head(("x", " a")))
malformed("a value that ends with a blank", head(("x", "a ")))
malformed("an unknown pseudo-header", head((":test", "ok")))
malformed("a pseudo-header of answers", head((":status", "200")))
malformed("a pseudo-header behind fields", head(("x", "1"), (":path", "/"), without=(":path",)))
malformed("Connection", head(("connection", "keep-alive")))
malformed("Proxy-Connection", head(("proxy-connection", "keep-alive")))
malformed("Keep-Alive", head(("keep-alive", "1")))
malformed("Transfer-Encoding", head(("transfer-encoding", "chunked")))
malformed("Upgrade", head(("upgrade", "h2c")))
malformed("TE other than trailers", head(("te", "trailers, deflate")))
malformed("an empty :path", head((":path", ""), without=(":path",)))
malformed("no :method", head(without=(":method",)))
malformed("no :scheme", head(without=(":scheme",)))
malformed("no :path", head(without=(":path",)))
malformed("two :method", field(":method", "GET") + HEAD)
malformed("two :scheme", field(":scheme", "http") + HEAD)
malformed("two :path", field(":path", "/") + HEAD)
malformed("two :authority", field(":authority", "example.com") + HEAD)
malformed("a path without a slash", head((":path", "x"), without=(":path",)))
malformed("another Host than :authority", head(("host", "other.example.com")))
malformed("a content-length without a body", head(("content-length", "1"), post=True))


@case("8.1", stream(PROTOCOL_ERROR))
def a_second_head_without_the_end_is_an_error(c):
    request(c, 1, POST_HEAD, end=False)
    request(c, 1, field("x-test", "ok"), end=False)


@case("8.1", stream(PROTOCOL_ERROR))
def a_pseudo_header_in_trailers_is_an_error(c):
    request(c, 1, POST_HEAD, end=False)
    request(c, 1, field(":method", "POST"))


@case("8.1", answers(200))
def trailers_pass(c):
    request(c, 1, POST_HEAD, end=False)
    c.frame(DATA, 0, 1, b"test")
    request(c, 1, field("x-test", "ok"))


@case("8.1.1", stream(PROTOCOL_ERROR))
def a_body_longer_than_its_length_is_an_error(c):
    request(c, 1, head(("content-length", "1"), post=True), end=False)
    c.frame(DATA, END_STREAM, 1, b"test")


@case("8.1.1", stream(PROTOCOL_ERROR))
def a_body_shorter_than_its_length_in_two_frames_is_an_error(c):
    request(c, 1, head(("content-length", "9"), post=True), end=False)
    c.frame(DATA, 0, 1, b"test")
    c.frame(DATA, END_STREAM, 1, b"test")


@case("8.2.2", answers(200))
def te_trailers_passes(c):
    request(c, 1, head(("te", "trailers")))


@case("8.3.1", answers(200, 200))
def head_and_get_are_answered(c):
    request(c, 1, head((":method", "HEAD"), without=(":method",)))
    c.read_until(lambda f: f.type == HEADERS and c.decoder.decode(f.payload))
    request(c, 3)
    request(c, 5)


# --- RFC 7541

@case("7541 2.1", answers(200))
def all_forms_of_a_field_pass(c):
    indexed = b"\x82\x86\x84" + b"\x41\x0bexample.com"                     # static table, and one that is added
    literals = b"\x40\1a\1b" + b"\x00\1c\1d" + b"\x10\1e\1f" + b"\xbe"     # added, not added, never added, the added one
    huffman = b"\x00\1g\x81\x1f"                                           # "a", padded with ones
    request(c, 1, indexed + literals + huffman)


@case("7541 2.3.3", connection(COMPRESSION_ERROR))
def an_index_beyond_the_tables_ends_the_connection(c):
    request(c, 1, HEAD + b"\xc6")


@case("7541 2.3.3", connection(COMPRESSION_ERROR))
def a_name_index_beyond_the_tables_ends_the_connection(c):
    request(c, 1, HEAD + b"\x7f\x07\1x")


@case("7541 4.2", answers(200))
def a_smaller_table_at_the_beginning_of_a_block_passes(c):
    request(c, 1, b"\x20" + HEAD)


@case("7541 4.2", connection(COMPRESSION_ERROR))
def a_table_size_at_the_end_of_a_block_ends_the_connection(c):
    request(c, 1, HEAD + b"\x21")


@case("7541 5.1", connection(COMPRESSION_ERROR))
def an_integer_that_overflows_ends_the_connection(c):
    request(c, 1, HEAD + b"\xff" + b"\xff" * 10 + b"\x7f")


@case("7541 5.2", connection(COMPRESSION_ERROR))
def huffman_padding_of_more_than_7_bits_ends_the_connection(c):
    request(c, 1, HEAD + b"\x00\1x\x82\x1f\xff")


@case("7541 5.2", connection(COMPRESSION_ERROR))
def huffman_padding_with_zeros_ends_the_connection(c):
    request(c, 1, HEAD + b"\x00\1x\x81\x18")


@case("7541 5.2", connection(COMPRESSION_ERROR))
def huffman_with_the_end_of_string_symbol_ends_the_connection(c):
    request(c, 1, HEAD + b"\x00\1x\x84\xff\xff\xff\xff")


@case("7541 5.2", connection(COMPRESSION_ERROR))
def a_string_longer_than_the_block_ends_the_connection(c):
    request(c, 1, HEAD + b"\x00\1x\x7e")


@case("7541 6.1", connection(COMPRESSION_ERROR))
def index_0_ends_the_connection(c):
    request(c, 1, HEAD + b"\x80")


@case("7541 6.3", connection(COMPRESSION_ERROR))
def a_table_larger_than_allowed_ends_the_connection(c):
    request(c, 1, b"\x3f\xe2\x1f" + HEAD)  # 4097


@case("7541 6.3", answers(200))
def a_table_as_large_as_allowed_passes(c):
    request(c, 1, b"\x3f\xe1\x1f" + HEAD)  # 4096


# --- 3.4: the beginning

@pytest.fixture
def start(tenbin, origins):
    made = []

    def begin(greet=True):
        app = origins(o.reply(lambda r: o.response(b"hello")))
        web = tenbin(H2, app=app.address)
        made.append(RawH2(web.port(), greet))
        return web, app, made[-1]

    yield begin
    for each in made:
        each.close()


# A server of many cases: one process and one connection for each of them would take minutes.
@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    import lb
    app = o.Origin(o.reply(lambda r: o.response(b"hello")))
    web = lb.Tenbin(tmp_path_factory.mktemp("conformance"), H2, app=app.address)
    yield web
    try:
        web.assert_clean()
    finally:
        web.kill()
        app.close()


@pytest.mark.parametrize("name", CASES)
def test_the_rule(shared, name):
    send, expected = CASES[name]
    c = RawH2(shared.port())
    try:
        try:
            send(c)
        except (BrokenPipeError, ConnectionResetError):
            pass
        expected(c)
    finally:
        c.close()


def test_a_wrong_preface_ends_the_connection(start):
    web, app, c = start(greet=False)
    c.send(PREFACE[:-2] + b"xx")
    c.frame(SETTINGS)
    c.read_to_end()
    assert not app.requests


def test_a_first_frame_other_than_settings_ends_the_connection(start):
    web, app, c = start(greet=False)
    c.send(PREFACE)
    c.frame(PING, 0, 0, bytes(8))
    frames = c.read_to_end()
    assert frames[-1].type == GOAWAY and frames[-1].code == PROTOCOL_ERROR
    assert not app.requests


def test_the_servers_first_frame_is_settings(start):
    web, app, c = start(greet=False)
    c.send(PREFACE)
    c.frame(SETTINGS)
    assert c.read_frame().type == SETTINGS
