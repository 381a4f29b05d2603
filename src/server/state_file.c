#include "server/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "server/thread.h"

#define MODE 0600

static void begin(struct state_file *f);

static void set_path(struct strbuf *b, struct slice dir, const char *suffix)
{
    strbuf_init(b);
    strbuf_slice(b, dir);
    strbuf_printf(b, "/%s%s", STATE_FILE_NAME, suffix);
}

/* ---- the thread ---- */

static int write_all(int fd, struct slice text)
{
    while (text.n) {
        ssize_t n = write(fd, text.p, text.n);
        if (n < 0 && errno != EINTR)
            return errno;
        text = slice_from(text, n > 0 ? (size_t)n : 0);
    }
    return fsync(fd) == 0 ? 0 : errno;
}

static int sync_dir(const char *path)
{
    char *dir = strndup(path, (size_t)(strrchr(path, '/') - path));
    CHECK(dir);
    int fd = open(*dir ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    free(dir);
    return error;
}

/* errno, or 0. The old file stays until the new one is whole and on the disk. */
static int replace(const char *path, struct slice text)
{
    char *fresh;
    CHECK(asprintf(&fresh, "%s.new", path) > 0);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, MODE);
    int error = fd < 0 ? errno : write_all(fd, text);
    if (fd >= 0 && close(fd) != 0 && !error)
        error = errno;
    if (!error && rename(fresh, path) != 0)
        error = errno;
    if (error && fd >= 0)
        (void)unlink(fresh);
    free(fresh);
    return error ? error : sync_dir(path);
}

static void *run(void *arg)
{
    struct state_file *f = arg;
    thread_begin("state");
    f->error = replace(f->path.p, strbuf_get(&f->text));
    loop_post(f->loop, &f->written);
    return NULL;
}

/* ---- the control thread's side ---- */

static void tell_waiters(struct state_file *f)
{
    list_each(n, next, &f->waiters) {
        struct state_waiter *w = list_entry(n, struct state_waiter, node);
        if (w->run > f->begun)
            continue;
        list_del(&w->node);
        w->error = f->error;
        loop_push(f->loop, w->notify);
    }
}

static void end(struct state_file *f)
{
    f->writing = false;
    if (f->error)
        log_error("state: %s: %s: run-time changes will not survive a restart", f->path.p,
                  strerror(f->error));
    strbuf_fini(&f->path);
    strbuf_fini(&f->text);
    tell_waiters(f);
    if (f->again)
        begin(f);
}

static void on_written(struct message *m)
{
    struct state_file *f = container_of(m, struct state_file, written);
    (void)pthread_join(f->thread, NULL);
    end(f);
}

static void begin(struct state_file *f)
{
    f->again = false;
    f->writing = true;
    f->begun++;
    f->path = f->next_path;
    f->text = f->next_text;
    strbuf_init(&f->next_path);
    strbuf_init(&f->next_text);
    f->written.run = on_written;
    if (thread_start(&f->thread, run, f) == OK)
        return;
    f->error = EAGAIN;
    end(f);
}

void state_file_save(struct state_file *f, struct slice dir, struct strbuf *text,
                     struct state_waiter *w)
{
    strbuf_fini(&f->next_path);
    strbuf_fini(&f->next_text);
    set_path(&f->next_path, dir, "");
    f->next_text = *text;
    strbuf_init(text);
    if (w) {
        w->run = f->begun + 1;
        list_push_back(&f->waiters, &w->node);
    }
    if (f->writing)
        f->again = true;
    else
        begin(f);
}

void state_file_forget(struct state_waiter *w)
{
    list_del(&w->node);
}

void state_file_init(struct state_file *f, struct loop *loop)
{
    *f = (struct state_file){.loop = loop};
    list_init(&f->waiters);
    strbuf_init(&f->path);
    strbuf_init(&f->text);
    strbuf_init(&f->next_path);
    strbuf_init(&f->next_text);
}

void state_file_fini(struct state_file *f)
{
    while (f->writing) {
        (void)usleep(1000);
        loop_turn(f->loop);
    }
    strbuf_fini(&f->path);
    strbuf_fini(&f->text);
    strbuf_fini(&f->next_path);
    strbuf_fini(&f->next_text);
}

/* ---- reading ---- */

/* errno, or 0. */
static int read_all(const char *path, struct arena *a, struct slice *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), error = 0;
    off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    if (fd < 0)
        return errno;
    if (size < 0 || size > (off_t)STATE_FILE_BYTES)
        error = size < 0 ? errno : EFBIG;
    char *p = arena_alloc(a, error ? 1 : (size_t)size + 1);
    ssize_t n = error ? 0 : pread(fd, p, (size_t)size, 0);
    if (n < 0)
        error = errno;
    close(fd);
    *text = slice_of(p, n > 0 ? (size_t)n : 0);
    return error;
}

static void put_aside(const char *path, struct slice dir)
{
    struct strbuf bad;
    set_path(&bad, dir, ".bad");
    if (rename(path, bad.p) == 0)
        log_warning("state: %s cannot be used: it is now %s, and we start without it", path, bad.p);
    else
        log_warning("state: %s cannot be used, and we start without it", path);
    strbuf_fini(&bad);
}

static void log_report(const struct report *r)
{
    struct strbuf line;
    for (const struct report_entry *e = r->first; e; e = e->next) {
        strbuf_init(&line);
        report_line(e, &line);
        log_warning("state: %s", line.p);
        strbuf_fini(&line);
    }
}

static bool parse(const char *path, struct slice dir, struct arena *a, struct slice text,
                  struct state *out)
{
    struct report r;
    report_init(&r);
    bool good = state_parse(out, a, text, STATE_FILE_NAME, &r);
    if (!good) {
        log_report(&r);
        put_aside(path, dir);
    }
    report_fini(&r);
    return good;
}

bool state_file_read(struct slice dir, struct arena *a, struct state *out)
{
    struct strbuf path;
    struct slice text;
    bool good = true;
    *out = (struct state){0};
    set_path(&path, dir, "");
    int error = read_all(path.p, a, &text);
    if (!error)
        good = parse(path.p, dir, a, text, out);
    else if (error != ENOENT) {
        log_warning("state: %s: %s: we start without it", path.p, strerror(error));
        good = false;
    }
    strbuf_fini(&path);
    return good;
}
