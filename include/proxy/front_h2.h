/* The client's side over HTTP/2: one session, many streams, each with an exchange of its own.
 *
 *   OPEN ─▶ NOTICED ─▶ LEAVING ─▶ LINGER ─▶ closed        any ─▶ LINGER when the connection failed
 *
 *   OPEN     requests are served
 *   NOTICED  GOAWAY that refuses nothing was said (a stop, a removed listener, client_keep_alive,
 *            limits.http2_requests); requests that are on their way are still served
 *   LEAVING  the client has seen it, or had 5 s for it: the last request is named, open streams end
 *   LINGER   all is said; what the client still sends is thrown away, up to timeouts.linger
 *
 *   conn ─▶ h2_session ─▶ front_stream ⇄ exchange         frames of all streams leave together,
 *   conn ◀──── 64 KiB at a time ◀──── flows               at the end of the session's task
 *
 * One task for the conn: wake() only queues it, so that answers which come in one round leave in
 * one sendmsg. Only a large piece that is lent is sent at once, because it would be copied else.
 * Each stream has a timer and a task for it. An idle session holds no buffer of ours; its deadline
 * is moved by requests alone: neither PING nor SETTINGS keep a connection open.
 *
 * Owner: the worker's list of sessions; front_h1 makes it of its own session when a client speaks
 * HTTP/2. Thread: the worker's.
 */
#ifndef PROXY_FRONT_H2_H
#define PROXY_FRONT_H2_H

#include "proxy/session.h"

/* Takes over a session that another front began; its first bytes, from the preface on, are unread
 * or were kept by the conn. Nothing of the other front may be used afterwards. The session is ended
 * when there is no memory. */
void front_h2_begin(struct session *s);

/* Room that a session needs in the worker's pool, and a stream in its own. */
size_t front_h2_bytes(void);
size_t front_h2_stream_bytes(void);

#endif
