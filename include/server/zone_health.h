/* GET /zone-health: should clients be sent to this node? For the checks of Route 53, keepalived or
 * a BGP speaker, so that a node withdraws itself.
 *
 * 200 while every group that a listener leads to has its minimum_healthy.dns in the node's zone (in
 * all zones, when the node has none); `?group=NAME` asks for one group. 503 else, while the zone is
 * shifted away, and while tenbin stops; the body says why, a line a reason. Thread: control. */
#ifndef SERVER_ZONE_HEALTH_H
#define SERVER_ZONE_HEALTH_H

#include "server/admin.h"
#include "upstream/group.h"

struct server;

void zone_health_answer(struct server *s, const struct admin_request *r, struct admin_answer *a);

/* One group: true, or false and the reason as a line. zone: of the node, may be empty. */
bool zone_health_of(const struct group *g, const struct config_threshold *least, struct slice zone,
                    struct strbuf *why);

#endif
