/* Active health checks: asks every target of the groups that are in use whether it is well, and is
 * the only one who writes what comes of it.
 *
 *   due ─▶ connect ─▶ secure ─▶ ask ─▶ answer ─▶ health_step ─▶ target->state ─▶ the group's epoch
 *    ▲        └─────────┴────────┴───────┴─▶ refused, reset, late, garbage ──▲     (workers look)
 *    └── interval ± jitter after the last time it was due
 *
 * One check per target. Each asks over a new connection, closed with the verdict. When it is due
 * depends on the clock alone, not on how long answers take; a check that is still waiting when the
 * next is due takes that one's place. First checks are spread over min(interval, 1 s).
 * Secure: https and tls checks, with the group's `tls:`, so that what would fail the traffic fails
 * the check. A check takes no memory from malloc, but for TLS, whose handshake does, and HTTP/2. Of
 * an answer it reads the head, at most limits.response_head; over HTTP/2 see probe_h2.c. Health
 * belongs to the target, so it survives reloads; a target that nobody checks any more forgets it.
 * Owner and thread: control. */
#ifndef UPSTREAM_CHECKER_H
#define UPSTREAM_CHECKER_H

#include "http/h1_parser.h"
#include "http/limits.h"
#include "net/conn.h"
#include "upstream/group.h"
#include "upstream/news.h"
#include "upstream/slow_start.h"

#define CHECKER_SPREAD_MS 1000

/* How one check ended. Lives until the call returns. */
struct check_report {
    const struct group *group;
    struct addr addr; /* that was asked */
    int64_t began_wall_us;
    uint64_t took_us;
    enum health_result result;
    bool has_status;
    uint16_t status; /* of HTTP, or gRPC's */
};

struct probe;

struct checker {
    struct loop *loop;
    void (*report)(void *ctx, const struct check_report *r); /* each check; NULL: to nobody */
    void *report_ctx;
    struct limits limits;
    struct field *fields; /* parse scratch, limits.headers long */
    struct list checks;
    unsigned rounds;   /* adoptions so far */
    struct news *news; /* not the checker's own */
    struct slow_start slow_start;
    uint64_t said_ms; /* last complaint about a shortage of ours */
};

enum check_step { CHECK_CONNECTING, CHECK_SECURING, CHECK_ASKED };

/* Of one target. While conn is there an answer is waited for. */
struct check {
    uint32_t magic;
    struct checker *checker;
    struct target *target;
    const struct group *group;   /* in the snapshot that serves, */
    const struct member *member; /* and so is this */
    unsigned round;              /* the newest that named it */
    struct list node;
    struct task task;
    struct timer due, deadline;
    uint64_t next_ms; /* when it is due; 0: never was */
    bool at_start;    /* the process has just started: the first result is not there yet */
    uint64_t began_us;
    int64_t began_wall_us;
    struct conn *conn;
    enum check_step step;
    const char *why;  /* static; NULL: the result says it all */
    uint8_t interims; /* 1xx heads so far */
    bool has_status;
    uint16_t status;
    const struct probe *probe; /* that asks, */
    void *state;               /* and what it keeps; NULL: nothing */
    struct h1_finder finder;
};

void checker_init(struct checker *c, struct loop *loop, struct news *news);
/* Before the targets go. Their health is forgotten. */
void checker_fini(struct checker *c);

/* These groups serve from now on; those they replace are still there. Targets that are new get
 * their first check, changed settings count from the next check on. */
void checker_adopt(struct checker *c, const struct group *groups, size_t groups_n,
                   const struct config_limits *limits);

#endif
