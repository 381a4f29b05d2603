/* The target's side of an exchange over HTTP/1.1: writes the request, reads the response, decides
 * whether the link may serve again.
 *
 * Reuse needs: request wholly sent, response wholly read by its own framing, no `Connection:
 * close`, not a byte beyond it (RFC 9112 9.3). A request that fails on the way out does not end
 * the answer: a target may refuse an upload and close (RFC 9112 9.5), so what it said is read first.
 * Lives in x->back_mem. Thread: the worker's.
 */
#ifndef PROXY_BACK_H1_H
#define PROXY_BACK_H1_H

#include "proxy/exchange.h"

/* On the lease's link; the caller calls send_head next. */
struct endpoint *back_h1_start(struct exchange *x);

/* The head for the target into the loop's head buffer: *n octets; x->trace is set. Also for wires
 * that write it down otherwise. A reason: it may not go on. */
enum reason back_h1_head(struct exchange *x, size_t *n);

#endif
