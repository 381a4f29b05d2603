/* The connection log: ELB's 13 fields for each client connection, joined with the access log by the
 * last but one.
 *
 *   time client_ip client_port listener_port tls_protocol tls_cipher tls_handshake_latency
 *   "subject" validity serial tls_verify_status conn_trace_id tls_keyexchange
 *
 * Owner and thread: a worker, who embeds it; it outlives the proxy. */
#ifndef SERVER_CONNECTION_LOG_H
#define SERVER_CONNECTION_LOG_H

#include "proxy/connection.h"
#include "server/line_log.h"

/* Longer subjects are cut. */
#define CONNECTION_LOG_SUBJECT 1024

/* One line. */
void connection_log_write(struct line_log *log, const struct clock *now,
                          const struct connection_report *r);

#endif
