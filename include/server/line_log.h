/* Lines for one output, gathered on the loop that writes them and handed to the log writer when
 * there are many or the first is LINE_LOG_FLUSH_MS old. Nothing here waits: without a free buffer
 * lines are dropped and counted.
 * Owner: embedded in whose lines they are. Thread: the loop's; `dropped` is read by any. */
#ifndef SERVER_LINE_LOG_H
#define SERVER_LINE_LOG_H

#include "server/log_feed.h"

#define LINE_LOG_BYTES    (64u * 1024) /* of a buffer */
#define LINE_LOG_LINE     4096u        /* a line never gets longer */
#define LINE_LOG_FLUSH_MS 1000

struct line_log {
    struct log_feed feed;
    struct access_sink sink;
    struct access_buffer *buffer; /* NULL: off, or none is free */
    struct log_output *output;    /* NULL: off */
    struct timer timer;           /* of the oldest line */
    struct task task;
    struct counter dropped;
};

/* Off until it has an output. */
void line_log_init(struct line_log *l, struct loop *loop, struct log_writer *writer);
/* Where lines go from now on; NULL: nowhere. What was gathered goes to the old output, which must
 * not be retired before. */
void line_log_configure(struct line_log *l, struct log_output *output);
/* Before the writer stops: hands over what was gathered; off afterwards. */
void line_log_stop(struct line_log *l);
/* After the writer has stopped and the loop has turned once more. */
void line_log_fini(struct line_log *l);

static inline bool line_log_on(const struct line_log *l)
{
    return l->output != NULL;
}

/* Room for LINE_LOG_LINE bytes, or NULL: the line is dropped and counted. */
char *line_log_begin(struct line_log *l);
/* The line ends before `end`. */
void line_log_end(struct line_log *l, const char *end);

#endif
