#include "net/dns.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define TIMEOUT_MS  1000
#define TRIES       2
#define EDNS_BYTES  1232   /* fits into any path's MTU */
#define HOSTS_TTL_S 300    /* of what /etc/hosts says */
#define TTL_MAX_S   604800 /* RFC 8767 4: more is a mistake */

/* A socket of c-ares. */
struct socket {
    struct list node;
    struct dns *dns;
    struct ev_io io;
    int ready; /* events that were not handled yet */
};

struct dns {
    struct loop *loop;
    ares_channel channel;
    bool system; /* resolv.conf and /etc/hosts count */
    struct list sockets;
    unsigned open; /* questions that c-ares has */
    struct ev_timer timer;
    struct task task;
};

/* What c-ares is given of a question, so that the question may go before the answer comes. */
struct dns_ticket {
    struct dns *dns;
    struct dns_question *q; /* NULL: nobody waits */
};

/* ---- time to live ---- */

#define HEADER_BYTES 12

/* Behind the name at `at`, or 0 when it does not end. */
static size_t skip_name(struct slice m, size_t at)
{
    while (at < m.n) {
        uint8_t length = (uint8_t)m.p[at];
        if (length == 0)
            return at + 1;
        if (length >= 0xc0) /* a pointer is the end */
            return at + 2;
        if (length >= 0x40)
            return 0;
        at += 1u + length;
    }
    return 0;
}

static uint32_t number(struct slice m, size_t at, unsigned bytes)
{
    uint32_t v = 0;
    while (bytes--)
        v = v << 8 | (uint8_t)m.p[at++];
    return v;
}

uint32_t dns_ttl(struct slice m)
{
    uint32_t shortest = TTL_MAX_S;
    if (m.n < HEADER_BYTES)
        return 0;
    size_t at = HEADER_BYTES;
    unsigned questions = number(m, 4, 2), answers = number(m, 6, 2);
    while (questions-- > 0)
        if (!(at = skip_name(m, at)) || (at += 4) > m.n)
            return 0;
    if (answers == 0)
        return 0;
    while (answers-- > 0) {
        if (!(at = skip_name(m, at)) || at + 10 > m.n)
            return 0;
        uint32_t ttl = number(m, at + 4, 4);
        if (ttl > INT32_MAX) /* RFC 2181 8 */
            ttl = 0;
        shortest = ttl < shortest ? ttl : shortest;
        at += 10 + number(m, at + 8, 2);
        if (at > m.n)
            return 0;
    }
    return shortest;
}

/* ---- answers ---- */

static void answer(struct dns_question *q, enum dns_status status, const char *why)
{
    q->status = status;
    q->why = why;
    q->ticket = NULL;
    loop_push(q->dns->loop, q->notify);
}

static struct dns_record *new_records(struct dns_question *q, size_t n)
{
    q->records = calloc(n + 1, sizeof(*q->records));
    CHECK(q->records);
    return q->records;
}

static int take_a(struct dns_question *q, const unsigned char *p, int n)
{
    struct ares_addrttl *found = calloc(DNS_RECORDS_MAX, sizeof(*found));
    int count = DNS_RECORDS_MAX;
    CHECK(found);
    int rc = ares_parse_a_reply(p, n, NULL, found, &count);
    for (int i = 0; rc == ARES_SUCCESS && i < count; i++) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = found[i].ipaddr};
        if (i == 0)
            new_records(q, (size_t)count);
        q->records[q->records_n++].addr =
            addr_from_sockaddr((const struct sockaddr *)&in, sizeof(in));
    }
    free(found);
    return rc;
}

static int take_aaaa(struct dns_question *q, const unsigned char *p, int n)
{
    struct ares_addr6ttl *found = calloc(DNS_RECORDS_MAX, sizeof(*found));
    int count = DNS_RECORDS_MAX;
    CHECK(found);
    int rc = ares_parse_aaaa_reply(p, n, NULL, found, &count);
    for (int i = 0; rc == ARES_SUCCESS && i < count; i++) {
        struct sockaddr_in6 in = {.sin6_family = AF_INET6};
        memcpy(&in.sin6_addr, &found[i].ip6addr, sizeof(in.sin6_addr));
        if (i == 0)
            new_records(q, (size_t)count);
        q->records[q->records_n++].addr =
            addr_from_sockaddr((const struct sockaddr *)&in, sizeof(in));
    }
    free(found);
    return rc;
}

/* "." says that the service is not offered here (RFC 2782). */
static bool is_service(const struct ares_srv_reply *r)
{
    size_t n = r->host ? strlen(r->host) : 0;
    return n > 0 && n <= DNS_NAME_MAX && strcmp(r->host, ".") != 0 && r->port > 0;
}

static int take_srv(struct dns_question *q, const unsigned char *p, int n)
{
    struct ares_srv_reply *found = NULL;
    int rc = ares_parse_srv_reply(p, n, &found);
    size_t count = 0;
    for (const struct ares_srv_reply *r = found; r && count < DNS_RECORDS_MAX; r = r->next)
        count++;
    struct dns_record *to = count ? new_records(q, count) : NULL;
    for (const struct ares_srv_reply *r = found; r && count-- > 0; r = r->next) {
        if (!is_service(r))
            continue;
        *to = (struct dns_record){.host = strdup(r->host),
                                  .port = r->port,
                                  .priority = r->priority,
                                  .weight = r->weight};
        CHECK(to->host);
        to++;
        q->records_n++;
    }
    if (found)
        ares_free_data(found);
    return rc;
}

static void take(struct dns_question *q, const unsigned char *p, int n)
{
    int rc = q->type == DNS_A ? take_a(q, p, n)
             : q->type == DNS_AAAA ? take_aaaa(q, p, n)
                                   : take_srv(q, p, n);
    q->ttl_s = dns_ttl(slice_of((const char *)p, (size_t)n));
    if (q->records_n)
        answer(q, DNS_FOUND, NULL);
    else if (rc == ARES_SUCCESS || rc == ARES_ENODATA)
        answer(q, DNS_NONE, "no record of this type");
    else
        answer(q, DNS_FAILED, "an answer that makes no sense");
}

static void say(struct dns_question *q, int status)
{
    switch (status) {
    case ARES_ENOTFOUND:
        answer(q, DNS_NONE, "no such name");
        break;
    case ARES_ENODATA:
        answer(q, DNS_NONE, "no record of this type");
        break;
    case ARES_ETIMEOUT:
        answer(q, DNS_FAILED, "no answer from the name servers");
        break;
    case ARES_ECONNREFUSED:
    case ARES_ESERVFAIL:
    case ARES_EREFUSED:
        /* Also what c-ares makes of SERVFAIL and REFUSED from all of them. */
        answer(q, DNS_FAILED, "the name servers failed or refused");
        break;
    case ARES_EBADRESP:
    case ARES_EFORMERR:
        answer(q, DNS_FAILED, "an answer that makes no sense");
        break;
    case ARES_EBADNAME:
        answer(q, DNS_FAILED, "not a name");
        break;
    default:
        answer(q, DNS_FAILED, "the question could not be asked");
    }
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *p, int n)
{
    struct dns_ticket *t = arg;
    struct dns_question *q = t->q;
    (void)timeouts;
    t->dns->open--;
    free(t);
    if (!q)
        return;
    if (status == ARES_SUCCESS && p && n > 0)
        take(q, p, n);
    else
        say(q, status);
}

/* ---- driving c-ares ---- */

static void on_timer(struct ev_loop *ev, struct ev_timer *t, int revents)
{
    struct dns *d = t->data;
    (void)ev, (void)revents;
    loop_push(d->loop, &d->task);
}

/* When c-ares wants to repeat a question, or give it up. */
static void plan(struct dns *d)
{
    struct timeval most = {.tv_sec = 10}, wait;
    ev_timer_stop(d->loop->ev, &d->timer);
    if (d->open == 0)
        return;
    const struct timeval *next = ares_timeout(d->channel, &most, &wait);
    ev_timer_set(&d->timer, (double)next->tv_sec + (double)next->tv_usec / 1e6 + 0.001, 0.);
    ev_timer_start(d->loop->ev, &d->timer);
}

static struct socket *next_ready(struct dns *d)
{
    list_each(n, next, &d->sockets) {
        struct socket *s = list_entry(n, struct socket, node);
        if (s->ready)
            return s;
    }
    return NULL;
}

/* c-ares may close any socket meanwhile. */
static void on_task(struct task *t)
{
    struct dns *d = container_of(t, struct dns, task);
    struct socket *s;
    while ((s = next_ready(d))) {
        int ready = s->ready, fd = s->io.fd;
        s->ready = 0;
        ares_process_fd(d->channel, ready & EV_READ ? fd : ARES_SOCKET_BAD,
                        ready & EV_WRITE ? fd : ARES_SOCKET_BAD);
    }
    ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* what has timed out */
    plan(d);
}

static void on_event(struct ev_loop *ev, struct ev_io *io, int revents)
{
    struct socket *s = io->data;
    (void)ev;
    s->ready |= revents;
    runq_push_polled(&s->dns->loop->runq, &s->dns->task);
}

static struct socket *socket_of(struct dns *d, int fd)
{
    list_each(n, next, &d->sockets) {
        struct socket *s = list_entry(n, struct socket, node);
        if (s->io.fd == fd)
            return s;
    }
    struct socket *s = calloc(1, sizeof(*s));
    CHECK(s);
    s->dns = d;
    ev_io_init(&s->io, on_event, fd, 0);
    s->io.data = s;
    list_push_back(&d->sockets, &s->node);
    return s;
}

static void forget_socket(struct dns *d, struct socket *s)
{
    ev_io_stop(d->loop->ev, &s->io);
    list_del(&s->node);
    free(s);
}

/* From c-ares: what it waits for at a socket; nothing: it is about to close it. */
static void on_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct dns *d = arg;
    struct socket *s = socket_of(d, fd);
    if (!readable && !writable) {
        forget_socket(d, s);
        return;
    }
    ev_io_stop(d->loop->ev, &s->io);
    ev_io_set(&s->io, fd, (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
    ev_io_start(d->loop->ev, &s->io);
}

/* ---- asking ---- */

static bool found_in_hosts_file(const struct dns *d, struct dns_question *q, const char *name)
{
    struct hostent *h = NULL;
    int family = q->type == DNS_A ? AF_INET : AF_INET6;
    size_t n = 0;
    if (!d->system || q->type == DNS_SRV ||
        ares_gethostbyname_file(d->channel, name, family, &h) != ARES_SUCCESS)
        return false;
    while (h->h_addr_list[n] && n < DNS_RECORDS_MAX)
        n++;
    new_records(q, n);
    for (; q->records_n < n; q->records_n++) {
        char text[INET6_ADDRSTRLEN];
        ares_inet_ntop(family, h->h_addr_list[q->records_n], text, sizeof(text));
        CHECK(addr_parse_ip(&q->records[q->records_n].addr, slice_str(text), 0) == OK);
    }
    ares_free_hostent(h);
    q->ttl_s = HOSTS_TTL_S;
    return n > 0;
}

void dns_ask(struct dns *d, struct dns_question *q, const char *name, enum dns_type type,
             struct task *notify)
{
    static const int types[] = {[DNS_A] = ns_t_a, [DNS_AAAA] = ns_t_aaaa, [DNS_SRV] = ns_t_srv};
    dns_drop(q);
    *q = (struct dns_question){.type = type, .notify = notify, .dns = d};
    if (found_in_hosts_file(d, q, name)) {
        answer(q, DNS_FOUND, NULL);
        return;
    }
    struct dns_ticket *t = calloc(1, sizeof(*t));
    CHECK(t);
    *t = (struct dns_ticket){d, q};
    q->ticket = t;
    d->open++;
    if (d->system)
        ares_search(d->channel, name, ns_c_in, types[type], on_answer, t);
    else
        ares_query(d->channel, name, ns_c_in, types[type], on_answer, t);
    plan(d);
}

void dns_drop(struct dns_question *q)
{
    if (q->ticket)
        q->ticket->q = NULL;
    for (size_t i = 0; i < q->records_n; i++)
        free(q->records[i].host);
    free(q->records);
    *q = (struct dns_question){0};
}

/* ---- life ---- */

static bool set_servers(struct dns *d, const struct addr *servers, size_t n)
{
    struct ares_addr_port_node nodes[DNS_SERVERS_MAX] = {0};
    CHECK(n <= DNS_SERVERS_MAX);
    for (size_t i = 0; i < n; i++) {
        nodes[i].next = i + 1 < n ? &nodes[i + 1] : NULL;
        nodes[i].family = addr_family(&servers[i]);
        nodes[i].udp_port = nodes[i].tcp_port = addr_port(&servers[i]);
        if (nodes[i].family == AF_INET)
            nodes[i].addr.addr4 = servers[i].in4.sin_addr;
        else
            memcpy(&nodes[i].addr.addr6, &servers[i].in6.sin6_addr, sizeof(nodes[i].addr.addr6));
    }
    return n == 0 || ares_set_servers_ports(d->channel, nodes) == ARES_SUCCESS;
}

struct dns *dns_new(struct loop *loop, const struct addr *servers, size_t servers_n)
{
    struct dns *d = calloc(1, sizeof(*d));
    CHECK(d);
    d->loop = loop;
    d->system = servers_n == 0;
    list_init(&d->sockets);
    task_init(&d->task, on_task);
    ev_timer_init(&d->timer, on_timer, 0., 0.);
    d->timer.data = d;
    struct ares_options o = {.flags = ARES_FLAG_EDNS,
                             .ednspsz = EDNS_BYTES,
                             .timeout = TIMEOUT_MS,
                             .tries = TRIES,
                             .sock_state_cb = on_socket,
                             .sock_state_cb_data = d};
    int what = ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
               ARES_OPT_SOCK_STATE_CB;
    if (ares_init_options(&d->channel, &o, what) != ARES_SUCCESS) {
        free(d);
        return NULL;
    }
    if (set_servers(d, servers, servers_n))
        return d;
    dns_free(d);
    return NULL;
}

struct loop *dns_loop(const struct dns *d)
{
    return d->loop;
}

bool dns_idle(const struct dns *d)
{
    return d->open == 0;
}

void dns_free(struct dns *d)
{
    if (!d)
        return;
    ares_destroy(d->channel); /* answers what is open: nobody waits for it */
    CHECK(d->open == 0 && list_empty(&d->sockets));
    ev_timer_stop(d->loop->ev, &d->timer);
    task_cancel(&d->task);
    free(d);
}
