#include "upstream/target.h"

#include <stdlib.h>

#include "base/check.h"

#define TARGET_MAGIC 0x54415247

const uint32_t target_bucket_us[TARGET_BUCKETS - 1] = {
    1000,   2500,   5000,    10000,   25000,   50000,    100000,
    250000, 500000, 1000000, 2500000, 5000000, 10000000,
};

/* Most answers are quick: the first buckets are looked at first. */
void target_count_response(struct target_local *l, uint64_t us)
{
    unsigned i = 0;
    while (i < TARGET_BUCKETS - 1 && us > target_bucket_us[i])
        i++;
    counter_add(&l->responses[i], 1);
    counter_add(&l->response_us, us);
}

static struct slice copy_text(struct slice s)
{
    char *p = malloc(s.n + 1);
    CHECK(p);
    memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return slice_of(p, s.n);
}

static struct target_local *new_locals(unsigned workers)
{
    size_t bytes = workers * sizeof(struct target_local);
    struct target_local *l = aligned_alloc(_Alignof(struct target_local), bytes);
    CHECK(l);
    memset(l, 0, bytes);
    for (unsigned w = 0; w < workers; w++) {
        list_init(&l[w].idle);
        list_init(&l[w].dialing);
    }
    return l;
}

struct target *target_new(struct slice group, const struct addr *addr, unsigned workers)
{
    char text[ADDR_TEXT_MAX];
    struct target *t = aligned_alloc(_Alignof(struct target), sizeof(*t));
    CHECK(t && workers);
    memset(t, 0, sizeof(*t));
    t->magic = TARGET_MAGIC;
    t->share = t->ramp = TARGET_SHARE_ALL;
    t->workers = workers;
    t->group = copy_text(group);
    t->addr = *addr;
    t->text = copy_text(slice_of(text, addr_format(addr, text)));
    t->local = new_locals(workers);
    list_init(&t->node);
    list_init(&t->ramping);
    return t;
}

void target_free(struct target *t)
{
    CHECK_MAGIC(t, TARGET_MAGIC);
    CHECK(t->refs == 0 && !t->check && list_empty(&t->ramping));
    for (unsigned w = 0; w < t->workers; w++) {
        CHECK(list_empty(&t->local[w].idle) && list_empty(&t->local[w].dialing));
        tls_resume_fini(&t->local[w].resume);
    }
    list_del(&t->node);
    t->magic = 0;
    free((char *)(uintptr_t)t->group.p);
    free((char *)(uintptr_t)t->text.p);
    free(t->local);
    free(t);
}

/* Pairs with the release of counter_sub(): after 0, all that the worker did to the target before is
 * seen. In-flight first: a lease that became an idle link meanwhile is then found as one. */
static bool held_by(const struct target_local *l)
{
    return atomic_load_explicit(&l->in_flight.v, memory_order_acquire) != 0 ||
           atomic_load_explicit(&l->idle_links.v, memory_order_acquire) != 0;
}

bool target_busy(const struct target *t)
{
    for (unsigned w = 0; w < t->workers; w++)
        if (held_by(&t->local[w]))
            return true;
    return false;
}

uint64_t target_in_flight(const struct target *t)
{
    uint64_t sum = 0;
    for (unsigned w = 0; w < t->workers; w++)
        sum += counter_get(&t->local[w].in_flight);
    return sum;
}

uint64_t target_requests(const struct target *t)
{
    uint64_t sum = 0;
    for (unsigned w = 0; w < t->workers; w++)
        sum += counter_get(&t->local[w].requests);
    return sum;
}

static struct target_counts count(const struct target *t)
{
    struct target_counts c = {0};
    for (unsigned w = 0; w < t->workers; w++) {
        const struct target_local *l = &t->local[w];
        uint64_t errors = counter_get(&l->connect_errors) + counter_get(&l->broken);
        c.requests += counter_get(&l->requests) + errors;
        c.failures += counter_get(&l->codes[5]) + errors;
    }
    return c;
}

struct target_counts target_count_since(const struct target *t, struct target_counts *seen)
{
    struct target_counts now = count(t);
    struct target_counts since = {now.requests - seen->requests, now.failures - seen->failures};
    *seen = now;
    if (since.failures > since.requests)
        since.failures = since.requests;
    return since;
}

static uint32_t answers_of(const struct target *t, unsigned bucket)
{
    uint64_t sum = 0;
    for (unsigned w = 0; w < t->workers; w++) {
        const struct target_local *l = &t->local[w];
        sum += counter_get(&l->responses[bucket]);
        if (bucket == TARGET_BUCKETS - 1)
            sum += counter_get(&l->silent);
    }
    return (uint32_t)sum;
}

void target_answers_since(const struct target *t, struct target_answers *seen,
                          uint64_t to[TARGET_BUCKETS])
{
    for (unsigned i = 0; i < TARGET_BUCKETS; i++) {
        uint32_t now = answers_of(t, i);
        to[i] += now - seen->by_time[i];
        seen->by_time[i] = now;
    }
}
