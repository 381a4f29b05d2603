/* One search for targets in the DNS: a name's addresses, or a service's hosts and then theirs.
 *
 *   name ─▶ A, AAAA ──────────────────────────▶ answer, and notify is queued
 *   _service ─▶ SRV ─▶ A, AAAA of every host ──▶    at most FINDER_ASKED at a time
 *
 * Owner: embedded; finder_fini() at any time. Never calls back. Thread: its loop's. */
#ifndef UPSTREAM_FINDER_H
#define UPSTREAM_FINDER_H

#include "net/dns.h"
#include "upstream/discover.h"

#define FINDER_ASKED     32
#define FINDER_HOSTS_MAX 1000 /* of one service; more are left out */

struct finder_host {
    const char *name; /* in the SRV record or the finder */
    struct dns_question a, aaaa;
};

struct finder {
    struct dns *dns;
    struct task task, *notify;
    char *name;
    uint16_t port; /* 0: a service */
    struct dns_question srv;
    struct finder_host *hosts;
    size_t hosts_n, asked, answered;
    bool running;

    struct discover_answer answer; /* when notify was queued; valid until the next finder_start() */
    const char *why;               /* constant text, when answer has no targets */
};

void finder_init(struct finder *f, struct task *notify);
void finder_fini(struct finder *f);
/* port 0: the name is that of a service. What ran before is dropped. */
void finder_start(struct finder *f, struct dns *dns, const char *name, uint16_t port);

static inline bool finder_running(const struct finder *f)
{
    return f->running;
}

#endif
