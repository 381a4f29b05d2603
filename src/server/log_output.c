#include "server/log_output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"

/* Not blocking, so that a FIFO without a reader is an error and not the end of the program. */
#define OPEN_FLAGS (O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

static const char *name_of(const struct config_sink *c)
{
    switch (c->output) {
    case CONFIG_OUTPUT_STDERR:
        return "stderr";
    case CONFIG_OUTPUT_STDOUT:
        return "stdout";
    default:
        return c->path.p;
    }
}

static int open_fd(enum config_output kind, const char *name)
{
    switch (kind) {
    case CONFIG_OUTPUT_STDERR:
        return STDERR_FILENO;
    case CONFIG_OUTPUT_STDOUT:
        return STDOUT_FILENO;
    default:
        return open(name, OPEN_FLAGS, 0640);
    }
}

static bool may_wait(int fd)
{
    struct stat st;
    return fstat(fd, &st) < 0 || !S_ISREG(st.st_mode);
}

enum err log_output_open(const struct config_sink *c, struct log_output **out)
{
    CHECK(c->output != CONFIG_OUTPUT_OFF);
    int fd = open_fd(c->output, name_of(c));
    if (fd < 0)
        return ERR_SYSTEM;
    struct log_output *o = calloc(1, sizeof(*o));
    CHECK(o);
    list_init(&o->node);
    o->kind = c->output;
    o->name = strdup(name_of(c));
    CHECK(o->name);
    o->fd = fd;
    o->waits = may_wait(fd);
    *out = o;
    return OK;
}

void log_output_close(struct log_output *o)
{
    if (!o)
        return;
    list_del(&o->node);
    if (o->kind == CONFIG_OUTPUT_FILE)
        close(o->fd);
    free(o->name);
    free(o);
}

bool log_output_is(const struct log_output *o, const struct config_sink *c)
{
    return o && o->kind == c->output &&
           (o->kind != CONFIG_OUTPUT_FILE || slice_eq(slice_str(o->name), c->path));
}

/* ---- writing ---- */

/* A reader that has already kept us waiting is not waited for again. */
static bool wait_writable(const struct log_output *o)
{
    struct pollfd p = {.fd = o->fd, .events = POLLOUT};
    int patience_ms = o->failing ? 0 : LOG_OUTPUT_STALL_MS;
    errno = EAGAIN;
    return poll(&p, 1, patience_ms) > 0 && (p.revents & POLLOUT);
}

/* A pipe that is ready takes PIPE_BUF bytes without waiting (pipe(7)), so a write never sticks:
 * standard output may be in blocking mode, which is not ours to change. */
static ssize_t write_piece(const struct log_output *o, struct slice s)
{
    if (!o->waits)
        return write(o->fd, s.p, s.n);
    if (!wait_writable(o))
        return -1;
    s = slice_upto(s, PIPE_BUF);
    return write(o->fd, s.p, s.n);
}

/* What could not be written; errno tells why. */
static struct slice write_all(const struct log_output *o, struct slice s)
{
    while (s.n) {
        ssize_t n = write_piece(o, s);
        if (n >= 0)
            s = slice_from(s, (size_t)n);
        else if (errno != EINTR)
            break;
    }
    return s;
}

static uint64_t count_lines(struct slice s)
{
    uint64_t lines = 0;
    for (size_t at = 0; (at = slice_find(s, '\n', at)) < s.n; at++)
        lines++;
    return lines;
}

/* A line that was cut gets its end before others follow it. */
static bool mend(struct log_output *o)
{
    if (o->torn && write_all(o, SLICE("\n")).n)
        return false;
    o->torn = false;
    return true;
}

static void report_failure(struct log_output *o, int error)
{
    if (o->failing)
        return;
    o->failing = true;
    log_error("log %s: %s: lines are lost until it can be written again", o->name, strerror(error));
}

static void report_recovery(struct log_output *o)
{
    if (!o->failing)
        return;
    o->failing = false;
    log_warning("log %s: written again, %llu lines were lost", o->name,
                (unsigned long long)o->lost_lines);
    o->lost_lines = 0;
}

uint64_t log_output_write(struct log_output *o, struct slice lines)
{
    struct slice rest = mend(o) ? write_all(o, lines) : lines;
    if (!rest.n) {
        report_recovery(o);
        return 0;
    }
    int error = errno;
    if (rest.n < lines.n && rest.p[-1] != '\n')
        o->torn = true;
    uint64_t lost = count_lines(rest);
    o->lost_lines += lost;
    report_failure(o, error);
    return lost;
}

void log_output_reopen(struct log_output *o)
{
    if (o->kind != CONFIG_OUTPUT_FILE)
        return;
    int fd = open_fd(o->kind, o->name);
    if (fd < 0) {
        log_error("log %s: %s: the old file stays in use", o->name, strerror(errno));
        return;
    }
    close(o->fd);
    o->fd = fd;
    o->waits = may_wait(fd);
    o->torn = false;
}
