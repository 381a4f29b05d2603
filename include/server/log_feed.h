/* A worker's access log buffers on their way to the writer thread and back: a few, made when first
 * needed, never waited for.
 * Owner: the worker. Thread: its own; the writer only carries buffers. */
#ifndef SERVER_LOG_FEED_H
#define SERVER_LOG_FEED_H

#include "proxy/access_log.h"
#include "server/log_writer.h"

#define LOG_FEED_BUFFERS 32

struct log_feed {
    struct loop *loop; /* the worker's: buffers return to it */
    struct log_writer *writer;
    struct access_buffer *idle;
    unsigned alive; /* idle, being filled, or with the writer */
};

void log_feed_init(struct log_feed *f, struct loop *loop, struct log_writer *writer);
/* All buffers must be back: the writer has stopped and the loop has taken its messages. */
void log_feed_fini(struct log_feed *f);

struct access_sink log_feed_sink(struct log_feed *f);

/* The writer thread, when b is written. */
void log_feed_return(struct access_buffer *b);

#endif
