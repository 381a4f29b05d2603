/* SIGHUP: from the changed file to all workers serving it, or to nothing changed and a reason in
 * the log.
 *
 *   IDLE ──request──▶ LOADING (a thread of its own) ──▶ PUBLISHING ──▶ IDLE
 *     ▲                  │ error in the file             (cannot fail)
 *     └──────────────────┴ or: socket, output            a request meanwhile: once more
 *
 * The control thread stays responsive all the time. One reload at a time; requests that come
 * during one cause exactly one more afterwards. Owner and thread: control. */
#ifndef SERVER_RELOAD_H
#define SERVER_RELOAD_H

#include <pthread.h>

#include "net/loop.h"
#include "server/loading.h"

struct server;

enum reload_state {
    RELOAD_IDLE,
    RELOAD_LOADING,    /* the loader thread has `loading` */
    RELOAD_PUBLISHING, /* or the start does */
};

struct reload {
    struct server *server;
    enum reload_state state;
    bool again;
    struct loading loading;
    pthread_t loader;
    struct message loaded;
    uint64_t ok, failed;
    struct strbuf last_error; /* empty: none failed */
};

/* Begins as if a reload was in progress: the start. */
void reload_init(struct reload *r, struct server *s);
/* Waits for the loader, which is told to hurry. */
void reload_fini(struct reload *r);

void reload_request(struct reload *r);
/* The start is over: requests that came during it count now. */
void reload_started(struct reload *r);

#endif
