/* Answers of our own: errors, redirects, fixed responses. Each becomes a response head in x->resp
 * and a body, so that a front sends it like any other answer. Memory: x->reply_store.
 * The caller (proxy/exchange.c) passes the head and lends the body. */
#ifndef PROXY_REPLY_H
#define PROXY_REPLY_H

#include "proxy/exchange.h"

/* Each fills x->resp and *body; the body is empty for HEAD. */
void reply_error(struct exchange *x, enum reason why, struct slice *body);
void reply_grpc(struct exchange *x, enum reason why, struct slice *body);
void reply_fixed(struct exchange *x, const struct config_fixed_response *f, struct slice *body);
/* REASON_REDIRECT_TOO_LONG, REASON_MISSING_HOST: nothing was built, answer with that instead. */
MUST_USE enum reason reply_redirect(struct exchange *x, const struct config_redirect *r,
                                    struct slice *body);

#endif
