/* Field lines of a head or of trailers (RFC 9110 5), as spans into the bytes they were read from.
 *
 * Owner: whoever owns the array and the bytes; both must outlive the struct. No allocation, single
 * thread. Fields keep the order and the spelling of the wire; names of interest carry an id, so
 * that nothing above the parser compares strings. */
#ifndef HTTP_FIELDS_H
#define HTTP_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* X(ID, "lower-case name", first letter, letter three quarters in): length and letters feed the
 * hash in fields.c, which the compiler proves free of collisions. At most 62 names. */
#define FIELD_NAMES(X)                                                                             \
    X(HOST, "host", 'h', 't')                                                                      \
    X(CONTENT_LENGTH, "content-length", 'c', 'n')                                                  \
    X(TRANSFER_ENCODING, "transfer-encoding", 't', 'o')                                            \
    X(CONNECTION, "connection", 'c', 'i')                                                          \
    X(UPGRADE, "upgrade", 'u', 'd')                                                                \
    X(EXPECT, "expect", 'e', 'c')                                                                  \
    X(TE, "te", 't', 'e')                                                                          \
    X(TRAILER, "trailer", 't', 'e')                                                                \
    X(KEEP_ALIVE, "keep-alive", 'k', 'i')                                                          \
    X(PROXY_CONNECTION, "proxy-connection", 'p', 't')                                              \
    X(PROXY_AUTHENTICATE, "proxy-authenticate", 'p', 'i')                                          \
    X(PROXY_AUTHORIZATION, "proxy-authorization", 'p', 'a')                                        \
    X(HTTP2_SETTINGS, "http2-settings", 'h', 'i')                                                  \
    X(X_FORWARDED_FOR, "x-forwarded-for", 'x', '-')                                                \
    X(X_FORWARDED_PROTO, "x-forwarded-proto", 'x', 'p')                                            \
    X(X_FORWARDED_PORT, "x-forwarded-port", 'x', 'p')                                              \
    X(X_AMZN_TRACE_ID, "x-amzn-trace-id", 'x', 'e')                                                \
    X(TRACEPARENT, "traceparent", 't', 'e')                                                        \
    X(TRACESTATE, "tracestate", 't', 'a')                                                          \
    X(AUTHORIZATION, "authorization", 'a', 't')                                                    \
    X(COOKIE, "cookie", 'c', 'i')                                                                  \
    X(SET_COOKIE, "set-cookie", 's', 'k')                                                          \
    X(ORIGIN, "origin", 'o', 'i')                                                                  \
    X(REFERER, "referer", 'r', 'e')                                                                \
    X(USER_AGENT, "user-agent", 'u', 'e')                                                          \
    X(CONTENT_TYPE, "content-type", 'c', 'y')                                                      \
    X(DATE, "date", 'd', 'e')                                                                      \
    X(SERVER, "server", 's', 'e')                                                                  \
    X(LOCATION, "location", 'l', 'o')                                                              \
    X(STRICT_TRANSPORT_SECURITY, "strict-transport-security", 's', 'e')                            \
    X(CONTENT_SECURITY_POLICY, "content-security-policy", 'c', 'p')                                \
    X(X_CONTENT_TYPE_OPTIONS, "x-content-type-options", 'x', 'p')                                  \
    X(X_FRAME_OPTIONS, "x-frame-options", 'x', 'i')                                                \
    X(ACCESS_CONTROL_ALLOW_ORIGIN, "access-control-allow-origin", 'a', '-')                        \
    X(ACCESS_CONTROL_ALLOW_METHODS, "access-control-allow-methods", 'a', 'm')                      \
    X(ACCESS_CONTROL_ALLOW_HEADERS, "access-control-allow-headers", 'a', 'h')                      \
    X(ACCESS_CONTROL_ALLOW_CREDENTIALS, "access-control-allow-credentials", 'a', 'd')              \
    X(ACCESS_CONTROL_EXPOSE_HEADERS, "access-control-expose-headers", 'a', '-')                    \
    X(ACCESS_CONTROL_MAX_AGE, "access-control-max-age", 'a', 'a')

enum field_id {
    FIELD_OTHER = 0,
#define FIELD_ID(id, name, first, key) FIELD_##id,
    FIELD_NAMES(FIELD_ID)
#undef FIELD_ID
    /* A name that only tenbin may send to a target (X-Amzn-Mtls-*, X-Amzn-Tls-*, X-Amzn-Oidc-*), or
     * one that a target may take for such a name or for X-Forwarded-* (`_` in place of `-`, as CGI
     * does). Never passed on from a client. */
    FIELD_VOUCHED,
    FIELD_IDS,
};

_Static_assert(FIELD_IDS <= 64, "fields.present has one bit for each id");

#define FIELD_BIT(id) ((uint64_t)1 << (id))

struct field {
    struct slice name;  /* as sent; a token (RFC 9110 5.6.2) */
    struct slice value; /* as sent, without the white space around it */
    uint8_t id;         /* enum field_id */
    bool odd_name;      /* not of letters, digits and `-` alone: see drop_invalid_header_fields */
};

struct fields {
    struct field *at; /* caller's array */
    uint32_t count, cap;
    uint64_t present; /* FIELD_BIT of each id that occurs */
};

static inline void fields_init(struct fields *f, struct field *at, uint32_t cap)
{
    *f = (struct fields){.at = at, .cap = cap};
}

static inline bool fields_has(const struct fields *f, enum field_id id)
{
    return f->present & FIELD_BIT(id);
}

/* The first field with this id, or NULL. */
const struct field *fields_get(const struct fields *f, enum field_id id);
/* The next one after `prev` (which came from fields_get or fields_next), or NULL. */
const struct field *fields_next(const struct fields *f, const struct field *prev);
/* The first field of that name in any case, known or not, or NULL. */
const struct field *fields_find(const struct fields *f, struct slice name);
/* Some line with this id has `item` in its comma-separated value, in any case of letters. */
bool fields_has_item(const struct fields *f, enum field_id id, struct slice item);

/* Id of a name in any case of letters, FIELD_OTHER when it is none of ours. `name` is a token. */
enum field_id fields_id(struct slice name);
/* The lower-case name; empty for FIELD_OTHER and FIELD_VOUCHED. */
struct slice fields_name(enum field_id id);

#endif
