/* Questions to name servers: A, AAAA and SRV, over UDP and, when an answer does not fit, TCP. The
 * only user of c-ares, which sends, repeats, checks that an answer belongs to a question, and takes
 * it apart.
 *
 *   dns_ask ─▶ asked ─▶ answered: q->status, and q->notify is queued
 *                 └───▶ dns_drop: as if it had never been asked
 *
 * Never calls back. Every server is asked twice, and waited for 1 s, then 2 s. Nothing of an answer is
 * trusted beyond its form: names, counts and lengths are bounded.
 * Owner: whoever called dns_new(). Thread: its loop's. */
#ifndef NET_DNS_H
#define NET_DNS_H

#include "net/addr.h"
#include "net/loop.h"

#define DNS_NAME_MAX    255
#define DNS_SERVERS_MAX 16
#define DNS_RECORDS_MAX 4096 /* of one answer: more than fit into its 64 KiB */

enum dns_type { DNS_A, DNS_AAAA, DNS_SRV };

enum dns_status {
    DNS_OPEN,   /* no answer yet */
    DNS_FOUND,  /* at least one record */
    DNS_NONE,   /* there is no such name, or it has no record of the type */
    DNS_FAILED, /* silence, refusal, garbage: nothing is known */
};

struct dns_record {
    struct addr addr;                  /* A, AAAA; port 0 */
    char *host;                        /* SRV: never "." */
    uint16_t port, priority, weight;   /* SRV */
};

struct dns;
struct dns_ticket;

/* Owner: the caller; zeroed before the first dns_ask(), dns_drop() before its memory goes. */
struct dns_question {
    enum dns_status status;
    const char *why; /* NONE, FAILED: constant text */
    uint32_t ttl_s;  /* FOUND: the shortest of the records */
    struct dns_record *records;
    size_t records_n;
    enum dns_type type;
    struct task *notify;
    struct dns *dns;
    struct dns_ticket *ticket; /* while it is open */
};

/* No servers: those of resolv.conf, with its search list, and /etc/hosts before them. With servers
 * names are taken as they are. NULL: c-ares could not start. */
struct dns *dns_new(struct loop *loop, const struct addr *servers, size_t servers_n);
/* All questions were dropped or answered. */
void dns_free(struct dns *d);
struct loop *dns_loop(const struct dns *d);
/* Does nobody wait for an answer any more? */
bool dns_idle(const struct dns *d);

void dns_ask(struct dns *d, struct dns_question *q, const char *name, enum dns_type type,
             struct task *notify);
void dns_drop(struct dns_question *q);

/* The shortest time to live of an answer's records (RFC 1035 4.1): pure, for any bytes; 0 when they
 * are no answer. */
uint32_t dns_ttl(struct slice message);

#endif
