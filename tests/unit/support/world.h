/* A whole data path in one thread, for tests: a loop and a worker's proxy with a configuration
 * given inline. The test plays the clients (socketpairs) and the targets (a listener on
 * loopback), and turns the loop by hand. */
#ifndef SUPPORT_WORLD_H
#define SUPPORT_WORLD_H

#include "proxy/proxy.h"

struct world {
    struct loop loop;
    struct proxy proxy;
    struct counters counters;
    struct registry registry;
    struct slot_table slots;
    struct snapshot *snapshot;
    uint64_t generation;
    unsigned released; /* snapshots let go */
    int origin_fd;     /* listening, non-blocking */
    unsigned origin_port;
};

/* yaml: may hold `%u` once or more, for the origin's port. Fails the test on a bad file. */
void world_init(struct world *w, const char *yaml);
/* A reload: the old snapshot is freed once it is released. */
void world_reload(struct world *w, const char *yaml);
/* Asserts that nothing is left: sessions, exchanges, links in use, chunks, pins. */
void world_fini(struct world *w);
/* Asserts the same gauges while the world lives on. */
void world_assert_quiet(const struct world *w);

/* The client's end of a new connection to the listener with that slot; non-blocking. */
int world_client(struct world *w, unsigned slot);
/* A connection that the proxy made to the origin, or -1; non-blocking. */
int world_origin(struct world *w);
void world_turn(struct world *w, int turns);

#endif
