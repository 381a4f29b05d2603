/* What the parts of the HTTP/2 codec share, and the only place that knows nghttp2. Private to
 * http/.
 *
 *   h2_session.c   a session's life, what its owner says to a stream
 *   h2_in.c        frames in: where they begin and end, what nghttp2 finds in them
 *   h2_out.c       frames out: bodies, and what their sending brings about
 *   h2_lines.c     the head of a request as a list of fields */
#ifndef HTTP_H2_PRIVATE_H
#define HTTP_H2_PRIVATE_H

#include <nghttp2/nghttp2.h>

#include "base/check.h"
#include "h2_fields.h"
#include "http/h2_session.h"

#define H2_FRAME_HD_BYTES 9
#define H2_USEFUL_BYTES   1024 /* DATA that carries less earns nothing */
#define H2_EARNED         2

struct h2_bucket {
    struct h2_budget budget;
    uint32_t level;
    uint64_t at_ms; /* filled up to then */
};

struct h2_private {
    struct h2_session *s;
    nghttp2_session *ng;
    bool client;
    struct chunkpool *pool;
    struct h2_fields fields;
    struct rng *websockets;
    struct h2_bucket resets, controls;
    struct heap *memory; /* NULL: malloc */
    void *frame, *table; /* pieces of it that nghttp2 has, NULL: not seen */
    size_t table_bytes;
    struct h2_event *ev; /* of the feed that runs */

    /* Where the input stands: at a header of which hd_n octets are there, or in a frame. */
    uint8_t hd[H2_FRAME_HD_BYTES];
    uint32_t hd_n, left;

    /* Server. Ids of the client: the newest, and those that were left out before it. */
    uint32_t last_id, gap_from, gap_to;
    int64_t
        widest; /* window for what we send on any stream, and the initial one, before SETTINGS */
    int64_t initial;
    bool forgiving; /* we have reset or refused something: frames for it may be on their way */

    /* The pull that runs. */
    char *to;
    size_t n, cap;
};

/* ---- shared ---- */

static inline struct h2_stream *h2_private_stream(nghttp2_session *ng, int32_t id)
{
    return id ? nghttp2_session_get_stream_user_data(ng, id) : NULL;
}

static inline nghttp2_nv h2_private_nv(struct slice name, struct slice value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name.p,
                        .namelen = name.n,
                        .value = (uint8_t *)(uintptr_t)value.p,
                        .valuelen = value.n};
}

/* A name of ours, in small letters, which nghttp2 need not copy. */
static inline nghttp2_nv h2_private_own_nv(struct slice name, struct slice value)
{
    nghttp2_nv nv = h2_private_nv(name, value);
    nv.flags = NGHTTP2_NV_FLAG_NO_COPY_NAME;
    return nv;
}

static inline nghttp2_nv h2_private_field_nv(enum field_id id, struct slice name,
                                             struct slice value)
{
    struct slice known = fields_name(id);
    return known.n ? h2_private_own_nv(known, value) : h2_private_nv(name, value);
}

/* The connection is at its end: the first reason counts. */
void h2_session_fail(struct h2_private *p, enum reason why, uint32_t code);
/* One token; none left: the end, with ENHANCE_YOUR_CALM. */
void h2_session_spend(struct h2_private *p, struct h2_bucket *b, enum reason why);

void h2_in_register(nghttp2_session_callbacks *c);
/* Up to the end of the frame, at most; what is found is in p->ev. */
void h2_in_take(struct h2_private *p, struct slice *in);

void h2_out_register(nghttp2_session_callbacks *c);
/* p->n octets of p->cap at p->to. */
MUST_USE enum err h2_out_pull(struct h2_private *p);
/* The answer is out, its exchange is over, but the client still sends: RST_STREAM(NO_ERROR). */
void h2_out_stop_client(struct h2_private *p, struct h2_stream *st);
/* How much of the body goes into the next DATA frame, which is copied when that is written. */
ssize_t h2_out_read_body(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t length,
                         uint32_t *flags, nghttp2_data_source *source, void *user);

/* The lines of a whole HTTP/1.1 head, in a chunk of the pool that the caller gives back. They point
 * into the head. */
struct chunk *h2_lines_read(struct chunkpool *pool, struct slice head, bool https, nghttp2_nv **nv,
                            size_t *n);

/* ---- budgets ---- */

static inline void h2_bucket_init(struct h2_bucket *b, struct h2_budget budget, uint64_t now_ms)
{
    *b = (struct h2_bucket){.budget = budget, .level = budget.burst, .at_ms = now_ms};
}

static inline void h2_bucket_fill(struct h2_bucket *b, uint64_t now_ms)
{
    uint64_t due = (now_ms - b->at_ms) * b->budget.per_s / 1000;
    if (due == 0)
        return;
    uint64_t level = b->level + due;
    b->level = level < b->budget.burst ? (uint32_t)level : b->budget.burst;
    b->at_ms += due * 1000 / b->budget.per_s;
}

static inline void h2_bucket_give(struct h2_bucket *b, uint32_t n)
{
    b->level = b->budget.burst - b->level < n ? b->budget.burst : b->level + n;
}

static inline bool h2_bucket_take(struct h2_bucket *b)
{
    if (b->level == 0)
        return false;
    b->level--;
    return true;
}

#endif
