/* The client's side while TLS is being agreed on:
 *
 *   accept ─▶ handshake ─┬─▶ ALPN http/1.1 or none ─▶ front_h1      (https)
 *               │        └─▶ end_raw                                 (tls)
 *               ├─▶ plain HTTP came instead: 400 in plain, linger    (https)
 *               └─▶ failed or too slow: counted, closed
 *
 * It is the same session from accept to close. The handshake has timeouts.tls_handshake.
 * Thread: the worker's. */
#ifndef PROXY_FRONT_TLS_H
#define PROXY_FRONT_TLS_H

#include "proxy/session.h"

/* Takes fd always. */
void front_tls_accept(struct proxy *p, unsigned slot, int fd, const struct addr *peer,
                      const struct addr *local);

#endif
