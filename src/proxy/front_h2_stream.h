/* The two halves of HTTP/2 to clients: front_h2.c has the connection, its states, deadlines and
 * bytes; front_h2_stream.c the streams, each between the codec and its exchange. Private to proxy/.
 * Owner, thread: as in proxy/front_h2.h. */
#ifndef FRONT_H2_STREAM_H
#define FRONT_H2_STREAM_H

#include "http/h2_session.h"
#include "proxy/front_h2.h"

#define FRONT_H2_PULLS 4 /* of 64 KiB, in one run of the task */

enum front_state {
    FRONT_OPEN,
    FRONT_NOTICED,
    FRONT_LEAVING,
    FRONT_LINGER,
};

struct front_h2 {
    struct session s; /* its own endpoint is not used */
    enum front_state state;
    struct h2_session h2;
    struct list streams;
    unsigned active;              /* exchanges */
    bool running;                 /* the task is: it will send what comes up */
    struct front_stream *waiting; /* its head was given, exchange_up() is due */
    size_t withheld;              /* credit of the connection, while memory is short */
    uint32_t requests_seen;
    uint64_t idle_at, head_at, notice_at, rest_at; /* deadlines; 0: none */
    uint64_t budget;                               /* LINGER: octets still thrown away */
};

/* ---- front_h2.c ---- */

/* There is something to be said: by the task, once for all that comes up until it runs. */
void front_h2_mark(struct front_h2 *f);
/* One sendmsg of many frames, if the conn holds none. False: nothing was sent. What goes wrong
 * shows as h2.failed or conn->broken. */
bool front_h2_send(struct front_h2 *f);
void front_h2_count(struct front_h2 *f, enum reason why);

/* ---- front_h2_stream.c ---- */

/* A head, DATA or trailers. A head waits for what comes behind it, so that it and the first of the
 * body go out together: pass_waiting() when nothing does. */
void front_h2_stream_take(struct front_h2 *f, const struct h2_event *ev);
void front_h2_stream_pass_waiting(struct front_h2 *f);
/* After frames were taken or sent: exchanges learn what is out, then which streams are over. */
void front_h2_stream_tell_taken(struct front_h2 *f);
/* Of all streams: the exchanges that run. */
void front_h2_stream_drop(struct front_h2 *f, enum reason why);
void front_h2_stream_visit(struct front_h2 *f, session_visitor *visitor, void *ctx);
/* The session is over, and with it the codec's; no exchange runs any more. */
void front_h2_stream_close_all(struct front_h2 *f);

#endif
