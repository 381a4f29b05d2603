/* Targets for tests of leases and links: real sockets on loopback, without a proxy. */
#ifndef SUPPORT_FLEET_H
#define SUPPORT_FLEET_H

#include "upstream/lease.h"
#include "upstream/registry.h"

#define FLEET_MAX 24

/* How the target at 127.0.0.(1 + i), all on one port, meets a connect. */
enum fleet_kind { FLEET_LISTENS, FLEET_REFUSES, FLEET_IS_SILENT };

struct fleet {
    struct loop loop;
    struct registry registry;
    struct upstream up;
    struct group group;
    struct member members[FLEET_MAX];
    int fd[FLEET_MAX];
    int filler[FLEET_MAX][4]; /* fill the queues of the silent ones */
    int reserve;              /* keeps the port from others */
    struct task notify;
    unsigned notified;
    struct lease lease;
};

/* connect timeout 10 s, keep-alive 60 s, retries 2. */
void fleet_init(struct fleet *f, const enum fleet_kind *kinds, size_t n);
/* Asserts that no link, conn or lease is left. */
void fleet_fini(struct fleet *f);

/* Turns until the lease is decided. */
enum lease_state fleet_decide(struct fleet *f, struct lease *l);
enum lease_state fleet_lease(struct fleet *f, struct lease *l);
/* The connection that was made to the target: the target's end. */
int fleet_accept(struct fleet *f, size_t i);
void fleet_turn(struct fleet *f);

struct target_local *fleet_local(struct fleet *f, size_t i);

#endif
