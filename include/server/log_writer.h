/* The thread that writes logs, so that no other thread waits for a disk or a pipe.
 *
 *   workers ──access buffers──▶ ┐
 *   any thread ──log_write()──▶ ├─ mailbox ─▶ writer thread ─▶ outputs
 *   control ──attach, reopen──▶ ┘                 └─ empty buffers back to their worker
 *
 * What one thread sends arrives in order. All functions: the control thread, unless said so.
 * Owner: server/supervisor. Outputs belong to the writer from attach to retire. */
#ifndef SERVER_LOG_WRITER_H
#define SERVER_LOG_WRITER_H

#include <pthread.h>

#include "base/counter.h"
#include "net/loop.h"
#include "server/log_output.h"

#define LOG_WRITER_LINES_MAX 4096 /* error log lines that wait; more are dropped and counted */

struct access_buffer;

struct log_writer {
    struct loop loop; /* its thread's, but for loop_post() */
    pthread_t thread;
    struct list outputs;            /* its thread's */
    struct log_output *errors;      /* its thread's: where log_write() goes */
    struct counter lost_lines;      /* could not be written */
    _Atomic unsigned waiting;       /* error log lines in the mailbox */
    _Atomic uint64_t dropped_lines; /* error log lines beyond LOG_WRITER_LINES_MAX */
};

/* errors: where lines of the sink go; taken. ERR_NOMEM: it is still the caller's. */
MUST_USE enum err log_writer_start(struct log_writer *w, struct log_output *errors);
/* Writes all that was sent before. False: an output is stuck and did not take it within the time;
 * then the thread still runs and only the end of the process is left. */
MUST_USE bool log_writer_stop(struct log_writer *w, unsigned timeout_ms);

void log_writer_attach(struct log_writer *w, struct log_output *o);
/* Closed after what was sent before is written. Nothing may be sent for it any more. */
void log_writer_retire(struct log_writer *w, struct log_output *o);
/* Another place for log_write(); attached before. */
void log_writer_errors_to(struct log_writer *w, struct log_output *o);
void log_writer_reopen(struct log_writer *w);

/* For log_setup(), with the writer as its context. Any thread. */
void log_writer_sink(void *ctx, struct slice line);

/* Any thread: b->output, b->home and b->n are set. It comes back to its log_feed. */
void log_writer_post(struct log_writer *w, struct access_buffer *b);

/* Lines that never reached an output. Any thread. */
uint64_t log_writer_lost(const struct log_writer *w);

#endif
