#include "proxy/reply.h"

#include "http/h1_parser.h"
#include "http/h1_writer.h"
#include "proxy/grpc.h"
#include "proxy/redirect.h"

#define FIELDS_MAX 8
#define HEAD_MAX   (10 * 1024) /* the longest Location is 8 KiB */

/* The store holds: the field array, the head, then the body. */
static struct h1_writer begin(struct exchange *x, unsigned status, size_t body_bytes)
{
    size_t array = FIELDS_MAX * sizeof(struct field);
    struct h1_writer w;
    x->reply_store = chunkpool_get(&x->proxy->loop->chunks, array + HEAD_MAX + body_bytes);
    h1_writer_init(&w, x->reply_store->data + array, HEAD_MAX);
    h1_writer_status_line(&w, status, slice_of(NULL, 0));
    return w;
}

static struct slice put_body(const struct h1_writer *w, struct slice body)
{
    char *to = w->p + HEAD_MAX;
    if (body.n)
        memcpy(to, body.p, body.n);
    return slice_of(to, body.n);
}

/* 0: of an answer whose end is said otherwise. */
static bool has_no_body(unsigned status)
{
    return status == 0 || status == 204 || status == 205 || status == 304;
}

/* Parsed by the same parser as a target's head, so that what follows has one shape to deal with. */
static void end(struct exchange *x, struct h1_writer *w, unsigned status, struct slice type,
                struct slice *body)
{
    struct field *fields = (struct field *)(void *)x->reply_store->data;
    struct limits limits = LIMITS_DEFAULT;
    if (body->n)
        h1_writer_field(w, SLICE("Content-Type"), type);
    if (!has_no_body(status)) {
        H1_WRITER_LIT(w, "Content-Length: ");
        h1_writer_u64(w, body->n);
        H1_WRITER_LIT(w, "\r\n");
    }
    H1_WRITER_LIT(w, "\r\n");
    size_t n;
    CHECK(h1_writer_end(w, &n) == OK);
    head_response_init(&x->resp, fields, FIELDS_MAX);
    CHECK(h1_parser_response(slice_of(w->p, n), &limits, x->req.method_id, false, &x->resp) ==
          REASON_NONE);
    if (x->req.method_id == METHOD_HEAD)
        *body = slice_of(NULL, 0);
}

void reply_error(struct exchange *x, enum reason why, struct slice *body)
{
    char text[H1_ERROR_BODY_MAX];
    unsigned status = status_of(why);
    CHECK(status >= 400);
    struct h1_writer w = begin(x, status, sizeof(text));
    *body = put_body(&w, slice_of(text, h1_writer_error_body(text, status, why)));
    if (why == REASON_METHOD_NOT_ALLOWED)
        h1_writer_field(&w, SLICE("Allow"), SLICE("GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH"));
    end(x, &w, status, SLICE("text/plain; charset=utf-8"), body);
}

/* An answer that is its trailers alone: the HTTP status is about the transport, which is well. */
void reply_grpc(struct exchange *x, enum reason why, struct slice *body)
{
    struct h1_writer w = begin(x, 200, 0);
    H1_WRITER_LIT(&w, "Content-Type: application/grpc\r\ngrpc-status: ");
    h1_writer_u64(&w, grpc_code_of(why));
    H1_WRITER_LIT(&w, "\r\ngrpc-message: ");
    h1_writer_slice(&w, status_text(why));
    H1_WRITER_LIT(&w, "\r\n");
    *body = slice_of(NULL, 0);
    end(x, &w, 0, *body, body);
    x->resp.framing = FRAMING_NONE;
}

void reply_fixed(struct exchange *x, const struct config_fixed_response *f, struct slice *body)
{
    struct slice given = has_no_body(f->status_code) ? slice_of(NULL, 0) : f->message_body;
    struct h1_writer w = begin(x, f->status_code, given.n);
    *body = put_body(&w, given);
    end(x, &w, f->status_code, f->content_type, body);
}

enum reason reply_redirect(struct exchange *x, const struct config_redirect *r, struct slice *body)
{
    char text[REDIRECT_LOCATION_MAX], local[ADDR_TEXT_MAX];
    struct slice location, host = x->req.host_norm;
    if (host.n == 0)
        host = slice_of(local, exchange_local_host(x, local));
    bool tls = x->client.tls_protocol.n > 0;
    struct redirect_from from = {.protocol = tls ? SLICE("https") : SLICE("http"),
                                 .host = host,
                                 .port = exchange_local_port(x),
                                 .path = x->req.path,
                                 .query = x->req.query};
    enum err e = redirect_location(r, &from, text, &location);
    if (e != OK)
        return e == ERR_LIMIT ? REASON_REDIRECT_TOO_LONG : REASON_MISSING_HOST;
    struct h1_writer w = begin(x, r->status_code, 0);
    h1_writer_field(&w, SLICE("Location"), location);
    *body = slice_of(NULL, 0);
    end(x, &w, r->status_code, slice_of(NULL, 0), body);
    return REASON_NONE;
}
