/* What one worker counts, by listener. Single writer, any readers (base/counter.h): the admin
 * endpoint sums over workers. Owner: the worker; blocks are made when a listener's slot is first
 * used and live as long as the worker. */
#ifndef PROXY_COUNTERS_H
#define PROXY_COUNTERS_H

#include "base/counter.h"
#include "http/status.h"

#define COUNTERS_CODES 1000 /* by status code; 0: none was sent */

struct listener_counters {
    struct counter requests; /* exchanges that ended, TCP connections too */
    struct counter codes[COUNTERS_CODES];
    struct counter reasons[REASON_COUNT];
    struct counter connections_active;
    struct counter connections_total;
    struct counter received_bytes; /* from clients */
    struct counter sent_bytes;     /* to clients */
    struct counter tls[2]; /* handshakes that succeeded: we encrypt what is sent, the kernel does */
};

struct counters {
    _Atomic(struct listener_counters *) *listeners; /* [SLOTS_MAX], by slot; NULL: never used */
    struct counter exchanges_active;
    struct counter sessions_active;
    struct counter connections;  /* conns of both sides */
    struct counter buffer_bytes; /* chunks in use, refreshed each turn that changed it */
    struct counter snapshot_pins;
};

void counters_init(struct counters *c);
void counters_fini(struct counters *c);
/* This worker only: makes the block on first use. */
struct listener_counters *counters_of(struct counters *c, unsigned slot);
/* Any thread: NULL when the slot was never used here. */
const struct listener_counters *counters_peek(const struct counters *c, unsigned slot);

#endif
