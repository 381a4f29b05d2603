/* The state (server/state.h) in its directory: read at the start, and replaced as a whole after
 * each change, by a short-lived thread, because a disk may take its time.
 *
 *   state_file_save ─▶ thread: write a new file, fsync, rename over the old one ─▶ waiters told
 *
 * One write at a time; what is saved during one is written once more afterwards, the newest only.
 * Owner and thread: control. */
#ifndef SERVER_STATE_FILE_H
#define SERVER_STATE_FILE_H

#include <pthread.h>

#include "base/strbuf.h"
#include "net/loop.h"
#include "server/state.h"

#define STATE_FILE_NAME  "state.json"
#define STATE_FILE_BYTES (16u << 20) /* a larger one is not read */

/* Somebody who wants to know when a change is on the disk. Owner: the caller. */
struct state_waiter {
    struct list node;
    uint64_t run;
    int error; /* errno; 0: it is */
    struct task *notify;
};

struct state_file {
    struct loop *loop;
    struct list waiters;
    uint64_t begun; /* writes so far */
    bool writing, again;
    int error;                /* of the last write */
    struct strbuf path, text; /* of the write that runs */
    struct strbuf next_path, next_text;
    pthread_t thread;
    struct message written;
};

void state_file_init(struct state_file *f, struct loop *loop);
/* Waits for a write that runs. */
void state_file_fini(struct state_file *f);

/* Takes the text: *text is empty afterwards. w may be NULL; it must stay until its task was queued
 * or state_file_forget() was called. */
void state_file_save(struct state_file *f, struct slice dir, struct strbuf *text,
                     struct state_waiter *w);
void state_file_forget(struct state_waiter *w); /* idempotent, also after list_init() alone */

/* At the start. No file is an empty state. False: it cannot be used, which the log says; a file
 * that makes no sense is put aside as NAME.bad. */
bool state_file_read(struct slice dir, struct arena *a, struct state *out);

#endif
