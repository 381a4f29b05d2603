/* Frames of an HTTP/2 client behind its preface, fed whole and octet by octet to a codec whose
 * owner answers some streams, leaves others standing and resets a few: the same events either way,
 * no window beyond a flow's cap, all memory given back. A head that the codec hands on holds
 * exactly one HTTP/1.1 head: nothing that a client puts into a field begins another; and where that
 * is believed as it is written, http-parser reads it in the same way. */
#include <stdlib.h>

#include "../../src/http/second.h"
#include "base/strbuf.h"
#include "heads.h"
#include "http/h1_parser.h"
#include "http/h2_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STREAMS   256
#define OUT_BYTES (128u * 1024)

struct stream {
    struct h2_stream wire;
    struct flow up, down;
    bool live;
};

struct owner {
    struct h2_session s;
    struct chunkpool pool;
    struct strbuf events; /* of all but the pieces of bodies */
    uint64_t body_bytes;
    bool broken; /* a stream was reset for what the client sent */
    struct stream streams[STREAMS];
    char *out;
};

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

static struct stream *stream_of(struct h2_stream *wire)
{
    return wire ? container_of(wire, struct stream, wire) : NULL;
}

static void check_head(struct slice text)
{
    struct h1_finder finder = {0};
    struct h1_find_result found = h1_parser_find_request(&finder, text, &fuzz_limits);
    CHECK(found.found != H1_FOUND_MORE);
    CHECK(found.found != H1_FOUND_HEAD || (found.skip == 0 && found.length == text.n));
    struct field fields[FUZZ_FIELDS];
    struct request_head h;
    char host[HEAD_HOST_MAX];
    head_request_init(&h, fields, FUZZ_FIELDS, host);
    if (h1_parser_written_request(text, &fuzz_limits, DESYNC_MODE_MONITOR, &h) == REASON_NONE)
        CHECK(second_whole_request(&h));
}

/* By the number of the stream: no answer, a head, a body that ends, one that does not, a reset. */
static void answer(struct owner *o, struct stream *st)
{
    static const struct field fields[] = {{.name = SLICE_INIT("X-A"), .value = SLICE_INIT("b")}};
    unsigned kind = (unsigned)st->wire.id / 2 % 5;
    if (kind == 0)
        return;
    if (kind == 4) {
        h2_session_reset(&o->s, &st->wire, H2_CODE_CANCEL);
        return;
    }
    if (kind > 1) {
        flow_lend(&st->down, &o->pool, SLICE("hello"));
        flow_settle(&st->down, &o->pool);
    }
    if (kind == 2)
        flow_end(&st->down);
    h2_session_inform(&o->s, &st->wire, 103, fields, 1);
    h2_session_respond(&o->s, &st->wire, 200, fields, 1, kind == 1 ? NULL : &st->down);
}

static void on_head(struct owner *o, const struct h2_event *ev)
{
    check_head(ev->bytes);
    for (int i = 0; i < STREAMS; i++)
        if (!o->streams[i].live) {
            o->streams[i] = (struct stream){.live = true};
            h2_session_accept(&o->s, &o->streams[i].wire, ev);
            answer(o, &o->streams[i]);
            return;
        }
    h2_session_refuse(&o->s, ev->id);
}

static void on_data(struct owner *o, const struct h2_event *ev)
{
    struct stream *st = stream_of(ev->stream);
    o->body_bytes += ev->bytes.n;
    h2_session_received(&o->s, ev->bytes.n);
    if (!st || ev->bytes.n == 0)
        return;
    flow_lend(&st->up, &o->pool, ev->bytes);
    flow_settle(&st->up, &o->pool);
    if (st->wire.id / 2 % 2)
        return; /* a target that takes nothing */
    size_t n = flow_bytes(&st->up);
    flow_consume(&st->up, &o->pool, n);
    h2_session_consumed(&o->s, &st->wire, n);
}

static void on_event(struct owner *o, const struct h2_event *ev)
{
    if (ev->type == H2_EVENT_HEAD)
        on_head(o, ev);
    else if (ev->type == H2_EVENT_DATA)
        on_data(o, ev);
    if (ev->type == H2_EVENT_NONE || (ev->type == H2_EVENT_DATA && !ev->end))
        return;
    strbuf_printf(&o->events, "%d %d %d %d ", ev->type, ev->id, ev->end, ev->refused);
    if (ev->type != H2_EVENT_DATA)
        strbuf_slice(&o->events, ev->bytes);
}

static void end_stream(struct owner *o, struct stream *st)
{
    flow_clear(&st->up, &o->pool);
    flow_clear(&st->down, &o->pool);
    st->live = false;
}

static void after(struct owner *o)
{
    struct h2_stream *wire;
    while ((wire = h2_session_next_moved(&o->s))) {
        struct stream *st = stream_of(wire);
        if (flow_finished(&st->down))
            h2_session_finish(&o->s, wire);
    }
    while ((wire = h2_session_next_closed(&o->s))) {
        o->broken = o->broken || (wire->code != H2_CODE_NO_ERROR && !wire->peer_reset);
        end_stream(o, stream_of(wire));
    }
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
    struct h2_settings settings = H2_SETTINGS_DEFAULT;
    struct rng rng = {1};
    settings.websockets = &rng;
    struct owner *o = calloc(1, sizeof(*o));
    size_t n = 1;
    CHECK(o);
    o->out = malloc(OUT_BYTES);
    chunkpool_init(&o->pool, 1u << 30);
    strbuf_init(&o->events);
    CHECK(h2_session_init(&o->s, &o->pool, &fuzz_limits, &settings, 0) == OK);
    CHECK(feed(o, slice_of(preface, sizeof(preface) - 1), SIZE_MAX) == OK);
    strbuf_printf(&o->events, "end %d", feed(o, in, step));
    after(o);
    while (n && h2_session_pull(&o->s, o->out, OUT_BYTES, &n) == OK)
        after(o);
    return o;
}

static void finish(struct owner *o)
{
    h2_session_fini(&o->s);
    for (int i = 0; i < STREAMS; i++)
        end_stream(o, &o->streams[i]);
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
