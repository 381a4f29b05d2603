/* Keeps the targets of groups with a `discovery`, and the addresses of targets that are names, as the
 * world has them: asks and listens, puts what it found into server->roster, and asks for a refresh.
 *
 *   targets file ──inotify──▶ refresh: the loader reads it (server/targets_files.h)
 *   name servers ──answers──▶ what is known (upstream/discover.h) ──changed──▶ list, refresh
 *        ▲─── due: the answer's time to live, or later after each failure
 *
 * What cannot be read, asked or understood empties nothing: the targets that are known stay.
 * Owner and thread: control. */
#ifndef SERVER_DISCOVERY_H
#define SERVER_DISCOVERY_H

#include "proxy/snapshot.h"
#include "server/watch.h"

#define DISCOVERY_BUCKETS 256

struct server;

struct discovery {
    struct server *server;
    struct watch watch;
    struct task changed; /* a watched file has */
    struct list all[DISCOVERY_BUCKETS]; /* of struct lookup, by hash of group, source and origin */
    struct list servers; /* of struct name_servers */
    unsigned round;      /* adoptions so far */
};

/* How the discovery of a group is doing, for /status and /metrics. */
struct discovery_state {
    struct slice source;  /* constant text: "file", "dns", "dns_srv", "name" */
    struct slice group;
    struct slice name;    /* the file, or what is looked up */
    size_t targets;       /* that it stands for */
    int64_t good_s;       /* last success, since the epoch; 0: none */
    struct slice trouble; /* of the last look; empty: it was good */
    uint64_t failures;
    bool follows;         /* it will be looked up again by itself */
    uint64_t due_ms;      /* from now; when it follows */
};

void discovery_init(struct discovery *d, struct server *s);
void discovery_fini(struct discovery *d);
/* This snapshot serves from now on: what the loader found is in its roster. */
void discovery_adopt(struct discovery *d, const struct snapshot *next);

/* False: targets of this group come from the configuration alone. */
bool discovery_state(const struct discovery *d, const struct config_group *g,
                     struct discovery_state *out);
/* All of them, names of targets too, in no order. */
void discovery_each(const struct discovery *d,
                    void (*each)(void *ctx, const struct discovery_state *s), void *ctx);

#endif
