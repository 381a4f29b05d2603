/* The access log as one worker writes it: one line an exchange, rendered into a buffer that goes
 * to the writer thread when it is full or `flush` old.
 *
 *   exchange ──access_log_write──▶ [buffer] ──sink->swap──▶ writer thread ──▶ file
 *                                     ▲                          │
 *                                     └──────── empty ◀──────────┘
 *
 * Nothing here waits, locks or makes a system call: with no empty buffer left, lines are dropped
 * and counted. Owner: the worker; the sink is server/'s, a test brings its own. Thread: the
 * worker's, `dropped` and `lines` are read by any.
 */
#ifndef PROXY_ACCESS_LOG_H
#define PROXY_ACCESS_LOG_H

#include "base/clock.h"
#include "base/counter.h"
#include "config/model.h"
#include "http/status.h"
#include "net/loop.h"

/* A line never gets longer: long strings are cut, see access_log.c. */
#define ACCESS_LOG_LINE_BYTES (48u * 1024)

/* What a line says. Slices need to live only until access_log_write() returns; an empty slice, a
 * zero status and REASON_NONE are "absent" (null in JSON, `-` in combined). */
struct access_entry {
    /* type, scheme, conn_trace_id and zone_decision are words of our own, without anything that JSON
     * would have to escape. */
    struct slice type; /* "http", "ws", "tcp"; with TLS "https", "wss", "tls" */
    struct slice listener;
    struct slice client; /* addr_format() of the peer: worth keeping with the session */
    struct slice target; /* struct target: text */
    struct slice group, rule;
    struct slice method, scheme, host;
    struct slice path;     /* with its query, as the client sent it */
    struct slice protocol; /* "HTTP/1.1" */
    unsigned status, target_status;
    enum reason reason;
    unsigned retries;
    uint64_t received_bytes; /* from the client, heads included */
    uint64_t sent_bytes;     /* to the client, heads included */
    int64_t request_us;  /* request head whole until it was sent to the target; negative: absent */
    int64_t target_us;   /* from then on until the target's response head; negative: absent */
    int64_t response_us; /* from then on until the client had it all; negative: absent */
    struct slice user_agent;
    struct slice referer; /* combined only */
    struct slice trace_id, conn_trace_id;
    struct slice zone, target_zone, zone_decision;
    struct slice tls_protocol, tls_cipher;
    uint64_t snapshot; /* generation */
};

/* Bytes on their way to one output. Owner: the log that fills it, then the sink. */
struct access_buffer {
    struct message message; /* the sink's */
    void *output;           /* where it goes: the sink's */
    void *home;             /* where it returns to: the sink's */
    size_t n;
    size_t cap;
    char data[];
};

struct access_sink {
    /* Takes `used` (NULL: nothing to hand over; it may be empty) and gives an empty buffer with
     * `bytes` of data; 0: none is wanted. NULL when none is free: lines are dropped until a later
     * call gives one. Must not wait. */
    struct access_buffer *(*swap)(void *ctx, struct access_buffer *used, size_t bytes);
    void *ctx;
};

struct access_log {
    struct loop *loop;
    struct access_sink sink;
    struct access_buffer *buffer; /* NULL: off, or none is free */
    bool on;
    enum config_access_log_format format;
    size_t full_bytes; /* goes to the writer once it holds this much */
    uint32_t flush_ms;
    void *output;
    struct timer timer; /* of the oldest line in the buffer */
    struct task task;
    struct counter lines, dropped;
};

/* Off until it is configured. */
void access_log_init(struct access_log *log, struct loop *loop, struct access_sink sink);
/* Hands over what is buffered; off afterwards. */
void access_log_fini(struct access_log *log);

/* From a configuration; what was buffered for the old one is handed over first. output goes into
 * each buffer, for the sink. */
void access_log_configure(struct access_log *log, const struct config_access_log *c, void *output);
/* Now, whatever the buffer's age. */
void access_log_flush(struct access_log *log);

/* False: do not bother to fill an entry. NULL is off. */
static inline bool access_log_on(const struct access_log *log)
{
    return log && log->on;
}

void access_log_write(struct access_log *log, const struct clock *now,
                      const struct access_entry *e);

#endif
