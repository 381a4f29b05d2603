/* The request target (RFC 9112 3.2). Private to http/. */
#ifndef HTTP_TARGET_H
#define HTTP_TARGET_H

#include "http/head.h"
#include "http/status.h"

/* Reads h->target, which has no CR, LF or NUL, into scheme, authority, path and query. *cause is
 * set to what is odd or wrong about it, DESYNC_NONE else. */
enum reason target_read(struct request_head *h, enum desync_cause *cause);

#endif
