#include "server/outputs.h"

#include <errno.h>

static enum err open_one(struct log_output **next, struct log_output *now,
                         const struct config_sink *c, const char *key, struct strbuf *why)
{
    *next = NULL;
    if (c->output == CONFIG_OUTPUT_OFF)
        return OK;
    if (log_output_is(now, c)) {
        *next = now;
        return OK;
    }
    enum err e = log_output_open(c, next);
    if (e != OK)
        strbuf_printf(why, "%s: %s: %s", key, c->path.p, strerror(errno));
    return e;
}

enum err outputs_open(struct outputs *next, const struct outputs *now, const struct config *c,
                      struct strbuf *why)
{
    *next = (struct outputs){0};
    enum err e = open_one(&next->errors, now->errors, &c->log.sink, "log", why);
    if (e == OK)
        e = open_one(&next->access, now->access, &c->access_log.sink, "access_log", why);
    if (e == OK)
        e = open_one(&next->connections, now->connections, &c->connection_log.sink,
                     "connection_log", why);
    if (e == OK)
        e = open_one(&next->checks, now->checks, &c->health_check_log.sink, "health_check_log",
                     why);
    if (e != OK)
        outputs_discard(next, now);
    return e;
}

void outputs_discard(struct outputs *next, const struct outputs *now)
{
    if (next->errors != now->errors)
        log_output_close(next->errors);
    if (next->access != now->access)
        log_output_close(next->access);
    if (next->connections != now->connections)
        log_output_close(next->connections);
    if (next->checks != now->checks)
        log_output_close(next->checks);
    *next = (struct outputs){0};
}

void outputs_attach(const struct outputs *next, const struct outputs *now, struct log_writer *w)
{
    if (next->errors != now->errors) {
        log_writer_attach(w, next->errors);
        log_writer_errors_to(w, next->errors);
    }
    if (next->access && next->access != now->access)
        log_writer_attach(w, next->access);
    if (next->connections && next->connections != now->connections)
        log_writer_attach(w, next->connections);
    if (next->checks && next->checks != now->checks)
        log_writer_attach(w, next->checks);
}

void outputs_retire(const struct outputs *old, const struct outputs *now, struct log_writer *w)
{
    if (old->errors && old->errors != now->errors)
        log_writer_retire(w, old->errors);
    if (old->access && old->access != now->access)
        log_writer_retire(w, old->access);
    if (old->connections && old->connections != now->connections)
        log_writer_retire(w, old->connections);
    if (old->checks && old->checks != now->checks)
        log_writer_retire(w, old->checks);
}
