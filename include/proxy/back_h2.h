/* The target's side over HTTP/2: one session a link, many streams, each for one exchange.
 *
 *   link_dial ─▶ greeting (back_h2_link_ops) ─▶ slots, as many as the target allows streams
 *
 *   exchange ⇄ back_stream ─▶ h2_session ─▶ conn ─▶ target     frames of all streams leave
 * together, flows ◀──── h2_session ◀── conn ◀──          at the end of the session's task
 *
 * No request is sent before the target's first SETTINGS: so a target that speaks no HTTP/2 has got
 * none, and how many streams it takes is known. The head is the one that a target of HTTP/1.1
 * would get, written down as fields; an answer passes the same gate as one of HTTP/1.1.
 *
 * A stream that ends badly leaves its siblings alone: RST_STREAM CANCEL. What the target did not
 * look at (REFUSED_STREAM, behind a GOAWAY's last stream, or never sent) may always be tried again,
 * unless some of a body was taken already. A connection that broke, or whose target broke the
 * rules, ends each of its exchanges. After GOAWAY, or after a stream that timed out while the
 * connection was silent, the link takes no new streams.
 *
 * Owner of the session: its link; of a stream: the session, until wire and exchange are both done
 * with it. Thread: the worker's.
 */
#ifndef PROXY_BACK_H2_H
#define PROXY_BACK_H2_H

#include "proxy/exchange.h"

#define BACK_H2_SLOTS_MAX 256 /* streams of one connection, whatever the target allows */

extern const struct link_ops back_h2_link_ops;

/* On the lease's link; the caller calls send_head next. */
struct endpoint *back_h2_start(struct exchange *x);

/* Room that a session and a stream need in the worker's pools. */
size_t back_h2_bytes(void);
size_t back_h2_stream_bytes(void);

#endif
