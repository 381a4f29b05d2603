/* What there is to say of a client's connection as such, once: when it is accepted in plain, when
 * its handshake is done, or when that failed. For the connection log; nothing is gathered while
 * nobody wants to know (proxy.h: on_connection).
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-connection-logs.html
 * Thread: the worker's. */
#ifndef PROXY_CONNECTION_H
#define PROXY_CONNECTION_H

#include "proxy/session.h"

/* Slices live until on_connection() returns; an empty one is absent. */
struct connection_report {
    struct slice client_ip;              /* without brackets; empty: a unix socket */
    uint16_t client_port, listener_port; /* 0: likewise */
    struct slice tls_protocol, tls_cipher, tls_group;
    int64_t handshake_ms;                   /* of one that succeeded; else negative */
    struct slice subject, validity, serial; /* of the client's certificate */
    struct slice failure;                   /* ELB's word, when the handshake failed */
    bool tls;
    struct slice trace; /* "TID_..." */
};

/* Gives the session its trace id; to be called when it is made. */
void connection_begin(struct session *s);
/* At the first call: something became of it. secured: its handshake succeeded. */
void connection_decided(struct session *s, bool secured);

#endif
