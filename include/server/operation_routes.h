/* The commands of operators as requests: JSON bodies into operations (server/operations.h).
 *
 *   POST /targets/drain       {"group": "app", "address": "10.0.1.10:3000", "wait": "30s"}
 *   POST /targets/ready       the same
 *   POST /targets/deregister  the same
 *   POST /targets/register    and "zone": "a", "weight": 1
 *   POST /zones/shift         {"zone": "a", "for": "2h", "reason": "power work", "force": false}
 *   POST /zones/cancel        {"zone": "a"}
 *   GET  /zones/shifts
 *
 * wait: how long the answer may be held back until nothing is in flight (until the target serves);
 * "done" in the answer says whether that is so. Thread: control. */
#ifndef SERVER_OPERATION_ROUTES_H
#define SERVER_OPERATION_ROUTES_H

#include "server/admin.h"

struct server;

typedef void operation_routes_answer(struct server *s, const struct admin_request *r,
                                     struct admin_answer *a);

operation_routes_answer operation_routes_drain;
operation_routes_answer operation_routes_ready;
operation_routes_answer operation_routes_register;
operation_routes_answer operation_routes_deregister;
operation_routes_answer operation_routes_shift;
operation_routes_answer operation_routes_cancel;
operation_routes_answer operation_routes_shifts;

#endif
