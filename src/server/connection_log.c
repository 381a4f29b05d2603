#include "server/connection_log.h"

#include "base/text.h"

#define WORD_MAX 128

/* ---- pieces; each is followed by a space ---- */

static char *put(char *p, struct slice s)
{
    s = s.n ? slice_upto(s, WORD_MAX) : SLICE("-");
    memcpy(p, s.p, s.n);
    p[s.n] = ' ';
    return p + s.n + 1;
}

static char *put_time(char *p, const struct clock *now)
{
    p = put(p, slice_of(now->iso_sec, 19));
    p[-1] = '.';
    text_digits6(p, (uint32_t)(now->wall_us % 1000000));
    p[6] = 'Z';
    p[7] = ' ';
    return p + 8;
}

static char *put_port(char *p, uint16_t port)
{
    char text[TEXT_U64_MAX];
    return put(p, slice_of(text, port ? text_u64(text, port) : 0));
}

static char *put_latency(char *p, int64_t ms)
{
    char digits[6];
    if (ms < 0)
        return put(p, SLICE("-"));
    p += text_u64(p, (uint64_t)ms / 1000);
    text_digits6(digits, (uint32_t)(ms % 1000));
    *p++ = '.';
    memcpy(p, digits + 3, 3);
    p[3] = ' ';
    return p + 4;
}

/* It is visible ASCII already; a quote in it has a backslash before it. */
static char *put_subject(char *p, struct slice subject)
{
    *p++ = '"';
    subject = subject.n ? slice_upto(subject, CONNECTION_LOG_SUBJECT) : SLICE("-");
    memcpy(p, subject.p, subject.n);
    p += subject.n;
    *p++ = '"';
    *p++ = ' ';
    return p;
}

static char *put_verdict(char *p, const struct connection_report *r)
{
    if (!r->tls)
        return put(p, SLICE("-"));
    if (!r->failure.n)
        return put(p, SLICE("Success"));
    p = put(p, SLICE("Failed:"));
    return put(p - 1, r->failure);
}

/* ---- the line ---- */

_Static_assert(CONNECTION_LOG_SUBJECT + 12 * (WORD_MAX + 1) < LINE_LOG_LINE, "a line has room");

void connection_log_write(struct line_log *log, const struct clock *now,
                          const struct connection_report *r)
{
    char *p = line_log_begin(log);
    if (!p)
        return;
    p = put_time(p, now);
    p = put(p, r->client_ip);
    p = put_port(p, r->client_port);
    p = put_port(p, r->listener_port);
    p = put(p, r->tls_protocol);
    p = put(p, r->tls_cipher);
    p = put_latency(p, r->handshake_ms);
    p = put_subject(p, r->subject);
    p = put(p, r->validity);
    p = put(p, r->serial);
    p = put_verdict(p, r);
    p = put(p, r->trace);
    p = put(p, r->tls_group);
    p[-1] = '\n';
    line_log_end(log, p);
}
