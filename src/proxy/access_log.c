/* Rendering access log lines: about 30 fields in a third of a microsecond. Keys are constants,
 * times come rendered from the loop's clock, and a value is scanned for escapes eight bytes at a
 * time (base/text). The room of a whole line is there before it is begun, so nothing is checked
 * in between. */
#include "proxy/access_log.h"

#include "base/check.h"
#include "base/text.h"

/* What a string may take in a line, with its quotes; longer ones are cut at a whole character. */
enum {
    CUT_WORD = 256,  /* names, addresses, tokens that we made or bounded */
    CUT_TEXT = 1536, /* host, trace ids */
    CUT_LONG = 8194, /* path, user agent, referer: 8 KiB, as ALB cuts them */
};
/* Strings of a line: 16 words, 4 texts, 3 long; keys and numbers take less than 2 KiB. */
_Static_assert(16 * CUT_WORD + 4 * CUT_TEXT + 3 * CUT_LONG + 2048 < ACCESS_LOG_LINE_BYTES,
               "a line has room");

/* ---- pieces ---- */

static inline char *put(char *p, struct slice s)
{
    memcpy(p, s.p, s.n);
    return p + s.n;
}

static inline char *put_number(char *p, uint64_t v)
{
    return p + text_u64(p, v);
}

static inline char *put_micros(char *p, uint64_t us)
{
    text_digits6(p, (uint32_t)us);
    return p + 6;
}

/* The comma before a field, its quotes and colon are part of the constant. */
#define KEY(name) SLICE(",\"" name "\":")

static inline char *null(char *p)
{
    return put(p, SLICE("null"));
}

static inline char *string(char *p, struct slice key, struct slice v, size_t cut)
{
    p = put(p, key);
    return v.n ? p + text_json(p, cut, v) : null(p);
}

/* A text that holds nothing to be escaped: words of our own. */
static inline char *word(char *p, struct slice key, struct slice v)
{
    p = put(p, key);
    if (!v.n)
        return null(p);
    *p++ = '"';
    p = put(p, slice_upto(v, CUT_WORD - 2));
    *p++ = '"';
    return p;
}

static inline char *number(char *p, struct slice key, uint64_t v)
{
    return put_number(put(p, key), v);
}

static inline char *code(char *p, struct slice key, unsigned v)
{
    p = put(p, key);
    return v ? put_number(p, v) : null(p);
}

static inline char *seconds(char *p, struct slice key, int64_t us)
{
    p = put(p, key);
    if (us < 0)
        return null(p);
    p = put_number(p, (uint64_t)us / 1000000);
    *p++ = '.';
    return put_micros(p, (uint64_t)us % 1000000);
}

/* ---- JSON ---- */

static char *json_time(char *p, const struct clock *now)
{
    p = put(p, SLICE("{\"time\":\""));
    p = put(p, slice_of(now->iso_sec, 19));
    *p++ = '.';
    p = put_micros(p, (uint64_t)now->wall_us % 1000000);
    return put(p, SLICE("Z\""));
}

static char *json_request(char *p, const struct access_entry *e)
{
    p = word(p, KEY("type"), e->type);
    p = string(p, KEY("listener"), e->listener, CUT_WORD);
    p = string(p, KEY("client"), e->client, CUT_WORD);
    p = string(p, KEY("target"), e->target, CUT_WORD);
    p = string(p, KEY("group"), e->group, CUT_WORD);
    p = string(p, KEY("rule"), e->rule, CUT_WORD);
    p = string(p, KEY("method"), e->method, CUT_WORD);
    p = word(p, KEY("scheme"), e->scheme);
    p = string(p, KEY("host"), e->host, CUT_TEXT);
    p = string(p, KEY("path"), e->path, CUT_LONG);
    return string(p, KEY("protocol"), e->protocol, CUT_WORD);
}

static char *json_result(char *p, const struct access_entry *e)
{
    p = code(p, KEY("status"), e->status);
    p = code(p, KEY("target_status"), e->target_status);
    p = string(p, KEY("reason"), slice_str(status_reason_name(e->reason)), CUT_WORD);
    p = number(p, KEY("received_bytes"), e->received_bytes);
    p = number(p, KEY("sent_bytes"), e->sent_bytes);
    p = seconds(p, KEY("request_processing_time"), e->request_us);
    p = seconds(p, KEY("target_processing_time"), e->target_us);
    p = seconds(p, KEY("response_processing_time"), e->response_us);
    return number(p, KEY("retries"), e->retries);
}

static char *json_context(char *p, const struct access_entry *e)
{
    p = string(p, KEY("user_agent"), e->user_agent, CUT_LONG);
    p = string(p, KEY("trace_id"), e->trace_id, CUT_TEXT);
    p = word(p, KEY("conn_trace_id"), e->conn_trace_id);
    p = string(p, KEY("zone"), e->zone, CUT_WORD);
    p = string(p, KEY("target_zone"), e->target_zone, CUT_WORD);
    p = word(p, KEY("zone_decision"), e->zone_decision);
    p = string(p, KEY("tls_protocol"), e->tls_protocol, CUT_WORD);
    p = string(p, KEY("tls_cipher"), e->tls_cipher, CUT_WORD);
    return number(p, KEY("snapshot"), e->snapshot);
}

static char *json_line(char *p, const struct clock *now, const struct access_entry *e)
{
    p = json_time(p, now);
    p = json_request(p, e);
    p = json_result(p, e);
    p = json_context(p, e);
    return put(p, SLICE("}\n"));
}

/* ---- combined (Apache's, with its escapes) ---- */

static char *escaped(char *p, struct slice v, size_t cut)
{
    const char *end = p + cut - 6;
    for (size_t i = 0; i < v.n && p < end; i++) {
        unsigned char c = (unsigned char)v.p[i];
        if (c < 0x20 || c >= 0x7f) {
            p = put(p, SLICE("\\x"));
            *p++ = "0123456789abcdef"[c >> 4];
            *p++ = "0123456789abcdef"[c & 15];
            continue;
        }
        if (c == '"' || c == '\\')
            *p++ = '\\';
        *p++ = (char)c;
    }
    return p;
}

static char *quoted(char *p, struct slice v)
{
    *p++ = '"';
    p = v.n ? escaped(p, v, CUT_LONG) : put(p, SLICE("-"));
    *p++ = '"';
    return p;
}

/* The address without its port and brackets; that of a unix socket stays as it is. */
static struct slice client_ip(struct slice client)
{
    const char *colon = client.n ? memrchr(client.p, ':', client.n) : NULL;
    if (!colon || slice_starts(client, SLICE("unix:")))
        return client;
    struct slice ip = slice_of(client.p, (size_t)(colon - client.p));
    if (ip.n >= 2 && ip.p[0] == '[')
        ip = slice_of(ip.p + 1, ip.n - 2);
    return ip;
}

static char *request_line(char *p, const struct access_entry *e)
{
    if (!e->method.n)
        return put(p, SLICE("\"-\""));
    *p++ = '"';
    p = escaped(p, e->method, CUT_WORD);
    *p++ = ' ';
    p = escaped(p, e->path, CUT_LONG);
    *p++ = ' ';
    p = escaped(p, e->protocol, CUT_WORD);
    *p++ = '"';
    return p;
}

static char *combined_line(char *p, const struct clock *now, const struct access_entry *e)
{
    struct slice ip = client_ip(e->client);
    p = ip.n ? escaped(p, ip, CUT_WORD) : put(p, SLICE("-"));
    p = put(p, SLICE(" - - ["));
    p = put(p, slice_of(now->clf_time, 26));
    p = put(p, SLICE("] "));
    p = request_line(p, e);
    *p++ = ' ';
    p = e->status ? put_number(p, e->status) : put(p, SLICE("-"));
    *p++ = ' ';
    p = put_number(p, e->sent_bytes);
    *p++ = ' ';
    p = quoted(p, e->referer);
    *p++ = ' ';
    p = quoted(p, e->user_agent);
    *p++ = '\n';
    return p;
}

/* ---- buffers ---- */

/* The last line may begin just below the mark. */
static size_t wanted_bytes(const struct access_log *log)
{
    return log->on ? log->full_bytes + ACCESS_LOG_LINE_BYTES : 0;
}

static void swap(struct access_log *log)
{
    timer_clear(&log->timer);
    log->buffer = log->sink.swap(log->sink.ctx, log->buffer, wanted_bytes(log));
    if (!log->buffer)
        return;
    CHECK(log->buffer->cap >= wanted_bytes(log));
    log->buffer->n = 0;
    log->buffer->output = log->output;
}

static void on_flush_due(struct task *t)
{
    struct access_log *log = container_of(t, struct access_log, task);
    if (timer_take(&log->timer))
        access_log_flush(log);
}

void access_log_init(struct access_log *log, struct loop *loop, struct access_sink sink)
{
    *log = (struct access_log){.loop = loop, .sink = sink};
    task_init(&log->task, on_flush_due);
    timer_init(&log->timer, &log->task);
}

void access_log_fini(struct access_log *log)
{
    log->on = false;
    if (log->buffer)
        swap(log);
    timer_del(&log->loop->wheel, &log->timer);
    task_cancel(&log->task);
}

void access_log_configure(struct access_log *log, const struct config_access_log *c, void *output)
{
    log->on = c->sink.output != CONFIG_OUTPUT_OFF;
    log->format = c->format;
    log->full_bytes = c->buffer_bytes;
    log->flush_ms = c->flush_ms;
    log->output = output;
    if (log->on || log->buffer)
        swap(log);
}

void access_log_flush(struct access_log *log)
{
    if (log->buffer && log->buffer->n)
        swap(log);
}

void access_log_write(struct access_log *log, const struct clock *now, const struct access_entry *e)
{
    if (!access_log_on(log))
        return;
    if (!log->buffer)
        swap(log);
    struct access_buffer *b = log->buffer;
    if (!b) {
        counter_add(&log->dropped, 1);
        return;
    }
    char *at = b->data + b->n;
    char *end = log->format == CONFIG_ACCESS_LOG_FORMAT_JSON ? json_line(at, now, e)
                                                             : combined_line(at, now, e);
    CHECK(end - at <= (ptrdiff_t)ACCESS_LOG_LINE_BYTES);
    if (b->n == 0)
        loop_timer(log->loop, &log->timer, log->flush_ms);
    b->n += (size_t)(end - at);
    counter_add(&log->lines, 1);
    if (b->n >= log->full_bytes)
        swap(log);
}
