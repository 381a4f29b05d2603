/* What the end of an exchange leaves behind: counters and one line in the access log. */
#ifndef PROXY_EXCHANGE_LOG_H
#define PROXY_EXCHANGE_LOG_H

#include "proxy/exchange.h"

/* Called by exchange.c exactly once an exchange, while everything it refers to is still there. */
void exchange_log_end(const struct exchange *x);

#endif
