/* HTTP/1 heads and chunk framing into a buffer of the caller. A write that does not fit sets
 * `full` and leaves the rest out; nothing is ever written beyond cap. So callers write all they
 * have and ask once, with h1_writer_end(). */
#ifndef HTTP_H1_WRITER_H
#define HTTP_H1_WRITER_H

#include "base/check.h"
#include "base/err.h"
#include "http/head.h"
#include "http/status.h"

struct h1_writer {
    char *p;
    size_t n, cap;
    bool full;
};

static inline void h1_writer_init(struct h1_writer *w, char *to, size_t cap)
{
    *w = (struct h1_writer){.p = to, .cap = cap};
}

static inline void h1_writer_put(struct h1_writer *w, const void *p, size_t n)
{
    if (__builtin_expect(n > w->cap - w->n, 0)) {
        w->full = true;
        return;
    }
    memcpy(w->p + w->n, p, n);
    w->n += n;
}

static inline void h1_writer_slice(struct h1_writer *w, struct slice s)
{
    if (s.n)
        h1_writer_put(w, s.p, s.n);
}

/* Room for n octets that the caller fills, or NULL; h1_writer_commit() says how many it used. */
static inline char *h1_writer_reserve(struct h1_writer *w, size_t n)
{
    if (n <= w->cap - w->n)
        return w->p + w->n;
    w->full = true;
    return NULL;
}

static inline void h1_writer_commit(struct h1_writer *w, size_t n)
{
    CHECK(n <= w->cap - w->n);
    w->n += n;
}

#define H1_WRITER_LIT(w, lit) h1_writer_put((w), (lit), sizeof(lit) - 1)

void h1_writer_u64(struct h1_writer *w, uint64_t v);
void h1_writer_field(struct h1_writer *w, struct slice name, struct slice value);
/* "HTTP/1.1 404 Not Found\r\n"; an empty phrase means the standard one. */
void h1_writer_status_line(struct h1_writer *w, unsigned status, struct slice phrase);
/* ERR_LIMIT when something did not fit, else OK and *n octets are written. */
MUST_USE enum err h1_writer_end(const struct h1_writer *w, size_t *n);

enum { H1_CHUNK_HEAD_MAX = 18 }; /* 16 hex digits, CRLF */

/* "1f40\r\n"; the data and a CRLF follow. n > 0: 0 would end the body. Returns octets written, at
 * most H1_CHUNK_HEAD_MAX. */
size_t h1_writer_chunk_head(char *to, uint64_t n);
/* "0\r\n", the trailers, "\r\n". */
void h1_writer_last_chunk(struct h1_writer *w, const struct fields *trailers);

/* A whole answer of our own. */
struct h1_reply {
    unsigned status;
    struct slice content_type; /* empty: text/plain */
    struct slice body;
    struct slice date;          /* IMF-fixdate: clock_http_date() */
    const struct field *fields; /* more fields: Location, the listener's response_headers */
    uint32_t field_count;       /* those with an empty value are left out */
    enum method_id method;      /* HEAD gets no body, but its length */
    enum http_version client;   /* decides how keep-alive is said */
    bool keep_alive;            /* else `Connection: close` */
};

/* ERR_LIMIT when cap is too small; *n is the length. */
MUST_USE enum err h1_writer_reply(char *to, size_t cap, const struct h1_reply *r, size_t *n);

enum { H1_ERROR_BODY_MAX = 160 };
/* The body of an error: "502 Bad Gateway\nThe target refused the connection.\n". `status` is
 * mostly status_of(reason). Returns octets written, at most H1_ERROR_BODY_MAX. */
size_t h1_writer_error_body(char *to, unsigned status, enum reason reason);

#endif
