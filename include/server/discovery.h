/* Keeps the targets of groups with a `discovery` as the world has them: notices changes, puts what
 * it found into server->roster, and asks for a refresh.
 *
 *   targets file ──inotify──▶ refresh: the loader reads it (server/targets_files.h)
 *
 * What cannot be read or asked empties nothing: the targets that are known stay.
 * Owner and thread: control. */
#ifndef SERVER_DISCOVERY_H
#define SERVER_DISCOVERY_H

#include "proxy/snapshot.h"
#include "server/watch.h"

struct server;

struct discovery {
    struct server *server;
    struct watch watch;
    struct task changed; /* a watched file has */
};

/* How the discovery of a group is doing, for /status and /metrics. */
struct discovery_state {
    struct slice source;  /* constant text: "file" */
    struct slice name;    /* the file */
    size_t targets;       /* that it stands for */
    int64_t good_s;       /* last success, since the epoch; 0: none */
    struct slice trouble; /* of the last look; empty: it was good */
};

void discovery_init(struct discovery *d, struct server *s);
void discovery_fini(struct discovery *d);
/* This snapshot serves from now on: what the loader found is in its roster. */
void discovery_adopt(struct discovery *d, const struct snapshot *next);

/* False: targets of this group come from the configuration alone. */
bool discovery_state(const struct discovery *d, const struct snapshot *s,
                     const struct config_group *g, struct discovery_state *out);

#endif
