/* The outputs that a configuration names, over reloads: one that both the old and the new file name
 * is kept open. New ones are opened before anything else changes, so that a path that cannot be
 * opened fails the reload and not the log. Thread: control. */
#ifndef SERVER_OUTPUTS_H
#define SERVER_OUTPUTS_H

#include "base/strbuf.h"
#include "server/log_writer.h"

struct outputs {
    struct log_output *errors;
    struct log_output *access; /* NULL: off */
    struct log_output *connections; /* the same */
    struct log_output *checks; /* the same */
};

/* `next` shares with `now` what did not change. ERR_SYSTEM: `why` says it, nothing is open. */
MUST_USE enum err outputs_open(struct outputs *next, const struct outputs *now,
                               const struct config *c, struct strbuf *why);
/* Closes what is in next alone, which no writer has seen. */
void outputs_discard(struct outputs *next, const struct outputs *now);

/* The writer gets what is new, and error lines go to their new place. */
void outputs_attach(const struct outputs *next, const struct outputs *now, struct log_writer *w);
/* What is in `old` alone: no worker fills buffers for it any more. */
void outputs_retire(const struct outputs *old, const struct outputs *now, struct log_writer *w);

#endif
