/* What the answers of name servers do to the targets that are known. Pure, but for the memory that
 * a struct discover owns.
 *
 *   an answer with addresses ─▶ those in it are known; one that is missing from DISCOVER_MISSES
 *                               answers in a row, and for the hold time, is forgotten
 *   half an answer ───────────▶ what the other half was about stays as it is
 *   nothing, or an error ─────▶ all stays as it is (RFC 8767), and is asked for again, ever later
 *
 * So one answer of a server that hands out changing subsets, or one that was cut, makes nobody
 * leave, and no name server can empty a group. */
#ifndef UPSTREAM_DISCOVER_H
#define UPSTREAM_DISCOVER_H

#include "base/hash.h"
#include "net/addr.h"

#define DISCOVER_MISSES       2
#define DISCOVER_MIN_MS       1000
#define DISCOVER_MAX_MS       300000
#define DISCOVER_RETRY_MAX_MS 60000

struct discover_target {
    struct addr addr;
    const char *host; /* that it is an address of; in an answer lent, else owned */
    uint16_t priority, weight;
    unsigned missed;    /* answers in a row without it */
    uint64_t missed_ms; /* when the first of those came */
};

/* A host of which one kind of address was not to be had. */
struct discover_gap {
    const char *host;
    int family;
};

struct discover_answer {
    const struct discover_target *targets;
    size_t targets_n; /* 0: a failure */
    const struct discover_gap *gaps;
    size_t gaps_n;
    uint32_t ttl_s;
};

struct discover {
    struct discover_target *known; /* no two with the same address, in the order they came */
    size_t known_n, known_cap;
    unsigned failures; /* in a row */
};

void discover_init(struct discover *d);
void discover_fini(struct discover *d);
/* As if an answer had told of it long ago. */
void discover_add(struct discover *d, const struct discover_target *t);

/* True: what is known has changed. Addresses that cannot be a target are not taken; of one that is
 * there twice the first counts. */
bool discover_take(struct discover *d, const struct discover_answer *a, uint64_t now_ms,
                   uint64_t hold_ms);
/* How long to wait after the last answer: its time to live, or longer after each failure, within
 * the bounds above and with 5 % of jitter. */
uint32_t discover_wait_ms(const struct discover *d, uint32_t ttl_s, struct rng *rng);

#endif
