/* Checks over HTTP/2: a GET, and gRPC's, a call with an empty message.
 *
 *   preface, HEADERS ──▶              HEADERS ◀──
 *                                        └ :status: one of the matcher's; nobody reads on
 *   preface, HEADERS, DATA ──▶        HEADERS, DATA, trailers ◀──
 *                                                      └ grpc-status: one of the matcher's
 *
 * Any method will do, as with ALB: what a service does not know it answers with 12. With the health
 * protocol's own method the answer must also say SERVING.
 *
 * A check reads limits.response_head octets and READ_MAX, frames of all kinds: a target cannot keep
 * it busy with what is no answer. Nor can one that does not read what it makes the codec say (PING,
 * SETTINGS): each frame is answered by one of about its own length, so that no more than that waits.
 * Memory: the codec's, while the check is out; of a message no more than its first octets. */
#include <stdlib.h>

#include "base/check.h"
#include "http/h1_parser.h"
#include "http/h1_writer.h"
#include "http/h2_session.h"
#include "http/validate.h"
#include "net/tls.h"
#include "upstream/probe.h"

#define HEALTH_PATH   SLICE("/grpc.health.v1.Health/Check")
#define HEAD_BYTES    4096        /* the request's; path and host are bounded */
#define READ_MAX      (64u << 10) /* beside the head */
#define PREFIX_BYTES  5           /* of a message: not compressed, 32 bits of length */
#define SERVING       "\x08\x01"  /* field 1, a varint: 1 */
#define SERVING_BYTES 2

struct call {
    struct h2_session h2;
    struct h2_stream stream;
    struct flow body; /* of the call */
    size_t seen;      /* octets of the answer's body */
    char message[PREFIX_BYTES + SERVING_BYTES];
};

static const char empty_message[PREFIX_BYTES];

static struct chunkpool *chunks_of(const struct check *k)
{
    return &k->checker->loop->chunks;
}

static bool is_grpc(const struct check *k)
{
    return k->group->check->protocol == CONFIG_CHECK_GRPC;
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
    h1_writer_slice(&w, is_grpc(k) ? SLICE("POST ") : SLICE("GET "));
    h1_writer_slice(&w, config->path);
    H1_WRITER_LIT(&w, " HTTP/1.1\r\nHost: ");
    probe_http_put_host(&w, &k->conn->peer, config);
    if (is_grpc(k))
        H1_WRITER_LIT(&w, "\r\nContent-Type: application/grpc\r\nTE: trailers");
    H1_WRITER_LIT(&w, "\r\nUser-Agent: ELB-HealthChecker/2.0\r\n\r\n");
    CHECK(h1_writer_end(&w, &n) == OK);
    return slice_of(to, n);
}

static struct call *begin(const struct check *k)
{
    const struct h2_settings settings = H2_SETTINGS_CLIENT;
    struct checker *checker = k->checker;
    struct call *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    flow_init(&c->body);
    if (h2_session_init(&c->h2, chunks_of(k), &checker->limits, &settings,
                        checker->loop->clock.now_ms) == OK)
        return c;
    free(c);
    return NULL;
}

static enum err request(struct check *k, struct call *c)
{
    char head[HEAD_BYTES];
    struct flow *body = is_grpc(k) ? &c->body : NULL;
    if (body) {
        flow_lend(body, chunks_of(k), slice_of(empty_message, PREFIX_BYTES));
        flow_end(body);
    }
    return h2_session_request(&c->h2, &c->stream, head_of(k, head), k->group->check->tls, body);
}

/* As the traffic: what is not agreed on by ALPN is not spoken. */
static bool agreed(const struct conn *c)
{
    return !c->transport || slice_eq(tls_info(c).alpn, SLICE("h2"));
}

static enum health_result ask(struct check *k)
{
    if (!agreed(k->conn)) {
        k->why = "HTTP/2 was not agreed on by ALPN";
        return HEALTH_RESULT_FAILED;
    }
    k->state = begin(k);
    if (!k->state || request(k, k->state) != OK)
        return HEALTH_RESULT_INTERNAL;
    return send_frames(k, k->state);
}

/* The target learns that this was all (RFC 9113 5.4.1), if it still reads. */
static void hung_up(struct check *k)
{
    struct call *c = k->state;
    if (!c->h2.failed)
        h2_session_terminate(&c->h2, H2_CODE_NO_ERROR);
    (void)send_frames(k, c);
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

static enum health_result judge_grpc(struct check *k, const struct fields *fields)
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

static enum health_result judge(struct check *k, const struct response_head *h, bool end)
{
    if (!is_grpc(k))
        return probe_http_judge(k, h->status);
    if (end) /* what trailers would say is here */
        return judge_grpc(k, &h->fields);
    return h->status == 200 ? HEALTH_RESULT_NONE : HEALTH_RESULT_GRPC_EMPTY;
}

static enum health_result on_head(struct check *k, const struct h2_event *ev)
{
    struct checker *c = k->checker;
    struct response_head h;
    head_response_init(&h, c->fields, c->limits.headers);
    if (ev->refused ||
        h1_parser_response(ev->bytes, &c->limits, METHOD_OTHER, false, &h) != REASON_NONE)
        return HEALTH_RESULT_FAILED;
    if (h.interim)
        return ++k->interims > PROBE_INTERIMS_MAX ? HEALTH_RESULT_FAILED : HEALTH_RESULT_NONE;
    return judge(k, &h, ev->end);
}

static enum health_result on_data(struct check *k, const struct h2_event *ev)
{
    struct call *c = k->state;
    for (size_t i = 0; i < ev->bytes.n && c->seen + i < sizeof(c->message); i++)
        c->message[c->seen + i] = ev->bytes.p[i];
    c->seen += ev->bytes.n;
    h2_session_received(&c->h2, ev->bytes.n);
    h2_session_consumed(&c->h2, &c->stream, ev->bytes.n);
    return ev->end ? HEALTH_RESULT_GRPC_EMPTY : HEALTH_RESULT_NONE;
}

static enum health_result on_trailers(struct check *k, const struct h2_event *ev)
{
    struct checker *c = k->checker;
    struct fields fields;
    fields_init(&fields, c->fields, c->limits.headers);
    if (ev->refused || validate_trailers(ev->bytes, &c->limits, &fields) != REASON_NONE)
        return HEALTH_RESULT_FAILED;
    return judge_grpc(k, &fields);
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

static enum health_result feed(struct check *k, struct call *c, struct slice in)
{
    enum health_result result = HEALTH_RESULT_NONE;
    while (result == HEALTH_RESULT_NONE && in.n) {
        struct h2_event ev;
        if (h2_session_feed(&c->h2, k->checker->loop->clock.now_ms, &in, &ev) != OK) {
            k->why = c->h2.greeted ? NULL : "it does not speak HTTP/2";
            return HEALTH_RESULT_FAILED;
        }
        result = on_event(k, &ev);
    }
    return result;
}

/* The codec has sent what it has to say of frames that it did not like, or the target has ended the
 * call. */
static enum health_result look_for_end(struct call *c)
{
    if (c->h2.failed)
        return HEALTH_RESULT_FAILED;
    if (!h2_session_next_closed(&c->h2))
        return HEALTH_RESULT_NONE;
    return c->stream.peer_reset ? HEALTH_RESULT_RESET : HEALTH_RESULT_FAILED;
}

static enum err read_some(struct check *k, struct slice *in)
{
    uint64_t most = k->checker->limits.response_head + READ_MAX, seen = k->conn->received_bytes;
    if (seen < most)
        return conn_read(k->conn, (size_t)(most - seen), in);
    k->why = "it says too much";
    return ERR_LIMIT;
}

static enum health_result answer(struct check *k)
{
    struct slice in;
    struct call *c = k->state;
    enum err e = read_some(k, &in);
    if (e == ERR_AGAIN)
        return HEALTH_RESULT_NONE;
    if (e != OK)
        return e == ERR_RESET ? HEALTH_RESULT_RESET : HEALTH_RESULT_FAILED;
    enum health_result result = feed(k, c, in);
    conn_keep(k->conn, slice_of(in.p + in.n, 0), false);
    if (result == HEALTH_RESULT_NONE)
        result = send_frames(k, c);
    return result == HEALTH_RESULT_NONE ? look_for_end(c) : result;
}

const struct probe probe_h2 = {.connected = ask, .readable = answer, .hung_up = hung_up};
