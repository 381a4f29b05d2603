#include <string.h>

#include "base/check.h"
#include "http/h1_writer.h"
#include "upstream/probe.h"

#define HTTP_PORT  80
#define HTTPS_PORT 443

/* ---- the request ---- */

static size_t before_port(const char *text, size_t n)
{
    const char *colon = memrchr(text, ':', n);
    CHECK(colon);
    return (size_t)(colon - text);
}

/* As ELB: the port only if it is not the default one. */
void probe_http_put_host(struct h1_writer *w, const struct addr *to,
                         const struct config_health_check *c)
{
    char text[ADDR_TEXT_MAX];
    uint16_t usual = c->tls ? HTTPS_PORT : HTTP_PORT;
    if (c->host.n) {
        h1_writer_slice(w, c->host);
    } else if (addr_family(to) == AF_UNIX) {
        H1_WRITER_LIT(w, "localhost");
    } else {
        size_t n = addr_format(to, text);
        h1_writer_put(w, text, addr_port(to) == usual ? before_port(text, n) : n);
    }
}

static enum health_result ask(struct check *k)
{
    const struct config_health_check *c = k->group->check;
    struct h1_writer w;
    struct iovec iov = {.iov_base = k->checker->loop->head};
    h1_writer_init(&w, iov.iov_base, LOOP_HEAD_BYTES);
    H1_WRITER_LIT(&w, "GET ");
    h1_writer_slice(&w, c->path);
    H1_WRITER_LIT(&w, " HTTP/1.1\r\nHost: ");
    probe_http_put_host(&w, &k->conn->peer, c);
    H1_WRITER_LIT(&w, "\r\nConnection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\n\r\n");
    CHECK(h1_writer_end(&w, &iov.iov_len) == OK);
    return conn_write(k->conn, &iov, 1) == OK ? HEALTH_RESULT_NONE : HEALTH_RESULT_RESET;
}

/* ---- the answer ---- */

enum health_result probe_http_judge(struct check *k, uint16_t status)
{
    k->status = status;
    k->has_status = true;
    return model_matcher_has(&k->group->check->matcher, status) ? HEALTH_RESULT_PASS
                                                                : HEALTH_RESULT_MISMATCH;
}

/* The head at the start of `in`. An interim one is taken off. */
static enum health_result read_head(struct check *k, struct slice *in)
{
    struct checker *c = k->checker;
    struct response_head h;
    struct h1_find_result f = h1_parser_find_response(&k->finder, *in, &c->limits);
    if (f.found == H1_FOUND_MORE)
        return HEALTH_RESULT_NONE;
    if (f.found == H1_FOUND_BAD)
        return HEALTH_RESULT_FAILED;
    head_response_init(&h, c->fields, c->limits.headers);
    struct slice raw = slice_of(in->p + f.skip, f.length);
    if (h1_parser_response(raw, &c->limits, METHOD_GET, false, &h) != REASON_NONE)
        return HEALTH_RESULT_FAILED;
    if (!h.interim)
        return probe_http_judge(k, h.status);
    k->finder = (struct h1_finder){0};
    *in = slice_from(*in, f.skip + f.length);
    return ++k->interims > PROBE_INTERIMS_MAX ? HEALTH_RESULT_FAILED : HEALTH_RESULT_NONE;
}

static enum health_result answer(struct check *k)
{
    struct slice in;
    enum err e = conn_read(k->conn, k->checker->limits.response_head, &in);
    if (e == ERR_AGAIN)
        return HEALTH_RESULT_NONE;
    if (e != OK)
        return e == ERR_RESET ? HEALTH_RESULT_RESET : HEALTH_RESULT_FAILED;
    enum health_result result;
    size_t before;
    do {
        before = in.n;
        result = read_head(k, &in);
    } while (result == HEALTH_RESULT_NONE && in.n && in.n < before);
    conn_keep(k->conn, in, true);
    return result;
}

const struct probe probe_http = {.connected = ask, .readable = answer};
