/* One place that log lines go to: a file, standard error or standard output.
 *
 * A write that fails (full disk, closed pipe) loses its lines and says so once; the next one that
 * works says how many were lost. Nothing here ever stops the program.
 * Owner: who opened it, until log_writer_attach(); then the writer thread. */
#ifndef SERVER_LOG_OUTPUT_H
#define SERVER_LOG_OUTPUT_H

#include "base/err.h"
#include "base/list.h"
#include "config/model.h"

#define LOG_OUTPUT_STALL_MS 1000 /* how long a full pipe is waited for */

struct log_output {
    struct list node; /* the writer's */
    enum config_output kind;
    char *name; /* the path, or "stderr", "stdout" */
    int fd;
    bool waits;          /* a pipe, a terminal: whoever reads it may be slow */
    bool failing;        /* the last write failed, and that was said */
    bool torn;           /* it stopped inside a line */
    uint64_t lost_lines; /* since it began to fail */
};

/* Not for CONFIG_OUTPUT_OFF. Files are appended to, and made with mode 0640. ERR_SYSTEM: errno. */
MUST_USE enum err log_output_open(const struct config_sink *c, struct log_output **out);
void log_output_close(struct log_output *o); /* NULL is fine */

/* The same sink, so that a reload need not open it again? */
bool log_output_is(const struct log_output *o, const struct config_sink *c);

/* Whole lines. Returns how many of them were lost. */
uint64_t log_output_write(struct log_output *o, struct slice lines);
/* After logrotate moved a file away. When the new one cannot be opened the old one stays in use. */
void log_output_reopen(struct log_output *o);

#endif
