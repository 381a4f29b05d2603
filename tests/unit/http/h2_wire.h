/* HTTP/2 by hand, for tests: frames are put together octet by octet, and what the codec says is
 * written down as lines of text, one a frame or event. */
#ifndef UNIT_HTTP_H2_WIRE_H
#define UNIT_HTTP_H2_WIRE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#include "base/strbuf.h"
#include "http/h2_session.h"

enum wire_type { DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION };
enum wire_flag { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };

#define WHOLE (END_STREAM | END_HEADERS)

static inline void wire_frame(struct strbuf *to, enum wire_type type, unsigned flags, uint32_t id,
                              const void *payload, size_t n)
{
    char hd[9] = {(char)(n >> 16),  (char)(n >> 8),   (char)n,         (char)type, (char)flags,
                  (char)(id >> 24), (char)(id >> 16), (char)(id >> 8), (char)id};
    strbuf_add(to, hd, sizeof(hd));
    if (n)
        strbuf_add(to, payload, n);
}

static inline void wire_u32(struct strbuf *to, enum wire_type type, uint32_t id, uint32_t v)
{
    char b[4] = {(char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v};
    wire_frame(to, type, 0, id, b, sizeof(b));
}

/* RFC 7541 6.2.2: a literal that is not indexed, with a new name. */
static inline void wire_field(struct strbuf *to, const char *name, struct slice value)
{
    char head[2] = {0, (char)strlen(name)};
    char prefix[4] = {(char)value.n};
    size_t n = 1;
    if (value.n >= 127) {
        size_t rest = value.n - 127;
        prefix[0] = 127;
        for (; rest >= 128; rest >>= 7)
            prefix[n++] = (char)(rest & 127) | (char)128;
        prefix[n++] = (char)rest;
    }
    strbuf_add(to, head, sizeof(head));
    strbuf_str(to, name);
    strbuf_add(to, prefix, n);
    strbuf_slice(to, value);
}

/* Pairs of name and value, up to NULL. */
static inline void wire_list(struct strbuf *to, const char *const *pairs)
{
    for (; *pairs; pairs += 2)
        wire_field(to, pairs[0], slice_str(pairs[1]));
}

static inline void wire_head(struct strbuf *to, uint32_t id, unsigned flags,
                             const char *const *pairs)
{
    struct strbuf list;
    strbuf_init(&list);
    wire_list(&list, pairs);
    wire_frame(to, HEADERS, flags, id, list.p, list.n);
    strbuf_fini(&list);
}

#define WIRE_HEAD(to, id, flags, ...)                                                              \
    wire_head(to, id, flags, (const char *const[]){__VA_ARGS__, NULL})

#define GET_A  ":method", "GET", ":scheme", "http", ":path", "/a", ":authority", "x.com"
#define POST_A ":method", "POST", ":scheme", "http", ":path", "/a", ":authority", "x.com"

static inline void wire_preface(struct strbuf *to)
{
    strbuf_slice(to, H2_SESSION_PREFACE);
    wire_frame(to, SETTINGS, 0, 0, NULL, 0);
}

/* ---- what comes out ---- */

struct wire_reader {
    nghttp2_hd_inflater *hpack;
    struct strbuf said; /* one line a frame */
    struct strbuf body; /* of all DATA frames */
};

static inline void wire_reader_init(struct wire_reader *r)
{
    assert_int_equal(nghttp2_hd_inflate_new(&r->hpack), 0);
    strbuf_init(&r->said);
    strbuf_init(&r->body);
}

static inline void wire_reader_fini(struct wire_reader *r)
{
    nghttp2_hd_inflate_del(r->hpack);
    strbuf_fini(&r->said);
    strbuf_fini(&r->body);
}

static inline void wire_read_list(struct wire_reader *r, const uint8_t *p, size_t n)
{
    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(r->hpack, &nv, &flags, p, n, 1);
        assert_true(used >= 0);
        p += used;
        n -= (size_t)used;
        if (flags & NGHTTP2_HD_INFLATE_EMIT)
            strbuf_printf(&r->said, " %s=%s", nv.name, nv.value);
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            break;
    }
    assert_int_equal(nghttp2_hd_inflate_end_headers(r->hpack), 0);
}

static inline uint32_t wire_get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Whole frames, as a pull gives them. "HEADERS 1 END :status=200", "RST 1 8", "GOAWAY 1 11". */
static inline void wire_read(struct wire_reader *r, struct slice in)
{
    static const char *const names[] = {"DATA", "HEADERS", "PRIORITY", "RST",    "SETTINGS",
                                        "PUSH", "PING",    "GOAWAY",   "WINDOW", "CONTINUATION"};
    while (in.n) {
        const uint8_t *p = (const uint8_t *)in.p;
        assert_true(in.n >= 9);
        size_t n = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
        assert_true(in.n >= 9 + n && p[3] <= CONTINUATION);
        uint32_t id = wire_get_u32(p + 5);
        strbuf_printf(&r->said, "%s", names[p[3]]);
        if (id)
            strbuf_printf(&r->said, " %u", id);
        if (p[3] == SETTINGS || p[3] == PING)
            strbuf_str(&r->said, p[4] & ACK ? " ACK" : "");
        if ((p[3] == DATA || p[3] == HEADERS) && p[4] & END_STREAM)
            strbuf_str(&r->said, " END");
        if (p[3] == RST || p[3] == WINDOW)
            strbuf_printf(&r->said, " %u", wire_get_u32(p + 9));
        if (p[3] == GOAWAY)
            strbuf_printf(&r->said, " %u %u", wire_get_u32(p + 9), wire_get_u32(p + 13));
        if (p[3] == HEADERS)
            wire_read_list(r, p + 9, n);
        if (p[3] == DATA) {
            strbuf_printf(&r->said, " %zu", n);
            strbuf_add(&r->body, p + 9, n);
        }
        strbuf_str(&r->said, "\n");
        in = slice_from(in, 9 + n);
    }
}

#endif
