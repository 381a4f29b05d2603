/* Signals as events of the control loop. They are blocked in every thread and read from a
 * descriptor, so nothing ever runs in a handler. SIGPIPE is ignored. */
#ifndef SERVER_SIGNALS_H
#define SERVER_SIGNALS_H

#include "net/loop.h"

struct signals {
    struct loop *loop;
    int fd; /* -1: not open */
    struct ev_io io;
    struct task task;
    void (*handle)(void *ctx, int signo);
    void *ctx;
};

/* Before any thread is started. ERR_SYSTEM. */
MUST_USE enum err signals_init(struct signals *s, struct loop *loop,
                               void (*handle)(void *ctx, int signo), void *ctx);
void signals_fini(struct signals *s);

#endif
