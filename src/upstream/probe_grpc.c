/* A gRPC check: one call with an empty message, over HTTP/2.
 *
 *   preface, HEADERS, DATA ──▶        HEADERS, DATA, trailers ◀──
 *                                                      └ grpc-status: one of the matcher's
 *
 * Any method will do, as with ALB: what a service does not know it answers with 12. With the health
 * protocol's own method the answer must also say SERVING. Memory: the codec's, as long as the check
 * is out; of the message no more than its first octets are kept. */
#include <stdlib.h>

#include "base/check.h"
#include "http/h1_parser.h"
#include "http/h1_writer.h"
#include "http/h2_session.h"
#include "http/validate.h"
#include "upstream/probe.h"

#define HEALTH_PATH   SLICE("/grpc.health.v1.Health/Check")
#define HEAD_BYTES    4096        /* the request's; path and host are bounded */
#define BODY_MAX      (64u << 10) /* what is read of an answer */
#define PREFIX_BYTES  5           /* of a message: not compressed, 32 bits of length */
#define SERVING       "\x08\x01"  /* field 1, a varint: 1 */
#define SERVING_BYTES 2

struct call {
    struct h2_session h2;
    struct h2_stream stream;
    struct flow body;
    bool answered; /* the head has come, and it was 200 */
    size_t seen;   /* octets of the answer's body */
    char message[PREFIX_BYTES + SERVING_BYTES];
};

static const char empty_message[PREFIX_BYTES];

static struct chunkpool *chunks_of(const struct check *k)
{
    return &k->checker->loop->chunks;
}

/* ---- the call ---- */

static enum health_result send_frames(struct check *k, struct call *c)
{
    struct iovec iov = {.iov_base = k->checker->loop->head};
    while (h2_session_wants_out(&c->h2)) {
        if (h2_session_pull(&c->h2, iov.iov_base, LOOP_HEAD_BYTES, &iov.iov_len) != OK)
            return HEALTH_RESULT_FAILED;
        if (iov.iov_len == 0)
            break;
        if (conn_write(k->conn, &iov, 1) != OK)
            return HEALTH_RESULT_RESET;
    }
    while (h2_session_next_moved(&c->h2))
        continue;
    flow_settle(&c->body, chunks_of(k));
    return HEALTH_RESULT_NONE;
}

static struct slice head_of(struct check *k, char *to)
{
    const struct config_health_check *config = k->group->check;
    struct h1_writer w;
    size_t n;
    h1_writer_init(&w, to, HEAD_BYTES);
    H1_WRITER_LIT(&w, "POST ");
    h1_writer_slice(&w, config->path);
    H1_WRITER_LIT(&w, " HTTP/1.1\r\nHost: ");
    probe_http_put_host(&w, &k->conn->peer, config);
    H1_WRITER_LIT(&w, "\r\nContent-Type: application/grpc\r\nTE: trailers\r\n"
                      "User-Agent: ELB-HealthChecker/2.0\r\n\r\n");
    CHECK(h1_writer_end(&w, &n) == OK);
    return slice_of(to, n);
}

static enum err begin(struct check *k, struct call *c)
{
    char head[HEAD_BYTES];
    const struct h2_settings settings = H2_SETTINGS_CLIENT;
    struct checker *checker = k->checker;
    enum err e = h2_session_init(&c->h2, chunks_of(k), &checker->limits, &settings,
                                 checker->loop->clock.now_ms);
    if (e != OK)
        return e;
    k->state = c; /* from here on hung_up() ends it */
    flow_init(&c->body);
    flow_lend(&c->body, chunks_of(k), slice_of(empty_message, PREFIX_BYTES));
    flow_end(&c->body);
    return h2_session_request(&c->h2, &c->stream, head_of(k, head), k->group->check->tls, &c->body);
}

static enum health_result ask(struct check *k)
{
    struct call *c = calloc(1, sizeof(*c));
    if (!c || begin(k, c) != OK) {
        if (!k->state)
            free(c);
        return HEALTH_RESULT_INTERNAL;
    }
    return send_frames(k, c);
}

static void hung_up(struct check *k)
{
    struct call *c = k->state;
    h2_session_fini(&c->h2);
    flow_clear(&c->body, chunks_of(k));
    free(c);
    k->state = NULL;
}

/* ---- the answer ---- */

static bool says_serving(const struct call *c)
{
    return c->seen == sizeof(c->message) && c->message[PREFIX_BYTES - 1] == SERVING_BYTES &&
           memcmp(c->message + PREFIX_BYTES, SERVING, SERVING_BYTES) == 0;
}

static enum health_result judge(struct check *k, const struct fields *fields)
{
    const struct config_health_check *config = k->group->check;
    const struct field *f = fields_find(fields, SLICE("grpc-status"));
    uint64_t status;
    if (!f || !slice_u64(f->value, &status) || status > CONFIG_GRPC_MAX)
        return HEALTH_RESULT_GRPC_EMPTY;
    k->status = (uint16_t)status;
    k->has_status = true;
    if (!model_matcher_has(&config->matcher, (unsigned)status))
        return HEALTH_RESULT_GRPC_MISMATCH;
    if (status != 0 || !slice_eq(config->path, HEALTH_PATH) || says_serving(k->state))
        return HEALTH_RESULT_PASS;
    k->why = "it is not serving";
    return HEALTH_RESULT_GRPC_MISMATCH;
}

/* One that ends with its head has its grpc-status there. */
static enum health_result on_head(struct check *k, const struct h2_event *ev)
{
    struct checker *c = k->checker;
    struct call *call = k->state;
    struct response_head h;
    head_response_init(&h, c->fields, c->limits.headers);
    if (ev->refused ||
        h1_parser_response(ev->bytes, &c->limits, METHOD_OTHER, false, &h) != REASON_NONE)
        return HEALTH_RESULT_FAILED;
    if (h.interim)
        return ++k->interims > PROBE_INTERIMS_MAX ? HEALTH_RESULT_FAILED : HEALTH_RESULT_NONE;
    call->answered = h.status == 200;
    if (ev->end)
        return judge(k, &h.fields);
    return call->answered ? HEALTH_RESULT_NONE : HEALTH_RESULT_GRPC_EMPTY;
}

static enum health_result on_data(struct check *k, const struct h2_event *ev)
{
    struct call *c = k->state;
    for (size_t i = 0; i < ev->bytes.n && c->seen + i < sizeof(c->message); i++)
        c->message[c->seen + i] = ev->bytes.p[i];
    c->seen += ev->bytes.n;
    h2_session_received(&c->h2, ev->bytes.n);
    h2_session_consumed(&c->h2, &c->stream, ev->bytes.n);
    if (c->seen > BODY_MAX)
        return HEALTH_RESULT_FAILED;
    return ev->end ? HEALTH_RESULT_GRPC_EMPTY : HEALTH_RESULT_NONE;
}

static enum health_result on_trailers(struct check *k, const struct h2_event *ev)
{
    struct checker *c = k->checker;
    struct fields fields;
    fields_init(&fields, c->fields, c->limits.headers);
    if (ev->refused || validate_trailers(ev->bytes, &c->limits, &fields) != REASON_NONE)
        return HEALTH_RESULT_FAILED;
    return judge(k, &fields);
}

static enum health_result on_event(struct check *k, const struct h2_event *ev)
{
    switch (ev->type) {
    case H2_EVENT_HEAD:
        return on_head(k, ev);
    case H2_EVENT_DATA:
        return on_data(k, ev);
    case H2_EVENT_TRAILERS:
        return on_trailers(k, ev);
    case H2_EVENT_NONE:
    case H2_EVENT_PONG:
    case H2_EVENT_SETTINGS:
    case H2_EVENT_GOAWAY:
        break;
    }
    return HEALTH_RESULT_NONE;
}

static enum health_result feed(struct check *k, struct slice in)
{
    struct call *c = k->state;
    enum health_result result = HEALTH_RESULT_NONE;
    while (result == HEALTH_RESULT_NONE && in.n) {
        struct h2_event ev;
        if (h2_session_feed(&c->h2, k->checker->loop->clock.now_ms, &in, &ev) != OK)
            return HEALTH_RESULT_FAILED;
        result = on_event(k, &ev);
    }
    if (result == HEALTH_RESULT_NONE && h2_session_next_closed(&c->h2))
        return HEALTH_RESULT_RESET;
    return result;
}

static enum health_result answer(struct check *k)
{
    struct slice in;
    enum err e = conn_read(k->conn, BODY_MAX, &in);
    if (e == ERR_AGAIN)
        return HEALTH_RESULT_NONE;
    if (e != OK)
        return e == ERR_RESET ? HEALTH_RESULT_RESET : HEALTH_RESULT_FAILED;
    enum health_result result = feed(k, in);
    conn_keep(k->conn, slice_of(in.p + in.n, 0), false);
    return result == HEALTH_RESULT_NONE ? send_frames(k, k->state) : result;
}

const struct probe probe_grpc = {.connected = ask, .readable = answer, .hung_up = hung_up};
