/* The two halves of HTTP/2 to targets: back_h2.c has the connection, its link and its bytes;
 * back_h2_stream.c the streams, each between the codec and its exchange. Private to proxy/.
 * Owner, thread: as in proxy/back_h2.h. */
#ifndef BACK_H2_STREAM_H
#define BACK_H2_STREAM_H

#include "http/h2_session.h"
#include "proxy/back_h2.h"

#define BACK_H2_PULLS 4 /* of 64 KiB, in one run of the task */

struct back_h2 {
    uint32_t magic;
    struct proxy *proxy;
    struct link *link;
    struct conn *conn;
    struct h2_session h2;
    struct task task;
    struct list streams;
    bool running;      /* the task is: it will send what comes up */
    bool greeted;      /* the link has started */
    bool lost;         /* the connection is of no use any more */
    bool closed;       /* the link is, and with it the conn */
    size_t withheld;   /* credit of the connection, while memory is short */
    uint64_t heard_ms; /* when the target last said something */
    struct reapable reapable;
};

/* ---- back_h2.c ---- */

/* There is something to be said: by the task, once for all that comes up until it runs. */
void back_h2_mark(struct back_h2 *b);
/* As in front_h2: one send of many frames, if the conn holds none. */
bool back_h2_send(struct back_h2 *b);

/* ---- back_h2_stream.c ---- */

/* For the exchange, whose lease is on the session's link. */
struct endpoint *back_h2_stream_new(struct back_h2 *b, struct exchange *x);
/* A head, DATA or trailers. */
void back_h2_stream_take(struct back_h2 *b, const struct h2_event *ev);
/* After frames were taken. */
void back_h2_stream_close_ended(struct back_h2 *b);
/* After frames were sent. */
void back_h2_stream_tell_taken(struct back_h2 *b);
/* The connection is of no use any more: exchanges that still have a stream learn it. */
void back_h2_stream_lose(struct back_h2 *b, enum err e);
/* The codec has forgotten them all, and so have their exchanges. */
void back_h2_stream_free_all(struct back_h2 *b);

#endif
