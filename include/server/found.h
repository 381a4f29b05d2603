/* Between what name servers said (upstream/discover.h) and lists of a roster: the loader makes the
 * first list of a discovery, the control thread those that follow. Pure. */
#ifndef SERVER_FOUND_H
#define SERVER_FOUND_H

#include "upstream/discover.h"
#include "upstream/roster.h"

/* What is looked up for a group. Slices are the owner's; all are NUL-terminated. */
struct found_about {
    struct slice group;
    enum roster_source source; /* DNS, SRV, NAME */
    struct slice origin;       /* NAME */
    struct slice name;
    uint16_t port; /* 0: SRV */
    struct slice zone;
    uint32_t hold_ms;
    const struct addr *resolvers;
    size_t resolvers_n;
};

/* The group's discovery must be DNS or SRV. */
struct found_about found_about_group(const struct config *c, const struct config_group *g);
/* Would the answers be about other targets? Changes with name and port, not with zone or name
 * servers. Never 0. */
uint64_t found_key(const struct found_about *a);

struct roster_list *found_list(const struct found_about *a, const struct discover *d);
/* What is known when a list is all there is. */
void found_take_list(struct discover *d, const struct roster_list *l);
/* The same with the addresses of one target, for NAME. */
void found_take_target(struct discover *d, const struct config_target *t);

#endif
