#include "upstream/finder.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* ---- the answer ---- */

struct sums {
    struct finder *f;
    struct discover_target *targets;
    struct discover_gap *gaps;
    size_t targets_n, gaps_n;
    uint32_t ttl_s;
};

static void add_addrs(struct sums *s, const struct dns_question *q, const char *host,
                      const struct dns_record *service)
{
    for (size_t i = 0; i < q->records_n; i++) {
        struct discover_target *t = &s->targets[s->targets_n++];
        *t = (struct discover_target){
            .addr = q->records[i].addr,
            .host = host,
            .priority = service->priority,
            .weight = service->weight ? service->weight : 1,
        };
        addr_set_port(&t->addr, service->port);
    }
    if (q->status == DNS_FOUND && q->ttl_s < s->ttl_s)
        s->ttl_s = q->ttl_s;
    if (q->status == DNS_FAILED) {
        int family = q->type == DNS_A ? AF_INET : AF_INET6;
        s->gaps[s->gaps_n++] = (struct discover_gap){host, family};
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct finder_host *)a)->name, ((const struct finder_host *)b)->name);
}

static const struct finder_host *host_of(const struct finder *f, const char *name)
{
    const struct finder_host key = {.name = name};
    return bsearch(&key, f->hosts, f->hosts_n, sizeof(*f->hosts), compare_names);
}

static const char *first_trouble(const struct finder *f)
{
    if (f->srv.why)
        return f->srv.why;
    for (size_t i = 0; i < f->hosts_n; i++) {
        const struct finder_host *h = &f->hosts[i];
        if (h->a.status == DNS_FAILED || h->aaaa.status == DNS_FAILED)
            return h->a.status == DNS_FAILED ? h->a.why : h->aaaa.why;
    }
    return f->hosts_n ? f->hosts[0].a.why : "no host";
}

static size_t most_targets(const struct finder *f, const struct dns_record *services, size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        const struct finder_host *h = host_of(f, services[i].host);
        sum += h ? h->a.records_n + h->aaaa.records_n : 0;
    }
    return sum;
}

static void finish(struct finder *f)
{
    struct dns_record self = {.host = f->name, .port = f->port, .weight = 1};
    const struct dns_record *services = f->port ? &self : f->srv.records;
    size_t n = f->port ? 1 : f->srv.records_n;
    struct sums s = {.f = f, .ttl_s = f->port ? UINT32_MAX : f->srv.ttl_s};
    s.targets = calloc(most_targets(f, services, n) + 1, sizeof(*s.targets));
    s.gaps = calloc(2 * n + 1, sizeof(*s.gaps));
    CHECK(s.targets && s.gaps);
    for (size_t i = 0; i < n; i++) {
        const struct finder_host *h = host_of(f, services[i].host);
        if (!h)
            continue;
        add_addrs(&s, &h->a, h->name, &services[i]);
        add_addrs(&s, &h->aaaa, h->name, &services[i]);
    }
    f->answer = (struct discover_answer){s.targets, s.targets_n, s.gaps, s.gaps_n, s.ttl_s};
    f->why = s.targets_n ? NULL : first_trouble(f);
    f->running = false;
    loop_push(dns_loop(f->dns), f->notify);
}

/* ---- asking ---- */

static void ask_hosts(struct finder *f)
{
    while (f->asked < f->hosts_n && f->asked - f->answered < FINDER_ASKED) {
        struct finder_host *h = &f->hosts[f->asked++];
        dns_ask(f->dns, &h->a, h->name, DNS_A, &f->task);
        dns_ask(f->dns, &h->aaaa, h->name, DNS_AAAA, &f->task);
    }
}

static struct finder_host *new_hosts(struct finder *f, size_t n)
{
    f->hosts = calloc(n + 1, sizeof(*f->hosts));
    CHECK(f->hosts);
    return f->hosts;
}

/* Each host once, in order of names. */
static void take_services(struct finder *f)
{
    struct finder_host *hosts = new_hosts(f, f->srv.records_n);
    size_t n = 0, i;
    for (i = 0; i < f->srv.records_n; i++)
        hosts[i].name = f->srv.records[i].host;
    qsort(hosts, f->srv.records_n, sizeof(*hosts), compare_names);
    for (i = 0; i < f->srv.records_n && n < FINDER_HOSTS_MAX; i++)
        if (n == 0 || strcmp(hosts[n - 1].name, hosts[i].name) != 0)
            hosts[n++].name = hosts[i].name;
    f->hosts_n = n;
}

static size_t count_answered(const struct finder *f)
{
    size_t n = 0;
    for (size_t i = 0; i < f->asked; i++)
        n += f->hosts[i].a.status != DNS_OPEN && f->hosts[i].aaaa.status != DNS_OPEN;
    return n;
}

static void on_task(struct task *t)
{
    struct finder *f = container_of(t, struct finder, task);
    if (!f->running || (!f->port && f->srv.status == DNS_OPEN))
        return;
    if (!f->port && !f->hosts)
        take_services(f);
    f->answered = count_answered(f);
    if (f->answered == f->hosts_n)
        finish(f);
    else
        ask_hosts(f);
}

/* ---- life ---- */

static void clear(struct finder *f)
{
    for (size_t i = 0; i < f->hosts_n; i++) {
        dns_drop(&f->hosts[i].a);
        dns_drop(&f->hosts[i].aaaa);
    }
    free(f->hosts);
    dns_drop(&f->srv);
    free((void *)f->answer.targets);
    free((void *)f->answer.gaps);
    free(f->name);
    task_cancel(&f->task);
    struct task *notify = f->notify;
    *f = (struct finder){.notify = notify};
    task_init(&f->task, on_task);
}

void finder_start(struct finder *f, struct dns *dns, const char *name, uint16_t port)
{
    clear(f);
    f->dns = dns;
    f->port = port;
    f->running = true;
    f->name = strdup(name);
    CHECK(f->name);
    if (port == 0) {
        dns_ask(dns, &f->srv, name, DNS_SRV, &f->task);
        return;
    }
    new_hosts(f, 1)->name = f->name;
    f->hosts_n = 1;
    ask_hosts(f);
}

void finder_init(struct finder *f, struct task *notify)
{
    *f = (struct finder){.notify = notify};
    task_init(&f->task, on_task);
}

void finder_fini(struct finder *f)
{
    clear(f);
    task_cancel(f->notify);
}
