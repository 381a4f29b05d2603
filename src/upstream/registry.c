#include "upstream/registry.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"

#define BUCKETS_MIN 64

static struct target **new_buckets(size_t n)
{
    struct target **b = calloc(n, sizeof(struct target *));
    CHECK(b);
    return b;
}

static struct target **bucket_of(const struct registry *r, struct slice group,
                                 const struct addr *addr)
{
    return &r->buckets[addr_hash(addr, hash_bytes(group, 0)) & (r->buckets_n - 1)];
}

void registry_init(struct registry *r, unsigned workers)
{
    *r = (struct registry){.workers = workers, .buckets_n = BUCKETS_MIN};
    list_init(&r->targets);
    list_init(&r->queues);
    for (unsigned i = 0; i < REGISTRY_GROUP_BUCKETS; i++)
        list_init(&r->groups[i]);
    r->buckets = new_buckets(r->buckets_n);
}

/* ---- groups ---- */

static struct list *news_bucket(struct registry *r, struct slice group)
{
    return &r->groups[hash_bytes(group, 0) % REGISTRY_GROUP_BUCKETS];
}

static struct group_news *find_news(struct registry *r, struct slice group)
{
    list_each(n, next, news_bucket(r, group)) {
        struct group_news *news = list_entry(n, struct group_news, node);
        if (slice_eq(slice_str(news->name), group))
            return news;
    }
    return NULL;
}

static void *lines(unsigned n, size_t size)
{
    void *p = aligned_alloc(64, n * size);
    CHECK(n && p);
    return memset(p, 0, n * size);
}

static struct group_news *add_news(struct registry *r, struct slice group)
{
    size_t line = _Alignof(struct group_news);
    size_t bytes = (sizeof(struct group_news) + group.n + line) / line * line;
    struct group_news *news = aligned_alloc(line, bytes);
    CHECK(news);
    memset(news, 0, bytes);
    news->shifted = &r->shifted;
    news->workers = r->workers;
    news->memories = lines(r->workers, sizeof(*news->memories));
    list_init(&news->tallies);
    news->local = lines(r->workers, sizeof(*news->local));
    memcpy(news->name, group.p, group.n);
    list_init(&news->due);
    list_push_back(news_bucket(r, group), &news->node);
    return news;
}

struct group_news *registry_get_news(struct registry *r, struct slice group)
{
    struct group_news *news = find_news(r, group);
    if (!news)
        news = add_news(r, group);
    news->refs++;
    return news;
}

void registry_release_news(struct group_news *news)
{
    CHECK(news->refs > 0);
    if (--news->refs > 0)
        return;
    list_del(&news->node);
    list_del(&news->due);
    free(news->local);
    while (!list_empty(&news->tallies)) {
        struct zone_tally *t = list_first(&news->tallies, struct zone_tally, node);
        list_del(&t->node);
        free(t->local);
        free(t);
    }
    free(news->memories);
    free(news);
}

struct zone_tally *registry_zone_tally(struct group_news *news, struct slice zone)
{
    list_each(n, next, &news->tallies) {
        struct zone_tally *t = list_entry(n, struct zone_tally, node);
        if (slice_eq(slice_str(t->zone), zone))
            return t;
    }
    struct zone_tally *t = calloc(1, sizeof(*t) + zone.n + 1);
    CHECK(t);
    if (zone.n)
        memcpy(t->zone, zone.p, zone.n);
    t->local = lines(news->workers, sizeof(*t->local));
    list_push_back(&news->tallies, &t->node);
    return t;
}

void registry_raise_all(struct registry *r)
{
    for (unsigned i = 0; i < REGISTRY_GROUP_BUCKETS; i++)
        list_each(n, next, &r->groups[i])
            atomic_fetch_add_explicit(&list_entry(n, struct group_news, node)->epoch, 1,
                                      memory_order_release);
}

/* ---- targets ---- */

static void link_in(struct registry *r, struct target *t)
{
    struct target **b = bucket_of(r, t->group, &t->addr);
    t->same_bucket = *b;
    *b = t;
}

static void grow(struct registry *r)
{
    free(r->buckets);
    r->buckets_n *= 2;
    r->buckets = new_buckets(r->buckets_n);
    list_each(n, tmp, &r->targets)
        link_in(r, list_entry(n, struct target, node));
}

struct target *registry_find(const struct registry *r, struct slice group, const struct addr *addr)
{
    struct target *t = *bucket_of(r, group, addr);
    while (t && !(addr_eq(&t->addr, addr) && slice_eq(t->group, group)))
        t = t->same_bucket;
    return t;
}

static struct target *add(struct registry *r, struct slice group, const struct addr *addr)
{
    struct target *t = target_new(group, addr, r->workers);
    t->news = registry_get_news(r, group);
    list_push_back(&r->targets, &t->node);
    if (++r->count > r->buckets_n)
        grow(r); /* links it in with all the others */
    else
        link_in(r, t);
    return t;
}

struct target *registry_get(struct registry *r, struct slice group, const struct addr *addr)
{
    struct target *t = registry_find(r, group, addr);
    if (!t)
        t = add(r, group, addr);
    t->refs++;
    return t;
}

void registry_release(struct registry *r, struct target *t)
{
    (void)r;
    CHECK(t->refs > 0);
    t->refs--;
}

/* ---- zones ---- */

uint64_t registry_zone_id(struct slice zone)
{
    return hash_bytes(zone, 0) | 1;
}

bool registry_is_shifted(const struct shifted *s, uint64_t zone_id)
{
    for (unsigned i = 0; i < REGISTRY_SHIFTED_MAX; i++)
        if (atomic_load_explicit(&s->zones[i], memory_order_relaxed) == zone_id)
            return true;
    return false;
}

struct queue *registry_get_queue(struct registry *r, struct slice group)
{
    list_each(n, next, &r->queues) {
        struct queue *q = list_entry(n, struct queue, node);
        if (slice_eq(slice_str(q->name), group))
            return q;
    }
    struct queue *q = queue_new(group, r->workers);
    list_push_back(&r->queues, &q->node);
    return q;
}

/* ---- the end ---- */

static void drop(struct registry *r, struct target *t)
{
    struct target **at = bucket_of(r, t->group, &t->addr);
    while (*at != t)
        at = &(*at)->same_bucket;
    struct group_news *news = t->news;
    *at = t->same_bucket;
    r->count--;
    target_free(t);
    registry_release_news(news);
}

void registry_sweep(struct registry *r)
{
    list_each(n, tmp, &r->targets) {
        struct target *t = list_entry(n, struct target, node);
        if (t->refs == 0 && !target_busy(t))
            drop(r, t);
    }
}

void registry_fini(struct registry *r)
{
    while (!list_empty(&r->targets))
        drop(r, list_first(&r->targets, struct target, node));
    for (unsigned i = 0; i < REGISTRY_GROUP_BUCKETS; i++)
        CHECK(list_empty(&r->groups[i]));
    while (!list_empty(&r->queues))
        queue_free(list_first(&r->queues, struct queue, node));
    free(r->buckets);
    r->buckets = NULL;
}
