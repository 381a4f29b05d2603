/* The client's side over HTTP/1.x: one session, one exchange at a time.
 *
 *   IDLE ─first byte─▶ HEAD ─whole─▶ BUSY ─▶ IDLE | DRAIN ─▶ IDLE | LINGER ─▶ closed
 *
 *   IDLE    between requests; holds no buffer
 *   HEAD    part of a head is there; the whole must come before timeouts.request_head
 *   BUSY    an exchange runs; later pipelined heads wait unread
 *   DRAIN   the answer is out, up to 64 KiB of request body are still to be thrown away
 *   LINGER  we have said FIN; what the client still sends is thrown away, so that no RST destroys
 *           the answer on its way (RFC 9112 9.6), up to 256 KiB or timeouts.linger
 *
 * Owner: the worker's list of sessions. Thread: the worker's.
 */
#ifndef PROXY_FRONT_H1_H
#define PROXY_FRONT_H1_H

#include "proxy/session.h"

#define FRONT_H1_DRAIN_BYTES  (64u * 1024)

/* An open session whose conn is ready to be read from now speaks HTTP/1. */
void front_h1_start(struct session *s);
/* The same, and its client gets the answer of `why` at once and is let go. */
void front_h1_turn_away(struct session *s, enum reason why);

/* Takes fd always. */
void front_h1_accept(struct proxy *p, unsigned slot, int fd, const struct addr *peer,
                     const struct addr *local);
/* The same, but the client gets the answer of `why` at once and is let go. */
void front_h1_refuse(struct proxy *p, unsigned slot, int fd, const struct addr *peer,
                     const struct addr *local, enum reason why);
/* Room that a session needs in the worker's pool. */
size_t front_h1_bytes(void);

#endif
