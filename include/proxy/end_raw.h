/* Bytes without framing: the endpoints of TCP pass-through, and the mode that the HTTP/1
 * endpoints turn to after a 101. Both sides are the same code: a conn that fills one flow of the
 * exchange and drains the other.
 *
 *   front: conn ─▶ up,  down ─▶ conn        back: conn ─▶ down,  up ─▶ conn
 *
 * What a socket refuses stays in the flow, nowhere else. A FIN ends the flow; a flow that was
 * taken to its end becomes a FIN on the other side; the connection lives until both are through.
 */
#ifndef PROXY_END_RAW_H
#define PROXY_END_RAW_H

#include "proxy/exchange.h"
#include "proxy/session.h"

enum raw_side { RAW_FRONT, RAW_BACK };

/* An open session whose conn is ready to be read from is a TCP connection from now on. */
void end_raw_start(struct session *s);
/* The session of a TCP connection. Takes fd. */
void end_raw_accept(struct proxy *p, unsigned slot, int fd, const struct addr *peer,
                    const struct addr *local);
/* The back endpoint, in x->back_mem, on the lease's link. */
struct endpoint *end_raw_back(struct exchange *x);

/* One task of one side's conn: sends what waits, receives once. The exchange may be over
 * afterwards. Also for HTTP/1 endpoints in a tunnel. */
void end_raw_turn(struct exchange *x, struct conn *c, enum raw_side side);
/* wake() of an endpoint in raw mode. */
void end_raw_wake(struct exchange *x, struct conn *c, enum raw_side side, unsigned what);

#endif
