#include "server/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"

#define EVENTS                                                                                     \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB |            \
     IN_DELETE_SELF | IN_MOVE_SELF)

/* ---- telling ---- */

static bool look_at_stamps(struct watch *w)
{
    bool changed = false;
    for (size_t i = 0; i < w->files_n; i++) {
        struct stamp now = stamp_of(w->files[i].path, w->loop->clock.wall_us);
        changed |= !stamp_same(now, w->files[i].stamp);
        w->files[i].stamp = now;
    }
    return changed;
}

static void tell_if_changed(struct watch *w)
{
    bool changed = look_at_stamps(w) || w->sure;
    w->since_ms = 0;
    w->sure = false;
    if (changed)
        loop_push(w->loop, w->changed);
}

static void on_quiet(struct ev_loop *ev, struct ev_timer *t, int revents)
{
    struct watch *w = t->data;
    (void)revents;
    ev_timer_stop(ev, t);
    loop_push(w->loop, &w->task);
}

/* An event: wait for the next, but not for ever. */
static void soon(struct watch *w)
{
    uint64_t now = w->loop->clock.now_ms;
    if (w->since_ms && now >= w->since_ms + WATCH_LATEST_MS)
        return; /* the timer runs, and is not put off again */
    if (!w->since_ms)
        w->since_ms = now ? now : 1;
    w->quiet.repeat = WATCH_QUIET_MS / 1e3;
    ev_timer_again(w->loop->ev, &w->quiet);
}

/* ---- inotify ---- */

static void watch_directory(struct watch *w, struct watch_file *f)
{
    char dir[PATH_MAX];
    size_t n = (size_t)(f->name - f->path);
    if (n >= sizeof(dir) || w->fd < 0)
        return;
    memcpy(dir, n ? f->path : ".", n ? n : 1);
    dir[n ? n : 1] = '\0';
    f->dir = inotify_add_watch(w->fd, dir, EVENTS | IN_ONLYDIR);
}

static bool is_ours(const struct watch *w, const struct inotify_event *e)
{
    for (size_t i = 0; i < w->files_n; i++)
        if (w->files[i].dir == e->wd && e->len && strcmp(w->files[i].name, e->name) == 0)
            return true;
    return false;
}

/* The directory has gone: the slow look watches it again when there is another. */
static void forget_directory(struct watch *w, int dir)
{
    for (size_t i = 0; i < w->files_n; i++)
        if (w->files[i].dir == dir)
            w->files[i].dir = -1;
}

static void on_inotify(struct watch *w, const struct inotify_event *e)
{
    if (e->mask & IN_IGNORED)
        forget_directory(w, e->wd);
    /* A file that was only opened for writing, or whose owner has changed, has its old stamp. */
    w->sure |= (e->mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) && is_ours(w, e);
    soon(w);
}

static void read_events(struct watch *w)
{
    _Alignas(struct inotify_event) char buf[16384];
    ssize_t n;
    while ((n = read(w->fd, buf, sizeof(buf))) > 0)
        for (char *p = buf; p < buf + n;) {
            const struct inotify_event *e = (const struct inotify_event *)p;
            on_inotify(w, e);
            p += sizeof(*e) + e->len;
        }
}

static void on_readable(struct ev_loop *ev, struct ev_io *io, int revents)
{
    struct watch *w = io->data;
    (void)ev, (void)revents;
    runq_push_polled(&w->loop->runq, &w->task);
}

/* ---- the task ---- */

static void watch_again(struct watch *w)
{
    for (size_t i = 0; i < w->files_n; i++)
        if (w->files[i].dir < 0)
            watch_directory(w, &w->files[i]);
}

static void plan_poll(struct watch *w)
{
    loop_timer(w->loop, &w->poll, w->files_n ? WATCH_POLL_MS : 0);
}

static void on_task(struct task *t)
{
    struct watch *w = container_of(t, struct watch, task);
    if (w->fd >= 0)
        read_events(w);
    if (timer_take(&w->poll)) {
        watch_again(w);
        plan_poll(w);
    } else if (!w->since_ms || ev_is_active(&w->quiet)) {
        return;
    }
    tell_if_changed(w);
}

/* ---- the set ---- */

static struct watch_file *find(struct watch *w, const char *path)
{
    for (size_t i = 0; i < w->files_n; i++)
        if (strcmp(w->files[i].path, path) == 0)
            return &w->files[i];
    return NULL;
}

static void add(struct watch *w, const struct watch_path *p)
{
    if (w->files_n == w->files_cap) {
        w->files_cap = w->files_cap ? w->files_cap * 2 : 8;
        w->files = realloc(w->files, w->files_cap * sizeof(*w->files));
        CHECK(w->files);
    }
    struct watch_file *f = &w->files[w->files_n++];
    *f = (struct watch_file){.path = strdup(p->path), .dir = -1, .stamp = p->seen, .kept = true};
    CHECK(f->path);
    const char *slash = strrchr(f->path, '/');
    f->name = slash ? slash + 1 : f->path;
    watch_directory(w, f);
}

static bool directory_in_use(const struct watch *w, int dir)
{
    for (size_t i = 0; i < w->files_n; i++)
        if (w->files[i].dir == dir)
            return true;
    return false;
}

static void drop_others(struct watch *w)
{
    size_t i = 0;
    while (i < w->files_n) {
        struct watch_file f = w->files[i];
        if (f.kept) {
            i++;
            continue;
        }
        w->files[i] = w->files[--w->files_n];
        if (f.dir >= 0 && !directory_in_use(w, f.dir))
            (void)inotify_rm_watch(w->fd, f.dir);
        free(f.path);
    }
}

void watch_set(struct watch *w, const struct watch_path *paths, size_t n)
{
    for (size_t i = 0; i < w->files_n; i++)
        w->files[i].kept = false;
    for (size_t i = 0; i < n; i++) {
        struct watch_file *f = find(w, paths[i].path);
        if (f)
            f->kept = true;
        else
            add(w, &paths[i]);
    }
    drop_others(w);
    plan_poll(w);
    /* What has changed since it was read, before it was watched. */
    if (look_at_stamps(w))
        loop_push(w->loop, w->changed);
}

/* ---- life ---- */

void watch_init(struct watch *w, struct loop *loop, struct task *changed)
{
    *w = (struct watch){.loop = loop, .changed = changed};
    task_init(&w->task, on_task);
    timer_init(&w->poll, &w->task);
    ev_timer_init(&w->quiet, on_quiet, 0, WATCH_QUIET_MS / 1e3);
    w->quiet.data = w;
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (w->fd < 0) {
        log_warning("files are looked at every %d s only: inotify: %s", WATCH_POLL_MS / 1000,
                    strerror(errno));
        return;
    }
    ev_io_init(&w->io, on_readable, w->fd, EV_READ);
    w->io.data = w;
    ev_io_start(loop->ev, &w->io);
}

void watch_fini(struct watch *w)
{
    for (size_t i = 0; i < w->files_n; i++)
        free(w->files[i].path);
    free(w->files);
    ev_timer_stop(w->loop->ev, &w->quiet);
    timer_del(&w->loop->wheel, &w->poll);
    task_cancel(&w->task);
    if (w->fd < 0)
        return;
    ev_io_stop(w->loop->ev, &w->io);
    close(w->fd);
}
