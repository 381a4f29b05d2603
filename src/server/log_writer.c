#include "server/log_writer.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "proxy/access_log.h"
#include "server/log_feed.h"
#include "server/thread.h"

/* ---- access log buffers ---- */

/* A buffer finds the writer through its feed: it has no other use for it. */
static struct log_writer *writer_of(const struct access_buffer *b)
{
    return ((const struct log_feed *)b->home)->writer;
}

static void write_buffer(struct message *m)
{
    struct access_buffer *b = container_of(m, struct access_buffer, message);
    uint64_t lost = log_output_write(b->output, slice_of(b->data, b->n));
    if (lost)
        counter_add(&writer_of(b)->lost_lines, lost);
    log_feed_return(b);
}

void log_writer_post(struct log_writer *w, struct access_buffer *b)
{
    b->message.run = write_buffer;
    loop_post(&w->loop, &b->message);
}

/* ---- error log lines ---- */

struct line {
    struct message message;
    struct log_writer *writer;
    size_t n;
    char text[];
};

static void write_line(struct message *m)
{
    struct line *l = container_of(m, struct line, message);
    struct log_writer *w = l->writer;
    counter_add(&w->lost_lines, log_output_write(w->errors, slice_of(l->text, l->n)));
    atomic_fetch_sub_explicit(&w->waiting, 1, memory_order_relaxed);
    free(l);
}

static void drop_line(struct log_writer *w)
{
    atomic_fetch_add_explicit(&w->dropped_lines, 1, memory_order_relaxed);
}

void log_writer_sink(void *ctx, struct slice text)
{
    struct log_writer *w = ctx;
    struct line *l = malloc(sizeof(*l) + text.n);
    if (!l) {
        drop_line(w);
        return;
    }
    if (atomic_fetch_add_explicit(&w->waiting, 1, memory_order_relaxed) >= LOG_WRITER_LINES_MAX) {
        atomic_fetch_sub_explicit(&w->waiting, 1, memory_order_relaxed);
        drop_line(w);
        free(l);
        return;
    }
    *l = (struct line){.message = {.run = write_line}, .writer = w, .n = text.n};
    memcpy(l->text, text.p, text.n);
    loop_post(&w->loop, &l->message);
}

/* ---- requests of the control thread ---- */

struct request {
    struct message message;
    struct log_writer *writer;
    struct log_output *output;
    void (*act)(struct log_writer *w, struct log_output *o);
};

static void run_request(struct message *m)
{
    struct request *r = container_of(m, struct request, message);
    r->act(r->writer, r->output);
    free(r);
}

static void ask(struct log_writer *w, struct log_output *o,
                void (*act)(struct log_writer *w, struct log_output *o))
{
    struct request *r = malloc(sizeof(*r));
    CHECK(r);
    *r = (struct request){{.run = run_request}, w, o, act};
    loop_post(&w->loop, &r->message);
}

static void attach(struct log_writer *w, struct log_output *o)
{
    list_push_back(&w->outputs, &o->node);
}

static void retire(struct log_writer *w, struct log_output *o)
{
    CHECK(o != w->errors);
    log_output_close(o);
}

static void errors_to(struct log_writer *w, struct log_output *o)
{
    w->errors = o;
}

static void reopen(struct log_writer *w, struct log_output *o)
{
    (void)o;
    list_each(n, next, &w->outputs)
        log_output_reopen(list_entry(n, struct log_output, node));
}

static void stop(struct log_writer *w, struct log_output *o)
{
    (void)o;
    loop_stop(&w->loop);
}

void log_writer_attach(struct log_writer *w, struct log_output *o)
{
    ask(w, o, attach);
}

void log_writer_retire(struct log_writer *w, struct log_output *o)
{
    ask(w, o, retire);
}

void log_writer_errors_to(struct log_writer *w, struct log_output *o)
{
    ask(w, o, errors_to);
}

void log_writer_reopen(struct log_writer *w)
{
    ask(w, NULL, reopen);
}

/* ---- the thread ---- */

static void *run(void *arg)
{
    struct log_writer *w = arg;
    thread_begin("log");
    loop_run(&w->loop);
    return NULL;
}

enum err log_writer_start(struct log_writer *w, struct log_output *errors)
{
    *w = (struct log_writer){.errors = errors};
    list_init(&w->outputs);
    enum err e = loop_init(&w->loop, 0);
    if (e != OK)
        return e;
    e = thread_start(&w->thread, run, w);
    if (e != OK) {
        loop_fini(&w->loop);
        return e;
    }
    log_writer_attach(w, errors);
    return OK;
}

bool log_writer_stop(struct log_writer *w, unsigned timeout_ms)
{
    ask(w, NULL, stop);
    if (!thread_join(w->thread, timeout_ms))
        return false;
    loop_turn(&w->loop); /* what the writer had to say itself, while it stopped */
    list_each(n, next, &w->outputs)
        log_output_close(list_entry(n, struct log_output, node));
    loop_fini(&w->loop);
    return true;
}

uint64_t log_writer_lost(const struct log_writer *w)
{
    return counter_get(&w->lost_lines) +
           atomic_load_explicit(&w->dropped_lines, memory_order_relaxed);
}
