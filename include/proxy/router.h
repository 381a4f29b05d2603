/* Rules compiled for matching: which action does a request get?
 *
 * The cost of a match does not grow with the number of rules: literal hosts and paths are a hash
 * lookup each, `*.example.com` and paths like `/api` with a star behind it are a walk along their
 * literal part in a radix tree; only patterns that are neither (`/a*b?c`) are tried one by one, and
 * only those whose literal beginning (of hosts: ending) is there.
 * First match by priority wins, as ALB evaluates them. A rule with h host values
 * and p path values takes the memory of h * p entries.
 *
 * Owner: the snapshot; memory from its arena. Immutable, any thread, calls nobody.
 */
#ifndef PROXY_ROUTER_H
#define PROXY_ROUTER_H

#include "base/arena.h"
#include "config/model.h"
#include "upstream/group.h"

enum action_type { ACTION_FORWARD, ACTION_REDIRECT, ACTION_FIXED_RESPONSE };

struct action_group {
    struct group *group;
    uint32_t upto; /* sum of the weights up to and with this one */
};

struct action {
    enum action_type type;
    const struct config_action *config;
    size_t groups_n; /* FORWARD */
    struct action_group *groups;
    uint32_t weight_total;
    bool aws_names; /* of the cookie for its stickiness */
};

struct rule {
    struct slice name; /* "default" for the default action */
    uint32_t priority; /* 0: the default action */
    struct action *action;
};

struct router;

/* groups: the snapshot's, in the order of the configuration. The rules are sorted by priority. */
struct router *router_build(struct arena *a, const struct config_listener *l, struct group *groups);

/* host: lower case, without port and trailing dot (may be empty); path: normalised, without
 * query. Never NULL: the default action is a rule too. */
const struct rule *router_match(const struct router *r, struct slice host, struct slice path);

/* The action alone, for tcp listeners. */
struct action *router_action(struct arena *a, const struct config_action *c, struct group *groups);
/* Which group of a forward action, by weight; random is any 32 bits. NULL: all weights are 0. */
struct group *router_pick_group(const struct action *a, uint32_t random);

#endif
