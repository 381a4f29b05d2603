/* The loader puts all names on one table and starts threads that take them one by one:
 *
 *   loader ── holds ──▶ table ◀── hold ── threads
 *                        names[]: free ─▶ taken ─▶ answered
 *
 * Whoever lets go of the table last frees it. At the deadline the loader closes the table, copies
 * what is answered and lets go; threads that come back later find it closed and go. */
#include "config/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"

#define STACK_BYTES (512u << 10)
#define POLL_MS     50

struct name {
    char *host;
    bool answered;
    struct addr *addrs; /* malloc'ed */
    size_t n;
};

struct table {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned holders; /* the loader and the threads */
    bool closed;
    resolve_lookup *lookup;
    struct name *names;
    size_t n, next, answered;
};

static size_t lookup_system(const char *host, struct addr *to, size_t max)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    size_t n = 0;
    if (getaddrinfo(host, NULL, &hints, &list))
        return 0;
    for (struct addrinfo *i = list; i && n < max; i = i->ai_next)
        to[n++] = addr_from_sockaddr(i->ai_addr, i->ai_addrlen);
    freeaddrinfo(list);
    return n;
}

struct resolve_options resolve_options_default(void)
{
    return (struct resolve_options){.timeout_ms = RESOLVE_TIMEOUT_MS, .lookup = lookup_system};
}

/* --- the table --- */

static struct table *table_new(resolve_lookup *lookup, size_t names)
{
    pthread_condattr_t attr;
    struct table *t = calloc(1, sizeof(*t));
    CHECK(t);
    t->names = calloc(names, sizeof(*t->names));
    CHECK(t->names);
    t->lookup = lookup;
    t->holders = 1;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, &attr);
    pthread_condattr_destroy(&attr);
    return t;
}

/* With the lock held; the table may be gone afterwards. */
static void table_let_go(struct table *t)
{
    bool last = --t->holders == 0;
    pthread_mutex_unlock(&t->lock);
    if (!last)
        return;
    for (size_t i = 0; i < t->n; i++) {
        free(t->names[i].host);
        free(t->names[i].addrs);
    }
    free(t->names);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static void answer(struct table *t, struct name *n, const struct addr *addrs, size_t count)
{
    if (t->closed)
        return;
    n->addrs = calloc(count + 1, sizeof(*addrs));
    CHECK(n->addrs);
    memcpy(n->addrs, addrs, count * sizeof(*addrs));
    n->n = count;
    n->answered = true;
    t->answered++;
    pthread_cond_signal(&t->changed);
}

static void *work(void *arg)
{
    struct table *t = arg;
    struct addr addrs[RESOLVE_ADDRS_MAX];
    pthread_mutex_lock(&t->lock);
    while (!t->closed && t->next < t->n) {
        struct name *n = &t->names[t->next++];
        pthread_mutex_unlock(&t->lock);
        size_t count = t->lookup(n->host, addrs, RESOLVE_ADDRS_MAX);
        pthread_mutex_lock(&t->lock);
        answer(t, n, addrs, count);
    }
    table_let_go(t);
    return NULL;
}

/* How many threads came to life; fewer than wished for is only slower. */
static unsigned start_threads(struct table *t)
{
    unsigned wanted = t->n < RESOLVE_THREADS ? (unsigned)t->n : RESOLVE_THREADS, started = 0;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_mutex_lock(&t->lock);
    while (started < wanted) {
        pthread_t id;
        if (pthread_create(&id, &attr, work, t))
            break;
        t->holders++;
        started++;
    }
    pthread_mutex_unlock(&t->lock);
    pthread_attr_destroy(&attr);
    return started;
}

/* --- waiting --- */

static uint64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static bool is_cancelled(const struct resolve_options *o)
{
    return o->cancelled && atomic_load(o->cancelled);
}

/* With the lock held. */
static void wait_until(struct table *t, uint64_t ms)
{
    struct timespec ts = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    pthread_cond_timedwait(&t->changed, &t->lock, &ts);
}

static void wait_for_answers(struct table *t, const struct resolve_options *o)
{
    uint64_t deadline = now_ms() + o->timeout_ms;
    while (t->answered < t->n && !is_cancelled(o)) {
        uint64_t now = now_ms();
        if (now >= deadline)
            break;
        wait_until(t, now + POLL_MS < deadline ? now + POLL_MS : deadline);
    }
    t->closed = true;
}

/* --- names of a config --- */

static struct name *find_name(struct table *t, struct slice host)
{
    for (size_t i = 0; i < t->n; i++)
        if (slice_ieq(slice_str(t->names[i].host), host))
            return &t->names[i];
    return NULL;
}

typedef void each_target(struct config *c, struct config_group *g, struct config_target *t,
                         void *ctx);

static size_t for_each_name(struct config *c, each_target *f, void *ctx)
{
    size_t n = 0;
    for (size_t i = 0; i < c->groups_n; i++)
        for (size_t j = 0; j < c->groups[i].targets_n; j++) {
            struct config_target *t = &c->groups[i].targets[j];
            if (t->host.n == 0)
                continue;
            n++;
            if (f)
                f(c, &c->groups[i], t, ctx);
        }
    return n;
}

static void add_name(struct config *c, struct config_group *g, struct config_target *target,
                     void *ctx)
{
    struct table *t = ctx;
    (void)c, (void)g;
    if (target->addrs_n || find_name(t, target->host))
        return;
    t->names[t->n].host = strdup(target->host.p);
    CHECK(t->names[t->n].host);
    t->n++;
}

/* --- answers --- */

static int compare_addrs(const void *x, const void *y)
{
    const struct addr *a = x, *b = y;
    char ta[ADDR_TEXT_MAX], tb[ADDR_TEXT_MAX];
    if (addr_family(a) != addr_family(b))
        return addr_family(a) - addr_family(b);
    size_t na = addr_format(a, ta), nb = addr_format(b, tb);
    int c = memcmp(ta, tb, na < nb ? na : nb);
    return c ? c : (na > nb) - (na < nb);
}

static void take_answer(struct config *c, struct config_target *t, const struct name *n)
{
    t->addrs = arena_copy(&c->arena, n->addrs, n->n * sizeof(*n->addrs));
    t->addrs_n = 0;
    qsort(t->addrs, n->n, sizeof(*t->addrs), compare_addrs);
    for (size_t i = 0; i < n->n; i++) {
        struct addr a = t->addrs[i];
        addr_set_port(&a, t->port);
        if (t->addrs_n == 0 || !addr_eq(&a, &t->addrs[t->addrs_n - 1]))
            t->addrs[t->addrs_n++] = a;
    }
}

static const struct config_target *
find_last(const struct config *last, const struct config_group *g, const struct config_target *t)
{
    for (size_t i = 0; last && i < last->groups_n; i++) {
        if (!slice_eq(last->groups[i].name, g->name))
            continue;
        for (size_t j = 0; j < last->groups[i].targets_n; j++)
            if (slice_ieq(last->groups[i].targets[j].text, t->text))
                return &last->groups[i].targets[j];
    }
    return NULL;
}

static void keep_last(struct config *c, struct config_group *g, struct config_target *t,
                      const struct config *last, struct report *r)
{
    const struct config_target *old = find_last(last, g, t);
    if (old && old->addrs_n) {
        t->addrs = arena_copy(&c->arena, old->addrs, old->addrs_n * sizeof(*old->addrs));
        t->addrs_n = old->addrs_n;
        report_warning(r, t->pos, "no answer for %s: it keeps its %zu addresses", t->host.p,
                       t->addrs_n);
    } else {
        report_warning(r, t->pos, "no answer for %s: it is left out", t->host.p);
    }
}

struct answers {
    struct table *table;
    const struct config *last;
    struct report *report;
};

static void apply(struct config *c, struct config_group *g, struct config_target *t, void *ctx)
{
    struct answers *a = ctx;
    if (t->addrs_n)
        return;
    const struct name *n = find_name(a->table, t->host);
    if (n->answered && n->n)
        take_answer(c, t, n);
    else
        keep_last(c, g, t, a->last, a->report);
}

/* --- the same address twice --- */

static const struct config_target *owner_of(const struct config_group *g,
                                            const struct config_target *but, const struct addr *a)
{
    for (size_t i = 0; i < g->targets_n; i++) {
        const struct config_target *t = &g->targets[i];
        /* A literal address is always first; of two names the one that is first in the file. */
        if (t == but || (t->host.n && t > but))
            continue;
        for (size_t j = 0; j < t->addrs_n; j++)
            if (addr_eq(&t->addrs[j], a))
                return t;
    }
    return NULL;
}

static void drop_repeated(struct config *c, struct config_group *g, struct config_target *t,
                          void *ctx)
{
    size_t kept = 0;
    (void)c;
    for (size_t i = 0; i < t->addrs_n; i++) {
        const struct config_target *owner = owner_of(g, t, &t->addrs[i]);
        if (owner)
            report_warning(ctx, t->pos, "an address of %s is also one of %s: it counts once",
                           t->text.p, owner->text.p);
        else
            t->addrs[kept++] = t->addrs[i];
    }
    t->addrs_n = kept;
}

enum err resolve_targets(struct config *c, const struct resolve_options *o, struct report *r)
{
    size_t n = for_each_name(c, NULL, NULL);
    if (n == 0)
        return OK;
    struct table *t = table_new(o->lookup, n);
    for_each_name(c, add_name, t);
    bool started = start_threads(t) > 0;
    pthread_mutex_lock(&t->lock);
    if (started)
        wait_for_answers(t, o);
    bool cancelled = is_cancelled(o);
    if (!cancelled)
        for_each_name(c, apply, &(struct answers){t, o->last, r});
    table_let_go(t);
    if (cancelled)
        return ERR_RESET;
    for_each_name(c, drop_repeated, r);
    return OK;
}
