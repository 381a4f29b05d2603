#include "server/line_log.h"

#include "base/check.h"

static void swap(struct line_log *l)
{
    timer_clear(&l->timer);
    l->buffer = l->sink.swap(l->sink.ctx, l->buffer, l->output ? LINE_LOG_BYTES : 0);
    if (!l->buffer)
        return;
    l->buffer->n = 0;
    l->buffer->output = l->output;
}

static void on_flush_due(struct task *t)
{
    struct line_log *l = container_of(t, struct line_log, task);
    if (timer_take(&l->timer) && l->buffer && l->buffer->n)
        swap(l);
}

void line_log_init(struct line_log *l, struct loop *loop, struct log_writer *writer)
{
    *l = (struct line_log){0};
    log_feed_init(&l->feed, loop, writer);
    l->sink = log_feed_sink(&l->feed);
    task_init(&l->task, on_flush_due);
    timer_init(&l->timer, &l->task);
}

void line_log_configure(struct line_log *l, struct log_output *output)
{
    if (l->output == output)
        return;
    l->output = output;
    swap(l);
}

void line_log_stop(struct line_log *l)
{
    line_log_configure(l, NULL);
    timer_del(&l->feed.loop->wheel, &l->timer);
    task_cancel(&l->task);
}

void line_log_fini(struct line_log *l)
{
    CHECK(!l->output);
    log_feed_fini(&l->feed);
}

char *line_log_begin(struct line_log *l)
{
    CHECK(l->output);
    if (!l->buffer)
        swap(l);
    if (l->buffer)
        return l->buffer->data + l->buffer->n;
    counter_add(&l->dropped, 1);
    return NULL;
}

void line_log_end(struct line_log *l, const char *end)
{
    struct access_buffer *b = l->buffer;
    size_t n = (size_t)(end - b->data);
    CHECK(n >= b->n && n - b->n <= LINE_LOG_LINE);
    if (b->n == 0)
        loop_timer(l->feed.loop, &l->timer, LINE_LOG_FLUSH_MS);
    b->n = n;
    if (b->cap - b->n < LINE_LOG_LINE)
        swap(l);
}
