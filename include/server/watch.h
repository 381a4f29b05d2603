/* Says when one of a set of files has changed: it was written, replaced, deleted, or it came into
 * being, also through a symbolic link on the way (as Kubernetes mounts them).
 *
 *   inotify on the directories ─▶ WATCH_QUIET_MS without another event ─▶ changed ─▶ the task
 *   every WATCH_POLL_MS: stamps ──────────────────────────────────────────▲
 *
 * Somebody who writes all the time is not waited for longer than WATCH_LATEST_MS. Events in a
 * directory that are about no file of ours are looked at by the files' stamps. The slow look finds
 * what inotify cannot: network file systems, links into other directories, directories that did not
 * exist; without inotify it is all there is.
 * Owner: embedded. Thread: its loop's. */
#ifndef SERVER_WATCH_H
#define SERVER_WATCH_H

#include "base/stamp.h"
#include "net/loop.h"

#define WATCH_QUIET_MS  50
#define WATCH_LATEST_MS 500
#define WATCH_POLL_MS   10000

struct watch_file {
    char *path;
    const char *name; /* in its directory; in path */
    int dir;          /* inotify's number of the directory; -1: not watched */
    struct stamp stamp;
    bool kept; /* while the set is replaced */
};

struct watch {
    struct loop *loop;
    int fd; /* -1: no inotify */
    struct ev_io io;
    struct ev_timer quiet;
    uint64_t since_ms; /* first event that nobody was told of; 0: none */
    bool sure;         /* one of them was about a file of ours */
    struct timer poll;
    struct task task;
    struct watch_file *files;
    size_t files_n, files_cap;
    struct task *changed;
};

/* One file to be watched. */
struct watch_path {
    const char *path;
    struct stamp seen; /* as whoever uses it saw it: other now is a change. Only for new paths */
};

void watch_init(struct watch *w, struct loop *loop, struct task *changed);
void watch_fini(struct watch *w);
/* These files from now on. */
void watch_set(struct watch *w, const struct watch_path *paths, size_t n);

#endif
