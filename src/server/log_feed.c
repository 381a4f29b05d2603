#include "server/log_feed.h"

#include <stdlib.h>

#include "base/check.h"

static struct access_buffer *buffer_of(struct message *m)
{
    return container_of(m, struct access_buffer, message);
}

static void put_idle(struct log_feed *f, struct access_buffer *b)
{
    b->message.next = f->idle ? &f->idle->message : NULL;
    f->idle = b;
}

static struct access_buffer *take_idle(struct log_feed *f)
{
    struct access_buffer *b = f->idle;
    if (b)
        f->idle = b->message.next ? buffer_of(b->message.next) : NULL;
    return b;
}

static void drop(struct log_feed *f, struct access_buffer *b)
{
    f->alive--;
    free(b);
}

static void drop_idle(struct log_feed *f)
{
    for (struct access_buffer *b; (b = take_idle(f));)
        drop(f, b);
}

static struct access_buffer *make(struct log_feed *f, size_t bytes)
{
    if (f->alive == LOG_FEED_BUFFERS)
        return NULL;
    struct access_buffer *b = malloc(sizeof(*b) + bytes);
    if (!b)
        return NULL;
    *b = (struct access_buffer){.home = f, .cap = bytes};
    f->alive++;
    return b;
}

/* Buffers of another size are from before a reload. */
static struct access_buffer *take(struct log_feed *f, size_t bytes)
{
    for (struct access_buffer *b; (b = take_idle(f));) {
        if (b->cap == bytes)
            return b;
        drop(f, b);
    }
    return make(f, bytes);
}

static struct access_buffer *swap(void *ctx, struct access_buffer *used, size_t bytes)
{
    struct log_feed *f = ctx;
    if (used && used->n)
        log_writer_post(f->writer, used);
    else if (used)
        put_idle(f, used);
    if (bytes)
        return take(f, bytes);
    drop_idle(f);
    return NULL;
}

static void come_home(struct message *m)
{
    struct access_buffer *b = buffer_of(m);
    put_idle(b->home, b);
}

void log_feed_return(struct access_buffer *b)
{
    struct log_feed *f = b->home;
    b->message.run = come_home;
    loop_post(f->loop, &b->message);
}

void log_feed_init(struct log_feed *f, struct loop *loop, struct log_writer *writer)
{
    *f = (struct log_feed){.loop = loop, .writer = writer};
}

void log_feed_fini(struct log_feed *f)
{
    drop_idle(f);
    CHECK(f->alive == 0);
}

struct access_sink log_feed_sink(struct log_feed *f)
{
    return (struct access_sink){swap, f};
}
