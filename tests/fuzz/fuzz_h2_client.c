/* Frames of an HTTP/2 target behind its first SETTINGS, fed whole and octet by octet to a codec in
 * the client's role that has asked for a few things: the same events either way, all memory given
 * back, and a head that the codec hands on holds exactly one HTTP/1.1 head. */
#include <stdlib.h>

#include "base/strbuf.h"
#include "heads.h"
#include "http/h1_parser.h"
#include "http/h2_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STREAMS   8
#define OUT_BYTES (128u * 1024)

struct owner {
    struct h2_session s;
    struct chunkpool pool;
    struct strbuf events; /* of all but the pieces of bodies */
    uint64_t body_bytes;
    bool broken; /* a stream was reset for what the target sent */
    struct h2_stream streams[STREAMS];
    struct flow up[STREAMS];
    char *out;
};

static const char greeting[] = "\0\0\0\4\0\0\0\0\0";

static void check_head(struct slice text)
{
    struct h1_finder finder = {0};
    struct h1_find_result found = h1_parser_find_response(&finder, text, &fuzz_limits);
    CHECK(found.found != H1_FOUND_MORE);
    CHECK(found.found != H1_FOUND_HEAD || (found.skip == 0 && found.length == text.n));
}

/* By number: HEAD, a body that stands still, one that ends, and plain ones; one is reset. */
static void ask(struct owner *o)
{
    static const struct slice heads[] = {
        SLICE_INIT("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        SLICE_INIT("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"),
        SLICE_INIT("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"),
    };
    for (int i = 0; i < STREAMS; i++) {
        bool body = i % 3 == 2;
        CHECK(h2_session_request(&o->s, &o->streams[i], heads[i % 3], i & 1,
                                 body ? &o->up[i] : NULL) == OK);
        if (!body)
            continue;
        flow_lend(&o->up[i], &o->pool, SLICE("hello"));
        flow_settle(&o->up[i], &o->pool);
        if (i == 5)
            flow_end(&o->up[i]);
    }
    h2_session_reset(&o->s, &o->streams[6], H2_CODE_CANCEL);
}

static void on_event(struct owner *o, const struct h2_event *ev)
{
    if (ev->type == H2_EVENT_HEAD)
        check_head(ev->bytes);
    if (ev->type == H2_EVENT_DATA) {
        o->body_bytes += ev->bytes.n;
        h2_session_received(&o->s, ev->bytes.n);
        if (ev->stream && ev->stream->id % 4 == 1) /* others stand still */
            h2_session_consumed(&o->s, ev->stream, ev->bytes.n);
    }
    if (ev->type == H2_EVENT_NONE || (ev->type == H2_EVENT_DATA && !ev->end))
        return;
    strbuf_printf(&o->events, "%d %d %d %d ", ev->type, ev->id, ev->end, ev->refused);
    if (ev->type != H2_EVENT_DATA)
        strbuf_slice(&o->events, ev->bytes);
}

static void after(struct owner *o)
{
    struct h2_stream *wire;
    while (h2_session_next_moved(&o->s))
        continue;
    while ((wire = h2_session_next_closed(&o->s))) {
        o->broken = o->broken || (wire->code != H2_CODE_NO_ERROR && !wire->peer_reset);
        strbuf_printf(&o->events, "closed %d %u %d ", wire->id, wire->code, wire->peer_reset);
    }
}

static void pull(struct owner *o)
{
    size_t n = 1;
    while (n && h2_session_pull(&o->s, o->out, OUT_BYTES, &n) == OK)
        after(o);
}

static enum err feed(struct owner *o, struct slice in, size_t step)
{
    enum err e = OK;
    while (in.n && e == OK) {
        struct slice now = slice_upto(in, step);
        in = slice_from(in, now.n);
        while (now.n && e == OK) {
            struct h2_event ev;
            e = h2_session_feed(&o->s, 0, &now, &ev);
            if (e == OK)
                on_event(o, &ev);
        }
    }
    return e;
}

static struct owner *run(struct slice in, size_t step)
{
    struct h2_settings settings = H2_SETTINGS_CLIENT;
    struct owner *o = calloc(1, sizeof(*o));
    CHECK(o);
    o->out = malloc(OUT_BYTES);
    chunkpool_init(&o->pool, 1u << 30);
    strbuf_init(&o->events);
    CHECK(h2_session_init(&o->s, &o->pool, &fuzz_limits, &settings, 0) == OK);
    CHECK(feed(o, slice_of(greeting, sizeof(greeting) - 1), SIZE_MAX) == OK);
    CHECK(o->s.greeted && o->s.streams_max > 0);
    ask(o);
    pull(o);
    strbuf_printf(&o->events, "end %d", feed(o, in, step));
    after(o);
    pull(o);
    return o;
}

static void finish(struct owner *o)
{
    h2_session_fini(&o->s);
    for (int i = 0; i < STREAMS; i++)
        flow_clear(&o->up[i], &o->pool);
    CHECK(o->pool.used_bytes == 0);
    chunkpool_fini(&o->pool);
    strbuf_fini(&o->events);
    free(o->out);
    free(o);
}

/* A piece that goes beyond the content-length is refused as one, octet by octet only its rest. */
static bool same_bodies(const struct owner *whole, const struct owner *drops)
{
    return whole->body_bytes == drops->body_bytes ||
           (drops->broken && whole->body_bytes < drops->body_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of((const char *)data, size);
    struct owner *whole = run(in, SIZE_MAX), *drops = run(in, 1);
    CHECK(slice_eq(strbuf_get(&whole->events), strbuf_get(&drops->events)));
    CHECK(same_bodies(whole, drops));
    finish(whole);
    finish(drops);
    return 0;
}
