/* What the admin endpoint answers to which path, and to whom. Thread: control. */
#ifndef SERVER_ADMIN_ROUTES_H
#define SERVER_ADMIN_ROUTES_H

#include "server/admin.h"

/* ctx: struct server. What is refused to somebody without the right goes to the log, at most once
 * a second. */
admin_handler admin_routes_answer;

/* {"error":"..."} with a status. */
void admin_routes_error(struct admin_answer *a, unsigned status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
