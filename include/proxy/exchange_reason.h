/* The reason in the words of logs and counters for a lease that was refused. Pure. */
#ifndef PROXY_EXCHANGE_REASON_H
#define PROXY_EXCHANGE_REASON_H

#include "http/status.h"
#include "upstream/lease.h"

enum reason exchange_reason_of(const struct lease *l);

#endif
