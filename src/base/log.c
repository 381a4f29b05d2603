#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define LINE_MAX_BYTES 4096

struct config {
    enum log_level level;
    enum log_format format;
    log_sink *sink;
    void *ctx;
};

static void write_stderr(void *ctx, struct slice line)
{
    (void)ctx;
    while (line.n) {
        ssize_t n = write(STDERR_FILENO, line.p, line.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* there is nowhere left to complain */
        line = slice_from(line, (size_t)n);
    }
}

/* The one mutable global below server/: a log must be reachable from everywhere. Two slots, so
 * that a reload changes level and format under running threads with one atomic store. */
static struct config slots[2] = {{LOG_INFO, LOG_TEXT, write_stderr, NULL}};
static _Atomic unsigned current;

void log_setup(enum log_level level, enum log_format format, log_sink *sink, void *ctx)
{
    unsigned next = !atomic_load(&current);
    slots[next] = (struct config){level, format, sink ? sink : write_stderr, ctx};
    atomic_store(&current, next);
}

static const char *const names[] = {"debug", "info", "warning", "error"};

static size_t format_line(char *line, size_t cap, enum log_format format, enum log_level level,
                          struct slice msg)
{
    struct clock now = {0};
    clock_update(&now);
    long us = (long)(now.wall_us % 1000000);
    if (format == LOG_TEXT)
        return (size_t)snprintf(line, cap, "%s.%06ldZ %s: %.*s\n", now.iso_sec, us, names[level],
                                (int)msg.n, msg.p);
    int n = snprintf(line, cap, "{\"time\":\"%s.%06ldZ\",\"level\":\"%s\",\"message\":", now.iso_sec,
                     us, names[level]);
    size_t w = (size_t)n + text_json(line + n, cap - (size_t)n - 2, msg);
    line[w++] = '}';
    line[w++] = '\n';
    return w;
}

void log_write(enum log_level level, const char *fmt, ...)
{
    const struct config *c = &slots[atomic_load(&current)];
    if (level < c->level)
        return;
    int saved = errno;
    char msg[LINE_MAX_BYTES], line[LINE_MAX_BYTES * 2];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    struct slice m = slice_of(msg, (size_t)n < sizeof(msg) ? (size_t)n : sizeof(msg) - 1);
    c->sink(c->ctx, slice_of(line, format_line(line, sizeof(line), c->format, level, m)));
    errno = saved;
}
