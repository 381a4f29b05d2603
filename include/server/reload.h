/* SIGHUP: from the changed file to all workers serving it, or to nothing changed and a reason in
 * the log. And a refresh: the same with the configuration that runs already, for what changes
 * beside it.
 *
 *   IDLE ──request──▶ LOADING (a thread of its own) ──▶ PUBLISHING ──▶ IDLE
 *     ▲   ──refresh─▶    │ error in the file             (cannot fail)
 *     └──────────────────┴ or: socket, output            a request meanwhile: once more
 *
 * The control thread stays responsive all the time. One at a time; requests that come during one
 * cause exactly one more afterwards: a reload if there was a SIGHUP, which does all that a refresh
 * does, else a refresh.
 *
 * What a refresh sees: server->roster as it is when it begins, certificates, keys and CAs as they
 * are on disk, or as they were while what is there is no good. It never looks at the configuration file, so an edit that is half done does not
 * matter. Targets keep health, counters and idle links, as with a reload. When it fails, the
 * snapshot that runs stays, and the log says why, once for the same reason.
 *
 * To change targets at run time: change server->roster (upstream/roster.h), then reload_refresh().
 * Owner and thread: control. */
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

/* How those that ended did. */
struct reload_tally {
    uint64_t ok, failed;
    uint64_t failed_in_a_row;
    struct strbuf last_error; /* empty: none failed */
};

/* Somebody who wants to know when a change is served everywhere. Owner: the caller. */
struct reload_waiter {
    struct list node;
    uint64_t run; /* the one that is waited for */
    bool ok;      /* when notify is queued: every worker has it; false: it failed, or we stop */
    struct task *notify;
};

struct reload {
    struct server *server;
    enum reload_state state;
    bool refreshing;       /* what runs now is a refresh */
    bool reload_again, refresh_again;
    uint64_t begun;        /* runs so far, of both kinds */
    struct list waiters;
    struct loading loading;
    pthread_t loader;
    struct message loaded;
    struct reload_tally reloads, refreshes;
    struct strbuf said; /* what the last refresh had to say */
};

/* Begins as if a reload was in progress: the start. */
void reload_init(struct reload *r, struct server *s);
/* Waits for the loader, which is told to hurry. */
void reload_fini(struct reload *r);

void reload_request(struct reload *r);
/* w may be NULL; it must stay until its task was queued or reload_forget() was called. */
void reload_refresh(struct reload *r, struct reload_waiter *w);
void reload_forget(struct reload_waiter *w); /* idempotent, also when it never waited (list_init) */
/* The start is over: requests that came during it count now. */
void reload_started(struct reload *r);

#endif
