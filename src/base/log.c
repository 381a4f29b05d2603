#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define LINE_MAX_BYTES 4096

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

/* The one mutable global below server/: a log must be reachable from everywhere. The sink is set
 * while no other thread runs; level and format change under running threads. */
static struct {
    log_sink *sink;
    void *ctx;
    _Atomic int level, format;
} setup = {write_stderr, NULL, LOG_INFO, LOG_TEXT};

void log_setup(enum log_level level, enum log_format format, log_sink *sink, void *ctx)
{
    setup.sink = sink ? sink : write_stderr;
    setup.ctx = ctx;
    log_adjust(level, format);
}

void log_adjust(enum log_level level, enum log_format format)
{
    atomic_store_explicit(&setup.level, (int)level, memory_order_relaxed);
    atomic_store_explicit(&setup.format, (int)format, memory_order_relaxed);
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
    int n =
        snprintf(line, cap, "{\"time\":\"%s.%06ldZ\",\"level\":\"%s\",\"message\":", now.iso_sec,
                 us, names[level]);
    size_t w = (size_t)n + text_json(line + n, cap - (size_t)n - 2, msg);
    line[w++] = '}';
    line[w++] = '\n';
    return w;
}

void log_write(enum log_level level, const char *fmt, ...)
{
    if ((int)level < atomic_load_explicit(&setup.level, memory_order_relaxed))
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
    enum log_format format =
        (enum log_format)atomic_load_explicit(&setup.format, memory_order_relaxed);
    setup.sink(setup.ctx, slice_of(line, format_line(line, sizeof(line), format, level, m)));
    errno = saved;
}
