/* Reason phrases, and the fixed vocabulary for everything that ends an exchange otherwise than by
 * a target's whole answer. One table: name in logs and counters, the status sent (or logged, when
 * nothing can be sent), and the sentence in the body. No layer adds words of its own. Pure. */
#ifndef HTTP_STATUS_H
#define HTTP_STATUS_H

#include "base/slice.h"

/* X(ID, "name", status, "sentence for the client"). Status 0: no HTTP answer has a place here (raw
 * connections, or after the response head was sent). */
#define REASONS(X)                                                                                 \
    X(NONE, "", 0, "")                                                                             \
    /* The request is malformed. */                                                                \
    X(BAD_REQUEST_LINE, "bad_request_line", 400, "The request line is malformed.")                 \
    X(BAD_METHOD, "bad_method", 400, "The method is malformed.")                                   \
    X(BAD_URI, "bad_uri", 400, "The request target is malformed.")                                 \
    X(PATH_ABOVE_ROOT, "path_above_root", 400, "The path climbs above its root.")                  \
    X(BAD_VERSION, "bad_version", 505, "Only HTTP/1.0 and HTTP/1.1 are served here.")              \
    X(BAD_LINE_END, "bad_line_end", 400, "A line does not end in CR LF.")                          \
    X(BAD_HEADER, "bad_header", 400, "A header field is malformed.")                               \
    X(FOLDED_HEADER, "folded_header", 400, "A header field is folded over several lines.")         \
    X(MISSING_HOST, "missing_host", 400, "The Host header field is missing.")                      \
    X(BAD_HOST, "bad_host", 400, "The Host header field is malformed or repeated.")                \
    X(BAD_CONTENT_LENGTH, "bad_content_length", 400, "Content-Length is malformed.")               \
    X(CONFLICTING_LENGTH, "conflicting_length", 400, "The length of the body is given twice.")     \
    X(BAD_TRANSFER_ENCODING, "bad_transfer_encoding", 400, "Transfer-Encoding is malformed.")      \
    X(UNKNOWN_TRANSFER_CODING, "unknown_transfer_coding", 501, "This transfer coding is unknown.") \
    X(DESYNC, "desync", 400, "The request is ambiguous.")                                          \
    X(PARSERS_DISAGREE, "parsers_disagree", 400, "The request is ambiguous.")                      \
    X(BAD_CHUNK, "bad_chunk", 400, "The chunked body is malformed.")                               \
    X(BAD_TRAILER, "bad_trailer", 400, "A trailer field is malformed.")                            \
    X(CLIENT_CUT_BODY, "client_cut_body", 400, "The request body ended too early.")                \
    X(HTTP_ON_TLS_PORT, "http_on_tls_port", 400, "This port expects TLS.")                         \
    /* The request is too large, too slow, or not for us. */                                       \
    X(URI_TOO_LONG, "uri_too_long", 414, "The request line is too long.")                          \
    X(HEADER_TOO_LARGE, "header_too_large", 431, "A header field is too large.")                   \
    X(HEAD_TOO_LARGE, "head_too_large", 431, "The header fields are too large together.")          \
    X(TOO_MANY_HEADERS, "too_many_headers", 431, "There are too many header fields.")              \
    X(TRAILERS_TOO_LARGE, "trailers_too_large", 431, "The trailer fields are too large.")          \
    X(BODY_TOO_LARGE, "body_too_large", 413, "The request body is too large.")                     \
    X(METHOD_NOT_ALLOWED, "method_not_allowed", 405, "This method is not served here.")            \
    X(TOO_MANY_FORWARDED, "too_many_forwarded", 463, "X-Forwarded-For has too many addresses.")    \
    X(PROTOCOL_MISMATCH, "protocol_mismatch", 464, "The targets do not speak this protocol.")      \
    X(REQUEST_TIMEOUT, "request_timeout", 408, "The request did not arrive in time.")              \
    X(BODY_TIMEOUT, "body_timeout", 408, "The request body did not arrive in time.")               \
    X(CLIENT_TLS_ERROR, "client_tls_error", 0, "The TLS handshake with the client failed.")        \
    X(CLIENT_TLS_TIMEOUT, "client_tls_timeout", 0, "The client's TLS handshake took too long.")    \
    X(BAD_STREAM, "bad_stream", 400, "The HTTP/2 request is malformed.")                           \
    X(SOURCE_DENIED, "source_denied", 403, "This address may not connect.")                        \
    /* The client has left. */                                                                     \
    X(CLIENT_GONE, "client_gone", 460, "The client closed the connection.")                        \
    X(CLIENT_TIMEOUT, "client_timeout", 0, "The client did not take the response in time.")        \
    /* We cannot serve it now. */                                                                  \
    X(NO_TARGET, "no_target", 503, "No target is registered.")                                     \
    X(NO_HEALTHY_TARGET, "no_healthy_target", 503, "No target is healthy.")                        \
    X(NO_TARGET_IN_ZONE, "no_target_in_zone", 503, "No target serves this zone.")                  \
    X(TARGETS_BUSY, "targets_busy", 503, "All targets are at their limit.")                        \
    X(QUEUE_FULL, "queue_full", 503, "Too many requests are waiting.")                             \
    X(QUEUE_TIMEOUT, "queue_timeout", 503, "No target became free in time.")                       \
    X(MAX_CONNECTIONS, "max_connections", 503, "Too many connections are open.")                   \
    X(OVERLOAD, "overload", 503, "The load balancer is out of memory for requests.")               \
    X(NO_DESCRIPTORS, "no_descriptors", 503, "The load balancer is out of descriptors.")           \
    X(SHUTTING_DOWN, "shutting_down", 503, "The load balancer is shutting down.")                  \
    X(INTERNAL, "internal", 500, "The load balancer made an error.")                               \
    X(REDIRECT_TOO_LONG, "redirect_too_long", 507, "The redirect's Location is too long.")         \
    /* The target. */                                                                              \
    X(TARGET_REFUSED, "target_refused", 502, "The target refused the connection.")                 \
    X(TARGET_UNREACHABLE, "target_unreachable", 502, "The target cannot be reached.")              \
    X(TARGET_CONNECT_TIMEOUT, "target_connect_timeout", 504, "The target did not accept in time.") \
    X(TARGET_TLS_ERROR, "target_tls_error", 502, "The TLS handshake with the target failed.")      \
    X(TARGET_TLS_TIMEOUT, "target_tls_timeout", 504, "The TLS handshake with the target is slow.") \
    X(TARGET_RESET, "target_reset", 502, "The target broke the connection.")                       \
    X(TARGET_CLOSED, "target_closed", 502, "The target closed without an answer.")                 \
    X(TARGET_TIMEOUT, "target_timeout", 504, "The target did not answer in time.")                 \
    X(TARGET_BODY_TIMEOUT, "target_body_timeout", 504, "The target stopped in its answer.")        \
    X(TARGET_CUT_BODY, "target_cut_body", 502, "The target's answer ended too early.")             \
    X(TARGET_REFUSED_STREAM, "target_refused_stream", 503, "The target refused the request.")      \
    X(TARGET_BAD_FRAME, "target_bad_frame", 502, "The target misused its HTTP/2 connection.")      \
    X(TARGET_WRONG_PROTOCOL, "target_wrong_protocol", 502, "The target speaks no HTTP/2.")         \
    X(DEADLINE_EXCEEDED, "deadline_exceeded", 504, "The request's own deadline has passed.")       \
    X(TARGET_DEREGISTERED, "target_deregistered", 502, "The target was removed.")                  \
    X(BAD_RESPONSE, "bad_response", 502, "The target's answer is malformed.")                      \
    X(BAD_RESPONSE_FRAMING, "bad_response_framing", 502, "The answer's length is ambiguous.")      \
    X(BAD_RESPONSE_CHUNK, "bad_response_chunk", 502, "The answer's chunked body is malformed.")    \
    X(UNEXPECTED_UPGRADE, "unexpected_upgrade", 502, "The target changed protocols unasked.")      \
    X(RESPONSE_HEAD_TOO_LARGE, "response_head_too_large", 502, "The answer's head is too large.")  \
    /* An HTTP/2 connection that is ended for what its client sent. */                             \
    X(BAD_FRAME, "bad_frame", 0, "The HTTP/2 connection was misused.")                             \
    X(RESET_FLOOD, "reset_flood", 0, "Too many HTTP/2 streams were reset.")                        \
    X(CONTROL_FLOOD, "control_flood", 0, "Too many HTTP/2 frames carried nothing.")                \
    X(HEADER_FLOOD, "header_flood", 0, "An HTTP/2 field list was far too large.")                  \
    /* Connections without HTTP, and both sides of a tunnel. */                                    \
    X(IDLE_TIMEOUT, "idle_timeout", 0, "Nothing was sent for too long.")                           \
    X(HALF_CLOSE_TIMEOUT, "half_close_timeout", 0, "The second half stayed open for too long.")    \
    X(DRAIN_TIMEOUT, "drain_timeout", 0, "The connection outlived its listener or the process.")

enum reason {
#define REASON_ID(id, name, status, text) REASON_##id,
    REASONS(REASON_ID)
#undef REASON_ID
        REASON_COUNT,
};

const char *status_reason_name(enum reason r); /* snake_case; "" for REASON_NONE */
unsigned status_of(enum reason r);             /* default status; 0: none */
struct slice status_text(enum reason r);       /* one English sentence */

/* "Not Found"; the class's name ("Client Error") for a number we do not know. Never empty for
 * 100..599. */
struct slice status_phrase(unsigned status);

#endif
